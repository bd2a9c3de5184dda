"""Products of all instruments of one simulated night: dust below 4 km and a cloud in its middle."""

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time
from ctapipe.core import run_tool
from lidar_sky import us_standard

from calibpipe.atmosphere.profile_table import profile_table
from calibpipe.atmosphere.transparency import RateModel
from calibpipe.core.night import astronomical_night
from calibpipe.core.products import ProductMetadata, write_table
from calibpipe.simulation.fram import FramCamera, FramSky, fram_hdus, simulated_fram
from calibpipe.simulation.trigger_rates import simulated_trigger_rates
from calibpipe.tools.calculate_transparency_coefficient import CalculateTransparencyCoefficient
from calibpipe.tools.clear_night_assessment import ClearNightAssessment
from calibpipe.tools.process_lidar import ProcessLidar
from calibpipe.tools.simulate_lidar_data import SimulateLidarData

NIGHT, REFERENCE = "2024-07-10", "2024-07-08"
DUST, CLOUD, EXPONENT = 0.03, 0.15, 1.2  # depth at 532 nm; of the cloud at all wavelengths
BASE, TOP = 9000.0, 9800.0


def keys(root, night=NIGHT):
    return [f"--site={root}/config/sites/CTAO-North.yaml", f"--night={night}"]


def write_density(folder):
    metadata = ProductMetadata(
        "atmosphere/density_profile", "test", details={"co2_mole_fraction": 420e-6}
    )
    write_table(folder / "density_profile.ecsv", QTable(profile_table(us_standard())), metadata)


def write_lidar(root, folder, *, cloud=CLOUD, interval=300.0):
    """Five to six profiles a slice, the cloud in the middle third."""
    density = f"--density-profile={folder}/density_profile.ecsv"
    run_tool(
        SimulateLidarData(),
        [
            *keys(root),
            density,
            f"--output={folder}/raw.nc",
            f"--SimulateLidarData.aerosol_optical_depth={DUST}",
            f"--SimulateLidarData.aerosol_angstrom_exponent={EXPONENT}",
            f"--SimulateLidarData.cloud_optical_depth={cloud}",
            f"--SimulateLidarData.cloud_base_in_m={BASE}",
            f"--SimulateLidarData.cloud_thickness_in_m={TOP - BASE}",
            f"--SimulateLidarData.interval_in_s={interval}",
        ],
        cwd=folder,
        raises=True,
    )
    run_tool(
        ProcessLidar(),
        [
            *keys(root),
            density,
            f"--input={folder}/raw.nc",
            f"--output={folder}/lidar.ecsv",
            "--ProcessLidar.dead_time_in_ns=2.0",
        ],
        cwd=folder,
        raises=True,
    )


def write_fram(root, folder, site, *, cloud=CLOUD):
    sky = FramSky(
        vaod=DUST * (532 / 440) ** EXPONENT,
        cloud=cloud,
        cloud_begin=1 / 3,
        cloud_end=2 / 3,
        angstrom_exponent=EXPONENT,
    )
    camera = FramCamera(interval=4 * u.min, n_stars=40)
    night = astronomical_night(NIGHT, site)
    measured, _ = simulated_fram(site, night, sky, camera, np.random.default_rng(5))
    fram_hdus(measured).writeto(folder / "fram.fits", overwrite=True)
    run_tool(
        ClearNightAssessment(),
        [*keys(root), f"--input={folder}/fram.fits", f"--output={folder}/clear_night.ecsv"],
        cwd=folder,
        raises=True,
    )


def write_transparency(root, folder, site, *, cloud=CLOUD):
    rng = np.random.default_rng(6)
    model = RateModel(zenith_exponent=1.3)
    for name, depth in ((REFERENCE, 0.0), (NIGHT, cloud)):
        night = astronomical_night(name, site)
        n = 14
        part = (np.arange(n) + 0.5) / n
        cloudy = (part > 1 / 3) & (part < 2 / 3)
        step = night.duration / n
        begin = night.dusk + np.arange(n) * step
        table = simulated_trigger_rates(
            begin,
            step,
            np.linspace(10, 50, n) * u.deg,
            np.where(cloudy, np.exp(-0.5 * depth), 1.0),
            np.arange(1, 4),
            [1.0, 0.9, 1.05],
            [1.0, 1.0, 1.0],
            [1500, 1400, 1300] * u.Hz,
            model,
            rng,
        )
        for column, values in (("throughput", [1.0, 0.9, 1.05]), ("gain", [1.0, 1.0, 1.0])):
            table[column] = np.tile(values, n)
            table[f"{column}_error"] = 0.01 * table[column]
        table.write(folder / f"rates_{name}.ecsv", overwrite=True)
        options = (
            ["--reference-night"]
            if name == REFERENCE
            else [f"--reference={folder}/transparency_{REFERENCE}.ecsv"]
        )
        run_tool(
            CalculateTransparencyCoefficient(),
            [
                *keys(root, name),
                f"--rates={folder}/rates_{name}.ecsv",
                f"--output={folder}/transparency_{name}.ecsv",
                *options,
            ],
            cwd=folder,
            raises=True,
        )
    (folder / f"transparency_{NIGHT}.ecsv").rename(folder / "transparency.ecsv")


def write_allsky(folder, site, *, fraction=0.6, everywhere=False):
    """A frame every five minutes; clouds cover `fraction` in the middle third of the night."""
    night = astronomical_night(NIGHT, site)
    seconds = np.arange(150.0, night.duration.to_value(u.s), 300.0)
    part = seconds / night.duration.to_value(u.s)
    cloudy = everywhere | ((part > 1 / 3) & (part < 2 / 3))
    value = np.where(cloudy, fraction, 0.02)
    status = np.full(len(part), "", dtype="U20")
    status[0], value[0] = "no image", np.nan
    error = np.where(np.isfinite(value), 0.02, np.nan)
    table = QTable(
        {
            "time": Time(night.dusk.unix_tai + seconds, format="unix_tai", scale="tai").utc.isot,
            "status": status,
            "cloud_fraction": value,
            "cloud_fraction_stat_error": error,
            "cloud_fraction_sys_error": error / 2,
        }
    )
    metadata = ProductMetadata("atmosphere/allsky", "test", site=site.name, night=NIGHT)
    write_table(folder / "allsky.ecsv", table, metadata)


def write_all(root, folder, site):
    write_density(folder)
    write_lidar(root, folder)
    write_fram(root, folder, site)
    write_transparency(root, folder, site)
    write_allsky(folder, site)

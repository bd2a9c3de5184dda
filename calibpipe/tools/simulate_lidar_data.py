"""LIDAR profiles of one night with known aerosols and a passing cloud."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

KIND = "simulation/lidar_truth"


class SimulateLidarData(NightTool):
    """Simulate the LIDAR profiles of one night.

    A Raman LIDAR at the site (355 and 532 nm with nitrogen channels) looks up through a mixing
    layer; in the middle third of the night a cloud passes. Written as EARLINET raw netCDF, or,
    with --licel, as a folder of Licel files; the truth beside it, ``.truth.ecsv``.
    """

    name = "calibpipe-simulate-lidar-data"
    description = __doc__
    examples = """
    calibpipe-simulate-lidar-data --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --density-profile density_profile.ecsv --output lidar_2024-07-10.nc
    """

    density_profile = traits.Path(
        None, exists=None, directory_ok=False, help="Product atmosphere/density_profile"
    ).tag(config=True)
    licel = traits.Bool(False, help="Write a folder of Licel files").tag(config=True)
    seed = traits.Int(0, min=0, help="Seed of the photons").tag(config=True)
    interval_in_s = traits.Float(600.0, min=60, help="From profile to profile").tag(config=True)
    duration_in_s = traits.Float(60.0, min=1, help="Of a profile").tag(config=True)
    shots = traits.Int(3000, min=1, help="Laser shots a profile").tag(config=True)
    aerosol_optical_depth = traits.Float(0.0159, min=0, max=2, help="At 532 nm").tag(config=True)
    aerosol_top_in_m = traits.Float(2000.0, min=500, help="Above the LIDAR").tag(config=True)
    aerosol_angstrom_exponent = traits.Float(1.2, help="Of the mixing layer").tag(config=True)
    cloud_optical_depth = traits.Float(0.2, min=0, max=5, help="Of the cloud").tag(config=True)
    cloud_base_in_m = traits.Float(9000.0, min=3000, help="Above the sea").tag(config=True)
    cloud_thickness_in_m = traits.Float(1000.0, min=50, help="Of the cloud").tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        "density-profile": "SimulateLidarData.density_profile",
        "seed": "SimulateLidarData.seed",
    }
    flags: ClassVar[dict] = {
        "licel": ({"SimulateLidarData": {"licel": True}}, "Write a folder of Licel files"),
        **NightTool.flags,
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "density_profile")

    def setup(self) -> None:
        """Check what has to be given and that nothing would be overwritten."""
        super().setup()
        self.truth_output = Path(self.output).with_suffix(".truth.ecsv")
        self.check_output(self.truth_output)

    def start(self) -> None:
        """Simulate, encode, write."""
        import numpy as np

        from ..core.night import astronomical_night, night_date
        from ..core.products import read_table

        site = self.load_site()
        night = astronomical_night(self.night, site)
        product = read_table(
            self.add_input(self.density_profile, "density_profile"), "atmosphere/density_profile"
        )
        rng = np.random.default_rng([self.seed, night_date(self.night).toordinal()])
        seconds = night.duration.to_value("s") - self.duration_in_s
        starts = np.arange(0.0, seconds, self.interval_in_s)
        require(starts.size > 0, f"night {self.night} is shorter than one profile")
        sky = self.sky(site, starts.size)
        data = self.data(site, np.ceil(night.dusk.unix) + starts, sky, product, rng)
        self.write(data, site)
        self.write_truth(data, sky, site)

    def sky(self, site: Any, n_profiles: int) -> list:
        """Aerosols of every profile."""
        import astropy.units as u

        from ..simulation.lidar import AerosolLayer, passing_cloud

        ground = AerosolLayer(
            self.aerosol_optical_depth,
            site.elevation,
            site.elevation + self.aerosol_top_in_m * u.m,
            50 * u.sr,
            self.aerosol_angstrom_exponent,
        )
        base = self.cloud_base_in_m * u.m
        cloud = AerosolLayer(
            self.cloud_optical_depth, base, base + self.cloud_thickness_in_m * u.m, 25 * u.sr
        )
        return passing_cloud(n_profiles, ground, cloud)

    def data(self, site: Any, starts: Any, sky: list, product: Any, rng: Any) -> Any:
        """Profiles as the instrument would record them."""
        import astropy.units as u
        import numpy as np
        from astropy.time import Time

        from ..atmosphere.profile_table import profile_from_table
        from ..core.lidar_files import LidarData
        from ..simulation.lidar import raman_lidar, simulated_channel

        profile = profile_from_table(product)
        distance = (np.arange(4000) + 0.5) * 7.5 * u.m
        where = {
            "co2": product.meta["calibpipe"]["co2_mole_fraction"],
            "altitude": site.elevation,
        }
        below = site.elevation + distance <= profile.altitude[-1]
        channels = tuple(
            simulated_channel(
                name, channel, sky, profile, distance[below], self.shots, rng, **where
            )
            for name, channel in raman_lidar().items()
        )
        n = len(starts)
        return LidarData(
            times=Time(starts + self.duration_in_s / 2, format="unix", scale="utc"),
            duration=np.full(n, self.duration_in_s) * u.s,
            altitude=site.elevation,
            latitude=site.latitude,
            longitude=site.longitude,
            zenith=np.zeros(n) * u.deg,
            channels=channels,
        )

    def write(self, data: Any, site: Any) -> None:
        """Write the files of the instrument."""
        from ..core.files import atomic_path
        from ..simulation.lidar_encoding import licel_bytes, write_earlinet

        if not self.licel:
            with atomic_path(self.output) as temporary:
                write_earlinet(temporary, data)
            self.add_output(self.output, "simulation/lidar_data")
            return
        for i, time in enumerate(data.times):
            name = time.strftime("a%y%m%d%H.%M%S")
            path = Path(self.output) / name
            with atomic_path(path) as temporary:
                temporary.write_bytes(licel_bytes(data, i, site.name, name))
            self.add_output(path, "simulation/lidar_data")

    def write_truth(self, data: Any, sky: list, site: Any) -> None:
        """True optical depths of every profile beside the data."""
        import astropy.units as u
        import numpy as np
        from astropy.table import QTable

        from ..core.products import write_table

        top = [100] * u.km
        columns: dict[str, Any] = {
            "time": data.times.isot,
            "is_cloudy": np.array([len(one.layers) > 1 for one in sky]),
        }
        for nm in (355, 532):
            columns[f"optical_depth_{nm}nm"] = [
                float(one.optical_depth(top, nm * u.nm)[0]) for one in sky
            ]
        end = data.times[-1] + data.duration[-1]
        metadata = self.metadata(
            KIND,
            f"True aerosols over {site.name} in the simulated night {self.night}",
            validity=(data.times[0], end),
        )
        write_table(self.truth_output, QTable(columns), metadata)
        self.add_output(self.truth_output, KIND)


def main() -> None:
    """Run the Tool."""
    SimulateLidarData().run()

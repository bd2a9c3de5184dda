"""Worker of atmospheric_model.py: our functions, from the data file to the tables."""

import json
import sys
import time
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.time import Time

from calibpipe.atmosphere.atmospheric_model import (
    FINE_ALTITUDES,
    extinction_altitudes,
    partial_columns,
    shower_atmosphere,
)
from calibpipe.atmosphere.corsika_table import CORSIKA_ALTITUDES
from calibpipe.atmosphere.density_profile import molecular_profile
from calibpipe.atmosphere.five_layer_atmosphere import fit_five_layers
from calibpipe.atmosphere.meteorology import night_mean, night_weights, site_sounding
from calibpipe.atmosphere.profile_table import profile_from_table
from calibpipe.atmosphere.rayleigh import rayleigh_optical_depth
from calibpipe.atmosphere.upper_air import blended_profile
from calibpipe.core.meteo_files import read_meteo_files
from calibpipe.core.products import read_table
from calibpipe.core.site import load_site

CO2 = 419.3125e-6  # mean of the twelve months before July 2023 at Mauna Loa, Scripps
REPETITIONS = 5


def main() -> None:
    meteo_file, site, pool = Path(sys.argv[1]), load_site(sys.argv[2]), Path(sys.argv[3])
    runs = [calculation(meteo_file, site, pool) for _ in range(REPETITIONS)]
    answer, _ = runs[-1]
    stages = {name: float(np.median([cpu[name] for _, cpu in runs])) for name in runs[0][1]}
    stages["total"] = sum(stages.values()) - stages["five_layer_fit"]
    print(json.dumps({**answer, "cpu": stages}))


def calculation(meteo_file, site, pool):
    clock = [time.process_time()]
    data = read_meteo_files([meteo_file], "ERA5", around=(site.latitude, site.longitude))
    clock.append(time.process_time())

    sounding = site_sounding(data, site, saturation="ifs")
    begin, end = Time("2023-07-09T21:46", scale="utc"), Time("2023-07-10T05:03", scale="utc")
    mean = night_mean(sounding, night_weights(sounding.times, begin, end, 3 * u.h))
    altitude = np.arange(0.0, 48_000.0, 100.0) * u.m
    measured = molecular_profile(mean, altitude, site.latitude, CO2)
    upper = nearest_reference(pool, measured.at([15.0] * u.km).number_density)
    profile = blended_profile(measured, upper, FINE_ALTITUDES, site.latitude)
    shower = shower_atmosphere(profile, CORSIKA_ALTITUDES, 400 * u.nm, CO2)
    clock.append(time.process_time())

    edges = extinction_altitudes(site.elevation)
    wavelength = np.arange(200.0, 1000.0) * u.nm
    depth = rayleigh_optical_depth(wavelength, *partial_columns(profile, edges), CO2)
    clock.append(time.process_time())

    fit_five_layers(shower.altitude, shower.thickness)
    clock.append(time.process_time())

    at_site = profile.at(edges[:1])
    answer = {
        "co2_ppm": CO2 * 1e6,
        "shape": depth.shape,
        "n_bins": len(edges) - 1,
        "lowest_edge_km": edges[0].to_value(u.km),
        "pressure_hpa": at_site.pressure.to_value(u.hPa)[0],
        "optical_depth_350nm": float(depth[wavelength == 350 * u.nm, -1][0]),
    }
    names = ("read", "profile", "extinction", "five_layer_fit")
    return answer, dict(zip(names, np.diff(clock).tolist(), strict=True))


def nearest_reference(pool, number_density):
    """Reference profile nearest in density at 15 km: the rule of both selections."""
    at_15_km = number_density.to_value(1 / u.cm**3)[0]
    models = [read_table(path, "atmosphere/reference_atmospheric_model") for path in pool.iterdir()]
    return profile_from_table(
        min(
            models,
            key=lambda model: abs(
                model.meta["calibpipe"]["number_density_15km_in_per_cm3"] - at_15_km
            ),
        )
    )


if __name__ == "__main__":
    main()

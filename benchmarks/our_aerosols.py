"""Worker of aerosols.py in our environment; each task prints a line of JSON."""

import json
import sys
import time

import astropy.units as u
import numpy as np
from astropy.time import Time

from calibpipe.atmosphere.clear_night import ClearNightLimits, assessment
from calibpipe.atmosphere.density_profile import MolecularProfile
from calibpipe.atmosphere.fram import ImageDepths
from calibpipe.atmosphere.lidar_night import lidar_night
from calibpipe.atmosphere.lidar_settings import RetrievalSettings
from calibpipe.atmosphere.lidar_table import lidar_table
from calibpipe.atmosphere.standard_atmosphere import standard_atmosphere
from calibpipe.core.lidar_files import LidarData
from calibpipe.simulation.lidar import (
    AerosolLayer,
    LidarChannel,
    passing_cloud,
    raman_lidar,
    simulated_channel,
)

SITE = 2200 * u.m
LIMITS = ClearNightLimits()


def main() -> None:
    task, *arguments = sys.argv[1:]
    print(json.dumps(globals()[task](*arguments)))


def lidar(n_profiles: str, n_bins: str) -> dict:
    """CPU seconds of a night of profiles at 355, 532 and 1064 nm, and how right it is."""
    rng = np.random.default_rng(1)
    n = int(n_profiles)
    profile = air()
    ground = AerosolLayer(0.05, SITE, SITE + 2 * u.km, 50 * u.sr, 1.0)
    cloud = AerosolLayer(0.2, 9 * u.km, 10 * u.km, 25 * u.sr)
    sky = passing_cloud(n, ground, cloud)
    distance = (np.arange(int(n_bins)) + 0.5) * 7.5 * u.m
    channels = raman_lidar() | {
        "1064": LidarChannel(1064 * u.nm, 1064 * u.nm, 8e14, 0.2, analog=True)
    }
    where = {"co2": 420e-6, "altitude": SITE}
    data = LidarData(
        times=Time("2024-07-10T22:00:00") + np.arange(n) * u.min,
        duration=np.full(n, 60.0) * u.s,
        altitude=SITE,
        latitude=28.76 * u.deg,
        longitude=-17.89 * u.deg,
        zenith=np.zeros(n) * u.deg,
        channels=tuple(
            simulated_channel(name, channel, sky, profile, distance, 3000, rng, **where)
            for name, channel in channels.items()
        ),
    )
    begin = time.process_time()
    results = lidar_night(data, profile, where["co2"], RetrievalSettings(), 60.0, 60.0, 2.0)
    table, details = lidar_table(results, np.arange(2200, 20_000, 250) * u.m)
    cpu = time.process_time() - begin
    top = np.asarray(table["optical_depth_532nm"])[:, -1]
    true = np.array([float(one.optical_depth([100] * u.km, 532 * u.nm)[0]) for one in sky])
    return {
        "cpu": cpu,
        "wavelengths": details["wavelengths_in_nm"],
        "profiles": n,
        "known": float(np.mean(np.isfinite(top))),
        "rms": float(np.sqrt(np.nanmean((top - true) ** 2))),
    }


def air() -> MolecularProfile:
    """U.S. Standard Atmosphere."""
    z = np.arange(0, 60_001, 250) * u.m
    at = standard_atmosphere(z)
    dry = np.zeros(z.size)
    return MolecularProfile(z, at.pressure, at.temperature, at.density, at.number_density, dry)


def clear_nights(path: str) -> dict:
    """Part of the nights that is called clear, of each kind."""
    with np.load(path) as nights:
        return {
            name: _called_clear(nights[name], float(nights["error"])) for name in nights["kinds"]
        }


def _called_clear(vaod: np.ndarray, error: float) -> float:
    n = vaod.shape[1]
    none = np.zeros(n)
    decisions = []
    for night in vaod:
        images = ImageDepths(
            np.arange(n) * 120.0, np.full(n, 440.0), night, np.full(n, error), none,
            np.ones(n, int), none, none, none,
        )  # fmt: skip
        decisions.append(assessment(images, LIMITS).is_clear)
    return float(np.mean(decisions))


if __name__ == "__main__":
    main()

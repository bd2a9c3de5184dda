"""Simulated all-sky frames that several folders of tests share."""

from dataclasses import replace

import astropy.units as u
import numpy as np
from astropy.time import Time

from calibpipe.atmosphere.allsky_regions import sky_regions
from calibpipe.core.star_catalogue import catalogue_stars
from calibpipe.simulation.allsky import AllskySimulation, simulated_frames
from calibpipe.simulation.allsky_clouds import CloudLayer

REGIONS = sky_regions([0, 20, 40, 55, 70], [1, 8, 12, 16])
CLEAR = AllskySimulation()
DARK = Time("2024-07-10T23:40:00")  # Moon and Sun are down in both hemispheres' sites
STARS = catalogue_stars(DARK)


def cloudy(*cover, optical_depth=4.0, **more):
    """Simulation with clouds."""
    return replace(CLEAR, clouds=CloudLayer(cover, optical_depth, **more))


def frames(site, simulation=CLEAR, begin=DARK, n=1, minutes=20, seed=1):
    """Frames and what they show."""
    begins = begin + np.arange(n) * minutes * u.min
    rng = np.random.default_rng(seed)
    size = round(simulation.camera.x_center * 2 + 1)
    phases = np.linspace(0, 1, n) if n > 1 else np.zeros(1)
    return list(simulated_frames(site, begins, phases, STARS, simulation, REGIONS, rng, size))

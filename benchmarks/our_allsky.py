"""CPU time of the all-sky camera's method; prints a line of JSON.

.venv/bin/python benchmarks/our_allsky.py            # 120 frames of 2048 x 2048
.venv/bin/python benchmarks/our_allsky.py 10 1024    # 10 frames of 1024 x 1024
"""

import json
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits

from calibpipe.atmosphere.allsky import frame_result
from calibpipe.atmosphere.allsky_regions import sky_regions
from calibpipe.atmosphere.allsky_result import AllskySettings
from calibpipe.core.allsky_file import read_allsky
from calibpipe.core.night import astronomical_night
from calibpipe.core.site import load_site
from calibpipe.core.star_catalogue import catalogue_stars
from calibpipe.simulation.allsky import AllskySimulation, fisheye, simulated_frames
from calibpipe.simulation.allsky_clouds import CloudLayer
from calibpipe.simulation.allsky_encoding import frame_hdu

SITE = Path(__file__).parents[1] / "config/sites/CTAO-North.yaml"
DISTINCT = 6  # frames simulated; they are read again and again


def main() -> None:
    n_frames, size = (int(a) for a in (*sys.argv[1:3], *("120", "2048")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(processed(Path(folder), n_frames, size)))


def processed(folder: Path, n_frames: int, size: int) -> dict:
    """CPU seconds to read and to judge frames, and how far off they are."""
    site = load_site(SITE)
    night = astronomical_night("2024-01-10", site)
    stars = catalogue_stars(night.dusk)
    regions = sky_regions([0, 20, 40, 55, 70], [1, 8, 12, 16])
    simulation = AllskySimulation(
        camera=fisheye(size), clouds=CloudLayer(cover=(0.0, 0.8)), interval=100 * u.min
    )
    begins = simulation.times(night)[:DISTINCT]
    phases = np.linspace(0, 1, len(begins))
    frames = simulated_frames(
        site, begins, phases, stars, simulation, regions, np.random.default_rng(1), size
    )
    truths = []
    for k, (frame, truth) in enumerate(frames):
        hdus = [fits.PrimaryHDU(), frame_hdu(replace(frame, name=str(k)), site)]
        fits.HDUList(hdus).writeto(folder / f"{k}.fits")
        truths.append(truth.fraction)
    reading = judging = 0.0
    away = []
    for k in range(n_frames):
        begin = time.process_time()
        (frame,) = read_allsky(folder / f"{k % len(truths)}.fits", site)
        middle = time.process_time()
        found = frame_result(frame, stars, site, regions, AllskySettings())
        reading += middle - begin
        judging += time.process_time() - middle
        away.append(found.fraction.total - truths[k % len(truths)])
    return {
        "n_frames": n_frames,
        "size": size,
        "n_stars": float(found.fraction.n_expected.sum()),
        "cpu": {"reading": reading, "judging": judging},
        "rms": float(np.sqrt(np.mean(np.square(away)))),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()

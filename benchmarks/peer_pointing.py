"""Worker of pointing.py in the peer's environment: its reconstruction and fit of given images.

Places where stars are expected are given; its query is timed by itself.
"""

import json
import sys
import time

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.time import Time
from calibpipe.telescope.pointing.containers import StarContainer, StarImageContainer
from calibpipe.telescope.pointing.starfield import StarFieldReconstructor
from calibpipe.telescope.pointing.starfitter import StarFitter
from ctapipe.instrument import SubarrayDescription
from ctapipe.utils.astro import get_bright_stars
from traitlets.config import Config

TRUE = np.array([60.0, -40.0])  # arcsec: dlon, dlat of our_pointing.py
PLATE_SCALE = np.rad2deg(1 / 29.30565)  # deg/m
# of an LST: ctapipe's first tests of the model; those of 0.32 have negative widths within 2 deg
COMA = {
    "asymmetry_max": 0.49244797,
    "asymmetry_decay_rate": 9.23573115 / PLATE_SCALE,
    "asymmetry_linear_term": 0.15216096 / PLATE_SCALE,
    "radial_scale_offset": 0.01409259 * PLATE_SCALE,
    "radial_scale_linear": 0.02947208,
    "radial_scale_quadratic": 0.06000271 / PLATE_SCALE,
    "radial_scale_cubic": -0.02969355 / PLATE_SCALE**2,
    "polar_scale_amplitude": 0.24271557 * PLATE_SCALE,
    "polar_scale_decay": 7.5511501 / PLATE_SCALE,
    "polar_scale_offset": 0.02037972 * PLATE_SCALE,
}


def main() -> None:
    path, subarray_path = sys.argv[1:]
    data = np.load(path)
    subarray = SubarrayDescription.from_hdf(subarray_path)
    times = Time("2024-07-10T23:00:00") + (np.arange(len(data["image"])) + 0.5) * u.s
    reconstructor = StarFieldReconstructor(subarray, config=Config({"ComaPSFModel": COMA}))
    expected = [
        StarImageContainer(
            time=times,
            fov_lat=lat * u.deg,
            fov_lon=lon * u.deg,
            pixel_id=np.zeros(len(times), int),
            is_valid=True,
        )
        for lat, lon in zip(data["fov_lat"], data["fov_lon"], strict=True)
    ]
    geometry = reconstructor.camera_geometries[1]
    pixels = [
        geometry.position_to_pix_index(star.fov_lon, star.fov_lat).ravel() for star in expected
    ]
    used = np.unique(np.concatenate(pixels))
    cpu = []
    for _ in range(4):  # as ours: the first call compiles and imports
        begin = time.process_time()
        stars = reconstructor(1, Table({"image": data["image"]}), expected, used)
        both = [
            StarContainer(expected_image=one, reco_image=other)
            for one, other in zip(expected, stars, strict=True)
        ]
        fit = StarFitter()(both)
        cpu.append(time.process_time() - begin)
    found = u.Quantity([fit.dlon, fit.dlat]).to_value("arcsec")
    error = u.Quantity([fit.dlon_error, fit.dlat_error]).to_value("arcsec")
    query = []
    pointing = SkyCoord(ra=271.5 * u.deg, dec=21 * u.deg)
    for _ in range(4):
        begin = time.process_time()
        get_bright_stars(
            time=times[0],
            catalog="Hipparcos",
            pointing=pointing,
            radius=2.5 * u.deg,
            magnitude_cut=7.0,
            band="BTmag",
        )
        query.append(time.process_time() - begin)
    answer = {
        "cpu": float(np.median(cpu[1:])),
        "query_first": query[0],
        "query": float(np.median(query[1:])),
        "off": (found - TRUE).tolist(),
        "error": error.tolist(),
        "n_stars": int(fit.stars_in_fit),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

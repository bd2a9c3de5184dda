"""Worker of pointing.py: makes variance images of two stars, tracks them; prints a line of JSON."""

import json
import sys
import time
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.time import Time

from calibpipe.core.pointing_file import DrivePointing
from calibpipe.core.site import load_site
from calibpipe.core.star_catalogue import bright_stars
from calibpipe.core.telescope import subarray_of
from calibpipe.pointing.apparent_place import SurfaceAir
from calibpipe.pointing.field_fit import star_camera
from calibpipe.pointing.star_fields import FieldSettings, star_fields
from calibpipe.pointing.star_tracking import track_stars
from calibpipe.pointing.variance_images import VarianceImages, photoelectron_variance
from calibpipe.simulation.camera import CameraSpread, camera_truth
from calibpipe.simulation.stars import (
    PointingTruth,
    meridian_source,
    star_positions,
    star_rates,
    star_telescope,
    stars_in_view,
    tracked_source,
)
from calibpipe.simulation.variance_images import charge_window, simulated_variance_images
from calibpipe.simulation.waveforms import pulse_templates

SITE = load_site(Path(__file__).resolve().parents[1] / "config/sites/CTAO-North.yaml")
AIR = SurfaceAir(790 * u.hPa, 283 * u.K, 0.3)
PSF = 0.03 * u.deg
N_IMAGES, N_EVENTS, STEP = 100, 100, 1.0
START = Time("2024-07-10T23:00:00")
TIMES = START + (np.arange(N_IMAGES) + 0.5) * STEP * u.s
TRUTH = PointingTruth(60 * u.arcsec, -40 * u.arcsec)
TURNS = 3


def drive() -> tuple[DrivePointing, u.Quantity, u.Quantity]:
    """Record of the drive, direction of the source."""
    ra, dec = meridian_source(TIMES[N_IMAGES // 2], SITE, AIR)
    every = START + np.arange(-10, N_IMAGES * STEP + 11, 1.0) * u.s
    return DrivePointing(every, *tracked_source(ra, dec, every, SITE, AIR)), ra, dec


def make(path: str, subarray_path: str) -> dict:
    """Variance images (p.e.) of the two brightest stars, where they are without misalignment."""
    subarray = subarray_of([1])[1]
    subarray.to_hdf(subarray_path)
    telescope = subarray.tel[1]
    readout = telescope.camera.readout
    pulse = readout.reference_pulse_shape, readout.reference_pulse_sample_width
    window = charge_window(pulse_templates(*pulse, readout.sampling_rate), 8)
    optics = star_telescope(telescope, 0.18, PSF)
    rng = np.random.default_rng(1)
    spread = CameraSpread(gain_spread=0, efficiency_spread=0)
    camera = camera_truth(optics.pixel_x.size, rng, spread)
    record, ra, dec = drive()
    stars = stars_in_view(TIMES[50], ra, dec, optics, 8.0)
    view = (TIMES, record.at(TIMES), optics)
    x, y, _ = star_positions(stars, *view, PointingTruth(), SITE, AIR)
    inside = np.hypot(x, y).max(axis=1) < 0.8 * np.hypot(optics.pixel_x, optics.pixel_y).max()
    chosen = np.flatnonzero(inside)[:2]
    rates = star_rates(stars[chosen], *view, TRUTH, SITE, AIR)
    variance = simulated_variance_images(camera, rates, N_EVENTS, window, rng)
    gain = camera.gain[0]
    image = photoelectron_variance(variance, 1 / gain, gain, 1.222, np.zeros(gain.size, bool))
    to_deg = np.rad2deg(1 / optics.plane.focal_length.to_value(u.m))
    np.savez(path, image=image, fov_lat=x[chosen] * to_deg, fov_lon=y[chosen] * to_deg)
    return {"magnitudes": stars.magnitude[chosen].tolist()}


def track(path: str) -> dict:
    """CPU seconds of star places, spots and fit, of the query; mean offset and its error."""
    image = np.load(path)["image"]
    n = len(image)
    none = np.zeros(image.shape[1])
    images = VarianceImages(
        TIMES.unix_tai, np.full(n, STEP), image, np.full(n, float(N_EVENTS)), none, none
    )
    record, ra, dec = drive()
    camera = star_camera(subarray_of([1])[1].tel[1], PSF)
    settings = FieldSettings(magnitude_limit=7.0)
    query, seconds = [], []
    for _ in range(1 + TURNS):  # the first compiles, and reads the catalogue
        begin = time.process_time()
        bright_stars(TIMES[50], ra, dec, 2.5 * u.deg, 7.0)
        query.append(time.process_time() - begin)
        begin = time.process_time()
        fields, _ = star_fields(images, record, SITE, AIR, camera, settings)
        found = track_stars(fields, camera, images.response_error)
        seconds.append(time.process_time() - begin)
    fit = found.fits[0]
    off = np.rad2deg(np.array([fit.dlon.mean(), fit.dlat.mean()])) * 3600
    covariance = found.trajectory.own_covariance[0]
    average = np.tile(np.eye(2), len(fit.dlon)) / len(fit.dlon)
    error = np.rad2deg(np.sqrt(np.diag(average @ covariance @ average.T))) * 3600
    true = [TRUTH.dlon.to_value("arcsec"), TRUTH.dlat.to_value("arcsec")]
    return {
        "cpu": float(np.median(seconds[1:])),
        "query_first": query[0],
        "query": float(np.median(query[1:])),
        "off": (off - true).tolist(),
        "error": error.tolist(),
        "n_stars": int(np.unique(fit.spots.star).size),
    }


if __name__ == "__main__":
    print(json.dumps({"make": make, "track": track}[sys.argv[1]](*sys.argv[2:])))

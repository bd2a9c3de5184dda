"""From simulated variances back to the misalignment: least squares with these functions.

No star tracking (which finds stars, rejects, tells about itself): it shows that place, light,
derivatives and errors belong together.
"""

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time

from calibpipe.core.site import load_site
from calibpipe.pointing.apparent_place import SurfaceAir, observed_places
from calibpipe.pointing.focal_plane import Alignment, camera_position_and_jacobian
from calibpipe.pointing.pixel_light import pixel_table, star_light
from calibpipe.pointing.star_flux import band_photons
from calibpipe.simulation.camera import CameraSpread, camera_truth
from calibpipe.simulation.stars import (
    PointingTruth,
    meridian_source,
    star_rates,
    star_telescope,
    stars_in_view,
    tracked_source,
)
from calibpipe.simulation.variance_images import (
    charge_window,
    simulated_variance_images,
    variance_moments,
)
from calibpipe.simulation.waveforms import pulse_templates

AIR = SurfaceAir(785 * u.hPa, 12 * u.deg_C, 0.3)
TIMES = Time("2024-07-10T23:00:00") + np.arange(20) * 60 * u.s  # 20 minutes
N_EVENTS = 100
LOW_GAIN = 1


class Toy:
    """Variance images of an LST with 2 % dead pixels and what is expected of them."""

    def __init__(self, subarray, site):
        description = subarray.tel[1]
        readout = description.camera.readout
        templates = pulse_templates(
            readout.reference_pulse_shape,
            readout.reference_pulse_sample_width,
            readout.sampling_rate,
        )
        self.window = charge_window(templates, 8, LOW_GAIN)
        self.camera = camera_truth(
            readout.n_pixels, np.random.default_rng(1), CameraSpread(dead=0.02)
        )
        self.telescope = star_telescope(description, 0.2, 0.03 * u.deg)
        self.truth = PointingTruth(60 * u.arcsec, -30 * u.arcsec, 5 * u.arcmin, 1.001)
        source = meridian_source(TIMES[10], site, AIR)
        self.drive = tracked_source(*source, TIMES, site, AIR)
        self.stars = stars_in_view(TIMES[10], *source, self.telescope, 7.0)
        view = (TIMES, self.drive, self.telescope)
        self.rates = star_rates(self.stars, *view, self.truth, site, AIR)
        self.places = observed_places(self.stars.ra, self.stars.dec, TIMES, site, AIR)
        light = band_photons(
            self.stars.magnitude[:, None], self.stars.colour[:, None], self.places.altitude
        ).to_value(1 / (u.m**2 * u.ns))
        self.light = light * self.telescope.mirror_area * self.telescope.throughput

    def expected(self, vector):
        """Rates and their derivatives, (n_times, n_pixels) and (4, n_times, n_pixels)."""
        telescope = self.telescope
        alignment = Alignment(*(vector[:3] * u.rad), vector[3])
        x, y, jacobian = camera_position_and_jacobian(
            self.places.azimuth, self.places.altitude, *self.drive, telescope.plane, alignment
        )
        size = telescope.plane.focal_length.to_value(u.m) * vector[3]
        table = pixel_table(telescope.shape, telescope.psf.sigma.to_value(u.rad) * size)
        rates, slopes = [], []
        for i in range(TIMES.size):
            share, by_x, by_y, *_ = star_light(
                table,
                telescope.pixel_x,
                telescope.pixel_y,
                x[:, i].to_value(u.m),
                y[:, i].to_value(u.m),
                telescope.psf.coma,
            )
            rates.append(self.light[:, i] @ share)
            along_x, along_y = self.light[:, i] * jacobian[:, :, :, i]
            slopes.append(along_x @ by_x + along_y @ by_y)
        return np.array(rates), np.stack(slopes, axis=1)

    def step(self, images, vector, expected=None):
        """Least-squares step from a vector: vectors (n, 4) for images (n, ...), covariance."""
        rates, slopes = expected or self.expected(vector)
        variance, fourth = variance_moments(self.camera, rates, self.window, LOW_GAIN)
        weight = 1 / (fourth / N_EVENTS + 2 * variance**2 / (N_EVENTS - 1))
        per_rate = (
            self.camera.gain[LOW_GAIN] ** 2
            * self.camera.squared_excess_noise_factor
            * self.window.second
            * self.camera.relative_efficiency
        )
        slopes = (slopes * per_rate).reshape(4, -1)
        covariance = np.linalg.inv((slopes * weight.ravel()) @ slopes.T)
        residual = ((images - variance) * weight).reshape(-1, slopes.shape[1])
        return vector + residual @ slopes.T @ covariance, covariance

    def images(self, rng):
        return simulated_variance_images(
            self.camera, self.rates, N_EVENTS, self.window, rng, LOW_GAIN
        )


@pytest.fixture(scope="module")
def toy(example_lst, root):
    return Toy(example_lst, load_site(root / "config/sites/CTAO-North.yaml"))


def test_derivatives_lead_from_a_straight_camera_to_the_truth(toy):
    """Within five errors of (60, -30) arcsec, 5 arcmin and 0.1 %, which are 20 to 5 errors."""
    images = toy.images(np.random.default_rng(2))
    vector = Alignment().vector
    for _ in range(5):
        (vector,), covariance = toy.step(images, vector)
    error = np.sqrt(np.diag(covariance))
    true = toy.truth.at(toy.drive[1][0]).vector
    assert np.abs((vector - true) / error).max() < 5
    assert np.rad2deg(error[:2]).max() * 3600 < 4
    assert np.abs(true - Alignment().vector)[0] > 10 * error[0]


def test_errors_are_honest(toy, assert_pulls):
    """Pulls of 150 nights around the truth: mean 0, width 1."""
    true = toy.truth.at(toy.drive[1][0]).vector
    expected = toy.expected(true)
    np.testing.assert_allclose(expected[0], toy.rates, rtol=1e-9, atol=1e-12)
    rng = np.random.default_rng(3)
    images = np.stack([toy.images(rng) for _ in range(150)])
    found, covariance = toy.step(images, true, expected)
    assert_pulls((found - true) / np.sqrt(np.diag(covariance)))

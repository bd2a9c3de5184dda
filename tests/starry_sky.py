"""Variance images of one LST that tracks a source, without waveforms, and their tracking."""

from dataclasses import dataclass, field
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.time import Time

from calibpipe.core.pointing_file import DrivePointing
from calibpipe.core.site import load_site
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
    star_rates,
    star_telescope,
    stars_in_view,
    tracked_source,
)
from calibpipe.simulation.variance_images import charge_window, simulated_variance_images
from calibpipe.simulation.waveforms import pulse_templates

SITE = load_site(Path(__file__).parents[1] / "config/sites/CTAO-North.yaml")
AIR = SurfaceAir(790 * u.hPa, 283 * u.K, 0.3)
PSF = 0.05 * u.deg
START = "2024-07-10T23:00:00"
ARCSEC = np.deg2rad(1 / 3600)


@dataclass
class Sky:
    """What is simulated; `images` makes it."""

    seed: int = 1
    start: str = START
    n_images: int = 40
    step: float = 30.0  # s
    n_events: int = 3000
    dead: float = 0.02
    gain_error: float = 0.0
    magnitude_limit: float = 7.0
    source: tuple | None = None
    telescope: object = None  # of ctapipe; an LST
    truth: PointingTruth | None = None
    shown: object = None  # of Stars: which are there
    rates: object = None  # changes the light (n_images, n_pixels)
    drive: DrivePointing | None = field(default=None, init=False)
    stars: object = field(default=None, init=False)

    def __post_init__(self):
        telescope = self.telescope or subarray_of([1])[1].tel[1]
        readout = telescope.camera.readout
        self.telescope = telescope
        self.optics = star_telescope(telescope, 0.18, PSF)
        templates = pulse_templates(
            readout.reference_pulse_shape,
            readout.reference_pulse_sample_width,
            readout.sampling_rate,
        )
        self.window = charge_window(templates, 8)
        self.camera = star_camera(telescope, PSF)

    def images(self) -> VarianceImages:
        """Images; sets drive, truth and stars."""
        rng = np.random.default_rng(self.seed)
        n_pixels = self.optics.pixel_x.size
        spread = CameraSpread(dead=self.dead, hot=0, noisy=0, flickering=0)
        camera = camera_truth(n_pixels, rng, spread)
        drawn = rng.standard_normal(4)
        if self.truth is None:
            self.truth = PointingTruth(
                60 * drawn[0] * u.arcsec,
                60 * drawn[1] * u.arcsec,
                5 * drawn[2] * u.arcmin,
                1 + 5e-4 * drawn[3],
            )
        start = Time(self.start)
        times = start + (np.arange(self.n_images) + 0.5) * self.step * u.s
        middle = times[times.size // 2]
        source = self.source or meridian_source(middle, SITE, AIR)
        every = start + np.arange(-10, self.n_images * self.step + 11, 1.0) * u.s
        self.drive = DrivePointing(every, *tracked_source(*source, every, SITE, AIR))
        stars = stars_in_view(middle, *source, self.optics, self.magnitude_limit)
        self.stars = stars if self.shown is None else stars[self.shown(stars)]
        view = (times, self.drive.at(times), self.optics, self.truth, SITE, AIR)
        rates = star_rates(self.stars, *view)
        if self.rates is not None:
            rates = self.rates(rates)
        variance = simulated_variance_images(camera, rates, self.n_events, self.window, rng)
        gain = camera.gain[0] * (1 + self.gain_error * rng.standard_normal(n_pixels))
        good = gain > 0
        factor = np.zeros(n_pixels)
        factor[good] = 1 / (camera.gain[0] * camera.relative_efficiency)[good]
        image = photoelectron_variance(
            variance, factor, gain, camera.squared_excess_noise_factor, ~good
        )
        return VarianceImages(
            times.unix_tai,
            np.full(self.n_images, self.step),
            image,
            np.full(self.n_images, float(self.n_events)),
            np.full(n_pixels, self.gain_error),
            np.zeros(n_pixels),
        )

    def tracked(self, settings=None, images=None, drive=None, **field_settings):
        """Tracking, and what was left out."""
        images = self.images() if images is None else images
        options = {"magnitude_limit": self.magnitude_limit} | field_settings
        fields, left_out = star_fields(
            images, drive or self.drive, SITE, AIR, self.camera, FieldSettings(**options)
        )
        where = "LSTN-01"
        tracking = track_stars(fields, self.camera, images.response_error, settings, where)
        return tracking, left_out

    def errors(self, tracking):
        """True errors and statistical errors (arcsec), shape (2, n_blocks)."""
        fit = tracking.fits[0]
        blocks = tracking.blocks[0]
        truth = np.array(
            [[self.truth.dlon.to_value(u.arcsec)], [self.truth.dlat.to_value("arcsec")]]
        )
        found = np.stack([fit.dlon, fit.dlat])[:, blocks] / ARCSEC
        stat = np.sqrt(np.diag(tracking.trajectory.own_covariance[0])) / ARCSEC
        return found - truth, np.stack([stat[0::2], stat[1::2]])


def many(seed):
    """A sky at another place, time and misalignment."""
    start = f"2024-{1 + seed % 12:02d}-{1 + seed % 28:02d}T{(seed * 5) % 5:02d}:00:00"
    return Sky(seed=seed, start=start)

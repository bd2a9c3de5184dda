"""Frames of an all-sky camera with known clouds."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from ..atmosphere.allsky_expectation import (
    ClearSky,
    apparent_direction,
    clear_background,
    star_light,
)
from ..atmosphere.allsky_photometry import draw_stars
from ..atmosphere.allsky_projection import angle_to_axis, direction, pixel
from ..atmosphere.allsky_regions import SkyRegions, even_directions, region_index
from ..core.allsky_file import AllskyCamera, AllskyFrame
from ..core.moon import Moon, moon
from ..core.night import AstronomicalNight
from ..core.site import Site
from ..core.star_catalogue import Stars
from .allsky_clouds import CloudLayer, cloud_field, cloud_transmission

__all__ = ["AllskySimulation", "FrameTruth", "fisheye", "frame_truth", "simulated_frames"]

HORIZON = 88.0  # deg: nothing is drawn below
_POINTS = 40000  # on which covered fractions are counted
_MOON_MAGNITUDE = -12.73  # full, above the air (Allen 1976)
_HALO = 2.0  # pixel: width of the Moon's image in the lens


def fisheye(size: int = 1024) -> AllskyCamera:
    """Fisheye lens of which the horizon fits into a square frame.

    # ASSUME: 3e4 electrons per second of a star of V = 0 (a lens of 3 mm aperture), sky-limited
    within seconds.
    """
    return AllskyCamera(
        projection="equidistant",
        x_center=(size - 1) / 2,
        y_center=(size - 1) / 2,
        focal_length=0.475 * size / (np.pi / 2),
        rotation=12.0,
        radial_1=-0.02,
        vignetting_1=-0.12,
        gain=1.5,
        read_noise=8.0,
        pedestal=300.0,
        saturation=65000.0,
        zero_point=11.2,
        psf_sigma=1.0,
    )


@dataclass(frozen=True)
class AllskySimulation:
    """Camera and sky of a simulated night.

    Attributes
    ----------
    camera : AllskyCamera
        As the headers say.
    shift : tuple of float, pixel
    turn : float, deg
    scale : float
    tilt : tuple of float, deg
        What the true camera has more than the headers say.
    sky : ClearSky
    clouds : CloudLayer
    exposure, interval : Quantity
    scatter : float, mag
        Of stars against the catalogue, the same all night.
    n_hot : int
        Pixels with extra counts, up to saturation.
    threshold : float
        A direction counts as covered if less than this part of the light passes.
    """

    camera: AllskyCamera = field(default_factory=fisheye)
    shift: tuple[float, float] = (1.4, -0.9)
    turn: float = 0.1
    scale: float = 1.001
    tilt: tuple[float, float] = (0.1, -0.05)
    sky: ClearSky = field(default_factory=ClearSky)
    clouds: CloudLayer = field(default_factory=CloudLayer)
    exposure: u.Quantity = 30 * u.s
    interval: u.Quantity = 25 * u.min
    scatter: float = 0.08
    n_hot: int = 300
    threshold: float = 0.5

    @property
    def true_camera(self) -> AllskyCamera:
        """The camera as it is."""
        header = self.camera
        return replace(
            header,
            x_center=header.x_center + self.shift[0],
            y_center=header.y_center + self.shift[1],
            rotation=header.rotation + self.turn,
            focal_length=header.focal_length * self.scale,
            tilt_north=header.tilt_north + self.tilt[0],
            tilt_east=header.tilt_east + self.tilt[1],
        )

    def times(self, night: AstronomicalNight) -> Time:
        """Begin of each exposure of a night, whole seconds (UTC)."""
        last = night.duration.to_value(u.s) - self.exposure.to_value(u.s) - 1
        seconds = np.arange(0.0, last, self.interval.to_value(u.s))
        return Time(np.ceil(night.dusk.unix) + seconds, format="unix", scale="utc")


@dataclass(frozen=True)
class FrameTruth:
    """What a frame shows.

    Attributes
    ----------
    time : Time
        Middle of the exposure.
    fraction : float
        Covered part of all regions.
    region_fraction, region_transmission : ndarray, shape (n_regions,)
        Covered part, mean part of the light.
    moon_altitude : float, deg
    """

    time: Time
    fraction: float
    region_fraction: NDArray
    region_transmission: NDArray
    moon_altitude: float


def simulated_frames(
    site: Site,
    begins: Time,
    phases: NDArray,
    stars: Stars,
    simulation: AllskySimulation,
    regions: SkyRegions,
    rng: np.random.Generator,
    size: int,
) -> Iterator[tuple[AllskyFrame, FrameTruth]]:
    """Frames and what they show, one by one.

    # ASSUME: Gaussian noise of the photons' number (hundreds a pixel); fainter stars than the
    catalogue's are part of the sky's brightness.

    Parameters
    ----------
    site : Site
    begins : Time, shape (n,), UTC
    phases : ndarray, shape (n,)
        Part of the night, for the cover.
    stars : Stars
    simulation : AllskySimulation
    regions : SkyRegions
        Of the truth.
    rng : numpy Generator
    size : int
        Pixels on a side.
    """
    camera = simulation.true_camera
    y, x = np.mgrid[:size, :size]
    azimuth, zenith = direction(camera, x, y)
    shows = (zenith.value < HORIZON) & np.isfinite(zenith)
    rows, columns = np.nonzero(shows)
    azimuth, zenith = azimuth[shows], zenith[shows]
    around = (azimuth.to_value(u.rad).astype(np.float32), zenith.to_value(u.rad).astype(np.float32))
    no_moon = Moon(0 * u.deg, 180 * u.deg, 180 * u.deg)
    dark = clear_background(camera, azimuth, zenith, simulation.exposure, simulation.sky, no_moon)
    layer, patches = simulation.clouds, cloud_field(simulation.clouds, rng)
    hot = rng.integers(0, size * size, simulation.n_hot)
    hot_counts = camera.saturation * rng.uniform(0.02, 1.2, simulation.n_hot)
    scatter = 10 ** (-0.4 * simulation.scatter * rng.standard_normal(len(stars.magnitude)))
    for begin, phase in zip(begins, phases, strict=True):
        seconds = (begin - begins[0]).to_value(u.s)
        cover = layer.cover_at(phase)
        lamp = moon(begin + simulation.exposure / 2, site)
        passes = cloud_transmission(layer, patches, *around, cover, seconds)
        background = dark
        if lamp.zenith < 90 * u.deg:
            background = _moonlit(camera, azimuth, zenith, rows, columns, lamp, simulation)
        image = np.zeros((size, size), np.float32)
        image[shows] = background * (passes + layer.brightness * (1 - passes))
        _add_stars(image, camera, stars, scatter, begin, site, simulation, patches, cover, seconds)
        noise = rng.standard_normal(image.shape, np.float32)
        image += noise * np.sqrt(np.maximum(image, 0) + camera.read_noise**2)
        counts = image / camera.gain + camera.pedestal
        counts.ravel()[hot] += hot_counts
        frame = AllskyFrame(
            begin.isot,
            np.clip(np.rint(counts), 0, camera.saturation).astype(np.uint16),
            begin,
            simulation.exposure,
            simulation.camera,
        )
        truth = frame_truth(simulation, patches, regions, cover, seconds)
        yield (
            frame,
            FrameTruth(frame.time, *truth, 90 - float(lamp.zenith.to_value(u.deg))),
        )


def frame_truth(
    simulation: AllskySimulation,
    patches: NDArray,
    regions: SkyRegions,
    cover: float,
    seconds: float,
) -> tuple[float, NDArray, NDArray]:
    """Covered part of all regions and of each, and the mean part of light that passes."""
    azimuth, zenith = even_directions(_POINTS, float(regions.zenith_max[-1]))
    passes = cloud_transmission(
        simulation.clouds, patches, azimuth.to_value(u.rad), zenith.to_value(u.rad), cover, seconds
    )
    region = region_index(regions, azimuth, zenith)
    inside = region >= 0
    region, passes = region[inside], passes[inside]
    number = np.bincount(region, minlength=len(regions))
    covered = passes < simulation.threshold
    return (
        float(covered.mean()),
        np.bincount(region, covered, minlength=len(regions)) / number,
        np.bincount(region, passes, minlength=len(regions)) / number,
    )


def _moonlit(
    camera: AllskyCamera,
    azimuth: u.Quantity,
    zenith: u.Quantity,
    rows: NDArray,
    columns: NDArray,
    lamp: Moon,
    simulation: AllskySimulation,
) -> NDArray:
    """Background with the Moon's glow, and its image with a halo from the lens."""
    background = clear_background(
        camera, azimuth, zenith, simulation.exposure, simulation.sky, lamp
    )
    alpha = abs(lamp.phase_angle.to_value(u.deg))
    magnitude = _MOON_MAGNITUDE + 0.026 * alpha + 4e-9 * alpha**4
    light = star_light(
        camera,
        magnitude,
        lamp.zenith,
        angle_to_axis(camera, lamp.azimuth, lamp.zenith),
        simulation.exposure,
        simulation.sky.extinction,
    )
    x, y = pixel(camera, lamp.azimuth, lamp.zenith)
    square = ((columns - x) ** 2 + (rows - y) ** 2) / _HALO**2
    return background + np.minimum(light / (2 * np.pi * _HALO**2) * (1 + square) ** -1.5, 1e7) * (
        square < 1600
    )


def _add_stars(
    image: NDArray,
    camera: AllskyCamera,
    stars: Stars,
    scatter: NDArray,
    begin: Time,
    site: Site,
    simulation: AllskySimulation,
    patches: NDArray,
    cover: float,
    seconds: float,
) -> None:
    """Draw the trails of all stars into the image."""
    exposure = simulation.exposure
    azimuth, zenith = apparent_direction(stars.ra, stars.dec, begin + exposure / 2, site)
    up = np.flatnonzero(zenith < HORIZON * u.deg)
    azimuth, zenith = azimuth[up], zenith[up]
    off_axis = angle_to_axis(camera, azimuth, zenith)
    light = star_light(
        camera, stars.magnitude[up], zenith, off_axis, exposure, simulation.sky.extinction
    )
    light = (
        light
        * scatter[up]
        * cloud_transmission(
            simulation.clouds,
            patches,
            azimuth.to_value(u.rad),
            zenith.to_value(u.rad),
            cover,
            seconds,
        )
    )
    ends = [
        np.array(pixel(camera, *apparent_direction(stars.ra[up], stars.dec[up], moment, site)))
        for moment in (begin, begin + exposure)
    ]
    length = np.nanmax(np.hypot(*(ends[1] - ends[0])))
    n_steps = int(np.ceil(length / (0.7 * camera.psf_sigma))) + 1
    for part in (np.arange(n_steps) + 0.5) / n_steps:
        x, y = ends[0] + (ends[1] - ends[0]) * part
        draw_stars(image, x, y, light / n_steps, camera.psf_sigma)

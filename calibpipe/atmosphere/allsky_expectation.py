r"""Which stars an all-sky camera should see in a clear sky, where, and how well.

The light of a star in electrons is

.. math:: F = t\,10^{-0.4 (V - Z + k X(z))}\,v(\theta)\,g(L)

exposure t, zero point Z, extinction k, airmass X (Kasten & Young 1989), vignetting v and the part g
that the filter finds of a trail. Catalogue stars beside it add their part :math:`e^{-d^2/4s^2}`.
The clear sky's brightness (dark sky and Moon) gives the noise, and so the limiting magnitude; it
comes from a model and not from the frame: clouds do not decide which stars are used.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ..core.allsky_file import AllskyCamera
from ..core.moon import Moon
from ..core.site import Site
from ..core.sky import horizontal_direction, refraction
from ..core.star_catalogue import Stars
from .allsky_photometry import filter_noise, trail_factor
from .allsky_projection import angle_to_axis, pixel, pixel_solid_angle, vignetting
from .fram import kasten_young_airmass
from .night_sky import dark_sky, moonlight, separation, surface_magnitude

__all__ = [
    "ClearSky",
    "ExpectedStars",
    "apparent_direction",
    "clear_background",
    "expected_stars",
    "limiting_magnitude",
    "sky_electrons",
    "star_light",
]


@dataclass(frozen=True)
class ClearSky:
    """A sky without clouds.

    Attributes
    ----------
    extinction : float, mag per airmass
    dark_sky : float, mag/arcsec2
        At the zenith without Moon.
    """

    extinction: float = 0.15
    dark_sky: float = 21.7


@dataclass(frozen=True)
class ExpectedStars:
    """Stars of the catalogue in one frame, brightest first.

    Attributes
    ----------
    azimuth, zenith : Quantity, shape (n,), deg
        Apparent (refracted), in the middle of the exposure.
    x, y : ndarray, shape (n,), pixel
    magnitude : ndarray, shape (n,), mag
        Of the catalogue.
    light : ndarray, shape (n,), electrons
        That the filter should find, with the stars beside.
    noise : ndarray, shape (n,), electrons
        Of a clear sky, without the star's own photons.
    is_first : ndarray, shape (n,), bool
        No brighter star lies within four widths of its image.
    """

    azimuth: u.Quantity
    zenith: u.Quantity
    x: NDArray
    y: NDArray
    magnitude: NDArray
    light: NDArray
    noise: NDArray
    is_first: NDArray


def apparent_direction(
    ra: u.Quantity, dec: u.Quantity, time: Time, site: Site
) -> tuple[u.Quantity, u.Quantity]:
    """Azimuth and apparent zenith angle of ICRS directions."""
    azimuth, zenith = horizontal_direction(ra, dec, time, site)
    return azimuth, zenith - refraction(zenith, site)


def star_light(
    camera: AllskyCamera,
    magnitude: ArrayLike,
    zenith: u.Quantity,
    off_axis: ArrayLike,
    exposure: u.Quantity,
    extinction: float,
) -> NDArray:
    """Electrons of stars below a clear sky, all their light; NaN below the horizon."""
    dimmed = np.asarray(magnitude) - camera.zero_point + extinction * kasten_young_airmass(zenith)
    return exposure.to_value(u.s) * 10 ** (-0.4 * dimmed) * vignetting(camera, off_axis)


def sky_electrons(
    camera: AllskyCamera, magnitude: ArrayLike, off_axis: ArrayLike, exposure: u.Quantity
) -> NDArray:
    """Electrons per pixel of a sky of so many mag/arcsec2.

    The zero point is that of light that arrives: nothing is taken off for extinction.
    """
    area = pixel_solid_angle(camera, off_axis).to_value(u.arcsec**2)
    rate = 10 ** (-0.4 * (np.asarray(magnitude) - camera.zero_point))
    return exposure.to_value(u.s) * rate * area * vignetting(camera, off_axis)


def clear_background(
    camera: AllskyCamera,
    azimuth: u.Quantity,
    zenith: u.Quantity,
    exposure: u.Quantity,
    sky: ClearSky,
    moon: Moon,
) -> NDArray:
    """Electrons per pixel of a clear sky with the Moon."""
    brightness = dark_sky(zenith, sky.dark_sky, sky.extinction) + moonlight(
        zenith,
        separation(azimuth, zenith, moon.azimuth, moon.zenith),
        moon.zenith,
        moon.phase_angle,
        sky.extinction,
    )
    off_axis = angle_to_axis(camera, azimuth, zenith)
    return sky_electrons(camera, surface_magnitude(brightness), off_axis, exposure)


def limiting_magnitude(
    camera: AllskyCamera,
    azimuth: u.Quantity,
    zenith: u.Quantity,
    exposure: u.Quantity,
    sky: ClearSky,
    moon: Moon,
    significance: float,
) -> NDArray:
    r"""Faintest magnitude that a clear sky shows with a significance s.

    The light solves :math:`F^2 = s^2 (\sigma_b^2 + \frac43 F)`.

    Parameters
    ----------
    camera : AllskyCamera
    azimuth, zenith : Quantity, shape (n,)
    exposure : Quantity
    sky : ClearSky
    moon : Moon
    significance : float
    """
    background = clear_background(camera, azimuth, zenith, exposure, sky, moon)
    noise = filter_noise(background + camera.read_noise**2, 0, camera.psf_sigma)
    half = significance**2 * 4 / 6
    light = half + np.sqrt(half**2 + significance**2 * noise**2)
    off_axis = angle_to_axis(camera, azimuth, zenith)
    of_zero = star_light(camera, 0.0, zenith, off_axis, exposure, sky.extinction)
    return -2.5 * np.log10(light / of_zero)


def expected_stars(
    camera: AllskyCamera,
    stars: Stars,
    begin: Time,
    exposure: u.Quantity,
    site: Site,
    sky: ClearSky,
    moon: Moon,
    zenith_max: float,
) -> ExpectedStars:
    """Stars of the catalogue in a frame.

    Parameters
    ----------
    camera : AllskyCamera
    stars : Stars
    begin : Time, scalar
    exposure : Quantity
    site : Site
    sky : ClearSky
    moon : Moon
    zenith_max : float, deg
    """
    azimuth, zenith = apparent_direction(stars.ra, stars.dec, begin + exposure / 2, site)
    up = np.flatnonzero(zenith < zenith_max * u.deg)
    azimuth, zenith, magnitude = azimuth[up], zenith[up], stars.magnitude[up]
    x, y = pixel(camera, azimuth, zenith)
    trail = [
        pixel(camera, *apparent_direction(stars.ra[up], stars.dec[up], moment, site))
        for moment in (begin, begin + exposure)
    ]
    length = np.hypot(trail[1][0] - trail[0][0], trail[1][1] - trail[0][1])
    off_axis = angle_to_axis(camera, azimuth, zenith)
    light = star_light(camera, magnitude, zenith, off_axis, exposure, sky.extinction)
    light = light * trail_factor(length, camera.psf_sigma)
    light, is_first = _with_neighbours(x, y, light, np.sqrt(camera.psf_sigma**2 + 1 / 12))
    background = clear_background(camera, azimuth, zenith, exposure, sky, moon)
    noise = filter_noise(background + camera.read_noise**2, 0, camera.psf_sigma)
    return ExpectedStars(azimuth, zenith, x, y, magnitude, light, noise, is_first)


def _with_neighbours(
    x: NDArray, y: NDArray, light: NDArray, width: float
) -> tuple[NDArray, NDArray]:
    """Light in the filter with that of stars beside; whether a star is the brightest of them."""
    places = np.column_stack([x, y])
    pairs = cKDTree(places).query_pairs(5 * width, output_type="ndarray")
    one, other = pairs.T
    distance = np.hypot(x[one] - x[other], y[one] - y[other])
    part = np.exp(-((distance / width) ** 2) / 4)
    total = light.copy()
    np.add.at(total, one, part * light[other])
    np.add.at(total, other, part * light[one])
    close = distance < 4 * width
    fainter = np.where(light[one] < light[other], one, other)[close]
    is_first = np.ones(len(light), bool)
    is_first[fainter] = False
    return total, is_first

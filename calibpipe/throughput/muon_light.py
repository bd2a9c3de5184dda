"""Cherenkov light of a muon near a telescope, by azimuth on its ring.

A muon that hits (or narrowly misses) the mirror parallel to the optical axis is imaged as a ring.
The light at an azimuth comes from the chord of the mirror under that azimuth.
"""

import astropy.units as u
import numpy as np
from astropy.constants import alpha
from numpy.typing import NDArray
from scipy.integrate import trapezoid

__all__ = [
    "BAND",
    "band_extinction",
    "cherenkov_angle",
    "chord_interval",
    "chord_length",
    "lowest_extinction",
    "muon_threshold",
    "photons_per_azimuth",
]

BAND = (300 * u.nm, 600 * u.nm)
MUON_MASS = 105.6583755 * u.MeV  # Particle Data Group (2024)
LOWEST = 400 * u.m  # above a telescope: from where half the light of an LST's muons comes


def muon_threshold(refractivity: float | NDArray) -> u.Quantity:
    r"""Energy above which a muon emits Cherenkov light, :math:`m / \sqrt{1 - 1/n^2}`.

    Parameters
    ----------
    refractivity : float or ndarray
        :math:`n - 1`.

    Returns
    -------
    Quantity, GeV
        Total energy; NaN for a refractivity that is not positive.
    """
    index = np.where(np.asarray(refractivity) > 0, 1 + np.asarray(refractivity), np.nan)
    return (MUON_MASS / np.sqrt(1 - 1 / index**2)).to(u.GeV)


@u.quantity_input
def cherenkov_angle(refractivity: float | NDArray, energy: u.Quantity[u.GeV]) -> u.Quantity:
    r"""Cherenkov angle of a muon, :math:`\cos\theta = 1 / (n \beta)`.

    Parameters
    ----------
    refractivity : float or ndarray
        :math:`n - 1` where the muon is.
    energy : Quantity
        Total energy of the muon; infinite for the largest angle.

    Returns
    -------
    Quantity, deg
        NaN below the threshold.
    """
    ratio = (MUON_MASS / energy).to_value(u.one)
    with np.errstate(invalid="ignore"):
        cosine = 1 / ((1 + np.asarray(refractivity)) * np.sqrt(1 - ratio**2))
        return np.rad2deg(np.arccos(np.where(cosine <= 1, cosine, np.nan))) * u.deg


def chord_interval(
    impact: float | NDArray, azimuth: float | NDArray, radius: float | NDArray
) -> tuple[NDArray, NDArray]:
    r"""Where a ray from the impact point crosses a disc.

    The ray leaves a point at distance :math:`b` from the centre of the disc of radius :math:`R`;
    :math:`b\cos\phi \pm \sqrt{R^2 - b^2\sin^2\phi}`, never below 0.

    Parameters
    ----------
    impact : ndarray
        Distance of the point from the centre, not negative.
    azimuth : ndarray, rad
        Direction of the ray; 0 points to the centre.
    radius : ndarray
        Of the disc, same unit as `impact`.

    Returns
    -------
    begin, end : ndarray
        Distances from the point, in the unit of `radius`; equal where the ray misses the disc.

    References
    ----------
    Vacanti, G. et al. 1994, Astropart. Phys. 2, 1, eqs 6 and 7.
    doi 10.1016/0927-6505(94)90012-4
    """
    along = impact * np.cos(azimuth)
    inside = np.asarray(radius) ** 2 - (impact * np.sin(azimuth)) ** 2
    half = np.sqrt(np.maximum(inside, 0))
    return np.maximum(along - half, 0), np.maximum(along + half, 0)


def chord_length(
    impact: float | NDArray, azimuth: float | NDArray, radius: float | NDArray
) -> NDArray:
    """Length of the ray of `chord_interval` inside the disc, in the unit of `radius`."""
    begin, end = chord_interval(impact, azimuth, radius)
    return end - begin


@u.quantity_input
def photons_per_azimuth(
    impact: u.Quantity[u.m],
    azimuth: u.Quantity[u.rad],
    cherenkov_angle: u.Quantity[u.rad],
    mirror_radius: u.Quantity[u.m],
    *,
    hole_radius: u.Quantity[u.m] = 0 * u.m,
    extinction: u.Quantity[1 / u.m] = 0 / u.m,
    band: tuple[u.Quantity, u.Quantity] = BAND,
) -> u.Quantity:
    r"""Photons of a muon that reach the mirror, per azimuth on the ring.

    .. math::
       \frac{dN}{d\phi} = \frac{\alpha}{2} \sin 2\theta
       \left(\frac{1}{\lambda_1} - \frac{1}{\lambda_2}\right)
       \int e^{-\beta t / \tan\theta}\,dt

    over what the ray from the impact point crosses of the mirror and not of the hole. A photon that
    arrives at distance t from the impact point was emitted :math:`t / \tan\theta` above the mirror.

    Parameters
    ----------
    impact, azimuth, cherenkov_angle, mirror_radius, hole_radius : Quantity
        Shapes that go together; azimuth 0 points from the impact point to the mirror's centre.
    extinction : Quantity, 1/length
        :math:`\beta` of the air above the telescope, averaged over the band.
    band : tuple of Quantity
        :math:`\lambda_1 < \lambda_2`.

    Returns
    -------
    Quantity, 1/rad
        0 where the ray misses the mirror.

    Raises
    ------
    ValueError
        If the band is empty, or the hole is larger than the mirror.

    References
    ----------
    Vacanti, G. et al. 1994, Astropart. Phys. 2, 1, eqs 3 to 7.
    """
    low, high = (edge.to_value(u.m) for edge in band)
    if not 0 < low < high:
        raise ValueError(f"a band is from a short to a long wavelength, got {band[0]} to {band[1]}")
    if np.any(hole_radius >= mirror_radius):
        raise ValueError(f"the hole, {hole_radius}, is not inside the mirror, {mirror_radius}")
    angle = cherenkov_angle.to_value(u.rad)
    # ASSUME: constant extinction along the last kilometre, straight above the telescope
    rate = extinction.to_value(1 / u.m) / np.tan(angle)
    place = impact.to_value(u.m), azimuth.to_value(u.rad)
    light = _attenuated(*chord_interval(*place, mirror_radius.to_value(u.m)), rate)
    light = light - _attenuated(*chord_interval(*place, hole_radius.to_value(u.m)), rate)
    yield_ = 0.5 * alpha.value * np.sin(2 * angle) * (1 / low - 1 / high)
    return yield_ * light / u.rad


@u.quantity_input
def band_extinction(
    wavelength: u.Quantity[u.nm],
    extinction: u.Quantity[1 / u.m],
    band: tuple[u.Quantity, u.Quantity] = BAND,
) -> u.Quantity:
    r"""Extinction of air for the light of muons, weighted with :math:`\lambda^{-2}` over a band.

    # ASSUME: detection efficiency flat over the band; paths of optical depth far below 1.

    Parameters
    ----------
    wavelength : Quantity, shape (n,), ascending
    extinction : Quantity, shape (n,), 1/length
    band : tuple of Quantity

    Returns
    -------
    Quantity, 1/length

    Raises
    ------
    ValueError
        If the wavelengths do not cover the band.
    """
    x = wavelength.to_value(u.nm)
    low, high = (edge.to_value(u.nm) for edge in band)
    if x[0] > low or x[-1] < high:
        raise ValueError(f"extinction from {x[0]:g} to {x[-1]:g} nm does not cover the band")
    inside = np.linspace(low, high, 301)
    weight = inside**-2.0
    values = np.interp(inside, x, extinction.to_value(1 / u.m))
    return trapezoid(values * weight, inside) / trapezoid(weight, inside) / u.m


@u.quantity_input
def lowest_extinction(
    altitude: u.Quantity[u.m], optical_depth: NDArray, telescope_altitude: u.Quantity[u.m]
) -> u.Quantity[1 / u.m]:
    """Mean extinction of the air between a telescope and the level nearest to 400 m above it.

    Parameters
    ----------
    altitude : Quantity, shape (n_levels,)
    optical_depth : ndarray, shape (n_wavelengths, n_levels)
        From the telescope to the levels.
    telescope_altitude : Quantity, scalar

    Returns
    -------
    Quantity, shape (n_wavelengths,), 1/length
    """
    height = altitude - telescope_altitude
    level = int(np.argmin(np.abs(height - LOWEST)))
    return np.asarray(optical_depth)[:, level] / height[level]


def _attenuated(begin: NDArray, end: NDArray, rate: float | NDArray) -> NDArray:
    """Integral of exp(-rate t) over [begin, end]; exact, and smooth where the rate is 0."""
    depth = rate * (end - begin)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(depth > 0, -np.expm1(-depth) / depth, 1.0)
    return np.exp(-rate * begin) * mean * (end - begin)

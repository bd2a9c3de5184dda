"""Optical throughput of a telescope from flashes of external light that is known at its mirror.

A source outside (UAV, illuminator on the ground, light scattered out of a laser beam) sends the
same number of photons with every flash. How the light is distributed over the pixels is known up
to one factor, the *level* of a flash; the throughput is the level over the photons that come.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..camera.ffactor import check_noise
from ..core.exceptions import ConfigurationError, InsufficientStatisticsError

__all__ = [
    "LightLevels",
    "image_noise",
    "light_levels",
    "photons_per_pixel",
    "relative_light_map",
    "systematic_errors",
]


@dataclass(frozen=True)
class LightLevels:
    """Light of flashes; NaN where a flash has none.

    Attributes
    ----------
    level : ndarray, shape (n_flashes,)
        Photoelectrons of a pixel, mean over the camera.
    stat_error : ndarray, shape (n_flashes,)
        From photoelectrons and noise: independent from flash to flash.
    pixel_error : ndarray, shape (n_flashes,)
        From the errors of the pixels' factors: the same for all flashes.
    reduced_chi2 : ndarray, shape (n_flashes,)
        Of image and map; 1 expected, with standard deviation sqrt(2 / (n_pixels - 1)).
    n_pixels, n_saturated : ndarray, shape (n_flashes,), int
        Pixels used; lit and usable pixels left out because they are saturated.
    """

    level: NDArray
    stat_error: NDArray
    pixel_error: NDArray
    reduced_chi2: NDArray
    n_pixels: NDArray
    n_saturated: NDArray


def relative_light_map(light: ArrayLike) -> NDArray:
    """Light over the pixels, its mean over the camera made 1.

    Parameters
    ----------
    light : array_like, shape (n_pixels,)
        Any unit, not negative; NaN where it is not known.

    Raises
    ------
    ConfigurationError
        If the light is negative or infinite somewhere, or there is none.
    """
    # ASSUME: pixels whose light is not known would not change the mean.
    light = np.asarray(light, float)
    known = light[~np.isnan(light)]
    if known.size == 0 or known.min() < 0 or not 0 < known.sum() < np.inf:
        raise ConfigurationError(
            "the map of the light needs finite values, none negative and one above 0 at least; got "
            + (f"{known.min():g} to {known.max():g}" if known.size else "none")
        )
    return light / known.mean()


def image_noise(image: ArrayLike, is_unusable: ArrayLike, min_events: int = 25) -> NDArray:
    """Standard deviation of images without light.

    Parameters
    ----------
    image : array_like, shape (n_events, n_pixels), p.e.
        Of pedestal events.
    is_unusable : array_like, same shape, bool
    min_events : int

    Returns
    -------
    ndarray, shape (n_pixels,), p.e.
        NaN for a pixel with fewer events.

    Raises
    ------
    InsufficientStatisticsError
        If no pixel has enough.
    """
    good = ~np.asarray(is_unusable, bool) & np.isfinite(image)
    n = np.count_nonzero(good, axis=0)
    if n.max(initial=0) < min_events:
        raise InsufficientStatisticsError(
            f"needs at least {min_events} pedestal events for the noise of images, got "
            f"{n.max(initial=0)}; give files with more of them, or the noise in p.e."
        )
    enough = np.where(n >= min_events, n, np.nan)
    charge = np.where(good, image, 0.0)
    mean = charge.sum(axis=0) / enough
    square = np.where(good, charge - mean, 0.0) ** 2
    return np.sqrt(square.sum(axis=0) / (enough - 1))


def light_levels(
    image: ArrayLike,
    light_map: ArrayLike,
    *,
    noise: NDArray | float,
    squared_excess_noise_factor: float,
    pixel_error: NDArray | float = 0.0,
    is_unusable: ArrayLike = False,
    is_saturated: ArrayLike = False,
    min_pixels: int = 10,
    max_saturated_fraction: float = 0.01,
) -> LightLevels:
    r"""Level of the light of flashes, by weighted least squares of image and map.

    .. math::
        L = \frac{\sum_i w_i I_i}{\sum_i w_i m_i},\quad w_i = \frac{m_i}{V_i},\quad
        V_i = F^2 L_0 m_i + s_i^2 + (\epsilon_i L_0 m_i)^2,\quad
        L_0 = \frac{\sum_i I_i}{\sum_i m_i}

    Without noise it is the ratio of sums. The variances come from the mean of the camera, never
    from the pixel itself: a fluctuation does not give itself less weight, *L* is not biased.

    Parameters
    ----------
    image : array_like, shape (n_flashes, n_pixels), p.e.
    light_map : array_like, shape (n_pixels,)
        *m*, mean 1 over the camera (`relative_light_map`); NaN leaves a pixel out.
    noise : array_like, shape (n_pixels,) or scalar, p.e.
        *s*, standard deviation of an image without light; NaN leaves a pixel out.
    squared_excess_noise_factor : float
        :math:`F^2`.
    pixel_error : array_like, shape (n_pixels,) or scalar
        :math:`\epsilon`, relative errors of the pixels' factors, independent of each other.
    is_unusable, is_saturated : array_like, shape (n_flashes, n_pixels) or less, bool
        Pixels left out.
    min_pixels : int
        NaN for a flash with fewer pixels that are lit and used.
    max_saturated_fraction : float
        NaN for a flash in which more of the lit pixels are saturated: those that go are the high
        ones. Of Gaussian pixels 1 % less from above takes 0.027 standard deviations off the mean.

    Returns
    -------
    LightLevels

    Raises
    ------
    ConfigurationError
        If the map is negative or its mean is not 1, or :math:`F^2 < 1`.
    """
    light = np.asarray(light_map, float)
    _check_map(light)
    check_noise(np.asarray(squared_excess_noise_factor, float), pixel_error)
    image = np.atleast_2d(np.asarray(image, float))
    usable = (
        ~np.asarray(is_unusable, bool)
        & np.isfinite(image)
        & np.isfinite(light + noise + pixel_error)
    )
    saturated = usable & np.asarray(is_saturated, bool) & (light > 0)
    used = usable & ~np.asarray(is_saturated, bool)
    n_lit = np.count_nonzero(used & (light > 0), axis=1)
    n_saturated = np.count_nonzero(saturated, axis=1)
    m, charge = np.where(used, light, 0.0), np.where(used, image, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        first = (charge.sum(axis=1) / m.sum(axis=1))[:, np.newaxis]
        random = squared_excess_noise_factor * np.maximum(first, 0) * m + np.square(noise)
        fixed = np.square(pixel_error * first * m)
        variance = np.where(used & (random > 0), random + fixed, np.inf)
        weight = m / variance
        norm = np.sum(weight * m, axis=1)
        level = np.sum(weight * charge, axis=1) / norm
        residual = np.square(charge - level[:, np.newaxis] * m) / variance
        chi2 = residual.sum(axis=1) / (np.count_nonzero(used, axis=1) - 1)

        def error(part: NDArray) -> NDArray:
            return np.sqrt(np.sum(weight**2 * np.where(used, part, 0.0), axis=1)) / norm

        found = [level, error(random), error(fixed), chi2]
    n_all = n_lit + n_saturated
    is_bad = (n_lit < min_pixels) | (n_saturated > max_saturated_fraction * n_all)
    level, random, fixed, chi2 = (np.where(is_bad, np.nan, part) for part in found)
    return LightLevels(level, random, fixed, chi2, n_lit, n_saturated)


def _check_map(light: NDArray) -> None:
    known = light[~np.isnan(light)]
    if known.size == 0 or known.min() < 0 or abs(known.mean() - 1) > 1e-6:
        raise ConfigurationError(
            "the map of the light must not be negative and have a mean of 1 over the camera, got "
            f"{known.mean() if known.size else np.nan:g}; take relative_light_map of it"
        )


@u.quantity_input
def photons_per_pixel(
    photons: u.Quantity[u.m**-2],
    mirror_area: u.Quantity[u.m**2],
    n_pixels: int,
    *,
    distance: u.Quantity[u.m] | None = None,
    reference_distance: u.Quantity[u.m] | None = None,
    attenuation_length: u.Quantity[u.m] = np.inf * u.m,
    angle: u.Quantity[u.deg] = 0 * u.deg,
) -> NDArray:
    r"""Photons of a flash on the mirror, over the pixels of the camera.

    .. math:: \frac{\Phi_0 A \cos\theta}{n} \left(\frac{d_0}{d}\right)^2 e^{-d/\Lambda}

    All light that comes onto the mirror along the beam is imaged into the camera, wherever the map
    has it; what is lost on the way is what the throughput tells.

    Parameters
    ----------
    photons : Quantity, shape (n,) or scalar, 1/m²
        Per flash in a band that the throughput then refers to (300 to 600 nm): at
        `reference_distance` before any air, or at the telescope if there is none.
    mirror_area : Quantity, m²
    n_pixels : int
        Of the camera.
    distance, reference_distance : Quantity, shape as photons, m
        Of the telescope from the source; where the photons are known.
    attenuation_length : Quantity, m
        Of the air between.
    angle : Quantity
        Between the optical axis and the direction of the source.

    Returns
    -------
    ndarray
        NaN for a distance, an attenuation length or a cosine that is not positive.
    """
    area = mirror_area * _positive(np.cos(angle)).to_value(u.one)
    light = (photons * area).to_value(u.one) / n_pixels
    if reference_distance is None:
        return light
    dilution = (_positive(reference_distance) / _positive(distance)).to_value(u.one) ** 2
    air = np.exp(-(distance / _positive(attenuation_length)).to_value(u.one))
    return light * dilution * air


def _positive(value: u.Quantity) -> u.Quantity:
    value = u.Quantity(value)
    return np.where(value > 0, value, np.nan * value.unit)


def systematic_errors(
    *,
    source: ArrayLike,
    distance: u.Quantity[u.m] | None = None,
    distance_error: u.Quantity[u.m] = 0 * u.m,
    attenuation_length: u.Quantity[u.m] = np.inf * u.m,
    attenuation_length_error: u.Quantity[u.m] = 0 * u.m,
    angle: u.Quantity[u.deg] = 0 * u.deg,
    angle_error: u.Quantity[u.deg] = 0 * u.deg,
    **others: ArrayLike,
) -> dict[str, NDArray]:
    r"""Relative systematic errors of a throughput by name, independent of each other.

    distance :math:`(2/d + 1/\Lambda)\,\sigma_d`, transmission :math:`d\,\sigma_\Lambda/\Lambda^2`,
    angle :math:`1 - \cos\sigma_\theta + \tan\theta \sin\sigma_\theta`; without a distance (photons
    known at the telescope) the first two are 0.

    Parameters
    ----------
    source : array_like, shape (n,) or scalar
        Relative error of the photons.
    distance, distance_error, attenuation_length, attenuation_length_error : Quantity, m
    angle, angle_error : Quantity
    others : array_like
        More of them by name, already relative: map, gain, ...
    """
    tilt = (1 - np.cos(angle_error) + np.tan(angle) * np.sin(angle_error)).to_value(u.one)
    found = {"source": source, "distance": 0.0, "transmission": 0.0, "angle": tilt}
    if distance is not None:
        per_length = 2 / distance + 1 / attenuation_length
        found["distance"] = (per_length * distance_error).to_value(u.one)
        depth = distance / attenuation_length
        found["transmission"] = (depth * attenuation_length_error / attenuation_length).to_value(
            u.one
        )
    return {name: np.asarray(value, float) for name, value in (found | others).items()}

r"""Vertical aerosol optical depth from the photometry of stars (FRAM).

A wide-field camera measures the aerosol optical depth along the line of sight to stars of a
catalogue. Divided by the airmass of the star, less the stratospheric part and brought to one
wavelength, it is the vertical aerosol optical depth (VAOD) that the shower light passes.

References: Ebr et al. 2021, AJ 162, 6, arXiv:2101.03074.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .constancy import intrinsic_scatter

__all__ = [
    "AIRMASSES",
    "ImageDepths",
    "airmass",
    "angstrom_exponent",
    "image_depths",
    "kasten_young_airmass",
    "layer_airmass",
    "stratospheric_optical_depth",
    "wavelength_factor",
]

EARTH_RADIUS = 6371.0 * u.km  # mean, IUGG 1980
_LAGUERRE = np.polynomial.laguerre.laggauss(16)


def kasten_young_airmass(zenith: u.Quantity) -> NDArray:
    r"""Relative airmass of the molecular atmosphere.

    .. math:: X = \frac{1}{\cos z + 0.50572\,(96.07995 - z)^{-1.6364}}

    Parameters
    ----------
    zenith : Quantity, any shape, angle
        NaN for directions below the horizon.

    References
    ----------
    Kasten, Young 1989, Appl. Opt. 28, 4735, doi:10.1364/AO.28.004735.
    """
    z = np.asarray(zenith.to_value(u.deg), float)
    z = np.where((z >= 0) & (z <= 90), z, np.nan)
    return 1 / (np.cos(np.radians(z)) + 0.50572 * (96.07995 - z) ** -1.6364)


def layer_airmass(zenith: u.Quantity, scale_height: u.Quantity = 1 * u.km) -> NDArray:
    r"""Relative airmass of an exponential layer over the site on a round Earth.

    .. math:: X = \int_0^\infty \frac{e^{-h/H}}{H}
              \left[1-\left(\frac{R\sin z}{R+h}\right)^2\right]^{-1/2} dh

    Parameters
    ----------
    zenith : Quantity, any shape, angle
        NaN above 85 deg, where the quadrature is no longer good to 1e-4.
    scale_height : Quantity, length
        Of aerosol, about 1 km.
    """
    z = np.asarray(zenith.to_value(u.rad), float)
    z = np.where((z >= 0) & (z <= np.radians(85)), z, np.nan)
    nodes, weights = _LAGUERRE
    height = 1 + nodes * (scale_height / EARTH_RADIUS).to_value(u.one)
    sine = np.sin(z)[..., None] / height
    return (weights / np.sqrt(1 - sine**2)).sum(axis=-1)


def plane_parallel_airmass(zenith: u.Quantity) -> NDArray:
    """Secant of the zenith angle; NaN for directions below the horizon."""
    z = np.asarray(zenith.to_value(u.deg), float)
    return 1 / np.cos(np.radians(np.where((z >= 0) & (z < 90), z, np.nan)))


AIRMASSES = {
    "kasten_young": kasten_young_airmass,
    "layer": layer_airmass,
    "plane_parallel": plane_parallel_airmass,
}


def airmass(zenith: u.Quantity, model: str = "kasten_young") -> tuple[NDArray, NDArray]:
    """Airmass of aerosol, and its relative systematic error: the difference to a 1 km layer.

    Parameters
    ----------
    zenith : Quantity, any shape, angle
    model : str
        ``kasten_young`` (as in the photometric fit of FRAM), ``layer`` or ``plane_parallel``.

    Raises
    ------
    ConfigurationError
        If there is no such model.
    """
    if model not in AIRMASSES:
        raise ConfigurationError(f"airmass {model!r}: choose one of {', '.join(AIRMASSES)}")
    value = AIRMASSES[model](zenith)
    other = AIRMASSES["plane_parallel" if model == "layer" else "layer"](zenith)
    return value, np.abs(value / other - 1)


def stratospheric_optical_depth(
    wavelength: u.Quantity,
    optical_depth: float = 0.005,
    reference_wavelength: u.Quantity = 420 * u.nm,
    angstrom_exponent: float = 2.0,
    optical_depth_error: float = 0.0,
    exponent_error: float = 0.0,
) -> tuple[NDArray, NDArray]:
    r"""Optical depth of the stratospheric background aerosol, with systematic error.

    .. math:: \tau_s(\lambda) = \tau_s\,(\lambda_s/\lambda)^{A}

    The camera sees it, the showers below do not pass it.

    Parameters
    ----------
    wavelength : Quantity, any shape, length
    optical_depth, optical_depth_error : float
        At `reference_wavelength`; higher after volcanic eruptions.
    angstrom_exponent, exponent_error : float
        1.5 to 2 for the background, 0 to 1 after eruptions.

    Raises
    ------
    ConfigurationError
        If a wavelength is not above 0 or the optical depth is negative.
    """
    if not np.all(wavelength > 0 * u.nm) or optical_depth < 0:
        raise ConfigurationError(
            f"stratospheric optical depth {optical_depth:g} at {reference_wavelength:g}, scaled to "
            f"{np.min(wavelength):g}: wavelengths must be above 0, the depth not negative"
        )
    ratio = (reference_wavelength / wavelength).to_value(u.one)
    value = optical_depth * ratio**angstrom_exponent
    by_depth = optical_depth_error * ratio**angstrom_exponent
    return value, np.hypot(by_depth, value * np.log(ratio) * exponent_error)


def wavelength_factor(
    wavelength: u.Quantity, reference_wavelength: u.Quantity, exponent: float
) -> NDArray:
    r"""What brings an aerosol optical depth to a wavelength: :math:`(\lambda/\lambda_0)^A`."""
    return (wavelength / reference_wavelength).to_value(u.one) ** exponent


@dataclass(frozen=True)
class ImageDepths:
    """Tropospheric VAOD of images, at the wavelength of each.

    Attributes
    ----------
    time : ndarray, shape (n_images,), s
        TAI, since 1970.
    wavelength : ndarray, shape (n_images,), nm
    vaod, stat_error : ndarray, shape (n_images,)
        Weighted mean over the field.
    airmass_error : ndarray, shape (n_images,)
        Of `vaod`, systematic.
    n : ndarray, shape (n_images,), int
        Measurements.
    field_chi2 : ndarray, shape (n_images,)
        About the mean of the image, the tolerated scatter over the field added to the errors.
    field_excess, field_weight : ndarray, shape (n_images,)
        Chi-squared less its expectation without scatter, and what a unit of scatter squared adds.
    """

    time: NDArray
    wavelength: NDArray
    vaod: NDArray
    stat_error: NDArray
    airmass_error: NDArray
    n: NDArray
    field_chi2: NDArray
    field_excess: NDArray
    field_weight: NDArray

    def __len__(self) -> int:
        return len(self.time)

    def chosen(self, index: ArrayLike) -> "ImageDepths":
        """Some of the images."""
        return ImageDepths(**{name: value[index] for name, value in vars(self).items()})


def image_depths(
    time: ArrayLike,
    wavelength: u.Quantity,
    image: ArrayLike,
    optical_depth: ArrayLike,
    error: ArrayLike,
    zenith: u.Quantity,
    *,
    airmass_model: str = "kasten_young",
    stratosphere: ArrayLike = 0.0,
    max_field_scatter: float = 0.0,
) -> ImageDepths:
    r"""Tropospheric VAOD of each image from its measurements along the line of sight.

    .. math:: \tau_k = \tau_{\mathrm{los},k}/X(z_k) - \tau_s

    averaged with the inverse square of the errors, :math:`e_k / X(z_k)`.

    Parameters
    ----------
    time, wavelength : array_like and Quantity, shape (n_images,)
        TAI seconds; length.
    image : array_like, shape (n,), int
        Image of each measurement.
    optical_depth, error : array_like, shape (n,)
        Along the line of sight. A measurement that is not finite is left out.
    zenith : Quantity, shape (n,), angle
    airmass_model : str
    stratosphere : array_like, shape (n_images,) or scalar
        To be subtracted.
    max_field_scatter : float
        Scatter of the VAOD over a field that does not matter.

    Returns
    -------
    ImageDepths
        Only images with a measurement, in order of time.

    Raises
    ------
    InsufficientStatisticsError
        If no measurement is left.
    ConfigurationError
        If there is no such airmass model.
    """
    time, image = np.asarray(time, float), np.asarray(image, int)
    x, x_error = airmass(zenith, airmass_model)
    value, sigma = np.asarray(optical_depth, float) / x, np.asarray(error, float) / x
    good = np.isfinite(value) & np.isfinite(sigma) & (sigma > 0)
    if not good.any():
        raise InsufficientStatisticsError(
            f"none of {len(value)} measurements has a finite optical depth with an error above 0 "
            "above the horizon"
        )
    value, sigma, x_error = value[good], sigma[good], x_error[good]
    used_image = np.asarray(image)[good]
    n_images = len(time)

    def total(x: ArrayLike) -> NDArray:
        return np.bincount(used_image, np.broadcast_to(x, used_image.shape), n_images)

    def about_mean(w: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        weight = total(w)
        mean = total(w * value) / np.where(weight > 0, weight, 1)
        return mean, weight, total(w * (value - mean[used_image]) ** 2)

    w = 1 / sigma**2
    mean, weight, chi2 = about_mean(w)
    n = np.bincount(used_image, minlength=n_images)
    used = np.flatnonzero(n > 0)
    order = used[np.argsort(time[used], kind="stable")]
    some = np.where(weight > 0, weight, 1)
    depths = ImageDepths(
        time=time,
        wavelength=wavelength.to_value(u.nm),
        vaod=mean - stratosphere,
        stat_error=1 / np.sqrt(some),
        airmass_error=np.abs(mean) * total(w * x_error) / some,
        n=n,
        field_chi2=about_mean(1 / (sigma**2 + max_field_scatter**2))[2],
        field_excess=chi2 - (n - 1),
        field_weight=weight - total(w**2) / some,
    )
    return depths.chosen(order)


def angstrom_exponent(
    wavelength: ArrayLike,
    vaod: ArrayLike,
    error: ArrayLike,
    *,
    filter_error: float = 0.0,
    min_significance: float = 5.0,
) -> tuple[float, float] | None:
    r"""Ångström exponent from images through several filters.

    .. math:: \ln\tau(\lambda) = \mathrm{const} - A\ln\lambda

    by weighted least squares over the means of the filters.

    Parameters
    ----------
    wavelength : array_like, shape (n,)
        Any unit.
    vaod, error : array_like, shape (n,)
    filter_error : float
        Systematic error of the mean of each filter, independent between filters.
    min_significance : float
        Of the mean of each filter.

    Returns
    -------
    tuple of float, or None
        Exponent and error; None with fewer than two filters or too small a depth.

    References
    ----------
    Ångström 1929, Geogr. Ann. 11, 156, doi:10.2307/519399.
    """
    wavelength, vaod, error = (np.asarray(x, float) for x in (wavelength, vaod, error))
    filters = np.unique(wavelength)
    if len(filters) < 2:
        return None
    means = [intrinsic_scatter(vaod[wavelength == f], error[wavelength == f]) for f in filters]
    mean = np.array([float(m.mean) for m in means])
    sigma = np.hypot([float(m.error) for m in means], filter_error)
    if not np.all(mean > min_significance * sigma):
        return None
    x, w = np.log(filters), (mean / sigma) ** 2
    x = x - np.average(x, weights=w)
    spread = np.sum(w * x**2)
    return float(-np.sum(w * x * np.log(mean)) / spread), float(1 / np.sqrt(spread))

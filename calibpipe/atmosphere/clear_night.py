"""Was a night, or a part of it, clear? Decision from the VAOD of FRAM images, never undefined.

Clear is what is shown to be clear: little aerosol, and neither in time nor over the field more
variation than a limit, as far as measurements could tell. Every other answer has its reasons.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, ndtr

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .constancy import constancy, fractional_variability, intrinsic_scatter
from .fram import ImageDepths

__all__ = [
    "REASONS",
    "Assessment",
    "ClearNightLimits",
    "assessment",
    "limits_of",
    "systematic_errors",
    "window_index",
]

REASONS = {
    "aerosol": "mean VAOD above its limit",
    "negative": "mean VAOD below 0 by more than five errors: the photometry is not calibrated",
    "variable": "VAOD varies between images",
    "drifting": "VAOD varies between windows",
    "patchy": "VAOD varies over the field",
    "few": "too few images",
    "insensitive": "errors too large to exclude variation",
}


@dataclass(frozen=True)
class ClearNightLimits:
    """Limits of a site and season.

    Attributes
    ----------
    max_vaod : float
        Of the mean, at the reference wavelength.
    max_variation, max_field_scatter : float
        Intrinsic scatter of the VAOD in time and over a field (root mean square).
    max_detectable : float
        The variation that the test in time would reject with 90 % must not be larger.
    min_images : int
    size : float
        Probability to call a night variable that varies by no more than the limits, all tests of
        variation together.
    """

    max_vaod: float = 0.04
    max_variation: float = 0.005
    max_field_scatter: float = 0.01
    max_detectable: float = 0.03
    min_images: int = 5
    size: float = 0.01


@dataclass(frozen=True)
class Assessment:
    """Decision with everything that led to it.

    Attributes
    ----------
    is_clear : bool
    reasons : tuple of str
        Keys of `REASONS`; empty if clear.
    vaod, stat_error : float
        Weighted mean at the reference wavelength; the error holds the variation seen.
    probability_below : float
        That the true mean is below its limit, for the statistical error.
    scatter, scatter_lower, scatter_upper : float
        Intrinsic scatter in time and its central 90 % interval.
    detectable, detectable_drift : float
        Scatter between images, and between windows, that is rejected with 90 %.
    p_variable, p_drifting, p_patchy : float
        Probability of so much variation at the limit; 1 where there is nothing to compare.
    field_scatter : float
        Intrinsic scatter over the field, mean over the images.
    excess_variance, excess_variance_error, fractional_variability : float
        F^2, its error and F_var of Vaughan et al. (2003); NaN for fewer than two images.
    n_images, n_measurements : int
    """

    is_clear: bool
    reasons: tuple[str, ...]
    vaod: float
    stat_error: float
    probability_below: float
    scatter: float
    scatter_lower: float
    scatter_upper: float
    detectable: float
    detectable_drift: float
    p_variable: float
    p_drifting: float
    p_patchy: float
    field_scatter: float
    excess_variance: float
    excess_variance_error: float
    fractional_variability: float
    n_images: int
    n_measurements: int


def assessment(
    images: ImageDepths,
    limits: ClearNightLimits,
    *,
    factor: ArrayLike = 1.0,
    window: ArrayLike | None = None,
) -> Assessment:
    """Decision for some images.

    Three tests share the size equally: between images, between the means of windows (slow drifts
    under the noise of images), and over the field. Filters have a mean each: a wrong Ångström
    exponent is no variation.

    Parameters
    ----------
    images : ImageDepths
        `field_chi2` with the `max_field_scatter` of the limits.
    limits : ClearNightLimits
    factor : array_like, shape (n_images,) or scalar
        To the reference wavelength.
    window : array_like, shape (n_images,), int, optional
        Window of each image; without it drifts are not tested.

    Raises
    ------
    InsufficientStatisticsError
        If there is no image at all.
    """
    if len(images) == 0:
        raise InsufficientStatisticsError("no FRAM image to assess; give data of this night")
    vaod, error = images.vaod * factor, images.stat_error * factor
    size = limits.size / 3
    found = intrinsic_scatter(vaod, error, images.wavelength)
    between = constancy(vaod, error, images.wavelength, tolerance=limits.max_variation, size=size)
    slow = _between_windows(vaod, error, images.wavelength, window, limits, size)
    p_patchy, field_scatter = _over_the_field(images)
    mean, stat_error = float(found.mean), float(found.error)
    reasons = {
        "aerosol": mean >= limits.max_vaod,
        "negative": mean < -5 * stat_error,
        "variable": not between.is_constant,
        "drifting": not slow.is_constant,
        "patchy": p_patchy < size,
        "few": len(images) < limits.min_images,
        "insensitive": not between.detectable <= limits.max_detectable,
    }
    square, square_error, f_var = fractional_variability(vaod, error)
    return Assessment(
        is_clear=not any(reasons.values()),
        reasons=tuple(name for name, applies in reasons.items() if applies),
        vaod=mean,
        stat_error=stat_error,
        probability_below=float(ndtr((limits.max_vaod - mean) / stat_error)),
        scatter=float(found.scatter),
        scatter_lower=float(found.lower),
        scatter_upper=float(found.upper),
        detectable=float(between.detectable),
        detectable_drift=float(slow.detectable),
        p_variable=float(between.p_value),
        p_drifting=float(slow.p_value),
        p_patchy=p_patchy,
        field_scatter=field_scatter,
        excess_variance=float(square),
        excess_variance_error=float(square_error),
        fractional_variability=float(f_var),
        n_images=len(images),
        n_measurements=int(images.n.sum()),
    )


def _between_windows(
    vaod: NDArray,
    error: NDArray,
    wavelength: NDArray,
    window: ArrayLike | None,
    limits: ClearNightLimits,
    size: float,
) -> Any:
    """Test between the means of windows and filters."""
    window = np.zeros(len(vaod), int) if window is None else np.asarray(window)
    _, place = np.unique(np.stack([window, wavelength]), axis=1, return_inverse=True)
    place = place.ravel()
    w = 1 / error**2
    total = np.bincount(place, w)
    mean = np.bincount(place, w * vaod) / total
    kind = np.zeros(len(total))
    kind[place] = wavelength
    return constancy(mean, 1 / np.sqrt(total), kind, tolerance=limits.max_variation, size=size)


def _over_the_field(images: ImageDepths) -> tuple[float, float]:
    """Probability of the scatter over the fields at its limit, and its size (DerSimonian 1986)."""
    n_dof = int((images.n - 1).sum())
    if n_dof == 0:
        return 1.0, 0.0
    square = images.field_excess.sum() / images.field_weight.sum()
    p_value = float(chdtrc(n_dof, images.field_chi2.sum()))
    return p_value, float(np.sqrt(max(square, 0.0)))


def window_index(time: ArrayLike, begin: float, duration: float) -> NDArray:
    """Number of the window that each time lies in.

    Parameters
    ----------
    time : array_like, any shape, s
    begin, duration : float, s

    Raises
    ------
    ConfigurationError
        If the duration is not above 0.
    """
    if not duration > 0:
        raise ConfigurationError(f"windows of {duration:g} s: give a duration above 0")
    return np.floor((np.asarray(time, float) - begin) / duration).astype(int)


def systematic_errors(
    images: ImageDepths,
    vaod: float,
    *,
    factor: NDArray,
    stratosphere_error: NDArray,
    reference_wavelength: float,
    exponent_error: float,
    calibration_error: float,
) -> dict[str, float]:
    """Systematic errors of a mean by name: what all images have in common.

    Parameters
    ----------
    images : ImageDepths
        That the mean is of.
    vaod : float
        The mean.
    factor : ndarray, shape (n_images,)
        To the reference wavelength.
    stratosphere_error : ndarray, shape (n_images,)
        Of the optical depth above, at the images' wavelengths.
    reference_wavelength : float
        nm.
    exponent_error : float
        Of the Angstrom exponent.
    calibration_error : float
        Of the mean, by zero point and catalogue.
    """
    weight = 1 / (images.stat_error * factor) ** 2
    distance = np.log(images.wavelength / reference_wavelength)
    return {
        "calibration": calibration_error,
        "airmass": float(np.average(images.airmass_error * factor, weights=weight)),
        "stratosphere": float(np.average(stratosphere_error * factor, weights=weight)),
        "wavelength": float(abs(vaod * np.average(distance, weights=weight)) * exponent_error),
    }


def limits_of(
    limits: Mapping[str, Mapping[str, Mapping[str, float]]], site: str, season: str
) -> ClearNightLimits:
    """Limits of a site and season; what is not given there is taken from the site's ``default``.

    Parameters
    ----------
    limits : mapping
        Site, season or ``default``, name of a limit: value.
    site, season : str

    Raises
    ------
    ConfigurationError
        If there is no entry for the site, or a limit has an unknown name or an impossible value.
    """
    if site not in limits:
        raise ConfigurationError(
            f"no limits for clear nights at {site}; configured are {', '.join(limits) or 'none'}: "
            "add the site to `limits`"
        )
    values: dict[str, Any] = {**limits[site].get("default", {}), **limits[site].get(season, {})}
    known = [field.name for field in fields(ClearNightLimits)]
    if unknown := sorted(set(values) - set(known)):
        raise ConfigurationError(
            f"limits for clear nights at {site}: unknown {', '.join(unknown)}; "
            f"known are {', '.join(known)}"
        )
    bad = [name for name, value in values.items() if not np.isfinite(value) or value <= 0]
    if bad or values.get("size", 0.01) >= 1:
        raise ConfigurationError(
            f"limits for clear nights at {site}: {values}; all must be above 0, size below 1"
        )
    return ClearNightLimits(**values)

r"""Optical point spread function from the widths of muon rings against their radius.

.. math::
   \sigma^2(\theta) - \sigma_{chromatic}^2 - \sigma_{drift}^2 - \sigma_{bending}^2
   - \sigma_{coma}^2 = \sigma_{PSF}^2 + A\,\sigma_{scattering}^2(\theta)

The radial width of a ring is the standard deviation per axis; a circle around the centre of a
two-dimensional Gaussian holds 80 % of its light at :math:`\theta_{80} = \sigma\sqrt{-2\ln 0.2}`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .excess_scatter import clipped_variance, median_scatter, scatter_variance
from .muon_width import SCATTERING_SPREAD, Air, Optics, WidthComponents, width_components

__all__ = [
    "CONTAINMENT_80",
    "OpticalPsf",
    "PsfChange",
    "RelativeErrors",
    "WidthProfile",
    "psf_change",
    "psf_from_widths",
    "width_profile",
]

CONTAINMENT_80 = np.sqrt(-2 * np.log(0.2))  # 1.794
MIN_RINGS = 20
CLIP = 5.0  # standard deviations: scattering of single muons has a tail
_ROUNDS = 30


@dataclass(frozen=True)
class RelativeErrors:
    """Systematic errors of what is subtracted, relative.

    Parameters
    ----------
    chromatic : float
        Of the rms of n - 1: the spectrum that is detected.
    drift : float
        Of the drift along the mirror: scale height and focus.
    bending : float
        Of the variance by bending: pointings up to 60° from the zenith have between 0 and 1.6 times
        the squared field of the zenith (CTAO-North), standard deviation 0.5.
    scattering : float
        Of the variance by multiple scattering. Highland's width is good to 11 %.
    refractivity : float
        Of n - 1, that is of the largest angle.
    pixel : float
        Of the variance of a pixel, which the fit of the ring took out.
    coma : float
        Of the telescope's coma, 1 - f/f_eff: focal lengths to 0.2 % (LST 0.0446).
    coma_drift : float
        Of the covariance of coma and drift, which the fit has in one number for all muons.
    """

    chromatic: float = 0.1
    drift: float = 0.05
    bending: float = 0.5
    scattering: float = 0.22
    refractivity: float = 0.003
    pixel: float = 0.03
    coma: float = 0.05
    coma_drift: float = 0.1


@dataclass(frozen=True)
class OpticalPsf:
    """Optical point spread function at the angle of the rings, per axis.

    Parameters
    ----------
    sigma, sigma_stat_error, sigma_sys_error : Quantity, deg
        NaN where `is_limit`.
    upper_limit : Quantity, deg
        Of sigma at 95 %, statistical and systematic errors in quadrature, with no prior but
        that a variance is not negative.
    variance, variance_stat_error : Quantity, deg²
        Squared sigma as fitted, without a bound at 0.
    variance_sys_errors : dict of str to Quantity, deg²
        By the names of `RelativeErrors`; their quadratic sum is the systematic error.
    scattering_amplitude, scattering_amplitude_error : float
        A; 1 and 0 unless fitted.
    intrinsic_scatter : Quantity, deg²
        Standard deviation of squared widths beyond errors and scattering of single muons.
    chi2, n_degrees : float, int
        Without the intrinsic scatter: far above n_degrees if errors are too small.
    n_rings, n_outliers, n_unusable : int
        Rings that count, that were clipped, and that had no usable number.
    is_limit : bool
    status : str
        "measured", or why there is only a limit.
    """

    sigma: u.Quantity
    sigma_stat_error: u.Quantity
    sigma_sys_error: u.Quantity
    upper_limit: u.Quantity
    variance: u.Quantity
    variance_stat_error: u.Quantity
    variance_sys_errors: dict[str, u.Quantity]
    scattering_amplitude: float
    scattering_amplitude_error: float
    intrinsic_scatter: u.Quantity
    chi2: float
    n_degrees: int
    n_rings: int
    n_outliers: int
    n_unusable: int
    is_limit: bool
    status: str

    @property
    def theta80(self) -> u.Quantity:
        """Radius that holds 80 % of the light, deg."""
        return CONTAINMENT_80 * self.sigma

    @property
    def theta80_stat_error(self) -> u.Quantity:
        """Statistical error of `theta80`, deg."""
        return CONTAINMENT_80 * self.sigma_stat_error

    @property
    def theta80_sys_error(self) -> u.Quantity:
        """Systematic error of `theta80`, deg."""
        return CONTAINMENT_80 * self.sigma_sys_error


@dataclass(frozen=True)
class _Rings:
    """Usable rings, arrays (n_rings,): deg and deg²."""

    radius: NDArray
    squared_width: NDArray
    error: NDArray  # of squared_width
    impact: u.Quantity
    parts: WidthComponents
    pixel_variance: float

    @property
    def optical(self) -> NDArray:
        parts = self.parts
        return self.squared_width - parts.chromatic - parts.drift - parts.bending - parts.coma


@dataclass(frozen=True)
class _Fit:
    """Coefficients (sigma_PSF², A), their covariance, and what weighs each ring."""

    coefficients: NDArray
    covariance: NDArray
    functional: NDArray  # of sigma_PSF² on the rings
    expected: NDArray  # variance of each squared width without the scatter, deg⁴
    scatter2: float
    residual: NDArray
    kept: NDArray

    @property
    def n_degrees(self) -> int:
        free = 1 + (self.covariance[1, 1] > 0)
        return int(self.kept.sum() - free)


@u.quantity_input
def psf_from_widths(
    radius: u.Quantity[u.deg],
    width: u.Quantity[u.deg],
    width_error: u.Quantity[u.deg],
    impact: u.Quantity[u.m],
    optics: Optics,
    air: Air,
    *,
    free_scattering: bool = False,
    relative_errors: RelativeErrors | None = None,
    clip: float = CLIP,
    where: str = "the telescope",
) -> OpticalPsf:
    r"""Optical point spread function from fitted rings.

    Weighted least squares of squared widths. The variance of a ring is

    .. math::
       (2\sigma\,\delta\sigma)^2 + 2\,\delta\sigma^4 + s^2 + \tau^2 ,

    s being `WidthComponents.spread` and the intrinsic scatter :math:`\tau` such that chi² is its
    degrees of freedom, or 0. Rings farther than `clip` standard deviations from the fit do not
    count, and chi² is corrected for their absence. Errors above 20 % of the width are not Gaussian
    any more and bias the result.

    Parameters
    ----------
    radius, width, width_error : Quantity, deg, shape (n_rings,)
        Radius of the ring, Gaussian standard deviation of its radial light profile without the
        pixel, and the error of it. A ring with NaN, with a radius or an error that is not
        positive, or an impact above two mirror radii is left out and counted.
    impact : Quantity, m, shape (n_rings,) or scalar
    optics : Optics
    air : Air
    free_scattering : bool
        Fit the amplitude A of multiple scattering, too; needs rings of different radius.
    relative_errors : RelativeErrors, optional
    clip : float
        In standard deviations.
    where : str
        Telescope and chunk, for messages.

    Returns
    -------
    OpticalPsf
        With `is_limit` and NaN for sigma where the variance is not two errors above 0.

    Raises
    ------
    InsufficientStatisticsError
        With fewer than 20 usable rings, or if A is free and the rings cannot tell it.
    ConfigurationError
        If shapes differ, or `clip` is below 3.

    References
    ----------
    Vacanti, G. et al. 1994, Astropart. Phys. 2, 1. doi 10.1016/0927-6505(94)90012-4
    White, H. 1980, Econometrica 48, 817. doi 10.2307/1912934
    Paule, R. C. and Mandel, J. 1982, J. Res. NBS 87, 377. doi 10.6028/jres.087.022
    """
    if clip < 3:
        raise ConfigurationError(f"clip is {clip:g} standard deviations, at least 3 are needed")
    rings, n_unusable = _usable(radius, width, width_error, impact, optics, air)
    if len(rings.radius) < MIN_RINGS:
        raise InsufficientStatisticsError(
            f"needs at least {MIN_RINGS} usable rings, got {len(rings.radius)} of "
            f"{len(rings.radius) + n_unusable} in {where}; collect muons for longer"
        )
    if free_scattering:
        _check_contrast(rings, where)
    fit = _robust_fit(rings, free_scattering, clip)
    if free_scattering:
        _check_amplitude(fit, rings, where)
    errors = relative_errors or RelativeErrors()
    systematic = _systematic_errors(fit, rings, errors, optics, air)
    return _result(fit, systematic, n_unusable, clip)


def _usable(
    radius: u.Quantity,
    width: u.Quantity,
    width_error: u.Quantity,
    impact: u.Quantity,
    optics: Optics,
    air: Air,
) -> tuple[_Rings, int]:
    """Rings with usable numbers, and how many have none."""
    try:
        numbers = np.broadcast_arrays(radius, width, width_error, impact, subok=True)
    except ValueError as error:
        shapes = ", ".join(str(a.shape) for a in (radius, width, width_error, impact))
        raise ConfigurationError(
            f"radius, width, error and impact need one number for every ring, got shapes {shapes}"
        ) from error
    radius, width, width_error, impact = (np.atleast_1d(a).ravel() for a in numbers)
    parts = width_components(radius, impact, optics, air)
    radius, width, sigma = (a.to_value(u.deg) for a in (radius, width, width_error))
    good = np.isfinite(parts.scattering + width + sigma) & (sigma > 0) & (width >= 0)
    # variance of the square of a Gaussian number; does not vanish at width 0
    of_square = np.sqrt(4 * width**2 * sigma**2 + 2 * sigma**4)
    chosen = WidthComponents(*(a[good] for a in vars(parts).values()))
    numbers = radius[good], width[good] ** 2, of_square[good], impact[good]
    rings = _Rings(*numbers, chosen, optics.pixel_variance.to_value(u.deg**2))
    return rings, int(np.count_nonzero(~good))


def _robust_fit(rings: _Rings, free_scattering: bool, clip: float) -> _Fit:
    """Least squares of the rings that are not outliers, found in turns."""
    x, y = rings.parts.scattering, rings.optical
    coefficients = np.array([np.median(y - x), 1.0])
    residual = y - x - coefficients[0]
    error, scatter2 = rings.error, 0.0
    expected = error**2 + rings.parts.spread**2
    kept = np.zeros(len(y), bool)
    for _ in range(_ROUNDS):
        # from the median: outliers cannot widen the limits that let them in
        rough2 = median_scatter(residual**2, expected)
        before, kept = kept, _is_inside(residual, error, rings.parts, rough2, clip)
        error = _independent_error(rings, residual)
        expected = error**2 + rings.parts.spread**2
        allowed = (kept.sum() - 1 - free_scattering) * clipped_variance(clip)
        scatter2 = scatter_variance(residual[kept] ** 2, expected[kept], allowed, scatter2)
        weight = np.where(kept, 1 / (expected + scatter2), 0.0)
        coefficients, functional = _line(x, y, weight, free_scattering)
        residual = y - coefficients[0] - coefficients[1] * x
        if np.array_equal(before, kept):
            break
    covariance = _covariance(functional, residual, kept)
    return _Fit(coefficients, covariance, functional[0], expected, scatter2, residual, kept)


def _is_inside(
    residual: NDArray, error: NDArray, parts: WidthComponents, scatter2: float, clip: float
) -> NDArray:
    """Whether rings are no outliers; scattering of one muon is between 0 and 5 times its mean.

    It exceeds that with the chance 2 exp(-5 π²/6) = 5e-4, which takes 0.25 % off the mean.
    """
    mean = np.maximum(parts.scattering, 0)
    with_drift = np.maximum(parts.spread**2 - (SCATTERING_SPREAD * mean) ** 2, 0)
    noise = clip * np.sqrt(error**2 + with_drift + scatter2)
    return (residual > -noise - mean) & (residual < noise + 4 * mean)


def _independent_error(rings: _Rings, residual: NDArray) -> NDArray:
    """Errors a ring would have with the width of the fit, not with its own fluctuation.

    Errors that grow with the width give rings that come out narrow the higher weight: with 10 %
    per ring the squared width would be 8 % low.
    """
    # ASSUME: the error of a fitted variance goes as that variance with the pixel in it
    fitted = np.maximum(rings.squared_width - residual, 0)
    own = np.maximum(rings.squared_width, rings.error)
    return rings.error * (fitted + rings.pixel_variance) / (own + rings.pixel_variance)


def _line(x: NDArray, y: NDArray, weight: NDArray, free: bool) -> tuple[NDArray, NDArray]:
    """Coefficients of y = c + A x and how they depend on the y of the rings; A = 1 or free."""
    if not free:
        functional = (weight / weight.sum())[None]
        return np.array([functional[0] @ (y - x), 1.0]), functional
    design = np.stack([np.ones_like(x), x])
    functional = np.linalg.solve((design * weight) @ design.T, design * weight)
    return functional @ y, functional


def _covariance(functional: NDArray, residual: NDArray, kept: NDArray) -> NDArray:
    """Covariance (2, 2) from the residuals found (White 1980): holds if weights are not ideal."""
    moved, n, size = functional * residual, kept.sum(), len(functional)
    covariance = np.zeros((2, 2))
    covariance[:size, :size] = moved @ moved.T * n / (n - size)
    return covariance


def _check_contrast(rings: _Rings, where: str) -> None:
    if np.ptp(rings.parts.scattering) <= 1e-6 * np.abs(rings.parts.scattering).max():
        _refuse_amplitude(rings, where, "all rings scatter alike")


def _check_amplitude(fit: _Fit, rings: _Rings, where: str) -> None:
    error = np.sqrt(fit.covariance[1, 1])
    if not error < 1:
        _refuse_amplitude(rings, where, f"its error is {error:.2g}, at most 1 makes sense")


def _refuse_amplitude(rings: _Rings, where: str, reason: str) -> None:
    low, high = rings.radius.min(), rings.radius.max()
    raise InsufficientStatisticsError(
        f"rings from {low:.3f} to {high:.3f} deg in {where} cannot tell the amplitude of multiple "
        f"scattering ({reason}); give rings of smaller radius or keep the amplitude fixed"
    )


def _systematic_errors(
    fit: _Fit, rings: _Rings, errors: RelativeErrors, optics: Optics, air: Air
) -> dict[str, float]:
    """Change of sigma_PSF² (deg²) for one error of each kind, fit and weights kept."""
    amplitude, parts = fit.coefficients[1], rings.parts
    other = replace(air, refractivity=air.refractivity * (1 + errors.refractivity))
    moved = width_components(rings.radius * u.deg, rings.impact, optics, other)
    change = {
        "chromatic": 2 * errors.chromatic * parts.chromatic,
        "drift": errors.drift * (2 * parts.drift + parts.coma_with_drift),
        "bending": errors.bending * parts.bending,
        "scattering": errors.scattering * amplitude * parts.scattering,
        "refractivity": _sum_of_parts(moved, amplitude) - _sum_of_parts(parts, amplitude),
        "coma": errors.coma * (2 * parts.coma_in_fit + parts.coma_with_drift),
        "coma_drift": errors.coma_drift * parts.coma_with_drift,
    }
    found = {name: abs(fit.functional @ values) for name, values in change.items()}
    return found | {"pixel": errors.pixel * optics.pixel_variance.to_value(u.deg**2)}


def _sum_of_parts(parts: WidthComponents, amplitude: float) -> NDArray:
    known = parts.chromatic + parts.drift + parts.bending + parts.coma
    return known + amplitude * parts.scattering


def _result(fit: _Fit, systematic: dict[str, float], n_unusable: int, clip: float) -> OpticalPsf:
    variance, amplitude = fit.coefficients
    stat_error, amplitude_error = np.sqrt(np.diag(fit.covariance))
    sys_error = np.sqrt(sum(value**2 for value in systematic.values()))
    error = np.hypot(stat_error, sys_error)
    is_limit = not variance > 2 * error
    sigma = np.nan if is_limit else np.sqrt(variance)
    limit = variance + error * -ndtri(0.05 * ndtr(variance / error))
    chi2 = np.sum(fit.residual[fit.kept] ** 2 / fit.expected[fit.kept])
    return OpticalPsf(
        sigma=sigma * u.deg,
        sigma_stat_error=stat_error / (2 * sigma) * u.deg,
        sigma_sys_error=sys_error / (2 * sigma) * u.deg,
        upper_limit=np.sqrt(limit) * u.deg,
        variance=variance * u.deg**2,
        variance_stat_error=stat_error * u.deg**2,
        variance_sys_errors={name: value * u.deg**2 for name, value in systematic.items()},
        scattering_amplitude=float(amplitude),
        scattering_amplitude_error=float(amplitude_error),
        intrinsic_scatter=np.sqrt(fit.scatter2) * u.deg**2,
        chi2=float(chi2 / clipped_variance(clip)),
        n_degrees=fit.n_degrees,
        n_rings=int(fit.kept.sum()),
        n_outliers=int(np.count_nonzero(~fit.kept)),
        n_unusable=n_unusable,
        is_limit=is_limit,
        status=_status(variance, error),
    )


def _status(variance: float, error: float) -> str:
    found = f"squared sigma is {variance:.2e} +- {error:.2e} deg2"
    if variance > 2 * error:
        return "measured"
    if variance > -3 * error:
        return f"{found}, not two errors above 0: upper limit"
    return f"{found}, three errors below 0: widths are too small for air, focus and scattering"


@dataclass(frozen=True)
class WidthProfile:
    """Squared widths by radius, arrays (n_bins,); NaN in a bin without rings.

    ``radius`` in deg is the mean of the rings; all others are weighted means in deg²:
    ``squared_width`` and its error, its ``chromatic``, ``drift``, ``bending`` and ``scattering``
    parts (drift with what coma takes off it, scattering with the fitted amplitude), and
    ``optical``, what remains. ``edges`` (n_bins + 1,) in deg.
    """

    edges: u.Quantity
    n_rings: NDArray
    radius: u.Quantity
    squared_width: u.Quantity
    squared_width_error: u.Quantity
    chromatic: u.Quantity
    drift: u.Quantity
    bending: u.Quantity
    scattering: u.Quantity
    optical: u.Quantity


@u.quantity_input
def width_profile(
    radius: u.Quantity[u.deg],
    width: u.Quantity[u.deg],
    width_error: u.Quantity[u.deg],
    impact: u.Quantity[u.m],
    optics: Optics,
    air: Air,
    psf: OpticalPsf,
    edges: u.Quantity[u.deg],
    *,
    clip: float = CLIP,
) -> WidthProfile:
    """Squared widths in bins of radius, weighted and clipped as in the fit.

    Parameters
    ----------
    radius, width, width_error, impact, optics, air, clip
        As given to `psf_from_widths`.
    psf : OpticalPsf
        Of these rings.
    edges : Quantity, deg, shape (n_bins + 1,)
        Increasing; a ring at an edge is of the bin above, at the last edge of the last bin.

    Raises
    ------
    ConfigurationError
        If there are no two increasing edges.
    """
    limits = np.atleast_1d(edges.to_value(u.deg))
    if len(limits) < 2 or not np.all(np.diff(limits) > 0):
        raise ConfigurationError(f"a profile needs two or more increasing edges, got {edges}")
    rings, _ = _usable(radius, width, width_error, impact, optics, air)
    amplitude, scattering = psf.scattering_amplitude, rings.parts.scattering
    residual = rings.optical - psf.variance.to_value(u.deg**2) - amplitude * scattering
    scatter2 = psf.intrinsic_scatter.to_value(u.deg**2) ** 2
    error = _independent_error(rings, residual)
    kept = _is_inside(residual, error, rings.parts, scatter2, clip)
    weight = 1 / (error**2 + rings.parts.spread**2 + scatter2)
    place = _bins(rings.radius, limits)
    kept &= (place >= 0) & (place < len(limits) - 1)
    number, total, in_bins = _bin_means(place[kept], weight[kept], len(limits) - 1)
    parts = rings.parts
    means = {
        "squared_width": in_bins(rings.squared_width[kept]),
        "chromatic": in_bins(parts.chromatic[kept]),
        "drift": in_bins((parts.drift + parts.coma)[kept]),
        "bending": in_bins(parts.bending[kept]),
        "scattering": amplitude * in_bins(scattering[kept]),
        "optical": in_bins((rings.optical - amplitude * scattering)[kept]),
        "squared_width_error": 1 / np.sqrt(np.where(number > 0, total, np.nan)),
    }
    return WidthProfile(
        edges=edges,
        n_rings=number,
        radius=in_bins(rings.radius[kept]) * u.deg,
        **{name: values * u.deg**2 for name, values in means.items()},
    )


def _bins(values: NDArray, edges: NDArray) -> NDArray:
    place = np.searchsorted(edges, values, side="right") - 1
    return np.where(values == edges[-1], len(edges) - 2, place)


def _bin_means(
    place: NDArray, weight: NDArray, n_bins: int
) -> tuple[NDArray, NDArray, Callable[[NDArray], NDArray]]:
    """Numbers, sums of weights, and the function that averages values in the bins."""
    number = np.bincount(place, minlength=n_bins)
    total = np.bincount(place, weight, minlength=n_bins)
    divisor = np.where(number > 0, total, np.nan)
    return number, total, lambda values: np.bincount(place, weight * values, n_bins) / divisor


@dataclass(frozen=True)
class PsfChange:
    """How a point spread function compares with a reference.

    ``difference`` and its ``error`` in deg, ``z_score`` their ratio, ``p_value`` the chance of as
    large a difference upwards; ``is_larger`` if that is below the significance.
    """

    difference: u.Quantity
    error: u.Quantity
    z_score: float
    p_value: float
    is_larger: bool


@u.quantity_input
def psf_change(
    sigma: u.Quantity[u.deg],
    sigma_error: u.Quantity[u.deg],
    reference: u.Quantity[u.deg],
    reference_error: u.Quantity[u.deg],
    *,
    significance: float = 0.00135,
) -> PsfChange:
    """Whether a point spread function is larger than a reference, one-sided.

    Parameters
    ----------
    sigma, sigma_error, reference, reference_error : Quantity, deg, scalar
        Statistical errors if both were made with the same model of air, focus and pixel: its
        errors are common to them.
    significance : float
        Chance of a false alarm; three standard deviations unless given.

    Returns
    -------
    PsfChange
        NaN and not larger if one of the numbers is NaN (an upper limit is no measurement).

    Raises
    ------
    ConfigurationError
        If an error is negative, both are 0, or `significance` is not between 0 and 0.5.
    """
    error = np.hypot(sigma_error, reference_error).to(u.deg)
    if min(sigma_error, reference_error) < 0 or error == 0:
        raise ConfigurationError(
            f"errors of sigma and reference are {sigma_error} and {reference_error}; give "
            "numbers of which none is negative and one is above 0"
        )
    if not 0 < significance < 0.5:
        raise ConfigurationError(f"significance is {significance:g}; give a chance below 0.5")
    difference = (sigma - reference).to(u.deg)
    score = float(difference / error)
    chance = float(ndtr(-score))
    return PsfChange(difference, error, score, chance, bool(chance < significance))

r"""Fit of a pointing model: outliers, terms that are not determined, nights, errors.

Measurements are weighted with their full covariances and the scatter that the model does not
describe (`linear_offsets`). A term is *not determined* if its statistical error is above what is
known of it beforehand, its prior error. It is then fixed at its prior; the prior error goes into
the systematic covariance of all terms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtr

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .linear_offsets import OffsetFit, fitted_offsets, quadratic_form
from .measurements import PointingMeasurements
from .night_changes import enough_of_night, night_columns, night_offsets
from .pointing_model import PointingModel, covered_sectors
from .pointing_terms import GEOMETRIC_TERMS, check_terms, design_matrix

__all__ = ["FitSettings", "PointingFit", "fitted_pointing_model"]

_MEDIAN = chdtri(2, 0.5)
_HUBER = np.sqrt(chdtri(2, 0.05))  # of the distance in two dimensions
_STEPS = 50


@dataclass(frozen=True)
class FitSettings:
    """How a pointing model is fitted.

    Attributes
    ----------
    terms : tuple of str
        In the order of their importance: of those that cannot be told apart the last is fixed.
    priors : mapping of str to (float, float)
        Value and error in arcsec of what is known of a term beforehand.
    prior_error : float
        In arcsec, about 0, of terms that are not in `priors`.
    scatter : bool
        Find the scatter beyond the errors.
    outlier_sigma : float
        A measurement that is farther off than this (two-sided, as of a Gaussian) is left out;
        infinite for none.
    free_nights : bool
        Own IA and IE for each night; the model has their means.
    min_measurements : int
        Fewer are refused.
    """

    terms: tuple[str, ...] = (*GEOMETRIC_TERMS, "TF")
    # ASSUME: axes and tubes are set up to 60 arcsec, tens of arcsec being typical
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    prior_error: float = 60.0
    scatter: bool = True
    outlier_sigma: float = 5.0
    free_nights: bool = False
    min_measurements: int = 20

    def __post_init__(self) -> None:
        check_terms(self.terms)
        unknown = sorted(set(self.priors) - set(self.terms))
        if unknown:
            raise ConfigurationError(
                f"prior of {', '.join(unknown)}, which is no term of this model "
                f"({', '.join(self.terms)}): leave it out"
            )
        errors = [error for _, error in self.priors.values()]
        if not min([self.prior_error, *errors]) > 0:
            raise ConfigurationError("errors of priors have to be above 0 arcsec")
        if self.free_nights and not {"IA", "IE"} <= set(self.terms):
            raise ConfigurationError("nights have an own IA and IE: both have to be terms")

    def prior(self, term: str) -> tuple[float, float]:
        """Value and error in arcsec."""
        return self.priors.get(term, (0.0, self.prior_error))


@dataclass(frozen=True)
class PointingFit:
    """A pointing model and how well it fits.

    Attributes
    ----------
    model : PointingModel
    fit : OffsetFit
        Of the used measurements; parameters are the free terms, then those of nights.
    measurements : PointingMeasurements
        All that were given.
    is_used : ndarray, shape (n,), bool
        Neither an outlier nor of a night with too few.
    is_outlier : ndarray, shape (n,), bool
    residual : ndarray, shape (n, 2)
        Of all measurements, in arcsec.
    distance : ndarray, shape (n,)
        Squared, of each from the model in units of its covariance: chi2 of two degrees.
    remarks : tuple of str
    """

    model: PointingModel
    fit: OffsetFit
    measurements: PointingMeasurements
    is_used: NDArray
    is_outlier: NDArray
    residual: NDArray
    distance: NDArray
    remarks: tuple[str, ...]

    @property
    def used(self) -> PointingMeasurements:
        """Measurements that the model is fitted to."""
        return self.measurements.chosen(self.is_used)

    @property
    def free_terms(self) -> tuple[str, ...]:
        """Terms that the measurements determine."""
        model = self.model
        return tuple(t for t, fixed in zip(model.terms, model.is_fixed, strict=True) if not fixed)

    @property
    def without_fixed(self) -> PointingMeasurements:
        """The used measurements, less what fixed terms do: to these the free terms are fitted."""
        used, model = self.used, self.model
        value = np.where(model.is_fixed, model.value, 0.0)
        fixed = design_matrix(model.terms, used.azimuth, used.altitude) @ value
        return replace(used, offset=used.offset - fixed)

    @property
    def residual_rms(self) -> float:
        """Per axis, corrected for the parameters: the noise of one coordinate, in arcsec."""
        return float(np.sqrt(np.sum(self.fit.residual**2) / self.fit.n_dof))

    @property
    def sky_rms(self) -> float:
        """Root mean square angle on the sky between measurement and model, in arcsec."""
        return float(np.sqrt(np.mean(np.sum(self.fit.residual**2, axis=1))))

    @property
    def rms_before(self) -> float:
        """As `sky_rms`, without a model."""
        return float(np.sqrt(np.mean(np.sum(self.used.offset**2, axis=1))))


def fitted_pointing_model(measurements: PointingMeasurements, settings: FitSettings) -> PointingFit:
    """Terms of a telescope from measured offsets.

    Parameters
    ----------
    measurements : PointingMeasurements
        Of one telescope, usable (`measurements.usable`).
    settings : FitSettings

    Returns
    -------
    PointingFit

    Raises
    ------
    InsufficientStatisticsError
        If there are too few measurements, before or after outliers are left out.
    """
    enough = np.ones(len(measurements), bool)
    if settings.free_nights:
        enough = enough_of_night(measurements)
    _check_number(int(np.count_nonzero(enough)), settings, "usable measurements")
    free = list(settings.terms)
    reasons = []
    while True:
        design = _design(measurements, free, enough, settings)
        offset = measurements.offset - _prior_offset(measurements, free, settings)
        fit, kept, distance = _clipped(design, offset, measurements, enough, settings)
        weak = [t for t, e in zip(free, fit.error, strict=False) if e > settings.prior(t)[1]]
        if not weak:
            break
        reasons.append(_not_determined(weak[-1], free, fit, measurements, settings))
        free.remove(weak[-1])
        if not free:
            raise InsufficientStatisticsError(f"no term is determined: {'; '.join(reasons)}")
    residual = offset - design @ fit.value
    model, remarks = _model(measurements, kept, free, fit, settings)
    return PointingFit(
        model=model,
        fit=fit,
        measurements=measurements,
        is_used=kept,
        is_outlier=enough & ~kept,
        residual=residual,
        distance=distance,
        remarks=(*reasons, *remarks),
    )


def _check_number(n: int, settings: FitSettings, what: str) -> None:
    needed = max(settings.min_measurements, len(settings.terms) // 2 + 1)
    if n < needed:
        raise InsufficientStatisticsError(
            f"a pointing model of {len(settings.terms)} terms needs at least {needed} {what}, got "
            f"{n}; give more nights, or lower `min_measurements`"
        )


def _design(
    measurements: PointingMeasurements, free: Sequence[str], rows: NDArray, settings: FitSettings
) -> NDArray:
    """Free terms, then own IA and IE of nights."""
    design = design_matrix(free, measurements.azimuth, measurements.altitude)
    if not settings.free_nights:
        return design
    return np.concatenate([design, night_columns(measurements, rows)], axis=2)


def _prior_offset(
    measurements: PointingMeasurements, free: Sequence[str], settings: FitSettings
) -> NDArray:
    """What fixed terms do."""
    fixed = [term for term in settings.terms if term not in free]
    value = np.array([settings.prior(term)[0] for term in fixed])
    return design_matrix(fixed, measurements.azimuth, measurements.altitude) @ value


def _clipped(
    design: NDArray,
    offset: NDArray,
    measurements: PointingMeasurements,
    enough: NDArray,
    settings: FitSettings,
) -> tuple[OffsetFit, NDArray, NDArray]:
    """Fit without outliers, which rows it has, and the squared distance of every row."""
    covariance = measurements.covariance
    limit = _limit(settings)
    kept = enough
    if np.isfinite(limit):
        kept = enough & (_robust_distance(design, offset, covariance, enough) < limit)
    tried = set()
    while True:
        _check_number(int(np.count_nonzero(kept)), settings, "measurements without outliers")
        fit = fitted_offsets(design[kept], offset[kept], covariance[kept], scatter=settings.scatter)
        distance = _distance(design, offset, covariance, kept, fit)
        found = enough & (distance < limit)
        if np.array_equal(found, kept) or found.tobytes() in tried:
            return fit, kept, distance
        tried.add(kept.tobytes())
        kept = found


def _limit(settings: FitSettings) -> float:
    chance = 2 * ndtr(-settings.outlier_sigma)
    return float(chdtri(2, chance)) if chance > 0 else float("inf")


def _distance(
    design: NDArray, offset: NDArray, covariance: NDArray, kept: NDArray, fit: OffsetFit
) -> NDArray:
    """Of rows in the fit by their residuals' covariance, of others by that of a prediction."""
    spread = design @ fit.covariance @ np.swapaxes(design, 1, 2)
    sign = np.where(kept, -1.0, 1.0)[:, None, None]
    whole = covariance + np.diag(fit.scatter_variance)
    after = whole + sign * spread
    # a row that decides alone has no residual: a thousandth of its error keeps it regular
    return quadratic_form(offset - design @ fit.value, after + 1e-6 * whole)


def _robust_distance(
    design: NDArray, offset: NDArray, covariance: NDArray, rows: NDArray
) -> NDArray:
    """Squared distances by Huber's weights; their median is that of a Gaussian, or smaller."""
    weight = np.ones(len(offset))
    for _ in range(_STEPS):
        scaled = covariance[rows] / weight[rows, None, None]
        fit = fitted_offsets(design[rows], offset[rows], scaled, scatter=False)
        square = quadratic_form(offset - design @ fit.value, covariance)
        square /= max(np.median(square[rows]) / _MEDIAN, 1.0)
        before, weight = weight, np.minimum(1.0, _HUBER / np.sqrt(np.maximum(square, 1e-12)))
        if np.max(np.abs(weight - before)) < 1e-4:
            break
    return square


def _not_determined(
    term: str,
    free: Sequence[str],
    fit: OffsetFit,
    measurements: PointingMeasurements,
    settings: FitSettings,
) -> str:
    value, error = settings.prior(term)
    return (
        f"{term} is not determined: measurements at altitudes "
        f"{measurements.altitude.min():.1f} to {measurements.altitude.max():.1f} deg in "
        f"{np.count_nonzero(covered_sectors(measurements.azimuth))} of 12 sectors of azimuth give "
        f"it an error of {fit.error[free.index(term)]:.3g} arcsec, known are {error:g}; it is "
        f"fixed at {value:g} +- {error:g} arcsec; measure at more directions"
    )


def _model(
    measurements: PointingMeasurements,
    kept: NDArray,
    free: Sequence[str],
    fit: OffsetFit,
    settings: FitSettings,
) -> tuple[PointingModel, list[str]]:
    """Values and covariances of all terms, free and fixed."""
    used = measurements.chosen(kept)
    n_free, terms = len(free), settings.terms
    place = np.array([terms.index(term) for term in free])
    value = np.array([settings.prior(term)[0] for term in terms], float)
    value[place] = fit.value[:n_free]
    stat = np.zeros((len(terms),) * 2)
    stat[np.ix_(place, place)] = fit.covariance[:n_free, :n_free]
    night_scatter, remarks = np.zeros(2), []
    if settings.free_nights:
        nights = night_offsets(
            measurements, kept, fit.value[n_free:], fit.covariance[n_free:, n_free:]
        )
        night_scatter = nights.scatter
        for k, term in enumerate(("IA", "IE")):
            if term in free:
                row = terms.index(term)
                stat[row, row] += nights.scatter[k] ** 2 / len(nights.nights)
    if len(np.unique(used.night)) < 2:
        remarks.append("one night: changes between nights are not known, and in no error")
    is_fixed = ~np.isin(terms, free)
    model = PointingModel(
        terms=terms,
        value=value,
        stat_covariance=stat,
        sys_covariance=_sys_covariance(used, free, fit, settings),
        is_fixed=is_fixed,
        scatter=fit.scatter,
        night_scatter=night_scatter,
        altitude_range=(float(used.altitude.min()), float(used.altitude.max())),
        sectors=covered_sectors(used.azimuth),
    )
    return model, remarks


def _sys_covariance(
    used: PointingMeasurements, free: Sequence[str], fit: OffsetFit, settings: FitSettings
) -> NDArray:
    """Of all terms, from the errors that measurements have in common and from fixed terms."""
    terms, operator = settings.terms, fit.operator[: len(free)]
    place = [terms.index(term) for term in free]
    shifts = []
    for axis in range(2):  # ASSUME: one sign for all measurements, dlon and dlat independent
        shift = np.zeros(len(terms))
        shift[place] = operator[:, :, axis] @ used.sys_error[:, axis]
        shifts.append(shift)
    for term in (t for t in terms if t not in free):
        error = settings.prior(term)[1]
        column = design_matrix([term], used.azimuth, used.altitude)[:, :, 0]
        shift = np.zeros(len(terms))
        shift[place] = -error * np.einsum("pni,ni->p", operator, column)
        shift[terms.index(term)] = error
        shifts.append(shift)
    return sum((np.outer(shift, shift) for shift in shifts), np.zeros((len(terms),) * 2))

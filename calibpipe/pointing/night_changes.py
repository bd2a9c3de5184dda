r"""Changes of a pointing model between nights, with time, and with the direction of the drive.

Each is a hypothesis of a few more parameters: they are fitted together with the model, and
:math:`\chi^2 = x^T C_x^{-1} x` says whether they are needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from .linear_offsets import fitted_offsets
from .measurements import PointingMeasurements
from .pointing_terms import design_matrix

__all__ = [
    "ExtraTerms",
    "NightOffsets",
    "drift_test",
    "drive_direction",
    "enough_of_night",
    "extra_terms",
    "hysteresis_test",
    "night_columns",
    "night_offsets",
    "night_test",
]

MIN_OF_NIGHT = 5  # measurements that give a night its own IA and IE
_DAY = 86400.0


@dataclass(frozen=True)
class ExtraTerms:
    """Parameters beyond a model.

    Attributes
    ----------
    value : ndarray, shape (q,)
        NaN for one that does nothing at these measurements.
    covariance : ndarray, shape (q, q)
    chi2 : float
    n_dof : int
        Parameters with a value.
    """

    value: NDArray
    covariance: NDArray
    chi2: float
    n_dof: int

    @property
    def error(self) -> NDArray:
        """Shape (q,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def p_value(self) -> float:
        """Chance of a larger chi2 if there is no such effect; NaN without parameters."""
        if self.n_dof == 0:
            return float("nan")
        return float(chdtrc(self.n_dof, self.chi2))


@dataclass(frozen=True)
class NightOffsets:
    """Own IA and IE of nights, in arcsec, about their mean.

    Attributes
    ----------
    nights : tuple of str
    value, error : ndarray, shape (n_nights, 2)
    scatter : ndarray, shape (2,)
        Standard deviation between nights beyond the errors.
    """

    nights: tuple[str, ...]
    value: NDArray
    error: NDArray
    scatter: NDArray


def extra_terms(
    measurements: PointingMeasurements,
    terms: Sequence[str],
    extra: NDArray,
    more: NDArray | None = None,
) -> ExtraTerms:
    """More parameters, fitted together with terms of a model.

    The scatter is found anew with them, so that what they describe is not taken for scatter.

    Parameters
    ----------
    measurements : PointingMeasurements
        Without outliers.
    terms : sequence of str
        Of the model, those that are determined.
    extra : ndarray, shape (n, 2, q)
        Offsets for one unit of each parameter; one without any is NaN in the result.
    more : ndarray, shape (n, 2, r), optional
        The same of parameters that belong to the model, of nights.
    """
    place = np.flatnonzero(np.any(extra != 0, axis=(0, 1)))
    value, covariance = np.full(extra.shape[2], np.nan), np.full((extra.shape[2],) * 2, np.nan)
    q = len(place)
    if not q:
        return ExtraTerms(value, covariance, 0.0, 0)
    design = design_matrix(terms, measurements.azimuth, measurements.altitude)
    parts = [extra[:, :, place], design] if more is None else [extra[:, :, place], design, more]
    both = np.concatenate(parts, axis=2)
    fit = fitted_offsets(both, measurements.offset, measurements.covariance)
    found, of_found = fit.value[:q], fit.covariance[:q, :q]
    value[place], covariance[np.ix_(place, place)] = found, of_found
    return ExtraTerms(value, covariance, float(found @ np.linalg.solve(of_found, found)), q)


def enough_of_night(measurements: PointingMeasurements) -> NDArray:
    """Which measurements are of nights that have enough for an own IA and IE, shape (n,)."""
    counted = np.bincount(measurements.night, minlength=len(measurements.nights))
    return counted[measurements.night] >= MIN_OF_NIGHT


def night_columns(measurements: PointingMeasurements, rows: NDArray) -> NDArray:
    """Offsets for one arcsec of IA and IE of each night but the last; their sum over nights is 0.

    Parameters
    ----------
    measurements : PointingMeasurements
    rows : ndarray, shape (n,), bool
        That decide which nights there are.

    Returns
    -------
    ndarray, shape (n, 2, 2 (n_nights - 1))
        First IA of all nights, then IE.
    """
    nights = np.unique(measurements.night[rows])
    of = (measurements.night[:, None] == nights).astype(float)
    contrast = of[:, :-1] - of[:, -1:]
    index = design_matrix(("IA", "IE"), measurements.azimuth, measurements.altitude)
    return np.concatenate([index[:, :, k, None] * contrast[:, None, :] for k in range(2)], axis=2)


def night_offsets(
    measurements: PointingMeasurements, rows: NDArray, value: NDArray, covariance: NDArray
) -> NightOffsets:
    r"""Offsets of all nights from the parameters of `night_columns`.

    .. math:: \sigma^2 = \frac{\sum_k x_k^2 - \mathrm{tr}\,C}{N - 1}

    Parameters
    ----------
    measurements, rows
        As of `night_columns`.
    value : ndarray, shape (2 (n_nights - 1),)
    covariance : ndarray, shape (2 (n_nights - 1), 2 (n_nights - 1))
    """
    nights = np.unique(measurements.night[rows])
    n = len(nights)
    contrast = np.vstack([np.eye(n - 1), -np.ones((1, n - 1))])
    values, errors, scatter = np.zeros((n, 2)), np.zeros((n, 2)), np.zeros(2)
    for axis in range(2 if n > 1 else 0):
        part = slice(axis * (n - 1), (axis + 1) * (n - 1))
        values[:, axis] = contrast @ value[part]
        variances = np.diag(contrast @ covariance[part, part] @ contrast.T)
        errors[:, axis] = np.sqrt(variances)
        excess = (np.sum(values[:, axis] ** 2) - np.sum(variances)) / (n - 1)
        scatter[axis] = np.sqrt(max(excess, 0.0))
    names = tuple(measurements.nights[k] for k in nights)
    return NightOffsets(names, values, errors, scatter)


def night_test(
    measurements: PointingMeasurements, terms: Sequence[str]
) -> tuple[ExtraTerms, NightOffsets]:
    """Whether nights agree in IA and IE, and those of each night; nights with enough only.

    Parameters
    ----------
    measurements, terms
        As of `extra_terms`.
    """
    m = measurements.chosen(enough_of_night(measurements))
    rows = np.ones(len(m), bool)
    found = extra_terms(m, terms, night_columns(m, rows))
    return found, night_offsets(m, rows, found.value, found.covariance)


def drift_test(
    measurements: PointingMeasurements, terms: Sequence[str], more: NDArray | None = None
) -> ExtraTerms:
    """Linear change of IA and IE, in arcsec per day; none if all were measured at one time.

    Parameters
    ----------
    measurements, terms, more
        As of `extra_terms`.
    """
    days = (measurements.time - measurements.time.mean()) / _DAY
    index = design_matrix(("IA", "IE"), measurements.azimuth, measurements.altitude)
    return extra_terms(measurements, terms, index * days[:, None, None], more)


def drive_direction(measurements: PointingMeasurements) -> NDArray:
    """Which way azimuth and altitude moved from the measurement before, in the same night.

    Returns
    -------
    ndarray, shape (n, 2)
        -1, 1, or 0 if it is not known (the first of a night) or did not move.
    """
    order = np.lexsort((measurements.time, measurements.night))
    turn = np.diff(measurements.azimuth[order])
    moved = np.zeros((len(order), 2))
    moved[1:, 0] = np.sign(np.round((turn + 180) % 360 - 180, 6))
    moved[1:, 1] = np.sign(np.round(np.diff(measurements.altitude[order]), 6))
    moved[1:][np.diff(measurements.night[order]) != 0] = 0
    direction = np.zeros_like(moved)
    direction[order] = moved
    return direction


def hysteresis_test(
    measurements: PointingMeasurements, terms: Sequence[str], more: NDArray | None = None
) -> ExtraTerms:
    """Offsets in azimuth and altitude that change sign with the direction of the drive, in arcsec.

    # ASSUME: the way from the measurement before is the way in which the drive came

    Parameters
    ----------
    measurements, terms, more
        As of `extra_terms`.
    """
    index = design_matrix(("IA", "IE"), measurements.azimuth, measurements.altitude)
    moved = drive_direction(measurements)[:, None, :] * [-1, 1]
    return extra_terms(measurements, terms, index * moved, more)

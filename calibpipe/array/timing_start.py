"""Start values of array timing from a sample of events, and the equations of all of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import InsufficientStatisticsError
from .graph import ALONE, common_events, islands, spanning_tree
from .normal_equations import NormalEquations, normal_equations
from .shower_times import (
    N_COMMON,
    EventFit,
    ShowerTimes,
    TimingErrors,
    event_fit,
    front_residuals,
)
from .timing import array_offsets
from .timing_residuals import ImpactResiduals, impact_residuals

__all__ = ["StartValues", "block_equations", "start_offsets", "start_values"]

_ITERATIONS = 30
_SHRINK = 0.01  # of a variance, no faster than that in one iteration: it would never grow again
_CHANGE = 1e-3  # of the telescopes' errors
_MOVED = 0.01  # of the offsets, in their errors


@dataclass(frozen=True)
class StartValues:
    """What the events of a block are weighted with, found from a sample of them.

    Attributes
    ----------
    island : ndarray, shape (n_tel,), int
        As `calibpipe.array.graph.islands`.
    offset : ndarray, shape (n_tel,), ns
        NaN for telescopes that are alone.
    common : ndarray, shape (3,)
        Direction (rad) and curvature (logarithm).
    errors : TimingErrors
    is_converged : bool
    """

    island: NDArray
    offset: NDArray
    common: NDArray
    errors: TimingErrors
    is_converged: bool


def start_offsets(residual: NDArray, n_common: NDArray, min_common: int = 1) -> NDArray:
    """Offsets from medians of differences, along the pairs of most common events.

    Parameters
    ----------
    residual : ndarray, shape (n_events, n_tel), ns
        Times minus the front (`front_residuals`); NaN where a telescope has none.
    n_common : ndarray, shape (n_tel, n_tel)
        Common events that decide which telescopes are tied; `residual` may be a sample of them.
    min_common : int
        Events that tie a pair.

    Returns
    -------
    ndarray, shape (n_tel,), ns
        0 for the telescope of most events on each island; NaN for those that are alone, and those
        that the sample does not reach.
    """
    island = islands(n_common, min_common)
    here = common_events(np.isfinite(residual))
    tied = np.where(n_common >= min_common, here, 0)
    offset = np.full(residual.shape[1], np.nan)
    for number in range(island.max(initial=ALONE) + 1):
        first = int(np.argmax(np.where(island == number, np.diag(here), -1)))
        offset[first] = 0.0
        for known, tel in spanning_tree(tied, first):
            difference = residual[:, tel] - residual[:, known]
            offset[tel] = offset[known] + np.nanmedian(difference)
    return offset


def start_values(
    sample: ShowerTimes,
    position: NDArray,
    errors: TimingErrors,
    prior: NDArray,
    *,
    n_common: NDArray | None = None,
    min_common: int = 1,
    fit_errors: bool = True,
    max_sigma: float = 4.0,
    refractivity: float = 0.0,
) -> StartValues:
    r"""Offsets and errors of single times from a sample of events, by iteration.

    With the leverage :math:`h_{ej}` of a time in the fit of its event, and the part
    :math:`CM` of a direction that comes from the times of its event (*M* their information, *C*
    the covariance of the parameters):

    .. math:: \sigma_j^2 = \frac{\sum_e r_{ej}^2}{\sum_e (1 - h_{ej})},\qquad
              \sigma_u^2 = \frac{\sum_e u_e^2}{\sum_e (C_eM_e)_{uu}}

    which is restricted maximum likelihood; likewise for the curvature. The direction error is that
    of direction and core together, less the core error as given.

    Parameters
    ----------
    sample : ShowerTimes
    position : ndarray, shape (n_tel, 3), m
    errors : TimingErrors
        To begin with; kept if not `fit_errors`. That of the core is always kept.
    prior : ndarray, shape (3,)
        Widths of the common parameters (`array_offsets`).
    n_common : ndarray, shape (n_tel, n_tel), optional
        Common events of which the sample is one; those of the sample if not given.
    min_common : int
        Events that tie a pair.
    max_sigma, refractivity
        As `event_fit`.

    Raises
    ------
    InsufficientStatisticsError
        If no two telescopes have `min_common` events in common.

    References
    ----------
    Harville, D. A. 1977, J. Am. Stat. Assoc. 72, 320 (variance components).
    doi 10.1080/01621459.1977.10480998
    """
    residual, _ = front_residuals(sample, position, refractivity)
    n_common = common_events(np.isfinite(residual)) if n_common is None else n_common
    island = islands(n_common, min_common)
    if np.all(island == ALONE):
        most = np.max(n_common - np.diag(np.diag(n_common)), initial=0)
        raise InsufficientStatisticsError(
            f"no two telescopes have {min_common} events in common, the most are {most} (of "
            f"{len(sample)} events in the sample); give more, loosen the selection, or lower "
            "min_common_events"
        )
    offset = start_offsets(residual, n_common, min_common)
    common = np.zeros(N_COMMON)
    for _ in range(_ITERATIONS):
        before = offset, errors
        equations, new = [], errors
        for number in range(island.max() + 1):
            here = np.where(island == number, offset, np.nan)
            fit = event_fit(
                sample, position, here, common, errors, max_sigma=max_sigma,
                refractivity=refractivity,
            )  # fmt: skip
            equations.append(normal_equations(fit, here, common, sample.alt, sample.az))
            if fit_errors:
                new = _variance_components(fit, new, sample.curvature, number == 0)
        for number, of_island in enumerate(equations):
            members = (island == number) & of_island.seen
            if members.sum() < 2:
                continue
            found = array_offsets(of_island, members, prior)
            offset = np.where(members, found.offset, offset)
            common = found.common if number == 0 else common
        errors = new
        if _is_same(before, (offset, errors), equations):
            return StartValues(island, offset, common, errors, True)
    return StartValues(island, offset, common, errors, False)


def _variance_components(
    fit: EventFit, errors: TimingErrors, curvature: NDArray, with_direction: bool
) -> TimingErrors:
    """Errors of the telescopes of a fit, and of direction and curvature."""
    counts = fit.weight > 0
    freedom = np.sum(np.where(counts, 1 - fit.leverage, 0.0), axis=0)
    square = np.sum(fit.residual**2, axis=0)
    enough = freedom > 1.0
    telescope = np.where(enough, np.sqrt(square / np.where(enough, freedom, 1)), errors.telescope)
    telescope = np.where(telescope > 0, telescope, errors.telescope)
    direction, front = errors.direction, errors.curvature
    used = counts.sum(axis=1) >= 3  # two times say nothing of a direction without each other
    if with_direction and used.any():
        told = np.einsum("ekl,elk->ek", fit.covariance, fit.information)[used, 1:]
        step = fit.step[used, 1:] ** 2
        core = np.mean((curvature[used] * errors.core) ** 2)
        variance = np.sum(step[:, :2]) / max(np.sum(told[:, :2]), 1e-300) - core
        direction = float(np.sqrt(max(variance, _SHRINK * direction**2)))
        variance = np.sum(step[:, 2]) / max(np.sum(told[:, 2]), 1e-300)
        front = float(np.sqrt(max(variance, _SHRINK * front**2))) if np.any(told[:, 2]) else front
    return TimingErrors(telescope, direction, errors.core, front)


def _is_same(before: tuple, after: tuple, equations: list[NormalEquations]) -> bool:
    """Whether an iteration has changed nothing that matters.

    Errors of direction and curvature decide only weights; one that is 0 in truth is approached
    for ever.
    """
    weight = sum(np.diag(e.matrix)[: e.n_tel] for e in equations)
    moved = np.nan_to_num(after[0] - before[0]) * np.sqrt(weight)
    old, new = before[1], after[1]
    return bool(
        np.all(np.abs(moved) < _MOVED)
        and np.allclose(old.telescope, new.telescope, rtol=_CHANGE)
        and np.isclose(old.direction, new.direction, rtol=10 * _CHANGE)
    )


def block_equations(
    times: ShowerTimes,
    position: NDArray,
    start: StartValues,
    *,
    max_sigma: float = 4.0,
    refractivity: float = 0.0,
) -> tuple[list[NormalEquations], ImpactResiduals]:
    """Normal equations of some events, one for each island; add those of all chunks of a block.

    An event that telescopes of several islands saw counts for each on its own. Also the residuals
    by the impact distance.
    """
    result, residuals = [], impact_residuals(times, position, np.zeros_like(times.time), None)
    for number in range(start.island.max(initial=ALONE) + 1):
        offset = np.where(start.island == number, start.offset, np.nan)
        fit = event_fit(
            times, position, offset, start.common, start.errors, max_sigma=max_sigma,
            refractivity=refractivity,
        )  # fmt: skip
        result.append(normal_equations(fit, offset, start.common, times.alt, times.az))
        residuals = residuals + impact_residuals(times, position, fit.residual, fit.weight > 0)
    return result, residuals

"""Offsets of a night, or of many, from those of its observation blocks; telescopes that jump."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .graph import ALONE, islands
from .normal_equations import NormalEquations, total
from .timing import ArrayOffsets, array_offsets, in_gauge, survey_covariance

__all__ = ["ArrayTiming", "array_timing"]


@dataclass(frozen=True)
class ArrayTiming:
    """Offsets of all telescopes, over some observation blocks.

    Attributes
    ----------
    offset, stat_error, sys_error : ndarray, shape (n_tel,), ns
        NaN where `reason` is not empty and nothing can be said.
    stat_covariance, sys_covariance : ndarray, shape (n_tel, n_tel), ns^2
        0 between islands: their levels are not known, whatever the covariance.
    island : ndarray, shape (n_tel,), int
        As `calibpipe.array.graph.islands`.
    is_valid : ndarray, shape (n_tel,), bool
        Whether the offset may be used with those of all other valid telescopes.
    reason : list of str
        Why not; empty for a valid one.
    n_events, n_outliers : ndarray, shape (n_tel,), int
    n_by_azimuth : ndarray, shape (8,), int
        Events by sector of azimuth.
    common, common_error : ndarray, shape (3,)
        Of the first island: direction (rad) and curvature (logarithm).
    chi2 : float
    ndf : int
        Of all islands.
    """

    offset: NDArray
    stat_error: NDArray
    sys_error: NDArray
    stat_covariance: NDArray
    sys_covariance: NDArray
    island: NDArray
    is_valid: NDArray
    reason: list[str]
    n_events: NDArray
    n_outliers: NDArray
    n_by_azimuth: NDArray
    common: NDArray
    common_error: NDArray
    chi2: float
    ndf: int


def array_timing(
    blocks: Sequence[Sequence[NormalEquations]],
    prior: NDArray,
    *,
    names: Sequence[str],
    scatter: NDArray | None = None,
    height_error: float = 0.0,
    reference: int | None = None,
    min_common: int = 1,
    min_events: int = 1,
    max_jump: float = 5.0,
) -> ArrayTiming:
    """Offsets from the equations of some blocks.

    Islands of different blocks become one where they share telescopes. A telescope whose offset
    differs between blocks by more than `max_jump` standard deviations has no offset; it gets one
    of its own in every block, so that it does not pull at the others.

    Parameters
    ----------
    blocks : sequence of sequence of NormalEquations
        Of each block, one for each of its islands.
    prior : ndarray, shape (3,)
        As `array_offsets`.
    names : sequence of str
        Of the telescopes, for `reason`.
    scatter : ndarray, shape (n_tel,), ns, optional
        Systematic error of each telescope (`front_scatter`).
    height_error : float, m
        Of the surveyed telescopes (`survey_covariance`).
    reference : int, optional
        Place of the telescope whose offset is 0; the mean of the valid ones if not given.
    min_common, min_events : int
        Events that tie a pair; that a telescope needs.
    max_jump : float

    Raises
    ------
    InsufficientStatisticsError
        If no telescopes are tied, none has enough events, or the reference is not valid.
    ConfigurationError
        If the reference is not a telescope of the array.
    """
    names = list(names)
    n_tel = len(names)
    if reference is not None and not 0 <= reference < n_tel:
        raise ConfigurationError(
            f"the reference telescope {reference} is none of the {n_tel} telescopes of the array"
        )
    parts = [part for block in blocks for part in block]
    whole = total(parts)
    island = islands(whole.n_common, min_common)
    if np.all(island == ALONE):
        raise InsufficientStatisticsError(
            f"no two telescopes have {min_common} events in common that count; give more events"
        )
    main = 0 if reference is None else int(island[reference])
    reason = _reasons(whole, island, main, names, min_events)
    solved, jumps = {}, dict[int, str]()
    for number in range(island.max() + 1):
        of_island = [p for p in parts if np.any(p.seen & (island == number))]
        solved[number], found = _without_jumps(of_island, island == number, prior, max_jump)
        jumps |= found
    for tel, text in jumps.items():
        reason[tel] = reason[tel] or text
    valid = np.array([not text for text in reason])
    if reference is not None and not valid[reference]:
        raise InsufficientStatisticsError(
            f"the reference telescope {names[reference]} has no valid offset: {reason[reference]}; "
            "take another one or none"
        )
    if not valid.any():
        what = "; ".join(f"{n}: {r}" for n, r in zip(names, reason, strict=True))
        raise InsufficientStatisticsError(f"no telescope has a valid offset: {what}")
    sin_alt = whole.sin_alt / max(whole.n_events, 1)
    own = survey_covariance(n_tel, height_error, sin_alt)
    own += np.diag(np.zeros(n_tel) if scatter is None else np.nan_to_num(scatter) ** 2)
    return _assembled(solved, whole, island, valid, reason, own, reference)


def _reasons(
    whole: NormalEquations, island: NDArray, main: int, names: list[str], min_events: int
) -> list[str]:
    """Why telescopes are not valid, by what was seen."""
    reason = []
    for tel, n in enumerate(whole.n_of_telescope):
        if island[tel] == ALONE:
            text = "no events that count" if n == 0 else "tied to no other telescope"
        elif island[tel] != main:
            others = [names[k] for k in np.flatnonzero(island == island[tel]) if k != tel]
            text = f"island: only relative to {', '.join(others)}"
        elif n < min_events:
            text = f"{n} events that count, needs {min_events}"
        else:
            text = ""
        reason.append(text)
    return reason


def _without_jumps(
    parts: list[NormalEquations], members: NDArray, prior: NDArray, max_jump: float
) -> tuple[ArrayOffsets | None, dict[int, str]]:
    """Offsets of an island, and which telescopes have none for all blocks."""
    jumps: dict[int, str] = {}
    members = members.copy()
    parts = list(parts)
    alone = [_of_block(part, prior) for part in parts]
    while members.sum() >= 2:
        together = array_offsets(total(parts), members, prior)
        if len(parts) == 1:
            return together, jumps
        pull, span = _pulls(together, alone)
        worst = int(np.argmax(pull))
        if pull[worst] <= max_jump:
            return together, jumps
        jumps[worst] = f"differs between blocks by up to {span[worst]:.3g} ns"
        members[worst] = False
        parts = [part.without(worst) for part in parts]
    for tel in np.flatnonzero(members):
        jumps[int(tel)] = "no telescope is left that its offset could be told from"
    return None, jumps


def _of_block(part: NormalEquations, prior: NDArray) -> ArrayOffsets | None:
    if part.seen.sum() < 2:
        return None
    try:
        return array_offsets(part, part.seen, prior)
    except InsufficientStatisticsError:  # the block alone says nothing, and cannot contradict
        return None


def _pulls(together: ArrayOffsets, alone: Sequence[ArrayOffsets | None]) -> tuple[NDArray, NDArray]:
    """Largest difference of a telescope in a block from all blocks: in its errors, and in ns."""
    pull = np.zeros_like(together.offset)
    span = np.zeros_like(pull)
    for block in alone:
        if block is None:
            continue
        difference = block.offset - together.offset
        there = np.isfinite(difference)
        if there.sum() < 2:
            continue
        difference -= np.median(difference[there])
        error = np.sqrt(np.diag(block.stat_covariance) + np.diag(block.sys_covariance))
        pull[there] = np.maximum(pull[there], np.abs(difference[there]) / error[there])
        span[there] = np.maximum(span[there], np.abs(difference[there]))
    return pull, span


def _assembled(
    solved: dict[int, ArrayOffsets | None],
    whole: NormalEquations,
    island: NDArray,
    valid: NDArray,
    reason: list[str],
    own: NDArray,
    reference: int | None,
) -> ArrayTiming:
    n_tel = len(island)
    offset = np.full(n_tel, np.nan)
    stat, system = np.zeros((n_tel, n_tel)), np.zeros((n_tel, n_tel))
    common, common_error, chi2, ndf = np.zeros(3), np.full(3, np.nan), 0.0, 0
    for number, solution in solved.items():
        if solution is None:
            continue
        there = np.isfinite(solution.offset)
        best = valid & there if np.any(valid & there) else there
        weight = best.astype(float)
        if reference is not None and there[reference]:
            weight = np.arange(n_tel) == reference
        with_own = replace(solution, sys_covariance=solution.sys_covariance + own)
        found = in_gauge(with_own, weight.astype(float))
        block = np.ix_(there, there)
        offset[there] = found.offset[there]
        stat[block], system[block] = found.stat_covariance[block], found.sys_covariance[block]
        chi2, ndf = chi2 + found.chi2, ndf + found.ndf
        if number == 0:
            common, common_error = found.common, found.common_error
    known = np.isfinite(offset)
    return ArrayTiming(
        offset=offset,
        stat_error=np.where(known, np.sqrt(np.maximum(np.diag(stat), 0)), np.nan),
        sys_error=np.where(known, np.sqrt(np.maximum(np.diag(system), 0)), np.nan),
        stat_covariance=stat,
        sys_covariance=system,
        island=island,
        is_valid=valid,
        reason=reason,
        n_events=whole.n_of_telescope,
        n_outliers=whole.n_outliers,
        n_by_azimuth=whole.n_by_azimuth,
        common=common,
        common_error=common_error,
        chi2=chi2,
        ndf=ndf,
    )

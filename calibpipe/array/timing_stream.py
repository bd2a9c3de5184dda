"""Array timing of a stream of events: twice through it, in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import InsufficientStatisticsError
from .shower_front import SPEED_OF_LIGHT, shower_axis
from .shower_times import ShowerTimes, TimingErrors
from .timing_sample import EventSample
from .timing_start import StartValues, block_equations, start_values
from .timing_tables import TimedBlock

__all__ = ["BlockEvents", "TimingSettings", "timed_blocks", "with_plane_restored"]


@dataclass(frozen=True)
class BlockEvents:
    """Some events of one observation block.

    Attributes
    ----------
    obs_id : int
    begin, end : int
        TAI seconds since 1970 of the first and the last.
    times : ShowerTimes
    """

    obs_id: int
    begin: int
    end: int
    times: ShowerTimes


@dataclass(frozen=True)
class TimingSettings:
    """What the method has to be told.

    Attributes
    ----------
    errors : TimingErrors
        Of single events, to begin with.
    prior : ndarray, shape (3,)
        Widths of what all events have in common (`calibpipe.array.timing.array_offsets`).
    fit_errors : bool
    max_sigma : float
    refractivity : float
    min_common : int
        Events that tie a pair of telescopes.
    sample_size : int
        Events of a block that the start values are from.
    """

    errors: TimingErrors
    prior: NDArray
    fit_errors: bool = True
    max_sigma: float = 4.0
    refractivity: float = 0.0
    min_common: int = 1
    sample_size: int = 3000


def timed_blocks(
    stream: Callable[[], Iterator[BlockEvents]], position: NDArray, settings: TimingSettings
) -> tuple[list[TimedBlock], dict[int, str]]:
    """Blocks of a stream.

    Parameters
    ----------
    stream : callable
        Gives the same events each time it is called; those of a block may come in many pieces.
    position : ndarray, shape (n_tel, 3), m
    settings : TimingSettings

    Returns
    -------
    blocks : list of TimedBlock
        In the order of the stream.
    left_out : dict of int to str
        Blocks with too few events, and what is the matter.
    """
    samples: dict[int, EventSample] = {}
    for piece in stream():
        new = EventSample(len(position), settings.sample_size)
        samples.setdefault(piece.obs_id, new).add(piece.times)
    starts: dict[int, StartValues] = {}
    left_out: dict[int, str] = {}
    for obs_id, sample in samples.items():
        try:
            starts[obs_id] = _start(sample, position, settings)
        except InsufficientStatisticsError as error:
            left_out[obs_id] = str(error)
    samples.clear()
    blocks: dict[int, TimedBlock] = {}
    for piece in stream():
        if piece.obs_id in starts:
            _add(blocks, piece, position, starts[piece.obs_id], settings)
    return list(blocks.values()), left_out


def _start(sample: EventSample, position: NDArray, settings: TimingSettings) -> StartValues:
    """Start values of a block; its islands are those of all its events."""
    assert sample.times is not None  # blocks are of events
    return start_values(
        sample.times,
        position,
        settings.errors,
        settings.prior,
        n_common=sample.n_common,
        min_common=settings.min_common,
        fit_errors=settings.fit_errors,
        max_sigma=settings.max_sigma,
        refractivity=settings.refractivity,
    )


def _add(
    blocks: dict[int, TimedBlock],
    piece: BlockEvents,
    position: NDArray,
    start: StartValues,
    settings: TimingSettings,
) -> None:
    equations, residuals = block_equations(
        piece.times,
        position,
        start,
        max_sigma=settings.max_sigma,
        refractivity=settings.refractivity,
    )
    known = blocks.get(piece.obs_id)
    if known is None:
        blocks[piece.obs_id] = TimedBlock(
            piece.obs_id, piece.begin, piece.end, start.errors, start.is_converged,
            tuple(equations), residuals,
        )  # fmt: skip
        return
    blocks[piece.obs_id] = replace(
        known,
        begin=min(known.begin, piece.begin),
        end=max(known.end, piece.end),
        equations=tuple(a + b for a, b in zip(known.equations, equations, strict=True)),
        residuals=known.residuals + residuals,
    )


def with_plane_restored(
    time: NDArray, position: NDArray, alt: float, az: float, refractivity: float
) -> NDArray:
    r"""Times of clocks from times relative to a plane front along the pointing.

    sim_telarray subtracts from its trigger times the delay of a plane front along the direction
    that the array points to, :math:`-(1 + \eta)\,\hat m\vec r_j/c`. Real clocks do not.

    Parameters
    ----------
    time : ndarray, shape (n_events, n_tel), ns
    position : ndarray, shape (n_tel, 3), m
    alt, az : float, rad
        Of the pointing.
    refractivity : float
        That the simulation took, 2.28e-4 at CTAO's sites (speed of light 0.29972 m/ns).
    """
    axis, _, _ = shower_axis(np.array([alt]), np.array([az]))
    return time - (1 + refractivity) * (position @ axis[0]) / SPEED_OF_LIGHT

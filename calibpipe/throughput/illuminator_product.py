"""From levels of flashes and what is known of their source to the throughput of a telescope."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import Table
from astropy.time import Time
from numpy.typing import NDArray

from .illuminator import LightLevels
from .illuminator_chunks import (
    ChunkLimits,
    ThroughputChunk,
    flash_chunks,
    require_valid_chunk,
    throughput_chunk,
)
from .illuminator_source import IlluminatorSource

__all__ = ["IlluminatorThroughput", "illuminator_throughput"]

METHOD = "Illuminator"


@dataclass(frozen=True)
class IlluminatorThroughput:
    """Throughput of a telescope, of chunks and of flashes.

    Attributes
    ----------
    time : ndarray, shape (n_flashes,), s
        TAI since 1970-01-01.
    event_id : ndarray, shape (n_flashes,)
    throughput, stat_error : ndarray, shape (n_flashes,)
        Photoelectrons over photons; NaN where there is no number.
    levels : LightLevels
        Of the flashes.
    chunk : ndarray, shape (n_flashes,), int
        That a flash is in, -1 for none.
    chunks : list of ThroughputChunk
    systematics : dict of str to ndarray, shape (n_chunks,)
        Relative errors by name.
    n_off : int
        Flashes before the first period of the source or while it was off.
    """

    time: NDArray
    event_id: NDArray
    throughput: NDArray
    stat_error: NDArray
    levels: LightLevels
    chunk: NDArray
    chunks: list[ThroughputChunk]
    systematics: dict[str, NDArray]
    n_off: int

    @property
    def sys_error(self) -> NDArray:
        """Of each chunk, all names together."""
        relative = np.sqrt(sum(error**2 for error in self.systematics.values()))
        return np.array([chunk.mean for chunk in self.chunks]) * relative

    def remarks(self) -> list[str]:
        """Sentences about all that is not as it should be."""
        told = [chunk.remark for chunk in self.chunks if chunk.remark]
        if self.n_off:
            told.append(f"{self.n_off} flashes while the source was off or not known (left out)")
        return told

    def chunk_table(self, obs_id: int) -> Table:
        """One row a chunk."""
        rows = self.chunks
        table = Table(
            {
                "obs_id": np.full(len(rows), obs_id, np.uint64),
                "time_start": _times([row.time_start for row in rows]),
                "time_end": _times([row.time_end for row in rows]),
                "method": [METHOD] * len(rows),
            }
        )
        for name in ("n_events", "mean", "median", "std", "sem", "stat_error"):
            table[name] = [getattr(row, name) for row in rows]
        table["sys_error"] = self.sys_error
        for name, error in self.systematics.items():
            table[f"{name}_sys_error"] = table["mean"] * error
        more = ("expected_error", "chi2", "image_chi2", "n_unusable", "n_deformed", "n_outliers")
        for name in (*more, "is_valid"):
            table[name] = [getattr(row, name) for row in rows]
        return table

    def flash_table(self) -> Table:
        """One row a flash, to be compared with other telescopes (`matched_flashes`)."""
        return Table(
            {
                "event_id": self.event_id,
                "time": _times(self.time),
                "chunk": self.chunk,
                "throughput": self.throughput,
                "throughput_stat_error": self.stat_error,
                "level": self.levels.level,
                "level_stat_error": self.levels.stat_error,
                "image_chi2": self.levels.reduced_chi2,
                "n_pixels": self.levels.n_pixels,
                "n_saturated": self.levels.n_saturated,
            }
        )


def _times(seconds: object) -> Time:
    return Time(np.asarray(seconds, float), format="unix_tai", scale="tai")


def illuminator_throughput(
    time: NDArray,
    event_id: NDArray,
    levels: LightLevels,
    source: IlluminatorSource,
    *,
    mirror_area: u.Quantity,
    n_pixels: int,
    calibration: dict[str, float],
    limits: ChunkLimits | None = None,
    max_flashes: int = 500,
    chunk_duration: float | None = None,
    where: str = "this telescope",
) -> IlluminatorThroughput:
    """Throughput of the flashes of a source, flash by flash and chunk by chunk.

    Parameters
    ----------
    time, event_id : ndarray, shape (n_flashes,)
        TAI seconds since 1970-01-01, number of the event.
    levels : LightLevels
    source : IlluminatorSource
    mirror_area : Quantity, m²
    n_pixels : int
        Of the camera.
    calibration : dict of str to float
        Relative errors of the photoelectrons that all pixels have in common, by name.
    limits : ChunkLimits, optional
    max_flashes : int
    chunk_duration : float, s, optional
        See `flash_chunks`.
    where : str
        Telescope and observation, for messages.

    Raises
    ------
    InsufficientStatisticsError
        If no chunk is valid.
    """
    period = source.period_of(time)
    photons = source.photons_per_pixel(mirror_area, n_pixels)
    expected = np.where(period >= 0, photons[period], np.nan)
    throughput, stat_error = levels.level / expected, levels.stat_error / expected
    spread = np.hypot(stat_error, source.jitter[period] * throughput)
    members = flash_chunks(time, period, max_flashes=max_flashes, duration=chunk_duration)
    chunks = [
        throughput_chunk(time[i], throughput[i], spread[i], levels.reduced_chi2[i], limits)
        for i in members
    ]
    require_valid_chunk(chunks, where)
    chunk = np.full(time.size, -1)
    for number, i in enumerate(members):
        chunk[i] = number
    return IlluminatorThroughput(
        time,
        event_id,
        throughput,
        stat_error,
        levels,
        chunk,
        chunks,
        _systematics(members, period, levels, source, calibration),
        n_off=int(np.count_nonzero(period < 0)),
    )


def _systematics(
    members: list[NDArray],
    period: NDArray,
    levels: LightLevels,
    source: IlluminatorSource,
    calibration: dict[str, float],
) -> dict[str, NDArray]:
    """Relative systematic errors of each chunk."""
    periods = np.array([period[i[0]] for i in members])
    found = source.systematic_errors(**calibration)
    found = {name: error[periods] for name, error in found.items()}
    relative = levels.pixel_error / levels.level
    found["flatfield"] = np.array([_median(relative[i]) for i in members])
    return found


def _median(values: NDArray) -> float:
    good = values[np.isfinite(values)]
    return float(np.median(good)) if good.size else np.nan

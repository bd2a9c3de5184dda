"""Which observation blocks of a running night are complete: their files have come, none grows.

DL0 appears under its final name while it is written, and nothing says that a block is over. So the
folders are looked at again and again: a block is complete when its files have stayed as they are
for long enough, or since the look before if a later block of the same telescope has begun.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from .dl0 import FILE_NAME
from .dl0_files import block_of_file, event_paths

__all__ = ["Arrival", "Block", "arrivals", "complete_blocks", "files_of_blocks"]

Block = tuple[str, int]  # array element, number of the observation block
Files = dict[str, tuple[int, int]]  # size in bytes and time of change in ns by path
GONE = (-1, 0)  # a link to nowhere, or removed since it was listed


@dataclass(frozen=True)
class Arrival:
    """Files of a block as they were seen.

    Parameters
    ----------
    files : dict
        Size in bytes and time of change in ns of each file.
    since : float
        Unix time in s of the first look at which they were so.
    n_looks : int
        Looks in a row at which they were so.
    """

    files: Files
    since: float
    n_looks: int = 1

    @property
    def is_written(self) -> bool:
        """Whether all files have names of finished ones, and bytes."""
        return all(
            size > 0 and FILE_NAME.match(Path(path).name) for path, (size, _) in self.files.items()
        )


def files_of_blocks(
    root: str | Path, night: date, array_elements: Collection[str]
) -> dict[Block, Files]:
    """Telescope event files of a night by the block in their names; others are left out."""
    found: dict[Block, Files] = {}
    for element in array_elements:
        for path in event_paths(root, night, element):
            obs_id = block_of_file(path)
            if obs_id >= 0:
                found.setdefault((element, obs_id), {})[str(path)] = _state(path)
    return found


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return GONE
    return status.st_size, status.st_mtime_ns


def arrivals(
    before: Mapping[Block, Arrival], found: Mapping[Block, Files], now: float
) -> dict[Block, Arrival]:
    """What was seen until now, from what was seen before and the files that are there.

    Times of the files are compared with each other only: clocks of file servers may be wrong.
    """
    seen = {}
    for block, files in found.items():
        known = before.get(block)
        if known is not None and known.files == files:
            seen[block] = Arrival(files, known.since, known.n_looks + 1)
        else:
            seen[block] = Arrival(files, now)
    return seen


def complete_blocks(seen: Mapping[Block, Arrival], now: float, settle_in_s: float) -> list[Block]:
    """Blocks whose data are complete, sorted.

    # ASSUME: numbers of the observation blocks of a telescope grow with time.
    """
    latest: dict[str, int] = {}
    for element, obs_id in seen:
        latest[element] = max(obs_id, latest.get(element, obs_id))
    return sorted(
        (element, obs_id)
        for (element, obs_id), arrival in seen.items()
        if arrival.is_written
        and (
            now - arrival.since >= settle_in_s or (obs_id < latest[element] and arrival.n_looks > 1)
        )
    )

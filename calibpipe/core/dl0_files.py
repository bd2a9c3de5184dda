"""Which DL0 files of a night there are: the observatory's folders, and an index of them.

::

    DL0/<array element>/<user>/acada-adh/events/YYYY/MM/DD/TEL001_SDH000_..._CHUNK000.fits.fz

The folders carry the date of the evening.
"""

import re
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from astropy.table import QTable

from .dl0 import FILE_NAME, stream_sequences
from .dl0_camera import camera_configuration
from .dl0_checks import check_file
from .exceptions import (
    CalibPipeError,
    ConfigurationError,
    CorruptedInputError,
    MissingInputError,
)
from .telescope import array_element

__all__ = [
    "block_files",
    "block_of_file",
    "blocks",
    "event_paths",
    "index_of_night",
    "named_block",
]

EVENTS = "*/acada-adh/events/{:%Y/%m/%d}/TEL*"  # below the folder of a telescope
COLUMNS = {
    "array_element": str,
    "tel_id": int,
    "sb_id": int,
    "obs_id": int,
    "stream": str,
    "chunk": int,
    "path": str,
    "size": int,
    "problem": str,
}


def index_of_night(
    root: str | Path,
    night: date,
    array_elements: Sequence[str],
    only: Collection[tuple[str, int]] = (),
) -> QTable:
    """Index of the telescope event files of a night.

    Parameters
    ----------
    root : path
        Folder that contains ``DL0``.
    night : date
        Evening.
    array_elements : sequence of str
        Telescopes that are looked for.
    only : collection of (str, int)
        Telescope and number of the observation blocks whose files are taken, by the names of the
        files; all if it is empty. Others are not opened: they may be being written.

    Returns
    -------
    QTable
        One row a file, sorted by telescope, observation, stream and chunk: `array_element`,
        `tel_id`, `sb_id`, `obs_id`, `stream`, `chunk`, `path` (below `root`), `size` (bytes),
        `problem` (why it, or its observation, cannot be read; empty if it can). The numbers of a
        file whose configuration cannot be read are those of its name.

    Raises
    ------
    MissingInputError
        If there is no file of any of the telescopes, or of any of the blocks that are taken.
    """
    root = Path(root)
    rows = [
        _row(root, path, element)
        for element in array_elements
        for path in event_paths(root, night, element)
        if not only or (element, block_of_file(path)) in only
    ]
    if not rows:
        of_blocks = f", of the blocks {', '.join(f'{t} {n}' for t, n in sorted(only))}"
        pattern = EVENTS.format(night)
        raise MissingInputError(
            f"no DL0 of {', '.join(array_elements)} in the night {night}"
            f"{of_blocks if only else ''}: nothing like "
            f"{root}/DL0/{array_elements[0] if array_elements else '*'}/{pattern}; "
            f"look at data_roots.dl0{', dl0.blocks' if only else ''} and telescopes of the "
            "configuration"
        )
    for key in {(row["array_element"], row["obs_id"]) for row in rows}:
        _check_streams(root, [r for r in rows if (r["array_element"], r["obs_id"]) == key])
    rows.sort(key=lambda r: [r[n] for n in ("array_element", "obs_id", "stream", "chunk", "path")])
    return QTable({name: [row[name] for row in rows] for name in COLUMNS}, dtype=COLUMNS.values())


def event_paths(root: str | Path, night: date, array_element: str) -> list[Path]:
    """Telescope event files of a night and telescope by their names, finished or not."""
    return sorted((Path(root) / "DL0" / array_element).glob(EVENTS.format(night)))


def block_of_file(path: Path) -> int:
    """Number of the observation block in the name of a file, -1 if it has none."""
    return _number(path.name, "OBSID")


def named_block(text: str) -> tuple[str, int]:
    """Telescope and number of an observation block that is written as ``LSTN-01/OBSID3``.

    Raises
    ------
    ConfigurationError
        If it is not written so.

    >>> named_block("LSTN-01/OBSID3")
    ('LSTN-01', 3)
    """
    found = re.fullmatch(r"([A-Z]{3,4}-\d{2})/OBSID(\d+)", text)
    if found is None:
        raise ConfigurationError(f"{text!r} is no observation block: write it as LSTN-01/OBSID3")
    return found[1], int(found[2])


def _row(root: Path, path: Path, element: str) -> dict[str, Any]:
    """Row of a file, with what is wrong with the file itself."""
    name = FILE_NAME.match(path.name)
    row = {
        "array_element": element,
        "tel_id": int(name["tel_id"]) if name else -1,
        "sb_id": _number(path.name, "SBID"),
        "obs_id": block_of_file(path),
        "stream": name["stream"] if name else "",
        "chunk": int(name["chunk"]) if name else -1,
        "path": path.relative_to(root).as_posix(),
        "size": path.stat().st_size if path.is_file() else 0,
        "problem": "",
    }
    try:
        stream_sequences([path])
        check_file(path, with_events=True)
        camera = camera_configuration(path)
        owner = array_element(camera.tel_id)
    except CalibPipeError as error:
        return row | {"problem": str(error).replace(f"{root}/", "")}
    except Exception as error:  # whatever a damaged header makes the libraries raise
        return row | {
            "problem": f"{path.name} is damaged ({type(error).__name__}: {error}); get it again"
        }
    if element != owner:
        return row | {
            "problem": f"{path.name} is of telescope {camera.tel_id}, but lies in the folder of "
            f"{element}; put it where it belongs"
        }
    return row | {"tel_id": camera.tel_id, "sb_id": camera.sb_id, "obs_id": camera.obs_id}


def _number(name: str, key: str) -> int:
    """Number after a key in the name of a file, -1 if it has none."""
    found = re.search(rf"_{key}(\d+)", name)
    return int(found[1]) if found else -1


def _check_streams(root: Path, rows: list[dict[str, Any]]) -> None:
    """A stream or file that is missing is a problem of all files of the observation."""
    named = [root / row["path"] for row in rows if row["chunk"] >= 0]
    if not named:
        return
    try:
        stream_sequences(named)
    except (ConfigurationError, MissingInputError) as error:
        for row in rows:
            row["problem"] = row["problem"] or str(error)


def blocks(index: QTable) -> list[tuple[str, int]]:
    """Telescope and observation block of everything in an index, sorted.

    Files whose names tell no observation are left out: they are warnings of the index.
    """
    found = {(str(row["array_element"]), int(row["obs_id"])) for row in index}
    return sorted(block for block in found if block[1] >= 0)


def block_files(index: QTable, root: str | Path, array_element: str, obs_id: int) -> list[Path]:
    """Files of one telescope and observation block.

    Raises
    ------
    MissingInputError
        If the index has none.
    CorruptedInputError
        If one of them has a problem, or has changed its size since: all are told.
    """
    rows = [
        row for row in index if (row["array_element"], row["obs_id"]) == (array_element, obs_id)
    ]
    if not rows:
        there = ", ".join(f"{element} {number}" for element, number in blocks(index))
        raise MissingInputError(
            f"the index has no observation {obs_id} of {array_element}, only {there}"
        )
    paths = [Path(root) / str(row["path"]) for row in rows]
    problems = {str(row["problem"]) for row in rows if row["problem"]}
    for path, row in zip(paths, rows, strict=True):
        size = path.stat().st_size if path.is_file() else None
        if size != row["size"]:
            now = "is not there any more" if size is None else f"has {size} bytes now"
            problems.add(f"{path.name} had {row['size']} bytes in the index and {now}; index again")
    if problems:
        raise CorruptedInputError(
            f"observation {obs_id} of {array_element} cannot be read: "
            + "; ".join(sorted(problems))
        )
    return paths

"""What a DL0 file cannot be: told before its first event is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .exceptions import CorruptedInputError, MissingInputError

__all__ = ["check_file"]

EVENT_MESSAGE = "DL0v1.Telescope.Event"
# protobuf packages of the events of other data levels, by the names that protozfits knows
OTHER_LEVELS = {
    "R1": "R0 of an LST (the camera's own format, before the calibration by ACADA)",
    "ProtoR1": "R0 of an LST (the camera's own format, before the calibration by ACADA)",
    "DataModel": "R0 of a NectarCAM or DigiCam (the camera's own format)",
    "ProtoDataModel": "R0 of a NectarCAM or DigiCam (the camera's own format)",
    "R1v1": "R1",
    "CTAR1": "R1",
}
FITS_BLOCK = 2880  # bytes; FITS standard 4.0 (2018), 3.1
SUM_BLOCK = 1 << 18  # bytes: stays in the cache


@dataclass(frozen=True)
class _Table:
    """What the header of a FITS table says; positions in bytes, `end` as announced."""

    name: str | None
    message: str | None
    n_tiles: int
    start: int
    end: int
    is_closed: bool
    has_sum: bool


def check_file(path: str | Path, *, with_events: bool = False) -> None:
    """Complain about a file that cannot be read to its end as DL0 of one telescope.

    The library that unpacks the files answers a file that lacks its end with invented events, and
    damage inside a table with other numbers or a crash. So the size is compared with what the
    headers announce, and the FITS checksum of each table with its bytes.

    Parameters
    ----------
    path: path
    with_events: bool
        Check the sum of the events too, for which the whole file is read (0.2 ms a megabyte).

    Raises
    ------
    MissingInputError
        If there is no such file.
    CorruptedInputError
        If it is not FITS, not DL0 (R0 of a camera, R1, a subarray trigger stream), shorter than
        its headers say, still being written, or not what was written.

    References
    ----------
    FITS standard 4.0 (2018), 4.4.2.7 and appendix J (CHECKSUM).
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist; give an existing DL0 file")
    try:
        tables = _tables(path)
        _check_tables(path, tables)
        for table in tables:
            if with_events or table.name != "Events":
                _check_sum(path, table)
    except OSError as error:
        raise CorruptedInputError(
            f"{path.name} cannot be read: {error.strerror}; look at its permissions and its disk"
        ) from error


def _check_tables(path: Path, tables: list[_Table]) -> None:
    """Complain about tables that are not those of DL0, or not all there."""
    messages = {table.name: table.message for table in tables if table.name is not None}
    if messages.get("Events") != EVENT_MESSAGE:
        found = ", ".join(f"{table} of {message}" for table, message in messages.items())
        package = str(messages.get("Events")).partition(".")[0]
        raise CorruptedInputError(
            f"{path.name} is {OTHER_LEVELS.get(package, 'something else')}, not DL0: it has the "
            f"tables {found or 'none'}, needed is Events of {EVENT_MESSAGE}; give DL0 files"
        )
    for name in ("DataStream", "CameraConfiguration"):
        if name not in messages:
            raise CorruptedInputError(
                f"{path.name} has no table {name}, without which waveforms cannot be "
                "understood; get the file again"
            )
    size, end = path.stat().st_size, tables[-1].end
    if end > size:
        raise CorruptedInputError(
            f"{path.name} is truncated: {size} bytes of the {end} its headers announce; "
            "copy it again, or wait until the copy is complete"
        )
    if end < size or not tables[-1].is_closed:
        announced = sum(table.n_tiles for table in tables if table.name == "Events")
        raise CorruptedInputError(
            f"{path.name} is still being written: its headers announce {end} bytes and "
            f"{announced} tiles of events, it has {size} bytes; wait until it is closed"
        )


def _tables(path: Path) -> list[_Table]:
    """All tables of a file by their headers, the primary one included."""
    import warnings

    from astropy.io import fits

    tables: list[_Table] = []
    position, size = 0, path.stat().st_size
    with path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # judged here, with the name of the file
        while position < size:
            stream.seek(position)
            try:
                header = fits.Header.fromfile(stream, endcard=True)
                table = _table(header, position, stream.tell())
            except (OSError, EOFError, KeyError, TypeError, ValueError, fits.VerifyError) as error:
                if "Events" in [table.name for table in tables]:
                    break  # more bytes than the headers announce: told by the sizes
                raise CorruptedInputError(
                    f"{path.name} is no complete FITS file: no header at byte {position} of "
                    f"{size} ({str(error) or type(error).__name__}); it is still being written "
                    "or damaged: wait until it is closed, or copy it again"
                ) from error
            tables.append(table)
            position = table.end
    return tables


def _table(header: Any, start: int, data_start: int) -> _Table:
    sizes = [header[key] for key in ("NAXIS1", "NAXIS2", "PCOUNT")] if header["NAXIS"] else [0] * 3
    if not all(isinstance(value, int) and value >= 0 for value in sizes):
        raise ValueError(f"NAXIS1, NAXIS2, PCOUNT are {sizes}")
    end = data_start + sizes[0] * sizes[1] + sizes[2]
    return _Table(
        name=header.get("EXTNAME"),
        message=header.get("PBFHEAD"),
        n_tiles=sizes[1],
        start=start,
        end=-(-end // FITS_BLOCK) * FITS_BLOCK,
        is_closed="DATE-END" in header,
        has_sum="CHECKSUM" in header,
    )


def _check_sum(path: Path, table: _Table) -> None:
    """Header and data of a table with a checksum add up to zero, modulo 2**32 - 1."""
    # ASSUME: every table has a checksum: protozfits writes it when the table is closed
    if not table.has_sum:
        raise CorruptedInputError(
            f"{path.name}: table {table.name or 'PRIMARY'} has no CHECKSUM, damage would not be "
            "seen; get the file again"
        )
    block = np.empty(SUM_BLOCK, np.uint8)
    total = 0
    with path.open("rb", buffering=0) as stream:
        stream.seek(table.start)
        for position in range(table.start, table.end, SUM_BLOCK):
            part = block[: min(SUM_BLOCK, table.end - position)]
            if stream.readinto(part) != len(part):
                raise CorruptedInputError(
                    f"{path.name} became shorter than {table.end} bytes while it was read; "
                    "copy it again"
                )
            total += int(part.view(">u4").sum(dtype=np.uint64))
    if total % 0xFFFFFFFF:
        raise CorruptedInputError(
            f"{path.name} is damaged: the bytes {table.start} to {table.end} (table "
            f"{table.name or 'PRIMARY'}) do not fit their FITS checksum; get the file again"
        )

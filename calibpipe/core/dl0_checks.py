"""What a DL0 file cannot be: told before its first event is read."""

from pathlib import Path
from typing import Any

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


def check_file(path: str | Path) -> None:
    """Complain about a file that cannot be read to its end as DL0 of one telescope.

    The library that unpacks the files answers a file that lacks its end with invented events,
    so the size is compared with what the headers announce.

    Raises
    ------
    MissingInputError
        If there is no such file.
    CorruptedInputError
        If it is not FITS, not DL0 (R0 of a camera, R1, a subarray trigger stream), shorter than
        its headers say, or still being written.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist; give an existing DL0 file")
    try:
        headers, end = _headers(path)
        size = path.stat().st_size
    except OSError as error:
        raise CorruptedInputError(
            f"{path.name} cannot be read: {error.strerror}; look at its permissions and its disk"
        ) from error
    messages = {h["EXTNAME"]: h.get("PBFHEAD") for h in headers if "EXTNAME" in h}
    if messages.get("Events") != EVENT_MESSAGE:
        found = ", ".join(f"{table} of {message}" for table, message in messages.items())
        package = str(messages.get("Events")).partition(".")[0]
        raise CorruptedInputError(
            f"{path.name} is {OTHER_LEVELS.get(package, 'something else')}, not DL0: it has the "
            f"tables {found or 'none'}, needed is Events of {EVENT_MESSAGE}; give DL0 files"
        )
    for table in ("DataStream", "CameraConfiguration"):
        if table not in messages:
            raise CorruptedInputError(
                f"{path.name} has no table {table}, without which waveforms cannot be "
                "understood; get the file again"
            )
    announced = sum(h["NAXIS2"] for h in headers if h.get("EXTNAME") == "Events")
    if end > size:
        raise CorruptedInputError(
            f"{path.name} is truncated: {size} bytes of the {end} its headers announce; "
            "copy it again, or wait until the copy is complete"
        )
    if end < size or "DATE-END" not in headers[-1]:
        raise CorruptedInputError(
            f"{path.name} is still being written: its headers announce {end} bytes and "
            f"{announced} tiles of events, it has {size} bytes; wait until it is closed"
        )


def _headers(path: Path) -> tuple[list[Any], int]:
    """All FITS headers of a file and the position of its announced end in bytes."""
    import warnings

    from astropy.io import fits

    headers, position, size = [], 0, path.stat().st_size
    with path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # judged here, with the name of the file
        while position < size:
            stream.seek(position)
            try:
                header = fits.Header.fromfile(stream, endcard=True)
                data = header["NAXIS"] and header["NAXIS1"] * header["NAXIS2"] + header["PCOUNT"]
            except (OSError, EOFError, KeyError, ValueError, fits.VerifyError) as error:
                if headers and "Events" in [h.get("EXTNAME") for h in headers]:
                    break  # more bytes than the headers announce: told by the sizes
                raise CorruptedInputError(
                    f"{path.name} is no complete FITS file: no header at byte {position} of "
                    f"{size} ({str(error) or type(error).__name__}); it is still being written "
                    "or damaged: wait until it is closed, or copy it again"
                ) from error
            headers.append(header)
            position = -(-(stream.tell() + data) // FITS_BLOCK) * FITS_BLOCK
    return headers, position

"""Tables that people write: ECSV files without a header of ours."""

from pathlib import Path

from astropy.table import QTable

from .exceptions import CorruptedInputError, MissingInputError

__all__ = ["read_ecsv"]


def read_ecsv(path: str | Path, what: str) -> QTable:
    """Table of an ECSV file.

    Parameters
    ----------
    path : path
    what : str
        What it holds, for messages.

    Raises
    ------
    MissingInputError
        If there is no such file.
    CorruptedInputError
        If it is no ECSV.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist: give the {what}")
    try:
        return QTable.read(path, format="ascii.ecsv")
    except Exception as error:  # whatever the parser raises means the same to the user
        raise CorruptedInputError(
            f"{path} is no ECSV table ({what}): {type(error).__name__}: {error}"
        ) from error

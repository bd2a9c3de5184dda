"""Whether a file of the archive is what was stored."""

from pathlib import Path

from ..core.exceptions import CorruptedInputError, MissingInputError
from ..core.files import sha256
from .history import products
from .lookup import Certified, product_path
from .repository import Archive

__all__ = ["check_stored", "check_sum"]


def check_sum(path: Path, expected: str, what: str) -> None:
    """Refuse a file that is not what was stored.

    Raises
    ------
    CorruptedInputError
        With both checksums.
    """
    found = sha256(path)
    if found != expected:
        raise CorruptedInputError(
            f"{what} has the checksum {found[:12]}..., its record says {expected[:12]}...: it was "
            "changed or damaged; get it again"
        )


def check_stored(archive: Archive, found: Certified, path: Path) -> None:
    """Refuse a file of the archive, or a copy of it, that is not what was stored.

    Raises
    ------
    MissingInputError
        If it is not there.
    CorruptedInputError
        If its checksum is another one.
    """
    (record,) = products(archive, id=str(found.product_id))
    what = f"{product_path(archive, found.product_id)} of the archive"
    if not path.is_file():
        raise MissingInputError(f"{what} is not there: bring it back from a copy of the archive")
    check_sum(path, record["sha256"], what)

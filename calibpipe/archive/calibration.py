"""A calibration for a moment, as tables: from the archive to numbers in three lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from astropy.table import Table
from astropy.time import Time

from ..core.exceptions import ConfigurationError
from ..core.products import read_json, read_table
from .checksum import check_stored
from .lookup import Certified, lookup, product_path
from .repository import Archive, open_archive
from .validity import moment

__all__ = ["Calibration", "get"]

COEFFICIENTS = "camera/coefficients"
_INSTRUMENT = "/configuration"  # of HDF5 files: the subarray, which is no calibration


@dataclass(frozen=True)
class Calibration:
    """A certified product with the time for which it holds; its content is read when asked for.

    Parameters
    ----------
    certified : Certified
        What the lookup found.
    path : Path
        File in the archive: to be read, never written.
    """

    certified: Certified
    path: Path

    @property
    def begin(self) -> Time | None:
        """Begin of the validity (TAI), which belongs to it; None: unbounded."""
        return self.certified.validity.times[0]

    @property
    def end(self) -> Time | None:
        """End of the validity (TAI), which does not belong to it; None: open."""
        return self.certified.validity.times[1]

    @property
    def category(self) -> str:
        """``C``, ``B`` or ``reference``."""
        return self.certified.collection.split("/")[-2]

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Tables of the product: by node of an HDF5 file, else ``""``; a document has none."""
        if self.path.suffix == ".ecsv":
            return {"": read_table(self.path, self.certified.kind)}
        if self.path.suffix in (".h5", ".hdf5"):
            return _hdf5_tables(self.path, self.certified.kind)
        return {}

    @cached_property
    def table(self) -> Table:
        """The table of a product that has one; all columns of coefficients of a camera.

        Raises
        ------
        ConfigurationError
            If the product has several tables, or none; names them.
        """
        if self.certified.kind == COEFFICIENTS:
            from ..core.monitoring_file import read_camera_coefficients
            from ..core.product_header import read_product_header

            return read_camera_coefficients(self.path, read_product_header(self.path).own["tel_id"])
        if len(self.tables) != 1:
            told = ", ".join(self.tables) or "none: take .document or .path"
            raise ConfigurationError(
                f"{self.certified.kind} is no product of one table; .tables has {told}"
            )
        return next(iter(self.tables.values()))

    @cached_property
    def document(self) -> dict[str, Any]:
        """Content of a JSON product.

        Raises
        ------
        ConfigurationError
            If it is none.
        """
        if self.path.suffix != ".json":
            raise ConfigurationError(f"{self.path} is no document: take .table or .tables")
        return dict(read_json(self.path, self.certified.kind)["content"])

    def __repr__(self) -> str:
        return f"<Calibration {self.certified.kind} {self.certified}>"


def get(
    archive: Archive | str | Path,
    kind: str,
    site: str,
    telescope: str | None,
    time: Time | str,
    *,
    category: str | None = None,
    season: str | None = None,
) -> Calibration:
    """The calibration that holds at a time: one, or an error that says what is there instead.

    >>> found = get("archive", "camera/coefficients", "CTAO-North", "LSTN-01",
    ...             "2024-07-10T22:00:00")                                      # doctest: +SKIP
    >>> found.table["gain"][0, 0].mean(), found.end                             # doctest: +SKIP

    Parameters
    ----------
    archive : Archive or path
        Folder of the archive, or the open archive for many questions.
    kind : str
        ``camera/coefficients``.
    site : str
    telescope : str or None
        Array element; None for kinds that are kept for the site.
    time : Time or str
        Moment; a text is UTC.
    category : str
        ``B``, ``C`` or ``reference``; None searches C, then B, then reference.
    season : str
        Of reference atmospheres.

    Raises
    ------
    NoValidProductError
        If nothing holds; names the nearest validities.
    ConfigurationError
        If the archive does not know the site, telescope or kind, or the time is none.
    MissingInputError
        If there is no archive, or the file is not in it.
    CorruptedInputError
        If the file in the archive is not what was certified.
    """
    opened = archive if isinstance(archive, Archive) else open_archive(archive)
    when = time if isinstance(time, Time) else moment(time)
    found = lookup(opened, kind, site, when, telescope=telescope, season=season, category=category)
    path = product_path(opened, found.product_id)
    check_stored(opened, found, path)
    return Calibration(found, path)


def _hdf5_tables(path: Path, kind: str) -> dict[str, Table]:
    from ..core.hdf5_tables import read_hdf5_table
    from ..core.monitoring_file import open_hdf5

    with open_hdf5(path, kind) as h5file:
        nodes = [node._v_pathname for node in h5file.walk_nodes("/", "Table")]
        return {node: read_hdf5_table(h5file, node) for node in nodes if _INSTRUMENT not in node}

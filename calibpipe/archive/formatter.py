"""How the archive reads its products: tables, documents, files."""

import json
from pathlib import Path
from typing import Any

from astropy.table import QTable
from lsst.daf.butler import FormatterV2

__all__ = ["ProductFormatter"]


class ProductFormatter(FormatterV2):
    """Product as the archive keeps it: the very file that was made, never written anew.

    An ECSV file is read to a `~astropy.table.QTable`, JSON to a dict; of any other format the path
    of the file is the answer, since ctapipe reads HDF5 files by their path.
    """

    can_read_from_local_file = True
    supported_extensions = frozenset(
        {".ecsv", ".json", ".h5", ".hdf5", ".parquet", ".fits", ".csv", ".dat"}
    )

    def read_from_local_file(
        self, path: str, component: str | None = None, expected_size: int = -1
    ) -> Any:
        """Content of a product."""
        suffix = Path(path).suffix
        if suffix == ".ecsv":
            return QTable.read(path, format="ascii.ecsv")
        if suffix == ".json":
            return json.loads(Path(path).read_text())
        return Path(path)

"""Data products: CTAO reference metadata, atomic writing, reading back, content hash.

A small table is an ECSV file. Its header holds the flat ``CTA ...`` keys of CTAO's reference
metadata (readable by `ctapipe.io.metadata.Reference.from_dict`) and one nested ``calibpipe``
entry: kind, status, site, night, category, validity, software, configuration digest, inputs.
"""

import hashlib
import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable
from astropy.time import Time

from .. import __version__
from .code_version import software_versions
from .columns import require_columns
from .exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from .files import atomic_path, sha256

__all__ = [
    "ProductMetadata",
    "content_hash",
    "digest",
    "read_table",
    "repeatable",
    "write_json",
    "write_table",
]

DATA_MODEL_VERSION = "1.0.0"
COMPLETE = "COMPLETE"

_NAMESPACE = uuid.UUID("cbc7a23b-216c-4d40-b46a-3e6c85157be7")  # of product identifiers
_HASH_FORMAT = "%.5e"  # six significant digits: processors and libraries differ from the 13th on

# What a repetition of the same calculation may change. None of it is in a content hash.
_OF_THE_RUN = (
    "CTA PRODUCT CREATION TIME",
    "CTA PRODUCT ID",  # follows from the hash
    "CTA ACTIVITY ID",
    "CTA ACTIVITY START TIME",
    "CTA ACTIVITY STOP TIME",
    "CTA ACTIVITY SOFTWARE VERSION",
    "CTA CONTACT NAME",
    "CTA CONTACT EMAIL",
    "CTA CONTACT ORGANIZATION",
)
# The five layers are a least-squares fit to the column `thickness`, which is in the hash. The fit
# is ill-conditioned: the last bit of a thickness moves its parameters in the seventh digit.
_HEADER_OF_THE_RUN = ("software", "run", "five_layers")
_CONTENT_OF_THE_RUN = ("retrieved",)


def digest(value: Any) -> str:
    """SHA-256 of a JSON-like value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _without(value: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: entry for key, entry in value.items() if key not in keys}


def repeatable(document: dict[str, Any]) -> dict[str, Any]:
    """What a repetition on another machine has in common with a document or header.

    Without times, software and places; floats as text of six digits.
    """
    kept = _without(document, _OF_THE_RUN)
    if "calibpipe" in kept:
        kept["calibpipe"] = _without(kept["calibpipe"], _HEADER_OF_THE_RUN)
    if isinstance(kept.get("content"), dict):
        kept["content"] = _without(kept["content"], _CONTENT_OF_THE_RUN)
    return _stable(kept)


def _document_hash(document: dict[str, Any]) -> str:
    return digest(repeatable(document))


def _stable(value: Any) -> Any:
    """Floats as text of six digits; of a file with a checksum its place is left out.

    A file that is itself a product counts by its identifier, not by its bytes (creation time).
    """
    if isinstance(value, dict):
        left_out: tuple[str, ...] = ("path",) if "sha256" in value else ()
        left_out += ("sha256",) if "product_id" in value else ()
        return {key: _stable(entry) for key, entry in value.items() if key not in left_out}
    if isinstance(value, list | tuple):
        return [_stable(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return _HASH_FORMAT % (value + 0.0)  # no negative zero
    return value


@dataclass(frozen=True)
class ProductMetadata:
    """What every product says of itself.

    Parameters
    ----------
    kind : str
        Product kind, the stem of its path (``atmosphere/density_profile``).
    description : str
        One line for people.
    site, night, category : str or None
        Keys of the product; None for a product that is not of one night.
    validity : tuple of Time or None
        Proposed validity ``[begin, end)``; written in TAI and UTC.
    activity : dict
        ``name``, ``id``, ``start`` of the activity that made it.
    configuration : dict
        Configuration of the Tool as run; its digest goes into the header.
    inputs : tuple of (str, Path)
        Role and path of every input; the checksum goes into the header.
    status : str
        ``COMPLETE``, or why the product is not.
    details : dict
        Further facts of this kind of product, JSON-like.
    run : dict
        What it takes to make the product again; says nothing about its content.
    """

    kind: str
    description: str
    site: str | None = None
    night: str | None = None
    category: str | None = None
    validity: tuple[Time, Time] | None = None
    activity: dict[str, str] = field(default_factory=dict)
    configuration: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[tuple[str, Path], ...] = ()
    status: str = COMPLETE
    details: dict[str, Any] = field(default_factory=dict)
    contact: dict[str, str] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)

    def calibpipe_header(self) -> dict[str, Any]:
        """Nested header of our own."""
        validity = None
        if self.validity is not None:
            names = ("begin", "end")
            validity = {f"{n}_tai": t.tai.isot for n, t in zip(names, self.validity, strict=True)}
            validity |= {f"{n}_utc": t.utc.isot for n, t in zip(names, self.validity, strict=True)}
        return {
            "kind": self.kind,
            "status": self.status,
            "site": self.site,
            "night": self.night,
            "category": self.category,
            "validity": validity,
            "configuration": self.configuration,
            "configuration_digest": digest(self.configuration),
            "inputs": [
                {"role": role, "path": _portable(path), "sha256": sha256(path)} | _identity(path)
                for role, path in self.inputs
            ],
            "software": software_versions(),
            "run": self.run,
            **self.details,
        }

    def header(self) -> dict[str, Any]:
        """Both headers; the identifier is given when the content is known."""
        own = json.loads(json.dumps(self.calibpipe_header(), default=str))
        return self.reference_header() | {"calibpipe": own}

    def reference_header(self) -> dict[str, str]:
        """Flat ``CTA ...`` header (CTAO reference metadata, version 1)."""
        now = datetime.now(UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
        activity = {"name": "unknown", "id": "", "start": now} | self.activity
        contact = {"name": "unknown", "email": "unknown", "organization": "unknown"} | self.contact
        return {
            "CTA REFERENCE VERSION": "1",
            "CTA CONTACT NAME": contact["name"],
            "CTA CONTACT EMAIL": contact["email"],
            "CTA CONTACT ORGANIZATION": contact["organization"],
            "CTA PRODUCT DESCRIPTION": self.description,
            "CTA PRODUCT CREATION TIME": now,
            "CTA PRODUCT ID": "",
            "CTA PRODUCT DATA CATEGORY": self.category or "Other",
            "CTA PRODUCT DATA LEVELS": "",
            "CTA PRODUCT DATA ASSOCIATION": "Other",
            "CTA PRODUCT DATA MODEL NAME": f"calibpipe/{self.kind}",
            "CTA PRODUCT DATA MODEL VERSION": DATA_MODEL_VERSION,
            "CTA PRODUCT DATA MODEL URL": "unknown",
            "CTA PRODUCT FORMAT": "ecsv",
            "CTA PROCESS TYPE": "Other",
            "CTA PROCESS SUBTYPE": "calibration",
            "CTA PROCESS ID": self.night or "",
            "CTA ACTIVITY NAME": activity["name"],
            "CTA ACTIVITY TYPE": "software",
            "CTA ACTIVITY ID": activity["id"],
            "CTA ACTIVITY START TIME": activity["start"],
            "CTA ACTIVITY STOP TIME": now,
            "CTA ACTIVITY SOFTWARE NAME": "calibpipe",
            "CTA ACTIVITY SOFTWARE VERSION": __version__,
            "CTA INSTRUMENT SITE": self.site or "Other",
            "CTA INSTRUMENT CLASS": "Array",
            "CTA INSTRUMENT TYPE": "unspecified",
            "CTA INSTRUMENT SUBTYPE": "unspecified",
            "CTA INSTRUMENT VERSION": "unspecified",
            "CTA INSTRUMENT ID": "unspecified",
        }


def _portable(path: Path) -> str:
    """Path relative to the working folder where it lies inside, so that nights can be moved."""
    path = Path(path).resolve()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


_PRODUCT_ID = re.compile(r"CTA PRODUCT ID\W+([0-9a-f]{8}-[0-9a-f-]{27})")


def _identity(path: Path) -> dict[str, str]:
    """Identifier of an input that is itself a product; empty for any other file."""
    if Path(path).suffix in (".h5", ".hdf5"):
        return _hdf5_identity(path)
    if Path(path).suffix not in (".ecsv", ".json"):
        return {}
    with Path(path).open(errors="replace") as stream:
        found = _PRODUCT_ID.search(stream.read(4000))
    return {"product_id": found[1]} if found else {}


def _hdf5_identity(path: Path) -> dict[str, str]:
    import tables

    if not tables.is_hdf5_file(path):
        return {}
    with tables.open_file(path) as h5file:
        attributes = h5file.root._v_attrs
        found = "CTA PRODUCT ID" in attributes and "calibpipe" in attributes
        return {"product_id": str(attributes["CTA PRODUCT ID"])} if found else {}


def _product_id(content: str) -> str:
    """Identifier of a product: same content hash, same identifier."""
    return str(uuid.uuid5(_NAMESPACE, content))


def _columns(table: QTable) -> dict[str, list[Any]]:
    """Unit, shape and values of each column, for the hash."""
    columns = {}
    for name in table.colnames:
        column = table[name]
        unit = getattr(column, "unit", None)
        values = np.asarray(column.value if hasattr(column, "value") else column)
        columns[name] = [str(unit or ""), str(values.shape), values.ravel().tolist()]
    return columns


def write_table(path: str | Path, table: QTable, metadata: ProductMetadata) -> Path:
    """Write a table with its metadata as ECSV, complete or not at all.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    ValueError
        If the columns are not those that are declared for the kind (`columns`).
    """
    path = Path(path)
    require_columns(metadata.kind, {"": table})
    out = table.copy(copy_data=False)
    out.meta = metadata.header()
    out.meta["CTA PRODUCT ID"] = _product_id(
        _document_hash(out.meta | {"columns": _columns(table)})
    )
    with atomic_path(path) as temporary:
        out.write(temporary, format="ascii.ecsv", overwrite=True)
    return path


def write_json(path: str | Path, content: dict[str, Any], metadata: ProductMetadata) -> Path:
    """Write a JSON product: the headers and `content` under its own key."""
    document = metadata.header() | {"CTA PRODUCT FORMAT": "json"}
    document["content"] = json.loads(json.dumps(content, default=str))
    document["CTA PRODUCT ID"] = _product_id(_document_hash(document))
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n")
    return Path(path)


def read_json(path: str | Path, kind: str) -> dict[str, Any]:
    """Document of a JSON product, checked to be of one kind and complete.

    Raises
    ------
    MissingInputError, CorruptedInputError, ConfigurationError
        As `read_table`.
    """
    path = _existing(path, kind)
    try:
        document = json.loads(path.read_text())
        header = document["calibpipe"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptedInputError(f"{path} is no product of CalibPipe: {error!r}") from error
    _check_header(path, kind, header)
    return document


def read_table(path: str | Path, kind: str) -> QTable:
    """Table of a product, checked to be of one kind and complete.

    Raises
    ------
    MissingInputError
        If there is no such file, or the product says that it is not complete.
    CorruptedInputError
        If the file is no readable ECSV product.
    ConfigurationError
        If it is a product of another kind.
    """
    path = _existing(path, kind)
    try:
        table = QTable.read(path, format="ascii.ecsv")
        header = table.meta["calibpipe"]
    except Exception as error:  # whatever the parser raises means the same to the user
        raise CorruptedInputError(
            f"{path} is no product of CalibPipe: {type(error).__name__}: {error}"
        ) from error
    _check_header(path, kind, header)
    return table


def _existing(path: str | Path, kind: str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist: make the product {kind!r} first")
    return path


def _check_header(path: Path, kind: str, header: dict[str, Any]) -> None:
    if header["kind"] != kind:
        raise ConfigurationError(f"{path} is a product {header['kind']!r}, needs {kind!r}")
    if header["status"] != COMPLETE:
        raise MissingInputError(f"{path} is not complete: {header['status']}")


def content_hash(path: str | Path) -> str:
    """Hash of a product's content without creation times, software versions and paths.

    Floats count with six significant digits, so that same input and configuration give the same
    hash on machines with other processors; those of HDF5 tables (float32, large) with all of
    theirs. The product's identifier is made from it.
    """
    path = Path(path)
    if path.suffix in (".h5", ".hdf5"):
        from .hdf5_content import hdf5_content_hash

        return hdf5_content_hash(path)
    if path.suffix == ".json":
        return _document_hash(json.loads(path.read_text()))
    table = QTable.read(path, format="ascii.ecsv")
    return _document_hash(dict(table.meta) | {"columns": _columns(table)})

"""What a product says of itself, whatever its format."""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from astropy.time import Time

from .exceptions import CorruptedInputError, MissingInputError
from .files import sha256

__all__ = ["ProductHeader", "foreign_header", "read_product_header"]

_FOREIGN = uuid.UUID("8f0e5a0c-61a2-4f1e-9d3f-0d4a2c1c7b55")  # of identifiers of others' files


@dataclass(frozen=True)
class ProductHeader:
    """Keys, validity and inputs of a product.

    Parameters
    ----------
    path : Path
        The file.
    product_id : UUID
        Same content, same identifier.
    kind : str
        ``camera/coefficients``.
    status : str
        ``COMPLETE``, or why it is not.
    site, night, category : str or None
        Keys; None for a product that is not of one night.
    array_element : str or None
        Telescope.
    obs_id : int or None
        Observation block.
    validity : tuple of Time or None
        Proposed validity ``[begin, end)`` in TAI.
    inputs : tuple of dict
        ``role``, ``path``, ``sha256`` and, of products, ``product_id``.
    own : dict
        The whole ``calibpipe`` header.
    """

    path: Path
    product_id: uuid.UUID
    kind: str
    status: str
    site: str | None
    night: str | None
    category: str | None
    array_element: str | None
    obs_id: int | None
    validity: tuple[Time, Time] | None
    inputs: tuple[dict[str, Any], ...]
    own: dict[str, Any]

    @property
    def block(self) -> str:
        """Observation block as in paths, ``OBSID5``; empty if there is none."""
        return f"OBSID{self.obs_id}" if self.obs_id is not None else ""


def read_product_header(path: str | Path) -> ProductHeader:
    """Header of a product: ECSV, JSON or HDF5; the content is not read.

    Raises
    ------
    MissingInputError
        If there is no such file.
    CorruptedInputError
        If it is no product of CalibPipe.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist: make the product first")
    try:
        flat, own = _READERS[path.suffix](path)
        return _header(path, uuid.UUID(flat["CTA PRODUCT ID"]), own)
    except Exception as error:  # whatever a parser raises means the same to the user
        raise CorruptedInputError(
            f"{path} is no product of CalibPipe: {type(error).__name__}: {error}"
        ) from error


def foreign_header(path: str | Path, kind: str, **keys: Any) -> ProductHeader:
    """Header for a file that is not ours: keys as given, identifier from its bytes and keys.

    Raises
    ------
    MissingInputError
        If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist")
    values = dict.fromkeys(("site", "night", "category", "array_element", "obs_id")) | keys
    name = json.dumps([kind, sha256(path), values], sort_keys=True)
    product_id = uuid.uuid5(_FOREIGN, name)
    return ProductHeader(
        path, product_id, kind, "COMPLETE", validity=None, inputs=(), own={}, **values
    )


def _header(path: Path, product_id: uuid.UUID, own: dict[str, Any]) -> ProductHeader:
    validity = own["validity"]
    if validity is not None:
        validity = tuple(Time(validity[f"{end}_tai"], scale="tai") for end in ("begin", "end"))
    return ProductHeader(
        path=path,
        product_id=product_id,
        kind=own["kind"],
        status=own["status"],
        site=own["site"],
        night=own["night"],
        category=own["category"],
        array_element=own.get("array_element"),
        obs_id=own.get("obs_id"),
        validity=validity,
        inputs=tuple(own["inputs"]),
        own=own,
    )


def _ecsv_header(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    lines = []
    with path.open() as stream:
        for line in stream:
            if not line.startswith("#"):
                break
            lines.append(line[2:])
    meta = yaml.load("".join(lines[1:]), Loader=_Loader)["meta"]
    return meta, meta["calibpipe"]


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """Loader of ECSV headers; ordered mappings and astropy's tags of columns are plain here."""


def _ordered(loader: yaml.Loader, node: yaml.Node) -> dict[str, Any]:
    entries: dict[Any, Any] = {}
    for mapping in node.value:
        entries |= loader.construct_mapping(mapping, deep=True)
    return entries


def _plain(loader: yaml.Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:omap", _ordered)
_Loader.add_multi_constructor("!", _plain)


def _json_header(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    document = json.loads(path.read_text())
    return document, document["calibpipe"]


def _hdf5_header(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    import tables

    with tables.open_file(path) as h5file:
        attributes = h5file.root._v_attrs
        flat = {name: attributes[name] for name in attributes._f_list()}
    return flat, json.loads(str(flat["calibpipe"]))


_READERS = {".ecsv": _ecsv_header, ".json": _json_header, ".h5": _hdf5_header}

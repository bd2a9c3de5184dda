"""What is there, what was done, what was used, what has to be made again."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import astropy.units as u
from astropy.time import Time
from lsst.daf.butler import DimensionRecord

from ..core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from ..core.product_header import read_product_header
from .errors import NoValidProductError
from .kinds import kind_of, kinds
from .lookup import Certified, certified
from .repository import Archive, uses_database
from .validity import Interval

__all__ = [
    "affected",
    "calibrations_of",
    "changes",
    "last_validities",
    "overdue",
    "product_record",
    "products",
]

_MERGED = re.compile(r"; of products ([0-9a-f-]{36}) and ([0-9a-f-]{36})$")  # `export_monitoring`


@uses_database
def products(archive: Archive, **wanted: str | Sequence[str] | None) -> list[dict[str, Any]]:
    """Products of the archive, in the order in which they were stored.

    Parameters
    ----------
    **wanted : str or sequence of str
        ``id``, ``site``, ``kind``, ``category``, ``night_name``, ``array_element``, ``block``;
        None: any, several: one of them (not of sites and kinds).
    """
    if wanted.get("kind"):
        kind_of(str(wanted["kind"]))
    rows = [r.toDict() for r in _records(archive, "product", wanted)]
    return sorted(rows, key=lambda r: (r["stored_tai_ns"], r["kind"], r["id"]))


@uses_database
def product_record(archive: Archive, product_id: UUID | str) -> dict[str, Any]:
    """What the archive knows of a product, with its inputs, validities and history.

    Raises
    ------
    NoValidProductError
        If the archive has no product with this identifier.
    """
    found = _records(archive, "product", {"id": str(product_id)})
    if not found:
        raise NoValidProductError(f"the archive has no product {str(product_id)[:60]}")
    record = found[0].toDict()
    wanted = {"product_id": record["id"]}
    inputs = [r.toDict() for r in _records(archive, "derivation", wanted)]
    validities = certified(
        archive, record["kind"], archive.layers(record["site"], record["category"])
    )
    return record | {
        "inputs": [{name: r[name] for name in ("role", "path", "source")} for r in inputs],
        "certified": [v.text() for v in validities if str(v.product_id) == record["id"]],
        "history": changes(archive, product_id=record["id"]),
    }


@uses_database
def changes(
    archive: Archive,
    since: Time | None = None,
    until: Time | None = None,
    **wanted: str | None,
) -> list[dict[str, Any]]:
    """What was certified and decertified from `since` until before `until`, oldest first."""
    span = Interval.of(since, until)
    rows = []
    for record in _records(archive, "certification", wanted):
        row = record.toDict()
        made = row["made_tai_ns"]
        if span.begin <= made < span.end:
            validity = Interval(row["begin_tai_ns"], row["end_tai_ns"])
            when: Any = Interval(made, made + 1).times[0]
            rows.append(row | {"validity": validity.text(), "made_utc": when.utc.isot})
    return sorted(rows, key=lambda row: (row["made_tai_ns"], row["id"]))


@uses_database
def affected(archive: Archive, source: UUID | str | Path) -> list[dict[str, Any]]:
    """Products that were made from a product or file, directly or not: to be made again.

    Parameters
    ----------
    source : UUID, str or Path
        Identifier of a product, ``sha256:...`` of any other input, or the path of an input as the
        products name it.

    Returns
    -------
    list of dict
        Records of the products, nearest first, each once.
    """
    seen: dict[str, None] = {}
    front = [str(source)]
    while front:
        children = []
        for name in front:
            column = "source" if _is_identifier(name) else "path"
            children += [r.product_id for r in _records(archive, "derivation", {column: name})]
        front = [child for child in dict.fromkeys(children) if child not in seen]
        seen |= dict.fromkeys(front)
    return [_records(archive, "product", {"id": name})[0].toDict() for name in seen]


def _is_identifier(text: str) -> bool:
    if text.startswith("sha256:"):
        return True
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@uses_database
def calibrations_of(
    archive: Archive, path: str | Path, provenance_log: str | Path | None = None
) -> list[dict[str, Any]]:
    """Products of the archive that a file was made with.

    Parameters
    ----------
    path : path
        A product of ours, or a file that a ctapipe tool wrote.
    provenance_log : path
        Of the ctapipe tool; needed for its files, which do not name their inputs.

    Raises
    ------
    MissingInputError
        If a file is not there, or the log does not know the activity that made it.
    CorruptedInputError
        If a file is not what it should be.
    """
    if provenance_log is None:
        header = read_product_header(path)
        named = [(entry.get("product_id"), entry["role"]) for entry in header.inputs]
    else:
        named = _inputs_of_activity(Path(path), Path(provenance_log))
    answer = []
    for product_id, role in named:
        found = _records(archive, "product", {"id": product_id}) if product_id else []
        answer += [{"role": role, **r.toDict()} for r in found]
    return answer


def _inputs_of_activity(path: Path, log: Path) -> list[tuple[str | None, str]]:
    """Identifiers and roles of what the activity read that wrote a file, from ctapipe's log."""
    activity = _activity_id(path)
    if not log.is_file():
        raise MissingInputError(f"{log} does not exist: give the provenance log of the tool")
    try:
        entries = _activities(log.read_text())
    except ValueError as error:
        raise CorruptedInputError(f"{log} is no provenance log of ctapipe: {error}") from error
    for entry in entries:
        if entry.get("activity_uuid") == activity:
            return [
                (identifier, used.get("role") or "input")
                for used in entry.get("input", [])
                for identifier in _identifiers(used)
            ]
    raise MissingInputError(f"{log} knows no activity {activity}, which wrote {path}")


def _activities(text: str) -> list[dict[str, Any]]:
    """Activities of a log; ctapipe appends one JSON document a run to it."""
    decoder = json.JSONDecoder()
    activities: list[dict[str, Any]] = []
    position = 0
    while (rest := text[position:].lstrip()) != "":
        position = len(text) - len(rest)
        found, length = decoder.raw_decode(rest)
        activities += found if isinstance(found, list) else [found]
        position += length
    return activities


def _activity_id(path: Path) -> str:
    import tables

    if not path.is_file():
        raise MissingInputError(f"{path} does not exist")
    try:
        with tables.open_file(path) as h5file:
            return str(h5file.root._v_attrs["CTA ACTIVITY ID"])
    except (tables.HDF5ExtError, KeyError) as error:
        raise CorruptedInputError(
            f"{path} is no file of ctapipe: {type(error).__name__} {error}"
        ) from error


def _identifiers(used: dict[str, Any]) -> list[str | None]:
    """Of the product, or of the two that a file for ctapipe-process was merged of."""
    meta = used.get("reference_meta") or {}
    product = meta.get("product") or {}
    described = str(meta.get("CTA PRODUCT DESCRIPTION") or product.get("description") or "")
    if merged := _MERGED.search(described):
        return list(merged.groups())
    named = meta.get("CTA PRODUCT ID") or product.get("id_")
    if named:
        return [str(named)]
    try:
        return [str(read_product_header(used["url"]).product_id)]
    except (MissingInputError, CorruptedInputError):
        return [None]


@uses_database
def overdue(archive: Archive, site: str, now: Time, category: str | None = None) -> list[dict]:
    """Kinds of which nothing holds that is as new as their cadence wants.

    Returns
    -------
    list of dict
        As of `last_validities`. A kind of which nothing was ever certified is not overdue: it may
        not be made here.
    """
    where = {"site": archive.checked_site(site)}
    layers = archive.layers(site, category)
    periodic = [k.name for k in kinds().values() if k.validity and k.period_in_days is not None]
    entries = (e for kind in periodic for e in certified(archive, kind, layers, where=where))
    return [entry for entry in last_validities(entries, now) if entry["is_overdue"]]


def last_validities(entries: Iterable[Certified], now: Time) -> list[dict[str, Any]]:
    """When the calibrations of each kind and telescope end, and whether that is too long ago.

    Parameters
    ----------
    entries : iterable of Certified
        Of one site.

    Returns
    -------
    list of dict
        ``kind``, ``data_id``, ``cadence``, ``last_end`` (ISO, TAI; None if it is open), ``days``
        since then (negative: still valid), ``is_overdue``.
    """
    newest: dict[tuple[str, str], Interval] = {}
    for entry in entries:
        key = entry.kind, json.dumps(entry.data_id)
        newest[key] = max(newest.get(key, entry.validity), entry.validity, key=lambda v: v.end)
    found = []
    for (name, where), validity in newest.items():
        kind, end = kind_of(name), validity.times[1]
        days = -1.0 if end is None else float((now - end).to_value(u.day))
        late = kind.period_in_days is not None and days > kind.period_in_days
        found.append(
            {
                "kind": name,
                "data_id": json.loads(where),
                "cadence": kind.cadence,
                "last_end": None if end is None else end.tai.isot,
                "days": round(days, 2),
                "is_overdue": late,
            }
        )
    return found


def _records(
    archive: Archive, element: str, wanted: Mapping[str, str | Sequence[str] | None]
) -> list[DimensionRecord]:
    """Records of an element with these values, as bound parameters: any text is only text.

    Of a sequence one of the values.
    """
    known = archive.butler.dimensions[element].RecordClass.fields.names
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise ConfigurationError(f"{element} has no {', '.join(unknown)}, only {', '.join(known)}")
    bind = {name: value for name, value in wanted.items() if value is not None}
    site = bind.pop("site", None)
    sites = archive.sites if site is None else (archive.checked_site(str(site)),)
    columns = {"id": element}
    terms = [
        f"{columns.get(name, f'{element}.{name}')} "
        + (f"= :{name}" if isinstance(value, str) else f"IN (:{name})")
        for name, value in bind.items()
    ]
    where = " AND ".join(terms)
    query = archive.butler.query_dimension_records
    return [
        record
        for one in sites
        for record in query(element, where=where, bind=bind, site=one, explain=False, limit=None)
    ]

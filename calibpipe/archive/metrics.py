"""Metrics of every verification over time, as Parquet tables in the archive."""

import tempfile
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from astropy.time import Time
from lsst.daf.butler import CollectionType, DatasetRef
from pyarrow import parquet

from ..core.files import sha256
from ..core.products import digest
from .bulk import ingest
from .history import products
from .lookup import product_path
from .names import run_name
from .repository import Archive, uses_database
from .validity import Interval, moment

__all__ = ["VALUE", "metric_rows", "metric_table", "metrics", "store_metrics"]

KIND = "verification/metrics"
VALUE = "value"  # mode of rows that hold a number of the product, not what a criterion found
_NAMESPACE = uuid.UUID("e3a6a0f4-3b7f-4f0e-9a51-7b8f9f2d5c11")  # of tables of metrics
_NUMBERS = ("low", "high", "median", "minimum", "maximum")
_VALUES = ("value", "stat_error", "sys_error")
_COUNTS = ("n_elements", "n_failing", "n_groups", "n_failing_groups")
_TEXTS = (
    *("site", "category", "night", "kind", "array_element", "block", "product_id"),
    *("begin_utc", "begin_tai", "criterion", "mode", "metric", "unit", "result", "verdict"),
)
_IDENTITY = ("product_id", "criterion", "mode", "metric", "array_element")
SCHEMA = pa.schema(
    [pa.field(name, pa.string()) for name in _TEXTS]
    + [pa.field(name, pa.float64()) for name in (*_NUMBERS, *_VALUES)]
    + [pa.field(name, pa.int64()) for name in _COUNTS]
    + [pa.field("informative", pa.bool_())]
)

_ABSENT: dict[str, Any] = dict.fromkeys(SCHEMA.names)


def metric_rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a verification record: one a criterion that could be applied, one a value.

    Values (``mode`` is `VALUE`) are numbers of the product itself with their errors: ``metric``
    names the quantity, ``criterion`` is empty.
    """
    header, content = document["calibpipe"], document["content"]
    validity = header["validity"] or {}
    common = {
        "site": header["site"],
        "category": header["category"],
        "night": header["night"],
        "kind": content["product"]["kind"],
        "array_element": content["product"]["array_element"],
        "block": content["product"]["block"],
        "product_id": content["product"]["id"],
        "begin_utc": validity.get("begin_utc"),
        "begin_tai": validity.get("begin_tai"),
        "verdict": content["verdict"],
    }
    rows = []
    for entry in content["criteria"]:
        if entry["result"] == "NOT APPLICABLE":
            continue
        row = common | {"criterion": entry["id"], "low": entry["limits"][0]}
        row |= {"high": entry["limits"][1]}
        names = (*_NUMBERS[2:], *_COUNTS, "mode", "metric", "unit", "result", "informative")
        rows.append(row | {name: entry[name] for name in names})
    for entry in content.get("values", ()):  # records of before 0.1 have none
        row = common | {"criterion": "", "mode": VALUE, "metric": entry["quantity"]}
        row |= {name: entry[name] for name in (*_VALUES, "unit")}
        if entry["array_element"]:
            row["array_element"] = entry["array_element"]
        rows.append(row)
    return rows


@uses_database
def store_metrics(archive: Archive, rows: Sequence[Mapping[str, Any]]) -> list[uuid.UUID]:
    """Store metrics, one Parquet file for each site, category and night; the same again: nothing.

    Returns
    -------
    list of UUID
        Identifiers of the tables.

    Raises
    ------
    ConfigurationError
        If the archive does not know a site.
    StorageError
        If the database or disk cannot be written.
    """
    groups = defaultdict(list)
    for row in rows:
        groups[row["site"], row["category"], row["night"]].append(row)
    return [_stored(archive, key, members) for key, members in sorted(groups.items())]


def _stored(archive: Archive, key: tuple[str, str, str], rows: list) -> uuid.UUID:
    site, category, night = key
    content = digest(rows)
    identifier = uuid.uuid5(_NAMESPACE, content)
    archive.checked_site(site)
    with archive.writing(), tempfile.TemporaryDirectory() as folder:
        if archive.butler.get_dataset(identifier) is not None:
            return identifier
        run = run_name(site, category, night, content[:12])
        number = int(night.replace("-", ""))
        registry = archive.butler.registry
        registry.syncDimensionData("night", {"site": site, "id": number})
        archive.butler.collections.register(run, CollectionType.RUN)
        path = Path(folder) / "metrics.parquet"
        parquet.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
        where = registry.expandDataId({"site": site, "night": number})
        ref = DatasetRef(archive.dataset_type(KIND), where, run, id=identifier)
        row = {
            "site": site,
            "id": str(identifier),
            "kind": KIND,
            "category": category,
            "night_name": night,
            "run": run,
            "sha256": sha256(path),
            "stored_tai_ns": Interval.of(Time.now(), None).begin,
        }
        with archive.transaction():
            ingest(archive.butler, [(path, ref)])
            registry.insertDimensionData("product", row)
    return identifier


def _read(path: Path) -> pa.Table:
    """Rows of one table, read in this thread.

    `parquet.read_table`, or a Python file, starts threads that abort the program at its end now and
    then (apache/arrow #34314).
    """
    return parquet.ParquetFile(pa.BufferReader(path.read_bytes())).read(use_threads=False)


@uses_database
def metrics(
    archive: Archive,
    since: Time | None = None,
    until: Time | None = None,
    *,
    criterion: str | None = None,
    site: str | None = None,
    category: str | None = None,
    array_element: str | None = None,
    nights: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Rows of the tables of metrics, by begin of the product's validity.

    A product that was verified again counts with its newest verification.

    Parameters
    ----------
    since, until : Time
        Products that are valid from `since` on and before `until`; None: all.
    criterion, site, category, array_element : str
        Only these.
    nights : sequence of str
        Only products of these nights; tables of others are not read.

    Raises
    ------
    ConfigurationError
        If the archive does not know the site.
    """
    if site is not None:
        archive.checked_site(site)
    wanted = {"criterion": criterion, "array_element": array_element}
    span = Interval.of(since, until)
    newest: dict[tuple[str | None, ...], dict[str, Any]] = {}
    records = products(archive, kind=KIND, site=site, category=category, night_name=nights)
    for record in records:
        for row in _read(product_path(archive, record["id"])).to_pylist():
            if any(value is not None and row[name] != value for name, value in wanted.items()):
                continue
            begin = Interval.of(moment(row["begin_tai"], "tai"), None).begin
            if span.begin <= begin < span.end:
                # tables of before have fewer columns
                newest[tuple(row[name] for name in _IDENTITY)] = _ABSENT | row
    return sorted(newest.values(), key=lambda row: (row["begin_tai"], row["criterion"]))


@uses_database
def metric_table(archive: Archive, site: str) -> pa.Table:
    """Rows of all tables of metrics of a site as one, in the order in which they were stored.

    For years of nights: nothing is selected, nothing is sorted, no row is a Python object.

    Raises
    ------
    ConfigurationError
        If the archive does not know the site.
    """
    archive.checked_site(site)
    identifiers = [uuid.UUID(r["id"]) for r in products(archive, kind=KIND, site=site)]
    refs = {ref.id: ref for ref in archive.butler.get_many_datasets(identifiers)}
    places = archive.butler.get_many_uris(refs.values())
    tables = [SCHEMA.empty_table()]
    for identifier in identifiers:
        place: Any = places[refs[identifier]].primaryURI
        tables.append(_read(Path(place.ospath)))
    return pa.concat_tables(tables, promote_options="default")

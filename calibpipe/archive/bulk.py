"""Products and validities of many nights at once, where Butler goes night by night.

`Butler.ingest` compares the products of each RUN with all that are stored, `Registry.certify` takes
one interval at a time. Here the same rows go into the same tables of the same transaction. That
takes inner parts of Butler: ``tests/archive/test_bulk.py`` compares with what Butler itself writes.
"""

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from astropy.time import Time
from lsst.daf.butler import Butler, DatasetRef
from lsst.daf.butler.datastore.stored_file_info import StoredFileInfo
from lsst.daf.butler.registry import CollectionSummary, ConflictingDefinitionError
from sqlalchemy import Index, Table, literal_column
from sqlalchemy.exc import IntegrityError

from .formatter import ProductFormatter
from .validity import Interval

__all__ = ["certify_intervals", "index_times", "ingest", "no_other_certifies"]


def ingest(butler: Butler, products: Sequence[tuple[Path, DatasetRef]]) -> None:
    """Copy products that are not stored yet into the archive, within a transaction.

    Parameters
    ----------
    products : sequence of (Path, DatasetRef)
        Files, and where they go; data identifiers are expanded, RUNs exist.

    Raises
    ------
    ConflictingDefinitionError
        If one is stored already, or another one in its place: nothing is copied.
    """
    try:
        _insert(butler, [ref for _, ref in products])
    except IntegrityError as error:
        raise ConflictingDefinitionError(f"stored already: {error.orig}") from error
    store = butler._datastore
    names = [store.templates.getTemplate(ref).format(ref) + path.suffix for path, ref in products]
    root = Path(store.root.ospath)
    for folder in {(root / name).parent for name in names}:
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        copies = []
        for name, (path, ref) in zip(names, products, strict=True):
            undo.callback((root / name).unlink, missing_ok=True)
            shutil.copy(path, root / name)
            copies.append((ref, _copied(root, name, ref)))
        store._register_datasets(copies)
        store._transaction.registerUndo("copies", undo.pop_all().close)


def _copied(root: Path, name: str, ref: DatasetRef) -> StoredFileInfo:
    """What Butler keeps of a file."""
    with (root / name).open("rb") as stream:
        checksum = hashlib.file_digest(stream, "blake2b").hexdigest()
        size = stream.tell()
    storage_class = ref.datasetType.storageClass
    return StoredFileInfo(ProductFormatter, name, storage_class, None, checksum, size)


def _insert(butler: Butler, refs: Iterable[DatasetRef]) -> None:
    """Rows of products and of the RUNs they are in."""
    runs = defaultdict(list)
    for ref in refs:
        runs[ref.run].append(ref)
    products, places = [], defaultdict(list)
    datasets = butler._registry._managers.datasets
    for run in sorted(runs):  # all writers in one order: no two wait for each other
        key = _told(butler, run, runs[run])
        for ref in runs[run]:
            storage = datasets._find_storage(ref.datasetType.name)
            row = {"dataset_type_id": storage.dataset_type_id}
            products.append(row | {"id": ref.id, "run_id": key})
            place = {"dataset_id": ref.id, "collection_id": key, **ref.dataId.required}
            places[datasets._get_tags_table(storage.dynamic_tables)].append(row | place)
    now: Any = literal_column(str(Interval.of(Time.now(), None).begin))
    database = butler._registry._db
    with database._transaction() as (_, connection):
        connection.execute(datasets._static.dataset.insert().values(ingest_date=now), products)
        for table, rows in places.items():
            database.insert(table, *rows)


def certify_intervals(
    butler: Butler, dataset_type: str, layer: str, products: Sequence[tuple[DatasetRef, Interval]]
) -> None:
    """Certify products of one type, each for its own interval; overlaps are not looked for."""
    registry = butler._registry
    key = _told(butler, layer, [ref for ref, _ in products])
    type_id = registry._managers.datasets._find_storage(dataset_type).dataset_type_id
    columns = registry._db.getTimespanRepresentation()
    rows: list[dict[str, Any]] = []
    for ref, interval in products:
        row = {"dataset_type_id": type_id, "dataset_id": ref.id, "collection_id": key}
        rows.append(columns.update(interval.timespan, result=row | dict(ref.dataId.required)))
    (table,) = _validities(butler, [dataset_type])
    registry._db.insert(table, *rows)


def _told(butler: Butler, collection: str, refs: Iterable[DatasetRef]) -> int:
    """Key of a collection, whose summary knows now of these products."""
    managers = butler._registry._managers
    record = managers.collections.find(collection)
    summary = CollectionSummary()
    summary.add_datasets(refs)
    storages = [managers.datasets._find_storage(t.name) for t in summary.dataset_types]
    managers.datasets._summaries.update(record, [s.dataset_type_id for s in storages], summary)
    return record.key


def no_other_certifies(
    butler: Butler, dataset_types: Iterable[str]
) -> AbstractContextManager[None]:
    """Part of a transaction from which on, to its end, nobody else certifies these types."""
    return butler._registry._db.transaction(lock=_validities(butler, dataset_types))


def index_times(butler: Butler, dataset_types: Iterable[str]) -> None:
    """Index validities by time, so that a night is found quickly whatever else is certified.

    The index that Butler makes begins with the data identifier. Where there are no ranges (SQLite)
    the end is taken: mostly the newest nights are asked for.
    """
    with butler._registry._db._transaction() as (_, connection):
        for table in _validities(butler, dataset_types):
            of = table.columns
            ranges = [of.timespan] if "timespan" in of else []
            times = ranges or [of.dataset_type_id, of.collection_id, of.timespan_end]
            index = Index(f"{table.name}_times", *times, postgresql_using="gist")
            index.create(connection, checkfirst=True)


def _validities(butler: Butler, dataset_types: Iterable[str]) -> list[Table]:
    """Tables of the validities of these types; for all writers in one order."""
    datasets = butler._registry._managers.datasets
    storages = [datasets._find_storage(name) for name in dataset_types]
    tables = [datasets._get_calibs_table(storage.dynamic_tables) for storage in storages]
    return sorted(set(tables), key=lambda table: table.key)

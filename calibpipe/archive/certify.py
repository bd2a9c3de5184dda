"""Products into the archive: stored and certified in one step, or not at all."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from astropy.time import Time
from lsst.daf.butler import DataCoordinate, DatasetRef
from lsst.daf.butler.registry import ConflictingDefinitionError

from ..core.exceptions import StorageError
from ..core.files import sha256
from ..core.product_header import ProductHeader
from .bulk import certify_intervals, ingest, no_other_certifies
from .candidate import Candidate, check_words
from .errors import OverlappingValidityError
from .placement import (
    Plan,
    all_placed,
    check_free,
    checked_plans,
    make_collections,
    until_next,
)
from .repository import Archive, uses_database
from .validity import Interval

__all__ = [
    "certification_record",
    "certification_row",
    "certify",
    "input_rows",
    "key_text",
    "product_row",
    "stored",
]

_ATTEMPTS = 5  # when others certify at the same time


@uses_database
def certify(
    archive: Archive,
    candidates: Sequence[Candidate],
    *,
    author: str,
    reason: str,
    supersede: bool = False,
    history: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Store products and certify them, all of them or none.

    A product that is in the archive (same identifier, so same content) is not stored again; one
    that holds already over all of its interval is not certified again.

    Parameters
    ----------
    candidates : sequence of Candidate
        Of one site or of several.
    author, reason : str
        Who certifies, and why; part of the record.
    history : sequence of dict
        Records of another archive, as `history.changes` gives them, to be kept with the products.
    supersede : bool
        Whether a product goes in front of those that overlap with it: they stay certified behind
        it. If not, an overlap is an error.

    Returns
    -------
    list of dict
        One record a candidate; ``action`` is ``certified`` or ``unchanged``.

    Raises
    ------
    NotVerifiedError
        If one has no verdict ``PASS`` and no override.
    OverlappingValidityError
        If another product is certified for a part of the time.
    MissingInputError
        If a product is not complete.
    ConfigurationError
        If a site, telescope or kind is unknown, or a reason or author is missing.
    StorageError
        If the database or disk cannot be written.
    """
    check_words(author, reason)
    plans = checked_plans(archive, candidates)
    if not plans:
        return []
    if supersede:
        plans = until_next(archive, plans)
    last: StorageError | OverlappingValidityError
    with archive.writing():
        for attempt in range(1, _ATTEMPTS + 1):
            placed = all_placed(archive, plans, supersede)
            make_collections(archive, placed)
            try:
                with archive.transaction():
                    records = _written(archive, placed, author, reason, supersede)
                    _keep_history(archive, history)
                    return records
            except OverlappingValidityError as error:
                if not supersede:
                    raise
                last = error
            except ConflictingDefinitionError as error:
                last = StorageError(f"{archive.location} refuses: {error}")
            # Of a writer that was killed there may be half a RUN: it is left alone.
            plans = [replace(plan, run=f"{plan.run}.{attempt}") for plan in plans]
    raise last


def _keep_history(archive: Archive, history: Sequence[dict[str, Any]]) -> None:
    """Records of another archive, word for word; those that are known stay."""
    names = archive.butler.dimensions["certification"].RecordClass.fields.names
    rows = [{name: record[name] for name in names} for record in history]
    if rows:
        archive.butler.registry.insertDimensionData("certification", *rows, skip_existing=True)


def _written(
    archive: Archive, plans: Sequence[Plan], author: str, reason: str, supersede: bool
) -> list[dict[str, Any]]:
    refs = stored(archive, plans)
    groups = defaultdict(list)
    for plan, ref in zip(plans, refs, strict=True):
        if plan.layer:
            groups[ref.datasetType.name, plan.layer].append((ref, plan.interval))
    with no_other_certifies(archive.butler, {name for name, _ in groups}):
        check_free(archive, plans, supersede)
        for (name, layer), members in groups.items():
            certify_intervals(archive.butler, name, layer, members)
    now = Interval.of(Time.now(), None).begin
    records = [certification_record(plan, author, reason, now) for plan in plans]
    made = [certification_row(r) for r in records if r["action"] == "certified"]
    if made:
        archive.butler.registry.insertDimensionData("certification", *made)
    return records


def stored(archive: Archive, plans: Sequence[Plan]) -> list[DatasetRef]:
    """References of the products; those that are new are copied into the archive."""
    new = []
    refs = []
    now = Interval.of(Time.now(), None).begin
    products, inputs = [], []
    places: dict[str, DataCoordinate] = {}
    made: dict[uuid.UUID, DatasetRef] = {}  # a product may be certified for several times
    for plan in plans:
        ref = plan.ref or made.get(plan.product_id)
        if ref is None:
            dataset_type = archive.dataset_type(plan.kind)
            place = str(plan.where)
            if place not in places:
                places[place] = archive.butler.registry.expandDataId(plan.where)
            expanded = places[place]
            ref = DatasetRef(dataset_type, expanded, plan.run, id=plan.product_id)
            made[plan.product_id] = ref
            new.append((plan.candidate.header.path, ref))
            products.append(
                product_row(plan.candidate.header, plan.candidate.category, plan.run, now)
            )
            inputs += input_rows(plan.candidate.header)
        refs.append(ref)
    if new:
        ingest(archive.butler, new)
        archive.butler.registry.insertDimensionData("product", *products)
    if inputs:
        archive.butler.registry.insertDimensionData("derivation", *inputs)
    return refs


def product_row(header: ProductHeader, category: str, run: str, now: int) -> dict[str, Any]:
    """What the archive knows of a product, for listing."""
    return {
        "site": header.site,
        "id": str(header.product_id),
        "kind": header.kind,
        "category": category,
        "night_name": header.night,
        "array_element": header.array_element,
        "block": header.block or None,
        "run": run,
        "sha256": sha256(header.path),
        "configuration_digest": header.own.get("configuration_digest"),
        "software": header.own.get("software", {}).get("calibpipe"),
        "stored_tai_ns": now,
    }


def input_rows(header: ProductHeader) -> list[dict[str, Any]]:
    """Inputs of a product, by identifier or checksum."""
    rows = []
    for number, entry in enumerate(header.inputs):
        source = entry.get("product_id") or f"sha256:{entry['sha256']}"
        rows.append(
            {
                "site": header.site,
                "id": f"{header.product_id}:{number}",
                "product_id": str(header.product_id),
                "source": source,
                "role": entry["role"],
                "path": entry["path"],
            }
        )
    return rows


def certification_record(plan: Plan, author: str, reason: str, now: int) -> dict[str, Any]:
    """What is told of a candidate that was certified."""
    header = plan.candidate.header
    override = plan.candidate.override
    return {
        "id": str(uuid.uuid4()),
        "action": "certified" if plan.layer else "unchanged",
        "kind": plan.kind,
        "site": header.site,
        "array_element": header.array_element,
        "product_id": str(plan.product_id),
        "run": plan.ref.run if plan.ref is not None else plan.run,
        "collection": plan.layer,
        "validity": plan.interval.text(),
        "interval": plan.interval,
        "verdict": plan.candidate.verdict,
        "verification": plan.candidate.verification,
        "author": author,
        "reason": f"{reason}; override: {override}" if override else reason,
        "made_tai_ns": now,
        "data_id": key_text(plan.where),
    }


def key_text(where: dict[str, Any]) -> str:
    """Data identifier as the records write it.

    >>> key_text({"site": "CTAO-North", "telescope": 1})
    'telescope=1'
    """
    return ", ".join(f"{name}={value}" for name, value in where.items() if name != "site")


def certification_row(record: dict[str, Any]) -> dict[str, Any]:
    """Record as a row of the dimension ``certification``."""
    names = (
        *("site", "id", "action", "kind", "product_id", "data_id", "run", "collection"),
        *("verdict", "verification", "author", "reason", "made_tai_ns"),
    )
    interval = record["interval"]
    row = {name: record[name] or None for name in names}
    return row | {"begin_tai_ns": interval.begin, "end_tai_ns": interval.end}

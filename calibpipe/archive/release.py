"""A release: products that were made again, kept beside what is certified until they are accepted.

They are stored in RUN collections as any others. Nothing holds by them: no lookup finds them, and
what was certified before stays as it is. The records (action ``proposed``) say for which time each
would hold and how it was verified; the acceptance certifies all of them, in front, at once.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from astropy.time import Time

from ..core.product_header import read_product_header
from .candidate import Candidate, check_words
from .certify import certification_record, certification_row, certify, stored
from .errors import NoValidProductError
from .history import changes
from .lookup import product_path
from .names import checked_name
from .placement import checked_plans, make_collections, stored_products
from .repository import Archive, uses_database
from .validity import Interval

__all__ = ["accept", "propose", "proposed"]

PROPOSED = "proposed"


def _collection(release: str) -> str:
    return f"release/{checked_name(release, 'release')}"


@uses_database
def propose(
    archive: Archive, candidates: Sequence[Candidate], release: str, *, author: str, reason: str
) -> list[dict[str, Any]]:
    """Store products for a release; nothing is certified.

    A product that the release has already for the same time is not proposed again.

    Returns
    -------
    list of dict
        One record a candidate; ``action`` is ``proposed`` or ``unchanged``.

    Raises
    ------
    NotVerifiedError, MissingInputError, ConfigurationError, StorageError
        As `certify`.
    """
    check_words(author, reason)
    collection = _collection(release)
    plans = checked_plans(archive, candidates)
    if not plans:
        return []
    with archive.writing():
        there = {
            (r["product_id"], r["begin_tai_ns"], r["end_tai_ns"]) for r in _rows(archive, release)
        }
        known = stored_products(archive, [plan.product_id for plan in plans])
        plans = [replace(plan, ref=known.get(plan.product_id)) for plan in plans]
        make_collections(archive, plans)
        now = Interval.of(Time.now(), None).begin
        with archive.transaction():
            stored(archive, plans)
            records = []
            for plan in plans:
                key = str(plan.product_id), plan.interval.begin, plan.interval.end
                action = "unchanged" if key in there else PROPOSED
                record = certification_record(plan, author, reason, now)
                records.append(record | {"action": action, "collection": collection})
            new = [certification_row(r) for r in records if r["action"] == PROPOSED]
            if new:
                archive.butler.registry.insertDimensionData("certification", *new)
    return records


def _rows(archive: Archive, release: str) -> list[dict[str, Any]]:
    return changes(archive, action=PROPOSED, collection=_collection(release))


@uses_database
def proposed(archive: Archive, release: str) -> list[dict[str, Any]]:
    """What would be certified: of proposals for the same time the newest."""
    kept: dict[tuple[str, ...], list] = defaultdict(list)
    for row in reversed(_rows(archive, release)):
        interval = Interval(row["begin_tai_ns"], row["end_tai_ns"])
        category = row["run"].split("/")[1]
        key = row["site"], category, row["kind"], row["data_id"]
        if not any(interval.overlaps(other) for other, _ in kept[key]):
            kept[key].append((interval, row))
    return [row for rows in kept.values() for _, row in reversed(rows)]


@uses_database
def accept(archive: Archive, release: str, *, author: str, reason: str) -> list[dict[str, Any]]:
    """Certify all products of a release in front of what holds: all of them or none.

    Returns
    -------
    list of dict
        As `certify`; products that hold already are ``unchanged``.

    Raises
    ------
    NoValidProductError
        If the archive has nothing of such a release.
    """
    check_words(author, reason)
    rows = proposed(archive, release)
    if not rows:
        names = {
            r["collection"].removeprefix("release/") for r in changes(archive, action=PROPOSED)
        }
        raise NoValidProductError(
            f"the archive has no release {release}, only {', '.join(sorted(names)) or 'none'}"
        )
    candidates = [
        Candidate(
            read_product_header(product_path(archive, uuid.UUID(row["product_id"]))),
            validity=Interval(row["begin_tai_ns"], row["end_tai_ns"]),
            verdict=row["verdict"],
            verification=row["verification"] or "",
            override="" if row["verdict"] == "PASS" else row["reason"],
        )
        for row in rows
    ]
    return certify(
        archive,
        candidates,
        author=author,
        reason=f"release {release} accepted: {reason}",
        supersede=True,
    )

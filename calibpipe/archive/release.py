"""A release: products that were made again, kept beside what is certified until they are accepted.

They are stored in RUN collections as any others. Nothing holds by them: no lookup finds them, and
what was certified before stays as it is. The records (action ``proposed``) say for which time each
would hold and how it was verified; the acceptance certifies all of them, in front, at once. When a
product is made again for the release and fails, the proposal before is taken back (``withdrawn``).
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from astropy.time import Time

from ..core.product_header import read_product_header
from .candidate import MAX_REASON, Candidate, check_words
from .certify import certification_record, certification_row, certify, key_text, stored
from .errors import NoValidProductError
from .history import changes
from .kinds import kind_of
from .lookup import data_id, product_path
from .names import checked_name
from .placement import checked_plans, make_collections, stored_products
from .repository import Archive, uses_database
from .validity import Interval

__all__ = ["accept", "propose", "proposed"]

PROPOSED, WITHDRAWN = "proposed", "withdrawn"


def _collection(release: str) -> str:
    return f"release/{checked_name(release, 'release')}"


@uses_database
def propose(
    archive: Archive,
    candidates: Sequence[Candidate],
    release: str,
    *,
    author: str,
    reason: str,
    refused: Sequence[Candidate] = (),
) -> list[dict[str, Any]]:
    """Store products for a release; nothing is certified.

    A product that the release has already for the same time is not proposed again.

    Parameters
    ----------
    refused : sequence of Candidate
        Products that were made for the release and did not pass: what was proposed of the same
        night for the same place and a part of the same time is withdrawn.

    Returns
    -------
    list of dict
        One record a candidate, ``action`` is ``proposed`` or ``unchanged``; then one a proposal
        that was taken back, ``withdrawn``.

    Raises
    ------
    NotVerifiedError, MissingInputError, ConfigurationError, StorageError
        As `certify`.
    """
    check_words(author, reason)
    collection = _collection(release)
    plans = checked_plans(archive, candidates)
    if not plans and not refused:
        return []
    with archive.writing():
        now = Interval.of(Time.now(), None).begin
        counting = proposed(archive, release)
        withdrawn = [
            _withdrawal(row, entry, now, author, reason)
            for entry in refused
            for row in _replaced(archive, counting, entry)
        ]
        gone = {_what(row) for row in withdrawn}
        there = {_what(row) for row in counting} - gone
        known = stored_products(archive, [plan.product_id for plan in plans])
        plans = [replace(plan, ref=known.get(plan.product_id)) for plan in plans]
        make_collections(archive, plans)
        with archive.transaction():
            stored(archive, plans)
            records = []
            for plan in plans:
                key = str(plan.product_id), plan.interval
                action = "unchanged" if key in there else PROPOSED
                record = certification_record(plan, author, reason, now)
                records.append(record | {"action": action, "collection": collection})
            made = [r for r in records if r["action"] == PROPOSED]
            if new := [certification_row(r) for r in (*withdrawn, *made)]:
                archive.butler.registry.insertDimensionData("certification", *new)
    return records + withdrawn


def _interval(row: dict[str, Any]) -> Interval:
    return Interval(row["begin_tai_ns"], row["end_tai_ns"])


def _what(row: dict[str, Any]) -> tuple[str, Interval]:
    return row["product_id"], _interval(row)


def _place(row: dict[str, Any]) -> tuple[str, ...]:
    return row["site"], row["run"].split("/")[1], row["kind"], row["data_id"]


def _night_if_until_next(row: dict[str, Any]) -> str:
    return row["run"].split("/")[2] if kind_of(row["kind"]).until_next else ""


def _until_next(rows: Sequence[dict[str, Any]]) -> list[Interval]:
    """Validities of which one that overlaps with a later one ends where that begins."""
    begins = defaultdict(list)
    for row in rows:
        begins[_place(row)].append(row["begin_tai_ns"])
    ends = [
        min([row["end_tai_ns"], *(b for b in begins[_place(row)] if b > row["begin_tai_ns"])])
        for row in rows
    ]
    return [Interval(row["begin_tai_ns"], end) for row, end in zip(rows, ends, strict=True)]


def _replaced(
    archive: Archive, rows: Sequence[dict[str, Any]], refused: Candidate
) -> list[dict[str, Any]]:
    """Proposals in whose place a product would have come, had it passed.

    Those of other nights stay: calibrations that hold for a month overlap.
    """
    header = refused.header
    season = refused.season or header.own.get("season")
    where = data_id(
        archive, header.kind, str(header.site), telescope=header.array_element, season=season
    )
    place = header.site, refused.category, header.kind, key_text(where)
    version = header.night or str(header.own.get("version", "undated"))
    span = refused.validity or Interval.of(*(header.validity or (None, None)))
    return [
        row
        for row in rows
        if _place(row) == place
        and row["run"].split("/")[2] == version
        and _interval(row).overlaps(span)
    ]


def _withdrawal(
    row: dict[str, Any], refused: Candidate, now: int, author: str, reason: str
) -> dict[str, Any]:
    """Record that takes a proposal back, with the verdict on what was made in its place."""
    because = f"product {refused.header.product_id} has the verdict {refused.verdict}; {reason}"
    return row | {
        "id": str(uuid.uuid4()),
        "action": WITHDRAWN,
        "array_element": refused.header.array_element,
        "interval": _interval(row),
        "verdict": refused.verdict,
        "verification": refused.verification,
        "author": author,
        "reason": because[:MAX_REASON],
        "made_tai_ns": now,
    }


@uses_database
def proposed(archive: Archive, release: str) -> list[dict[str, Any]]:
    """What would be certified: of proposals for the same time the newest, unless withdrawn.

    Calibrations of several nights that hold until the next one overlap, and all stay.
    """
    collection = _collection(release)
    rows = [
        row
        for action in (PROPOSED, WITHDRAWN)  # withdrawn is what was there before, not at once
        for row in changes(archive, action=action, collection=collection)
    ]
    kept: dict[tuple[str, ...], list[tuple[Interval, dict[str, Any]]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["made_tai_ns"], reverse=True):
        interval, newer = _interval(row), kept[*_place(row), _night_if_until_next(row)]
        if row["action"] == WITHDRAWN or not any(interval.overlaps(other) for other, _ in newer):
            newer.append((interval, row))
    return [
        row
        for entries in kept.values()
        for _, row in reversed(entries)
        if row["action"] == PROPOSED
    ]


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
        If the archive has nothing of such a release, or all of it was withdrawn.
    """
    check_words(author, reason)
    rows = proposed(archive, release)
    if not rows:
        names = {
            r["collection"].removeprefix("release/") for r in changes(archive, action=PROPOSED)
        }
        if release in names:
            raise NoValidProductError(
                f"nothing is left of release {release}: what was proposed was withdrawn, since "
                "what was made again in its place failed; mend that and propose it"
            )
        raise NoValidProductError(
            f"the archive has no release {release}, only {', '.join(sorted(names)) or 'none'}"
        )
    candidates = [
        Candidate(
            read_product_header(product_path(archive, uuid.UUID(row["product_id"]))),
            validity=interval,
            verdict=row["verdict"],
            verification=row["verification"] or "",
            override="" if row["verdict"] == "PASS" else row["reason"],
        )
        for row, interval in zip(rows, _until_next(rows), strict=True)
    ]
    return certify(
        archive,
        candidates,
        author=author,
        reason=f"release {release} accepted: {reason}",
        supersede=True,
    )

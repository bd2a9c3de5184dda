"""Products into the archive: stored and certified in one step, or not at all."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from astropy.time import Time
from lsst.daf.butler import CollectionType, DataCoordinate, DatasetRef, FileDataset
from lsst.daf.butler.registry import ConflictingDefinitionError

from ..core.exceptions import ConfigurationError, MissingInputError, StorageError
from ..core.files import sha256
from ..core.product_header import ProductHeader
from ..core.products import digest
from .errors import NotVerifiedError, NoValidProductError, OverlappingValidityError
from .kinds import kind_of
from .lookup import Certified, certified, data_id
from .names import layer_name, layer_number, run_name
from .repository import Archive, uses_database
from .validity import Interval

__all__ = ["Candidate", "certify", "decertify", "override_reason"]

PASS, FAIL, NOT_VERIFIED = "PASS", "FAIL", "NONE"
_MAX_REASON = 2000
_ATTEMPTS = 5  # when others certify at the same time


@dataclass(frozen=True)
class Candidate:
    """A product that is to be certified.

    Parameters
    ----------
    header : ProductHeader
        Of the product.
    validity : Interval
        ``[begin, end)``; None: as the product proposes.
    verdict : str
        ``PASS``, ``FAIL``, or ``NONE`` if it was not verified.
    verification : str
        Identifier of the verification record.
    override : str
        Why it is certified although its verdict is not ``PASS``.
    season : str
        Of products that are kept for each season.
    layer : int
        Layer in which it was certified elsewhere; 0: wherever it belongs.
    run : str
        RUN that it belonged to elsewhere; empty: named after its night and content.
    """

    header: ProductHeader
    validity: Interval | None = None
    verdict: str = NOT_VERIFIED
    verification: str = ""
    override: str = ""
    season: str = ""
    layer: int = 0
    run: str = ""

    @property
    def interval(self) -> Interval:
        """Validity that is certified."""
        if self.validity is not None:
            return self.validity
        if self.header.validity is None:
            raise ConfigurationError(
                f"{self.header.path} proposes no validity: give its begin and end"
            )
        return Interval.of(*self.header.validity)

    @property
    def category(self) -> str:
        """Category of the archive."""
        kept = kind_of(self.header.kind).dimensions
        named = "season" in kept or self.header.category not in ("B", "C")
        return "reference" if named else str(self.header.category)


def override_reason(author: str, made_on: str, reason: str) -> str:
    """What an override says in the record."""
    return f"{reason} (decided by {author} on {made_on})"


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
    _check_words(author, reason)
    for candidate in candidates:
        _check(candidate)
    if not candidates:
        return []
    plans = _plans(archive, candidates)
    _check_among_themselves(plans)
    with archive.writing():
        for attempt in range(1, _ATTEMPTS + 1):
            placed = _all_placed(archive, plans, supersede)
            _make_collections(archive, placed)
            try:
                with archive.transaction():
                    records = _written(archive, placed, author, reason)
                    _keep_history(archive, history)
                    return records
            except ConflictingDefinitionError as error:
                in_the_way = _overlap(archive, plans)
                if in_the_way and not supersede:
                    raise in_the_way from error
                last = in_the_way or StorageError(f"{archive.location} refuses: {error}")
                # Of a writer that was killed there may be half a RUN: it is left alone.
                plans = [replace(plan, run=f"{plan.run}.{attempt}") for plan in plans]
    raise last


@dataclass(frozen=True)
class _Plan:
    candidate: Candidate
    where: dict[str, Any]
    interval: Interval
    run: str
    layer: str = ""  # empty: holds already
    ref: DatasetRef | None = None

    @property
    def kind(self) -> str:
        return self.candidate.header.kind

    @property
    def product_id(self) -> uuid.UUID:
        return self.candidate.header.product_id


def _check_words(author: str, reason: str) -> None:
    for name, text in (("author", author), ("reason", reason)):
        if not text.strip():
            raise ConfigurationError(f"a certification needs its {name}: part of the record")
        if len(text) > _MAX_REASON or not text.isprintable():
            raise ConfigurationError(
                f"the {name} is a line of printable characters, at most {_MAX_REASON}; it has "
                f"{len(text)}: shorten it, write no line breaks"
            )


def _check(candidate: Candidate) -> None:
    header = candidate.header
    if not kind_of(header.kind).validity:
        raise ConfigurationError(f"{header.path}: {header.kind} has no validity: it is kept only")
    if header.status != "COMPLETE":
        raise MissingInputError(f"{header.path} is not complete: {header.status}")
    if candidate.verdict != PASS and not candidate.override:
        why = {
            FAIL: "failed its verification",
            NOT_VERIFIED: "has no verification",
        }.get(candidate.verdict, f"has the verdict {candidate.verdict!r}")
        raise NotVerifiedError(
            f"{header.path} {why}: nothing is certified; mend it, or certify it with an override "
            "that states a reason, author and date"
        )


def _plans(archive: Archive, candidates: Sequence[Candidate]) -> list[_Plan]:
    """Keys of each product; those of one night are of one run, named after their content."""
    keys = []
    for candidate in candidates:
        header = candidate.header
        if header.site is None:
            raise ConfigurationError(f"{header.path} does not say of which site it is")
        version = header.night or str(header.own.get("version", "undated"))
        keys.append((header.site, candidate.category, version))
    contents = defaultdict(list)
    for key, candidate in zip(keys, candidates, strict=True):
        contents[key].append(str(candidate.header.product_id))
    digests = {key: digest(sorted(ids))[:12] for key, ids in contents.items()}
    plans = []
    taken: dict[
        tuple[str, str, str], uuid.UUID
    ] = {}  # a RUN has one product of a kind for each key
    for key, candidate in zip(keys, candidates, strict=True):
        header = candidate.header
        season = candidate.season or header.own.get("season")
        where = data_id(archive, header.kind, key[0], telescope=header.array_element, season=season)
        run = candidate.run or run_name(*key, digests[key], header.block)
        place = (run, header.kind, str(where))
        if taken.setdefault(place, header.product_id) != header.product_id:
            run = run_name(*key, digest([str(header.product_id)])[:12], header.block)
        plans.append(_Plan(candidate, where, candidate.interval, run))
    return plans


def _check_among_themselves(plans: Iterable[_Plan]) -> None:
    by_key = defaultdict(list)
    for plan in plans:
        layer = plan.candidate.layer
        by_key[plan.kind, plan.candidate.category, str(plan.where), layer].append(plan)
    for same in by_key.values():
        same.sort(key=lambda plan: plan.interval)
        for first, second in pairwise(same):
            if first.interval.overlaps(second.interval):
                raise OverlappingValidityError(
                    f"{first.candidate.header.path} {first.interval} and "
                    f"{second.candidate.header.path} {second.interval} overlap: certify one of "
                    "them, or give their validities"
                )


def _all_placed(archive: Archive, plans: Sequence[_Plan], supersede: bool) -> list[_Plan]:
    """Plans with the products that are stored already, and the layers for their validities."""
    known = stored_products(archive, [plan.product_id for plan in plans])
    keys = {(str(plan.candidate.header.site), plan.candidate.category) for plan in plans}
    layers = {key: archive.layers(*key) for key in keys}
    placed = []
    for plan in plans:
        key = str(plan.candidate.header.site), plan.candidate.category
        ref = known.get(plan.product_id)
        placed.append(_placed(archive, plan, ref, layers[key], supersede))
    return placed


def stored_products(archive: Archive, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, DatasetRef]:
    """Products of these identifiers that the archive has; one query, then one for each found."""
    query = archive.butler.query_dimension_records
    bind = {"ids": [str(identifier) for identifier in ids]}
    options = {"where": "product IN (:ids)", "bind": bind, "explain": False, "limit": None}
    rows = [row for site in archive.sites for row in query("product", site=site, **options)]
    found = {uuid.UUID(row.id): archive.butler.get_dataset(uuid.UUID(row.id)) for row in rows}
    return {identifier: ref for identifier, ref in found.items() if ref is not None}


def _placed(
    archive: Archive, plan: _Plan, ref: DatasetRef | None, layers: list[str], supersede: bool
) -> _Plan:
    """Plan with the product if it is stored already, and the layer for its validity."""
    header = plan.candidate.header
    found = []
    if plan.candidate.layer:
        return _placed_in(archive, plan, layers, ref)
    if layers and (ref is not None or supersede):
        found = certified(archive, plan.kind, layers, where=plan.where, within=plan.interval)
    holds = found and found[0].product_id == plan.product_id
    if holds and found[0].validity.contains(plan.interval):
        return replace(plan, ref=ref, layer="")
    number = 1
    if found and supersede:
        number = max(layer_number(c.collection) for c in found) + 1
    layer = layer_name(header.site, plan.candidate.category, number)
    return replace(plan, ref=ref, layer=layer)


def _make_collections(archive: Archive, plans: Sequence[_Plan]) -> None:
    """Collections that the plans need; those that are there, or half there, are completed."""
    for run in {plan.run for plan in plans if plan.ref is None}:
        archive.butler.collections.register(run, CollectionType.RUN)
    needed = {(p.candidate.header.site, p.candidate.category, p.layer) for p in plans if p.layer}
    for site, category, layer in sorted(needed):
        archive.add_layer(site, category, layer_number(layer))


def _placed_in(archive: Archive, plan: _Plan, layers: list[str], ref: DatasetRef | None) -> _Plan:
    """Plan in the layer that it was certified in elsewhere."""
    header, category = plan.candidate.header, plan.candidate.category
    layer = layer_name(header.site, category, plan.candidate.layer)
    if layer not in layers:
        return replace(plan, ref=ref, layer=layer)
    found = certified(archive, plan.kind, [layer], where=plan.where, within=plan.interval)
    same = [c for c in found if c.product_id == plan.product_id]
    holds = any(c.validity.contains(plan.interval) for c in same)
    return replace(plan, ref=ref, layer="" if holds else layer)


def _keep_history(archive: Archive, history: Sequence[dict[str, Any]]) -> None:
    """Records of another archive, word for word; those that are known stay."""
    names = archive.butler.dimensions["certification"].RecordClass.fields.names
    rows = [{name: record[name] for name in names} for record in history]
    if rows:
        archive.butler.registry.insertDimensionData("certification", *rows, skip_existing=True)


def _written(
    archive: Archive, plans: Sequence[_Plan], author: str, reason: str
) -> list[dict[str, Any]]:
    refs = _stored(archive, plans)
    groups = defaultdict(list)
    for plan, ref in zip(plans, refs, strict=True):
        if plan.layer:
            groups[plan.layer, plan.interval, plan.kind].append(ref)
    for (layer, interval, _), members in groups.items():
        archive.butler.registry.certify(layer, members, interval.timespan)
    now = Interval.of(Time.now(), None).begin
    records = [_record(plan, author, reason, now) for plan in plans]
    made = [_row(r) for r in records if r["action"] == "certified"]
    if made:
        archive.butler.registry.insertDimensionData("certification", *made)
    return records


def _stored(archive: Archive, plans: Sequence[_Plan]) -> list[DatasetRef]:
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
            new.append(FileDataset(path=str(plan.candidate.header.path.resolve()), refs=ref))
            products.append(
                product_row(plan.candidate.header, plan.candidate.category, plan.run, now)
            )
            inputs += input_rows(plan.candidate.header)
        refs.append(ref)
    if new:
        archive.butler.ingest(*new, transfer="copy")
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


def _record(plan: _Plan, author: str, reason: str, now: int) -> dict[str, Any]:
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
        "data_id": _key(plan.where),
    }


def _key(where: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in where.items() if name != "site")


def _row(record: dict[str, Any]) -> dict[str, Any]:
    """Record as a row of the dimension ``certification``."""
    names = (
        *("site", "id", "action", "kind", "product_id", "data_id", "run", "collection"),
        *("verdict", "verification", "author", "reason", "made_tai_ns"),
    )
    interval = record["interval"]
    row = {name: record[name] or None for name in names}
    return row | {"begin_tai_ns": interval.begin, "end_tai_ns": interval.end}


def _overlap(archive: Archive, plans: Sequence[_Plan]) -> OverlappingValidityError | None:
    """Which product is in the way of which, if one is."""
    for plan in plans:
        header = plan.candidate.header
        layers = archive.layers(header.site, plan.candidate.category)
        if plan.candidate.layer:
            layers = [c for c in layers if layer_number(c) == plan.candidate.layer]
        found = certified(archive, plan.kind, layers, where=plan.where, within=plan.interval)
        if found:
            return OverlappingValidityError(
                f"{header.path}, valid {plan.interval}: {plan.kind} is certified already for a "
                f"part of this time: {'; '.join(map(str, found[:5]))}; supersede it, decertify it, "
                "or give another validity"
            )
    return None


@uses_database
def decertify(
    archive: Archive,
    kind: str,
    site: str,
    interval: Interval,
    *,
    author: str,
    reason: str,
    category: str,
    telescope: str | None = None,
    season: str | None = None,
    only_front: bool = False,
) -> list[Certified]:
    """Take validity away: nothing of this kind holds in `interval` afterwards.

    What reaches over an end of the interval is split and holds outside of it. The products stay in
    the archive, and so do the records.

    Parameters
    ----------
    only_front : bool
        Take away what holds only, so that what it superseded holds again.

    Returns
    -------
    list of Certified
        What was taken away, with the validity it had.

    Raises
    ------
    NoValidProductError
        If nothing is certified in the interval.
    ConfigurationError
        If something is unknown, or the author or reason is missing.
    """
    _check_words(author, reason)
    where = data_id(archive, kind, site, telescope=telescope, season=season)
    with archive.writing():
        layers = archive.layers(site, category)
        found = certified(archive, kind, layers, where=where, within=interval)
        if only_front and found:
            found = [c for c in found if c.collection == found[0].collection]
        if not found:
            raise NoValidProductError(
                f"{kind} of {site}{f' {telescope}' if telescope else ''}, category {category}: "
                f"nothing is certified in {interval}"
            )
        registry = archive.butler.registry
        dataset_type = archive.dataset_type(kind)
        expanded = registry.expandDataId(where)
        now = Interval.of(Time.now(), None).begin
        with archive.transaction():
            for layer in dict.fromkeys(c.collection for c in found):
                registry.decertify(layer, dataset_type.name, interval.timespan, dataIds=[expanded])
            rows = []
            for entry in found:
                lost = Interval(
                    max(entry.validity.begin, interval.begin), min(entry.validity.end, interval.end)
                )
                rows.append(
                    {
                        "site": site,
                        "id": str(uuid.uuid4()),
                        "action": "decertified",
                        "kind": kind,
                        "product_id": str(entry.product_id),
                        "data_id": _key(where),
                        "run": entry.run,
                        "collection": entry.collection,
                        "begin_tai_ns": lost.begin,
                        "end_tai_ns": lost.end,
                        "author": author,
                        "reason": reason,
                        "made_tai_ns": now,
                    }
                )
            registry.insertDimensionData("certification", *rows)
    return found

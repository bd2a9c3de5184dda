"""Where products go in the archive: their RUN, and the layer for their validity."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from lsst.daf.butler import CollectionType, DatasetRef

from ..core.exceptions import ConfigurationError
from ..core.products import digest
from .candidate import Candidate, check_candidate
from .errors import OverlappingValidityError
from .kinds import kind_of
from .lookup import Certified, certified, data_id
from .names import layer_name, layer_number, run_name
from .repository import Archive
from .validity import Interval, merged

__all__ = [
    "Plan",
    "all_placed",
    "check_among_themselves",
    "check_free",
    "checked_plans",
    "make_collections",
    "plans_of",
    "stored_products",
    "until_next",
]


@dataclass(frozen=True)
class Plan:
    """A candidate, and where it goes.

    Parameters
    ----------
    candidate : Candidate
        What is to be certified.
    where : dict
        Its data identifier.
    interval : Interval
        Validity to be certified.
    run : str
        RUN that it is stored in if the archive does not have it.
    layer : str
        CALIBRATION collection for its validity; empty if that holds already.
    ref : DatasetRef
        Of the product, if the archive has it.
    """

    candidate: Candidate
    where: dict[str, Any]
    interval: Interval
    run: str
    layer: str = ""
    ref: DatasetRef | None = None

    @property
    def kind(self) -> str:
        """Kind of the product."""
        return self.candidate.header.kind

    @property
    def product_id(self) -> uuid.UUID:
        """Identifier of the product."""
        return self.candidate.header.product_id


def checked_plans(archive: Archive, candidates: Sequence[Candidate]) -> list[Plan]:
    """Plan of each product, once all of them may be certified and none overlaps another.

    Raises
    ------
    NotVerifiedError, MissingInputError, ConfigurationError, OverlappingValidityError
        Which product may not, and why.
    """
    for candidate in candidates:
        check_candidate(candidate)
    plans = plans_of(archive, candidates)
    check_among_themselves(plans)
    return plans


def plans_of(archive: Archive, candidates: Sequence[Candidate]) -> list[Plan]:
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
        plans.append(Plan(candidate, where, candidate.interval, run))
    return plans


def check_among_themselves(plans: Iterable[Plan]) -> None:
    """Refuse plans for the same place that overlap in time.

    Raises
    ------
    OverlappingValidityError
        Which two.
    """
    by_key = defaultdict(list)
    for plan in plans:
        layer = plan.layer or plan.candidate.layer
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


def until_next(archive: Archive, plans: Sequence[Plan]) -> list[Plan]:
    """Plans of which those whose kind says so end where a later product begins.

    An old calibration set that is processed again does not go in front of the newer one. A validity
    that was given is taken as it is.
    """
    shortened = []
    for plan in plans:
        header = plan.candidate.header
        own = header.validity and Interval.of(*header.validity)
        interval = plan.interval
        if kind_of(plan.kind).until_next and not plan.candidate.layer and plan.interval == own:
            layers = archive.layers(str(header.site), plan.candidate.category)
            there = certified(archive, plan.kind, layers, where=plan.where, within=own)
            later = [c.validity.begin for c in there if c.validity.begin > own.begin]
            interval = Interval(own.begin, min(later, default=own.end))
        shortened.append(replace(plan, interval=interval))
    return shortened


def all_placed(archive: Archive, plans: Sequence[Plan], supersede: bool) -> list[Plan]:
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
    options: dict[str, Any] = {
        "where": "product IN (:ids)",
        "bind": bind,
        "explain": False,
        "limit": None,
    }
    rows = [row for site in archive.sites for row in query("product", site=site, **options)]
    found = {uuid.UUID(row.id): archive.butler.get_dataset(uuid.UUID(row.id)) for row in rows}
    return {identifier: ref for identifier, ref in found.items() if ref is not None}


def _placed(
    archive: Archive, plan: Plan, ref: DatasetRef | None, layers: list[str], supersede: bool
) -> Plan:
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
    layer = layer_name(str(header.site), plan.candidate.category, number)
    return replace(plan, ref=ref, layer=layer)


def _placed_in(archive: Archive, plan: Plan, layers: list[str], ref: DatasetRef | None) -> Plan:
    """Plan in the layer that it was certified in elsewhere."""
    header, category = plan.candidate.header, plan.candidate.category
    layer = layer_name(str(header.site), category, plan.candidate.layer)
    if layer not in layers:
        return replace(plan, ref=ref, layer=layer)
    found = certified(archive, plan.kind, [layer], where=plan.where, within=plan.interval)
    same = [c for c in found if c.product_id == plan.product_id]
    holds = any(c.validity.contains(plan.interval) for c in same)
    return replace(plan, ref=ref, layer="" if holds else layer)


def make_collections(archive: Archive, plans: Sequence[Plan]) -> None:
    """Collections that the plans need; those that are there, or half there, are completed."""
    with archive.transaction():  # the disk is waited for once
        for run in sorted({plan.run for plan in plans if plan.ref is None}):
            archive.butler.collections.register(run, CollectionType.RUN)
    needed = {
        (str(p.candidate.header.site), p.candidate.category, p.layer) for p in plans if p.layer
    }
    for site, category, layer in sorted(needed):
        archive.add_layer(site, category, layer_number(layer))


def check_free(archive: Archive, plans: Iterable[Plan], supersede: bool) -> None:
    """Refuse plans that overlap with what is certified; superseding, in their own layers only.

    One query for each kind and layer. Products that were certified in a layer elsewhere may go
    behind others; all others may not.

    Raises
    ------
    OverlappingValidityError
        Which product is in the way of which.
    """
    needed = [plan for plan in plans if plan.layer]
    check_among_themselves(needed)
    groups = defaultdict(list)
    for plan in needed:
        layer = plan.layer if supersede or plan.candidate.layer else ""
        site = str(plan.candidate.header.site)
        groups[plan.kind, site, plan.candidate.category, layer].append(plan)
    for (kind, site, category, layer), group in groups.items():
        layers = [layer] if layer else archive.layers(site, category)
        there = defaultdict(list)
        for span in merged(plan.interval for plan in group):
            for entry in certified(archive, kind, layers, within=span):
                there[str(data_id(archive, kind, **entry.data_id))].append(entry)
        for plan in group:
            found = [c for c in there[str(plan.where)] if c.validity.overlaps(plan.interval)]
            if found:
                raise _overlap_error(plan, found)


def _overlap_error(plan: Plan, found: Sequence[Certified]) -> OverlappingValidityError:
    return OverlappingValidityError(
        f"{plan.candidate.header.path}, valid {plan.interval}: {plan.kind} is certified already "
        f"for a part of this time: {'; '.join(map(str, found[:5]))}; supersede it, decertify it, "
        "or give another validity"
    )

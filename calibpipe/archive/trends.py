"""All nights of a site at once: values, verdicts, limits, and what is missing today."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from astropy.time import Time

from .history import last_validities
from .kinds import kinds
from .lookup import Certified, certified
from .metrics import VALUE, metric_table
from .repository import Archive, uses_database

__all__ = [
    "NightValue",
    "NightVerdict",
    "SiteTrends",
    "Uncertified",
    "site_trends",
    "uncertified_nights",
]

_PRODUCT = ("kind", "category", "night", "array_element", "block", "product_id")
_FAILED = ("FAIL", "UNDETERMINED")


@dataclass(frozen=True, slots=True)
class NightVerdict:
    """What became of a product of a night.

    Parameters
    ----------
    kind, category, night : str
    array_element, block, product_id : str
        Empty where it has none.
    begin_utc : str
        Of its validity.
    verdict : str
        Of its newest verification.
    is_certified : bool
        Whether it holds at any time.
    failed : tuple of str
        Criteria that it failed: ``CAM-02 flat_field_residual``.
    """

    kind: str
    category: str
    night: str
    array_element: str
    block: str
    product_id: str
    begin_utc: str
    verdict: str
    is_certified: bool
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NightValue:
    """A number of a product of a night.

    Parameters
    ----------
    quantity : str
        ``optical_throughput``.
    array_element : str
        Telescope; empty for the site.
    product : NightVerdict
    value : float
    stat_error, sys_error : float or None
        None: not known.
    unit : str
    """

    quantity: str
    array_element: str
    product: NightVerdict
    value: float
    stat_error: float | None
    sys_error: float | None
    unit: str


@dataclass(frozen=True)
class SiteTrends:
    """What the archive has of the nights of a site.

    Parameters
    ----------
    site : str
    now : Time
        What is overdue, is so at this time.
    telescopes : sequence of str
        That the archive knows.
    verdicts, values : sequence
        In the order of time.
    limits : dict
        Limits ``(low, high)`` of the newest verification by kind and metric.
    ages : sequence of dict
        `last_validities` of every kind and telescope.
    """

    site: str
    now: Time
    telescopes: Sequence[str]
    verdicts: Sequence[NightVerdict]
    values: Sequence[NightValue]
    limits: dict[tuple[str, str], tuple[float, float]]
    ages: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Uncertified:
    """Products of a night of which none of category C is certified.

    Parameters
    ----------
    night, kind : str
    array_elements : tuple of str
        Empty for the site.
    reason : str
        ``not made`` or ``failed``, with the criteria.
    days : int
        Since the night.
    """

    night: str
    kind: str
    array_elements: tuple[str, ...]
    reason: str
    days: int


@uses_database
def site_trends(archive: Archive, site: str, now: Time) -> SiteTrends:
    """All nights of a site, from the archive's metrics and certifications.

    Of several products for one night, telescope and observation block one counts, with its newest
    verification: of those that are certified the one that was stored last, of others only if none
    is. What is proposed for a release does not come in front of what holds.

    Parameters
    ----------
    archive : Archive
    site : str
    now : Time
        What is overdue at this time.

    Raises
    ------
    ConfigurationError
        If the archive does not know the site.
    """
    table = metric_table(archive, site)
    entries = _certifications(archive, site)
    held = {str(entry.product_id) for entry in entries}
    verdicts = _verdicts(table, held)
    by_id = {entry.product_id: entry for entry in verdicts}
    return SiteTrends(
        site=site,
        now=now,
        telescopes=sorted(name for where, name in archive.telescopes if where == site),
        verdicts=sorted(verdicts, key=_in_time),
        values=sorted(_values(table, by_id), key=lambda value: _in_time(value.product)),
        limits=_limits(table),
        ages=last_validities(entries, now),
    )


def _certifications(archive: Archive, site: str) -> list[Certified]:
    """Everything that is certified of the nights, in any category."""
    layers = [layer for name in ("C", "B") for layer in archive.layers(site, name)]
    names = [kind.name for kind in kinds().values() if kind.validity]
    where = {"site": site}
    return [entry for name in names for entry in certified(archive, name, layers, where=where)]


def _in_time(entry: NightVerdict) -> tuple[str, ...]:
    return entry.night, entry.begin_utc, entry.kind, entry.array_element, entry.category


def _verdicts(table: pa.Table, held: set[str]) -> list[NightVerdict]:
    """The product that counts for each night, telescope and block."""
    rows = table.filter(pc.not_equal(table["mode"], VALUE))
    names = (*_PRODUCT, "begin_utc", "verdict", "criterion", "metric", "result", "informative")
    newest: dict[tuple[str, ...], dict[str, Any]] = {}
    failed: dict[str, dict[str, bool]] = defaultdict(dict)
    for row in zip(*(rows[name].to_pylist() for name in names), strict=True):
        entry = dict(zip(names, row, strict=True))
        key = tuple(entry[name] or "" for name in _PRODUCT[:-1])
        if newest.get(key, entry)["product_id"] not in held or entry["product_id"] in held:
            newest[key] = entry
        told = f"{entry['criterion']} {entry['metric']}"
        failed[entry["product_id"]][told] = entry["result"] in _FAILED and not entry["informative"]
    return [
        NightVerdict(
            **{name: entry[name] or "" for name in (*_PRODUCT, "begin_utc", "verdict")},
            is_certified=entry["product_id"] in held,
            failed=tuple(name for name, is_so in failed[entry["product_id"]].items() if is_so),
        )
        for entry in newest.values()
    ]


def _values(table: pa.Table, products: dict[str, NightVerdict]) -> list[NightValue]:
    rows = table.filter(pc.equal(table["mode"], VALUE))
    names = ("metric", "array_element", "product_id", "value", "stat_error", "sys_error", "unit")
    newest: dict[tuple[str, str, str], NightValue] = {}
    for quantity, telescope, product_id, value, *more in zip(
        *(rows[name].to_pylist() for name in names), strict=True
    ):
        if product_id in products and value is not None:
            key = quantity, telescope or "", product_id
            newest[key] = NightValue(*key[:2], products[product_id], value, *more)
    return list(newest.values())


def _limits(table: pa.Table) -> dict[tuple[str, str], tuple[float, float]]:
    rows = table.filter(pc.equal(table["mode"], "internal"))
    names = ("kind", "metric", "low", "high")
    columns = [rows[name].to_pylist() for name in names]
    return {(kind, metric): (low, high) for kind, metric, low, high in zip(*columns, strict=True)}


def uncertified_nights(trends: SiteTrends, due_in_days: float) -> list[Uncertified]:
    """Nights of which category C should be certified by now, newest first.

    A product is asked for if the night has it in any category, and if category C of its kind was
    certified in any night: what is never made in category C is not missed.

    Parameters
    ----------
    trends : SiteTrends
    due_in_days : float
        Days after the night.
    """
    today = date.fromisoformat(trends.now.utc.isot[:10])
    final = [entry for entry in trends.verdicts if entry.category == "C"]
    made = {entry.kind for entry in final if entry.is_certified}
    done = {_what(entry) for entry in final if entry.is_certified}
    failed = {_what(entry): entry for entry in final if not entry.is_certified}
    groups: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for entry in trends.verdicts:
        age = (today - date.fromisoformat(entry.night)).days
        if age > due_in_days and entry.kind in made and _what(entry) not in done:
            reason = _reason(failed.get(_what(entry)))
            groups[entry.night, entry.kind, reason].add(entry.array_element)
    return [
        Uncertified(
            night,
            kind,
            tuple(sorted(filter(None, names))),
            reason,
            (today - date.fromisoformat(night)).days,
        )
        for (night, kind, reason), names in sorted(groups.items(), key=_newest_first)
    ]


def _what(entry: NightVerdict) -> tuple[str, str, str]:
    return entry.night, entry.kind, entry.array_element


def _newest_first(item: tuple[tuple[str, str, str], Any]) -> tuple[int, str, str]:
    (night, kind, reason), _ = item
    return -date.fromisoformat(night).toordinal(), kind, reason


def _reason(entry: NightVerdict | None) -> str:
    if entry is None:
        return "not made"
    if entry.verdict == "PASS":
        return "passed, not certified"
    return f"failed {', '.join(entry.failed)}" if entry.failed else "failed"

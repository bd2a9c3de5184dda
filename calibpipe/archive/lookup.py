"""Which calibration holds: one product, or an error that says what is there instead."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from astropy.time import Time
from lsst.daf.butler import MissingCollectionError, MissingDatasetTypeError

from ..core.exceptions import ConfigurationError
from .errors import AmbiguousValidityError, MissingTimeError, NoValidProductError
from .kinds import kind_of, kinds
from .names import CATEGORIES, category_chain, search_order, site_chain
from .repository import Archive, uses_database
from .validity import Interval, instant

__all__ = [
    "Certified",
    "applicable",
    "certified",
    "data_id",
    "lookup",
    "newest_layer",
    "product_path",
]


@dataclass(frozen=True)
class Certified:
    """A product with one of its validities.

    Parameters
    ----------
    kind : str
        ``camera/coefficients``.
    data_id : dict
        Site and telescope (or season) by name.
    product_id : UUID
        Identifier, as in the header of the product.
    run, collection : str
        Where the product and where its validity belongs.
    validity : Interval
        ``[begin, end)``.
    """

    kind: str
    data_id: dict[str, str]
    product_id: UUID
    run: str
    collection: str
    validity: Interval

    def text(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "kind": self.kind,
            **self.data_id,
            "product_id": str(self.product_id),
            "run": self.run,
            "collection": self.collection,
            "validity": self.validity.text(),
        }

    def __str__(self) -> str:
        return f"{self.validity} {self.product_id} of {self.run}"


def data_id(archive: Archive, kind: str, site: str, **keys: str | None) -> dict[str, Any]:
    """Data identifier of the Butler from names.

    Raises
    ------
    ConfigurationError
        If the archive does not know one of them, or one that the kind needs is not given.
    """
    needed = kind_of(kind).dimensions[1:]
    values: dict[str, Any] = {"site": archive.checked_site(site)}
    for name in needed:
        given = keys.get(name)
        if not given:
            raise ConfigurationError(f"{kind} is kept for each {name}: say which")
        values[name] = archive.tel_id(site, given) if name == "telescope" else given
    return values


@uses_database
def newest_layer(
    archive: Archive,
    kind: str,
    layers: Iterable[str],
    span: Interval,
    where: dict[str, Any] | None = None,
) -> list[Certified]:
    """Products whose validity begins in the span; of those of one moment the newest layer's."""
    front: dict[tuple, Certified] = {}
    for entry in certified(archive, kind, layers, where=where, within=span):  # newest layer first
        if span.begin <= entry.validity.begin < span.end:
            key = *sorted(entry.data_id.items()), entry.validity.begin
            front.setdefault(key, entry)
    return list(front.values())


def newest_certified(
    archive: Archive, kind: str, site: str, category: str, span: Interval, *, telescope: str
) -> Certified | None:
    """The product of a telescope that began to be valid last in the span; None without one."""
    where = data_id(archive, kind, site, telescope=telescope)
    found = newest_layer(archive, kind, archive.layers(site, category), span, where)
    return max(found, key=lambda entry: entry.validity.begin, default=None)


def certified(
    archive: Archive,
    kind: str,
    collections: Iterable[str],
    *,
    where: dict[str, Any] | None = None,
    within: Interval | None = None,
) -> list[Certified]:
    """Every certified product of a kind in these collections.

    Parameters
    ----------
    collections : iterable of str
        Layers of a site, or chains of layers; what does not exist holds nothing.
    where : dict
        Data identifier; what it lacks may be anything.
    within : Interval
        Only those valid at some time of it.

    Returns
    -------
    list of Certified
        In the search order of their layers, then of validity.
    """
    collections = list(collections)
    if not collections:
        return []
    dataset_type = archive.dataset_type(kind)
    name = dataset_type.name
    names = {number: tel for (_, tel), number in archive.telescopes.items()}
    with archive.butler.query() as empty:
        try:
            query = empty.join_dataset_search(name, collections=collections)
        except (MissingCollectionError, MissingDatasetTypeError):  # a kind newer than the archive
            return []
        conditions: list[Any] = [where] if where else []
        if within is not None:
            timespan = query.expression_factory[name].timespan
            conditions.append(timespan.overlaps(within.timespan))
        query = query.where(*conditions) if conditions else query
        fields: dict[str, Any] = {name: {"dataset_id", "run", "collection", "timespan"}}
        try:
            rows = list(
                query.general(dataset_type.dimensions, dataset_fields=fields, find_first=False)
            )
        except MissingCollectionError:
            return []
    found = []
    for row in rows:
        keys = {key: row[key] for key in dataset_type.dimensions.required}
        if "telescope" in keys:
            keys["telescope"] = names[keys["telescope"]]
        found.append(
            Certified(
                kind,
                keys,
                row[f"{name}.dataset_id"],
                row[f"{name}.run"],
                row[f"{name}.collection"],
                Interval.of_timespan(row[f"{name}.timespan"]),
            )
        )
    return sorted(found, key=lambda c: (search_order(c.collection), c.validity, str(c.data_id)))


@uses_database
def lookup(
    archive: Archive,
    kind: str,
    site: str,
    time: Time | tuple[Time, Time] | None,
    *,
    telescope: str | None = None,
    season: str | None = None,
    category: str | None = None,
) -> Certified:
    """The one product that holds at a time.

    Parameters
    ----------
    kind : str
        ``camera/coefficients``.
    site, telescope, season : str
        Whose; telescope and season only for kinds that are kept for each.
    time : Time or pair of Time
        Moment, or ``[begin, end)`` over which one product has to hold.
    category : str
        ``B``, ``C`` or ``reference``; None searches C, then B, then reference.

    Raises
    ------
    MissingTimeError
        If there is no time.
    NoValidProductError
        If nothing holds; names the nearest validities.
    AmbiguousValidityError
        If one product holds for a part only of the time; names them.
    """
    if time is None:
        raise MissingTimeError(f"{kind}: a calibration is valid at a time: give one")
    asked = instant(time) if isinstance(time, Time) else Interval.of(*time)
    where = data_id(archive, kind, site, telescope=telescope, season=season)
    chain = site_chain(site) if category is None else category_chain(site, category)
    found = certified(archive, kind, [chain], where=where, within=asked)
    what = " ".join(filter(None, (kind, "of", site, telescope, season)))
    if not found:
        raise NoValidProductError(_gap(archive, kind, chain, where, asked, what, category))
    if not found[0].validity.contains(asked):
        raise AmbiguousValidityError(
            f"{what}: no one product holds over all of {asked}; there are "
            f"{'; '.join(map(str, found))}: ask for a shorter time"
        )
    return found[0]


def _gap(
    archive: Archive,
    kind: str,
    chain: str,
    where: dict[str, Any],
    asked: Interval,
    what: str,
    category: str | None,
) -> str:
    every = certified(archive, kind, [chain], where=where)
    before = [c for c in every if c.validity.end <= asked.begin]
    after = [c for c in every if c.validity.begin >= asked.end]
    near = []
    if before:
        near.append(f"the nearest before is {max(before, key=lambda c: c.validity.end).validity}")
    if after:
        near.append(f"the nearest after is {min(after, key=lambda c: c.validity.begin).validity}")
    return (
        f"{what}: nothing in {category or ', '.join(CATEGORIES)} is certified for {asked}; "
        f"{' and '.join(near) or 'nothing is certified at any time'}"
    )


@uses_database
def applicable(
    archive: Archive,
    site: str,
    time: Time,
    *,
    telescope: str | None = None,
    category: str | None = None,
) -> dict[str, Certified | str]:
    """Every calibration that applies to a moment, kind by kind; text where none does, and why.

    Kinds of telescopes only if one is given; kinds that are kept for each season are left out.
    """
    answer: dict[str, Certified | str] = {}
    known = {"site", "telescope"} if telescope else {"site"}
    for kind in kinds().values():
        if not kind.validity or not set(kind.dimensions) <= known:
            continue
        try:
            answer[kind.name] = lookup(
                archive, kind.name, site, time, telescope=telescope, category=category
            )
        except NoValidProductError as error:
            answer[kind.name] = str(error)
    return answer


@uses_database
def product_path(archive: Archive, product_id: UUID | str) -> Path:
    """File of a product in the archive.

    Raises
    ------
    NoValidProductError
        If the archive has no product with this identifier.
    """
    try:
        ref = archive.butler.get_dataset(UUID(str(product_id)))
    except ValueError:
        ref = None
    if ref is None:
        raise NoValidProductError(f"the archive has no product {str(product_id)[:60]}")
    return Path(archive.butler.getURI(ref).ospath)

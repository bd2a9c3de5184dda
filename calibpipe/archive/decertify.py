"""Validity taken away from products, which stay in the archive."""

import uuid

from astropy.time import Time

from .candidate import check_words
from .certify import key_text
from .errors import NoValidProductError
from .lookup import Certified, certified, data_id
from .repository import Archive, uses_database
from .validity import Interval

__all__ = ["decertify"]


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
    check_words(author, reason)
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
                        "data_id": key_text(where),
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

"""Small products for the archive, and the time they are for."""

import json

from astropy.time import Time

from calibpipe.archive.candidate import Candidate
from calibpipe.archive.validity import Interval
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import ProductMetadata, write_json

T0 = Time("2024-07-10T12:00:00", scale="tai")
TEL_IDS = {f"LSTN-0{n}": n for n in range(1, 5)}
SIGNED = {"author": "a tester", "reason": "a test"}
OFFSET = "timing/array_offset"  # one for each telescope
SITE_KIND = "observatory/site"  # one for the site


def hours(begin, end=None):
    """Interval from `begin` to `end` hours after T0; no end: open."""
    times = [
        None if h is None else Time(T0.unix_tai + 3600 * h, format="unix_tai") for h in (begin, end)
    ]
    return Interval.of(*times)


def at(hour):
    """Moment so many hours after T0."""
    return Time(T0.unix_tai + 3600 * hour, format="unix_tai", scale="tai")


def product(folder, value, kind=OFFSET, telescope="LSTN-01", category="C", **more):
    """Header of a JSON product with one value."""
    details = {"array_element": telescope} if kind == OFFSET else {}
    details |= more.pop("details", {})
    metadata = ProductMetadata(
        kind,
        f"value {value}",
        **({"site": "CTAO-North", "night": "2024-07-10", "category": category} | more),
        details=details,
    )
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{kind.replace('/', '_')}-{telescope}-{category}-{value}.json"
    return read_product_header(write_json(folder / name, {"value": value}, metadata))


def candidate(header, interval, verdict="PASS", **more):
    """Candidate that has passed its verification."""
    return Candidate(header, validity=interval, verdict=verdict, **more)


def value_of(archive, found):
    """Value of a product that a lookup found."""
    from calibpipe.archive.lookup import product_path

    return json.loads(product_path(archive, found.product_id).read_text())["content"]["value"]

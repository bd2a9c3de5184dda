"""The page of a night: from products, failure records and warnings to facts, and to HTML.

`night_facts` collects what the page says, numbers already rounded to their errors; `render` fills
the template. Nothing here opens a file of the night.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import astropy.units as u

from ..core.site import Site
from .aerosol_page import aerosol_facts
from .array_page import array_facts
from .camera_page import camera_facts
from .completeness import absent_groups, absent_products, failure_facts, status
from .dedicated_page import dedicated_facts
from .key_numbers import key_numbers
from .material import NightMaterial
from .page_templates import page_template
from .pointing_page import pointing_facts
from .remarks import night_remarks
from .strips import density_scale, timeline
from .tables import configuration_facts, five_layers, input_facts, product_facts, versions
from .throughput_flashes import flash_facts
from .throughput_page import throughput_facts
from .verdicts import verdict_facts

__all__ = ["night_facts", "render"]

CATEGORIES = {"B": "category B, next day", "C": "category C, final"}


def night_facts(
    material: NightMaterial, figures: Sequence[dict[str, str]], trends: str = ""
) -> dict[str, Any]:
    """What the page says, ready for the template.

    Parameters
    ----------
    material : NightMaterial
    figures : sequence of dict
        ``name``, ``title``, ``caption``, ``svg`` (or an empty text) and ``absent`` (why).
    trends : str
        Link to the page of the site over the nights; empty: there is none.
    """
    absent = absent_products(material)
    remarks = night_remarks(material)
    return {
        "site": site_facts(material.site),
        "night": material.night,
        "category": material.category,
        "category_text": CATEGORIES[material.category],
        "trends": trends,
        "darkness": darkness_facts(material),
        "status": status(material, absent, remarks),
        "failures": [failure_facts(record) for record in material.failures],
        "absent": absent_groups(absent),
        "remarks": remarks,
        "key_numbers": key_numbers(material),
        "timeline": timeline(material),
        "density_scale": density_scale(material),
        "figures": list(figures),
        "aerosol": aerosol_facts(material),
        "cameras": camera_facts(material),
        "dedicated": dedicated_facts(material),
        "throughput": throughput_facts(material),
        "flashes": flash_facts(material),
        "pointing": pointing_facts(material),
        "array": array_facts(material),
        "verdicts": verdict_facts(material),
        "products": product_facts(material),
        "inputs": input_facts(material),
        "configurations": configuration_facts(material),
        "versions": versions(material),
        "five_layers": five_layers(material),
        "log_warnings": list(material.log_warnings),
    }


def render(facts: dict[str, Any], made: datetime, version: str) -> str:
    """HTML of the page; every fact is escaped, only figures are not."""
    page = page_template("night.html.j2")
    return page.render(facts, made=made, version=version) + "\n"


def site_facts(site: Site) -> dict[str, str]:
    """Name and place of the site."""
    latitude, longitude = site.latitude.to_value(u.deg), site.longitude.to_value(u.deg)
    return {
        "name": site.name,
        "place": f"{abs(latitude):.3f}° {'S' if latitude < 0 else 'N'}, "
        f"{abs(longitude):.3f}° {'W' if longitude < 0 else 'E'}",
        "elevation": f"{site.elevation.to_value(u.m):.0f} m",
    }


def darkness_facts(material: NightMaterial) -> dict[str, str] | None:
    """Dusk and dawn in UTC and local time."""
    if material.darkness is None:
        return None
    zone = ZoneInfo(material.site.time_zone)
    facts = {"duration": f"{material.darkness.duration.to_value(u.h):.2f} h"}
    for name in ("dusk", "dawn"):
        moment = getattr(material.darkness, name)
        facts[name] = f"{moment.utc.to_datetime():%H:%M}"
        facts[f"{name}_local"] = f"{moment.utc.to_datetime(timezone=zone):%H:%M}"
        facts[f"{name}_day"] = moment.utc.to_datetime().date().isoformat()
    return facts

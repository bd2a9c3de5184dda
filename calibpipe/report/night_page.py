"""The page of a night: from products, failure records and warnings to facts, and to HTML.

`night_facts` collects what the page says, numbers already rounded to their errors; `render` fills
the template. Nothing here opens a file of the night.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time

from ..atmosphere.reference_model import density_boundaries
from ..core.night import AstronomicalNight
from ..core.site import Site
from .placement import apart
from .rounding import power_of_ten, rounded, with_errors

__all__ = ["STEPS", "FoundProduct", "NightMaterial", "Step", "night_facts", "render"]

COMPLETE = "COMPLETE"
EXIT_CODES = {
    1: "unexpected error",
    100: "may pass: run the same command again later",
    101: "configuration or request: change it",
    102: "storage: a file could not be written or read",
    104: "an input is corrupted",
    105: "an input is missing or does not cover the night",
    106: "too few data",
    130: "interrupted: run the same command again",
}
CATEGORIES = {"B": "category B, next day", "C": "category C, final"}



def night_facts(material: NightMaterial, figures: Sequence[dict[str, str]]) -> dict[str, Any]:
    """What the page says, ready for the template.

    Parameters
    ----------
    material : NightMaterial
    figures : sequence of dict
        ``name``, ``title``, ``caption``, ``svg`` (or an empty text) and ``absent`` (why).
    """
    absent = absent_products(material)
    remarks = night_remarks(material)
    return {
        "site": site_facts(material.site),
        "night": material.night,
        "category": material.category,
        "category_text": CATEGORIES[material.category],
        "darkness": darkness_facts(material),
        "status": status(material, absent, remarks),
        "failures": [failure_facts(record) for record in material.failures],
        "absent": absent,
        "remarks": remarks,
        "key_numbers": key_numbers(material),
        "timeline": timeline(material),
        "density_scale": density_scale(material),
        "figures": list(figures),
        "products": product_facts(material),
        "inputs": input_facts(material),
        "configurations": configuration_facts(material),
        "versions": versions(material),
        "five_layers": five_layers(material),
        "log_warnings": list(material.log_warnings),
    }


def render(facts: dict[str, Any], made: datetime, version: str) -> str:
    """HTML of the page; every fact is escaped, only figures are not."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(str(files("calibpipe.report") / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("night.html.j2")
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


def failure_facts(record: dict[str, Any]) -> dict[str, Any]:
    """A failure record with the meaning of its exit code."""
    known = {"step": "unknown", "error": "", "message": "", "command": "", "time_utc": ""} | record
    code = record.get("exit_code", 1)
    return known | {"exit_code": code, "meaning": EXIT_CODES.get(code, "unexpected error")}


def absent_products(material: NightMaterial) -> list[dict[str, str]]:
    """Products that are not there or cannot be used, each with the reason."""
    failed = {record.get("step") for record in material.failures}
    absent = []
    for step in STEPS:
        for path in step.products:
            product = material.products.get(path)
            if product is not None and not product.problem:
                continue
            if material.by_date and _of_the_weather(step.name):
                continue
            reason = product.problem if product else _why_not_made(step, failed, material)
            absent.append({"path": path, "step": step.name, "reason": reason})
    return absent


def _of_the_weather(step: str) -> bool:
    """Whether a step is left out when the date chooses the reference model."""
    return step in ("simulation/meteo", "atmosphere/meteo_data", "atmosphere/density_profile")


def _why_not_made(step: Step, failed: set[str | None], material: NightMaterial) -> str:
    if step.name in failed:
        return "its step failed, see above"
    needed = _all_needs(step)
    if causes := [name for name in needed if name in failed]:
        return f"not made, because it needs {_listed(causes)}, which failed"
    made = {s.name for s in STEPS if s.products and s.products[0] in material.products}
    lacking = [s.name for s in STEPS if s.name in needed and s.products and s.name not in made]
    if lacking:
        return f"not made, because it needs {_listed(lacking)}, which is absent, too"
    return "not made, and no failure is recorded: run snakemake again"


def _all_needs(step: Step) -> list[str]:
    """Names of all steps that a step needs, directly or not, in the order of the night."""
    by_name = {s.name: s for s in STEPS}
    found: set[str] = set()
    pending = list(step.needs)
    while pending:
        name = pending.pop()
        found.add(name)
        pending += by_name[name].needs
    return [s.name for s in STEPS if s.name in found]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def status(
    material: NightMaterial, absent: Sequence[dict[str, str]], remarks: Sequence[dict[str, str]]
) -> dict[str, str]:
    """The band at the top: one word and one sentence."""
    warnings = [remark for remark in remarks if remark["level"] == "warning"]
    if material.failures:
        steps = _listed([record.get("step", "unknown") for record in material.failures])
        word = f"{_counted(len(material.failures), 'step')} failed"
        lacking = f"; {_counted(len(absent), 'product')} not made" if absent else ""
        return {"level": "failed", "word": word, "sentence": f"{steps}{lacking}."}
    if absent:
        return {
            "level": "failed",
            "word": "Incomplete",
            "sentence": f"{_counted(len(absent), 'product')} absent, no failure recorded.",
        }
    found = _counted(len(material.products), "product")
    if warnings:
        titles = "; ".join(remark["title"] for remark in warnings)
        return {"level": "warning", "word": "Complete, look twice", "sentence": f"{titles}."}
    season = material.usable("reference_model").facts["selection"]["season"]
    return {
        "level": "complete",
        "word": "Complete",
        "sentence": f"{found}; the optical depth closes; reference model {season}, by density.",
    }


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def product_facts(material: NightMaterial) -> list[dict[str, str]]:
    """Rows of the table of products, in the order of the steps."""
    failed = {record.get("step") for record in material.failures}
    absent = {entry["path"]: entry["reason"] for entry in absent_products(material)}
    rows = []
    for step in STEPS:
        for path in step.products:
            product = material.products.get(path)
            if product is None:
                reason = absent.get(path, "left out: the date chose the reference model")
                rows.append(_product_row(path, "absent", reason))
                continue
            state, word = "good", product.facts.get("status", "written")
            if product.problem:
                state, word = "bad", product.problem
            elif step.name in failed:
                state, word = "bad", "of an earlier run; the last one failed"
            rows.append(
                _product_row(path, state, word)
                | {
                    "link": product.link,
                    "id": product.header.get("CTA PRODUCT ID", ""),
                    "sha256": product.sha256,
                    "size": _readable_size(product.size),
                    "description": product.header.get("CTA PRODUCT DESCRIPTION", ""),
                }
            )
    return rows


def _product_row(path: str, state: str, word: str) -> dict[str, str]:
    empty = dict.fromkeys(("link", "id", "sha256", "size", "description"), "")
    return {"path": path, "state": state, "status": word} | empty


def _readable_size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(size / 1e3, 0.1):.1f} kB"


def input_facts(material: NightMaterial) -> list[dict[str, Any]]:
    """Inputs of all products, each once: role, path, checksum, which products used it."""
    own = {product.sha256 for product in material.products.values()}
    inputs: dict[tuple[str, str], dict[str, Any]] = {}
    for product in material.products.values():
        for entry in product.facts.get("inputs", ()):
            if entry["sha256"] in own:
                continue
            key = entry["path"], entry["sha256"]
            row = inputs.setdefault(key, entry | {"used_by": []})
            row["used_by"].append(product.path.rsplit("/", 1)[-1].split(".")[0])
    return sorted(inputs.values(), key=lambda row: (row["role"], row["path"]))


def configuration_facts(material: NightMaterial) -> list[dict[str, Any]]:
    """Configuration of each Tool that made a product, with its digest."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for product in material.products.values():
        if "configuration" not in product.facts:
            continue
        tool = product.header.get("CTA ACTIVITY NAME", "unknown")
        digest = product.facts["configuration_digest"]
        values = {
            key: (", ".join(map(str, value)) if isinstance(value, list) else str(value)) or "–"
            for key, value in product.facts["configuration"].items()
            if key not in ("night", "category")
        }
        rows[tool, digest] = {"tool": tool, "digest": digest, "values": values}
    return list(rows.values())


def versions(material: NightMaterial) -> dict[str, str]:
    """Software behind the products; several versions of one package are all named."""
    found: dict[str, set[str]] = {}
    for product in material.products.values():
        for name, version in product.facts.get("software", {}).items():
            found.setdefault(name, set()).add(version)
    names = sorted(found, key=lambda name: (name != "calibpipe", name))
    return {name: ", ".join(sorted(found[name])) for name in names}


def five_layers(material: NightMaterial) -> dict[str, Any] | None:
    """Parameters of CORSIKA's five layers and the cards that hold them."""
    model = material.usable("atmospheric_model")
    if model is None:
        return None
    layers = model.facts["five_layers"]
    columns = ("lower_boundary_in_km", "a_in_g_per_cm2", "b_in_g_per_cm2", "c_in_cm")
    return {
        "rows": [
            [str(i + 1), f"{h:.3f}", *(f"{x:.7g}".replace("-", "\N{MINUS SIGN}") for x in abc)]
            for i, (h, *abc) in enumerate(zip(*(layers[name] for name in columns), strict=True))
        ],
        "cards": "\n".join(layers["steering_cards"]),
    }

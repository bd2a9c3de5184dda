"""What was verified and certified, for the page: a line a product, a warning where it failed."""

from collections.abc import Iterable
from typing import Any

from .material import NightMaterial

__all__ = ["verdict_facts", "verdict_remarks"]

_SHOWN = 3  # criteria that a line names


def verdict_facts(material: NightMaterial) -> list[dict[str, Any]]:
    """One line for each product that was verified, failed ones first.

    ``what``, ``verdict``, ``state`` (as of the table of products), ``told`` (why it failed, or
    which criterion came nearest to its limit), ``certified`` (for which time, or why not),
    ``product_id``.
    """
    lines = [_line(document, material) for document in material.verdicts]
    return sorted(lines, key=lambda line: (line["verdict"] == "PASS", line["what"]))


def _line(document: dict[str, Any], material: NightMaterial) -> dict[str, Any]:
    content = document["content"]
    passed = content["verdict"] == "PASS"
    counted = [c for c in content["criteria"] if c["result"] != "NOT APPLICABLE"]
    told = "; ".join(content["because"][:_SHOWN]) if not passed else _nearest(counted)
    return {
        "what": _name(content["product"]),
        "verdict": content["verdict"],
        "state": "complete" if passed else "failed",
        "told": told,
        "certified": _certified(content["product"]["id"], material),
        "product_id": content["product"]["id"],
    }


def _name(product: dict[str, Any]) -> str:
    kind = product["kind"].replace("_", " ").replace("/", ": ")
    return " ".join(filter(None, (kind, product["array_element"], product["block"])))


def _nearest(criteria: list[dict[str, Any]]) -> str:
    """Criterion whose median is farthest from the middle of its limits, in half their width."""

    def used(entry: dict[str, Any]) -> float:
        low, high = entry["limits"]
        return abs(entry["median"] - (low + high) / 2) / ((high - low) / 2)

    known = [
        entry
        for entry in criteria
        if entry["median"] is not None and entry["limits"][0] != 0 and not entry["informative"]
    ]
    if not known:
        return "inside its limits"
    entry = max(known, key=used)
    unit = f" {entry['unit']}" if entry["unit"] else ""
    low, high = entry["limits"]
    return (
        f"nearest to a limit: {entry['id']} {entry['metric'].replace('_', ' ')} "
        f"{entry['median']:.2g}{unit} of {low:g} to {high:g}"
    )


def _certified(product_id: str, material: NightMaterial) -> str:
    for record in material.certifications:
        for entry in record["certified"]:
            if entry["product_id"] == product_id:
                begin, end = (entry["validity"][f"{name}_utc"] for name in ("begin", "end"))
                return f"{_clock(begin, material)} – {_clock(end, material)} UTC"
        if any(entry["product_id"] == product_id for entry in record["refused"]):
            return "refused"
    return "not yet"


def _clock(text: str | None, material: NightMaterial) -> str:
    if text is None:
        return "open"
    day, time = text[:10], text[11:16]
    return time if day == material.night else f"{time} ({day[5:]})"


def verdict_remarks(material: NightMaterial) -> Iterable[tuple[str, str, str]]:
    """A warning for each product that failed its verification."""
    for line in verdict_facts(material):
        if line["verdict"] != "PASS":
            yield (
                "warning",
                f"{line['what'][0].upper()}{line['what'][1:]} failed its verification",
                f"{line['told']}. It is not certified: mend what is wrong and run the night again, "
                "or sign a decision certify_despite_verdict in config/overrides.yaml.",
            )

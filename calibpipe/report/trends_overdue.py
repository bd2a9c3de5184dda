"""What is overdue at a site today, and what to do about it."""

from collections import defaultdict
from typing import Any

from ..archive.kinds import kind_of
from ..archive.trends import SiteTrends, uncertified_nights
from .trends_calendar import kind_name
from .wording import counted, listed

__all__ = ["category_c_facts", "overdue_facts", "telescope_facts"]

_SHOWN = 30  # nights that are listed


def overdue_facts(trends: SiteTrends) -> list[dict[str, Any]]:
    """Kinds whose newest calibration ended longer ago than their cadence allows.

    One line a kind and day of its end: ``kind``, ``whose`` (telescopes), ``cadence``, ``ended``
    (day), ``days``.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for entry in trends.ages:
        if entry["is_overdue"]:
            groups[entry["kind"], entry["last_end"][:10]].append(entry)
    lines = [
        {
            "kind": kind_name(kind),
            "whose": listed(sorted(_whose(entry) for entry in entries if _whose(entry))),
            "cadence": entries[0]["cadence"],
            "ended": ended,
            "days": round(max(entry["days"] for entry in entries)),
        }
        for (kind, ended), entries in groups.items()
    ]
    return sorted(lines, key=lambda line: (-line["days"], line["kind"]))


def _whose(entry: dict[str, Any]) -> str:
    return " ".join(v for name, v in entry["data_id"].items() if name != "site")


def telescope_facts(trends: SiteTrends) -> dict[str, Any] | None:
    """Which telescopes have a calibration that is as new as it should be, kind by kind.

    Only kinds that some telescope has; None if no kind is kept for each telescope. ``kinds``,
    ``rows``: ``name`` and ``cells`` with ``told`` and ``state``.
    """
    ages: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in trends.ages:
        if "telescope" in kind_of(entry["kind"]).dimensions:
            ages[entry["kind"], entry["data_id"]["telescope"]] = entry
    kinds = sorted({kind for kind, _ in ages})
    if not kinds:
        return None
    rows: list[dict[str, Any]] = [
        {"name": name, "cells": [_cell(ages.get((kind, name))) for kind in kinds]}
        for name in trends.telescopes
    ]
    known = [row for row in rows if any(cell["told"] != "never" for cell in row["cells"])]
    never = [row["name"] for row in rows if row not in known]
    return {
        "kinds": [kind_name(kind) for kind in kinds],
        "rows": known,
        "never": f"{listed(never)}: nothing was ever certified." if never else "",
    }


def _cell(entry: dict[str, Any] | None) -> dict[str, str]:
    if entry is None:
        return {"told": "never", "state": "absent"}
    if entry["days"] < 0:
        return {"told": "valid now", "state": "good"}
    days = counted(round(entry["days"]), "day")
    if entry["is_overdue"]:
        return {"told": f"ended {days} ago", "state": "bad"}
    return {"told": f"newest ended {days} ago", "state": "good"}


def category_c_facts(trends: SiteTrends, due_in_days: float) -> dict[str, Any]:
    """Nights of which products of category C are due and not certified, newest first.

    ``nights``: ``night``, ``days``, ``what`` (by reason), ``command``; ``more``: how many are not
    listed.
    """
    groups: dict[str, list[Any]] = defaultdict(list)
    for entry in uncertified_nights(trends, due_in_days):
        groups[entry.night].append(entry)
    nights = [
        {
            "night": night,
            "days": entries[0].days,
            "what": [_told(entry) for entry in entries],
            "command": _command(trends.site, night),
        }
        for night, entries in list(groups.items())[:_SHOWN]
    ]
    return {"nights": nights, "more": max(len(groups) - _SHOWN, 0), "number": len(groups)}


def _told(entry: Any) -> str:
    whose = f" of {listed(entry.array_elements)}" if entry.array_elements else ""
    return f"{kind_name(entry.kind)}{whose}: {entry.reason}"


def _command(site: str, *nights: str) -> str:
    named = ", ".join(f'"{night}"' for night in nights)
    return (
        f"snakemake --cores 2 --config 'sites=[\"{site}\"]' 'categories=[\"C\"]' 'nights=[{named}]'"
    )

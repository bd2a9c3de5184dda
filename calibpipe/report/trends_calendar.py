"""Verdicts of the nights of a site as traffic lights: a row a kind, a cell a night."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from typing import Any

from ..archive.trends import NightVerdict
from .wording import counted, listed

__all__ = ["STATES", "Calendar", "calendar", "calendar_svg", "kind_name"]

NOTHING, GOOD, PARTLY, BAD, WAITING = range(5)
STATES = {  # in the order of their numbers
    GOOD: "certified",
    PARTLY: "certified in part, or by a decision",
    BAD: "failed, nothing certified",
    WAITING: "passed, not certified",
}
_TOLD = 400  # nights of which is told what failed
_STATIC = 60  # nights of the drawing without a script
_LABELS, _CELL, _ROW = 226, 9, 20  # units of the drawing


@dataclass(frozen=True)
class Calendar:
    """Verdicts by kind and category.

    Parameters
    ----------
    first : date
        Night of the first cell.
    kinds : sequence of str
    cells : dict
        State of every night, one digit each (0: nothing), by kind and category.
    told : dict
        What failed, by kind, category and number of the night.
    """

    first: date
    kinds: Sequence[str]
    cells: dict[tuple[str, str], str]
    told: dict[tuple[str, str, int], str]

    def compact(self) -> dict[str, Any]:
        """For the page's script."""
        return {
            "kinds": [kind_name(kind) for kind in self.kinds],
            "cells": [
                {category: self.cells.get((kind, category), "") for category in ("B", "C")}
                for kind in self.kinds
            ],
            "told": {
                f"{self.kinds.index(kind)} {category} {day}": text
                for (kind, category, day), text in self.told.items()
            },
        }


def kind_name(kind: str) -> str:
    """``camera: coefficients``."""
    return kind.replace("_", " ").replace("/", ": ")


def calendar(verdicts: Sequence[NightVerdict], first: date, n_nights: int) -> Calendar:
    """States of all nights.

    A night is good if all its products of a kind are certified after they passed; bad if none is
    certified and one failed.
    """
    groups: dict[tuple[str, str], dict[int, list[NightVerdict]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for entry in verdicts:
        day = (date.fromisoformat(entry.night) - first).days
        groups[entry.kind, entry.category][day].append(entry)
    cells, told = {}, {}
    for key, days in groups.items():
        row = [NOTHING] * n_nights
        for day, entries in days.items():
            row[day] = _state(entries)
            if row[day] not in (NOTHING, GOOD):
                told[*key, day] = _failures(entries)
        cells[key] = "".join(map(str, row))
    newest = sorted(told, key=lambda key: -key[2])[:_TOLD]
    return Calendar(
        first, sorted({kind for kind, _ in groups}), cells, {key: told[key] for key in newest}
    )


def _state(entries: Sequence[NightVerdict]) -> int:
    held = [entry.is_certified for entry in entries]
    failed = [entry.verdict != "PASS" for entry in entries]
    if all(held):
        return PARTLY if any(failed) else GOOD
    if any(held):
        return PARTLY
    return BAD if any(failed) else WAITING


def _failures(entries: Iterable[NightVerdict]) -> str:
    """``LSTN-01 failed CAM-02 flat_field_residual; LSTN-02 ...``."""
    parts = []
    for entry in entries:
        who = " ".join(filter(None, (entry.array_element, entry.block)))
        if entry.verdict != "PASS":
            what = f"failed {listed(list(entry.failed[:2]))}" if entry.failed else "failed"
            what += ", certified by a decision" if entry.is_certified else ""
        elif not entry.is_certified:
            what = "passed, is not certified"
        else:
            continue
        parts.append(f"{who} {what}".strip())
    more = [f"{counted(len(parts) - 4, 'more product')}"] if len(parts) > 4 else []
    return "; ".join(parts[:4] + more)


def calendar_svg(found: Calendar, n_nights: int) -> str:
    """Drawing of the newest nights, for a page whose script does not run.

    Shapes differ as well as colours: full, half, outlined with a cross, outlined.
    """
    begin = max(n_nights - _STATIC, 0)
    nights = [found.first + timedelta(days=day) for day in range(begin, n_nights)]
    width, height = _LABELS + len(nights) * _CELL + 6, 26 + len(found.kinds) * _ROW
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="Verdicts by kind in '
        f'{counted(len(nights), "night")} up to {nights[-1]}; the table below has the same">'
    ]
    for place, night in enumerate(nights):
        if night.day in (1, 15):
            x = _LABELS + place * _CELL
            parts.append(f'<text class="tick" x="{x}" y="14">{night:%d %b}</text>')
    for row, kind in enumerate(found.kinds):
        y = 24 + row * _ROW
        parts.append(f'<text class="kind" x="0" y="{y + 11}">{escape(kind_name(kind))}</text>')
        for place in range(len(nights)):
            state = shown_state(found, kind, begin + place)
            if state:
                parts.append(_cell(_LABELS + place * _CELL, y, state))
    return "".join([*parts, "</svg>"])


def shown_state(found: Calendar, kind: str, day: int) -> int:
    """State in category C, in B where C has nothing."""
    for category in ("C", "B"):
        cells = found.cells.get((kind, category), "")
        if day < len(cells) and cells[day] != "0":
            return int(cells[day])
    return NOTHING


def _cell(x: float, y: float, state: int) -> str:
    width, height = _CELL - 2, float(_ROW - 6)
    if state == PARTLY:
        y, height = y + height / 2, height / 2
    box = f'<rect class="s{state}" x="{x}" y="{y:g}" width="{width}" height="{height:g}"/>'
    if state == BAD:
        box += (
            f'<path class="s{state}" d="M{x} {y}l{width} {height}m0 {-height}l{-width} {height}"/>'
        )
    return box

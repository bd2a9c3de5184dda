"""Doubts about the calibration of the array: what its products say, in the names of telescopes."""

import re
from collections.abc import Iterator

from .array_numbers import NAMES, ArrayNight, array_night
from .material import FoundProduct, NightMaterial
from .wording import counted, listed

__all__ = ["array_remarks"]

_TELESCOPE = re.compile(r"(?:ALARM: )?\btelescope (\d+)\b")
_PARTS = re.compile(r"(?<=no pairs connect )[\d, |]+\d|(?<=no pair of )[\d, ]+\d")
ADVICE = {  # by a piece of the product's own words; the first that fits
    "far from the others": "Dirt, frost, mirrors, or the gains of its camera; muons and flashes "
    "tell which. Its value is valid, and shifts the mean that the others of its part are relative "
    "to.",
    "muons and showers differ": "Muons see the light of one telescope, showers the difference to "
    "the others: look at its rings, its gains and its trigger.",
    "do not fit together": "Look at the matrix of pairs: a row of one colour is a telescope, a "
    "single cell a pair.",
    "no pairs connect": "The parts cannot be compared; more events may connect them.",
    "not solved": "Give more events, or lower `min_events`.",
    "not combined": "Values of showers alone are given.",
    "are needed to compare": "Its telescopes are calibrated by showers alone.",
}
HARMLESS = "are needed to compare"  # too few telescopes with muons: nothing is wrong
SHOWN = 6  # telescopes that a remark names


def array_remarks(material: NightMaterial) -> Iterator[tuple[str, str, str]]:
    """Doubts: level, title, text."""
    night = array_night(material)
    if night is None:
        return
    inputs = [entry for p in material.used.values() for entry in p.facts.get("inputs", ())]
    if any(e["role"] == "dl2" and e["path"].startswith("simulation/") for e in inputs):
        yield (
            "note",
            "Simulated array",
            "The events were made by calibpipe-simulate-dl2-data; their truth lies beside them.",
        )
    for product in (night.inter, night.cross):
        if product is not None:
            yield from _own_remarks(product, night)
    if night.timing is not None:
        yield from _timing_remarks(night.timing)


def _own_remarks(product: FoundProduct, night: ArrayNight) -> Iterator[tuple[str, str, str]]:
    """What inter- and cross-calibration say of themselves."""
    step = NAMES[product.facts["kind"].removeprefix("array/")]
    for text in product.facts["remarks"]:
        advice = next((told for piece, told in ADVICE.items() if piece in text), "")
        level = "note" if HARMLESS in text else "warning"
        yield level, f"{step}: {_named(text, night)}", advice or "So the product says."


def _named(text: str, night: ArrayNight) -> str:
    """Text with the name of a telescope for its number."""

    def parts(match: re.Match[str]) -> str:
        found = [re.findall(r"\d+", part) for part in match[0].split("|")]
        return " with ".join(_few([night.name_of(int(i)) for i in part]) for part in found)

    text = _TELESCOPE.sub(lambda match: night.name_of(int(match[1])), text)
    text = _PARTS.sub(parts, text).replace("+-", "±").replace("chi2", "χ²")
    return re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", text)


def _timing_remarks(product: FoundProduct) -> Iterator[tuple[str, str, str]]:
    facts = product.facts
    invalid = facts["not_valid"]
    if invalid:
        names = list(invalid)
        title = f"No valid time offset of {_few(names)}"
        reasons: dict[str, list[str]] = {}
        for name, reason in invalid.items():
            reasons.setdefault(reason, []).append(name)
        told = [f"{_few(members)}: {reason}" for reason, members in reasons.items()]
        if len(reasons) == 1:
            told = [reason[:1].upper() + reason[1:] for reason in reasons]
        more = f"; and {counted(len(told) - SHOWN, 'other reason')}" if len(told) > SHOWN else ""
        jump = " A jump is a clock, a cable or a new firmware."
        has_jump = any("differs between blocks" in reason for reason in reasons)
        yield "warning", title, f"{'; '.join(told[:SHOWN])}{more}.{jump * has_jump}"
    for obs_id, why in facts["left_out"].items():
        yield "warning", f"Timing without observation {obs_id}", f"{why[:1].upper()}{why[1:]}."
    if facts["not_converged"]:
        observations = listed([str(obs_id) for obs_id in facts["not_converged"]])
        yield (
            "warning",
            f"Timing of observation {observations} did not converge",
            "Time errors and directions were still changing; its offsets count nevertheless.",
        )


def _few(names: list[str]) -> str:
    """``a, b and 5 others``."""
    if len(names) <= SHOWN + 1:
        return listed(names)
    return listed([*names[:SHOWN], f"{len(names) - SHOWN} others"])

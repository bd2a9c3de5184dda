"""How a night without a calibration set agrees with the last certified ones, as it was verified."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .material import NightMaterial

__all__ = ["agreement_rows", "compared_sets"]

KIND, MODE = "camera/coefficients", "dedicated"
METRICS = {
    "gain_to_transfer": "gain over that of photon transfer",
    "transfer_disagreement": "pixels that disagree with photon transfer",
    "transfer_pull": "difference from photon transfer",
    "gain_to_spe": "gain over that of single photoelectrons",
    "spe_disagreement": "pixels that disagree with single photoelectrons",
    "spe_pull": "difference from single photoelectrons",
    "noise_to_dark": "noise of the pedestal over that of the closed camera",
    "pedestal_to_dark": "pedestal less that of the closed camera",
}
STATES = {"PASS": "good", "FAIL": "bad", "UNDETERMINED": "bad"}
_NIGHT = re.compile(r"\d{4}-\d{2}-\d{2}")
_CERTIFIED = "certified camera/"
OPEN = 1e6  # a limit that is none


def _records(material: NightMaterial) -> Iterator[Mapping[str, Any]]:
    """Verification records of coefficients that were held against certified sets."""
    for document in material.verdicts:
        content = document["content"]
        if content["product"]["kind"] == KIND and any(_criteria(content)):
            yield document


def _criteria(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for entry in content["criteria"]:
        if entry["mode"] == MODE and entry["result"] != "NOT APPLICABLE":
            yield entry


def agreement_rows(material: NightMaterial) -> list[dict[str, str]]:
    """Rows of the table of agreement: camera, what was compared, median, limits, result."""
    rows = []
    for document in _records(material):
        content = document["content"]
        product = content["product"]
        for entry in _criteria(content):
            unit = f" {entry['unit']}" if entry["unit"] else ""
            name = entry["metric"]
            result = entry["result"]
            is_told = result != "PASS" and entry["informative"]
            rows.append(
                {
                    "name": " ".join(filter(None, (product["array_element"], product["block"]))),
                    "what": METRICS.get(name, name.replace("_", " ")),
                    "id": entry["id"],
                    "median": "–" if entry["median"] is None else f"{entry['median']:.3g}{unit}",
                    "limits": _limits(entry["limits"], unit),
                    "outside": f"{entry['n_failing']} of {entry['n_elements']}",
                    "state": "warning" if is_told else STATES[result],
                    "result": f"{result}, told only" if is_told else result,
                }
            )
    return rows


def _limits(limits: list[float], unit: str) -> str:
    low, high = limits
    if high >= OPEN:
        return f"above {low:g}{unit}"
    return f"{low:g} to {high:g}{unit}".replace("-", "\N{MINUS SIGN}")


def compared_sets(material: NightMaterial, name: str) -> dict[str, str]:
    """What the coefficients of a telescope were compared with: kind, and its night if it is known.

    The night is that of the product's place in the calibration archive.
    """
    found: dict[str, str] = {}
    for document in _records(material):
        if document["content"]["product"]["array_element"] != name:
            continue
        for entry in document.get("calibpipe", {}).get("inputs", ()):
            if str(entry["role"]).startswith(_CERTIFIED):
                nights = _NIGHT.findall(str(entry["path"]))
                kind = entry["role"].removeprefix(_CERTIFIED).replace("_", " ")
                found[kind] = nights[-1] if nights else ""
    return found

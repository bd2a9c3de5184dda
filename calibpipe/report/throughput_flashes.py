"""Section of the page about flashes of external light: ratios of telescopes, and their verdicts."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import InsufficientStatisticsError
from ..throughput.relative_throughput import (
    RelativeThroughput,
    matched_flashes,
    relative_throughput,
)
from .completeness import absent_products
from .material import FoundProduct, NightMaterial
from .wording import with_errors

__all__ = ["flash_facts", "flash_ratios"]

COMMON = ("source", "transmission")  # errors with one cause; the others are each telescope's own


def flash_facts(material: NightMaterial) -> list[dict[str, Any]]:
    """One table an observation: throughput, ratio to the geometric mean, verdict; none without."""
    observations: dict[str, list[str]] = {}
    for step in material.illuminator_steps:
        observations.setdefault(step.name.rsplit(".", 1)[1], []).append(step.name)
    return [_observation(block, names, material) for block, names in observations.items()]


def flash_ratios(products: Sequence[FoundProduct]) -> RelativeThroughput:
    """Throughputs relative to their geometric mean, from the flashes that all telescopes saw.

    Photons of the source and the air are the same for all and cancel; the other systematic errors
    are each telescope's own.

    Parameters
    ----------
    products : sequence of FoundProduct
        With the tables ``chunks`` and ``flashes``, two at least.

    Raises
    ------
    InsufficientStatisticsError
        If all of them saw fewer than ten flashes together.
    """
    flashes = [_good_flashes(product) for product in products]
    matched = matched_flashes(*zip(*flashes, strict=True))
    errors = [product.facts["systematics"] for product in products]
    names = list(dict.fromkeys(name for entry in errors for name in entry))
    by_name = {name: np.array([entry.get(name, 0.0) for entry in errors]) for name in names}
    common = {name: error for name, error in by_name.items() if name in COMMON}
    own = {name: error for name, error in by_name.items() if name not in COMMON}
    return relative_throughput(matched, own, common)


def _good_flashes(product: FoundProduct) -> tuple[NDArray, NDArray]:
    """Number and throughput of the flashes in valid chunks."""
    flashes = product.tables["flashes"]
    is_valid = np.append(np.asarray(product.tables["chunks"]["is_valid"], bool), False)
    good = is_valid[np.asarray(flashes["chunk"], int)]  # chunk -1: in none
    return np.asarray(flashes["event_id"])[good], np.asarray(flashes["throughput"], float)[good]


def _observation(block: str, names: Sequence[str], material: NightMaterial) -> dict[str, Any]:
    found = {name: material.products.get(f"{name}.h5") for name in names}
    usable = {name: p for name, p in found.items() if p is not None and not p.problem}
    ratios: dict[str, Any] = {}
    told = ""
    if len(usable) > 1:
        try:
            ratios, told = _ratios(usable)
        except InsufficientStatisticsError as error:
            told = f"No ratios: {error}."
    elif usable:
        told = "No ratios: they need two telescopes."
    return {
        "obs_id": block.removeprefix("OBSID"),
        "told": told,
        "rows": [_row(name, usable.get(name), ratios.get(name), material) for name in names],
    }


def _ratios(usable: dict[str, FoundProduct]) -> tuple[dict[str, dict[str, str]], str]:
    """Ratio of each telescope as text, and what they are."""
    found = flash_ratios(list(usable.values()))
    values = zip(usable, found.ratio, found.stat_error, found.sys_error, strict=True)
    told = (
        f"Ratios are to the geometric mean of {len(usable)} telescopes, from the {found.n_flashes} "
        "flashes that all of them saw; errors of light and air are common to them and cancel."
    )
    return {name: with_errors(*map(float, numbers)) for name, *numbers in values}, told


def _row(
    name: str, product: FoundProduct | None, ratio: dict[str, str] | None, material: NightMaterial
) -> dict[str, Any]:
    """Numbers of one telescope as text, and how it went."""
    nothing = with_errors(math.nan, math.nan, math.nan)
    row = {"name": name.split("/", maxsplit=1)[0], "throughput": nothing, "flashes": "–"}
    row |= {"ratio": ratio or nothing}
    if product is None:
        reasons = [e["reason"] for e in absent_products(material) if e["step"] == name]
        return row | {"state": "bad", "status": "absent", "told": "; ".join(reasons)}
    chunks = product.tables["chunks"]
    good = chunks[np.asarray(chunks["is_valid"], bool)]
    n = np.asarray(good["n_events"], float)
    mean, stat, sys = (np.asarray(good[k], float) for k in ("mean", "stat_error", "sys_error"))
    weight = n / n.sum()
    errors = math.sqrt(np.sum((weight * stat) ** 2)), float(np.sum(weight * sys))
    return row | {
        "throughput": with_errors(float(np.sum(weight * mean)), *errors),
        "flashes": f"{n.sum():.0f} of {product.facts['n_flashes']}",
        **_verdict(product, material),
    }


def _verdict(product: FoundProduct, material: NightMaterial) -> dict[str, str]:
    """Verdict of the verification of this product, and what the product says of itself."""
    identifier = product.header["CTA PRODUCT ID"]
    contents = [document["content"] for document in material.verdicts]
    found = [c for c in contents if c["product"]["id"] == identifier]
    word = found[0]["verdict"] if found else "not verified"
    state = {"PASS": "good", "not verified": "absent"}.get(word, "bad")
    because = found[0]["because"] if found else []
    return {
        "state": state,
        "status": word,
        "told": "; ".join([*because, *product.facts["remarks"]]),
    }

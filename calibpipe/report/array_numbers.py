"""What showers say of the array in numbers: tables of telescopes and of steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .completeness import absent_products
from .material import ARRAY_RESULTS, FoundProduct, NightMaterial
from .wording import counted, signed, with_errors

__all__ = ["NAMES", "ArrayNight", "array_night", "step_rows", "telescope_rows"]

QUANTITIES = {"energy": "Asymmetries of energies", "image": "Asymmetries of image sizes"}
NAMES = {
    "inter_calibration": "Inter-calibration",
    "cross_calibration": "Cross-calibration",
    "timing": "Timing",
}


@dataclass(frozen=True)
class ArrayNight:
    """What a night has of the array as a whole; what cannot be used is left out.

    Parameters
    ----------
    tel_ids : ndarray, shape (n_tel,), int
        Ascending; of all products.
    names, kinds : ndarray, shape (n_tel,), str
        Array element (with the number where several have one name); ``LST``, ``MST``, ``SST``.
    asymmetries : dict
        ``energy`` and ``image`` to products, one an observation block.
    inter, cross, timing : FoundProduct or None
    """

    tel_ids: NDArray
    names: NDArray
    kinds: NDArray
    asymmetries: dict[str, tuple[FoundProduct, ...]]
    inter: FoundProduct | None
    cross: FoundProduct | None
    timing: FoundProduct | None

    def column(self, product: FoundProduct | None, name: str, empty: Any = math.nan) -> NDArray:
        """Column of the telescopes of a product, in our order; `empty` where there is none."""
        found = np.full(len(self.tel_ids), empty, object if isinstance(empty, str) else None)
        if product is not None and name in (table := product.tables["telescopes"]).colnames:
            place = np.searchsorted(self.tel_ids, np.asarray(table["tel_id"]))
            found[place] = np.asarray(table[name])
        return found

    def name_of(self, tel_id: int) -> str:
        """Name of a telescope."""
        return str(self.names[np.searchsorted(self.tel_ids, tel_id)])

    @property
    def products(self) -> list[FoundProduct]:
        """All of them."""
        every = (*sum(self.asymmetries.values(), ()), self.inter, self.cross, self.timing)
        return [product for product in every if product is not None]


def array_night(material: NightMaterial) -> ArrayNight | None:
    """Products of the array that can be used; None where none is there or expected."""
    if not material.array_steps:
        return None
    usable = {}
    for step in material.array_steps:
        product = material.products.get(step.products[0])
        if product is not None and not product.problem:
            usable[step.name.removeprefix("array/")] = product
    asymmetries = {
        quantity: tuple(p for name, p in usable.items() if name.startswith(f"{quantity}_"))
        for quantity in QUANTITIES
    }
    results = {name.split("_")[0]: usable.get(name) for name in ARRAY_RESULTS}
    telescopes = {
        int(row["tel_id"]): (str(row["name"]), str(row["tel_type"]))
        for product in usable.values()
        for row in product.tables["layout"]
    }
    tel_ids = np.array(sorted(telescopes), int)
    names = [telescopes[tel_id][0] for tel_id in tel_ids]
    names = [
        name if names.count(name) == 1 else f"{name}_{tel_id:03d}"
        for name, tel_id in zip(names, tel_ids, strict=True)
    ]
    kinds = np.array([telescopes[tel_id][1] for tel_id in tel_ids], str)
    return ArrayNight(tel_ids, np.array(names, str), kinds, asymmetries, **results)


def telescope_rows(night: ArrayNight) -> list[dict[str, Any]]:
    """Rows of the table of telescopes: numbers as text, and how it went."""
    columns = {
        key: [night.column(product, name) for name in names]
        for key, product, names in (
            ("throughput", night.inter, ("value", "error", "sys_error")),
            ("scaled", night.cross, ("value", "error", "sys_error")),
            ("offset", night.timing, ("offset", "stat_error", "sys_error")),
        )
    }
    difference, error = (
        100 * night.column(night.cross, name) for name in ("difference", "difference_error")
    )
    return [
        {
            "name": str(night.names[k]),
            "kind": str(night.kinds[k]),
            **{key: with_errors(*(float(c[k]) for c in found)) for key, found in columns.items()},
            "muons": _difference(float(difference[k]), float(error[k])),
            **_state(night, k),
        }
        for k in range(len(night.tel_ids))
    ]


def _difference(value: float, error: float) -> str:
    """Muons over showers, less 1, in percent."""
    if not math.isfinite(value):
        return "–"
    return f"{signed(value, 1)} ± {error:.1f}"


def _state(night: ArrayNight, k: int) -> dict[str, str]:
    """What is wrong with a telescope."""
    bad, doubts = [], []
    if night.inter is not None and not night.column(night.inter, "is_valid", False)[k]:
        number = int(night.column(night.inter, "island", -1)[k])
        bad.append("throughput relative to a part of the array" if number > 0 else "no throughput")
    if night.cross is not None and not night.column(night.cross, "is_valid", False)[k]:
        bad.append("not on the common scale")
    if night.timing is not None and not night.column(night.timing, "is_valid", False)[k]:
        reason = night.column(night.timing, "reason", "no time offset")[k]
        bad.append(f"time offset: {reason}" if reason != "no time offset" else reason)
    if night.column(night.inter, "is_outlier", False)[k]:
        doubts.append("throughput far from the others")
    if night.column(night.cross, "is_alarm", False)[k]:
        doubts.append("muons and showers differ")
    state = "bad" if bad else "warning" if doubts else "good"
    return {"state": state, "status": "; ".join([*bad, *doubts]) or "valid"}


def step_rows(material: NightMaterial, night: ArrayNight) -> list[dict[str, str]]:
    """Rows of the table of steps: which Tool, from what, with what result, and what is absent."""
    absent = {entry["step"]: entry["reason"] for entry in absent_products(material)}
    names = [step.name.removeprefix("array/") for step in material.array_steps]
    rows = []
    for quantity, title in QUANTITIES.items():
        mine = [name for name in names if name.startswith(f"{quantity}_")]
        if mine:
            found = night.asymmetries[quantity]
            rows.append(_step_row(title, found, _pair_text(found), mine, absent))
    told = {"inter": _inter_text, "cross": _cross_text, "timing": _timing_text}
    for name in ARRAY_RESULTS:
        if name in names:
            key = name.split("_")[0]
            product = getattr(night, key)
            text = told[key](product) if product is not None else "–"
            found = () if product is None else (product,)
            rows.append(_step_row(NAMES[name], found, text, [name], absent))
    return rows


def _step_row(
    title: str,
    found: Sequence[FoundProduct],
    told: str,
    steps: Sequence[str],
    absent: dict[str, str],
) -> dict[str, str]:
    lacking = [
        f"{step.split('.')[1]}: {reason}" if "." in step else reason
        for step in steps
        if (reason := absent.get(f"array/{step}"))
    ]
    observations = sorted({o for product in found for o in product.facts["observations"]})
    tools = dict.fromkeys(product.header.get("CTA ACTIVITY NAME", "") for product in found)
    return {
        "name": title,
        "tool": ", ".join(filter(None, tools)) or "–",
        "observations": ", ".join(map(str, observations)) or "–",
        "told": told,
        "state": "bad" if lacking else "good",
        "status": "; ".join(lacking) or "complete",
    }


def _pair_text(found: Sequence[FoundProduct]) -> str:
    if not found:
        return "–"
    events = sum(int(product.facts["n_pair_events"]) for product in found)
    valid = [int(product.facts["n_valid_pairs"]) for product in found]
    least, most = min(valid), max(valid)
    pairs = f"{least}" if least == most else f"{least} to {most}"
    return f"{pairs} of {found[0].facts['n_pairs']} pairs have enough events; {events} in all"


def _fit_text(p_value: float | None, n_pairs: int) -> str:
    if p_value is None:
        return f"{counted(n_pairs, 'pair')}, none to spare"
    return f"{counted(n_pairs, 'pair')}, p = {p_value:.2g}"


def _inter_text(product: FoundProduct) -> str:
    facts = product.facts
    source = "image sizes" if facts["method"].endswith("image_asymmetry") else "energies"
    fits = [
        f"{'all types' if kind == 'ALL' else kind}: {_fit_text(fit['p_value'], fit['n_pairs'])}"
        for kind, fit in facts["fits"].items()
    ]
    n_tel = len(product.tables["layout"])
    return f"{facts['n_valid']} of {n_tel} telescopes from {source}; {'; '.join(fits)}"


def _cross_text(product: FoundProduct) -> str:
    facts, n_tel = product.facts, len(product.tables["layout"])
    fit = "" if facts["p_value"] is None else f"; p = {facts['p_value']:.2g}"
    return (
        f"{facts['n_valid']} of {n_tel} telescopes on the scale of {facts['reference_type']}{fit}"
    )


def _timing_text(product: FoundProduct) -> str:
    facts = product.facts
    return (
        f"{facts['n_valid']} of {facts['n_telescopes']} telescopes from {facts['n_events']} "
        f"showers; χ² {facts['chi2']:.0f} for {facts['ndf']} degrees of freedom"
    )

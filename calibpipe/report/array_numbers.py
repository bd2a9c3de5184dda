"""What showers say of the array in numbers: throughputs, scales of types, time offsets, steps."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .completeness import absent_products
from .material import ARRAY_RESULTS, FoundProduct, NightMaterial
from .wording import counted, listed, rounded, signed, with_errors

__all__ = ["ArrayNight", "array_night", "array_tiles", "spread", "step_rows", "telescope_rows"]

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


def spread(value: NDArray, covariance: NDArray) -> tuple[float, float]:
    r"""Standard deviation of values and its error to first order.

    .. math:: s^2 = \frac{1}{n} \sum_i (x_i - \bar x)^2, \qquad
              \sigma_s^2 = g^T C g, \quad g_i = \frac{x_i - \bar x}{n s}

    Parameters
    ----------
    value : ndarray, shape (n,)
    covariance : ndarray, shape (n, n)

    Returns
    -------
    float, float
        NaN for fewer than two values; the error is NaN where all values are the same.
    """
    if len(value) < 2:
        return math.nan, math.nan
    away = value - value.mean()
    size = float(np.sqrt(np.mean(away**2)))
    if size == 0:
        return 0.0, math.nan
    gradient = away / (len(value) * size)
    return size, float(np.sqrt(gradient @ covariance @ gradient))


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
        bad.append(f"time offset: {night.column(night.timing, 'reason', 'none')[k]}")
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
    fits = [f"{k}: {_fit_text(f['p_value'], f['n_pairs'])}" for k, f in facts["fits"].items()]
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


def array_tiles(material: NightMaterial) -> list[dict[str, Any]]:
    """Key numbers: spread of throughputs by type, scales of types, spread of time offsets."""
    night = array_night(material)
    if night is None:
        return []
    return [*_throughput_tiles(night), *_scale_tiles(night), _timing_tile(night)]


def _number(name: str, **facts: Any) -> dict[str, Any]:
    nothing = {"value": "–", "stat": "", "sys": "", "total": "", "unit": "", "notes": []}
    return {"name": name} | nothing | facts


def _throughput_tiles(night: ArrayNight) -> Iterator[dict[str, Any]]:
    title = "Spread of throughputs"
    if night.inter is None:
        yield _number(title, notes=["needs inter_calibration"])
        return
    matrix = night.inter.tables["covariance"]
    value = night.column(night.inter, "value")
    valid = night.column(night.inter, "is_valid", False).astype(bool)
    for kind in dict.fromkeys(night.kinds[valid]):
        mine = np.flatnonzero(valid & (night.kinds == kind))
        place = np.searchsorted(np.asarray(matrix["tel_id"]), night.tel_ids[mine])
        covariances = [
            np.asarray(matrix[f"{name}_covariance"])[np.ix_(place, place)]
            for name in ("stat", "sys")
        ]
        size, stat, sys = _spread_with_errors(100 * np.log(value[mine]), covariances, 1e4)
        ends = [mine[np.argmin(value[mine])], mine[np.argmax(value[mine])]]
        low, high = (f"{night.names[k]} {value[k]:.3f}" for k in ends)
        of = np.count_nonzero(night.kinds == kind)
        notes = [f"{len(mine)} of {counted(of, 'telescope')}", f"lowest {low}, highest {high}"]
        yield _number(f"{title}, {kind}", **with_errors(size, stat, sys), unit="%", notes=notes)


def _spread_with_errors(
    value: NDArray, covariances: Sequence[NDArray], factor: float = 1.0
) -> tuple[float, float, float]:
    size = spread(value, factor * covariances[0])[0]
    return size, *(spread(value, factor * covariance)[1] for covariance in covariances)


def _scale_tiles(night: ArrayNight) -> Iterator[dict[str, Any]]:
    if night.cross is None:
        yield _number("Scale between types", notes=["needs cross_calibration"])
        return
    for row in night.cross.tables["scales"]:
        kind, reference = str(row["tel_type"]), str(row["tel_ref"])
        if kind == reference:
            continue
        names = ("scaling_factor", "scaling_factor_uncertainty", "scaling_factor_sys_error")
        yield _number(
            f"Scale of {kind} to {reference}",
            **with_errors(*(float(row[name]) for name in names)),
            notes=[f"{counted(int(row['n_pairs']), 'pair')} with telescopes of other types"],
        )


def _timing_tile(night: ArrayNight) -> dict[str, Any]:
    name = "Spread of time offsets"
    if night.timing is None:
        return _number(name, notes=["needs timing"])
    table, facts = night.timing.tables["telescopes"], night.timing.facts
    valid = np.flatnonzero(np.asarray(table["is_valid"], bool))
    covariances = [
        np.asarray(table[f"{part}_covariance"], float)[np.ix_(valid, valid)]
        for part in ("stat", "sys")
    ]
    numbers = _spread_with_errors(np.asarray(table["offset"], float)[valid], covariances)
    largest = [rounded(facts[f"max_{part}_error_in_ns"], digits=2)[0] for part in ("stat", "sys")]
    return _number(
        name,
        **with_errors(*numbers),
        unit="ns",
        notes=[
            f"{facts['n_valid']} of {counted(facts['n_telescopes'], 'telescope')}",
            f"largest errors of one: {listed(largest)} ns (stat, sys)",
        ],
    )

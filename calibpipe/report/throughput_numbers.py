"""What muon rings say of the telescopes in numbers: throughput, optics, corrections, doubts."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .completeness import absent_products
from .material import FoundProduct, NightMaterial
from .wording import counted, listed, rounded, with_errors

__all__ = [
    "TelescopeMuons",
    "applied_factor",
    "corrections",
    "overview",
    "rejections",
    "telescopes",
    "throughput_remarks",
    "throughput_tiles",
]

MAX_TILES = 4  # more telescopes of a kind share one
APPLIED = {"mean": "to the mean", "fit": "in the fit of each ring", "off": "not applied"}
REASONS = {  # of RingRejection, with the cut that the rings were made with
    "no_ring": "no ring in the light",
    "few_pixels": "fewer than {min_pixels:g} pixels on the ring",
    "little_light": "less than {min_light:g} p.e. on the ring",
    "radius": "radius not {radius[0]:g} to {radius[1]:g}°",
    "containment": "less than {min_containment:.0%} in the camera",
    "completeness": "an arc: light on less than {min_completeness:.0%}",
    "intensity_ratio": "less than {min_intensity_ratio:.0%} of the light on it",
    "not_converged": "fit not converged",
    "impact": "impact not {impact[0]:g} to {impact[1]:g} mirror radii",
    "width": "width not {width[0]:g} to {width[1]:g}°",
    "chi2": "reduced χ² above {max_reduced_chi2:g}",
    "saturated": "more than {max_saturated:.0%} saturated",
    "unusable_pixels": "more than {max_unusable:.0%} unusable pixels",
}


@dataclass(frozen=True)
class TelescopeMuons:
    """What a night has of the muon rings of one telescope; what cannot be used is left out.

    Parameters
    ----------
    name : str
    rings : tuple of FoundProduct
        One an observation block.
    throughput, psf : FoundProduct or None
    """

    name: str
    rings: tuple[FoundProduct, ...]
    throughput: FoundProduct | None
    psf: FoundProduct | None

    @property
    def value(self) -> tuple[float, float, float] | None:
        """Throughput, statistical and systematic error; None without."""
        if self.throughput is None:
            return None
        names = ("throughput", "stat_error", "sys_error")
        value, stat, sys = (float(self.throughput.facts[name]) for name in names)
        return (value, stat, sys) if math.isfinite(value) else None

    @property
    def kind(self) -> str:
        """``LSTN``: telescopes of a kind are compared."""
        return self.name.split("-")[0]

    @property
    def n_images(self) -> int:
        """Images that were searched for rings."""
        return self._total("n_images")

    @property
    def n_rings(self) -> int:
        """Rings that count."""
        return self._total("n_rings")

    @property
    def has_products(self) -> bool:
        """Whether there is anything of it."""
        return bool(self.rings or self.throughput or self.psf)

    def _total(self, name: str) -> int:
        products = [self.throughput] if self.throughput else self.rings
        return sum(int(product.facts[name]) for product in products)


def telescopes(material: NightMaterial) -> list[TelescopeMuons]:
    """Telescopes whose rings are expected, with what there is of them."""
    found: dict[str, dict[str, list[FoundProduct]]] = {}
    for step in material.throughput_steps:
        name, _, kind = step.name.split("/")
        products = found.setdefault(name, {})
        product = material.products.get(step.products[0])
        if product is not None and not product.problem:
            products.setdefault(kind.split(".")[0], []).append(product)
    return [
        TelescopeMuons(
            name,
            tuple(products.get("muon_rings", ())),
            next(iter(products.get("muon_throughput", ())), None),
            next(iter(products.get("muon_psf", ())), None),
        )
        for name, products in found.items()
    ]


def overview(material: NightMaterial) -> list[dict[str, Any]]:
    """Rows of the table of all telescopes: numbers as text, and how it went."""
    absent = absent_products(material)
    remarks = list(throughput_remarks(material))
    return [
        {
            "name": telescope.name,
            "is_drawn": telescope.has_products,
            "throughput": with_errors(*(telescope.value or [math.nan] * 3)),
            "ctapipe": _ctapipe(telescope),
            "rings": f"{telescope.n_rings} of {telescope.n_images}" if telescope.n_images else "–",
            **_optics(telescope),
            **_state(telescope, absent, remarks),
        }
        for telescope in telescopes(material)
    ]


def _ctapipe(telescope: TelescopeMuons) -> str:
    """What ctapipe's fit gives, as many places as its error has."""
    if telescope.value is None:
        return "–"
    row = telescope.throughput.tables["night"][0]
    return rounded(float(row["ctapipe_mean"]), float(row["ctapipe_sem"]))[0]


def _optics(telescope: TelescopeMuons) -> dict[str, dict[str, str]]:
    """Width of the point spread function and its 80 % radius, deg; or their limits."""
    nothing = with_errors(math.nan, math.nan, math.nan)
    if telescope.psf is None:
        return {"psf": nothing, "theta80": nothing}
    row = telescope.psf.tables["psf"][0]
    if not row["is_valid"]:
        limit = f"< {rounded(float(row['upper_limit']), digits=2)[0]}"
        return {"psf": nothing | {"value": limit}, "theta80": nothing}
    names = (("psf", "width", ""), ("theta80", "theta80", "theta80_"))
    return {
        key: with_errors(
            *(float(row[n]) for n in (value, f"{prefix}stat_error", f"{prefix}sys_error"))
        )
        for key, value, prefix in names
    }


def _state(
    telescope: TelescopeMuons, absent: list[dict[str, str]], remarks: list[tuple[str, str, str]]
) -> dict[str, str]:
    """How it went: what is absent first, then the doubts."""
    lacking = [
        f"{entry['path'].split('/')[-1].removesuffix('.h5')}: {entry['reason']}"
        for entry in absent
        if entry["step"].startswith(f"{telescope.name}/throughput/")
    ]
    mine = [(level, title) for level, title, _ in remarks if telescope.name in title]
    told = [title.removeprefix(f"{telescope.name}: ") for _, title in mine]
    state = "warning" if any(level == "warning" for level, _ in mine) else "good"
    return {
        "state": "bad" if lacking else state,
        "status": "; ".join([*lacking, *told]) or "complete",
    }


def corrections(telescope: TelescopeMuons) -> list[dict[str, str]]:
    """Rows of the table of corrections, all together in the last."""
    table = telescope.throughput.tables["corrections"]
    rows = [
        {
            "name": str(row["name"]).replace("_", " "),
            "factor": f"{row['factor']:.4f}",
            "error": f"{100 * row['error']:.2f} %",
            "applied": APPLIED.get(str(row["applied"]), str(row["applied"])),
            "source": str(row["source"]),
        }
        for row in table
    ]
    total = np.sqrt(np.sum(np.asarray(table["error"], float) ** 2))
    return [
        *rows,
        {
            "name": "all together",
            "factor": f"{applied_factor(telescope):.4f}",
            "error": f"{100 * total:.2f} %",
            "applied": APPLIED["mean"],
            "source": "product of the factors that are applied to the mean; errors in quadrature",
        },
    ]


def applied_factor(telescope: TelescopeMuons) -> float:
    """Of all corrections that are applied to the mean of the rings; 1 where it is not known."""
    if telescope.throughput is None:
        return 1.0
    table = telescope.throughput.tables["corrections"]
    applied = np.asarray(table["applied"]).astype(str) == "mean"
    return float(np.prod(np.asarray(table["factor"], float)[applied]))


def rejections(telescope: TelescopeMuons) -> list[tuple[str, int]]:
    """Why images were no rings, in words, and how many; the most frequent first.

    An image may have several reasons. Cuts are those of the first observation block.
    """
    products = telescope.rings or [telescope.throughput]
    total: dict[str, int] = {}
    for product in products:
        for name, n in product.facts["rejected"].items():
            total[name] = total.get(name, 0) + n
    total.pop("good", None)
    cuts = products[0].facts.get("cuts")
    return [
        (_reason(name, cuts), n)
        for name, n in sorted(total.items(), key=lambda item: -item[1])
        if n
    ]


def _reason(name: str, cuts: dict[str, Any] | None) -> str:
    if cuts is None or name not in REASONS:
        return name.replace("_", " ")
    return REASONS[name].format(**cuts).replace("%", "\N{NO-BREAK SPACE}%")


def throughput_tiles(material: NightMaterial) -> list[dict[str, Any]]:
    """Key numbers: throughput of each telescope; of many of a kind their median."""
    kinds: dict[str, list[TelescopeMuons]] = {}
    for telescope in telescopes(material):
        kinds.setdefault(telescope.kind, []).append(telescope)
    tiles = []
    for kind, members in kinds.items():
        few = len(members) <= MAX_TILES
        tiles += [_tile(telescope) for telescope in members] if few else [_tile_of(kind, members)]
    return tiles


def _number(name: str, **facts: Any) -> dict[str, Any]:
    nothing = {"value": "–", "stat": "", "sys": "", "total": "", "unit": "", "notes": []}
    return {"name": name} | nothing | facts


def _tile(telescope: TelescopeMuons) -> dict[str, Any]:
    name = f"Throughput of {telescope.name}"
    if telescope.value is None:
        return _number(name, notes=["needs muon_throughput"])
    notes = [f"{telescope.n_rings} muon rings"]
    psf = _optics(telescope)["psf"]
    if telescope.psf is not None:
        notes.append(f"optics σ {'= ' if psf['stat'] != '–' else ''}{psf['value']}°")
    return _number(name, **with_errors(*telescope.value), notes=notes)


def _tile_of(kind: str, members: list[TelescopeMuons]) -> dict[str, Any]:
    name = f"Throughput, median of {kind}"
    known = sorted((t for t in members if t.value), key=lambda t: t.value[0])
    if not known:
        return _number(name, notes=["needs muon_throughput"])
    values = np.array([telescope.value for telescope in known])
    ends = [f"{t.name} {rounded(t.value[0], digits=4)[0]}" for t in (known[0], known[-1])]
    return _number(
        name,
        **with_errors(*np.median(values, axis=0)),
        notes=[
            f"{len(known)} of {len(members)} telescopes; errors: of one, in the median",
            f"lowest {ends[0]}, highest {ends[1]}",
        ],
    )


def throughput_remarks(material: NightMaterial) -> Iterable[tuple[str, str, str]]:
    """Doubts about throughputs and optics: level, title, text."""
    limits = material.throughput_limits
    for telescope in telescopes(material):
        name = telescope.name
        if (telescope.rings or telescope.throughput) and telescope.n_rings < limits.min_rings:
            reasons = [f"{text} ({n})" for text, n in rejections(telescope)[:2]]
            why = f" Most were rejected for: {listed(reasons)}." if reasons else ""
            yield (
                "warning",
                f"{name}: only {counted(telescope.n_rings, 'muon ring')}",
                f"Of {counted(telescope.n_images, 'image')} (limit {limits.min_rings} rings).{why}",
            )
        if telescope.value is not None:
            yield from _error_remarks(telescope, limits.sys_error)
        if any(p.facts.get("focal_length", "effective") != "effective" for p in telescope.rings):
            yield (
                "warning",
                f"{name}: angles follow from the equivalent focal length",
                "The effective one is not known. Coma shifts light outwards, so that rings are too "
                "large by up to 5 %; the correction plate scale has this as its error.",
            )
        if telescope.psf is not None:
            yield from _psf_remarks(telescope)
        yield from _own_remarks(telescope)
    yield from _difference_remarks(material)


def _error_remarks(telescope: TelescopeMuons, limit: float) -> Iterator[tuple[str, str, str]]:
    value, _, sys = telescope.value
    if sys <= limit * value:
        return
    table = telescope.throughput.tables["corrections"]
    order = np.argsort(-np.asarray(table["error"], float))[:2]
    largest = [
        f"{str(table['name'][i]).replace('_', ' ')} ({table['error'][i]:.1%})" for i in order
    ]
    yield (
        "warning",
        f"{telescope.name}: systematic error of the throughput {sys / value:.1%}".replace(
            "%", " %"
        ),
        f"Limit {100 * limit:g} %. The largest parts: {listed(largest).replace('%', ' %')}.",
    )


def _psf_remarks(telescope: TelescopeMuons) -> Iterator[tuple[str, str, str]]:
    row, facts = telescope.psf.tables["psf"][0], telescope.psf.facts
    if not row["is_valid"]:
        limit = rounded(float(row["upper_limit"]), digits=2)[0]
        yield (
            "warning",
            f"{telescope.name}: the point spread function is only a limit",
            f"σ below {limit}° (95 %): {facts['psf_status']}.",
        )
    sectors = facts["misaligned_sectors"]
    if sectors and "sectors" in telescope.psf.tables:
        table = telescope.psf.tables["sectors"]
        named = [
            f"{float(table['azimuth_low'][k]):.0f} to {float(table['azimuth_high'][k]):.0f}° "
            f"({1000 * float(table['shift'][k]):+.1f} ± "
            f"{1000 * float(table['shift_error'][k]):.1f} mdeg)"
            for k in sectors
        ]
        yield (
            "warning",
            f"{telescope.name}: {counted(len(sectors), 'mirror sector')} misaligned",
            f"Light off the rings at azimuth {listed(named)}; look at the mirrors there.".replace(
                "-", "\N{MINUS SIGN}"
            ),
        )


def _own_remarks(telescope: TelescopeMuons) -> Iterator[tuple[str, str, str]]:
    """What the products say of themselves and what is not said above."""
    products = [*telescope.rings, telescope.throughput, telescope.psf]
    texts = [text for product in products if product for text in product.facts["remarks"]]
    status = telescope.psf.facts["psf_status"] if telescope.psf else ""
    for text in dict.fromkeys(texts):
        if "focal length" not in text and text != status:
            yield ("note", f"{telescope.name}: {text}", "So the product says.")


def _difference_remarks(material: NightMaterial) -> Iterator[tuple[str, str, str]]:
    """A telescope is far from the median of the others of its kind; of two nobody knows which."""
    limit = material.throughput_limits.difference
    text = (
        f"Limit {100 * limit:g} %, of telescopes of a kind in the same night. Dirt, frost, "
        "mirrors, or the gains of a camera."
    )
    known = [telescope for telescope in telescopes(material) if telescope.value]
    for kind in dict.fromkeys(telescope.kind for telescope in known):
        members = [telescope for telescope in known if telescope.kind == kind]
        values = np.array([telescope.value[0] for telescope in members])
        if len(members) == 2 and (difference := np.ptp(values) / values.mean()) > limit:
            names = " and ".join(telescope.name for telescope in members)
            title = f"{names}: throughputs differ by {100 * difference:.0f} %"
            yield "warning", title, text
        for k in range(len(members) if len(members) > 2 else 0):
            ratio = values[k] / np.median(np.delete(values, k)) - 1
            if abs(ratio) > limit:
                where = "above" if ratio > 0 else "below"
                name = members[k].name
                title = f"{name}: throughput {abs(100 * ratio):.0f} % {where} the other telescopes"
                yield "warning", title, text

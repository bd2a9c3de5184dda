"""What stars say of the pointing in numbers: tables of telescopes, blocks, stars, and terms."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from .completeness import absent_products
from .material import FoundProduct, NightMaterial
from .pointing_night import TelescopePointing, arcsec, pointing_telescopes
from .wording import counted, rounded, signed, with_errors

__all__ = [
    "block_rows",
    "mean_numbers",
    "mean_offset",
    "overview",
    "star_rows",
    "stars_told",
    "term_rows",
    "theta80",
]

MEANING = {
    "IA": "zero point of azimuth",
    "IE": "zero point of altitude",
    "CA": "camera not across the elevation axis",
    "NPAE": "elevation axis not horizontal",
    "AN": "azimuth axis leans north",
    "AW": "azimuth axis leans west",
    "TF": "flexure, cosine of the altitude",
    "TX": "flexure, cotangent of the altitude",
    "ECES": "centring of the elevation encoder, sine",
    "ECEC": "centring of the elevation encoder, cosine",
    "ACES": "centring of the azimuth encoder, sine",
    "ACEC": "centring of the azimuth encoder, cosine",
}
HARMLESS = ("too faint", "not in the camera", "beyond the brightest")
NOISE = 1e-6  # arcsec: what arithmetic leaves of zero
NOTHING = (math.nan,) * 3


def mean_offset(telescope: TelescopePointing) -> tuple[tuple[float, float, float], ...]:
    """Mean dlon and dlat of the valid rows with both errors of one row (median), arcsec.

    Errors of rows are correlated (pixels, catalogue), so that of the mean is not below them by the
    root of their number.
    """
    offsets = telescope.offsets
    if offsets is None or not offsets.is_valid.any():
        return NOTHING, NOTHING
    good = offsets.is_valid
    return tuple(
        (
            float(np.mean(offsets.value[good, k])),
            float(np.median(offsets.stat[good, k])),
            float(np.median(offsets.sys[good, k])),
        )
        for k in range(2)
    )


def mean_numbers(products: Iterable[FoundProduct], names: Sequence[str]) -> tuple[float, ...]:
    """Mean over blocks of a number of their headers, its errors: independent, and common."""
    found = np.array([[float(product.facts[name]) for name in names] for product in products])
    if not found.size:
        return NOTHING
    value, stat, sys = found.T
    return float(value.mean()), float(np.sqrt(np.sum(stat**2)) / len(stat)), float(sys.mean())


def theta80(telescope: TelescopePointing) -> tuple[float, float, float]:
    """Radius on the axis that holds 80 % of the light of a star, mean over blocks, arcsec."""
    names = ("theta80", "theta80_stat_error", "theta80_sys_error")
    tables = [product.tables["psf"] for product in telescope.psf.values()]
    if not tables:
        return NOTHING
    value, stat, sys = (np.concatenate([arcsec(t[name]) for t in tables]) for name in names)
    return float(value.mean()), float(np.sqrt(np.sum(stat**2)) / len(stat)), float(sys.mean())


def overview(
    material: NightMaterial, remarks: Sequence[tuple[str, str, str]]
) -> list[dict[str, Any]]:
    """Rows of the table of all telescopes: numbers as text, and how it went."""
    absent = absent_products(material)
    rows = []
    for telescope in pointing_telescopes(material):
        dlon, dlat = mean_offset(telescope)
        offsets, model = telescope.offsets, telescope.model
        valid = "–"
        if offsets is not None:
            valid = f"{np.count_nonzero(offsets.is_valid)} of {len(offsets)}"
        rows.append(
            {
                "name": telescope.name,
                "is_drawn": telescope.has_products,
                "valid": valid,
                "dlon": with_errors(*dlon),
                "dlat": with_errors(*dlat),
                "error": _largest_error(telescope),
                "theta80": with_errors(*theta80(telescope)),
                "model": f"{model.facts['sky_rms_in_arcsec']:.1f}" if model else "–",
                **_state(telescope, material, absent, remarks),
            }
        )
    return rows


def _largest_error(telescope: TelescopePointing) -> str:
    """Of the valid rows, on the sky."""
    offsets = telescope.offsets
    if offsets is None or not offsets.is_valid.any():
        return "–"
    return f"{np.max(offsets.error[offsets.is_valid]):.1f}"


def _state(
    telescope: TelescopePointing,
    material: NightMaterial,
    absent: list[dict[str, str]],
    remarks: Sequence[tuple[str, str, str]],
) -> dict[str, str]:
    """How it went: what is absent and what failed its verification, then the doubts."""
    bad = [
        f"{entry['step'].split('/')[-1].replace('_', ' ')}: {entry['reason']}"
        for entry in absent
        if entry["step"].startswith(f"{telescope.name}/pointing/")
    ]
    for document in material.verdicts:
        product, verdict = document["content"]["product"], document["content"]["verdict"]
        own = product["array_element"] == telescope.name and product["kind"].startswith("pointing/")
        if own and verdict != "PASS":
            name = product["kind"].removeprefix("pointing/").replace("_", " ")
            bad.append(f"{' '.join(filter(None, (name, product['block'])))} failed verification")
    offsets = telescope.offsets
    is_blind = bool(telescope.tracking) and (offsets is None or not offsets.is_valid.any())
    mine = [(level, title) for level, title, _ in remarks if title.startswith(telescope.name)]
    told = [title.removeprefix(f"{telescope.name}: ") for level, title in mine]
    doubtful = any(level == "warning" for level, _ in mine)
    state = "bad" if bad or is_blind else "warning" if doubtful else "good"
    return {"state": state, "status": "; ".join([*bad, *told]) or "complete"}


def block_rows(telescope: TelescopePointing) -> list[dict[str, Any]]:
    """Rows of the table of observation blocks: time, stars, rotation, plate scale, quality."""
    rows = []
    for block, product in telescope.tracking.items():
        table, facts = product.tables["pointing"], product.facts
        names = ("rotation{}_in_arcmin", "plate_scale{}")
        rotation, scale = (
            tuple(float(facts[name.format(e)]) for e in ("", "_stat_error", "_sys_error"))
            for name in names
        )
        degrees = facts["n_degrees"]
        rows.append(
            {
                "block": block,
                "time": _span(table),
                "valid": f"{facts['n_valid_blocks']} of {facts['n_blocks']}",
                "stars": str(facts["n_stars"]),
                "rotation": with_errors(*rotation),
                "scale": with_errors(100 * (scale[0] - 1), 100 * scale[1], 100 * scale[2]),
                "chi2": f"{facts['chi2']:.0f} / {degrees}" if degrees else "–",
            }
        )
    return rows


def _span(table: Table) -> str:
    if not len(table):
        return "–"
    first, last = table["time"][[0, -1]].utc.to_datetime()
    return f"{first:%H:%M} – {last:%H:%M}"


def star_rows(telescope: TelescopePointing) -> list[dict[str, Any]]:
    """Rows of the table of stars: those that count, and those with something wrong."""
    rows = []
    for block, product in telescope.tracking.items():
        table = product.tables["stars"]
        residual, error = (
            np.stack([arcsec(table[f"residual_{axis}{suffix}"]) for axis in "yx"], axis=1)
            for suffix in ("", "_error")
        )
        for k, star in enumerate(table):
            reason = str(star["reason"])
            if not star["is_used"] and reason.startswith(HARMLESS):
                continue
            rows.append(
                {
                    "block": block,
                    "star": str(star["star"]),
                    "magnitude": f"{float(star['magnitude']):.2f}",
                    "angle": _fixed(float(star["field_angle"]), 2),
                    "light": _fixed(float(star["relative_flux"]), 2),
                    "residuals": [
                        f"{signed(value, 1)} ± {own:.1f}" if math.isfinite(value) else "–"
                        for value, own in zip(residual[k], error[k], strict=True)
                    ],
                    "state": "good" if star["is_used"] else "warning",
                    "status": reason,
                }
            )
    return rows


def _fixed(value: float, places: int) -> str:
    return f"{value:.{places}f}" if math.isfinite(value) else "–"


def stars_told(telescope: TelescopePointing) -> str:
    """Of the table of stars: how many count, why others do not."""
    stars = [star for p in telescope.tracking.values() for star in p.tables["stars"]]
    reasons = Counter(_short(str(star["reason"])) for star in stars if not star["is_used"])
    used = sum(bool(star["is_used"]) for star in stars)
    others = [f"{number} {reason}" for reason, number in reasons.most_common()]
    blocks = counted(len(telescope.tracking), "observation block")
    return f"{'; '.join([f'{used} of {counted(len(stars), "star")} used in {blocks}', *others])}"


def _short(reason: str) -> str:
    """Reasons with numbers of their own are one."""
    if "arcsec from where" in reason:
        return "not where the others say"
    if "times that of the catalogue" in reason:
        return "of another light than the catalogue says"
    if reason.startswith("beyond the brightest"):
        return "more than are needed"
    return re.split("[,:]", reason, maxsplit=1)[0]


def term_rows(model: FoundProduct) -> list[dict[str, Any]]:
    """Rows of the table of terms of a pointing model."""
    rows = []
    table = model.tables["terms"]
    numbers = [arcsec(table[name]) for name in ("value", "stat_error", "sys_error")]
    for term, value, stat, sys in zip(table, *numbers, strict=True):
        significance, gain = float(term["significance"]), float(term["bic_gain"])
        rows.append(
            {
                "name": str(term["term"]),
                "meaning": MEANING.get(str(term["term"]), "harmonic"),
                "value": with_errors(value, stat, sys if sys > NOISE else 0.0),
                "significance": f"{abs(significance):.1f}" if math.isfinite(significance) else "–",
                "gain": rounded(gain, digits=3)[0],
                "state": "warning" if term["is_fixed"] else "good",
                "status": "fixed: not determined" if term["is_fixed"] else "fitted",
            }
        )
    return rows


def telescopes_in_doubt(rows: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Names of telescopes by their state."""
    found: dict[str, list[str]] = {"bad": [], "warning": [], "good": []}
    for row in rows:
        found[row["state"]].append(row["name"])
    return found

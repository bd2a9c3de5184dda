"""Doubts about the pointing of telescopes: what is wrong, and what to do."""

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from .completeness import absent_products
from .material import FoundProduct, NightMaterial
from .pointing_night import (
    OF_MEDIAN,
    OF_MODEL,
    Offsets,
    TelescopePointing,
    pointing_telescopes,
    reference_offsets,
)
from .wording import counted, listed

__all__ = ["chance", "pointing_remarks"]

ADVICE = {  # by a piece of the product's own words; the first that fits
    "stars of the catalogue in the camera": "Raise magnitude_limit or take a field with more "
    "bright stars.",
    "drive data missing": "Give the record of the drive over the whole block; a record that ends "
    "37 s off has UTC for TAI.",
    "field of view below": "Stars near the horizon are refracted too much; nothing is to be done.",
    "within": "Look at the clouds of that time, the clock of the camera and the record of the "
    "drive; if both are right, enlarge search_radius_in_deg.",
    "at the limit of the search": "Check the clock (15 arcsec a second), then enlarge "
    "search_radius_in_deg.",
    "fits at two places": "Give more stars (magnitude_limit) or a smaller search_radius_in_deg.",
    "stars seen, needs": "Look at the clouds of that time and the masked pixels of the camera; "
    "more stars (magnitude_limit) may help.",
    "statistical error of": "Moonlight or thin cloud: make blocks longer (block_duration_in_s).",
    "stars disagree": "Check the clock of the camera and the record of the drive; look at the "
    "table of stars for one that is wrong.",
}
AWAY = {  # from what the offsets are compared with: title, advice
    OF_MODEL: (
        "looks {:.1f} arcsec from where the pointing model says",
        "The mount has changed since, or the model was fitted to other nights: fit it again.",
    ),
    OF_MEDIAN: (
        "is {:.1f} arcsec from the median of the night",
        "One number is not enough for this night: correct block by block, or with a pointing "
        "model.",
    ),
}
FEW_STARS = 3  # per block: two are needed, a third one checks them
FAR = 300.0  # arcsec, of an offset that is more than a telescope's usual one
UNLIKELY = 1e-3
MAX_SIGMA = 3.0
RIM = 2.0  # deg, where rotation and plate scale are judged
SHOWN = 4  # reasons that a text names


def chance(chi2: float, n_degrees: float) -> float:
    """Chance of a larger chi2; 1 without degrees of freedom."""
    from scipy.special import chdtrc

    return float(chdtrc(n_degrees, chi2)) if n_degrees > 0 else 1.0


def pointing_remarks(material: NightMaterial) -> Iterator[tuple[str, str, str]]:
    """Doubts: level, title (which begins with the telescope), text."""
    for telescope in pointing_telescopes(material):
        offsets = telescope.offsets
        if telescope.tracking:
            yield from _block_remarks(telescope, offsets, material.valid_blocks_limit)
        if offsets is not None and offsets.is_valid.any():
            yield from _offset_remarks(telescope, offsets, material.pointing_limit)
        for block, product in telescope.tracking.items():
            where = f"{telescope.name}: {block}"
            yield from _fit_remarks(where, product, material.pointing_limit)
            yield from _star_remarks(where, product)
        yield from _psf_remarks(telescope)
        if telescope.model is not None:
            yield from _model_remarks(telescope, material.pointing_limit)
    yield from _failure_remarks(material)


def _block_remarks(
    telescope: TelescopePointing, offsets: Offsets | None, limit: float
) -> Iterator[tuple[str, str, str]]:
    """Blocks of time that are not valid, why, what to do."""
    name = telescope.name
    if offsets is None:
        yield "warning", f"{name}: star tracking without a block", "No image was there to track in."
        return
    reasons = Counter(_general(str(text)) for text in offsets.status[~offsets.is_valid])
    if not reasons:
        return
    n, bad = len(offsets), sum(reasons.values())
    level = "warning" if n - bad < limit * n else "note"
    title = f"{name}: {bad} of {counted(n, 'block')} not valid"
    told = [f"{reason} ({number})" for reason, number in reasons.most_common(SHOWN)]
    advice = dict.fromkeys(_advice(reason) for reason in reasons)
    text = f"{'; '.join(told)}. {' '.join(filter(None, advice))}".strip()
    yield level, title, f"{text[:1].upper()}{text[1:]}"


def _general(status: str) -> str:
    """Reason without the numbers of the single block."""
    head, _, tail = status.partition(":")
    if "stars seen, needs" in head:
        return f"too few stars seen:{tail}"
    return f"statistical error too large:{tail}" if "statistical error of" in head else status


def _advice(reason: str) -> str:
    known = {"too few stars seen": "stars seen, needs"}
    known |= {"statistical error too large": "statistical error of"}
    reason = next((piece for text, piece in known.items() if reason.startswith(text)), reason)
    return next((told for piece, told in ADVICE.items() if piece in reason), "")


def _offset_remarks(
    telescope: TelescopePointing, offsets: Offsets, limit: float
) -> Iterator[tuple[str, str, str]]:
    name, good = telescope.name, offsets.is_valid
    error = offsets.error[good]
    above = np.count_nonzero(error > limit)
    if above:
        yield (
            "warning",
            f"{name}: {above} of {counted(error.size, 'valid block')} less sure than {limit:g} "
            "arcsec",
            f"Error on the sky up to {error.max():.1f} arcsec, statistical and systematic. Longer "
            "blocks (block_duration_in_s) or more stars make it smaller.",
        )
    few = np.median(offsets.n_stars[good])
    if few < FEW_STARS:
        yield (
            "note",
            f"{name}: {few:g} stars in a block",
            f"With fewer than {FEW_STARS} nothing checks the stars. More are had with a "
            "fainter magnitude_limit, longer blocks, or a field with more bright stars.",
        )
    mean = float(np.hypot(*np.mean(offsets.value[good], axis=0)))
    if mean > FAR:
        yield (
            "warning",
            f"{name}: the camera looks {mean / 60:.1f} arcmin beside the drive",
            "Check the clocks first (the sky turns by 15 arcsec a second; 37 s are UTC taken for "
            "TAI), then the record of the drive, then the pointing model in the drive.",
        )
    reference, expected = reference_offsets(telescope)
    block, distance = _farthest_block(offsets, offsets.value - expected)
    if distance > limit:
        title, advice = AWAY[reference]
        yield (
            "warning",
            f"{name}: {block} {title.format(distance)}",
            f"Limit {limit:g} arcsec, mean of the block. {advice}",
        )


def _farthest_block(offsets: Offsets, difference: np.ndarray) -> tuple[str, float]:
    """Observation block whose mean difference is largest, and how large, arcsec."""
    found = {}
    for block in dict.fromkeys(offsets.observation.tolist()):
        mine = offsets.is_valid & (offsets.observation == block)
        if mine.any():
            found[block] = float(np.hypot(*np.mean(difference[mine], axis=0)))
    return max(found.items(), key=lambda item: item[1])


def _fit_remarks(where: str, product: FoundProduct, limit: float) -> Iterator[tuple[str, str, str]]:
    """Rotation, plate scale, and whether the stars agree."""
    facts = product.facts
    p_value = chance(facts["chi2"], facts["n_degrees"])
    if p_value < UNLIKELY:
        yield (
            "note",
            f"{where}: places of stars scatter more than their errors",
            f"χ² {facts['chi2']:.0f} for {facts['n_degrees']} degrees of freedom (chance "
            f"{p_value:.1g}): statistical errors are too small by "
            f"{math.sqrt(facts['chi2'] / facts['n_degrees']):.2g}. Wrong gains of pixels, or a "
            "point spread function that is not that of the fit.",
        )
    rim = RIM * 3600
    for what, name, unit, advice in (
        ("rotation of the camera", "rotation{}_in_arcmin", math.radians(1 / 60), "cam_rotation"),
        ("plate scale", "plate_scale{}", 1.0, "the effective focal length"),
    ):
        value, *errors = (
            float(facts[name.format(e)]) * unit * rim for e in ("", "_stat_error", "_sys_error")
        )
        value -= rim if what == "plate scale" else 0.0
        if abs(value) > max(limit, MAX_SIGMA * math.hypot(*errors)):
            yield (
                "warning",
                f"{where}: {what} shifts stars by {abs(value):.0f} arcsec",
                f"At {RIM:g}° from the middle, ± {math.hypot(*errors):.0f} arcsec; limit "
                f"{limit:g}. A time that is wrong by minutes looks like this, too; else put "
                f"{advice} right in the description of the telescope.",
            )


def _star_remarks(where: str, product: FoundProduct) -> Iterator[tuple[str, str, str]]:
    """Stars that were left out although they were seen, and remarks of the product."""
    wrong = [
        f"{star['star']} ({star['reason']})"
        for star in product.tables["stars"]
        if "arcsec from where" in str(star["reason"]) or "times that of" in str(star["reason"])
    ]
    if wrong:
        yield (
            "note",
            f"{where}: {counted(len(wrong), 'star')} left out",
            f"{listed(wrong[:SHOWN])}{' and others' if len(wrong) > SHOWN else ''}.",
        )
    for text in product.facts["remarks"]:
        yield "note", f"{where}: {text}", "So the product says."


def _psf_remarks(telescope: TelescopePointing) -> Iterator[tuple[str, str, str]]:
    for block, product in telescope.psf.items():
        compared = product.facts["muon_comparison"]
        if compared is not None and abs(compared["z_score"]) > MAX_SIGMA:
            star, muon = (3600 * compared[f"{name}_in_deg"] for name in ("star", "muon"))
            yield (
                "warning",
                f"{telescope.name}: {block}: stars and muon rings see different optics",
                f"Width {star:.0f} arcsec of stars, {muon:.0f} of rings, "
                f"{abs(compared['z_score']):.1f} errors apart. Dew and focus change within the "
                "night, of which rings see all. Else gains, or the colour of the light.",
            )


def _model_remarks(telescope: TelescopePointing, limit: float) -> Iterator[tuple[str, str, str]]:
    name, facts = telescope.name, telescope.model.facts
    rms = float(facts["sky_rms_in_arcsec"])
    if rms > limit:
        yield (
            "warning",
            f"{name}: the pointing model leaves {rms:.1f} arcsec",
            f"Limit {limit:g} arcsec on the sky. A pattern on its map asks for a term "
            "(candidates); without a pattern the offsets themselves scatter.",
        )
    reference = reference_offsets(telescope)
    if reference is not None and reference[0] != OF_MODEL:
        yield (
            "note",
            f"{name}: the pointing model was not measured where the telescope looked",
            "Offsets of the night are compared with their median instead.",
        )
    for text in facts["remarks"]:
        yield "warning", f"{name}: {text}", "So the pointing model says."


FAILURES = {  # by a piece of the message of a failed step
    "drive": "Give the record of the drive of this block: monitoring.drive in the configuration.",
    "has 2 stars": "No block could be used: look at the clouds, the clock, the record of the drive "
    "and the masked pixels.",
}


def _failure_remarks(material: NightMaterial) -> Iterator[tuple[str, str, str]]:
    """What to do about a failed step of stars, where its message tells."""
    steps = {step.name for step in material.pointing_steps}
    absent = {entry["step"] for entry in absent_products(material)}
    for record in material.failures:
        step, message = str(record.get("step")), str(record.get("message", ""))
        if step in steps & absent:
            name, _, rest = step.split("/")
            kind, _, block = rest.partition(".")
            what = " ".join(filter(None, (kind.replace("_", " "), block)))
            for advice in [told for piece, told in FAILURES.items() if piece in message][:1]:
                yield "warning", f"{name}: no {what}", advice

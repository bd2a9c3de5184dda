"""Section of the page about where the telescopes point, and how sharp they see."""

from collections.abc import Iterator, Sequence
from typing import Any

import astropy.units as u
import numpy as np
from matplotlib.figure import Figure

from .inline_svg import inline_svg
from .material import FoundProduct, NightMaterial
from .pointing_night import TelescopePointing, arcsec, pointing_telescopes, reference_offsets
from .pointing_numbers import (
    block_rows,
    overview,
    star_rows,
    stars_told,
    telescopes_in_doubt,
    term_rows,
)
from .pointing_remarks import pointing_remarks
from .wording import counted, listed

__all__ = ["pointing_facts"]

MAX_OPEN = 4  # more telescopes: figures of those without remark are folded
MAX_BLOCKS = 6  # rows of a table of observation blocks that is open from the start
MODEL_ANGLES = np.linspace(0.0, 2.0, 21)  # deg


def pointing_facts(material: NightMaterial) -> dict[str, Any] | None:
    """Verdict, table of all telescopes, and what there is of each; None where nothing is."""
    found = pointing_telescopes(material)
    if not found:
        return None
    rows = overview(material, list(pointing_remarks(material)))
    states = {row["name"]: row["state"] for row in rows}
    few = len(found) <= MAX_OPEN
    return {
        "verdict": _verdict(found, rows, material.pointing_limit),
        "about": "From stars in the sky pedestals. dlon, dlat: where the middle of the camera "
        "looks, less where the drive says, along azimuth (times the cosine of the altitude) and "
        "altitude; means of the night with the errors of one block of time. θ₈₀: radius that "
        "holds 80 % of the light of a star on the axis. Angles on the sky in arcsec; required are "
        f"{material.pointing_limit:g} arcsec after correction.",
        "rows": rows,
        "telescopes": [
            _telescope(t, material, is_open=few or states[t.name] != "good")
            for t in found
            if t.has_products
        ],
    }


def _verdict(
    found: Sequence[TelescopePointing], rows: list[dict[str, Any]], limit: float
) -> dict[str, str]:
    """All telescopes in one word and one sentence; the level is one of the status."""
    names = telescopes_in_doubt(rows)
    every = [t.offsets for t in found if t.offsets is not None]
    n, valid = (sum(map(len, every)), sum(int(o.is_valid.sum()) for o in every))
    parts = [f"{valid} of {counted(n, 'block')} of {counted(len(found), 'telescope')} valid"]
    if valid:
        errors = np.concatenate([o.error[o.is_valid] for o in every])
        parts.append(f"errors up to {errors.max():.1f} arcsec on the sky (limit {limit:g})")
    rms = [t.model.facts["sky_rms_in_arcsec"] for t in found if t.model is not None]
    if rms:
        parts.append(f"pointing models leave up to {max(rms):.1f} arcsec")
    if names["bad"]:
        level, word = "failed", "Not complete" if valid else "No pointing"
        parts.append(f"look at {listed(names['bad'])}")
    elif names["warning"]:
        level, word = "warning", "In doubt"
        parts.append(f"look at {listed(names['warning'])}")
    else:
        level, word = "complete", "Good"
    return {"level": level, "word": word, "sentence": "; ".join(parts)}


def _telescope(
    telescope: TelescopePointing, material: NightMaterial, *, is_open: bool
) -> dict[str, Any]:
    name = f"pointing-{telescope.name}"
    model, blocks = telescope.model, block_rows(telescope)
    return {
        "id": name,
        "name": telescope.name,
        "is_open": is_open,
        "blocks": blocks,
        "blocks_told": f"{counted(len(blocks), 'observation block')} of star tracking",
        "are_few": len(blocks) <= MAX_BLOCKS,
        "stars": star_rows(telescope),
        "stars_told": stars_told(telescope),
        "terms": term_rows(model) if model else [],
        "terms_told": _terms_told(model) if model else "",
        "figures": [
            {
                "name": f"{name}-{part}",
                "title": title,
                "caption": caption,
                "svg": inline_svg(figure, f"{name}-{part}", f"{title}. {caption}"),
            }
            for part, title, caption, figure in _figures(telescope, material.pointing_limit)
        ],
    }


def _terms_told(model: FoundProduct) -> str:
    facts = model.facts
    nights = facts["nights"]
    return (
        f"Pointing model: {counted(len(model.tables['terms']), 'term')} from "
        f"{facts['n_used']} of {counted(facts['n_measurements'], 'measurement')}, "
        f"{counted(len(nights), 'night')} to {nights[-1]}"
    )


def _figures(telescope: TelescopePointing, limit: float) -> Iterator[tuple[str, str, str, Figure]]:
    """Name, title, caption, figure; of what there is."""
    yield from _stars(telescope)
    yield from _offsets(telescope, limit)
    if telescope.psf:
        yield _psf(telescope)
    if telescope.model is not None and np.any(telescope.model.tables["residuals"]["is_used"]):
        yield _model(telescope.model)


def _stars(telescope: TelescopePointing) -> Iterator[tuple[str, str, str, Figure]]:
    from .pointing_camera_figure import MAX_PANELS, star_figure, star_panel

    panels = []
    for row, product in zip(block_rows(telescope), telescope.tracking.values(), strict=True):
        title = f"{row['block']} · {row['time']} UTC"
        tables = product.tables["spots"], product.tables["stars"]
        panel = star_panel(title, *tables, product.geometry)
        if panel.tracks:
            panels.append(panel)
    if not panels:
        return
    shown = panels
    if len(panels) > MAX_PANELS:
        worst = sorted(panels, key=lambda panel: -panel.longest)[:MAX_PANELS]
        shown = [panel for panel in panels if panel in worst]
    left_out = len(panels) - len(shown)
    told = f" Those of {len(shown)} blocks with the largest residuals; {left_out} others." * bool(
        left_out
    )
    yield (
        "stars",
        "Stars on the camera",
        "Blue: ways of the stars that count over the block, with a point at the end. Arrows: mean "
        "distance of a star from where the others say, enlarged, with the ellipse of its error; "
        f"red: beyond chance (0.1 %).{told} Good: stars all around, arrows about as long as their "
        "ellipses, in all directions. Arrows that turn about the middle: rotation or wrong time; "
        "that point outwards: plate scale; a single long one: a wrong star or bad pixels.",
        star_figure(shown),
    )


def _offsets(telescope: TelescopePointing, limit: float) -> Iterator[tuple[str, str, str, Figure]]:
    from .pointing_figures import MANY, offset_figure, time_spans

    found, offsets = reference_offsets(telescope), telescope.offsets
    if found is None:
        return
    name, reference = found
    bad = int(np.count_nonzero(~offsets.is_valid))
    has_many = np.count_nonzero(offsets.is_valid) > MANY
    errors = "Light band: statistical errors; darker: systematic ones"
    errors = errors if has_many else "Lines: statistical errors; bands: systematic ones"
    cut = " Long breaks are left out." if len(time_spans(offsets)) > 1 else ""
    told = f" Red bars at the foot: {counted(bad, 'block')} not valid." if bad else ""
    yield (
        "offsets",
        "Offsets over the night",
        f"True direction less the drive's. {errors}, "
        f"common to most of the night. Thin line: {name}; dashed: the required {limit:g} arcsec on "
        f"both sides of it.{told}{cut} Good: between the dashes, without steps. A slow change is "
        "flexure; a step is the mount, the drive or a clock.",
        offset_figure(offsets, reference, name, limit),
    )


def _psf(telescope: TelescopePointing) -> tuple[str, str, str, Figure]:
    from .pointing_figures import psf_figure

    curves = [_curve(block, product) for block, product in telescope.psf.items()]
    muons = _muons(telescope)
    told = (
        "Diamond: muon rings, with their whole error. "
        if muons
        else "There are no muon rings to compare with. "
    )
    return (
        "psf",
        "Images of stars",
        "Above: width per axis along the radius, of single stars with statistical errors (points) "
        f"and of all together (a line for each block), which grows with the coma. {told}Below: "
        "θ₈₀ with its statistical (dark) and whole error (light). Good: points on the line, muon "
        "rings on it, the same in all blocks. Wider everywhere: focus, dew, mirrors; wider at the "
        "rim only: coma, or the camera is not in its place.",
        psf_figure(curves, muons),
    )


def _curve(block: str, product: FoundProduct) -> Any:
    from .pointing_figures import PsfCurve

    stars, profile, row = (product.tables[name] for name in ("stars", "profile", "psf"))
    sigma, coma = float(arcsec(row["width"])[0]), float(row["coma"][0])
    angle = u.Quantity(stars["field_angle"]).to_value(u.deg)
    own = arcsec(stars["width"])
    width = _along(own, coma, angle)
    theta = (arcsec(profile[f"theta80{e}"]) for e in ("", "_stat_error", "_sys_error"))
    return PsfCurve(
        block,
        angle,
        width,
        arcsec(stars["stat_error"]) * own / width,
        MODEL_ANGLES,
        _along(sigma, coma, MODEL_ANGLES),
        u.Quantity(profile["field_angle"]).to_value(u.deg),
        *theta,
    )


def _along(sigma: Any, coma: float, angle: Any) -> Any:
    """Width along the radius of a Gaussian σ (arcsec) with coma at an angle (deg), arcsec.

    As `calibpipe.pointing.coma_psf.psf_moments` of a full mirror.
    """
    return np.sqrt(sigma**2 + (3600 * coma * angle) ** 2 / 2)


def _muons(telescope: TelescopePointing) -> Any:
    """What muon rings say, as it was compared, or of the night; None without."""
    from .pointing_figures import ImagePoint

    product = next(iter(telescope.psf.values()))
    angle = float(product.facts["configuration"]["ring_angle_in_deg"])
    compared = product.facts["muon_comparison"]
    if compared is not None:
        width, error = (compared[f"muon{e}_in_deg"] for e in ("", "_error"))
        return ImagePoint(angle, 3600 * width, 3600 * error)
    if telescope.muons is None:
        return None
    table = telescope.muons.tables["psf"]
    width, stat, sys = (float(arcsec(table[n])[0]) for n in ("width", "stat_error", "sys_error"))
    return ImagePoint(angle, width, float(np.hypot(stat, sys)))


def _model(model: FoundProduct) -> tuple[str, str, str, Figure]:
    from .pointing_sky_figure import ROW, sky_residual_figure, sky_residuals

    facts = model.facts
    found = sky_residuals(
        model.tables["residuals"], facts["altitude_range_in_deg"], facts["azimuth_sectors"]
    )
    single = f"Vectors: means of cells of {ROW:g}°" if found.is_mean else "Vectors: measurements"
    outliers = (
        f" Red crosses: {counted(len(found.outlier), 'outlier')}." if len(found.outlier) else ""
    )
    return (
        "model",
        "What the pointing model leaves",
        f"Zenith in the middle, north up, east to the left. {single}, enlarged.{outliers} Shaded: "
        f"not measured. Here {facts['sky_rms_in_arcsec']:.1f} arcsec rms, "
        f"{facts['sky_rms_before_in_arcsec']:.1f} without a model. Good: vectors short and in all "
        "directions, the sky covered. Neighbours that point the same way: a term is missing.",
        sky_residual_figure(found),
    )

"""Section of the page about dedicated runs of cameras, and the pixels that are excluded."""

from typing import Any

from .dedicated_agreement import agreement_rows
from .dedicated_figures import MAPS, dedicated_figures
from .dedicated_night import (
    CROSSTALK,
    DRS4,
    EXCLUSION,
    PEDESTAL,
    SPE,
    TRANSFER,
    DedicatedCamera,
    dedicated_cameras,
)
from .dedicated_numbers import left_out_rows, numbers, overview
from .dedicated_pedestal import pedestal_left_out, pedestal_median, pedestal_numbers
from .dedicated_remarks import dedicated_remarks
from .inline_svg import inline_svg
from .material import NightMaterial
from .wording import counted, listed, with_errors

__all__ = ["dedicated_facts"]

MAX_OPEN = 4  # more cameras: those without remark are folded, and have no maps: 100 kB each
MAX_ROWS = 15  # of a table that is open from the start


def dedicated_facts(material: NightMaterial) -> dict[str, Any] | None:
    """Verdict, table of all cameras, and what there is of each; None where nothing is."""
    cameras = dedicated_cameras(material)
    agreement = agreement_rows(material)
    if not (cameras or agreement):
        return None
    rows = overview(material, list(dedicated_remarks(material)))
    for row, camera in zip(rows, cameras, strict=True):
        row["pedestal"] = with_errors(*pedestal_median(camera, "dark_window_rms"))
    states = {row["name"]: row["state"] for row in rows}
    few = len(cameras) <= MAX_OPEN
    return {
        "verdict": _verdict(cameras, rows, agreement),
        "about": "From dedicated runs of the night. Gains: charge of one photoelectron in the "
        "window of integration, of high gain, from single photoelectrons (p.e.) and from photon "
        "transfer; medians over the pixels without fault, ± errors that are independent from pixel "
        "to pixel ± those in common. Pedestal: rms of the charge in the window, closed camera, "
        "high gain. Cross-talk: mean of the neighbours.",
        "rows": rows,
        "agreement": agreement,
        "cameras": [
            _camera(camera, is_open=few or states[camera.name] != "good")
            for camera in cameras
            if camera.products
        ],
    }


def _verdict(
    cameras: list[DedicatedCamera], rows: list[dict[str, Any]], agreement: list[dict[str, str]]
) -> dict[str, str]:
    """All cameras in one word and one sentence; the level is one of the status."""
    sets = [camera.name for camera in cameras if camera.has_set]
    parts = [f"calibration set of {listed(sets)}" if sets else "no calibration set this night"]
    excluded = [camera.name for camera in cameras if EXCLUSION in camera.products]
    if excluded:
        parts.append(f"excluded pixels of {counted(len(excluded), 'camera')}")
    far = [row["name"] for row in agreement if row["state"] == "bad"]
    if agreement:
        parts.append("not as the last certified sets" if far else "as the last certified sets")
    of_state = {s: [row["name"] for row in rows if row["state"] == s] for s in ("bad", "warning")}
    of_state["bad"] += [name for name in dict.fromkeys(far) if name not in of_state["bad"]]
    if of_state["bad"]:
        level, word = "failed", "Not complete"
        parts.append(f"look at {listed(of_state['bad'])}")
    elif of_state["warning"]:
        level, word = "warning", "In doubt"
        parts.append(f"look at {listed(of_state['warning'])}")
    else:
        level, word = "complete", "Good" if sets else "Not calibrated anew"
    return {"level": level, "word": word, "sentence": "; ".join(parts)}


def _camera(camera: DedicatedCamera, *, is_open: bool) -> dict[str, Any]:
    name = f"dedicated-{camera.name}"
    left_out = [*pedestal_left_out(camera), *left_out_rows(camera)]
    return {
        "id": name,
        "name": camera.name,
        "is_open": is_open,
        "runs": _runs(camera),
        "numbers": [*pedestal_numbers(camera), *numbers(camera)],
        "left_out": left_out,
        "left_out_told": f"Pixels with a fault: {counted(len(left_out), 'reason')}",
        "are_few": len(left_out) <= MAX_ROWS,
        "figures": [
            {
                "name": f"{name}-{part}",
                "title": title,
                "caption": caption,
                "svg": inline_svg(figure, f"{name}-{part}", f"{title}. {caption}"),
            }
            for part, title, caption, figure in dedicated_figures(camera)
            if is_open or part not in MAPS
        ],
    }


def _runs(camera: DedicatedCamera) -> str:
    """Observations that products are from."""
    told = []
    for kind, word in ((SPE, "single photoelectrons"), (CROSSTALK, "cross-talk")):
        if kind in camera.products:
            facts = camera.products[kind].facts
            ids = facts["runs"].values() if kind == SPE else [facts["obs_id"]]
            told.append(f"{word}: {_observations(list(ids))}")
    if TRANSFER in camera.products:
        ids = camera.products[TRANSFER].facts["obs_ids"]
        told.append(f"photon transfer: {_observations(ids)}")
    if DRS4 in camera.products:
        ids = camera.products[DRS4].facts["runs"].values()
        told.append(f"DRS4 corrections: {_observations(list(ids))}")
    if PEDESTAL in camera.products:
        facts = camera.products[PEDESTAL].facts
        told.append(f"pedestal: {_observations([facts['obs_id'], *facts['sky_obs_ids']])}")
    text = f"{'; '.join(told)}." if told else "No calibration set this night."
    return f"{text[:1].upper()}{text[1:]}"


def _observations(ids: list[int]) -> str:
    noun = "observation" if len(ids) == 1 else "observations"
    return f"{noun} {listed([str(n) for n in sorted(ids)])}"

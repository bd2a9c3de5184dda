"""What dedicated runs say of a camera: medians with errors, reasons, table of cameras."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ..camera.drs4_run import Drs4Reason
from ..camera.drs4_tables import law_of_table
from ..camera.photon_transfer import PhotonTransferReason
from ..camera.spe_status import REASONS as SPE_REASONS
from .completeness import absent_products
from .dedicated_agreement import compared_sets
from .dedicated_night import (
    CROSSTALK,
    DRS4,
    EXCLUSION,
    PDE,
    SPE,
    TRANSFER,
    DedicatedCamera,
    dedicated_cameras,
)
from .exclusion_figures import REASONS as EXCLUSION_REASONS
from .material import NightMaterial
from .wording import counted, listed, rounded, with_errors

__all__ = [
    "CHANNELS",
    "NOTHING",
    "camera_median",
    "crosstalk_mean",
    "excluded_count",
    "left_out_rows",
    "measured",
    "numbers",
    "overview",
    "pixels_scatter",
    "reason_rows",
    "spe_median",
    "transfer_median",
]

NOTHING = (math.nan,) * 3
TRANSFER_REASONS = {
    PhotonTransferReason.NO_SIGNAL: "no light",
    PhotonTransferReason.TOO_FEW_POINTS: "too few points below the turn-off",
    PhotonTransferReason.NO_POSITIVE_GAIN: "no positive gain",
    PhotonTransferReason.BAD_FIT: "bad fit",
    PhotonTransferReason.EARLY_TURN_OFF: "early turn-off",
}
DRS4_REASONS = {
    Drs4Reason.NO_NOISE: "always the same",
    Drs4Reason.TOO_FEW_READINGS: "too few readings",
    Drs4Reason.STRANGE_NOISE: "noise unlike that of the others",
}
CHANNELS = ("high gain", "low gain")


def camera_median(value: NDArray, stat: NDArray, sys: NDArray) -> tuple[float, float, float]:
    """Median over the pixels with its errors: independent ones, and those in common.

    The first is that of the pixels as they are: of the number of them below the median, each with
    its chance, by how many come in a unit. Pixels that differ by more than their errors leave the
    median to the few in the middle. Of pixels that are alike it is 15 % too large, since the values
    are wider than the pixels by their errors. NaN without a pixel.
    """
    known = np.isfinite(value)
    if not known.any():
        return NOTHING
    middle = float(np.median(value[known]))
    sigma = np.where(stat > 0, stat, np.nan)[known]
    away = (middle - value[known]) / sigma
    below = ndtr(away)
    slope = np.nansum(np.exp(-(away**2) / 2) / sigma) / math.sqrt(2 * math.pi)
    error = math.sqrt(np.nansum(below * (1 - below))) / slope if slope > 0 else math.nan
    return middle, error, float(np.nanmean(sys[known]))


def spe_median(camera: DedicatedCamera, name: str) -> tuple[float, float, float]:
    """Of high gain, over the pixels without fault."""
    if SPE not in camera.products:
        return NOTHING
    return camera_median(*(camera.of_spe(f"{name}{e}") for e in ("", "_stat_error", "_sys_error")))


def transfer_median(camera: DedicatedCamera, channel: int) -> tuple[float, float, float]:
    """Gain of a channel, over the pixels without fault."""
    found = [camera.of_transfer(f"gain{e}") for e in ("", "_stat_error", "_sys_error")]
    if found[0] is None or channel >= len(found[0]):
        return NOTHING
    return camera_median(*(values[channel] for values in found))


def _ratio(camera: DedicatedCamera) -> tuple[float, float, float]:
    found = [camera.of_ratio(f"ratio{e}") for e in ("", "_stat_error", "_sys_error")]
    return NOTHING if found[0] is None else camera_median(*found)


def crosstalk_mean(camera: DedicatedCamera) -> tuple[float, float, float]:
    """Mean over the known pairs of neighbours, percent, with its errors."""
    if CROSSTALK not in camera.products:
        return NOTHING
    pairs = camera.products[CROSSTALK].tables["pairs"]
    value, stat, sys = (
        100 * np.asarray(pairs[name], float) for name in ("crosstalk", "stat_error", "sys_error")
    )
    known = np.isfinite(value)
    if not known.any():
        return NOTHING
    error = np.sqrt(np.nansum(stat[known] ** 2)) / known.sum()
    return float(value[known].mean()), float(error), float(np.nanmean(sys[known]))


def excluded_count(camera: DedicatedCamera) -> tuple[int, int] | None:
    """Excluded pixels, and how many there are; None without the product."""
    if EXCLUSION not in camera.products:
        return None
    excluded = np.asarray(camera.products[EXCLUSION].tables["pixels"]["is_excluded"], bool)
    return int(excluded.sum()), int(excluded.size)


def number(name: str, **facts: Any) -> dict[str, Any]:
    nothing = {"value": "–", "stat": "", "sys": "", "total": "", "unit": "", "notes": []}
    return {"name": name} | nothing | facts


def measured(
    name: str, numbers: tuple[float, float, float], unit: str, notes: list[str]
) -> list[dict[str, Any]]:
    """Row of a number with its errors; none if it is not known."""
    if not math.isfinite(numbers[0]):
        return []
    return [number(name, **with_errors(*numbers), unit=unit, notes=notes)]


def numbers(camera: DedicatedCamera) -> list[dict[str, Any]]:
    """Numbers of a camera: medians over pixels with their errors, of what there is."""
    return [
        *_of_spe(camera),
        *_of_transfer(camera),
        *_of_crosstalk(camera),
        *_of_drs4(camera),
        *_of_efficiency(camera),
        *_of_exclusion(camera),
    ]


def pixels_scatter(values: NDArray | None) -> list[str]:
    """``pixels scatter by 5.2 %``."""
    known = values[np.isfinite(values)] if values is not None else np.zeros(0)
    if known.size < 2 or np.median(known) == 0:
        return []
    low, high = np.quantile(known, (0.16, 0.84))
    return [f"pixels scatter by {50 * (high - low) / abs(np.median(known)):.1f} %"]


def _of_spe(camera: DedicatedCamera) -> list[dict[str, Any]]:
    if SPE not in camera.products:
        return []
    facts, gain = camera.products[SPE].facts, camera.of_spe("gain")
    known = [f"{np.isfinite(gain).sum()} of {counted(gain.size, 'pixel')}"]
    shape = {"given": "shape of the charge is given"}
    notes = [shape.get(str(facts["shape"]), "shape from the run at high voltage")]
    return [
        *measured(
            "Gain from single photoelectrons",
            spe_median(camera, "gain"),
            "ADC/p.e.",
            known + pixels_scatter(gain),
        ),
        *measured("Resolution of a photoelectron", spe_median(camera, "resolution"), "", notes),
        *measured(
            "Squared excess noise factor F²",
            spe_median(camera, "squared_excess_noise_factor"),
            "",
            ["1 + resolution²"],
        ),
    ]


def _of_transfer(camera: DedicatedCamera) -> list[dict[str, Any]]:
    gain = camera.of_transfer("gain")
    if gain is None:
        return []
    noise, bend = camera.of_transfer("read_noise"), camera.of_transfer("squared_quadratic_noise")
    found = []
    for channel, name in enumerate(CHANNELS[: len(gain)]):
        known = np.isfinite(gain[channel])
        notes = [f"{known.sum()} of {counted(known.size, 'pixel')}", *pixels_scatter(gain[channel])]
        if known.any():
            notes.append(f"pedestal σ {np.median(noise[channel][known]):.3g} ADC")
            square = float(np.median(bend[channel][known]))
            notes.append(f"B {100 * math.sqrt(square):.1f} %" if square > 0 else "B not seen")
        found += measured(
            f"Gain from photon transfer, {name}",
            transfer_median(camera, channel),
            "ADC/p.e.",
            notes,
        )
    ratio = camera.of_ratio("ratio")
    return found + measured("High gain / low gain", _ratio(camera), "", pixels_scatter(ratio))


def _of_crosstalk(camera: DedicatedCamera) -> list[dict[str, Any]]:
    if CROSSTALK not in camera.products:
        return []
    pairs = camera.products[CROSSTALK].tables["pairs"]
    value = np.asarray(pairs["crosstalk"], float)
    known = np.isfinite(value)
    notes = [f"mean of {known.sum()} of {counted(known.size, 'pair')} of neighbours"]
    if known.any():
        notes.append(f"largest {100 * value[known].max():.1f} %")
    return measured("Cross-talk", crosstalk_mean(camera), "%", notes)


def _of_drs4(camera: DedicatedCamera) -> list[dict[str, Any]]:
    noise = camera.of_drs4("noise")
    if noise is None:
        return []
    spread, found = camera.of_drs4("spread"), []
    stat, sys = camera.of_drs4("stat_error"), camera.of_drs4("sys_error")
    for channel, name in enumerate(CHANNELS[: len(noise)]):
        known = np.isfinite(noise[channel])
        if known.any():
            middle, away, error, common = (
                float(np.median(values[channel][known])) for values in (noise, spread, stat, sys)
            )
            notes = [
                f"{known.sum()} of {counted(known.size, 'pixel')}",
                f"spread of the capacitors {away:.3g} ADC, taken away",
                f"baseline of a capacitor ± {error:.2g} ± {common:.1g} ADC",
            ]
            title = f"Noise after DRS4 correction, {name}"
            found.append(number(title, value=f"{middle:.2f}", unit="ADC", notes=notes))
    tables = camera.products[DRS4].tables
    law, sys_error = law_of_table(tables["law"]), float(tables["law"]["sys_error"][0])
    fitted = "points" in tables
    notes = [
        f"{float(law(10.0)):.2f} ADC at 10 ms",
        "fitted" if fitted else "known, not fitted",
    ]
    if fitted:
        numbers_of_law = float(law(1.0)), float(law.error(1.0)), sys_error
        found += measured("Time lapse at 1 ms", numbers_of_law, "ADC", notes)
    else:
        value = f"{float(law(1.0)):.2f}"
        found.append(number("Time lapse at 1 ms", value=value, unit="ADC", notes=notes))
    return found + _of_sampling(camera)


def _of_sampling(camera: DedicatedCamera) -> list[dict[str, Any]]:
    series = [camera.of_drs4(name, "sampling") for name in ("cosine", "sine")]
    if series[0] is None:
        return []
    rms = np.sqrt((series[0] ** 2 + series[1] ** 2).sum(axis=0) / 2)
    if not np.isfinite(rms).any():
        return []
    error = float(np.nanmedian(camera.of_drs4("stat_error", "sampling")))
    notes = ["rms over the capacitors, median", f"a coefficient ± {error:.1g} ns"]
    value = f"{float(np.nanmedian(rms)):.2f}"
    return [number("DRS4 sampling times", value=value, unit="ns", notes=notes)]


def _of_efficiency(camera: DedicatedCamera) -> list[dict[str, Any]]:
    if PDE not in camera.products:
        return []
    product = camera.products[PDE]
    pde, error = (100 * np.asarray(product.table[n], float) for n in ("pde", "pde_error"))
    best = int(np.argmax(pde))
    value, total = rounded(pde[best], error[best])
    notes = [
        f"at {float(product.table['wavelength'][best].value):.0f} nm",
        f"{product.facts['origin']}, {product.facts['measured']}",
    ]
    title = "Largest photon detection efficiency"
    return [number(title, value=value, total=total, unit="%", notes=notes)]


def _of_exclusion(camera: DedicatedCamera) -> list[dict[str, Any]]:
    count = excluded_count(camera)
    if count is None:
        return []
    pixels = camera.products[EXCLUSION].tables["pixels"]
    operator = np.asarray(pixels["by_operator"], int)
    notes = [f"{100 * count[0] / count[1]:.2f} % of the camera"]
    for sign, word in ((1, "excluded"), (-1, "included")):
        if n := int(np.count_nonzero(operator == sign)):
            notes.append(f"{n} {word} by operators")
    return [number("Excluded pixels", value=str(count[0]), unit=f"of {count[1]}", notes=notes)]


def left_out_rows(camera: DedicatedCamera) -> list[dict[str, str]]:
    """Rows of the table of pixels with a fault: product, reason, pixels of each channel."""
    rows = []
    if SPE in camera.products:
        status = [camera.of_spe("status", k, good_only=False) for k in range(2)]
        found = [s.astype(int) for s in status if s is not None]
        rows += reason_rows("single photoelectrons", SPE_REASONS, found)
    if TRANSFER in camera.products:
        of_channels = np.asarray(camera.products[TRANSFER].tables["pixels"][0]["status"], int)
        rows += reason_rows("photon transfer", TRANSFER_REASONS, list(of_channels))
    if DRS4 in camera.products:
        of_drs4 = np.asarray(camera.products[DRS4].tables["pixels"][0]["status"], int)
        rows += reason_rows("DRS4 corrections", DRS4_REASONS, list(of_drs4))
    if EXCLUSION in camera.products:
        reasons = np.asarray(camera.products[EXCLUSION].tables["pixels"]["reasons"], int)
        rows += reason_rows("excluded pixels", EXCLUSION_REASONS, [reasons])
    return rows


def reason_rows(
    product: str, reasons: dict[Any, str], status: Sequence[NDArray]
) -> list[dict[str, str]]:
    """One row for each reason that any pixel has; one number for all channels if there is one."""
    rows = []
    for bit, text in reasons.items():
        counts = [int(np.count_nonzero(own & int(bit))) for own in status]
        if any(counts):
            shown = " / ".join(str(n) for n in counts)
            rows.append({"product": product, "reason": text, "pixels": shown})
    return rows


def overview(
    material: NightMaterial, remarks: Sequence[tuple[str, str, str]]
) -> list[dict[str, Any]]:
    """Rows of the table of all cameras: numbers as text, and how it went."""
    absent = absent_products(material)
    rows = []
    for camera in dedicated_cameras(material):
        count = excluded_count(camera)
        rows.append(
            {
                "name": camera.name,
                "is_drawn": bool(camera.products),
                "spe": with_errors(*spe_median(camera, "gain")),
                "transfer": with_errors(*transfer_median(camera, 0)),
                "ratio": with_errors(*_ratio(camera)),
                "resolution": with_errors(*spe_median(camera, "resolution")),
                "crosstalk": with_errors(*crosstalk_mean(camera)),
                "excluded": f"{count[0]} of {count[1]}" if count else "–",
                **_state(camera, material, absent, remarks),
            }
        )
    return rows


def without_set(material: NightMaterial, name: str) -> str:
    """That there is no set, and what certified ones the night was compared with."""
    compared = compared_sets(material, name)
    told = [f"{kind} of {night}" if night else kind for kind, night in compared.items()]
    more = f"; compared with certified {listed(told)}" if told else ""
    return f"no calibration set this night{more}"


def _state(
    camera: DedicatedCamera,
    material: NightMaterial,
    absent: list[dict[str, str]],
    remarks: Sequence[tuple[str, str, str]],
) -> dict[str, str]:
    """How it went: what is absent and what failed its verification, then the doubts."""
    own = {step.name for step in material.dedicated_steps if step.name.startswith(camera.name)}
    bad = [
        f"{entry['step'].split('/')[-1].replace('_', ' ')}: {entry['reason']}"
        for entry in absent
        if entry["step"] in own
    ]
    kinds = {product.facts.get("kind") for product in camera.products.values()}
    for document in material.verdicts:
        product, verdict = document["content"]["product"], document["content"]["verdict"]
        own_kind = product["array_element"] == camera.name and product["kind"] in kinds
        if own_kind and verdict != "PASS":
            name = product["kind"].removeprefix("camera/").replace("_", " ")
            bad.append(f"{name} failed verification")
    told = [
        title.removeprefix(f"{camera.name}: ")
        for level, title, _ in remarks
        if level == "warning" and title.startswith(f"{camera.name}:")
    ]
    state = "bad" if bad else "warning" if told else "good"
    usual = "complete" if camera.has_set else without_set(material, camera.name)
    return {"state": state, "status": "; ".join([*bad, *told]) or usual}

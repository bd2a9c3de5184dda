"""Key numbers of dedicated runs of cameras: gains, and pixels that are excluded."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .dedicated_night import PEDESTAL, DedicatedCamera, dedicated_cameras
from .dedicated_numbers import crosstalk_mean, excluded_count, spe_median, transfer_median
from .dedicated_pedestal import pedestal_median
from .material import NightMaterial
from .wording import counted, rounded, with_errors

__all__ = ["dedicated_tiles"]

MAX_TILES = 4  # more cameras of a kind share one
MAX_NAMED = 3


def dedicated_tiles(material: NightMaterial) -> list[dict[str, Any]]:
    """Key numbers: gain of each camera with a calibration set; excluded pixels of all."""
    cameras = dedicated_cameras(material)
    kinds: dict[str, list[DedicatedCamera]] = {}
    for camera in cameras:
        if camera.has_gains:
            kinds.setdefault(camera.kind, []).append(camera)
    tiles = []
    for kind, members in kinds.items():
        few = len(members) <= MAX_TILES
        tiles += [_tile(camera) for camera in members] if few else [_tile_of(kind, members)]
    alone = [c for c in cameras if PEDESTAL in c.products and not c.has_gains]
    tiles += [_pedestal_tile(camera) for camera in alone[:MAX_TILES]]
    return [*tiles, *_exclusion_tile(cameras)]


def _number(name: str, **facts: Any) -> dict[str, Any]:
    nothing = {"value": "–", "stat": "", "sys": "", "total": "", "unit": "", "notes": []}
    return {"name": name} | nothing | facts


def _gain(camera: DedicatedCamera) -> tuple[str, tuple[float, float, float]]:
    """Gain from photon transfer, or else from single photoelectrons."""
    transfer = transfer_median(camera, 0)
    if math.isfinite(transfer[0]):
        return "photon transfer", transfer
    return "single photoelectrons", spe_median(camera, "gain")


def _tile(camera: DedicatedCamera) -> dict[str, Any]:
    name = f"Gain of {camera.name}, dedicated runs"
    method, gain = _gain(camera)
    notes = [f"high gain, {method}"]
    spe = spe_median(camera, "gain")
    if method == "photon transfer" and math.isfinite(spe[0]):
        value, stat, sys = rounded(*spe)
        notes.append(f"single photoelectrons {value} ± {stat} ± {sys}")
    if math.isfinite(crosstalk_mean(camera)[0]):
        notes.append(f"cross-talk {crosstalk_mean(camera)[0]:.2f} %")
    if not math.isfinite(gain[0]):
        return _number(name, notes=["no pixel has a gain"])
    return _number(name, **with_errors(*gain), unit="ADC/p.e.", notes=notes)


def _pedestal_tile(camera: DedicatedCamera) -> dict[str, Any]:
    """Of a set without gains."""
    name = f"Pedestal rms of {camera.name}"
    noise = pedestal_median(camera, "dark_window_rms")
    if not math.isfinite(noise[0]):
        return _number(name, notes=["no pixel of high gain has a pedestal"])
    rate = pedestal_median(camera, "nsb_rate")[0]
    sky = f"night sky {rate:.3g} p.e./ns" if math.isfinite(rate) else "night sky not known"
    notes = ["closed camera, in the window, high gain", sky]
    return _number(name, **with_errors(*noise), unit="ADC", notes=notes)


def _tile_of(kind: str, members: list[DedicatedCamera]) -> dict[str, Any]:
    name = f"Gain of {kind} cameras, dedicated runs, median"
    gains = {camera.name: _gain(camera)[1] for camera in members}
    known = {entry: gain for entry, gain in gains.items() if math.isfinite(gain[0])}
    if not known:
        return _number(name, notes=["no pixel has a gain"])
    order = sorted(known, key=lambda entry: known[entry][0])
    ends = [f"{entry} {known[entry][0]:.1f}" for entry in (order[0], order[-1])]
    notes = [f"{len(known)} of {len(members)} cameras", f"least {ends[0]}, most {ends[1]}"]
    middle = np.median(np.array(list(known.values())), axis=0)
    return _number(name, **with_errors(*middle), unit="ADC/p.e.", notes=notes)


def _exclusion_tile(cameras: list[DedicatedCamera]) -> Iterator[dict[str, Any]]:
    counts = {camera.name: excluded_count(camera) for camera in cameras}
    known = {name: count for name, count in counts.items() if count is not None}
    if not known:
        return
    n, of = np.sum(list(known.values()), axis=0)
    most = sorted(known, key=lambda name: -known[name][0])[:MAX_NAMED]
    yield _number(
        "Excluded pixels",
        value=str(n),
        unit=f"of {of}",
        notes=[
            f"{100 * n / of:.2f} %, {counted(len(known), 'camera')}",
            ", ".join(f"{name} {known[name][0]}" for name in most),
        ],
    )

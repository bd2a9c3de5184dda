"""Doubts about dedicated runs of cameras: what is wrong, and what to do."""

from collections.abc import Iterator

import numpy as np

from ..camera.spe_status import SpeStatus
from .dedicated_night import (
    CROSSTALK,
    DRS4,
    EXCLUSION,
    PEDESTAL,
    SPE,
    TRANSFER,
    DedicatedCamera,
    dedicated_cameras,
    gain_ratios,
)
from .dedicated_numbers import crosstalk_mean, excluded_count
from .material import NightMaterial
from .wording import counted, signed

__all__ = ["dedicated_remarks"]

AGREE = 0.05  # of the medians of two gains
POOR = 0.05  # of the fits of single photoelectrons
MAX_CROSSTALK = 1.0  # percent, mean of the neighbours
FAR = 5.0  # errors, of the light of a run


def dedicated_remarks(material: NightMaterial) -> Iterator[tuple[str, str, str]]:
    """Doubts: level, title (which begins with the telescope), text."""
    for camera in dedicated_cameras(material):
        yield from _spe_remarks(camera)
        yield from _transfer_remarks(camera)
        if crosstalk_mean(camera)[0] > MAX_CROSSTALK:
            yield (
                "warning",
                f"{camera.name}: mean cross-talk {crosstalk_mean(camera)[0]:.1f} %",
                f"Limit {MAX_CROSSTALK:g} % of the charge in a neighbour. Look at the map: a "
                "module, a cable, or light that reaches the neighbours itself.",
            )
        count = excluded_count(camera)
        if count is not None and count[0] > material.masked_limit * count[1]:
            yield (
                "warning",
                f"{camera.name}: {count[0]} of {count[1]} pixels excluded",
                f"Limit {100 * material.masked_limit:g} %. The map and the table of reasons tell "
                "whether modules have failed, or a product of this night is wrong.",
            )
        for kind in (SPE, TRANSFER, PEDESTAL, CROSSTALK, DRS4, EXCLUSION):
            if kind in camera.products:
                name = kind.replace("_", " ")
                for text in camera.products[kind].facts.get("remarks", ()):
                    yield "note", f"{camera.name}: {name}: {text}", "So the product says."


def _spe_remarks(camera: DedicatedCamera) -> Iterator[tuple[str, str, str]]:
    if SPE not in camera.products:
        return
    status = camera.of_spe("status", good_only=False).astype(int)
    poor = np.count_nonzero(status & SpeStatus.POOR_FIT)
    if poor > POOR * status.size:
        yield (
            "warning",
            f"{camera.name}: {poor} of {status.size} spectra of photoelectrons are fitted poorly",
            f"Limit {100 * POOR:g} %. Look at the worst spectrum: light that changes within the "
            "run, a pedestal that is not Gaussian, or a shape of the charge that is not that of "
            "these photomultipliers (take a run at high voltage).",
        )


def _transfer_remarks(camera: DedicatedCamera) -> Iterator[tuple[str, str, str]]:
    if TRANSFER not in camera.products:
        return
    for name, ratio in gain_ratios(camera).items():
        known = ratio[np.isfinite(ratio)]
        if known.size and abs(np.median(known) - 1) > AGREE:
            yield (
                "warning",
                f"{camera.name}: gains differ by {signed(100 * (np.median(known) - 1), 1)} % "
                f"({name})",
                f"Limit ±{100 * AGREE:g} %, median of {counted(known.size, 'pixel')}. Other "
                "windows of integration, a wrong F², another high voltage, or the shape of the "
                "charge of a photoelectron.",
            )

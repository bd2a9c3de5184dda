"""Key numbers of pointing: how far a telescope looks beside its drive, how sharp it sees."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .material import NightMaterial
from .pointing_night import TelescopePointing, pointing_telescopes
from .pointing_numbers import mean_offset, theta80
from .wording import counted, rounded, signed, with_errors

__all__ = ["length_with_errors", "pointing_tiles"]

MAX_TILES = 4  # more telescopes of a kind share one


def pointing_tiles(material: NightMaterial) -> list[dict[str, Any]]:
    """Key numbers: offset of each telescope; of many of a kind their median."""
    kinds: dict[str, list[TelescopePointing]] = {}
    for telescope in pointing_telescopes(material):
        kinds.setdefault(telescope.kind, []).append(telescope)
    tiles = []
    for kind, members in kinds.items():
        few = len(members) <= MAX_TILES
        tiles += [_tile(telescope) for telescope in members] if few else [_tile_of(kind, members)]
    return tiles


def _number(name: str, **facts: Any) -> dict[str, Any]:
    nothing = {"value": "–", "stat": "", "sys": "", "total": "", "unit": "", "notes": []}
    return {"name": name} | nothing | facts


def length_with_errors(numbers: NDArray) -> tuple[float, float, float]:
    """Length of (dlon, dlat) and its errors along it.

    Parameters
    ----------
    numbers : ndarray, shape (2, 3)
        Value, statistical and systematic error of each axis.
    """
    value, stat, sys = np.transpose(numbers)
    length = float(np.hypot(*value))
    if length == 0:
        one, two = (float(np.hypot(*error) / np.sqrt(2)) for error in (stat, sys))
    else:
        one, two = (float(np.hypot(*(value / length * error))) for error in (stat, sys))
    return length, one, two


def _tile(telescope: TelescopePointing) -> dict[str, Any]:
    name = f"{telescope.name} looks beside its drive"
    offsets, notes = telescope.offsets, _sharpness(telescope)
    if offsets is None or not offsets.is_valid.any():
        why = "no block of star tracking is valid" if telescope.tracking else "needs star_tracking"
        return _number(name, notes=[why, *notes])
    numbers = np.array(mean_offset(telescope))
    good = np.count_nonzero(offsets.is_valid)
    axes = [
        f"{axis} {signed(x, 1)}" for axis, x in zip(("dlon", "dlat"), numbers[:, 0], strict=True)
    ]
    return _number(
        name,
        **with_errors(*length_with_errors(numbers)),
        unit="arcsec",
        notes=[
            f"{', '.join(axes)}; errors of one block",
            f"{good} of {counted(len(offsets), 'block')} valid",
            *notes,
        ],
    )


def _sharpness(telescope: TelescopePointing) -> list[str]:
    """Point spread function and pointing model in a line each, where they are."""
    notes = []
    if telescope.psf:
        value, stat, sys = rounded(*theta80(telescope))
        notes.append(f"stars: θ₈₀ {value} ± {stat} ± {sys} arcsec on the axis")
    if telescope.model is not None:
        rms = telescope.model.facts["sky_rms_in_arcsec"]
        notes.append(f"pointing model leaves {rms:.1f} arcsec")
    return notes


def _tile_of(kind: str, members: list[TelescopePointing]) -> dict[str, Any]:
    name = f"{kind} look beside their drives, median"
    lengths = {t.name: length_with_errors(np.array(mean_offset(t))) for t in members}
    known = {name: numbers for name, numbers in lengths.items() if np.isfinite(numbers[0])}
    if not known:
        return _number(name, notes=["needs star_tracking"])
    order = sorted(known, key=lambda entry: known[entry][0])
    ends = [f"{entry} {known[entry][0]:.0f}" for entry in (order[0], order[-1])]
    sharp = [theta80(t)[0] for t in members if t.psf]
    rms = [t.model.facts["sky_rms_in_arcsec"] for t in members if t.model is not None]
    notes = [
        f"{len(known)} of {len(members)} telescopes; errors: of one, in the median",
        f"least {ends[0]}, most {ends[1]}",
    ]
    notes += [f"stars: θ₈₀ {np.median(sharp):.0f} arcsec on the axis"] if sharp else []
    notes += [f"pointing models leave up to {max(rms):.1f} arcsec"] if rms else []
    middle = np.median(np.array(list(known.values())), axis=0)
    return _number(name, **with_errors(*middle), unit="arcsec", notes=notes)

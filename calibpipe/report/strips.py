"""The night on two lines: its hours with the analyses, its density among the reference models."""

from collections.abc import Callable
from typing import Any

import astropy.units as u
import numpy as np
from astropy.time import Time

from ..atmosphere.reference_model import density_boundaries
from .material import NightMaterial
from .placement import apart
from .wording import power_of_ten, rounded

__all__ = ["density_scale", "timeline"]

_LABEL_WIDTH = 20.0  # percent of a line: a label of two lines on a telephone


def timeline(material: NightMaterial) -> dict[str, Any] | None:
    """Astronomical night and analyses on one line, places in percent of its width."""
    if material.darkness is None:
        return None
    profile = material.usable("density_profile")
    dusk, dawn = material.darkness.dusk.utc, material.darkness.dawn.utc
    times = Time([], format="isot", scale="utc")
    weights, uncovered = [], [0.0, 0.0]
    if profile is not None:
        times = Time(profile.facts["times_utc"], format="isot", scale="utc")
        weights, uncovered = profile.facts["time_weights"], profile.facts["uncovered_in_h"]
    hours = [(time - dusk).to_value(u.h) for time in times]
    length = (dawn - dusk).to_value(u.h)
    low, high = min([0.0, *hours]) - 0.4, max([length, *hours]) + 0.4

    def place(hour: float) -> float:
        return round(100 * (hour - low) / (high - low), 2)

    gaps = [(0.0, uncovered[0]), (length - uncovered[1], length)]
    return {
        "dusk": place(0.0),
        "dawn": place(length),
        "analyses": [
            {
                "place": place(hour),
                "time": f"{time.to_datetime():%H:%M}",
                "weight": f"{100 * w:.1f} %",
            }
            for hour, time, w in zip(hours, times, weights, strict=True)
        ],
        "gaps": [
            {"begin": place(begin), "width": round(place(end) - place(begin), 2)}
            for begin, end in gaps
            if end > begin
        ],
        "hours": _full_hours(dusk, low, high, place),
    }


def _full_hours(
    dusk: Time, low: float, high: float, place: Callable[[float], float]
) -> list[dict[str, Any]]:
    """Full hours (UTC) along the line, at most eight of them."""
    begin = dusk.to_datetime()
    first = begin.hour + begin.minute / 60 + begin.second / 3600
    step = next(s for s in (1, 2, 3, 4, 6, 12) if (high - low) / s <= 8)
    hours = range(int(np.ceil((first + low) / step)) * step, int(first + high) + 1, step)
    return [{"place": place(hour - first), "label": f"{hour % 24:02d}:00"} for hour in hours]


def density_scale(material: NightMaterial) -> dict[str, Any] | None:
    """Number densities at 15 km of night and models on one line, places in percent."""
    model = material.usable("reference_model")
    if model is None:
        return None
    densities = model.facts["number_density_15km_in_per_cm3"]
    known = dict(sorted(densities.items(), key=lambda entry: entry[1]))
    profile = material.usable("density_profile")
    value = profile.facts["number_density_15km_in_per_cm3"] if profile else None
    error = profile.facts["number_density_15km_error_in_per_cm3"] if profile else 0.0
    ends = [*known.values(), *([value - error, value + error] if profile else [])]
    pad = 0.12 * (max(ends) - min(ends)) or 0.01 * max(ends)
    low, high = min(ends) - pad, max(ends) + pad

    def place(density: float) -> float:
        return round(100 * (density - low) / (high - low), 2)

    edges = density_boundaries({name: n / u.cm**3 for name, n in known.items()})
    labels = apart([place(density) for density in known.values()], _LABEL_WIDTH)
    return {
        "models": [
            {
                "season": season,
                "place": place(density),
                "label": round(label, 2),
                "density": rounded(density * 1e-18, digits=4)[0],
                "chosen": season == model.facts["selection"]["season"],
            }
            for (season, density), label in zip(known.items(), labels, strict=True)
        ],
        "boundaries": [place(edge.to_value(1 / u.cm**3)) for edge in edges],
        "night": None
        if profile is None
        else {
            "place": place(value),
            "begin": place(value - error),
            "width": round(place(value + error) - place(value - error), 2),
        },
        "unit": f"{power_of_ten(18)} cm⁻³",
    }

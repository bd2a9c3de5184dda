"""What all instruments together say: good time with reasons, transmission, light of showers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from .aerosol_figures import QUALITIES, Quality
from .aerosol_night import AerosolNight, numbers, period, texts
from .aerosol_series import runs
from .wording import listed, with_errors

__all__ = [
    "HOURS",
    "good_periods",
    "interval_rows",
    "livetimes",
    "median_curves",
    "quality_of",
    "reason_periods",
    "reference_transmission",
]

HOURS = 3600.0  # s
ENERGY, ZENITH = 1.0, 20.0  # TeV and degrees: showers of the table of intervals
STATES = {"good": "good", "correctable": "warning", "bad": "bad", "unknown": "absent"}


def _tables(night: AerosolNight) -> dict[str, Table]:
    return night.observation_conditions.tables


def _span(table: Table) -> tuple[NDArray, NDArray]:
    """Begin and end of rows, days of matplotlib."""
    begin, end = (np.asarray(table[name].utc.plot_date, float) for name in ("begin", "end"))
    return begin, end


def quality_of(night: AerosolNight) -> Quality | None:
    """Quality of the slices with reasons in the words of the product."""
    if night.observation_conditions is None:
        return None
    slices, told = _tables(night)["slices"], night.observation_conditions.facts["reasons"]
    own = [set(reasons.split()) for reasons in texts(slices["reasons"])]
    reasons = {text: np.array([name in some for some in own]) for name, text in told.items()}
    reasons = {text: holds for text, holds in reasons.items() if holds.any()}
    return Quality(*_span(slices), texts(slices["quality"]), reasons)


def livetimes(night: AerosolNight) -> dict[str, float]:
    """Hours of each quality; all qualities are there."""
    known = night.observation_conditions.facts["livetime_in_s"]
    return {name: known.get(name, 0.0) / HOURS for name in QUALITIES}


def good_periods(night: AerosolNight, wanted: str = "good") -> str:
    """Times of a quality; empty if there are none."""
    table = _tables(night)["good_time_intervals"]
    begin, end = _span(table)
    mine = np.flatnonzero(texts(table["quality"]) == wanted)
    return listed([period(begin[k], end[k]) for k in mine])


def reason_periods(quality: Quality) -> Iterator[tuple[str, str]]:
    """Each reason with the times that it holds."""
    for reason, holds in quality.reasons.items():
        when = [period(quality.begin[a], quality.end[b]) for a, b in runs(holds)]
        if when:
            yield reason, listed(when)


def reference_transmission(night: AerosolNight) -> tuple[tuple[float, float, float], int]:
    """Median over the good slices with its errors, and their number; of no slice NaN.

    The statistical error is that of a median of so many slices of equal errors, the systematic one
    is common to all.
    """
    slices = _tables(night)["slices"]
    names = ("", "_stat_error", "_sys_error")
    value, stat, sys = (numbers(slices[f"reference_transmission{name}"]) for name in names)
    mine = (texts(slices["quality"]) == "good") & np.isfinite(value)
    n = int(np.count_nonzero(mine))
    if n == 0:
        return (np.nan, np.nan, np.nan), 0
    factor = 1.0 if n < 3 else np.sqrt(np.pi / 2)
    stat_error = factor * np.sqrt(np.mean(stat[mine] ** 2) / n)
    return (float(np.median(value[mine])), float(stat_error), float(np.mean(sys[mine]))), n


def interval_rows(night: AerosolNight) -> dict[str, Any] | None:
    """Rows of the table of intervals, and of which showers its light is."""
    if night.observation_conditions is None:
        return None
    facts, table = night.observation_conditions.facts, _tables(night)["good_time_intervals"]
    quality, (begin, end) = quality_of(night), _span(table)
    e, z = (
        int(np.argmin(np.abs(np.array(facts[key]) - wanted)))
        for key, wanted in (("energy_in_tev", ENERGY), ("zenith_in_deg", ZENITH))
    )
    columns = [
        numbers(table[f"mean_transmission{name}"])[:, e, z]
        for name in ("", "_stat_error", "_sys_error")
    ]
    rows = []
    for k, row in enumerate(table):
        inside = slice(int(row["first_slice"]), int(row["first_slice"] + row["n_slices"]))
        why = [text for text, holds in quality.reasons.items() if holds[inside].any()]
        status = texts(table["status"])[k]
        rows.append(
            {
                "time": period(begin[k], end[k]),
                "quality": str(row["quality"]),
                "state": STATES[str(row["quality"])],
                "livetime": f"{float(row['livetime']) / HOURS:.2f}",
                "light": with_errors(*(float(column[k]) for column in columns)),
                "why": "; ".join([*why, *filter(None, [status])]) or "–",
            }
        )
    return {
        "rows": rows,
        "showers": f"{facts['energy_in_tev'][e]:g} TeV, {facts['zenith_in_deg'][z]:g}°",
    }


def median_curves(night: AerosolNight) -> tuple[str, list[dict[str, NDArray]]]:
    """Quality and median transmission of its intervals: good ones, else correctable ones.

    Returns
    -------
    str
        Empty if there are neither.
    list of dict
        The longest interval first: ``altitude`` (km), ``transmission`` and ``error`` (both errors
        in quadrature), (n_altitudes, n_wavelengths), ``span`` (days of matplotlib).
    """
    tables = _tables(night)
    intervals, median = tables["good_time_intervals"], tables["median_profile"]
    of_row = np.asarray(median["interval"], int)
    quality, length = texts(intervals["quality"]), numbers(intervals["livetime"])
    spans = np.stack(_span(intervals), axis=1)
    for wanted in ("good", "correctable"):
        chosen = [k for k in np.flatnonzero(quality == wanted) if np.any(of_row == k)]
        if chosen:
            break
    else:
        return "", []
    curves = []
    for k in sorted(chosen, key=lambda k: -length[k]):
        mine = of_row == k
        stat, sys = (
            numbers(median[f"transmission_{name}_error"])[mine] for name in ("stat", "sys")
        )
        curves.append(
            {
                "altitude": numbers(median["altitude"])[mine] / 1000,
                "transmission": numbers(median["transmission"])[mine],
                "error": np.hypot(stat, sys),
                "span": spans[k],
            }
        )
    return wanted, curves

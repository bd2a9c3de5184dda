"""Doubts about aerosols and clouds: what is wrong with the air or the instruments, what to do."""

from collections.abc import Iterator

import numpy as np

from .aerosol_clouds import cell_edges, clouds
from .aerosol_conditions import livetimes, quality_of, reason_periods
from .aerosol_night import NAMES, AerosolNight, aerosol_night, days, period, why_not
from .aerosol_numbers import frame_status
from .aerosol_series import fram_depth, lidar_less_fram, lidar_status, spans, transparency
from .aerosol_transparency import deviations, good_range, telescope_transparency
from .material import NightMaterial
from .wording import counted, listed, signed

__all__ = ["aerosol_remarks"]

ADVICE = {  # by the reason of a night that is not clear
    "aerosol": "Dust or clouds: take the good times only, or correct for the transmission",
    "variable": "The air changes within minutes: clouds",
    "drifting": "The air changes over the night: a transmission of its own for each part of it",
    "patchy": "Clouds cover a part of the field: look at the maps of the sky",
    "negative": "Zero point or catalogue of FRAM are wrong: calibrate its photometry again",
    "few": "FRAM saw too little: look for its images, and lean on the other instruments",
    "insensitive": "FRAM's errors are too large to tell: more stars or longer exposures",
}
USES = {  # what to do with time that is not good
    "correctable": "Correctable: divide energies by the mean transmission of the corrections.",
    "bad": "Bad: leave it out.",
    "unknown": "Unknown: an instrument is lacking or contradicts another; mend that and run again.",
}
WITHOUT = {
    "lidar": "LIDAR",
    "clear_night": "FRAM",
    "allsky": "all-sky camera",
    "transparency": "trigger rates",
}
MAX_SIGMA = 3.0  # of LIDAR less FRAM
SHOWN = 6  # telescopes that a remark names
_ROLES = ("fram", "lidar", "allsky", "trigger_rates")


def aerosol_remarks(material: NightMaterial) -> Iterator[tuple[str, str, str]]:
    """Doubts: level, title, text."""
    night = aerosol_night(material)
    if night is None:
        return
    paths = {step.products[0] for step in material.aerosol_steps}
    inputs = [
        entry
        for path, product in material.used.items()
        if path in paths
        for entry in product.facts.get("inputs", ())
    ]
    if any(e["role"] in _ROLES and "simulation/" in e["path"] for e in inputs):
        yield "note", "Simulated air", "Aerosols and clouds are those of the simulation."
    for name in night.empty:
        yield "warning", f"{NAMES[name]}: no rows", "The product is there, but nothing is in it."
    if night.observation_conditions is not None:
        yield from _time_remarks(night, material.good_time_limit)
    if night.clear_night is not None:
        yield from _fram_remarks(night)
    if night.lidar is not None:
        yield from _lidar_remarks(night)
    if night.allsky is not None:
        yield from _sky_remarks(night)
    if night.transparency_coefficient is not None:
        yield from _transparency_remarks(night)
        yield from _telescope_remarks(night, material.throughput_limits.difference)


def _time_remarks(night: AerosolNight, limit: float) -> Iterator[tuple[str, str, str]]:
    """How much of the night can be used, why not all of it, and what to do with the rest."""
    hours = livetimes(night)
    whole = sum(hours.values())
    why = "; ".join(f"{reason}: {when}" for reason, when in reason_periods(quality_of(night)))
    advice = [USES[name] for name in USES if hours[name]]
    if hours["good"] < limit * whole:
        usable = hours["good"] + hours["correctable"]
        title = f"Only {hours['good']:.2f} of {whole:.2f} h are good"
        if usable == 0:
            title = f"None of {whole:.2f} h can be used"
        yield "warning", title, f"{why[:1].upper()}{why[1:]}. {' '.join(advice)}"
    for name, what in night.observation_conditions.facts.get("absent", {}).items():
        yield (
            "note",
            f"Observation conditions without {WITHOUT.get(name, name)}",
            f"What is not known therefore: {what}.",
        )


def _level(night: AerosolNight) -> str:
    """Of what is a reason of the observation conditions, too: these warn for all."""
    return "warning" if night.observation_conditions is None else "note"


def _fram_remarks(night: AerosolNight) -> Iterator[tuple[str, str, str]]:
    facts, windows = night.clear_night.facts, fram_depth(night)
    if facts["is_clear"]:
        return
    told = listed(list(facts["reasons"].values()))
    when = spans(windows, ~windows.is_good)
    some = f" Not clear: {when}." if when else ""
    advice = [ADVICE[key] for key in facts["reasons"] if key in ADVICE]
    yield (
        _level(night),
        f"The night was not clear: {facts['n_clear_windows']} of "
        f"{counted(facts['n_windows'], 'window')} were",
        f"{told[:1].upper()}{told[1:]}.{some} {'. '.join(advice)}{'.' * bool(advice)}",
    )


def _lidar_remarks(night: AerosolNight) -> Iterator[tuple[str, str, str]]:
    status = lidar_status(night)
    bad = int(np.count_nonzero(status != ""))
    yield from _without_values("LIDAR", "profile", len(status), bad, why_not(status))
    found = clouds(night)
    if found:
        begin, end = cell_edges(days(night.lidar.table["time"]))
        rows = sorted(set().union(*(cloud.rows for cloud in found)))
        yield (
            "note",
            f"{counted(len(found), 'cloud')} above the LIDAR",
            f"{period(begin[rows[0]], end[rows[-1]])}, lowest base "
            f"{min(cloud.base for cloud in found):.1f} km above sea level; each is in the table of "
            "clouds.",
        )
    compared = lidar_less_fram(night)
    if compared is not None and abs(compared[0]) > MAX_SIGMA * compared[1]:
        difference, error, number = compared
        yield (
            "warning",
            f"LIDAR and FRAM differ by {signed(difference, 3)} ± {error:.3f}",
            f"In optical depth, median of {counted(number, 'clear window')}. One of them is wrong: "
            "the lidar ratio or the reference height of the LIDAR, or the zero point of FRAM.",
        )


def _sky_remarks(night: AerosolNight) -> Iterator[tuple[str, str, str]]:
    status = frame_status(night)
    bad = int(np.count_nonzero(status != ""))
    yield from _without_values("All-sky camera", "frame", len(status), bad, why_not(status))


def _without_values(
    who: str, what: str, n: int, bad: int, why: str
) -> Iterator[tuple[str, str, str]]:
    """All without values is a warning, most of them too, some a note."""
    if bad == n:
        yield (
            "warning",
            f"{who}: none of {counted(n, what)} has a value",
            f"Reasons: {why}. Nothing of it is in the numbers of this page.",
        )
    elif bad:
        yield (
            "warning" if 2 * bad > n else "note",
            f"{who}: {bad} of {counted(n, what)} without a value",
            f"Reasons: {why}.",
        )


def _transparency_remarks(night: AerosolNight) -> Iterator[tuple[str, str, str]]:
    product, series = night.transparency_coefficient, transparency(night)
    low, high = good_range(night)
    if not series.known.any():
        yield (
            "warning",
            f"No transparency coefficient in {counted(len(series.value), 'slice')}",
            "No slice has a rate and a reference: look at the trigger rates, throughputs and "
            "gains, and at the reference nights.",
        )
        return
    bad = series.known & ~series.is_good
    if bad.any():
        dim = bad & (series.value <= low)
        why = "Too little light: clouds or aerosols if FRAM, LIDAR or all-sky camera see them; "
        why += "where the air is clear, dead time, thresholds, throughput or gains."
        if not dim.any():
            why = "Too much light: the references are not clear nights, or throughputs, gains or "
            why += "dead time are wrong; a bright field raises rates, too."
        yield (
            _level(night),
            f"Transparency outside {low:g} to {high:g} in {np.count_nonzero(bad)} of "
            f"{counted(len(bad), 'slice')}",
            f"{spans(series, bad)}. {why}",
        )
    absent = product.facts["n_slices_without_reference"]
    if absent:
        yield (
            "warning",
            f"{counted(absent, 'slice')} without a transparency coefficient",
            "No reference night has as many telescopes: give reference nights of the same array.",
        )


def _telescope_remarks(night: AerosolNight, limit: float) -> Iterator[tuple[str, str, str]]:
    found = telescope_transparency(night)
    away = deviations(found)
    odd = np.flatnonzero(np.abs(np.nan_to_num(away)) > limit)
    if odd.size:
        named = [f"{found.names[k]} ({signed(100 * away[k], 0)} %)" for k in odd[:SHOWN]]
        more = odd.size - len(named)
        yield (
            "warning",
            f"{counted(odd.size, 'telescope')} sees another transparency than the others"
            if odd.size == 1
            else f"{counted(odd.size, 'telescope')} see another transparency than the others",
            f"{listed(named + ([counted(more, 'other')] if more > 0 else []))}; limit "
            f"{100 * limit:g} %. The air is the same for all: look at throughput, gains, dead time "
            "and threshold of these.",
        )

"""Section of the page about the array as a whole: pairs, throughputs, scales, time offsets."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .array_numbers import ArrayNight, array_night, step_rows, telescope_rows
from .inline_svg import inline_svg
from .material import NightMaterial

__all__ = ["array_facts"]

MAX_OPEN = 16  # rows of a table of telescopes that is open from the start


def array_facts(material: NightMaterial) -> dict[str, Any] | None:
    """Steps, telescopes and figures; None where nothing of the array is there or expected."""
    night = array_night(material)
    if night is None:
        return None
    rows = telescope_rows(night)
    return {
        "about": "From showers that several telescopes see. Throughputs of a type are relative to "
        "its geometric mean unless a reference is named; scales put the types on that of one of "
        "them; time offsets are what is added to a clock's time by cables and electronics.",
        "steps": step_rows(material, night),
        "has_muons": any(row["muons"] != "–" for row in rows),
        "rows": rows,
        "summary": _summary(rows),
        "is_open": len(rows) <= MAX_OPEN,
        "figures": [
            {
                "name": f"array-{part}",
                "title": title,
                "caption": caption,
                "svg": inline_svg(figure, f"array-{part}", f"{title}. {caption}"),
            }
            for part, title, caption, figure in _figures(night)
        ],
    }


def _summary(rows: list[dict[str, Any]]) -> str:
    """Of the table of telescopes."""
    states = [row["state"] for row in rows]
    good, doubtful = states.count("good"), states.count("warning")
    parts = [f"{good} without remark", f"{doubtful} in doubt", f"{states.count('bad')} not valid"]
    return f"{len(rows)} telescopes: {', '.join(parts)}"


def _figures(night: ArrayNight) -> Iterator[tuple[str, str, str, Figure]]:
    """Name, title, caption, figure; of what there is."""
    if night.inter is not None:
        yield from _of_throughputs(night)
        yield from _of_pairs(night)
    if night.cross is not None:
        yield from _of_scales(night)
    if night.timing is not None:
        yield from _of_timing(night)


def _values(night: ArrayNight, product: Any, names: tuple[str, str, str], mark: str) -> Any:
    from .array_figures import TelescopeValues

    value, stat, sys = (night.column(product, name) for name in names)
    valid, marked = (night.column(product, name, False).astype(bool) for name in ("is_valid", mark))
    return TelescopeValues(night.names, night.kinds, value, stat, sys, valid, marked)


def _of_throughputs(night: ArrayNight) -> Iterator[tuple[str, str, str, Figure]]:
    from .array_figures import telescope_figure

    values = _values(night, night.inter, ("value", "error", "sys_error"), "is_outlier")
    gauge = {
        "mean_log": "the geometric mean",
        "reference": "the reference telescope",
        "muon": "the level of muon rings",
    }[night.inter.facts["gauge"]]
    yield (
        "throughput",
        "Relative throughputs",
        f"Relative to {gauge}. Lines: statistical errors; broad bars: systematic ones. Red "
        "diamonds: outliers; red crosses: not valid; a dash: no value. Good: all of a type within "
        "about 10 %, and the same from night to night.",
        telescope_figure(values, "relative throughput", 1.0),
    )


def _of_pairs(night: ArrayNight) -> Iterator[tuple[str, str, str, Figure]]:
    """One matrix, or one for each type where the array is large and types were solved alone."""
    from .array_pair_figure import MAX_TOGETHER, pair_figure

    pairs = night.inter.tables["pairs"]
    used = pairs[np.asarray(pairs["is_used"], bool)]
    first, second = (
        np.searchsorted(night.tel_ids, np.asarray(used[f"tel_id_{k}"])) for k in (1, 2)
    )
    order = np.argsort(night.kinds, kind="stable")
    groups = {"": order}
    alone = np.all(night.kinds[first] == night.kinds[second])
    if len(order) > MAX_TOGETHER and alone:
        kinds = dict.fromkeys(map(str, night.kinds[order]))
        groups = {kind: order[night.kinds[order] == kind] for kind in kinds}
    for kind, members in groups.items():
        place = np.full(len(night.tel_ids), -1)
        place[members] = np.arange(len(members))
        own = (place[first] >= 0) & (place[second] >= 0)
        if not own.any():
            continue
        sigma = np.asarray(used["pull"], float)[own]
        known = sigma[np.isfinite(sigma)]
        rms = f" Here: rms {np.sqrt(np.mean(known**2)):.2f}." if known.size else ""
        yield (
            f"pairs{kind and '-' + kind.replace('_', '-')}",
            f"Pairs of {kind}" if kind else "Pairs of telescopes",
            "What the throughputs leave of the ratio of each pair, in its errors. Grey: no pair, "
            "too far apart or too few events; points: pairs that decide alone, nothing is left of "
            "them. Good: no pattern, rms about 1; systematic errors are not in it. A row of one "
            f"colour is a telescope, a single cell a pair.{rms}",
            pair_figure(
                night.names[members].tolist(), night.kinds[members].tolist(), place[first[own]],
                place[second[own]], sigma,
            ),
        )  # fmt: skip


def _of_scales(night: ArrayNight) -> Iterator[tuple[str, str, str, Figure]]:
    """Throughputs on one scale, the scales of the types behind, muons beside."""
    from .array_figures import TelescopeValues, telescope_figure

    facts = night.cross.facts
    values = _values(night, night.cross, ("value", "error", "sys_error"), "is_alarm")
    names = ("scaling_factor", "scaling_factor_uncertainty", "scaling_factor_sys_error")
    bands: dict[str, Any] = {
        str(row["tel_type"]): tuple(float(row[name]) for name in names)
        for row in night.cross.tables["scales"]
    }
    difference, error = (
        night.column(night.cross, name) for name in ("difference", "difference_error")
    )
    beside, told = None, "There are no muons to compare with. Good: scales within errors of 1."
    if np.any(np.isfinite(difference)):
        muon = values.value * np.exp(difference)
        beside = TelescopeValues(
            night.names, night.kinds, muon, muon * error, 0 * muon, np.isfinite(muon),
            values.is_marked,
        )  # fmt: skip
        limit = night.cross.facts["configuration"]["alarm_limit"]
        told = (
            "Diamonds: muon rings, at the mean level of the showers, with the error of the "
            f"difference; red where it is beyond {100 * limit:g} % and two errors. Good: scales "
            "within errors of 1, diamonds on the points."
        )
    yield (
        "scale",
        "All types on one scale",
        f"Throughputs relative to the {facts['reference_type']}. Points: telescopes. Vertical "
        "lines and bands: scale of the type with its statistical (dark) and whole error (light); "
        f"the reference has scale 1 by definition. {told}",
        telescope_figure(
            values, f"throughput, {facts['reference_type']} = 1", 1.0, beside=beside, bands=bands
        ),
    )


def _of_timing(night: ArrayNight) -> Iterator[tuple[str, str, str, Figure]]:
    from .array_figures import telescope_figure
    from .array_timing_figures import block_figure, residual_figure

    values = _values(night, night.timing, ("offset", "stat_error", "sys_error"), "is_outlier")
    facts, tables = night.timing.facts, night.timing.tables
    yield (
        "offset",
        "Time offsets",
        f"Zero: {facts['gauge']}. Lines: statistical errors; broad bars: systematic ones. Red "
        "crosses: not valid, triangles: beyond the axis, a dash: no value. Good: constant from "
        "night to night, to the errors; what is constant is corrected for.",
        telescope_figure(values, "time offset (ns)", 0.0),
    )
    yield (
        "residual",
        "Arrival times by impact distance",
        "Thin lines: single telescopes; points: all telescopes of a type, with statistical errors. "
        "Good: flat at zero, within the systematic errors. A bend that all have in common: the "
        "front is no sphere about the assumed height; of one type alone: its trigger waits for "
        "more light.",
        residual_figure(tables["residuals"], night.tel_ids, night.kinds),
    )
    if len(facts["observations"]) > 1:
        blocks, labels = _blocks(night)
        yield (
            "blocks",
            "Time offsets over the night",
            "Offset of each telescope in each observation block, less that of the night; "
            "telescopes stand side by side. Lines: statistical errors; bars: systematic ones of "
            "the block, most of them a tilt that one azimuth cannot tell from offsets. Good: zero "
            "within these. Red, with its name: without a valid offset of the night, less its "
            "median.",
            block_figure(blocks, labels, "offset less that of the night (ns)"),
        )


def _blocks(night: ArrayNight) -> tuple[list[Any], list[str]]:
    """Offsets of each block less those of the night, and its number with the time it began.

    Of a telescope that has none for the night: less its median over the blocks.
    """
    from .array_figures import TelescopeValues

    table, whole = night.timing.tables["blocks"], night.column(night.timing, "offset")
    for k in np.flatnonzero(~np.isfinite(whole)):
        own = np.asarray(table["offset"], float)[np.asarray(table["tel_id"]) == night.tel_ids[k]]
        if np.any(np.isfinite(own)):
            whole[k] = np.nanmedian(own)
    invalid = ~night.column(night.timing, "is_valid", False).astype(bool)
    begins, obs_ids = table["time_start"].utc, np.asarray(table["obs_id"])
    blocks, labels = [], []
    for obs_id in sorted(set(obs_ids.tolist()), key=lambda o: begins[obs_ids == o][0]):
        mine = np.flatnonzero(obs_ids == obs_id)
        place = np.searchsorted(night.tel_ids, np.asarray(table["tel_id"])[mine])
        value, stat, sys = (np.full(len(whole), np.nan) for _ in range(3))
        for column, name in ((value, "offset"), (stat, "stat_error"), (sys, "sys_error")):
            column[place] = np.asarray(table[name], float)[mine]
        blocks.append(
            TelescopeValues(
                night.names, night.kinds, value - whole, stat, sys, np.isfinite(value), invalid
            )
        )
        labels.append(f"{obs_id}\n{begins[mine[0]].to_datetime():%H:%M}")
    return blocks, labels

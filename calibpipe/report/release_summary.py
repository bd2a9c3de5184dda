"""What a release changes: products kind by kind, and the columns that changed most."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from astropy.table import Table
from matplotlib import ticker
from matplotlib.figure import Figure

from .drawing import PALETTE, STYLE
from .inline_svg import inline_svg

__all__ = ["LEVELS", "levels_figure", "pulls_figure", "summary_page", "summary_table"]

LEVELS = {  # of a comparison: colour
    "same bytes": "grid",
    "same content": "faint",
    "same numbers": "level5",
    "different": "level1",
    "missing": "warning",
}
_LISTED = 30  # columns in the table of the page
_CSS = """
body { font: 16px/1.5 "DejaVu Sans", sans-serif; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; background: %(paper)s; color: %(ink)s; }
svg { max-width: 100%%; height: auto; } figure { margin: 1.5rem 0; }
table { border-collapse: collapse; font-size: 0.85rem; }
th, td { text-align: left; padding: 0.2rem 0.9rem 0.2rem 0; border-bottom: 1px solid %(grid)s; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
:root { %(colours)s }
"""


def summary_table(found: Iterable[Any]) -> Table:
    """Products of each kind by level, and their largest differences.

    Parameters
    ----------
    found : iterable of ProductComparison

    Returns
    -------
    Table
        ``kind``, ``products``, a column a level, ``max_pull`` (in units of the errors before) and
        ``rms_pull`` (largest of a column), ``max_relative``; NaN where there is nothing to say.
    """
    kinds: dict[str, list[Any]] = {}
    for comparison in found:
        kinds.setdefault(comparison.kind or "other files", []).append(comparison)
    rows = []
    for kind, members in sorted(kinds.items()):
        columns = [column for member in members for column in member.differing]
        rows.append(
            {"kind": kind, "products": len(members)}
            | {_name(level): sum(m.level == level for m in members) for level in LEVELS}
            | {
                name: _largest(getattr(column, name) for column in columns)
                for name in ("max_pull", "rms_pull", "max_relative")
            }
        )
    names = ["kind", "products", *map(_name, LEVELS), "max_pull", "rms_pull", "max_relative"]
    return Table(rows=rows, names=names) if rows else Table(names=names)


def _name(level: str) -> str:
    return level.replace(" ", "_")


def _largest(values: Iterable[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return max(known, default=np.nan)


def levels_figure(summary: Table) -> Figure:
    """Products of each kind: the same, or how different."""
    figure = Figure(figsize=(7.2, 0.9 + 0.28 * max(len(summary), 1)), layout="constrained")
    axes = figure.add_subplot()
    kinds = [str(kind) for kind in summary["kind"]]
    left = np.zeros(len(summary))
    for level, colour in LEVELS.items():
        width = np.asarray(summary[_name(level)], float) / np.asarray(summary["products"], float)
        axes.barh(kinds, width, left=left, color=PALETTE[colour], label=level, height=0.7)
        left += width
    axes.set(xlim=(0, 1), xlabel="part of the products", ylim=(len(kinds) - 0.4, -0.6))
    figure.legend(loc="outside upper center", ncols=len(LEVELS), frameon=False, fontsize=9)
    return figure


def pulls_figure(summary: Table) -> Figure | None:
    """Largest differences of each kind in units of the errors before; None if there are none."""
    kept = summary[np.isfinite(np.asarray(summary["max_pull"], float))]
    kept = kept[np.asarray(kept["max_pull"], float) > 0]
    if not len(kept):
        return None
    figure = Figure(figsize=(7.2, 1.1 + 0.28 * len(kept)), layout="constrained")
    axes = figure.add_subplot()
    kinds = [str(kind) for kind in kept["kind"]]
    axes.plot(kept["max_pull"], kinds, "o", color=PALETTE["level1"], label="largest")
    axes.plot(kept["rms_pull"], kinds, "|", color=PALETTE["ink"], ms=11, label="rms of the column")
    axes.axvline(1, color=PALETTE["faint"], lw=0.8, ls="--")
    axes.set(xscale="log", xlabel="difference in units of the error before")
    axes.set_ylim(len(kinds) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure


def summary_page(release: str, keys: Sequence[tuple[str, str, str]], found: Sequence[Any]) -> str:
    """One HTML file: figures, the table by kind, the columns that changed most."""
    summary = summary_table(found)
    nights = sorted({night for _, _, night in keys})
    places = sorted({f"{site}, category {category}" for site, category, _ in keys})
    parts = [f"<h1>Release {escape(release)}: what differs</h1>"]
    parts.append(
        f"<p>{escape('; '.join(places))}; {len(nights)} nights, {nights[0]} to {nights[-1]}; "
        f"{len(found)} files, old against new.</p>"
    )
    with mpl.rc_context(STYLE):
        if len(summary):
            text = "Products of each kind by how they compare"
            parts.append(f"<figure>{inline_svg(levels_figure(summary), 'levels', text)}</figure>")
            if pulls := pulls_figure(summary):
                text = "Largest differences of each kind in units of the errors before"
                parts.append(f"<figure>{inline_svg(pulls, 'pulls', text)}</figure>")
    parts += ["<h2>By kind</h2>", _html(summary)]
    changed = _most_changed(found)
    if len(changed):
        parts += ["<h2>Columns that changed most</h2>", _html(changed)]
    colours = " ".join(f"--fig-{name}: {value};" for name, value in PALETTE.items())
    css = _CSS % {**PALETTE, "colours": colours}
    head = f'<meta charset="utf-8"><title>Release {escape(release)}</title><style>{css}</style>'
    body = "".join(parts)
    return f"<!DOCTYPE html>\n<html lang='en'><head>{head}</head><body>{body}</body></html>\n"


def _most_changed(found: Sequence[Any]) -> Table:
    entries = [(c, d) for c in found for d in c.differing if np.isfinite(d.max_pull) and d.max_pull]
    entries.sort(key=lambda entry: -entry[1].max_pull)
    rows = [
        (
            c.name.removeprefix("results/"),
            d.column,
            f"{d.n_differing} of {d.n_values}",
            f"{d.max_absolute:.3g} {d.unit}".strip(),
            d.max_relative,
            d.max_pull,
            d.rms_pull,
        )
        for c, d in entries[:_LISTED]
    ]
    names = ["product", "column", "values", "at_most", "relative", "max_pull", "rms_pull"]
    return Table(rows=rows, names=names) if rows else Table(names=names)


def _html(table: Table) -> str:
    head = "".join(map(_head, table.itercols()))
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table)
    return f"<table><tr>{head}</tr>{rows}</table>"


def _head(column: Any) -> str:
    css = " class=number" if column.dtype.kind in "if" else ""
    return f"<th{css}>{escape(column.name.replace('_', ' '))}</th>"


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f'<td class="number">{"" if np.isnan(value) else f"{value:.3g}"}</td>'
    if isinstance(value, int | np.integer):
        return f'<td class="number">{value or ""}</td>'
    return f"<td>{escape(str(value))}</td>"

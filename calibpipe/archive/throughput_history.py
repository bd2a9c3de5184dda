"""Throughput and point spread function of the nights before one, as they are certified."""

from collections.abc import Sequence
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable

from .lookup import Certified, newest_layer
from .metrics import metrics
from .repository import Archive, uses_database
from .validity import Interval

__all__ = ["throughput_history"]

QUANTITIES = {  # column: kind, metric, unit
    "throughput": ("throughput/muon_throughput", "throughput", u.one),
    "psf_width": ("throughput/muon_psf", "width", u.deg),
}


@uses_database
def throughput_history(
    archive: Archive, site: str, category: str, nights: Sequence[str], span: Interval
) -> QTable:
    """Values that hold in some nights, telescope by telescope.

    Of several products of a night the one counts that a lookup would find. Values and errors are
    the metrics of its newest verification; a product without any is left out.

    Parameters
    ----------
    site, category : str
        Category ``B`` or ``C``: only products of the same.
    nights : sequence of str
        Names of the nights.
    span : Interval
        From the begin of the first night to the end of the last one.

    Returns
    -------
    QTable
        ``array_element``, ``night``; ``throughput``, ``psf_width`` (deg), each with its
        ``_stat_error`` and ``_sys_error``, NaN where there is none, and the identifier of the
        product in ``..._product``. Sorted by telescope and night; no rows without products.
    """
    chosen = {
        name: newest_layer(archive, kind, archive.layers(site, category), span)
        for name, (kind, *_) in QUANTITIES.items()
    }
    if not any(chosen.values()):
        return _table({})
    found: dict[str, dict[str, Any]] = {}
    for row in metrics(archive, site=site, category=category, nights=nights):
        if row["mode"] == "internal" and row["median"] is not None:
            found.setdefault(row["product_id"], {})[row["metric"]] = row["median"]
            found[row["product_id"]]["night"] = row["night"]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name, entries in chosen.items():
        metric = QUANTITIES[name][1]
        for entry in entries:
            values = found.get(str(entry.product_id), {})
            if metric not in values:
                continue
            key = entry.data_id["telescope"], values["night"]
            rows.setdefault(key, {}).update(_columns(name, entry, values, values[metric]))
    return _table(rows)


def _columns(
    name: str, entry: Certified, values: dict[str, Any], value: float
) -> dict[str, float | str]:
    relative = {of: values.get(f"relative_{of}_error", np.nan) for of in ("stat", "sys")}
    errors = {f"{name}_{of}_error": error * abs(value) for of, error in relative.items()}
    return {name: value, **errors, f"{name}_product": str(entry.product_id)}


def _table(rows: dict[tuple[str, str], dict[str, Any]]) -> QTable:
    keys = sorted(rows)
    table = QTable(
        {
            "array_element": np.array([key[0] for key in keys], dtype=str),
            "night": np.array([key[1] for key in keys], dtype=str),
        }
    )
    for name, (_, _, unit) in QUANTITIES.items():
        for column in (name, f"{name}_stat_error", f"{name}_sys_error"):
            numbers = [rows[key].get(column, np.nan) for key in keys]
            table[column] = np.array(numbers, float) * unit
        products = [rows[key].get(f"{name}_product", "") for key in keys]
        table[f"{name}_product"] = np.array(products, dtype=str)
    return table

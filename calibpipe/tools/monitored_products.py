"""What calibpipe-verify reads of a product to follow it over the nights."""

from pathlib import Path
from typing import Any

from .verified_products import (
    ARRAY_TABLES,
    CAMERA,
    STARS,
    TABLES,
    array_tables,
    telescope_tables,
)

__all__ = ["product_values"]


def product_values(path: Path, header: Any) -> list[dict[str, Any]]:
    """Numbers of a product that are followed over the nights, as JSON.

    Parameters
    ----------
    path : Path
    header : ProductHeader
    """
    from ..verification.monitored_values import MONITORED, monitored_values

    if header.kind not in MONITORED:
        return []
    own, tables = _read(path, header)
    return [entry.text() for entry in monitored_values(header.kind, tables, own)]


def _read(path: Path, header: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and tables of a product, by the names that its monitored values know."""
    kind = header.kind
    if kind in ARRAY_TABLES:
        own, tables = array_tables(path, kind)
        return own, tables | {"telescopes": _named(tables["telescopes"])}
    if kind == CAMERA:
        from ..core.monitoring_file import read_camera_coefficients

        return header.own, {"table": read_camera_coefficients(path, header.own["tel_id"])}
    if kind in STARS:
        from ..core.telescope_file import read_telescope_table

        return header.own, {
            "table": read_telescope_table(path, STARS[kind], header.own["tel_id"], kind)
        }
    if kind in TABLES:
        return header.own, telescope_tables(path, header)
    from ..core.products import read_table

    table = read_table(path, kind)
    return table.meta["calibpipe"], {"table": table}


def _named(telescopes: Any) -> Any:
    """Table of telescopes with the names of the array elements."""
    from ..core.telescope import array_element

    if "array_element" in telescopes.colnames:
        return telescopes
    named = telescopes.copy()
    named["array_element"] = [array_element(int(tel_id)) for tel_id in telescopes["tel_id"]]
    return named

"""Section of the page for each camera and observation block."""

from typing import Any

import numpy as np

from .camera_numbers import bad_pixels, block_name, camera_numbers, pixel_columns
from .material import FoundProduct, NightMaterial
from .wording import counted

__all__ = ["camera_facts"]


def camera_facts(material: NightMaterial) -> list[dict[str, Any]]:
    """What the page says of each camera: numbers, masked pixels, figures."""
    return [_block(product) for product in material.cameras]


def _block(product: FoundProduct) -> dict[str, Any]:
    from .camera_figures import camera_figures  # ctapipe's display is slow to import

    facts, table = product.facts, product.table
    name = f"camera-{facts['array_element']}-{facts['obs_id']}"
    pixels = bad_pixels(table)
    begin, end = table["time"][0].utc, table["time_end"][-1].utc
    summary = f"{counted(len(pixels), 'masked pixel')}: number, reason, values"
    return {
        "name": name,
        "title": block_name(product),
        "times": f"{begin.to_datetime():%Y-%m-%d %H:%M:%S} – {end.to_datetime():%H:%M:%S} UTC. "
        "Numbers, maps and distributions: medians over the valid rows, without masked pixels.",
        "numbers": camera_numbers(table),
        "summary": summary if pixels else "No pixel is masked.",
        "columns": pixel_columns(table),
        "pixels": pixels,
        "figures": camera_figures(table, product.geometry, name)
        if np.any(table["is_valid"])
        else [],
    }

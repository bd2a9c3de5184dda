"""The newest certified photon transfer of a telescope, whose gains other Tools take."""

from pathlib import Path
from typing import Any

from .calculate_photon_transfer import KIND

__all__ = ["certified_photon_transfer"]


def certified_photon_transfer(tool: Any, site: Any, telescope: str, age_in_days: float) -> Any:
    """Path of the product of the nights before the Tool's night; None without one.

    Parameters
    ----------
    tool : NightTool
        With ``archive`` (None: there is nothing to look in), ``night`` and ``category``.
    site : Site
    telescope : str
        Array element.
    age_in_days : float
        Above which its gains say nothing.
    """
    import astropy.units as u

    from ..archive.lookup import newest_certified, product_path
    from ..archive.repository import open_archive
    from ..archive.validity import Interval
    from ..core.night import night_span

    if tool.archive is None:
        return None
    archive, (begin, _) = open_archive(Path(tool.archive)), night_span(tool.night, site)
    span = Interval.of(begin - age_in_days * u.day, begin)
    newest = newest_certified(archive, KIND, site.name, tool.category, span, telescope=telescope)
    return None if newest is None else product_path(archive, newest.product_id)

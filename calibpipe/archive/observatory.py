"""What the archive knows of the observatory: sites, seasons, telescopes."""

from typing import Any

from lsst.daf.butler.registry import ConflictingDefinitionError

from ..core.exceptions import ConfigurationError
from ..core.site import Site
from .names import checked_name
from .repository import Archive, uses_database

__all__ = ["upload_site"]

CAMERAS = {"LST": "LSTCam", "MST": "NectarCam or FlashCam", "SST": "SSTCam"}


@uses_database
def upload_site(archive: Archive, site: Site, tel_ids: dict[str, int]) -> dict[str, Any]:
    """Site, seasons and telescopes of a description of a site; those that are there stay.

    Parameters
    ----------
    site : Site
        From ``config/sites``.
    tel_ids : dict
        ``tel_id`` by array element.

    Returns
    -------
    dict
        What was new.

    Raises
    ------
    ConfigurationError
        If a telescope has no ``tel_id``, or the archive knows the site otherwise.
    """
    missing = sorted(set(site.telescopes) - set(tel_ids))
    if missing:
        raise ConfigurationError(
            f"no tel_id of {', '.join(missing)} is known: the observatory's list of array elements "
            "does not have them"
        )
    registry = archive.butler.registry
    record = {
        "name": checked_name(site.name, "site"),
        "latitude": float(site.latitude.to_value("deg")),
        "longitude": float(site.longitude.to_value("deg")),
        "elevation": float(site.elevation.to_value("m")),
    }
    new: dict[str, Any] = {"seasons": [], "telescopes": []}
    with archive.writing():
        new["site"] = _synchronised(registry, "site", record)
        for season in dict.fromkeys(s.name for s in site.seasons):
            if _synchronised(
                registry, "season", {"site": site.name, "name": checked_name(season, "season")}
            ):
                new["seasons"].append(season)
        for name in site.telescopes:
            row = {
                "site": site.name,
                "id": tel_ids[name],
                "tel_name": checked_name(name, "telescope"),
                "tel_type": name[:3],
                "camera": CAMERAS.get(name[:3], "unknown"),
            }
            if _synchronised(registry, "telescope", row):
                new["telescopes"].append(name)
    archive.forget_observatory()
    return new


def _synchronised(registry: Any, element: str, record: dict[str, Any]) -> bool:
    """Whether a record is new; one that differs is an error."""
    try:
        return bool(registry.syncDimensionData(element, record))
    except ConflictingDefinitionError as error:
        raise ConfigurationError(
            f"the archive knows {element} {record.get('name') or record.get('tel_name')} with "
            f"other values: {error}; a site or telescope that changes needs a new name"
        ) from error

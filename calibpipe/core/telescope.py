"""Description of telescopes: array element, camera, place in their subarray."""

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from .exceptions import ConfigurationError

if TYPE_CHECKING:
    from ctapipe.instrument import SubarrayDescription

__all__ = ["array_element", "array_element_id", "subarray_of", "telescope_subarray"]


def array_element(tel_id: int) -> str:
    """Name of a telescope: ``MSTN-01`` for 5.

    Raises
    ------
    ConfigurationError
        If CTAO has no array element of this number.
    """
    from ctapipe_io_zfits.instrument import get_array_elements_by_id

    elements = get_array_elements_by_id()
    if tel_id not in elements:
        raise ConfigurationError(
            f"CTAO has no array element {tel_id}, only {min(elements)} to {max(elements)} with "
            "gaps; look at the observatory's array-element-ids"
        )
    return elements[tel_id]["name"]


def array_element_id(name: str) -> int:
    """Number of a telescope: 5 for ``MSTN-01``.

    Raises
    ------
    ConfigurationError
        If CTAO has no array element of this name.
    """
    from ctapipe_io_zfits.instrument import get_array_elements_by_id

    for tel_id, element in get_array_elements_by_id().items():
        if element["name"] == name:
            return tel_id
    raise ConfigurationError(
        f"CTAO has no array element {name}; its telescopes are called like LSTN-01 or MSTS-14"
    )


def subarray_of(tel_ids: Collection[int]) -> tuple[int, "SubarrayDescription"]:
    """Number and description of the smallest subarray that has all of some telescopes.

    From the observatory's service data if ``CTAPIPE_SVC_PATH`` names a folder of them (and
    ``CTAPIPE_IO_ZFITS_NO_SERVICE_DATA`` does not forbid it), from what ctapipe-io-zfits brings
    along (the LSTs of CTAO-North) otherwise; nothing is downloaded.

    Raises
    ------
    ConfigurationError
        If no subarray has them, or a camera cannot be described.
    """
    members = _subarrays()
    from ctapipe_io_zfits.instrument import build_subarray_description

    found = [key for key, there in members.items() if set(tel_ids) <= set(there)]
    problems = []
    for subarray_id in sorted(found, key=lambda key: (len(members[key]), key)):
        try:
            return subarray_id, build_subarray_description(subarray_id)
        except (ValueError, OSError, KeyError) as error:  # a telescope has no description
            problems.append(f"{subarray_id}: {error}")
    raise ConfigurationError(
        f"telescopes {', '.join(map(str, tel_ids))} cannot be described (subarrays that have them: "
        f"{'; '.join(problems) or 'none'}); set CTAPIPE_SVC_PATH to a folder with the "
        "observatory's service data (instrument.meta.json), without "
        "CTAPIPE_IO_ZFITS_NO_SERVICE_DATA, or simulate with "
        "--camera-description"
    )


def _subarrays() -> dict[int, list[int]]:
    """Telescopes of each subarray: of service data, or of ctapipe-io-zfits."""
    from ctapipe_io_zfits.instrument import get_subarrays_by_id

    forbidden = os.environ.get("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "").lower()
    folder = None if forbidden in {"1", "true", "yes"} else _service_data_folder()
    if folder is None:  # else ctapipe asks a server for them
        os.environ["CTAPIPE_IO_ZFITS_NO_SERVICE_DATA"] = "1"
        described = get_subarrays_by_id().values()
    else:
        described = json.loads((folder / "subarray-ids.json").read_text())["subarrays"]
    return {about["id"]: about["array_element_ids"] for about in described}


def _service_data_folder() -> Path | None:
    """First folder of ``CTAPIPE_SVC_PATH`` with service data."""
    folders = os.path.expandvars(os.environ.get("CTAPIPE_SVC_PATH", "")).split(":")
    names = ("instrument.meta.json", "subarray-ids.json")
    for folder in map(Path, filter(None, folders)):
        if all((folder / name).is_file() for name in names):
            return folder
    return None


def telescope_subarray(tel_id: int) -> "SubarrayDescription":
    """Subarray of this one telescope, as `subarray_of` describes it.

    Raises
    ------
    ConfigurationError
        If no subarray has the telescope, or its camera cannot be described.
    """
    _, subarray = subarray_of([tel_id])
    return subarray.select_subarray([tel_id], name=subarray.tel[tel_id].name)

"""Description of telescopes: array element, camera, place in their subarray."""

import os
from collections.abc import Collection
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

    From the observatory's service data if ``CTAPIPE_SVC_PATH`` names a folder of them, from what
    ctapipe-io-zfits brings along (the LSTs of CTAO-North) otherwise; nothing is downloaded.

    Raises
    ------
    ConfigurationError
        If no subarray has them, or a camera cannot be described.
    """
    if not os.environ.get("CTAPIPE_SVC_PATH"):
        os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")
    from ctapipe_io_zfits.instrument import build_subarray_description, get_subarrays_by_id

    members = {key: about["array_element_ids"] for key, about in get_subarrays_by_id().items()}
    found = [key for key, there in members.items() if set(tel_ids) <= set(there)]
    for subarray_id in sorted(found, key=lambda key: (len(members[key]), key)):
        try:
            return subarray_id, build_subarray_description(subarray_id)
        except ValueError:  # a telescope of it has no description
            continue
    raise ConfigurationError(
        f"telescopes {', '.join(map(str, tel_ids))} cannot be described (subarrays that have them: "
        f"{found or 'none'}); set CTAPIPE_SVC_PATH to the observatory's service data"
    )


def telescope_subarray(tel_id: int) -> "SubarrayDescription":
    """Subarray of this one telescope, as `subarray_of` describes it.

    Raises
    ------
    ConfigurationError
        If no subarray has the telescope, or its camera cannot be described.
    """
    _, subarray = subarray_of([tel_id])
    return subarray.select_subarray([tel_id], name=subarray.tel[tel_id].name)

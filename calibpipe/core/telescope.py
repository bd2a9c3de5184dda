"""Description of a telescope: array element, camera, place in its subarray."""

import os
from typing import TYPE_CHECKING

from .exceptions import ConfigurationError

if TYPE_CHECKING:
    from ctapipe.instrument import SubarrayDescription

__all__ = ["telescope_subarray"]


def telescope_subarray(tel_id: int) -> "SubarrayDescription":
    """Subarray of this one telescope, as ctapipe-io-zfits describes it.

    From the observatory's service data if ``CTAPIPE_SVC_PATH`` names a folder of them, from what
    ctapipe-io-zfits brings along (the LSTs of CTAO-North) otherwise; nothing is downloaded.

    Raises
    ------
    ConfigurationError
        If no subarray has the telescope, or its camera cannot be described.
    """
    if not os.environ.get("CTAPIPE_SVC_PATH"):
        os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")
    from ctapipe_io_zfits.instrument import build_subarray_description, get_subarrays_by_id

    found = [
        s for s, about in get_subarrays_by_id().items() if tel_id in about["array_element_ids"]
    ]
    for subarray_id in found:
        try:
            subarray = build_subarray_description(subarray_id)
        except ValueError:  # a telescope of it has no description
            continue
        return subarray.select_subarray([tel_id], name=subarray.tel[tel_id].name)
    raise ConfigurationError(
        f"telescope {tel_id} cannot be described (subarrays that have it: {found or 'none'}); set "
        "CTAPIPE_SVC_PATH to the observatory's service data"
    )

"""All-sky frames as FITS files."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from astropy.io import fits

from ..core.allsky_file import KEYWORDS, AllskyFrame
from ..core.site import Site

__all__ = ["frame_hdu", "frame_header"]


def frame_header(
    frame: AllskyFrame, site: Site, more: Mapping[str, Any] | None = None
) -> fits.Header:
    """Header of a frame: time, place and camera as `read_allsky` wants them."""
    header = fits.Header()
    header["DATE-OBS"] = (frame.begin.utc.isot, "begin of the exposure")
    header["TIMESYS"] = "UTC"
    header["EXPTIME"] = (float(frame.exposure.to_value("s")), "s")
    header["SITELAT"] = (float(site.latitude.to_value("deg")), "deg")
    header["SITELONG"] = (float(site.longitude.to_value("deg")), "deg, east positive")
    for name, value in asdict(frame.camera).items():
        shift = 1 if name in ("x_center", "y_center") else 0
        header[KEYWORDS[name][0]] = (value + shift if shift else value, name)
    header.update(more or {})
    return header


def frame_hdu(frame: AllskyFrame, site: Site, compressed: bool = True) -> Any:
    """Image of a frame, tile-compressed without loss if it has whole counts."""
    header = frame_header(frame, site)
    whole = np.issubdtype(frame.counts.dtype, np.integer)
    if compressed and whole:
        return fits.CompImageHDU(frame.counts, header, compression_type="RICE_1")
    return fits.ImageHDU(frame.counts, header)

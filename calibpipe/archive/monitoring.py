"""File for ctapipe-process: certified coefficients, with the pixels masked that are excluded."""

import json
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.exceptions import ConfigurationError
from ..core.files import atomic_path
from .checksum import check_stored
from .errors import NoValidProductError
from .lookup import Certified, lookup, product_path
from .repository import Archive

if TYPE_CHECKING:
    import tables
    from astropy.time import Time

__all__ = ["EXCLUDED_PIXELS", "excluded_pixels_at", "export_monitoring"]

EXCLUDED_PIXELS = "camera/excluded_pixels"
_MERGED = uuid.UUID("2c1b6c52-9a5e-4a39-8c3f-6f0f2c0a7d11")  # of identifiers of merged files


def excluded_pixels_at(
    archive: Archive, site: str, time: "Time", *, telescope: str, category: str | None = None
) -> Certified | None:
    """Certified list of excluded pixels that holds at a time; None if there is none."""
    try:
        return lookup(archive, EXCLUDED_PIXELS, site, time, telescope=telescope, category=category)
    except NoValidProductError:
        return None


def export_monitoring(
    archive: Archive, found: Certified, path: str | Path, excluded: Certified | None = None
) -> dict[str, Any]:
    """File of a certified product that ctapipe-process consumes; says where it comes from.

    The tables are those of the archive. In coefficients the excluded pixels are masked: in both
    channels, with factor 0 and the reason ``EXCLUDED``; what was masked before stays. The
    attribute ``calibpipe_archive`` (JSON) names the product, its run and the validity for which it
    was certified, and the same of the list. A file with masked pixels has an identifier of its own;
    its header and its description, which ctapipe's provenance keeps, name both products.

    Parameters
    ----------
    excluded : Certified, optional
        List of excluded pixels (`excluded_pixels_at`).

    Returns
    -------
    dict
        The attribute.

    Raises
    ------
    ConfigurationError
        If the product is no HDF5 file, or the list is of a camera with other pixels.
    CorruptedInputError
        If a file of the archive is not what was stored.
    StorageError
        If the disk is full or the folder cannot be written.
    """
    import tables

    source = product_path(archive, found.product_id)
    if source.suffix != ".h5":
        raise ConfigurationError(
            f"{found.kind} is no HDF5 file: ctapipe-process reads monitoring files only"
        )
    origin = found.text()
    with atomic_path(path) as temporary:
        shutil.copyfile(source, temporary)
        check_stored(archive, found, temporary)  # not before: the copy is what is given away
        with tables.open_file(temporary, "a") as h5file:
            if excluded is not None:
                number = _merge(archive, h5file, found, excluded)
                origin["excluded_pixels"] = excluded.text() | {"n_newly_masked": number}
            h5file.root._v_attrs["calibpipe_archive"] = json.dumps(origin)
    return origin


def _merge(archive: Archive, h5file: "tables.File", found: Certified, excluded: Certified) -> int:
    """Mask the pixels of a list; how many were not masked in all rows before."""
    from ctapipe.io.metadata import write_to_hdf5

    from ..camera.outliers import PixelReason
    from ..core.ctapipe_groups import DL1_CAMERA_COEFFICIENTS_GROUP
    from ..core.monitoring_file import mask_pixels
    from ..core.telescope_file import read_telescope_table

    source = product_path(archive, excluded.product_id)
    check_stored(archive, excluded, source)
    group = "/calibpipe/camera/excluded_pixels"
    table = read_telescope_table(source, group, 0, "excluded pixels", ("is_excluded",))
    tel_id = table.meta["calibpipe"]["tel_id"]
    is_excluded = np.asarray(table["is_excluded"], bool)
    node = f"{DL1_CAMERA_COEFFICIENTS_GROUP}/tel_{tel_id:03d}"
    number = mask_pixels(h5file, node, is_excluded, PixelReason.EXCLUDED.value)
    ids = [str(entry.product_id) for entry in (found, excluded)]
    attributes = h5file.root._v_attrs
    own = json.loads(attributes["calibpipe"])
    own.pop("run", None)  # that of the coefficients does not make this file
    own["inputs"] = [
        {"role": entry.kind, "path": entry.run, "product_id": str(entry.product_id)}
        for entry in (found, excluded)
    ]
    described = attributes["CTA PRODUCT DESCRIPTION"]
    header = {
        "CTA PRODUCT ID": str(uuid.uuid5(_MERGED, " ".join(ids))),
        "CTA PRODUCT DESCRIPTION": f"{described}; of products {ids[0]} and {ids[1]}",
        "calibpipe": json.dumps(own),
    }
    write_to_hdf5(header, h5file)
    return number

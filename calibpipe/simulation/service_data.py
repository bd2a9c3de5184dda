"""Descriptions of simulated telescopes, as service data of the observatory.

`ctapipe_io_zfits` brings along LSTs of CTAO-North only. Every other telescope it describes with
service data, which it looks for in the folders of ``CTAPIPE_SVC_PATH``::

    instrument.meta.json, array-element-ids.json, subarray-ids.json
    positions/CTAO_N_ArrayElementPositions.ecsv
    array-elements/MSTN/MSTN.{camgeom.fits.gz,camreadout.fits.gz,tel_optics.ecsv}
    array-elements/005/005.{...} -> ../MSTN/MSTN.{...}

Each telescope needs its own folder: ctapipe would look for an absent file on a server.
"""

import json
from collections.abc import Collection, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import EarthLocation
from astropy.table import QTable
from ctapipe.coordinates import CameraFrame
from ctapipe.instrument import (
    CameraDescription,
    SubarrayDescription,
    TelescopeDescription,
)
from ctapipe.io import EventSource
from ctapipe.io.metadata import Activity, Contact, Instrument, Process, Product, Reference
from ctapipe_io_zfits import instrument

from ..core.exceptions import ConfigurationError, CorruptedInputError
from ..core.files import atomic_path
from ..core.site import Site
from ..core.telescope import subarray_of

__all__ = [
    "CAMERAS",
    "site_subarray",
    "subarray_number",
    "telescope_description",
    "write_service_data",
]

# ASSUME: cameras of the baseline of CTAO (alpha configuration, 2021).
CAMERAS = {"LSTN": "LSTCam", "LSTS": "LSTCam", "MSTN": "NectarCam", "MSTS": "FlashCam"}
# ASSUME: telescopes whose positions nobody brings along (CTAO-South) stand in a line. Cameras do
# not depend on it.
SPACING = 100 * u.m
_SUBARRAY_IDS = {"N": 100, "S": 200}  # of all LSTs and MSTs of a site
_ALONE = 1000  # plus the number of a telescope: subarray of it alone
_PARTS = ("camgeom.fits.gz", "camreadout.fits.gz", "tel_optics.ecsv")


def telescope_description(paths: Sequence[str | Path], camera: str) -> TelescopeDescription:
    """Optics and camera of the first telescope that has a camera, in files that ctapipe reads.

    Parameters
    ----------
    paths : sequence of path
        Simulations of sim_telarray, or DL0 to DL2 files of ctapipe.
    camera : str
        What the name of the camera contains: ``NectarCam`` is in ``MSTx-NectarCam``, too.

    Returns
    -------
    TelescopeDescription
        The camera is called `camera`; its frame has the effective focal length.

    Raises
    ------
    ConfigurationError
        If no file has the camera, or none with an effective focal length.
    CorruptedInputError
        If ctapipe cannot read a file.
    """
    others, vague = set(), []
    for path in paths:
        for telescope in _telescope_types(Path(path)):
            name, length = telescope.camera.name, telescope.optics.effective_focal_length
            if camera.lower() not in name.lower():
                others.add(name)
            elif np.isfinite(length):
                return _named(telescope, camera)
            else:
                vague.append(Path(path).name)
    if vague:
        raise ConfigurationError(
            f"{camera} of {', '.join(vague)} has no effective focal length, without which ctapipe "
            "makes no telescope of service data; give a newer simulation of the telescope"
        )
    raise ConfigurationError(
        f"no {camera} in {', '.join(Path(p).name for p in paths) or 'no file'} (there are "
        f"{', '.join(sorted(others)) or 'no cameras'}); give a simulation that has one with "
        "--camera-description"
    )


def _telescope_types(path: Path) -> list[TelescopeDescription]:
    """Different telescopes of a file."""
    try:
        # the equivalent focal length is in every file
        with EventSource(path, focal_length_choice="EQUIVALENT") as source:
            return list(source.subarray.telescope_types)
    except Exception as error:  # whatever a file that is something else makes the readers raise
        raise CorruptedInputError(
            f"{path.name} describes no telescopes that ctapipe can read ({type(error).__name__}: "
            f"{error}); give a simulation of sim_telarray or a file of ctapipe"
        ) from error


def _named(telescope: TelescopeDescription, camera: str) -> TelescopeDescription:
    """Telescope whose camera has a plain name, in the frame that service data are read in."""
    geometry, readout = copy(telescope.camera.geometry), copy(telescope.camera.readout)
    geometry.name = readout.name = camera
    geometry.frame = CameraFrame(focal_length=telescope.optics.effective_focal_length)
    return TelescopeDescription(
        telescope.name, telescope.optics, CameraDescription(camera, geometry, readout)
    )


def site_subarray(site: Site, camera_files: Sequence[str | Path]) -> SubarrayDescription:
    """All LSTs and MSTs of a site.

    LSTs are those of `ctapipe_io_zfits`, MSTs those of `camera_files` (`telescope_description`).

    Raises
    ------
    ConfigurationError
        If no file has the camera of the MSTs.
    """
    letter = site.name.removeprefix("CTAO-")[0]
    medium = telescope_description(camera_files, CAMERAS[f"MST{letter}"])
    _, large = subarray_of([1])
    kinds = {f"LST{letter}": large.tel[1], f"MST{letter}": medium}
    telescopes = {}
    for tel_id, element in instrument.get_array_elements_by_id().items():
        name = element["name"]
        if name[:4] in kinds:
            kind = kinds[name[:4]]
            telescopes[tel_id] = TelescopeDescription(name, kind.optics, kind.camera)
    positions, reference = _positions(list(telescopes), site)
    return SubarrayDescription(site.name, positions, telescopes, reference)


def _positions(tel_ids: list[int], site: Site) -> tuple[dict[int, u.Quantity], EarthLocation]:
    """Positions on the ground, and the place they are relative to."""
    if site.name == "CTAO-North":
        table = instrument.get_array_element_positions("CTAO_N")
        reference = instrument.get_reference_locations(table)
        return instrument.get_tel_positions(tel_ids, table, reference), reference
    reference = EarthLocation.from_geodetic(site.longitude, site.latitude, site.elevation)
    line = {tel_id: u.Quantity([k, 0, 0]) * SPACING for k, tel_id in enumerate(tel_ids)}
    return line, reference


def subarray_number(subarray: SubarrayDescription, tel_ids: Collection[int]) -> int:
    """Number of the smallest subarray in the service data that has all of some telescopes."""
    found = [
        about for about in _subarrays(subarray) if set(tel_ids) <= set(about["array_element_ids"])
    ]
    return min(found, key=lambda about: len(about["array_element_ids"]))["id"]


def _subarrays(subarray: SubarrayDescription) -> list[dict[str, Any]]:
    """Subarrays of `ctapipe_io_zfits` that are part of a site's, all of it, each telescope."""
    letter = subarray.name.removeprefix("CTAO-")[0]
    known = [
        about
        for about in instrument.get_subarrays_by_id().values()
        if set(about["array_element_ids"]) <= set(subarray.tel)
    ]
    everything = {
        "id": _SUBARRAY_IDS[letter],
        "name": f"{subarray.name}, simulated",
        "array_element_ids": [int(tel_id) for tel_id in subarray.tel],
        "site": f"CTAO_{letter}",
    }
    alone = [
        {
            "id": _ALONE + int(tel_id),
            "name": telescope.name,
            "array_element_ids": [int(tel_id)],
            "site": everything["site"],
        }
        for tel_id, telescope in subarray.tel.items()
    ]
    return [*known, everything, *alone]


def write_service_data(folder: str | Path, subarray: SubarrayDescription) -> None:
    """Service data of a site from which `ctapipe_io_zfits` builds its subarrays.

    They have the subarrays of `ctapipe_io_zfits` that are part of it, one of all telescopes, and
    one of each telescope alone, to which ctapipe applies coefficients of one telescope.

    Parameters
    ----------
    folder : path
        For ``CTAPIPE_SVC_PATH``.
    subarray : SubarrayDescription
        Of `site_subarray`.

    Raises
    ------
    StorageError
        If a file cannot be written.
    """
    folder = Path(folder)
    subarrays = _subarrays(subarray)
    elements = [{"id": int(t), "name": telescope.name} for t, telescope in subarray.tel.items()]
    version = SubarrayDescription
    contents = {
        "array-element-ids": {
            "metadata": _reference(
                "ctao.common.identifiers.array_elements",
                version.CURRENT_ARRAY_ELEMENTS_IDENTIFIERS_VERSION,
                subarray.name,
            ),
            "array_elements": elements,
        },
        "subarray-ids": {
            "metadata": _reference(
                "ctao.common.identifiers.subarrays",
                version.CURRENT_SUBARRAY_IDENTIFIERS_VERSION,
                subarray.name,
            ),
            "subarrays": subarrays,
        },
        "instrument.meta": _reference(
            "CTAO Service Data", version.CURRENT_SERVICE_DATA_VERSION, subarray.name
        ),
    }
    _write_positions(
        folder / f"positions/{subarrays[-1]['site']}_ArrayElementPositions.ecsv", subarray
    )
    for kind, telescope in {t.name[:4]: t for t in subarray.tel.values()}.items():
        _write_kind(folder / "array-elements" / kind, telescope)
    for tel_id, telescope in subarray.tel.items():
        _link_kind(folder / "array-elements" / f"{tel_id:03d}", telescope.name[:4])
    for name, content in contents.items():
        with atomic_path(folder / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n")


def _reference(data_model: str, version: str, site: str) -> dict[str, Any]:
    """Header as ctapipe wants it to decide whether it can read the rest."""
    return Reference(
        contact=Contact(),
        product=Product(
            description="Telescopes of simulated observations",
            data_category="Other",
            data_association="Subarray",
            data_model_name=data_model,
            data_model_version=version,
            format="json",
        ),
        process=Process(),
        activity=Activity(),
        instrument=Instrument(site=site, class_="Subarray"),
    ).to_dict()


def _write_positions(path: Path, subarray: SubarrayDescription) -> None:
    """Positions in the ground frame, as ctapipe takes them (not those of the Earth)."""
    x, y, z = u.Quantity([subarray.positions[tel_id] for tel_id in subarray.tel]).T
    names = [telescope.name for telescope in subarray.tel.values()]
    table = QTable({"ae_id": list(subarray.tel), "name": names, "x": x, "y": y, "z": z})
    for axis in "xyz":
        place = getattr(subarray.reference_location, axis).to_value(u.m)
        table.meta[f"reference_{axis}"] = f"{place:.3f} m"
    with atomic_path(path) as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)


def _write_kind(folder: Path, telescope: TelescopeDescription) -> None:
    """Tables of one kind of telescope."""
    tables = (
        telescope.camera.geometry.to_table(),
        telescope.camera.readout.to_table(),
        telescope.optics.to_table(),
    )
    for part, table in zip(_PARTS, tables, strict=True):
        with atomic_path(folder / f"{folder.name}.{part}") as temporary:
            form = "ascii.ecsv" if part.endswith("ecsv") else "fits"
            table.write(temporary, format=form, overwrite=True)


def _link_kind(folder: Path, kind: str) -> None:
    """Folder of a telescope: links to the tables of its kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in _PARTS:
        link = folder / f"{folder.name}.{part}"
        link.unlink(missing_ok=True)
        link.symlink_to(f"../{kind}/{kind}.{part}")

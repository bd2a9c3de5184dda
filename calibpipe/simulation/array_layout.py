"""Subarrays of simulated array events: what DL2 needs to know of telescopes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import EarthLocation
from ctapipe.instrument import (
    CameraDescription,
    CameraGeometry,
    CameraReadout,
    OpticsDescription,
    SubarrayDescription,
    TelescopeDescription,
)
from ctapipe_io_zfits import instrument

from ..core.exceptions import ConfigurationError
from ..core.site import Site
from ..core.telescope import subarray_of
from .service_data import site_subarray

__all__ = ["array_subarray"]

# CTAO's first arrays (alpha configuration, 2021): 4 LST + 9 MST, 14 MST + 37 SST
ALPHA = {"CTAO-North": {"LSTN": 4, "MSTN": 9}, "CTAO-South": {"MSTS": 14, "SSTS": 37}}
# ASSUME: public numbers of the telescopes (CTAO, 2021): camera, mirror area (m2), focal length and
# effective focal length (m), mirrors, tiles
_OPTICS = {
    "MSTN": ("NectarCam", 106.26, 16.0, 16.445, 1, 86),
    "MSTS": ("FlashCam", 106.26, 16.0, 16.445, 1, 86),
    "SSTS": ("SSTCam", 14.13, 2.15, 2.15, 2, 18),
}
# ASSUME: nobody brings along positions of CTAO-South. Telescopes stand on triangular grids of these
# spacings, those nearest to the middle: no true map, but distances like there.
_SPACING_IN_M = {"MSTS": 160.0, "SSTS": 240.0}


def array_subarray(
    site: Site, camera_files: Sequence[str | Path] = (), numbers: dict[str, int] | None = None
) -> SubarrayDescription:
    """Telescopes of a site that see showers together, with their numbers at the observatory.

    North: LSTs and positions of `ctapipe_io_zfits`; MSTs with the camera of `camera_files`
    (`service_data.telescope_description`). Without these the cameras of MSTs and SSTs are squares
    of 49 pixels: DL2 has no pixels, but ctapipe wants cameras.

    Parameters
    ----------
    site : Site
    camera_files : sequence of path
    numbers : dict, optional
        Telescopes of each kind (``LSTN``, ``MSTS``), the first ones; default: `ALPHA`.

    Raises
    ------
    ConfigurationError
        If the site is none of CTAO's, or has not so many telescopes.
    """
    if site.name not in ALPHA:
        raise ConfigurationError(
            f"no array is known at {site.name!r}; simulate {' or '.join(ALPHA)}"
        )
    numbers = ALPHA[site.name] if numbers is None else numbers
    chosen = _tel_ids(numbers)
    if camera_files:
        whole = site_subarray(site, camera_files)
        return whole.select_subarray(sorted(chosen), name=site.name)
    telescopes = {}
    for tel_id, name in sorted(chosen.items()):
        kind = name[:4]
        if kind.startswith("LST"):
            large = subarray_of([1])[1].tel[1]
            telescopes[tel_id] = TelescopeDescription(name, large.optics, large.camera)
        else:
            telescopes[tel_id] = _telescope(name, kind)
    positions, reference = _positions(chosen, site)
    return SubarrayDescription(site.name, positions, telescopes, reference)


def _tel_ids(numbers: dict[str, int]) -> dict[int, str]:
    chosen: dict[int, str] = {}
    elements = instrument.get_array_elements_by_id()
    for kind, number in numbers.items():
        names = {i: e["name"] for i, e in elements.items() if e["name"].startswith(kind)}
        if len(names) < number:
            raise ConfigurationError(f"there are {len(names)} {kind}, not {number}")
        chosen |= dict(sorted(names.items())[:number])
    return chosen


def _telescope(name: str, kind: str) -> TelescopeDescription:
    camera, area, focal, effective, mirrors, tiles = _OPTICS[kind]
    optics = OpticsDescription(
        name=kind[:3],
        size_type=kind[:3],
        n_mirrors=mirrors,
        equivalent_focal_length=focal * u.m,
        effective_focal_length=effective * u.m,
        mirror_area=area * u.m**2,
        n_mirror_tiles=tiles,
        reflector_shape="SCHWARZSCHILD_COUDER" if mirrors == 2 else "DAVIES_COTTON",
    )
    geometry = CameraGeometry.make_rectangular(7, 7)
    geometry.name = camera
    readout = CameraReadout(
        name=camera,
        sampling_rate=1 * u.GHz,
        reference_pulse_shape=np.ones((1, 3)),
        reference_pulse_sample_width=1 * u.ns,
        n_channels=1,
        n_pixels=geometry.n_pixels,
        n_samples=1,
    )
    return TelescopeDescription(name, optics, CameraDescription(camera, geometry, readout))


def _positions(chosen: dict[int, str], site: Site) -> tuple[dict[int, u.Quantity], EarthLocation]:
    if site.name == "CTAO-North":
        table = instrument.get_array_element_positions("CTAO_N")
        reference = instrument.get_reference_locations(table)
        return instrument.get_tel_positions(sorted(chosen), table, reference), reference
    reference = EarthLocation.from_geodetic(site.longitude, site.latitude, site.elevation)
    positions: dict[int, Any] = {}
    for kind in sorted({name[:4] for name in chosen.values()}):
        own = sorted(tel_id for tel_id, name in chosen.items() if name.startswith(kind))
        places = _grid(len(own), _SPACING_IN_M.get(kind, 100.0))
        positions |= {i: u.Quantity(p, u.m) for i, p in zip(own, places, strict=True)}
    return positions, reference


def _grid(number: int, spacing: float) -> np.ndarray:
    """The nodes of a triangular grid that are nearest to its middle."""
    i, j = (k.ravel() for k in np.meshgrid(np.arange(-6, 7), np.arange(-6, 7)))
    places = np.stack([i + j / 2, j * np.sqrt(3) / 2, np.zeros(i.size)], axis=1) * spacing
    order = np.lexsort((j, i, np.round(np.hypot(*places.T[:2]), 6)))
    return places[order[:number]]

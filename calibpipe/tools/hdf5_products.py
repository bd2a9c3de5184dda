"""What the page of a night reads of HDF5 products."""

from pathlib import Path
from typing import Any

from ..core.ctapipe_groups import (
    DL2_SUBARRAY_CROSS_CALIBRATION_GROUP,
    DL2_SUBARRAY_INTER_CALIBRATION_GROUP,
)
from ..core.observation_conditions_file import KIND as AEROSOL_CONDITIONS
from .asymmetry_tool import PAIRS_TABLE
from .calculate_array_timing import BLOCKS, OFFSETS, RESIDUALS
from .calculate_array_timing import KIND as TIMING
from .calculate_crosstalk import KIND as CROSSTALK
from .calculate_crosstalk import PAIRS_GROUP
from .calculate_drs4_corrections import KIND as DRS4
from .calculate_drs4_corrections import LAW_GROUP, SAMPLING_GROUP
from .calculate_drs4_corrections import PIXELS_GROUP as DRS4_GROUP
from .calculate_drs4_corrections import POINTS_GROUP as DRS4_POINTS
from .calculate_muon_rings import EXAMPLE_GROUP
from .calculate_muon_rings import KIND as RINGS
from .calculate_pedestal import KIND as PEDESTAL
from .calculate_pedestal import PEDESTAL_GROUP
from .calculate_photon_transfer import KIND as TRANSFER
from .calculate_photon_transfer import PIXELS_GROUP, POINTS_GROUP, RATIO_GROUP
from .calculate_psf_muon import KIND as PSF
from .calculate_psf_muon import PROFILE_GROUP, SECTORS_GROUP
from .calculate_psf_stars import KIND as STAR_PSF
from .calculate_psf_stars import PROFILE_GROUP as STAR_PROFILE_GROUP
from .calculate_psf_stars import STARS_GROUP as STAR_WIDTHS_GROUP
from .calculate_throughput_illuminator import FLASHES_GROUP
from .calculate_throughput_illuminator import KIND as ILLUMINATOR
from .calculate_throughput_muon import CORRECTIONS_GROUP, NIGHT_GROUP
from .calculate_throughput_muon import KIND as THROUGHPUT
from .cross_calibration import KIND as CROSS_CALIBRATION
from .cross_calibration import SCALES
from .energy_asymmetry_estimation import KIND as ENERGY
from .fit_pointing_model import KIND as POINTING_MODEL
from .fit_pointing_model import NIGHTS_GROUP, RESIDUALS_GROUP, TERMS_GROUP
from .fit_single_photoelectron import GROUP as SPE_GROUP
from .fit_single_photoelectron import KIND as SPE
from .fit_single_photoelectron import SPECTRA_GROUP
from .image_asymmetry_estimation import KIND as IMAGE
from .import_pde import KIND as PDE
from .inter_calibration import COVARIANCE, FITTED_PAIRS
from .inter_calibration import KIND as INTER_CALIBRATION
from .select_excluded_pixels import HISTORY_GROUP
from .select_excluded_pixels import KIND as EXCLUSION
from .select_excluded_pixels import PIXELS_GROUP as EXCLUSION_GROUP
from .star_tracking import KIND as STAR_TRACKING
from .star_tracking import SPOTS_GROUP, STARS_GROUP

__all__ = [
    "AEROSOL_CONDITIONS",
    "array_tables",
    "camera_coefficients",
    "dedicated_kind",
    "dedicated_tables",
    "hdf5_header",
    "observation_tables",
    "pointing_tables",
    "throughput_tables",
]

_OF_RINGS = ("time", "rejection", "throughput")  # a night has many: no more than is drawn
_OF_FLASHES = ("event_id", "chunk", "throughput")
_DEDICATED = {  # of cameras: tables by a short name
    SPE: {"pixels": SPE_GROUP, "spectra": SPECTRA_GROUP},
    TRANSFER: {"pixels": PIXELS_GROUP, "points": POINTS_GROUP, "ratio": RATIO_GROUP},
    CROSSTALK: {"pairs": PAIRS_GROUP},
    DRS4: {
        "pixels": DRS4_GROUP,
        "law": LAW_GROUP,
        "points": DRS4_POINTS,
        "sampling": SAMPLING_GROUP,
    },
    PEDESTAL: {"pixels": PEDESTAL_GROUP},
    EXCLUSION: {"pixels": EXCLUSION_GROUP, "evidence": HISTORY_GROUP},
}
_OPTIONAL = {(TRANSFER, "ratio"), (DRS4, "points"), (DRS4, "sampling")}
_NAMED = {"camera/excluded_pixels": EXCLUSION, "camera/pde": PDE}  # files, by their kinds


def hdf5_header(path: Path, kind: str) -> dict[str, Any]:
    """Headers of an HDF5 product, checked to be of one kind and complete.

    Raises
    ------
    CorruptedInputError
        If it is no HDF5 product, or of another kind.
    MissingInputError
        If the product says that it is not complete.
    """
    import json

    import tables

    from ..core.exceptions import CorruptedInputError, MissingInputError
    from ..core.products import COMPLETE

    try:
        with tables.open_file(path) as h5file:
            attributes = h5file.root._v_attrs
            header = {n: str(attributes[n]) for n in attributes._f_list() if n.startswith("CTA ")}
            own = json.loads(attributes["calibpipe"])
    except (OSError, tables.HDF5ExtError, KeyError, ValueError) as error:
        raise CorruptedInputError(
            f"{path} is no product of CalibPipe: {type(error).__name__}; make it again"
        ) from error
    if own["kind"] != kind:
        raise CorruptedInputError(f"{path} is a product {own['kind']!r}, needs {kind!r}")
    if own["status"] != COMPLETE:
        raise MissingInputError(f"{path} is not complete: {own['status']}")
    return header | {"calibpipe": own}


def camera_coefficients(path: Path, header: dict[str, Any]) -> tuple[Any, Any]:
    """Table of the coefficients of the product's telescope, and the geometry of its camera."""
    from ctapipe.instrument import SubarrayDescription

    from ..core.monitoring_file import read_camera_coefficients

    tel_id = header["tel_id"]
    table = read_camera_coefficients(path, tel_id)
    return table, SubarrayDescription.from_hdf(path).tel[tel_id].camera.geometry


def dedicated_kind(name: str) -> tuple[str, bool]:
    """Kind of a product by the name of its file, and whether it is of dedicated runs."""
    kind = _NAMED.get(name, name)
    return kind, kind in _DEDICATED or kind == PDE


def dedicated_tables(path: Path, header: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Tables of dedicated runs of a camera by a short name, and its geometry.

    ``pixels``, ``points`` and, of two gains, ``ratio`` of a photon transfer; ``pixels`` and
    ``spectra`` (of the few rows of ``pixels`` that are drawn, by `row`) of single
    photoelectrons; ``pairs`` of cross-talk; ``pixels`` of a pedestal; ``pixels``, ``law`` and, if
    there are, ``points`` and ``sampling`` of DRS4 corrections; ``pixels`` and ``evidence`` of
    excluded pixels.

    Raises
    ------
    CorruptedInputError
        If another one is absent.
    """
    from ctapipe.instrument import SubarrayDescription

    from ..core.monitoring_file import open_hdf5
    from ..core.telescope_file import read_telescope_table
    from ..report.spe_examples import example_rows

    tel_id, what = header["tel_id"], header["kind"]
    groups = _DEDICATED[what]
    with open_hdf5(path, what) as h5file:
        there = {n: g for n, g in groups.items() if (what, n) not in _OPTIONAL or g in h5file}
    tables = {
        name: read_telescope_table(path, group, tel_id, what) for name, group in there.items()
    }
    if what == SPE:
        rows = sorted(set(example_rows(tables["pixels"]).values()))
        tables["spectra"] = tables["spectra"][rows]
        tables["spectra"]["row"] = rows
    return tables, SubarrayDescription.from_hdf(path).tel[tel_id].camera.geometry


def throughput_tables(path: Path, header: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Tables of a product of a throughput by a short name, and the geometry of its camera.

    ``rings`` and ``example``; ``chunks``, ``night`` and ``corrections``; ``psf``, ``profile``
    and ``sectors``; or ``chunks`` and ``flashes`` of an illuminator. Without example and sectors
    where the product has none.

    Raises
    ------
    CorruptedInputError
        If another table is absent.
    """
    from ctapipe.instrument import SubarrayDescription

    from ..core.ctapipe_groups import (
        DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP,
        DL1_TEL_MUON_GROUP,
        DL1_TEL_MUON_THROUGHPUT_GROUP,
        DL1_TEL_OPTICAL_PSF_GROUP,
    )
    from ..core.monitoring_file import open_hdf5
    from ..core.telescope_file import read_telescope_table

    tel_id, what = header["tel_id"], header["kind"]
    groups = {
        RINGS: {"rings": DL1_TEL_MUON_GROUP, "example": EXAMPLE_GROUP},
        THROUGHPUT: {
            "chunks": DL1_TEL_MUON_THROUGHPUT_GROUP,
            "night": NIGHT_GROUP,
            "corrections": CORRECTIONS_GROUP,
        },
        PSF: {
            "psf": DL1_TEL_OPTICAL_PSF_GROUP,
            "profile": PROFILE_GROUP,
            "sectors": SECTORS_GROUP,
        },
        ILLUMINATOR: {
            "chunks": DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP,
            "flashes": FLASHES_GROUP,
        },
    }[what]
    few = {DL1_TEL_MUON_GROUP: _OF_RINGS, FLASHES_GROUP: _OF_FLASHES}
    with open_hdf5(path, what) as h5file:
        optional = [EXAMPLE_GROUP, SECTORS_GROUP]
        left_out = [group for group in optional if group not in h5file]
    tables = {
        name: read_telescope_table(path, group, tel_id, what, few.get(group))
        for name, group in groups.items()
        if group not in left_out
    }
    return tables, SubarrayDescription.from_hdf(path).tel[tel_id].camera.geometry


def pointing_tables(path: Path, header: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Tables of a product of stars by a short name, and the geometry of the camera.

    ``pointing``, ``stars`` and ``spots`` of star tracking; ``psf``, ``profile`` and ``stars`` of a
    point spread function; ``terms``, ``residuals`` and ``nights`` of a pointing model.

    Raises
    ------
    CorruptedInputError
        If one is absent.
    """
    from ctapipe.instrument import SubarrayDescription

    from ..core.ctapipe_groups import DL1_TEL_OPTICAL_PSF_GROUP, DL1_TEL_STAR_TRACKING_GROUP
    from ..core.telescope_file import read_telescope_table

    tel_id, what = header["tel_id"], header["kind"]
    groups = {
        STAR_TRACKING: {
            "pointing": DL1_TEL_STAR_TRACKING_GROUP,
            "stars": STARS_GROUP,
            "spots": SPOTS_GROUP,
        },
        STAR_PSF: {
            "psf": DL1_TEL_OPTICAL_PSF_GROUP,
            "profile": STAR_PROFILE_GROUP,
            "stars": STAR_WIDTHS_GROUP,
        },
        POINTING_MODEL: {
            "terms": TERMS_GROUP,
            "residuals": RESIDUALS_GROUP,
            "nights": NIGHTS_GROUP,
        },
    }[what]
    tables = {
        name: read_telescope_table(path, group, tel_id, what) for name, group in groups.items()
    }
    return tables, SubarrayDescription.from_hdf(path).tel[tel_id].camera.geometry


def observation_tables(path: Path) -> dict[str, Any]:
    """Slices, good-time intervals and median profiles of aerosols and clouds."""
    from ..core.observation_conditions_file import read_observation_conditions

    return read_observation_conditions(path)[1]


def array_tables(path: Path, kind: str) -> dict[str, Any]:
    """Tables of a product of the array by a short name.

    ``layout`` (``tel_id``, ``name``, ``tel_type``) of every one; ``pairs`` of asymmetries;
    ``telescopes``, ``pairs`` and ``covariance`` of an inter-calibration; ``telescopes`` and
    ``scales`` of a cross-calibration; ``telescopes``, ``blocks`` and ``residuals`` of a timing.

    Raises
    ------
    CorruptedInputError
        If one is absent.
    """
    from astropy.table import Table

    from ..array.dl2_layout import read_layout
    from ..core.exceptions import CorruptedInputError
    from ..core.hdf5_tables import read_hdf5_table
    from ..core.monitoring_file import open_hdf5

    nodes = {
        ENERGY: {"pairs": PAIRS_TABLE},
        IMAGE: {"pairs": PAIRS_TABLE},
        INTER_CALIBRATION: {
            "telescopes": DL2_SUBARRAY_INTER_CALIBRATION_GROUP,
            "pairs": FITTED_PAIRS,
            "covariance": COVARIANCE,
        },
        CROSS_CALIBRATION: {
            "telescopes": DL2_SUBARRAY_CROSS_CALIBRATION_GROUP,
            "scales": SCALES,
        },
        TIMING: {"telescopes": OFFSETS, "blocks": BLOCKS, "residuals": RESIDUALS},
    }[kind]
    with open_hdf5(path, kind) as h5file:
        layout = read_layout(h5file)
        missing = [node for node in nodes.values() if node not in h5file]
        if missing:
            raise CorruptedInputError(f"{path} lacks {', '.join(missing)}; make it again")
        tables = {name: read_hdf5_table(h5file, node) for name, node in nodes.items()}
    columns = {"tel_id": layout.tel_ids, "name": layout.names, "tel_type": layout.tel_types}
    return {"layout": Table(columns), **tables}

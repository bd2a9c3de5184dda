"""What calibpipe-verify reads of a product of each kind, and the metrics that it gives."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.ctapipe_groups import (
    DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP,
    DL1_TEL_MUON_THROUGHPUT_GROUP,
    DL1_TEL_OPTICAL_PSF_GROUP,
    DL1_TEL_STAR_TRACKING_GROUP,
    DL2_SUBARRAY_CROSS_CALIBRATION_GROUP,
    DL2_SUBARRAY_INTER_CALIBRATION_GROUP,
)
from ..core.exceptions import ConfigurationError
from .calculate_array_timing import KIND as TIMING
from .calculate_array_timing import OFFSETS, RESIDUALS
from .calculate_crosstalk import KIND as CROSSTALK
from .calculate_crosstalk import PAIRS_GROUP
from .calculate_drs4_corrections import KIND as DRS4
from .calculate_drs4_corrections import LAW_GROUP, SAMPLING_GROUP
from .calculate_drs4_corrections import PIXELS_GROUP as DRS4_GROUP
from .calculate_drs4_corrections import POINTS_GROUP as DRS4_POINTS
from .calculate_pedestal import KIND as PEDESTAL
from .calculate_pedestal import PEDESTAL_GROUP
from .calculate_photon_transfer import KIND as TRANSFER
from .calculate_photon_transfer import PIXELS_GROUP, POINTS_GROUP, RATIO_GROUP
from .cross_calibration import KIND as CROSS_CALIBRATION
from .cross_calibration import SCALES
from .fit_pointing_model import KIND as POINTING_MODEL
from .fit_pointing_model import TERMS_GROUP
from .fit_single_photoelectron import GROUP as SPE_GROUP
from .fit_single_photoelectron import KIND as SPE
from .import_pde import KIND as PDE
from .inter_calibration import COVARIANCE, FITTED_PAIRS
from .inter_calibration import KIND as INTER_CALIBRATION
from .select_excluded_pixels import HISTORY_GROUP
from .select_excluded_pixels import KIND as EXCLUSION
from .select_excluded_pixels import PIXELS_GROUP as EXCLUSION_GROUP
from .verified_camera import CAMERA, camera_metrics

__all__ = ["array_tables", "known_metrics", "product_metrics", "telescope_tables"]

TABLES = {  # of a product of a telescope, by the names that its metrics know
    "throughput/muon_throughput": {
        "chunks": DL1_TEL_MUON_THROUGHPUT_GROUP,
        "night": "/calibpipe/throughput/muon_night",
    },
    "throughput/muon_psf": {
        "night": DL1_TEL_OPTICAL_PSF_GROUP,
        "profile": "/calibpipe/throughput/muon_psf_profile",
        "sectors": "/calibpipe/throughput/mirror_sectors",
    },
    "throughput/illuminator_throughput": {
        "chunks": DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP,
    },
    POINTING_MODEL: {"terms": TERMS_GROUP},
    SPE: {"pixels": SPE_GROUP},
}
STARS = {  # the table of a product that stars gave
    "pointing/star_tracking": DL1_TEL_STAR_TRACKING_GROUP,
    "pointing/star_psf": DL1_TEL_OPTICAL_PSF_GROUP,
}
DEDICATED = {TRANSFER, CROSSTALK, EXCLUSION, PDE}  # of the camera
TABLES |= {
    TRANSFER: {"pixels": PIXELS_GROUP, "points": POINTS_GROUP, "ratio": RATIO_GROUP},
    CROSSTALK: {"pairs": PAIRS_GROUP},
    PEDESTAL: {"pixels": PEDESTAL_GROUP},
    EXCLUSION: {"pixels": EXCLUSION_GROUP, "nights": HISTORY_GROUP},
    DRS4: {
        "pixels": DRS4_GROUP,
        "law": LAW_GROUP,
        "points": DRS4_POINTS,
        "sampling": SAMPLING_GROUP,
    },
}
ARRAY_TABLES = {
    INTER_CALIBRATION: {
        "telescopes": DL2_SUBARRAY_INTER_CALIBRATION_GROUP,
        "pairs": FITTED_PAIRS,
        "covariance": COVARIANCE,
    },
    CROSS_CALIBRATION: {
        "telescopes": DL2_SUBARRAY_CROSS_CALIBRATION_GROUP,
        "types": SCALES,
    },
    TIMING: {"telescopes": OFFSETS, "distances": RESIDUALS},
}


def known_metrics() -> dict[str, set[str]]:
    """Names of the metrics of each kind and mode, as `criteria_of` wants them."""
    from ..verification import (
        aerosol,
        array,
        atmosphere,
        camera,
        dedicated_agreement,
        dedicated_camera,
        drs4,
        pedestal,
        pointing,
        single_photoelectron,
        stars,
        throughput,
    )

    metrics = {
        f"{CAMERA} internal": camera.INTERNAL,
        f"{CAMERA} external": camera.EXTERNAL,
        f"{CAMERA} dedicated": dedicated_agreement.DEDICATED,
    }
    for domain in (
        aerosol,
        array,
        atmosphere,
        dedicated_camera,
        drs4,
        pedestal,
        pointing,
        single_photoelectron,
        stars,
        throughput,
    ):
        metrics |= {f"{name} internal": known for name, known in domain.INTERNAL.items()}
        metrics |= {f"{name} external": known for name, known in domain.EXTERNAL.items()}
    return metrics


def product_metrics(
    path: Path,
    header: Any,
    data: Sequence[Path],
    references: Mapping[str, Path],
    site: Any,
    dedicated: Mapping[str, Path] | None = None,
) -> tuple[dict, dict, dict]:
    """Internal metrics of a product, external ones by period, and names of elements.

    Parameters
    ----------
    path : Path
    header : ProductHeader
    data : sequence of Path
        What the product was made from.
    references : mapping of str to Path
        Certified product of each period.
    site : Site
    dedicated : mapping of str to Path, optional
        Certified calibrations by dedicated runs, by kind, for camera coefficients.

    Raises
    ------
    ConfigurationError
        If no way is known to verify the kind, or data that it needs are not given.
    InsufficientStatisticsError
        If the data lack what the product is verified with.
    CorruptedInputError
        If a table is absent.
    """
    from ..verification import aerosol

    kind = header.kind
    if kind == POINTING_MODEL or kind in ARRAY_TABLES:
        named = _pointing if kind == POINTING_MODEL else _array
        return named(path, header, references)
    if kind == CAMERA:
        found = camera_metrics(path, header, data, references, dedicated or {})
    elif kind in STARS:
        found = _stars(path, header, references)
    elif kind == SPE:
        found = _single_photoelectron(path, header, references)
    elif kind == DRS4:
        found = _drs4(path, header, references)
    elif kind == PEDESTAL:
        found = _pedestal(path, header, references)
    elif kind in DEDICATED:
        found = _dedicated(path, header, references)
    elif kind in TABLES:
        found = _throughput(path, header, data, references)
    elif kind in aerosol.INTERNAL:
        found = _aerosol(path, header)
    else:
        found = _atmosphere(path, header, references, site)
    return *found, {}


def _drs4(path: Path, header: Any, references: Mapping[str, Path]) -> tuple[dict, dict]:
    """Metrics of DRS4 corrections."""
    from ..verification.drs4 import external_metrics, internal_metrics

    tables = telescope_tables(path, header)
    external = {
        period: external_metrics(tables, telescope_tables(certified, header))
        for period, certified in references.items()
    }
    return internal_metrics(tables), external


def _dedicated(path: Path, header: Any, references: Mapping[str, Path]) -> tuple[dict, dict]:
    """Metrics of a calibration of the camera by dedicated runs."""
    from ..core.products import read_table
    from ..verification.dedicated_camera import external_metrics, internal_metrics

    def tables(of: Path) -> dict[str, Any]:
        if header.kind == PDE:
            return {"table": read_table(of, PDE)}
        return telescope_tables(of, header)

    own = tables(path)
    external = {
        period: external_metrics(header.kind, own, tables(certified))
        for period, certified in references.items()
    }
    return internal_metrics(header.kind, own), external


def _pedestal(path: Path, header: Any, references: Mapping[str, Path]) -> tuple[dict, dict]:
    """Metrics of a pedestal."""
    from ..verification.pedestal import external_metrics, internal_metrics

    kind, tables = header.kind, telescope_tables(path, header)
    external = {
        period: external_metrics(kind, tables, telescope_tables(certified, header))
        for period, certified in references.items()
    }
    return internal_metrics(kind, tables), external


def _throughput(
    path: Path, header: Any, data: Sequence[Path], references: Mapping[str, Path]
) -> tuple[dict, dict]:
    """Metrics of a throughput or point spread function."""
    from ..core.muon_file import read_muon_tables
    from ..throughput.muon_ring_table import RING_COLUMNS, rings_of_table
    from ..verification.throughput import external_metrics, internal_metrics

    tables = telescope_tables(path, header)
    rings = None
    if data:
        read = read_muon_tables(data, header.own["tel_id"], RING_COLUMNS)
        rings = rings_of_table([entry.table for entry in read])
    external = {
        period: external_metrics(header.kind, tables, telescope_tables(certified, header))
        for period, certified in references.items()
    }
    return internal_metrics(header.kind, tables, header.own, rings), external


def telescope_tables(path: Path, header: Any) -> dict[str, Any]:
    """Tables of a product, those that there are."""
    from ..core.telescope_file import read_telescope_table, telescope_groups

    there = telescope_groups(path)
    return {
        name: read_telescope_table(path, group, header.own["tel_id"], header.kind)
        for name, group in TABLES[header.kind].items()
        if group in there
    }


def _pointing(path: Path, header: Any, references: Mapping[str, Path]) -> tuple[dict, dict, dict]:
    """Metrics of a pointing model."""
    from ..core.product_header import read_product_header
    from ..verification.pointing import element_names, external_metrics, internal_metrics

    kind, tables, own = header.kind, telescope_tables(path, header), header.own
    external = {
        period: external_metrics(
            kind,
            tables,
            own,
            telescope_tables(certified, header),
            read_product_header(certified).own,
        )
        for period, certified in references.items()
    }
    return internal_metrics(kind, tables, own), external, element_names(kind, tables, own)


def _stars(path: Path, header: Any, references: Mapping[str, Path]) -> tuple[dict, dict]:
    """Metrics of star tracking or of the point spread function of stars."""
    from ..core.product_header import read_product_header
    from ..core.telescope_file import read_telescope_table
    from ..verification.stars import external_metrics, internal_metrics

    kind, tel_id = header.kind, header.own["tel_id"]
    table = read_telescope_table(path, STARS[kind], tel_id, kind)
    external = {
        period: external_metrics(
            kind,
            table,
            header.own,
            read_telescope_table(certified, STARS[kind], tel_id, kind),
            read_product_header(certified).own,
        )
        for period, certified in references.items()
    }
    return internal_metrics(kind, table, header.own), external


def _single_photoelectron(
    path: Path, header: Any, references: Mapping[str, Path]
) -> tuple[dict, dict]:
    """Metrics of single photoelectrons."""
    from ..verification.single_photoelectron import external_metrics, internal_metrics

    kind, tables = header.kind, telescope_tables(path, header)
    external = {
        period: external_metrics(kind, tables, telescope_tables(certified, header))
        for period, certified in references.items()
    }
    return internal_metrics(kind, tables, header.own), external


def _array(path: Path, header: Any, references: Mapping[str, Path]) -> tuple[dict, dict, dict]:
    """Metrics of a calibration of the array."""
    from ..verification.array import element_names, external_metrics, internal_metrics

    kind = header.kind
    own, tables = array_tables(path, kind)
    external = {}
    for period, certified in references.items():
        then_header, then = array_tables(certified, kind)
        external[period] = external_metrics(kind, tables, own, then, then_header)
    return internal_metrics(kind, tables, own), external, element_names(kind, tables, own)


def array_tables(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and tables of a calibration of the array."""
    from ..core.array_file import read_array_product

    nodes = ARRAY_TABLES[kind]
    header, tables = read_array_product(path, kind, nodes.values())
    return header, {name: tables[node] for name, node in nodes.items()}


def _aerosol(path: Path, header: Any) -> tuple[dict, dict]:
    """Metrics of aerosols and clouds; the weather of other nights is none."""
    from ..core.observation_conditions_file import read_observation_conditions
    from ..core.products import read_table
    from ..verification.aerosol import CONDITIONS, conditions_metrics, internal_metrics

    if header.kind == CONDITIONS:
        own, tables = read_observation_conditions(path)
        return conditions_metrics(tables, own), {}
    return internal_metrics(header.kind, read_table(path, header.kind)), {}


def _atmosphere(
    path: Path, header: Any, references: Mapping[str, Path], site: Any
) -> tuple[dict, dict]:
    """Metrics of a product of the atmosphere."""
    from ..core.products import read_table
    from ..verification.atmosphere import INTERNAL, external_metrics, internal_metrics

    if header.kind not in INTERNAL:
        raise ConfigurationError(f"{path}: no way is known to verify {header.kind}")
    table = read_table(path, header.kind)
    external = {
        period: external_metrics(header.kind, table, read_table(certified, header.kind))
        for period, certified in references.items()
    }
    return internal_metrics(header.kind, table, site.latitude), external

"""Muon rings of a night made by hand: throughput, width of the optics and reasons are known."""

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table
from astropy.time import Time
from ctapipe.coordinates import TelescopeFrame
from ctapipe.io.hdf5dataformat import (
    DL1_TEL_MUON_GROUP,
    DL1_TEL_MUON_THROUGHPUT_GROUP,
    DL1_TEL_OPTICAL_PSF_GROUP,
)

from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import write_telescope_tables
from calibpipe.tools.calculate_muon_rings import EXAMPLE_GROUP
from calibpipe.tools.calculate_psf_muon import PROFILE_GROUP, SECTORS_GROUP
from calibpipe.tools.calculate_throughput_muon import CORRECTIONS_GROUP, NIGHT_GROUP

START = 1720652400.0 + 37  # 2024-07-10T23:00:00 UTC
THROUGHPUT, STAT, CTAPIPE = 0.2, 0.0004, 0.185
FACTORS, ERRORS = (1.02, 0.99, 1.1), (0.015, 0.02, 0.01)
APPLIED = ("mean", "mean", "off")
SIGMA, SIGMA_STAT, SIGMA_SYS, LIMIT = 0.03, 0.0003, 0.0012, 0.021
N_IMAGES, N_RINGS = 800, 400
REJECTED = {"good": N_RINGS, "completeness": 380, "impact": 150, "chi2": 0, "few_pixels": 7}
CUTS = {
    **{"picture": 10.0, "boundary": 5.0, "min_pixels": 50, "min_light": 500.0},
    **{"radius": [0.8, 1.4], "impact": [0.1, 0.9], "width": [0.0, 0.12]},
    **{"min_containment": 0.9, "min_completeness": 0.5, "completeness_threshold": 30.0},
    **{"min_intensity_ratio": 0.8, "max_reduced_chi2": 2.0, "max_saturated": 0.02},
    "max_unusable": 0.2,
}
BAND = [300.0, 600.0]


def _time(seconds):
    return Time(np.asarray(seconds, float), format="unix_tai", scale="tai")


def example(subarray, tel_id):
    """A ring of 1.1 deg and 20 p.e. a pixel, expected without its noise; two pixels not used."""
    geometry = subarray.tel[tel_id].camera.geometry.transform_to(TelescopeFrame())
    x, y, radius, width = 0.3, -0.2, 1.1, 0.05
    distance = np.hypot(geometry.pix_x.to_value(u.deg) - x, geometry.pix_y.to_value(u.deg) - y)
    expected = 20 * np.exp(-0.5 * ((distance - radius) / 0.06) ** 2)
    image = np.random.default_rng(tel_id).poisson(expected + 1) - 1.0
    is_used = np.ones(len(image), bool)
    is_used[[3, 700]] = False
    values = {"x": x, "y": y, "radius": radius, "width": width, "impact_x": 3.0, "impact_y": 4.0}
    table = Table({name: [value] for name, value in values.items()})
    table["throughput"], table["event_id"] = [0.203], [77]
    arrays = {"image": image, "expected": expected, "is_used": is_used}
    for name, array in arrays.items():
        table[name] = array[np.newaxis]
    return table


def rings(n_images=N_IMAGES, n_rings=N_RINGS):
    """Rings over an hour, the first of them good."""
    rng = np.random.default_rng(1)
    rejection = np.full(n_images, 32, np.uint16)
    rejection[:n_rings] = 0
    return QTable(
        {
            "obs_id": np.ones(n_images, int),
            "event_id": np.arange(n_images),
            "tel_id": np.ones(n_images, np.int16),
            "time": _time(START + np.linspace(0, 3600, n_images)),
            "rejection": rejection,
            "throughput": rng.normal(THROUGHPUT / 1.0098, 0.008, n_images),
        }
    )


def throughputs(value, sys, n_chunks, n_rings=N_RINGS):
    """Rows of chunks, or the one of the night."""
    edges = START + np.linspace(0, 3600, n_chunks + 1)
    return Table(
        {
            "method": ["Muon Rings"] * n_chunks,
            "time_start": _time(edges[:-1]),
            "time_end": _time(edges[1:]),
            "n_events": [n_rings // n_chunks] * n_chunks,
            "mean": value + 0.001 * np.linspace(-1, 1, n_chunks) * (n_chunks > 1),
            "sem": np.full(n_chunks, STAT * np.sqrt(n_chunks)),
            "sys_error": np.full(n_chunks, sys),
            "ctapipe_mean": np.full(n_chunks, CTAPIPE),
            "ctapipe_sem": np.full(n_chunks, STAT),
            "is_valid": np.ones(n_chunks, bool),
        }
    )


def profile():
    """Ten bins, one without rings, the optics and scattering of the same size."""
    edges = np.linspace(0.8, 1.2, 11)
    middle = (edges[1:] + edges[:-1]) / 2
    parts = {"chromatic": 1e-4, "drift": 2e-4, "bending": 2e-4 * (1.25 - middle)}
    parts["scattering"] = 2e-3 * (1.25 - middle)
    total = sum(parts.values()) + SIGMA**2
    columns = {"radius": middle, "squared_width": total, "squared_width_error": 0.05 * total}
    table = QTable({"radius_low": edges[:-1] * u.deg, "radius_high": edges[1:] * u.deg})
    table["n_rings"] = [0, *[40] * 9]
    for name, values in (columns | parts).items():
        unit = u.deg if name == "radius" else u.deg**2
        table[name] = np.where(table["n_rings"] > 0, values, np.nan) * unit
    return table


def psf(is_limit):
    """One row."""
    numbers = {"width": SIGMA, "stat_error": SIGMA_STAT, "sys_error": SIGMA_SYS}
    numbers |= {"theta80": 1.794 * SIGMA, "theta80_stat_error": 1.794 * SIGMA_STAT}
    numbers |= {"theta80_sys_error": 1.794 * SIGMA_SYS}
    table = QTable({name: [np.nan if is_limit else x] * u.deg for name, x in numbers.items()})
    table["upper_limit"] = [LIMIT] * u.deg
    table["variance"] = [-1e-5 if is_limit else SIGMA**2] * u.deg**2
    table["is_valid"] = [not is_limit]
    return table


def sectors(misaligned):
    """Twelve of 30 deg; misaligned ones are off by 0.01 deg."""
    is_significant = np.isin(np.arange(12), misaligned)
    return QTable(
        {
            "azimuth_low": np.arange(12) * 30.0 * u.deg,
            "azimuth_high": np.arange(1, 13) * 30.0 * u.deg,
            "shift": np.where(is_significant, 0.01, 0.0) * u.deg,
            "shift_error": np.full(12, 0.001) * u.deg,
            "is_significant": is_significant,
        }
    )


def add_rings(night, tel_id=1, *, block="OBSID1", is_empty=False, **more):
    """Muon rings of one block; without any event: no rows and no example."""
    subarray, name = telescope_subarray(tel_id), f"LSTN-{tel_id:02d}"
    n_images, n_rings = (0, 0) if is_empty else (N_IMAGES, N_RINGS)
    tables = {DL1_TEL_MUON_GROUP: rings(n_images, n_rings)}
    if not is_empty:
        tables[EXAMPLE_GROUP] = example(subarray, tel_id)
    details = {"tel_id": tel_id, "array_element": name, "obs_id": 1, "focal_length": "effective"}
    details |= {"mirror_radius_in_m": 11.1, "band_in_nm": BAND, "cuts": CUTS, "remarks": []}
    details |= {"n_images": n_images, "n_rings": n_rings}
    details |= {"rejected": dict.fromkeys(REJECTED, 0) if is_empty else REJECTED}
    metadata = night.metadata("throughput/muon_rings", **details | more)
    path = night.folder / f"{name}/throughput/muon_rings.{block}.h5"
    write_telescope_tables(path, subarray, tel_id, tables, metadata)


def add_throughput(night, tel_id=1, value=THROUGHPUT, sys=0.005, n_rings=N_RINGS, **more):
    """Throughput of two chunks."""
    subarray, name = telescope_subarray(tel_id), f"LSTN-{tel_id:02d}"
    corrections = Table(
        {
            "name": ["camera_gain", "mirror_shape", "shadowing"],
            "factor": FACTORS,
            "error": ERRORS,
            "applied": APPLIED,
            "source": ["of the camera", "a hexagon", "masts & cables"],
        }
    )
    tables = {
        DL1_TEL_MUON_THROUGHPUT_GROUP: throughputs(value, sys, 2),
        NIGHT_GROUP: throughputs(value, sys, 1),
        CORRECTIONS_GROUP: corrections,
    }
    details = {"tel_id": tel_id, "array_element": name, "band_in_nm": BAND, "rejected": REJECTED}
    details |= {"n_images": N_IMAGES, "n_rings": n_rings, "throughput": value, "sys_error": sys}
    details |= {"stat_error": STAT, "ctapipe_throughput": CTAPIPE, "remarks": []}
    metadata = night.metadata("throughput/muon_throughput", **details | more)
    path = night.folder / f"{name}/throughput/muon_throughput.h5"
    write_telescope_tables(path, subarray, tel_id, tables, metadata)


def add_psf(night, tel_id=1, *, is_limit=False, misaligned=(), has_sectors=True, **more):
    """Point spread function, measured or a limit, with or without sectors."""
    subarray, name = telescope_subarray(tel_id), f"LSTN-{tel_id:02d}"
    tables = {DL1_TEL_OPTICAL_PSF_GROUP: psf(is_limit), PROFILE_GROUP: profile()}
    if has_sectors:
        tables[SECTORS_GROUP] = sectors(misaligned)
    status = "the rings are no wider than scattering makes them" if is_limit else "measured"
    details = {"tel_id": tel_id, "array_element": name, "psf_status": status, "remarks": []}
    details |= {"misaligned_sectors": list(misaligned), "n_rings": N_RINGS}
    metadata = night.metadata("throughput/muon_psf", **details | more)
    path = night.folder / f"{name}/throughput/muon_psf.h5"
    write_telescope_tables(path, subarray, tel_id, tables, metadata)


def add_muons(night, telescopes=(1,)):
    """All products of some telescopes."""
    for tel_id in telescopes:
        add_rings(night, tel_id)
        add_throughput(night, tel_id)
        add_psf(night, tel_id)
    return night

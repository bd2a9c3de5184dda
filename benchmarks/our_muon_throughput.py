"""Worker of muon_throughput.py in our environment; each task prints a line of JSON."""

import importlib
import json
import sys
import time
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import Table
from astropy.time import Time
from ctapipe.core import Provenance
from ctapipe.io import read_table, write_table
from ctapipe.io.hdf5dataformat import (
    DL1_SUBARRAY_TRIGGER_TABLE,
    DL1_TEL_MUON_GROUP,
    DL1_TEL_MUON_THROUGHPUT_GROUP,
    DL1_TEL_TRIGGER_TABLE,
)

from calibpipe.atmosphere.rayleigh import rayleigh_cross_section
from calibpipe.core import products
from calibpipe.core.product_header import read_product_header
from calibpipe.core.telescope import telescope_subarray
from calibpipe.simulation.muon_photons import CO2, REFERENCE
from calibpipe.tools.create_molecular_atmospheric_model import EXTINCTION_KIND

TOOLS = {
    "muon_rings": "CalculateMuonRings",
    "throughput_muon": "CalculateThroughputMuon",
    "psf_muon": "CalculatePsfMuon",
}
TURNS = 3  # the first ones import and warm up
RATE = 10.0  # rings per second of a made night
THROUGHPUT = 0.15
ALTITUDE_IN_KM = 2.158  # of the telescopes; only heights above it count here


def main() -> None:
    task, *arguments = sys.argv[1:]
    print(json.dumps(globals()[task](*arguments)))


def tool(name: str, *options: str) -> dict:
    """CPU seconds of a Tool from its options to its product, without start-up."""
    module = importlib.import_module(f"calibpipe.tools.calculate_{name}")
    found = []
    for _ in range(TURNS):
        run = getattr(module, TOOLS[name])()
        run.initialize([*options, "--overwrite", "--quiet"])
        Provenance().start_activity(run.name)  # lists all packages that are installed
        begin = time.process_time()
        run.setup()
        run.start()
        run.finish()
        found.append(time.process_time() - begin)
        Provenance().finish_activity(run.name)
    return {"cpu": found[-1]}


def air(truth: str, output: str) -> dict:
    """Product of the extinction that muons were simulated with."""
    header = products.read_table(truth, "simulation/muon_truth").meta["calibpipe"]
    wavelength = np.arange(250, 701) * u.nm
    section = rayleigh_cross_section(wavelength, CO2) / rayleigh_cross_section(
        REFERENCE * u.nm, CO2
    )
    height = np.array([0.2, 0.4, 0.6])  # km above the telescope
    depth = 1000 * header["extinction_per_m"] * section.to_value("")[:, None] * height
    metadata = products.ProductMetadata(
        EXTINCTION_KIND,
        "Extinction of the simulated air",
        category="C",
        details={
            "altitude_in_km": (ALTITUDE_IN_KM + height).tolist(),
            "observation_altitude_in_km": ALTITUDE_IN_KM,
        },
    )
    table = Table({"wavelength": wavelength, "optical_depth": depth})
    return {"path": str(products.write_table(output, table, metadata))}


def make_rings(folder: str, number: str) -> dict:
    """Rings of a night, once in ctapipe's muon table and once in ours, with errors."""
    n, rng = int(number), np.random.default_rng(1)
    radius = rng.uniform(0.9, 1.25, n)
    error = 0.003 * np.ones(n)
    events = {"obs_id": np.ones(n, np.int64), "event_id": np.arange(1, n + 1)}
    place = rng.uniform(-0.5, 0.5, (2, n))
    impact, direction = rng.uniform(1.5, 9.5, n), rng.uniform(0, 2 * np.pi, n)
    efficiency = THROUGHPUT * rng.normal(1, 0.04, n)
    width = np.hypot(0.04, 0.02 / radius) + error * rng.normal(size=n)
    values = {
        "muonring_center_fov_lon": place[0],
        "muonring_center_fov_lat": place[1],
        "muonring_radius": radius,
        "muonring_center_fov_lon_err": error,
        "muonring_center_fov_lat_err": error,
        "muonring_radius_err": error,
        "muonring_center_phi": np.rad2deg(np.arctan2(*place[::-1])),
        "muonring_center_distance": np.hypot(*place),
        "muonparameters_containment": np.ones(n),
        "muonparameters_completeness": np.ones(n),
        "muonparameters_intensity_ratio": np.ones(n, np.float32),
        "muonparameters_mean_squared_error": width**2,
        "muonparameters_ring_intensity": np.full(n, 2000, np.float32),
        "muonparameters_intensity_outside_ring": np.full(n, 10, np.float32),
        "muonparameters_n_pixels_in_ring": np.full(n, 150),
        "muonparameters_mean_intensity_outside_ring": np.full(n, 1, np.float32),
        "muonparameters_radial_std_dev": width,
        "muonparameters_skewness": np.zeros(n),
        "muonparameters_excess_kurtosis": np.zeros(n),
        "muonefficiency_width": width,
        "muonefficiency_impact": impact,
        "muonefficiency_impact_x": impact * np.cos(direction),
        "muonefficiency_impact_y": impact * np.sin(direction),
        "muonefficiency_optical_efficiency": efficiency,
        "muonefficiency_is_valid": np.ones(n, bool),
        "muonefficiency_parameters_at_limit": np.zeros(n, bool),
        "muonefficiency_likelihood_value": np.full(n, 500.0),
    }
    seconds = Time("2024-07-10T22:00:00", scale="tai").unix_tai + np.arange(n) / RATE
    times = {"time": Time(seconds, format="unix_tai", scale="tai")}
    tel_id = {"tel_id": np.ones(n, np.int16)}
    own = {
        "rejection": np.zeros(n, np.uint16),
        "throughput": efficiency,
        "throughput_stat_error": np.full(n, 0.04 * THROUGHPUT),
        "photons": np.full(n, 2000 / THROUGHPUT),
        "transmission": np.ones(n),
        "width_stat_error": error,
    }
    tables = {
        DL1_SUBARRAY_TRIGGER_TABLE: events | times | {"event_type": np.ones(n, np.int64)},
        DL1_TEL_TRIGGER_TABLE: events | tel_id | times,
        f"{DL1_TEL_MUON_GROUP}/tel_001": events | tel_id | values,
    }
    _write(Path(folder) / "ctapipe.h5", tables)
    _write(
        Path(folder) / "ours.h5",
        {f"{DL1_TEL_MUON_GROUP}/tel_001": events | tel_id | times | values | own},
    )
    return {"n_rings": n}


def _write(path: Path, tables: dict) -> None:
    telescope_subarray(1).to_hdf(path, overwrite=True)
    for node, columns in tables.items():
        write_table(Table(columns), path, node)


def found(ours: str, theirs: str, truth: str) -> dict:
    """Throughput that each side finds, and the true one; ours also without its corrections."""
    table = read_table(theirs, f"{DL1_TEL_MUON_THROUGHPUT_GROUP}/tel_001")
    n = np.ravel(table["n_events"])
    mean, error = (np.ravel(table[name]) for name in ("mean", "sem"))
    header = read_product_header(Path(ours)).own
    kind = "simulation/muon_truth"
    return {
        "truth": products.read_table(truth, kind).meta["calibpipe"]["optical_throughput"],
        "ours": {
            name: header[name]
            for name in ("throughput", "stat_error", "sys_error", "n_rings", "ctapipe_throughput")
        },
        "theirs": {
            "throughput": float(np.average(mean, weights=n)),
            "stat_error": float(np.sqrt(np.sum((n * error) ** 2)) / n.sum()),
            "n_rings": int(n.sum()),
        },
    }


if __name__ == "__main__":
    main()

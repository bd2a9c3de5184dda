"""Worker of array_calibration.py in our environment; each task prints a line of JSON."""

import importlib
import json
import sys
import time

import numpy as np
import tables
from ctapipe.core import Provenance
from ctapipe.io import read_table, write_table
from ctapipe.io.hdf5dataformat import (
    DL0_TEL_POINTING_GROUP,
    DL1_TEL_POINTING_GROUP,
    DL2_SUBARRAY_CROSS_CALIBRATION_GROUP,
    DL2_SUBARRAY_INTER_CALIBRATION_GROUP,
)

from calibpipe.core.products import read_table as read_product
from calibpipe.tools.asymmetry_tool import PAIRS_TABLE

TOOLS = {
    "energy_asymmetry_estimation": "EnergyAsymmetryEstimation",
    "image_asymmetry_estimation": "ImageAsymmetryEstimation",
    "inter_calibration": "InterCalibration",
    "cross_calibration": "CrossCalibration",
}
TURNS = 4  # the first one imports


def main() -> None:
    task, *arguments = sys.argv[1:]
    print(json.dumps(globals()[task](*arguments)))


def tool(name: str, *options: str) -> dict:
    """CPU seconds of a Tool from its options to its product, without start-up; median."""
    module = importlib.import_module(f"calibpipe.tools.{name}")
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
    return {"cpu": float(np.median(found[1:])), "turns": found}


def for_peer(path: str) -> dict:
    """Pointing where the peer looks for it as well."""
    with tables.open_file(path, "a") as h5file:
        nodes = list(h5file.get_node(DL0_TEL_POINTING_GROUP)._v_children)
        rows = sum(int(t.nrows) for t in h5file.get_node("/dl1/event/telescope/parameters"))
    for node in nodes:
        table = read_table(path, f"{DL0_TEL_POINTING_GROUP}/{node}")
        write_table(table, path, f"{DL1_TEL_POINTING_GROUP}/{node}", overwrite=True)
    return {"telescope_events": rows}


def pairs(path: str) -> dict:
    """Events and mean asymmetry of each pair."""
    table = read_table(path, PAIRS_TABLE)
    return {
        f"{row['tel_id_1']}-{row['tel_id_2']}": [int(row["n_events"]), float(row["asymmetry"])]
        for row in table
        if row["n_events"]
    }


def away(truth: str, path: str, kind: str) -> dict:
    """Root mean square of relative differences to the truth, and of the errors given.

    Of each type by itself for the inter-calibration; of all telescopes together, for their scale
    is known, for the cross-calibration.
    """
    true = read_product(truth, "simulation/dl2_truth")
    if kind == "inter":
        table = read_table(path, DL2_SUBARRAY_INTER_CALIBRATION_GROUP)
    else:
        table = read_table(path, cross_node(path))
    table.sort("tel_id")
    value, error = (np.ravel(table[name]) for name in ("value", "error"))
    place = np.searchsorted(np.asarray(true["tel_id"]), np.ravel(table["tel_id"]))
    kinds = np.asarray(true["tel_type"])[place]
    delta = np.log(value) - np.log(np.asarray(true["throughput"])[place])
    groups = [kinds == one for one in np.unique(kinds)]
    if kind == "cross":
        groups = [np.ones(len(kinds), bool)]
    for own in groups:
        delta[own] -= delta[own].mean()
    n_free = len(delta) - len(groups)
    return {
        "n_tel": len(delta),
        "rms": float(np.sqrt(np.sum(delta**2) / n_free)),
        "error": float(np.sqrt(np.mean((error / value) ** 2))),
    }


def cross_node(path: str) -> str:
    """Where the coefficients are: the peer has them one level lower."""
    with tables.open_file(path) as h5file:
        lower = f"{DL2_SUBARRAY_CROSS_CALIBRATION_GROUP}/coefficients"
        return lower if lower in h5file else DL2_SUBARRAY_CROSS_CALIBRATION_GROUP


if __name__ == "__main__":
    main()

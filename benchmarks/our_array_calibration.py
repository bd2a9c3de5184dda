"""Worker of array_calibration.py in our environment; each task prints a line of JSON."""

import importlib
import json
import sys
import time

import numpy as np
from astropy.table import Table
from ctapipe.core import Provenance
from ctapipe.io import read_table, write_table
from ctapipe.io.hdf5dataformat import (
    DL0_TEL_POINTING_GROUP,
    DL1_TEL_POINTING_GROUP,
    DL2_SUBARRAY_CROSS_CALIBRATION_GROUP,
    DL2_SUBARRAY_INTER_CALIBRATION_GROUP,
)

from calibpipe.core.products import read_table as read_product

TOOLS = {
    "energy_asymmetry_estimation": "EnergyAsymmetryEstimation",
    "image_asymmetry_estimation": "ImageAsymmetryEstimation",
    "inter_calibration": "InterCalibration",
    "cross_calibration": "CrossCalibration",
}
TURNS = 3  # the first ones import and warm up


def main() -> None:
    task, *arguments = sys.argv[1:]
    print(json.dumps(globals()[task](*arguments)))


def tool(name: str, *options: str) -> dict:
    """CPU seconds of a Tool from its options to its product, without start-up."""
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
    return {"cpu": found[-1], "turns": found}


def for_peer(path: str) -> dict:
    """Pointing where the peer looks for it; a file of ctapipe has it there after calibration."""
    import tables

    with tables.open_file(path, "a") as h5file:
        nodes = list(h5file.get_node(DL0_TEL_POINTING_GROUP)._v_children)
    for node in nodes:
        table: Table = read_table(path, f"{DL0_TEL_POINTING_GROUP}/{node}")
        write_table(table, path, f"{DL1_TEL_POINTING_GROUP}/{node}", overwrite=True)
    return {"telescopes": len(nodes)}


def away(truth: str, inter: str, cross: str) -> dict:
    """Root mean square of relative differences to the truth, and of pulls."""
    true = read_product(truth, "simulation/dl2_truth")
    found = {}
    for name, path, node in (
        ("inter", inter, DL2_SUBARRAY_INTER_CALIBRATION_GROUP),
        ("cross", cross, DL2_SUBARRAY_CROSS_CALIBRATION_GROUP),
    ):
        table = read_table(path, node)
        table.sort("tel_id")
        value = np.log(np.ravel(table["value"]))
        error = np.ravel(table["error"]) / np.ravel(table["value"])
        kinds = np.asarray(true["tel_type"])
        x = np.log(np.asarray(true["throughput"]))
        groups = [kinds == kind for kind in np.unique(kinds)]
        if name == "cross":
            groups = [np.ones(len(x), bool)]
        delta = value - x
        for own in groups:
            delta[own] -= delta[own].mean()
        free = np.sqrt(np.mean([1 - 1 / own.sum() for own in groups]))
        found[name] = {
            "rms": float(np.sqrt(np.mean(delta**2)) / free),
            "pull": float(np.sqrt(np.mean((delta / error)[error > 0] ** 2)) / free),
        }
    return found


if __name__ == "__main__":
    main()

"""Worker of array_calibration.py in the peer's environment: one of its Tools, or what it made."""

import importlib
import json
import sys
import time

import numpy as np
from astropy.table import QTable
from ctapipe.core import run_tool

TOOLS = {
    "energy_asymmetry": "CalculateEnergyAsymmetry",
    "image_asymmetry": "CalculateImageAsymmetry",
    "inter_calibration": "CalculateInterCalibration",
    "cross_calibration": "CalculateCrossCalibration",
}


def main() -> None:
    task, *arguments = sys.argv[1:]
    print(json.dumps(globals()[task](*arguments)))


def tool(name: str, *options: str) -> dict:
    """Run a Tool as its program does; CPU seconds from its options to its product."""
    module = importlib.import_module(f"calibpipe.tools.telescope_{name}_calculator")

    class Timed(getattr(module, TOOLS[name])):
        """The Tool, with a watch."""

        def setup(self) -> None:
            self.begin = time.process_time()
            super().setup()

        def finish(self) -> None:
            super().finish()
            self.cpu = time.process_time() - self.begin

    run = Timed()
    run_tool(run, [*options, "--quiet"])
    return {"cpu": run.cpu}


def pairs(path: str, name: str) -> dict:
    """Events and mean asymmetry of each pair."""
    table = QTable.read(path, path=f"/{name}/events", format="hdf5")
    keys = np.asarray(table["tel_id_1"], int) * 1000 + np.asarray(table["tel_id_2"], int)
    values = np.asarray(table[name], float)
    found, place, n = np.unique(keys, return_inverse=True, return_counts=True)
    mean = np.bincount(place, values) / n
    return {
        f"{key // 1000}-{key % 1000}": [int(k), float(a)]
        for key, k, a in zip(found.tolist(), n, mean, strict=True)
    }


if __name__ == "__main__":
    main()

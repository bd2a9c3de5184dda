"""Compile what numba compiles, once at installation: some events of a camera through every step.

Otherwise the first jobs of the first night compile for half a minute each, several at once.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import numpy as np
from ctapipe.core import run_tool

from calibpipe.pointing.pixel_light import PixelShape, pixel_table, star_light
from calibpipe.tools.calculate_camcalib_coefficients import CalculateCamcalibCoefficients
from calibpipe.tools.calculate_muon_rings import CalculateMuonRings
from calibpipe.tools.calculate_pixel_statistics import CalculatePixelStatistics
from calibpipe.tools.energy_asymmetry_estimation import EnergyAsymmetryEstimation
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData
from calibpipe.tools.simulate_dl2_data import SimulateDl2Data

SITE = Path(__file__).parents[1] / "config/sites/CTAO-North.yaml"


def main() -> None:
    """Simulate, calibrate, fit."""
    with TemporaryDirectory() as name:
        folder = Path(name)

        def run(tool: type, *options: str) -> None:
            keys = [f"--site={SITE}", "--night=2024-07-10", "--quiet"]
            log = f"--provenance-log={folder}/provenance.log"
            run_tool(tool(), argv=[*keys, log, *options], cwd=folder, raises=True)

        events = ("--n-flatfield=60", "--n-pedestal=60", "--n-shower=1", "--n-muon=8")
        run(ProduceCamcalibTestData, "--tel-id=1", *events, "--stars", f"--output-folder={folder}")
        files = [f"--input={path}" for path in folder.glob("DL0/LSTN-01/**/*.fits.fz")]
        statistics, coefficients = f"{folder}/statistics.h5", f"{folder}/coefficients.h5"
        run(CalculatePixelStatistics, *files, f"--output={statistics}")
        run(CalculateCamcalibCoefficients, f"--input={statistics}", f"--output={coefficients}")
        options = (f"--coefficients={coefficients}", f"--statistics={statistics}")
        run(CalculateMuonRings, *files, *options, f"--output={folder}/rings.h5")
        table, zero = pixel_table(PixelShape("hexagon", 0.1), 0.05), np.zeros(1)
        star_light(table, zero, zero, zero, zero, 0.04)
        array = ("--n-events=200", "--n-blocks=1", f"--output-folder={folder}")
        run(SimulateDl2Data, *array)
        files = [f"--input={path}" for path in folder.glob("dl2/**/*.dl2.h5")]
        run(EnergyAsymmetryEstimation, *files, f"--output={folder}/asymmetry.h5")


if __name__ == "__main__":
    sys.exit(main())

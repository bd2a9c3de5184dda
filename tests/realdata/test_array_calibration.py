"""Protons on 4 LST and 9 MST (sim_telarray), processed by ctapipe: few events, honest answers."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import subprocess
import sys

import numpy as np
import pytest
from ctapipe.core import run_tool
from ctapipe.io import read_table

from calibpipe.array.dl2_events import check_events, read_events
from calibpipe.core.array_file import read_array_product
from calibpipe.core.exceptions import InsufficientStatisticsError, MissingInputError
from calibpipe.tools.asymmetry_tool import PAIRS_TABLE
from calibpipe.tools.energy_asymmetry_estimation import EnergyAsymmetryEstimation
from calibpipe.tools.image_asymmetry_estimation import ImageAsymmetryEstimation
from calibpipe.tools.inter_calibration import InterCalibration

pytestmark = [pytest.mark.realdata, pytest.mark.slow]

IMPACT = "HillasReconstructor_tel_impact_distance"


@pytest.fixture(scope="module")
def protons(shared_data, tmp_path_factory):
    """DL1 parameters and DL2 geometry of ctapipe-process."""
    folder = tmp_path_factory.mktemp("protons")
    simtel = shared_data / "simtel/proton_run000001_za20deg_north_6.0.2.simtel.zst"
    command = [sys.executable, "-m", "ctapipe.tools.process", "--write-showers", "--quiet"]
    files = ["--input", simtel, "--output", folder / "protons.dl2.h5"]
    subprocess.run([*command, *files], check=True, cwd=folder)
    return folder / "protons.dl2.h5"


def test_telescopes_units_and_numbers_of_events(protons):
    layout = check_events([protons])
    assert list(layout.tel_types) == ["LST"] * 4 + ["MST"] * 9
    (chunk,) = read_events([protons], ["hillas_intensity", IMPACT, "HillasReconstructor_h_max"])
    trigger = read_table(protons, "/dl1/event/subarray/trigger")
    np.testing.assert_array_equal(chunk.event_id, trigger["event_id"])
    np.testing.assert_allclose(chunk.time, trigger["time"].unix_tai, rtol=0, atol=3e-7)
    assert chunk.units[IMPACT] == "m"
    for tel_id in np.unique(layout.tel_ids[chunk.telescope]):
        table = read_table(protons, f"/dl1/event/telescope/parameters/tel_{tel_id:03d}")
        own = layout.tel_ids[chunk.telescope] == tel_id
        np.testing.assert_array_equal(
            chunk.columns["hillas_intensity"][own], table["hillas_intensity"]
        )


def test_images_of_few_events_are_no_calibration(protons, root, tmp_path):
    keys = [f"--site={root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]
    wide = [
        "--AsymmetryTool.equidistance_constant=0.5",
        "--AsymmetryTool.equidistance_slope=0.5",
        *(f"--AsymmetryTool.max_impact_in_m={kind}=1000" for kind in ("LST", "MST")),
    ]
    argv = [*keys, f"--input={protons}", "--output=images.h5", *wide]
    run_tool(ImageAsymmetryEstimation(), argv=argv, cwd=tmp_path, raises=True)
    header, found = read_array_product(
        tmp_path / "images.h5", "array/image_asymmetry", [PAIRS_TABLE]
    )
    assert header["observations"] == [1]
    assert header["n_pair_events"] > 0
    pairs = found[PAIRS_TABLE]
    assert not pairs["is_valid"].any()
    assert np.isnan(pairs["log_ratio_stat_error"][pairs["n_events"] < 2]).all()
    argv = [*keys, "--input=images.h5", "--output=inter.h5"]
    with pytest.raises(InsufficientStatisticsError, match="nothing can be calibrated"):
        run_tool(InterCalibration(), argv=argv, cwd=tmp_path, raises=True)
    argv = [*keys, f"--input={protons}", "--output=energies.h5"]
    with pytest.raises(MissingInputError, match="impact of HillasReconstructor"):
        run_tool(EnergyAsymmetryEstimation(), argv=argv, cwd=tmp_path, raises=True)

"""The Tool that simulates a whole night: its parts, one seed, what the workflow finds."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import json
from datetime import date

import pytest
import yaml
from ctapipe.core import run_tool
from ctapipe.core.tool import ToolConfigurationError

from calibpipe.core.dl0_files import block_files, blocks, index_of_night
from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.products import content_hash, read_table
from calibpipe.simulation.camera import truth_from_table
from calibpipe.tools.simulate_night import SimulateNight

NIGHT = "2024-07-10"
FEW = {
    "ProduceCamcalibTestData": {
        "n_flatfield": 4,
        "n_pedestal": 4,
        "n_shower": 2,
        "n_muon": 2,
        "spread": {"dead": 0.1},
    }
}


@pytest.fixture
def simulate(root, tmp_path):
    def run(*options, folder="night", few=FEW):
        (tmp_path / "few.yaml").write_text(yaml.safe_dump(few))
        argv = [
            f"--site={root}/config/sites/CTAO-North.yaml",
            f"--night={NIGHT}",
            f"--output-folder={folder}",
            "--config=few.yaml",
            *options,
        ]
        assert run_tool(SimulateNight(), argv=argv, cwd=tmp_path, raises=True) == 0
        return tmp_path / folder

    return run


def truths(folder):
    return sorted([*folder.glob("truth/*/*/*.ecsv"), *folder.glob("meteo/*/*/*.ecsv")])


def test_weather_and_telescopes_with_their_truth(simulate):
    folder = simulate("--tel-ids=1", "--tel-ids=3")
    weather = folder / "meteo/CTAO-North" / NIGHT
    assert {p.name for p in weather.iterdir()} == {
        *("B.grib", "B.truth.ecsv", "C.grib", "C.truth.ecsv")
    }
    index = index_of_night(folder, date(2024, 7, 10), ["LSTN-01", "LSTN-02", "LSTN-03"])
    assert blocks(index) == [("LSTN-01", 1), ("LSTN-03", 1)]
    assert len(block_files(index, folder, "LSTN-03", 1)) == 1
    (path,) = folder.glob("truth/LSTN-03/*/*.camera_truth.ecsv")
    truth = truth_from_table(read_table(path, "simulation/camera_truth"))
    assert (truth.status != 0).sum() == 186  # of the configuration: a tenth of 1855
    parts = sorted(p.stem for p in (folder / "provenance" / NIGHT).iterdir())
    assert parts == ["dl0", "meteo_B", "meteo_C"]
    for part in (folder / "provenance" / NIGHT).iterdir():
        activities = json.loads(part.read_text())
        assert activities[-1]["status"] == "completed"


def test_one_seed_for_everything(simulate):
    one, same = (simulate("--seed=4", "--tel-ids=1", folder=name) for name in ("a", "b"))
    other = simulate("--seed=5", "--tel-ids=1", folder="c")
    assert len(truths(one)) == 5  # weather, pixels, showers, muons
    for a, b, c in zip(truths(one), truths(same), truths(other), strict=True):
        assert content_hash(a) == content_hash(b), a
        assert content_hash(a) != content_hash(c), a


def test_nothing_is_overwritten_unless_asked(simulate):
    simulate("--tel-ids=1", "--categories=C")
    with pytest.raises(ToolConfigurationError, match="exists, but overwrite=False"):
        simulate("--tel-ids=1", "--categories=C")
    simulate("--tel-ids=1", "--categories=C", "--overwrite")


def test_a_telescope_named_twice_is_refused(simulate):
    with pytest.raises(ConfigurationError, match="name a telescope twice"):
        simulate("--tel-ids=1", "--tel-ids=1")


def test_shipped_configuration_is_understood(root):
    tool = SimulateNight()
    tool.load_config_file(root / "config/tools/simulate_night.yaml")
    assert tool.tel_ids == [1, 2]
    shipped = yaml.safe_load((root / "config/tools/simulate_night.yaml").read_text())
    known = {cls.__name__: set(cls.class_trait_names(config=True)) for cls in tool.classes}
    for part in ("SimulateMeteoData", "ProduceCamcalibTestData"):
        assert set(shipped[part]) <= known[part]

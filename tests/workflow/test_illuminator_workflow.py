"""Flashes of known light in the workflow: from DL0 to certified ratios of two telescopes."""

import json
import shutil

import astropy.units as u
import numpy as np
import pytest
import yaml
from astropy.table import QTable
from astropy.time import Time
from ctapipe.core import run_tool
from ctapipe.io.hdf5dataformat import DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP
from declared_products import departures
from workflow.test_camera_workflow import night, snakemake, workflow

from calibpipe.archive.lookup import lookup, product_path
from calibpipe.archive.repository import open_archive
from calibpipe.core.night import astronomical_night
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import read_table
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import read_telescope_table
from calibpipe.simulation.camera import truth_from_table
from calibpipe.throughput.relative_throughput import matched_flashes, relative_throughput
from calibpipe.tools.calculate_throughput_illuminator import FLASHES_GROUP
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData

__all__ = ["workflow"]

pytestmark = pytest.mark.slow
KIND = "throughput/illuminator_throughput"
PHOTONS, JITTER = 400.0, 0.01  # on a pixel's share of the mirror; rms from flash to flash
N_PE = {1: 40.0, 2: 36.0}  # of LSTN-01, LSTN-02 from the same flash
CONFIG = {
    "sites": ["CTAO-North"],
    "categories": ["C"],
    "nights": ["2024-07-10"],
    "telescopes": ["LSTN-01", "LSTN-02"],
    "domains": ["atmosphere", "camera", "throughput", "archive", "report"],
    "data_roots": {"dl0": "data", "meteo": "cache/meteo", "co2": "cache/co2"},
    "meteo": {"source": "simulation"},
    "co2": {"online": False},
    "throughput": {
        "illuminator": [
            {"obs_id": 1, "source": "late.ecsv"},
            {"obs_id": 2, "source": "source.ecsv", "coefficients_from": 1},
        ]
    },
}
for run in CONFIG["throughput"]["illuminator"]:
    run |= {"site": "CTAO-North", "night": "2024-07-10", "event_type": "FLATFIELD"}


def simulate(root, folder, tel_ids, obs_id, n_pe, **numbers):
    """An observation, added to the data of the night."""
    own = folder / f"simulated/{obs_id}-{tel_ids[0]}"
    tool = "--ProduceCamcalibTestData"
    options = [f"--tel-id={tel_id}" for tel_id in tel_ids]
    options += [f"--{name.replace('_', '-')}={n}" for name, n in numbers.items()]
    more = {"obs_id": obs_id, "flatfield_n_pe": n_pe, "intensity_jitter": JITTER}
    options += [f"{tool}.{name}={value}" for name, value in more.items()]
    keys = [f"--site={root}/config/sites/CTAO-North.yaml", "--night=2024-07-10", "--seed=3"]
    argv = [*keys, f"--output-folder={own}", *options]
    assert run_tool(ProduceCamcalibTestData(), argv=argv, cwd=folder, raises=True) == 0
    shutil.copytree(own / "DL0", folder / "data/DL0", dirs_exist_ok=True)
    return own


@pytest.fixture(scope="module")
def finished(root, north, workflow, tmp_path_factory):
    """Observation 1 is calibration and flashes at once, 2 flashes only, fewer p.e. in LSTN-02.

    Both begin at dusk; the source of the first is off for 2 s, the second lasts 1 s.
    """
    folder = tmp_path_factory.mktemp("night")
    simulate(root, folder, [1, 2], 1, 80.0, n_flatfield=150, n_pedestal=150)
    for tel_id, n_pe in N_PE.items():
        simulate(root, folder, [tel_id], 2, n_pe, n_flatfield=60, n_pedestal=40)
    area = telescope_subarray(1).tel[1].optics.mirror_area
    begin = astronomical_night("2024-07-10", north).dusk.tai
    late = (begin + 2 * u.s).isot
    for name, time, on in (
        ("source", [begin.isot], [1]),
        ("late", [begin.isot, late], [0, 1]),
    ):
        table = QTable({"time": time, "photons": PHOTONS * 1855 * np.array(on) * u.ph / area})
        table["relative_error"], table["jitter"] = 0.03, JITTER
        table.write(folder / f"{name}.ecsv")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    snakemake(folder, workflow)
    return folder


def certified(folder, tel_id, obs_id):
    """Product of the archive that holds when the first flash of an observation came."""
    archive = open_archive(folder / "calibration_archive")
    name = f"LSTN-{tel_id:02d}"
    made = night(folder) / f"{name}/throughput/illuminator_throughput.OBSID{obs_id}.h5"
    header = read_product_header(made)
    found = lookup(archive, KIND, "CTAO-North", header.validity[0], telescope=name)
    assert found.product_id == header.product_id
    return product_path(archive, found.product_id)


def efficiency(folder, tel_id):
    """Of the median pixel, to which coefficients flat-field."""
    (path,) = folder.glob(f"simulated/2-{tel_id}/truth/**/*.camera_truth.ecsv")
    truth = truth_from_table(read_table(path, "simulation/camera_truth"))
    return np.median(truth.relative_efficiency)


def test_ratio_of_certified_products_is_the_true_one(finished):
    """Within three standard errors: of flashes and coefficients, which the simulation has."""
    flashes, own = [], {"calibration": [], "flatfield": []}
    for tel_id, n_pe in N_PE.items():
        path = certified(finished, tel_id, 2)
        table = read_telescope_table(path, FLASHES_GROUP, tel_id, KIND)
        flashes.append((table["event_id"], table["throughput"]))
        for name, errors in own.items():
            errors.append(table.meta["calibpipe"]["systematics"][name])
        group = DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP
        (row,) = read_telescope_table(path, group, tel_id, KIND)
        error = np.hypot(row["stat_error"], row["mean"] * np.hypot(*(own[n][-1] for n in own)))
        true = n_pe * efficiency(finished, tel_id) / PHOTONS
        assert abs(row["mean"] - true) < 3 * error
    matched = matched_flashes(*zip(*flashes, strict=True))
    found = relative_throughput(matched, own, {"source": 0.03}, reference=1)
    assert found.n_flashes == 60
    error = np.hypot(found.stat_error[0], found.sys_error[0])
    light = [n_pe * efficiency(finished, tel_id) for tel_id, n_pe in N_PE.items()]
    assert abs(found.ratio[0] - light[0] / light[1]) < 3 * error
    assert error < 0.01


def test_verified_certified_and_on_the_page(finished):
    for tel_id in N_PE:
        for obs_id in (1, 2):
            name = f"illuminator_throughput.LSTN-{tel_id:02d}.OBSID{obs_id}.json"
            content = json.loads((night(finished) / f"verification/{name}").read_text())["content"]
            assert (content["verdict"], content["because"]) == ("PASS", [])
            assert [c["id"] for c in content["criteria"] if c["result"] == "PASS"] == [
                "ILL-01", "ILL-02", "ILL-03", "ILL-04",
            ]  # fmt: skip
            assert KIND in (night(finished) / f"certification/{name}").read_text()
    page = (night(finished) / "report/index.html").read_text()
    assert "<strong>Complete</strong>" in page
    assert "array/throughput_history.ecsv" in page
    first, second = (page.split(f'id="flashes-{n}"')[1].split("</section>")[0] for n in (1, 2))
    assert "needs at least 10 flashes seen by all 2 telescopes, got 0" in first  # taken in turn
    assert "the geometric mean of 2 telescopes, from the 60 flashes" in second
    assert second.count('<td class="state good">PASS</td>') == 2
    assert first.count("flashes while the source was off or not known (left out)</td>") == 2


def test_products_have_the_declared_columns(finished):
    problems, kinds = departures(finished / "results")
    assert not problems
    assert KIND in kinds


def test_only_what_belongs_to_flashes_is_made(finished, workflow):
    """No camera and no muon of observation 2, no muon of observation 1; nothing is left to do."""
    names = {path.relative_to(night(finished)).as_posix() for path in night(finished).rglob("*.h5")}
    assert names == {
        f"LSTN-0{tel_id}/{name}.h5"
        for tel_id in N_PE
        for name in (
            "camera/pixel_statistics.OBSID1",
            "camera/coefficients.OBSID1",
            "camera/excluded_pixels",
            "throughput/illuminator_throughput.OBSID1",
            "throughput/illuminator_throughput.OBSID2",
        )
    }
    assert "Nothing to be done" in snakemake(finished, workflow, "--dry-run")[1]


def test_a_source_that_is_not_there_fails_alone(finished, workflow, tmp_path):
    """Of another observation, which no telescope has; the rest of the night stays."""
    folder = shutil.copytree(finished, tmp_path / "night")
    runs = CONFIG["throughput"]["illuminator"]
    more = [*runs, runs[0] | {"obs_id": 7, "coefficients_from": 1, "source": "nowhere.ecsv"}]
    config = CONFIG | {"throughput": {"illuminator": more}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    code, told = snakemake(folder, workflow, check=False)
    assert code != 0
    assert "the index has no observation 7 of LSTN-01, only LSTN-01 1, LSTN-01 2" in told
    page = (night(folder) / "report/index.html").read_text()
    assert "<strong>2 steps failed</strong>" in page
    assert 'id="flashes-7"' in page
    assert Time(read_product_header(certified(folder, 1, 2)).validity[0]).scale == "tai"

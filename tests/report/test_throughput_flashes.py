"""Flashes of external light on the page: throughput, ratios, verdicts, what is absent."""

import json

import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time
from ctapipe.io.hdf5dataformat import DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP
from report.made_camera import add_index
from report.made_night import failure, write_failure
from report.test_throughput import material

from calibpipe.core.product_header import read_product_header
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import write_telescope_tables
from calibpipe.report.completeness import absent_products
from calibpipe.report.night_page import night_facts
from calibpipe.report.throughput_flashes import flash_facts
from calibpipe.tools.calculate_throughput_illuminator import FLASHES_GROUP, KIND

START, N = 1720652437.0, 40
SYSTEMATICS = {"source": 0.08, "transmission": 0.03, "gain": 0.003, "calibration": 0.004}


def flashes(value, rng):
    """Flashes of a source whose jitter of 5 % all telescopes see; half of them in a bad chunk."""
    jitter = 1 + 0.05 * np.random.default_rng(7).standard_normal(2 * N)
    own = 1 + 0.001 * rng.standard_normal(2 * N)
    throughput = value * jitter * own
    throughput[N:] *= 3
    chunk = np.repeat([0, 1], N)
    return Table({"event_id": np.arange(2 * N), "chunk": chunk, "throughput": throughput})


def add_flashes(night, tel_id=1, value=0.1, block="OBSID2", first=0):
    """Product of a telescope: a valid chunk and one that is not."""
    subarray, name = telescope_subarray(tel_id), f"LSTN-{tel_id:02d}"
    found = flashes(value, np.random.default_rng(tel_id))
    found["event_id"] += first
    edges = Time(START + np.array([0.0, 1.0, 2.0]), format="unix_tai", scale="tai")
    chunks = Table({"time_start": edges[:-1], "time_end": edges[1:], "n_events": [N, N]})
    chunks["mean"] = [value, 3 * value]
    chunks["stat_error"] = [0.002 * value] * 2
    chunks["sys_error"] = [0.09 * value] * 2
    chunks["is_valid"] = [True, False]
    details = {"tel_id": tel_id, "array_element": name, "obs_id": int(block[5:])}
    details |= {"n_flashes": 2 * N, "systematics": SYSTEMATICS, "remarks": ["a remark"]}
    path = night.folder / f"{name}/throughput/illuminator_throughput.{block}.h5"
    tables = {DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP: chunks, FLASHES_GROUP: found}
    write_telescope_tables(path, subarray, tel_id, tables, night.metadata(KIND, **details))
    return str(read_product_header(path).product_id)


def add_verdict(night, identifier, verdict, because=()):
    record = {"product": {"id": identifier, "kind": KIND, "array_element": "LSTN-01"}}
    record["product"]["block"] = "OBSID2"
    record |= {"verdict": verdict, "because": list(because), "criteria": []}
    path = night.folder / f"verification/{identifier}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"content": record}))


def test_ratio_to_the_geometric_mean(made_night):
    """0.1 and 0.144 are 1/1.2 and 1.2 of it; the jitter and the common errors cancel."""
    add_flashes(made_night, 1, 0.1)
    add_flashes(made_night, 2, 0.144)
    (run,) = flash_facts(material(made_night))
    assert run["obs_id"] == "2"
    assert f"from the {N} flashes" in run["told"]
    for row, expected in zip(run["rows"], (1 / 1.2, 1.2), strict=True):
        value, stat, sys = (float(row["ratio"][name]) for name in ("value", "stat", "sys"))
        assert value == pytest.approx(expected, abs=4 * stat)
        assert stat < 0.0005 * expected  # of 5 % of jitter: 0.8 %
        # of the difference of two logarithms with 0.5 % each, half: 0.5 % / sqrt(2)
        assert sys == pytest.approx(0.005 / np.sqrt(2) * expected, rel=0.02)
    first = run["rows"][0]
    assert first["throughput"] == {"value": "0.10000", "stat": "0.00020", "sys": "0.00900"}
    assert first["flashes"] == f"{N} of {2 * N}"


def test_verdicts_are_those_of_the_product(made_night):
    add_verdict(made_night, add_flashes(made_night, 1), "PASS")
    add_verdict(made_night, add_flashes(made_night, 2), "FAIL", ["ILL-03 flash_chi2: too large"])
    add_flashes(made_night, 3)
    (run,) = flash_facts(material(made_night))
    assert [(row["state"], row["status"], row["told"]) for row in run["rows"]] == [
        ("good", "PASS", "a remark"),
        ("bad", "FAIL", "ILL-03 flash_chi2: too large; a remark"),
        ("absent", "not verified", "a remark"),
    ]


def test_ratios_need_two_telescopes_and_the_same_flashes(made_night):
    add_flashes(made_night, 1)
    (run,) = flash_facts(material(made_night))
    assert run["told"] == "No ratios: they need two telescopes."
    add_flashes(made_night, 2, first=N - 5)
    (run,) = flash_facts(material(made_night))
    assert "needs at least 10 flashes seen by all 2 telescopes, got 5" in run["told"]
    assert [row["ratio"]["value"] for row in run["rows"]] == ["–", "–"]


def test_page_has_a_section_for_each_observation(made_night):
    from tools.test_create_night_report import report, status

    made_night.make()
    for block in ("OBSID10", "OBSID2"):
        add_flashes(made_night, 1, block=block)
        add_flashes(made_night, 2, block=block)
    html = report(made_night)
    assert status(html)[0] == "Complete"
    assert html.index('id="flashes-2"') < html.index('id="flashes-10"')
    assert html.count("Flashes of external light, observation") == 2


def test_night_without_flashes_has_no_section(made_night):
    assert night_facts(material(made_night), [])["flashes"] == []


def test_nothing_else_is_expected_of_an_observation_with_flashes(made_night):
    """Its camera and muons are not missed, its flashes are."""
    add_index(made_night.make(), telescopes=(1,))
    absent = absent_products(material(made_night, "--throughput", "--illuminator=1"))
    names = [entry["path"] for entry in absent]
    assert "LSTN-01/throughput/illuminator_throughput.OBSID1.h5" in names
    assert not [name for name in names if "/camera/" in name or "muon_rings" in name]


def test_failed_step_is_told(made_night):
    step = "LSTN-01/throughput/illuminator_throughput.OBSID2"
    write_failure(made_night.folder.parent / "logs", failure(step))
    (run,) = flash_facts(material(made_night))
    assert [run["rows"][0][name] for name in ("state", "status", "told")] == [
        "bad",
        "absent",
        "its step failed, see above",
    ]
    path = made_night.folder / f"{step}.h5"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no HDF5")
    (run,) = flash_facts(material(made_night))
    assert "is no product of CalibPipe" in run["rows"][0]["told"]

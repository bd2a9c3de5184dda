"""Simulated trigger rates: the truth comes back through the transparency coefficient."""

import numpy as np
import pytest
from ctapipe.core import run_tool

from calibpipe.core.products import read_table
from calibpipe.core.trigger_rates import read_trigger_rates
from calibpipe.tools.calculate_transparency_coefficient import (
    KIND,
    CalculateTransparencyCoefficient,
)
from calibpipe.tools.simulate_trigger_rates import KIND as TRUTH
from calibpipe.tools.simulate_trigger_rates import SimulateTriggerRates


@pytest.fixture
def simulate(root, tmp_path):
    def simulated(night, *options, site="CTAO-North", name="rates.ecsv"):
        path = tmp_path / night / name
        argv = [f"--site={root}/config/sites/{site}.yaml", f"--night={night}", "--seed=2"]
        argv += [f"--config={root}/config/tools/simulate_trigger_rates.yaml"]
        argv += [f"--output={path}", *options]
        run_tool(SimulateTriggerRates(), argv=argv, cwd=tmp_path, raises=True)
        return path

    return simulated


@pytest.fixture
def coefficient(root, tmp_path):
    def product(rates, night, *options):
        path = tmp_path / night / "transparency.ecsv"
        argv = [f"--site={root}/config/sites/CTAO-North.yaml", f"--night={night}"]
        argv += [f"--config={root}/config/tools/calculate_transparency_coefficient.yaml"]
        argv += [f"--rates={rates}", f"--output={path}", *options]
        run_tool(CalculateTransparencyCoefficient(), argv=argv, cwd=tmp_path, raises=True)
        return path

    return product


def test_truth_comes_back(simulate, coefficient):
    """A clear night as reference, then one with a cloud: slices as they were made."""
    clear = coefficient(simulate("2024-07-08", "--clear"), "2024-07-08", "--reference-night")
    rates = simulate("2024-07-10")
    table = read_table(coefficient(rates, "2024-07-10", f"--reference={clear}"), KIND)
    true = read_table(rates.with_suffix(".truth.ecsv"), TRUTH)["transparency"]
    assert set(np.round(true, 6)) == {0.9, 1.0}
    error = np.hypot(table["stat_error"], 0.01 / np.sqrt(13 / 4))  # mu and g of both nights
    assert np.all(np.abs(table["transparency"] - true) < 4 * error)
    inside = np.asarray(true) < 0.95
    ratio = np.mean(table["transparency"][inside]) / np.mean(table["transparency"][~inside])
    # 13 telescopes with 1.8 million triggers a slice: the ratio of slices has no error of mu and g
    assert ratio == pytest.approx(0.9, abs=0.002)


def test_reference_has_no_cloud_and_the_same_telescopes(simulate):
    night, clear = simulate("2024-07-08", "--clear"), simulate("2024-07-10")
    header = [read_table(p.with_suffix(".truth.ecsv"), TRUTH) for p in (night, clear)]
    assert np.all(header[0]["transparency"] == 1)
    own = [table.meta["calibpipe"] for table in header]
    assert own[0]["throughput"] == own[1]["throughput"]
    assert own[0]["gain"] == own[1]["gain"]
    assert len(own[0]["tel_ids"]) == 13


def test_south(simulate):
    assert len(read_trigger_rates(simulate("2024-07-10", site="CTAO-South")).tel_ids) == 51


def test_same_again(simulate):
    first, second = (simulate("2024-07-10", name=name) for name in ("a.ecsv", "b.ecsv"))
    assert first.read_bytes() == second.read_bytes()

"""Metrics of the array: hand-computed numbers, gauges, islands, changes against other nights."""

import numpy as np
import pytest
from astropy.table import QTable, Table
from numpy.testing import assert_allclose

from calibpipe.verification.array import (
    CROSS,
    EXTERNAL,
    INTER,
    INTERNAL,
    TIMING,
    element_names,
    external_metrics,
    internal_metrics,
)

FIT = {"chi2": 4.0, "expected_chi2": 2.0, "p_value": 0.2}


def inter(value=(1.0, 1.0, 1.0, 1.0), error=0.0, island=None, is_valid=None, solved_with="LST"):
    """An inter-calibration: tables and header."""
    n_tel = len(value)
    value = np.array(value, float)
    island = np.zeros(n_tel, np.int16) if island is None else np.array(island)
    solved_with = np.broadcast_to(solved_with, n_tel).astype(str)
    telescopes = Table(
        {
            "tel_id": np.arange(1, n_tel + 1),
            "tel_type": solved_with,
            "value": value,
            "error": error * value,
            "sys_error": 0.01 * value,
            "solved_with": solved_with,
            "island": island,
            "is_outlier": np.arange(n_tel) == 1,
            "is_valid": (island == 0) if is_valid is None else is_valid,
        }
    )
    pairs = Table(
        {
            "tel_id_1": [1, 2, 3],
            "tel_id_2": [2, 3, 1],
            "residual": [0.03, -0.01, np.nan],
            "pull": [3.0, np.nan, np.nan],
            "n_events": [100, 200, 300],
            "is_used": [True, True, False],
        }
    )
    covariance = Table({"tel_id": np.arange(1, n_tel + 2)})  # one more has no pair
    tables = {"telescopes": telescopes, "pairs": pairs, "covariance": covariance}
    return tables, {"gauge": "mean_log", "fits": dict.fromkeys(np.unique(solved_with), FIT)}


def cross(value, kinds="LLMM", error=0.0, **columns):
    """A cross-calibration with the reference type M."""
    value = np.array(value, float)
    telescopes = Table(
        {
            "tel_id": np.arange(1, len(value) + 1),
            "tel_type": list(kinds),
            "value": value,
            "error": error * value,
            "sys_error": 0.03 * value,
            "is_valid": np.isfinite(value),
            **columns,
        }
    )
    types = Table(
        {
            "tel_type": ["M", "L"],
            "tel_ref": ["M", "M"],
            "scaling_factor": [1.0, 1.1],
            "scaling_factor_uncertainty": [0.0, 1.1 * error],
        }
    )
    header = {"reference_type": "M", "chi2": 3.0, "n_dof": 2.0, "p_value": None}
    return {"telescopes": telescopes, "types": types}, header


def timing(offset=(0.0, 1.0, -1.0), error=0.0, **header):
    """A timing of three telescopes, the second one jumping if its offset is NaN."""
    import astropy.units as u

    offset = np.array(offset, float)
    known = np.isfinite(offset)
    n_tel = len(offset)
    telescopes = QTable(
        {
            "tel_id": np.arange(1, n_tel + 1),
            "array_element": [f"LSTN-0{k + 1}" for k in range(n_tel)],
            "offset": offset * u.ns,
            "stat_error": np.where(known, error, np.nan) * u.ns,
            "sys_error": np.zeros(n_tel) * u.ns,
            "time_error": np.full(n_tel, 1.5) * u.ns,
            "n_events": np.full(n_tel, 99),
            "n_outliers": np.arange(n_tel),
            "island": np.zeros(n_tel, int),
            "is_valid": known,
        }
    )
    distances = QTable(
        {
            "tel_id": np.repeat(np.arange(1, n_tel + 1), 2),
            "impact_low": np.tile([0.0, 300.0], n_tel) * u.m,
            "impact_high": np.tile([300.0, np.inf], n_tel) * u.m,
            "mean": np.tile([0.5, 9.0], n_tel) * u.ns,
            "error": np.tile([0.1, np.nan], n_tel) * u.ns,
        }
    )
    facts = {
        "islands": [["LSTN-01", "LSTN-02", "LSTN-03"]],
        "observations": [7, 8],
        "not_converged": [8],
        "direction_offset_in_deg": [0.003, -0.001],
        "direction_offset_error_in_deg": [0.002, 0.002],
        "curvature_scale": 1.01,
        "n_by_azimuth": [5, 0, 0, 4, 0, 0, 0, 0],
        "n_events": 99,
    }
    return {"telescopes": telescopes, "distances": distances}, facts | header


def change(kind, now, then):
    return external_metrics(kind, *now, *then)


class TestInternal:
    def test_inter_calibration(self):
        found = internal_metrics(INTER, *inter(error=0.02))
        assert_allclose(found["relative_stat_error"], [[0.02] * 4])
        assert_allclose(found["relative_sys_error"], [[0.01] * 4])
        # statistical error 0.01 of the residual, and 1 % of each of two telescopes
        assert_allclose(found["pair_pull"], [[0.03 / (0.01 * np.sqrt(3)), np.nan]])
        assert_allclose(found["invalid_fraction"], [[0.2]])
        assert_allclose(found["outlier_fraction"], [[0.25]])
        assert_allclose(found["reduced_chi2"], [[2.0]])
        assert_allclose(found["p_value"], [[0.2]])
        assert_allclose(found["n_events"], [[100, 200]])

    @pytest.mark.parametrize(
        ("island", "n_islands"), [([0] * 4, 1), ([0, 0, 0, 1], 1), ([0, 0, 1, 1], 2)]
    )
    def test_a_telescope_without_a_pair_is_no_island(self, island, n_islands):
        found = internal_metrics(INTER, *inter(island=island))
        assert_allclose(found["n_islands"], [[n_islands]])
        out = np.array(island) > 0
        assert_allclose(np.isnan(found["relative_stat_error"][0]), out)

    def test_pairs_that_decide_alone_have_no_pull(self):
        tables, header = inter()
        tables["pairs"]["pull"] = np.nan
        header["fits"]["LST"] = {"chi2": 0.0, "expected_chi2": 0.0, "p_value": None}
        found = internal_metrics(INTER, tables, header)
        assert "pair_pull" not in found
        assert np.isnan(found["reduced_chi2"]).all()
        assert np.isnan(found["p_value"]).all()

    def test_cross_calibration(self):
        made = cross([1.1, 1.2, 0.9, np.nan], error=0.02)
        found = internal_metrics(CROSS, *made)
        assert_allclose(found["relative_stat_error"], [[0.02, 0.02, 0.02, np.nan]])
        assert_allclose(found["scale_factor"], [[1.1]])
        assert_allclose(found["scale_stat_error"], [[0.02]])
        assert_allclose(found["invalid_fraction"], [[0.25]])
        assert_allclose(found["reduced_chi2"], [[1.5]])
        assert not {"muon_alarm", "muon_difference"} & set(found)

    def test_muons(self):
        columns = {"difference": [0.2, -0.01, np.nan, np.nan], "is_alarm": [True] + [False] * 3}
        found = internal_metrics(CROSS, *cross([1.0] * 4, **columns))
        assert_allclose(found["muon_difference"], [columns["difference"]])
        assert_allclose(found["muon_alarm"], [[1, 0, np.nan, np.nan]])
        columns["difference"] = [np.nan] * 4  # of one telescope with muons nothing is told
        assert "muon_alarm" not in internal_metrics(CROSS, *cross([1.0] * 4, **columns))

    def test_timing(self):
        found = internal_metrics(TIMING, *timing([0.0, np.nan, 1.0], error=0.1))
        assert_allclose(found["stat_error"], [[0.1, np.nan, 0.1]])
        assert_allclose(found["jumped"], [[0, 1, 0]])
        assert_allclose(found["invalid_fraction"], [[1 / 3]])
        assert_allclose(found["outlier_fraction"], [[0, 0.01, 2 / 101]])
        # not of the telescope without an offset, nor where too few events have no error
        assert_allclose(found["impact_residual"], [[0.5, np.nan, np.nan, np.nan, 0.5, np.nan]])
        assert_allclose(found["not_converged"], [[0, 1]])
        assert_allclose(found["azimuth_sectors"], [[2]])
        assert_allclose(found["n_islands"], [[1]])

    def test_alone_is_no_jump(self):
        tables, header = timing([0.0, np.nan, 1.0])
        tables["telescopes"]["island"][1] = -1
        assert_allclose(internal_metrics(TIMING, tables, header)["jumped"], [[0, 0, 0]])


def test_names_of_all_elements():
    made = {
        INTER: inter(),
        CROSS: cross([1.0] * 4, difference=[0.0] * 4, is_alarm=[False] * 4),
        TIMING: timing(),
    }
    for kind, now in made.items():
        names = element_names(kind, *now)
        found = internal_metrics(kind, *now)
        assert set(found) == INTERNAL[kind]
        changes = change(kind, now, now)
        assert set(changes) == EXTERNAL[kind]
        for metric, values in (found | changes).items():
            assert len(values) == 1
            assert len(names[metric]) in (0, values.size), metric
            assert names[metric] or values.size == 1
    assert element_names(TIMING, *made[TIMING])["impact_residual"][3] == "LSTN-02 from 300 to inf m"
    assert element_names(INTER, *made[INTER])["pair_pull"] == ["telescopes 1 and 2",
                                                               "telescopes 2 and 3"]  # fmt: skip


class TestChangeOfThroughputs:
    def test_the_gauge_is_no_change(self):
        """One telescope of four loses a fifth: with the mean logarithm 1 all others rise."""
        value = np.array([0.8, 1.0, 1.0, 1.0])
        now = inter(value / np.exp(np.log(value).mean()))
        found = change(INTER, now, inter())["throughput_change"]
        assert_allclose(found, [[np.log(0.8), 0, 0, 0]], atol=1e-12)

    def test_level_of_muons_is_one(self):
        now, then = inter([0.9] * 4), inter()
        assert_allclose(change(INTER, now, then)["throughput_change"], 0, atol=1e-12)
        now[1]["gauge"] = then[1]["gauge"] = "muon"
        assert_allclose(change(INTER, now, then)["throughput_change"], [[np.log(0.9)] * 4])

    def test_each_type_has_its_level(self):
        kinds = ["LST", "LST", "LST", "MST", "MST", "MST"]
        now = inter([1.1, 1.1, 1.1, 0.9, 0.9, 0.7], solved_with=kinds)
        then = inter([1.0] * 6, solved_with="ALL")
        found = change(INTER, now, then)["throughput_change"]
        assert_allclose(found, [[0, 0, 0, 0, 0, np.log(0.7 / 0.9)]], atol=1e-12)

    def test_telescopes_that_are_not_in_both(self):
        now, then = inter([1.0, 1.0, 1.0, 0.5], island=[0, 0, 0, 1]), inter([1.0] * 5)
        assert_allclose(change(INTER, now, then)["throughput_change"], [[0, 0, 0, np.nan]])
        assert_allclose(change(INTER, then, now)["throughput_change"], [[0, 0, 0, np.nan, np.nan]])
        nothing = inter(is_valid=[True, False, False, False])
        assert change(INTER, nothing, then) == {}  # of one the level is unknown

    def test_errors_are_no_change(self):
        """Beyond three errors are 0.27 % of the telescopes; a loss of 20 % is less three errors."""
        rng, n_tel, error = np.random.default_rng(3), 20_000, 0.02
        nights = [inter(np.exp(error * rng.standard_normal(n_tel)), error) for _ in range(2)]
        found = change(INTER, *nights)["throughput_change"]
        expected = 0.0026998 * n_tel
        assert abs(np.count_nonzero(found) - expected) < 4 * np.sqrt(expected)
        found = change(INTER, inter([0.8, 1, 1, 1], error), inter(error=error))
        left = np.log(0.8) + 3 * np.sqrt(2) * error
        assert_allclose(found["throughput_change"], [[left, 0, 0, 0]])


class TestChangeOfScales:
    def test_a_type_or_a_telescope(self):
        now, then = cross([1.2, 1.2, 1.0, 1.0]), cross([1.0] * 4)
        found = change(CROSS, now, then)
        assert_allclose(found["scale_change"], [[np.log(1.2)]])
        assert_allclose(found["throughput_change"], 0, atol=1e-12)
        kinds = "LLLMMM"
        found = change(CROSS, cross([0.8, 1, 1, 1, 1, 1], kinds), cross([1.0] * 6, kinds))
        assert_allclose(found["scale_change"], [[0]])
        assert_allclose(found["throughput_change"], [[np.log(0.8), 0, 0, 0, 0, 0]])

    def test_change_of_the_set_of_telescopes(self):
        """The scale is that of telescopes which are in both."""
        now, then = cross([1.0, np.nan, 1.0, 1.0]), cross([1.0, 1.5, 1.0, 1.0])
        found = change(CROSS, now, then)
        assert_allclose(found["scale_change"], [[0]])
        assert_allclose(found["throughput_change"], [[np.nan, np.nan, 0, 0]])

    def test_its_error(self):
        found = change(CROSS, cross([1.2, 1.2, 1, 1], error=0.02), cross([1.0] * 4, error=0.01))
        left = np.log(1.2) - 3 * np.hypot(0.02, 0.01)
        assert_allclose(found["scale_change"], [[left]])


class TestChangeOfOffsets:
    def test_level_and_error(self):
        now, then = timing([5.0, 6.0, 9.0], error=0.1), timing(error=0.1)
        found = change(TIMING, now, then)["offset_change"]
        assert_allclose(found, [[0, 0, 5 - 0.3 * np.sqrt(2)]])

    def test_without_offset(self):
        found = change(TIMING, timing([0.0, np.nan, -1.0]), timing())["offset_change"]
        assert_allclose(found, [[0, np.nan, 0]])
        assert change(TIMING, timing([0.0, np.nan, np.nan]), timing()) == {}

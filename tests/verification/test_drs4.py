"""Metrics of DRS4 corrections of two gains of four pixels, by hand."""

import numpy as np
import pytest
from astropy.table import Table

from calibpipe.verification.drs4 import external_metrics, internal_metrics

COVARIANCE = np.diag([0.04, 0.0, 0.0])  # of the amplitude alone


def corrections(
    *, baseline=400.0, amplitude=32.99, status=(0, 0, 0, 1), points=(0.0, 0.0), cosine=0.3
):
    shape = 1, 2, len(status)
    numbers = {
        "baseline": baseline,
        "stat_error": 0.64,
        "sys_error": 0.01,
        "noise": 5.0,
        "known_fraction": 0.99,
        "noisy_fraction": 0.002,
    }
    pixels = Table({name: np.full(shape, value) for name, value in numbers.items()})
    pixels["status"] = np.broadcast_to(np.array(status, np.uint8), shape)
    law = {"amplitude": amplitude, "exponent": 0.22, "offset": 11.9, "max_time": 100.0}
    law |= {"chi2": 10.0, "n_degrees": 10}
    time, excess = np.array([1.0, 10.0]), np.array([21.09, 7.9784]) + points
    series = np.zeros((1, 16, *shape[1:]))
    series[0, 0] = cosine
    sampling = {"cosine": series, "sine": 0 * series, "stat_error": np.full(shape, 0.02)}
    return {
        "pixels": pixels,
        "law": Table({k: [v] for k, v in law.items()} | {"covariance": COVARIANCE[np.newaxis]}),
        "points": Table({"time": time, "excess": excess, "error": [0.01, 0.01]}),
        "sampling": Table(sampling),
    }


def test_numbers_of_a_camera():
    found = internal_metrics(corrections(points=(0.05, -0.02)))
    assert found["unusable_fraction"][:, 0].tolist() == [0.25, 0.25]
    assert found["unknown_capacitors"][0, :3] == pytest.approx(0.01)
    assert np.isnan(found["noise"][:, 3]).all()
    assert found["noise"][1, :3].tolist() == [5.0] * 3
    assert found["lapse_at_1_ms"][0, 0] == pytest.approx(21.09)
    assert found["lapse_at_10_ms"][0, 0] == pytest.approx(7.978, abs=0.001)
    assert found["lapse_at_100_ms"][0, 0] == pytest.approx(0.0785, abs=0.001)
    assert found["lapse_error"][0, 1] == pytest.approx(0.2)  # at 1 ms, of the amplitude
    assert found["lapse_residual"][0] == pytest.approx([0.02, 0.0], abs=0.001)
    assert found["sampling_amplitude"][0, 0] == pytest.approx(0.3 / np.sqrt(2))
    assert found["sampling_error"][0, 0] == pytest.approx(0.02)


def test_without_fit_and_pulses_there_are_fewer():
    tables = corrections()
    known = {name: tables[name] for name in ("pixels", "law")}
    assert {"lapse_residual", "lapse_error", "sampling_amplitude"}.isdisjoint(
        internal_metrics(known)
    )
    assert "sampling_change" not in external_metrics(known, tables)


def test_change_is_what_errors_do_not_explain():
    now = corrections(baseline=403.0, amplitude=35.0, status=(0, 0, 1, 1), cosine=0.4)
    found = external_metrics(now, corrections())
    error = 3 * np.sqrt(2) * np.hypot(0.01, 0.01)
    assert found["baseline_change"][0, :2] == pytest.approx(3.0 - error)
    assert np.isnan(found["baseline_change"][0, 2:]).all()
    assert found["lapse_change"][0, 1] == pytest.approx(2.01 - 3 * 0.2 * np.sqrt(2))
    assert found["newly_unusable_fraction"][:, 0].tolist() == [0.25, 0.25]
    assert found["sampling_change"][0, 0] == pytest.approx(0.1 / np.sqrt(2))
    assert external_metrics(now, corrections(status=(0, 0, 0))) == {}

"""Metrics of pedestals, by hand."""

import numpy as np
import pytest
from astropy.table import Table

from calibpipe.camera.pedestal import PedestalStatus
from calibpipe.verification.pedestal import external_metrics, internal_metrics

KIND = "camera/pedestal"
LAST = PedestalStatus.NO_NOISE


def pedestal(mean=(400.0, 402.0, 398.0, 400.0), status=(0, 0, 0, LAST), **more):
    """Four pixels of one gain; the last has no noise."""
    columns = {
        "dark_mean": mean,
        "dark_mean_stat_error": 0.1,
        "dark_mean_sys_error": np.nan,
        "dark_window_mean_stat_error": 1.2,
        "dark_window_mean_sys_error": 1.6,
        "dark_window_rms": 16.0,
        "dark_window_rms_stat_error": 0.4,
        "dark_window_rms_sys_error": 0.3,
        "dark_sample_rms": 4.5,
        "sky_window_rms": (160.0, 80.0, 160.0, 160.0),
        "sky_n_events": 200,
        "status": status,
    }
    of_pixels = {name: np.broadcast_to(v, 4)[None, None] for name, v in (columns | more).items()}
    return {"pixels": Table({name: values.copy() for name, values in of_pixels.items()})}


def test_of_the_closed_camera():
    found = internal_metrics(KIND, pedestal())
    assert found["unusable_fraction"].tolist() == [[0.25]]
    assert found["baseline_offset"][0, :3].tolist() == [0, 2, -2]
    assert np.isnan(found["baseline_offset"][0, 3])
    assert found["relative_rms"][0, 0] == 1
    assert found["sample_rms"][0, 0] == 4.5
    assert found["relative_mean_error"][0, 0] == pytest.approx(2 / 16)  # of 1.2 and 1.6
    assert found["relative_rms_error"][0, 0] == pytest.approx(0.5 / 16)


def test_of_the_sky():
    """256 ADC² of 200 events of the dark: ± 25.6; its own error 12.8; together 28.6, three 85.9.

    Of the three usable pixels one is blind: 18.4² is 82.6 ADC² above the dark, 18.6² is 90.0.
    """
    rms = (160.0, 18.4, 18.6, 160.0)
    found = internal_metrics(KIND, pedestal(sky_window_rms=rms))
    assert found["relative_sky_rms"][0, :3] == pytest.approx([160 / 18.6, 18.4 / 18.6, 1])
    assert found["blind_fraction"] == pytest.approx(np.array([[1 / 3]]))
    without = internal_metrics(KIND, pedestal(sky_window_rms=np.nan))
    assert not {"blind_fraction", "relative_sky_rms"} & set(without)


def test_change_is_what_errors_do_not_explain():
    now = pedestal(mean=(410.0, 402.3, 398.0, 400.0), dark_window_rms=20.0, status=(0, 0, 1, 0))
    found = external_metrics(KIND, now, pedestal())
    error = 0.1 * np.sqrt(2)
    assert found["baseline_change"][0, :2] == pytest.approx([10 - 3 * error, 0])
    assert np.isnan(found["baseline_change"][0, 2:]).all()  # one of both is not usable
    assert found["rms_change"][0, 0] == pytest.approx(4 / 16 - 3 * 0.5 * np.sqrt(2) / 16)
    assert found["newly_unusable_fraction"].tolist() == [[0.25]]


def test_another_camera_is_not_compared():
    other = pedestal()["pixels"]
    one_gain = {name: np.repeat(np.asarray(other[name]), 2, axis=1) for name in other.colnames}
    assert external_metrics(KIND, pedestal(), {"pixels": Table(one_gain)}) == {}

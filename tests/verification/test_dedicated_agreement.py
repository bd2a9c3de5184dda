"""Gain and pedestal of a night against dedicated calibrations, by hand."""

import numpy as np
import pytest
from astropy.table import Table

from calibpipe.verification.dedicated_agreement import (
    NightCamera,
    night_camera,
    spe_agreement,
    transfer_agreement,
)

GAIN = [[80.0, 84.0, 70.0, np.nan], [5.0, 5.1, 5.0, 5.0]]


def night(gain=GAIN, stat=0.8, sys=0.6):
    gain = np.array(gain)
    return NightCamera(
        gain=gain,
        gain_stat_error=np.full(gain.shape, stat),
        gain_sys_error=np.full(gain.shape, sys),
        pedestal=np.full(gain.shape, 401.0),
        noise=np.full(gain.shape, 24.0),
        window_width=12,
    )


def transfer(gain=((80.0,) * 4, (5.0,) * 4), status=((0, 0, 0, 0), (0, 0, 0, 8))):
    shape = 1, *np.shape(gain)
    columns = {
        "gain": np.array([gain]),
        "gain_stat_error": np.full(shape, 0.4),
        "gain_sys_error": np.full(shape, 0.8),
        "status": np.array([status]),
    }
    return Table(columns)


def test_gain_against_photon_transfer():
    found = transfer_agreement(night(), transfer())
    assert found["gain_to_transfer"] == pytest.approx(np.array([[1.0], [1.0]]))
    error = np.sqrt(0.8**2 + 0.6**2 + 0.4**2 + 0.8**2)
    assert found["transfer_pull"][0, :3] == pytest.approx(np.array([0, 4, -10]) / error)
    assert np.isnan(found["transfer_pull"][0, 3])  # not of the night
    assert np.isnan(found["transfer_pull"][1, 3])  # has a status
    # 84: 5 %, as much as is allowed; 70: 12.5 %, errors explain 3 hypot(0.8/70, 0.4/80) = 3.7 %
    assert found["transfer_disagreement"] == pytest.approx(np.array([[1 / 3], [0]]))
    assert "noise_to_dark" not in found


def test_large_errors_explain_a_large_difference():
    found = transfer_agreement(night(stat=8.0), transfer())  # 12.5 % are less than 5 % + 3 x 11 %
    assert found["transfer_disagreement"][0, 0] == 0
    assert found["gain_to_transfer"][0, 0] == 1


def test_a_gain_that_moved_as_a_whole():
    found = transfer_agreement(night(np.array(GAIN) * 1.2), transfer())
    assert found["gain_to_transfer"] == pytest.approx(np.array([[1.2], [1.2]]))


def test_noise_and_pedestal_of_the_closed_camera():
    sky = Table(
        {"dark_mean": np.full((1, 2, 4), 400.0), "dark_window_rms": [[[8.0] * 4, [24.0] * 4]]}
    )
    found = transfer_agreement(night(), transfer(), sky)
    assert found["noise_to_dark"][0, :3].tolist() == [3.0, 3.0, 3.0]
    assert found["noise_to_dark"][1].tolist() == [1.0] * 4
    assert found["pedestal_to_dark"][1].tolist() == [0.5] * 4  # 1 ADC in 12 samples over 24 ADC
    for name in ("noise_to_dark", "pedestal_to_dark"):
        assert np.isnan(found[name][0, 3])


def spe(**changes):
    order = [3, 1, 0, 2]  # rows are in any order; low gain is not looked at
    columns = {
        "channel": [0, 0, 0, 0, 1],
        "pixel_id": [*order, 0],
        "outlier_mask": [False, False, False, True, False],
        "gain": [60.0, 80.0, 75.0, 1.0, 5.0],
        "gain_stat_error": [0.6] * 5,
        "gain_sys_error": [0.0] * 5,
    }
    return Table(columns | changes)


def test_gain_against_single_photoelectrons():
    found = spe_agreement(night(), spe())
    assert found["spe_pull"][0, :2] == pytest.approx([5 / np.sqrt(1.36), 4 / np.sqrt(1.36)])
    assert np.isnan(found["spe_pull"][0, 2:]).all()  # masked there, absent here
    assert found["gain_to_spe"][0, 0] == pytest.approx((80 / 75 + 84 / 80) / 2)
    # 6.7 % with 3 hypot(1 %, 0.8 %) = 3.8 % of errors: not beyond 5 %
    assert found["spe_disagreement"][0, 0] == 0
    found = spe_agreement(night(stat=0.08), spe(gain_stat_error=[0.06] * 5))
    assert found["spe_disagreement"][0, 0] == 0.5


def test_another_camera_is_not_compared():
    assert transfer_agreement(night(), transfer(((80.0,) * 5,) * 2, ((0,) * 5,) * 2)) == {}
    assert spe_agreement(night(), spe(pixel_id=[4, 1, 0, 2, 0])) == {}


def test_nothing_in_common_is_not_determined():
    found = transfer_agreement(night(), transfer(status=((8,) * 4,) * 2))
    assert all(np.isnan(values).all() for values in found.values())


def test_means_over_rows():
    """Three rows of two flat fields: two measurements; a masked row does not count."""
    shape = 3, 1, 2
    gain = np.array([[[80.0, 80]], [[82.0, 80]], [[84.0, np.nan]]])
    columns = {
        "gain": gain,
        "gain_stat_error": np.full(shape, 2.0),
        "gain_sys_error": np.full(shape, 1.5),
        "pedestal_offset": np.array([[[400.0, 400]], [[401.0, 402]], [[402.0, 9]]]),
    }
    usable = np.ones(shape, bool)
    usable[1, 0, 1] = False
    found = night_camera(columns, usable, np.ones((1, 2)), window_width=12, n_flatfields=2)
    assert found.gain[0].tolist() == [82.0, 80.0]
    assert found.gain_stat_error[0] == pytest.approx([2 / np.sqrt(2), 2.0])
    assert found.gain_sys_error[0].tolist() == [1.5, 1.5]
    assert found.pedestal[0].tolist() == [401.0, 400.0]
    usable[:] = False
    found = night_camera(columns, usable, np.ones((1, 2)), window_width=12, n_flatfields=2)
    assert np.isnan(found.gain).all()

"""Cameras of pixels: closure on simulated truth, what cannot be fitted and why."""

from dataclasses import replace

import numpy as np
import pytest
from charge_spectra import PEDESTAL_WIDTH, histograms, run

from calibpipe.camera.single_photoelectron import single_photoelectrons
from calibpipe.camera.spe_spectra import Spectra, SpeSettings
from calibpipe.camera.spe_start import model_independent, pedestal_of_dark, pedestal_peak
from calibpipe.camera.spe_status import FATAL, SpeStatus, reasons
from calibpipe.camera.spe_table import (
    common_difference,
    require_channels,
    require_high_voltage,
    require_photoelectrons,
    spe_table,
    with_outliers,
)
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.simulation.single_photoelectron import SpeShape, spe_charge

N = 100


@pytest.fixture(scope="module")
def camera():
    """Gain, light, run at nominal and at high voltage."""
    rng = np.random.default_rng(5)
    gain, light = 58 * rng.normal(1, 0.05, N), rng.normal(1, 0.05, N)
    return gain, light, run(rng, gain, light), run(rng, 8 * gain, light, high=True)


@pytest.fixture(scope="module")
def joint(camera):
    _, _, nominal, high = camera
    return single_photoelectrons(nominal, high)


def test_high_voltage_gives_the_shape(camera, joint, assert_pulls):
    """Gain to 1 %, resolution to 3 %, errors are right, fits are good (issue 9)."""
    gain, light, *_ = camera
    assert not joint.status.any()
    true = {
        "gain": gain,
        "resolution": 0.5,
        "squared_excess_noise_factor": 1.25,
        "light": light,
        "high_gain": 8 * gain,
    }
    for name, value in true.items():
        assert_pulls((joint[name] - value) / joint.error(name))
    assert np.std(joint["gain"] / gain) < 0.01
    assert np.std(joint["resolution"] / 0.5) < 0.03
    assert abs(joint.p_value.mean() - 0.5) < 5 / np.sqrt(12 * N)
    assert joint.p_value.min() > 1e-4


def test_a_given_shape(camera, assert_pulls):
    gain, light, nominal, _ = camera
    found = single_photoelectrons(nominal)
    assert not found.status.any()
    for name, value in {"gain": gain, "resolution": 0.5, "light": light}.items():
        assert_pulls((found[name] - value) / found.error(name))
    row = found.names.index("gain")
    relative = found.sys_error[row] / gain
    assert np.all((relative > 0.01) & (relative < 0.03))


def test_a_wrong_shape_is_within_the_systematic_error(camera):
    gain, _, nominal, _ = camera
    found = single_photoelectrons(nominal, settings=SpeSettings(p_raw=0.47, n=0.763))
    bias = np.mean(found["gain"] / gain) - 1
    sys_error = np.mean(found.sys_error[found.names.index("gain")] / gain)
    assert 0.003 < abs(bias) < 1.5 * sys_error


def test_start_values_without_a_dark_spectrum(camera, joint):
    _, _, nominal, high = camera
    without = single_photoelectrons(Spectra(nominal.charge), Spectra(high.charge))
    assert not without.status.any()
    assert np.abs(without.deviance - joint.deviance).max() < 1e-3


def test_estimate_without_a_model(camera, joint, assert_pulls):
    """Its light and mean charge with errors of width 1; leakage below the cut is corrected."""
    gain, light, *_ = camera
    free = joint.model_independent
    assert_pulls((free.gain - gain) / free.gain_error)
    assert_pulls((free.light - light) / free.light_error)
    assert 0.03 < joint.leakage.mean() < 0.08


def test_estimate_of_half_a_million_events():
    """C4: mean to 2e-4 and variance to 0.5 %, where no charge is below the cut."""
    rng = np.random.default_rng(8)
    shape = SpeShape(p_raw=0.01, resolution=0.3, n=0.99)
    charge = spe_charge(500_000, 1.0, 600.0, 0.0, 15.0, shape, rng)
    dark = rng.normal(0, 15.0, 500_000)
    bins = {"low": -300.5, "width": 8.0, "n_bins": 800}
    light, without = histograms([charge], **bins), histograms([dark], **bins)
    found = model_independent(light, *pedestal_of_dark(without), without, cut_sigma=-2.0)
    assert abs(found.gain[0] / 600 - 1) < 4 * found.gain_error[0] / 600 < 0.01
    assert found.resolution[0] == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("light", [0.3, 1.0, 2.5])
def test_pedestal_peak(light):
    rng = np.random.default_rng(9)
    spectra = run(rng, [58.0] * 10, light)
    position, width = pedestal_peak(spectra.charge)
    assert np.all(np.abs(position) < PEDESTAL_WIDTH)
    assert np.all(np.abs(width / PEDESTAL_WIDTH - 1) < 0.4)


@pytest.fixture(scope="module")
def faulty():
    """One pixel for each fault, one that is good."""
    rng = np.random.default_rng(6)
    good = run(rng, [58.0] * 8).charge

    def but(pixel, values):
        good.counts[pixel] = values.charge.counts[0]

    good.counts[0] = 0
    good.counts[1] = 0
    good.counts[1, 100] = 35_000
    but(2, run(rng, [58.0], n_events=500))
    good.saturated[3] = 1000
    good.above[4] = 5000
    but(5, run(rng, [58.0], light=0.0))
    but(6, run(rng, [20.0], light=12.0))
    return Spectra(good, run(rng, [58.0] * 8).dark)


def test_a_status_for_each_fault(faulty):
    found = single_photoelectrons(faulty)
    expected = [
        SpeStatus.EMPTY | SpeStatus.TOO_FEW_EVENTS,
        SpeStatus.EMPTY,
        SpeStatus.TOO_FEW_EVENTS,
        SpeStatus.SATURATED,
        SpeStatus.CLIPPED,
        SpeStatus.NO_SIGNAL,
        SpeStatus.TOO_BRIGHT,
        0,
    ]
    assert found.status.tolist() == [int(status) for status in expected]
    assert np.isnan(found.value[:, :7]).all()
    assert np.isnan(found.stat_error[:, :7]).all()
    assert np.isfinite(found.value[:, 7]).all()


def test_texts_of_a_status():
    assert reasons(0) == []
    assert (
        reasons(SpeStatus.EMPTY | SpeStatus.NO_SIGNAL)[0] == "no event, or the same charge in all"
    )
    assert all(len(reasons(bit)) == 1 for bit in SpeStatus)


def test_low_gain_is_not_resolved():
    """Much light on low gain gives a spectrum, but no photoelectron."""
    rng = np.random.default_rng(6)
    found = single_photoelectrons(run(rng, [12.0], light=3.0))
    assert found.status[0] & FATAL
    assert np.isnan(found["gain"][0])


def test_a_pixel_without_high_voltage(camera):
    gain, _, nominal, high = camera
    two = np.arange(2)
    off = high.of(two)
    off.charge.counts[1] = 0
    found = single_photoelectrons(nominal.of(two), off)
    assert found.status.tolist() == [0, int(SpeStatus.WITHOUT_HIGH_VOLTAGE)]
    assert np.all(np.abs(found["gain"] / gain[:2] - 1) < 0.05)
    assert np.isfinite(found["high_gain"]).tolist() == [True, False]


def test_another_spectrum_is_a_poor_fit():
    """Two populations of gains are no photoelectron."""
    rng = np.random.default_rng(6)
    a, b = (run(rng, [gain], n_events=20_000) for gain in (40.0, 120.0))
    a.charge.counts[:] += b.charge.counts
    found = single_photoelectrons(a)
    assert found.status[0] & (SpeStatus.POOR_FIT | SpeStatus.AT_BOUND)


def test_gains_far_from_the_others(joint):
    moved = replace(joint, value=joint.value.copy())
    moved.value[moved.names.index("gain"), 3] *= 2
    status = with_outliers(moved, 1, 0.5)
    assert np.flatnonzero(status).tolist() == [3]
    assert status[3] == SpeStatus.OUTLIER


def test_rows_of_the_table(joint):
    status = with_outliers(joint, 2, 0.5)
    table = spe_table(joint, status, np.full(N, 35_000), np.array([0.01, 0.0]))
    assert table["channel"].tolist() == [0] * 50 + [1] * 50
    assert table["pixel_id"].tolist() == [*range(50), *range(50)]
    assert table["gain"].unit == "adu"
    sys_error = (table["gain_sys_error"] / table["gain"]).value
    np.testing.assert_allclose(sys_error, np.repeat([0.01, 0.0], 50))
    assert not table["outlier_mask"].any()


def test_difference_that_all_pixels_have(joint):
    status = with_outliers(joint, 1, 0.5)
    assert common_difference(joint, status, 1)[0] < 0.01
    free = replace(joint.model_independent, gain=1.05 * joint.model_independent.gain)
    moved = replace(joint, model_independent=free)
    assert common_difference(moved, status, 1)[0] == pytest.approx(0.05, abs=0.012)


def test_flat_field_is_no_run_of_single_photoelectrons():
    status = np.array([SpeStatus.TOO_BRIGHT] * 3 + [0] * 2)
    with pytest.raises(ConfigurationError, match=r"run 7 is no run of single.* 3 of 5 pixels"):
        require_photoelectrons(status, 1, "run 7")


def test_light_off():
    status = np.array([SpeStatus.NO_SIGNAL] * 3 + [0] + [SpeStatus.EMPTY] * 5)
    with pytest.raises(InsufficientStatisticsError, match="3 of 4 pixels see no photoelectrons"):
        require_photoelectrons(status, 1, "run 7")


def test_no_pixel_at_all():
    status = np.array([SpeStatus.TOO_FEW_EVENTS] * 3)
    with pytest.raises(InsufficientStatisticsError, match="3 pixels: fewer events than"):
        require_photoelectrons(status, 1, "run 7")


def test_half_a_camera_off_is_a_product():
    status = np.array([SpeStatus.EMPTY] * 5 + [0] * 5 + [SpeStatus.NO_SIGNAL] * 10)
    require_photoelectrons(status, 2, "run 7")


def test_swapped_channels():
    rng = np.random.default_rng(1)
    low, big = (run(rng, [gain], n_events=3000).charge for gain in (40.0, 80.0))

    def both(first, second):
        names = first.__dataclass_fields__
        pairs = {n: np.stack([getattr(first, n), getattr(second, n)]) for n in names}
        return type(first)(**pairs)

    require_channels(both(big, low), "run 7")
    with pytest.raises(ConfigurationError, match="the channels are swapped"):
        require_channels(both(low, big), "run 7")


def test_swapped_voltages(camera):
    _, _, nominal, high = camera
    few = np.arange(3)
    found = single_photoelectrons(high.of(few), nominal.of(few))
    with pytest.raises(ConfigurationError, match="swap --input and --high-voltage"):
        require_high_voltage(found, "run 7")


def test_sensor_is_known():
    with pytest.raises(ConfigurationError, match="sensor is 'eye'"):
        single_photoelectrons(run(np.random.default_rng(1), [58.0]), settings=SpeSettings("eye"))


def test_runs_have_the_same_pixels(camera):
    _, _, nominal, high = camera
    with pytest.raises(ConfigurationError, match="needs the same pixels"):
        single_photoelectrons(nominal.of(np.arange(2)), high.of(np.arange(3)))

"""Numbers that are followed over the nights, against products made by hand."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table

from calibpipe.verification.monitored_values import MONITORED, MonitoredValue, monitored_values


def numbers(kind, tables, header=None):
    """Value and errors by quantity and telescope."""
    if not isinstance(tables, dict):
        tables = {"table": tables}
    found = monitored_values(kind, tables, header or {})
    return {
        (v.quantity, v.array_element): (v.value, v.stat_error, v.sys_error, v.unit) for v in found
    }


def test_gain_and_pedestal_of_usable_pixels_of_high_gain():
    """Two rows, two channels, three pixels: of one a pixel is masked, one row is not valid."""
    gain = np.full((2, 2, 3), 5.0)
    gain[0, 0], gain[1, 0] = [80, 84, 999], [1, 1, 1]
    mask = np.zeros((2, 2, 3), bool)
    mask[0, 0, 2] = True
    table = QTable(
        {
            "gain": gain,
            "gain_stat_error": np.full((2, 2, 3), 3.0),
            "gain_sys_error": np.full((2, 2, 3), 1.5),
            "pedestal_offset": gain * 4,
            "pedestal_offset_stat_error": np.full((2, 2, 3), 4.0),
            "outlier_mask": mask,
            "is_valid": [True, False],
        }
    )
    found = numbers("camera/coefficients", table)
    assert found["gain", ""] == pytest.approx((82, 3 * np.sqrt(2) / 2, 1.5, "ADC / p.e."))
    value, stat, sys, unit = found["pedestal", ""]
    assert (value, stat, unit) == (328, pytest.approx(4 * np.sqrt(2) / 2), "ADC / sample")
    assert np.isnan(sys)  # the product tells none
    table["is_valid"] = False
    assert numbers("camera/coefficients", table) == {}


def test_rows_of_one_flat_field_are_one_measurement():
    """Twelve rows repeat what was measured once: the error is that of one row of ten pixels."""
    shape = (12, 2, 10)
    table = Table(
        {
            "gain": np.full(shape, 80.0),
            "gain_stat_error": np.full(shape, 3.0),
            "pedestal_offset": np.full(shape, 400.0),
            "outlier_mask": np.zeros(shape, bool),
            "is_valid": np.ones(12, bool),
        }
    )
    value, stat, *_ = numbers("camera/coefficients", table)["gain", ""]
    assert (value, stat) == (80, pytest.approx(3 / np.sqrt(10)))


def test_muon_rings():
    night = Table({"mean": [0.2], "sem": [0.001], "sys_error": [0.004]})
    found = numbers("throughput/muon_throughput", {"night": night})
    assert found == {("optical_throughput", ""): (0.2, 0.001, 0.004, "")}


@pytest.mark.parametrize(
    ("kind", "name", "quantity"),
    [
        ("throughput/muon_psf", "night", "muon_psf_width"),
        ("pointing/star_psf", "table", "star_psf_width"),
    ],
)
def test_width_in_degrees_of_a_valid_psf(kind, name, quantity):
    columns = {"width": [1.8], "stat_error": [0.06], "sys_error": [0.12]}
    table = QTable({key: value * u.arcmin for key, value in columns.items()} | {"is_valid": [True]})
    value = numbers(kind, {name: table})[quantity, ""]
    assert value[:3] == pytest.approx((0.03, 0.001, 0.002))
    table["is_valid"] = [False]
    assert numbers(kind, {name: table}) == {}


def test_offsets_of_valid_blocks_with_the_errors_of_one():
    columns = {"dlon": [10, 20, 900], "dlat": [-6, -2, 900]}
    columns |= {f"{axis}_stat_error": [1, 3, 99] for axis in ("dlon", "dlat")}
    columns |= {f"{axis}_sys_error": [2, 4, 99] for axis in ("dlon", "dlat")}
    table = Table({name: np.array(v) / 3600 for name, v in columns.items()})
    for name in columns:
        table[name].unit = u.deg
    table["is_valid"] = [True, True, False]
    found = numbers("pointing/star_tracking", table)
    assert found["pointing_offset_azimuth", ""] == pytest.approx((15, 2, 3, "arcsec"))
    assert found["pointing_offset_altitude", ""] == pytest.approx((-4, 2, 3, "arcsec"))
    table["is_valid"] = False
    assert numbers("pointing/star_tracking", table) == {}


def test_density_has_the_relative_errors_of_its_level():
    table = QTable(
        {
            "altitude": [14, 16] * u.km,
            "density": [200, 100] * u.g / u.m**3,
            "density_stat_error": [2, 3] * u.g / u.m**3,  # 1 and 3 %: 2 % between
            "density_sys_error": [8, 4] * u.g / u.m**3,
        }
    )
    header = {"number_density_15km_in_per_cm3": 4e18}
    found = numbers("atmosphere/density_profile", table, header)["number_density_15km", ""]
    assert found == pytest.approx((4e18, 8e16, 16e16, "1 / cm3"))


def test_aerosol_and_carbon_dioxide():
    night = {"scope": ["night", "window"], "vaod": [0.05, 0.9], "stat_error": [0.01, 0.9]}
    table = QTable(night | {"sys_error": [0.02, 0.9]})
    found = numbers("atmosphere/clear_night", table)
    assert found == {("vertical_aerosol_optical_depth", ""): (0.05, 0.01, 0.02, "")}
    header = {"transparency": 0.93, "stat_error": 0.01, "sys_error": 0.05}
    kind = "atmosphere/transparency_coefficient"
    assert numbers(kind, QTable(), header) == {
        ("cherenkov_transparency_coefficient", ""): (0.93, 0.01, 0.05, "")
    }
    assert numbers(kind, QTable(), dict.fromkeys(header)) == {}  # no slice had a value
    ppm = QTable({"co2_mole_fraction": [424e-6], "stat_error": [2e-7], "sys_error": [3e-7]})
    assert numbers("atmosphere/macobac", ppm)["co2_mole_fraction", ""] == pytest.approx(
        (424, 0.2, 0.3, "ppm")
    )


def test_clouds_of_frames_that_could_be_used():
    columns = {"cloud_fraction": [0.1, 0.3, np.nan], "cloud_fraction_stat_error": [0.03, 0.04, 9]}
    table = QTable(columns | {"cloud_fraction_sys_error": [0.02, 0.04, 9]})
    found = numbers("atmosphere/allsky", table)["cloud_fraction", ""]
    assert found == pytest.approx((0.2, 0.025, 0.03, ""))


def test_chunks_of_an_illuminator():
    columns = {"mean": [0.2, 0.4, 9], "stat_error": [0.03, 0.04, 9], "sys_error": [0.01, 0.03, 9]}
    table = Table(columns | {"is_valid": [True, True, False]})
    found = numbers("throughput/illuminator_throughput", {"chunks": table})
    assert found["illuminator_throughput", ""] == pytest.approx((0.3, 0.025, 0.02, ""))


def test_each_valid_telescope_of_the_array():
    table = QTable(
        {
            "array_element": ["LSTN-01", "MSTN-02"],
            "offset": [0.002, 9] * u.us,
            "stat_error": [0.1, 9] * u.ns,
            "sys_error": [0.2, 9] * u.ns,
            "is_valid": [True, False],
        }
    )
    found = numbers("array/timing", {"telescopes": table})
    assert found == {("time_offset", "LSTN-01"): pytest.approx((2, 0.1, 0.2, "ns"))}
    table = Table(table[["array_element", "is_valid"]], copy=True)
    table["value"], table["error"], table["sys_error"] = [1.02, 9], [0.01, 9], [0.02, 9]
    found = numbers("array/inter_calibration", {"telescopes": table})
    assert found == {("relative_throughput", "LSTN-01"): (1.02, 0.01, 0.02, "")}


def test_pointing_model_and_other_kinds():
    header = {"sky_rms_in_arcsec": 6.0}
    found = numbers("pointing/pointing_model", {}, header)
    assert found["pointing_model_residual", ""][0] == 6.0
    assert monitored_values("atmosphere/lidar", {}, {}) == []
    assert "atmosphere/lidar" not in MONITORED


def test_as_json_what_is_not_known_is_null():
    assert MonitoredValue("gain", 80.0, 0.5, unit="ADC / p.e.").text() == {
        **{"quantity": "gain", "value": 80.0, "stat_error": 0.5, "sys_error": None},
        **{"unit": "ADC / p.e.", "array_element": None},
    }

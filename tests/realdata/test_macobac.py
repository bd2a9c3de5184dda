"""Mean CO2 of the real records of Scripps and NOAA: anchor A17, both agree."""

from datetime import date

import numpy as np
import pytest
from ctapipe.core import run_tool

from calibpipe.atmosphere.macobac import SCALE_ERROR, TREND, macobac, parse_monthly_co2
from calibpipe.core.products import read_table
from calibpipe.tools.calculate_macobac import KIND, CalculateMacobac

pytestmark = pytest.mark.realdata
PPM = 1e-6


@pytest.fixture(scope="module")
def scripps(shared_data):
    return parse_monthly_co2((shared_data / "co2/monthly_in_situ_co2_mlo.csv").read_text())


@pytest.fixture(scope="module")
def noaa(shared_data):
    return parse_monthly_co2((shared_data / "co2/noaa_co2_mm_mlo.csv").read_text())


def test_macobac_A17(scripps):
    result = macobac(scripps)
    assert result.co2_mole_fraction.value == pytest.approx(419.3125 * PPM, rel=1e-12)
    assert (result.first_month, result.last_month) == ("2022-07", "2023-06")
    assert (result.n_months, result.calendar_months) == (12, 12)
    used = slice(-18, -6)
    assert np.mean(scripps.seasonally_adjusted[used]).value == pytest.approx(
        419.3017 * PPM, rel=1e-7
    )
    assert 0.05 * PPM < result.stat_error.value < 0.2 * PPM


def test_records_are_complete(scripps, noaa):
    assert scripps.months[[0, -1]].astype(str).tolist() == ["1958-01", "2023-12"]
    # 13 fill rows: January, February, June and October 1958, February to April 1964, and 6 more.
    assert np.isnan(scripps.co2_mole_fraction).sum() == 13
    assert noaa.months[0] == np.datetime64("1958-03")
    assert np.all(np.diff(noaa.months).astype(int) == 1)
    # NOAA's table holds one interpolated month of its own.
    assert noaa.months[np.isnan(noaa.co2_mole_fraction)].astype(str).tolist() == ["1975-12"]


def test_interpolated_month_is_skipped(noaa):
    result = macobac(noaa, date(1976, 2, 1))
    assert (result.first_month, result.calendar_months) == ("1975-02", 13)


def test_scale_error_is_the_difference_of_scripps_and_noaa(scripps, noaa):
    """Root mean square over half a century; never more than twice that."""
    difference = np.array(
        [
            np.subtract(*(macobac(r, date(year, 6, 30)).co2_mole_fraction for r in (noaa, scripps)))
            for year in range(1975, 2024)
        ]
    )
    assert np.sqrt(np.mean(difference**2)) == pytest.approx(SCALE_ERROR, rel=0.1)
    assert np.max(np.abs(difference)) < 2 * SCALE_ERROR


def test_growth_is_the_one_of_the_systematic_error(noaa):
    means = [macobac(noaa, date(year, 12, 31)).co2_mole_fraction.value for year in (2014, 2024)]
    assert (means[1] - means[0]) / 10 == pytest.approx(TREND, rel=0.05)


def test_last_known_value_is_that_of_the_record(noaa):
    tool = CalculateMacobac()
    result = macobac(noaa, date(tool.last_known_year, 12, 31))
    assert (result.first_month, result.last_month) == ("2024-01", "2024-12")
    known = tool.last_known_co2_mole_fraction
    assert result.co2_mole_fraction.value == pytest.approx(known, abs=tool.last_known_stat_error)
    assert result.stat_error.value < tool.last_known_stat_error


@pytest.mark.parametrize("name", ["monthly_in_situ_co2_mlo.csv", "noaa_co2_mm_mlo.csv"])
def test_tool(shared_data, root, tmp_path, name):
    argv = [f"--site={root}/config/sites/CTAO-South.yaml", "--night=2023-01-20"]
    argv += [f"--input={shared_data}/co2/{name}", f"--output={tmp_path}/macobac.ecsv"]
    run_tool(CalculateMacobac(), argv=argv, cwd=tmp_path, raises=True)
    table = read_table(tmp_path / "macobac.ecsv", KIND)
    assert table["last_month"][0] == "2023-01"
    assert 417.5 * PPM < table["co2_mole_fraction"][0] < 419 * PPM

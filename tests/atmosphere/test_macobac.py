"""Mean CO2: three file layouts, missing months, errors; all records here are synthetic."""

from datetime import date

import astropy.units as u
import numpy as np
import pytest

from calibpipe.atmosphere.macobac import (
    MonthlyCO2,
    last_known_macobac,
    macobac,
    parse_monthly_co2,
)
from calibpipe.core.exceptions import CorruptedInputError, InsufficientStatisticsError

PPM = 1e-6
SEASON = (1, 2, 3, 2, 1, 0, -1, -2, -3, -2, -1, 0)  # ppm, adds up to zero over a year
FILL = -99.99


def months(first, number):
    return np.datetime64(first, "M") + np.arange(number)


def adjusted_ppm(number):
    """Growth of 0.2 ppm a month."""
    return 400 + 0.2 * np.arange(number)


def ppm(first, number):
    season = [SEASON[m.astype(object).month - 1] for m in months(first, number)]
    return adjusted_ppm(number) + season


def scripps(first="2020-01", number=36, missing=()):
    lines = [
        '"-----------------------------"',
        '" Columns 1-4, "dates"; 2012-01 is no row "',
        "  Yr, Mn,    Date,      Date,     CO2,seasonally,        fit,  seasonally,      CO2,",
        "    ,   ,        ,          ,        ,  adjusted,           ,adjusted fit,   filled,",
        "    ,   ,   Excel,          ,   [ppm],    [ppm] ,      [ppm],    [ppm],       [ppm],",
    ]
    for month, co2, adjusted in zip(
        months(first, number), ppm(first, number), adjusted_ppm(number), strict=True
    ):
        year, name = str(month).split("-")
        values = (FILL, FILL) if str(month) in missing else (co2, adjusted)
        columns = [*values, 111.11, 222.22, 333.33, 444.44]
        numbers = ",".join(f"{value:9.2f}" for value in columns)
        lines.append(f"{year}, {name},   43831,  2020.0410,{numbers}, MLO")
    return "\n".join(lines) + "\n"


def noaa(first="2020-01", number=36, missing=(), two_columns=True):
    header = "year,month,decimal date,average,deseasonalized,ndays,sdev,unc"
    lines = ["# USE OF NOAA GML DATA", "# 2020-01 is no row", header]
    if not two_columns:
        lines = ["Date,Decimal Date,Average,Interpolated,Trend,Number of Days"]
    for month, co2, adjusted in zip(
        months(first, number), ppm(first, number), adjusted_ppm(number), strict=True
    ):
        name = str(month).replace("-", ",") if two_columns else str(month)
        rest = "-1,-9.99,-0.99" if str(month) in missing else "25,0.50,0.20"
        lines.append(f"{name},2020.0417,{co2:.2f},{adjusted:.2f},{rest}")
    return "\n".join(lines) + "\n"


def record(first="2020-01", number=36, with_adjusted=True):
    adjusted = adjusted_ppm(number) if with_adjusted else np.full(number, np.nan)
    return MonthlyCO2(
        months(first, number), ppm(first, number) * PPM * u.one, adjusted * PPM * u.one
    )


@pytest.mark.parametrize(
    "text", [scripps(), noaa(), noaa(two_columns=False)], ids=["scripps", "noaa", "noaa-date"]
)
def test_layouts_give_the_same_record(text):
    parsed = parse_monthly_co2(text)
    assert parsed.months[[0, -1]].astype(str).tolist() == ["2020-01", "2022-12"]
    np.testing.assert_allclose(parsed.co2_mole_fraction.value, ppm("2020-01", 36) * PPM)
    np.testing.assert_allclose(parsed.seasonally_adjusted.value, adjusted_ppm(36) * PPM)
    # Last year: 400 + 0.2 (24 + ... + 35)/12 = 405.9 ppm, the season adds up to nothing.
    assert macobac(parsed).co2_mole_fraction.value == pytest.approx(405.9 * PPM, rel=1e-12)


@pytest.mark.parametrize("layout", [scripps, noaa])
def test_months_not_measured_are_nan(layout):
    parsed = parse_monthly_co2(layout(missing=("2021-03", "2022-12")))
    gaps = np.isnan(parsed.co2_mole_fraction.value)
    assert parsed.months[gaps].astype(str).tolist() == ["2021-03", "2022-12"]
    assert np.array_equal(gaps, np.isnan(parsed.seasonally_adjusted.value))


def test_trailing_fill_rows_change_nothing():
    fills = tuple(months("2023-01", 6).astype(str))
    filled = parse_monthly_co2(scripps(number=42, missing=fills))
    assert filled.months.size == 42
    assert macobac(filled).last_month == "2022-12"
    assert macobac(filled).co2_mole_fraction == macobac(record()).co2_mole_fraction


def test_old_months_without_day_counts_are_measurements():
    """Before May 1974 NOAA's table repeats Scripps and knows no days."""
    parsed = parse_monthly_co2(noaa("1974-03", 4, missing=("1974-04", "1974-05")))
    assert np.isnan(parsed.co2_mole_fraction.value).tolist() == [False, False, True, False]


@pytest.mark.parametrize("fill", ["-99.99", "-9.99", '"-99.99"', " -99.99 ", "0", "nan"])
def test_fill_values_in_any_form(fill):
    text = noaa().replace("2022,12,2020.0417,407.00", f"2022,12,2020.0417,{fill}")
    assert f",{fill}," in text
    assert macobac(parse_monthly_co2(text)).last_month == "2022-11"


def test_fill_values_of_an_array_are_skipped():
    values = record().co2_mole_fraction.copy()
    values[-1], values[-2], values[-3] = -99.99 * PPM, np.nan, 0
    masked = MonthlyCO2(record().months, values, record().seasonally_adjusted)
    assert macobac(masked).last_month == "2022-09"


def test_a_night_sees_no_later_month():
    """Reprocessing gives the same number when the record has grown."""
    long, short = record(number=60), record(number=30)
    night = date(2022, 6, 30)
    assert macobac(long, night) == macobac(short, night)
    result = macobac(long, night)
    assert (result.first_month, result.last_month) == ("2021-07", "2022-06")
    # Months 18 to 29: 400 + 0.2 x 23.5.
    assert result.co2_mole_fraction.value == pytest.approx(404.7 * PPM, rel=1e-12)
    assert macobac(long, date(2022, 7, 1)).last_month == "2022-07"


def test_missing_months_are_skipped_and_the_span_says_so():
    parsed = parse_monthly_co2(scripps(missing=("2022-02", "2022-03", "2022-10")))
    result = macobac(parsed)
    assert (result.n_months, result.calendar_months) == (12, 15)
    assert (result.first_month, result.last_month) == ("2021-10", "2022-12")
    used = [i for i in range(21, 36) if i not in (25, 26, 33)]
    assert result.co2_mole_fraction.value == pytest.approx(
        np.mean(ppm("2020-01", 36)[used]) * PPM, rel=1e-12
    )
    # What is left of the season, (-2 - 2 - 3 + 1 + 0 + ...)/12, is a systematic error.
    left = abs(np.mean((ppm("2020-01", 36) - adjusted_ppm(36))[used])) * PPM
    assert left > 0.4 * PPM
    middle = np.mean(months("2020-01", 36)[used].astype("datetime64[D]").astype(float))
    age = float(np.datetime64("2022-12-01").astype(float) - middle) / 365.25
    expected = np.sqrt((0.3 * PPM) ** 2 + (2.5 * PPM * age) ** 2 + left**2)
    assert result.sys_error.value == pytest.approx(expected, rel=1e-9)


def test_statistical_error_is_the_scatter_about_the_trend():
    """Residuals of +-0.3 ppm: sqrt(12 x 0.09/10/12) = 0.0949 ppm."""
    assert macobac(record()).stat_error.value == pytest.approx(0, abs=1e-13)
    scatter = np.tile([0.3, -0.3, -0.3, 0.3], 9) * PPM  # no slope, no mean over four months
    noisy = MonthlyCO2(
        record().months,
        record().co2_mole_fraction,
        record().seasonally_adjusted + scatter,
    )
    assert macobac(noisy).stat_error.value == pytest.approx(0.3 * PPM / np.sqrt(10), rel=1e-6)


def test_statistical_error_without_adjusted_values_holds_the_season():
    """An upper limit: the season about a straight line, 0.38 ppm."""
    result = macobac(record(with_adjusted=False))
    slope_removed = np.polyval(np.polyfit(range(12), SEASON, 1), range(12))
    expected = np.sqrt(np.sum((np.array(SEASON) - slope_removed) ** 2) / 10 / 12)
    assert result.stat_error.value == pytest.approx(expected * PPM, rel=1e-9)
    assert expected == pytest.approx(0.383, abs=1e-3)


def test_statistical_error_covers_the_scatter_of_the_mean():
    """200 records with 0.5 ppm of noise: the pull of the mean has width 1."""
    rng = np.random.default_rng(7)
    pulls = []
    for _ in range(200):
        noise = rng.normal(0, 0.5, 12) * PPM
        adjusted = adjusted_ppm(12) * PPM + noise
        noisy = MonthlyCO2(months("2022-01", 12), ppm("2022-01", 12) * PPM + noise, adjusted)
        result = macobac(noisy)
        pulls.append((result.co2_mole_fraction.value / PPM - 401.1) * PPM / result.stat_error.value)
    # Student's t with 10 degrees of freedom: width 1.118; its error is 1.118/sqrt(2 x 200) x 1.3.
    assert np.std(pulls) == pytest.approx(np.sqrt(10 / 8), abs=3 * 0.073)
    assert np.mean(pulls) == pytest.approx(0, abs=3 * 1.118 / np.sqrt(200))


def test_systematic_error_grows_with_the_age_of_the_record():
    """Scale 0.3 ppm and 2.5 ppm a year since the middle of the twelve months."""
    middle = date(2022, 6, 30)  # mean of the 15ths of January to December 2022: day 180.9
    for years in (1, 3):
        night = date(middle.year + years, 6, 30)
        expected = np.hypot(0.3, 2.5 * years) * PPM
        result = macobac(record(), night)
        assert result.sys_error.value == pytest.approx(expected, rel=0.004)


def test_twelve_months_are_needed():
    assert macobac(record(number=12)).n_months == 12
    message = r"needs 12 measured months up to the end, got 11 in a record of 11; give a longer"
    with pytest.raises(InsufficientStatisticsError, match=message):
        macobac(record(number=11))
    with pytest.raises(InsufficientStatisticsError, match="up to 2020-03-01, got 3"):
        macobac(record(), date(2020, 3, 1))


def test_last_known_value_is_not_extrapolated_and_its_error_grows():
    one, ten = (
        last_known_macobac(424.61e-6, 0.12e-6, 2024, date(2024 + years, 6, 30)) for years in (1, 10)
    )
    assert one.co2_mole_fraction == ten.co2_mole_fraction == 424.61e-6
    assert (one.first_month, one.last_month, one.n_months) == ("2024-01", "2024-12", 12)
    assert one.sys_error.value == pytest.approx(np.hypot(0.3, 2.5) * PPM, rel=0.004)
    assert ten.sys_error.value == pytest.approx(np.hypot(0.3, 25) * PPM, rel=0.004)
    before = last_known_macobac(424.61e-6, 0.12e-6, 2024, date(2023, 6, 30))
    assert before.sys_error.value == pytest.approx(one.sys_error.value, rel=0.01)


@pytest.mark.parametrize("text", ["", "<!DOCTYPE html>\n<html>2020</html>", "a,b\n1,2\n"])
def test_text_without_months_is_refused(text):
    with pytest.raises(CorruptedInputError, match=rf"no monthly CO2 in a text of {len(text)} char"):
        parse_monthly_co2(text)


def test_truncated_row_is_refused():
    text = scripps()
    cut = text[: text.rindex("2020.0410") + 14]
    with pytest.raises(
        CorruptedInputError, match=r"line 41 has 5 columns, needs one of \[8, 10, 11"
    ):
        parse_monthly_co2(cut)


def test_foreign_table_is_refused():
    with pytest.raises(CorruptedInputError, match=r"line 1 has 3 columns, needs one of \[7\]"):
        parse_monthly_co2("2020-01,2020.04,413.6\n")


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("2021,06,", "2021,13,", r"line 21 cannot be read"),
        (",25,0.50,", ",many,0.50,", r"line 4 cannot be read .*many"),
        (
            "2020,04,2020.0417,402.60",
            "2020,04,2020.0417,4.026",
            r"gives 4.026 ppm, outside 150-1000",
        ),
        ("2020,05,", "2020,03,", r"line 8 comes after 2020-04, months must ascend"),
        ("2021,01,", "Copyright,01,", r"line 16 is no month"),
    ],
)
def test_damaged_rows_are_refused(good, bad, message):
    text = noaa()
    assert good in text
    with pytest.raises(CorruptedInputError, match=message):
        parse_monthly_co2(text.replace(good, bad, 1))

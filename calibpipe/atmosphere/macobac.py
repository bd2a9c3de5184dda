"""MACOBAC: mean atmospheric CO2 background concentration, from monthly means at Mauna Loa.

The records of Scripps and of NOAA are read from text; the twelve last measured months up to a
night give the mean. CO2 matters little: 60 ppm change the Rayleigh cross-section by 7e-5.

References
----------
Keeling et al. 2001, SIO Reference Series 01-06, Scripps Institution of Oceanography.
Lan, Tans, Thoning, NOAA Global Monitoring Laboratory, Trends in CO2 (monthly, Mauna Loa).
"""

import re
from dataclasses import dataclass
from datetime import date

import astropy.units as u
import numpy as np

from ..core.exceptions import CorruptedInputError, InsufficientStatisticsError

__all__ = ["Macobac", "MonthlyCO2", "last_known_macobac", "macobac", "parse_monthly_co2"]

N_MONTHS = 12
PPM = 1e-6
# Scripps and NOAA differ by 0.3 ppm (root mean square of 1975-2023, at most 0.53 ppm).
SCALE_ERROR = 0.3 * PPM
TREND = 2.5 * PPM  # per year: growth at Mauna Loa 2014-2024, NOAA monthly record
PLAUSIBLE_PPM = (150.0, 1000.0)
NOAA_BEGIN = np.datetime64("1974-05")  # before, NOAA's table repeats Scripps without day counts


@dataclass(frozen=True)
class MonthlyCO2:
    """Monthly record of CO2.

    Parameters
    ----------
    months : ndarray of datetime64[M], shape (n_months,)
        Ascending.
    co2_mole_fraction : Quantity, shape (n_months,)
        Monthly mean in dry air; NaN where the month was not measured.
    seasonally_adjusted : Quantity, shape (n_months,)
        The same without the seasonal cycle; NaN where not given.
    """

    months: np.ndarray
    co2_mole_fraction: u.Quantity
    seasonally_adjusted: u.Quantity


@dataclass(frozen=True)
class Macobac:
    """Mean CO2 of twelve months.

    Parameters
    ----------
    co2_mole_fraction, stat_error, sys_error : Quantity
        Dimensionless.
    first_month, last_month : str
        First and last month used, ``YYYY-MM``.
    n_months : int
        Months used.
    calendar_months : int
        Months from first to last; more than `n_months` where some were not measured.
    """

    co2_mole_fraction: u.Quantity
    stat_error: u.Quantity
    sys_error: u.Quantity
    first_month: str
    last_month: str
    n_months: int
    calendar_months: int


@dataclass(frozen=True)
class _Layout:
    n_columns: tuple[int, ...]
    co2: int
    adjusted: int
    days: int | None  # column with the number of days measured


# The month comes as two columns (year, month) or as one (YYYY-MM).
_TWO_COLUMNS = (
    _Layout(n_columns=(10, 11), co2=4, adjusted=5, days=None),  # Scripps
    _Layout(n_columns=(8,), co2=3, adjusted=4, days=5),  # NOAA
)
# The header of this table names six columns, its rows have NOAA's seven: rows are believed.
_ONE_COLUMN = (_Layout(n_columns=(7,), co2=2, adjusted=3, days=4),)


def parse_monthly_co2(text: str) -> MonthlyCO2:
    """Monthly record from the text of a Scripps or a NOAA file.

    Known layouts (comma-separated; comments begin with ``"`` or ``#``, headers with a word):
    Scripps ``monthly_in_situ_co2_mlo.csv``, NOAA ``co2_mm_mlo.csv``, and NOAA's columns with the
    month as ``YYYY-MM``. Not measured, hence NaN: fill values (-99.99, -9.99 or any other value
    that is not positive) and months that NOAA interpolated (no days measured). The gap-filled
    columns of Scripps are not used.

    Raises
    ------
    CorruptedInputError
        If no row is a month, a row has too few or too many columns, or a value is no number, no
        month, implausible (outside 150-1000 ppm) or out of order. The message gives the line.
    """
    rows: list[tuple[np.datetime64, float, float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not re.match(r"\s*\d{4}\s*[,-]", line):
            if rows and line.strip() and not line.lstrip().startswith(("#", '"')):
                raise _corrupted(number, line, "is no month")
            continue
        row = _month_row(number, line)
        if rows and row[0] <= rows[-1][0]:
            raise _corrupted(number, line, f"comes after {rows[-1][0]}, months must ascend")
        rows.append(row)
    if not rows:
        start = text.lstrip()[:40].splitlines()
        raise CorruptedInputError(
            f"no monthly CO2 in a text of {len(text)} characters that begins with "
            f"{start[0] if start else ''!r}; give a Scripps or NOAA table of Mauna Loa"
        )
    months, co2, adjusted = zip(*rows, strict=True)
    return MonthlyCO2(
        np.array(months, dtype="datetime64[M]"),
        np.array(co2) * PPM << u.dimensionless_unscaled,
        np.array(adjusted) * PPM << u.dimensionless_unscaled,
    )


def _month_row(number: int, line: str) -> tuple[np.datetime64, float, float]:
    """Month, mean and seasonally adjusted mean (ppm, NaN if not measured) of one line."""
    fields = [field.strip().strip('"').strip() for field in line.split(",")]
    one_column = "-" in fields[0]
    layouts = _ONE_COLUMN if one_column else _TWO_COLUMNS
    layout = next((one for one in layouts if len(fields) in one.n_columns), None)
    if layout is None:
        expected = sorted(n for one in layouts for n in one.n_columns)
        raise _corrupted(number, line, f"has {len(fields)} columns, needs one of {expected}")
    try:
        year, month = fields[0].split("-")[:2] if one_column else fields[:2]
        when = np.datetime64(f"{int(year):04d}-{int(month):02d}", "M")
        co2, adjusted = float(fields[layout.co2]), float(fields[layout.adjusted])
        days = 1.0 if layout.days is None else float(fields[layout.days])
    except ValueError as error:
        raise _corrupted(number, line, f"cannot be read ({error})") from error
    interpolated = days <= 0 and when >= NOAA_BEGIN
    if interpolated or not co2 > 0:
        return when, np.nan, np.nan
    low, high = PLAUSIBLE_PPM
    if not low <= co2 <= high:
        raise _corrupted(number, line, f"gives {co2:g} ppm, outside {low:g}-{high:g} ppm")
    return when, co2, adjusted if adjusted > 0 else np.nan


def _corrupted(number: int, line: str, what: str) -> CorruptedInputError:
    return CorruptedInputError(
        f"monthly CO2, line {number} {what}: {line.strip()[:60]!r}; get the file again"
    )


def macobac(record: MonthlyCO2, until: date | None = None) -> Macobac:
    """Mean CO2 of the last twelve measured months.

    Statistical error: scatter of the twelve seasonally adjusted values about a straight line,
    divided by sqrt(12); of the unadjusted ones, season included and therefore an upper limit, if
    the record has no adjusted ones. Systematic error: calibration scale (0.3 ppm), growth between
    the middle of the twelve months and `until` (2.5 ppm a year), and what is left of the season
    (mean of unadjusted minus adjusted values), added in quadrature.

    Parameters
    ----------
    record : MonthlyCO2
        Values that are NaN or not positive count as not measured and are skipped.
    until : date, optional
        The last month used is the one of this date, or an earlier one. Default: the whole
        record, and the growth up to its last month.

    Raises
    ------
    InsufficientStatisticsError
        If fewer than twelve months were measured up to `until`.
    """
    co2 = u.Quantity(record.co2_mole_fraction, u.one).value
    adjusted = u.Quantity(record.seasonally_adjusted, u.one).value
    usable = co2 > 0
    if until is not None:
        usable &= record.months <= np.datetime64(until, "M")
    used = np.flatnonzero(usable)[-N_MONTHS:]
    if used.size < N_MONTHS:
        raise InsufficientStatisticsError(
            f"the mean CO2 needs {N_MONTHS} measured months up to {until or 'the end'}, got "
            f"{used.size} in a record of {record.months.size}; give a longer record"
        )
    months = record.months[used]
    has_adjusted = bool(np.all(adjusted[used] > 0))
    season = float(np.mean(co2[used] - adjusted[used])) if has_adjusted else 0.0
    middle = np.mean(_mid_month(months))
    end = _mid_month(months[-1:])[0] if until is None else _day_number(until)
    return Macobac(
        co2_mole_fraction=np.mean(co2[used]) << u.one,
        stat_error=_scatter(months, adjusted[used] if has_adjusted else co2[used]) << u.one,
        sys_error=_grown_error(np.hypot(SCALE_ERROR, season), end - middle),
        first_month=str(months[0]),
        last_month=str(months[-1]),
        n_months=N_MONTHS,
        calendar_months=int((months[-1] - months[0]).astype(int)) + 1,
    )


def last_known_macobac(
    co2_mole_fraction: float | u.Quantity, stat_error: float | u.Quantity, year: int, night: date
) -> Macobac:
    """Published mean of a calendar year, for a night when there is no record to be had.

    The value is not extrapolated; the systematic error grows by 2.5 ppm for each year between
    the middle of `year` and the night, later or earlier.

    Parameters
    ----------
    co2_mole_fraction, stat_error : float or Quantity
        Annual mean and its error, dimensionless.
    year : int
        Calendar year of the mean.
    night : date
        Night that it is used for.
    """
    months = np.arange(f"{year:04d}-01", f"{year + 1:04d}-01", dtype="datetime64[M]")
    return Macobac(
        co2_mole_fraction=u.Quantity(co2_mole_fraction, u.one),
        stat_error=u.Quantity(stat_error, u.one),
        sys_error=_grown_error(SCALE_ERROR, _day_number(night) - np.mean(_mid_month(months))),
        first_month=str(months[0]),
        last_month=str(months[-1]),
        n_months=N_MONTHS,
        calendar_months=N_MONTHS,
    )


def _grown_error(error: float, age_in_days: float) -> u.Quantity:
    """Error after (or before) the time of measurement, in quadrature with the growth of CO2."""
    return np.hypot(error, TREND * age_in_days / 365.25) << u.one


def _scatter(months: np.ndarray, values: np.ndarray) -> float:
    """Standard error of a mean, from the scatter about a straight line in time."""
    # ASSUME: months are independent; what correlates them is in the systematic error.
    time = (months - months[0]).astype(float)
    residuals = values - np.polyval(np.polyfit(time, values, 1), time)
    return float(np.sqrt(np.sum(residuals**2) / (values.size - 2) / values.size))


def _mid_month(months: np.ndarray) -> np.ndarray:
    """Days since 1970 of the 15th of months."""
    return months.astype("datetime64[D]").astype(float) + 14.0


def _day_number(day: date) -> float:
    return float(np.datetime64(day, "D").astype(int))

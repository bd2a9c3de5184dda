"""Orientation of the Earth (UT1, pole) from the table that comes with astropy: no download.

``finals2000A.all`` of ``astropy_iers_data``: one line of 188 bytes a day, measured until the
release of the package, predicted for a year after it. Only the lines that are needed are read.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from .exceptions import CorruptedInputError, MissingInputError

__all__ = ["EarthOrientation", "earth_orientation", "earth_orientation_table"]

_LINE = 188  # bytes, with the end of the line
_COLUMNS = ((18, 27), (37, 46), (58, 68), (68, 78))  # pole x, y; UT1-UTC, its error
_ARCSECOND = np.deg2rad(1 / 3600)


@dataclass(frozen=True)
class EarthOrientation:
    """Orientation at some times, arrays of their shape.

    Parameters
    ----------
    ut1_utc, ut1_utc_error : ndarray, s
        The Earth turns by 15 arcsec in a second.
    pole_x, pole_y : ndarray, rad
        Polar motion.
    is_predicted : ndarray, bool
    """

    ut1_utc: NDArray
    ut1_utc_error: NDArray
    pole_x: NDArray
    pole_y: NDArray
    is_predicted: NDArray


def earth_orientation_table() -> Path:
    """Table of the installed package."""
    from astropy_iers_data import IERS_A_FILE

    return Path(IERS_A_FILE)


def earth_orientation(times: Time, table: Path | None = None) -> EarthOrientation:
    """Linear interpolation between the days of the table.

    Parameters
    ----------
    times : Time, any shape
    table : Path, optional
        File in the format of ``finals2000A.all``; the installed one if not given.

    Raises
    ------
    MissingInputError
        If there is no table, or a time is outside of it: no orientation is ever made up.
    CorruptedInputError
        If the table is not what it says.
    """
    path = table or earth_orientation_table()
    mjd = np.asarray(times.utc.mjd, float)
    day, values, predicted = _days(path, int(np.floor(mjd.min())), int(np.floor(mjd.max())) + 1)
    at = np.floor(mjd).astype(int) - day
    part = mjd - np.floor(mjd)
    x, y, ut1, error = values
    step = np.diff(ut1)
    step -= np.rint(step)  # a leap second begins with the next day
    return EarthOrientation(
        ut1[at] + part * step[at],
        np.maximum(error[at], error[at + 1]),
        x[at] + part * np.diff(x)[at],
        y[at] + part * np.diff(y)[at],
        predicted[at] | predicted[at + 1],
    )


def _days(path: Path, first: int, last: int) -> tuple[int, NDArray, NDArray]:
    """First day, (pole x, pole y, UT1-UTC, its error) of the days, whether predicted."""
    try:
        with Path(path).open("rb") as stream:
            begin = _day(stream.read(_LINE), path)
            stream.seek(max(first - begin, 0) * _LINE)
            text = stream.read((last - first + 1) * _LINE)
    except FileNotFoundError as error:
        raise MissingInputError(
            f"{path} does not exist: install astropy-iers-data (UT1 and pole of the Earth)"
        ) from error
    lines = [text[i : i + _LINE] for i in range(0, len(text), _LINE)]
    lines = [line for line in lines if line[58:68].strip()]
    if first < begin or len(lines) < last - first + 1:
        end = _last_day(path)
        raise MissingInputError(
            f"orientation of the Earth is known from MJD {begin} to {end} "
            f"({Time(end, format='mjd').strftime('%Y-%m-%d')}) in {path}, asked for MJD {first} to "
            f"{last}; check the date, or update the package astropy-iers-data"
        )
    if _day(lines[0], path) != first or _day(lines[-1], path) != last:
        raise CorruptedInputError(f"{path} does not have one line of {_LINE} bytes for every day")
    try:
        numbers = np.array([[float(line[a:b]) for a, b in _COLUMNS] for line in lines]).T
    except ValueError as error:
        raise CorruptedInputError(f"{path} is no table of the IERS: {error}") from error
    numbers[:2] *= _ARCSECOND
    predicted = np.array([line[57:58] == b"P" for line in lines])
    return first, numbers, predicted


def _day(line: bytes, path: Path) -> int:
    try:
        return int(float(line[7:15]))
    except ValueError as error:
        raise CorruptedInputError(
            f"{path} is no table of the IERS (finals2000A): no day in {line[:16]!r}"
        ) from error


def _last_day(path: Path) -> int:
    lines = Path(path).read_bytes().splitlines()
    return next((_day(line, path) for line in reversed(lines) if line[58:68].strip()), 0)

"""Triggers of telescopes in slices of time, as the observatory lists them (ECSV)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time
from numpy.typing import NDArray

from .ecsv_input import read_ecsv
from .exceptions import CorruptedInputError, MissingInputError

__all__ = ["TriggerRates", "read_trigger_rates"]

COLUMNS = ("begin_utc", "end_utc", "tel_id", "n_triggers", "zenith")
OPTIONAL = ("live_fraction", "throughput", "throughput_error", "gain", "gain_error")
MAX_DIFFERENCE = 1 * u.deg  # of the zenith angles in a slice: the array looks at one field


@dataclass(frozen=True)
class TriggerRates:
    """Triggers by slice and telescope.

    Attributes
    ----------
    begin, end : ndarray, shape (n_slices,), s
        TAI, since 1970.
    zenith : Quantity, shape (n_slices,), deg
    tel_ids : ndarray, shape (n_tel,), int
    n_triggers : ndarray, shape (n_slices, n_tel)
        NaN where a telescope did not take part or is excluded.
    more : dict of str to ndarray, shape (n_slices, n_tel)
        Columns live_fraction, throughput, throughput_error, gain, gain_error that are there.
    n_excluded : int
        Rows marked ``is_excluded`` (bright star, moon, tests).
    """

    begin: NDArray
    end: NDArray
    zenith: u.Quantity
    tel_ids: NDArray
    n_triggers: NDArray
    more: dict[str, NDArray]
    n_excluded: int


def read_trigger_rates(path: str | Path) -> TriggerRates:
    """Triggers of an ECSV table, one row for a telescope in a slice of time.

    Raises
    ------
    MissingInputError
        If there is no such file, or no row that is not excluded.
    CorruptedInputError
        If it is no such table, times or units are wrong, a telescope is twice in a slice, triggers
        are negative, or the telescopes of a slice do not look at one field.
    """
    table = read_ecsv(path, "trigger rates")
    if missing := [name for name in COLUMNS if name not in table.colnames]:
        raise CorruptedInputError(f"{path} lacks the columns {', '.join(missing)}")
    excluded = np.zeros(len(table), bool)
    if "is_excluded" in table.colnames:
        excluded = np.asarray(table["is_excluded"], bool)
    used = table[~excluded]
    if len(used) == 0:
        raise MissingInputError(f"{path} has no row that is not excluded; give rates of the night")
    begin, end, zenith = (*(_time(path, used, n) for n in COLUMNS[:2]), _zenith(path, used))
    if np.any(end <= begin):
        raise CorruptedInputError(
            f"{path}: {int(np.sum(end <= begin))} slices end before they begin"
        )
    spans, slices = np.unique(np.stack([begin, end], axis=1), axis=0, return_inverse=True)
    tel_ids, place = np.unique(np.asarray(used["tel_id"], int), return_inverse=True)
    slices, shape = slices.ravel(), (len(spans), len(tel_ids))
    if len(np.unique(slices * shape[1] + place)) < len(used):
        raise CorruptedInputError(f"{path}: a telescope is twice in a slice of time")

    def matrix(name: str) -> NDArray:
        out = np.full(shape, np.nan)
        out[slices, place] = np.asarray(u.Quantity(used[name]).value, float)
        return out

    n_triggers = matrix("n_triggers")
    if np.any(n_triggers < 0):
        raise CorruptedInputError(f"{path}: negative numbers of triggers")
    return TriggerRates(
        begin=spans[:, 0],
        end=spans[:, 1],
        zenith=_of_slices(path, zenith, slices, len(spans)),
        tel_ids=tel_ids,
        n_triggers=n_triggers,
        more={name: matrix(name) for name in OPTIONAL if name in used.colnames},
        n_excluded=int(excluded.sum()),
    )


def _time(path: Any, table: QTable, name: str) -> NDArray:
    try:
        return Time(table[name], scale="utc").tai.unix_tai
    except (ValueError, TypeError) as error:
        raise CorruptedInputError(
            f"{path}: {name} is no time, write 2024-07-10T23:00:00 ({error})"
        ) from error


def _zenith(path: Any, table: QTable) -> NDArray:
    try:
        zenith = u.Quantity(table["zenith"]).to_value(u.deg)
    except u.UnitConversionError as error:
        raise CorruptedInputError(f"{path}: zenith has no unit of angle ({error})") from error
    if not np.all((zenith >= 0) & (zenith < 90)):
        raise CorruptedInputError(
            f"{path}: zenith angles from {np.min(zenith):g} to {np.max(zenith):g} deg, must be "
            "from 0 to below 90 deg"
        )
    return zenith


def _of_slices(path: Any, zenith: NDArray, slices: NDArray, n_slices: int) -> u.Quantity:
    mean = np.bincount(slices, zenith, n_slices) / np.bincount(slices, minlength=n_slices)
    largest = np.max(np.abs(zenith - mean[slices]))
    if largest > MAX_DIFFERENCE.to_value(u.deg):
        raise CorruptedInputError(
            f"{path}: telescopes of one slice differ by {largest:g} deg in zenith angle, at most "
            f"{MAX_DIFFERENCE:g} are one field; give observations of the whole array"
        )
    return mean * u.deg

"""Trigger rates of an array under air of known transparency."""

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time
from numpy.typing import ArrayLike, NDArray

from ..atmosphere.transparency import RateModel
from ..core.night import AstronomicalNight

__all__ = ["culminating_field", "night_slices", "passing_cloud", "simulated_trigger_rates"]


def night_slices(night: AstronomicalNight, wanted: u.Quantity) -> tuple[Time, u.Quantity, NDArray]:
    """Equal slices of a night: begins, length (about the wanted), middles in parts of the night."""
    whole = night.duration.to(u.s)
    n_slices = max(1, round((whole / wanted).to_value(u.one)))
    part = (np.arange(n_slices) + 0.5) / n_slices
    return night.dusk + np.arange(n_slices) / n_slices * whole, whole / n_slices, part


def culminating_field(part: ArrayLike, zenith: u.Quantity) -> u.Quantity:
    """Zenith angles of a field, from its smallest in the middle of the night to both ends.

    Parameters
    ----------
    part : array_like, shape (n,)
        Of the night, from 0 to 1.
    zenith : Quantity, shape (2,)
        In the middle and at the ends.
    """
    return zenith[0] + (zenith[1] - zenith[0]) * np.abs(2 * np.asarray(part, float) - 1)


def passing_cloud(part: ArrayLike, transparency: float, begin: float, end: float) -> NDArray:
    """Transparency 1, but of the cloud from `begin` until `end` (parts of the night)."""
    at = np.asarray(part, float)
    return np.where((at >= begin) & (at < end), transparency, 1.0)


def simulated_trigger_rates(
    begin: Time,
    duration: u.Quantity,
    zenith: u.Quantity,
    transparency: ArrayLike,
    tel_ids: ArrayLike,
    throughput: ArrayLike,
    gain: ArrayLike,
    rate: u.Quantity,
    model: RateModel,
    rng: np.random.Generator,
    dead_time: u.Quantity = 0 * u.us,
) -> QTable:
    """Table as `read_trigger_rates` takes it.

    Parameters
    ----------
    begin : Time, shape (n_slices,)
    duration : Quantity, scalar
    zenith, transparency : Quantity and array_like, shape (n_slices,)
    tel_ids, throughput, gain : array_like, shape (n_tel,)
    rate : Quantity, shape (n_tel,) or scalar
        At the zenith for transparency, throughput and gain of 1.
    model : RateModel
    rng : numpy Generator
    dead_time : Quantity
        Not prolonged by triggers.
    """
    light = np.multiply.outer(np.asarray(transparency, float), np.multiply(throughput, gain))
    fall = np.cos(zenith.to_value(u.rad))[:, None] ** model.zenith_exponent
    true = rate.to_value(u.Hz) * light**model.exponent * fall
    live = 1 / (1 + true * dead_time.to_value(u.s))
    mean = true * live * duration.to_value(u.s)
    # counts of a counter with dead time: variance n live^2, Gaussian for the thousands there are
    n_triggers = np.rint(rng.normal(mean, np.sqrt(mean) * live)).astype(int)
    n_slices, n_tel = n_triggers.shape
    return QTable(
        {
            "begin_utc": np.repeat(begin.utc.isot, n_tel),
            "end_utc": np.repeat((begin + duration).utc.isot, n_tel),
            "tel_id": np.tile(np.asarray(tel_ids, int), n_slices),
            "n_triggers": n_triggers.ravel(),
            "zenith": np.repeat(zenith, n_tel),
        }
    )

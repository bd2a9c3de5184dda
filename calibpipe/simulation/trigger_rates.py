"""Trigger rates of an array under air of known transparency."""

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time
from numpy.typing import ArrayLike

from ..atmosphere.transparency import RateModel

__all__ = ["simulated_trigger_rates"]


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

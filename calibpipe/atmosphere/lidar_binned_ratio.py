"""Signal of a LIDAR over that of the molecules, in bins."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.lidar_files import CALIBRATED, PHOTON_COUNTING, LidarSignal
from .lidar_rayleigh_fit import WindowSums
from .lidar_signal import (
    dead_time_corrected,
    rebinned,
    signal_above_background,
    signal_noise,
)

__all__ = ["BinnedRatio", "binned_ratio"]

_SPEED_OF_LIGHT = 0.299792458  # m/ns


@dataclass(frozen=True)
class BinnedRatio:
    """Ratio of signal to molecules in bins.

    Parameters
    ----------
    ratio, variance : ndarray, (n_profiles, n_bins)
    weight : ndarray, (n_bins,)
        Expected photons, any unit.
    background_error : ndarray, (n_profiles,)
        Error of the background that was subtracted, in the unit of ratio times weight.
    """

    ratio: NDArray
    variance: NDArray
    weight: NDArray
    background_error: NDArray

    def sums(self, distance: u.Quantity) -> WindowSums:
        """Sums over windows, slopes against km."""
        return WindowSums(
            self.ratio,
            self.variance,
            self.weight,
            distance.to_value(u.km),
            self.background_error,
        )


def binned_ratio(
    channel: LidarSignal,
    attenuated_backscatter: u.Quantity,
    n_profiles: int,
    n_bins: int,
    background: u.Quantity,
    dead_time: u.Quantity,
) -> BinnedRatio:
    r"""Ratio of photons to the molecular expectation, :math:`\sum S/\sum(\beta_m^{att}/r^2)`.

    Sums of photons over sums of expectations: no bias from the fall of the signal inside a bin.
    Counts are divided by their shots.

    Parameters
    ----------
    channel : LidarSignal
    attenuated_backscatter : Quantity, (n_bins of the channel,)
        Molecular, `MolecularSignal.attenuated_backscatter` at the ranges of the channel.
    n_profiles, n_bins : int
        Averaged.
    background, dead_time : Quantity
        As in `RetrievalSettings`; of the counter.

    Raises
    ------
    CorruptedInputError, InsufficientStatisticsError, ConfigurationError
        As the steps in `lidar_signal`.
    """
    r = channel.distance.to_value(u.m)
    signal, gain = channel.values, None
    stretch: NDArray | float = 1.0
    if channel.mode == CALIBRATED:
        signal = signal / r**2
    if channel.mode == PHOTON_COUNTING:
        gain = 1.0
        duration = 2.0 * (r[1] - r[0]) / _SPEED_OF_LIGHT * u.ns
        signal = dead_time_corrected(channel.values, channel.shots, duration, dead_time)
        with np.errstate(invalid="ignore", divide="ignore"):
            stretch = np.where(channel.values > 0, signal / channel.values, 1.0)
    expected = attenuated_backscatter.to_value(1 / u.m / u.sr) / r**2
    far = channel.distance >= background
    signal, floor, common = signal_above_background(signal, far, expected)
    variance = signal_noise(signal, floor, gain).variance * stretch**3
    shots = channel.shots[:, np.newaxis]
    per_shot = (common / channel.shots)[: common.size // n_profiles * n_profiles]
    common = np.sqrt(np.mean(per_shot.reshape(-1, n_profiles) ** 2, axis=1) / n_profiles)
    signal, variance = rebinned(signal / shots, variance / shots**2, n_profiles, n_bins)
    weight = rebinned(expected[np.newaxis], np.zeros((1, r.size)), 1, n_bins)[0][0]
    return BinnedRatio(signal / weight, variance / weight**2, weight, common)

"""A camera with known truth: gain, pedestal, noise, light yield, time, faults of every pixel.

The channels of a camera with two are high gain (0) and low gain (1); a camera with one channel has
high gain alone. Light and waveforms are made of it by `light` and `waveforms`.
"""

from dataclasses import dataclass
from enum import IntFlag

import astropy.units as u
import numpy as np
from astropy.table import QTable
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError

__all__ = [
    "CameraSpread",
    "CameraTruth",
    "PixelFault",
    "camera_truth",
    "truth_from_table",
    "truth_table",
]

# ASSUME: how the faulty pixels of the simulation are faulty.
HOT_PEDESTAL = 100.0  # ADC per sample above the others
HOT_NSB = 10.0  # times the night-sky background of the others (a star)
FLICKER_GAIN = 0.5  # gain of a flickering pixel in half of its events, drawn event by event


class PixelFault(IntFlag):
    """Bits of `CameraTruth.status`; a good pixel has none."""

    DEAD = 1
    HOT = 2
    NOISY = 4
    FLICKERING = 8


@dataclass(frozen=True)
class CameraSpread:
    """Means and spreads that the pixels of a camera are drawn from.

    Parameters
    ----------
    high_gain : float
        ADC of the integrated charge of one mean photoelectron, high gain.
    gain_ratio : float
        High over low gain; of no effect with one channel.
    gain_spread, gain_ratio_spread, efficiency_spread : float
        Relative standard deviations over pixels.
    pedestal, pedestal_spread : float
        ADC per sample, all channels.
    electronic_noise : tuple of float
        ADC rms per sample, one value a channel: high and low gain.
    noise_spread : float
        Relative standard deviation of the electronic noise over pixels.
    nsb_rate : float
        Photoelectrons per nanosecond of the night sky in a pixel of efficiency 1.
    time_spread : float
        Standard deviation of the time offsets over pixels, ns.
    squared_excess_noise_factor : float
        F² = 1 + Var(q)/<q>² of the charge of single photoelectrons.
    gain_drift, pedestal_drift : float
        Per hour: relative change of gain, change of pedestal in ADC per sample.
    drift_spread : float
        Standard deviation over pixels of both drifts, relative to them.
    dead, hot, noisy, flickering : float
        Fractions of the pixels, rounded to whole ones.
    noise_of_noisy : float
        Electronic noise of noisy pixels, times that of the others: above that of the night sky.
    """

    high_gain: float = 85.0  # LST: 17.4 times less in low gain (Kobayashi et al. 2021)
    gain_ratio: float = 17.4
    gain_spread: float = 0.05
    gain_ratio_spread: float = 0.02
    efficiency_spread: float = 0.04
    pedestal: float = 400.0
    pedestal_spread: float = 2.0
    electronic_noise: tuple[float, ...] = (5.0, 1.5)
    noise_spread: float = 0.05
    nsb_rate: float = 0.25
    time_spread: float = 0.5
    squared_excess_noise_factor: float = 1.222  # LST
    gain_drift: float = 0.0
    pedestal_drift: float = 0.0
    drift_spread: float = 0.2
    dead: float = 0.0
    hot: float = 0.0
    noisy: float = 0.0
    flickering: float = 0.0
    noise_of_noisy: float = 20.0


# What differs from an LST. NectarCAM: medians of a camera in its calibration run 3255 (test data of
# nectarchain), noise of sim_telarray (prod6). FlashCam: sim_telarray (test data of pyeventio, flat
# field with true p.e.), samples of 4 ns.
CAMERA_SPREADS = {
    "LSTCam": CameraSpread(),
    "NectarCam": CameraSpread(
        high_gain=58.1, gain_ratio=13.85, pedestal=248.0, electronic_noise=(3.6, 3.6)
    ),
    "FlashCam": CameraSpread(
        high_gain=25.9, pedestal=244.0, electronic_noise=(1.0,), noise_of_noisy=60.0
    ),
}
# ASSUME: of the FPGA boards in all the others.
PIXELS_PER_MODULE = {"FlashCam": 12}


@dataclass(frozen=True)
class CameraTruth:
    """What a calibration should find, pixel by pixel, at the reference time (hour 0).

    Parameters
    ----------
    gain : ndarray, shape (n_channels, n_pixels)
        ADC of the integrated charge of one mean photoelectron; 0 in dead pixels.
    pedestal : ndarray, shape (n_channels, n_pixels)
        ADC per sample, with the offset of the electronics.
    electronic_noise : ndarray, shape (n_channels, n_pixels)
        ADC rms per sample.
    nsb_rate : ndarray, shape (n_pixels,)
        Photoelectrons per nanosecond.
    relative_efficiency : ndarray, shape (n_pixels,)
        Photoelectrons over those of a mean pixel in the same light.
    time_offset : ndarray, shape (n_pixels,)
        ns; positive: the pulse comes late.
    status : ndarray, shape (n_pixels,), uint8
        Bits of `PixelFault`.
    gain_drift : ndarray, shape (n_pixels,)
        Relative change of the gain of every channel per hour.
    pedestal_drift : ndarray, shape (n_channels, n_pixels)
        ADC per sample and hour.
    squared_excess_noise_factor : float
        Of the charge of single photoelectrons.
    """

    gain: NDArray
    pedestal: NDArray
    electronic_noise: NDArray
    nsb_rate: NDArray
    relative_efficiency: NDArray
    time_offset: NDArray
    status: NDArray
    gain_drift: NDArray
    pedestal_drift: NDArray
    squared_excess_noise_factor: float

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return self.status.size

    def gain_at(self, hours: ArrayLike) -> NDArray:
        """Gain `hours` after the reference time, shape (..., n_channels, n_pixels)."""
        hours = np.asarray(hours, dtype=float)[..., np.newaxis, np.newaxis]
        return self.gain * (1 + hours * self.gain_drift)

    def pedestal_at(self, hours: ArrayLike) -> NDArray:
        """Pedestal `hours` after the reference time, shape (..., n_channels, n_pixels)."""
        hours = np.asarray(hours, dtype=float)[..., np.newaxis, np.newaxis]
        return self.pedestal + hours * self.pedestal_drift


def camera_truth(
    n_pixels: int, rng: Generator, spread: CameraSpread | None = None, n_channels: int = 2
) -> CameraTruth:
    """Pixels drawn from a spread; no pixel has two faults.

    Parameters
    ----------
    n_pixels : int
        Number of pixels.
    rng : Generator
        Source of all randomness.
    spread : CameraSpread, optional
        What they are drawn from.
    n_channels : int
        Gain channels (``CameraReadout.n_channels``): 2, or 1 (FlashCam).

    Raises
    ------
    ConfigurationError
        If the fractions of faulty pixels add up to more than 1, F² is not above 1, there are
        neither one nor two channels, or the electronic noise has another number of them.
    """
    spread = spread or CameraSpread()
    _check_spread(spread)
    _check_channels(spread, n_channels)
    shape = (n_channels, n_pixels)
    relative_gain = _around_one(rng, spread.gain_spread, n_pixels)
    ratio = spread.gain_ratio * _around_one(rng, spread.gain_ratio_spread, n_pixels)
    gain = spread.high_gain * relative_gain / np.stack([np.ones(n_pixels), ratio])[:n_channels]
    efficiency = _around_one(rng, spread.efficiency_spread, n_pixels)
    pedestal = rng.normal(spread.pedestal, spread.pedestal_spread, shape)
    noise = np.array(spread.electronic_noise)[:, np.newaxis]
    noise = noise * _around_one(rng, spread.noise_spread, shape)
    nsb_rate = spread.nsb_rate * efficiency
    time_offset = rng.normal(0.0, spread.time_spread, n_pixels)
    gain_drift = spread.gain_drift * rng.normal(1.0, spread.drift_spread, n_pixels)
    pedestal_drift = spread.pedestal_drift * rng.normal(1.0, spread.drift_spread, shape)
    status = _faults(n_pixels, spread, rng)
    gain[:, status == PixelFault.DEAD] = 0.0
    pedestal[:, status == PixelFault.HOT] += HOT_PEDESTAL
    nsb_rate[status == PixelFault.HOT] *= HOT_NSB
    noise[:, status == PixelFault.NOISY] *= spread.noise_of_noisy
    return CameraTruth(
        gain=gain,
        pedestal=pedestal,
        electronic_noise=noise,
        nsb_rate=nsb_rate,
        relative_efficiency=efficiency,
        time_offset=time_offset,
        status=status,
        gain_drift=gain_drift,
        pedestal_drift=pedestal_drift,
        squared_excess_noise_factor=spread.squared_excess_noise_factor,
    )


def _check_spread(spread: CameraSpread) -> None:
    faulty = spread.dead + spread.hot + spread.noisy + spread.flickering
    if faulty > 1:
        raise ConfigurationError(
            f"fractions of faulty pixels add up to {faulty:g}, needs at most 1; lower `dead`, "
            "`hot`, `noisy` or `flickering`"
        )
    if spread.squared_excess_noise_factor <= 1:
        raise ConfigurationError(
            f"squared excess noise factor is {spread.squared_excess_noise_factor:g}, needs more "
            "than 1; photomultipliers have about 1.2"
        )


def _check_channels(spread: CameraSpread, n_channels: int) -> None:
    if n_channels not in (1, 2):
        raise ConfigurationError(
            f"camera has {n_channels} gain channels, needs 1 or 2; give the readout of a camera "
            "with high gain, or with high and low gain"
        )
    n_given = len(spread.electronic_noise)
    if n_given != n_channels:
        raise ConfigurationError(
            f"`electronic_noise` has {n_given} values, needs {n_channels}: one for each gain "
            "channel of the camera; give as many"
        )


def _around_one(rng: Generator, spread: float, shape: int | tuple[int, ...]) -> NDArray:
    """Log-normal deviates of mean 1: no gain and no efficiency is ever negative."""
    sigma = np.sqrt(np.log1p(spread**2))
    return np.exp(rng.normal(-(sigma**2) / 2, sigma, shape))


def _faults(n_pixels: int, spread: CameraSpread, rng: Generator) -> NDArray:
    status = np.zeros(n_pixels, np.uint8)
    order = rng.permutation(n_pixels)
    first = 0
    for fault in PixelFault:
        n = round(getattr(spread, str(fault.name).lower()) * n_pixels)
        status[order[first : first + n]] = fault
        first += n
    return status


_UNITS = {
    "gain": u.adu,
    "pedestal": u.adu,
    "electronic_noise": u.adu,
    "nsb_rate": 1 / u.ns,
    "relative_efficiency": u.one,
    "time_offset": u.ns,
    "gain_drift": 1 / u.h,
    "pedestal_drift": u.adu / u.h,
}


def truth_table(truth: CameraTruth) -> QTable:
    """Truth as a table, one row a pixel; quantities of channels have one entry a channel and row.

    The squared excess noise factor is the same in every row, so that nothing is outside the table.
    """
    table = QTable({"pixel_id": np.arange(truth.n_pixels), "status": truth.status})
    for name, unit in _UNITS.items():
        table[name] = getattr(truth, name).T * unit
    table["squared_excess_noise_factor"] = np.full(
        truth.n_pixels, truth.squared_excess_noise_factor
    )
    return table


def truth_from_table(table: QTable) -> CameraTruth:
    """Truth of a table made by `truth_table`."""
    values = {name: u.Quantity(table[name]).to_value(unit).T for name, unit in _UNITS.items()}
    return CameraTruth(
        status=np.asarray(table["status"]),
        squared_excess_noise_factor=float(table["squared_excess_noise_factor"][0]),
        **values,
    )

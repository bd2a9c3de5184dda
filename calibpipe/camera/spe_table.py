"""Single photoelectrons of a camera: checks of the runs as a whole, tables for the product."""

from collections import Counter
from collections.abc import Mapping

import astropy.units as u
import numpy as np
from astropy.table import QTable
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .charge_histograms import ChargeHistograms
from .single_photoelectron import SpeResult
from .spe_start import pedestal_peak, spectrum_moments
from .spe_status import FATAL, REASONS, SpeStatus

__all__ = [
    "common_difference",
    "require_channels",
    "require_high_voltage",
    "require_photoelectrons",
    "spe_table",
    "spectra_table",
    "with_outliers",
]

_UNIT = {"pedestal", "pedestal_width", "gain", "mu", "peak_distance"}
_UNIT |= {"high_pedestal", "high_pedestal_width", "high_gain"}
_MASKED = FATAL | SpeStatus.AT_BOUND | SpeStatus.POOR_FIT | SpeStatus.OUTLIER
_MAJORITY = 0.5
_MIN_VOLTAGE_RATIO = 1.2
_SEEN = 10.0  # errors: a mean charge that is there


def with_outliers(result: SpeResult, n_channels: int, max_relative_deviation: float) -> NDArray:
    """Status of pixels, those marked whose gain is far from the median of their channel.

    Parameters
    ----------
    result : SpeResult
        Pixels of the first channel, then those of the second.
    n_channels : int
    max_relative_deviation : float
        Of the gain from the median.

    Returns
    -------
    ndarray, shape (n_channels * n_pixels,), int32
    """
    status = result.status.reshape(n_channels, -1).copy()
    gain = result["gain"].reshape(n_channels, -1)
    for own, values in zip(status, gain, strict=True):
        good = (own & (_MASKED & ~SpeStatus.OUTLIER)) == 0
        if good.any():
            with np.errstate(invalid="ignore"):
                away = np.abs(values / np.median(values[good]) - 1) > max_relative_deviation
            own[away] |= SpeStatus.OUTLIER
    return status.ravel()


def require_photoelectrons(status: NDArray, n_channels: int, where: str) -> None:
    """Complain if most pixels of the first channel have no single photoelectron.

    Parameters
    ----------
    status : ndarray, shape (n_channels * n_pixels,)
        Bits of `SpeStatus`.
    n_channels : int
    where : str
        Run, for the message.

    Raises
    ------
    ConfigurationError
        If most pixels are too bright: it is another kind of run.
    InsufficientStatisticsError
        If most see no light, or no pixel at all can be used.
    """
    first = status.reshape(n_channels, -1)[0]
    alive = (first & SpeStatus.EMPTY) == 0
    n_alive = max(int(alive.sum()), 1)
    bright = int(np.count_nonzero(first & SpeStatus.TOO_BRIGHT))
    dark = int(np.count_nonzero(first & SpeStatus.NO_SIGNAL))
    if bright > _MAJORITY * n_alive:
        raise ConfigurationError(
            f"{where} is no run of single photoelectrons: {bright} of {n_alive} pixels have no "
            "pedestal peak below the light (a flat field?); give a run with about 1 photoelectron "
            "an event, or lower the light"
        )
    if dark > _MAJORITY * n_alive:
        raise InsufficientStatisticsError(
            f"{where}: {dark} of {n_alive} pixels see no photoelectrons above the pedestal; "
            "is the light source off, the high voltage off, or the window of samples elsewhere?"
        )
    if not np.any((first & FATAL) == 0):
        tally = Counter(
            text for bit, text in REASONS.items() for _ in range(np.count_nonzero(first & bit))
        )
        found = "; ".join(f"{n} pixels: {text}" for text, n in tally.most_common())
        raise InsufficientStatisticsError(
            f"{where} has no pixel with single photoelectrons: {found}; give more events, or "
            "look at the run"
        )


def require_channels(charge: ChargeHistograms, where: str) -> None:
    """Complain if the second channel has more gain than the first.

    Parameters
    ----------
    charge : ChargeHistograms
        Of (n_channels, n_pixels).
    where : str
        Run, for the message.

    Raises
    ------
    ConfigurationError
        If high and low gain are swapped.
    """
    if len(charge.low_edge) < 2:
        return
    flat = charge.flat()
    moments, (pedestal, width) = spectrum_moments(flat), pedestal_peak(flat)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = moments.mean - pedestal
        seen = excess > _SEEN * width / np.sqrt(moments.n)
    excess, seen = (values.reshape(len(charge.low_edge), -1) for values in (excess, seen))
    both = seen[0] & seen[1]
    if both.sum() > _MAJORITY * both.size and np.median(excess[1][both] / excess[0][both]) > 1:
        ratio = float(np.median(excess[1][both] / excess[0][both]))
        raise ConfigurationError(
            f"{where}: the same light has {ratio:.3g} times as much charge in channel 1 (low gain) "
            "as in channel 0 (high gain): the channels are swapped; mend the data stream"
        )


def require_high_voltage(result: SpeResult, where: str) -> None:
    """Complain if what should be high voltage has no more gain.

    Raises
    ------
    ConfigurationError
        If the runs are swapped, or of one voltage.
    """
    if "high_gain" not in result.names:
        return
    ratio = result["high_gain"] / result["gain"]
    known = np.isfinite(ratio)
    if known.any() and np.median(ratio[known]) < _MIN_VOLTAGE_RATIO:
        raise ConfigurationError(
            f"{where}: the gain of the run at high voltage is {np.median(ratio[known]):.3g} times "
            f"that of the other one, needs at least {_MIN_VOLTAGE_RATIO}; swap --input and "
            "--high-voltage, or leave out --high-voltage"
        )


def common_difference(result: SpeResult, status: NDArray, n_channels: int) -> NDArray:
    r"""Relative difference of the gains with and without a model, common to a channel.

    .. math:: d = \sqrt{\max(m^2 - \epsilon_m^2, 0)}, \qquad
              m = \mathrm{median}(g_\mathrm{free}/g - 1)

    Parameters
    ----------
    result : SpeResult
    status : ndarray
        Of `with_outliers`.
    n_channels : int

    Returns
    -------
    ndarray, shape (n_channels,)
        0 of a channel with fewer than 2 good pixels.
    """
    good = ((status & _MASKED) == 0).reshape(n_channels, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = (result.model_independent.gain / result["gain"] - 1).reshape(n_channels, -1)
    found = np.zeros(n_channels)
    for channel in range(n_channels):
        own = difference[channel][good[channel] & np.isfinite(difference[channel])]
        if own.size > 1:
            error = np.sqrt(np.pi / 2) * own.std(ddof=1) / np.sqrt(own.size)
            found[channel] = np.sqrt(max(np.median(own) ** 2 - error**2, 0.0))
    return found


def spe_table(result: SpeResult, status: NDArray, n_events: NDArray, difference: NDArray) -> QTable:
    """Table with a row for each channel and pixel.

    Parameters
    ----------
    result : SpeResult
    status : ndarray, shape (n_channels * n_pixels,)
        Of `with_outliers`.
    n_events : ndarray, same shape
    difference : ndarray, shape (n_channels,)
        Relative systematic error of the gain (`common_difference`).
    """
    n_channels = len(difference)
    n_pixels = len(status) // n_channels
    channel = np.repeat(np.arange(n_channels), n_pixels)
    table = QTable({"channel": channel.astype(np.int8)})
    table["pixel_id"] = np.tile(np.arange(n_pixels, dtype=np.int32), n_channels)
    table["status"] = status.astype(np.int32)
    table["outlier_mask"] = (status & _MASKED) != 0
    table["n_events"] = n_events.astype(np.int64)
    for name in result.names:
        row = result.names.index(name)
        sys_error = result.sys_error[row]
        if name in ("gain", "high_gain"):
            sys_error = np.hypot(sys_error, difference[channel] * result.value[row])
        _add(table, name, result.value[row], name in _UNIT)
        _add(table, f"{name}_stat_error", result.stat_error[row], name in _UNIT)
        _add(table, f"{name}_sys_error", sys_error, name in _UNIT)
    for name in ("chi2", "n_dof", "p_value", "deviance", "n_iterations", "leakage"):
        table[name] = getattr(result, name)
    free = result.model_independent
    for name in ("gain", "gain_error", "light", "light_error", "resolution"):
        column = f"model_independent_{name.replace('_error', '_stat_error')}"
        _add(table, column, getattr(free, name), name.startswith("gain"))
    return table


def _add(table: QTable, name: str, values: NDArray, is_charge: bool) -> None:
    table[name] = values * u.adu if is_charge else values


def spectra_table(spectra: Mapping[str, ChargeHistograms]) -> QTable:
    """Spectra of runs, a row for each channel and pixel in the order of `spe_table`.

    Parameters
    ----------
    spectra : mapping of str to ChargeHistograms
        By the beginning of their columns (``nominal``, ``high_voltage``), each (n_channels,
        n_pixels); columns ``..._counts`` (n_bins), ``..._low_edge`` and ``..._bin_width`` (ADC),
        ``..._below``, ``..._above`` and ``..._saturated``.
    """
    table = QTable()
    for run, histograms in spectra.items():
        flat = histograms.flat()
        small = flat.counts.max(initial=0) < 1 << 16
        table[f"{run}_counts"] = flat.counts.astype(np.uint16 if small else np.uint32)
        table[f"{run}_low_edge"] = flat.low_edge * u.adu
        table[f"{run}_bin_width"] = flat.bin_width * u.adu
        for name in ("below", "above", "saturated"):
            table[f"{run}_{name}"] = getattr(flat, name).astype(np.int64)
    return table

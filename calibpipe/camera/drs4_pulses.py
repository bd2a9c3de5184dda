"""Sampling times of DRS4 chips from the DL0 events of a run of pulses, batch by batch."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numba import njit

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .drs4_run import RawRun, Readings
from .drs4_time_lapse import TimeLapse, time_lapse_corrected
from .drs4_timing import SamplingSums, SamplingTimes
from .extraction import local_peak_window_sum

__all__ = ["PulseSettings", "corrected_waveform", "pulse_sampling_times"]

_MIN_PIXELS = 5  # with a pulse: what all have in common needs some
_FAR = 8.0  # ns, of a time from those of the others: DRS4 chips are late by 4 ns at most


@dataclass(frozen=True)
class PulseSettings:
    """How pulses become sampling times.

    Parameters
    ----------
    event_type : int
        Value of ctapipe's EventType.
    window_width, window_shift : int
        Of the window about the highest sample.
    min_charge : tuple of float
        ADC, of high and low gain; smaller pulses do not count.
    n_harmonics : int
    min_entries : int
        Pulses in each bin of 8 capacitors.
    """

    event_type: int = 0
    window_width: int = 12
    window_shift: int = 5
    min_charge: tuple[float, ...] = (200.0, 200.0)
    n_harmonics: int = 16
    min_entries: int = 10


def corrected_waveform(readings: Readings, baseline: np.ndarray, law: TimeLapse) -> np.ndarray:
    """Waveforms without time lapse and baselines of their capacitors, ADC; NaN without a baseline.

    Parameters
    ----------
    readings : Readings
    baseline : array, (n_channels, n_pixels, n_capacitors), ADC
    law : TimeLapse
    """
    corrected = time_lapse_corrected(readings.waveform, readings.elapsed, law)
    _subtract_baseline(corrected, readings.first, baseline)
    return corrected


@njit(cache=True)
def _subtract_baseline(waveform, first, baseline):
    n_events, n_channels, n_pixels, n_samples = waveform.shape
    for channel in range(n_channels):
        for pixel in range(n_pixels):
            for event in range(n_events):
                at = first[event, channel, pixel]
                for s in range(n_samples):
                    waveform[event, channel, pixel, s] -= baseline[channel, pixel, at]
                    at = at + 1 if at + 1 < baseline.shape[2] else 0


def pulse_sampling_times(
    run: RawRun, baseline: np.ndarray, law: TimeLapse, settings: PulseSettings
) -> tuple[SamplingTimes, int]:
    """Fourier series of the peak times, and the number of pulses of light.

    Times are less the mean of the other pixels of the gain in each event.

    Parameters
    ----------
    run : RawRun
        Of all events: the others tell when capacitors were read.
    baseline : array, (n_channels, n_pixels, n_capacitors), ADC
    law : TimeLapse
    settings : PulseSettings

    Raises
    ------
    ConfigurationError
        If there is no `min_charge` for each gain.
    InsufficientStatisticsError
        If there are no pulses, or too few for any pixel.
    """
    n_channels, n_pixels = run.shape
    if len(settings.min_charge) != n_channels:
        raise ConfigurationError(
            f"min_charge has {len(settings.min_charge)} values, the camera has {n_channels} gain "
            "channels; give one for each"
        )
    least = np.array(settings.min_charge)[:, np.newaxis]
    sums, n_events = SamplingSums(n_channels, n_pixels), 0
    for readings in run.readings():
        own = readings.batch.event_type == settings.event_type
        n_events += int(own.sum())
        if not own.any():
            continue
        waveform = corrected_waveform(readings, baseline, law)[own]
        charge, peak_time = local_peak_window_sum(
            waveform,
            run.camera.sampling_frequency * u.MHz,
            window_width=settings.window_width,
            window_shift=settings.window_shift,
        )
        time = np.where(charge > least, peak_time.to_value(u.ns), np.nan)
        sums.add(_relative(time), readings.first_read[own])
    if not n_events:
        raise InsufficientStatisticsError(
            f"no event of type {settings.event_type} among {run.report.n_events} of observation "
            f"{run.camera.obs_id}: a run of another type? Sampling times need pulses of light"
        )
    times = sums.times(n_harmonics=settings.n_harmonics, min_entries=settings.min_entries)
    return times, n_events


def _relative(time: np.ndarray) -> np.ndarray:
    """Less the mean of the others in each event and gain; NaN with few pulses, or far away."""
    found = np.full(time.shape, np.nan)
    enough = np.isfinite(time).sum(axis=-1) >= _MIN_PIXELS
    own = time[enough]
    if not len(own):
        return found
    away = own - np.nanmedian(own, axis=-1, keepdims=True)
    away[np.abs(away) > _FAR] = np.nan
    n = np.isfinite(away).sum(axis=-1, keepdims=True)
    mean = np.nansum(away, axis=-1, keepdims=True) / np.maximum(n, 1)
    found[enough] = np.where(n >= _MIN_PIXELS, (away - mean) * n / np.maximum(n - 1, 1), np.nan)
    return found

"""Table of the closed and the open camera without light: baseline, noise, rate of the sky."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import Table

from .integration_window import (
    PulseShape,
    WindowCorrection,
    centroid,
    fixed_window_correction,
    local_peak_correction,
    pulse_shape,
)
from .light_scan import CombinedChunks, LightScan
from .nsb_rate import nsb_rate, pulse_gain, window_response
from .pedestal import pedestal_level
from .photon_transfer import PhotonTransfer

ROUNDS = 5  # from the centroid of a pulse to its maximum
# ASSUME: the shape of the pulse predicts its centroid to this, ns (B-TEL-1380: 1 ns in all).
TIME_ERROR = 0.2

__all__ = ["night_sky_table", "scan_window_correction"]


def scan_window_correction(
    pulse: PulseShape,
    peak_time: np.ndarray,
    peak_time_rms: np.ndarray,
    readout: Any,
    extraction: Mapping[str, Any],
) -> WindowCorrection:
    """Correction of the window that the flat fields of a run were integrated over.

    Parameters
    ----------
    pulse : PulseShape
        Of the camera.
    peak_time, peak_time_rms : array, (n_channels, n_pixels), ns
        Mean and standard deviation of the centroid of flat-field pulses.
    readout : CameraReadout
    extraction : mapping
        Settings of the statistics.

    Returns
    -------
    WindowCorrection
        Arrays (n_channels, n_pixels).
    """
    rate, width = readout.sampling_rate, extraction["window_width"]
    start, shape = extraction.get("flatfield_window_start"), np.shape(peak_time)
    if start is None:
        found = local_peak_correction(
            pulse, rate, width=width, shift=extraction["flatfield_window_shift"]
        )
        parts = (getattr(found, f.name)[:, np.newaxis] for f in fields(found))
        return WindowCorrection(*(np.broadcast_to(part, shape).copy() for part in parts))
    time = np.asarray(peak_time, float)
    for _ in range(ROUNDS):
        time = time - (centroid(pulse, rate, time * u.ns, start=start, width=width) - peak_time)
    return fixed_window_correction(
        pulse,
        rate,
        time * u.ns,
        start=start,
        width=width,
        time_jitter=np.asarray(peak_time_rms, float) * u.ns,
        time_error=TIME_ERROR * u.ns,
    )


def night_sky_table(
    scan: LightScan,
    found: PhotonTransfer,
    dark_charge: CombinedChunks,
    dark_samples: CombinedChunks,
    peak_time: np.ndarray,
    peak_time_rms: np.ndarray,
    readout: Any,
    *,
    extraction: Mapping[str, Any],
    window_width: int,
    baseline: np.ndarray | float,
    squared_excess_noise_factor: float | np.ndarray,
    squared_excess_noise_factor_error: float | np.ndarray,
) -> Table:
    """One row with (n_channels, n_pixels) numbers: dark baseline, window, rate of the night sky.

    Parameters
    ----------
    scan : LightScan
        Its pedestals have seen the sky.
    found : PhotonTransfer
        Gains of the charge in the window.
    dark_charge, dark_samples : CombinedChunks
        Charge and variance within waveforms of the closed camera.
    peak_time, peak_time_rms, readout, extraction
        As for `scan_window_correction`; those of bright light are best.
    window_width : int
    baseline : array or float, ADC per sample
        Subtracted from the waveforms of the closed camera.
    """
    pulse = pulse_shape(readout.reference_pulse_shape, readout.reference_pulse_sample_width)
    window = scan_window_correction(pulse, peak_time, peak_time_rms, readout, extraction)
    with np.errstate(divide="ignore", invalid="ignore"):
        closed = pedestal_level(
            dark_charge,
            dark_samples,
            window_width=window_width,
            n_samples=readout.n_samples,
            subtracted=baseline,
        )
        gain, gain_error = pulse_gain(
            found.gain, found.gain_stat_error, window.factor, window.factor_sys_error
        )
        rate = nsb_rate(
            found.read_noise**2,
            2 * found.read_noise * found.read_noise_error,
            dark_charge.variance,
            dark_charge.variance_error,
            gain,
            window_response(pulse, readout.sampling_rate, window_width),
            gain_error=gain_error,
            squared_excess_noise_factor=squared_excess_noise_factor,
            squared_excess_noise_factor_error=squared_excess_noise_factor_error,
        )
    columns = {f"dark_{f.name}": getattr(closed, f.name) for f in fields(closed)}
    columns |= {f"window_{f.name}": getattr(window, f.name) for f in fields(window)}
    columns |= {
        "sky_rms": found.read_noise,
        "sky_rms_error": found.read_noise_error,
        "nsb_rate": rate.rate,
        "nsb_rate_stat_error": rate.stat_error,
        "nsb_rate_sys_error": rate.sys_error,
    }
    return Table({name: values.astype(np.float32)[np.newaxis] for name, values in columns.items()})

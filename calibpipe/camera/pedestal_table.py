"""Table of the pedestal of every pixel, and the rate of the night sky where the gain is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from ..core.exceptions import ConfigurationError
from .integration_window import pulse_shape
from .light_scan import CombinedChunks
from .nsb_rate import NsbRate, nsb_rate, pulse_gain, window_response
from .pedestal import PedestalStatus, levels_of_chunks, pedestal_status
from .pixel_statistics import ChunkStatistics

__all__ = ["GAIN_COLUMNS", "WINDOW_COLUMNS", "PulseGains", "gains_of_tables", "pedestal_table"]

GAIN_COLUMNS = (
    "gain",
    "gain_stat_error",
    "gain_sys_error",
    "squared_excess_noise_factor",
    "status",
)
WINDOW_COLUMNS = ("window_factor", "window_factor_sys_error")
_LEVELS = ("mean", "window_mean", "sample_rms", "window_rms")
_RATE = ("rate", "stat_error", "sys_error")


@dataclass(frozen=True)
class PulseGains:
    """Gains of whole pulses, arrays (n_channels, n_pixels), ADC per p.e.; F² with its error."""

    gain: np.ndarray
    error: np.ndarray
    squared_excess_noise_factor: np.ndarray
    squared_excess_noise_factor_error: np.ndarray


def gains_of_tables(pixels: Table, sky: Table, shape: tuple[int, int]) -> PulseGains:
    """Gains of a photon transfer; NaN where a pixel has a status.

    The systematic error of its gain is that of F²: it enters the rate once, as that of F².

    Parameters
    ----------
    pixels, sky : Table
        `GAIN_COLUMNS` of its pixels and `WINDOW_COLUMNS` of its night sky, one row.
    shape : tuple of int
        Channels and pixels of the camera.

    Raises
    ------
    ConfigurationError
        If they are of another camera.
    """
    values = {name: np.asarray(pixels[name][0], float) for name in GAIN_COLUMNS}
    if values["gain"].shape != shape:
        raise ConfigurationError(
            f"gains are of {values['gain'].shape} channels and pixels, the pedestals of {shape}; "
            "give the photon transfer of this camera"
        )
    good = values["status"] == 0
    factor, factor_error = (np.asarray(sky[name][0], float) for name in WINDOW_COLUMNS)
    gain, error = pulse_gain(values["gain"], values["gain_stat_error"], factor, factor_error)
    F2 = values["squared_excess_noise_factor"]
    with np.errstate(divide="ignore", invalid="ignore"):
        F2_error = np.where(good, F2 * values["gain_sys_error"] / values["gain"], 0.0)
    return PulseGains(np.where(good, gain, np.nan), error, F2, np.nan_to_num(F2_error))


def pedestal_table(
    dark: tuple[Sequence[ChunkStatistics], Sequence[ChunkStatistics]],
    sky: tuple[Sequence[ChunkStatistics], Sequence[ChunkStatistics]] | None,
    gains: PulseGains | None,
    readout: Any,
    window_width: int,
) -> Table:
    """One row with (n_channels, n_pixels) numbers; NaN of what a pixel's status leaves unknown.

    Parameters
    ----------
    dark, sky : pair of sequences of ChunkStatistics
        Charge with its baseline, and variance within waveforms, of the closed camera and of the
        night sky; without the latter its numbers are NaN.
    gains : PulseGains or None
        Without them the rate of the night sky is NaN.
    readout : CameraReadout
    window_width : int
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        columns, closed = _levels(dark, window_width, readout.n_samples, "dark")
        seen = None
        if sky is not None:
            more, seen = _levels(sky, window_width, readout.n_samples, "sky")
            columns |= more
        status = pedestal_status(closed, seen)
        rate = _rate(closed, seen, gains, readout, window_width)
    nothing = np.full(status.shape, np.nan)
    if seen is None:
        columns |= {name.replace("dark_", "sky_", 1): nothing for name in list(columns)}
        columns["sky_n_events"] = np.zeros(status.shape)
    columns |= {
        f"nsb_rate{'' if name == 'rate' else f'_{name}'}": (
            nothing if rate is None else getattr(rate, name)
        )
        for name in _RATE
    }
    stored = {
        name: values.astype(np.int32)
        if name.endswith("n_events")
        else np.where(status & _unknown_with(name), np.nan, values).astype(np.float32)
        for name, values in columns.items()
    }
    stored["status"] = status
    return Table({name: values[np.newaxis] for name, values in stored.items()})


def _unknown_with(name: str) -> int:
    """Bits of the status with which a column has no value."""
    if name.startswith("dark"):
        return int(PedestalStatus.TOO_FEW_EVENTS | PedestalStatus.NO_NOISE)
    if name.startswith("sky"):
        return int(PedestalStatus.NO_SKY)
    return sum(PedestalStatus)


def _levels(
    chunks: tuple[Sequence[ChunkStatistics], Sequence[ChunkStatistics]],
    width: int,
    n_samples: int,
    kind: str,
) -> tuple[dict[str, np.ndarray], CombinedChunks]:
    """Columns of a pedestal, and its charges."""
    level, sys_error, charge = levels_of_chunks(*chunks, window_width=width, n_samples=n_samples)
    columns = {f"{kind}_n_events": charge.n_events}
    for name in _LEVELS:
        source, scale = ("mean", width) if name == "window_mean" else (name, 1)
        columns |= {
            f"{kind}_{name}": scale * getattr(level, source),
            f"{kind}_{name}_stat_error": scale * getattr(level, f"{source}_error"),
            f"{kind}_{name}_sys_error": scale * sys_error[source],
        }
    return columns, charge


def _rate(
    dark: CombinedChunks,
    sky: CombinedChunks | None,
    gains: PulseGains | None,
    readout: Any,
    window_width: int,
) -> NsbRate | None:
    if sky is None or gains is None:
        return None
    pulse = pulse_shape(readout.reference_pulse_shape, readout.reference_pulse_sample_width)
    return nsb_rate(
        sky.variance,
        sky.variance_error,
        dark.variance,
        dark.variance_error,
        gains.gain,
        window_response(pulse, readout.sampling_rate, window_width),
        gain_error=gains.error,
        squared_excess_noise_factor=gains.squared_excess_noise_factor,
        squared_excess_noise_factor_error=gains.squared_excess_noise_factor_error,
    )

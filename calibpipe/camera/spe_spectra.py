"""Spectra of runs, how they are judged, and what they show before any fit."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .charge_histograms import ChargeHistograms
from .spe_fit import FitSettings
from .spe_start import ModelIndependent, model_independent, pedestal_of_dark, pedestal_peak
from .spe_status import SpeStatus

__all__ = ["SeenSpectra", "SpeSettings", "Spectra", "seen_spectra"]

_SIGNAL_SIGMA = 5.0  # above the pedestal: 3e-7 of the events without light


@dataclass(frozen=True)
class SpeSettings:
    """How spectra become gains.

    Parameters
    ----------
    sensor : str
        ``photomultiplier`` or ``sipm``.
    p_raw, n : float
        Shape of the photoelectron where no run at high voltage tells (start values where one does).
    p_raw_error, n_error : float
        Their uncertainty: a part of the systematic error.
    recovery_ratio : float
        Of a SiPM: recovery time of a cell over mean delay of after-pulses.
    min_events : int
    min_signal_events : int
        Events more than 5 standard deviations above the pedestal.
    max_light : float
        Mean photoelectrons; of more no pedestal is seen.
    max_saturated, max_outside : float
        Fractions of events.
    min_p_value : float
        Below it the fit is poor.
    max_relative_deviation : float
        Of the gain from the camera's median.
    min_separation : float
        Gain over the width of the pedestal.
    dark_in_fit : bool
        Whether the spectrum without light is fitted with the others.
    fit : FitSettings
    """

    sensor: str = "photomultiplier"
    p_raw: float = 0.42
    n: float = 0.813
    p_raw_error: float = 0.05
    n_error: float = 0.05
    recovery_ratio: float = 1.0
    min_events: int = 2000
    min_signal_events: int = 100
    max_light: float = 4.5
    max_saturated: float = 1e-3
    max_outside: float = 0.01
    min_p_value: float = 1e-6
    max_relative_deviation: float = 0.5
    min_separation: float = 1.5
    dark_in_fit: bool = False
    fit: FitSettings = field(default_factory=FitSettings)


@dataclass(frozen=True)
class Spectra:
    """Spectra of a run, pixels along one axis; `dark` has the same bins and no light."""

    charge: ChargeHistograms
    dark: ChargeHistograms | None = None

    def of(self, pixels: NDArray) -> "Spectra":
        """Those of some pixels."""
        return Spectra(
            _of(self.charge, pixels), None if self.dark is None else _of(self.dark, pixels)
        )


@dataclass(frozen=True)
class SeenSpectra:
    """What spectra show without a model."""

    status: NDArray
    pedestal: NDArray
    pedestal_width: NDArray
    free: ModelIndependent


def seen_spectra(spectra: Spectra, settings: SpeSettings) -> SeenSpectra:
    """Pedestal, light, charge, and what makes a spectrum unusable."""
    charge, dark = spectra.charge, spectra.dark
    in_range = charge.counts.sum(axis=1, dtype=int)
    n_events = charge.n_events
    most = charge.counts.max(axis=1)
    status = np.zeros(len(charge.counts), np.int32)
    total = np.maximum(n_events, 1)
    status[(n_events == 0) | (most == n_events)] |= SpeStatus.EMPTY
    status[n_events < settings.min_events] |= SpeStatus.TOO_FEW_EVENTS
    status[charge.saturated > settings.max_saturated * total] |= SpeStatus.SATURATED
    status[(n_events - in_range) > settings.max_outside * total] |= SpeStatus.CLIPPED
    if dark is None:
        pedestal, width = pedestal_peak(charge)
    else:
        pedestal, width = pedestal_of_dark(dark)
    free = model_independent(charge, pedestal, width, dark)
    above = _above(charge, pedestal + _SIGNAL_SIGMA * width)
    dim = above < settings.min_signal_events
    left = in_range - _above(charge, pedestal)
    with np.errstate(divide="ignore", invalid="ignore"):
        rough = -np.log(2 * left / np.maximum(in_range, 1))
    usable = status == 0
    bright = (rough > settings.max_light) | ~np.isfinite(free.light)
    status[usable & dim] |= SpeStatus.NO_SIGNAL
    status[usable & ~dim & bright] |= SpeStatus.TOO_BRIGHT
    return SeenSpectra(status, pedestal, width, free)


def _above(charge: ChargeHistograms, limit: NDArray) -> NDArray:
    """Events in range above a charge, bins as a whole."""
    n_bins = charge.counts.shape[1]
    first = np.nan_to_num(np.ceil((limit - charge.low_edge) / charge.bin_width), nan=0.0)
    return np.sum(charge.counts * (np.arange(n_bins) >= first[:, np.newaxis]), axis=1)


def _of(histograms: ChargeHistograms, pixels: NDArray) -> ChargeHistograms:
    names = ChargeHistograms.__dataclass_fields__
    return ChargeHistograms(**{name: getattr(histograms, name)[pixels] for name in names})

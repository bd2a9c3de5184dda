"""Waveforms of a camera: binned pulses of its light and of the night sky, pedestal and noise.

A waveform is a pedestal, the pulses of the light and of every single photoelectron of the night
sky, and electronic noise, digitised by an ADC that saturates. Channel 0 is high gain, channel 1 low
gain; times are nanoseconds after the centre of the first sample.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError
from .camera import FLICKER_GAIN, CameraTruth, PixelFault
from .digitisation import digitised
from .light import Light

__all__ = ["PulseTemplates", "pulse_templates", "selected_gain", "waveforms"]

HIGH, LOW = 0, 1
_PULSE_THRESHOLD = 0.01  # of the maximum: where a reference pulse begins and ends


@dataclass(frozen=True)
class PulseTemplates:
    """Pulse of one photoelectron of unit charge, binned in samples, at every sub-sample phase.

    Parameters
    ----------
    value : ndarray, shape (n_channels, n_phases, length), float32
        Fraction of the charge in each sample; each row sums to 1.
    before : float
        Samples from the begin of the template's first sample to the pulse's maximum, at phase 0.
    sample_width : float
        ns.
    """

    value: NDArray
    before: float
    sample_width: float

    @property
    def n_phases(self) -> int:
        """Steps in one sample."""
        return self.value.shape[1]

    @property
    def length(self) -> int:
        """Samples of a template."""
        return self.value.shape[2]


@u.quantity_input
def pulse_templates(
    reference_pulse: NDArray,
    pulse_step: u.Quantity[u.ns],
    sampling_rate: u.Quantity[u.GHz],
    n_phases: int = 40,
) -> PulseTemplates:
    """Templates of the reference pulses of all channels, aligned at their maxima.

    A sample holds the integral of the pulse over its width, so that the sum over the samples is the
    charge whatever the arrival time, and the centroid moves with it to a thousandth of a sample.
    The pulse ends where it falls below 1 % of its maximum; undershoot is left out.

    Parameters
    ----------
    reference_pulse : ndarray, shape (n_channels, n_steps)
        Shape of the pulse of each channel (``CameraReadout.reference_pulse_shape``).
    pulse_step : Quantity
        Width of its steps.
    sampling_rate : Quantity
        Samples per time.
    n_phases : int
        Steps of the arrival time in one sample.

    Raises
    ------
    ConfigurationError
        If there are neither one nor two channels, or a pulse has no positive maximum.
    """
    reference_pulse = np.asarray(reference_pulse, dtype=float)
    if len(reference_pulse) not in (1, 2) or not (reference_pulse.max(axis=1) > 0).all():
        raise ConfigurationError(
            f"reference pulses have shape {reference_pulse.shape} and maxima "
            f"{reference_pulse.max(axis=1)}, needs 1 or 2 channels with positive maxima; give the "
            "readout of a camera with high gain, or with high and low gain"
        )
    step = (pulse_step * sampling_rate).to_value(u.one)  # samples
    pulses = [_significant(pulse) for pulse in reference_pulse]
    before = max(peak for _, peak in pulses) * step + 1.0
    after = max(pulse.size - peak for pulse, peak in pulses) * step + 1.0
    length = int(np.ceil(before + after))
    phases = np.arange(n_phases)[:, np.newaxis] / n_phases
    edges = np.arange(length + 1)
    value = np.empty((len(pulses), n_phases, length))
    for channel, (pulse, peak) in enumerate(pulses):
        cumulative = np.concatenate([[0.0], np.cumsum(pulse) / pulse.sum()])
        # a step of the pulse is a bin centred on its time, so that the maximum lies in its middle
        at = (np.arange(cumulative.size) - peak - 0.5) * step
        value[channel] = np.diff(np.interp(edges - before - phases, at, cumulative), axis=1)
    width = (1 / sampling_rate).to_value(u.ns)
    return PulseTemplates(value.astype(np.float32), before, width)


def _significant(pulse: NDArray) -> tuple[NDArray, int]:
    """Part of a pulse above 1 % of its maximum, and where its maximum is in it."""
    above = np.flatnonzero(pulse > _PULSE_THRESHOLD * pulse.max())
    return pulse[above[0] : above[-1] + 1], int(pulse.argmax() - above[0])


def waveforms(
    light: Light,
    truth: CameraTruth,
    templates: PulseTemplates,
    n_samples: int,
    rng: Generator,
    *,
    hours: ArrayLike = 0.0,
    sky: bool = True,
    saturation: int = 4095,
) -> NDArray:
    r"""Digitised waveforms of a block of events.

    .. math:: w_s = P + g\,\Big(\sum_j q_j\,h_s(t_j) - \lambda\,\Delta t\Big) + \sigma\,\xi_s

    with pedestal *P*, gain *g*, charges and times :math:`q_j, t_j` of the pulse of the light and of
    each photoelectron of the night sky, the binned pulse *h*, and white noise :math:`\sigma\xi`.
    The mean :math:`\lambda\,\Delta t` of the night sky is removed: the camera is AC coupled. All
    channels see the same photoelectrons and have independent noise.

    # ASSUME: arrival times are rounded to the phases of the templates (1/40 sample); those of the
    night sky are equally frequent to 0.4 % (20 bits); single photoelectrons have one of 4096
    equally probable charges; noise is a window of 262 144 normal deviates (`digitisation`).

    Parameters
    ----------
    light : Light
        Pulses.
    truth : CameraTruth
        Camera.
    templates : PulseTemplates
        Pulse shape.
    n_samples : int
        Samples of a waveform.
    rng : Generator
        Source of all randomness.
    hours : float or ndarray, shape (n_events,)
        Hours since the reference time, for the drifts.
    sky : bool
        Whether the camera sees the night sky.
    saturation : int
        Largest ADC value; larger ones become it, negative ones 0.

    Returns
    -------
    ndarray, shape (n_events, n_channels, n_pixels, n_samples), uint16
        ADC counts.

    Raises
    ------
    ConfigurationError
        If the templates have another number of channels than the camera.
    """
    if len(truth.gain) != len(templates.value):
        raise ConfigurationError(
            f"camera has {len(truth.gain)} gain channels, the pulse templates have "
            f"{len(templates.value)}; make both with the same readout"
        )
    n_events = len(light.charge)
    hours = np.broadcast_to(np.asarray(hours, dtype=float), (n_events,))
    gain = truth.gain_at(hours)
    _flicker(gain, truth, rng)
    nsb_rate = truth.nsb_rate * templates.sample_width if sky else np.zeros(truth.n_pixels)
    reach = n_samples + templates.length - 1  # first samples of templates that touch the window
    return digitised(
        rng.integers(0, 1 << 64, n_events, dtype=np.uint64),
        light.charge,
        _phase(light.time, templates),
        nsb_rate * reach,
        templates.value,
        gain,
        truth.pedestal_at(hours) - gain * nsb_rate,
        truth.electronic_noise,
        truth.squared_excess_noise_factor,
        n_samples,
        saturation,
    )


def selected_gain(waveform: NDArray, threshold: float) -> NDArray:
    """Channel of each pixel: low gain where any sample of high gain exceeds `threshold`.

    A camera with one channel has high gain everywhere.

    Parameters
    ----------
    waveform : ndarray, shape (..., n_channels, n_pixels, n_samples)
        ADC counts.
    threshold : float
        ADC counts.

    Returns
    -------
    ndarray, shape (..., n_pixels), uint8
        0 or 1.
    """
    above = waveform[..., HIGH, :, :].max(axis=-1) > threshold
    if waveform.shape[-3] == 1:
        above[...] = False
    return np.where(above, LOW, HIGH).astype(np.uint8)


def _flicker(gain: NDArray, truth: CameraTruth, rng: Generator) -> None:
    """Lower the gain (n_events, n_channels, n_pixels) of flickering pixels, event by event."""
    flickering = np.flatnonzero(truth.status == PixelFault.FLICKERING)
    low = rng.random((len(gain), 1, flickering.size)) < 0.5
    gain[:, :, flickering] *= np.where(low, FLICKER_GAIN, 1.0)


def _phase(time: NDArray, templates: PulseTemplates) -> NDArray:
    """Begin of the templates, in phases after the begin of sample 0; sample 0 is centred on 0."""
    begin = time / templates.sample_width + 0.5 - templates.before
    return np.rint(begin * templates.n_phases).astype(np.int64)

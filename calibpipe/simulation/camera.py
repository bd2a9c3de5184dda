"""A camera with known truth: pixels, pulses, and the waveforms of blocks of events.

Every pixel has a gain, a pedestal, noise, a light yield and a time offset; some are faulty on
purpose. A waveform is a pedestal, the pulses of the light and of every single photoelectron of the
night sky, and electronic noise, digitised by an ADC that saturates. All randomness comes from one
generator. Channel 0 is high gain, channel 1 low gain; times are nanoseconds after the centre of the
first sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from functools import cache

import astropy.units as u
import numpy as np
from astropy.table import QTable
from numba import njit
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv, ndtri

from ..core.exceptions import ConfigurationError

__all__ = [
    "CameraSpread",
    "CameraTruth",
    "Light",
    "PixelFault",
    "PulseTemplates",
    "camera_truth",
    "flat_field_light",
    "interleaved",
    "no_light",
    "pulse_templates",
    "selected_gain",
    "shower_light",
    "truth_from_table",
    "truth_table",
    "waveforms",
]

N_CHANNELS = 2
HIGH, LOW = 0, 1
_QUANTILES = 1 << 16  # of the tables of normal and single-photoelectron deviates
_PULSE_THRESHOLD = 0.01  # of the maximum: where a reference pulse begins and ends

# ASSUME: how the faulty pixels of the simulation are faulty.
HOT_PEDESTAL = 100.0  # ADC per sample above the others
HOT_NSB = 10.0  # times the night-sky background of the others (a star)
NOISY_NOISE = 20.0  # times the electronic noise of the others: above that of the night sky
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
        High over low gain.
    gain_spread, gain_ratio_spread, efficiency_spread : float
        Relative standard deviations over pixels.
    pedestal, pedestal_spread : float
        ADC per sample, both channels.
    electronic_noise : tuple of float
        ADC rms per sample, high and low gain.
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
    """

    high_gain: float = 85.0  # LST: 17.4 times less in low gain (Kobayashi et al. 2021)
    gain_ratio: float = 17.4
    gain_spread: float = 0.05
    gain_ratio_spread: float = 0.02
    efficiency_spread: float = 0.04
    pedestal: float = 400.0
    pedestal_spread: float = 2.0
    electronic_noise: tuple[float, float] = (5.0, 1.5)
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


@dataclass(frozen=True)
class CameraTruth:
    """What a calibration should find, pixel by pixel, at the reference time (hour 0).

    Parameters
    ----------
    gain : ndarray, shape (2, n_pixels)
        ADC of the integrated charge of one mean photoelectron; 0 in dead pixels.
    pedestal : ndarray, shape (2, n_pixels)
        ADC per sample, with the offset of the electronics.
    electronic_noise : ndarray, shape (2, n_pixels)
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
        Relative change of both gains per hour.
    pedestal_drift : ndarray, shape (2, n_pixels)
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
        """Gain `hours` after the reference time, shape (..., 2, n_pixels)."""
        hours = np.asarray(hours, dtype=float)[..., np.newaxis, np.newaxis]
        return self.gain * (1 + hours * self.gain_drift)

    def pedestal_at(self, hours: ArrayLike) -> NDArray:
        """Pedestal `hours` after the reference time, shape (..., 2, n_pixels)."""
        hours = np.asarray(hours, dtype=float)[..., np.newaxis, np.newaxis]
        return self.pedestal + hours * self.pedestal_drift


def camera_truth(n_pixels: int, rng: Generator, spread: CameraSpread | None = None) -> CameraTruth:
    """Pixels drawn from a spread; no pixel has two faults.

    Parameters
    ----------
    n_pixels : int
        Number of pixels.
    rng : Generator
        Source of all randomness.
    spread : CameraSpread, optional
        What they are drawn from.

    Raises
    ------
    ConfigurationError
        If the fractions of faulty pixels add up to more than 1, or F² is not above 1.
    """
    spread = spread or CameraSpread()
    _check_spread(spread)
    shape = (N_CHANNELS, n_pixels)
    relative_gain = _around_one(rng, spread.gain_spread, n_pixels)
    ratio = spread.gain_ratio * _around_one(rng, spread.gain_ratio_spread, n_pixels)
    gain = spread.high_gain * relative_gain / np.stack([np.ones(n_pixels), ratio])
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
    noise[:, status == PixelFault.NOISY] *= NOISY_NOISE
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


def _around_one(rng: Generator, spread: float, shape: int | tuple[int, ...]) -> NDArray:
    """Log-normal deviates of mean 1: no gain and no efficiency is ever negative."""
    sigma = np.sqrt(np.log1p(spread**2))
    return np.exp(rng.normal(-(sigma**2) / 2, sigma, shape))


def _faults(n_pixels: int, spread: CameraSpread, rng: Generator) -> NDArray:
    status = np.zeros(n_pixels, np.uint8)
    order = rng.permutation(n_pixels)
    first = 0
    for fault in PixelFault:
        n = round(getattr(spread, fault.name.lower()) * n_pixels)
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
    """Truth as a table, one row a pixel; quantities of two channels have two entries a row.

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


@dataclass(frozen=True)
class PulseTemplates:
    """Pulse of one photoelectron of unit charge, binned in samples, at every sub-sample phase.

    Parameters
    ----------
    value : ndarray, shape (2, n_phases, length), float32
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
    """Templates of the reference pulses of both channels, aligned at their maxima.

    A sample holds the integral of the pulse over its width, so that the sum over the samples is the
    charge whatever the arrival time, and the centroid moves with it to a thousandth of a sample.
    The pulse ends where it falls below 1 % of its maximum; undershoot is left out.

    Parameters
    ----------
    reference_pulse : ndarray, shape (2, n_steps)
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
        If there are not two channels, or a pulse has no positive maximum.
    """
    reference_pulse = np.asarray(reference_pulse, dtype=float)
    if reference_pulse.shape[0] != N_CHANNELS or not (reference_pulse.max(axis=1) > 0).all():
        raise ConfigurationError(
            f"reference pulses have shape {reference_pulse.shape} and maxima "
            f"{reference_pulse.max(axis=1)}, needs 2 channels with positive maxima; give the "
            "readout of a camera with two gain channels"
        )
    step = (pulse_step * sampling_rate).to_value(u.one)  # samples
    pulses = [_significant(pulse) for pulse in reference_pulse]
    before = max(peak for _, peak in pulses) * step + 1.0
    after = max(pulse.size - peak for pulse, peak in pulses) * step + 1.0
    length = int(np.ceil(before + after))
    phases = np.arange(n_phases)[:, np.newaxis] / n_phases
    edges = np.arange(length + 1)
    value = np.empty((N_CHANNELS, n_phases, length))
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


@dataclass(frozen=True)
class Light:
    """Light of a block of events, one pulse in each pixel.

    Parameters
    ----------
    n_pe : ndarray, shape (n_events, n_pixels), int
        Photoelectrons.
    charge : ndarray, shape (n_events, n_pixels)
        Their charge after multiplication, in mean photoelectrons.
    time : ndarray, shape (n_events, n_pixels)
        ns: when the maximum of the pulse arrives, with the time offset of the pixel.
    """

    n_pe: NDArray
    charge: NDArray = field(repr=False)
    time: NDArray = field(repr=False)


def no_light(n_events: int, truth: CameraTruth) -> Light:
    """Events without a pulse: pedestals."""
    shape = (n_events, truth.n_pixels)
    return Light(np.zeros(shape, int), np.zeros(shape), np.zeros(shape))


@u.quantity_input
def flat_field_light(
    n_events: int,
    truth: CameraTruth,
    rng: Generator,
    *,
    n_pe: float,
    intensity_jitter: float,
    time: u.Quantity[u.ns],
    time_jitter: u.Quantity[u.ns],
    transit_time_spread: u.Quantity[u.ns],
) -> Light:
    r"""Light of a pulsed source that lights all pixels alike.

    Pixel *i* gets :math:`n \sim \mathrm{Poisson}(I\,\epsilon_i\,N)` photoelectrons,
    :math:`I \sim \mathcal{N}(1, B)` being common to all pixels of an event (never below 0).

    Parameters
    ----------
    n_events : int
        Events.
    truth : CameraTruth
        Camera.
    rng : Generator
        Source of all randomness.
    n_pe : float
        *N*, mean photoelectrons in a pixel of efficiency 1.
    intensity_jitter : float
        *B*, relative standard deviation of the source from event to event.
    time, time_jitter : Quantity
        Mean and standard deviation, over events, of the arrival time at a pixel without offset.
    transit_time_spread : Quantity
        Standard deviation of the arrival time of one photoelectron; the pulse of *n* of them
        scatters by it over :math:`\sqrt{n}`.
    """
    intensity = np.maximum(rng.normal(1.0, intensity_jitter, (n_events, 1)), 0.0)
    start = rng.normal(time.to_value(u.ns), time_jitter.to_value(u.ns), (n_events, 1))
    expected = n_pe * intensity * truth.relative_efficiency
    return _detected(expected, start, transit_time_spread.to_value(u.ns), truth, rng)


@u.quantity_input
def shower_light(
    n_events: int,
    truth: CameraTruth,
    rng: Generator,
    *,
    pixel_x: u.Quantity[u.m],
    pixel_y: u.Quantity[u.m],
    time: u.Quantity[u.ns],
    transit_time_spread: u.Quantity[u.ns],
) -> Light:
    """Light of shower-like images: elliptical Gaussians with a linear gradient of time.

    # ASSUME: size 100 to 30 000 p.e. with dN/dsize ~ size^-2, centroid uniform in the inner 70 % of
    the camera's radius, length 0.08 to 0.25 m, width 0.3 to 0.6 of it, gradient within 15 ns/m.

    Parameters
    ----------
    n_events : int
        Events.
    truth : CameraTruth
        Camera.
    rng : Generator
        Source of all randomness.
    pixel_x, pixel_y : Quantity, shape (n_pixels,)
        Positions in the camera.
    time : Quantity
        Arrival time at the centroid of the image.
    transit_time_spread : Quantity
        As in `flat_field_light`.
    """
    x, y = pixel_x.to_value(u.m), pixel_y.to_value(u.m)
    column = (n_events, 1)
    size = 100.0 / (1.0 - rng.uniform(0.0, 1.0 - 100.0 / 30_000.0, column))
    radius = 0.7 * np.hypot(x, y).max() * np.sqrt(rng.uniform(0.0, 1.0, column))
    polar, psi = rng.uniform(0.0, 2 * np.pi, (2, *column))
    length = rng.uniform(0.08, 0.25, column)
    width = length * rng.uniform(0.3, 0.6, column)
    gradient = rng.uniform(-15.0, 15.0, column)
    dx, dy = x - radius * np.cos(polar), y - radius * np.sin(polar)
    along = dx * np.cos(psi) + dy * np.sin(psi)
    across = dy * np.cos(psi) - dx * np.sin(psi)
    image = np.exp(-0.5 * ((along / length) ** 2 + (across / width) ** 2))
    image *= size / image.sum(axis=1, keepdims=True)
    start = time.to_value(u.ns) + gradient * along
    expected = image * truth.relative_efficiency
    return _detected(expected, start, transit_time_spread.to_value(u.ns), truth, rng)


def _detected(
    expected: NDArray, start: NDArray, transit_spread: float, truth: CameraTruth, rng: Generator
) -> Light:
    """Photoelectrons, their charge (a sum of gamma deviates is one) and the time of their pulse."""
    n_pe = rng.poisson(expected)
    some = np.maximum(n_pe, 1)
    shape = 1.0 / (truth.squared_excess_noise_factor - 1.0)
    charge = np.where(n_pe > 0, rng.standard_gamma(some * shape) / shape, 0.0)
    scatter = transit_spread * rng.standard_normal(n_pe.shape) / np.sqrt(some)
    return Light(n_pe, charge, start + truth.time_offset + scatter)


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
    The mean :math:`\lambda\,\Delta t` of the night sky is removed: the camera is AC coupled. Both
    channels see the same photoelectrons and have independent noise.

    # ASSUME: arrival times are rounded to the phases of the templates (1/40 sample).

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
    ndarray, shape (n_events, 2, n_pixels, n_samples), uint16
        ADC counts.
    """
    n_events = len(light.charge)
    hours = np.broadcast_to(np.asarray(hours, dtype=float), (n_events,))
    gain = truth.gain_at(hours) * _flicker(n_events, truth, rng)[:, np.newaxis]
    pedestal = truth.pedestal_at(hours)
    nsb_rate = truth.nsb_rate * templates.sample_width if sky else np.zeros(truth.n_pixels)
    reach = n_samples + templates.length - 1  # first samples of templates that touch the window
    n_nsb = rng.poisson(nsb_rate * reach, (n_events, truth.n_pixels))
    noise_words = -(-N_CHANNELS * truth.n_pixels * n_samples // 4)
    out = np.empty((n_events, N_CHANNELS, truth.n_pixels, n_samples), np.uint16)
    _digitise(
        light.charge.astype(np.float32),
        _phase(light.time, templates),
        n_nsb,
        _words(rng, int(n_nsb.sum())),
        _words(rng, n_events * noise_words).view(np.uint16).reshape(n_events, -1),
        templates.value,
        gain.astype(np.float32),
        (pedestal - gain * nsb_rate).astype(np.float32),
        truth.electronic_noise.astype(np.float32),
        _normal_quantiles(),
        _charge_quantiles(truth.squared_excess_noise_factor),
        np.float32(saturation),
        out,
    )
    return out


def interleaved(counts: Sequence[int]) -> NDArray:
    """Type of each event when the events of every type are spread evenly over all.

    Parameters
    ----------
    counts : sequence of int
        Events of each type.

    Returns
    -------
    ndarray, shape (sum of counts,), int
        Index into `counts`.
    """
    place = [(np.arange(n) + 0.5) / n for n in counts if n]
    index = np.repeat(np.arange(len(counts)), counts)
    return index[np.argsort(np.concatenate(place), kind="stable")] if place else index


def selected_gain(waveform: NDArray, threshold: float) -> NDArray:
    """Channel of each pixel: low gain where any sample of high gain exceeds `threshold`.

    Parameters
    ----------
    waveform : ndarray, shape (..., 2, n_pixels, n_samples)
        ADC counts.
    threshold : float
        ADC counts.

    Returns
    -------
    ndarray, shape (..., n_pixels), uint8
        0 or 1.
    """
    above = waveform[..., HIGH, :, :].max(axis=-1) > threshold
    return np.where(above, LOW, HIGH).astype(np.uint8)


def _flicker(n_events: int, truth: CameraTruth, rng: Generator) -> NDArray:
    """Factor of the gain, shape (n_events, n_pixels)."""
    factor = np.ones((n_events, truth.n_pixels))
    flickering = np.flatnonzero(truth.status == PixelFault.FLICKERING)
    low = rng.random((n_events, flickering.size)) < 0.5
    factor[:, flickering] = np.where(low, FLICKER_GAIN, 1.0)
    return factor


def _phase(time: NDArray, templates: PulseTemplates) -> NDArray:
    """Begin of the templates, in phases after the begin of sample 0; sample 0 is centred on 0."""
    begin = time / templates.sample_width + 0.5 - templates.before
    return np.rint(begin * templates.n_phases).astype(np.int64)


def _words(rng: Generator, n: int) -> NDArray:
    return rng.integers(0, 1 << 64, n, dtype=np.uint64)


@cache
def _normal_quantiles() -> NDArray:
    """65 536 equally probable normal deviates, mean 0 and variance 1 exactly; largest 4.3."""
    table = ndtri((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    return (table / table.std()).astype(np.float32)


@cache
def _charge_quantiles(squared_excess_noise_factor: float) -> NDArray:
    """65 536 equally probable charges of one photoelectron: gamma, mean 1, variance F² - 1."""
    shape = 1.0 / (squared_excess_noise_factor - 1.0)
    table = gammaincinv(shape, (np.arange(_QUANTILES) + 0.5) / _QUANTILES) / shape
    scaled = (table - table.mean()) * np.sqrt(squared_excess_noise_factor - 1.0) / table.std()
    return (1.0 + scaled).astype(np.float32)


@njit(cache=True, fastmath=True)
def _digitise(
    charge,
    phase,
    n_nsb,
    nsb_words,
    noise_words,
    template,
    gain,
    pedestal,
    electronic_noise,
    normal,
    spe_charge,
    saturation,
    out,
):
    n_events, _, n_pixels, n_samples = out.shape
    n_phases, length = template.shape[1:]
    n_positions = np.uint64((n_samples + length - 1) * n_phases)
    padded = (length + 7) // 8 * 8  # whole vector registers: twice as fast
    pulse = np.zeros((2, n_phases, padded), np.float32)
    pulse[:, :, :length] = template
    trace = np.empty((2, n_samples + 2 * padded), np.float32)
    zero = np.float32(0)
    next_nsb = 0
    for event in range(n_events):
        for pixel in range(n_pixels):
            trace[:] = 0
            for _ in range(n_nsb[event, pixel]):
                word = nsb_words[next_nsb]
                next_nsb += 1
                q = spe_charge[word & np.uint64(0xFFFF)]
                position = np.int64(((word >> np.uint64(32)) * n_positions) >> np.uint64(32))
                first = position // n_phases + 1
                row = position % n_phases
                for channel in range(2):
                    shape = pulse[channel, row]
                    into = trace[channel, first : first + padded]
                    for s in range(padded):
                        into[s] += q * shape[s]
            q = charge[event, pixel]
            first = phase[event, pixel] // n_phases + length
            if q > 0 and 0 <= first <= n_samples + length:
                row = phase[event, pixel] % n_phases
                for channel in range(2):
                    for s in range(length):
                        trace[channel, first + s] += q * template[channel, row, s]
            for channel in range(2):
                g = gain[event, channel, pixel]
                p = pedestal[event, channel, pixel] + np.float32(0.5)
                sigma = electronic_noise[channel, pixel]
                begin = (channel * n_pixels + pixel) * n_samples
                words = noise_words[event, begin : begin + n_samples]
                pulses = trace[channel, length : length + n_samples]
                target = out[event, channel, pixel]
                for s in range(n_samples):
                    pulses[s] = p + g * pulses[s] + sigma * normal[words[s]]
                for s in range(n_samples):
                    value = pulses[s] if pulses[s] > zero else zero
                    target[s] = np.int32(value if value < saturation else saturation)

"""Does the camera of a night agree with certified dedicated calibrations? Gain, noise, pedestal.

The daily way, without a calibration set: nothing is made anew, but gain and noise of the night are
held against photon transfer, single photoelectrons and the closed camera of the last sets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEDICATED", "NightCamera", "night_camera", "spe_agreement", "transfer_agreement"]

DEDICATED = {
    "gain_to_transfer",
    "transfer_pull",
    "transfer_disagreement",
    "gain_to_spe",
    "spe_pull",
    "spe_disagreement",
    "noise_to_dark",
    "pedestal_to_dark",
}
# agreement of gains (science.md C4, LSST analogue); a pixel disagrees beyond that and its errors
_TOLERANCE, _SIGMA = 0.05, 3.0


@dataclass(frozen=True)
class NightCamera:
    """Gain and pedestal of a camera over an observation, arrays (n_channels, n_pixels).

    Parameters
    ----------
    gain, gain_stat_error, gain_sys_error : array, ADC per p.e.
        By the F-factor method; NaN where there is none.
    pedestal : array, ADC per sample
    noise : array, ADC
        Standard deviation of the pedestal charge in the window.
    window_width : int
        Samples that a charge is the sum of.
    """

    gain: NDArray
    gain_stat_error: NDArray
    gain_sys_error: NDArray
    pedestal: NDArray
    noise: NDArray
    window_width: int


def night_camera(
    columns: Mapping[str, NDArray],
    usable: NDArray,
    noise: NDArray,
    *,
    window_width: int,
    n_flatfields: int,
) -> NightCamera:
    """Means over the rows of coefficients in which a pixel is usable.

    Parameters
    ----------
    columns : mapping of str to array, (n_rows, n_channels, n_pixels)
        ``gain``, ``gain_stat_error``, ``gain_sys_error``, ``pedestal_offset``.
    usable : bool array, (n_rows, n_channels, n_pixels)
    noise : array, (n_channels, n_pixels), ADC
    n_flatfields : int
        Chunks of flat fields: rows of one chunk have one measurement of the gain. The statistical
        error of the mean is that of a row over the root of the chunks, or rows if they are fewer.
    """
    known = usable & np.isfinite(columns["gain"]) & (columns["gain"] > 0)
    number = known.sum(axis=0)

    def mean(values: NDArray) -> NDArray:
        total = np.where(known, values, 0.0).sum(axis=0, dtype=float)
        return np.where(number > 0, total / np.maximum(number, 1), np.nan)

    independent = np.maximum(np.minimum(number, n_flatfields), 1)
    return NightCamera(
        gain=mean(columns["gain"]),
        gain_stat_error=np.sqrt(mean(np.square(columns["gain_stat_error"], dtype=float)))
        / np.sqrt(independent),
        gain_sys_error=mean(columns["gain_sys_error"]),
        pedestal=mean(columns["pedestal_offset"]),
        noise=np.asarray(noise, float),
        window_width=window_width,
    )


def transfer_agreement(
    night: NightCamera, pixels: Mapping[str, Any], sky: Mapping[str, Any] | None = None
) -> dict[str, NDArray]:
    """Gain against photon transfer, noise and pedestal against the closed camera.

    # ASSUME: windows of one width hold the same part of the pulse, fixed or at its maximum: 2 %.

    Parameters
    ----------
    night : NightCamera
    pixels : table
        Row with ``gain``, ``gain_stat_error``, ``gain_sys_error``, ``status``.
    sky : table or None
        Row with ``dark_mean`` (ADC per sample) and ``dark_window_rms`` (ADC).

    Returns
    -------
    dict of str to array
        ``gain_to_transfer``, (n_channels, 1): median of the ratios; ``transfer_pull``, (n_channels,
        n_pixels): difference over all errors; ``transfer_disagreement``, (n_channels, 1): part of
        the pixels whose ratio is more than 5 % and three statistical errors from 1;
        ``noise_to_dark`` (ratio) and ``pedestal_to_dark`` (difference of the charges in the window
        over the noise of the night), (n_channels, n_pixels). NaN where one of both has none. Empty
        for another camera.
    """
    row = {name: np.asarray(pixels[name], float)[0] for name in ("status", *_GAIN)}
    if row["gain"].shape != night.gain.shape:
        return {}
    gain, stat, sys = (np.where(row["status"] == 0, row[name], np.nan) for name in _GAIN)
    found = _gain_agreement(
        night.gain, night.gain_stat_error, night.gain_sys_error, gain, stat, sys
    )
    metrics = dict(
        zip(("gain_to_transfer", "transfer_pull", "transfer_disagreement"), found, strict=True)
    )
    if sky is not None:
        dark, rms = (np.asarray(sky[name], float)[0] for name in ("dark_mean", "dark_window_rms"))
        known = np.isfinite(night.gain)
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = (night.pedestal - dark) * night.window_width / night.noise
            metrics["noise_to_dark"] = np.where(known, night.noise / rms, np.nan)
        metrics["pedestal_to_dark"] = np.where(known, shift, np.nan)
    return metrics


def spe_agreement(night: NightCamera, table: Mapping[str, Any]) -> dict[str, NDArray]:
    """Gain against that of single photoelectrons, of high gain.

    The error of F² is in the systematic error of the night's gain; it scales all pixels.

    Parameters
    ----------
    night : NightCamera
    table : table
        A row for each channel and pixel: ``channel``, ``pixel_id``, ``outlier_mask``, ``gain``,
        ``gain_stat_error``, ``gain_sys_error`` (plain numbers, ADC per p.e.).

    Returns
    -------
    dict of str to array
        ``gain_to_spe``, (1, 1), ``spe_pull``, (1, n_pixels), ``spe_disagreement``, (1, 1), as of
        `transfer_agreement`. Empty for another camera.
    """
    high = np.asarray(table["channel"]) == 0
    ids = np.asarray(table["pixel_id"])[high]
    n_pixels = night.gain.shape[1]
    if not np.array_equal(np.sort(ids), np.arange(n_pixels)):
        return {}
    bad = np.asarray(table["outlier_mask"], bool)[high]
    values = []
    for name in _GAIN:
        ordered = np.empty((1, n_pixels))
        ordered[0, ids] = np.where(bad, np.nan, np.asarray(table[name], float)[high])
        values.append(ordered)
    own = (a[:1] for a in (night.gain, night.gain_stat_error, night.gain_sys_error))
    found = _gain_agreement(*own, *values)
    return dict(zip(("gain_to_spe", "spe_pull", "spe_disagreement"), found, strict=True))


_GAIN = ("gain", "gain_stat_error", "gain_sys_error")


def _gain_agreement(
    gain: NDArray,
    stat: NDArray,
    sys: NDArray,
    other: NDArray,
    stat_other: NDArray,
    sys_other: NDArray,
) -> tuple[NDArray, NDArray, NDArray]:
    """Median ratio, pulls and part of the pixels that disagree, of each channel."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = gain / other
        relative = np.hypot(stat / gain, stat_other / other)
        pull = (gain - other) / np.sqrt(stat**2 + stat_other**2 + sys**2 + sys_other**2)
    known = np.isfinite(ratio)
    median, part = np.full((2, len(ratio), 1), np.nan)
    far = known & (np.abs(ratio - 1) > _TOLERANCE + _SIGMA * relative)
    for channel, own in enumerate(known):
        if own.any():
            median[channel] = np.median(ratio[channel, own])
            part[channel] = far[channel, own].mean()
    return median, np.where(known, pull, np.nan), part

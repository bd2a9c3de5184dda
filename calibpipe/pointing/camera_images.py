"""Variance images from statistics of pedestals and the coefficients of the camera."""

from collections.abc import Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..camera.outliers import PixelReason
from ..camera.pixel_statistics import ChunkStatistics
from ..core.exceptions import ConfigurationError, CorruptedInputError, InsufficientStatisticsError
from .pixel_gains import combined_gains, mean_gain, shrunk_gains
from .variance_images import VarianceImages, photoelectron_variance

__all__ = ["images_of_chunks", "low_gain_scale"]

# ASSUME: high gain is linear up to this (LST: 400 ADC above 0 are 3.5 standard deviations)
BRIGHT = 10.0  # p.e. in the window
LIT = 2.0  # times the median pixel: light that scales low gain to high gain
UNLIKE = 0.5  # from the median of such pixels: noisy ones
MAX_SCALE_ERROR = 0.05  # above, bright pixels are not known
LIGHT_SPREAD, LIKE = 0.07, 5.0  # relative, of flat-field light over pixels; standard deviations
NOISE = 2.0  # light of low gain over that of high gain, of a pixel that has other noise
_OF_STARS = PixelReason.PEDESTAL_STD | PixelReason.PEDESTAL_MEAN
_UNDER_STARS = PixelReason.FLATFIELD_STD | PixelReason.N_PE


def images_of_chunks(
    chunks: list[ChunkStatistics],
    coefficients: Table,
    squared_excess_noise_factor: float,
    where: str = "this telescope",
    others: Sequence[tuple[NDArray, NDArray]] = (),
) -> VarianceImages:
    """Variance images in photoelectrons, in the order of time.

    The scales of pixels are means over the rows of the coefficients, their errors those of the
    gains, combined with other gains (`combined_gains`) and shrunk towards what their signals say
    (`shrunk_gains`): the signal of the flat field cancels in factor over gain. High gain; bright
    pixels are those of low gain on the scale of high gain (`low_gain_scale`), NaN if that is not
    known to 5 %. What is brighter in low gain is no light, but noise: NaN.

    Parameters
    ----------
    chunks : list of ChunkStatistics
        Of the charge of pedestals, ADC.
    coefficients : Table
        Of `calibpipe.core.monitoring_file.read_camera_coefficients`.
    squared_excess_noise_factor : float
    where : str
        Telescope and observation, for messages.
    others : sequence of pairs of ndarray, shape (n_channels, n_pixels)
        Gains measured at another time, or otherwise, in any unit, and their errors; NaN where not
        known.

    Raises
    ------
    InsufficientStatisticsError
        If there is no chunk or no valid row.
    CorruptedInputError
        If the coefficients have no gains.
    """
    missing = [name for name in ("gain", "gain_stat_error") if name not in coefficients.colnames]
    if missing:
        raise CorruptedInputError(
            f"coefficients of {where} have no column {', '.join(missing)}; take those of "
            "calibpipe-calculate-camcalib-coefficients"
        )
    rows = coefficients[np.asarray(coefficients["is_valid"], bool)]
    if not chunks or not len(rows):
        raise InsufficientStatisticsError(
            f"{where} has {len(chunks)} chunks of pedestals and {len(rows)} valid rows of "
            "coefficients, needs both"
        )
    chunks = sorted(chunks, key=lambda chunk: chunk.time_start)
    masked, factors = _scales(rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = np.array([chunk.n_events for chunk in chunks], float)
        std = np.array([chunk.std for chunk in chunks], float)
        variance = np.where(n > 1, std**2 * n / (n - 1), np.nan)
    if masked.size != variance.shape[2]:
        raise ConfigurationError(
            f"pedestals of {where} have {variance.shape[2]} pixels, the coefficients "
            f"{masked.size}; give those of the same camera"
        )
    gains, response_errors = _gains(rows, factors, masked, others)
    image, low_gain_error = _joined(
        [
            photoelectron_variance(
                variance[:, channel],
                factors[channel],
                gains[channel],
                squared_excess_noise_factor,
                masked,
            )
            for channel in range(variance.shape[1])
        ]
    )
    begin = np.array([chunk.time_start for chunk in chunks])
    end = np.array([chunk.time_end for chunk in chunks])
    return VarianceImages(
        (begin + end) / 2,
        end - begin,
        image,
        np.median(n[:, 0], axis=1),
        response_errors[0],
        low_gain_error,
    )


def _scales(rows: Table) -> tuple[NDArray, NDArray]:
    """Masked pixels (n_pixels,), factors (n_channels, n_pixels), means of rows of coefficients.

    A pixel that is masked because its pedestals scatter is what stars make. It is not masked here,
    and has the factor that its flat fields say, if these have the light of the others: pixels that
    flicker have not. Flat fields scatter more as well under a bright star, and photoelectrons
    less well known are further off; that is not held against such a pixel of two channels, which
    tell light from noise (`_joined`).
    """
    masked = np.asarray(rows["outlier_mask"], bool)
    factor = np.asarray(rows["factor"], float)
    if {"reasons", "n_pe"} <= set(rows.colnames):
        forgiven = _OF_STARS if factor.shape[1] == 1 else _OF_STARS | _UNDER_STARS
        reasons = np.asarray(rows["reasons"])
        other = (reasons & ~np.asarray(forgiven, reasons.dtype) != 0).any(axis=1, keepdims=True)
        scatters = (reasons & np.asarray(_OF_STARS, reasons.dtype) != 0).any(axis=1, keepdims=True)
        n_pe, gain = np.asarray(rows["n_pe"], float), np.asarray(rows["gain"], float)
        typical = np.nanmedian(np.where(masked, np.nan, n_pe), axis=2, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            own = typical / (n_pe * gain)
            error = np.hypot(np.asarray(rows["gain_stat_error"], float) / gain, LIGHT_SPREAD)
            like_others = (np.abs(n_pe / typical - 1) < LIKE * error).all(axis=1, keepdims=True)
        starlit = masked & scatters & ~other & like_others
        factor, masked = np.where(starlit, own, factor), masked & ~starlit
    return masked.any(axis=(0, 1)), factor.mean(axis=0)


def _gains(
    rows: Table, factors: NDArray, masked: NDArray, others: Sequence[tuple[NDArray, NDArray]]
) -> tuple[NDArray, NDArray]:
    """Gains of the pixels and their relative errors, (n_channels, n_pixels)."""
    gain, error = (np.asarray(rows[name], float) for name in ("gain", "gain_stat_error"))
    found = []
    for channel, factor in enumerate(factors):
        own = mean_gain(gain[:, channel], error[:, channel])
        for other, other_error in others:
            own = combined_gains(*own, other[channel], other_error[channel], ~masked)
        # a flat field has the same light in all pixels: its signal is one over the factor
        signal = np.divide(1, factor, out=np.full(factor.shape, np.nan), where=factor > 0)
        found.append(shrunk_gains(*own, signal, ~masked))
    gains, errors = zip(*found, strict=True)
    return np.array(gains), np.array(errors)


def low_gain_scale(high: NDArray, low: NDArray) -> tuple[float, float, NDArray]:
    r"""Scale of variances of low gain against high gain, from pixels that both see.

    .. math:: v_\mathrm{low} = r\,v_\mathrm{high} + b_t

    A window holds another part :math:`T_2` of the pulses of low gain, which are wider (LST, 8
    samples: r = 1.16); b is the noise of its electronics. r is the light of all pixels above twice
    the median pixel and below 10 p.e., in low gain over high gain; noisy ones, 50 % off the median
    of them, do not count.

    # ASSUME: the pulses of a channel have one shape in all pixels.

    Parameters
    ----------
    high, low : ndarray, shape (n_images, n_pixels), p.e.
        NaN where not usable.

    Returns
    -------
    ratio, error : float
        r, its statistical error; NaN with fewer than three such pixels, or an image without any.
    offset : ndarray, shape (n_images, 1), p.e.
        b.
    """
    both = np.isfinite(high) & np.isfinite(low)
    unknown = np.nan, np.nan, np.full((len(high), 1), np.nan)
    if not both.any(axis=1).all():
        return unknown
    n = both.sum(axis=0)
    seen, wide = (
        np.divide(np.where(both, v, 0).sum(axis=0), n, out=np.full(n.shape, np.nan), where=n > 0)
        for v in (high, low)
    )
    with np.errstate(invalid="ignore"):
        dark = seen <= LIT * np.median(seen[n > 0])
        lit = ~dark & (seen < BRIGHT) & (n == len(high))
    x, y = (v[lit] - np.median(v[dark]) for v in (seen, wide))
    like_others = np.abs(y / x / np.median(y / x) - 1) < UNLIKE if x.size else lit[lit]
    x, y = x[like_others], y[like_others]
    if x.size < 3:
        return unknown
    ratio = y.sum() / x.sum()
    error = np.sqrt(np.sum((y - ratio * x) ** 2) * x.size / (x.size - 1)) / x.sum()
    offset = np.nanmedian((low - ratio * high)[:, dark], axis=1, keepdims=True)
    return float(ratio), float(error), offset


def _joined(channels: list[NDArray]) -> tuple[NDArray, NDArray]:
    """High gain, low gain where that is bright; the latter's error of scale, by its share.

    High gain decides: to choose by low gain would prefer what its noise makes bright.
    """
    high = channels[0]
    if len(channels) == 1:
        return high, np.zeros(high.shape[1])
    ratio, error, offset = low_gain_scale(high, channels[1])
    low = (channels[1] - offset) / ratio
    is_known = error / ratio < MAX_SCALE_ERROR
    with np.errstate(invalid="ignore"):
        noisy = _mean_ratio(low, high) > NOISE if is_known else np.zeros(high.shape[1], bool)
        bright = (high > BRIGHT) | (np.isnan(high) & (low > BRIGHT))
    share = bright.mean(axis=0) * (error / ratio if is_known else 0.0)
    joined = np.where(bright, low if is_known else np.nan, high)
    return np.where(noisy, np.nan, joined), share


def _mean_ratio(low: NDArray, high: NDArray) -> NDArray:
    """Light of low over that of high gain, pixel by pixel; NaN where an image never has both."""
    both = np.isfinite(low) & np.isfinite(high)
    of_low, of_high = (np.where(both, values, 0).sum(axis=0) for values in (low, high))
    return np.divide(of_low, of_high, out=np.full(of_low.shape, np.nan), where=of_high > 0)

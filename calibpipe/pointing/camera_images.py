"""Variance images from statistics of pedestals and the coefficients of the camera."""

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..camera.outliers import PixelReason
from ..camera.pixel_statistics import ChunkStatistics
from ..core.exceptions import ConfigurationError, CorruptedInputError, InsufficientStatisticsError
from .pixel_gains import mean_gain_error, shrunk_gains
from .variance_images import VarianceImages, photoelectron_variance

__all__ = ["images_of_chunks", "low_gain_scale"]

# ASSUME: high gain is linear up to this (LST: 400 ADC above 0 are 3.5 standard deviations)
BRIGHT = 10.0  # p.e. in the window
LIT = 2.0  # times the median pixel: light that scales low gain to high gain
UNLIKE = 0.5  # from the median of such pixels: noisy ones
MAX_SCALE_ERROR = 0.05  # above, bright pixels are not known
_OF_STARS = PixelReason.PEDESTAL_STD | PixelReason.PEDESTAL_MEAN


def images_of_chunks(
    chunks: list[ChunkStatistics],
    coefficients: Table,
    squared_excess_noise_factor: float,
    where: str = "this telescope",
) -> VarianceImages:
    """Variance images in photoelectrons, in the order of time.

    The scales of pixels are means over the rows of the coefficients, their errors those of the
    gains, shrunk towards the camera's mean (`shrunk_gains`): the signal of the flat field cancels
    in factor over gain. High gain; bright pixels are those of low gain on the scale of high gain
    (`low_gain_scale`), NaN if that is not known to 5 %.

    Parameters
    ----------
    chunks : list of ChunkStatistics
        Of the charge of pedestals, ADC.
    coefficients : Table
        Of `calibpipe.core.monitoring_file.read_camera_coefficients`.
    squared_excess_noise_factor : float
    where : str
        Telescope and observation, for messages.

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
    gains, response_errors = _gains(rows, masked)
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

    A pixel that is masked because its pedestals scatter is what stars make: it is not masked here,
    and has the factor that its flat fields say.
    """
    masked = np.asarray(rows["outlier_mask"], bool)
    factor = np.asarray(rows["factor"], float)
    if {"reasons", "n_pe"} <= set(rows.colnames):
        other = np.asarray(rows["reasons"]) & ~np.asarray(_OF_STARS, rows["reasons"].dtype)
        n_pe, gain = np.asarray(rows["n_pe"], float), np.asarray(rows["gain"], float)
        typical = np.nanmedian(np.where(masked, np.nan, n_pe), axis=2, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            own = typical / (n_pe * gain)
        starlit = masked & ~(other != 0).any(axis=1, keepdims=True)
        factor, masked = np.where(starlit, own, factor), masked & ~starlit
    return masked.any(axis=(0, 1)), factor.mean(axis=0)


def _gains(rows: Table, masked: NDArray) -> tuple[NDArray, NDArray]:
    """Shrunk mean gains of the rows and their relative errors, (n_channels, n_pixels)."""
    gain, error = (np.asarray(rows[name], float) for name in ("gain", "gain_stat_error"))
    channels = [
        shrunk_gains(g.mean(axis=0), mean_gain_error(g, e), ~masked)
        for g, e in zip(np.moveaxis(gain, 1, 0), np.moveaxis(error, 1, 0), strict=True)
    ]
    gains, errors = zip(*channels, strict=True)
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
    with np.errstate(invalid="ignore"):
        bright = (high > BRIGHT) | (np.isnan(high) & (low > BRIGHT))
    is_known = error / ratio < MAX_SCALE_ERROR
    share = bright.mean(axis=0) * (error / ratio if is_known else 0.0)
    return np.where(bright, low if is_known else np.nan, high), share

"""Variance images from statistics of pedestals and the coefficients of the camera."""

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..camera.outliers import PixelReason
from ..camera.pixel_statistics import ChunkStatistics
from ..core.exceptions import ConfigurationError, CorruptedInputError, InsufficientStatisticsError
from .variance_images import VarianceImages, photoelectron_variance

__all__ = ["images_of_chunks"]

# ASSUME: high gain is linear up to this (LST: 400 ADC above 0 are 3.5 standard deviations)
BRIGHT = 10.0  # p.e. in the window
_OF_STARS = PixelReason.PEDESTAL_STD | PixelReason.PEDESTAL_MEAN


def images_of_chunks(
    chunks: list[ChunkStatistics],
    coefficients: Table,
    squared_excess_noise_factor: float,
    where: str = "this telescope",
) -> VarianceImages:
    """Variance images in photoelectrons, in the order of time.

    The scales of pixels are means over the rows of the coefficients, their errors those of the
    gains: the signal of the flat field cancels in factor over gain. High gain; bright pixels are
    those of low gain, less what its electronics have more in the median pixel.

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
    gain, error = (np.asarray(rows[name], float)[:, 0] for name in ("gain", "gain_stat_error"))
    with np.errstate(invalid="ignore", divide="ignore"):
        response_error = np.sqrt(np.sum((error / gain) ** 2, axis=0)) / len(rows)
        n = np.array([chunk.n_events for chunk in chunks], float)
        std = np.array([chunk.std for chunk in chunks], float)
        variance = np.where(n > 1, std**2 * n / (n - 1), np.nan)
    if gain.shape[1] != variance.shape[2]:
        raise ConfigurationError(
            f"pedestals of {where} have {variance.shape[2]} pixels, the coefficients "
            f"{gain.shape[1]}; give those of the same camera"
        )
    image = _joined(
        [
            photoelectron_variance(
                variance[:, channel],
                factors[channel],
                np.asarray(rows["gain"], float)[:, channel].mean(axis=0),
                squared_excess_noise_factor,
                masked,
            )
            for channel in range(variance.shape[1])
        ]
    )
    begin = np.array([chunk.time_start for chunk in chunks])
    end = np.array([chunk.time_end for chunk in chunks])
    return VarianceImages(
        (begin + end) / 2, end - begin, image, np.median(n[:, 0], axis=1), response_error
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


def _joined(channels: list[NDArray]) -> NDArray:
    """High gain; low gain where that is bright."""
    if len(channels) == 1:
        return channels[0]
    high, low = channels
    with np.errstate(invalid="ignore"):
        dark = low < BRIGHT
    low = low - np.nanmedian(np.where(dark, low - high, np.nan), axis=1, keepdims=True)
    return np.where(low > BRIGHT, low, high)

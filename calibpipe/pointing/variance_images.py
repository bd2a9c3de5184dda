r"""Variance images of pedestal events: photoelectrons of the night sky and of stars.

The variance of the charge of a window is noise of the electronics and, by Campbell's theorem,
:math:`g^2F^2\lambda_iT_2` with gain *g*, :math:`F^2` and photoelectrons per time
:math:`\lambda_i = \epsilon_i\lambda` of a pixel of relative efficiency ε. The factor of the camera
calibration is :math:`f_i \propto 1/(g_i\epsilon_i)`, so

.. math:: v_i = \frac{f_i}{F^2 g_i}\,\mathrm{Var}(Q_i)

is the light in photoelectrons a window, flat-fielded, on top of the noise of the electronics.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError

__all__ = ["Blocks", "VarianceImages", "image_blocks", "photoelectron_variance", "shot_noise"]

_JUMP = 3.0  # times the scatter of the median pair of images
MIN_EVENTS = 10  # of an image: below, its variance says little about its own error


@dataclass(frozen=True)
class VarianceImages:
    """Images of one telescope in the order of time.

    Parameters
    ----------
    time, duration : ndarray, shape (n_images,), s
        Middle (TAI since 1970-01-01) and length.
    image : ndarray, shape (n_images, n_pixels), p.e.
        `photoelectron_variance`; NaN where a pixel is not usable.
    n_events : ndarray, shape (n_images,)
    response_error : ndarray, shape (n_pixels,)
        Relative error of a pixel's own scale, the same in all images.
    low_gain_error : ndarray, shape (n_pixels,)
        Relative error of the scale of low gain, times the share of the images that a pixel has of
        it: of all pixels together.
    """

    time: NDArray
    duration: NDArray
    image: NDArray
    n_events: NDArray
    response_error: NDArray
    low_gain_error: NDArray

    def __len__(self) -> int:
        return self.time.size

    def __getitem__(self, chosen: NDArray) -> "VarianceImages":
        return VarianceImages(
            *(self.time[chosen], self.duration[chosen], self.image[chosen], self.n_events[chosen]),
            *(self.response_error, self.low_gain_error),
        )


@dataclass(frozen=True)
class Blocks:
    """Mean images of blocks of time.

    Parameters
    ----------
    time, duration : ndarray, shape (n_blocks,), s
    image : ndarray, shape (n_blocks, n_pixels), p.e.
    n_events : ndarray, shape (n_blocks,)
        Events that have the scatter of the mean.
    node_time, node_weight, node_block : ndarray, shape (n_nodes,)
        Moments at which stars are placed, their share of the block, and the block.
    """

    time: NDArray
    duration: NDArray
    image: NDArray
    n_events: NDArray
    node_time: NDArray
    node_weight: NDArray
    node_block: NDArray

    def __len__(self) -> int:
        return self.time.size


def photoelectron_variance(
    variance: NDArray,
    factor: NDArray,
    gain: NDArray,
    squared_excess_noise_factor: float,
    unusable: NDArray,
) -> NDArray:
    """Variances in photoelectrons a window, NaN where unusable.

    Parameters
    ----------
    variance : ndarray, shape (..., n_pixels), ADC²
        Of the charge, with divisor n - 1.
    factor, gain : ndarray, shape (n_pixels,)
        Photoelectrons per ADC, ADC per photoelectron.
    squared_excess_noise_factor : float
    unusable : ndarray of bool, shape (n_pixels,)

    Raises
    ------
    ConfigurationError
        If the pixels are not those of the coefficients, or F² is below 1.
    """
    if not squared_excess_noise_factor >= 1:
        raise ConfigurationError(
            f"squared_excess_noise_factor is {squared_excess_noise_factor:g}, it cannot be below 1"
        )
    if variance.shape[-1] != factor.size:
        raise ConfigurationError(
            f"variances have {variance.shape[-1]} pixels, the coefficients {factor.size}; give "
            "those of the same camera"
        )
    good = ~unusable & (factor > 0) & (gain > 0)
    scale = np.full(factor.size, np.nan)
    np.divide(factor, squared_excess_noise_factor * gain, out=scale, where=good)
    image = variance * scale
    return np.where(image > 0, image, np.nan)


def shot_noise(images: VarianceImages) -> float:
    r"""β of the scatter of a variance over N events, :math:`(2v^2 + \beta v)/(N-1)`, p.e.

    From the differences of successive images, of all pixels: whatever makes variances scatter
    (kurtosis of shot noise, clipping) is in it, stars that move slowly are not. Gaussian charges
    have 0, pulses of single photoelectrons a few. Never negative.

    Raises
    ------
    InsufficientStatisticsError
        With fewer than two images, or of fewer than 10 events each.
    """
    few = min(images.n_events, default=0)
    if len(images) < 2 or few < MIN_EVENTS:
        raise InsufficientStatisticsError(
            f"needs at least 2 variance images of {MIN_EVENTS} events, got {len(images)} of at "
            f"least {few:g}; give more sky pedestals or smaller chunks"
        )
    pair = 1 / (images.n_events[1:] - 1) + 1 / (images.n_events[:-1] - 1)
    mean = (images.image[1:] + images.image[:-1]) / 2
    squares = np.diff(images.image, axis=0) ** 2 / pair[:, np.newaxis]
    ratio = squares / mean - 2 * mean
    # a jump of the sky (Moon, twilight) is no scatter
    size = np.nanmedian(squares / (2 * mean**2 + mean), axis=1)
    known = np.isfinite(ratio) & (size <= _JUMP * np.nanmedian(size))[:, np.newaxis]
    count = known.sum(axis=0)
    use = count > 0
    beta = np.where(known, ratio, 0)[:, use].sum(axis=0) / count[use]
    if not beta.size:
        raise InsufficientStatisticsError("no pixel has a variance in two successive images")
    middle = np.median(beta)
    spread = 1.4826 * np.median(np.abs(beta - middle))
    # pixels that flicker, sparks; the squares of few differences are skewed
    kept = np.abs(beta - middle) <= (5 + 20 / np.sqrt(count.max())) * spread
    return max(float(beta[kept].mean()), 0.0)


def image_blocks(images: VarianceImages, duration: float, n_nodes: int) -> Blocks:
    """Mean images of blocks of a duration.

    Parameters
    ----------
    images : VarianceImages
        Of one pointing.
    duration : float, s
        Of a block; an image is not split, it belongs to the block that its middle is in.
    n_nodes : int
        Moments of a block at which stars are placed, at most: one for each image.

    Raises
    ------
    ConfigurationError
        If the duration is not positive.
    """
    if not duration > 0:
        raise ConfigurationError(f"duration of a block is {duration:g} s, needs more than 0")
    members = []
    first = 0
    begin = images.time - images.duration / 2
    for k in range(1, len(images) + 1):
        if k == len(images) or images.time[k] > begin[first] + duration + 1e-6:
            members.append(np.arange(first, k))
            first = k
    parts = [np.array_split(own, min(n_nodes, own.size)) for own in members]
    nodes = [(b, part, own.size) for b, own in enumerate(members) for part in parts[b]]
    ends = begin + images.duration
    with np.errstate(invalid="ignore"):
        return Blocks(
            time=np.array([(begin[own[0]] + ends[own[-1]]) / 2 for own in members]),
            duration=np.array([ends[own[-1]] - begin[own[0]] for own in members]),
            image=np.array([_mean(images.image[own]) for own in members]),
            n_events=np.array(
                [own.size**2 / np.sum(1 / (images.n_events[own] - 1)) for own in members]
            ),
            node_time=np.array([images.time[part].mean() for _, part, _ in nodes]),
            node_weight=np.array([part.size / size for _, part, size in nodes]),
            node_block=np.array([b for b, _, _ in nodes]),
        )


def _mean(images: NDArray) -> NDArray:
    """Mean of the images; NaN for a pixel that is not usable in more than half of them."""
    known = np.isfinite(images)
    count = known.sum(axis=0)
    total = np.where(known, images, 0).sum(axis=0)
    return np.where(2 * count > len(images), total / np.maximum(count, 1), np.nan)

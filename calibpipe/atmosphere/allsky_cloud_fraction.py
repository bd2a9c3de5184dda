r"""Covered part of the sky from stars that are seen and stars that are not.

A direction is covered if less than the part :math:`f` of the light of a clear sky arrives. A star
is *detected* if its light is above :math:`f` times the expected one. With :math:`p` the probability
of this in a clear sky and :math:`q` behind a cloud (noise alone), :math:`d = 0, 1`,

.. math:: \hat c_i = \frac{p_i - d_i}{p_i - q_i}, \qquad
          \hat c = \frac{\sum w_i \hat c_i}{\sum w_i}

has the expectation :math:`c` for any weights that do not depend on the clouds. It is not cut off at
0 and 1, so that means over regions and frames are unbiased too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

__all__ = ["CloudFraction", "cloud_fraction", "detection_probabilities", "threshold_errors"]


@dataclass(frozen=True)
class CloudFraction:
    """Fraction by region and of all regions with stars.

    Attributes
    ----------
    region, region_error : ndarray, shape (n_regions,)
        NaN where fewer than the wanted number of stars are expected.
    n_expected : ndarray, shape (n_regions,)
        Sum of the probabilities of detection in a clear sky.
    n_detected : ndarray, shape (n_regions,), int
    total, total_error : float
        Weighted by solid angle; NaN if no region has a value.
    used : float
        Solid angle of the regions with a value, as part of all.
    """

    region: NDArray
    region_error: NDArray
    n_expected: NDArray
    n_detected: NDArray
    total: float
    total_error: float
    used: float


def detection_probabilities(
    expected: ArrayLike,
    noise_clear: ArrayLike,
    noise_covered: ArrayLike,
    threshold: float,
    scatter: float,
) -> tuple[NDArray, NDArray]:
    """Probability that a star is found above the threshold, in a clear sky and behind clouds.

    # ASSUME: Gaussian noise, and clouds that leave no light.

    Parameters
    ----------
    expected : array_like, shape (n,), electrons
        Light of a clear sky.
    noise_clear, noise_covered : array_like, shape (n,), electrons
        With and without the star.
    threshold : float
        Part of the light.
    scatter : float
        Relative, of catalogue, colour and flat field.
    """
    expected = np.asarray(expected, float)
    clear = np.hypot(noise_clear, scatter * expected)
    return (
        ndtr((1 - threshold) * expected / clear),
        ndtr(-threshold * expected / np.asarray(noise_covered)),
    )


def cloud_fraction(
    detected: ArrayLike,
    clear: ArrayLike,
    covered: ArrayLike,
    weight: ArrayLike,
    region: ArrayLike,
    solid_angle: ArrayLike,
    min_stars: int = 3,
) -> CloudFraction:
    r"""Covered part of each region and of the sky.

    .. math:: V(c) = \frac{\sum w^2 \pi (1 - \pi) / (p - q)^2}{(\sum w)^2}, \quad
              \pi = (1 - c) p + c q

    The error of a region is the root mean square of :math:`\hat c - c` if nothing is known before
    (Laplace), so that few stars that agree do not pretend to an error of 0:
    :math:`\sigma^2 = V(\tilde c)\,n/(n + 3) + (\tilde c - \hat c)^2` with
    :math:`\tilde c = (n \hat c + 1)/(n + 2)`. For the sky V is taken at the regions' fractions
    drawn by one star towards the mean of all.

    Parameters
    ----------
    detected : array_like, shape (n,), bool
    clear, covered : array_like, shape (n,)
        Probabilities p and q of detection.
    weight : array_like, shape (n,)
        Not from the frame itself.
    region : array_like, shape (n,), int
        Of each star; -1 is none.
    solid_angle : array_like, shape (n_regions,)
    min_stars : int
    """
    solid_angle = np.asarray(solid_angle, float)
    region = np.asarray(region)
    inside = region >= 0
    d, p, q, w = (np.asarray(v, float)[inside] for v in (detected, clear, covered, weight))
    region = region[inside]

    def summed(values: NDArray) -> NDArray:
        return np.bincount(region, values, minlength=len(solid_angle))

    stars, whole = summed(np.ones_like(d)), summed(w)
    has = (stars >= min_stars) & (whole > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(has, summed(w * (p - d) / (p - q)) / whole, np.nan)
        n_effective = whole**2 / summed(w**2)

        def variance(fraction: NDArray) -> NDArray:
            found = p + fraction[region] * (q - p)
            return summed((w / (p - q)) ** 2 * found * (1 - found)) / whole**2

        likely = _drawn(value, n_effective, 0.5, 2)
        kept = n_effective / (n_effective + 3)
        error = np.sqrt(variance(likely) * kept + (likely - np.clip(value, 0, 1)) ** 2)
        area = np.where(has, solid_angle, 0.0)
        total = np.nansum(area * value) / area.sum()
        mean = _drawn(total, n_effective[has].sum(), 0.5, 1)
        pooled = np.sqrt(np.nansum(area**2 * variance(_drawn(value, n_effective, mean, 1))))
    return CloudFraction(
        region=value,
        region_error=np.where(has, error, np.nan),
        n_expected=summed(p),
        n_detected=np.rint(summed(d)).astype(int),
        total=float(total),
        total_error=float(pooled / area.sum()) if has.any() else np.nan,
        used=float(area.sum() / solid_angle.sum()),
    )


def _drawn(
    value: NDArray | float, n: NDArray | float, toward: NDArray | float, more: int
) -> NDArray:
    """Fraction of `n` stars drawn by some more towards a value, within 0 and 1."""
    inside = np.clip(np.nan_to_num(np.asarray(value, float)), 0, 1)
    return (inside * n + more * toward) / (n + more)


def threshold_errors(
    transmission: ArrayLike,
    relative_noise: ArrayLike,
    threshold: float,
    scale_error: float,
    efficiency_error: float,
    fraction: ArrayLike,
) -> NDArray:
    r"""Systematic error of the covered fraction.

    Three parts, added in quadrature: the scale of the light (zero point, extinction) moves the
    threshold past the stars that are near it; noise smears a distribution of transmissions that is
    steep at the threshold, by :math:`\frac12\sigma^2\rho'`; and the probability of detection in a
    clear sky is known to `efficiency_error`.

    Parameters
    ----------
    transmission, relative_noise : array_like, shape (n,)
        Of the stars of the frame: measured part of the clear light, and its noise.
    threshold : float
    scale_error : float
        Relative, of the expected light.
    efficiency_error : float
    fraction : array_like
        Covered.

    Returns
    -------
    ndarray, as `fraction`
    """
    transmission, noise = np.asarray(transmission, float), np.asarray(relative_noise, float)
    finite = np.isfinite(transmission) & np.isfinite(noise)
    transmission, noise = transmission[finite], noise[finite]
    if len(transmission) == 0:
        return np.full(np.shape(fraction), np.nan)

    def below(limit: float) -> float:
        return float(np.mean(transmission < limit))

    scale = threshold * scale_error
    moved = (below(threshold + scale) - below(threshold - scale)) / 2
    step = 0.4 * threshold
    slope = (below(threshold + step) - 2 * below(threshold) + below(threshold - step)) / step**2
    smeared = 0.5 * float(np.mean(np.minimum(noise, step) ** 2)) * slope
    efficiency = efficiency_error * (1 - np.clip(np.nan_to_num(fraction), 0, 1))
    return np.where(np.isfinite(fraction), np.sqrt(moved**2 + smeared**2 + efficiency**2), np.nan)

r"""Light of stars that are in no catalogue, in the pixels of the others.

Stars fainter than the catalogue stand at random places, :math:`n_m` of magnitude *m* per solid
angle. Their light in pixels *i* and *j* has the covariance of shot noise

.. math:: C_{ij} = \sum_m n_m f_m^2 \int A_i(r)\,A_j(r)\,d^2r \approx
   \sum_m n_m f_m^2\,\frac{a^2}{4\pi w^2}\,e^{-r_{ij}^2/4w^2}

with light :math:`f_m` of such a star, its share *A* in a pixel (area *a*), a Gaussian of variance
:math:`w^2` per axis with the pixel in it. What displaces a star is *C* times its derivative to the
light of each pixel: pixels far from the middle of a bright star have large weights, and neighbours
there count.

References
----------
Campbell 1909, Proc. Camb. Phil. Soc. 15, 117 (shot noise).
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["light_of_neighbours", "squared_light"]

# V and stars per deg² and magnitude, mean of the sky (Allen's Astrophysical Quantities, 4th ed.,
# 2000, table 19.10); fainter ones add little
FAINT_STARS = ((6.5, 0.25), (7.5, 0.7), (8.5, 1.9), (9.5, 5.0))
_JITTER = 1e-6  # of the diagonal: pixels far narrower than the image


def squared_light(flux: NDArray, magnitude: NDArray, magnitude_limit: float) -> float:
    r""":math:`\sum_m n_m f_m^2` of stars beyond a magnitude, p.e.²/deg².

    # ASSUME: neighbours have the colour of the stars and are spread evenly over the sky.

    Parameters
    ----------
    flux, magnitude : ndarray, shape (n_stars,)
        Light (p.e.) and V of stars; the median of :math:`f\,10^{0.4 V}` of those that are seen
        counts. None: 0.
    magnitude_limit : float
        Stars up to this are known.
    """
    seen = flux > 0
    if not seen.any():
        return 0.0
    zero_point = float(np.median(flux[seen] * 10 ** (0.4 * magnitude[seen])))
    beyond = (n * 10 ** (-0.8 * m) for m, n in FAINT_STARS if m > magnitude_limit)
    return zero_point**2 * sum(beyond)


def light_of_neighbours(
    x: NDArray, y: NDArray, area: float, width: float, density: float
) -> NDArray:
    """Light in pixels by one standard deviation of n independent causes, shape (n, n), p.e.

    Its product with its transpose is :math:`C_{ij}`.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Of the pixels; lengths of one unit.
    area, width : float
        Of a pixel; standard deviation per axis of a star's image with the pixel.
    density : float
        `squared_light` in this unit.
    """
    apart2 = (x[:, np.newaxis] - x) ** 2 + (y[:, np.newaxis] - y) ** 2
    covariance = np.exp(-apart2 / (4 * width**2))
    covariance[np.diag_indices_from(covariance)] += _JITTER
    scale = area * np.sqrt(density / (4 * np.pi)) / width
    return scale * np.linalg.cholesky(covariance)

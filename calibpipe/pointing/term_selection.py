r"""Which terms a pointing model needs: likelihood with and without each.

.. math:: \mathrm{BIC} = -2\ln L + k\ln N

with *k* parameters and *N* coordinates. A term that lowers BIC by more than 6 has strong support.

References
----------
Schwarz, G. 1978, Ann. Stat. 6, 461. doi 10.1214/aos/1176344136

Kass, R. E. and Raftery, A. E. 1995, J. Am. Stat. Assoc. 90, 773. doi 10.1080/01621459.1995.10476572
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .linear_offsets import fitted_offsets
from .measurements import PointingMeasurements
from .pointing_terms import check_terms, design_matrix

__all__ = ["STRONG", "Step", "bic_gains", "selected_terms"]

STRONG = 6.0


@dataclass(frozen=True)
class Step:
    """One step of a forward selection.

    Attributes
    ----------
    term : str
    gain : float
        By which BIC falls.
    """

    term: str
    gain: float


def _bic(design: NDArray, measurements: PointingMeasurements) -> float:
    fit = fitted_offsets(design, measurements.offset, measurements.covariance, restricted=False)
    return -2 * fit.log_likelihood + design.shape[2] * np.log(2 * len(measurements))


def bic_gains(
    measurements: PointingMeasurements, terms: Sequence[str], more: NDArray | None = None
) -> NDArray:
    """By how much BIC falls with each term, the scatter being found anew without it.

    Parameters
    ----------
    measurements : PointingMeasurements
        Without outliers.
    terms : sequence of str
    more : ndarray, shape (n, 2, q), optional
        Parameters that stay, of nights.

    Returns
    -------
    ndarray, shape (n_terms,)
        Negative for a term that is not needed.
    """
    design = design_matrix(terms, measurements.azimuth, measurements.altitude)
    if more is not None:
        design = np.concatenate([design, more], axis=2)
    whole = _bic(design, measurements)
    return np.array(
        [_bic(np.delete(design, k, axis=2), measurements) - whole for k in range(len(terms))]
    )


def selected_terms(
    measurements: PointingMeasurements,
    terms: Sequence[str],
    candidates: Sequence[str],
    more: NDArray | None = None,
    *,
    threshold: float = STRONG,
) -> tuple[tuple[str, ...], list[Step]]:
    """Terms, and of some candidates those that the measurements support, the best first.

    Parameters
    ----------
    measurements, more
        As of `bic_gains`.
    terms : sequence of str
        That are in the model anyhow.
    candidates : sequence of str
        Added one by one while BIC falls by more than the threshold.
    threshold : float

    Returns
    -------
    terms : tuple of str
    steps : list of Step

    Raises
    ------
    ConfigurationError
        If a candidate is not known or describes the same as others.
    """
    chosen, left, steps = list(terms), list(candidates), []
    for candidate in left:
        check_terms([*chosen, candidate])
    base = np.zeros((len(measurements), 2, 0)) if more is None else more

    def bic(names: Sequence[str]) -> float:
        design = design_matrix(names, measurements.azimuth, measurements.altitude)
        return _bic(np.concatenate([design, base], axis=2), measurements)

    now = bic(chosen)
    while left:
        found = [bic([*chosen, candidate]) for candidate in left]
        best = int(np.argmin(found))
        if now - found[best] <= threshold:
            break
        check_terms([*chosen, left[best]])
        steps.append(Step(left[best], now - found[best]))
        chosen.append(left.pop(best))
        now = found[best]
    return tuple(chosen), steps

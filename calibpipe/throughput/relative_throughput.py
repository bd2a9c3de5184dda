"""Throughputs of several telescopes relative to each other, from the same flashes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError

__all__ = ["RelativeThroughput", "matched_flashes", "relative_throughput"]


@dataclass(frozen=True)
class RelativeThroughput:
    """Throughputs relative to one telescope, or to the geometric mean of all.

    Attributes
    ----------
    ratio : ndarray, shape (n_tel,)
    stat_covariance, sys_covariance : ndarray, shape (n_tel, n_tel)
        Of the logarithms: relative errors squared.
    n_flashes : int
        That all telescopes saw.
    """

    ratio: NDArray
    stat_covariance: NDArray
    sys_covariance: NDArray
    n_flashes: int

    @property
    def stat_error(self) -> NDArray:
        """Statistical error of each ratio."""
        return self.ratio * np.sqrt(np.diag(self.stat_covariance))

    @property
    def sys_error(self) -> NDArray:
        """Systematic error of each ratio."""
        return self.ratio * np.sqrt(np.diag(self.sys_covariance))


def matched_flashes(event_ids: Sequence[ArrayLike], throughputs: Sequence[ArrayLike]) -> NDArray:
    """Throughputs of the flashes that all telescopes saw, one row a flash.

    Parameters
    ----------
    event_ids : sequence of array_like, shape (n_flashes_of_telescope,), int
        Numbers of the array's events, each once.
    throughputs : sequence of array_like, same shapes
        NaN for a flash that cannot be used.

    Returns
    -------
    ndarray, shape (n_flashes, n_tel)
    """
    numbers, values = [], []
    for event_id, throughput in zip(event_ids, throughputs, strict=True):
        good = np.isfinite(throughput)
        numbers.append(np.asarray(event_id)[good])
        values.append(np.asarray(throughput, float)[good])
    if not numbers:
        return np.empty((0, 0))
    both = numbers[0]
    for other in numbers[1:]:
        both = np.intersect1d(both, other)
    columns = []
    for event_id, throughput in zip(numbers, values, strict=True):
        order = np.argsort(event_id)
        columns.append(throughput[order[np.searchsorted(event_id, both, sorter=order)]])
    return np.stack(columns, axis=1)


def relative_throughput(
    throughput: ArrayLike,
    own_errors: Mapping[str, ArrayLike],
    common_errors: Mapping[str, ArrayLike],
    *,
    reference: int | None = None,
    min_flashes: int = 10,
) -> RelativeThroughput:
    r"""Ratios of throughputs, with what is common to all telescopes cancelled.

    .. math::
        r_j = \bar t_j / \bar t_\mathrm{ref},\qquad C = G\,C_{\ln t}\,G^T,\qquad
        C_{\ln t} = \frac{\mathrm{cov}_k(t_{kj}/\bar t_j)}{N} + \sum_c \sigma_c \sigma_c^T
        + \sum_o \mathrm{diag}(\sigma_o^2)

    *G* subtracts the reference, or the mean over the telescopes. The jitter of the source is in
    the scatter of all telescopes and cancels flash by flash. A common error cancels as far as it
    is the same: that of the photons of one source does, that of a common attenuation length only
    for equal distances.

    Parameters
    ----------
    throughput : array_like, shape (n_flashes, n_tel)
        Flash by flash (`matched_flashes`); rows that are not finite are left out.
    own_errors, common_errors : mapping of str to array_like, shape (n_tel,) or scalar
        Relative systematic errors by name: independent between telescopes, or with the same cause
        (signs count).
    reference : int, optional
        Column that the ratios are to; the geometric mean of all if not given.
    min_flashes : int

    Raises
    ------
    ConfigurationError
        If there are less than two telescopes, the reference is none of them, or an error is both
        own and common.
    InsufficientStatisticsError
        If too few flashes were seen by all, or a mean is not positive.
    """
    values = np.atleast_2d(np.asarray(throughput, float))
    values = values[np.isfinite(values).all(axis=1)]
    n_flashes, n_tel = values.shape
    _check(n_flashes, n_tel, reference, max(min_flashes, 2), set(own_errors) & set(common_errors))
    mean = values.mean(axis=0)
    if not np.all(mean > 0):
        raise InsufficientStatisticsError(
            f"the mean throughput of telescope {int(np.argmin(mean))} is {mean.min():g}, not above "
            "0; leave it out"
        )
    gauge = np.full((n_tel, n_tel), 1 / n_tel) if reference is None else np.zeros((n_tel, n_tel))
    if reference is not None:
        gauge[:, reference] = 1.0
    gauge = np.eye(n_tel) - gauge
    residual = (values / mean - 1) @ gauge.T
    own = sum((np.diag(np.square(_of(error, n_tel))) for error in own_errors.values()), 0 * gauge)
    common = sum((_outer(gauge @ _of(error, n_tel)) for error in common_errors.values()), 0 * gauge)
    return RelativeThroughput(
        ratio=np.exp(gauge @ np.log(mean)),
        stat_covariance=residual.T @ residual / (n_flashes - 1) / n_flashes,
        sys_covariance=gauge @ own @ gauge.T + common,
        n_flashes=n_flashes,
    )


def _of(error: ArrayLike, n_tel: int) -> NDArray:
    return np.broadcast_to(np.asarray(error, float), (n_tel,))


def _outer(vector: NDArray) -> NDArray:
    return np.outer(vector, vector)


def _check(n_flashes: int, n_tel: int, reference: int | None, least: int, both: set[str]) -> None:
    if n_tel < 2 or (reference is not None and not 0 <= reference < n_tel):
        raise ConfigurationError(
            f"ratios need two telescopes and a reference among them, got {n_tel} and {reference}"
        )
    if both:
        raise ConfigurationError(f"errors {sorted(both)} are own and common; count each once")
    if n_flashes < least:
        raise InsufficientStatisticsError(
            f"needs at least {least} flashes seen by all {n_tel} telescopes, got {n_flashes}; "
            "give more, or fewer telescopes"
        )

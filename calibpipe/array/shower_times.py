r"""Arrival times of showers: each event's own time, direction and curvature fitted and left out.

Of an event the times of its telescopes are

.. math:: t_j = T_j(\hat n, \kappa) + t_0 + J_j u + \delta_j + \epsilon_j

with the front *T* of the reconstructed shower, the derivatives *J* with respect to direction and
curvature, and what is wrong with these, *u*, of mean zero and known width. *t_0* and *u* belong to
the event. To leave them out of the equations for the offsets is the same as to give the times of
the event the covariance of timing and direction errors together.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .shower_front import front_delay, front_gradient, shower_axis

__all__ = ["EventFit", "ShowerTimes", "TimingErrors", "event_fit", "front_residuals"]

N_COMMON = 3  # direction along altitude and azimuth, curvature
_LEAST_WIDTH = 1e-9  # rad and relative: a width of 0 has no inverse


@dataclass(frozen=True)
class ShowerTimes:
    """Arrival times of some events, and the geometry of their showers.

    Attributes
    ----------
    time : ndarray, shape (n_events, n_tel), ns
        From any origin of the event; NaN where a telescope has none.
    alt, az : ndarray, shape (n_events,), rad
    core : ndarray, shape (n_events, 3), m
        In the frame of the telescopes' positions.
    curvature : ndarray, shape (n_events,), 1/m
        0 for a plane front.
    """

    time: NDArray
    alt: NDArray
    az: NDArray
    core: NDArray
    curvature: NDArray

    def __len__(self) -> int:
        return len(self.time)

    def chosen(self, which: NDArray | slice) -> "ShowerTimes":
        """Some of the events."""
        return ShowerTimes(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    def joined(self, other: "ShowerTimes") -> "ShowerTimes":
        """Events of both."""
        names = self.__dataclass_fields__
        return ShowerTimes(*(np.concatenate([getattr(o, n) for o in (self, other)]) for n in names))


@dataclass(frozen=True)
class TimingErrors:
    """Standard deviations of single events.

    Attributes
    ----------
    telescope : ndarray, shape (n_tel,), ns
        Of the time of an event.
    direction : float, rad
        Of the reconstructed direction, along each axis.
    core : float, m
    curvature : float
        Of its logarithm.
    """

    telescope: NDArray
    direction: float
    core: float
    curvature: float

    def precision(self, curvature: NDArray) -> NDArray:
        """Inverse variance of time, direction (2) and curvature, shape (n_events, 4)."""
        direction = np.hypot(self.direction, curvature * self.core)
        width = np.stack([direction, direction, np.full_like(direction, self.curvature)], axis=1)
        precision = np.maximum(width, _LEAST_WIDTH) ** -2.0
        return np.concatenate([np.zeros((len(curvature), 1)), precision], axis=1)


@dataclass(frozen=True)
class EventFit:
    """Fit of the nuisance parameters of each event.

    Attributes
    ----------
    weight : ndarray, shape (n_events, n_tel), 1/ns^2
        0 for times that do not count.
    gradient : ndarray, shape (n_events, n_tel, 4)
        As `front_gradient`.
    precision : ndarray, shape (n_events, 4)
        Of the parameters before the fit.
    step : ndarray, shape (n_events, 4)
        Parameters: time in ns, direction in rad, logarithm of the curvature.
    information : ndarray, shape (n_events, 4, 4)
        Inverse covariance of the parameters by the times of the event alone.
    covariance : ndarray, shape (n_events, 4, 4)
        Of the parameters, by times and precision together.
    residual : ndarray, shape (n_events, n_tel), ns
        0 where there is no time.
    leverage : ndarray, shape (n_events, n_tel)
        Part of the variance of a time that the fit of its event takes.
    is_outlier : ndarray, shape (n_events, n_tel), bool
    """

    weight: NDArray
    gradient: NDArray
    precision: NDArray
    step: NDArray
    information: NDArray
    covariance: NDArray
    residual: NDArray
    leverage: NDArray
    is_outlier: NDArray

    @property
    def chi2(self) -> NDArray:
        """Of each event, with the widths of its parameters."""
        nuisance = np.einsum("ek,ek->e", self.precision, self.step**2)
        return np.einsum("et,et->e", self.weight, self.residual**2) + nuisance


def front_residuals(
    times: ShowerTimes, position: NDArray, refractivity: float = 0.0
) -> tuple[NDArray, NDArray]:
    """Times minus the front of the reconstructed shower, and the front's derivatives.

    Parameters
    ----------
    times : ShowerTimes
    position : ndarray, shape (n_tel, 3), m
    refractivity : float
        As `front_delay`.

    Returns
    -------
    residual : ndarray, shape (n_events, n_tel), ns
    gradient : ndarray, shape (n_events, n_tel, 4)
    """
    axes = shower_axis(times.alt, times.az)
    return _residuals(times, position, axes, times.curvature, refractivity)


def event_fit(
    times: ShowerTimes,
    position: NDArray,
    offset: NDArray,
    common: NDArray,
    errors: TimingErrors,
    *,
    max_sigma: float = 4.0,
    refractivity: float = 0.0,
    n_iterations: int = 2,
) -> EventFit:
    """Time, direction and curvature of each event, from its times and what is known before.

    The reconstructed direction and what the times say are averaged with their weights; the front
    is then taken along the new direction, `n_iterations` times.

    Parameters
    ----------
    times : ShowerTimes
    position : ndarray, shape (n_tel, 3), m
    offset : ndarray, shape (n_tel,), ns
        Of the telescopes; those of NaN do not count.
    common : ndarray, shape (3,)
        True minus reconstructed direction (rad) and curvature (logarithm), in the mean.
    errors : TimingErrors
    max_sigma : float
        Times further from the fit of their event do not count. Of an event it is always the
        worst one first; an event with less than two times left does not count either.
    refractivity : float
        As `front_delay`.
    n_iterations : int
        1 keeps the front along the reconstructed direction.
    """
    axes = shower_axis(times.alt, times.az)
    precision = errors.precision(times.curvature)
    residual, gradient = _residuals(times, position, axes, times.curvature, refractivity)
    known = np.concatenate([[0.0], common])
    data = residual - offset - gradient @ known
    seen = _at_least_two(np.isfinite(data))
    variance = errors.telescope**2 + np.einsum(
        "etk,ek->et", gradient[..., 1:] ** 2, 1 / precision[:, 1:]
    )
    used = seen & _near_median(data, seen, variance, max_sigma)
    fit = _fit(data, gradient, used, precision, errors.telescope)
    for _ in range(n_iterations - 1):
        fit = _without_worst(data, fit, precision, errors.telescope, max_sigma)
        total = fit.step + known
        there = _moved_axes(axes, total)
        curvature = times.curvature * np.exp(total[:, 3])
        residual, gradient = _residuals(times, position, there, curvature, refractivity)
        # the step in the directions at the new axis, where the derivatives are taken: with those
        # at the reconstructed axis, its error would be in derivatives and residuals alike
        step = there[0] - axes[0]
        moved = np.stack([np.einsum("ex,ex->e", step, d) for d in there[1:]], axis=1)
        moved = np.concatenate([np.zeros((len(times), 1)), moved, total[:, 3:]], axis=1)
        data = residual - offset + np.einsum("etk,ek->et", gradient, moved) - gradient @ known
        fit = _fit(data, gradient, fit.weight > 0, precision, errors.telescope)
    fit = _without_worst(data, fit, precision, errors.telescope, max_sigma)
    return replace(fit, is_outlier=seen & (fit.weight == 0))


def _residuals(
    times: ShowerTimes,
    position: NDArray,
    axes: tuple[NDArray, NDArray, NDArray],
    curvature: NDArray,
    refractivity: float,
) -> tuple[NDArray, NDArray]:
    """Residuals and derivatives at any axis and curvature."""
    front = front_delay(position, times.core, axes[0], curvature, refractivity=refractivity)
    gradient = front_gradient(position, times.core, axes, curvature, refractivity=refractivity)
    return times.time - front, gradient


def _moved_axes(
    axes: tuple[NDArray, NDArray, NDArray], total: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Axis moved along altitude and azimuth, with these directions there."""
    axis = axes[0] + total[:, 1:2] * axes[1] + total[:, 2:3] * axes[2]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    return shower_axis(np.arcsin(np.clip(axis[:, 2], -1, 1)), np.arctan2(-axis[:, 1], axis[:, 0]))


def _at_least_two(used: NDArray) -> NDArray:
    return used & (used.sum(axis=1, keepdims=True) >= 2)


def _near_median(data: NDArray, seen: NDArray, variance: NDArray, max_sigma: float) -> NDArray:
    """Times near the median of their event: it is not moved by what is far off."""
    ordered = np.sort(np.where(seen, data, np.inf), axis=1)
    n = seen.sum(axis=1)
    rows, last = np.arange(len(n)), data.shape[1] - 1
    low = ordered[rows, np.maximum((n - 1) // 2, 0)]
    high = ordered[rows, np.minimum(n // 2, last)]
    with np.errstate(invalid="ignore"):  # events without times
        median = np.where(n > 0, (low + high) / 2, 0.0)[:, None]
    # pi / 2: variance of a median over that of a mean
    of_median = np.pi / 2 * np.sum(variance * seen, axis=1) / np.maximum(n, 1) ** 2
    distance = np.where(seen, data - median, np.inf)
    return distance**2 <= max_sigma**2 * (variance + of_median[:, None])


def _without_worst(
    data: NDArray, fit: EventFit, precision: NDArray, sigma: NDArray, max_sigma: float
) -> EventFit:
    """The fit without times that are too far off, the worst of each event first."""
    for _ in range(data.shape[1]):
        expected = sigma**2 * np.maximum(1 - fit.leverage, 1e-6)
        pull = np.where(fit.weight > 0, fit.residual**2 / expected, 0.0)
        worst = np.argmax(pull, axis=1)
        bad = pull[np.arange(len(pull)), worst] > max_sigma**2
        if not bad.any():
            return fit
        used = fit.weight[bad] > 0
        used[np.arange(len(used)), worst[bad]] = False
        again = _fit(data[bad], fit.gradient[bad], used, precision[bad], sigma)
        values = {name: getattr(fit, name).copy() for name in fit.__dataclass_fields__}
        for name, value in values.items():
            value[bad] = getattr(again, name)
        fit = EventFit(**values)
    return fit


def _fit(
    data: NDArray, gradient: NDArray, used: NDArray, precision: NDArray, sigma: NDArray
) -> EventFit:
    """Linear least squares of all events at once."""
    used = _at_least_two(used)
    weight = np.where(used, sigma**-2.0, 0.0)
    data = np.where(used, data, 0.0)
    weighted = gradient * weight[..., None]
    information = weighted.transpose(0, 2, 1) @ gradient
    matrix = information.copy()
    diagonal = np.arange(4)
    matrix[:, diagonal, diagonal] += precision
    matrix[~used.any(axis=1), 0, 0] = 1.0  # events that do not count have no time
    covariance = np.linalg.inv(matrix)
    step = np.einsum("ekl,etl,et->ek", covariance, weighted, data, optimize=True)
    residual = np.where(used, data - np.einsum("etk,ek->et", gradient, step), 0.0)
    leverage = np.einsum("etk,etk->et", weighted @ covariance, gradient)
    return EventFit(
        weight=weight,
        gradient=gradient,
        precision=precision,
        step=step,
        information=information,
        covariance=covariance,
        residual=residual,
        leverage=leverage,
        is_outlier=np.zeros_like(used),
    )

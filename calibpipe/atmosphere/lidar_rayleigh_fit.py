r"""Clear air in a LIDAR profile: where the signal follows the molecules, and its level there.

In air without aerosols the ratio :math:`q = X/\beta_m^{att}` of the range-corrected signal to the
molecular attenuated backscatter is constant, :math:`q = C\,e^{-2\tau_a}`, with the constant of
the instrument and the optical depth of the aerosols before it.

Means are weighted by :math:`w = \beta_m^{att}/r^2`, the expected photons, never by the measured
ones: weights out of fluctuating counts pull a mean down (by one count in the mean count).

References
----------
Freudenthaler et al. 2018, EARLINET quality-assurance tools (Rayleigh fit).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClearAir", "WindowSums", "depth_between", "rayleigh_fit"]

CLEAR = "clear"
NO_SIGNAL = "signal too weak for a Rayleigh fit"
NOT_CLEAR = "no range where the signal follows the molecules"


class WindowSums:
    """Weighted means, their errors and slopes of ratios over windows of bins, by running sums.

    Parameters
    ----------
    ratio, variance : ndarray, (n_profiles, n_bins)
        q and its variance. NaN are left out.
    weight : ndarray, (n_bins,)
        Expected photons of each bin, any unit.
    position : ndarray, (n_bins,)
        What slopes refer to, for example the range in km.
    background_error : ndarray, (n_profiles,), or None
        Error of the background in the unit of ratio times weight: common to all bins, it does not
        average out in a window.
    """

    def __init__(
        self,
        ratio: NDArray,
        variance: NDArray,
        weight: NDArray,
        position: NDArray,
        background_error: NDArray | None = None,
    ):
        good = np.isfinite(ratio) & np.isfinite(variance)
        w = np.where(good, weight, 0.0)
        q = np.where(good, ratio, 0.0)
        v = np.where(good, variance, 0.0)
        self._offset = position.mean()
        x = position - self._offset
        with np.errstate(divide="ignore"):
            inverse = np.where(good & (v > 0), 1.0 / v, 0.0)
        self.shape = ratio.shape
        self.position = position
        zero = np.zeros(len(ratio))
        self._common = zero if background_error is None else background_error
        self._sums = {
            name: _sums_from_the_end(term)
            for name, term in {
                "n": good,
                "w": w,
                "wx": w * x,
                "wxx": w * x * x,
                "wq": w * q,
                "wqq": w * q * q,
                "wxq": w * x * q,
                "e": w * w * v,
                "ex": w * w * x * v,
                "exx": w * w * x * x * v,
                "i": inverse,
                "iq": inverse * q,
                "iqq": inverse * q * q,
            }.items()
        }

    def windows(self, first: NDArray, stop: NDArray) -> dict[str, NDArray]:
        """Statistics of windows [first, stop) that are the same in every profile.

        Returns
        -------
        dict of ndarray, (n_profiles, n_windows)
            ``mean``, ``error``, ``centre`` (mean position), ``slope``, ``slope_error``,
            ``chi2``, ``scatter`` (rms about the mean), ``bins``.
        """
        total = {name: s[:, first] - s[:, stop] for name, s in self._sums.items()}
        return self._statistics(total, self._common[:, np.newaxis])

    def of_profiles(
        self, first: NDArray, stop: NDArray, profile: NDArray | None = None
    ) -> dict[str, NDArray]:
        """As `windows`, one window [first, stop) for each entry of `profile`: (n_entries,).

        Without `profile` each profile has one window.
        """
        rows = np.arange(self.shape[0]) if profile is None else profile
        total = {name: s[rows, first] - s[rows, stop] for name, s in self._sums.items()}
        return self._statistics(total, self._common[rows])

    def _statistics(self, t: dict[str, NDArray], common: NDArray) -> dict[str, NDArray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = t["wq"] / t["w"]
            centre = t["wx"] / t["w"]
            moment = t["wxx"] - centre * t["wx"]
            slope = (t["wxq"] - centre * t["wq"]) / moment
            slope_variance = (t["exx"] - 2 * centre * t["ex"] + centre**2 * t["e"]) / moment**2
            chi2 = t["iqq"] - 2 * mean * t["iq"] + mean**2 * t["i"]
            return {
                "mean": mean,
                "centre": centre + self._offset,
                "error": np.sqrt(t["e"] + (common * t["n"]) ** 2) / t["w"],
                "slope": slope,
                "slope_error": np.sqrt(np.maximum(slope_variance, 0.0)),
                "chi2": chi2,
                "scatter": np.sqrt(np.maximum(t["wqq"] / t["w"] - mean**2, 0.0)),
                "bins": t["n"],
            }


def _sums_from_the_end(terms: NDArray) -> NDArray:
    """Sum of each bin and all beyond it: far windows keep their digits beside strong near bins."""
    sums = np.zeros((terms.shape[0], terms.shape[1] + 1))
    sums[:, :-1] = np.cumsum(terms[:, ::-1], axis=1)[:, ::-1]
    return sums


@dataclass(frozen=True)
class ClearAir:
    """Reference range of each profile; every array (n_profiles,).

    Parameters
    ----------
    first, stop : ndarray of int
        Bins [first, stop); -1 without a reference.
    level, level_error : ndarray
        Mean ratio of signal to molecules, and its statistical error.
    status : ndarray of str
        ``clear``, or why there is no reference.
    """

    first: NDArray
    stop: NDArray
    level: NDArray
    level_error: NDArray
    status: NDArray

    @property
    def middle(self) -> NDArray:
        """Bin in the middle of the reference, -1 without one."""
        return np.where(self.first < 0, -1, (self.first + self.stop - 1) // 2)


def rayleigh_fit(
    sums: WindowSums,
    search: tuple[int, int],
    width: int,
    lowest: NDArray | int = 0,
    highest: NDArray | int | None = None,
    max_relative_error: float = 0.03,
    max_deviation: float = 3.0,
    tolerance: float = 0.01,
) -> ClearAir:
    r"""Reference range: where the ratio to the molecules is constant and well measured.

    Of the windows inside the search range, half overlapping, those are candidates whose slope is
    zero within `max_deviation` errors, whose :math:`\chi^2` of a constant is not above its
    expectation by more than `max_deviation` of its spread, and whose level is known to
    `max_relative_error`. Aerosols add to the signal before they take from it, so that clear air is
    the lowest of them: the window with the smallest level plus `max_deviation` errors is taken.

    Parameters
    ----------
    sums : WindowSums
    search : tuple of int
        Bins [first, stop) of the search.
    width : int
        Bins of a window.
    lowest : int or ndarray of int, (n_profiles,)
        A window begins here or higher (top of the highest layer).
    highest : int or ndarray of int, (n_profiles,), or None
        A window ends before this bin (base of a layer).
    max_relative_error, max_deviation : float
    tolerance : float
        Relative change over a window that counts as constant however precise the signal is: what
        traces of aerosols and the error of the density profile leave.
    """
    n, n_bins = sums.shape
    first = np.arange(search[0], max(search[1] - width, search[0]) + 1, max(width // 2, 1))
    first = first[first + width <= n_bins]
    nothing = np.full(n, -1)
    nan = np.full(n, np.nan)
    if first.size == 0:
        return ClearAir(nothing, nothing, nan, nan, np.full(n, NO_SIGNAL))
    found = sums.windows(first, first + width)
    highest = n_bins if highest is None else highest
    allowed = first >= np.broadcast_to(lowest, (n,))[:, np.newaxis]
    allowed &= first + width <= np.broadcast_to(highest, (n,))[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        strong = (found["mean"] > 0) & (found["error"] <= max_relative_error * found["mean"])
        strong &= allowed & (found["bins"] > width // 2)
        length = np.abs(sums.position[first + width - 1] - sums.position[first])
        change = np.abs(found["slope"]) * length
        flat = change <= max_deviation * found["slope_error"] * length
        flat |= change <= tolerance * found["mean"]
        freedom = np.maximum(found["bins"] - 1, 1)
        smooth = found["chi2"] <= freedom + max_deviation * np.sqrt(2.0 * freedom)
        smooth |= found["scatter"] <= tolerance * found["mean"]
        score = np.where(
            strong & flat & smooth, found["mean"] + max_deviation * found["error"], np.inf
        )
    best = np.argmin(score, axis=1)
    rows = np.arange(n)
    clear = np.isfinite(score[rows, best])
    status = np.where(clear, CLEAR, np.where(strong.any(axis=1), NOT_CLEAR, NO_SIGNAL))
    return ClearAir(
        np.where(clear, first[best], -1),
        np.where(clear, first[best] + width, -1),
        np.where(clear, found["mean"][rows, best], np.nan),
        np.where(clear, found["error"][rows, best], np.nan),
        status,
    )


def depth_between(
    near: NDArray, near_error: NDArray, far: NDArray, far_error: NDArray
) -> tuple[NDArray, NDArray]:
    r"""Optical depth between two ranges of clear air, :math:`-\tfrac12\ln(q_{far}/q_{near})`.

    With the constant of the instrument as the near level it is the absolute calibration: all
    aerosols from the LIDAR on.

    Parameters
    ----------
    near, far, near_error, far_error : ndarray, any shape
        Ratios of signal to molecules, and their errors.

    Returns
    -------
    depth, error : ndarray
        NaN where a ratio is not positive: no light comes back.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        valid = (near > 0) & (far > 0)
        depth = np.where(valid, -0.5 * np.log(far / near), np.nan)
        error = 0.5 * np.hypot(near_error / near, far_error / far)
    return depth, np.where(valid, error, np.nan)

r"""Normal equations of the offsets of telescopes, summed over events.

Parameters are the offsets :math:`\delta_j` and three that all events have in common: what is
wrong with the direction along altitude and azimuth, and with the curvature of the front, in the
mean. With the weights *W* of the times of an event, the derivatives *J*, the precision
:math:`\Lambda` of the event's own parameters and :math:`G = J^TWJ + \Lambda`, an event adds

.. math:: N = X^T P X, \quad P = W - WJG^{-1}J^TW, \quad X = (1, J_u)

A sum of them is all that is needed of any number of events, blocks or nights.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .graph import common_events
from .shower_times import N_COMMON, EventFit

__all__ = ["N_SECTORS", "NormalEquations", "normal_equations", "total"]

N_SECTORS = 8  # of azimuth


@dataclass(frozen=True)
class NormalEquations:
    """Sums over events, about a point near the solution; offsets in ns.

    Attributes
    ----------
    point : ndarray, shape (n_tel + 3,)
        Offsets and common parameters that `vector` and `chi2` are at.
    matrix : ndarray, shape (n_tel + 3, n_tel + 3)
    vector : ndarray, shape (n_tel + 3,)
    chi2 : float
    ndf : int
        Times minus events; the parameters are not yet taken off.
    n_common : ndarray, shape (n_tel, n_tel), int
        Events of pairs, and of telescopes on the diagonal.
    n_outliers : ndarray, shape (n_tel,), int
    n_events : int
    n_by_azimuth : ndarray, shape (8,), int
        Events by sector of azimuth, the first from north to north-east.
    sin_alt : float
        Sum over the events.
    """

    point: NDArray
    matrix: NDArray
    vector: NDArray
    chi2: float
    ndf: int
    n_common: NDArray
    n_outliers: NDArray
    n_events: int
    n_by_azimuth: NDArray
    sin_alt: float

    @property
    def n_tel(self) -> int:
        """Telescopes."""
        return len(self.n_outliers)

    @property
    def n_of_telescope(self) -> NDArray:
        """Events of each telescope."""
        return np.diag(self.n_common)

    @property
    def seen(self) -> NDArray:
        """Whether a telescope has any event."""
        return self.n_of_telescope > 0

    def at(self, point: NDArray) -> "NormalEquations":
        """The same equations about another point."""
        step = point - self.point
        moved = self.matrix @ step
        return replace(
            self,
            point=point,
            vector=self.vector - moved,
            chi2=float(self.chi2 - 2 * self.vector @ step + step @ moved),
        )

    def without(self, tel: int) -> "NormalEquations":
        """The same, with an offset of one telescope that is nobody else's business.

        As if that telescope's offset were fitted to these events alone.
        """
        diagonal = self.matrix[tel, tel]
        if diagonal <= 0:
            return self
        row = self.matrix[tel] / diagonal
        matrix = self.matrix - np.outer(row, self.matrix[tel])
        vector = self.vector - row * self.vector[tel]
        matrix[tel] = matrix[:, tel] = vector[tel] = 0.0
        n_common = self.n_common.copy()
        n_common[tel] = n_common[:, tel] = 0
        return replace(
            self,
            matrix=matrix,
            vector=vector,
            chi2=float(self.chi2 - self.vector[tel] ** 2 / diagonal),
            ndf=self.ndf - 1,
            n_common=n_common,
        )

    def __add__(self, other: "NormalEquations") -> "NormalEquations":
        of_other = other.seen & ~self.seen
        point = self.point.copy()
        point[: self.n_tel][of_other] = other.point[: self.n_tel][of_other]
        a, b = self.at(point), other.at(point)
        summed = {
            name: getattr(a, name) + getattr(b, name)
            for name in self.__dataclass_fields__
            if name != "point"
        }
        return NormalEquations(point=point, **summed)


def total(equations: list[NormalEquations]) -> NormalEquations:
    """Sum of equations; the list must not be empty."""
    result = equations[0]
    for more in equations[1:]:
        result = result + more
    return result


def normal_equations(
    fit: EventFit, offset: NDArray, common: NDArray, alt: NDArray, az: NDArray
) -> NormalEquations:
    """Normal equations of the events of a fit.

    Parameters
    ----------
    fit : EventFit
        At `offset` and `common`.
    offset : ndarray, shape (n_tel,), ns
        NaN for telescopes that do not count.
    common : ndarray, shape (3,)
        Direction (rad) and curvature (logarithm).
    alt, az : ndarray, shape (n_events,), rad
        Of the showers.
    """
    n_tel = fit.weight.shape[1]
    counts = fit.weight > 0
    weighted = fit.gradient * fit.weight[..., None]
    spread = weighted @ fit.covariance
    own = fit.precision[:, 1:]
    matrix = np.empty((n_tel + N_COMMON, n_tel + N_COMMON))
    matrix[:n_tel, :n_tel] = np.diag(fit.weight.sum(axis=0)) - np.tensordot(
        spread, weighted, axes=([0, 2], [0, 2])
    )
    matrix[:n_tel, n_tel:] = np.einsum("etk,ek->tk", spread[..., 1:], own)
    matrix[n_tel:, :n_tel] = matrix[:n_tel, n_tel:].T
    used = counts.any(axis=1)
    told = (fit.information @ fit.covariance)[:, 1:, 1:] * own[:, None, :]
    matrix[n_tel:, n_tel:] = told[used].sum(axis=0)
    vector = np.concatenate(
        [
            np.einsum("et,et->t", fit.weight, fit.residual),
            np.einsum("ek,ek->k", own[used], fit.step[used, 1:]),
        ]
    )
    sector = np.floor(np.mod(az[used], 2 * np.pi) / (2 * np.pi) * N_SECTORS).astype(int)
    return NormalEquations(
        point=np.concatenate([np.nan_to_num(offset), common]),
        matrix=matrix,
        vector=vector,
        chi2=float(fit.chi2[used].sum()),
        ndf=int(counts.sum() - used.sum()),
        n_common=common_events(counts),
        n_outliers=fit.is_outlier.sum(axis=0),
        n_events=int(used.sum()),
        n_by_azimuth=np.bincount(sector % N_SECTORS, minlength=N_SECTORS),
        sin_alt=float(np.sin(alt[used]).sum()),
    )

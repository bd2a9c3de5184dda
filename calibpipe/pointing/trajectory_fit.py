r"""One fit of all displacements of stars: pointing block by block, rotation and plate scale.

Displacements :math:`\delta` with covariance :math:`V` are :math:`D\theta + e`: generalised least
squares, weights :math:`(V + S)^{-1}` with the systematic covariance *S* of what differs from star
to star, so that no star counts more than it is known. The statistical error is that of *V* alone,
:math:`G V G^T` with the gain :math:`G = (D^TWD)^{-1}D^TW`; each systematic error is :math:`G`
times its displacements.

References
----------
Aitken 1936, Proc. R. Soc. Edinb. 55, 42, doi 10.1017/S0370164600014346
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import chi2 as chi2_distribution

__all__ = ["Prior", "SpotGroup", "TrajectoryFit", "fit_trajectories", "star_residuals"]

N_COMMON = 2  # rotation, plate scale
_RANK = 1e-8  # smallest eigenvalue of a covariance of residuals, relative to the displacements'


@dataclass(frozen=True)
class SpotGroup:
    """Displacements of one observation.

    Parameters
    ----------
    offset : ndarray, shape (n,), m
    covariance : ndarray, shape (n, n), m²
        Statistical.
    design : ndarray, shape (n, m)
        Derivative to the m numbers of the observation: dlon and dlat of each block, rad.
    common_design : ndarray, shape (n, 2)
        To rotation (rad) and plate scale.
    systematics : dict of str to ndarray, shape (n, k), m
        Displacements by one standard deviation of k independent causes, by name.
    weighting : tuple of str
        Names of those that belong to single stars and count in the weights.
    """

    offset: NDArray
    covariance: NDArray
    design: NDArray
    common_design: NDArray
    systematics: dict[str, NDArray]
    weighting: tuple[str, ...] = ()

    @property
    def total_covariance(self) -> NDArray:
        """Statistical and that of single stars."""
        total = self.covariance.copy()
        for name in self.weighting:
            total += self.systematics[name] @ self.systematics[name].T
        return total


@dataclass(frozen=True)
class Prior:
    """What is known before of rotation (rad) and plate scale: value and error, shape (2,)."""

    value: NDArray
    error: NDArray


@dataclass(frozen=True)
class TrajectoryFit:
    """Result.

    Parameters
    ----------
    own : list of ndarray, shape (m,)
        Numbers of each group, rad.
    own_covariance : list of ndarray, shape (m, m)
        Statistical.
    own_systematics : list of dict of str to ndarray, shape (m,)
        Errors by name; ``plate_scale`` is that of the prior.
    common, common_covariance : ndarray, shape (2,), (2, 2)
    common_systematics : dict of str to ndarray, shape (2,)
    residual, residual_covariance : list of ndarray, shape (n,), (n, n)
        Of each group: m, m².
    group_chi2 : list of float
        Of each group alone.
    chi2 : float
        All, with that of the prior.
    n_degrees : int
    """

    own: list[NDArray]
    own_covariance: list[NDArray]
    own_systematics: list[dict[str, NDArray]]
    common: NDArray
    common_covariance: NDArray
    common_systematics: dict[str, NDArray]
    residual: list[NDArray]
    residual_covariance: list[NDArray]
    group_chi2: list[float]
    chi2: float
    n_degrees: int


def fit_trajectories(groups: list[SpotGroup], prior: Prior | None = None) -> TrajectoryFit:
    """Weighted fit of all groups together.

    Parameters
    ----------
    groups : list of SpotGroup
        At least one, with a design of full rank: two stars, or one and a prior.
    prior : Prior, optional
        Nothing is known if not given.

    Raises
    ------
    LinAlgError
        If numbers are not determined.
    """
    sizes = [group.design.shape[1] for group in groups]
    ends = np.cumsum(sizes)
    n = ends[-1] + N_COMMON
    slices = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    common = slice(n - N_COMMON, n)
    factors = [cho_factor(group.total_covariance) for group in groups]
    normal, right = np.zeros((n, n)), np.zeros(n)
    places, weighted = [], []
    for group, mine, factor in zip(groups, slices, factors, strict=True):
        place = np.r_[np.arange(n)[mine], np.arange(n)[common]]
        design = np.hstack([group.design, group.common_design])
        weight = cho_solve(factor, design).T
        normal[np.ix_(place, place)] += weight @ design
        right[place] += weight @ group.offset
        places.append(place)
        weighted.append(weight)
    known = np.zeros(N_COMMON) if prior is None else prior.error**-2.0
    normal[common, common] += np.diag(known)
    right[common] += known * (0 if prior is None else prior.value)
    scale = 1 / np.sqrt(np.diag(normal))
    inverse = np.linalg.inv(normal * scale[:, np.newaxis] * scale) * scale[:, np.newaxis] * scale
    solution = inverse @ right
    gains = [inverse[:, place] @ weight for place, weight in zip(places, weighted, strict=True)]
    statistical = sum(g @ group.covariance @ g.T for g, group in zip(gains, groups, strict=True))
    names = list(dict.fromkeys(name for group in groups for name in group.systematics))
    systematics = {
        name: np.sqrt(
            sum(
                ((g @ group.systematics[name]) ** 2).sum(axis=1)
                for g, group in zip(gains, groups, strict=True)
                if name in group.systematics
            )
        )
        for name in names
    }
    if prior is not None:
        systematics["plate_scale"] = np.sqrt(inverse[:, common] ** 2 @ known)
    residual, covariance, group_chi2 = [], [], []
    for group, place, factor in zip(groups, places, factors, strict=True):
        design = np.hstack([group.design, group.common_design])
        rest = group.offset - design @ solution[place]
        residual.append(rest)
        covariance.append(
            group.total_covariance - design @ inverse[np.ix_(place, place)] @ design.T
        )
        group_chi2.append(float(rest @ cho_solve(factor, rest)))
    chi2 = sum(group_chi2)
    if prior is not None:
        chi2 += float(known @ (solution[common] - prior.value) ** 2)
    n_points = sum(group.offset.size for group in groups) + np.count_nonzero(known)
    return TrajectoryFit(
        own=[solution[mine] for mine in slices],
        own_covariance=[statistical[mine, mine] for mine in slices],
        own_systematics=[{k: v[mine] for k, v in systematics.items()} for mine in slices],
        common=solution[common],
        common_covariance=statistical[common, common],
        common_systematics={k: v[common] for k, v in systematics.items()},
        residual=residual,
        residual_covariance=covariance,
        group_chi2=group_chi2,
        chi2=chi2,
        n_degrees=int(n_points - n),
    )


@dataclass(frozen=True)
class StarResidual:
    """Mean displacement of a star from the fit, and how likely it is.

    Parameters
    ----------
    mean : ndarray, shape (2,), m
    covariance : ndarray, shape (2, 2), m²
        Of the displacement as measured, systematic part included.
    chi2 : float
        Of the mean, with the covariance of the residual: a test of this star against the others.
    p_value : float
        1 where the star alone decides the fit.
    """

    mean: NDArray
    covariance: NDArray
    chi2: float
    p_value: float


def star_residuals(
    group: SpotGroup, star: NDArray, residual: NDArray, covariance: NDArray
) -> dict[int, StarResidual]:
    """Residuals of each star of a group, averaged over its spots.

    Parameters
    ----------
    group : SpotGroup
    star : ndarray of int, shape (n/2,)
        Of each spot.
    residual, covariance : ndarray, shape (n,), (n, n)
        Of `TrajectoryFit`.
    """
    found = {}
    total = group.total_covariance
    for number in np.unique(star):
        spots = np.flatnonzero(star == number)
        rows = np.stack([2 * spots, 2 * spots + 1], axis=1).ravel()
        own = np.linalg.inv(total[np.ix_(rows, rows)])
        pick = np.tile(np.eye(2), (spots.size, 1))
        spread = np.linalg.inv(pick.T @ own @ pick)
        average = spread @ pick.T @ own
        mean = average @ residual[rows]
        of_mean = average @ covariance[np.ix_(rows, rows)] @ average.T
        values, vectors = np.linalg.eigh(of_mean)
        real = values > _RANK * np.trace(spread)
        parts = (vectors.T @ mean)[real]
        chi2 = float(np.sum(parts**2 / values[real]))
        chance = float(chi2_distribution.sf(chi2, real.sum())) if real.any() else 1.0
        found[int(number)] = StarResidual(mean, spread, chi2, chance)
    return found

r"""Pointing of a telescope from the stars in its variance images.

Gauss-Newton: place the stars with the alignment so far (`field_fit`), fit fluxes and displacements
of all spots of an observation at once (`spot_fit`), fit the alignment to the displacements of all
observations at once (`trajectory_fit`), repeat. A star that does not agree with the others is left
out.
"""

from collections import Counter
from dataclasses import dataclass, field

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import InsufficientStatisticsError
from .coma_psf import ComaPsf
from .field_fit import FieldFit, StarCamera, StarField
from .pixel_light import PixelTable, pixel_table
from .spot_systematics import spot_systematics
from .star_verdicts import (
    MIN_STARS,
    disagreement,
    mark_blocks,
    spots_that_count,
    stars_left_out,
    why_no_match,
)
from .tracking_settings import TrackingSettings
from .trajectory_fit import (
    Prior,
    SpotGroup,
    StarResidual,
    TrajectoryFit,
    fit_trajectories,
    star_residuals,
)

__all__ = ["StarTracking", "track_stars"]

_ARCSEC = np.deg2rad(1 / 3600)
_TOLERANCE = 0.02 * _ARCSEC
_PSF_TOLERANCE = 2e-3
_STEPS = 12
_ELSEWHERE = "arcsec from where the other stars say"


@dataclass(frozen=True)
class StarTracking:
    """Result for all observations.

    Parameters
    ----------
    fits : list of FieldFit
        With the final alignment.
    groups : list of SpotGroup or None
        Of each fit; None where it has no valid block.
    blocks : list of ndarray of int
        Blocks of each fit that have a result, in the order of its numbers.
    trajectory : TrajectoryFit
        Its numbers are the last corrections: residuals and covariances count.
    residuals : list of dict of int to StarResidual
        By star.
    rotation, plate_scale : float
        rad, 1.
    psf : ComaPsf
    psf_covariance : ndarray, shape (2, 2)
        Of σ² (m²) and coma, statistical.
    n_iterations : int
    """

    fits: list[FieldFit]
    groups: list[SpotGroup | None]
    blocks: list[NDArray]
    trajectory: TrajectoryFit
    residuals: list[dict[int, StarResidual]]
    rotation: float
    plate_scale: float
    psf: ComaPsf
    psf_covariance: NDArray
    n_iterations: int


def track_stars(
    fields: list[StarField],
    camera: StarCamera,
    response_error: NDArray,
    settings: TrackingSettings | None = None,
    where: str = "this telescope",
) -> StarTracking:
    """Alignment of a camera block by block, with its rotation and plate scale.

    Parameters
    ----------
    fields : list of StarField
    camera : StarCamera
    response_error : ndarray, shape (n_pixels,)
        Of `VarianceImages`.
    settings : TrackingSettings, optional
    where : str
        Telescope and night, for messages.

    Raises
    ------
    InsufficientStatisticsError
        If no block has two stars.
    """
    fit = _Tracking(fields, camera, response_error, settings or TrackingSettings(), where)
    fit.find()
    while fit.converge() and fit.reject():
        pass
    return fit.result()


@dataclass
class _Tracking:
    """All observations while they are fitted."""

    fields: list[StarField]
    camera: StarCamera
    response_error: NDArray
    settings: TrackingSettings
    where: str
    n_iterations: int = 0
    rotation: float = 0.0
    plate_scale: float = 1.0
    fits: list[FieldFit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fits = [FieldFit(one, self.camera, self.response_error) for one in self.fields]
        self.psf, self.psf_covariance = self.camera.psf, np.zeros((2, 2))
        self.table = self._table()

    def _table(self) -> PixelTable:
        return pixel_table(self.camera.shape, self.psf.sigma.to_value(u.rad) * self._size)

    @property
    def _size(self) -> float:
        """Effective focal length as found, m."""
        return self.camera.focal_length * self.plate_scale

    def find(self) -> None:
        """Coarse displacement of each observation, first fluxes."""
        radius = self.settings.search_radius.to_value(u.rad) * self.camera.focal_length
        for fit in self.fits:
            fit.place(self.rotation, self.plate_scale)
            n_stars = len(fit.field.tracks)
            match = fit.search(self.table, radius) if n_stars >= MIN_STARS else None
            why = why_no_match(match, n_stars, self.settings.search_radius)
            if why:
                fit.status = [why] * len(fit.status)
                continue
            # the image moves against the camera
            jacobian = np.nanmean(fit.jacobian[:, :2], axis=(2, 3))
            dlon, dlat = np.linalg.solve(jacobian, [match.dx, match.dy])
            fit.dlon += dlon
            fit.dlat += dlat
            fit.place(self.rotation, self.plate_scale)
            fit.prepare()
            fit.fit(self.table, self.psf, np.zeros(fit.flux.shape, bool))
            fit.left_out = stars_left_out(fit, self.settings)

    def _group(self, fit: FieldFit) -> SpotGroup | None:
        """Displacements of an observation and what they depend on."""
        moves = spots_that_count(fit, self.settings)
        if not moves.any():
            return None
        free = (self.settings.free_sigma, self.settings.free_coma)
        spots = fit.fit(self.table, self.psf, moves, free, sensitivities=True)
        return spot_systematics(
            fit, spots, self.psf, self.response_error, self.settings, self.camera
        )

    def converge(self) -> bool:
        """Iterate until nothing changes; False if nothing is left."""
        prior_error = np.array(
            [self.settings.rotation_error.to_value(u.rad), self.settings.plate_scale_error]
        )
        for _ in range(_STEPS):
            self.n_iterations += 1
            self.groups = [self._group(fit) for fit in self.fits]
            used = [group for group in self.groups if group is not None]
            if not used:
                self._give_up()
            now = np.array([self.rotation, self.plate_scale - 1])
            self.trajectory = fit_trajectories(used, Prior(-now, prior_error))
            steps = iter(self.trajectory.own)
            change = 0.0
            for fit, group in zip(self.fits, self.groups, strict=True):
                if group is None:
                    continue
                blocks = np.unique(fit.spots.block)
                step = next(steps)
                fit.move(blocks, step[0::2], step[1::2])
                change = max(change, np.abs(step).max())
            shape = self._update_psf()
            self.rotation += self.trajectory.common[0]
            self.plate_scale += self.trajectory.common[1]
            for fit, group in zip(self.fits, self.groups, strict=True):
                if group is not None:
                    fit.place(self.rotation, self.plate_scale)
            if change < _TOLERANCE and shape < _PSF_TOLERANCE:
                break
        return True

    def _update_psf(self) -> float:
        """Correct σ and coma by the mean of the observations; relative change of σ²."""
        free = np.flatnonzero((self.settings.free_sigma, self.settings.free_coma))
        if not free.size:
            return 0.0
        information, right = np.zeros((free.size,) * 2), np.zeros(free.size)
        for fit, group in zip(self.fits, self.groups, strict=True):
            if group is not None:
                own = np.linalg.inv(fit.spots.psf_covariance[np.ix_(free, free)])
                information += own
                right += own @ fit.spots.psf[free]
        covariance = np.linalg.inv(information)
        self.psf_covariance[np.ix_(free, free)] = covariance
        change = np.zeros(2)
        change[free] = covariance @ right
        before = (self.psf.sigma.to_value(u.rad) * self._size) ** 2
        after = np.clip(before + change[0], 0.25 * before, 4 * before)
        sigma = np.sqrt(after) / self._size * u.rad
        coma = float(np.clip(self.psf.coma + change[1], 0, 0.2))
        self.psf = ComaPsf(sigma.to(u.deg), coma, self.psf.obscuration)
        self.table = self._table()
        return abs(after / before - 1) + abs(change[1]) / 0.05

    def reject(self) -> bool:
        """Leave the least likely star out, if it is unlikely; whether one was."""
        self.residuals = self._residuals()
        worst = None
        for fit, found in zip(self.fits, self.residuals, strict=True):
            for star, residual in found.items():
                if residual.p_value < self.settings.rejection and (
                    worst is None or residual.chi2 > worst[2].chi2
                ):
                    worst = fit, star, residual
        if worst is None:
            return False
        fit, star, residual = worst
        if np.unique(fit.spots.star).size == MIN_STARS:  # either may be the wrong one
            fit.status = [text or disagreement(residual.chi2, 2) for text in fit.status]
            return True
        arcsec = np.hypot(*residual.mean) / self.camera.focal_length / _ARCSEC
        fit.left_out[star] = f"{arcsec:.1f} {_ELSEWHERE} (chi2 {residual.chi2:.3g})"
        n_elsewhere = sum(_ELSEWHERE in text for text in fit.left_out.values())
        n_left = np.unique(fit.spots.star).size - 1
        if n_elsewhere > n_left:  # the few that agree may do so by chance
            why = f"stars disagree: {n_elsewhere} of {n_elsewhere + n_left}; wrong time or optics"
            fit.status = [text or why for text in fit.status]
        return True

    def _residuals(self) -> list[dict[int, StarResidual]]:
        rests = iter(
            zip(self.trajectory.residual, self.trajectory.residual_covariance, strict=True)
        )
        return [
            {} if group is None else star_residuals(group, fit.spots.star, *next(rests))
            for fit, group in zip(self.fits, self.groups, strict=True)
        ]

    def _give_up(self) -> None:
        told = Counter(text for fit in self.fits for text in fit.status if text)
        reasons = "; ".join(f"{n} blocks: {text}" for text, n in told.most_common(3))
        raise InsufficientStatisticsError(
            f"no block of {self.where} has {MIN_STARS} stars ({reasons or 'no images'})"
        )

    def result(self) -> StarTracking:
        """Errors of everything, blocks that are too uncertain marked."""
        limit, trajectory = self.settings.max_error, self.trajectory
        used = [fit for fit, group in zip(self.fits, self.groups, strict=True) if group is not None]
        for fit, covariance, chi2 in zip(
            used, trajectory.own_covariance, trajectory.group_chi2, strict=True
        ):
            mark_blocks(fit, covariance, chi2, limit)
        if all(all(fit.status) for fit in self.fits):
            self._give_up()
        return StarTracking(
            fits=self.fits,
            groups=self.groups,
            blocks=[
                np.zeros(0, int) if group is None else np.unique(fit.spots.block)
                for fit, group in zip(self.fits, self.groups, strict=True)
            ],
            trajectory=self.trajectory,
            residuals=self.residuals,
            rotation=self.rotation,
            plate_scale=self.plate_scale,
            psf=self.psf,
            psf_covariance=self.psf_covariance,
            n_iterations=self.n_iterations,
        )

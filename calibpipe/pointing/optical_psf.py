r"""Optical point spread function of a telescope from the spots of stars.

σ and coma of all spots of a tracking, which are in its fit (`star_tracking`, `free_coma`); of each
star its own σ, and from these what the model cannot tell: their scatter is a systematic error.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .coma_psf import ComaPsf, containment_radius, psf_moments
from .spot_fit import BY_VARIANCE, SpotData, fit_spots
from .star_tracking import StarTracking

__all__ = ["PsfComparison", "StarPsf", "compare_with_muons", "containment", "star_psf"]

PIXEL_ERROR = 0.01  # of a pixel's width: light collectors, gaps
FRACTION = 0.8


@dataclass(frozen=True)
class StarPsf:
    """Point spread function of a telescope.

    Parameters
    ----------
    psf : ComaPsf
        σ per axis and coma.
    covariance, systematic_covariance : ndarray, shape (2, 2)
        Of σ (deg) and coma.
    systematics : dict of str to ndarray, shape (2,)
        Errors of σ (deg) and coma by name: ``response``, ``low_gain``, ``pixel``,
        ``scatter``.
    field_angle, sigma, sigma_error : Quantity, shape (n_stars,), deg
        Of single stars with the coma of all; statistical error.
    names : tuple of str
        Of these stars.
    chi2 : float
        Of the widths of the stars against σ.
    """

    psf: ComaPsf
    covariance: NDArray
    systematic_covariance: NDArray
    systematics: dict[str, NDArray]
    field_angle: u.Quantity
    sigma: u.Quantity
    sigma_error: u.Quantity
    names: tuple[str, ...]
    chi2: float

    @property
    def sigma_errors(self) -> tuple[u.Quantity, u.Quantity]:
        """Statistical and systematic error of σ, deg."""
        return tuple(
            np.sqrt(matrix[0, 0]) * u.deg
            for matrix in (self.covariance, self.systematic_covariance)
        )


def star_psf(tracking: StarTracking, response_error: NDArray, low_gain_error: NDArray) -> StarPsf:
    """Point spread function of the spots of a tracking with free σ.

    Parameters
    ----------
    tracking : StarTracking
    response_error, low_gain_error : ndarray, shape (n_pixels,)
        Of `VarianceImages`.

    Raises
    ------
    InsufficientStatisticsError
        If σ of no star is known.
    ConfigurationError
        If σ was not free.
    """
    if not tracking.psf_covariance[0, 0] > 0:
        raise ConfigurationError("sigma was not free in the tracking of stars: set free_sigma")
    focal = tracking.fits[0].camera.focal_length
    sigma = tracking.psf.sigma.to_value(u.rad) * focal
    to_sigma = np.diag([np.rad2deg(1 / (2 * sigma * focal)), 1.0])  # of σ² in m² and coma
    names, angle, width, error = _single_stars(tracking)
    if not names:
        raise InsufficientStatisticsError("no star has a width: too little light in all of them")
    inverse = 1 / error**2
    chi2 = float(np.sum(inverse * (width - np.average(width, weights=inverse)) ** 2))
    n = len(names)
    # what the scatter has beyond the errors, of the mean of so many stars
    excess = max(np.sum((width - np.mean(width)) ** 2) / max(n - 1, 1) - np.mean(error**2), 0)
    response = _by_response(tracking, response_error) @ to_sigma
    low_gain = _by_response(tracking, low_gain_error).sum(axis=0) @ to_sigma
    pixel = tracking.fits[0].camera.shape.width ** 2 / 12 * 2 * PIXEL_ERROR * to_sigma[0, 0]
    systematics = {
        "response": np.sqrt(np.sum(response**2, axis=0)),
        "low_gain": np.abs(low_gain),
        "pixel": np.array([pixel, 0.0]),
        "scatter": np.array([np.sqrt(excess / n), 0.0]),
    }
    systematic = response.T @ response + np.outer(low_gain, low_gain)
    systematic[0, 0] += sum(systematics[name][0] ** 2 for name in ("pixel", "scatter"))
    return StarPsf(
        psf=tracking.psf,
        covariance=to_sigma @ tracking.psf_covariance @ to_sigma,
        systematic_covariance=systematic,
        systematics=systematics,
        field_angle=angle * u.deg,
        sigma=width * u.deg,
        sigma_error=error * u.deg,
        names=tuple(names),
        chi2=chi2,
    )


def _by_response(tracking: StarTracking, response_error: NDArray) -> NDArray:
    """Changes of σ² and coma by one error of each pixel's scale, (n, 2), all observations."""
    changes, total = [], np.zeros((2, 2))
    for fit, group in zip(tracking.fits, tracking.groups, strict=True):
        if group is not None:
            weight = np.linalg.pinv(fit.spots.psf_covariance)
            total += weight
            own = fit.spots.psf_by_pixel * np.nan_to_num(response_error[fit.local])
            changes.append(weight @ own)
    return np.hstack(changes).T @ np.linalg.pinv(total)


def _single_stars(tracking: StarTracking) -> tuple[list[str], NDArray, NDArray, NDArray]:
    """Names, field angles, σ and errors (events, response) of stars that count, deg."""
    names, angles, widths, errors = [], [], [], []
    for fit, group in zip(tracking.fits, tracking.groups, strict=True):
        if group is None:
            continue
        camera, data = fit.camera, fit.data
        sigma2 = (tracking.psf.sigma.to_value(u.rad) * camera.focal_length) ** 2
        moves = np.zeros(fit.flux.shape, bool)
        moves[fit.spots.star, fit.spots.block] = True
        for star in np.unique(fit.spots.star):
            light = data.light.copy()
            light[BY_VARIANCE, np.arange(len(light[0])) != star] = 0
            own = fit_spots(
                SpotData(data.signal, data.weight, data.information, light),
                fit.flux,
                moves,
                (True, False),
            )
            variance = sigma2 + own.psf[0]
            if variance > 0:
                scale = np.rad2deg(1 / camera.focal_length)
                names.append(fit.field.tracks.names[star])
                angles.append(np.nanmean(np.hypot(fit.x[star], fit.y[star])) * scale)
                widths.append(np.sqrt(variance) * scale)
                errors.append(np.sqrt(own.psf_covariance[0, 0] / variance) / 2 * scale)
    return names, np.array(angles), np.array(widths), np.array(errors)


def containment(
    psf: StarPsf, field_angle: u.Quantity, fraction: float = FRACTION
) -> tuple[u.Quantity, u.Quantity, u.Quantity]:
    """Radius that holds a fraction of the light, its statistical and systematic error, deg.

    Parameters
    ----------
    psf : StarPsf
    field_angle : Quantity, shape (n,)
    fraction : float
        0.8: θ₈₀; the diameter is twice the radius.
    """
    at = np.atleast_1d(field_angle)
    radius = containment_radius(at, psf.psf, fraction)
    sigma, coma = psf.psf.sigma, psf.psf.coma
    steps = (1e-3 * sigma.to_value(u.deg), 1e-3)
    changed = (
        ComaPsf(sigma + steps[0] * u.deg, coma, psf.psf.obscuration),
        ComaPsf(sigma, coma + steps[1], psf.psf.obscuration),
    )
    slope = np.stack(
        [
            (containment_radius(at, one, fraction) - radius).to_value(u.deg) / step
            for one, step in zip(changed, steps, strict=True)
        ],
        axis=-1,
    )
    errors = (
        np.sqrt(np.einsum("ij,jk,ik->i", slope, matrix, slope)) * u.deg
        for matrix in (psf.covariance, psf.systematic_covariance)
    )
    return radius, *errors


@dataclass(frozen=True)
class PsfComparison:
    """Width of stars against that of muon rings, deg, and what the difference is worth.

    ``star`` is the standard deviation along the radius at the angle of the rings, ``muon`` that of
    a star there as muon rings tell.
    """

    star: u.Quantity
    star_error: u.Quantity
    muon: u.Quantity
    muon_error: u.Quantity
    difference: u.Quantity
    z_score: float


def compare_with_muons(
    psf: StarPsf,
    muon: u.Quantity,
    muon_stat_error: u.Quantity,
    muon_sys_error: u.Quantity,
    ring_angle: u.Quantity = 1.2 * u.deg,
    *,
    muon_coma: float = 0.0,
) -> PsfComparison:
    """Whether stars and muon rings see the same point spread function.

    Coma widens a ring by 0.35 to 0.8 C², by its impact, and a star by C²/2 along the radius. The
    fit of the rings takes its own out (`muon_coma`); that of a star is put in its place. An error
    of that coma changes both by nearly as much.

    # ASSUME: where the fit of the rings knew of no coma, it is in their width as in that of a star.

    Parameters
    ----------
    psf : StarPsf
    muon, muon_stat_error, muon_sys_error : Quantity, scalar
        Columns ``width``, ``stat_error`` and ``sys_error`` of ``throughput/muon_psf``.
    ring_angle : Quantity, scalar
        Radius of the rings.
    muon_coma : float
        Coma c that the fit of the rings has taken out; 0 for none.

    Raises
    ------
    ConfigurationError
        If the muons have only an upper limit.
    """
    if not np.isfinite(muon):
        raise ConfigurationError("muon rings give an upper limit only, no width to compare with")
    star = np.sqrt(psf_moments(ring_angle, psf.psf)[0]).to(u.deg)
    # d(σ² + kc²)/2 over the width
    slope_sigma = (psf.psf.sigma / star).to_value(u.one)
    extra = (star**2 - psf.psf.sigma**2).to_value(u.deg**2)
    slope_coma = extra / psf.psf.coma / star.to_value(u.deg) if psf.psf.coma > 0 else 0.0
    slope = np.array([slope_sigma, slope_coma])
    error = np.sqrt(slope @ (psf.covariance + psf.systematic_covariance) @ slope) * u.deg
    along = np.hypot(muon, muon_coma * ring_angle / np.sqrt(2)).to(u.deg)
    muon_error = (np.hypot(muon_stat_error, muon_sys_error) * (muon / along)).to(u.deg)
    difference = star - along
    return PsfComparison(
        star,
        error,
        along,
        muon_error,
        difference,
        float(difference / np.hypot(error, muon_error)),
    )

"""Which stars and blocks count, and why the others do not."""

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_distribution

from .pattern_search import PatternMatch
from .tracking_settings import TrackingSettings

if TYPE_CHECKING:
    from .field_fit import FieldFit

__all__ = [
    "MIN_STARS",
    "disagreement",
    "mark_blocks",
    "spots_that_count",
    "stars_left_out",
    "why_no_match",
]

MIN_STARS = 2
DISAGREEMENT = 1e-6  # chance of the chi2 of all stars together


def stars_left_out(fit: "FieldFit", settings: TrackingSettings) -> dict[int, str]:
    """Stars whose places cannot count, after a first fit of their light, and why."""
    out: dict[int, str] = {}
    counted: list[int] = []
    with np.errstate(invalid="ignore"):
        seen = fit.flux > settings.min_significance * fit.flux_error
    for star in range(len(fit.field.tracks)):
        if not np.any(fit.contained[star] > settings.min_light):
            out[star] = "not in the camera, or in pixels that are not usable"
        elif not seen[star].any():
            out[star] = "too faint"
        elif len(counted) == settings.max_stars:
            out[star] = f"beyond the brightest {settings.max_stars}"
        else:
            counted.append(star)
    if len(counted) <= MIN_STARS:
        return out
    ratio = np.nanmedian(fit.flux[counted], axis=1) / fit.field.tracks.expected[counted]
    for star, relative in zip(counted, ratio / np.median(ratio), strict=True):
        if not 1 / settings.flux_factor < relative < settings.flux_factor:
            out[star] = (
                f"light {relative:.2g} times that of the catalogue: variable, planet, or a wrong "
                "star"
            )
    return out


def spots_that_count(fit: "FieldFit", settings: TrackingSettings) -> NDArray:
    """Which star moves in which block, (n_stars, n_blocks); blocks with fewer than two have none.

    Why a block has none goes into its status.
    """
    with np.errstate(invalid="ignore"):
        moves = fit.flux > settings.min_significance * fit.flux_error
    moves &= fit.contained > settings.min_light
    moves[list(fit.left_out)] = False
    if fit.is_placed:  # one that was left out stays so: the fit converges
        moves &= fit.moved
    fit.moved = moves
    for block, n in enumerate(moves.sum(axis=0)):
        if n < MIN_STARS or fit.status[block]:
            moves[:, block] = False
            fit.status[block] = fit.status[block] or (
                f"{n} of {len(fit.field.tracks)} stars seen, needs {MIN_STARS}: cloud, few stars, "
                "or too many masked pixels"
            )
    return moves


def disagreement(chi2: float, n_degrees: int) -> str:
    """Status of blocks whose stars do not agree."""
    return (
        f"stars disagree: chi2 {chi2:.0f} for {n_degrees} degrees of freedom; wrong time or "
        "pointing, or one of few stars is wrong"
    )


def mark_blocks(fit: "FieldFit", covariance: NDArray, chi2: float, limit: u.Quantity) -> None:
    """Status of the blocks of a fit that are too uncertain, or whose stars do not agree.

    Parameters
    ----------
    fit : FieldFit
    covariance : ndarray, shape (2 n, 2 n), rad²
        Statistical, of the offsets of its n blocks.
    chi2 : float
        Of its displacements.
    limit : Quantity, angle
        Largest statistical error.
    """
    n_degrees = fit.spots.offset.size - len(covariance)
    agrees = chi2_distribution.sf(chi2, max(n_degrees, 1)) > DISAGREEMENT
    errors = np.rad2deg(np.sqrt(np.diag(covariance)).reshape(-1, 2).max(axis=1)) * 3600
    for block, error in zip(np.unique(fit.spots.block), errors, strict=True):
        if error > limit.to_value(u.arcsec):
            fit.status[block] = (
                f"statistical error of {error:.1f} arcsec exceeds {limit.to_value(u.arcsec):g}: "
                "bright sky (Moon), cloud, or few stars"
            )
        elif not agrees:
            fit.status[block] = disagreement(chi2, n_degrees)


def why_no_match(match: PatternMatch | None, n_stars: int, radius: u.Quantity) -> str:
    """Why a pattern was not found; empty if it was."""
    if match is None:
        return f"{n_stars} stars of the catalogue in the camera, needs {MIN_STARS}"
    if match.n_seen < MIN_STARS:
        return (
            f"{match.n_seen} of {n_stars} stars within {radius.to_value(u.deg):g} deg of where "
            "they are expected: cloud, wrong time or pointing, or a larger misalignment"
        )
    if match.is_at_edge:
        return (
            f"misalignment is at the limit of the search, {radius.to_value(u.deg):g} deg; "
            "enlarge search_radius, or check the time"
        )
    if match.is_ambiguous:
        return (
            f"pattern of {match.n_seen} stars fits at two places (second {match.rival:.2f} of the "
            "first); give more stars or a smaller search_radius"
        )
    return ""

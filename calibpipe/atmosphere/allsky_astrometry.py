r"""Refinement of the projection of an all-sky frame on its bright stars.

Around the predicted place of each bright star the highest peak of the filtered frame is taken. Six
values (shift, scale, rotation, tilt of the axis) are fitted to the peaks that agree, with the
uncertainty of the header as prior, so that few stars move only what they can tell.
"""

from dataclasses import dataclass, replace
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.allsky_file import AllskyCamera
from .allsky_photometry import core_half, filter_noise, good_pixels, pixel_image, stamps
from .allsky_projection import pixel

__all__ = ["Astrometry", "Peaks", "fitted_camera", "peaks", "refined_camera"]

MIN_STARS = 6
MIN_SIGNIFICANCE = 8.0
TOLERANCE = 1.0  # pixel, of a match in the end
_STEPS = {  # prior width and step of the derivative
    "x_center": (5.0, 0.1),
    "y_center": (5.0, 0.1),
    "focal_length": (0.01, 1e-3),  # relative
    "rotation": (1.0, 0.02),
    "tilt_north": (1.0, 0.02),
    "tilt_east": (1.0, 0.02),
}


@dataclass(frozen=True)
class Peaks:
    """Highest peak near each place.

    Attributes
    ----------
    dx, dy : ndarray, shape (n,), pixel
        From the place.
    significance : ndarray, shape (n,)
    """

    dx: NDArray
    dy: NDArray
    significance: NDArray


@dataclass(frozen=True)
class Astrometry:
    """Outcome of the refinement.

    Attributes
    ----------
    camera : AllskyCamera
        Refined, or as it came.
    n_peaks, n_matched : int
        Significant peaks near bright stars, those at the stars.
    rms : float, pixel
        Of matched stars, both coordinates; NaN without.
    is_refined : bool
    is_lost : bool
        There are stars, but not where they should be.
    """

    camera: AllskyCamera
    n_peaks: int
    n_matched: int
    rms: float
    is_refined: bool
    is_lost: bool


def peaks(camera: AllskyCamera, counts: NDArray, x: NDArray, y: NDArray, radius: int) -> Peaks:
    """Highest peaks of the filtered frame within `radius` pixels of places.

    Parameters
    ----------
    camera : AllskyCamera
    counts : ndarray, shape (n_y, n_x)
    x, y : ndarray, shape (n,), pixel
    radius : int
    """
    core = core_half(camera)
    parts = (stamps(counts, x, y, radius + core) - camera.pedestal) * camera.gain
    flat = np.sort(parts.reshape(len(parts), -1), axis=1)
    number = np.maximum(np.isfinite(flat).sum(axis=1), 1)
    rows = np.arange(len(flat))
    background = flat[rows, number // 2]
    spread = (background - flat[rows, number // 4]) / 0.6745
    excess = parts - background[:, None, None]
    excess = np.where(good_pixels(excess, spread, camera.psf_sigma), excess, 0)
    excess = np.nan_to_num(excess)
    image = pixel_image([0.0], core, camera.psf_sigma)[0]
    image = image / np.sum(image**2)
    span = 2 * radius + 1
    band = np.zeros((span, span + 2 * core), np.float32)
    for k in range(span):
        band[k, k : k + 2 * core + 1] = image
    filtered = band @ excess @ band.T
    index = filtered.reshape(len(filtered), -1).argmax(axis=1)
    row, column = np.divmod(index, span)
    height = filtered[rows, row, column]
    noise = filter_noise(spread**2, 0, camera.psf_sigma)
    with np.errstate(invalid="ignore", divide="ignore"):
        significance = np.where(noise > 0, height / noise, 0)
    inside = (row > 0) & (row < span - 1) & (column > 0) & (column < span - 1)
    row, column = np.clip(row, 1, span - 2), np.clip(column, 1, span - 2)
    shift_y = _vertex(*(filtered[rows, row + k, column] for k in (-1, 0, 1)))
    shift_x = _vertex(*(filtered[rows, row, column + k] for k in (-1, 0, 1)))
    return Peaks(
        dx=column + shift_x - radius + np.rint(x) - x,
        dy=row + shift_y - radius + np.rint(y) - y,
        significance=np.where(inside & np.isfinite(significance), significance, 0),
    )


def _vertex(before: NDArray, middle: NDArray, after: NDArray) -> NDArray:
    """Place of the maximum of the Gaussian through three values, else of the middle one."""
    with np.errstate(invalid="ignore", divide="ignore"):
        low, centre, high = (np.log(value) for value in (before, middle, after))
        shift = 0.5 * (low - high) / (low - 2 * centre + high)
    return np.where(np.isfinite(shift) & (np.abs(shift) <= 1), shift, 0.0)


def refined_camera(
    camera: AllskyCamera,
    counts: NDArray,
    azimuth: u.Quantity,
    zenith: u.Quantity,
    radius: int = 8,
) -> Astrometry:
    """Projection refined on bright stars.

    Parameters
    ----------
    camera : AllskyCamera
        Near the truth: stars within `radius` pixels of their places.
    counts : ndarray, shape (n_y, n_x)
    azimuth, zenith : Quantity, shape (n,)
        Apparent directions of bright stars, each the brightest of its neighbourhood.
    radius : int, pixel

    Returns
    -------
    Astrometry
        Not refined if fewer than six stars agree (clouds); lost if there are ten or more peaks
        and less than a third of them, or no more than chance gives, at stars.
    """
    x, y = pixel(camera, azimuth, zenith)
    found = peaks(camera, counts, x, y, radius)
    seen = found.significance > MIN_SIGNIFICANCE
    n_peaks = int(seen.sum())
    failed = Astrometry(camera, n_peaks, 0, np.nan, is_refined=False, is_lost=n_peaks >= 10)
    if n_peaks < MIN_STARS:
        return failed
    at_x, at_y = x[seen] + found.dx[seen], y[seen] + found.dy[seen]
    star = (azimuth[seen], zenith[seen])
    shift = _common_shift(found.dx[seen], found.dy[seen])
    refined = replace(
        camera, x_center=camera.x_center + shift[0], y_center=camera.y_center + shift[1]
    )
    for limit in (3.0, 2.0, 1.5, TOLERANCE, TOLERANCE):
        near = _distance(refined, *star, at_x, at_y) < limit
        if near.sum() < MIN_STARS:
            break
        chosen = (star[0][near], star[1][near], at_x[near], at_y[near])
        refined = fitted_camera(camera, *chosen, start=refined)
    distance = _distance(refined, *star, at_x, at_y)
    matched = distance < TOLERANCE
    n_matched = int(matched.sum())
    chance = n_peaks * np.pi * TOLERANCE**2 / (2 * radius + 1) ** 2
    enough = n_matched >= max(MIN_STARS, 3 * chance + 3)
    if not enough or (n_peaks >= 10 and n_matched < n_peaks / 3):
        return replace(failed, n_matched=n_matched)
    rms = float(np.sqrt(np.mean(distance[matched] ** 2)))
    return Astrometry(refined, n_peaks, n_matched, rms, is_refined=True, is_lost=False)


def _common_shift(dx: NDArray, dy: NDArray) -> tuple[float, float]:
    """Mean of the largest group of shifts."""
    apart = np.hypot(dx - dx[:, None], dy - dy[:, None])
    group = apart[np.argmax((apart < 2.0).sum(axis=1))] < 2.0
    return float(dx[group].mean()), float(dy[group].mean())


def _distance(
    camera: AllskyCamera, azimuth: u.Quantity, zenith: u.Quantity, x: NDArray, y: NDArray
) -> NDArray:
    predicted = pixel(camera, azimuth, zenith)
    return np.hypot(x - predicted[0], y - predicted[1])


def fitted_camera(
    camera: AllskyCamera,
    azimuth: u.Quantity,
    zenith: u.Quantity,
    x: NDArray,
    y: NDArray,
    start: AllskyCamera | None = None,
    error: float = 0.2,
) -> AllskyCamera:
    """Least squares of shift, scale, rotation and tilt, with priors around `camera`.

    Parameters
    ----------
    camera : AllskyCamera
        Prior: 5 pixels, 1 %, 1 deg, 1 deg.
    azimuth, zenith : Quantity, shape (n,)
    x, y : ndarray, shape (n,), pixel
        Where the stars are.
    start : AllskyCamera, optional
        To begin at.
    error : float, pixel
        Of a place.
    """
    names = list(_STEPS)
    unit = {name: camera.focal_length if name == "focal_length" else 1.0 for name in names}
    width = np.array([_STEPS[name][0] * unit[name] for name in names])
    current = start or camera
    for _ in range(3):
        predicted = np.concatenate(pixel(current, azimuth, zenith))
        slopes = []
        for name in names:
            step = _STEPS[name][1] * unit[name]
            moved = replace(current, **{name: getattr(current, name) + step})
            slopes.append((np.concatenate(pixel(moved, azimuth, zenith)) - predicted) / step)
        jacobian = np.array(slopes).T * width / error
        residual = (np.concatenate([x, y]) - predicted) / error
        away = np.array([getattr(camera, n) - getattr(current, n) for n in names]) / width
        normal = jacobian.T @ jacobian + np.eye(len(names))
        change = np.linalg.solve(normal, jacobian.T @ residual + away) * width
        values: dict[str, Any] = {
            n: float(getattr(current, n) + c) for n, c in zip(names, change, strict=True)
        }
        current = replace(current, **values)
    return current

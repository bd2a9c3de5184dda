"""From images to muon rings: cleaning, circle, features, fit of the light, verdict on each ring.

Every image is judged, and the judgement says why (`RingRejection`): what is rejected is kept in the
table of rings, not lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING

import numba
import numpy as np
from numpy.typing import NDArray

from .muon_intensity import Mirror, MuonFits, PixelGrid, fitted_muons
from .muon_ring import N_SECTORS, PARAMETERS, Circles, completeness, containment, fitted_circles

if TYPE_CHECKING:
    from ctapipe.instrument import CameraGeometry

__all__ = [
    "N_SECTORS",
    "CameraPixels",
    "RingCuts",
    "RingRejection",
    "cleaned_pixels",
    "faint_rings",
    "muon_rings",
    "rejection_counts",
    "ring_rejection",
    "shown_ring",
]

_ITERATIONS = (0.4, 0.3, 0.25)  # half widths of the annulus in radii, circle by circle
_BINS = 30  # of completeness, as in ctapipe


class RingRejection(IntFlag):
    """Why a ring does not count. The numbers are stored in products: never reuse one."""

    NO_RING = 1  # no circle through the cleaned pixels, or the light cannot be fitted
    FEW_PIXELS = 2
    LITTLE_LIGHT = 4
    RADIUS = 8
    CONTAINMENT = 16  # too much of the ring is outside the camera
    COMPLETENESS = 32  # an arc
    INTENSITY_RATIO = 64  # light beside the ring: a shower
    NOT_CONVERGED = 128
    IMPACT = 256
    WIDTH = 512
    CHI2 = 1024
    SATURATED = 2048
    UNUSABLE_PIXELS = 4096


@dataclass(frozen=True)
class RingCuts:
    """What counts as a muon ring; the defaults are those of LST.

    Parameters
    ----------
    picture, boundary : float
        p.e., of the cleaning: pixels above `picture` with two neighbours above it, and neighbours
        of these above `boundary`.
    min_pixels : int
        Cleaned pixels on the ring.
    min_light : float
        p.e. on the ring.
    radius, impact, width : tuple of float
        Smallest and largest: deg; mirror radii; deg.
    min_containment, min_completeness, min_intensity_ratio : float
        Parts of the ring inside the camera, of its azimuth with light, of all cleaned light.
    completeness_threshold : float
        p.e. in a bin of 12 degrees.
    max_reduced_chi2 : float
    max_saturated, max_unusable : float
        Parts of the pixels that the fit wants.
    """

    picture: float = 10.0
    boundary: float = 5.0
    min_pixels: int = 50
    min_light: float = 500.0
    radius: tuple[float, float] = (0.8, 1.4)
    impact: tuple[float, float] = (0.1, 0.9)
    width: tuple[float, float] = (0.0, 0.12)
    min_containment: float = 0.9
    min_completeness: float = 0.5
    completeness_threshold: float = 30.0
    min_intensity_ratio: float = 0.8
    max_reduced_chi2: float = 2.0
    max_saturated: float = 0.02
    max_unusable: float = 0.2


@dataclass(frozen=True)
class CameraPixels:
    """Camera of a telescope, for many images.

    Parameters
    ----------
    grid : PixelGrid
    x, y : ndarray, shape (n_pixels,)
        deg, in the telescope frame.
    radius : float
        deg, of the camera.
    neighbors, first_neighbor : ndarray
        Neighbours of pixel i are ``neighbors[first_neighbor[i] : first_neighbor[i + 1]]``.
    area_ratio : float
        Area of a pixel over that which ctapipe's prediction of muon light gives to it.
    """

    grid: PixelGrid
    x: NDArray
    y: NDArray
    radius: float
    neighbors: NDArray
    first_neighbor: NDArray
    area_ratio: float

    @classmethod
    def of_geometry(cls, geometry: "CameraGeometry") -> "CameraPixels":
        """Camera in the telescope frame (``geometry.transform_to(TelescopeFrame())``)."""
        grid = PixelGrid.of_geometry(geometry)
        matrix = geometry.neighbor_matrix_sparse
        # ctapipe.image.muon.intensity_fitter: a square of the pixel's width, times this
        theirs = {"HEXAGON": np.pi / np.sqrt(12), "SQUARE": np.pi / 4}
        share = theirs.get(geometry.pix_type.name, 1.0)
        return cls(
            grid=grid,
            x=np.rad2deg(grid.x),
            y=np.rad2deg(grid.y),
            radius=geometry.guess_radius().to_value("deg"),
            neighbors=np.asarray(matrix.indices, np.int64),
            first_neighbor=np.asarray(matrix.indptr, np.int64),
            area_ratio=float(np.median(grid.area) / (share * grid.width**2)),
        )


def muon_rings(
    image: NDArray,
    is_unusable: NDArray,
    is_saturated: NDArray,
    camera: CameraPixels,
    mirror: Mirror,
    cuts: RingCuts,
    *,
    noise: NDArray | None = None,
    spe_width: float = 0.5,
) -> dict[str, NDArray]:
    """Rings of a batch of images.

    Parameters
    ----------
    image : ndarray, shape (n, n_pixels)
        Photoelectrons, of one window for all pixels.
    is_unusable, is_saturated : ndarray, shape (n, n_pixels), bool
        Pixels that do not count.
    camera : CameraPixels
    mirror : Mirror
    cuts : RingCuts
    noise : ndarray, shape (n_pixels,), optional
        Standard deviation of pixels without light, p.e.; not given or 0: that of all pixels beside
        the ring, image by image.
    spe_width : float
        Relative standard deviation of the charge of single photoelectrons.

    Returns
    -------
    dict of str to ndarray
        Columns, one entry an image, angles in deg, lengths in m: ``x``, ``y``, ``radius``,
        ``width``, ``impact_x``, ``impact_y``, ``throughput`` and their ``covariance``;
        ``chi2``, ``n_fitted``, ``light``, ``photons``, ``transmission``, ``has_converged``;
        ``containment``, ``completeness``, ``intensity_ratio``, ``mean_squared_error``,
        ``ring_intensity``, ``outside_intensity``, ``n_pixels``, ``saturated``, ``unusable``;
        ``sector_residual``, ``sector_light`` (n, 12): mean distance of the light from the ring,
        deg, and the light itself; ``rejection`` (`RingRejection`, 0 for a ring that counts).
    """
    good = ~(is_unusable | is_saturated | ~np.isfinite(image))
    image = np.where(good, image, 0.0)
    bright = cleaned_pixels(image, camera, cuts.picture, cuts.boundary)
    circles = _found_circles(image, bright, camera)
    distance = _distance(circles, camera)
    noise = _noise(image, good & ~bright, distance, noise)
    fits = fitted_muons(image, good, noise, circles, camera.grid, mirror, spe_width=spe_width)
    columns = _fit_columns(fits) | _features(image, bright, circles, camera, cuts)
    fitted = _refined(circles, fits)
    near = np.abs(_distance(fitted, camera)) < 2 * np.rad2deg(camera.grid.width)
    wanted = np.maximum(np.count_nonzero(near, axis=1), 1)
    columns["saturated"] = np.count_nonzero(near & is_saturated, axis=1) / wanted
    columns["unusable"] = np.count_nonzero(near & ~(good | is_saturated), axis=1) / wanted
    columns |= _sectors(np.where(near & bright, image, 0.0), fitted, camera)
    columns["rejection"] = ring_rejection(columns, cuts, mirror.radius)
    return columns


def shown_ring(columns: Mapping[str, NDArray], mirror_radius: float) -> int | None:
    """Which ring of a batch to show: complete, its impact next to half a mirror radius.

    Returns
    -------
    int or None
        None if no ring counts.
    """
    good = np.flatnonzero(columns["rejection"] == 0)
    if not good.size:
        return None
    impact = np.hypot(columns["impact_x"], columns["impact_y"])[good] / mirror_radius
    return int(good[np.argmin(np.abs(impact - 0.5) - columns["containment"][good])])


def cleaned_pixels(
    image: NDArray, camera: CameraPixels, picture: float, boundary: float
) -> NDArray:
    """Pixels of an image that stand out together.

    Parameters
    ----------
    image : ndarray, shape (n, n_pixels)
    camera : CameraPixels
    picture : float
        Pixels above it, with two neighbours above it, are kept,
    boundary : float
        and their neighbours above this.

    Returns
    -------
    ndarray, shape (n, n_pixels), bool
        As ``ctapipe.image.tailcuts_clean`` with ``min_number_picture_neighbors=2``.
    """
    out = np.zeros(image.shape, np.bool_)
    _clean(image, camera.neighbors, camera.first_neighbor, picture, boundary, out)
    return out


def ring_rejection(columns: Mapping[str, NDArray], cuts: RingCuts, mirror_radius: float) -> NDArray:
    """Bits of `RingRejection` of rings with the columns of `muon_rings`, (n,) uint16."""
    impact = np.hypot(columns["impact_x"], columns["impact_y"]) / mirror_radius
    ndf = np.maximum(columns["n_fitted"] - len(PARAMETERS), 1)
    passed = {
        RingRejection.FEW_PIXELS: columns["n_pixels"] >= cuts.min_pixels,
        RingRejection.LITTLE_LIGHT: columns["ring_intensity"] >= cuts.min_light,
        RingRejection.RADIUS: _within(columns["radius"], cuts.radius),
        RingRejection.CONTAINMENT: columns["containment"] >= cuts.min_containment,
        RingRejection.COMPLETENESS: columns["completeness"] >= cuts.min_completeness,
        RingRejection.INTENSITY_RATIO: columns["intensity_ratio"] >= cuts.min_intensity_ratio,
        RingRejection.NOT_CONVERGED: columns["has_converged"],
        RingRejection.IMPACT: _within(impact, cuts.impact),
        RingRejection.WIDTH: _within(columns["width"], cuts.width),
        RingRejection.CHI2: columns["chi2"] / ndf <= cuts.max_reduced_chi2,
        RingRejection.SATURATED: columns["saturated"] <= cuts.max_saturated,
        RingRejection.UNUSABLE_PIXELS: columns["unusable"] <= cuts.max_unusable,
    }
    rejection = sum(np.where(ok, 0, int(reason)) for reason, ok in passed.items())
    return np.where(
        np.isfinite(columns["throughput"]), rejection, rejection | RingRejection.NO_RING
    ).astype(np.uint16)


def faint_rings(rejection: NDArray) -> NDArray:
    """Rings that have no other fault than little light or few pixels with light, (n,) bool."""
    bits = RingRejection.FEW_PIXELS | RingRejection.LITTLE_LIGHT | RingRejection.COMPLETENESS
    rejection = np.asarray(rejection, np.uint16)
    return (rejection > 0) & (rejection & ~np.uint16(bits) == 0)


def rejection_counts(rejection: NDArray) -> dict[str, int]:
    """How many rings are ``good``, and how many each reason rejects (one ring may have several)."""
    rejection = np.asarray(rejection)
    counts = {"good": int(np.count_nonzero(rejection == 0))}
    for reason in RingRejection:
        counts[str(reason.name).lower()] = int(np.count_nonzero(rejection & np.uint16(reason)))
    return counts


def _within(values: NDArray, limits: tuple[float, float]) -> NDArray:
    return (values >= limits[0]) & (values <= limits[1])


def _distance(circles: Circles, camera: CameraPixels) -> NDArray:
    """Of every pixel from the ring, deg, positive outside; NaN without ring."""
    dx, dy = camera.x - circles.x[:, None], camera.y - circles.y[:, None]
    return np.hypot(dx, dy) - circles.radius[:, None]


def _found_circles(image: NDArray, bright: NDArray, camera: CameraPixels) -> Circles:
    """Circles through the cleaned light, again and again through what is next to them."""
    place, inside = _packed(bright)
    light = np.where(inside, np.take_along_axis(image, place, axis=1), 0.0)
    x, y = camera.x[place], camera.y[place]
    circles = fitted_circles(x, y, light)
    for width in _ITERATIONS:
        radius = circles.radius[:, None]
        distance = np.hypot(x - circles.x[:, None], y - circles.y[:, None]) - radius
        with np.errstate(invalid="ignore"):
            near = np.abs(distance) < width * radius
        circles = fitted_circles(x, y, np.where(near, light, 0.0))
    return circles


def _packed(chosen: NDArray) -> tuple[NDArray, NDArray]:
    """Columns of the chosen entries of each row, to the left; which of them are real."""
    n = np.count_nonzero(chosen, axis=1)
    place = np.zeros((len(chosen), max(int(n.max(initial=0)), 1)), np.int64)
    row, column = np.nonzero(chosen)
    order = np.arange(row.size) - np.repeat(np.cumsum(n) - n, n)
    place[row, order] = column
    return place, np.arange(place.shape[1]) < n[:, None]


def _noise(image: NDArray, quiet: NDArray, distance: NDArray, noise: NDArray | None) -> NDArray:
    """Noise of each pixel and image: as given, else of the quiet pixels beside the ring."""
    with np.errstate(invalid="ignore"):
        beside = quiet & ~(np.abs(distance) < 0.3)
    n = np.maximum(np.count_nonzero(beside, axis=1), 1)
    values = np.where(beside, image, 0.0)
    mean = values.sum(axis=1) / n
    variance = np.maximum((values**2).sum(axis=1) / n - mean**2, 0.01)  # p.e.²: never none
    own = np.broadcast_to(np.sqrt(variance)[:, None], image.shape)
    if noise is None:
        return own
    return np.where(np.asarray(noise) > 0, noise, own)


def _fit_columns(fits: MuonFits) -> dict[str, NDArray]:
    values = dict(zip(PARAMETERS, fits.values.T, strict=True))
    return values | {
        "covariance": fits.covariance,
        "chi2": fits.chi2,
        "n_fitted": fits.n_pixels,
        "light": fits.light,
        "photons": fits.photons,
        "transmission": fits.transmission,
        "has_converged": fits.has_converged,
    }


def _refined(circles: Circles, fits: MuonFits) -> Circles:
    """Circles of the fit of the light, where there is one."""
    x, y, radius = (
        np.where(np.isfinite(fitted), fitted, first)
        for fitted, first in zip(
            fits.values.T[:3], (circles.x, circles.y, circles.radius), strict=True
        )
    )
    return Circles(x, y, radius, circles.radial_variance, circles.covariance)


def _features(
    image: NDArray, bright: NDArray, circles: Circles, camera: CameraPixels, cuts: RingCuts
) -> dict[str, NDArray]:
    """What tells a ring from other images."""
    distance = _distance(circles, camera)
    light = np.where(bright, image, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        on_ring = np.abs(distance) < 0.25 * circles.radius[:, None]
        on, total = np.where(on_ring, light, 0.0), light.sum(axis=1)
        return {
            "containment": containment(circles, camera.radius),
            "completeness": completeness(
                camera.x,
                camera.y,
                on,
                circles,
                threshold=cuts.completeness_threshold,
                n_bins=_BINS,
            ),
            "intensity_ratio": on.sum(axis=1) / total,
            "mean_squared_error": (light * distance**2).sum(axis=1) / total,
            "ring_intensity": on.sum(axis=1),
            "outside_intensity": total - on.sum(axis=1),
            "n_pixels": np.count_nonzero(bright & on_ring, axis=1),
        }


def _sectors(light: NDArray, circles: Circles, camera: CameraPixels) -> dict[str, NDArray]:
    """Mean distance of the light from the ring, sector by sector of azimuth."""
    n = len(light)
    row, pixel = np.nonzero(light > 0)
    dx, dy = camera.x[pixel] - circles.x[row], camera.y[pixel] - circles.y[row]
    azimuth = np.mod(np.arctan2(dy, dx), 2 * np.pi) / (2 * np.pi)
    sector = np.minimum((azimuth * N_SECTORS).astype(int), N_SECTORS - 1)
    place, weight = row * N_SECTORS + sector, light[row, pixel]
    distance = np.hypot(dx, dy) - circles.radius[row]
    total, moment = (
        np.bincount(place, a, minlength=n * N_SECTORS).reshape(n, N_SECTORS)
        for a in (weight, weight * distance)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"sector_residual": moment / total, "sector_light": total}


@numba.njit(cache=True, nogil=True)
def _clean(
    image: NDArray, neighbors: NDArray, first: NDArray, picture: float, boundary: float,
    out: NDArray,
) -> None:  # fmt: skip
    n_events, n_pixels = image.shape
    is_picture = np.empty(n_pixels, np.bool_)
    for event in range(n_events):
        for pixel in range(n_pixels):
            n = 0
            if image[event, pixel] >= picture:
                for k in range(first[pixel], first[pixel + 1]):
                    if image[event, neighbors[k]] >= picture:
                        n += 1
            is_picture[pixel] = n >= 2
        for pixel in range(n_pixels):
            keep = is_picture[pixel]
            if not keep and image[event, pixel] >= boundary:
                for k in range(first[pixel], first[pixel + 1]):
                    keep = keep or is_picture[neighbors[k]]
            out[event, pixel] = keep

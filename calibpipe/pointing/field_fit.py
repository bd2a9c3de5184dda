"""Fit of one observation: places and light of its stars, spots, and what is left out and why."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from .coma_psf import ComaPsf, coma_of_optics
from .focal_plane import Alignment, FocalPlane, camera_position_and_jacobian, focal_plane_of
from .neighbours import light_of_neighbours, squared_light
from .pattern_search import PatternMatch, match_pattern
from .pixel_light import PixelShape, PixelTable, pixel_shape
from .smooth_background import smooth_background, static_spread
from .spot_fit import SHARE, SpotData, Spots, fit_spots, light_of_stars
from .star_selection import StarTracks
from .variance_images import Blocks

if TYPE_CHECKING:
    from ctapipe.instrument import TelescopeDescription

__all__ = ["FieldFit", "StarCamera", "StarField", "star_camera"]

_FREE_PIXEL = 5.0  # standard deviations of a pixel that is not as static as the others
_UNLIKE_STAR = 0.5  # of the light of the stars in a pixel
_STARLESS = 1e-3  # share of a star's light in a pixel that counts for the sky
_SEARCH_IMAGES = 5
_IN_PLACE = 0.05  # pixels, of the last step
_REACH = 4.0  # standard deviations
_BRIGHTEST = 12  # stars that say how much light a magnitude is
_LEAST_SKY = 0.2  # of the pixels


@dataclass(frozen=True)
class StarCamera:
    """Camera and optics of a telescope.

    Parameters
    ----------
    plane : FocalPlane
    pixel_x, pixel_y : ndarray, shape (n_pixels,), m
        ``CameraFrame``.
    shape : PixelShape
        In m.
    psf : ComaPsf
        As expected; the start of a fit.
    """

    plane: FocalPlane
    pixel_x: NDArray
    pixel_y: NDArray
    shape: PixelShape
    psf: ComaPsf

    @property
    def focal_length(self) -> float:
        """Effective one, m."""
        return self.plane.focal_length.to_value(u.m)

    @property
    def sigma(self) -> float:
        """Of the point spread function, m."""
        return self.psf.sigma.to_value(u.rad) * self.focal_length

    @property
    def field_radius(self) -> u.Quantity:
        """From the middle to the outermost pixel."""
        return np.arctan(np.hypot(self.pixel_x, self.pixel_y).max() / self.focal_length) * u.rad

    @property
    def spot_width(self) -> u.Quantity:
        """Standard deviation per axis of a spot on the sky, pixels included."""
        return np.hypot(self.sigma, self.shape.width / np.sqrt(12)) / self.focal_length * u.rad


def star_camera(telescope: "TelescopeDescription", sigma: u.Quantity) -> StarCamera:
    """Camera of a telescope of ctapipe with a point spread function of σ.

    One mirror has the coma of its two focal lengths; two mirrors have none (aplanatic) and map the
    sine of angles.
    """
    optics, geometry = telescope.optics, telescope.camera.geometry
    if optics.n_mirrors == 1:
        plane = focal_plane_of(optics, geometry)
    else:
        plane = focal_plane_of(optics, geometry, mapping="sine")
    return StarCamera(
        plane,
        geometry.pix_x.to_value(u.m),
        geometry.pix_y.to_value(u.m),
        pixel_shape(geometry),
        ComaPsf(sigma, coma_of_optics(optics)),
    )


@dataclass(frozen=True)
class StarField:
    """Images of one pointing and the stars that may be in them.

    Parameters
    ----------
    blocks : Blocks
    tracks : StarTracks
        At ``blocks.node_time``.
    azimuth, altitude : Quantity, shape (n_nodes,)
        Of the drive.
    shot_noise : float
        `variance_images.shot_noise`.
    """

    blocks: Blocks
    tracks: StarTracks
    azimuth: u.Quantity
    altitude: u.Quantity
    shot_noise: float


class FieldFit:
    """An observation while it is fitted.

    Attributes
    ----------
    dlon, dlat : ndarray, shape (n_blocks,), rad
    flux : ndarray, shape (n_stars, n_blocks), p.e.
    x, y : ndarray, shape (n_stars, n_nodes), m
        Where the stars are with the alignment so far.
    left_out : dict of int to str
        Stars whose place does not count, and why.
    status : list of str
        Why a block has no result; empty if it has.
    """

    def __init__(self, field: StarField, camera: StarCamera, response_error: NDArray):
        self.field, self.camera = field, camera
        self.response_error = np.nan_to_num(response_error)
        n_blocks, n_stars = len(field.blocks), len(field.tracks)
        self.dlon, self.dlat = np.zeros((2, n_blocks))
        self.flux = np.full((n_stars, n_blocks), np.nan)
        self.flux_error = self.flux.copy()
        self.contained = np.zeros(self.flux.shape)
        self.left_out: dict[int, str] = {}
        self.status = [""] * n_blocks
        self.spots: Spots | None = None
        self.is_placed = False
        self.moved = np.ones(self.flux.shape, bool)

    def place(self, rotation: float, plate_scale: float) -> None:
        """Place the stars with the alignment."""
        field, block = self.field, self.field.blocks.node_block
        alignment = Alignment(
            self.dlon[block] * u.rad, self.dlat[block] * u.rad, rotation * u.rad, plate_scale
        )
        self.alignment = alignment
        x, y, self.jacobian = camera_position_and_jacobian(
            field.tracks.azimuth,
            field.tracks.altitude,
            field.azimuth,
            field.altitude,
            self.camera.plane,
            alignment,
        )
        self.x, self.y = x.to_value(u.m), y.to_value(u.m)

    def move(self, blocks: NDArray, dlon: NDArray, dlat: NDArray) -> None:
        """Add to the alignment of some blocks; the others follow those next to them."""
        every = np.arange(len(self.dlon))
        pixel = self.camera.shape.width / self.camera.focal_length
        self.is_placed = max(np.abs(dlon).max(), np.abs(dlat).max()) < _IN_PLACE * pixel
        self.dlon = np.interp(every, blocks, self.dlon[blocks] + dlon)
        self.dlat = np.interp(every, blocks, self.dlat[blocks] + dlat)

    def search(self, table: PixelTable, radius: float) -> PatternMatch:
        """Coarse displacement of the whole pattern (radius in m)."""
        blocks, camera = self.field.blocks, self.camera
        near = self._near(radius + camera.shape.width)
        signal, weight, _ = self._sky(near)
        chosen = np.unique(np.linspace(0, len(blocks) - 1, _SEARCH_IMAGES).astype(int))
        middle = [np.flatnonzero(blocks.node_block == b) for b in chosen]
        nodes = [own[own.size // 2] for own in middle]
        return match_pattern(
            signal[chosen],
            weight[chosen],
            camera.pixel_x,
            camera.pixel_y,
            camera.shape.width,
            table.sigma,
            self.x[:, nodes].T,
            self.y[:, nodes].T,
            self.field.tracks.expected,
            radius,
        )

    def prepare(self) -> None:
        """Sky without stars, and the pixels that the stars are in, at their places now."""
        camera = self.camera
        near = self._near(1.5 * camera.shape.width)
        signal, _, self.background = self._sky(near)
        self.local = np.flatnonzero(self._near(camera.shape.width))
        self.signal = signal[:, self.local]
        self.usable = np.isfinite(self.signal)
        self.level = self.background[:, self.local]

    def _near(self, distance: float) -> NDArray:
        """Whether light of a star, or its middle to a distance, comes to a pixel."""
        camera = self.camera
        found = np.zeros(camera.pixel_x.size, bool)
        for track in zip(self.x, self.y, strict=True):
            x, y = np.compress(np.isfinite(track[0]), track, axis=1)
            path = np.cumsum(np.hypot(np.diff(x, prepend=x[:1]), np.diff(y, prepend=y[:1])))
            steps = np.unique(np.floor(2 * path / camera.shape.width), return_index=True)[1]
            for node in {*steps, x.size - 1} if x.size else ():
                reach = distance + _REACH * camera.sigma
                reach += 2 * camera.psf.coma * np.hypot(x[node], y[node])
                apart2 = (camera.pixel_x - x[node]) ** 2 + (camera.pixel_y - y[node]) ** 2
                found |= apart2 < reach**2
        return found

    def _sky(self, near: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Light above the smooth sky, inverse variance as if there were no stars, the sky."""
        blocks, camera = self.field.blocks, self.camera
        if np.mean(~near) < _LEAST_SKY:  # stars everywhere: what is bright is clipped
            near = np.zeros(near.size, bool)
        background, used = smooth_background(blocks.image, camera.pixel_x, camera.pixel_y, ~near)
        signal = blocks.image - background
        variance = self._variance(background)
        self.static = static_spread(signal, variance, used)
        return signal, np.where(np.isfinite(signal), 1 / variance, 0), background

    def _variance(self, level: NDArray) -> NDArray:
        n_events = self.field.blocks.n_events[:, np.newaxis]
        return (2 * level**2 + self.field.shot_noise * level) / n_events

    def light(self, table: PixelTable, psf: ComaPsf) -> NDArray:
        """Light of the stars at their places in the pixels near them."""
        blocks = self.field.blocks
        return light_of_stars(
            table,
            self.camera.pixel_x[self.local],
            self.camera.pixel_y[self.local],
            self.x,
            self.y,
            blocks.node_weight,
            blocks.node_block,
            psf.coma,
            psf.obscuration,
        )

    def fit(
        self,
        table: PixelTable,
        psf: ComaPsf,
        moves: NDArray,
        free_psf: tuple[bool, bool] = (False, False),
        sensitivities: bool = False,
    ) -> Spots:
        """Fluxes, and displacements of the stars that move."""
        light = self.light(table, psf)
        shine = np.einsum("sb,sbi->bi", np.nan_to_num(self.flux).clip(0), light[SHARE])
        level = self.level + shine
        if not np.isfinite(self.flux).any():  # nothing is known yet: the images themselves
            level = np.where(self.usable, np.maximum(level, self.signal + level), level)
        weight = np.where(self.usable, 1 / self._variance(level), 0)
        signal = np.where(self.usable, self.signal, 0)
        typical = np.abs(shine).mean(axis=0)
        response = (self.response_error[self.local] * typical) ** 2
        static = self._static(signal - shine, typical, weight, light)
        neighbours = (self.neighbours(psf) ** 2).sum(axis=1)
        weight = weight / (1 + weight * neighbours)
        self.data = SpotData(signal, weight, 1 / (static + response), light, response, neighbours)
        self.spots = fit_spots(self.data, self.flux, moves, free_psf, sensitivities=sensitivities)
        self.flux, self.flux_error = self.spots.flux, self.spots.flux_error
        self.contained = np.einsum("sbi,bi->sb", light[SHARE], self.usable)
        return self.spots

    def neighbours(self, psf: ComaPsf) -> NDArray:
        """Light of stars in no catalogue in the pixels near the stars, by independent causes."""
        camera, tracks = self.camera, self.field.tracks
        with np.errstate(invalid="ignore"):
            bright = slice(_BRIGHTEST)
            flux = np.nan_to_num(self.flux[bright]).clip(0).max(axis=1, initial=0)
        squared = squared_light(flux, tracks.magnitude[bright], tracks.magnitude_limit)
        variance = (psf.sigma.to_value(u.rad) * camera.focal_length) ** 2
        return light_of_neighbours(
            camera.pixel_x[self.local],
            camera.pixel_y[self.local],
            camera.shape.area,
            np.sqrt(variance + camera.shape.variance),
            squared / (np.deg2rad(1) * camera.focal_length) ** 2,
        )

    def _static(self, rest: NDArray, typical: NDArray, weight: NDArray, light: NDArray) -> NDArray:
        """τ² of the pixels; what they have too much for those that are unlike the others.

        Faulty pixels, stars that no catalogue has. In a star only when the stars are in place, and
        only what no error of their place can make.
        """
        total = weight.sum(axis=0)
        mean = np.divide((weight * rest).sum(axis=0), total, out=0 * total, where=total > 0)
        error2 = np.divide(1, total, out=0 * total, where=total > 0) + self.static**2
        outside = light[SHARE].max(axis=(0, 1), initial=0) < _STARLESS
        unlike = mean**2 > _FREE_PIXEL**2 * error2
        unlike &= outside | (self.is_placed & (np.abs(mean) > _UNLIKE_STAR * typical))
        return np.where(unlike, mean**2, self.static**2)

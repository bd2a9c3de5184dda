"""Displacements of stars for the trajectory fit: what they depend on, what is uncertain."""

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from .coma_psf import ComaPsf
from .focal_plane import camera_position
from .spot_fit import Spots
from .trajectory_fit import SpotGroup

if TYPE_CHECKING:
    from .field_fit import FieldFit, StarCamera
    from .tracking_settings import TrackingSettings

__all__ = ["spot_systematics"]


def spot_systematics(
    fit: "FieldFit",
    spots: Spots,
    psf: ComaPsf,
    response_error: NDArray,
    settings: "TrackingSettings",
    camera: "StarCamera",
) -> SpotGroup:
    """Displacements with their derivatives and systematic errors, by name.

    ``response``: scales of the pixels; ``psf``: σ and coma that are not fitted; ``catalogue``:
    places and blends of stars; ``neighbours`` that are in no catalogue; ``refraction``; ``time``:
    clock and rotation of the Earth.
    """
    block = fit.field.blocks.node_block
    weight = fit.field.blocks.node_weight
    jacobian = _of_spots(fit.jacobian, spots, block, weight)  # (n_spots, 2, 4)
    blocks = np.unique(spots.block)
    n = 2 * spots.star.size
    design = np.zeros((spots.star.size, 2, blocks.size, 2))
    design[np.arange(spots.star.size), :, np.searchsorted(blocks, spots.block)] = jacobian[..., :2]
    tracks = fit.field.tracks
    later_x, later_y = camera_position(
        tracks.later_azimuth,
        tracks.later_altitude,
        fit.field.azimuth,
        fit.field.altitude,
        camera.plane,
        fit.alignment,
    )
    moved = np.stack([later_x.to_value(u.m) - fit.x, later_y.to_value(u.m) - fit.y])
    seconds = np.hypot(settings.time_error.to_value(u.s), tracks.rotation_error)
    stars, place = np.unique(spots.star, return_inverse=True)
    catalogue = np.zeros((spots.star.size, 2, stars.size, 2))
    error = tracks.place_error[spots.star] * camera.focal_length
    for axis in range(2):
        catalogue[np.arange(spots.star.size), axis, place, axis] = error
    # a higher altitude is a negative dlat
    refracted = _of_spots(-fit.jacobian[:, 1] * tracks.refraction_error, spots, block, weight)
    variance = (psf.sigma.to_value(u.rad) * camera.focal_length) ** 2
    psf_errors = [2 * variance * settings.sigma_error, psf.coma * settings.coma_error]
    return SpotGroup(
        offset=spots.offset,
        covariance=spots.covariance,
        design=design.reshape(n, -1),
        common_design=jacobian[..., 2:].reshape(n, 2),
        systematics={
            "response": spots.by_pixel * np.nan_to_num(response_error[fit.local]),
            "psf": spots.by_psf * psf_errors,
            "catalogue": catalogue.reshape(n, -1),
            "neighbours": spots.by_light @ fit.neighbours(psf),
            "refraction": refracted.reshape(n, 1),
            "time": seconds * _of_spots(moved, spots, block, weight).reshape(n, 1),
        },
        weighting=("response", "psf", "catalogue", "neighbours"),
    )


def _of_spots(values: NDArray, spots: Spots, block: NDArray, weight: NDArray) -> NDArray:
    """Means over the nodes of each block: (2, ..., n_stars, n_nodes) to (n_spots, 2, ...)."""
    found = []
    for star, number in zip(spots.star, spots.block, strict=True):
        nodes = np.flatnonzero(block == number)
        found.append(values[..., star, nodes] @ weight[nodes])
    return np.array(found)

"""From variance images and the record of the drive to observations of stars, one a pointing."""

from dataclasses import dataclass, replace

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from ..core.pointing_file import DrivePointing
from ..core.site import Site
from .apparent_place import LOWEST_ALTITUDE, SurfaceAir, catalogue_places, check_altitude
from .field_fit import StarCamera, StarField
from .star_selection import field_stars, star_tracks
from .variance_images import (
    Blocks,
    VarianceImages,
    image_blocks,
    shot_noise,
)

__all__ = ["FieldSettings", "LeftOut", "star_fields"]

SAME_FIELD = 0.1 * u.deg  # between directions of one pointing
LONGEST_STEP = 10.0  # s between records of the drive that are interpolated
MARGIN = 0.3 * u.deg  # beyond the outermost pixel: stars that move in, light of coma


@dataclass(frozen=True)
class FieldSettings:
    """How images become blocks, and which stars are looked for.

    Parameters
    ----------
    block_duration : Quantity
    n_nodes : int
        Moments of a block at which stars are placed.
    max_blocks : int
        Of one fit; longer observations are fitted in parts.
    magnitude_limit : float
        Faintest V of stars in the model.
    catalogue : str
    """

    block_duration: u.Quantity = 60 * u.s
    n_nodes: int = 4
    max_blocks: int = 30
    magnitude_limit: float = 8.0
    catalogue: str = "hipparcos"


@dataclass(frozen=True)
class LeftOut:
    """Blocks that cannot be fitted, and why.

    Parameters
    ----------
    blocks : Blocks
    azimuth, altitude : Quantity, shape (n_blocks,), deg
        Of the drive, NaN where not known.
    status : str
    """

    blocks: Blocks
    azimuth: u.Quantity
    altitude: u.Quantity
    status: str


def star_fields(
    images: VarianceImages,
    drive: DrivePointing,
    site: Site,
    air: SurfaceAir,
    camera: StarCamera,
    settings: FieldSettings | None = None,
) -> tuple[list[StarField], list[LeftOut]]:
    """Observations of one pointing each, and blocks that cannot be fitted.

    Parameters
    ----------
    images : VarianceImages
    drive : DrivePointing
    site, air, camera
    settings : FieldSettings, optional

    Raises
    ------
    MissingInputError
        If the drive has recorded at no time of the images.
    ConfigurationError
        If all of them were taken below 10 deg.
    """
    settings = settings or FieldSettings()
    times = Time(images.time, format="unix_tai", scale="tai")
    covered = _is_covered(drive, images)
    if not covered.any():
        drive.at(times)  # tells what is missing
    azimuth, altitude = np.full((2, len(images)), np.nan) * u.deg
    azimuth[covered], altitude[covered] = drive.at(times[covered])
    low = covered & ~(altitude >= LOWEST_ALTITUDE + camera.field_radius)
    if np.all(low[covered]):
        check_altitude(altitude[covered] - camera.field_radius, "edge of the field of view")
    noise = shot_noise(images)
    fields, left_out = [], []
    for why, which in (
        ("drive data missing", ~covered),
        (f"field of view below {LOWEST_ALTITUDE:g}", low),
    ):
        for own in _runs(np.flatnonzero(which)):
            blocks = image_blocks(images[own], settings.block_duration.to_value(u.s), 1)
            at = np.searchsorted(images.time[own], blocks.time).clip(0, own.size - 1)
            left_out.append(LeftOut(blocks, azimuth[own][at], altitude[own][at], why))
    usable = np.flatnonzero(covered & ~low)
    place = catalogue_places(azimuth[usable], altitude[usable], times[usable], site, air)
    for own in _pointings(usable, *place):
        blocks = image_blocks(images[own], settings.block_duration.to_value(u.s), settings.n_nodes)
        for part in _parts(blocks, settings.max_blocks):
            fields.append(_field(part, drive, site, air, camera, settings, noise))
    return fields, left_out


def _is_covered(drive: DrivePointing, images: VarianceImages) -> NDArray:
    """Whether the drive has recorded around each image, close enough."""
    recorded = drive.times.unix_tai
    begin, end = images.time - images.duration / 2, images.time + images.duration / 2
    inside = (begin >= recorded[0]) & (end <= recorded[-1])
    after = np.searchsorted(recorded, images.time).clip(1, recorded.size - 1)
    return inside & (recorded[after] - recorded[after - 1] <= LONGEST_STEP)


def _runs(which: NDArray) -> list[NDArray]:
    """Runs of successive numbers."""
    return [run for run in np.split(which, np.flatnonzero(np.diff(which) > 1) + 1) if run.size]


def _pointings(usable: NDArray, ra: u.Quantity, dec: u.Quantity) -> list[NDArray]:
    """Successive images of one direction on the sky."""
    a, d = ra.to_value(u.rad), dec.to_value(u.rad)
    direction = np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)
    limit = SAME_FIELD.to_value(u.rad)
    found, first = [], 0
    for k in range(1, usable.size + 1):
        if k == usable.size or (
            np.linalg.norm(direction[k] - direction[first]) > limit or usable[k] > usable[k - 1] + 1
        ):
            found.append(usable[first:k])
            first = k
    return found


def _parts(blocks: Blocks, largest: int) -> list[Blocks]:
    """Parts of equal numbers of blocks."""
    parts = np.array_split(np.arange(len(blocks)), -(-len(blocks) // largest))
    found = []
    for own in parts:
        nodes = np.isin(blocks.node_block, own)
        found.append(
            Blocks(
                blocks.time[own],
                blocks.duration[own],
                blocks.image[own],
                blocks.n_events[own],
                blocks.node_time[nodes],
                blocks.node_weight[nodes],
                blocks.node_block[nodes] - own[0],
            )
        )
    return found


def _field(
    blocks: Blocks,
    drive: DrivePointing,
    site: Site,
    air: SurfaceAir,
    camera: StarCamera,
    settings: FieldSettings,
    noise: float,
) -> StarField:
    times = Time(blocks.node_time, format="unix_tai", scale="tai")
    azimuth, altitude = drive.at(times)
    middle = times.size // 2
    stars = field_stars(
        azimuth[middle],
        altitude[middle],
        times[middle],
        camera.field_radius + MARGIN,
        site,
        air,
        settings.magnitude_limit,
        settings.catalogue,
    )
    tracks = star_tracks(stars, times, site, air, camera.spot_width)
    tracks = replace(tracks, magnitude_limit=settings.magnitude_limit)
    return StarField(blocks, tracks, azimuth, altitude, noise)

"""From variance images and the record of the drive to observations of stars, one a pointing."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import Table
from astropy.time import Time
from numpy.typing import NDArray

from ..camera.pixel_statistics import ChunkStatistics
from ..core.exceptions import ConfigurationError, CorruptedInputError, InsufficientStatisticsError
from ..core.pointing_file import DrivePointing
from ..core.site import Site
from .apparent_place import LOWEST_ALTITUDE, SurfaceAir, catalogue_places, check_altitude
from .field_fit import StarCamera, StarField
from .star_selection import field_stars, star_tracks
from .variance_images import (
    Blocks,
    VarianceImages,
    image_blocks,
    photoelectron_variance,
    shot_noise,
)

__all__ = ["FieldSettings", "LeftOut", "images_of_chunks", "star_fields"]

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


def images_of_chunks(
    chunks: list[ChunkStatistics],
    coefficients: Table,
    squared_excess_noise_factor: float,
    where: str = "this telescope",
) -> VarianceImages:
    """Variance images in photoelectrons, in the order of time, high gain.

    The scales of pixels are means over the rows of the coefficients, their errors those of the
    gains: the signal of the flat field cancels in factor over gain.

    Parameters
    ----------
    chunks : list of ChunkStatistics
        Of the charge of pedestals, ADC.
    coefficients : Table
        Of `calibpipe.core.monitoring_file.read_camera_coefficients`.
    squared_excess_noise_factor : float
    where : str
        Telescope and observation, for messages.

    Raises
    ------
    InsufficientStatisticsError
        If there is no chunk or no valid row.
    CorruptedInputError
        If the coefficients have no gains.
    """
    missing = [name for name in ("gain", "gain_stat_error") if name not in coefficients.colnames]
    if missing:
        raise CorruptedInputError(
            f"coefficients of {where} have no column {', '.join(missing)}; take those of "
            "calibpipe-calculate-camcalib-coefficients"
        )
    rows = coefficients[np.asarray(coefficients["is_valid"], bool)]
    if not chunks or not len(rows):
        raise InsufficientStatisticsError(
            f"{where} has {len(chunks)} chunks of pedestals and {len(rows)} valid rows of "
            "coefficients, needs both"
        )
    chunks = sorted(chunks, key=lambda chunk: chunk.time_start)
    masked = np.asarray(rows["outlier_mask"], bool)[:, 0].any(axis=0)
    factor, gain, error = (
        np.asarray(rows[name], float)[:, 0] for name in ("factor", "gain", "gain_stat_error")
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        response_error = np.sqrt(np.sum((error / gain) ** 2, axis=0)) / len(rows)
        n = np.array([chunk.n_events[0] for chunk in chunks], float)
        std = np.array([chunk.std[0] for chunk in chunks], float)
        variance = np.where(n > 1, std**2 * n / (n - 1), np.nan)
    if factor.shape[1] != variance.shape[1]:
        raise ConfigurationError(
            f"pedestals of {where} have {variance.shape[1]} pixels, the coefficients "
            f"{factor.shape[1]}; give those of the same camera"
        )
    image = photoelectron_variance(
        variance, factor.mean(axis=0), gain.mean(axis=0), squared_excess_noise_factor, masked
    )
    begin = np.array([chunk.time_start for chunk in chunks])
    end = np.array([chunk.time_end for chunk in chunks])
    return VarianceImages(
        (begin + end) / 2, end - begin, image, np.median(n, axis=1), response_error
    )


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
    limit = settings.magnitude_limit
    tracks = star_tracks(stars, times, site, air, camera.spot_width, limit)
    return StarField(blocks, tracks, azimuth, altitude, noise)

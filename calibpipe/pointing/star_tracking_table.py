"""Tables of star tracking: pointing against time, stars, spots."""

import astropy.units as u
import numpy as np
from astropy.table import QTable, vstack
from astropy.time import Time
from numpy.typing import NDArray

from .field_fit import FieldFit
from .focal_plane import Alignment, camera_pointing
from .star_fields import LeftOut
from .star_tracking import StarTracking
from .variance_images import Blocks

__all__ = ["field_pointing", "pointing_correction", "pointing_table", "spot_table", "star_table"]

VALID = "valid"
_ERRORS = ("dlon_stat_error", "dlat_stat_error", "dlon_sys_error", "dlat_sys_error")


def pointing_correction(
    azimuth: u.Quantity, altitude: u.Quantity, dlon: u.Quantity, dlat: u.Quantity
) -> tuple[u.Quantity, u.Quantity]:
    """Azimuth and altitude, true minus drive, of offsets (dlon, dlat); exact, any altitude.

    To first order (dlon/cos(altitude), dlat).
    """
    true_azimuth, true_altitude = camera_pointing(azimuth, altitude, Alignment(dlon, dlat))
    change = (true_azimuth - azimuth).to_value(u.deg)
    return ((change + 180) % 360 - 180) * u.deg, true_altitude - altitude


def pointing_table(tracking: StarTracking, left_out: list[LeftOut]) -> QTable:
    """One row a block, in the order of time.

    ``time``, ``duration`` (s), ``azimuth``, ``altitude`` (of the drive), ``dlon``, ``dlat`` (true
    minus drive, azimuth times cos(altitude)) with errors, ``offset_correlation`` (statistical),
    ``is_valid``, ``status``, ``n_stars``. Numbers of a block that is not valid are NaN.
    """
    parts = []
    numbers = iter(
        zip(tracking.trajectory.own_covariance, tracking.trajectory.own_systematics, strict=True)
    )
    for fit, group, blocks in zip(tracking.fits, tracking.groups, tracking.blocks, strict=True):
        table = _empty(fit.field.blocks, *field_pointing(fit), fit.status)
        if group is not None:
            _fill(table, fit, blocks, *next(numbers))
        parts.append(table)
    parts += [
        _empty(one.blocks, one.azimuth, one.altitude, [one.status] * len(one.blocks))
        for one in left_out
    ]
    table = vstack(parts, metadata_conflicts="silent")
    return table[np.argsort(table["time"].tai.mjd, kind="stable")]


def field_pointing(fit: FieldFit) -> tuple[u.Quantity, u.Quantity]:
    """Azimuth (0 to 360 deg) and altitude of the drive in the middle of each block, deg."""
    blocks = fit.field.blocks
    weights = blocks.node_weight * (blocks.node_block == np.arange(len(blocks))[:, np.newaxis])
    azimuth = np.unwrap(fit.field.azimuth.to_value(u.deg), period=360)
    altitude = weights @ fit.field.altitude.to_value(u.deg)
    return (weights @ azimuth) % 360 * u.deg, altitude * u.deg


def _empty(blocks: Blocks, azimuth: u.Quantity, altitude: u.Quantity, status: list[str]) -> QTable:
    """Rows without numbers."""
    n = len(blocks)
    nan = np.full(n, np.nan)
    table = QTable({"time": Time(blocks.time, format="unix_tai", scale="tai")})
    table["duration"] = blocks.duration * u.s
    table["azimuth"], table["altitude"] = azimuth % (360 * u.deg), altitude
    for name in ("dlon", "dlat", *_ERRORS[:2]):
        table[name] = nan * u.deg
    table["offset_correlation"] = nan
    for name in _ERRORS[2:]:
        table[name] = nan * u.deg
    table["is_valid"] = np.zeros(n, bool)
    table["status"] = np.array([text or VALID for text in status], dtype=object).astype(str)
    table["n_stars"] = np.zeros(n, int)
    return table


def _fill(
    table: QTable,
    fit: FieldFit,
    blocks: NDArray,
    covariance: NDArray,
    systematics: dict[str, NDArray],
) -> None:
    """Numbers of the blocks of a fit."""
    errors = np.sqrt(np.diag(covariance)).reshape(-1, 2)
    total = np.sqrt(sum(error**2 for error in systematics.values())).reshape(-1, 2)
    k = 2 * np.arange(blocks.size)
    correlation = covariance[k, k + 1] / (errors[:, 0] * errors[:, 1])
    table["n_stars"][blocks] = [np.count_nonzero(fit.spots.block == b) for b in blocks]
    good = np.array([not fit.status[b] for b in blocks])
    rows = blocks[good]
    columns = [fit.dlon[blocks], fit.dlat[blocks], *errors.T, *total.T]
    for name, values in zip(("dlon", "dlat", *_ERRORS), columns, strict=True):
        table[name][rows] = np.rad2deg(values[good]) * u.deg
    table["offset_correlation"][rows] = correlation[good]
    table["is_valid"][rows] = True


def star_table(tracking: StarTracking) -> QTable:
    """One row a star and observation: light, mean residual with covariance, used or why not."""
    rows: dict[str, list] = {}
    scale = np.rad2deg(1 / tracking.fits[0].camera.focal_length)  # deg per m

    def add(**values: object) -> None:
        for name, value in values.items():
            rows.setdefault(name, []).append(value)

    for number, (fit, found) in enumerate(zip(tracking.fits, tracking.residuals, strict=True)):
        tracks = fit.field.tracks
        for star in range(len(tracks)):
            residual = found.get(star)
            nothing = "" if star in fit.left_out else _why(fit)
            covariance = np.full((2, 2), np.nan) if residual is None else residual.covariance
            mean = np.full(2, np.nan) if residual is None else residual.mean
            known = np.isfinite(fit.flux[star])
            flux = fit.flux[star][known]
            add(
                field=number,
                star=tracks.names[star],
                magnitude=tracks.magnitude[star],
                colour=tracks.colour[star],
                flux=flux.mean() if known.any() else np.nan,
                flux_error=np.sqrt(np.sum(fit.flux_error[star][known] ** 2))
                / max(np.count_nonzero(known), 1),
                relative_flux=flux.mean() / tracks.expected[star] if known.any() else np.nan,
                field_angle=_mean(np.hypot(fit.x[star], fit.y[star])) * scale,
                residual_x=mean[0] * scale,
                residual_y=mean[1] * scale,
                residual_x_error=np.sqrt(covariance[0, 0]) * scale,
                residual_y_error=np.sqrt(covariance[1, 1]) * scale,
                residual_correlation=covariance[0, 1]
                / np.sqrt(covariance[0, 0] * covariance[1, 1]),
                chi2=np.nan if residual is None else residual.chi2,
                p_value=np.nan if residual is None else residual.p_value,
                n_blocks=int(np.count_nonzero(fit.spots.star == star)) if fit.spots else 0,
                is_used=residual is not None,
                reason="used" if residual is not None else fit.left_out.get(star, nothing),
            )
    table = QTable({name: np.array(values) for name, values in rows.items()})
    relative = table["relative_flux"]
    if table["is_used"].any():
        table["relative_flux"] = relative / np.median(relative[table["is_used"]])
    for name in table.colnames:
        if (name.startswith("residual") and "correlation" not in name) or name == "field_angle":
            table[name].unit = u.deg
    return table


def _why(fit: FieldFit) -> str:
    return next((text for text in fit.status if text), "no block has enough light of it")


def _mean(values: NDArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan


def spot_table(tracking: StarTracking) -> QTable:
    """One row a spot: star and block, place in the camera, displacement from the fit."""
    parts = []
    rests = iter(tracking.trajectory.residual)
    for number, (fit, group) in enumerate(zip(tracking.fits, tracking.groups, strict=True)):
        if group is None:
            continue
        rest = next(rests).reshape(-1, 2)
        spots, blocks = fit.spots, fit.field.blocks
        covariance = spots.covariance
        k = 2 * np.arange(spots.star.size)
        errors = np.sqrt(np.diag(covariance)).reshape(-1, 2)
        weight = blocks.node_weight * (blocks.node_block == spots.block[:, np.newaxis])
        table = QTable(
            {
                "field": np.full(spots.star.size, number),
                "time": Time(blocks.time[spots.block], format="unix_tai", scale="tai"),
                "star": np.array([fit.field.tracks.names[s] for s in spots.star]),
                "camera_x": np.sum(weight * fit.x[spots.star], axis=1) * u.m,
                "camera_y": np.sum(weight * fit.y[spots.star], axis=1) * u.m,
                "residual_x": rest[:, 0] * u.m,
                "residual_y": rest[:, 1] * u.m,
                "residual_x_error": errors[:, 0] * u.m,
                "residual_y_error": errors[:, 1] * u.m,
                "residual_correlation": covariance[k, k + 1] / (errors[:, 0] * errors[:, 1]),
                "flux": fit.flux[spots.star, spots.block],
                "flux_error": fit.flux_error[spots.star, spots.block],
            }
        )
        parts.append(table)
    return vstack(parts, metadata_conflicts="silent")

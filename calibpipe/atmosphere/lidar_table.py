"""Retrievals of a night of LIDAR profiles as a table: one row a profile."""

from collections.abc import Iterator, Sequence
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time
from numpy.typing import NDArray

from .lidar_clouds import MEASURED
from .lidar_night import PointingResult
from .lidar_retrieval import LidarRetrieval
from .lidar_transmission import angstrom_exponent, on_altitudes, transmission

__all__ = ["lidar_table"]


def lidar_table(
    results: Sequence[PointingResult], altitude: u.Quantity
) -> tuple[QTable, dict[str, Any]]:
    """Table of all profiles, ascending in time, and the facts for its header.

    Columns end in ``_{wavelength}nm``. Depths are vertical, from the observatory up to each
    altitude (in the header); the beam's own are multiplied by the cosine of its zenith angle.
    # ASSUME: layers are horizontally uniform.

    Parameters
    ----------
    results : sequence of PointingResult
    altitude : Quantity, (n_altitudes,)
        The first one is the observatory.

    Returns
    -------
    table : QTable
    details : dict
        Altitudes, wavelengths, and the layers of the shortest wavelength that saw any, one entry a
        layer, with the row of their profile.
    """
    times = np.concatenate([r.times.unix for r in results])
    order = np.argsort(times)
    rank = np.argsort(order)
    start = np.cumsum([0, *(len(r.times) for r in results)])
    wavelengths = sorted({w for r in results for w in r.retrievals})
    columns: dict[str, Any] = {
        "time": Time(times[order], format="unix", scale="utc").isot,
        "zenith": np.concatenate(
            [np.full(len(r.times), r.zenith.to_value(u.deg)) for r in results]
        )[order]
        * u.deg,
    }
    for wavelength in wavelengths:
        parts = [_columns(r, r.retrievals[wavelength], altitude) for r in results]
        for name in parts[0]:
            values = np.concatenate([part[name] for part in parts])[order]
            unit = 1 / u.m / u.sr if name == "backscatter" else None
            columns[f"{name}_{wavelength}nm"] = values if unit is None else values * unit
    if len(wavelengths) > 1:
        _angstrom(columns, wavelengths[0], wavelengths[-1])
    layers = [
        entry
        for r, first in zip(results, start, strict=False)
        for w in wavelengths
        for entry in _layers(r, w, rank[first : first + len(r.times)])
    ]
    names = ("row", "wavelength_in_nm", "base_in_m", "top_in_m", "depth", "stat_error", "status")
    details = {
        "altitude_in_m": [round(float(a), 3) for a in altitude.to_value(u.m)],
        "wavelengths_in_nm": wavelengths,
        "layers": {name: [entry[i] for entry in layers] for i, name in enumerate(names)},
    }
    return QTable(columns), details


def _columns(
    result: PointingResult, retrieval: LidarRetrieval, altitude: u.Quantity
) -> dict[str, Any]:
    cosine = float(np.cos(result.zenith))
    grid = (result.altitude, altitude)
    known = _known(retrieval.optical_depth, *grid)
    depth, stat, sys = (
        np.where(known, cosine * on_altitudes(values, *grid), np.nan)
        for values in (retrieval.optical_depth, retrieval.stat_error, retrieval.sys_error)
    )
    through, through_stat, through_sys = transmission(depth, stat, sys)
    thickness = np.diff(result.altitude.to_value(u.m), prepend=result.altitude[0].to_value(u.m))
    scattered = np.nan_to_num(retrieval.inversion.backscatter.value) * thickness
    integral = on_altitudes(np.cumsum(scattered, axis=1), *grid)
    backscatter = np.gradient(integral, altitude.to_value(u.m), axis=1)
    return {
        "status": retrieval.status,
        "reference_status": retrieval.clear.status,
        "aerosol_source": retrieval.aerosol_source,
        "optical_depth": depth,
        "optical_depth_stat_error": stat,
        "optical_depth_sys_error": sys,
        "transmission": through,
        "transmission_stat_error": through_stat,
        "transmission_sys_error": through_sys,
        "backscatter": np.where(known, backscatter, np.nan),
    }


def _known(depth: NDArray, altitude: u.Quantity, wanted: u.Quantity) -> NDArray:
    """Altitudes below the first bin with an unknown depth after the last known one."""
    z = altitude.to_value(u.m)
    good = np.isfinite(depth)
    last = np.where(good.any(axis=1), z[depth.shape[1] - 1 - np.argmax(good[:, ::-1], axis=1)], -1)
    complete = good[:, -1]
    return complete[:, np.newaxis] | (wanted.to_value(u.m) <= last[:, np.newaxis])


def _angstrom(columns: dict[str, Any], short: int, long: int) -> None:
    """Ångström exponent of the optical depth at the highest altitude known in both."""

    def top(wavelength: int, name: str) -> NDArray:
        return _last(columns[f"{name}_{wavelength}nm"])

    depth = (top(short, "optical_depth"), top(long, "optical_depth"))
    for kind in ("stat", "sys"):
        name = f"optical_depth_{kind}_error"
        error = top(short, name), top(long, name)
        value, spread = angstrom_exponent(depth, error, (short * u.nm, long * u.nm))
        columns["angstrom_exponent"] = value
        columns[f"angstrom_exponent_{kind}_error"] = spread


def _last(values: NDArray) -> NDArray:
    good = np.isfinite(values)
    index = values.shape[1] - 1 - np.argmax(good[:, ::-1], axis=1)
    return np.take_along_axis(values, index[:, np.newaxis], axis=1)[:, 0]


def _layers(result: PointingResult, wavelength: int, rank: NDArray) -> Iterator[tuple[object, ...]]:
    found = result.retrievals[wavelength]
    cosine = float(np.cos(result.zenith))
    z = result.altitude.to_value(u.m)
    for i, (row, base, top) in enumerate(
        zip(found.layers.profile, found.layers.base, found.layers.top, strict=True)
    ):
        measured = found.layer_status[i] == MEASURED
        yield (
            int(rank[row]),
            wavelength,
            round(float(z[base]), 1),
            round(float(z[top]), 1) if top >= 0 else None,
            float(f"{found.layer_depth[i] * cosine:.6g}") if measured else None,
            float(f"{found.layer_error[i] * cosine:.6g}") if measured else None,
            str(found.layer_status[i]),
        )

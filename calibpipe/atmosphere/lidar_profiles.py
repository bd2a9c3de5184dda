"""The product `atmosphere/lidar` as arrays: depths of aerosols and of clouds apart."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time
from numpy.typing import NDArray

from ..core.exceptions import CorruptedInputError
from .lidar_clouds import MEASURED

__all__ = ["LidarTable", "lidar_from_table"]


@dataclass(frozen=True)
class LidarTable:
    """Product `atmosphere/lidar` as arrays, on the altitudes of another grid.

    Attributes
    ----------
    time : ndarray, (n_profiles,), s
        TAI, since 1970.
    wavelengths : ndarray, (n_lasers,), nm
    aerosol, cloud, stat_error, sys_error : ndarray, (n_lasers, n_profiles, n_altitudes)
        Depth without and of clouds; errors of their sum.
    is_complete : ndarray of bool, (n_lasers, n_profiles)
        The depth is known at all altitudes.
    is_hidden : ndarray of bool, (n_profiles,)
        A layer of unknown depth.
    hidden_from, cloud_base, cloud_top : ndarray, (n_profiles,), m
        Lowest base of a layer of unknown depth, and of a cloud, highest top; NaN without.
    """

    time: NDArray
    wavelengths: NDArray
    aerosol: NDArray
    cloud: NDArray
    stat_error: NDArray
    sys_error: NDArray
    is_complete: NDArray
    is_hidden: NDArray
    hidden_from: NDArray
    cloud_base: NDArray
    cloud_top: NDArray

    def chosen(self, rows: NDArray) -> "LidarTable":
        """Some of the profiles."""
        per_laser = ("aerosol", "cloud", "stat_error", "sys_error", "is_complete")
        values = {
            name: value[:, rows] if name in per_laser else value[rows]
            for name, value in vars(self).items()
            if name != "wavelengths"
        }
        return LidarTable(wavelengths=self.wavelengths, **values)


def lidar_from_table(table: QTable, altitude: u.Quantity, lowest_cloud: u.Quantity) -> LidarTable:
    """Arrays of the product `atmosphere/lidar`.

    Depths are linear between the product's altitudes; above the highest nothing scatters.
    # ASSUME: a layer with a base above `lowest_cloud` is a cloud, a lower one is dust or haze.

    Parameters
    ----------
    table : QTable
        With its header.
    altitude : Quantity, (n_altitudes,)
        The first one is the observatory.
    lowest_cloud : Quantity
        Above the sea.

    Raises
    ------
    CorruptedInputError
        If the altitudes begin elsewhere than those of the product.
    """
    header = table.meta["calibpipe"]
    known, z = np.array(header["altitude_in_m"], float), altitude.to_value(u.m)
    if abs(known[0] - z[0]) > 1.0:
        raise CorruptedInputError(
            f"the LIDAR's altitudes begin at {known[0]:g} m, the observatory stands at {z[0]:g} m; "
            "make the LIDAR product with the same site"
        )
    lasers, n = np.array(header["wavelengths_in_nm"], int), len(table)
    layers, hidden_from = _intervals(header["layers"], n, lowest_cloud.to_value(u.m))
    parts: dict[str, list[NDArray]] = {}
    for laser in lasers:
        depth, stat, sys = (
            np.asarray(table[f"optical_depth{name}_{laser}nm"], float)
            for name in ("", "_stat_error", "_sys_error")
        )
        cloud = np.stack([_inside(d, known, found) for d, found in zip(depth, layers, strict=True)])
        sought = np.isfinite(depth) & np.isfinite(stat) & np.isfinite(sys)
        complete = sought[:, known <= max(z[-1], known[0])].all(axis=1)
        complete &= np.asarray(table[f"status_{laser}nm"]) == MEASURED
        for name, values in (
            ("aerosol", depth - cloud),
            ("cloud", cloud),
            ("stat_error", stat),
            ("sys_error", sys),
        ):
            parts.setdefault(name, []).append(np.stack([np.interp(z, known, v) for v in values]))
        parts.setdefault("is_complete", []).append(complete)
    empty = [(np.nan, np.nan)]
    return LidarTable(
        time=Time(np.asarray(table["time"], str), scale="utc").unix_tai,
        wavelengths=lasers.astype(float),
        **{name: np.stack(values) for name, values in parts.items()},
        is_hidden=np.isfinite(hidden_from),
        hidden_from=hidden_from,
        cloud_base=np.array([min(found or empty)[0] for found in layers]),
        cloud_top=np.array([max(top for _, top in found or empty) for found in layers]),
    )


def _intervals(
    layers: dict[str, list], n: int, lowest: float
) -> tuple[list[list[tuple[float, float]]], NDArray]:
    """Clouds of each profile as (base, top), and the lowest base of a layer of unknown depth."""
    clouds: list[list[tuple[float, float]]] = [[] for _ in range(n)]
    hidden = np.full(n, np.nan)
    for row, base, top, status in zip(
        layers["row"], layers["base_in_m"], layers["top_in_m"], layers["status"], strict=True
    ):
        if status != MEASURED:
            hidden[row] = np.fmin(hidden[row], base)
        elif base >= lowest:
            clouds[row].append((base, top))
    return [_united(found) for found in clouds], hidden


def _united(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Intervals of both lasers, overlapping ones as one."""
    out: list[tuple[float, float]] = []
    for base, top in sorted(found):
        if out and base <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], top))
        else:
            out.append((base, top))
    return out


def _inside(depth: NDArray, altitude: NDArray, intervals: list[tuple[float, float]]) -> NDArray:
    """Part of a cumulative depth that intervals add, to the next altitudes below and above."""
    out = np.zeros_like(depth)
    for base, top in intervals:
        first = max(int(np.searchsorted(altitude, base, side="right")) - 1, 0)
        last = min(int(np.searchsorted(altitude, top)), altitude.size - 1)
        out += depth[np.clip(np.arange(depth.size), first, last)] - depth[first]
    return out

"""From fields on pressure levels to the site's own sounding, and to its mean over a night.

Everything is averaged and interpolated **at fixed pressure**: geopotential height, temperature
and humidity. The hydrostatic equation is linear there (dPhi = -R Tv dlnp), so a bilinear or a
weighted mean of hydrostatic columns is hydrostatic again; averaging densities of four grid points
at four different altitudes is not.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from ..core.exceptions import MissingInputError
from ..core.site import Site
from .humid_air import (
    water_vapour_mole_fraction,
    water_vapour_mole_fraction_from_relative_humidity,
)

if TYPE_CHECKING:
    from ..core.meteo_files import PressureLevelData

__all__ = [
    "STANDARD_GRAVITY",
    "Sounding",
    "bilinear_weights",
    "geometric_altitude",
    "geopotential_height",
    "night_mean",
    "night_weights",
    "normal_gravity",
    "require_dense_levels",
    "site_sounding",
    "weighted_spread",
]

STANDARD_GRAVITY = 9.80665 * u.m / u.s**2  # 3rd CGPM (1901), defines geopotential height


@dataclass(frozen=True)
class Sounding:
    """Pressure levels over one place at several times, or averaged (then one time is left).

    Parameters
    ----------
    times : Time
        (n_times,) UTC, ascending.
    pressure : Quantity
        (n_levels,) hPa, descending: ground first.
    geopotential_height : Quantity
        (n_times, n_levels) m.
    temperature : Quantity
        (n_times, n_levels) K.
    water_vapour_mole_fraction : ndarray
        (n_times, n_levels) dimensionless.
    """

    times: Time
    pressure: u.Quantity
    geopotential_height: u.Quantity
    temperature: u.Quantity
    water_vapour_mole_fraction: np.ndarray


@u.quantity_input
def normal_gravity(
    latitude: u.Quantity[u.deg], altitude: u.Quantity[u.m] = 0 * u.m
) -> u.Quantity[u.m / u.s**2]:
    r"""Gravity of the WGS84 ellipsoid, centrifugal part included.

    Somigliana's formula at the surface, second-order free-air expansion above it:
    :math:`g = g_0(\varphi)\,[1 - 2(1 + f + m - 2f\sin^2\varphi) z/a + 3 z^2/a^2]`.
    Valid from the ground to 120 km within 1e-5 relative.

    Parameters
    ----------
    latitude : Quantity
        Geodetic latitude, any shape.
    altitude : Quantity
        Height above the ellipsoid, broadcast with `latitude`.

    References
    ----------
    NIMA TR8350.2, Department of Defense World Geodetic System 1984, 3rd edition
    (2000), equations 4-1 and 4-3.
    """
    a, f, m = 6378137.0, 1 / 298.257223563, 0.00344978650684  # WGS84
    s2 = np.sin(latitude).value ** 2
    z = altitude.to_value(u.m)
    surface = 9.7803253359 * (1 + 0.00193185265241 * s2) / np.sqrt(1 - 0.00669437999014 * s2)
    return surface * (1 - 2 / a * (1 + f + m - 2 * f * s2) * z + 3 * z**2 / a**2) * u.m / u.s**2


def _gravity_and_radius(latitude: u.Quantity) -> tuple[np.ndarray, np.ndarray]:
    """Surface gravity (m/s2) and the effective radius (m) of the WMO altitude formula."""
    s2 = np.sin(latitude.to_value(u.rad)) ** 2
    gravity = 9.780325 * (1 + 0.00193185 * s2) / np.sqrt(1 - 0.00669435 * s2)
    return gravity, 6378137.0 / (1.006803 - 0.006706 * s2)


@u.quantity_input
def geometric_altitude(geopotential_height: u.m, latitude: u.deg) -> u.m:
    r"""Altitude above the sea of a geopotential height, with gravity of its latitude.

    :math:`z = R H / (R\,g_s/g_{45} - H)`, :math:`g_{45}` = 9.80665 m/s2.
    Within 0.02 m of the normal-gravity potential up to 48 km.

    Parameters
    ----------
    geopotential_height : Quantity
        H = Phi / 9.80665 m/s2, any shape.
    latitude : Quantity
        Geodetic latitude, broadcast with it.

    References
    ----------
    Mahoney, M. J. (2001), A discussion of various measures of altitude, JPL; List, R. J. (1951),
    Smithsonian Meteorological Tables, 6th edition, p. 217.
    """
    gravity, radius = _gravity_and_radius(latitude)
    height = geopotential_height.to_value(u.m)
    return radius * height / (gravity / STANDARD_GRAVITY.value * radius - height) * u.m


@u.quantity_input
def geopotential_height(altitude: u.m, latitude: u.deg) -> u.m:
    """Geopotential height of a geometric altitude: the inverse of `geometric_altitude`."""
    gravity, radius = _gravity_and_radius(latitude)
    z = altitude.to_value(u.m)
    return gravity / STANDARD_GRAVITY.value * radius * z / (radius + z) * u.m


@u.quantity_input
def bilinear_weights(grid: u.deg, position: u.deg) -> np.ndarray:
    """Weights (n_grid,) of linear interpolation on an ascending axis; they sum to one.

    Raises
    ------
    MissingInputError
        If `position` is outside the axis.
    """
    axis, x = grid.to_value(u.deg), position.to_value(u.deg)
    if not axis[0] <= x <= axis[-1]:
        raise MissingInputError(
            f"site coordinate {x:.4f} deg is outside the grid {axis[0]:.4f} to {axis[-1]:.4f} deg; "
            "retrieve a box that contains the site"
        )
    weights = np.zeros(axis.size)
    if axis.size == 1:
        weights[0] = 1.0
        return weights
    left = min(np.searchsorted(axis, x, side="right") - 1, axis.size - 2)
    fraction = (x - axis[left]) / (axis[left + 1] - axis[left])
    weights[left : left + 2] = 1 - fraction, fraction
    return weights


def site_sounding(data: "PressureLevelData", site: Site, saturation: str) -> Sounding:
    """Sounding over a site: bilinear in latitude and longitude at fixed pressure.

    Parameters
    ----------
    data : PressureLevelData
        Fields (n_times, n_levels, n_lat, n_lon).
    site : Site
        Where.
    saturation : str
        Convention of a relative humidity, as in
        `water_vapour_mole_fraction_from_relative_humidity`; unused for specific humidity.

    Raises
    ------
    MissingInputError
        If the site is outside the grid.

    Notes
    -----
    A level without humidity (real GFS files have none at 20 hPa) takes it from its neighbours,
    log-linear in ln p; above the last level with humidity its mole fraction stays.
    """
    weights = np.outer(
        bilinear_weights(data.latitude, site.latitude),
        bilinear_weights(data.longitude, site.longitude),
    )
    at_site = {
        name: np.einsum("tlij,ij->tl", getattr(data, name).value, weights)
        for name in ("geopotential_height", "temperature", "humidity")
    }
    pressure = data.pressure.to(u.hPa)
    temperature = at_site["temperature"] * u.K
    if data.humidity_kind == "specific":
        vapour = water_vapour_mole_fraction(at_site["humidity"])
    else:
        vapour = water_vapour_mole_fraction_from_relative_humidity(
            at_site["humidity"], pressure, temperature, saturation=saturation
        )
    return Sounding(
        times=data.times,
        pressure=pressure,
        geopotential_height=at_site["geopotential_height"] * u.m,
        temperature=temperature,
        water_vapour_mole_fraction=_filled(np.asarray(vapour), np.log(pressure.value)),
    )


_HIGHEST_TOP = 20 * u.hPa  # the weakest data: GDAS as CTAO takes it ends there
_WIDEST_LAYER = ((100.0, 0.41), (0.0, 0.70))  # above hPa: ln p; 150-100 and 20-10 hPa are allowed


def require_dense_levels(pressure: u.Quantity, wanted: tuple[float, ...] = ()) -> None:
    """Refuse data with missing levels: a profile from too few would be wrong without a sign.

    Parameters
    ----------
    pressure : Quantity
        (n_levels,) descending.
    wanted : tuple of float
        Levels (hPa) that the data set has; all of them must be there. Without: no layer may be
        wider than those of GDAS, and the levels must reach from 950 to 20 hPa.

    Raises
    ------
    MissingInputError
        If a level is missing.
    """
    levels = pressure.to_value(u.hPa)
    missing = [level for level in sorted(wanted) if not np.any(np.isclose(levels, level))]
    if missing:
        raise MissingInputError(
            f"meteorological data lack {len(missing)} of {len(wanted)} levels: "
            f"{', '.join(f'{level:g}' for level in missing)} hPa; retrieve all levels"
        )
    if wanted:
        return
    if levels[0] < 950 or levels[-1] > _HIGHEST_TOP.value + 1e-6:
        raise MissingInputError(
            f"meteorological data reach from {levels[0]:g} to {levels[-1]:g} hPa, needs 950 to "
            f"{_HIGHEST_TOP.value:g} hPa; retrieve more levels"
        )
    wide = np.array([next(w for p, w in _WIDEST_LAYER if level > p - 1e-6) for level in levels[1:]])
    layers = -np.diff(np.log(levels))
    if np.any(bad := layers > wide):
        worst = int(np.argmax(np.where(bad, layers / wide, 0)))
        raise MissingInputError(
            f"meteorological data have no level between {levels[worst]:g} and "
            f"{levels[worst + 1]:g} hPa; layers may be as wide as those of GDAS (150 to 100, 20 to "
            "10 hPa): retrieve the missing levels"
        )


_LEAST_VAPOUR = 1e-9  # mole fraction: far below the 4e-6 of the stratosphere


def _filled(vapour: np.ndarray, log_pressure: np.ndarray) -> np.ndarray:
    """Mole fractions without gaps: log-linear in ln p, constant beyond the last known level."""
    floored = np.where(np.isnan(vapour), np.nan, np.maximum(vapour, _LEAST_VAPOUR))
    rows = []
    for row in floored:
        known = np.isfinite(row)
        if not known.any():
            raise MissingInputError(
                "no level has humidity; retrieve specific or relative humidity as well"
            )
        ascending = np.argsort(log_pressure[known])
        rows.append(
            np.exp(
                np.interp(
                    log_pressure,
                    log_pressure[known][ascending],
                    np.log(row[known][ascending]),
                )
            )
        )
    return np.array(rows)


def night_weights(
    times: Time, begin: Time, end: Time, max_edge_gap: u.Quantity, max_step: u.Quantity = 6 * u.h
) -> np.ndarray:
    r"""Weight of each analysis in the mean over ``[begin, end]``.

    The mean of a quantity that runs linearly between analyses is
    :math:`\sum_k w_k x_k`, :math:`w_k = \int h_k(t)\,dt / (t_1 - t_0)` with the hat functions
    :math:`h_k`. Where the analyses begin late or end early by at most `max_edge_gap`, the first or
    last one is held.

    Parameters
    ----------
    times : Time
        (n_times,) ascending.
    begin, end : Time
        Dusk and dawn.
    max_edge_gap : Quantity
        Longest time between dusk and the first, or the last analysis and dawn.
    max_step : Quantity
        Longest time between two analyses that are used: the step of the data set.

    Returns
    -------
    ndarray
        (n_times,) sums to one.

    Raises
    ------
    MissingInputError
        If the analyses leave more than `max_edge_gap` of the night uncovered at either end, or if
        two that follow each other in the night are more than `max_step` apart.
    """
    t = (times - begin).to_value(u.h)
    length = (end - begin).to_value(u.h)
    gap = max_edge_gap.to_value(u.h) + 1 / 3600  # rounding to the second is no gap
    if t[0] > gap or t[-1] < length - gap:
        raise MissingInputError(
            f"meteorological data run from {times[0].utc.iso[:16]} to {times[-1].utc.iso[:16]} "
            f"UTC, the night from {begin.utc.iso[:16]} to {end.utc.iso[:16]} UTC; at most "
            f"{max_edge_gap.to_value(u.h):g} h may "
            "be missing at an end: give files of this night that bracket it"
        )
    first = max(int(np.searchsorted(t, 0.0, side="right")) - 1, 0)  # the one before dusk, if any
    last = min(int(np.searchsorted(t, length)), t.size - 1)
    steps = np.diff(t[first : last + 1])
    longest = max_step.to_value(u.h)
    if steps.size and float(steps.max()) > longest + 1 / 3600:
        before = times[first + int(np.argmax(steps))]
        raise MissingInputError(
            f"meteorological data of the night from {begin.utc.iso[:16]} UTC have a hole of "
            f"{steps.max():g} h after {before.utc.iso[:16]} UTC; at most {longest:g} h: give the "
            "missing analyses"
        )
    knots = np.unique(np.concatenate([[0.0, length], t[(t > 0) & (t < length)]]))
    hats = np.array([np.interp(knots, t, row) for row in np.eye(t.size)])
    return np.trapezoid(hats, knots, axis=1) / length


def weighted_spread(values: np.ndarray, times: Time, begin: Time, end: Time) -> np.ndarray:
    """Standard deviation over the night of values that run linearly between analyses.

    Parameters
    ----------
    values : ndarray
        (n_times, n) of any unit.
    times, begin, end
        As in `night_weights`.

    Returns
    -------
    ndarray
        (n,) in the unit of `values`; zero for a single analysis.
    """
    t = (times - begin).to_value(u.h)
    length = (end - begin).to_value(u.h)
    knots = np.unique(np.concatenate([[0.0, length], t[(t > 0) & (t < length)]]))
    at_knots = np.array([np.interp(knots, t, column) for column in values.T]).T
    left, right, width = at_knots[:-1], at_knots[1:], np.diff(knots)[:, None] / length
    mean = np.sum(width * (left + right) / 2, axis=0)
    left, right = left - mean, right - mean
    return np.sqrt(np.sum(width * (left**2 + left * right + right**2) / 3, axis=0))


def night_mean(sounding: Sounding, weights: np.ndarray) -> Sounding:
    """Weighted mean in time at fixed pressure; one time, the weighted mean of the times.

    Humidity is averaged as mole fraction, so that the mean holds the mean amount of water.
    """
    middle = sounding.times[0] + np.sum(weights * (sounding.times - sounding.times[0]).sec) * u.s

    def mean(values: NDArray) -> NDArray:
        return np.tensordot(weights, values, axes=1)[None]

    return replace(
        sounding,
        times=middle.reshape(1),
        geopotential_height=mean(sounding.geopotential_height.value) * u.m,
        temperature=mean(sounding.temperature.value) * u.K,
        water_vapour_mole_fraction=mean(sounding.water_vapour_mole_fraction),
    )

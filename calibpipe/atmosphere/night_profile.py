r"""The molecular profile of a night: mean, spread, systematic error.

Above the data the errors are those of an upper-air model, setting in as :math:`1 - e^{-s}`.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from ..core.night import AstronomicalNight
from ..core.site import Site
from .density_profile import MolecularProfile, molecular_profile
from .meteorology import Sounding, geometric_altitude, night_mean, night_weights, weighted_spread

__all__ = [
    "NightProfile",
    "column_spread",
    "density_errors",
    "night_profile",
    "number_density_at",
    "pressure_differences",
    "systematic_relative_error",
]

_HEIGHT_ERROR = 20.0  # m: reanalysis heights and gravity formula, 15 to 25 m at 15 km
_REANALYSIS_ERROR = 3e-3  # density against radiosondes, 0.2 to 0.5 % in the troposphere
_INTERPOLATION_ERROR = 1e-3  # largest error below 30 km on the US Standard Atmosphere
_TIDE = 1.2e-3  # amplitude of the semidiurnal tide in density: 1 hPa at the ground
_TIDE_PERIOD = 12.0  # h
_UPPER_AIR_ERROR = 0.05  # of a climatological model where no data reach
FADE = 5 * u.km  # over which the errors of the data give way to those of an upper-air model


@dataclass(frozen=True)
class NightProfile:
    """Air above a site in one astronomical night, from data alone.

    Parameters
    ----------
    mean : MolecularProfile
        (n_altitudes,) mean over the night.
    times : Time
        (n_times,) analyses that the mean is made of.
    weights : ndarray
        (n_times,) of each in the mean.
    density_at_times, pressure_at_times : Quantity
        (n_altitudes, n_times).
    density_stat_error, pressure_stat_error : Quantity
        (n_altitudes,) standard deviation over the night; NaN if there is one analysis only.
    density_sys_error : Quantity
        (n_altitudes,).
    largest_step : Quantity
        Between analyses.
    uncovered : Quantity
        (2,) hours after dusk and before dawn in which an analysis is held.
    """

    mean: MolecularProfile
    times: Time
    weights: np.ndarray
    density_at_times: u.Quantity
    pressure_at_times: u.Quantity
    density_stat_error: u.Quantity
    pressure_stat_error: u.Quantity
    density_sys_error: u.Quantity
    largest_step: u.Quantity
    uncovered: u.Quantity


def night_profile(
    sounding: Sounding,
    night: AstronomicalNight,
    site: Site,
    co2_mole_fraction: float,
    altitude_step: u.Quantity,
    max_edge_gap: u.Quantity,
    max_step: u.Quantity,
) -> NightProfile:
    """Profile of a night from its analyses.

    Parameters
    ----------
    sounding : Sounding
        Over the site, (n_times, n_levels).
    night : AstronomicalNight
        Dusk and dawn.
    site : Site
        Latitude and observation level.
    co2_mole_fraction : float
        For example 420e-6.
    altitude_step : Quantity
        From sea level up to the highest level.
    max_edge_gap, max_step : Quantity
        As in `night_weights`.

    Raises
    ------
    MissingInputError, CorruptedInputError
        As `night_weights` and `molecular_profile`.
    """
    weights = night_weights(sounding.times, night.dusk, night.dawn, max_edge_gap, max_step)
    used = np.flatnonzero(weights > 0)
    times = sounding.times[used]
    top = geometric_altitude(np.min(sounding.geopotential_height[used, -1]), site.latitude)
    altitude = np.arange(0.0, top.to_value(u.m), altitude_step.to_value(u.m)) * u.m
    where = (altitude, site.latitude, co2_mole_fraction, site.elevation)
    mean = molecular_profile(night_mean(sounding, weights), *where)
    each = [molecular_profile(sounding, *where, time_index=int(i)) for i in used]
    density = np.array([p.density.to_value(u.kg / u.m**3) for p in each])
    pressure = np.array([p.pressure.to_value(u.hPa) for p in each])

    def spread(values: NDArray) -> NDArray:
        if times.size < 2:
            return np.full(altitude.size, np.nan)
        return weighted_spread(values, times, night.dusk, night.dawn)

    # ASSUME: a single analysis that covers a short night is as far from its neighbours as GDAS
    step = np.max(np.diff(times.unix)) * u.s if times.size > 1 else 6 * u.h
    sys = systematic_relative_error(altitude, mean.density, altitude[-1], FADE, step)
    gaps = [(times[0] - night.dusk).to_value(u.h), (night.dawn - times[-1]).to_value(u.h)]
    return NightProfile(
        mean=mean,
        times=times,
        weights=weights[used],
        density_at_times=density.T * u.kg / u.m**3,
        pressure_at_times=pressure.T * u.hPa,
        density_stat_error=spread(density) * u.kg / u.m**3,
        pressure_stat_error=spread(pressure) * u.hPa,
        density_sys_error=sys * mean.density,
        largest_step=step.to(u.h),
        uncovered=np.clip(gaps, 0, None) * u.h,
    )


def number_density_at(profile: NightProfile, altitude: u.Quantity) -> tuple[u.Quantity, u.Quantity]:
    """Number density of a night at an altitude, and its total error.

    Raises
    ------
    MissingInputError
        If the data do not reach that altitude.
    """
    value = profile.mean.at(altitude.reshape(1)).number_density[0]
    variance = np.nan_to_num(profile.density_stat_error.value) ** 2
    variance += profile.density_sys_error.value**2
    relative = np.sqrt(variance) / profile.mean.density.value
    z = profile.mean.altitude.to_value(u.m)
    return value, value * float(np.interp(altitude.to_value(u.m), z, relative))


def systematic_relative_error(
    altitude: u.Quantity,
    density: u.Quantity,
    top_of_data: u.Quantity,
    scale: u.Quantity,
    time_step: u.Quantity,
) -> np.ndarray:
    r"""Relative systematic error of density at each altitude.

    Quadratic sum of the height error over the local scale height, the reanalysis against
    radiosondes, the interpolation in altitude, the linear interpolation in time, and above the data
    the upper-air model's error that sets in as :math:`1 - e^{-s}`. Between analyses
    :math:`\Delta t` apart a tide is missed by :math:`A\min(1, (\omega\Delta t)^2/8)`.
    # ASSUME: constants above; see docs/methods/density_profile.md.

    Parameters
    ----------
    altitude, density : Quantity
        (n,) profile.
    top_of_data : Quantity
        Highest altitude with data.
    scale : Quantity
        Cross-fade length into the upper-air model.
    time_step : Quantity
        Between analyses: 1 h for ERA5, 6 h for GDAS.
    """
    missed = min(1.0, (2 * np.pi / _TIDE_PERIOD * time_step.to_value(u.h)) ** 2 / 8)
    z = altitude.to_value(u.m)
    inverse_scale_height = -np.gradient(np.log(density.value), z)
    s = _fade_length(altitude, top_of_data, scale)
    return np.sqrt(
        (_HEIGHT_ERROR * inverse_scale_height) ** 2
        + _REANALYSIS_ERROR**2
        + _INTERPOLATION_ERROR**2
        + (_TIDE * missed) ** 2
        + (_UPPER_AIR_ERROR * -np.expm1(-s)) ** 2
    )


def density_errors(
    profile: MolecularProfile,
    top_of_data: u.Quantity | None,
    scale: u.Quantity,
    time_step: u.Quantity,
    measured: tuple[u.Quantity, np.ndarray] | None,
    upper: tuple[u.Quantity, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    r"""Relative errors (statistical, systematic) of density from the ground to the top.

    The spread of the night fades as :math:`e^{-s}` above the data, where that of the upper-air
    model sets in as :math:`1 - e^{-s}`.

    Parameters
    ----------
    profile : MolecularProfile
        (n,) fine.
    top_of_data : Quantity or None
        None if nothing is measured: then the model's errors hold from the ground on.
    scale, time_step : Quantity
        As in `systematic_relative_error`.
    measured, upper : tuple of (Quantity, ndarray)
        Altitudes and relative statistical errors of the data (None without) and of the model.
    """
    z = profile.altitude
    everywhere = -100 * scale  # far below the ground: the fade is over
    fade = np.exp(-_fade_length(z, everywhere if top_of_data is None else top_of_data, scale))
    spread = (1 - fade) * np.interp(z.to_value(u.m), upper[0].to_value(u.m), upper[1])
    if measured is not None:
        known = np.interp(z.to_value(u.m), measured[0].to_value(u.m), measured[1])
        spread = np.hypot(spread, fade * known)
    top = everywhere if top_of_data is None else top_of_data
    return spread, systematic_relative_error(z, profile.density, top, scale, time_step)


def _fade_length(altitude: u.Quantity, top_of_data: u.Quantity, scale: u.Quantity) -> NDArray:
    return np.clip(((altitude - top_of_data) / scale).to_value(u.one), 0, None)


def pressure_differences(
    altitude: u.Quantity, pressure: u.Quantity, base: u.Quantity, top: u.Quantity
) -> np.ndarray:
    """Pressure at `base` less that at each altitude of `top`, for every time: the weighed column.

    Parameters
    ----------
    altitude : Quantity
        (n_altitudes,) ascending.
    pressure : Quantity
        (n_altitudes, n_times) hPa.
    base : Quantity
        Scalar altitude.
    top : Quantity
        (n,) altitudes; beyond the profile its last pressure is taken.

    Returns
    -------
    ndarray
        (n_times, n) hPa.
    """
    z = altitude.to_value(u.m)
    log_p = np.log(pressure.to_value(u.hPa)).T

    def at(heights: NDArray) -> NDArray:
        return np.array([np.exp(np.interp(heights, z, row)) for row in log_p])

    return at(np.atleast_1d(base.to_value(u.m))) - at(top.to_value(u.m))


def column_spread(
    altitude: u.Quantity,
    pressure_at_times: u.Quantity,
    times: Time,
    weights: np.ndarray,
    night: AstronomicalNight,
    edges: u.Quantity,
) -> np.ndarray:
    """Relative spread over the night of the column from the lowest edge to each higher one.

    A column is weighed: the difference of the pressures at its ends.

    Parameters
    ----------
    altitude, pressure_at_times : Quantity
        (n_altitudes,), (n_altitudes, n_times).
    times, weights
        (n_times,) analyses and their weights in the mean of the night.
    night : AstronomicalNight
        Dusk and dawn.
    edges : Quantity
        (n + 1,) ascending.

    Returns
    -------
    ndarray
        (n,); NaN if there is one analysis only.
    """
    columns = pressure_differences(altitude, pressure_at_times, edges[0], edges[1:])
    if len(times) < 2:
        return np.full(len(edges) - 1, np.nan)
    return weighted_spread(columns, times, night.dusk, night.dawn) / (weights @ columns)

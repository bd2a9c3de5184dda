"""All pointings and wavelengths of a night of LIDAR profiles."""

from dataclasses import dataclass, replace

import astropy.units as u
import numpy as np
from astropy.time import Time

from ..core.exceptions import InsufficientStatisticsError, MissingInputError
from ..core.lidar_files import LidarData, LidarSignal
from .density_profile import MolecularProfile
from .lidar_binned_ratio import binned_ratio
from .lidar_molecular import molecular_signal, raman_molecular_signal
from .lidar_retrieval import LidarRetrieval, lidar_retrieval
from .lidar_settings import RetrievalSettings

__all__ = ["PointingResult", "lidar_night"]

_POINTING_STEP = 0.1  # deg: a beam of the same direction


@dataclass(frozen=True)
class PointingResult:
    """Retrievals of the profiles of one direction.

    Parameters
    ----------
    times : Time, (n_profiles,)
        Middles of the averaged profiles.
    zenith : Quantity
    altitude : Quantity, (n_bins,)
        Of the bins.
    retrievals : dict of int to LidarRetrieval
        By laser wavelength in nm.
    """

    times: Time
    zenith: u.Quantity
    altitude: u.Quantity
    retrievals: dict[int, LidarRetrieval]


def lidar_night(
    data: LidarData,
    profile: MolecularProfile,
    co2: float,
    settings: RetrievalSettings,
    averaging_time: float,
    bin_width: float,
    dead_time: float,
) -> list[PointingResult]:
    """Retrievals of all directions, one after the other.

    Parameters
    ----------
    data : LidarData
    profile : MolecularProfile
        Of the night; bins above its top are left out.
    co2 : float
        Mole fraction.
    settings : RetrievalSettings
    averaging_time, bin_width, dead_time : float
        s, m, ns. Profiles and bins are averaged over whole numbers of them.

    Raises
    ------
    MissingInputError
        If there is no elastic channel.
    InsufficientStatisticsError
        If no direction has as many profiles as are averaged.
    """
    if not any(channel.is_elastic for channel in data.channels):
        names = ", ".join(c.name for c in data.channels)
        raise MissingInputError(
            f"no elastic channel among {names}: layers and backscatter need the laser's own "
            "wavelength"
        )
    together = max(round(averaging_time / float(np.median(data.duration.to_value(u.s)))), 1)
    direction = np.rint(data.zenith.to_value(u.deg) / _POINTING_STEP)
    out = []
    for value in np.unique(direction):
        rows = np.flatnonzero(direction == value)
        if rows.size >= together:
            part = data.select(rows[: rows.size // together * together])
            out.append(_pointing(part, profile, co2, settings, together, bin_width, dead_time))
    if not out:
        raise InsufficientStatisticsError(
            f"no direction has {together} profiles to average over {averaging_time:g} s; shorten "
            "`averaging_time_in_s` or give more data"
        )
    return out


def _pointing(
    data: LidarData,
    profile: MolecularProfile,
    co2: float,
    settings: RetrievalSettings,
    together: int,
    bin_width: float,
    dead_time: float,
) -> PointingResult:
    elevation = 90 * u.deg - data.zenith[0]
    retrievals, altitude = {}, None
    for whole in sorted(_elastic(data), key=lambda c: c.emitted.value):
        bins = max(round(bin_width / _width(whole)), 1)
        channel = _below_top(whole, profile, data.altitude, elevation, settings)
        where = (co2, data.altitude, elevation)
        fine = molecular_signal(profile, channel.distance, channel.emitted, *where)
        middle = _blocks(channel.distance, bins)
        molecules = molecular_signal(profile, middle, channel.emitted, *where)
        options = (together, bins, _background(channel, settings), dead_time * u.ns)
        elastic = binned_ratio(channel, fine.attenuated_backscatter, *options)
        raman, lines = None, None
        partner = _raman_partner(data, channel)
        if partner is not None:
            partner = _below_top(partner, profile, data.altitude, elevation, settings)
            lines = (partner.emitted, partner.received)
            signal = raman_molecular_signal(profile, partner.distance, *lines, *where)
            raman = binned_ratio(partner, signal.attenuated_backscatter, *options)
        wavelength = round(channel.emitted.to_value(u.nm))
        retrievals[wavelength] = lidar_retrieval(elastic, molecules, settings, raman, lines)
        altitude = molecules.altitude
    times = Time(data.times.unix.reshape(-1, together).mean(axis=1), format="unix", scale="utc")
    return PointingResult(times, data.zenith[0], altitude, retrievals)


def _elastic(data: LidarData) -> list[LidarSignal]:
    """One elastic channel a wavelength: the analog one reaches nearest, the first one otherwise."""
    chosen: dict[float, LidarSignal] = {}
    for channel in data.channels:
        if channel.is_elastic:
            known = chosen.get(channel.emitted.value)
            if known is None or (known.mode != "analog" and channel.mode == "analog"):
                chosen[channel.emitted.value] = channel
    return list(chosen.values())


def _raman_partner(data: LidarData, elastic: LidarSignal) -> LidarSignal | None:
    """Nitrogen channel of the same laser line with the same bins, or None."""
    for channel in data.channels:
        shift = (channel.received - channel.emitted).to_value(u.nm)
        same = channel.emitted == elastic.emitted and channel.distance.size
        if same and 20 < shift < 80 and np.isclose(_width(channel), _width(elastic)):
            return channel
    return None


def _width(channel: LidarSignal) -> float:
    return float((channel.distance[1] - channel.distance[0]).to_value(u.m))


def _below_top(
    channel: LidarSignal,
    profile: MolecularProfile,
    altitude: u.Quantity,
    elevation: u.Quantity,
    settings: RetrievalSettings,
) -> LidarSignal:
    """Channel without the bins above the density profile."""
    height = altitude + channel.distance * np.sin(elevation)
    keep = height <= profile.altitude[-1]
    return replace(channel, distance=channel.distance[keep], values=channel.values[:, keep])


def _background(channel: LidarSignal, settings: RetrievalSettings) -> u.Quantity:
    """Where the background begins: as configured, or the last tenth of a shorter record."""
    last = channel.distance[-1]
    return min(settings.background, 0.9 * last)


def _blocks(distance: u.Quantity, bins: int) -> u.Quantity:
    n = distance.size // bins
    return distance[: n * bins].reshape(n, bins).mean(axis=1)

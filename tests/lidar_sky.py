"""A LIDAR under the US Standard Atmosphere, with aerosols of known optical depth."""

import astropy.units as u
import numpy as np
from astropy.time import Time

from calibpipe.atmosphere.density_profile import MolecularProfile
from calibpipe.atmosphere.lidar_binned_ratio import binned_ratio
from calibpipe.atmosphere.lidar_molecular import molecular_signal, raman_molecular_signal
from calibpipe.atmosphere.lidar_retrieval import lidar_retrieval
from calibpipe.atmosphere.lidar_settings import RetrievalSettings
from calibpipe.atmosphere.standard_atmosphere import standard_atmosphere
from calibpipe.core.lidar_files import LidarData, LidarSignal
from calibpipe.simulation.lidar import LidarChannel, expected_photons, simulated_counts

GREEN, NITROGEN = 532 * u.nm, 607 * u.nm
CO2 = 420e-6
ALTITUDE = 2200 * u.m
SHOTS = 3000  # one minute at 50 Hz
BIN_DURATION = 50.0346 * u.ns  # 7.5 m
DEAD_TIME = 2 * u.ns
RANGE = (np.arange(4000) + 0.5) * 7.5 * u.m
ELASTIC = LidarChannel(GREEN, GREEN, photons=7.9e14, background=0.2, analog=True)
RAMAN = LidarChannel(GREEN, NITROGEN, photons=2.6e11, background=2e-4, dead_time=DEAD_TIME)


def us_standard():
    altitude = np.arange(0.0, 60001.0, 100.0) * u.m
    air = standard_atmosphere(altitude)
    return MolecularProfile(
        altitude,
        air.pressure,
        air.temperature,
        air.density,
        air.number_density,
        np.zeros(altitude.size),
    )


def signal_of(channel, aerosols, rng, profile, name="x", **where):
    """One profile for each entry of `aerosols`."""
    altitude = where.pop("altitude", ALTITUDE)
    expected = [
        expected_photons(profile, one, channel, RANGE, CO2, altitude, **where) for one in aerosols
    ]
    values = simulated_counts(
        np.array(expected), channel, SHOTS, len(aerosols), BIN_DURATION, rng
    ).astype(float)
    return LidarSignal(
        name,
        channel.emitted,
        channel.received,
        "analog" if channel.analog else "photon_counting",
        RANGE,
        values,
        np.full(len(aerosols), float(SHOTS)),
    )


def lidar_data(aerosols, rng, profile, site, begin, zenith=0 * u.deg, raman=True):
    """Data as from files: one profile a minute from `begin` on."""
    where = {"altitude": site.elevation, "elevation": 90 * u.deg - zenith}
    channels = [signal_of(ELASTIC, aerosols, rng, profile, "532.analog", **where)]
    if raman:
        channels.append(signal_of(RAMAN, aerosols, rng, profile, "607.photon_counting", **where))
    n = len(aerosols)
    return LidarData(
        times=Time(begin.unix + 60.0 * np.arange(n) + 30.0, format="unix", scale="utc"),
        duration=np.full(n, 60.0) * u.s,
        altitude=site.elevation,
        latitude=site.latitude,
        longitude=site.longitude,
        zenith=np.full(n, zenith.to_value(u.deg)) * u.deg,
        channels=tuple(channels),
    )


def retrieved(aerosols, rng, raman=True, bins=8, **settings):
    """Retrieval of simulated profiles, and the molecules in its bins."""
    profile = us_standard()
    middle = RANGE[: RANGE.size // bins * bins].reshape(-1, bins).mean(axis=1)
    molecules = molecular_signal(profile, middle, GREEN, CO2, ALTITUDE)
    fine = molecular_signal(profile, RANGE, GREEN, CO2, ALTITUDE)
    background = 27 * u.km
    elastic = binned_ratio(
        signal_of(ELASTIC, aerosols, rng, profile),
        fine.attenuated_backscatter,
        1,
        bins,
        background,
        0 * u.ns,
    )
    other, lines = None, None
    if raman:
        lines = (GREEN, NITROGEN)
        signal = raman_molecular_signal(profile, RANGE, *lines, CO2, ALTITUDE)
        other = binned_ratio(
            signal_of(RAMAN, aerosols, rng, profile),
            signal.attenuated_backscatter,
            1,
            bins,
            background,
            DEAD_TIME,
        )
    result = lidar_retrieval(elastic, molecules, RetrievalSettings(**settings), other, lines)
    return result, molecules

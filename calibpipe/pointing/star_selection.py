r"""Which stars a camera may see in a pointing, where, and how well their places are known."""

from dataclasses import dataclass, replace

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from ..core.site import Site
from ..core.star_catalogue import MEAN_COLOUR, Stars, bright_stars
from .apparent_place import SurfaceAir, catalogue_places, observed_places
from .star_flux import FLUX_ERROR, band_photons, effective_wavelength

__all__ = ["StarTracks", "field_stars", "star_tracks"]


@dataclass(frozen=True)
class StarTracks:
    """Stars of a field, brightest first, and their places at some moments.

    Parameters
    ----------
    names : tuple of str
        ``HIP 25336``; ``HIP 1+2`` for two that the camera cannot tell apart.
    magnitude, colour : ndarray, shape (n_stars,), mag
        Of the blend.
    expected : ndarray, shape (n_stars,), 1/(m² s)
        Photons of 300 to 600 nm on the ground.
    place_error : ndarray, shape (n_stars,), rad
        Per axis, constant: catalogue, ratio of blended stars.
    azimuth, altitude : Quantity, shape (n_stars, n_moments), deg
        Observed.
    later_azimuth, later_altitude : Quantity, shape (n_stars, n_moments), deg
        A second later.
    refraction_error : ndarray, shape (n_stars, n_moments), rad
    rotation_error : float, s
        Of the Earth's rotation.
    magnitude_limit : float
        Fainter stars are unknown neighbours.
    """

    names: tuple[str, ...]
    magnitude: NDArray
    colour: NDArray
    expected: NDArray
    place_error: NDArray
    azimuth: u.Quantity
    altitude: u.Quantity
    later_azimuth: u.Quantity
    later_altitude: u.Quantity
    refraction_error: NDArray
    rotation_error: float
    magnitude_limit: float = 8.0

    def __len__(self) -> int:
        return len(self.names)


def field_stars(
    azimuth: u.Quantity,
    altitude: u.Quantity,
    time: Time,
    radius: u.Quantity,
    site: Site,
    air: SurfaceAir,
    magnitude_limit: float,
    catalogue: str = "hipparcos",
) -> Stars:
    """Stars within a radius of where a drive points at a time (scalars)."""
    ra, dec = catalogue_places(azimuth.reshape(1), altitude.reshape(1), time.reshape(1), site, air)
    return bright_stars(time, ra[0], dec[0], radius, magnitude_limit, catalogue)


def star_tracks(
    stars: Stars,
    times: Time,
    site: Site,
    air: SurfaceAir,
    psf_width: u.Quantity,
) -> StarTracks:
    """Places of stars at some times, each with the refraction of its own colour.

    Stars closer to each other than a standard deviation of the image are one, in the middle of
    their light.

    Parameters
    ----------
    stars : Stars
        Brightest first.
    times : Time, shape (n_moments,)
    site : Site
    air : SurfaceAir
        Its wavelength is that of a star of mean colour.
    psf_width : Quantity, angle
        Standard deviation per axis of a star's image, pixels included.
    """
    n = len(stars)
    places = _places(stars, times, site, air)
    later = _places(stars, times + 1 * u.s, site, air)
    middle = times[times.size // 2 : times.size // 2 + 1]
    high = observed_places(stars.ra, stars.dec, middle, site, air).altitude[:, 0]
    photons = band_photons(stars.magnitude, stars.colour, high).value
    members = _blends(stars, psf_width) if n else []
    errors = stars.position_error.to_value(u.rad)
    tracks: dict[str, list] = {key: [] for key in ("az", "alt", "az2", "alt2", "ref", "error")}
    names, flux, magnitude, colour = [], [], [], []
    for own in members:
        share = photons[own] / photons[own].sum()
        names.append(_name([stars.names[i] for i in own]))
        flux.append(photons[own].sum())
        magnitude.append(-2.5 * np.log10(np.sum(10 ** (-0.4 * stars.magnitude[own]))))
        colour.append(share @ stars.colour[own])
        for (az, alt), found in ((("az", "alt"), places), (("az2", "alt2"), later)):
            # all on one side of azimuth 0
            turn = np.unwrap(found[0][own], period=360, axis=0)
            tracks[az].append(share @ turn)
            tracks[alt].append(share @ found[1][own])
        tracks["ref"].append(share @ places[2][own])
        own_error = np.sqrt(np.sum((share * errors[own]) ** 2))
        blend = FLUX_ERROR * _blend_length(stars[own], share)
        tracks["error"].append(np.hypot(own_error, blend))
    order = np.argsort(-np.array(flux), kind="stable") if flux else np.zeros(0, int)

    def moments(key: str) -> NDArray:
        return np.reshape(tracks[key], (len(members), times.size))[order]

    return StarTracks(
        tuple(names[i] for i in order),
        np.array(magnitude)[order],
        np.array(colour)[order],
        np.array(flux)[order],
        np.array(tracks["error"])[order],
        moments("az") * u.deg,
        moments("alt") * u.deg,
        moments("az2") * u.deg,
        moments("alt2") * u.deg,
        moments("ref"),
        places[3],
    )


def _places(
    stars: Stars, times: Time, site: Site, air: SurfaceAir
) -> tuple[NDArray, NDArray, NDArray, float]:
    """Azimuth and altitude (deg), refraction error (rad), rotation error (s)."""
    shape = (len(stars), times.size)
    azimuth, altitude, error = (np.empty(shape) for _ in range(3))
    turned = 0.0
    if not len(stars):
        return azimuth, altitude, error, turned
    middle = times[times.size // 2 : times.size // 2 + 1]
    high = np.nan_to_num(
        observed_places(stars.ra, stars.dec, middle, site, air).altitude[:, 0], nan=10 * u.deg
    )
    mean = effective_wavelength(MEAN_COLOUR, high[0])
    # refraction per colour: 0.4 arcsec between red and blue at 45 deg
    shift = effective_wavelength(stars.colour, high) - mean
    step = 10 * u.nm
    for bin_ in np.unique(np.rint((shift / step).value)):
        own = np.flatnonzero(np.rint((shift / step).value) == bin_)
        coloured = replace(air, wavelength=air.wavelength + bin_ * step)
        found = observed_places(stars.ra[own], stars.dec[own], times, site, coloured)
        azimuth[own] = found.azimuth.to_value(u.deg)
        altitude[own] = found.altitude.to_value(u.deg)
        error[own] = found.refraction_error.to_value(u.rad)
        seconds = found.rotation_error.to_value(u.arcsec) / np.cos(stars.dec[own, np.newaxis])
        turned = max(turned, float(seconds.max()) / 15.0411)
    return azimuth, altitude, error, turned


def _blends(stars: Stars, width: u.Quantity) -> list[NDArray]:
    """Entries of stars closer than a width to a brighter one of their blend."""
    ra, dec = stars.ra.to_value(u.rad), stars.dec.to_value(u.rad)
    direction = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
    left = np.ones(len(stars), bool)
    found = []
    for i in range(len(stars)):
        if not left[i]:
            continue
        apart = np.linalg.norm(direction - direction[i], axis=1)
        own = np.flatnonzero(left & (apart < width.to_value(u.rad)))
        left[own] = False
        found.append(own)
    return found


def _blend_length(stars: Stars, share: NDArray) -> float:
    """Shift of the middle of the light, rad, by a relative error 1 of each star's light."""
    ra, dec = stars.ra.to_value(u.rad), stars.dec.to_value(u.rad)
    x = (ra - ra[0] + np.pi) % (2 * np.pi) - np.pi
    apart = np.hypot((x - share @ x) * np.cos(dec), dec - share @ dec)
    return float(np.sqrt(np.sum((share * apart) ** 2) / 2))


def _name(names: list[str]) -> str:
    catalogue = names[0].split()[0]
    return f"{catalogue} {'+'.join(name.split()[1] for name in names)}"

"""Stars in a simulated camera: photoelectrons per pixel and time while the telescope tracks.

The drive follows a source without error and says so; the camera looks beside it by a known
misalignment, flexure and rotation, with a known plate scale and point spread function. Stars add to
the night sky of the pixels.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from ..core.site import Site
from ..core.star_catalogue import Stars, bright_stars
from ..pointing.apparent_place import SurfaceAir, catalogue_places, observed_places
from ..pointing.coma_psf import ComaPsf, coma_of_optics
from ..pointing.focal_plane import Alignment, FocalPlane, camera_position, focal_plane_of
from ..pointing.pixel_light import PixelShape, pixel_shape, pixel_table, star_light
from ..pointing.star_flux import band_photons

if TYPE_CHECKING:
    from ctapipe.instrument import TelescopeDescription

__all__ = [
    "PointingTruth",
    "StarTelescope",
    "meridian_source",
    "star_positions",
    "star_rates",
    "star_telescope",
    "star_truth_table",
    "stars_in_view",
    "tracked_source",
]

MARGIN = 0.3 * u.deg  # beyond the outermost pixel: stars that move in, light of coma
SOURCE_ALTITUDE = 70 * u.deg


@dataclass(frozen=True)
class PointingTruth:
    """How a simulated telescope is misaligned.

    Parameters
    ----------
    dlon, dlat : Quantity, angle
        Where the camera looks beside the drive (`Alignment`).
    rotation : Quantity, angle
        Of the camera, added to that of its description.
    plate_scale : float
        True effective focal length over that of the description.
    flexure : Quantity, angle
        Of the structure: added to dlat times the cosine of the altitude.
    """

    dlon: u.Quantity = 0 * u.arcsec
    dlat: u.Quantity = 0 * u.arcsec
    rotation: u.Quantity = 0 * u.arcmin
    plate_scale: float = 1.0
    flexure: u.Quantity = 0 * u.arcsec

    def at(self, altitude: u.Quantity) -> Alignment:
        """Alignment at altitudes of the drive, of their shape."""
        sag = self.flexure * np.cos(altitude.to_value(u.rad))
        return Alignment(self.dlon, self.dlat + sag, self.rotation, self.plate_scale)


@dataclass(frozen=True)
class StarTelescope:
    """What makes photoelectrons of star light.

    Parameters
    ----------
    plane : FocalPlane
    pixel_x, pixel_y : ndarray, shape (n_pixels,), m
        ``CameraFrame``.
    shape : PixelShape
        In m.
    psf : ComaPsf
    mirror_area : float
        m², of ctapipe's optics (gaps of the facets taken off).
    throughput : float
        Photoelectrons per photon of 300 to 600 nm on the mirror.
    """

    plane: FocalPlane
    pixel_x: NDArray
    pixel_y: NDArray
    shape: PixelShape
    psf: ComaPsf
    mirror_area: float
    throughput: float

    @property
    def field_radius(self) -> u.Quantity:
        """From the middle to beyond the outermost pixel, deg."""
        reach = np.hypot(self.pixel_x, self.pixel_y).max()
        return np.rad2deg(np.arctan(reach / self.plane.focal_length.to_value(u.m))) * u.deg + MARGIN


def star_telescope(
    telescope: "TelescopeDescription", throughput: float, sigma: u.Quantity
) -> StarTelescope:
    """Telescope of ctapipe with coma as its two focal lengths say.

    Two mirrors have none, and map the sine of angles (aplanatic).

    Raises
    ------
    ConfigurationError
        If it has no effective focal length, or pixels of another shape.
    """
    optics, geometry = telescope.optics, telescope.camera.geometry
    if optics.n_mirrors == 1:
        plane = focal_plane_of(optics, geometry)
    else:
        plane = focal_plane_of(optics, geometry, mapping="sine")
    return StarTelescope(
        plane,
        geometry.pix_x.to_value(u.m),
        geometry.pix_y.to_value(u.m),
        pixel_shape(geometry),
        ComaPsf(sigma, coma_of_optics(optics)),
        optics.mirror_area.to_value(u.m**2),
        throughput,
    )


def meridian_source(time: Time, site: Site, air: SurfaceAir) -> tuple[u.Quantity, u.Quantity]:
    """ICRS direction that is 20 deg from the zenith towards the equator at a time, deg."""
    azimuth = 180 * u.deg if site.latitude > 0 else 0 * u.deg
    ra, dec = catalogue_places(
        azimuth.reshape(1), SOURCE_ALTITUDE.reshape(1), time.reshape(1), site, air
    )
    return ra[0], dec[0]


def tracked_source(
    ra: u.Quantity, dec: u.Quantity, times: Time, site: Site, air: SurfaceAir
) -> tuple[u.Quantity, u.Quantity]:
    """Azimuth (without jumps) and altitude of a drive that follows a source, shape (n_times,).

    Raises
    ------
    ConfigurationError
        If the source is too low.
    """
    places = observed_places(ra.reshape(1), dec.reshape(1), times, site, air)
    if np.isnan(places.altitude).any():
        raise ConfigurationError(
            f"source at ra {ra:.3f}, dec {dec:.3f} is below 10 deg from {site.name} in "
            f"{np.count_nonzero(np.isnan(places.altitude))} of {times.size} moments; track another"
        )
    return np.unwrap(places.azimuth[0], period=360 * u.deg), places.altitude[0]


def stars_in_view(
    time: Time,
    ra: u.Quantity,
    dec: u.Quantity,
    telescope: StarTelescope,
    magnitude_limit: float,
) -> Stars:
    """Stars that a telescope that tracks a source may have in its camera."""
    return bright_stars(time, ra, dec, telescope.field_radius, magnitude_limit)


def star_positions(
    stars: Stars,
    times: Time,
    drive: tuple[u.Quantity, u.Quantity],
    telescope: StarTelescope,
    truth: PointingTruth,
    site: Site,
    air: SurfaceAir,
) -> tuple[NDArray, NDArray, u.Quantity]:
    """True centroids (m) and altitudes of stars, shape (n_stars, n_times).

    Parameters
    ----------
    drive : tuple of Quantity, shape (n_times,)
        Azimuth and altitude, as recorded.
    """
    places = observed_places(stars.ra, stars.dec, times, site, air)
    x, y = camera_position(
        places.azimuth, places.altitude, *drive, telescope.plane, truth.at(drive[1])
    )
    return x.to_value(u.m), y.to_value(u.m), places.altitude


def star_rates(
    stars: Stars,
    times: Time,
    drive: tuple[u.Quantity, u.Quantity],
    telescope: StarTelescope,
    truth: PointingTruth,
    site: Site,
    air: SurfaceAir,
    optical_depth: float = 0.3,
) -> NDArray:
    r"""Photoelectrons of stars per ns in each pixel of efficiency 1, shape (n_times, n_pixels).

    .. math:: \lambda_i = A\,\epsilon \sum_s n_s\,\int_{\mathrm{pixel}\ i} \mathrm{PSF}

    Parameters
    ----------
    stars : Stars
    times : Time, shape (n_times,)
    drive : tuple of Quantity, shape (n_times,)
        Azimuth and altitude, as recorded.
    telescope : StarTelescope
    truth : PointingTruth
    site, air : Site, SurfaceAir
    optical_depth : float
        Of the air at 400 nm.
    """
    x, y, altitude = star_positions(stars, times, drive, telescope, truth, site, air)
    expected = _photoelectrons(stars, altitude, telescope, optical_depth)
    size = telescope.plane.focal_length.to_value(u.m) * truth.plate_scale
    table = pixel_table(telescope.shape, telescope.psf.sigma.to_value(u.rad) * size)
    rates = np.empty((times.size, telescope.pixel_x.size))
    for i in range(times.size):
        share = star_light(
            table,
            telescope.pixel_x,
            telescope.pixel_y,
            x[:, i],
            y[:, i],
            telescope.psf.coma,
            telescope.psf.obscuration,
        )[0]
        rates[i] = np.nan_to_num(expected[:, i]) @ share
    return rates


def _photoelectrons(
    stars: Stars, altitude: u.Quantity, telescope: StarTelescope, optical_depth: float
) -> NDArray:
    """Of all of the light of each star, per ns."""
    v, bv = stars.magnitude[:, np.newaxis], stars.colour[:, np.newaxis]
    photons = band_photons(v, bv, altitude, optical_depth).to_value(1 / (u.m**2 * u.ns))
    return photons * telescope.mirror_area * telescope.throughput


def star_truth_table(
    stars: Stars,
    times: Time,
    drive: tuple[u.Quantity, u.Quantity],
    telescope: StarTelescope,
    truth: PointingTruth,
    site: Site,
    air: SurfaceAir,
    optical_depth: float = 0.3,
) -> QTable:
    """One row a star: where it is at some times (n_times entries), its photoelectrons per ns."""
    x, y, altitude = star_positions(stars, times, drive, telescope, truth, site, air)
    rate = _photoelectrons(stars, altitude, telescope, optical_depth)
    return QTable(
        {
            "star": stars.names,
            "ra": stars.ra,
            "dec": stars.dec,
            "magnitude": stars.magnitude * u.mag,
            "colour": stars.colour * u.mag,
            "camera_x": np.round(x, 6) * u.m,
            "camera_y": np.round(y, 6) * u.m,
            "rate": rate / u.ns,
        }
    )

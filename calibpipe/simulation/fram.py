"""A night of FRAM with known aerosol and clouds, as the FITS table that the reader takes."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import QTable
from astropy.time import Time
from numpy.typing import NDArray

from ..atmosphere.fram import (
    EARTH_RADIUS,
    layer_airmass,
    stratospheric_optical_depth,
    wavelength_factor,
)
from ..core.exceptions import ConfigurationError
from ..core.fram_file import FramMeasurements
from ..core.night import AstronomicalNight
from ..core.site import Site
from ..core.sky import icrs_direction

__all__ = ["FramCamera", "FramSky", "fram_hdus", "simulated_fram"]

STRATOSPHERE = 20 * u.km  # height of its aerosol


@dataclass(frozen=True)
class FramSky:
    """Aerosol and clouds of a night; optical depths are vertical.

    Attributes
    ----------
    vaod : float
        Of the troposphere at `wavelength`, at dusk.
    drift : float
        Change until dawn, linear.
    variation : float
        Gaussian scatter from image to image.
    patchiness : float
        Gaussian scatter over the field.
    cloud : float
        Optical depth of a cloud, the same at all wavelengths.
    cloud_begin, cloud_end : float
        Part of the night.
    angstrom_exponent : float
    scale_height : Quantity
        Of the tropospheric aerosol.
    stratosphere : float
        At 420 nm, exponent 2.
    """

    vaod: float = 0.02
    drift: float = 0.0
    variation: float = 0.0
    patchiness: float = 0.0
    cloud: float = 0.0
    cloud_begin: float = 0.5
    cloud_end: float = 0.75
    angstrom_exponent: float = 1.2
    scale_height: u.Quantity = 1 * u.km
    stratosphere: float = 0.005
    wavelength: u.Quantity = 440 * u.nm


@dataclass(frozen=True)
class FramCamera:
    """How the camera measures.

    Attributes
    ----------
    filters : Quantity, shape (n_filters,)
        Peak wavelengths, taken in turn.
    interval : Quantity
        From image to image.
    n_stars : int
        In an image.
    star_error : float
        Optical depth along the line of sight of one star.
    zero_point, zero_point_error : float, mag
        The error is common to the night.
    field : Quantity
        Diameter of the field of view.
    """

    filters: u.Quantity = (440,) * u.nm
    interval: u.Quantity = 2 * u.min
    n_stars: int = 60
    star_error: float = 0.02
    zero_point: float = 15.0
    zero_point_error: float = 0.0
    field: u.Quantity = 10 * u.deg
    zenith_range: u.Quantity = (10, 60) * u.deg


def simulated_fram(
    site: Site,
    night: AstronomicalNight,
    sky: FramSky,
    camera: FramCamera,
    rng: np.random.Generator,
) -> tuple[FramMeasurements, QTable]:
    """Measurements of a night, and the true depths of each image.

    # ASSUME: a round Earth with one exponential layer of aerosol and thin stratosphere and clouds.

    Parameters
    ----------
    site, night
        Images fill the astronomical darkness.
    sky : FramSky
    camera : FramCamera
    rng : numpy Generator

    Returns
    -------
    FramMeasurements, QTable
        Columns ``time, wavelength, vaod`` (at the image's wavelength), ``vaod_reference`` (at
        that of the sky), ``cloud``, one row an image.

    Raises
    ------
    ConfigurationError
        If no image fits into the night.
    """
    length = night.duration.to_value(u.s)
    step = camera.interval.to_value(u.s)
    seconds = np.arange(step / 2, length, step)
    if len(seconds) == 0:
        raise ConfigurationError(f"no image every {camera.interval:g} fits into {night.duration:g}")
    time = Time(night.dusk.unix_tai + seconds, format="unix_tai", scale="tai")
    n_images = len(seconds)
    wavelength = u.Quantity(np.resize(camera.filters.to_value(u.nm), n_images), u.nm)
    phase = seconds / length
    tropospheric = sky.vaod + sky.drift * phase + sky.variation * rng.normal(size=n_images)
    cloudy = np.where((phase >= sky.cloud_begin) & (phase < sky.cloud_end), sky.cloud, 0.0)
    factor = wavelength_factor(sky.wavelength, wavelength, sky.angstrom_exponent)
    vaod = tropospheric * factor + cloudy
    stratosphere, _ = stratospheric_optical_depth(wavelength, sky.stratosphere)

    image = np.repeat(np.arange(n_images), camera.n_stars)
    azimuth, zenith = _directions(n_images, camera, image, rng)
    ra, dec = icrs_direction(azimuth, zenith, time[image], site)
    local = vaod[image] + sky.patchiness * rng.normal(size=len(image))
    aod = (
        local * layer_airmass(zenith, sky.scale_height)
        + stratosphere[image] * _thin_layer_airmass(zenith, STRATOSPHERE)
        + camera.zero_point_error * np.log(10) / 2.5
        + camera.star_error * rng.normal(size=len(image))
    )
    measured = FramMeasurements(
        time=time,
        wavelength=wavelength,
        img_id=np.array([f"{k:06d}" for k in range(n_images)]),
        observation_id=np.full(n_images, night.name.replace("-", "")),
        zero_point=np.full(n_images, camera.zero_point + camera.zero_point_error),
        image=image,
        ra=ra,
        dec=dec,
        aod=aod,
        aod_error=np.full(len(image), camera.star_error),
        sites=(site.name,),
    )
    truth = QTable(
        {
            "time": time.utc.isot,
            "wavelength": wavelength,
            "vaod": vaod,
            "vaod_reference": tropospheric + cloudy,
            "cloud": cloudy,
        }
    )
    return measured, truth


def _directions(
    n_images: int, camera: FramCamera, image: NDArray, rng: np.random.Generator
) -> tuple[u.Quantity, u.Quantity]:
    """Azimuth and zenith of stars: images at random azimuth, the zenith angle scanned."""
    low, high = camera.zenith_range.to_value(u.deg)
    centre = low + (high - low) * (np.arange(n_images) % 11) / 10
    radius = camera.field.to_value(u.deg) / 2
    along, across = rng.uniform(-radius, radius, (2, len(image))) / np.sqrt(2)
    zenith = np.abs(centre[image] + along)
    azimuth = rng.uniform(0, 360, n_images)[image] + across / np.sin(np.radians(centre[image]))
    return azimuth * u.deg, zenith * u.deg


def _thin_layer_airmass(zenith: u.Quantity, height: u.Quantity) -> NDArray:
    """Airmass of a thin layer on a round Earth."""
    sine = np.sin(zenith.to_value(u.rad)) / (1 + (height / EARTH_RADIUS).to_value(u.one))
    return 1 / np.sqrt(1 - sine**2)


def fram_hdus(measured: FramMeasurements) -> fits.HDUList:
    """FITS table with one row an image and lists of variable length, as FRAM delivers it."""
    n_images = len(measured.time)
    starts = np.searchsorted(measured.image, np.arange(1, n_images))

    def lists(values: NDArray, name: str, unit: str | None = None) -> fits.Column:
        rows = np.empty(n_images, dtype=object)
        rows[:] = np.split(np.asarray(values, float), starts)
        return fits.Column(name, "PD()", unit, array=rows)

    columns = [
        fits.Column("timestamp", "29A", array=Time(measured.time.utc, precision=9).isot),
        lists(measured.ra.to_value(u.deg), "ra", "deg"),
        lists(measured.dec.to_value(u.deg), "dec", "deg"),
        lists(measured.aod, "aod"),
        lists(measured.aod_error, "aod_err"),
        fits.Column("zero_point", "D", "mag", array=measured.zero_point),
        fits.Column("img_id", "20A", array=measured.img_id),
        fits.Column("observation_id", "20A", array=measured.observation_id),
        fits.Column("peak_wavelength", "D", "nm", array=measured.wavelength.to_value(u.nm)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="FRAM")
    table.header["TIMESYS"] = "UTC"
    if measured.sites:
        table.header["SITE"] = measured.sites[0]
    return fits.HDUList([fits.PrimaryHDU(), table])

"""FITS frames of an all-sky camera: one or many a file, plain or compressed, read one by one."""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.time import Time
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from .exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from .site import Site

__all__ = ["KEYWORDS", "AllskyCamera", "AllskyFrame", "allsky_files", "read_allsky", "with_values"]

SUFFIXES = (".fits", ".fit", ".fits.fz", ".fits.gz", ".fit.gz")
PROJECTIONS = ("equidistant", "equisolid", "stereographic", "orthographic")
MAX_DISTANCE = 0.2 * u.deg  # of a header's position from the site


@dataclass(frozen=True)
class AllskyCamera:
    """Projection and response of a camera with a fisheye lens.

    Attributes
    ----------
    projection : str
        ``equidistant``, ``equisolid``, ``stereographic`` or ``orthographic``.
    x_center, y_center : float, pixel
        Of the optical axis; the centre of the first pixel is 0.
    focal_length : float, pixel
        Radius per radian at the axis.
    rotation : float, deg
        Position of north, from +y towards -x (towards east, if `parity` is 1).
    parity : int
        1: east lies to the left with north up, as seen from below; -1: mirrored.
    tilt_north, tilt_east : float, deg
        The optical axis away from the zenith.
    radial_1, radial_2, radial_3 : float
        The radius is multiplied by ``1 + r1 t^2 + r2 t^4 + r3 t^6``, t the angle to the axis, rad.
    vignetting_1, vignetting_2 : float
        Light of a star relative to the axis: ``1 + v1 t^2 + v2 t^4``.
    gain : float, electrons per count
    read_noise : float, electrons
    pedestal, saturation : float, counts
    zero_point : float, mag
        V of a star above the air that gives one electron per second on the axis.
    psf_sigma : float, pixel
        Of a star that does not move.
    """

    projection: str
    x_center: float
    y_center: float
    focal_length: float
    rotation: float = 0.0
    parity: int = 1
    tilt_north: float = 0.0
    tilt_east: float = 0.0
    radial_1: float = 0.0
    radial_2: float = 0.0
    radial_3: float = 0.0
    vignetting_1: float = 0.0
    vignetting_2: float = 0.0
    gain: float = 1.0
    read_noise: float = 0.0
    pedestal: float = 0.0
    saturation: float = 65535.0
    zero_point: float = 0.0
    psf_sigma: float = 1.0


# Keyword of each value; those of True have no default.
KEYWORDS: dict[str, tuple[str, bool]] = {
    "projection": ("PROJECT", True),
    "x_center": ("CRPIX1", True),  # counts from 1 in FITS
    "y_center": ("CRPIX2", True),
    "focal_length": ("FOCALPIX", True),
    "rotation": ("ROTANGLE", False),
    "parity": ("PARITY", False),
    "tilt_north": ("TILTN", False),
    "tilt_east": ("TILTE", False),
    "radial_1": ("RADIAL1", False),
    "radial_2": ("RADIAL2", False),
    "radial_3": ("RADIAL3", False),
    "vignetting_1": ("VIGNET1", False),
    "vignetting_2": ("VIGNET2", False),
    "gain": ("GAIN", True),
    "read_noise": ("RDNOISE", True),
    "pedestal": ("PEDESTAL", False),
    "saturation": ("SATURATE", True),
    "zero_point": ("ZEROPT", True),
    "psf_sigma": ("PSFSIGMA", True),
}
_POSITIVE = ("focal_length", "gain", "saturation", "psf_sigma")


@dataclass(frozen=True)
class AllskyFrame:
    """One exposure.

    Attributes
    ----------
    name : str
        File and extension, for messages.
    counts : ndarray, shape (n_y, n_x)
    begin : Time, UTC
    exposure : Quantity, s
    camera : AllskyCamera
    """

    name: str
    counts: NDArray
    begin: Time
    exposure: u.Quantity
    camera: AllskyCamera

    @property
    def time(self) -> Time:
        """Middle of the exposure."""
        return self.begin + self.exposure / 2


def allsky_files(paths: Sequence[str | Path]) -> list[Path]:
    """Files of frames: those given, and those in folders that are given, by name.

    Raises
    ------
    MissingInputError
        If a path is not there, or there is no FITS file at all.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found = (p for p in path.iterdir() if p.name.lower().endswith(SUFFIXES))
            files += sorted(p for p in found if not p.name.startswith("."))
        elif path.is_file():
            files.append(path)
        else:
            raise MissingInputError(f"{path} does not exist: give the all-sky frames of the night")
    if not files:
        where = ", ".join(map(str, paths)) or "nothing"
        raise MissingInputError(
            f"no all-sky frame in {where}; give FITS files ({', '.join(SUFFIXES)}) or their folder"
        )
    return files


def read_allsky(
    path: str | Path,
    site: Site,
    camera: Mapping[str, Any] | None = None,
    only: Collection[str] | None = None,
) -> Iterator[AllskyFrame]:
    """Frames of one FITS file, one at a time.

    Every image of two dimensions is a frame; its header, or the primary one, has DATE-OBS (begin,
    scale TIMESYS or UTC), EXPTIME (s), SITELAT and SITELONG (deg, east positive) and the camera
    (`KEYWORDS`).

    Parameters
    ----------
    path : path
        Plain, gzip or tile-compressed (fpack).
    site : Site
        Where the camera must stand.
    camera : mapping, optional
        Values of `AllskyCamera` that replace those of the header.
    only : collection of str, optional
        Names of the frames wanted; all if not given.

    Raises
    ------
    MissingInputError
        If the file is not there.
    CorruptedInputError
        If it is no FITS, is cut off or damaged, has no image, an image of other than two
        dimensions, or lacks a keyword.
    ConfigurationError
        If the camera stands at another site.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist: give the all-sky frames of the night")
    number, number_of_frames = 0, 0
    try:
        with (
            warnings.catch_warnings(),
            path.open("rb") as stream,
            fits.open(stream, memmap=False, checksum=True) as hdus,
        ):
            warnings.simplefilter("error", AstropyWarning)  # cut off, or damaged bytes
            while (hdu := _hdu(hdus, number)) is not None:
                if isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU):
                    name = f"{path}[{number}]"
                    if hdu.header.get("NAXIS", 0) and (only is None or name in only):
                        number_of_frames += 1
                        yield _frame(name, hdu, hdus[0].header, site, camera)
                        del hdu.data  # one frame in memory
                number += 1
            if not number_of_frames and only is None:
                raise CorruptedInputError(f"{path} has no image; give the frames of the camera")
    except (AstropyWarning, OSError, ValueError, TypeError, IndexError) as error:
        raise CorruptedInputError(
            f"{path} is no readable FITS file of an all-sky camera: {type(error).__name__}: {error}"
        ) from error


def _hdu(hdus: fits.HDUList, number: int) -> Any:
    try:
        return hdus[number]
    except IndexError:
        return None


def _frame(
    name: str, hdu: Any, primary: fits.Header, site: Site, camera: Mapping[str, Any] | None
) -> AllskyFrame:
    header = {**dict(primary), **dict(hdu.header)}
    if hdu.header["NAXIS"] != 2 or min(hdu.shape) < 32:
        raise CorruptedInputError(
            f"{name}: an image of shape {hdu.shape}, needs two dimensions of at least 32 pixels"
        )
    _check_place(name, header, site)
    begin, exposure = _time(name, header)
    described = _camera(name, header, camera or {})
    size_y, size_x = hdu.shape
    if not (0 < described.x_center < size_x - 1 and 0 < described.y_center < size_y - 1):
        raise CorruptedInputError(
            f"{name}: the optical axis at CRPIX {described.x_center + 1:g}, "
            f"{described.y_center + 1:g} lies outside of {size_x} x {size_y} pixels; correct the "
            "header or `camera`"
        )
    return AllskyFrame(name, np.asarray(hdu.data), begin, exposure, described)


def _number(name: str, header: Mapping[str, Any], keyword: str) -> float:
    try:
        value = float(header[keyword])
    except KeyError:
        raise CorruptedInputError(
            f"{name} lacks {keyword}; write it into the header, or give it as `camera`"
        ) from None
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise CorruptedInputError(f"{name}: {keyword} is {header[keyword]!r}, needs a number")
    return value


def _check_place(name: str, header: Mapping[str, Any], site: Site) -> None:
    latitude, longitude = (_number(name, header, k) * u.deg for k in ("SITELAT", "SITELONG"))
    turn = abs((longitude - site.longitude + 180 * u.deg) % (360 * u.deg) - 180 * u.deg)
    if max(abs(latitude - site.latitude), turn) > MAX_DISTANCE:
        raise ConfigurationError(
            f"{name}: the camera stands at {latitude:.3f}, {longitude:.3f}, the site {site.name} "
            f"at {site.latitude:.3f}, {site.longitude:.3f} (at most {MAX_DISTANCE:g} apart); "
            "give the frames of this site"
        )


def _time(name: str, header: Mapping[str, Any]) -> tuple[Time, u.Quantity]:
    scale = str(header.get("TIMESYS", "UTC")).strip().lower()
    if scale not in ("utc", "tai", "tt"):
        raise CorruptedInputError(f"{name}: TIMESYS {scale!r} is not UTC, TAI or TT")
    try:
        begin = Time(str(header["DATE-OBS"]).strip(), scale=scale).utc
    except (KeyError, ValueError) as error:
        raise CorruptedInputError(
            f"{name}: DATE-OBS is {header.get('DATE-OBS')!r}, needs the begin of the exposure, "
            "YYYY-MM-DDThh:mm:ss"
        ) from error
    exposure = _number(name, header, "EXPTIME")
    if exposure <= 0:
        raise CorruptedInputError(f"{name}: EXPTIME is {exposure:g} s, needs more than 0")
    return begin, exposure * u.s


def _camera(name: str, header: Mapping[str, Any], given: Mapping[str, Any]) -> AllskyCamera:
    values: dict[str, Any] = {}
    for field, (keyword, needed) in KEYWORDS.items():
        if field in given or (keyword not in header and not needed):
            continue
        if field == "projection":
            values[field] = str(header.get(keyword, "")).strip().lower()
        else:
            values[field] = _number(name, header, keyword) - (field in ("x_center", "y_center"))
    camera = with_values(
        AllskyCamera(
            **dict[str, Any](x_center=0.0, y_center=0.0, projection="", focal_length=1.0) | values
        ),
        given,
    )
    if camera.projection not in PROJECTIONS:
        raise CorruptedInputError(
            f"{name}: PROJECT {camera.projection!r} is not one of {', '.join(PROJECTIONS)}"
        )
    if camera.parity not in (1, -1):
        raise CorruptedInputError(f"{name}: PARITY is {camera.parity:g}, needs 1 or -1")
    for field in _POSITIVE:
        if getattr(camera, field) <= 0:
            raise CorruptedInputError(
                f"{name}: {KEYWORDS[field][0]} is {getattr(camera, field):g}, needs more than 0"
            )
    return camera


def with_values(camera: AllskyCamera, given: Mapping[str, Any]) -> AllskyCamera:
    """Camera with some values of the configuration.

    Raises
    ------
    ConfigurationError
        If there is no such value.
    """
    known = [field.name for field in fields(AllskyCamera)]
    if unknown := sorted(set(given) - set(known)):
        raise ConfigurationError(f"`camera` has no {', '.join(unknown)}; it has {', '.join(known)}")
    return replace(camera, **given)

"""FITS tables of FRAM: aerosol optical depths of many stars in each image."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.time import Time
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from .exceptions import CorruptedInputError, MissingInputError

__all__ = ["FramMeasurements", "read_fram"]

LISTS = ("ra", "dec", "aod", "aod_err")  # of variable length, one row an image
COLUMNS = ("timestamp", *LISTS, "peak_wavelength")
MAGNITUDE = np.log(10) / 2.5  # optical depth of one magnitude


@dataclass(frozen=True)
class FramMeasurements:
    """Measurements of a night, image by image.

    Attributes
    ----------
    time : Time, shape (n_images,), TAI
    wavelength : Quantity, shape (n_images,), nm
    img_id, observation_id : ndarray, shape (n_images,), str
        Empty where the file has none.
    zero_point : ndarray, shape (n_images,), mag
        Of the photometry; NaN where the file has none.
    image : ndarray, shape (n,), int
        Image of each measurement.
    ra, dec : Quantity, shape (n,), deg
        ICRS.
    aod, aod_error : ndarray, shape (n,)
        Aerosol optical depth along the line of sight.
    sites : tuple of str
        That the headers name (keyword SITE).
    """

    time: Time
    wavelength: u.Quantity
    img_id: NDArray
    observation_id: NDArray
    zero_point: NDArray
    image: NDArray
    ra: u.Quantity
    dec: u.Quantity
    aod: NDArray
    aod_error: NDArray
    sites: tuple[str, ...] = ()


def read_fram(paths: Sequence[str | Path]) -> FramMeasurements:
    """Measurements of one or more FITS files.

    The first binary table with the columns ``timestamp, ra, dec, aod, aod_err, peak_wavelength``
    (``zero_point, img_id, observation_id`` if they are there). ``timestamp``: ISO text, or a number
    with unit d (MJD) or s (since 1970-01-01), in the scale of TIMESYS (UTC if there is none).
    ``aod`` without unit or in magnitudes.

    Raises
    ------
    MissingInputError
        If a file is not there, or holds no image.
    CorruptedInputError
        If a file is no FITS, is cut off or damaged (by its checksums, if it has them), lacks a
        column, has a wrong unit, lists of different lengths or images twice.
    """
    parts = [_read(Path(path)) for path in paths]
    if not parts:
        raise MissingInputError("no FRAM file given; give at least one FITS file of the night")
    offsets = np.cumsum([0, *(len(part.time) for part in parts)])
    of_images = ("img_id", "observation_id", "zero_point", "wavelength")
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (*of_images, "ra", "dec", "aod", "aod_error")
    }
    time = np.concatenate([part.time.unix_tai for part in parts])
    _check_unique(time, joined["observation_id"], joined["img_id"], paths)
    return FramMeasurements(
        time=Time(time, format="unix_tai", scale="tai"),
        image=np.concatenate([p.image + k for p, k in zip(parts, offsets[:-1], strict=True)]),
        sites=tuple(sorted({site for part in parts for site in part.sites})),
        **joined,
    )


def _check_unique(time: NDArray, block: NDArray, image: NDArray, paths: Sequence[Any]) -> None:
    seen = list(zip(time, block, image, strict=True))
    if len(set(seen)) < len(seen):
        raise CorruptedInputError(
            f"{len(seen) - len(set(seen))} of {len(seen)} FRAM images are there twice in "
            f"{', '.join(map(str, paths))}; give every image once"
        )


def _read(path: Path) -> FramMeasurements:
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist: give the FRAM table of the night")
    try:
        with (
            warnings.catch_warnings(),
            path.open("rb") as stream,  # astropy leaves files open that it stumbles over
            fits.open(stream, memmap=False, checksum=True) as hdus,
        ):
            warnings.simplefilter("error", AstropyWarning)  # cut off, or damaged bytes
            table = next(
                (h for h in hdus if isinstance(h, fits.BinTableHDU) and _has_columns(h)), None
            )
            if table is None:
                raise CorruptedInputError(_no_table(path, hdus))
            return _measurements(path, table, hdus[0].header)
    except (AstropyWarning, OSError, ValueError, TypeError, IndexError) as error:
        raise CorruptedInputError(
            f"{path} is no readable FITS file of FRAM: {type(error).__name__}: {error}"
        ) from error


def _has_columns(hdu: fits.BinTableHDU) -> bool:
    return {name.lower() for name in hdu.columns.names} >= set(COLUMNS)


def _no_table(path: Path, hdus: fits.HDUList) -> str:
    tables = [h for h in hdus if isinstance(h, fits.BinTableHDU)]
    if not tables:
        return f"{path} has no binary table; FRAM data are one with {', '.join(COLUMNS)}"
    names = {name.lower() for name in tables[0].columns.names}
    return f"{path} lacks the columns {', '.join(c for c in COLUMNS if c not in names)}"


def _measurements(path: Path, hdu: fits.BinTableHDU, primary: fits.Header) -> FramMeasurements:
    if len(hdu.data) == 0:
        raise MissingInputError(f"{path} holds no image: FRAM has not measured")
    units = {name.lower(): hdu.columns[name].unit for name in hdu.columns.names}
    rows = {name: [np.atleast_1d(row) for row in hdu.data[name]] for name in LISTS}
    lengths = {name: np.array([len(row) for row in rows[name]]) for name in LISTS}
    for name in LISTS[1:]:
        if differs := np.flatnonzero(lengths[name] != lengths["ra"]).tolist():
            raise CorruptedInputError(
                f"{path}, row {differs[0]}: {lengths['ra'][differs[0]]} values of ra but "
                f"{lengths[name][differs[0]]} of {name}"
            )
    flat = {name: np.concatenate(rows[name]).astype(float) for name in LISTS}
    depth = [_depth_unit(path, name, units[name]) for name in ("aod", "aod_err")]
    angles = [flat[n] * _unit(path, n, units[n] or "deg", u.deg) for n in ("ra", "dec")]
    n_images = len(hdu.data)
    wavelength = np.asarray(hdu.data["peak_wavelength"], float) * _unit(
        path, "peak_wavelength", units["peak_wavelength"], u.nm
    )
    if not np.all((wavelength > 200 * u.nm) & (wavelength < 1200 * u.nm)):
        raise CorruptedInputError(
            f"{path}: peak_wavelength from {wavelength.min():g} to {wavelength.max():g}, expected "
            "200 to 1200 nm; correct values or TUNIT"
        )
    sites = {str(h["SITE"]).strip() for h in (primary, hdu.header) if "SITE" in h}

    def optional(name: str, default: Any) -> NDArray:
        return np.asarray(hdu.data[name]) if name in units else np.full(n_images, default)

    return FramMeasurements(
        time=_time(path, hdu, units["timestamp"]),
        wavelength=wavelength.to(u.nm),
        img_id=optional("img_id", "").astype(str),
        observation_id=optional("observation_id", "").astype(str),
        zero_point=optional("zero_point", np.nan).astype(float),
        image=np.repeat(np.arange(n_images), lengths["ra"]),
        ra=angles[0].to(u.deg),
        dec=angles[1].to(u.deg),
        aod=flat["aod"] * depth[0],
        aod_error=flat["aod_err"] * depth[1],
        sites=tuple(sorted(sites)),
    )


def _unit(path: Path, name: str, text: str | None, wanted: u.Unit) -> u.Unit:
    try:
        unit = u.Unit(text or "")
    except ValueError:
        unit = u.one
    if not unit.is_equivalent(wanted):
        raise CorruptedInputError(
            f"{path}: column {name} has the unit {text!r}, needs one like {wanted}; correct TUNIT"
        )
    return unit


def _depth_unit(path: Path, name: str, text: str | None) -> float:
    if text in (None, "", "1"):
        return 1.0
    if text.lower() == "mag":
        return float(MAGNITUDE)
    raise CorruptedInputError(
        f"{path}: column {name} has the unit {text!r}; an optical depth has none, or mag"
    )


def _time(path: Path, hdu: fits.BinTableHDU, unit: str | None) -> Time:
    scale = str(hdu.header.get("TIMESYS", "UTC")).strip().lower()
    if scale not in ("utc", "tai", "tt"):
        raise CorruptedInputError(f"{path}: TIMESYS {scale!r} is not UTC, TAI or TT")
    values = np.asarray(hdu.data["timestamp"])
    if values.dtype.kind in "US":
        time = Time(np.char.strip(values.astype(str)), scale=scale)
    elif not np.all(np.isfinite(values)):
        raise CorruptedInputError(f"{path}: {np.sum(~np.isfinite(values))} images have no time")
    elif unit == "d":
        time = Time(values + float(hdu.header.get("MJDREF", 0.0)), format="mjd", scale=scale)
    elif unit == "s":
        # seconds since 1970-01-01 of the scale itself: days of 86400 s in UTC
        time = Time(40587.0, values / 86400, format="mjd", scale=scale)
    else:
        raise CorruptedInputError(
            f"{path}: timestamp is a number with the unit {unit!r}; needs d (MJD) or s (since "
            "1970-01-01), or ISO text"
        )
    return time.tai

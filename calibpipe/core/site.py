"""Sites of an array: location, time zone, seasons."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import astropy.units as u
import yaml

from .exceptions import ConfigurationError

__all__ = ["Season", "Site", "load_site"]


@dataclass(frozen=True)
class Season:
    """A season of the reference atmospheres, both days included.

    Parameters
    ----------
    name : str
        ``winter``, ``summer`` or ``intermediate``; a name may occur twice a year.
    first_day, last_day : tuple of int
        Month and day. A season may run over New Year.
    """

    name: str
    first_day: tuple[int, int]
    last_day: tuple[int, int]

    def __contains__(self, day: date) -> bool:
        month_day = (day.month, day.day)
        if self.first_day <= self.last_day:
            return self.first_day <= month_day <= self.last_day
        return month_day >= self.first_day or month_day <= self.last_day


@dataclass(frozen=True)
class Site:
    """Where an array stands.

    Parameters
    ----------
    name : str
        ``CTAO-North`` or ``CTAO-South``; also the key of paths.
    latitude, longitude : Quantity
        Geodetic, degrees, north and east positive.
    elevation : Quantity
        Height of the observation level above the sea, metres.
    time_zone : str
        IANA name; decides which civil date an evening has.
    seasons : tuple of Season
        They cover every day of a leap year exactly once.
    telescopes : tuple of str
        Array elements that deliver DL0.
    reference_densities : tuple of (str, float)
        Season and published number density at 15 km (1/cm3) of the reference atmospheres that
        simulations are made with; empty: those of the pool decide.
    """

    name: str
    latitude: u.Quantity
    longitude: u.Quantity
    elevation: u.Quantity
    time_zone: str
    seasons: tuple[Season, ...]
    telescopes: tuple[str, ...] = ()
    reference_densities: tuple[tuple[str, float], ...] = ()

    def season(self, day: date) -> str:
        """Name of the season of a civil date."""
        return next(season.name for season in self.seasons if day in season)


def load_site(path: str | Path) -> Site:
    """Site described by a YAML file (``config/sites/<site>.yaml``).

    Raises
    ------
    ConfigurationError
        If the file is not there (the message lists its neighbours), lacks a key, is not called
        after its site, or if its seasons leave a day out or cover one twice.
    """
    path = Path(path)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise ConfigurationError(
            f"unknown site {path.stem!r}: {path} does not exist; sites described there: {known}"
        )
    try:
        raw = yaml.safe_load(path.read_text())
        site = Site(
            name=raw["name"],
            latitude=raw["latitude_in_deg"] * u.deg,
            longitude=raw["longitude_in_deg"] * u.deg,
            elevation=raw["elevation_in_m"] * u.m,
            time_zone=raw["time_zone"],
            seasons=tuple(
                Season(s["name"], _month_day(s["first_day"]), _month_day(s["last_day"]))
                for s in raw["seasons"]
            ),
            telescopes=tuple(raw.get("telescopes", ())),
            reference_densities=tuple(
                (season, float(density))
                for season, density in raw.get("number_density_15km_in_per_cm3", {}).items()
            ),
        )
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} does not describe a site: {error!r}") from error
    if site.name != path.stem:
        raise ConfigurationError(
            f"{path} describes the site {site.name!r}: name the file {site.name}.yaml, or change "
            "`name`; both are the key of the site's products"
        )
    _check_seasons(site, path)
    return site


def _month_day(text: str) -> tuple[int, int]:
    month, day = text.split("-")
    date(2000, int(month), int(day))  # raises ValueError if there is no such day
    return int(month), int(day)


def _check_seasons(site: Site, path: Path) -> None:
    first = date(2000, 1, 1).toordinal()  # a leap year: 29 February counts
    for ordinal in range(first, first + 366):
        day = date.fromordinal(ordinal)
        names = [season.name for season in site.seasons if day in season]
        if len(names) != 1:
            raise ConfigurationError(
                f"{path}: {day:%d %B} belongs to {len(names)} seasons {names}; "
                "the seasons must cover every day of the year exactly once"
            )

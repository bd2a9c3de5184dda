from datetime import date

import astropy.units as u
import pytest

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.site import Season, load_site


@pytest.mark.parametrize(
    ("day", "season"),
    [
        ((2023, 11, 15), "intermediate"),
        ((2023, 11, 16), "winter"),
        ((2024, 2, 29), "winter"),
        ((2024, 4, 30), "winter"),
        ((2024, 5, 1), "intermediate"),
        ((2024, 6, 21), "summer"),
        ((2024, 10, 4), "summer"),
        ((2024, 10, 5), "intermediate"),
    ],
)
def test_season_of_a_day_in_the_north(north, day, season):
    assert north.season(date(*day)) == season


def test_season_over_new_year():
    winter = Season("winter", (11, 16), (4, 30))
    assert date(2023, 12, 31) in winter
    assert date(2024, 1, 1) in winter
    assert date(2024, 5, 1) not in winter


def test_south_lies_south_and_west(south):
    assert south.latitude < 0 * u.deg
    assert south.longitude < 0 * u.deg


def test_unknown_site_names_the_known_ones(root):
    with pytest.raises(
        ConfigurationError, match=r"unknown site 'CTAO-West'.*CTAO-North.*CTAO-South"
    ):
        load_site(root / "config/sites/CTAO-West.yaml")


SITE = """
name: Somewhere
latitude_in_deg: 1.0
longitude_in_deg: 2.0
elevation_in_m: 3
time_zone: UTC
seasons: [{name: summer, first_day: 01-01, last_day: %s}]
"""


def test_seasons_must_cover_the_year(tmp_path):
    path = tmp_path / "Somewhere.yaml"
    path.write_text(SITE % "12-30")
    with pytest.raises(ConfigurationError, match=r"31 December belongs to 0 seasons"):
        load_site(path)


def test_the_file_is_called_after_the_site(tmp_path):
    """Its stem is the key of paths, its name that of products: they are one."""
    path = tmp_path / "Elsewhere.yaml"
    path.write_text(SITE % "12-31")
    with pytest.raises(ConfigurationError, match=r"site 'Somewhere': name the file Somewhere.yaml"):
        load_site(path)
    assert load_site(path.rename(tmp_path / "Somewhere.yaml")).name == "Somewhere"


@pytest.mark.parametrize("broken", ["name: x", "]", SITE % "13-01", SITE % "02-30"])
def test_what_is_no_site_is_refused(tmp_path, broken):
    path = tmp_path / "site.yaml"
    path.write_text(broken)
    with pytest.raises(ConfigurationError, match="does not describe a site"):
        load_site(path)

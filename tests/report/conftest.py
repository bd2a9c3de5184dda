"""A night made by hand, whole and once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # made_night serves several folders of tests

from report.made_night import MadeNight


@pytest.fixture(scope="session")
def whole_night(tmp_path_factory, north):
    """Night with all products; tests only read it."""
    return MadeNight(tmp_path_factory.mktemp("whole"), north).make()


@pytest.fixture(scope="session")
def whole_material(whole_night):
    """Material of the whole night."""
    return whole_night.material()


@pytest.fixture
def made_night(tmp_path, north):
    """Night without any product yet."""
    return MadeNight(tmp_path / "night", north)

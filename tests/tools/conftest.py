"""Local servers that stand in for the remote services, and a quicker provenance."""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ctapipe.core import Provenance, provenance

sys.path.insert(0, str(Path(__file__).parents[1]))  # the servers serve several folders of tests

from servers.fixtures import cds_server, file_server, hermetic

__all__ = ["cds_server", "file_server", "hermetic"]


@pytest.fixture(scope="session", autouse=True)
def packages_listed_once() -> Iterator[None]:
    """Every run of a Tool lists the installed packages, a quarter of a second each time."""
    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(provenance._get_python_packages)
        patch.setattr(provenance, "_get_python_packages", once)
        yield


@pytest.fixture(autouse=True)
def own_provenance() -> Iterator[None]:
    """Provenance of one test only."""
    yield
    Provenance().clear()

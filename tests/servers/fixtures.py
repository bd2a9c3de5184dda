"""Fixtures of the local servers; a conftest that needs them imports them from here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import cds, http_files
from .grib import era5_grib


@pytest.fixture
def hermetic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without credentials, an environment without proxies; the folder of the home."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    monkeypatch.setenv("CDSAPI_RC", str(home / ".cdsapirc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    for name in (
        "CDSAPI_URL",
        "CDSAPI_KEY",
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def file_server(hermetic: Path) -> Iterator[http_files.FileServer]:
    """File server on 127.0.0.1."""
    server = http_files.FileServer()
    yield server
    server.close()


@pytest.fixture
def cds_server(hermetic: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[cds.CdsServer]:
    """Climate Data Store on 127.0.0.1 with ERA5; credentials in the environment."""
    server = cds.CdsServer()
    server.result_of = era5_grib
    monkeypatch.setenv("CDSAPI_URL", server.api)
    monkeypatch.setenv("CDSAPI_KEY", server.key)
    yield server
    server.close()

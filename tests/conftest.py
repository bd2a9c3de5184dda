"""What every test may ask for: the sites and the folder of real data."""

import gc
import os
import sys
from pathlib import Path

import pytest

from calibpipe.core.site import Site, load_site

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(Path(__file__).parent))  # night_chain and servers serve several folders


gc.disable()  # until all tests are collected: nothing of what is imported is garbage


def pytest_collection_finish() -> None:
    """Look through a test's own objects for garbage, not through the libraries' each time."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()


def pytest_sessionstart() -> None:
    """Forget compiled functions of the camera that are older than any of its modules.

    Numba looks at the file of a function, not at the files of the functions it calls.
    """
    folder = ROOT / "calibpipe/camera"
    newest = max(path.stat().st_mtime for path in folder.glob("*.py"))
    for path in folder.glob("__pycache__/*.nb[ic]"):
        if path.stat().st_mtime < newest:
            path.unlink(missing_ok=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workflows first: they take minutes, and one that begins last lets a processor idle."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests."""
    from browsers import chromium

    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def root() -> Path:
    """Folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def north() -> Site:
    """CTAO-North."""
    return load_site(ROOT / "config/sites/CTAO-North.yaml")


@pytest.fixture(scope="session")
def south() -> Site:
    """CTAO-South."""
    return load_site(ROOT / "config/sites/CTAO-South.yaml")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real data and full simulations; absent on other people's machines."""
    folder = Path(os.environ.get("CALIBPIPE_TEST_DATA", ROOT / "../shared/data")).resolve()
    if not folder.is_dir():
        reason = f"no real data: {folder} is not there (CALIBPIPE_TEST_DATA names another folder)"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; in CI missing data is a failure")
        pytest.skip(reason)
    return folder

"""Arrays of telescopes with true throughputs, and files of their events."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.time import Time

from calibpipe.array.dl2_layout import ArrayLayout
from calibpipe.simulation.array_layout import array_subarray
from calibpipe.simulation.dl2 import array_truth, write_dl2

sys.path.insert(0, str(Path(__file__).parent))  # tests share their arrays

START = Time("2024-07-10T22:00:00", scale="utc")


@pytest.fixture
def rng():
    return np.random.default_rng(20240710)


@pytest.fixture(scope="session")
def array_north(north):
    """4 LST and 9 MST with random throughputs."""
    subarray = array_subarray(north)
    return subarray, array_truth(subarray, np.random.default_rng(3))


@pytest.fixture(scope="session")
def layout(array_north):
    """Layout of these."""
    _, truth = array_north
    names = np.array([f"tel {i}" for i in truth.tel_ids])
    return ArrayLayout(truth.tel_ids, truth.kinds, truth.positions, names)


@pytest.fixture(scope="session")
def dl2_file(array_north, tmp_path_factory):
    """2000 array events, numbered from beyond 2^53 as simulations of long runs are."""
    subarray, truth = array_north
    path = tmp_path_factory.mktemp("dl2") / "events.OBSID7.dl2.h5"
    n_rows = write_dl2(
        path,
        subarray,
        truth,
        n_events=2000,
        obs_id=7,
        start=START,
        alt_in_deg=70,
        az_in_deg=0,
        rng=np.random.default_rng(1),
        first_event_id=2**53 + 1,
    )
    return SimpleNamespace(path=path, n_rows=n_rows, truth=truth, subarray=subarray)

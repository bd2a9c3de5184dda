"""Telescopes of the tests, one seed for all of them."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import numpy as np
import pytest

from calibpipe.core.telescope import subarray_of


@pytest.fixture
def rng():
    return np.random.default_rng(20240710)


@pytest.fixture(scope="session")
def example_lst():
    """Subarray of LSTN-01 alone."""
    return subarray_of([1])[1]


@pytest.fixture
def assert_pulls():
    """Pulls are normal: mean 0 and width 1 within five standard errors of them."""

    def check(pulls):
        n = np.size(pulls)
        assert abs(np.mean(pulls)) < 5 / np.sqrt(n)
        assert abs(np.std(pulls) - 1) < 5 / np.sqrt(2 * n)

    return check

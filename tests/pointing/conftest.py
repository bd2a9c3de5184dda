"""Telescopes of the tests."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import pytest

from calibpipe.core.telescope import subarray_of


@pytest.fixture(scope="session")
def example_lst():
    """Subarray of LSTN-01 alone."""
    return subarray_of([1])[1]

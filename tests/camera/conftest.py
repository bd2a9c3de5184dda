"""What the tests of the camera share."""

import numpy as np
import pytest


@pytest.fixture
def assert_pulls():
    """Pulls are normal: mean 0 and width 1 within five standard errors of them."""

    def check(pulls):
        n = np.size(pulls)
        assert abs(np.mean(pulls)) < 5 / np.sqrt(n)
        assert abs(np.std(pulls) - 1) < 5 / np.sqrt(2 * n)

    return check

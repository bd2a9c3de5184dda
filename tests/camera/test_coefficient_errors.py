"""Errors of light from the errors of coefficients."""

import numpy as np
import pytest
from astropy.table import Table

from calibpipe.camera.coefficient_errors import pixel_and_common_errors
from calibpipe.core.exceptions import ConfigurationError


def coefficients(n_rows=2, n_pixels=4000, own=0.01, gain=0.016, n_pe_error=5.0, seed=1):
    """Equal pixels of 80 p.e.; the error of their median is sqrt(pi/2) 5 / sqrt(n)."""
    rng = np.random.default_rng(seed)
    shape = (n_rows, 2, n_pixels)
    common = np.sqrt(np.pi / 2) * n_pe_error / np.sqrt(n_pixels) / 80
    factor = np.full(shape, 0.01)
    return common, Table(
        {
            "factor": factor,
            "factor_stat_error": factor * np.hypot(own, common),
            "factor_sys_error": factor * gain,
            "n_pe": rng.normal(80, n_pe_error, shape),
            "n_pe_stat_error": np.full(shape, n_pe_error),
            "outlier_mask": np.zeros(shape, bool),
            "is_valid": np.ones(n_rows, bool),
        }
    )


def test_own_and_common_errors():
    common, table = coefficients()
    own, found = pixel_and_common_errors(table)
    # the true spread is found as 0 within sqrt(2/n): the median's error moves by less than this
    tolerance = 4 * (2 / 4000) ** 0.25
    assert found["calibration"] == pytest.approx(common, rel=tolerance)
    np.testing.assert_allclose(own, 0.01, rtol=tolerance * (common / 0.01) ** 2)
    assert found["gain"] == pytest.approx(0.016, rel=1e-12)


def test_masked_pixels_and_invalid_rows_do_not_count():
    _, table = coefficients()
    table["outlier_mask"][0, :, 0] = True
    table["outlier_mask"][:, :, 1] = True
    table["factor"][0, :, 0] = table["factor"][:, :, 1] = 0.0
    table["factor_stat_error"][1] *= 50
    table["is_valid"][1] = False
    own, found = pixel_and_common_errors(table)
    assert np.isnan(own[:2]).all()
    assert np.isfinite(own[2:]).all()
    assert own[2] < 0.02
    assert found["gain"] == pytest.approx(0.016, rel=1e-12)


def test_no_valid_row():
    _, table = coefficients()
    table["is_valid"] = False
    with pytest.raises(ConfigurationError, match="no row of the coefficients is valid"):
        pixel_and_common_errors(table)


def test_coefficients_of_others():
    _, table = coefficients()
    table.remove_column("n_pe")
    with pytest.raises(ConfigurationError, match="no column n_pe; take those of calibpipe"):
        pixel_and_common_errors(table)

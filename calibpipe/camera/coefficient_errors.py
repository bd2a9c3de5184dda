"""What the errors of coefficients mean for light that is measured with them."""

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from .medians import masked_median, masked_median_error

__all__ = ["pixel_and_common_errors"]

NEEDED = ("factor_stat_error", "factor_sys_error", "n_pe", "n_pe_stat_error")


def pixel_and_common_errors(coefficients: Table) -> tuple[NDArray, dict[str, float]]:
    r"""Relative errors of photoelectrons: of each pixel alone, and of all pixels together.

    The factor of a pixel is :math:`\mathrm{median}(n)/S_i`: what :math:`S_i` is uncertain by is the
    pixel's own, what the median is uncertain by (`calibration`) and the systematic error of the
    gain (`gain`: :math:`F^2`, :math:`B^2`) all pixels have in common.

    Parameters
    ----------
    coefficients : Table
        Of one telescope (`calibpipe.core.monitoring_file.read_camera_coefficients`); valid rows
        count, and the first channel.

    Returns
    -------
    of_pixels : ndarray, shape (n_pixels,)
        Mean square over the rows, root of it; NaN for a pixel that is masked in all.
    common : dict of str to float
        ``gain`` and ``calibration``, the largest of the rows.

    Raises
    ------
    ConfigurationError
        If the coefficients do not tell their errors, or no row is valid.
    """
    # ASSUME: the light is seen in high gain, or the error of low gain is the same.
    if missing := [name for name in NEEDED if name not in coefficients.colnames]:
        raise ConfigurationError(
            f"coefficients have no column {', '.join(missing)}; take those of "
            "calibpipe-calculate-camcalib-coefficients"
        )
    rows = coefficients[np.asarray(coefficients["is_valid"], bool)]
    if len(rows) == 0:
        raise ConfigurationError("no row of the coefficients is valid; make them of better data")
    good = ~np.asarray(rows["outlier_mask"], bool)[:, 0]
    factor, stat, sys, n_pe, n_error = (
        np.asarray(rows[name], float)[:, 0] for name in ("factor", *NEEDED)
    )
    common = masked_median_error(n_pe, n_error, good) / masked_median(n_pe, good)
    with np.errstate(invalid="ignore", divide="ignore"):
        own = np.where(good, (stat / factor) ** 2 - np.reshape(common, (-1, 1)) ** 2, np.nan)
        gain = np.where(good, sys / factor, np.nan)
    n_good = np.count_nonzero(np.isfinite(own), axis=0)
    total = np.nansum(np.maximum(own, 0), axis=0)
    of_pixels = np.full(n_good.size, np.nan)
    np.divide(total, n_good, out=of_pixels, where=n_good > 0)
    return np.sqrt(of_pixels), {
        "gain": float(np.nanmax(np.nanmedian(gain, axis=1))),
        "calibration": float(np.max(common)),
    }

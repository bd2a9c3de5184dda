"""Pixels whose spectra of few photoelectrons the page shows."""

import numpy as np
from astropy.table import Table

__all__ = ["TYPICAL", "example_rows"]

TYPICAL, BEST, WORST = "typical", "best", "worst"


def example_rows(pixels: Table) -> dict[str, int]:
    """Rows of a typical pixel, and of the best and the worst by goodness of fit.

    Parameters
    ----------
    pixels : Table
        Of single photoelectrons. Pixels of high gain count; the typical and the best one are
        without fault, the worst is any that has a fit. Fits whose chance is the same (0) go by
        their chi2 over the degrees of freedom; the typical one has the median of it.

    Returns
    -------
    dict of str to int
        Different rows; fewer where there are fewer fits.
    """
    p_value, chi2 = (np.asarray(pixels[name], float) for name in ("p_value", "chi2"))
    reduced = chi2 / np.maximum(np.asarray(pixels["n_dof"], float), 1)
    gain = np.asarray(pixels["gain"], float)
    fitted = np.isfinite(p_value) & np.isfinite(reduced) & np.isfinite(gain)
    fitted &= np.asarray(pixels["channel"]) == 0
    if not fitted.any():
        return {}
    order = np.flatnonzero(fitted)
    order = order[np.lexsort([reduced[order], -p_value[order]])]
    good = order[~np.asarray(pixels["outlier_mask"], bool)[order]]
    found: dict[str, int] = {}
    if good.size:
        middle = np.argsort(np.abs(reduced[good] - np.median(reduced[good])), kind="stable")
        found[TYPICAL], found[BEST] = int(good[middle[0]]), int(good[0])
    found[WORST] = int(order[-1])
    return {
        name: row
        for k, (name, row) in enumerate(found.items())
        if row not in list(found.values())[:k]
    }

"""What products of a camera say against its pixels, as arrays of bool (..., n_pixels)."""

from collections.abc import Mapping

import numpy as np
from astropy.table import Table

from .outliers import PixelReason
from .pixel_exclusion import ExclusionReason

__all__ = [
    "coefficient_evidence",
    "crosstalk_evidence",
    "single_photoelectron_evidence",
    "transfer_evidence",
]

_OF_COEFFICIENTS = PixelReason.N_PE
_OF_STATISTICS = ~(_OF_COEFFICIENTS | PixelReason.EXCLUDED)

type Evidence = dict[ExclusionReason, np.ndarray]


def coefficient_evidence(reasons: np.ndarray, *, min_fraction: float) -> Evidence:
    """Of camera coefficients: pixels that are bad in more than a fraction of the rows.

    Parameters
    ----------
    reasons : array, (n_rows, n_channels, n_pixels)
        Bits of `PixelReason`, of valid rows.
    min_fraction : float
    """
    reasons = np.asarray(reasons)
    return {
        reason: ((reasons & bits.value) != 0).any(axis=1).mean(axis=0) > min_fraction
        for reason, bits in (
            (ExclusionReason.STATISTICS, _OF_STATISTICS),
            (ExclusionReason.COEFFICIENTS, _OF_COEFFICIENTS),
        )
    }


def transfer_evidence(tables: Mapping[str, Table], *, min_saturation: float) -> Evidence:
    """Of a photon transfer: its status, ratio of gains, saturation far below the camera's.

    Parameters
    ----------
    tables : mapping of str to Table
        ``pixels``, and ``ratio`` of a camera with two gains.
    min_saturation : float
        Part of the camera's median saturation, or of its range where it does not saturate.
    """
    pixels = tables["pixels"]
    found = {ExclusionReason.PHOTON_TRANSFER: np.asarray(pixels["status"]) != 0}
    high = np.asarray(pixels["range_high"], float)
    limit = min_saturation * np.nanmedian(high, axis=-1, keepdims=True)
    found[ExclusionReason.LINEARITY] = ~(high >= limit)
    if "ratio" in tables:
        found[ExclusionReason.GAIN_RATIO] = np.asarray(tables["ratio"]["status"]) != 0
    return found


def crosstalk_evidence(
    pairs: Table, n_pixels: int, *, max_crosstalk: float, n_sigma: float = 5.0
) -> Evidence:
    """Of cross-talk: both pixels of a pair that is beyond the limit by more than its errors."""
    value = np.asarray(pairs["crosstalk"], float)
    error = np.hypot(np.asarray(pairs["stat_error"]), np.asarray(pairs["sys_error"]))
    bad = np.zeros(n_pixels, bool)
    far = np.abs(value) > max_crosstalk + n_sigma * error
    for name in ("pixel", "source"):
        bad[np.asarray(pairs[name])[far]] = True
    return {ExclusionReason.CROSSTALK: bad}


def single_photoelectron_evidence(table: Table, n_pixels: int) -> Evidence:
    """Of single photoelectrons: pixels that are masked in high gain."""
    masked = np.zeros(n_pixels, bool)
    high = np.asarray(table["channel"]) == 0
    masked[np.asarray(table["pixel_id"])[high]] = np.asarray(table["outlier_mask"], bool)[high]
    return {ExclusionReason.SINGLE_PHOTOELECTRON: masked}

"""Tables of a pointing model: terms with covariances, residuals, nights; and the model of them."""

from collections.abc import Mapping
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table
from astropy.time import Time
from numpy.typing import NDArray

from .night_changes import NightOffsets, drive_direction
from .pointing_model import PointingModel
from .pointing_model_fit import FitSettings, PointingFit

__all__ = ["model_header", "night_table", "pointing_model_of", "residual_table", "term_table"]

_ARCSEC, _VARIANCE = u.arcsec, u.arcsec**2


def term_table(fit: PointingFit, settings: FitSettings, gains: NDArray) -> QTable:
    """One row a term.

    Parameters
    ----------
    fit : PointingFit
    settings : FitSettings
    gains : ndarray, shape (n_free,)
        Of BIC, of the free terms.

    Returns
    -------
    QTable
        ``term``, ``value``, ``stat_error``, ``sys_error``, ``significance`` (value over its
        statistical error), ``bic_gain`` (both NaN of fixed terms), ``is_fixed``, ``prior``,
        ``prior_error``; ``stat_covariance`` and ``sys_covariance`` with all terms in their order.
    """
    model = fit.model
    prior = np.array([settings.prior(term) for term in model.terms])
    gain = np.full(len(model.terms), np.nan)
    gain[~model.is_fixed] = gains
    stat = np.where(model.is_fixed, np.nan, model.stat_error)
    return QTable(
        {
            "term": np.array(model.terms, dtype=str),
            "value": model.value * _ARCSEC,
            "stat_error": model.stat_error * _ARCSEC,
            "sys_error": model.sys_error * _ARCSEC,
            "significance": model.value / stat,
            "bic_gain": gain,
            "is_fixed": model.is_fixed,
            "prior": prior[:, 0] * _ARCSEC,
            "prior_error": prior[:, 1] * _ARCSEC,
            "stat_covariance": model.stat_covariance * _VARIANCE,
            "sys_covariance": model.sys_covariance * _VARIANCE,
        }
    )


def model_header(model: PointingModel) -> dict[str, Any]:
    """What the table of terms does not hold, JSON-like."""
    return {
        "scatter_in_arcsec": model.scatter.tolist(),
        "night_scatter_in_arcsec": model.night_scatter.tolist(),
        "altitude_range_in_deg": list(model.altitude_range),
        "azimuth_sectors": model.sectors.tolist(),
    }


def pointing_model_of(table: Table, header: Mapping[str, Any]) -> PointingModel:
    """Pointing model of a product.

    Parameters
    ----------
    table : Table
        Of `term_table`.
    header : mapping
        With the entries of `model_header`.
    """
    low, high = header["altitude_range_in_deg"]
    return PointingModel(
        terms=tuple(str(term) for term in table["term"]),
        value=u.Quantity(table["value"]).to_value(_ARCSEC),
        stat_covariance=u.Quantity(table["stat_covariance"]).to_value(_VARIANCE),
        sys_covariance=u.Quantity(table["sys_covariance"]).to_value(_VARIANCE),
        is_fixed=np.asarray(table["is_fixed"], bool),
        scatter=np.array(header["scatter_in_arcsec"]),
        night_scatter=np.array(header["night_scatter_in_arcsec"]),
        altitude_range=(low, high),
        sectors=np.array(header["azimuth_sectors"], bool),
    )


def residual_table(fit: PointingFit) -> QTable:
    """One row a measurement: where, what was left, which way the drive had moved."""
    m = fit.measurements
    sigma = np.sqrt(np.diagonal(m.covariance, axis1=1, axis2=2))
    direction = drive_direction(m).astype(np.int8)
    table = QTable({"time": Time(m.time, format="unix_tai", scale="tai")})
    table["night"] = np.array([m.nights[k] for k in m.night], dtype=str)
    table["azimuth"], table["altitude"] = m.azimuth * u.deg, m.altitude * u.deg
    for axis, name in enumerate(("dlon", "dlat")):
        table[name] = m.offset[:, axis] * _ARCSEC
        table[f"{name}_stat_error"] = sigma[:, axis] * _ARCSEC
        table[f"{name}_residual"] = fit.residual[:, axis] * _ARCSEC
    table["chi2"] = fit.distance
    table["azimuth_direction"], table["altitude_direction"] = direction.T
    table["is_outlier"], table["is_used"] = fit.is_outlier, fit.is_used
    return table


def night_table(fit: PointingFit, nights: NightOffsets) -> QTable:
    """One row a night: its measurements, their residuals, its own IA and IE about the mean.

    Parameters
    ----------
    fit : PointingFit
    nights : NightOffsets
        NaN for nights with too few measurements.
    """
    m = fit.measurements
    n = len(m.nights)
    place = [m.nights.index(night) for night in nights.nights]
    value, error = np.full((n, 2), np.nan), np.full((n, 2), np.nan)
    value[place], error[place] = nights.value, nights.error
    square = np.where(fit.is_used, np.sum(fit.residual**2, axis=1), 0.0)
    used = np.bincount(m.night, fit.is_used, n)
    with np.errstate(invalid="ignore"):
        rms = np.sqrt(np.bincount(m.night, square, n) / used)
    table = QTable({"night": np.array(m.nights, dtype=str)})
    table["n_measurements"] = np.bincount(m.night, minlength=n)
    table["n_used"] = used.astype(int)
    table["residual_rms"] = rms * _ARCSEC
    for axis, name in enumerate(("ia", "ie")):
        table[f"{name}_offset"] = value[:, axis] * _ARCSEC
        table[f"{name}_offset_error"] = error[:, axis] * _ARCSEC
    return table

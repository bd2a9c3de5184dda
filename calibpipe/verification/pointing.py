"""Does a telescope look where its pointing model says? Residuals, errors, nights, other models."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..pointing.pointing_model import PointingModel, Prediction

__all__ = ["EXTERNAL", "INTERNAL", "element_names", "external_metrics", "internal_metrics"]

MODEL = "pointing/pointing_model"
INTERNAL = {
    MODEL: {
        "residual_rms",
        "prediction_error",
        "condition_number",
        "term_error",
        "outlier_fraction",
        "scatter",
        "reduced_chi2",
        "n_fixed_terms",
        "n_used",
        "night_p_value",
        "drift_p_value",
        "hysteresis",
    }
}
EXTERNAL = {MODEL: {"offset_change"}}
_AZIMUTH, _ALTITUDE = (
    grid.ravel() for grid in np.meshgrid(np.arange(0, 360, 15.0), np.arange(10, 90, 5.0))
)
_SIGMA = 3.0  # of a change: what its errors explain is none


def internal_metrics(
    kind: str, tables: Mapping[str, Any], header: Mapping[str, Any]
) -> dict[str, NDArray]:
    """Numbers of a pointing model that is consistent with itself, angles in arcsec.

    Parameters
    ----------
    kind : str
        One of `INTERNAL`.
    tables : mapping of str to Table
        ``terms``.
    header : mapping
        Header of the product.

    Returns
    -------
    dict of str to array, shape (1, n_elements)
        Elements are terms, axes, directions of the sky (`element_names`). NaN: terms that are
        fixed, tests that could not be made.
    """
    from ..pointing.pointing_model_table import pointing_model_of

    model = pointing_model_of(tables["terms"], header)
    tests = header["tests"]
    error = np.hypot(model.stat_error, model.sys_error)
    found = {
        "residual_rms": header["sky_rms_in_arcsec"],
        "prediction_error": np.linalg.norm(_on_grid(model, model).error, axis=1),
        "condition_number": header["condition_number"],
        "term_error": np.where(model.is_fixed, np.nan, error),
        "outlier_fraction": header["n_outliers"] / header["n_measurements"],
        "scatter": model.scatter,
        "reduced_chi2": header["chi2"] / header["n_dof"],
        "n_fixed_terms": header["n_fixed_terms"],
        "n_used": header["n_used"],
        "night_p_value": _number(tests["nights"]["p_value"]),
        "drift_p_value": _number(tests["drift"]["p_value"]),
        "hysteresis": _number(header["hysteresis_in_arcsec"]),
    }
    return {name: np.atleast_2d(np.asarray(values, float)) for name, values in found.items()}


def external_metrics(
    kind: str,
    tables: Mapping[str, Any],
    header: Mapping[str, Any],
    certified: Mapping[str, Any],
    certified_header: Mapping[str, Any],
) -> dict[str, NDArray]:
    r"""Change of the predicted offsets, on directions that both models cover.

    .. math:: d' = \max(|\delta - \delta_c| - 3\sigma, 0), \qquad
              \sigma^2 = \mathrm{tr}(C_\mathrm{stat} + C_{\mathrm{stat},c})

    Parameters
    ----------
    kind, tables, header, certified, certified_header
        As of `internal_metrics`.

    Returns
    -------
    dict of str to array, shape (1, n_directions)
        In arcsec; absent if no direction is covered by both.
    """
    from ..pointing.pointing_model_table import pointing_model_of

    now = pointing_model_of(tables["terms"], header)
    then = pointing_model_of(certified["terms"], certified_header)
    here, before = _on_grid(now, now, then), _on_grid(then, now, then)
    if not len(here.offset):
        return {}
    change = np.linalg.norm(here.offset - before.offset, axis=1)
    whole = here.stat_covariance + before.stat_covariance
    error = np.sqrt(np.trace(whole, axis1=1, axis2=2))
    return {"offset_change": np.atleast_2d(np.maximum(change - _SIGMA * error, 0.0))}


def element_names(
    kind: str, tables: Mapping[str, Any], header: Mapping[str, Any]
) -> dict[str, Sequence[str]]:
    """Names of the elements of metrics that have them.

    Parameters
    ----------
    kind, tables, header
        As of `internal_metrics`.
    """
    from ..pointing.pointing_model_table import pointing_model_of

    model = pointing_model_of(tables["terms"], header)
    covered = model.covers(_AZIMUTH, _ALTITUDE)
    grid = zip(_AZIMUTH[covered], _ALTITUDE[covered], strict=True)
    axes = ("azimuth", "altitude")
    return {
        "term_error": model.terms,
        "scatter": axes,
        "hysteresis": axes,
        "prediction_error": [f"azimuth {az:g}, altitude {alt:g} deg" for az, alt in grid],
    }


def _on_grid(model: "PointingModel", *covering: "PointingModel") -> "Prediction":
    """Prediction where all of some models were measured."""
    from ..pointing.pointing_model import predicted_offsets

    covered = np.all([m.covers(_AZIMUTH, _ALTITUDE) for m in covering], axis=0)
    return predicted_offsets(_AZIMUTH[covered], _ALTITUDE[covered], model)


def _number(value: Any) -> NDArray:
    return np.array(value, float)  # None is NaN

"""Tables of inter- and cross-calibration, as ctapipe has a place for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from .asymmetry import PairRatios
from .inter_calibration import InterCalibration

__all__ = [
    "Telescopes",
    "TypeCalibration",
    "covariance_table",
    "fitted_pairs_table",
    "inter_calibration_table",
    "telescopes_of_pairs",
]


@dataclass(frozen=True)
class Telescopes:
    """Telescopes of a table of pairs, and the pairs by their places.

    Attributes
    ----------
    tel_ids, tel_types : ndarray, shape (n_tel,)
        Ascending numbers.
    first, second : ndarray, shape (n_pairs,), int
    """

    tel_ids: NDArray
    tel_types: NDArray
    first: NDArray
    second: NDArray


@dataclass(frozen=True)
class TypeCalibration:
    """Inter-calibration of telescopes that are solved together: of one type, or of all.

    Attributes
    ----------
    name : str
        Of the type, ``ALL`` for all.
    members : ndarray, int
        Places of the telescopes in `Telescopes`.
    pairs : ndarray, int
        Places of the pairs in the table of pairs.
    result : InterCalibration
        Of the members and pairs.
    sys_covariance : ndarray, shape (n_members, n_members)
    is_outlier, is_reference : ndarray, shape (n_members,), bool
    """

    name: str
    members: NDArray
    pairs: NDArray
    result: InterCalibration
    sys_covariance: NDArray
    is_outlier: NDArray
    is_reference: NDArray


def telescopes_of_pairs(
    pairs: Table, tel_ids: Sequence[int] | NDArray, tel_types: Sequence[str] | NDArray
) -> Telescopes:
    """Telescopes with their pairs.

    Parameters
    ----------
    pairs : Table
        With ``tel_id_1``, ``tel_id_2``.
    tel_ids, tel_types : sequence, length n_tel
        Of the whole subarray: those without a pair are told as such.
    """
    ids = np.asarray(tel_ids)
    order = np.argsort(ids)
    ids = ids[order]
    first, second = (np.searchsorted(ids, pairs[f"tel_id_{k}"]) for k in (1, 2))
    return Telescopes(ids, np.asarray(tel_types)[order].astype(str), first, second)


def inter_calibration_table(
    telescopes: Telescopes, calibrations: Sequence[TypeCalibration]
) -> Table:
    """One row a telescope; ``value`` is NaN where there is none.

    ``island`` counts in each type; values of different islands cannot be compared, those that are
    not in the largest one are not valid. Groups of types that were not solved are absent.
    """
    rows: dict[str, list] = {}

    def add(**values: object) -> None:
        for name, value in values.items():
            rows.setdefault(name, []).append(value)

    for calibration in calibrations:
        result = calibration.result
        sys_error = result.throughput * np.sqrt(np.diag(calibration.sys_covariance))
        n_pairs = np.bincount(
            np.concatenate(
                [
                    np.searchsorted(calibration.members, place[calibration.pairs])
                    for place in (telescopes.first, telescopes.second)
                ]
            ),
            minlength=len(calibration.members),
        )
        for k, member in enumerate(calibration.members):
            add(
                tel_type=telescopes.tel_types[member],
                tel_id=np.int16(telescopes.tel_ids[member]),
                value=result.throughput[k],
                error=result.error[k],
                sys_error=sys_error[k],
                solved_with=calibration.name,
                island=np.int16(result.islands.number[k]),
                n_pairs=np.int16(n_pairs[k]),
                is_reference=bool(calibration.is_reference[k]),
                is_outlier=bool(calibration.is_outlier[k]),
                is_valid=bool(result.islands.number[k] == 0 and np.isfinite(result.error[k])),
            )
    table = Table(rows)
    table.sort("tel_id")
    return table


def fitted_pairs_table(
    pairs: Table, ratios: PairRatios, calibrations: Sequence[TypeCalibration]
) -> Table:
    """Pairs with what is left of their ratio after the fit; NaN for those that were not used."""
    n = len(pairs)
    columns = {
        name: np.asarray(pairs[name])
        for name in ("tel_id_1", "tel_id_2", "tel_type_1", "tel_type_2", "distance_in_m")
    }
    columns |= {
        "n_events": ratios.n,
        "log_ratio": ratios.log_ratio,
        "log_ratio_stat_error": ratios.error,
        "log_ratio_std": ratios.std,
        "asymmetry": ratios.asymmetry,
        "asymmetry_stat_error": ratios.asymmetry_error,
    }
    for name in ("residual", "pull", "weight"):
        columns[name] = np.full(n, np.nan)
    columns["is_used"] = np.zeros(n, bool)
    for calibration in calibrations:
        own, result = calibration.pairs, calibration.result
        columns["residual"][own] = result.residual
        columns["pull"][own] = result.pull
        columns["weight"][own] = result.weights
        columns["is_used"][own] = True
    return Table(columns)


def covariance_table(tel_ids: NDArray, **covariances: NDArray) -> Table:
    """Matrices of relative errors (of the logarithms), one row a telescope."""
    columns: Mapping[str, NDArray] = {
        f"{name}_covariance": np.asarray(matrix) for name, matrix in covariances.items()
    }
    return Table({"tel_id": np.asarray(tel_ids).astype(np.int16), **columns})

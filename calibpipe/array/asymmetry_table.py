"""Tables of the asymmetries of one observation block, and their sums over blocks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from .asymmetry import PairRatios, PairSums
from .dl2_layout import ArrayLayout
from .pairs import TelescopePairs

__all__ = ["added_sums", "pair_groups", "pairs_table", "sums_of_tables", "sums_table"]

_VECTORS = ("ratio", "ratio2", "asymmetry", "asymmetry2", "histogram")
_MATRICES = ("shared", "product", "partial")


def pair_groups(first_types: NDArray, second_types: NDArray) -> NDArray:
    """Name of the two types of each pair, in alphabetical order: ``LST-MST``."""
    both = np.sort(np.stack([first_types, second_types]).astype(str), axis=0)
    return np.array([f"{one}-{two}" for one, two in both.T])


def pairs_table(layout: ArrayLayout, pairs: TelescopePairs, ratios: PairRatios) -> Table:
    """What is known of each pair, for people and for figures."""
    apart = layout.positions[pairs.first] - layout.positions[pairs.second]
    return Table(
        {
            "tel_id_1": layout.tel_ids[pairs.first].astype(np.int16),
            "tel_id_2": layout.tel_ids[pairs.second].astype(np.int16),
            "tel_type_1": layout.tel_types[pairs.first].astype(str),
            "tel_type_2": layout.tel_types[pairs.second].astype(str),
            "distance_in_m": np.linalg.norm(apart, axis=1),
            "n_events": ratios.n,
            "log_ratio": ratios.log_ratio,
            "log_ratio_stat_error": ratios.error,
            "log_ratio_std": ratios.std,
            "asymmetry": ratios.asymmetry,
            "asymmetry_stat_error": ratios.asymmetry_error,
            "is_valid": ratios.is_valid,
        }
    )


def sums_table(pairs: Table, sums: PairSums) -> Table:
    """Sums of each pair; matrices as one row a pair."""
    columns = {name: np.asarray(pairs[name]) for name in ("tel_id_1", "tel_id_2")}
    columns["n"] = sums.n
    return Table(columns | {name: getattr(sums, name) for name in (*_VECTORS, *_MATRICES)})


def sums_of_tables(table: Table, counts: dict[str, int]) -> PairSums:
    """Sums as `sums_table` has them."""
    values = {name: np.asarray(table[name]) for name in ("n", *_VECTORS, *_MATRICES)}
    return PairSums(**values, counts=dict(counts))


def added_sums(
    blocks: Sequence[tuple[str, dict[str, Any], Table, Table]],
) -> tuple[Table, PairSums, list[int]]:
    """Sums over observation blocks.

    Parameters
    ----------
    blocks : sequence of (str, dict, Table, Table)
        Of each product its path, header, table of pairs and table of sums.

    Returns
    -------
    pairs : Table
        Of the first.
    sums : PairSums
    obs_ids : list of int

    Raises
    ------
    ConfigurationError
        If blocks are of different kinds, pairs or selections, or one observation is there twice.
    """
    where: dict[int, str] = {}
    first, total = blocks[0], None
    for path, header, pairs, table in blocks:
        for key in ("kind", "selection"):
            if header[key] != first[1][key]:
                raise ConfigurationError(
                    f"{path} and {first[0]} differ in {key}: {header[key]} and {first[1][key]}; "
                    "give products that were made alike"
                )
        same = len(pairs) == len(first[2]) and all(
            np.array_equal(pairs[name], first[2][name])
            for name in ("tel_id_1", "tel_id_2", "tel_type_1", "tel_type_2", "distance_in_m")
        )
        if not same:
            raise ConfigurationError(
                f"{path} and {first[0]} are of different telescopes; give products of one subarray"
            )
        for obs_id in header["observations"]:
            if obs_id in where:
                raise ConfigurationError(
                    f"observation {obs_id} is in {where[obs_id]} and in {path}; give it once"
                )
            where[obs_id] = path
        sums = sums_of_tables(table, header["counts"])
        total = sums if total is None else total + sums
    assert total is not None  # there is a block
    return first[2], total, sorted(where)

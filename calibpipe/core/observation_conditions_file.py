"""The product of the aerosols and clouds of a night, slice by slice: names and reader."""

from pathlib import Path
from typing import Any

from astropy.table import Table

from .array_file import read_array_product

__all__ = ["KIND", "NODES", "read_observation_conditions"]

KIND = "atmosphere/observation_conditions"
_GROUP = "/calibpipe/atmosphere/observation_conditions"
NODES = {
    name: f"{_GROUP}/{name}"
    for name in ("slices", "corrections", "good_time_intervals", "median_profile")
}


def read_observation_conditions(path: str | Path) -> tuple[dict[str, Any], dict[str, Table]]:
    """Header and tables of a product.

    Parameters
    ----------
    path : path

    Returns
    -------
    header : dict
        With the grids: ``altitude_in_m``, ``wavelength_in_nm``, ``energy_in_tev``,
        ``zenith_in_deg``.
    tables : dict of str to Table
        ``slices``, ``corrections``, ``good_time_intervals``, ``median_profile``; times are
        `~astropy.time.Time`.

    Raises
    ------
    MissingInputError
        If there is no such file, or the product says that it is not complete.
    CorruptedInputError
        If it is no HDF5 product, or lacks a table.
    ConfigurationError
        If it is a product of another kind.
    """
    header, tables = read_array_product(path, KIND, list(NODES.values()))
    return header, {name: tables[node] for name, node in NODES.items()}

"""Molecular profiles as table columns, and back."""

import numpy as np
from astropy.table import QTable

from .density_profile import MolecularProfile

__all__ = ["profile_from_table", "profile_table"]

COLUMNS = ("altitude", "pressure", "temperature", "density", "number_density")


def profile_table(profile: MolecularProfile) -> QTable:
    """Table with one row an altitude and the names and units of `MolecularProfile`."""
    columns = {name: getattr(profile, name) for name in COLUMNS}
    columns["water_vapour_mole_fraction"] = profile.water_vapour_mole_fraction
    return QTable(columns)


def profile_from_table(table: QTable) -> MolecularProfile:
    """Profile of a table that has its columns; others are left alone."""
    return MolecularProfile(
        **{name: table[name] for name in COLUMNS},
        water_vapour_mole_fraction=np.asarray(table["water_vapour_mole_fraction"], dtype=float),
    )

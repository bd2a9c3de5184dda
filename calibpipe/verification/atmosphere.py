"""Is the night's atmosphere one? Balance, closure, and the atmosphere of other nights."""

import astropy.units as u
import numpy as np
from astropy.table import Table

from ..atmosphere.meteorology import normal_gravity

__all__ = ["EXTERNAL", "INTERNAL", "external_metrics", "internal_metrics"]

GAS_CONSTANT = 8.314462618  # J/(mol K), CODATA 2018
_DRY, _WATER = 28.96546e-3, 18.01528e-3  # kg/mol; CIPM-2007, IAPWS
CO2_EPOCH, CO2_MEAN, CO2_GROWTH = 2024.5, 424.6e-6, 2.5e-6  # NOAA GML, Mauna Loa, annual means
_BALANCED_BELOW = 30 * u.km
_SHIPPED_ALTITUDE = 15 * u.km
_REFERENCE_WAVELENGTH = 350 * u.nm

INTERNAL = {
    "atmosphere/macobac": {"co2_against_growth", "relative_error"},
    "atmosphere/density_profile": {"hydrostatic_residual", "gas_law_residual"},
    "atmosphere/reference_model": {"hydrostatic_residual", "gas_law_residual"},
    "atmosphere/atmospheric_model": {
        "thickness_residual",
        "refractivity_per_density",
        "non_monotonic_levels",
    },
    "atmosphere/rayleigh_extinction": {
        "hydrostatic_closure",
        "wavelength_exponent",
        "non_monotonic_levels",
    },
}
EXTERNAL = {
    "atmosphere/macobac": {"co2_change"},
    "atmosphere/density_profile": {"density_15km_change", "surface_density_change"},
    "atmosphere/reference_model": {"density_15km_change"},
    "atmosphere/atmospheric_model": {"density_15km_change", "surface_density_change"},
    "atmosphere/rayleigh_extinction": {"optical_depth_350nm_change"},
}


def internal_metrics(kind: str, table: Table, latitude: u.Quantity) -> dict[str, np.ndarray]:
    """Numbers of an atmosphere that is consistent with itself.

    Parameters
    ----------
    kind : str
        One of `INTERNAL`.
    table : QTable
        Content of the product with its header.
    latitude : Quantity
        Of the site, for gravity.

    Returns
    -------
    dict of str to array, (1, n)
        Relative residuals of layers or levels, or single numbers.
    """
    found = {
        "atmosphere/macobac": _macobac,
        "atmosphere/density_profile": _profile,
        "atmosphere/reference_model": _profile,
        "atmosphere/atmospheric_model": _model,
        "atmosphere/rayleigh_extinction": _extinction,
    }[kind](table, latitude)
    return {name: np.atleast_2d(values) for name, values in found.items()}


def external_metrics(kind: str, table: Table, certified: Table) -> dict[str, np.ndarray]:
    """Change against a certified product of the same kind, relative."""
    found = {
        "atmosphere/macobac": _macobac_change,
        "atmosphere/density_profile": _density_change,
        "atmosphere/reference_model": _density_change,
        "atmosphere/atmospheric_model": _density_change,
        "atmosphere/rayleigh_extinction": _extinction_change,
    }[kind](table, certified)
    known = EXTERNAL[kind]
    return {name: np.atleast_2d(value) for name, value in found.items() if name in known}


def _macobac(table: Table, latitude: u.Quantity) -> dict[str, np.ndarray]:
    night = table.meta["calibpipe"]["night"]
    year = int(night[:4]) + (int(night[5:7]) - 0.5) / 12
    expected = CO2_MEAN + CO2_GROWTH * (year - CO2_EPOCH)
    value = float(table["co2_mole_fraction"][0])
    error = np.hypot(float(table["stat_error"][0]), float(table["sys_error"][0]))
    return {
        "co2_against_growth": (value - expected) * 1e6,
        "relative_error": error / value,
    }


def _profile(table: Table, latitude: u.Quantity) -> dict[str, np.ndarray]:
    """Hydrostatic balance of each layer below 30 km, and the gas law at each level.

    dp = - rho g dz, with rho exponential between levels; rho = p M / (R T) with the mean molar
    mass of moist air (compressibility is below 5e-4 and part of the limits).
    """
    low = table["altitude"] <= _BALANCED_BELOW
    z = table["altitude"][low].to(u.m)
    p = table["pressure"][low].to_value(u.Pa)
    rho = table["density"][low].to_value(u.kg / u.m**3)
    weight = rho * normal_gravity(latitude, z).to_value(u.m / u.s**2)
    lost = _exponential_mean(weight) * np.diff(z.value)
    vapour = np.asarray(table["water_vapour_mole_fraction"][low], float)
    mass = _DRY * (1 - vapour) + _WATER * vapour
    ideal = p * mass / (GAS_CONSTANT * table["temperature"][low].to_value(u.K))
    return {
        "hydrostatic_residual": lost / -np.diff(p) - 1.0,
        "gas_law_residual": rho / ideal - 1.0,
    }


def _exponential_mean(values: np.ndarray) -> np.ndarray:
    """Mean between neighbours of what falls exponentially: (a - b)/ln(a/b)."""
    a, b = values[:-1], values[1:]
    ratio = np.log(a / b)
    near = np.abs(ratio) < 1e-6
    return np.where(near, (a + b) / 2, (a - b) / np.where(near, 1.0, ratio))


def _model(table: Table, latitude: u.Quantity) -> dict[str, np.ndarray]:
    """Thickness of each layer against its density, and refractivity against density.

    # ASSUME: density falls exponentially between the levels of the table, up to 30 km.
    """
    low = table["altitude"] <= _BALANCED_BELOW
    z = table["altitude"][low].to_value(u.cm)
    rho = table["density"][low].to_value(u.g / u.cm**3)
    thickness = table["thickness"][low].to_value(u.g / u.cm**2)
    per_density = np.asarray(table["refractivity"][low], float) / rho
    levels = table["thickness"].to_value(u.g / u.cm**2)
    return {
        "thickness_residual": -np.diff(thickness) / (_exponential_mean(rho) * np.diff(z)) - 1.0,
        "refractivity_per_density": per_density / np.median(per_density) - 1.0,
        "non_monotonic_levels": float((np.diff(levels) >= 0).sum()),
    }


def _extinction(table: Table, latitude: u.Quantity) -> dict[str, np.ndarray]:
    depth = np.asarray(table["optical_depth"], float)
    wavelength = table["wavelength"].to_value(u.nm)
    total = _total_depth(table)
    ends = np.interp([300.0, 600.0], wavelength, depth[:, -1])
    hydrostatic = table.meta["calibpipe"]["closure"]["hydrostatic_optical_depth_350nm"]
    return {
        "hydrostatic_closure": total / hydrostatic - 1.0,
        "wavelength_exponent": -np.log(ends[1] / ends[0]) / np.log(2.0),
        "non_monotonic_levels": float((np.diff(depth, axis=1) < 0).sum()),
    }


def _total_depth(table: Table) -> float:
    wavelength = table["wavelength"].to_value(u.nm)
    depth = np.asarray(table["optical_depth"], float)[:, -1]
    at = _REFERENCE_WAVELENGTH.to_value(u.nm)
    return float(np.exp(np.interp(at, wavelength, np.log(depth))))


def _macobac_change(table: Table, certified: Table) -> dict[str, float]:
    ppm = [float(t["co2_mole_fraction"][0]) * 1e6 for t in (table, certified)]
    return {"co2_change": ppm[0] - ppm[1]}


def _density_change(table: Table, certified: Table) -> dict[str, float]:
    at_15km = [_density(t, _SHIPPED_ALTITUDE) for t in (table, certified)]
    at_ground = [_density(t, 2.2 * u.km) for t in (table, certified)]
    return {
        "density_15km_change": at_15km[0] / at_15km[1] - 1.0,
        "surface_density_change": at_ground[0] / at_ground[1] - 1.0,
    }


def _density(table: Table, altitude: u.Quantity) -> float:
    z = table["altitude"].to_value(u.km)
    rho = table["density"].to_value(u.g / u.cm**3)
    return float(np.exp(np.interp(altitude.to_value(u.km), z, np.log(rho))))


def _extinction_change(table: Table, certified: Table) -> dict[str, float]:
    return {"optical_depth_350nm_change": _total_depth(table) / _total_depth(certified) - 1.0}

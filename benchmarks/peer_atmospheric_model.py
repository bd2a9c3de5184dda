"""Worker of atmospheric_model.py in the peer's environment: what the peer's Tool calls.

Its Tool (CreateMolecularAtmosphericModel) needs a database and the network before and after; in
between it calls the three routines below with these arguments and leaves all others alone:
500 wavelengths, 200-699 nm, and the altitude bins of molecularprofiles.
"""

import json
import sys
import time
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import Table
from calibpipe.tools.atmospheric_base_tool import AtmosphericBaseTool
from molecularprofiles.molecularprofiles import MolecularProfile
from molecularprofiles.utils.constants import RAYLEIGH_SCATTERING_ALTITUDE_BINS

# The 51 edges of the peer's own reference tables for CTAO-North, and of our table.
FULL_EDGES = (
    np.concatenate(
        [
            2.158 + np.array([0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2]),
            [4.5, 5, 5.5],
            np.arange(6.0, 16.0),
            np.arange(16.0, 30.0, 2.0),
            np.arange(30.0, 40.0, 2.5),
            np.arange(40.0, 121.0, 5.0),
        ]
    )
    * u.km
)


def main() -> None:
    data, meteo_file, settings, wavelengths, co2 = sys.argv[1:]
    models = Path(data) / "reference_models"
    clock = [time.process_time()]
    profile = MolecularProfile(
        str(Path(data) / meteo_file), stat_columns=AtmosphericBaseTool.DEFAULT_METEO_COLUMNS
    )
    profile.get_data()
    clock.append(time.process_time())

    densities = profile.create_molecular_density_profile()
    at_15_km = densities[densities["altitude"] == 15000 * u.m]["number density"].quantity[0]
    reference = nearest_reference(models, at_15_km.to_value(1 / u.cm**3))
    profile.create_atmospheric_profile(co2_concentration=float(co2), reference_atmosphere=reference)
    clock.append(time.process_time())

    edges = FULL_EDGES if settings == "full" else RAYLEIGH_SCATTERING_ALTITUDE_BINS
    options = {} if settings == "tool" else {"rayleigh_scattering_altitude_bins": edges}
    table = profile.create_rayleigh_extinction_profile(
        co2_concentration=float(co2),
        reference_atmosphere=reference,
        **wavelength_range(int(wavelengths), settings),
        **options,
    )
    clock.append(time.process_time())

    lowest = edges[0].to(u.km)
    pressure = profile._create_profile(lowest.reshape(1))["Pressure"]
    answer = {
        "n_bins": len(table),
        "lowest_edge_km": lowest.value,
        "pressure_hpa": float(pressure[0].to_value(u.hPa)),
        "optical_depth_350nm": float(table["350.0 nm"][-1]),
        "cpu": dict(zip(("read", "profile", "extinction"), np.diff(clock).tolist(), strict=True)),
    }
    print(json.dumps(answer))


def nearest_reference(models, number_density):
    """Reference profile of the season nearest in density at 15 km: the rule of the peer's Tool."""
    found = []
    for path in models.glob("ref_density_at_15km_ctao-north_*.ecsv"):
        season, density = Table.read(path)[0]
        found.append((abs(density - number_density), season))
    return Table.read(models / f"reference_atmo_model_v0_ctao-north_{min(found)[1]}.ecsv")


def wavelength_range(wavelengths, settings):
    """None for the Tool's own 500; fewer begin at 350 nm, which is compared."""
    if settings == "tool" and wavelengths == 500:
        return {}
    first = 200 if wavelengths >= 500 else 350
    return {"wavelength_min": first * u.nm, "wavelength_max": (first + wavelengths) * u.nm}


if __name__ == "__main__":
    main()

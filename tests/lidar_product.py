"""Table of LIDAR profiles as `calibpipe-process-lidar` writes it, of known aerosols and clouds."""

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time

from calibpipe.simulation.lidar import AerosolLayer

SITE = 2158.0
GRID = np.arange(SITE, 20_000.0, 250.0) * u.m
WAVELENGTH = np.array([300.0, 400.0, 532.0, 700.0]) * u.nm
LASERS = (355, 532)
EXPONENT = 1.3
DUST = AerosolLayer(0.08, SITE * u.m, 9 * u.km, angstrom_exponent=EXPONENT, scale=1 * u.km)
CLOUD = AerosolLayer(0.2, 9 * u.km, 10 * u.km)
BEGIN = Time("2024-07-10T22:00:00", scale="utc")


def product(skies, rng=None, *, noise=0.0, sys=0.0, lasers=LASERS, opaque=(), altitude=GRID):
    """One row a sky, one a minute; noise that grows with altitude."""
    n, z = len(skies), altitude.to_value(u.m)
    height = np.sqrt((z - z[0]) / (z[-1] - z[0]))
    columns = {"time": (BEGIN + np.arange(n) * u.min).isot}
    layers = {"row": [], "wavelength_in_nm": [], "base_in_m": [], "top_in_m": [], "status": []}
    for laser in lasers:
        depth = np.stack([sky.optical_depth(altitude, laser * u.nm) for sky in skies])
        if noise:
            walk = np.cumsum(rng.normal(size=depth.shape), axis=1)
            walk -= walk[:, :1]
            depth = depth + noise * walk / np.sqrt(len(z) - 1)
        status = np.full(n, "measured", dtype="U32")
        for row in opaque:
            status[row] = "no light from above the layer"
            depth[row, z > 9000] = np.nan
        columns[f"optical_depth_{laser}nm"] = depth
        columns[f"optical_depth_stat_error_{laser}nm"] = noise * height + 0 * depth
        columns[f"optical_depth_sys_error_{laser}nm"] = sys * height + 0 * depth
        columns[f"status_{laser}nm"] = status
    for row, sky in enumerate(skies):
        for layer in sky.layers:
            if row in opaque or layer.angstrom_exponent == 0:
                layers["row"].append(row)
                layers["wavelength_in_nm"].append(lasers[0])
                layers["base_in_m"].append(
                    layer.base.to_value(u.m) if row not in opaque else 9000.0
                )
                layers["top_in_m"].append(layer.top.to_value(u.m) if row not in opaque else None)
                layers["status"].append(str(status[row]))
    table = QTable(columns)
    header = {"altitude_in_m": z.tolist(), "wavelengths_in_nm": list(lasers), "layers": layers}
    table.meta["calibpipe"] = header
    return table

"""Text formats by which air-shower simulations take over an atmosphere.

``atmprof<N>.dat`` (CORSIKA with the IACT/ATMO package): density, thickness, refractivity by
altitude. ``atm_trans_*.dat`` (sim_telarray): optical depth by wavelength and altitude of
emission. Steering cards (CORSIKA, ATMOD 10): the five layers. Texts only: nothing here opens
a file.

References
----------
Bernlöhr (2008): Simulation of imaging atmospheric Cherenkov telescopes with CORSIKA and
sim_telarray. Astroparticle Physics 30, 149, doi 10.1016/j.astropartphys.2008.07.009.
Heck, Pierog (2021): Extensive Air Shower Simulation with CORSIKA: A User's Guide, sections
4.17 to 4.21 (atmospheric cards).
"""

from collections.abc import Iterable, Iterator

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from ..core.exceptions import CorruptedInputError, MissingInputError
from .five_layer_atmosphere import FiveLayerAtmosphere

__all__ = [
    "CORSIKA_ALTITUDES",
    "atm_trans_text",
    "atmprof_text",
    "check_shower_table",
    "parse_atm_trans",
    "parse_atmprof",
    "steering_cards",
]

CORSIKA_ALTITUDES = (
    np.concatenate([np.arange(0.0, 30.5, 1.0), np.arange(32.0, 51.0, 2.0), np.arange(55, 121, 5)])
    * u.km
)
"""The 55 rows of a table for CORSIKA: steps of 1 km to 30 km, 2 km to 50 km, 5 km to 120 km."""

ATMPROF_UNITS = {
    "altitude": u.km,
    "density": u.g / u.cm**3,
    "thickness": u.g / u.cm**2,
    "refractivity": u.dimensionless_unscaled,
    "temperature": u.K,
    "pressure": u.hPa,
    "water_vapour_pressure_ratio": u.dimensionless_unscaled,
}
ATMPROF_HEADINGS = (
    "Alt [km]",
    "rho [g/cm^3]",
    "thick [g/cm^2]",
    "n-1",
    "T [K]",
    "p [mbar]",
    "pw/p",
)
REQUIRED_COLUMNS = 4  # CORSIKA reads these; the others inform people

OPAQUE = 99999.0  # optical depth in sim_telarray's tables where nothing passes

THICKNESS_LIMIT = 0.01  # relative; integrating 55 rows is good to 0.2 % (0.7 % where T bends)
REFRACTIVITY_LIMIT = 2e-3  # relative, up to 50 km; moist air follows the rule below to 2e-4
UPPER_REFRACTIVITY_LIMIT = 5e-3  # up to 80 km: models of the upper air differ in composition
REFRACTIVITY_TOPS = (50.0, 80.0)  # km; higher up oxygen dissociates, (n-1)/density changes

# Refractivity per mass of water vapour over that of dry air, minus 1, at 350-450 nm: Ciddor
# 1996, vapour 20 degC and 1333 Pa (9.8516 g/m3), dry air 15 degC and 101325 Pa (1225.4 g/m3).
VAPOUR_EXCESS = 0.40
MOLAR_MASS_RATIO = 0.62198  # water over dry air


def atmprof_text(
    *,
    altitude: u.Quantity,
    density: u.Quantity,
    thickness: u.Quantity,
    refractivity: u.Quantity,
    temperature: u.Quantity,
    pressure: u.Quantity,
    water_vapour_pressure_ratio: u.Quantity,
    header_lines: Iterable[str] = (),
) -> str:
    """Contents of an ``atmprof<N>.dat`` file, after `check_shower_table`.

    Parameters
    ----------
    altitude : Quantity
        (n,) geometric, ascending; the last row is the top of the simulated atmosphere.
    density : Quantity
        (n,) mass per volume, of the moist air.
    thickness : Quantity
        (n,) mass per area above; the last row is 0.
    refractivity : Quantity or ndarray
        (n,) n - 1.
    temperature, pressure : Quantity
        (n,)
    water_vapour_pressure_ratio : Quantity or ndarray
        (n,) partial pressure of water vapour over pressure.
    header_lines : iterable of str
        Comments put before the table, without ``#``: origin, site, wavelength of n - 1.

    Returns
    -------
    str
        Seven columns, seven significant digits, comments marked by ``#``.

    Raises
    ------
    CorruptedInputError
        As `check_shower_table`.
    """
    check_shower_table(altitude, density, thickness, refractivity, water_vapour_pressure_ratio)
    columns = (
        altitude,
        density,
        thickness,
        refractivity,
        temperature,
        pressure,
        water_vapour_pressure_ratio,
    )
    values = {
        name: u.Quantity(column).to_value(unit)
        for (name, unit), column in zip(ATMPROF_UNITS.items(), columns, strict=True)
    }
    _check_shapes(values["altitude"], values)
    comments = [f"# {line}".rstrip() for line in _single_lines(header_lines)]
    heading = "#" + f"{ATMPROF_HEADINGS[0]:>9}" + "".join(f"{h:>15}" for h in ATMPROF_HEADINGS[1:])
    rows = [
        f"{row[0]:10.3f}" + "".join(f"{value:15.6e}" for value in row[1:])
        for row in np.column_stack(list(values.values()))
    ]
    return "\n".join([*comments, heading, *rows]) + "\n"


def parse_atmprof(text: str) -> dict[str, u.Quantity]:
    """Columns of an ``atmprof<N>.dat`` file.

    Returns
    -------
    dict
        altitude, density, thickness, refractivity and, where the file has them, temperature,
        pressure, water_vapour_pressure_ratio: each (n,). Further columns are left out, and the
        numbers are not judged (`check_shower_table` does).

    Raises
    ------
    CorruptedInputError
        If a line is not numbers, has fewer than four of them, or fewer than the others.
    MissingInputError
        If there is no line of numbers.
    """
    rows = [_numbers(line, number, "atmprof") for number, line in _data_lines(text)]
    if not rows:
        raise MissingInputError("atmprof: no row of numbers; is it another file?")
    if min(map(len, rows)) != max(map(len, rows)) or len(rows[0]) < REQUIRED_COLUMNS:
        raise CorruptedInputError(
            f"atmprof: rows have {min(map(len, rows))} to {max(map(len, rows))} numbers; "
            f"all must have the same number, at least {REQUIRED_COLUMNS}"
        )
    return {
        name: np.array(column) * unit
        for (name, unit), column in zip(
            ATMPROF_UNITS.items(), zip(*rows, strict=True), strict=False
        )
    }


def check_shower_table(
    altitude: u.Quantity,
    density: u.Quantity,
    thickness: u.Quantity,
    refractivity: u.Quantity,
    water_vapour_pressure_ratio: u.Quantity,
) -> None:
    r"""Raise unless a table of an atmosphere agrees with itself.

    Altitude ascends; density, thickness, refractivity are positive (the last row of the
    thickness may be 0) and fall. The mass between two rows,
    :math:`T_i - T_{i+1}`, is the integral of the density (cubic in its logarithm) within 1 %; the
    last interval is left out, for its upper end is 0 by convention. Up to 50 km
    :math:`(n-1)/[\rho (1 + 0.40 q)]` is the same within 0.2 %, to 80 km within 0.5 %,
    :math:`q` being the specific humidity: one gas, one wavelength, moist density.

    Parameters
    ----------
    altitude, density, thickness, refractivity, water_vapour_pressure_ratio : Quantity
        (n,) as in `atmprof_text`.

    Raises
    ------
    CorruptedInputError
        If one of these does not hold; the message names the worst altitude and the limit.
    """
    z = u.Quantity(altitude).to_value(u.km)
    columns = {
        "density": u.Quantity(density).to_value(u.g / u.cm**3),
        "thickness": u.Quantity(thickness).to_value(u.g / u.cm**2),
        "refractivity": u.Quantity(refractivity).to_value(u.dimensionless_unscaled),
        "water vapour pressure ratio": u.Quantity(water_vapour_pressure_ratio).to_value(
            u.dimensionless_unscaled
        ),
    }
    _check_shapes(z, columns)
    vapour = columns.pop("water vapour pressure ratio")
    for name, values in columns.items():
        _check_falling(name, z, values)
    _check_thickness(z, columns["density"], columns["thickness"])
    _check_refractivity(z, columns["density"], columns["refractivity"], vapour)


def _check_shapes(z: NDArray, columns: dict[str, NDArray]) -> None:
    for name, values in {"altitude": z, **columns}.items():
        if z.ndim != 1 or len(z) < 5 or values.shape != z.shape:
            raise CorruptedInputError(
                f"atmprof: {name} has shape {values.shape}; every column must have the same "
                f"number of rows, at least 5, the altitude has {z.shape}"
            )
        if not np.all(np.isfinite(values)):
            row = np.flatnonzero(~np.isfinite(values))[0]
            raise CorruptedInputError(f"atmprof: {name} is {values[row]} in row {row}")
    if np.any(np.diff(z) <= 0.0):
        row = np.flatnonzero(np.diff(z) <= 0.0)[0] + 1
        raise CorruptedInputError(
            f"atmprof: altitude must ascend, {z[row]:g} km in row {row} follows {z[row - 1]:g} km"
        )


def _check_falling(name: str, z: NDArray, values: NDArray) -> None:
    wrong = values <= 0.0
    if name == "thickness":
        wrong[-1] = values[-1] < 0.0
    wrong[1:] |= np.diff(values) >= 0.0
    if np.any(wrong):
        row = np.flatnonzero(wrong)[0]
        raise CorruptedInputError(
            f"atmprof: {name} must be positive and fall with altitude, it is {values[row]:g} at "
            f"{z[row]:g} km" + (f" after {values[row - 1]:g} at {z[row - 1]:g} km" if row else "")
        )


def _check_thickness(z: NDArray, density: NDArray, thickness: NDArray) -> None:
    spline = CubicSpline(z, np.log(density))
    nodes, weights = np.polynomial.legendre.leggauss(5)
    at = z[:-1, np.newaxis] + np.diff(z)[:, np.newaxis] * (nodes + 1.0) / 2.0
    mass = np.exp(spline(at)) @ weights / 2.0 * np.diff(z) * 1e5  # g/cm2
    deviation = (-np.diff(thickness) / mass - 1.0)[:-1]
    worst = np.argmax(np.abs(deviation))
    if np.abs(deviation[worst]) > THICKNESS_LIMIT:
        raise CorruptedInputError(
            f"atmprof: from {z[worst]:g} to {z[worst + 1]:g} km the thickness falls by "
            f"{deviation[worst]:+.1%} more than the integral of the density, limit "
            f"{THICKNESS_LIMIT:.0%}; integrate the thickness from the density"
        )


def _check_refractivity(
    z: NDArray, density: NDArray, refractivity: NDArray, vapour: NDArray
) -> None:
    humidity = MOLAR_MASS_RATIO * vapour / (1.0 - (1.0 - MOLAR_MASS_RATIO) * vapour)
    per_mass = refractivity / (density * (1.0 + VAPOUR_EXCESS * humidity))
    deviation = per_mass / np.median(per_mass[z <= REFRACTIVITY_TOPS[0]]) - 1.0
    limit = np.select(
        [z <= top for top in REFRACTIVITY_TOPS],
        [REFRACTIVITY_LIMIT, UPPER_REFRACTIVITY_LIMIT],
        np.inf,
    )
    worst = np.argmax(np.abs(deviation) / limit)
    if np.abs(deviation[worst]) > limit[worst]:
        raise CorruptedInputError(
            f"atmprof: n-1 over the density of moist air deviates by {deviation[worst]:+.2%} at "
            f"{z[worst]:g} km from its median, limit {limit[worst]:.1%}; are the density "
            "that of moist air and n-1 of one wavelength throughout?"
        )


def atm_trans_text(
    observation_altitude: u.Quantity,
    altitudes: u.Quantity,
    wavelengths: u.Quantity,
    optical_depth: u.Quantity,
    header_lines: Iterable[str] = (),
) -> str:
    """Contents of an ``atm_trans_*.dat`` file: vertical optical depth down to the telescopes.

    sim_telarray interpolates linearly in wavelength and in the logarithm of the altitude, and
    takes the observation level itself for depth 0.

    Parameters
    ----------
    observation_altitude : Quantity
        Of the telescopes (H2).
    altitudes : Quantity
        (n_altitudes,) of emission (H1), ascending, all above the observation level.
    wavelengths : Quantity
        (n_wavelengths,) ascending.
    optical_depth : Quantity or ndarray
        (n_wavelengths, n_altitudes) from emission to observation level, not falling with
        altitude; infinite (or 99999 and more) where nothing passes, written as 99999.
    header_lines : iterable of str
        Comments put before the table, without ``#``.

    Raises
    ------
    CorruptedInputError
        If shapes differ, altitudes or wavelengths do not ascend, or a depth is negative, not a
        number, or falls with altitude.
    """
    site = observation_altitude.to_value(u.km)
    z, wavelength = altitudes.to_value(u.km), wavelengths.to_value(u.nm)
    depth = np.minimum(u.Quantity(optical_depth).to_value(u.dimensionless_unscaled), OPAQUE)
    _check_optical_depth(site, z, wavelength, depth)
    comments = [f"# {line}".rstrip() for line in _single_lines(header_lines)]
    heading = f"# H2= {site:.3f}, H1= " + " ".join(f"{value:.3f}" for value in z)
    rows = [
        f"{value:g} " + " ".join(f"{entry:.6g}" for entry in row)
        for value, row in zip(wavelength, depth, strict=True)
    ]
    return "\n".join([*comments, heading, *rows]) + "\n"


def parse_atm_trans(text: str) -> tuple[u.Quantity, u.Quantity, u.Quantity, u.Quantity]:
    """Observation altitude, altitudes, wavelengths, optical depth of an ``atm_trans_*.dat`` file.

    Returns
    -------
    tuple of Quantity
        Shapes (), (n_altitudes,), (n_wavelengths,), (n_wavelengths, n_altitudes); entries of
        99999 and more are infinite.

    Raises
    ------
    CorruptedInputError
        If a line is not numbers or has not one depth for each altitude of the header, or
        if altitudes, wavelengths, depths are not those of such a table.
    MissingInputError
        If the header line with H2 and H1, or every row, is missing.
    """
    heading = next((line for line in text.splitlines() if _is_altitude_header(line)), None)
    if heading is None:
        raise MissingInputError("atm_trans: no line '# H2= <km>, H1= <km> ...'; another file?")
    before, after = heading.split("H1=")
    site = _numbers(before.split("H2=")[1].replace(",", " "), 0, "atm_trans header")[0]
    z = np.array(_numbers(after, 0, "atm_trans header"))
    rows = [_numbers(line, number, "atm_trans", len(z) + 1) for number, line in _data_lines(text)]
    if not rows:
        raise MissingInputError("atm_trans: no wavelength; the file ends after its header")
    table = np.array(rows)
    wavelength, depth = table[:, 0], table[:, 1:]
    _check_optical_depth(site, z, wavelength, depth)
    depth = np.where(depth >= OPAQUE, np.inf, depth)
    return site * u.km, z * u.km, wavelength * u.nm, depth * u.dimensionless_unscaled


def _check_optical_depth(site: float, z: NDArray, wavelength: NDArray, depth: NDArray) -> None:
    if depth.shape != (len(wavelength), len(z)) or not depth.size:
        raise CorruptedInputError(
            f"atm_trans: optical depth has shape {depth.shape}, there are {len(wavelength)} "
            f"wavelengths and {len(z)} altitudes"
        )
    heights = np.append(site, z)
    for name, values in {"altitudes (H2, H1)": heights, "wavelengths": wavelength}.items():
        if not np.all(np.diff(values) > 0.0):
            raise CorruptedInputError(f"atm_trans: {name} must ascend, got {values}")
    steps = np.diff(depth, axis=1, prepend=0.0)
    if not np.all(steps >= 0.0):
        i, j = np.argwhere(~(steps >= 0.0))[0]
        raise CorruptedInputError(
            f"atm_trans: optical depth must rise from 0 with altitude, it is {depth[i, j]:g} at "
            f"{wavelength[i]:g} nm, {z[j]:g} km"
        )


def _is_altitude_header(line: str) -> bool:
    return line.startswith("#") and "H2=" in line and "H1=" in line.split("H2=")[1]


def steering_cards(atmosphere: FiveLayerAtmosphere) -> str:
    """CORSIKA steering cards of a five-layer atmosphere (ATMOD 10: all five layers are read).

    ATMLAY has the lower boundaries of layers 2 to 5 and ATMB the parameters of layers 1 to 4:
    CORSIKA takes 1 g/cm2 for the fifth, to which ``c`` is scaled.

    Returns
    -------
    str
        Five lines of at most 80 characters, lengths in cm, eight significant digits.
    """
    b = atmosphere.b.to_value(u.g / u.cm**2)
    c = atmosphere.c.to_value(u.cm) / np.append(np.ones(4), b[4])
    cards = {
        "ATMLAY": atmosphere.boundaries.to_value(u.cm)[1:],
        "ATMA": atmosphere.a.to_value(u.g / u.cm**2),
        "ATMB": b[:4],
        "ATMC": c,
    }
    lines = [key + "".join(f"{x:15.7E}" for x in values) for key, values in cards.items()]
    return "\n".join(["ATMOD  10", *lines]) + "\n"


def _single_lines(header_lines: Iterable[object]) -> list[str]:
    return [part for line in header_lines for part in str(line).splitlines() or [""]]


def _data_lines(text: str) -> Iterator[tuple[int, str]]:
    """Number and contents of every line that is neither empty nor a comment."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _numbers(line: str, number: int, source: str, expected: int | None = None) -> list[float]:
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        numbers = []
    if not numbers or (expected is not None and len(numbers) != expected):
        needed = "numbers" if expected is None else f"{expected} numbers"
        raise CorruptedInputError(
            f"{source}: line {number} must be {needed}, got {line.strip()[:60]!r}; "
            "is the file complete?"
        )
    return numbers

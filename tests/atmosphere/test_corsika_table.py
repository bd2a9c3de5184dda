"""Round trips of the text formats, and tables that contradict themselves."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.atmosphere.corsika_table import (
    CORSIKA_ALTITUDES,
    atm_trans_text,
    atmprof_text,
    check_shower_table,
    parse_atm_trans,
    parse_atmprof,
    steering_cards,
)
from calibpipe.atmosphere.five_layer_atmosphere import LINSLEY_US_STANDARD, FiveLayerAtmosphere
from calibpipe.atmosphere.standard_atmosphere import standard_atmosphere
from calibpipe.core.exceptions import CorruptedInputError, MissingInputError

G_CM2 = u.g / u.cm**2
G_CM3 = u.g / u.cm**3


def columns(**changes):
    """The standard atmosphere on CORSIKA's rows, n-1 as for dry air at 400 nm."""
    fine = np.arange(0.0, 120_001.0, 20.0)
    rho = standard_atmosphere(fine * u.m).density.to_value(G_CM3)
    layers = np.diff(fine) * 100.0 * np.diff(rho) / np.diff(np.log(rho))
    above = np.append(np.cumsum(layers[::-1])[::-1], 0.0)
    air = standard_atmosphere(CORSIKA_ALTITUDES)
    table = {
        "altitude": CORSIKA_ALTITUDES,
        "density": air.density.to(G_CM3),
        "thickness": np.interp(CORSIKA_ALTITUDES.to_value(u.m), fine, above) * G_CM2,
        "refractivity": 0.23081 * air.density.to_value(G_CM3) * u.one,
        "temperature": air.temperature,
        "pressure": air.pressure,
        "water_vapour_pressure_ratio": np.zeros(55) * u.one,
    }
    return {**table, **changes}


def check(**changes):
    table = columns(**changes)
    del table["temperature"], table["pressure"]
    check_shower_table(**table)


def with_row(name, row, value):
    column = columns()[name].copy()
    column[row] = value * column.unit
    return {name: column}


def test_55_rows_for_corsika():
    z = CORSIKA_ALTITUDES.to_value(u.km)
    assert len(z) == 55
    assert list(np.unique(np.diff(z[:31]))) == [1.0]
    assert list(np.unique(np.diff(z[30:41]))) == [2.0]
    assert list(np.unique(np.diff(z[40:]))) == [5.0]
    assert (z[0], z[30], z[40], z[-1]) == (0.0, 30.0, 50.0, 120.0)


def test_atmprof_round_trip():
    table = columns()
    back = parse_atmprof(atmprof_text(**table, header_lines=["CTAO-North", "n-1 at 400 nm"]))
    assert list(back) == list(table)
    for name, column in table.items():
        assert back[name].unit == column.unit, name
        np.testing.assert_allclose(back[name].value, column.value, rtol=5.1e-7, err_msg=name)
    assert back["thickness"][-1] == 0 * G_CM2


def test_atmprof_layout():
    lines = atmprof_text(**columns(), header_lines=["CTAO-North\nwinter", ""]).splitlines()
    assert lines[:3] == ["# CTAO-North", "# winter", "#"]
    assert lines[3].startswith("# Alt [km]")
    assert len(lines) == 4 + 55
    assert all(len(line.split()) == 7 for line in lines[4:])
    # One column is as wide as every other: people read it.
    assert {len(line) for line in lines[3:]} == {100}


def test_atmprof_converts_units():
    table = columns()
    other = dict(
        table,
        altitude=table["altitude"].to(u.m),
        density=table["density"].to(u.kg / u.m**3),
        pressure=table["pressure"].to(u.Pa),
    )
    assert atmprof_text(**other) == atmprof_text(**table)


def test_a11_rows_of_a_production_table():
    """Layout of the tables that CORSIKA is given: the first three numbers matter to it."""
    text = """# Atmospheric profile, CTA La Palma winter
#  Alt rho thick n-1 T p pw/p
    0.000     1.21171E-03  1.04473E+03  2.80503E-04  291.91  1.02049E+03  1.45399E-02
    1.000     1.10668E-03  9.28757E+02  2.55945E-04  284.50  9.06892E+02  1.03318E-02
  120.000     2.09799E-11  0.00000E+00  4.84242E-12  333.43  0.00000E+00  0.00000E+00
"""
    table = parse_atmprof(text)
    assert table["thickness"].to_value(G_CM2).tolist() == [1044.73, 928.757, 0.0]
    assert table["pressure"][0].to_value(u.hPa) == 1020.49
    assert table["water_vapour_pressure_ratio"][1] == 1.03318e-2


def test_atmprof_with_four_columns():
    table = parse_atmprof("0 1.2e-3 1036 2.8e-4\n10 4.1e-4 271 9.5e-5\n")
    assert list(table) == ["altitude", "density", "thickness", "refractivity"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("# nothing\n", MissingInputError, "no row of numbers"),
        ("0 1.2e-3 1036 2.8e-4\n<html>\n", CorruptedInputError, "line 2 must be numbers"),
        ("0 1.2e-3 1036\n", CorruptedInputError, "3 to 3 numbers"),
        ("0 1.2e-3 1036 2.8e-4\n1 1e-3 900\n", CorruptedInputError, "3 to 4 numbers"),
    ],
)
def test_atmprof_that_is_none(text, error, message):
    with pytest.raises(error, match=message):
        parse_atmprof(text)


def test_a_consistent_table_passes():
    check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"altitude": CORSIKA_ALTITUDES[::-1]}, "115 km in row 1 follows 120 km"),
        ({"density": columns()["density"][:-1]}, r"density has shape \(54,\)"),
        (with_row("thickness", 4, np.nan), "thickness is nan in row 4"),
        (with_row("density", 5, 1e-2), "density must be positive and fall.*0.01 at 5 km after"),
        (with_row("density", 54, -1e-12), "density must be positive and fall"),
        (with_row("thickness", 0, -1.0), "thickness must be positive and fall.*-1 at 0 km"),
        (with_row("thickness", 53, 0.0), "thickness must be positive.*it is 0 at 115 km"),
        (with_row("refractivity", 54, 0.0), "refractivity must be positive.*it is 0 at 120 km"),
    ],
)
def test_impossible_columns(changes, message):
    with pytest.raises(CorruptedInputError, match=message):
        check(**changes)


def test_thickness_from_constant_gravity_is_caught():
    """p/g0 instead of the mass above: up to 3.5 % less mass between rows, more with altitude."""
    thickness = (columns()["pressure"] / (9.80665 * u.m / u.s**2)).to(G_CM2)
    with pytest.raises(CorruptedInputError, match=r"thickness falls by -.*integral of the density"):
        check(thickness=thickness)


def test_thickness_check_sees_a_shifted_row():
    thickness = columns()["thickness"].copy()
    thickness[20] *= 1.003  # 0.3 % of the mass above, but 2 % of the mass of one kilometre
    with pytest.raises(CorruptedInputError, match=r"from (19|20) to (20|21) km"):
        check(thickness=thickness)


def test_density_of_dry_air_is_caught():
    """Moist n-1 and vapour with the density of as many dry molecules (0.5 % more mass)."""
    vapour = 0.0145 * np.exp(-CORSIKA_ALTITUDES.to_value(u.km) / 2.0)
    humidity = 0.62198 * vapour / (1 - 0.37802 * vapour)
    table = columns()
    moist = table["density"] * (1 - 0.37802 * vapour)
    refractivity = 0.23081 * moist.to_value(G_CM3) * (1 + 0.40 * humidity)
    scale = moist[0] / table["density"][0]
    check(
        density=moist,
        thickness=integrated(moist),
        refractivity=refractivity,
        water_vapour_pressure_ratio=vapour,
    )
    assert scale < 0.995
    with pytest.raises(CorruptedInputError, match=r"at 0 km from its median, limit 0.2%"):
        check(refractivity=refractivity, water_vapour_pressure_ratio=vapour)


def integrated(density):
    z = CORSIKA_ALTITUDES.to_value(u.cm)
    fine = np.linspace(0.0, 120e5, 12001)
    rho = np.exp(np.interp(fine, z, np.log(density.to_value(G_CM3))))
    layers = np.diff(fine) * (rho[1:] + rho[:-1]) / 2.0
    above = np.append(np.cumsum(layers[::-1])[::-1], 0.0)
    return np.interp(z, fine, above) * G_CM2


def test_a_change_of_wavelength_within_the_table_is_caught():
    refractivity = columns()["refractivity"].copy()
    refractivity[40:] *= 1.0119  # A10: 350 instead of 400 nm
    with pytest.raises(CorruptedInputError, match=r"deviates by \+1.19% at"):
        check(refractivity=refractivity)


def test_composition_of_the_upper_air_may_differ():
    refractivity = columns()["refractivity"].copy()
    z = CORSIKA_ALTITUDES.to_value(u.km)
    refractivity[z > 50] *= 0.996
    refractivity[z > 80] *= 0.95
    check(refractivity=refractivity)
    refractivity[z > 50] *= 0.998
    with pytest.raises(CorruptedInputError, match=r"-0.60% at 55 km from its median, limit 0.5%"):
        check(refractivity=refractivity)


def test_nothing_is_written_from_a_bad_table():
    with pytest.raises(CorruptedInputError, match="thickness must be positive"):
        atmprof_text(**columns(**with_row("thickness", 3, 0.0)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (with_row("temperature", 9, np.nan), "temperature is nan in row 9"),
        ({"pressure": columns()["pressure"][1:]}, r"pressure has shape \(54,\)"),
    ],
)
def test_columns_that_only_people_read_are_complete(changes, message):
    with pytest.raises(CorruptedInputError, match=message):
        atmprof_text(**columns(**changes))


@pytest.mark.realdata
def test_the_ctao_reference_table_contradicts_itself(shared_data):
    from astropy.table import QTable

    name = "reference_models/reference_atmo_model_v0_ctao-north_winter.ecsv"
    model = QTable.read(shared_data / name)
    arguments = {
        "altitude": model["altitude"],
        "density": model["atmospheric_density"],
        "thickness": model["atmospheric_thickness"],
        "refractivity": model["refractive_index_m_1"],
        "water_vapour_pressure_ratio": model["partial_water_pressure"],
    }
    with pytest.raises(CorruptedInputError, match=r"from 110 to 115 km the thickness falls by -"):
        check_shower_table(**arguments)
    # Below the join at 43 km the thickness is p/9.80665: less wrong. The density is wrong too.
    rho = np.asarray(arguments["density"].to_value(G_CM3))
    z = arguments["altitude"].to_value(u.cm)
    layers = np.diff(z) * np.diff(rho) / np.diff(np.log(rho))
    arguments["thickness"] = np.append(np.cumsum(layers[::-1])[::-1], 0.0) * G_CM2
    with pytest.raises(CorruptedInputError, match=r"moist air deviates by -0\.[45]\d% at 0 km"):
        check_shower_table(**arguments)


WAVELENGTHS = np.array([300.0, 400.0, 550.5]) * u.nm
ALTITUDES = np.array([2.206, 5.0, 10.0, 120.0]) * u.km
DEPTH = np.array(
    [[0.0123456789, 0.4, 0.7, 0.93723], [1e-7, 0.11, 0.183, 0.27754], [0.0, 0.01, 0.02, 0.03]]
)


def test_atm_trans_round_trip():
    text = atm_trans_text(2.156 * u.km, ALTITUDES, WAVELENGTHS, DEPTH, ["Rayleigh only"])
    site, altitudes, wavelengths, depth = parse_atm_trans(text)
    assert site == 2.156 * u.km
    assert np.array_equal(altitudes, ALTITUDES)
    assert np.array_equal(wavelengths, WAVELENGTHS)
    np.testing.assert_allclose(depth.value, DEPTH, rtol=5e-6)


def test_atm_trans_layout():
    lines = atm_trans_text(2156 * u.m, ALTITUDES, WAVELENGTHS, DEPTH, ["made here"]).splitlines()
    assert lines[0] == "# made here"
    # Readers take H2 after five characters and skip six more, ", H1= ".
    assert lines[1] == "# H2= 2.156, H1= 2.206 5.000 10.000 120.000"
    assert lines[2] == "300 0.0123457 0.4 0.7 0.93723"
    assert lines[4].split()[0] == "550.5"


def test_opaque_is_99999():
    depth = DEPTH.copy()
    depth[0, 2:] = np.inf
    text = atm_trans_text(2.156 * u.km, ALTITUDES, WAVELENGTHS, depth)
    assert text.splitlines()[1].split() == ["300", "0.0123457", "0.4", "99999", "99999"]
    assert np.array_equal(np.isinf(parse_atm_trans(text)[3]), np.isinf(depth))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((6.0, ALTITUDES, WAVELENGTHS, DEPTH), r"altitudes \(H2, H1\) must ascend"),
        ((2.206, ALTITUDES, WAVELENGTHS, DEPTH), r"altitudes \(H2, H1\) must ascend"),
        ((2.156, ALTITUDES, WAVELENGTHS[::-1], DEPTH), "wavelengths must ascend"),
        ((2.156, ALTITUDES, WAVELENGTHS, DEPTH.T), r"\(4, 3\), there are 3 wavelengths and 4"),
        ((2.156, ALTITUDES, WAVELENGTHS, -DEPTH), "must rise from 0.*-0.0123457 at 300 nm, 2.206"),
        ((2.156, ALTITUDES, WAVELENGTHS, DEPTH[:, ::-1]), "0.7 at 300 nm, 5 km"),
        ((2.156, ALTITUDES, WAVELENGTHS, DEPTH * np.nan), "it is nan at 300 nm, 2.206 km"),
    ],
)
def test_bad_optical_depth(arguments, message):
    site, *others = arguments
    with pytest.raises(CorruptedInputError, match=message):
        atm_trans_text(site * u.km, *others)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("300 0.1 0.2\n", MissingInputError, "no line '# H2="),
        ("# H2= 2.1, H1= 3 4\n", MissingInputError, "no wavelength"),
        ("# H2= 2.1, H1= 3 4\n300 0.1\n", CorruptedInputError, "line 2 must be 3 numbers"),
        ("# H2= 2.1, H1= 3 4\n300 0.1 x\n", CorruptedInputError, "got '300 0.1 x'"),
        ("# H2= 2.1, H1= 3 x\n300 0.1 0.2\n", CorruptedInputError, "atm_trans header"),
        ("# H2= 2.1, H1= 3 4\n300 0.2 0.1\n", CorruptedInputError, "must rise from 0"),
    ],
)
def test_atm_trans_that_is_none(text, error, message):
    with pytest.raises(error, match=message):
        parse_atm_trans(text)


def read_cards(text):
    """What CORSIKA makes of the cards: ATMOD 10 reads five a and c, four b (the fifth is 1)."""
    cards = {line.split()[0]: np.array(line.split()[1:], dtype=float) for line in text.splitlines()}
    assert cards["ATMOD"] == [10]
    return FiveLayerAtmosphere(
        np.append(0.0, cards["ATMLAY"]) * u.cm,
        cards["ATMA"] * G_CM2,
        np.append(cards["ATMB"], 1.0) * G_CM2,
        cards["ATMC"] * u.cm,
    )


def test_steering_cards():
    text = steering_cards(LINSLEY_US_STANDARD)
    assert [line.split()[0] for line in text.splitlines()] == [
        *("ATMOD", "ATMLAY", "ATMA", "ATMB", "ATMC")
    ]
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[1].split()[1:] == [
        *("4.0000000E+05", "1.0000000E+06", "4.0000000E+06", "1.0000000E+07")
    ]
    z = np.linspace(0.0, 112.0, 500) * u.km
    np.testing.assert_allclose(
        read_cards(text).thickness(z).value, LINSLEY_US_STANDARD.thickness(z).value, rtol=1e-6
    )


def test_fifth_layer_is_scaled_to_b_of_one():
    doubled = FiveLayerAtmosphere(
        LINSLEY_US_STANDARD.boundaries,
        LINSLEY_US_STANDARD.a,
        LINSLEY_US_STANDARD.b * [1, 1, 1, 1, 2],
        LINSLEY_US_STANDARD.c * [1, 1, 1, 1, 2],
    )
    assert steering_cards(doubled) == steering_cards(LINSLEY_US_STANDARD)

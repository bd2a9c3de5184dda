"""Corrections of the throughput of rings, each by hand; anchor D07."""

import astropy.units as u
import numpy as np
import pytest
from scipy.special import ellipe

from calibpipe.atmosphere.rayleigh import rayleigh_cross_section
from calibpipe.throughput.muon_corrections import (
    Correction,
    chromatic_correction,
    coma_correction,
    inclination_correction,
    knock_on_correction,
    light_loss_correction,
    mean_ray_length,
    mean_wavelength,
    mirror_shape_correction,
    plate_scale_correction,
    product_of_corrections,
    switched_off,
    transmission_correction,
    transmission_to_level,
)

WAVELENGTH = np.linspace(280, 600, 641) * u.nm


def test_coma_in_the_fit_and_not_in_it():
    """LST: 5 % of 0.0446 where the fit knows it, 0.3 of it where not; nothing without coma."""
    known = coma_correction(0.0446, 0.0446)
    assert (known.factor, known.error, known.applied) == (1, pytest.approx(0.00223), "fit")
    ignored = coma_correction(0.0, 0.0446)
    assert (ignored.factor, ignored.error, ignored.applied) == (1, pytest.approx(0.01338), "off")
    none = coma_correction(0.0, 0.0)
    assert (none.factor, none.error, none.source) == (1, 0, "no coma")


def test_a_disc_is_a_polygon_of_many_sides():
    rho = np.array([0.0, 0.5, 0.95])
    np.testing.assert_allclose(mean_ray_length(40, rho), 2 / np.pi * ellipe(rho**2), rtol=2e-3)


@pytest.mark.parametrize("n_sides", [3, 4, 6, 8])
def test_rays_from_the_middle_of_a_polygon(n_sides):
    """Of n sides with apothem a: (n/pi) a ln(sec + tan)(pi/n); its area is that of the disc."""
    apothem = np.sqrt(np.pi / (n_sides * np.tan(np.pi / n_sides)))
    half = np.pi / n_sides
    expected = n_sides / np.pi * apothem * np.log(1 / np.cos(half) + np.tan(half))
    # the midpoint rule over 720 rays, with corners: (2 pi/720)² times the slope there
    assert mean_ray_length(n_sides, 0.0) == pytest.approx(expected, rel=2e-5)


def test_rays_of_a_square_counted():
    """From points at 0.6 radii, in every direction: by bisection of its rim."""
    rng, side = np.random.default_rng(1), np.sqrt(np.pi)
    n = 200_000
    place, ray = rng.uniform(0, 2 * np.pi, (2, n))
    x, y = 0.6 * np.cos(place), 0.6 * np.sin(place)
    with np.errstate(divide="ignore"):
        reach = [
            (side / 2 - np.sign(step) * start) / np.abs(step)
            for start, step in ((x, np.cos(ray)), (y, np.sin(ray)))
        ]
    length = np.minimum(*reach)
    error = length.std() / np.sqrt(n)
    assert mean_ray_length(4, 0.6) == pytest.approx(length.mean(), abs=4 * error)


def test_two_sides_are_no_polygon():
    with pytest.raises(ValueError, match="at least 3 sides, got 2"):
        mean_ray_length(2, 0.0)


def test_hexagonal_mirror():
    """On the axis 6/pi a ln(sec + tan 30°), a = 0.95231: 0.9991 of the disc."""
    on_axis = 6 / np.pi * 0.952313 * np.log(2 / np.sqrt(3) + 1 / np.sqrt(3))
    found = mirror_shape_correction(6, np.zeros(5))
    assert found.factor == pytest.approx(1 / on_axis, rel=1e-4)
    assert found.error == 0.002
    outside = mirror_shape_correction(6, np.array([0.9, 0.9, np.nan]))
    ratio = mean_ray_length(6, 0.9) / (2 / np.pi * ellipe(0.81))
    assert outside.factor == pytest.approx(1 / ratio, rel=1e-3)
    square = mirror_shape_correction(4, np.array([0.5]))
    assert square.error == pytest.approx(max(abs(square.factor - 1) / 2, 0.002))
    assert found.applied == "mean"


def test_round_mirror():
    found = mirror_shape_correction(0, np.array([0.5]))
    assert (found.factor, found.error) == (1.0, 0.002)


def test_inclined_muons():
    """nu²/4 of 1 and 2 degrees: 7.6e-5 and 3.0e-4; the mean over rings, NaN left out."""
    found = inclination_correction(np.array([1.0, 2.0, np.nan]))
    shorter = np.mean(np.deg2rad([1.0, 2.0]) ** 2) / 4
    assert shorter == pytest.approx(1.904e-4, rel=1e-3)
    assert found.factor == pytest.approx(1 / (1 - shorter), rel=1e-12)
    assert found.error == pytest.approx(shorter)


def test_inclination_is_that_of_an_ellipse():
    """Mean ray from its middle, 2/pi E(sin² nu): 1 - nu²/4."""
    nu = 4.0
    exact = 2 / np.pi * ellipe(np.sin(np.deg2rad(nu)) ** 2)
    assert inclination_correction(np.array([nu])).factor == pytest.approx(1 / exact, abs=1e-6)


def test_knock_on_electrons():
    """0.06 % of the light of fitted rings is theirs, between 0.045 and 0.073 %."""
    found = knock_on_correction()
    assert found.factor == pytest.approx(1 / 1.0006)
    assert found.error == pytest.approx(0.0006)
    assert (found.name, found.applied) == ("knock_on_electrons", "mean")
    off = switched_off(found)
    assert off.error == pytest.approx(0.0006 * np.sqrt(2), rel=1e-3)


def test_switched_off():
    """3 % that are not corrected, with 4 % of error: 5 %."""
    found = switched_off(Correction("mirror_shape", 1.03, 0.04, "made"))
    assert found.error == pytest.approx(0.05)
    assert (found.factor, found.applied, found.name) == (1.03, "off", "mirror_shape")


def test_what_is_in_the_fit_stays():
    inside = Correction("atmosphere", 1.01, 0.005, "made", "fit")
    assert switched_off(inside) is inside


def test_product():
    """Factors of the mean only; errors of all, in quadrature."""
    corrections = [
        Correction("a", 1.1, 0.03, "made"),
        Correction("b", 0.9, 0.04, "made"),
        Correction("c", 7.0, 0.12, "made", "off"),
        Correction("d", 5.0, 0.0, "made", "fit"),
    ]
    assert product_of_corrections(corrections) == pytest.approx((0.99, 0.13))
    assert product_of_corrections([]) == (1.0, 0.0)


def test_mean_wavelength_by_hand():
    """Without air: ln(b/a)/(1/a - 1/b)."""
    found = mean_wavelength(WAVELENGTH, np.ones(641)).to_value(u.nm)
    assert found == pytest.approx(np.log(600 / 280) / (1 / 280 - 1 / 600), rel=1e-5)


@pytest.fixture(scope="module")
def transmissions():
    """Rayleigh scattering between 2.15 km and 0.5 km above; and up to 10 km a.s.l.

    US Standard Atmosphere (1976): 780.6, 733.4 and 264.4 hPa; air weighs 4.81e-26 kg a molecule.
    """
    pressure = np.array([733.4, 264.4])
    column = (780.6 - pressure) * u.hPa / (9.79 * u.m / u.s**2) / (28.9645 * u.u)
    section = rayleigh_cross_section(WAVELENGTH, 400e-6)
    return [np.exp(-(section * one).to_value(u.one)) for one in column]


def test_muons_are_bluer_than_showers(transmissions):
    """D07: 402 and 417 nm, 0.974 and 0.765 of the light."""
    for transmission, mean, light in zip(transmissions, (402, 417), (0.974, 0.765), strict=True):
        assert mean_wavelength(WAVELENGTH, transmission).to_value(u.nm) == pytest.approx(
            mean, abs=0.6
        )
        weight = WAVELENGTH.value**-2.0
        found = np.sum(weight * transmission) / np.sum(weight)
        assert found == pytest.approx(light, abs=0.003)


def test_degradation_in_the_ultraviolet(transmissions):
    """D07: 5.7 % of the light of muons, 4.7 % of that of showers: 1 % is corrected."""
    muon, shower = transmissions
    degraded = 1 - 0.2 * np.exp(-(WAVELENGTH.value - 280) / 60)
    weight = WAVELENGTH.value**-2.0
    lost = [1 - np.sum(weight * t * degraded) / np.sum(weight * t) for t in transmissions]
    assert lost == pytest.approx([0.057, 0.047], abs=6e-4)
    found = chromatic_correction(WAVELENGTH, degraded, np.ones(641), muon, shower)
    assert found.factor == pytest.approx((1 - lost[1]) / (1 - lost[0]), rel=1e-4)
    assert found.factor == pytest.approx(1.0106, abs=1e-3)
    assert found.error == pytest.approx(abs(found.factor - 1) / 10)


def test_nothing_to_correct_without_a_change_of_colour(transmissions):
    response = 1 - 0.2 * np.exp(-(WAVELENGTH.value - 280) / 60)
    grey = chromatic_correction(WAVELENGTH, 0.9 * response, response, *transmissions)
    assert grey.factor == pytest.approx(1, rel=1e-12)
    same = chromatic_correction(WAVELENGTH, response, np.ones(641), *transmissions[:1] * 2)
    assert same.factor == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("which", [0, 1])
def test_response_that_was_not_measured(transmissions, which):
    responses = [np.ones(641), np.ones(641)]
    responses[which] = None
    found = chromatic_correction(WAVELENGTH, *responses, *transmissions, error=0.013)
    assert (found.factor, found.error) == (1.0, 0.013)


def test_faint_and_bright_rings():
    """Faint half at 0.202, bright at 0.200: half of what is beyond the error of the difference."""
    photons = np.arange(100.0)
    values = np.where(photons > 49.5, 0.200, 0.202)
    found = light_loss_correction(values, photons, np.full(100, 0.002))
    scatter = 0.002 * np.sqrt(2 / 50)
    assert found.error == pytest.approx((0.002 - scatter) / 2 / 0.201)
    assert found.factor == 1.0
    calm = light_loss_correction(values, photons, np.full(100, 0.02))
    assert calm.error == 0.0
    assert light_loss_correction(values[:19], photons[:19], values[:19]).error == 0.005


@pytest.mark.parametrize("faint", [0.1, 0.4, 0.8])
def test_rings_that_are_cut_for_little_light(rng, faint):
    """Of rings of 5 % the faintest are missing: the mean of the others is off by the error."""
    n = 20_000
    values = np.sort(0.2 * (1 + 0.05 * rng.standard_normal(n)))[int(faint * n) :]
    photons = rng.random(len(values))
    found = light_loss_correction(values, photons, np.full(len(values), 0.05 * 0.2), faint)
    bias, error = values.mean() / 0.2 - 1, 0.05 / np.sqrt(len(values))
    # the errors are those of the mean that is too large; halves of the rings differ by chance
    assert found.error == pytest.approx(bias, abs=4 * error + 0.05 * bias)
    assert "cut for little light" in found.source


def test_air_in_the_fit():
    found = transmission_correction(0.98)
    assert found.factor == pytest.approx(1 / 0.98)
    assert found.error == pytest.approx(np.hypot(0.002, 0.005))
    assert found.applied == "fit"


def test_air_that_is_not_known():
    found = transmission_correction(1.0)
    assert (found.factor, found.error, found.applied) == (1.0, 0.015, "off")


def test_transmission_to_a_level_by_hand():
    """Half way in altitude and in wavelength: exp(-(0.1 + 0.3 + 0.2 + 0.6)/4)."""
    depth = np.array([[0.1, 0.3], [0.2, 0.6]])
    arguments = 450 * u.nm, [3, 5] * u.km, [400, 500] * u.nm, depth
    assert transmission_to_level(4000 * u.m, *arguments) == pytest.approx(np.exp(-0.3))
    assert transmission_to_level(9 * u.km, *arguments) == pytest.approx(np.exp(-0.45))


@pytest.mark.parametrize(
    ("choices", "effective", "error"),
    [
        (["effective"], 29.3, 0.002),
        (["effective", "equivalent"], 29.4, 0.05),
        (["equivalent"], 28.7, 0.025),
        (["unknown"], np.nan, 0.05),
        (["equivalent"], 28.0, 0.05),  # not measured: the description repeats the other
    ],
)
def test_plate_scale(choices, effective, error):
    found = plate_scale_correction(choices, effective * u.m, 28.0 * u.m)
    assert found.factor == 1
    assert found.error == pytest.approx(error)

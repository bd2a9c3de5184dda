import astropy.units as u
import numpy as np
import pytest

from calibpipe.atmosphere.density_profile import MolecularProfile, column_above
from calibpipe.atmosphere.reference_model import us_standard_profile
from calibpipe.atmosphere.upper_air import blended_profile
from calibpipe.core.exceptions import CorruptedInputError

LATITUDE = 45 * u.deg


def exponential(scale, top, surface=1.2, factor=1.0, height=100.0):
    """Isothermal air of one scale height."""
    z = np.arange(0, top + 1, height) * u.m
    density = factor * surface * np.exp(-z.to_value(u.m) / scale)
    pressure = density * 9.7 * scale
    return MolecularProfile(
        z,
        (pressure * u.Pa).to(u.hPa),
        np.full(z.size, 250.0) * u.K,
        density * u.kg / u.m**3,
        density * 2.08e19 / u.cm**3,
        np.full(z.size, 5e-6),
    )


FINE = np.arange(0, 120_001, 50.0) * u.m


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_blend_is_continuous_in_density_and_pressure(factor):
    measured, upper = exponential(7000, 30_000), exponential(7000, 120_000, factor=factor)
    blend = blended_profile(measured, upper, FINE, LATITUDE)
    seam = int(np.searchsorted(FINE.value, 30_000))
    below = slice(seam - 2, seam + 1)
    for name in ("density", "pressure"):
        steps = np.diff(np.log(getattr(blend, name).value[seam - 2 : seam + 4]))
        # 50 m of a fade over 5 km of at most 25 %: the slope may change at the seam, no jump
        np.testing.assert_allclose(steps, -50 / 7000, atol=0.25 * 50 / 5000)
    np.testing.assert_allclose(
        blend.density[below].value, measured.at(FINE[below]).density.value, rtol=1e-12
    )


def test_blend_below_the_seam_does_not_know_the_model():
    measured = exponential(7000, 30_000)
    one = blended_profile(measured, exponential(7000, 120_000, factor=0.95), FINE, LATITUDE)
    two = blended_profile(measured, exponential(7200, 120_000), FINE, LATITUDE)
    inside = 30_000 * u.m >= FINE
    for name in ("density", "pressure", "temperature", "number_density"):
        np.testing.assert_array_equal(getattr(one, name)[inside], getattr(two, name)[inside])


def test_blend_returns_to_the_model_far_above():
    measured, upper = exponential(7000, 30_000), exponential(7000, 120_000, factor=1.1)
    blend = blended_profile(measured, upper, FINE, LATITUDE)
    # (delta0 + delta1 s) exp(-s) with s = 16 at 110 km
    np.testing.assert_allclose(
        blend.density[2200] / upper.at(FINE[2200:2201]).density[0], 1, atol=3e-6
    )


def test_a23_column_above_the_data_is_that_of_the_pressure():
    air = us_standard_profile(FINE)
    for top_hpa, column, limit in [(20.0, 20.6, 0.1), (1.0, 1.0, 0.05)]:
        top = FINE[np.argmin(np.abs(air.pressure.to_value(u.hPa) - top_hpa))]
        measured = air.at(np.arange(0, top.value + 1, 100) * u.m)
        blend = blended_profile(measured, air, FINE, LATITUDE)
        total = column_above(blend.altitude, blend.density)
        above = np.interp(top.value, FINE.value, total.to_value(u.g / u.cm**2))
        assert above == pytest.approx(column, abs=limit)


def test_air_that_contradicts_itself_does_not_join():
    measured = exponential(7000, 30_000)
    heavy = exponential(14_000, 120_000)
    with pytest.raises(CorruptedInputError, match=r"upper air does not join at 30\.0 km"):
        blended_profile(measured, heavy, FINE, LATITUDE)


def test_fade_must_not_be_a_step():
    measured = exponential(7000, 30_000)
    with pytest.raises(ValueError, match="needs at least 5 km"):
        blended_profile(measured, measured, FINE, LATITUDE, scale=1 * u.km)

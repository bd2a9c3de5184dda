"""Brightness of the night sky: values of Krisciunas & Schaefer (1991)."""

import astropy.units as u
import numpy as np
from numpy.testing import assert_allclose

from calibpipe.atmosphere.night_sky import (
    dark_sky,
    moonlight,
    nanolambert,
    scattering_airmass,
    separation,
    surface_magnitude,
)


def test_nanolamberts():
    """Their dark zenith: 79.0 nL are V = 21.587."""
    assert_allclose(nanolambert(21.587), 79.0, rtol=1e-3)
    assert_allclose(surface_magnitude(nanolambert([18.0, 22.0])), [18, 22])
    assert np.isnan(surface_magnitude([0.0, -1.0])).all()


def test_dark_sky():
    assert_allclose(surface_magnitude(dark_sky([0] * u.deg, 21.7, 0.15)), 21.7)
    x = 1 / np.sqrt(1 - 0.96 * 0.75)
    expected = 21.7 - 2.5 * np.log10(x) + 0.15 * (x - 1)
    assert_allclose(surface_magnitude(dark_sky([60] * u.deg, 21.7, 0.15)), expected, rtol=1e-6)
    assert_allclose(scattering_airmass([90, 120] * u.deg), 5)


def test_moonlight_by_hand():
    """Full Moon in the zenith, 60 deg from it, their k of 0.172."""
    f = 10**5.36 * (1.06 + 0.25) + 10 ** (6.15 - 1.5)
    illuminance = 10 ** (-0.4 * 3.84)
    k = 0.172
    expected = f * illuminance * 10 ** (-0.4 * k) * (1 - 10 ** (-0.4 * k / np.sqrt(0.28)))
    found = moonlight([60] * u.deg, [60] * u.deg, 0 * u.deg, 0 * u.deg, k)
    assert_allclose(found, expected)
    # three magnitudes brighter than their dark sky there
    dark = dark_sky([60] * u.deg, 21.587, k)
    change = -2.5 * np.log10((found + dark) / dark)
    assert -3.5 < change[0] < -2.5


def test_moon_below_the_horizon_gives_nothing():
    assert not moonlight([10, 60] * u.deg, [95, 95] * u.deg, 91 * u.deg, 0 * u.deg, 0.2).any()


def test_crescent_is_faint():
    """At 90 deg of phase an eleventh of the full Moon: 2.6 mag."""
    full, half = (
        moonlight([30] * u.deg, [50] * u.deg, 40 * u.deg, a * u.deg, 0.2) for a in (0, 90)
    )
    assert_allclose(-2.5 * np.log10(half / full), 0.026 * 90 + 4e-9 * 90**4)


def test_separation():
    assert_allclose(
        separation([90, 0] * u.deg, [90, 30] * u.deg, 0 * u.deg, 90 * u.deg).value, [90, 60]
    )

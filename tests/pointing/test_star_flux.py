"""Photons of stars: zero points by hand, colour, extinction, limits."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.pointing.star_flux import (
    band_photons,
    camera_magnitude,
    effective_wavelength,
    photon_flux,
)


def test_a_star_of_magnitude_zero_has_a_thousand_photons():
    """363.1e-11 erg/(cm² s Å) over 3.645e-12 erg: 996 photons per cm², s and Å at 545 nm."""
    flux = photon_flux(0.0, 0.0, [545] * u.nm)
    assert flux.to_value(1 / (u.cm**2 * u.s * u.AA))[0] == pytest.approx(996, abs=1)
    assert photon_flux(5.0, 0.0, [545] * u.nm)[0] == flux[0] / 100


def test_colour_is_that_of_b_and_v():
    """At 438 nm the magnitude is B, at 545 nm V."""
    white, red = (photon_flux(3.0, bv, [438, 545] * u.nm).value for bv in (0.0, 1.5))
    assert white[0] / red[0] == pytest.approx(10 ** (0.4 * 1.5))
    assert white[1] == red[1]
    assert camera_magnitude(3.0, 1.5, 438 * u.nm) == pytest.approx(4.5)
    assert camera_magnitude(3.0, 1.0) == pytest.approx(3 + 1.218, abs=1e-3)


def test_band_by_hand():
    """About 1e8 photons per m², s and nm, in 300 nm; the coarse sum is that of a fine one."""
    bare = band_photons(0.0, 0.0, 90 * u.deg, 0.0).value
    at = np.linspace(300, 600, 3001)
    fine = photon_flux(0.0, 0.0, at * u.nm).value
    assert bare == pytest.approx(np.trapezoid(fine, at), rel=2e-3)
    assert bare == pytest.approx(3.1e10, rel=0.05)
    low, high = (band_photons(0.0, 0.0, a * u.deg, 0.3).value for a in (30, 90))
    assert 0.75 < low / high < 0.9


def test_extinction_of_one_wavelength():
    """Twice the air, twice the magnitudes: at 30 deg the air mass is 1.9943."""
    colours = np.array([0.0, 1.5])
    thin = -np.log(
        band_photons(0.0, colours, 90 * u.deg, 1e-4) / band_photons(0.0, colours, 90 * u.deg, 0)
    )
    thick = -np.log(
        band_photons(0.0, colours, 30 * u.deg, 1e-4) / band_photons(0.0, colours, 30 * u.deg, 0)
    )
    np.testing.assert_allclose(thick / thin, 1.9943 / 0.99971, rtol=1e-3)


def test_red_stars_and_low_stars_have_longer_waves():
    blue, red, low = (
        effective_wavelength(bv, a * u.deg).to_value(u.nm)
        for bv, a in ((0.0, 80), (1.5, 80), (0.0, 20))
    )
    assert 440 < blue < red < 540
    assert blue < low


def test_band_of_the_zero_points():
    with pytest.raises(ConfigurationError, match="known from 300 to 641 nm"):
        photon_flux(0.0, 0.0, [250] * u.nm)

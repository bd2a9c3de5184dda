"""Earth's field across the pointing, by hand."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.throughput.geomagnetic_field import GeomagneticField, site_field, transverse_field

PLAIN = GeomagneticField(50 * u.uT, 30 * u.deg, 0 * u.deg)  # 43.30 to the North, 25 down


@pytest.mark.parametrize(
    ("altitude", "azimuth", "expected"),
    [
        (90, 0, (0, -43.30)),  # y is South
        (90, 90, (-43.30, 0)),  # x is South
        (0, 0, (0, -25)),  # to the northern horizon: y is up
        (0, 90, (-43.30, -25)),  # to the eastern one: x is South
        (30, 180, (0, 0)),  # along the field, where it comes from
        (60, 0, (0, -50)),  # across it
    ],
)
def test_by_hand(altitude, azimuth, expected):
    found = transverse_field(PLAIN, altitude * u.deg, azimuth * u.deg)
    np.testing.assert_allclose(found.to_value(u.uT), expected, atol=0.005)


def test_declination_turns_with_the_azimuth():
    turned = GeomagneticField(50 * u.uT, 30 * u.deg, 12 * u.deg)
    found = transverse_field(turned, 50 * u.deg, 112 * u.deg)
    expected = transverse_field(PLAIN, 50 * u.deg, 100 * u.deg)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)


def test_never_more_than_the_field():
    rng = np.random.default_rng(1)
    altitude, azimuth = rng.uniform(0, 90, 1000), rng.uniform(0, 360, 1000)
    across = np.hypot(*transverse_field(PLAIN, altitude * u.deg, azimuth * u.deg))
    assert across.shape == (1000,)
    assert (across <= 50 * u.uT).all()


def test_sites():
    """La Palma: 30.9 µT to the horizon, 23.4 µT down; Paranal half as strong, upwards."""
    north, south = site_field("CTAO-North"), site_field("CTAO-South")
    horizontal = (north.strength * np.cos(north.inclination)).to_value(u.uT)
    assert horizontal == pytest.approx(30.91, abs=0.01)
    down = (north.strength * np.sin(north.inclination)).to_value(u.uT)
    assert down == pytest.approx(23.41, abs=0.01)
    assert south.inclination < 0
    with pytest.raises(
        ConfigurationError, match="at Mount Graham is not known, only at CTAO-North"
    ):
        site_field("Mount Graham")

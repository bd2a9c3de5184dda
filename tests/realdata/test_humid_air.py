"""What GFS means by relative humidity, found in its own fields: 2 m humidity given twice."""

import astropy.units as u
import eccodes
import numpy as np
import pytest

from calibpipe.atmosphere.humid_air import saturation_vapour_pressure, water_vapour_mole_fraction

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def implied(shared_data):
    """Temperature (K) and saturation pressure (Pa) that GFS must have used, global, 2 m."""
    fields = {}
    with (shared_data / "meteo/gfs_global_2p5deg_2011-01-15.grib2").open("rb") as stream:
        while (message := eccodes.codes_grib_new_from_file(stream)) is not None:
            name = eccodes.codes_get(message, "shortName")
            if name in ("2t", "2r", "2sh", "sp"):
                fields[name] = eccodes.codes_get_values(message)
            eccodes.codes_release(message)
    humidity = fields["2r"] / 100
    vapour = water_vapour_mole_fraction(fields["2sh"]).value * fields["sp"]
    # Bounds of 1 and 100 % are clipped in GFS; packing spoils the driest.
    usable = (humidity > 0.05) & (humidity < 0.99) & (fields["2sh"] > 1e-5)
    return fields["2t"][usable], vapour[usable] / humidity[usable]


@pytest.mark.parametrize(
    ("low", "high"), [(235, 245), (245, 253), (253, 258), (258, 263), (263, 268), (268, 273)]
)
def test_gfs_divides_by_its_mixed_phase(implied, low, high):
    """The assumption of 1 % holds in every range of temperature; the other rules do not."""
    temperature, saturation = implied
    chosen = (temperature >= low) & (temperature < high)
    assert chosen.sum() > 100

    def departure(over):
        expected = saturation_vapour_pressure(temperature[chosen] * u.K, over).value
        return abs(np.median(saturation[chosen] / expected) - 1)

    assert departure("gfs") < 0.01
    if low >= 253:
        assert departure("ice") > 0.01
    if high <= 268:
        assert departure("water") > 0.02

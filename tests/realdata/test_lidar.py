"""PollyXT at Mindelo (Cabo Verde), 2021-09-17: dust up to 5.5 km under a cirrus."""

import astropy.units as u
import numpy as np
import pytest
from lidar_sky import us_standard

from calibpipe.atmosphere.lidar_night import lidar_night
from calibpipe.atmosphere.lidar_settings import RetrievalSettings
from calibpipe.atmosphere.lidar_transmission import angstrom_exponent
from calibpipe.core.exceptions import CorruptedInputError
from calibpipe.core.lidar_files import read_lidar_files

pytestmark = pytest.mark.realdata

FILE = "lidar/2021_09_17_Fri_CPV_00_00_31_att_bsc.nc"


@pytest.fixture(scope="module")
def data(shared_data):
    return read_lidar_files([shared_data / FILE])


def processed(data, **settings):
    ranges = RetrievalSettings(
        full_overlap=400 * u.m,
        reference=(6 * u.km, 12 * u.km),
        layer_search=(6.5 * u.km, 18 * u.km),
        **settings,
    )
    (result,) = lidar_night(data, us_standard(), 412e-6, ranges, 600.0, 60.0, 0.0)
    return result


def test_file_is_understood(data):
    assert [c.emitted.value for c in data.channels] == [355, 532, 1064]
    assert {c.mode for c in data.channels} == {"attenuated_backscatter"}
    assert len(data.times) == 20
    assert data.times[0].isot.startswith("2021-09-17T00:00:1")
    np.testing.assert_allclose(np.diff(data.times.unix), 30.0, atol=1e-3)
    assert data.altitude == 25 * u.m


def test_dust_and_its_angstrom_exponent(data):
    """Absolute calibration of PollyXT (10 %) at 6 km, above the dust."""
    result = processed(data, calibration=1.0, calibration_error=0.1)
    above = np.searchsorted(result.altitude.to_value(u.m), 7000)
    depth = [result.retrievals[w].optical_depth[0, above] for w in (355, 532)]
    for value in depth:
        assert 0.2 < value < 1.2  # dust outbreaks over Cabo Verde in summer: AERONET 0.2 to 1.2
    exponent, _ = angstrom_exponent(depth, (0.05, 0.05), (355 * u.nm, 532 * u.nm))
    assert -0.2 < exponent < 0.6  # desert dust


def test_inversion_and_calibration_agree(data):
    """Two ways to the depth of the dust: the inversion assumes 50 sr, the calibration none."""
    first, second = processed(data), processed(data, calibration=1.0, calibration_error=0.1)
    above = np.searchsorted(first.altitude.to_value(u.m), 7000)
    for wavelength in (355, 532):
        a, b = (r.retrievals[wavelength] for r in (first, second))
        error = np.hypot(a.sys_error[0, above], b.sys_error[0, above])
        assert abs(a.optical_depth[0, above] - b.optical_depth[0, above]) < 2.0 * error


def test_cirrus_is_at_the_same_height_in_all_colours(data):
    result = processed(data)
    for wavelength in (532, 1064):
        found = result.retrievals[wavelength].layers
        height = result.altitude.to_value(u.m)
        assert 12200 < height[found.base[0]] < 12900
    green = result.retrievals[532]
    assert 12900 < result.altitude.to_value(u.m)[green.layers.top[0]] < 13600


def test_infrared_is_too_weak_for_the_molecules(data):
    found = processed(data).retrievals[1064]
    assert np.isnan(found.optical_depth).all()
    assert found.clear.status[0] == "signal too weak for a Rayleigh fit"


def test_other_products_of_the_instrument_are_refused(shared_data):
    path = shared_data / "lidar/2021_09_17_Fri_CPV_00_00_31_vol_depol.nc"
    with pytest.raises(CorruptedInputError, match="has neither Raw_Lidar_Data"):
        read_lidar_files([path])


def test_cut_off_file_is_refused(shared_data, tmp_path):
    path = tmp_path / "cut.nc"
    path.write_bytes((shared_data / FILE).read_bytes()[:900000])
    with pytest.raises(CorruptedInputError, match="no readable LIDAR netCDF"):
        read_lidar_files([path])

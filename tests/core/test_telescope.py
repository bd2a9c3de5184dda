"""Array elements and subarrays: of ctapipe-io-zfits, or of service data."""

import json

import astropy.units as u
import numpy as np
import pytest

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.telescope import (
    array_element,
    array_element_id,
    subarray_of,
    telescope_subarray,
)

NO_SERVICE_DATA = "CTAPIPE_IO_ZFITS_NO_SERVICE_DATA"


@pytest.mark.parametrize(
    ("tel_id", "name"), [(1, "LSTN-01"), (5, "MSTN-01"), (101, "LSTS-01"), (105, "MSTS-01")]
)
def test_names_and_numbers(tel_id, name):
    assert array_element(tel_id) == name
    assert array_element_id(name) == tel_id


def test_array_elements_that_there_are_not():
    with pytest.raises(ConfigurationError, match="no array element 99, only 1 to 183"):
        array_element(99)
    with pytest.raises(ConfigurationError, match="no array element LSTN-05"):
        array_element_id("LSTN-05")


@pytest.mark.parametrize(("tel_ids", "subarray_id"), [([1], 1), ([2], 2), ([3, 1], 2)])
def test_smallest_subarray(tel_ids, subarray_id):
    found, subarray = subarray_of(tel_ids)
    assert found == subarray_id
    assert set(tel_ids) <= set(subarray.tel)


@pytest.mark.parametrize("tel_ids", [[5], [1, 5], [101]])
def test_telescopes_without_a_description(tel_ids):
    with pytest.raises(ConfigurationError, match=r"cannot be described.*set CTAPIPE_SVC_PATH"):
        subarray_of(tel_ids)


@pytest.fixture
def service_data(tmp_path, monkeypatch, north):
    """LSTs of the North as if they came from the observatory; the MSTs have the same camera."""
    from ctapipe.instrument import SubarrayDescription, TelescopeDescription

    from calibpipe.simulation import service_data

    def large(paths, camera):
        lst = subarray_of([1])[1].tel[1]
        return TelescopeDescription("MST", lst.optics, lst.camera)

    monkeypatch.setattr(service_data, "telescope_description", large)
    subarray = service_data.site_subarray(north, ["a simulation"])
    assert isinstance(subarray, SubarrayDescription)
    service_data.write_service_data(tmp_path, subarray)
    monkeypatch.setenv("CTAPIPE_SVC_PATH", f"/nowhere:{tmp_path}")
    monkeypatch.delenv(NO_SERVICE_DATA, raising=False)
    return tmp_path, subarray


def test_subarrays_of_service_data(service_data):
    """Those of ctapipe-io-zfits keep their numbers; others have all telescopes, and one."""
    _, written = service_data
    for tel_ids, subarray_id in ([[1], 1], [[2, 3], 2], [[5, 6], 3], [[1, 5], 100], [[19], 1019]):
        found, subarray = subarray_of(tel_ids)
        assert found == subarray_id
        for tel_id in tel_ids:
            assert subarray.tel[tel_id].name == array_element(tel_id)
            assert subarray.tel[tel_id].optics == written.tel[tel_id].optics
            one, other = (s.tel[tel_id].camera for s in (subarray, written))
            assert one.readout == other.readout
            np.testing.assert_allclose(one.geometry.pix_x, other.geometry.pix_x)
            assert one.geometry.frame.focal_length == other.geometry.frame.focal_length


def test_positions_of_service_data_are_those_of_the_bundle(service_data, monkeypatch):
    """On the ground, as ctapipe takes them, whereas those of the bundle are on the Earth."""
    _, by_service_data = subarray_of([1, 4])
    monkeypatch.setenv(NO_SERVICE_DATA, "1")
    _, bundled = subarray_of([1, 4])
    for tel_id in bundled.tel:
        difference = by_service_data.positions[tel_id] - bundled.positions[tel_id]
        assert np.all(np.abs(difference) < 1 * u.mm)
    reference = by_service_data.reference_location.geodetic
    assert reference.lat.deg == pytest.approx(bundled.reference_location.geodetic.lat.deg, abs=1e-6)


def test_service_data_that_are_forbidden_or_incomplete(service_data, monkeypatch):
    folder, _ = service_data
    assert telescope_subarray(5).name == "MSTN-01"
    subarrays = folder / "subarray-ids.json"
    content = json.loads(subarrays.read_text())
    content["subarrays"] = [about for about in content["subarrays"] if about["id"] == 1]
    subarrays.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match="telescopes 5 cannot be described"):
        telescope_subarray(5)
    monkeypatch.setenv(NO_SERVICE_DATA, "yes")
    assert telescope_subarray(2).name == "LSTN-02"

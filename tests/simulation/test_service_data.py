"""Service data of simulated telescopes: which there are, and that files of others are kept."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import astropy.units as u
import numpy as np
import pytest
from ctapipe.instrument import TelescopeDescription

from calibpipe.core.telescope import array_element, subarray_of
from calibpipe.simulation import service_data
from calibpipe.simulation.service_data import site_subarray, subarray_number, write_service_data


@pytest.fixture
def described(monkeypatch):
    """MSTs of a site have the camera of an LST; the names that were asked for."""
    asked = []

    def large(paths, camera):
        asked.append((list(paths), camera))
        lst = subarray_of([1])[1].tel[1]
        return TelescopeDescription("MST", lst.optics, lst.camera)

    monkeypatch.setattr(service_data, "telescope_description", large)
    return asked


def test_telescopes_of_each_site(described, north, south):
    for site, letter, n_large, n_medium in ((north, "N", 4, 15), (south, "S", 4, 14)):
        subarray = site_subarray(site, ["file"])
        names = [telescope.name for telescope in subarray.tel.values()]
        assert all(array_element(t) == telescope.name for t, telescope in subarray.tel.items())
        assert sum(name.startswith(f"LST{letter}") for name in names) == n_large
        assert sum(name.startswith(f"MST{letter}") for name in names) == n_medium
        place = subarray.reference_location.geodetic
        assert place.lat.deg == pytest.approx(site.latitude.to_value(u.deg), abs=0.01)
        assert place.height.to_value(u.m) == pytest.approx(site.elevation.to_value(u.m), abs=20)
    assert described == [(["file"], "NectarCam"), (["file"], "FlashCam")]


def test_no_two_telescopes_in_one_place(described, north, south):
    for site in (north, south):
        positions = u.Quantity(list(site_subarray(site, []).positions.values())).to_value(u.m)
        distance = np.linalg.norm(positions[:, np.newaxis] - positions, axis=-1)
        assert distance[~np.eye(len(positions), dtype=bool)].min() > 50


def test_numbers_of_subarrays(described, north, south):
    subarray = site_subarray(north, [])
    wanted = {(1,): 1, (2, 4): 2, (5, 9): 3, (1, 5): 100, (19,): 1019}
    assert {key: subarray_number(subarray, key) for key in wanted} == wanted
    assert subarray_number(site_subarray(south, []), [101, 105]) == 200


def test_written_again_over_itself(described, north, tmp_path):
    """Tables of a kind of telescope are there once; every telescope has links to them."""
    for _ in range(2):
        write_service_data(tmp_path, site_subarray(north, []))
    own = [path for path in tmp_path.glob("array-elements/*/*") if not path.is_symlink()]
    assert {path.name[:4] for path in own} == {"LSTN", "MSTN"}
    assert len(own) == 6
    link = tmp_path / "array-elements/005/005.camgeom.fits.gz"
    assert link.resolve() == tmp_path / "array-elements/MSTN/MSTN.camgeom.fits.gz"
    assert len(list(tmp_path.glob("array-elements/*/*"))) == 6 + 3 * 19

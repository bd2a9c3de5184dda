"""Table of rings: ctapipe's names and reader, each ring once, ctapipe's own tables."""

import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time
from ctapipe.containers import (
    MuonEfficiencyContainer,
    MuonParametersContainer,
    MuonRingContainer,
)
from ctapipe.io import read_table
from ctapipe.io.hdf5dataformat import DL1_TEL_MUON_GROUP

from calibpipe.core.exceptions import CorruptedInputError
from calibpipe.core.products import ProductMetadata
from calibpipe.core.telescope_file import read_telescope_table, write_telescope_tables
from calibpipe.throughput.muon_ring_table import (
    RING_COLUMNS,
    ring_table,
    rings_of_ctapipe,
    rings_of_table,
)
from calibpipe.throughput.muon_rings import RingCuts, muon_rings

T0 = 1.78e9
RATIO = 0.9549
METADATA = ProductMetadata("throughput/muon_rings", "test", category="B", details={"obs_id": 3})


@pytest.fixture(scope="module")
def batches(lst, photon_images):
    """Two batches of four and three images, the last one without light."""
    rng = np.random.default_rng(9)
    image, _ = photon_images(7, rng, impact=5.0, impact_phi=rng.uniform(-3, 3, 7), x=0.3, y=-0.4)
    image[6] = rng.standard_normal(image.shape[1])
    found = []
    for rows in (np.arange(4), np.arange(4, 7)):
        nothing = np.zeros((rows.size, image.shape[1]), bool)
        columns = muon_rings(
            image[rows], nothing, nothing, lst.camera, lst.mirror, RingCuts(), spe_width=0.47
        )
        columns |= {"event_id": rows + 10, "time": T0 + rows, "peak_time": np.full(rows.size, 18.0)}
        found.append(columns)
    return found


def made(batches, obs_id=3):
    return ring_table(batches, obs_id=obs_id, tel_id=1, area_ratio=RATIO)


def joined(batches, name):
    return np.concatenate([batch[name] for batch in batches])


def test_columns_are_those_of_ctapipe(batches):
    """Names as ``ctapipe-process`` writes them, prefix and field; what it has not is told here."""
    table, _ = made(batches)
    containers = (MuonRingContainer, MuonParametersContainer, MuonEfficiencyContainer)
    theirs = {f"{kind.default_prefix}_{field}" for kind in containers for field in kind().fields}
    ours = {name for name in table.colnames if name.startswith("muon")}
    assert ours <= theirs
    needed = {"radius", "center_fov_lon", "center_fov_lat", "center_phi", "center_distance"}
    assert {f"muonring_{name}" for name in needed} <= ours
    assert theirs - ours <= {
        *(f"muonparameters_{name}" for name in MuonParametersContainer().fields),
        *("muonring_center_phi_err", "muonring_center_distance_err"),
    }
    units = {
        f"{kind.default_prefix}_{name}": field.unit
        for kind in containers
        for name, field in kind().fields.items()
        if field.unit is not None
    }
    for name in ours & set(units):
        assert table[name].unit.is_equivalent(units[name]), name
    assert set(RING_COLUMNS) <= set(table.colnames)


def test_values(batches):
    table, details = made(batches)
    x, y = joined(batches, "x")[:6], joined(batches, "y")[:6]
    np.testing.assert_array_equal(table["event_id"], np.arange(10, 17))
    np.testing.assert_array_equal(table["obs_id"], 3)
    np.testing.assert_allclose(table["time"].unix_tai, T0 + np.arange(7), atol=1e-6)
    np.testing.assert_allclose(table["muonring_center_distance"].value[:6], np.hypot(x, y))
    np.testing.assert_allclose(table["muonring_center_phi"].to_value("rad")[:6], np.arctan2(y, x))
    b = np.stack([joined(batches, "impact_x"), joined(batches, "impact_y")], axis=1)[:6]
    impact = np.hypot(*b.T)
    np.testing.assert_allclose(table["muonefficiency_impact"].value[:6], impact)
    covariance = joined(batches, "covariance")[:6]
    slope = b / impact[:, None]
    error = np.sqrt(np.einsum("ri,rij,rj->r", slope, covariance[:, 4:6, 4:6], slope))
    np.testing.assert_allclose(table["impact_stat_error"].value[:6], error)
    for name, k in (("throughput_stat_error", 6), ("width_stat_error", 3)):
        np.testing.assert_allclose(np.asarray(table[name])[:6], np.sqrt(covariance[:, k, k]))
    np.testing.assert_allclose(table["muonring_radius_err"].value[:6], np.sqrt(covariance[:, 2, 2]))
    np.testing.assert_allclose(details["covariance"][:6], covariance, rtol=1e-6)
    assert details["sector_residual"].shape == details["sector_light"].shape == (7, 12)
    np.testing.assert_array_equal(details["event_id"], table["event_id"])
    assert table["rejection"][6] > 0
    assert np.isnan(table["throughput"][6])


def test_throughput_as_ctapipe_would_find_it(batches):
    """Of the light behind the air, with its area of a pixel."""
    changed = [batch | {"transmission": np.full(len(batch["x"]), 0.98)} for batch in batches]
    table, _ = made(changed)
    expected = joined(batches, "throughput") * 0.98 * RATIO
    np.testing.assert_allclose(table["muonefficiency_optical_efficiency"], expected)
    np.testing.assert_array_equal(
        table["muonefficiency_is_valid"], joined(batches, "has_converged")
    )


@pytest.mark.parametrize("empty", [False, True])
def test_file_is_read_by_ctapipe(lst, batches, tmp_path, empty):
    """With rows and without."""
    table, details = made([] if empty else batches)
    path = tmp_path / "rings.h5"
    group = "/calibpipe/throughput/muon_ring_details"
    tables = {DL1_TEL_MUON_GROUP: table, group: details}
    write_telescope_tables(path, lst.subarray, 1, tables, METADATA)
    found = read_table(path, f"{DL1_TEL_MUON_GROUP}/tel_001")
    assert found.colnames == table.colnames
    assert len(found) == (0 if empty else 7)
    if not empty:
        for name in table.colnames:
            if name == "time":
                np.testing.assert_allclose(
                    found["time"].unix_tai, table["time"].unix_tai, atol=1e-6
                )
            else:
                np.testing.assert_array_equal(
                    np.asarray(found[name]), np.asarray(table[name]), err_msg=name
                )
                assert found[name].unit == table[name].unit
    some = read_telescope_table(path, DL1_TEL_MUON_GROUP, 1, "muon rings", RING_COLUMNS)
    assert set(some.colnames) == set(RING_COLUMNS)
    rings = rings_of_table([some])
    assert len(rings) == (0 if empty else 6)
    assert some.meta["calibpipe"]["obs_id"] == 3


def test_rings_that_count(batches):
    """Not the one without light."""
    table, _ = made(batches)
    rings = rings_of_table([table])
    np.testing.assert_array_equal(rings.event_id, np.arange(10, 16))
    np.testing.assert_allclose(rings.throughput, joined(batches, "throughput")[:6])
    np.testing.assert_allclose(rings.inclination, 0.5, atol=0.02)
    np.testing.assert_allclose(rings.ctapipe_throughput, rings.throughput * RATIO)


def test_a_ring_counts_once(batches):
    """Tables that overlap; the same number in another observation is another ring."""
    table, _ = made(batches)
    other, _ = made(batches[:1], obs_id=4)
    rings = rings_of_table([table, other, table[2:5], other])
    assert len(rings) == 6 + 4
    assert (np.diff(rings.time) >= 0).all()
    assert len(set(zip(rings.obs_id, rings.event_id, strict=True))) == 10
    assert len(rings.chosen(slice(2, 5))) == 3


def test_no_rings_at_all():
    table, details = made([])
    assert len(table) == len(details) == 0
    assert len(rings_of_table([table, table])) == 0


def ctapipe_table(**changes):
    n = 6
    columns = {
        "obs_id": np.full(n, 3),
        "event_id": np.arange(n),
        "time": Time(T0 - np.arange(6.0), format="unix_tai", scale="tai"),
        "muonring_radius": np.full(n, 1.2),
        "muonring_center_distance": np.full(n, 0.3),
        "muonefficiency_optical_efficiency": np.array([0.19, 0.2, np.nan, 0.2, 0.2, 0.2]),
        "muonefficiency_width": np.full(n, 0.05),
        "muonefficiency_impact": np.full(n, 5.0),
        "muonefficiency_is_valid": np.array([1, 1, 1, 0, 1, 1], bool),
        "muonefficiency_parameters_at_limit": np.array([0, 0, 0, 0, 1, 0], bool),
    } | changes
    return Table({name: values for name, values in columns.items() if values is not None})


def test_rings_of_ctapipe():
    """Absolute by its area; NaN, invalid ones and those at a limit are left out."""
    rings = rings_of_ctapipe(ctapipe_table(), RATIO)  # not in the order of time
    np.testing.assert_array_equal(rings.event_id, [5, 1, 0])
    np.testing.assert_allclose(rings.throughput, np.array([0.2, 0.2, 0.19]) / RATIO)
    np.testing.assert_allclose(rings.ctapipe_throughput, [0.2, 0.2, 0.19])
    np.testing.assert_allclose(rings.inclination, 0.3)
    assert np.isnan([rings.stat_error, rings.photons, rings.transmission]).all()
    twice = ctapipe_table(event_id=np.array([1, 1, 2, 3, 4, 5]))
    assert len(rings_of_ctapipe(twice, RATIO)) == 2


@pytest.mark.parametrize("name", ["muonring_center_distance", "muonefficiency_width", "obs_id"])
def test_tables_that_lack_a_column(name):
    with pytest.raises(CorruptedInputError, match=f"no column {name}"):
        rings_of_ctapipe(ctapipe_table(**{name: None}), RATIO)


def test_times_are_tai(batches):
    table, _ = made(batches)
    assert isinstance(table["time"], Time)
    assert table["time"].scale == "tai"

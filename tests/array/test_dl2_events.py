"""Events of DL2 files: the same rows as ctapipe's own reader, and what is refused."""

import shutil

import numpy as np
import pytest
import tables
from astropy.time import Time
from ctapipe.io import TableLoader, read_table

from calibpipe.array.dl2_events import check_events, read_events
from calibpipe.array.pointing import read_pointing, row_altitude
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    MissingInputError,
)
from calibpipe.simulation.array_layout import array_subarray
from calibpipe.simulation.dl2 import array_truth, write_dl2

ENERGY = "RandomForestRegressor_tel_energy"
VALID = "RandomForestRegressor_tel_is_valid"
IMPACT = "HillasReconstructor_tel_impact_distance"
H_MAX = "HillasReconstructor_h_max"
COLUMNS = [ENERGY, VALID, IMPACT, "hillas_intensity", H_MAX]
START = Time("2024-07-10T23:00:00", scale="utc")
TRIGGER = "/dl1/event/subarray/trigger"
ENERGIES = "/dl2/event/telescope/energy/RandomForestRegressor"


@pytest.fixture
def copy(dl2_file, tmp_path):
    """A copy of the file, open for damage."""

    def made(name="copy.h5"):
        path = tmp_path / name
        shutil.copy(dl2_file.path, path)
        return path

    return made


def rewrite(path, node, rows):
    """Replace the rows of a table."""
    with tables.open_file(path, "a") as h5file:
        table = h5file.get_node(node)
        attributes = {name: table.attrs[name] for name in table.attrs._v_attrnamesuser}
        parent, name = node.rsplit("/", 1)
        h5file.remove_node(node)
        new = h5file.create_table(parent, name, obj=np.ascontiguousarray(rows))
        for key, value in attributes.items():
            new.attrs[key] = value


def rows_of(path, node):
    with tables.open_file(path) as h5file:
        return h5file.get_node(node).read()


@pytest.mark.parametrize("chunk_size", [100_000, 333])
def test_same_rows_as_the_table_loader_of_ctapipe(dl2_file, chunk_size):
    chunks = list(read_events([dl2_file.path], COLUMNS, chunk_size=chunk_size))
    tel_ids = dl2_file.truth.tel_ids
    assert sum(len(chunk.event) for chunk in chunks) == dl2_file.n_rows
    with TableLoader(dl2_file.path) as loader:
        for place, tel_id in enumerate(tel_ids):
            table = loader.read_telescope_events([tel_id], dl2=True, dl1_parameters=True)
            own = [chunk.telescope == place for chunk in chunks]
            event_id = np.concatenate(
                [c.event_id[c.event[o]] for c, o in zip(chunks, own, strict=True)]
            )
            order = np.argsort(table["event_id"])
            np.testing.assert_array_equal(event_id, np.asarray(table["event_id"])[order])
            for name in COLUMNS:
                found = np.concatenate(
                    [c.columns[name][o] for c, o in zip(chunks, own, strict=True)]
                )
                np.testing.assert_array_equal(found, np.asarray(table[name])[order])


def test_rows_of_an_event_are_together_by_ascending_telescope(dl2_file):
    (chunk,) = read_events([dl2_file.path], [ENERGY])
    assert np.all(np.diff(chunk.first) >= 2)  # stereo
    np.testing.assert_array_equal(chunk.event, np.repeat(np.arange(2000), np.diff(chunk.first)))
    ascending = np.diff(chunk.telescope) > 0
    new_event = np.diff(chunk.event) > 0
    assert np.all(ascending | new_event)
    assert chunk.units[ENERGY] == "TeV"


def test_numbers_beyond_2_to_53_are_matched_exactly(dl2_file):
    (chunk,) = read_events([dl2_file.path], [ENERGY])
    assert chunk.event_id[0] == 2**53 + 1  # no float has this number
    np.testing.assert_array_equal(np.diff(chunk.event_id), 1)
    assert float(chunk.event_id[0]) != int(chunk.event_id[0])


def test_times_are_those_of_ctapipe(dl2_file):
    (chunk,) = read_events([dl2_file.path], [ENERGY])
    times = read_table(dl2_file.path, TRIGGER)["time"].unix_tai
    np.testing.assert_allclose(chunk.time, times, rtol=0, atol=3e-7)  # what a float64 holds


def test_a_row_that_another_table_lacks_is_nan_and_not_valid(copy):
    path = copy()
    node = "/dl1/event/telescope/parameters/tel_001"
    rows = rows_of(path, node)
    rewrite(path, node, np.delete(rows, 5))
    energies = rows_of(path, f"{ENERGIES}/tel_001")
    rewrite(path, f"{ENERGIES}/tel_002", rows_of(path, f"{ENERGIES}/tel_002"))
    (chunk,) = read_events([path], [ENERGY, "hillas_intensity"])
    own = chunk.telescope == 0
    missing = np.isnan(chunk.columns["hillas_intensity"][own])
    np.testing.assert_array_equal(np.flatnonzero(missing), [5])
    np.testing.assert_array_equal(chunk.columns[ENERGY][own], energies[ENERGY])
    (chunk,) = read_events([path], ["hillas_intensity", VALID])
    assert np.count_nonzero(chunk.telescope == 0) == len(rows) - 1
    assert chunk.columns[VALID].dtype == bool


def test_flag_of_a_telescope_without_the_table_is_false(copy):
    path = copy()
    with tables.open_file(path, "a") as h5file:
        h5file.remove_node(f"{ENERGIES}/tel_001")
    (chunk,) = read_events([path], ["hillas_intensity", VALID, ENERGY])
    own = chunk.telescope == 0
    assert own.any()
    assert not chunk.columns[VALID][own].any()
    assert np.isnan(chunk.columns[ENERGY][own]).all()
    assert chunk.columns[VALID][~own].mean() > 0.9


def test_file_given_twice_is_refused_with_the_event(dl2_file, copy):
    with pytest.raises(CorruptedInputError, match=f"2000 events are there twice.*{2**53 + 1}"):
        check_events([dl2_file.path, copy()])


def test_event_twice_in_a_file_is_refused(copy):
    path = copy()
    rows = rows_of(path, TRIGGER)
    rewrite(path, TRIGGER, np.append(rows, rows[17]))
    with pytest.raises(CorruptedInputError, match=rf"1 events .* event {rows['event_id'][17]} "):
        check_events([path])


def test_unsorted_numbers_are_no_duplicates(copy):
    path = copy()
    rows = rows_of(path, TRIGGER)
    rewrite(path, TRIGGER, rows[::-1])
    assert len(check_events([path]).tel_ids) == 13


def test_row_of_a_telescope_twice_is_refused(copy):
    path = copy()
    rows = rows_of(path, f"{ENERGIES}/tel_003")
    rewrite(path, f"{ENERGIES}/tel_003", np.insert(rows, 9, rows[8]))
    with pytest.raises(CorruptedInputError, match=r"row 9 of .*tel_003.*is there twice"):
        list(read_events([path], [ENERGY]))


def test_rows_in_another_order_are_refused(copy):
    path = copy()
    rewrite(path, f"{ENERGIES}/tel_003", rows_of(path, f"{ENERGIES}/tel_003")[::-1])
    with pytest.raises(CorruptedInputError, match=r"tel_003.*ctapipe-merge"):
        list(read_events([path], [ENERGY]))


def test_missing_reconstructor_names_those_that_are_there(dl2_file):
    with pytest.raises(MissingInputError, match="energy of RandomForestRegressor"):
        list(read_events([dl2_file.path], ["ExtraTrees_tel_energy"]))


def test_other_subarrays_are_refused(dl2_file, north, south, tmp_path):
    options = {"obs_id": 8, "start": START, "alt_in_deg": 70, "az_in_deg": 0}
    rng = np.random.default_rng(2)
    subarray = array_subarray(north, numbers={"LSTN": 4})
    few = tmp_path / "few.h5"
    write_dl2(few, subarray, array_truth(subarray, rng), n_events=20, rng=rng, **options)
    with pytest.raises(ConfigurationError, match="telescopes 5, 6, 7"):
        check_events([dl2_file.path, few])
    moved = tmp_path / "moved.h5"
    shutil.copy(dl2_file.path, moved)
    with tables.open_file(moved, "a") as h5file:
        layout = h5file.root.configuration.instrument.subarray.layout
        column = layout.cols.pos_x[:]
        column[4] += 0.5
        layout.cols.pos_x[:] = column
    with pytest.raises(ConfigurationError, match="telescope 5 is another type or stands"):
        check_events([dl2_file.path, moved])


def test_files_that_are_no_dl2(dl2_file, tmp_path):
    with pytest.raises(MissingInputError, match="no DL2 files"):
        check_events([])
    with pytest.raises(MissingInputError, match="does not exist"):
        check_events([tmp_path / "none.h5"])
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    with pytest.raises(CorruptedInputError, match="no HDF5 file"):
        check_events([text])
    empty = tmp_path / "empty.h5"
    tables.open_file(empty, "w").close()
    with pytest.raises(CorruptedInputError, match="does not describe its telescopes"):
        check_events([empty])
    with pytest.raises(ConfigurationError, match="column of array events"):
        list(read_events([dl2_file.path], [H_MAX]))


def test_altitude_of_the_pointing_at_the_time_of_each_row(dl2_file, layout):
    with tables.open_file(dl2_file.path, "r") as h5file:
        pointing = read_pointing(h5file, layout)
    (chunk,) = read_events([dl2_file.path], [ENERGY])
    np.testing.assert_allclose(np.rad2deg(row_altitude(chunk, pointing)), 70, rtol=1e-12)
    # a telescope that drifts
    when, angle = pointing[2]
    pointing[2] = when, angle + 1e-4 * (when - when[0])
    altitude = row_altitude(chunk, pointing)
    own = chunk.telescope == 2
    expected = np.deg2rad(70) + 1e-4 * (chunk.time[chunk.event[own]] - when[0])
    np.testing.assert_allclose(altitude[own], expected, atol=1e-9)


def test_constant_pointing_of_simulations(copy, layout):
    path = copy()
    with tables.open_file(path, "a") as h5file:
        h5file.remove_node("/dl0", recursive=True)
        with pytest.raises(MissingInputError, match="slope to 0"):
            read_pointing(h5file, layout)
        rows = np.array(
            [(7, 1.1), (3, 0.9)], [("obs_id", "i4"), ("telescope_pointing_altitude", "f8")]
        )
        for tel_id in layout.tel_ids:
            node = h5file.create_table(
                "/configuration/telescope/pointing",
                f"tel_{tel_id:03d}",
                obj=rows,
                createparents=True,
            )
            node.attrs["CTAFIELD_1_UNIT"] = "rad"
    with tables.open_file(path) as h5file:
        pointing = read_pointing(h5file, layout)
    (chunk,) = read_events([path], [ENERGY])
    np.testing.assert_allclose(row_altitude(chunk, pointing), 1.1)

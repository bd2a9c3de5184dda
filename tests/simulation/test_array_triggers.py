"""Observation block: order and numbers of events, and the trigger file with the telescopes."""

import os
from dataclasses import replace
from datetime import date

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time
from ctapipe.containers import EventType
from ctapipe_io_zfits import ProtozfitsEventSource
from hypothesis import given
from hypothesis import strategies as st

from calibpipe.simulation.array_triggers import block_schedule, write_array_triggers
from calibpipe.simulation.dl0 import Dl0Observation, Dl0Writer, event_times

START = Time("2026-01-15T22:00:36.9999999", scale="tai")
FLATFIELD, PEDESTAL, SHOWER = (
    EventType[name].value for name in ("FLATFIELD", "SKY_PEDESTAL", "SUBARRAY")
)
TYPES = [FLATFIELD, SHOWER, PEDESTAL, SHOWER, FLATFIELD]


def test_slots_of_two_telescopes():
    """Slots every half second; the second telescope comes a quarter after the first."""
    schedule = block_schedule([FLATFIELD, SHOWER, PEDESTAL], 2, 2 * u.Hz)
    np.testing.assert_array_equal(schedule.seconds, [[0, 0.5, 1], [0.25, 0.5, 1.25]])
    np.testing.assert_array_equal(schedule.event_id, [[1, 3, 4], [2, 3, 5]])


@given(st.lists(st.sampled_from([FLATFIELD, SHOWER]), min_size=1, max_size=30), st.integers(1, 5))
def test_number_is_the_rank_in_time(types, n_telescopes):
    schedule = block_schedule(types, n_telescopes, 3 * u.Hz)
    event_id, first = np.unique(schedule.event_id, return_index=True)
    n_showers = types.count(SHOWER)
    assert event_id.tolist() == list(
        range(1, n_telescopes * (len(types) - n_showers) + n_showers + 1)
    )
    assert (np.diff(schedule.seconds.flat[first]) > 0).all()
    assert np.ptp(schedule.seconds[:, np.array(types) == SHOWER], axis=0).sum() == 0


@pytest.fixture
def block(tmp_path):
    """LSTN-01 and LSTN-03 with their triggers; pixel 0 tells telescope and slot."""
    schedule = block_schedule(TYPES, 2, 2 * u.Hz)
    first = Dl0Observation(
        folder=tmp_path,
        tel_id=1,
        array_element="LSTN-01",
        subarray_id=2,
        sb_id=12,
        obs_id=34,
        evening=date(2026, 1, 15),
        start=START,
        n_pixels=1855,
        n_samples=40,
        sampling_rate=1.024 * u.GHz,
        n_streams=2,
    )
    for k, tel_id in enumerate((1, 3)):
        own = replace(first, tel_id=tel_id, array_element=f"LSTN-{tel_id:02d}")
        stamps = np.transpose(event_times(START, schedule.seconds[k]))
        with Dl0Writer(own, len(TYPES)) as writer:
            for j, kind in enumerate(TYPES):
                waveform = np.full((2, 1855, 40), 100 * tel_id + j, np.uint16)
                number = int(schedule.event_id[k, j])
                writer.write(number, *map(int, stamps[j]), kind, waveform)
    write_array_triggers(first, schedule, (1, 3))
    return first


def test_triggers_lead_to_the_telescopes_that_have_the_event(block):
    with ProtozfitsEventSource(block.trigger_path, warn_missing=False) as source:
        assert (source.sb_id, source.obs_id, source.subarray_id) == (12, 34, 2)
        events = []
        for event in source:
            tel = event.dl0.tel
            assert event.trigger.tels_with_trigger == list(tel)
            assert all(tel[t].event_time == event.trigger.time for t in tel)
            seconds = round((event.trigger.time - START).to_value(u.s), 6)
            waves = {t: int(tel[t].waveform[0, 0, 0]) for t in tel}
            kinds = {tel[t].event_type.value for t in tel}
            events.append((event.index.event_id, seconds, waves, *kinds))
    assert events == [
        (1, 0.0, {1: 100}, FLATFIELD),
        (2, 0.25, {3: 300}, FLATFIELD),
        (3, 0.5, {1: 101, 3: 301}, SHOWER),
        (4, 1.0, {1: 102}, PEDESTAL),
        (5, 1.25, {3: 302}, PEDESTAL),
        (6, 1.5, {1: 103, 3: 303}, SHOWER),
        (7, 2.0, {1: 104}, FLATFIELD),
        (8, 2.25, {3: 304}, FLATFIELD),
    ]


def test_rows_of_the_trigger_file(block):
    from protozfits import File

    with File(str(block.trigger_path)) as file:
        rows = list(file.SubarrayEvents)
        stream = file.DataStream[0]
    assert (stream.subarray_id, stream.sb_id, stream.obs_id) == (2, 12, 34)
    assert [row.trigger_type for row in rows] == [
        *(FLATFIELD, FLATFIELD, SHOWER, PEDESTAL, PEDESTAL, SHOWER, FLATFIELD, FLATFIELD)
    ]
    assert [list(row.tel_ids_with_trigger) for row in rows[:3]] == [[1], [3], [1, 3]]
    assert {row.obs_id for row in rows} == {34}

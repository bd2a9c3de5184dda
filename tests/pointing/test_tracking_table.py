"""From star tracking to measurements: units, order, what is refused or left out."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pointing_offsets import made, tracking_table

from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError
from calibpipe.pointing.measurements import Selection, usable
from calibpipe.pointing.tracking_table import tracked_offsets

HEADER = {"site": "CTAO-North", "tel_id": 1, "array_element": "LSTN-01"}


@pytest.fixture
def m(rng):
    return made(rng, 30, nights=3, correlation=0.3, sys_error=1.5)


def split(m):
    """Tables and headers of the nights."""
    tables = [tracking_table(m.chosen(m.night == k)) for k in range(len(m.nights))]
    return tables, [HEADER | {"night": night} for night in m.nights]


def test_what_was_written_comes_back(m):
    found, is_valid = tracked_offsets(*split(m))
    for name in ("azimuth", "altitude", "offset", "covariance", "sys_error", "night"):
        assert_allclose(getattr(found, name), getattr(m, name), rtol=1e-9)
    assert_allclose(found.time, m.time, atol=1e-5)
    assert found.nights == m.nights
    assert is_valid.all()


def test_the_order_of_files_does_not_matter(m):
    tables, headers = split(m)
    one, other = tracked_offsets(tables, headers), tracked_offsets(tables[::-1], headers[::-1])
    assert_array_equal(one[0].offset, other[0].offset)
    assert_array_equal(one[0].time, other[0].time)


def test_what_is_refused(m):
    tables, headers = split(m)
    mixed = [headers[0], headers[1] | {"tel_id": 2}, headers[2]]
    with pytest.raises(ConfigurationError, match=r"several telescopes \(tel_id: 1, 2\)"):
        tracked_offsets(tables, mixed)
    with pytest.raises(ConfigurationError, match="10 measurements of night 2024-07-11 are given"):
        tracked_offsets([*tables, tables[1]], [*headers, headers[1]])
    broken = tables[1].copy()
    broken["dlat"] = broken["dlat"].value * u.s
    with pytest.raises(CorruptedInputError, match="column dlat has no unit of angle"):
        tracked_offsets([tables[0], broken, tables[2]], headers)
    del broken["dlat"], broken["is_valid"]
    with pytest.raises(CorruptedInputError, match="2024-07-11 has no column dlat, is_valid"):
        tracked_offsets([tables[0], broken, tables[2]], headers)


def test_rows_are_left_out_for_a_reason(m):
    is_valid = np.ones(30, bool)
    is_valid[0] = False
    m.offset[0] = np.nan  # counted once
    m.offset[1, 1] = np.nan
    m.covariance[2] = 0.0
    m.covariance[3, 0, 1] = m.covariance[3, 1, 0] = m.covariance[3, 0, 0]  # correlation 1
    m.sys_error[4, 0] = -1.0
    m.altitude[5], m.altitude[6] = 89.5, 3.0
    m.offset[7, 0] = 0.6 * 3600
    used, left_out = usable(m, is_valid, Selection())
    assert left_out == {"not_valid": 1, "not_finite": 1, "error": 3, "altitude": 2, "offset": 1}
    assert_array_equal(np.flatnonzero(used), np.arange(8, 30))
    few = usable(replace(m), is_valid, Selection(min_altitude=30, max_altitude=60))[0]
    assert np.all((m.altitude[few] >= 30) & (m.altitude[few] <= 60))


@pytest.mark.parametrize("limits", [(60, 30), (-5, 60), (0, 60), (30, 90)])
def test_limits_of_altitude(limits):
    with pytest.raises(ConfigurationError, match="give limits between 0 and 90 deg"):
        Selection(*limits)

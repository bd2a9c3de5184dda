"""Coincidences with a free-running partner: offset, errors, significance, drift, bad input."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from calibpipe.array.coincidence import (
    baseline_delay,
    coincident_events,
    expected_random,
    find_offset,
    offset_scan,
)
from calibpipe.array.coincidence_drift import offset_drift
from calibpipe.array.significance import lima_significance, significance_after_trials
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

SECOND = 10**9
SEARCH = (-10_000.0, 0.0)


def instruments(rng, *, seconds=20, offset=-3100.0, jitter=50.0, rates=(8000, 300, 100), drift=0.0):
    """Times (ns, integers) of both, as in the toy of science.md F; number of true coincidences."""
    length = seconds * SECOND
    ours, partner, both = (rng.poisson(rate * seconds) for rate in rates)
    common = rng.uniform(0, length, both)
    a = np.concatenate([rng.uniform(0, length, ours - both), common])
    late = offset + drift * common + jitter * rng.standard_normal(both)
    b = np.concatenate([rng.uniform(0, length, partner - both), common + late])
    return np.sort(np.rint(a).astype(np.int64)), np.sort(np.rint(b).astype(np.int64)), both


class TestOffset:
    def test_toy_of_science_f(self):
        ours, partner, n_true = instruments(np.random.default_rng(1))
        found = find_offset(ours, partner, SEARCH)
        assert_allclose(found.stat_error, 1.2, atol=0.1)
        assert abs(found.offset + 3100) < 4 * found.stat_error
        random = expected_random(ours, partner, 600.0)
        assert_allclose(random, 29, atol=1)  # 8 kHz x 300 Hz x 20 s x 600 ns
        assert abs(found.n_random - random) < 4 * found.n_random_error
        assert abs(found.n_pairs - n_true - random) < 4 * np.sqrt(random)
        assert_allclose(found.spread, 50, atol=4 * 50 / np.sqrt(2 * n_true))
        assert found.significance_after_trials > 50
        assert found.sys_error < found.stat_error

    def test_pulls_of_width_one(self):
        n = 100
        pulls = []
        for seed in range(n):
            ours, partner, _ = instruments(
                np.random.default_rng(seed), seconds=3, rates=(8000, 900, 60)
            )
            found = find_offset(ours, partner, SEARCH)
            pulls.append((found.offset + 3100) / found.stat_error)
        assert abs(np.mean(pulls)) < 4 / np.sqrt(n)
        assert abs(np.std(pulls) - 1) < 4 / np.sqrt(2 * n)

    def test_search_of_a_wide_range_uses_part_of_the_events(self):
        """LST-1 and MAGIC were 76 ms apart in March 2023."""
        ours, partner, _ = instruments(np.random.default_rng(3), offset=-76_039_300.0)
        found = find_offset(ours, partner, (-1e8, 1e8), max_pairs=2_000_000)
        assert abs(found.offset + 76_039_300) < 4 * found.stat_error
        assert found.n_pairs > 1900  # of all events
        assert found.significance_after_trials < found.significance

    def test_integers_are_exact_far_from_the_origin(self):
        """Nanoseconds since 1970: a float has steps of 256 ns there."""
        ours, partner, _ = instruments(np.random.default_rng(4))
        near = find_offset(ours, partner, SEARCH)
        epoch = 1_720_000_000 * SECOND
        far = find_offset(ours + epoch, partner + epoch, SEARCH)
        assert far == near
        assert find_offset((ours + epoch).astype(np.uint64), partner + epoch, SEARCH) == near

    def test_tail_to_one_side_is_a_systematic_error(self):
        rng = np.random.default_rng(5)
        common = np.sort(rng.uniform(0, 20 * SECOND, 4000))
        late = np.sort(common + 1000 + rng.exponential(150, 4000))
        found = find_offset(common, late, (0.0, 3000.0))
        assert found.sys_error > 5 * found.stat_error

    def test_scan_counts_differences(self):
        edges, counts = offset_scan([0, 1000], [5, 12, 1007, 1030], (0.0, 20.0), 10.0)
        assert edges.tolist() == [0, 10, 20]
        assert counts.tolist() == [2, 1]

    def test_scan_does_not_depend_on_the_blocks(self, monkeypatch):
        ours, partner, _ = instruments(np.random.default_rng(6), seconds=1)
        whole = offset_scan(ours, partner, (-1e6, 1e6), 1000.0)[1]
        monkeypatch.setattr("calibpipe.array.coincidence._PAIRS_AT_ONCE", 97)
        assert np.array_equal(offset_scan(ours, partner, (-1e6, 1e6), 1000.0)[1], whole)

    def test_delay_between_the_instruments(self):
        # a partner 100 m north sees showers from the south, 20 deg from the zenith, later
        assert_allclose(baseline_delay([100, 0, 0], np.radians(70), np.pi), 114.0856, atol=1e-4)


class TestSignificance:
    def test_li_and_ma(self):
        # no background: S^2 = 2 n ln((1 + a) / a)
        assert_allclose(lima_significance(10, 0, 0.5), np.sqrt(20 * np.log(3)))
        assert lima_significance(0, 0, 0.5) == 0
        assert lima_significance(5, 10, 0.5) == 0
        assert lima_significance(0, 10, 0.5) < 0
        # large counts: (n_on - a n_off) / sqrt(a (n_on + n_off))
        assert_allclose(lima_significance(100_500, 200_000, 0.5), 500 / np.sqrt(150_250), rtol=5e-3)

    def test_trials(self):
        # p = 0.00135; of 10 trials 0.01342; the deviate of that 2.2138
        assert_allclose(significance_after_trials(3.0, 10.0), 2.2138, atol=1e-3)
        assert_allclose(significance_after_trials(4.0, 1.0), 4.0)
        assert 36.9 < significance_after_trials(37.0, 10.0) < 37.0
        assert significance_after_trials(100.0, 1e6) < 100.0


class TestCoincidentEvents:
    def test_each_event_once_with_its_nearest(self):
        ours = np.array([0, 100, 5000, 9000])
        partner = np.array([1010, 1120, 1150, 6300, 20_000])
        own, other = coincident_events(ours, partner, 1000.0, 300.0)
        assert own.tolist() == [0, 1, 2]
        assert other.tolist() == [0, 1, 3]

    def test_pairs_of_the_toy(self):
        ours, partner, n_true = instruments(np.random.default_rng(7))
        own, other = coincident_events(ours, partner, -3100.0)
        assert len(np.unique(own)) == len(own) == len(np.unique(other))
        assert np.all(np.abs(partner[other] - ours[own] + 3100) <= 300)
        assert abs(len(own) - n_true - 29) < 4 * np.sqrt(29)


class TestDrift:
    def test_clock_that_drifts(self):
        drift = 2e-9  # 2 ns a second
        ours, partner, _ = instruments(np.random.default_rng(8), seconds=60, drift=drift)
        found = offset_drift(ours, partner, -3100.0, slice_length=5 * SECOND)
        assert found.n_used == 12
        assert abs(found.slope - drift) < 4 * found.slope_error
        assert found.chi2_constant > 12 + 10 * np.sqrt(24)
        assert found.chi2_line < 12 + 4 * np.sqrt(24)

    def test_clock_that_does_not(self):
        ours, partner, _ = instruments(np.random.default_rng(9), seconds=60)
        found = offset_drift(ours, partner, -3050.0, slice_length=5 * SECOND)
        assert abs(found.slope) < 4 * found.slope_error
        assert found.chi2_constant < 12 + 4 * np.sqrt(24)

    def test_pause_of_the_partner(self):
        ours, partner, _ = instruments(np.random.default_rng(10), seconds=40)
        partner = partner[(partner < 10 * SECOND) | (partner > 20 * SECOND)]
        found = offset_drift(ours, partner, -3100.0, slice_length=5 * SECOND)
        assert found.n_used == 6
        assert np.isnan(found.offset[2:4]).all()
        assert np.isfinite(found.offset[4:]).all()

    def test_one_slice_has_no_slope(self):
        ours, partner, _ = instruments(np.random.default_rng(11), seconds=5)
        found = offset_drift(ours, partner, -3100.0, slice_length=3600 * SECOND)
        assert found.n_used == 1
        assert np.isnan(found.slope)


class TestRefusals:
    def test_no_coincidences(self):
        rng = np.random.default_rng(12)
        ours, partner, _ = instruments(rng, rates=(8000, 300, 0))
        with pytest.raises(InsufficientStatisticsError, match="no significant offset"):
            find_offset(ours, partner, SEARCH)

    def test_instruments_that_never_ran_together(self):
        ours, partner, _ = instruments(np.random.default_rng(13), seconds=2)
        assert expected_random(ours, partner + 100 * SECOND, 600.0) == 0
        with pytest.raises(InsufficientStatisticsError, match="no significant offset"):
            find_offset(ours, partner + 100 * SECOND, SEARCH)

    @pytest.mark.parametrize(
        ("times", "error", "message"),
        [
            ([], InsufficientStatisticsError, "own instrument has no events"),
            ([1.0, np.nan], ConfigurationError, "1 of the own times are not finite"),
            ([2, 1], ConfigurationError, "own times are not ascending at event 1"),
        ],
    )
    def test_times(self, times, error, message):
        with pytest.raises(error, match=message):
            find_offset(times, [1, 2], SEARCH)

    def test_partner(self):
        with pytest.raises(InsufficientStatisticsError, match="partner instrument has no events"):
            coincident_events([1], [], 0.0)

    def test_ranges(self):
        with pytest.raises(ConfigurationError, match="ascending range"):
            offset_scan([1], [2], (5.0, 5.0), 1.0)
        with pytest.raises(ConfigurationError, match="positive length"):
            offset_drift([1], [2], 0.0, slice_length=0)

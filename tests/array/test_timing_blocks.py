"""Array timing by blocks: jumps, too little data, samples and residuals."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from timed_showers import EXACT, NAMES, PRIOR, errors, positions, showers

from calibpipe.array.shower_front import SPEED_OF_LIGHT
from calibpipe.array.timing_blocks import array_timing
from calibpipe.array.timing_residuals import ImpactResiduals, front_scatter
from calibpipe.array.timing_sample import EventSample
from calibpipe.array.timing_start import block_equations, start_values
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError


class TestBlocks:
    def split(self, rng, n_events=600):
        """Two groups of telescopes that share no event."""
        made = showers(rng, n_events, 7)
        group = np.arange(n_events) % 2 == 0
        mine = np.arange(7) < 4
        time = np.where(group[:, None] == mine, made.times.time, np.nan)
        return replace(made, times=replace(made.times, time=time))

    def test_islands_are_not_solved_together(self):
        made = self.split(np.random.default_rng(50))
        _, parts = solved_parts(made)
        timing = array_timing([parts], PRIOR, names=NAMES[:7])
        assert timing.island.tolist() == [0] * 4 + [1] * 3
        assert timing.is_valid.tolist() == [True] * 4 + [False] * 3
        assert timing.reason[4] == "island: only relative to LSTN-06, LSTN-07"
        assert np.all(timing.stat_covariance[:4, 4:] == 0)
        for own in (slice(0, 4), slice(4, 7)):  # each has its own level
            assert_allclose(timing.offset[own].sum(), 0, atol=1e-9)
            true = made.offset[own] - made.offset[own].mean()
            error = np.hypot(timing.stat_error, timing.sys_error)[own]
            assert np.all(np.abs(timing.offset[own] - true) < 5 * error)
        alone = made.times.chosen(np.arange(600) % 2 == 0)
        _, first = solved_parts(replace(made, times=alone))
        assert_allclose(array_timing([first], PRIOR, names=NAMES[:7]).offset[:4], timing.offset[:4])

    def test_a_block_that_ties_them(self):
        made = self.split(np.random.default_rng(51))
        _, parts = solved_parts(made)
        bridge = showers(
            np.random.default_rng(52), 200, 7, position=made.position, offset=made.offset
        )
        _, more = solved_parts(bridge)
        timing = array_timing([parts, more], PRIOR, names=NAMES[:7])
        assert timing.is_valid.all()
        assert np.all(
            np.abs(timing.offset - made.offset) < 5 * np.hypot(timing.stat_error, timing.sys_error)
        )

    def test_blocks_together_are_all_events(self):
        made = showers(np.random.default_rng(53), 900, 6)
        halves = [made.times.chosen(slice(0, 450)), made.times.chosen(slice(450, None))]
        blocks = [solved_parts(replace(made, times=half))[1] for half in halves]
        _, whole = solved_parts(made)
        both = array_timing(blocks, PRIOR, names=NAMES[:6])
        one = array_timing([whole], PRIOR, names=NAMES[:6])
        # no times are outliers for one and not the other but for chance: a tenth of the errors
        assert np.all(np.abs(both.offset - one.offset) < 0.1 * one.stat_error)
        assert_allclose(both.stat_error, one.stat_error, rtol=0.02)

    def test_a_telescope_that_jumps(self):
        rng = np.random.default_rng(54)
        position, offset = positions(rng, 6), rng.normal(0, 10, 6)
        jumped = offset + 30.0 * (np.arange(6) == 2)
        blocks = [
            solved_parts(showers(rng, 500, 6, position=position, offset=o))[1]
            for o in (offset, jumped, offset)
        ]
        timing = array_timing(blocks, PRIOR, names=NAMES[:6])
        assert timing.is_valid.tolist() == [True, True, False, True, True, True]
        assert "differs between blocks" in timing.reason[2]
        assert np.isnan(timing.offset[2])
        others = np.arange(6) != 2
        true = (offset - offset[others].mean())[others]
        error = np.hypot(timing.stat_error, timing.sys_error)[others]
        assert np.all(np.abs(timing.offset[others] - true) < 5 * error)

    def test_two_telescopes_that_part(self):
        rng = np.random.default_rng(55)
        position = positions(rng, 2)
        blocks = [
            solved_parts(showers(rng, 500, 2, position=position, offset=o))[1]
            for o in ([0, 0], [0, 50])
        ]
        with pytest.raises(InsufficientStatisticsError, match="differs between blocks"):
            array_timing(blocks, PRIOR, names=NAMES[:2])

    def test_too_few_events_of_a_telescope(self):
        made = showers(np.random.default_rng(56), 400, 5)
        time = made.times.time.copy()
        time[30:, 4] = np.nan
        _, parts = solved_parts(replace(made, times=replace(made.times, time=time)))
        timing = array_timing([parts], PRIOR, names=NAMES[:5], min_events=100)
        assert not timing.is_valid[4]
        assert "30 events that count, needs 100" in timing.reason[4]
        assert_allclose(timing.offset[:4].sum(), 0, atol=1e-9)  # it does not set the level
        with pytest.raises(InsufficientStatisticsError, match=r"reference.*needs 100"):
            array_timing([parts], PRIOR, names=NAMES[:5], min_events=100, reference=4)
        with pytest.raises(InsufficientStatisticsError, match="no telescope has a valid"):
            array_timing([parts], PRIOR, names=NAMES[:5], min_events=1000)

    def test_reference(self):
        _, parts = solved_parts(self.split(np.random.default_rng(57)))
        timing = array_timing([parts], PRIOR, names=NAMES[:7], reference=5)
        assert timing.offset[5] == 0
        assert timing.stat_error[5] == timing.sys_error[5] == 0
        assert timing.is_valid.tolist() == [False] * 4 + [True] * 3
        with pytest.raises(ConfigurationError, match="none of the 7 telescopes"):
            array_timing([parts], PRIOR, names=NAMES[:7], reference=7)

    def test_survey_is_part_of_the_systematic_error(self):
        _, parts = solved_parts(showers(np.random.default_rng(58), 400, 5))
        without = array_timing([parts], PRIOR, names=NAMES[:5])
        with_it = array_timing([parts], PRIOR, names=NAMES[:5], height_error=0.1)
        added = with_it.sys_error**2 - without.sys_error**2
        one = (0.1 * np.sin(np.radians(70)) / SPEED_OF_LIGHT) ** 2
        assert_allclose(added, one * (1 - 1 / 5), rtol=0.01)  # directions scatter by 0.1 deg


def solved_parts(made):
    start = start_values(
        made.times, made.position, errors(len(made.offset)), PRIOR, fit_errors=False
    )
    parts, residuals = block_equations(made.times, made.position, start)
    return residuals, parts


class TestTooLittle:
    def test_one_telescope(self):
        made = showers(np.random.default_rng(60), 100, 1)
        with pytest.raises(InsufficientStatisticsError, match="no two telescopes"):
            start_values(made.times, made.position, errors(1), PRIOR)

    def test_no_event_in_common(self):
        made = showers(np.random.default_rng(61), 100, 2)
        time = made.times.time.copy()
        time[::2, 0] = time[1::2, 1] = np.nan
        with pytest.raises(InsufficientStatisticsError, match="the most are 0"):
            start_values(replace(made.times, time=time), made.position, errors(2), PRIOR)

    def test_fewer_common_events_than_are_wanted(self):
        made = showers(np.random.default_rng(62), 10, 3)
        with pytest.raises(
            InsufficientStatisticsError, match="20 events in common, the most are 10"
        ):
            start_values(made.times, made.position, errors(3), PRIOR, min_common=20)

    def test_nothing_but_nan(self):
        made = showers(np.random.default_rng(63), 10, 3)
        times = replace(made.times, time=np.full((10, 3), np.nan))
        with pytest.raises(InsufficientStatisticsError, match="no two telescopes"):
            start_values(times, made.position, errors(3), PRIOR)


class TestSampleAndResiduals:
    def test_sample_is_bounded_and_forgets_nobody(self):
        rng = np.random.default_rng(70)
        sample = EventSample(4, size=200, of_telescope=20)
        rare = 0
        for _ in range(30):
            times = showers(rng, 500, 4, position=positions(np.random.default_rng(1), 4)).times
            time = times.time.copy()
            some = rng.random(500) < 0.002
            time[~some, 3] = np.nan
            rare += some.sum()
            sample.add(replace(times, time=time))
        assert sample.n_events == 15_000
        assert sample.n_common[3, 3] == rare
        assert len(sample.times) <= 200 + 4 * 20
        assert np.isfinite(sample.times.time[:, 3]).sum() >= min(rare, 20)

    def test_scatter_of_the_front(self):
        """Means of -1, 0 and 1 ns in bins of 1000 times of 1 ns: scatter of 1 ns."""
        n = np.full((1, 3), 1000)
        mean = np.array([[-1.0, 0.0, 1.0]])
        residuals = ImpactResiduals(n, n * mean, n * (mean**2 + 1))
        assert_allclose(front_scatter(residuals), 1.0, rtol=1e-3)
        level = ImpactResiduals(n, n * 0.5, n * 1.25)
        assert front_scatter(level)[0] == 0
        few = ImpactResiduals(n // 100, n // 100 * mean, n // 100 * (mean**2 + 1))
        assert front_scatter(few)[0] == 0

    def test_residuals_show_a_plane_front(self):
        made = showers(np.random.default_rng(71), 2000, 8)
        flat = replace(made, times=replace(made.times, curvature=np.zeros(2000)))
        assert np.all(front_scatter(solved_parts(made)[0]) < 0.2)
        start = start_values(
            flat.times, flat.position, errors(8), EXACT, fit_errors=False, max_sigma=20.0
        )
        _, residuals = block_equations(flat.times, flat.position, start, max_sigma=20.0)
        assert np.median(front_scatter(residuals)) > 0.5

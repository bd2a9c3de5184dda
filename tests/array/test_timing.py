"""Array timing: offsets and their errors, gauge, tilt, outliers, islands."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from timed_showers import EXACT, FREE, PRIOR, errors, showers, solved

from calibpipe.array.graph import ALONE, islands, spanning_tree
from calibpipe.array.shower_front import SPEED_OF_LIGHT
from calibpipe.array.timing import array_offsets, in_gauge
from calibpipe.array.timing_start import start_offsets, start_values
from calibpipe.core.exceptions import ConfigurationError


class TestOffsets:
    def test_science_f01(self):
        """3000 events, 1.5 ns, 0.1 deg, 10 telescopes within 200 m: <= 0.045 ns; plane: ns."""
        made = showers(np.random.default_rng(0))
        found, _ = solved(made, fit_errors=True, given=errors(10, 3.0, 0.3))
        assert np.std(found.offset - made.offset) <= 0.045
        assert np.all(found.stat_error < 0.045)
        flat = replace(made, times=replace(made.times, curvature=np.zeros(len(made.times))))
        plane, _ = solved(flat, max_sigma=20.0)
        assert np.std(plane.offset - made.offset) > 1.0

    def test_errors_are_found(self):
        rng = np.random.default_rng(11)
        time_error = np.array([1.0, 1.0, 2.0, 2.0, 4.0, 1.5, 1.5, 1.5])
        made = showers(rng, 3000, 8, time_error=time_error, direction_error=0.15)
        given = errors(8, 2.0, 0.3)
        start = start_values(made.times, made.position, given, PRIOR)
        assert start.is_converged
        # 3000 times less the fit of their events: 2 % of an error; outliers beyond 4 sigma
        assert_allclose(start.errors.telescope, time_error, rtol=4 * 0.02)
        assert_allclose(np.degrees(start.errors.direction), 0.15, rtol=4 * 0.03)

    @pytest.mark.parametrize("seen", [1.0, 0.4])
    def test_pulls_of_width_one(self, seen):
        n_toys, n_tel = 60, 6
        pulls, chi2, ndf = [], 0.0, 0
        for seed in range(n_toys):
            made = showers(np.random.default_rng(100 + seed), 250, n_tel, seen=seen)
            found, _ = solved(made, EXACT, max_sigma=6.0)
            difference = found.offset - made.offset
            inverse = np.linalg.pinv(found.stat_covariance, rcond=1e-9)
            pulls.append(difference @ inverse @ difference)
            chi2, ndf = chi2 + found.chi2, ndf + found.ndf
        # chi2 of n_tel - 1 degrees of freedom in each toy
        expected, n = n_tel - 1, np.array(pulls)
        assert abs(n.mean() - expected) < 4 * np.sqrt(2 * expected / n_toys)
        assert abs(chi2 / ndf - 1) < 4 * np.sqrt(2 / ndf)

    def test_pulls_with_a_common_direction_error(self):
        """Directions all off by 0.02 deg in altitude: free parameters and errors take it in."""
        pulls = []
        for seed in range(40):
            rng = np.random.default_rng(300 + seed)
            shift = tuple(0.02 * rng.standard_normal(2))
            made = showers(rng, 250, 6, direction_offset=shift)
            found, _ = solved(made, np.array([*PRIOR[:2], 0.0]), max_sigma=6.0)
            difference = found.offset - made.offset
            covariance = found.stat_covariance + found.sys_covariance
            pulls.append(difference @ np.linalg.pinv(covariance, rcond=1e-9) @ difference)
        assert abs(np.mean(pulls) - 5) < 4 * np.sqrt(2 * 5 / 40)

    def test_large_offsets(self):
        offset = np.array([0.0, 3e6, -5e5, 100.0, 2e3])
        made = showers(np.random.default_rng(12), 500, offset=offset, n_tel=5)
        found, _ = solved(made)
        assert np.all(np.abs(found.offset - made.offset) < 5 * found.stat_error + found.sys_error)

    def test_events_of_two_telescopes(self):
        made = showers(np.random.default_rng(13), 2000, 4)
        keep = np.zeros((2000, 4), bool)
        pair = np.array([[0, 1], [1, 2], [2, 3], [0, 3]])[np.arange(2000) % 4]
        keep[np.arange(2000)[:, None], pair] = True
        times = replace(made.times, time=np.where(keep, made.times.time, np.nan))
        found, _ = solved(replace(made, times=times), EXACT)
        difference = found.offset - made.offset
        assert difference @ np.linalg.pinv(found.stat_covariance, rcond=1e-9) @ difference < 16.3
        # 16.3: one in a thousand for 3 degrees of freedom


class TestGauge:
    def test_time_of_an_event_does_not_matter(self):
        made = showers(np.random.default_rng(20), 300, 5)
        later = replace(made.times, time=made.times.time + np.arange(300)[:, None] * 1000.0)
        a, _ = solved(made)
        b, _ = solved(replace(made, times=later))
        assert_allclose(a.offset, b.offset, atol=1e-6)

    def test_level_of_all_clocks_does_not_matter(self):
        made = showers(np.random.default_rng(21), 300, 5)
        later = replace(made.times, time=made.times.time + 12345.0)
        a, _ = solved(made)
        b, _ = solved(replace(made, times=later))
        assert_allclose(a.offset, b.offset, atol=1e-6)

    def test_reference_telescope(self):
        mean, _ = solved(showers(np.random.default_rng(22), 300, 5))
        one = in_gauge(mean, np.eye(5)[2])
        assert one.offset[2] == 0
        assert_allclose(one.stat_covariance[2], 0, atol=1e-15)
        assert_allclose(one.offset - one.offset[0], mean.offset - mean.offset[0])
        # errors of differences are the same in every gauge, those of offsets are not
        for i, j in ((0, 1), (1, 4), (3, 2)):
            v = np.eye(5)[i] - np.eye(5)[j]
            assert_allclose(v @ one.stat_covariance @ v, v @ mean.stat_covariance @ v)
        assert one.stat_error[0] > mean.stat_error[0]
        back = in_gauge(one, np.ones(5))
        assert_allclose(back.offset, mean.offset, atol=1e-12)
        assert_allclose(back.stat_covariance, mean.stat_covariance, atol=1e-15)
        with pytest.raises(ConfigurationError, match="level"):
            in_gauge(mean, np.zeros(5))


class TestTilt:
    """Directions that are off the same way, against a tilt of the array's offsets."""

    bias = (0.1, 0.0)  # deg in altitude

    def slope(self, made, found):
        """Tilt of what is wrong with the offsets: its error along north and west, ns/m."""
        x = np.column_stack([np.ones(len(made.offset)), made.position[:, :2]])
        solve = np.linalg.pinv(x)
        covariance = found.stat_covariance + found.sys_covariance
        tilt = solve @ (found.offset - made.offset)
        return tilt[1:], np.sqrt(np.diag(solve @ covariance @ solve.T))[1:]

    def test_one_azimuth_cannot_tell(self):
        made = showers(np.random.default_rng(30), az=0.0, direction_offset=self.bias)
        trusted, _ = solved(made, EXACT)
        # all of the error goes into the tilt along north: sin(70 deg) 0.1 deg / c
        tilt, error = self.slope(made, trusted)
        expected = np.sin(np.radians(70)) * np.radians(0.1) / SPEED_OF_LIGHT
        assert_allclose(abs(tilt[0]), expected, atol=5 * error[0])
        assert abs(tilt[1]) < 5 * error[1]
        honest, _ = solved(made, np.array([np.radians(0.1)] * 2 + [0.0]))
        tilt, error = self.slope(made, honest)
        assert abs(tilt[0]) < 2 * error[0]
        assert error[0] > 0.5 * expected

    def test_all_azimuths_average_it_out(self):
        made = showers(np.random.default_rng(31), direction_offset=self.bias)
        found, _ = solved(made, np.array([np.radians(0.1)] * 2 + [0.0]))
        tilt, error = self.slope(made, found)
        assert np.all(np.abs(tilt) < 4 * error)
        assert np.all(error < 1e-3)  # ns/m; one azimuth: 5e-3
        wrong = np.degrees(found.common[:2]) + self.bias  # to be added to what was reconstructed
        assert np.all(np.abs(wrong) < 4 * np.degrees(found.common_error[:2]))
        assert np.all(np.degrees(found.common_error[:2]) < 0.01)

    def test_azimuths_that_are_not_even(self):
        """Two thirds of the events from the north: the mean would be biased, the fit is not."""
        az = np.where(np.arange(3000) % 3 > 0, 0.0, 360.0 * np.random.default_rng(3).random(3000))
        made = showers(np.random.default_rng(32), az=az, direction_offset=self.bias)
        trusted, _ = solved(made, EXACT)
        tilt, error = self.slope(made, trusted)
        assert abs(tilt[0]) > 10 * error[0]
        found, _ = solved(made, np.array([np.radians(0.1)] * 2 + [0.0]))
        tilt, error = self.slope(made, found)
        assert np.all(np.abs(tilt) < 4 * error)

    def test_free_direction_at_one_azimuth(self):
        """Only that showers differ a little in direction and core limits the tilt."""
        made = showers(np.random.default_rng(33), 1000, az=40.0)
        limited, (equations,) = solved(made, np.array([*PRIOR[:2], 0.0]))
        free = array_offsets(equations, equations.seen, FREE)
        assert free.sys_error.min() > 3 * limited.sys_error.min()
        assert free.common_error[0] > 10 * np.radians(0.02)

    def test_derivatives_do_not_know_the_noise(self):
        """At one azimuth the events say next to nothing of the common direction: no bias."""
        pulls = []
        for seed in range(8):
            made = showers(np.random.default_rng(400 + seed), 1000, 8, az=0.0)
            found, _ = solved(made, np.array([np.radians(0.1)] * 2 + [0.0]), max_sigma=6.0)
            pulls.append(found.common[:2] / np.radians(0.1))
        # true: 0, and the prior holds it there; derivatives at the reconstructed axis: 2 sigma
        assert np.all(np.abs(np.mean(pulls, axis=0)) < 1.0)

    def test_curvature_that_is_off(self):
        """Maxima reconstructed 10 % too high: the curvature is fitted from the events."""
        made = showers(np.random.default_rng(34))
        far = replace(made, times=replace(made.times, curvature=made.times.curvature / 1.1))
        found, _ = solved(far)
        assert_allclose(np.exp(found.common[2]), 1.1, atol=4 * 1.1 * found.common_error[2])
        difference = found.offset - made.offset
        covariance = found.stat_covariance + found.sys_covariance
        assert (
            difference @ np.linalg.pinv(covariance, rcond=1e-9) @ difference < 27.9
        )  # 9 dof, 1e-3


class TestOutliers:
    def test_outliers_are_left_out(self):
        rng = np.random.default_rng(40)
        made = showers(rng, 2000, 8)
        bad = rng.random((2000, 8)) < 0.03
        time = made.times.time + bad * rng.choice([-1, 1], bad.shape) * rng.uniform(
            20, 1e4, bad.shape
        )
        found, (equations,) = solved(replace(made, times=replace(made.times, time=time)))
        difference = found.offset - made.offset
        assert difference @ np.linalg.pinv(found.stat_covariance, rcond=1e-9) @ difference < 24.3
        # 24.3: one in a thousand for 7 degrees of freedom
        assert equations.n_outliers.sum() >= 0.98 * bad.sum()
        good = ~bad & np.isfinite(time)
        assert equations.n_of_telescope.sum() > 0.98 * good.sum()

    def test_nan_times_and_directions(self):
        made = showers(np.random.default_rng(41), 400, 5)
        time = made.times.time.copy()
        time[:50] = np.nan
        time[50:100, 1:] = np.nan  # one telescope only
        found, (equations,) = solved(replace(made, times=replace(made.times, time=time)))
        alone, _ = solved(replace(made, times=made.times.chosen(slice(100, None))))
        assert_allclose(found.offset, alone.offset, atol=1e-9)
        assert equations.n_events == 300


class TestGraph:
    def test_islands_by_size(self):
        n = np.zeros((7, 7), int)
        for i, j, k in ((0, 1, 5), (2, 3, 5), (3, 4, 9), (5, 6, 2)):
            n[i, j] = n[j, i] = k
        assert islands(n).tolist() == [1, 1, 0, 0, 0, 2, 2]
        assert islands(n, 5).tolist() == [1, 1, 0, 0, 0, ALONE, ALONE]
        assert islands(n, 100).tolist() == [ALONE] * 7

    def test_tree_takes_the_best_ties(self):
        n = np.array([[0, 9, 1], [9, 0, 5], [1, 5, 0]])
        assert spanning_tree(n, 0) == [(0, 1), (1, 2)]

    def test_start_offsets_of_islands(self):
        residual = np.array([[1.0, 3.0, np.nan, np.nan], [np.nan, np.nan, 5.0, 1.0]] * 3)
        n = np.array([[3, 3, 0, 0], [3, 3, 0, 0], [0, 0, 3, 3], [0, 0, 3, 3]])
        assert_allclose(start_offsets(residual, n), [0, 2, 0, -4])

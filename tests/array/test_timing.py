"""Array timing: spherical front, offsets, errors, gauge, tilt, islands, outliers, jumps."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from timed_showers import HEIGHT, positions, showers

from calibpipe.array.graph import ALONE, islands, spanning_tree
from calibpipe.array.normal_equations import normal_equations, total
from calibpipe.array.shower_front import (
    SPEED_OF_LIGHT,
    emission_curvature,
    front_delay,
    front_gradient,
    nearest_telescope,
    shower_axis,
)
from calibpipe.array.shower_times import TimingErrors, event_fit
from calibpipe.array.timing import array_offsets, in_gauge
from calibpipe.array.timing_blocks import array_timing
from calibpipe.array.timing_residuals import ImpactResiduals, front_scatter
from calibpipe.array.timing_sample import EventSample
from calibpipe.array.timing_start import block_equations, start_offsets, start_values
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError

PRIOR = np.array([np.radians(0.02)] * 2 + [0.1])
FREE = np.array([np.inf, np.inf, np.inf])
EXACT = np.zeros(3)
NAMES = [f"LSTN-{k:02d}" for k in range(1, 20)]


def errors(n_tel, time=1.5, direction=0.1, core=0.0, curvature=1e-6):
    return TimingErrors(np.full(n_tel, time), np.radians(direction), core, curvature)


def solved(made, prior=PRIOR, *, given=None, fit_errors=False, **settings):
    """Offsets of all events, and their equations."""
    n_tel = len(made.offset)
    given = errors(n_tel) if given is None else given
    start = start_values(made.times, made.position, given, prior, fit_errors=fit_errors, **settings)
    settings.pop("min_common", None)
    parts, _ = block_equations(made.times, made.position, start, **settings)
    equations = total(parts)
    return array_offsets(equations, equations.seen, prior), parts


class TestFront:
    def test_plane_front_from_20_degrees(self):
        position = np.array([[100.0, 0, 0], [0, 0, 0], [0, 100.0, 0]])
        axis, _, _ = shower_axis(np.radians([70.0]), np.radians([180.0]))
        delay = front_delay(position, np.zeros((1, 3)), axis, np.zeros(1))
        # from the south: the telescope in the north is later by 100 m sin 20 deg / c
        assert_allclose(delay, [[114.0856, 0, 0]], atol=1e-4)

    @pytest.mark.parametrize(
        ("impact", "height", "expected"),
        [
            (50, 8000, 0.52),
            (100, 8000, 2.08),
            (150, 8000, 4.69),
            (250, 8000, 13.0),
            (100, 5000, 3.34),
        ],
    )
    def test_curvature_of_science_f02(self, impact, height, expected):
        axis, _, _ = shower_axis(np.array([np.pi / 2]), np.zeros(1))
        position = np.array([[impact, 0.0, 0.0]])
        delay = front_delay(position, np.zeros((1, 3)), axis, np.array([1 / height]))
        exact = (np.hypot(impact, height) - height) / SPEED_OF_LIGHT
        assert_allclose(delay, exact, rtol=1e-9)
        assert_allclose(delay, expected, atol=0.006 if expected < 10 else 0.06)

    def test_distance_to_the_point_of_emission(self):
        rng = np.random.default_rng(1)
        position, core = rng.normal(0, 200, (5, 3)), rng.normal(0, 100, (7, 3))
        axis, _, _ = shower_axis(rng.uniform(0.8, 1.5, 7), rng.uniform(0, 6, 7))
        point = core + 9000.0 * axis
        path = np.linalg.norm(position - point[:, None], axis=2) - 9000.0
        delay = front_delay(position, core, axis, np.full(7, 1 / 9000), refractivity=1e-3)
        assert_allclose(delay, 1.001 * path / SPEED_OF_LIGHT, atol=1e-8)

    def test_azimuth_from_north_to_east(self):
        axis, up, right = shower_axis(np.array([0.0]), np.array([np.pi / 2]))
        assert_allclose(axis, [[0, -1, 0]], atol=1e-15)  # east is -y
        assert_allclose(up, [[0, 0, 1]], atol=1e-15)
        assert_allclose(right, [[-1, 0, 0]], atol=1e-15)

    @pytest.mark.parametrize("curvature", [0.0, 1 / 8000])
    def test_derivatives_are_those_of_the_delay(self, curvature):
        rng = np.random.default_rng(2)
        position, core = rng.normal(0, 150, (4, 3)), rng.normal(0, 80, (3, 3))
        axes = shower_axis(rng.uniform(0.9, 1.4, 3), rng.uniform(0, 6, 3))
        kappa = np.full(3, curvature)
        gradient = front_gradient(position, core, axes, kappa)

        def delay(a=0.0, b=0.0, scale=0.0):
            axis = axes[0] + a * axes[1] + b * axes[2]
            axis /= np.linalg.norm(axis, axis=1, keepdims=True)
            return front_delay(position, core, axis, kappa * np.exp(scale))

        for k, step in enumerate(np.eye(3) * 1e-5, start=1):
            slope = (delay(*step) - delay(*-step)) / 2e-5
            assert_allclose(gradient[..., k], slope, atol=1e-5 * np.abs(slope).max() + 1e-9)

    def test_core_error_is_a_direction_error(self):
        position = positions(np.random.default_rng(3), 6)
        axes = shower_axis(np.radians([90.0]), np.zeros(1))
        kappa = np.array([1 / HEIGHT])
        shift = np.array([[10.0, 0.0, 0.0]])
        moved = front_delay(position, shift, axes[0], kappa)
        # derivative along altitude is towards -x at the zenith and azimuth 0
        turned = -front_gradient(position, 0 * shift, axes, kappa)[..., 1] * 10.0 / HEIGHT
        difference = moved - front_delay(position, 0 * shift, axes[0], kappa) - turned
        assert np.ptp(difference) < 2e-3  # second order: (10 m / 8 km)^2 of 700 ns; times: t0 apart

    def test_height_of_emission(self):
        alt = np.radians([90.0, 30.0, 90.0, 90.0])
        height = np.array([10_158.0, 10_158.0, np.nan, 2500.0])
        found = emission_curvature(height, alt, site_height=2158.0, default_height=12_158.0)
        assert_allclose(1 / found, [8000, 16_000, 10_000, 10_000])


class TestEquations:
    def test_an_event_weighs_as_the_covariance_of_its_times(self):
        """P = V^-1 - V^-1 1 1^T V^-1 / 1^T V^-1 1 with timing and direction errors in V."""
        made = showers(np.random.default_rng(4), 1, 5)
        given = TimingErrors(np.array([1, 2, 1.5, 3, 1.0]), np.radians(0.1), 20.0, 0.2)
        offset, common = made.offset + made.offset.mean(), np.zeros(3)
        fit = event_fit(
            made.times, made.position, offset, common, given, max_sigma=50.0, n_iterations=1
        )
        found = normal_equations(fit, offset, common, made.times.alt, made.times.az)
        axes = shower_axis(made.times.alt, made.times.az)
        J = front_gradient(made.position, made.times.core, axes, made.times.curvature)[0, :, 1:]
        angle = np.hypot(np.radians(0.1), 20.0 / HEIGHT)
        V = np.diag(given.telescope**2) + J @ np.diag([angle**2, angle**2, 0.2**2]) @ J.T
        inverse, one = np.linalg.inv(V), np.ones(5)
        P = inverse - np.outer(inverse @ one, one @ inverse) / (one @ inverse @ one)
        X = np.hstack([np.eye(5), J])
        assert_allclose(found.matrix, X.T @ P @ X, rtol=1e-7, atol=1e-7 * np.abs(J).max() ** 2)
        axis = axes[0]
        front = front_delay(made.position, made.times.core, axis, made.times.curvature)
        y = (made.times.time - front)[0] - offset
        assert_allclose(found.vector, X.T @ P @ y, rtol=1e-6, atol=1e-6 * np.abs(J).max())
        assert_allclose(found.chi2, y @ P @ y, rtol=1e-9)
        assert found.ndf == 4

    def test_sums_do_not_depend_on_the_chunks(self):
        made = showers(np.random.default_rng(5), 600, 6, seen=0.6)
        start = start_values(made.times, made.position, errors(6), PRIOR, fit_errors=False)
        whole, of_whole = block_equations(made.times, made.position, start)
        parts, sums = [], None
        for piece in (slice(0, 100), slice(100, 101), slice(101, None)):
            some, residuals = block_equations(made.times.chosen(piece), made.position, start)
            parts += some
            sums = residuals if sums is None else sums + residuals
        added = total(parts)
        for name in ("matrix", "vector", "chi2", "n_common", "n_by_azimuth"):
            assert_allclose(getattr(added, name), getattr(whole[0], name), rtol=1e-9, atol=1e-6)
        assert_allclose(sums.total, of_whole.total, atol=1e-9)

    def test_equations_about_another_point(self):
        _, (equations,) = solved(showers(np.random.default_rng(6), 200, 4))
        step = np.concatenate([[0.3, -0.1, 0.2, 0.0], [1e-4, 0, 0.01]])
        there = equations.at(equations.point + step)
        assert_allclose(there.at(equations.point).vector, equations.vector, atol=1e-9)
        assert_allclose(there.at(equations.point).chi2, equations.chi2)
        a, b = (array_offsets(e, e.seen, PRIOR) for e in (equations, there))
        assert_allclose(a.offset, b.offset, atol=1e-10)
        assert_allclose(a.chi2, b.chi2)

    def test_direction_is_iterated(self):
        """A direction that is 2 degrees off is taken from the times, beyond first order."""
        made = showers(
            np.random.default_rng(7),
            300,
            6,
            time_error=0.01,
            direction_error=2.0,
            offset=np.zeros(6),
        )
        given = TimingErrors(np.full(6, 0.01), np.radians(2.0), 0.0, 1e-6)
        chi2 = {}
        for n_iterations in (1, 4):
            fit = event_fit(
                made.times, made.position, np.zeros(6), EXACT, given,
                max_sigma=1e6, n_iterations=n_iterations,
            )  # fmt: skip
            chi2[n_iterations] = fit.chi2.sum() / (300 * 5)
        assert chi2[1] - 1 > 50 * np.sqrt(2 / 1500)
        assert abs(chi2[4] - 1) < 5 * np.sqrt(2 / 1500)


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


def test_distance_from_the_nearest_telescope_by_hand():
    """3-4-5; of the others only those that have a time; none has one."""
    position = np.array([[0.0, 0.0, 9.0], [100.0, 0.0, 0.0]])
    has_time = np.array([[True, True], [False, True], [False, False]])
    found = nearest_telescope([3.0, 3.0, 3.0], [4.0, 4.0, 4.0], position, has_time)
    assert_allclose(found, [5.0, np.hypot(97, 4), np.inf])

"""Equations of arrival times: fits of single events, weights, parameters taken out."""

import numpy as np
from numpy.testing import assert_allclose
from timed_showers import EXACT, HEIGHT, PRIOR, errors, showers, solved

from calibpipe.array.normal_equations import normal_equations, total
from calibpipe.array.shower_front import (
    front_delay,
    front_gradient,
    shower_axis,
)
from calibpipe.array.shower_times import TimingErrors, event_fit
from calibpipe.array.timing import array_offsets
from calibpipe.array.timing_start import block_equations, start_values


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

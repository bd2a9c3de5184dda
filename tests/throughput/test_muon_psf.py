"""Point spread function from muon rings: closure, errors, outliers, limits, systematic errors."""

import time
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ring_light import simulated_rings
from scipy import stats

from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.throughput.muon_psf import (
    CONTAINMENT_80,
    RelativeErrors,
    psf_change,
    psf_from_widths,
    width_profile,
)
from calibpipe.throughput.muon_width import (
    SCATTERING_SPREAD,
    Air,
    Optics,
    track_moments,
    width_components,
)

AIR = Air(2.2635e-4, 0.0148, 0.97 * u.kg / u.m**3, 9.5 * u.km)
LST = Optics(11.1 * u.m, 10 * u.km, 6.9e-4 * u.deg**2)
BENT = replace(LST, transverse_field=30.9 * u.uT)
MST = Optics(5.94 * u.m, 10 * u.km, 2e-3 * u.deg**2)
PSF = 0.045  # deg
# mean squares of a Brownian path about its mean, two axes: exponentials of these means
WANDER = 1 / (np.arange(1, 40) * np.pi) ** 2


def radii(rng, n, optics, lowest_momentum):
    """Radii (deg) and impacts (m) of muons with a spectrum p^-2.7."""
    ratio = 0.10566 / lowest_momentum * rng.random(n) ** (1 / 1.7)
    impact = 0.95 * optics.mirror_radius * np.sqrt(rng.random(n))
    place = track_moments(impact, optics).level * optics.mirror_radius.to_value(u.m)
    theta = np.sqrt(2 * AIR.refractivity - ratio**2)
    for _ in range(6):
        height = place / theta / AIR.scale_height.to_value(u.m)
        theta = np.sqrt(2 * AIR.refractivity * np.exp(-height) - ratio**2)
    return np.rad2deg(theta - place / optics.focus_distance.to_value(u.m)) * u.deg, impact


def muons(
    rng, n, *, optics=LST, psf=PSF, error=0.05, scatter=0.0, outliers=0.0, amplitude=1.0, lowest=6.0
):
    """Radius, width, its error and impact of n rings.

    Each muon scatters by itself; errors of the squared width follow it and the pixel, and differ
    between rings; `outliers` are much too wide.
    """
    radius, impact = radii(rng, n, optics, lowest)
    parts = width_components(radius, impact, optics, AIR)
    wander = rng.standard_exponential((n, len(WANDER))) @ WANDER / WANDER.sum()
    truth = psf**2 + parts.chromatic + parts.drift + parts.bending
    truth = truth + amplitude * wander * parts.scattering
    pixel = optics.pixel_variance.to_value(u.deg**2)
    relative = error * rng.lognormal(0, 0.3, n)
    found = truth + 2 * relative * (truth + pixel) * rng.standard_normal(n)
    mixed = parts.spread**2 - (SCATTERING_SPREAD * parts.scattering) ** 2  # with the drift
    found += np.sqrt(np.maximum(mixed, 0) * amplitude) * rng.standard_normal(n)
    found += scatter * rng.standard_normal(n)
    found += np.where(rng.random(n) < outliers, rng.exponential(0.02, n), 0)
    width = np.sqrt(np.maximum(found, 1e-8))
    errors = relative * (width**2 + pixel) / width
    radius = radius + 0.003 * rng.standard_normal(n) * u.deg
    return radius, width * u.deg, errors * u.deg, impact


def psf_of(rings, optics=LST, **options):
    return psf_from_widths(*rings, optics, AIR, **options)


def pulls(n_repeats, n=1000, *, optics=LST, free=False, **kind):
    rng = np.random.default_rng(12)
    found = [
        psf_of(muons(rng, n, optics=optics, **kind), optics, free_scattering=free)
        for _ in range(n_repeats)
    ]
    excess = np.array([f.variance.value for f in found]) - kind.get("psf", PSF) ** 2
    return found, excess / np.array([f.variance_stat_error.value for f in found])


@pytest.mark.parametrize(
    ("optics", "kind", "free"),
    [
        (LST, {}, False),
        (LST, {}, True),
        (LST, {"scatter": 5e-4}, True),
        (LST, {"lowest": 15.0}, False),
        (BENT, {"psf": 0.03}, False),
        (MST, {"psf": 0.06}, False),
        (MST, {"psf": 0.06}, True),
        (LST, {"psf": 0.03, "error": 0.03}, True),
    ],
)
def test_closure_bias_and_quoted_errors(optics, kind, free):
    n_repeats = 100
    found, pull = pulls(n_repeats, optics=optics, free=free, **kind)
    assert not any(f.is_limit for f in found if free)
    sigma = np.sqrt([f.variance.value for f in found])
    assert abs(np.mean(sigma) / kind.get("psf", PSF) - 1) < 0.01
    # bias well below the error of one data set; 0.2: clipped tail of scattering, radius errors
    assert abs(pull.mean()) < 4 / np.sqrt(n_repeats) + 0.2
    assert abs(pull.std(ddof=1) - 1) < 4 / np.sqrt(2 * n_repeats)
    if free:
        amplitude = [(f.scattering_amplitude - 1) / f.scattering_amplitude_error for f in found]
        assert abs(np.mean(amplitude)) < 4 / np.sqrt(n_repeats) + 0.3
        assert abs(np.std(amplitude) - 1) < 4 / np.sqrt(2 * n_repeats)


def test_chi2_is_its_degrees_of_freedom_and_the_rest_is_scatter():
    found, _ = pulls(50, lowest=15.0)
    # scattering has a tail: 3 % more than sqrt(2/n)
    assert np.mean([f.chi2 / f.n_degrees for f in found]) == pytest.approx(
        1, abs=4 * np.sqrt(2 / 50_000) + 0.03
    )
    assert found[0].n_degrees == found[0].n_rings - 1
    found, _ = pulls(50, lowest=15.0, scatter=1e-3)
    assert np.mean([f.chi2 / f.n_degrees for f in found]) > 2
    scatter = np.mean([f.intrinsic_scatter.value for f in found])
    assert scatter == pytest.approx(1e-3, rel=0.05)


def test_errors_are_weights():
    """A tenth of good rings helps; with equal weights all would be worse than the good alone."""
    rng = np.random.default_rng(13)
    n = 3000
    groups = ((n // 10, 0.02), (n, 0.08))
    good, bad = (muons(rng, k, optics=MST, psf=0.06, error=e, lowest=15.0) for k, e in groups)
    both = tuple(u.Quantity(np.concatenate([a, b])) for a, b in zip(good, bad, strict=True))
    alone, together = psf_of(good, MST), psf_of(both, MST)
    assert together.sigma_stat_error < alone.sigma_stat_error
    assert together.sigma_stat_error > 0.6 * alone.sigma_stat_error
    assert abs(together.sigma - 0.06 * u.deg) < 4 * together.sigma_stat_error


def test_five_per_cent_outliers():
    found, _ = pulls(40, outliers=0.05)
    unclipped = psf_of(muons(np.random.default_rng(12), 1000, outliers=0.05), clip=1e3)
    assert np.mean([f.sigma.value for f in found]) == pytest.approx(PSF, rel=0.05)
    assert unclipped.sigma.value > 1.15 * PSF
    assert np.mean([f.n_outliers for f in found]) > 15


def test_errors_that_follow_the_width_do_not_pull_it_low():
    """Pixels taken out: e = 0.1 sigma. Weights 1/e² would make the squared width 8 % low."""
    optics = replace(LST, pixel_variance=0 * u.deg**2)
    found, _ = pulls(50, optics=optics, error=0.1, lowest=15.0)
    assert np.mean([f.sigma.value for f in found]) == pytest.approx(PSF, rel=0.01)
    radius, width, error, impact = muons(
        np.random.default_rng(12), 50_000, optics=optics, error=0.1, lowest=15.0
    )
    parts = width_components(radius, impact, optics, AIR)
    rest = parts.chromatic + parts.drift + parts.scattering
    naive = np.average(width.value**2 - rest, weights=(width * error).value ** -2)
    assert naive < 0.9 * PSF**2


def test_errors_that_are_noise_of_the_sky_cost_little():
    """The same error of every width, against the assumption of the weights."""
    rng = np.random.default_rng(28)
    n = 50_000
    radius, impact = radii(rng, n, LST, 15.0)
    parts = width_components(radius, impact, LST, AIR)
    truth = PSF**2 + parts.chromatic + parts.drift + parts.scattering
    error = 0.05 * np.sqrt(truth)
    width = np.sqrt(truth + 2 * np.sqrt(truth) * error * rng.standard_normal(n))
    found = psf_of((radius, width * u.deg, error * u.deg, impact))
    assert abs(found.sigma.value / PSF - 1) < 4 * float(found.sigma_stat_error.value) / PSF + 0.004


def test_closure_photon_by_photon():
    """Light through dispersion, index, focus, scattering and optics; circles fitted to it."""
    rng = np.random.default_rng(29)
    n_photons, n_rings, rho = 400, 80, 0.5
    radius, variance = [], []
    for momentum in (8.0, 12.0, 20.0, 40.0):
        ratio = 0.10566 / momentum
        spread, found = simulated_rings(
            rng, n_rings, n_photons, rho, optics=LST, air=AIR, ratio=ratio, psf=np.deg2rad(PSF)
        )
        radius.append(np.rad2deg(found))
        variance.append(np.rad2deg(np.rad2deg(spread)))
    width = np.sqrt(np.concatenate(variance)) * u.deg
    optics = replace(LST, pixel_variance=0 * u.deg**2)  # single photons, no pixels
    found = psf_from_widths(
        np.concatenate(radius) * u.deg, width, width / np.sqrt(2 * n_photons),
        rho * LST.mirror_radius, optics, AIR,
    )  # fmt: skip
    assert found.sigma_stat_error.value < 0.02 * PSF
    assert abs(found.sigma.value - PSF) < 4 * found.sigma_stat_error.value
    assert found.chi2 / found.n_degrees < 1.5


def test_200_000_rings_in_half_a_second():
    rings = muons(np.random.default_rng(14), 200_000)
    start = time.process_time()
    found = psf_of(rings)
    assert time.process_time() - start < 1.0  # 0.25 s alone on a core
    assert abs(found.sigma.value / PSF - 1) < 0.005


def test_theta80_is_of_a_gaussian_in_two_dimensions():
    rng = np.random.default_rng(15)
    distance = np.hypot(*rng.standard_normal((2, 100_000)))
    assert pytest.approx(1.79412, abs=1e-5) == CONTAINMENT_80
    inside = np.mean(distance < CONTAINMENT_80)
    assert abs(inside - 0.8) < 4 * np.sqrt(0.8 * 0.2 / 100_000)
    found = psf_of(muons(rng, 200))
    assert found.theta80 == CONTAINMENT_80 * found.sigma
    assert found.theta80_stat_error == CONTAINMENT_80 * found.sigma_stat_error
    assert found.theta80_sys_error == CONTAINMENT_80 * found.sigma_sys_error


def test_systematic_errors_are_the_change_they_make():
    """Each assumption changed by its error, the whole fit done again."""
    rings = muons(np.random.default_rng(16), 20_000)
    errors = RelativeErrors(
        chromatic=0.1, drift=0.05, scattering=0.2, refractivity=0.003, pixel=0.03
    )
    found = psf_of(rings, relative_errors=errors)
    changed = {
        "chromatic": replace(AIR, dispersion=AIR.dispersion * 1.1),
        "refractivity": replace(AIR, refractivity=AIR.refractivity * 1.003),
    }
    for name, air in changed.items():
        change = psf_from_widths(*rings, LST, air).variance - found.variance
        expected = found.variance_sys_errors[name].value
        assert abs(change.value) == pytest.approx(expected, rel=0.15)
    total = np.sqrt(sum(e.value**2 for e in found.variance_sys_errors.values()))
    assert found.sigma_sys_error.value == pytest.approx(total / (2 * found.sigma.value))
    assert found.variance_sys_errors["pixel"] == 0.03 * LST.pixel_variance
    radius, width, error, impact = rings
    wide = np.sqrt(width**2 + 0.03 * LST.pixel_variance)
    change = psf_of((radius, wide, error, impact)).variance - found.variance
    assert change.value == pytest.approx(found.variance_sys_errors["pixel"].value, rel=0.15)


def test_bending_of_la_palma_is_taken_out():
    """The same muons with and without field: no difference, but if the bending is ignored.

    Then the optics come out too wide by the mean bending, of which half is the systematic error:
    1 % of 0.03 deg.
    """
    straight, bent = (
        muons(np.random.default_rng(26), 40_000, optics=optics, psf=0.03) for optics in (LST, BENT)
    )
    reference, found, ignored = psf_of(straight), psf_of(bent, BENT), psf_of(bent)
    error = found.variance_stat_error
    assert abs(found.variance - reference.variance) < error
    bending = found.variance_sys_errors["bending"] / 0.5
    assert abs(ignored.variance - reference.variance - bending) < error
    assert 2 * error < bending
    assert (bending / 0.03**2 / 2).value == pytest.approx(0.010, abs=0.001)
    stronger = replace(BENT, transverse_field=BENT.transverse_field * np.sqrt(1.5))
    change = psf_of(bent, stronger).variance - found.variance
    expected = found.variance_sys_errors["bending"].value
    assert -change.value == pytest.approx(expected, rel=0.15)
    assert ignored.variance_sys_errors["bending"] == 0


def test_a_free_amplitude_takes_its_systematic_error_away():
    rings = muons(np.random.default_rng(17), 5000, amplitude=1.3)
    fixed, free = psf_of(rings), psf_of(rings, free_scattering=True)
    assert free.variance_sys_errors["scattering"] < 1e-9 * fixed.variance_sys_errors["scattering"]
    assert abs(free.scattering_amplitude - 1.3) < 4 * free.scattering_amplitude_error
    assert abs(free.sigma - PSF * u.deg) < 4 * free.sigma_stat_error
    assert fixed.sigma - PSF * u.deg > 4 * fixed.sigma_stat_error


def test_no_point_spread_function_is_a_limit_that_covers():
    truth, below = 0.012, 0
    rng = np.random.default_rng(18)
    exact = RelativeErrors(0, 0, 0, 0, 0)
    n_repeats = 200
    for _ in range(n_repeats):
        found = psf_of(muons(rng, 100, psf=truth, error=0.1, lowest=15.0), relative_errors=exact)
        below += found.upper_limit.value < truth
        if found.is_limit:
            assert np.isnan([found.sigma.value, found.theta80.value]).all()
            assert "not two errors above 0: upper limit" in found.status
            assert found.upper_limit > 0 * u.deg
        else:
            assert found.status == "measured"
    # the distribution of 100 rings is not quite Gaussian: 94 % found
    assert below < stats.binom.ppf(0.9999, n_repeats, 0.05)


def test_widths_below_the_model_are_said_to_be_wrong():
    radius, width, error, impact = muons(np.random.default_rng(19), 500)
    found = psf_of((radius, width / 3, error / 3, impact))
    assert found.is_limit
    assert "three errors below 0: widths are too small for air, focus and scatt" in found.status
    assert 0 < found.upper_limit.value < PSF / 2


def test_rings_without_numbers_are_left_out_and_counted():
    rings = muons(np.random.default_rng(20), 200)
    spoilt = [np.concatenate([a[:7], a]) for a in rings]
    for i, (which, value) in enumerate(
        [(0, np.nan), (0, 0.0), (1, np.nan), (2, 0.0), (2, np.inf), (3, 30.0), (1, -0.01)]
    ):
        spoilt[which][i] = value * spoilt[which].unit
    found, expected = psf_of(spoilt), psf_of(rings)
    assert found.n_unusable == 7
    assert replace(found, n_unusable=0) == expected


def test_too_few_rings_are_refused():
    radius, *rest = muons(np.random.default_rng(21), 25)
    radius[:6] = np.nan
    with pytest.raises(
        InsufficientStatisticsError,
        match=r"at least 20 usable rings, got 19 of 25 in chunk 7 of LSTN-01; collect",
    ):
        psf_of((radius, *rest), where="chunk 7 of LSTN-01")


@pytest.mark.parametrize(
    ("spread", "reason"), [(0.0, "all rings scatter alike"), (2e-3, "its error is")]
)
def test_one_radius_does_not_tell_the_amplitude(spread, reason):
    rng = np.random.default_rng(22)
    _, width, error, _ = muons(rng, 60, error=0.2)
    radius = (1.1 + spread * rng.random(60)) * u.deg
    with pytest.raises(InsufficientStatisticsError, match=f"rings from 1.10.*{reason}"):
        psf_of((radius, width, error, 5 * u.m), free_scattering=True)
    assert np.isfinite(psf_of((radius, width, error, 5 * u.m)).variance)


def test_wrong_requests_are_refused():
    radius, width, error, impact = muons(np.random.default_rng(23), 30)
    with pytest.raises(ConfigurationError, match=r"got shapes \(30,\), \(29,\), \(30,\), \(30,\)"):
        psf_of((radius, width[1:], error, impact))
    with pytest.raises(ConfigurationError, match="clip is 2 standard deviations, at least 3"):
        psf_of((radius, width, error, impact), clip=2)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 10))
def test_only_ratios_of_lengths_matter(factor):
    radius, width, error, impact = muons(np.random.default_rng(24), 100)
    optics = replace(
        LST, mirror_radius=factor * LST.mirror_radius, focus_distance=factor * LST.focus_distance
    )
    air = replace(AIR, density=AIR.density / factor, scale_height=factor * AIR.scale_height)
    found = psf_from_widths(radius, width, error, factor * impact, optics, air)
    expected = psf_of((radius, width, error, impact))
    np.testing.assert_allclose(found.variance.value, expected.variance.value, rtol=1e-6)
    np.testing.assert_allclose(
        found.variance_stat_error.value, expected.variance_stat_error.value, rtol=1e-4
    )


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_order_of_rings_does_not_matter(random):
    rings = muons(np.random.default_rng(25), 60)
    order = random.sample(range(60), 60)
    found = psf_of([a[order] for a in rings])
    np.testing.assert_allclose(found.variance.value, psf_of(rings).variance.value, rtol=1e-9)


def test_profile_holds_the_largest_ring_and_adds_up():
    rings = muons(np.random.default_rng(26), 2000)
    psf = psf_of(rings)
    edges = np.append(np.linspace(0.7, 1.1, 5), rings[0].max().value) * u.deg
    found = width_profile(*rings, LST, AIR, psf, edges)
    inside = np.count_nonzero(rings[0] >= 0.7 * u.deg)
    assert found.n_rings.sum() == inside - psf.n_outliers
    total = found.optical + found.chromatic + found.drift + found.scattering
    np.testing.assert_allclose(total.value, found.squared_width.value)
    pull = (found.optical - psf.variance) / found.squared_width_error
    assert np.all(np.abs(pull) < 4)
    assert np.all((found.radius > edges[:-1]) & (found.radius < edges[1:]))


def test_a_bin_without_rings_is_nan():
    rings = muons(np.random.default_rng(27), 100)
    found = width_profile(*rings, LST, AIR, psf_of(rings), [0.1, 0.2, 1.3] * u.deg)
    np.testing.assert_array_equal(found.n_rings > 0, [False, True])
    for values in (found.radius, found.squared_width, found.squared_width_error, found.optical):
        np.testing.assert_array_equal(np.isfinite(values), [False, True])


@pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [1.2, 0.8]])
def test_edges_that_are_none_are_refused(edges):
    rings = muons(np.random.default_rng(27), 50)
    with pytest.raises(ConfigurationError, match="two or more increasing edges"):
        width_profile(*rings, LST, AIR, psf_of(rings), edges * u.deg)


def test_a_larger_point_spread_function_by_hand():
    found = psf_change(0.050 * u.deg, 0.0003 * u.deg, 0.048 * u.deg, 0.0004 * u.deg)
    assert found.error.value == pytest.approx(0.0005)
    assert found.z_score == pytest.approx(4.0)
    assert found.p_value == pytest.approx(3.167e-5, rel=1e-3)
    assert found.is_larger
    assert not psf_change(0.046 * u.deg, 1e-4 * u.deg, 0.048 * u.deg, 0 * u.deg).is_larger
    assert not psf_change(np.nan * u.deg, 1e-4 * u.deg, 0.048 * u.deg, 0 * u.deg).is_larger
    # 2.9 standard deviations
    assert not psf_change(0.04945 * u.deg, 0.0003 * u.deg, 0.048 * u.deg, 0.0004 * u.deg).is_larger


@pytest.mark.parametrize(
    ("error", "options", "message"),
    [
        (-1e-4, {}, "none is negative"),
        (0.0, {}, "one is above 0"),
        (1e-4, {"significance": 0.5}, r"significance is 0\.5; give a chance"),
    ],
)
def test_comparisons_without_meaning_are_refused(error, options, message):
    with pytest.raises(ConfigurationError, match=message):
        psf_change(0.05 * u.deg, error * u.deg, 0.05 * u.deg, 0 * u.deg, **options)

"""Closure of the pointing model: E03, pulls, outliers, nights, what is not determined."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pointing_offsets import TERMS, TRUE, made

from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.pointing.pointing_model_fit import FitSettings, fitted_pointing_model

PLAIN = FitSettings()
# science.md E03, arcsec: 80 stars between 15 and 85 deg, noise of 5 arcsec
E03 = dict(zip(TERMS, (10.0, 1.7, 16.0, 13.0, 0.63, 0.65, 2.7), strict=True))


def test_closure_of_80_stars(rng):
    """E03: terms within their errors, residual rms that of the noise (5.04 there)."""
    fit = fitted_pointing_model(made(rng), PLAIN)
    model = fit.model
    assert np.abs(model.value - TRUE).max() < 4 * model.stat_error.max()
    assert np.all(np.abs(model.value - TRUE) < 4 * model.stat_error)
    for term, error in zip(TERMS, model.stat_error, strict=True):
        if term in ("AN", "AW"):  # nothing else does the same: 5 sqrt(1/80 ...) of any sky
            assert error == pytest.approx(E03[term], rel=0.1)
        else:  # E03's stars stand closer together: a condition number of 60, 45 here
            assert 0.4 * E03[term] < error < 1.1 * E03[term]
    # IA, CA, NPAE are badly known alone, and 95 % correlated
    correlation = model.stat_covariance / np.outer(model.stat_error, model.stat_error)
    place = [TERMS.index(term) for term in ("IA", "CA", "NPAE")]
    assert np.all(np.abs(correlation[np.ix_(place, place)]) > 0.95)
    # one coordinate's noise: 160 coordinates less 7 terms
    assert fit.fit.n_dof == 153
    assert fit.residual_rms == pytest.approx(5.0, abs=4 * 5 / np.sqrt(2 * 153))
    assert fit.sky_rms == pytest.approx(fit.residual_rms * np.sqrt(153 / 80))
    assert fit.rms_before > 30
    assert 20 < fit.fit.condition < 80
    assert not fit.is_outlier.any()
    assert not model.is_fixed.any()
    assert model.sectors.all()


def test_geometry_of_e03(rng):
    """Between 20 and 80 deg the errors are those of E03 to a fifth."""
    errors = [
        fitted_pointing_model(
            made(rng, altitude=(20, 80)), FitSettings(scatter=False)
        ).model.stat_error
        for _ in range(20)
    ]
    assert_allclose(np.median(errors, axis=0), list(E03.values()), rtol=0.2)


@pytest.mark.parametrize("free_nights", [False, True])
def test_pulls(rng, free_nights):
    """With four nights, correlated errors and outliers; nights of their own have changes, too."""
    settings = FitSettings(free_nights=free_nights)
    n_toys, pulls = 150, []
    for _ in range(n_toys):
        m = made(rng, 120, correlation=0.5, scatter=(4, 4), nights=4)
        m.offset[rng.choice(120, 6, replace=False)] += rng.normal(0, 200, (6, 2))
        model = fitted_pointing_model(m, settings).model
        pulls.append((model.value - TRUE) / model.stat_error)
    tolerance = 4 / np.sqrt(2 * n_toys)
    # free nights find some scatter between nights where there is none: IA, IE are safe
    kept = [k for k, term in enumerate(TERMS) if not free_nights or term not in ("IA", "IE")]
    assert_allclose(np.std(pulls, axis=0)[kept], 1, atol=tolerance)
    assert np.all(np.std(pulls, axis=0) < 1 + tolerance)
    assert np.abs(np.mean(pulls, axis=0)).max() < 4 / np.sqrt(n_toys)


def test_nights_that_change(rng):
    """Mean of IE with the scatter between 8 nights has right errors, without it too small ones."""
    n_toys, free, common = 120, [], []
    for _ in range(n_toys):
        changes = rng.normal(0, 10, (8, 2))
        m = made(rng, 160, nights=8, night_offset=changes)
        for found, settings in ((free, FitSettings(free_nights=True)), (common, PLAIN)):
            model = fitted_pointing_model(m, settings).model
            found.append(((model.value - TRUE) / model.stat_error)[1])
        assert model.scatter[1] > 2  # in common: taken for scatter
    # Student's t of 7 degrees of freedom: sqrt(7/5) for a scatter from 8 nights
    assert np.std(free) == pytest.approx(np.sqrt(7 / 5), abs=4 * 1.2 / np.sqrt(2 * n_toys))
    assert np.std(common) > 1.8


def test_order_does_not_matter(rng):
    m = made(rng, nights=3)
    order = rng.permutation(len(m))
    one, other = (fitted_pointing_model(x, PLAIN) for x in (m, m.chosen(order)))
    assert_allclose(other.model.value, one.model.value, rtol=1e-9)
    assert_allclose(other.model.stat_covariance, one.model.stat_covariance, rtol=1e-8)
    assert_array_equal(other.is_used, one.is_used[order])


def test_outliers_are_found_and_change_nothing(rng):
    m = made(rng)
    clean = fitted_pointing_model(m, PLAIN)
    m.offset[:16] += 500.0  # a fifth, all to the same side
    dirty = fitted_pointing_model(m, PLAIN)
    assert_array_equal(np.flatnonzero(dirty.is_outlier), np.arange(16))
    away = dirty.model.value - clean.model.value
    assert np.all(np.abs(away) < 4 * dirty.model.stat_error)
    assert dirty.distance[:16].min() > 1000
    every = fitted_pointing_model(m, FitSettings(outlier_sigma=np.inf))
    assert every.is_used.all()
    assert every.model.scatter.min() > 100


def test_narrow_altitudes_fix_a_term_and_say_so(rng):
    m = made(rng, 200, altitude=(55, 60))
    fit = fitted_pointing_model(m, FitSettings(priors={"NPAE": (-20, 15)}))
    model, place = fit.model, TERMS.index("NPAE")
    assert model.is_fixed[place]
    assert model.value[place] == -20
    assert model.stat_error[place] == 0
    assert model.sys_error[place] == pytest.approx(15)
    assert "NPAE is not determined: measurements at altitudes 55.0 to 60" in fit.remarks[0]
    assert "it is fixed at -20 +- 15 arcsec" in fit.remarks[0]
    # the truth is -25: others move by the part of the prior error that is right
    error = np.hypot(model.stat_error, model.sys_error)
    assert np.all(np.abs(model.value - TRUE) < 4 * error)
    ca = TERMS.index("CA")
    correlation = model.sys_covariance[ca, place] / model.sys_error[ca] / model.sys_error[place]
    assert correlation == pytest.approx(-1, abs=1e-6)
    assert fit.free_terms == tuple(t for t in TERMS if t != "NPAE")
    left = fit.without_fixed.offset - fit.used.offset
    assert_allclose(left[:, 0], -20 * np.sin(np.radians(m.altitude[fit.is_used])))


def test_systematic_error_that_all_measurements_share(rng):
    """2 arcsec in both axes: dlat is IE, dlon is CA."""
    fit = fitted_pointing_model(made(rng, sys_error=2.0), PLAIN)
    expected = dict.fromkeys(TERMS, 0.0) | {"IE": 2.0, "CA": 2.0}
    assert_allclose(fit.model.sys_error, list(expected.values()), atol=1e-9)


def test_remark_of_one_night(rng):
    assert "one night: changes between nights are not known" in " ".join(
        fitted_pointing_model(made(rng), PLAIN).remarks
    )
    assert not fitted_pointing_model(made(rng, nights=3), PLAIN).remarks


def test_too_few(rng):
    with pytest.raises(InsufficientStatisticsError, match="at least 20 usable measurements, got 9"):
        fitted_pointing_model(made(rng, 9), PLAIN)
    m = made(rng, 21)
    m.offset[:2] += 1000.0
    with pytest.raises(InsufficientStatisticsError, match="without outliers, got 19"):
        fitted_pointing_model(m, PLAIN)
    with pytest.raises(InsufficientStatisticsError, match="no term is determined: TF is not"):
        fitted_pointing_model(made(rng, noise=1e5), PLAIN)


def test_nights_with_few_measurements_have_none_of_their_own(rng):
    m = made(rng, 60, nights=20)  # three each
    with pytest.raises(InsufficientStatisticsError, match="got 0"):
        fitted_pointing_model(m, FitSettings(free_nights=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"priors": {"TX": (0, 1)}}, "prior of TX, which is no term of this model"),
        ({"prior_error": 0.0}, "errors of priors have to be above 0"),
        ({"priors": {"CA": (0, -1)}}, "errors of priors have to be above 0"),
        ({"terms": ("IE", "CA"), "free_nights": True}, "both have to be terms"),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        FitSettings(**settings)

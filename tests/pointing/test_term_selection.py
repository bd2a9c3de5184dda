"""Terms that the measurements support are taken, others not."""

import numpy as np
import pytest
from pointing_offsets import TERMS, TRUE, made

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.pointing.linear_offsets import fitted_offsets
from calibpipe.pointing.night_changes import night_columns
from calibpipe.pointing.pointing_terms import GEOMETRIC_TERMS, design_matrix
from calibpipe.pointing.term_selection import bic_gains, selected_terms

CANDIDATES = ("TX", "ECES", "HASA2", "HACA2", "HESA2", "HECA2")


def test_bic_gain_is_the_squared_significance_less_a_logarithm(rng):
    """With known errors 2 ln L falls by (value/error)^2 when a term is left out."""
    m = made(rng, noise=5.0)
    fit = fitted_offsets(design_matrix(TERMS, m.azimuth, m.altitude), m.offset, m.covariance)
    assert fit.scatter_variance.max() < 4  # else the comparison is of other errors
    expected = (fit.value / fit.error) ** 2 - np.log(2 * len(m))
    gains = bic_gains(m, TERMS)
    # scatter takes a part of what a large term did: only small ones compare
    small = np.abs(fit.value / fit.error) < 3
    assert small.any()
    np.testing.assert_allclose(gains[small], expected[small], atol=2.0)
    assert np.all(gains[~small] > 0)


def test_true_terms_are_selected_the_largest_first(rng):
    m = made(rng, 150, terms=(*TERMS, "HASA2", "HECA2"), value=[*TRUE, 30.0, 6.0])
    terms, steps = selected_terms(m, GEOMETRIC_TERMS, ("TF", *CANDIDATES))
    assert set(terms) == {*TERMS, "HASA2", "HECA2"}
    assert {step.term for step in steps[:2]} == {"TF", "HASA2"}
    assert steps[2].term == "HECA2"
    assert all(step.gain > 6 for step in steps)


def test_few_terms_are_selected_from_noise(rng):
    """One term is chosen by chance with p(chi2 > 6 + ln 240) = 7e-4: 6 of them in 40 skies 0.2."""
    chosen = 0
    for _ in range(40):
        terms, _ = selected_terms(made(rng, 120), TERMS, CANDIDATES)
        chosen += len(terms) - len(TERMS)
    assert chosen <= 3


def test_parameters_of_nights_stay(rng):
    m = made(rng, 120, nights=4, night_offset=rng.normal(0, 30, (4, 2)))
    more = night_columns(m, np.ones(len(m), bool))
    an = TERMS.index("AN")
    assert bic_gains(m, TERMS, more)[an] > bic_gains(m, TERMS)[an]
    assert selected_terms(m, TERMS[:-1], ["TF"], more)[0] == TERMS


def test_candidates_that_are_refused(rng):
    with pytest.raises(ConfigurationError, match="cannot be told apart"):
        selected_terms(made(rng), TERMS, ["ECEC"])
    with pytest.raises(ConfigurationError, match="'FOO' is no term"):
        selected_terms(made(rng), TERMS, ["FOO"])

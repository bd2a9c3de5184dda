"""Tables and random words of the digitisation: exact moments, no correlation, known sequences."""

import numpy as np
import pytest
from scipy.stats import norm, poisson

from calibpipe.simulation.digitisation import (
    NORMAL_DEVIATES,
    _mixed,
    charge_quantiles,
    digitised,
    normal_deviates,
    poisson_thresholds,
    template_row,
)

N_SAMPLES = 40
STEP = 0x9E3779B97F4A7C15


def test_random_words_are_those_of_splitmix64():
    """First outputs of the reference implementation for the seed 1234567."""
    state = [np.uint64((1234567 + i * STEP) % 2**64) for i in range(1, 4)]
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [int(_mixed(word)) for word in state] == expected


def test_noise_table_is_white():
    """Correlation at every distance, round the whole circle."""
    table = normal_deviates(N_SAMPLES)
    assert table.size == NORMAL_DEVIATES + N_SAMPLES
    np.testing.assert_array_equal(table[:N_SAMPLES], table[NORMAL_DEVIATES:])
    spectrum = np.fft.rfft(table[:NORMAL_DEVIATES].astype(float))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2) / NORMAL_DEVIATES
    assert abs(spectrum[0]) / NORMAL_DEVIATES < 1e-6  # mean
    assert correlation[0] == pytest.approx(1, abs=1e-6)
    assert np.abs(correlation[1:]).max() < 1e-5


def test_noise_table_is_normal():
    """Of n deviates no quantile is further off than normal ones would be (Kolmogorov)."""
    table = np.sort(normal_deviates(N_SAMPLES)[:NORMAL_DEVIATES])
    rank = (np.arange(NORMAL_DEVIATES) + 0.5) / NORMAL_DEVIATES
    assert np.abs(norm.cdf(table) - rank).max() < 1.95 / np.sqrt(NORMAL_DEVIATES)  # 0.1 %
    assert table[-1] == pytest.approx(norm.isf(1 / NORMAL_DEVIATES), abs=1)


@pytest.mark.parametrize("factor", [1.1, 1.222, 1.5])
def test_charges_have_mean_one_and_their_excess_noise(factor):
    charges = charge_quantiles(factor).astype(float)
    assert charges.mean() == pytest.approx(1, abs=1e-5)
    assert charges.var() == pytest.approx(factor - 1, rel=1e-4)
    assert charges.min() > 0


@pytest.mark.parametrize("expected", [0.0, 0.3, 5.0, 20.0])
def test_numbers_of_the_night_sky_are_poisson(expected):
    """The part of all 2^32 words that exceeds more than k thresholds."""
    thresholds = poisson_thresholds(np.array([expected]))[0].astype(float)
    more = (2**32 - 1 - thresholds) / 2**32
    np.testing.assert_allclose(more, poisson.sf(np.arange(64), expected), atol=2**-31)


def test_a_window_of_the_row_holds_one_template():
    rng = np.random.default_rng(1)
    template = rng.random((2, 3, 7)).astype(np.float32)
    row = template_row(template, N_SAMPLES)
    reach = N_SAMPLES + 7 - 1
    for phase, first in [(0, -6), (0, 0), (1, 20), (2, 36), (2, 39)]:
        begin = phase * reach + N_SAMPLES - 1 - first
        expected = np.zeros((2, N_SAMPLES + 20), np.float32)
        expected[:, 10 + first : 17 + first] = template[:, phase]
        window = row[:, begin : begin + N_SAMPLES]
        np.testing.assert_array_equal(window, expected[:, 10 : 10 + N_SAMPLES])


def block(words, expected_nsb=16.0, n_pixels=30):
    n_events = len(words)
    rng = np.random.default_rng(2)
    template = rng.random((2, 4, 12)).astype(np.float32)
    return digitised(
        np.asarray(words, np.uint64),
        np.full((n_events, n_pixels), 5.0),
        np.full((n_events, n_pixels), 41),
        np.full(n_pixels, expected_nsb),
        template,
        np.full((n_events, 2, n_pixels), 30.0),
        np.full((n_events, 2, n_pixels), 300.0),
        np.full((2, n_pixels), 5.0),
        1.222,
        N_SAMPLES,
        4095,
    )


@pytest.mark.parametrize("expected_nsb", [16.0, 130.0])
def test_an_event_depends_on_its_own_words_alone(expected_nsb):
    words = [3, 2**64 - 1, 12345, 2**63]
    together = block(words, expected_nsb)
    for i, word in enumerate(words):
        np.testing.assert_array_equal(block([word], expected_nsb)[0], together[i])
    assert len({event.tobytes() for event in together}) == len(words)

"""Spots: elimination of pixels against the full equations, closure, dead pixels, blends."""

import numpy as np
import pytest

from calibpipe.pointing.pixel_light import PixelShape, pixel_table
from calibpipe.pointing.spot_fit import (
    BY_X,
    BY_Y,
    SHARE,
    SpotData,
    _by_psf,
    _Equations,
    _own_columns,
    fit_spots,
    light_of_stars,
)

WIDTH, SIGMA = 0.05, 0.025  # m
STATIC = 0.05  # p.e.


def camera(n=5):
    i, j = np.meshgrid(np.arange(-n, n + 1), np.arange(-n, n + 1))
    return WIDTH * i.ravel(), WIDTH * j.ravel()


PIXEL_X, PIXEL_Y = camera()
TABLE = pixel_table(PixelShape("square", WIDTH), SIGMA)
STARS = np.array([[-0.05, 0.02], [0.06, -0.03]])
FLUX = np.array([[30.0, 25.0, 28.0], [12.0, 10.0, 11.0]])


def light(places):
    """Of stars (n_stars, 2) that stand still, three blocks."""
    x, y = (np.repeat(places[:, k, None], 3, axis=1) for k in range(2))
    return light_of_stars(TABLE, PIXEL_X, PIXEL_Y, x, y, np.ones(3), np.arange(3), 0.0)


def data(rng=None, places=STARS, shift=(0.0, 0.0), noise=0.1, usable=None):
    """Images of stars that are displaced from where they are expected."""
    true = np.einsum("sb,sbi->bi", FLUX, light(places + np.array(shift))[SHARE])
    error = noise * np.sqrt(1 + true)
    signal = true.copy()
    if rng is not None:
        signal += error * rng.standard_normal(true.shape)
        signal += STATIC * rng.standard_normal(true.shape[1])
    weight = error**-2
    if usable is not None:
        weight = weight * usable
    information = np.full(true.shape[1], STATIC**-2)
    return SpotData(signal, weight, information, light(places))


MOVES = np.ones((2, 3), bool)


def test_eliminated_pixels_are_those_of_the_full_equations():
    """Static parts as numbers of the fit, all equations at once."""
    found = data(np.random.default_rng(1))
    spots = fit_spots(found, FLUX, MOVES, largest_offset=1.0)
    n_pixels = PIXEL_X.size
    columns = []
    for b in range(3):
        for s in range(2):
            for k in (SHARE, BY_X, BY_Y):
                column = np.zeros((3, n_pixels))
                column[b] = found.light[k, s, b] * (1 if k == SHARE else FLUX[s, b])
                columns.append(column.ravel())
    static = np.tile(np.eye(n_pixels), (3, 1))
    design = np.hstack([np.array(columns).T, static])
    prior = np.r_[np.tile([0, 1.0, 1.0], 6), found.information]
    normal = design.T @ (found.weight.ravel()[:, None] * design) + np.diag(prior)
    inverse = np.linalg.inv(normal)
    solution = inverse @ design.T @ (found.weight * found.signal).ravel()
    offsets = np.flatnonzero(np.arange(18) % 3 > 0)
    assert spots.offset == pytest.approx(solution[offsets], rel=1e-5)
    assert spots.covariance == pytest.approx(
        inverse[np.ix_(offsets, offsets)], abs=1e-6 * spots.covariance.max()
    )
    assert spots.flux.T.ravel() == pytest.approx(solution[:18:3], rel=1e-6)
    rest = found.signal.ravel() - design @ solution
    chi2 = np.sum(found.weight.ravel() * rest**2) + np.sum(prior * solution**2)
    assert spots.chi2 == pytest.approx(chi2, rel=1e-6)


def test_pulls_of_offsets_and_fluxes():
    """Static parts and noise as the fit thinks; iterated to the displaced places."""
    rng = np.random.default_rng(2)
    offsets, fluxes, chi2 = [], [], []
    for _ in range(150):
        spots = fit_spots(data(rng), FLUX, MOVES)
        offsets.append(spots.offset / np.sqrt(np.diag(spots.covariance)))
        fluxes.append(((spots.flux - FLUX) / spots.flux_error).ravel())
        chi2.append(spots.chi2 / spots.n_degrees)
    for pulls in (np.array(offsets), np.array(fluxes)):
        # three blocks share the static parts: 50 independent numbers a pull at least
        assert np.abs(pulls.mean()) < 4 / np.sqrt(150)
        assert abs(pulls.std() - 1) < 4 / np.sqrt(2 * 150 * 2)
    assert abs(np.mean(chi2) - 1) < 0.02


def test_small_displacement_is_found():
    """Linear in 2 mm of 25 mm; second order is left."""
    shift = (0.002, -0.001)
    spots = fit_spots(data(shift=shift), FLUX, MOVES)
    assert spots.offset.reshape(-1, 2) == pytest.approx(np.tile(shift, (6, 1)), abs=1e-4)


def test_dead_pixels_have_no_weight():
    """Whatever stands in them."""
    usable = np.ones(PIXEL_X.size)
    usable[np.hypot(PIXEL_X + 0.05, PIXEL_Y) < 0.01] = 0
    rng = np.random.default_rng(4)
    first = data(rng, usable=usable)
    spots = fit_spots(first, FLUX, MOVES)
    second = SpotData(
        np.where(usable > 0, first.signal, 1e4), first.weight, first.information, first.light
    )
    again = fit_spots(second, FLUX, MOVES)
    assert again.offset == pytest.approx(spots.offset, abs=1e-9)
    full = fit_spots(data(np.random.default_rng(4)), FLUX, MOVES)
    assert np.trace(spots.covariance[:2, :2]) > 1.2 * np.trace(full.covariance[:2, :2])


def test_two_stars_at_one_place_do_not_hurt_the_others():
    """Their difference is not known, and says so; the third star is as it was."""
    places = np.array([[-0.05, 0.02], [-0.05, 0.02], [0.06, -0.03]])
    flux = np.concatenate([FLUX[:1] / 2, FLUX[:1] / 2, FLUX[1:]])
    one = data(np.random.default_rng(6))
    both = SpotData(one.signal, one.weight, one.information, light(places))
    spots = fit_spots(both, flux, np.ones((3, 3), bool))
    alone = fit_spots(one, FLUX, MOVES)
    error = np.sqrt(np.diag(spots.covariance)).reshape(-1, 2)
    assert error[spots.star == 0].min() > 0.05  # of ± 0.15 m before
    third, second = spots.star == 2, alone.star == 1
    assert error[third] == pytest.approx(
        np.sqrt(np.diag(alone.covariance)).reshape(-1, 2)[second], rel=0.02
    )


def test_response_of_a_pixel_moves_a_star():
    """Sensitivity against a fit with 2 % more light of the stars in one pixel."""
    exact = data()
    spots = fit_spots(exact, FLUX, MOVES, sensitivities=True)
    pixel = int(np.argmax(exact.light[SHARE, 0, 0]))
    changed = exact.signal.copy()
    changed[:, pixel] *= 1.02
    again = fit_spots(SpotData(changed, exact.weight, exact.information, exact.light), FLUX, MOVES)
    assert again.offset - spots.offset == pytest.approx(0.02 * spots.by_pixel[:, pixel], abs=1e-7)


def test_response_is_in_the_weights_alone():
    """Pixels off by 1 p.e. more than others: images of events alone scatter by `covariance`."""
    rng = np.random.default_rng(11)
    response = np.where(np.arange(PIXEL_X.size) % 2, 1.0, 0.0)
    pulls, before = [], []
    for _ in range(300):
        one = data(rng)
        known = SpotData(
            one.signal, one.weight, 1 / (1 / one.information + response), one.light, response
        )
        spots = fit_spots(known, FLUX, MOVES, sensitivities=True)
        pulls.append(spots.offset / np.sqrt(np.diag(spots.covariance)))
        before.append(np.diag(fit_spots(known, FLUX, MOVES).covariance)[0])
    assert np.std(pulls) == pytest.approx(1, abs=5 / np.sqrt(2 * 300))  # blocks share pixels
    assert before[0] > 1.05 * spots.covariance[0, 0]


def test_width_is_corrected():
    """Images of σ 2 % larger than expected; both correction and sensitivity."""
    wide = pixel_table(PixelShape("square", WIDTH), 1.02 * SIGMA)
    x, y = (np.repeat(STARS[:, k, None], 3, axis=1) for k in range(2))
    true = light_of_stars(wide, PIXEL_X, PIXEL_Y, x, y, np.ones(3), np.arange(3), 0.0)
    signal = np.einsum("sb,sbi->bi", FLUX, true[SHARE])
    exact = data()
    changed = SpotData(signal, exact.weight, exact.information, exact.light)
    spots = fit_spots(changed, FLUX, MOVES, (True, False))
    assert spots.psf[0] == pytest.approx(SIGMA**2 * (1.02**2 - 1), rel=0.05)
    assert spots.psf[1] == 0
    assert spots.psf_covariance[0, 0] > 0


def test_scatter_of_the_right_side_by_noise_of_pixels():
    """Pixel by pixel: the sum over blocks and pixels of the squares of what one of them does."""
    rng = np.random.default_rng(1)
    n_blocks, n_pixels, n_stars = 3, 7, 2
    light = rng.random((5, n_stars, n_blocks, n_pixels))
    signal, weight = rng.random((2, n_blocks, n_pixels)) + 0.5
    data = SpotData(signal, weight, rng.random(n_pixels) + 0.2, light)
    flux = rng.random((n_stars, n_blocks)) + 1
    own = _own_columns(data, flux, np.ones(flux.shape, bool))
    equations = _Equations(data, own, np.array([_by_psf(data, flux, 0)]))
    variance = rng.random(n_pixels)
    expected = 0
    for place in np.ndindex(n_blocks, n_pixels):
        image = np.zeros((n_blocks, n_pixels))
        image[place] = np.sqrt(variance[place[1]])
        right = equations.project(image)
        expected = expected + np.outer(right, right)
    assert equations.scatter(variance) == pytest.approx(expected)

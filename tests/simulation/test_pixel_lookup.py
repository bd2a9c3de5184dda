"""Pixel under a point, against the nearest centre and the outline of the pixel."""

import numpy as np
import pytest

from calibpipe.simulation.pixel_lookup import pixel_lookup

HEXAGON = np.deg2rad([0, 60, 120])  # normals of the edges
SQUARE = np.deg2rad([0, 90])


def hexagons():
    """Centres at a distance of 1 in a hexagon, one of which is missing."""
    i, j = (axis.ravel() for axis in np.mgrid[-6:7, -6:7])
    inside = (np.abs(i + j) <= 6) & ~((i == 2) & (j == 1))
    return (i + j / 2)[inside], (j * np.sqrt(3) / 2)[inside]


def squares():
    return tuple(axis.ravel() * 0.5 for axis in np.mgrid[0:9, 0:7])


@pytest.mark.parametrize(
    ("centres", "normals", "half"),
    [(hexagons(), HEXAGON, 0.5), (squares(), SQUARE, 0.25)],
    ids=["hexagons", "squares"],
)
def test_the_pixel_whose_outline_has_the_point(rng, centres, normals, half):
    x, y = centres
    points = rng.uniform(-8, 8, (2, 20_000))
    dx, dy = (p[:, np.newaxis] - c for p, c in zip(points, (x, y), strict=True))
    across = np.abs(dx[..., np.newaxis] * np.cos(normals) + dy[..., np.newaxis] * np.sin(normals))
    inside = (across <= half).all(axis=2)
    assert inside.sum(axis=1).max() == 1
    expected = np.where(inside.any(axis=1), inside.argmax(axis=1), -1)
    np.testing.assert_array_equal(pixel_lookup(x, y)(*points), expected)


@pytest.mark.parametrize(
    ("centres", "normals", "pitch"),
    [(hexagons(), HEXAGON, 1.0), (squares(), SQUARE, 0.5)],
    ids=["hexagons", "squares"],
)
def test_light_in_gaps_is_lost(rng, centres, normals, pitch):
    """Pixels of 0.9 pitches, turned by 0.3 rad: 1 - 0.9² of the points are in gaps."""
    turn = np.exp(0.3j)
    place = (centres[0] + 1j * centres[1]) * turn
    points = (rng.uniform(-8, 8, 20_000) + 1j * rng.uniform(-8, 8, 20_000)) * turn
    whole = pixel_lookup(place.real, place.imag)(points.real, points.imag)
    found = pixel_lookup(place.real, place.imag, 0.9 * pitch)(points.real, points.imag)
    kept = found >= 0
    np.testing.assert_array_equal(found[kept], whole[kept])
    offset = (points - place[whole]) / turn
    across = offset.real[:, np.newaxis] * np.cos(normals) + offset.imag[:, np.newaxis] * np.sin(
        normals
    )
    inside = (whole >= 0) & (np.abs(across) < 0.45 * pitch).all(axis=1)
    np.testing.assert_array_equal(kept, inside)
    n = np.count_nonzero(whole >= 0)
    assert kept.sum() / n == pytest.approx(0.81, abs=4 * np.sqrt(0.81 * 0.19 / n))


def test_far_away_and_no_points():
    lookup = pixel_lookup(*hexagons())
    assert (lookup(np.array([1e3, 0.0, -1e3]), np.array([0.0, -1e3, 1e3])) == -1).all()
    assert lookup(np.array([]), np.array([])).size == 0

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


def test_far_away_and_no_points():
    lookup = pixel_lookup(*hexagons())
    assert (lookup(np.array([1e3, 0.0, -1e3]), np.array([0.0, -1e3, 1e3])) == -1).all()
    assert lookup(np.array([]), np.array([])).size == 0

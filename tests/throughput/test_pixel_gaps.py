"""Fill factor of lattices of known pitch; what it means for a throughput."""

import numpy as np
import pytest

from calibpipe.core.telescope import telescope_subarray
from calibpipe.throughput.pixel_gaps import camera_fill_factor, muon_pixel_gaps, pixel_fill_factor

HEXAGON = np.sqrt(3) / 2  # area over squared width


def hexagons(pitch, rings=12):
    """Centres of a hexagonal camera."""
    i, j = np.mgrid[-rings : rings + 1, -rings : rings + 1]
    inside = np.abs(i + j) <= rings
    i, j = i[inside], j[inside]
    return pitch * (i + j / 2), pitch * HEXAGON * j


@pytest.mark.parametrize(
    ("pitch", "expected", "gaps"),
    [(0.050, (49 / 50) ** 2, "excluded"), (0.049, 1.0, "included")],
)
def test_hexagons(pitch, expected, gaps):
    x, y = hexagons(pitch)
    angle = 0.3
    turned = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    area = np.full(x.size, HEXAGON * 0.049**2)
    found = pixel_fill_factor(*turned, area)
    assert found == pytest.approx(expected, rel=1e-9)
    assert muon_pixel_gaps(found) == gaps


def test_squares_in_modules():
    """Modules of 4 x 4 pixels of width 1 that are 0.4 apart: 16 of 4.4 x 4.4."""
    place = np.arange(32) + 0.4 * (np.arange(32) // 4)
    x, y = (grid.ravel() for grid in np.meshgrid(place, place))
    found = pixel_fill_factor(x, y, np.ones(x.size))
    extent = place[-1] - place[0]  # the triangles reach from centre to centre
    assert found == pytest.approx(31**2 / extent**2, rel=1e-6)


def test_lst_of_the_observatory_tiles_the_plane():
    geometry = telescope_subarray(1).tel[1].camera.geometry
    found = camera_fill_factor(geometry)
    assert found == pytest.approx(1, abs=1e-3)
    assert muon_pixel_gaps(found) == "included"

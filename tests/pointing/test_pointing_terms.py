"""Terms of a mount: hand-computed offsets, rotations of a true mount, TPOINT's signs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.pointing.pointing_terms import (
    GEOMETRIC_TERMS,
    check_terms,
    design_matrix,
    scaled_condition,
)

ARCSEC = np.radians(1 / 3600)
R = np.sqrt(0.5)
AZIMUTH, ALTITUDE = np.array([10.0, 130.0, 250.0, 333.0]), np.array([20.0, 45.0, 70.0, 80.0])


def offsets(term, azimuth, altitude):
    return design_matrix([term], azimuth, altitude)[0, :, 0]


@pytest.mark.parametrize(
    ("term", "expected"),
    [  # at azimuth 90 (east), altitude 45 deg, where A' is 90, too
        ("IA", (-R, 0)),
        ("IE", (0, 1)),
        ("CA", (-1, 0)),
        ("NPAE", (-R, 0)),
        ("AN", (-R, 0)),
        ("AW", (0, 1)),
        ("TF", (0, -R)),
        ("TX", (0, -1)),
        ("ECES", (0, R)),
        ("ECEC", (0, R)),
        ("ACES", (-R, 0)),
        ("ACEC", (0, 0)),
        ("HASA", (-R, 0)),
        ("HSSA", (-1, 0)),
        ("HSCA2", (1, 0)),
        ("HVSA", (-R, 0)),
        ("HESE", (0, R)),
        ("HZCZ", (0, -R)),
        ("HESA2", (0, 0)),
        ("HECA2SE", (0, -R)),
    ],
)
def test_terms_in_the_east(term, expected):
    assert_allclose(offsets(term, 90.0, 45.0), expected, atol=1e-12)


def directions(azimuth, altitude):
    """North, east, up."""
    A, E = np.radians(azimuth), np.radians(altitude)
    return np.stack([np.cos(A) * np.cos(E), np.sin(A) * np.cos(E), np.sin(E)], axis=-1)


def mount(azimuth, altitude, size, term):
    """True directions of a mount with one defect, by rotations; offsets in units of its size."""
    A, E = np.radians(azimuth), np.radians(altitude)
    zero = np.zeros_like(A)
    right, up = np.stack([-np.sin(A), np.cos(A), zero], -1), np.array([0.0, 0.0, 1.0])
    north, west = np.array([1.0, 0, 0]), np.array([0, -1.0, 0])
    look = directions(azimuth, altitude)
    match term:
        case "AN" | "AW":  # all turns with the axis, which leans: rotation about up x lean
            axis = np.cross(up, north if term == "AN" else west)
            moved = look + size * np.cross(axis, look)
        case "CA":  # the camera sees what is left of the tube
            moved = look - size * right
        case "TF":  # droops by the weight across the tube
            raised = np.stack([-np.cos(A) * np.sin(E), -np.sin(A) * np.sin(E), np.cos(E)], -1)
            moved = look - size * np.cos(E)[:, None] * raised
    moved /= np.linalg.norm(moved, axis=-1, keepdims=True)
    lat = np.arcsin(moved[:, 2]) - E
    lon = np.angle(np.exp(1j * (np.arctan2(moved[:, 1], moved[:, 0]) - A))) * np.cos(E)
    return np.stack([lon, lat], -1) / size


@pytest.mark.parametrize("term", ["AN", "AW", "CA", "TF"])
def test_terms_are_rotations_of_a_mount(term):
    """AN and AW positive: the azimuth axis leans north and west of the zenith (TPOINT)."""
    found = design_matrix([term], AZIMUTH, ALTITUDE)[:, :, 0]
    assert_allclose(found, mount(AZIMUTH, ALTITUDE, ARCSEC, term), atol=1e-4)


def test_elevation_axis_that_is_not_horizontal():
    """NPAE positive: the right end of the elevation axis is too high."""
    size = ARCSEC
    A, E = np.radians(AZIMUTH), np.radians(ALTITUDE)
    zero = np.zeros_like(A)
    forward = np.stack([np.cos(A), np.sin(A), zero], -1)
    right = np.stack([-np.sin(A), np.cos(A), zero], -1)
    tilted = right + size * np.array([0.0, 0.0, 1.0])  # its right end is up
    raised = np.cross(tilted, forward)  # where the tube goes from the horizon
    raised *= -np.sign(raised[:, 2:])
    look = np.cos(E)[:, None] * forward - np.sin(E)[:, None] * raised
    lon = np.sum((look - directions(AZIMUTH, ALTITUDE)) * right, axis=1)
    assert_allclose(lon / size, design_matrix(["NPAE"], AZIMUTH, ALTITUDE)[:, 0, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("harmonic", "same", "sign"),
    [
        ("HASA", "ACES", 1),
        ("HACA", "ACEC", 1),
        ("HECE", "ECEC", 1),
        ("HESE", "ECES", 1),
        ("HZCE", "TF", 1),
        ("ECEC", "TF", -1),
    ],
)
def test_harmonics_that_have_names(harmonic, same, sign):
    one, other = (design_matrix([term], AZIMUTH, ALTITUDE) for term in (harmonic, same))
    assert_allclose(one, sign * other, atol=1e-12)


@pytest.mark.parametrize(
    ("term", "axis", "expected"),
    [  # signs against azimuth from north, as in the documentation of katpoint
        ("HACA", 0, lambda A, E: np.cos(A) * np.cos(E)),
        ("HASA", 0, lambda A, E: -np.sin(A) * np.cos(E)),
        ("HACA2", 0, lambda A, E: -np.cos(2 * A) * np.cos(E)),
        ("HASA2", 0, lambda A, E: np.sin(2 * A) * np.cos(E)),
        ("HECA", 1, lambda A, E: -np.cos(A)),
        ("HESA", 1, lambda A, E: np.sin(A)),
        ("HECA2", 1, lambda A, E: np.cos(2 * A)),
        ("HESA2", 1, lambda A, E: -np.sin(2 * A)),
    ],
)
def test_harmonics_count_azimuth_from_south(term, axis, expected):
    found = design_matrix([term], AZIMUTH, ALTITUDE)[:, axis, 0]
    assert_allclose(found, expected(np.radians(AZIMUTH), np.radians(ALTITUDE)), atol=1e-12)


def test_nothing_has_a_pole_at_the_zenith():
    terms = [*GEOMETRIC_TERMS, "TF", "TX", "ACES", "HVCA", "HSCA2"]
    found = design_matrix(terms, np.arange(0, 360, 30.0), 90.0)
    assert np.abs(found).max() <= 1 + 1e-12


def test_condition_by_hand():
    """Columns (1, 0) and (1, 1)/sqrt(2) have the singular values sqrt(1 +- 1/sqrt(2))."""
    design = np.array([[[1.0, 7.0], [0.0, 7.0]]])
    assert scaled_condition(design) == pytest.approx(1 + np.sqrt(2))
    assert scaled_condition(np.ones((4, 2, 2))) > 1e15
    assert scaled_condition(np.eye(2)[None], np.diag([1.0, 9.0])[None]) == pytest.approx(1)


def test_condition_grows_when_altitudes_are_few():
    terms = [*GEOMETRIC_TERMS, "TF"]
    azimuth = np.arange(0, 360, 7.0)
    wide, narrow = (
        scaled_condition(design_matrix(terms, azimuth, np.linspace(low, high, len(azimuth))))
        for low, high in ((15, 85), (45, 55))
    )
    assert wide < 60
    assert narrow > 1000


@pytest.mark.parametrize("term", ["XX", "HQSA", "HASA0", "ia", "HAXA", "HASA2CE3SE", ""])
def test_unknown_terms(term):
    with pytest.raises(ConfigurationError, match="is no term of a pointing model; there are IA"):
        design_matrix([term], 10.0, 20.0)


def test_terms_that_cannot_be_fitted():
    check_terms([*GEOMETRIC_TERMS, "TF", "TX", "ECES", "HASA2", "HACA2"])
    with pytest.raises(ConfigurationError, match="needs terms"):
        check_terms([])
    with pytest.raises(ConfigurationError, match="term CA is given twice"):
        check_terms(["IA", "CA", "CA"])
    with pytest.raises(ConfigurationError, match="terms TF, ECEC cannot be told apart"):
        check_terms(["IA", "IE", "TF", "ECEC"])
    with pytest.raises(ConfigurationError, match="terms ACES, HASA cannot"):
        check_terms(["IE", "ACES", "HASA"])

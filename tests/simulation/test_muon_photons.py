"""Photons of a muon, one by one: their number, direction, place and time against closed forms."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.constants import alpha
from scipy.special import ellipe

from calibpipe.atmosphere.refractivity import standard_air_refractivity
from calibpipe.simulation.muon_photons import (
    MUON_MASS,
    MisalignedSector,
    MuonTelescope,
    muon_photons,
    muon_track,
    sin2_cherenkov,
)

R = 11.1  # m
THETA = np.deg2rad(1.2)
FAST = 1e6  # GeV
LIGHT = 0.299792458  # m/ns
PLAIN = MuonTelescope(
    psf=0.0,
    mirror_radius=R,
    hole_radius=0.0,
    refractivity=1 / np.cos(THETA) - 1,
    is_dispersive=False,
    scale_height=1e12,
    extinction=0.0,
    radiation_length=np.inf,
    field=(0.0, 0.0),
)
ON_AXIS = np.pi * alpha.value * R * np.sin(2 * THETA) * 1e9 * (1 / 300 - 1 / 600)


@pytest.fixture
def counts(rng):
    """Number of photons of each of some muons."""

    def photons(telescope, n_muons, impact=(0.0, 0.0), fov=(0.0, 0.0), energy=FAST, fraction=0.2):
        several = (
            muon_photons(energy, impact, fov, telescope, rng, fraction=fraction)
            for _ in range(n_muons)
        )
        return np.array([photons.x.size for photons in several])

    return photons


def towards(photons, impact):
    """Azimuth on the sky that photons come from, of where they hit the mirror."""
    return np.arctan2(impact[1] - photons.y, impact[0] - photons.x)


@pytest.mark.parametrize(
    ("rho", "ratio"),
    [(0, 1), (0.25, 0.98419), (0.5, 0.93422), (0.75, 0.83937), (1, 0.63662), (1.5, 0.35593)],
)
def test_photons_on_the_mirror_follow_the_chord(counts, assert_pulls, rho, ratio):
    """Mean chord in units of the radius; 17760 photons hit the mirror of an LST in its middle."""
    assert pytest.approx(17760, abs=0.5) == ON_AXIS
    impact = rho * R * np.array([np.cos(4.0), np.sin(4.0)])
    expected = 0.2 * ON_AXIS * ratio
    assert_pulls((counts(PLAIN, 80, impact) - expected) / np.sqrt(expected))


def test_inclined_muons(counts, assert_pulls):
    """On a disc seen under an angle, in its middle: the mean chord is that of an ellipse.

    A plane through a cone around the track, inclined by 20°: the ray at azimuth a, of unit length
    across the track, goes sqrt(1 + tan² a) further along it, by terms of the Cherenkov angle that
    cancel at opposite azimuths. The mean distance of the rim across the track is that of the
    ellipse with axes R and R cos 20°, 2/π R E(sin² 20°).
    """
    expected = 0.2 * ON_AXIS * 2 / np.pi * ellipe(np.sin(np.deg2rad(20)) ** 2)
    # (tan θ tan 20°)² = 6e-5 is left
    assert_pulls((counts(PLAIN, 80, fov=(12.0, 16.0)) - expected) / np.sqrt(expected))


@pytest.mark.parametrize("rho", [0, 0.5])
def test_the_hole_is_dark(rng, counts, assert_pulls, rho):
    hole = 3.0
    telescope = replace(PLAIN, hole_radius=hole)
    phi = np.linspace(0, 2 * np.pi, 20_001)[:-1]
    inside = np.maximum(hole**2 - (rho * R * np.sin(phi)) ** 2, 0)
    chord = hole if rho == 0 else 2 * np.mean(np.sqrt(inside) * (np.cos(phi) > 0))
    lit = 2 / np.pi * ellipe(rho**2) * R - chord
    expected = 0.2 * ON_AXIS * lit / R
    assert_pulls((counts(telescope, 80, (rho * R, 0.0)) - expected) / np.sqrt(expected))
    photons = muon_photons(FAST, (rho * R, 0.0), (0.0, 0.0), telescope, rng)
    radius = np.hypot(photons.x, photons.y)
    assert hole <= radius.min() < hole + 0.1
    assert R - 0.1 < radius.max() <= R


def test_light_in_real_air(counts, assert_pulls):
    """Dispersion, thinner air above and extinction: the integral along the track, done twice."""
    air = replace(MuonTelescope(), mirror_radius=R, hole_radius=1.0, radiation_length=np.inf)
    air = replace(air, field=(0.0, 0.0))
    air = replace(air, extinction=3e-4)  # ten times that of air, to see it
    energy = 9.0
    s = np.linspace(0, 1500, 3001)[:, np.newaxis]
    wave_number = np.linspace(1 / 600, 1 / 300, 201)
    dispersion = standard_air_refractivity(1 / wave_number * u.nm, 4e-4).value
    dispersion /= standard_air_refractivity(400 * u.nm, 4e-4).value
    index = 1 + 2.238e-4 * np.exp(-s / 10_200) * dispersion
    cosine = 1 / (index * np.sqrt(1 - (0.10566 / energy) ** 2))
    radius = s * np.sqrt(1 / cosine**2 - 1)
    path = 10_200 * (1 - np.exp(-s / 10_200)) / cosine
    light = (1 - cosine**2) * np.exp(-3e-4 * (400 * wave_number) ** 4 * path)
    light = np.where((radius > 1.0) & (radius < R), light, 0.0)
    per_length = np.trapezoid(light, wave_number, axis=1)
    expected = 0.2 * 2e9 * np.pi * alpha.value * np.trapezoid(per_length, s[:, 0])
    n = 100
    found = counts(air, n, energy=energy)
    assert_pulls((found - expected) / np.sqrt(expected))
    clear = counts(replace(air, extinction=0.0), n, energy=energy)
    assert clear.mean() > 1.1 * found.mean()  # there is something to see


@pytest.mark.parametrize(
    ("energy", "angle"),
    [
        (6, 0.6839),
        (8, 0.9556),
        (10, 1.0580),
        (15, 1.1502),
        (20, 1.1808),
        (50, 1.2129),
        (FAST, 1.2190),
    ],
)
def test_cherenkov_angle(energy, angle):
    """At n - 1 = 2.2635e-4 (788 hPa, 10 °C, 350 nm)."""
    found = np.rad2deg(np.arcsin(np.sqrt(sin2_cherenkov(energy, 2.2635e-4))))
    assert found == pytest.approx(angle, abs=6e-5)
    assert sin2_cherenkov(4.967 - 0.002, 2.2635e-4) == 0 < sin2_cherenkov(4.969, 2.2635e-4)


def test_no_light_below_the_threshold(rng):
    assert muon_photons(4.0, (0.0, 0.0), (0.0, 0.0), PLAIN, rng).x.size == 0


@pytest.mark.parametrize("fov", [(0.0, 0.0), (0.7, -1.1)])
def test_ring_has_the_cherenkov_angle_around_the_muon(rng, fov):
    """Angles on the sphere, of the camera's equidistant mapping."""

    def direction(lon, lat):
        angle = np.deg2rad(np.hypot(lon, lat))
        polar = np.arctan2(lat, lon)
        return np.sin(angle) * np.cos(polar), np.sin(angle) * np.sin(polar), np.cos(angle)

    photons = muon_photons(FAST, (3.0, 4.0), fov, PLAIN, rng, fraction=0.1)
    apart = np.subtract(
        direction(photons.fov_lon, photons.fov_lat), np.reshape(direction(*fov), (3, 1))
    )
    angle = 2 * np.arcsin(np.linalg.norm(apart, axis=0) / 2)
    np.testing.assert_allclose(angle, THETA, rtol=1e-9)


def test_light_comes_from_where_it_does_not_go(rng):
    """Light from azimuth a of the sky hits the mirror at the impact point - t (cos a, sin a)."""
    impact = (6.0, -4.0)
    photons = muon_photons(FAST, impact, (0.0, 0.0), PLAIN, rng, fraction=0.1)
    azimuth = np.arctan2(photons.fov_lat, photons.fov_lon)
    apart = np.exp(1j * azimuth) / np.exp(1j * towards(photons, impact))
    np.testing.assert_allclose(apart, 1, atol=1e-9)
    length = np.hypot(photons.x - impact[0], photons.y - impact[1])
    np.testing.assert_allclose(length, photons.distance * np.tan(THETA), rtol=1e-9)


def test_ring_is_brightest_at_the_azimuth_of_the_impact_point(rng):
    phi0 = 2.3
    impact = 0.8 * R * np.array([np.cos(phi0), np.sin(phi0)])
    photons = muon_photons(FAST, impact, (0.5, 0.2), PLAIN, rng)
    azimuth = np.arctan2(photons.fov_lat - 0.2, photons.fov_lon - 0.5) - phi0
    n = azimuth.size
    assert abs(np.mean(np.sin(azimuth))) < 5 * np.std(np.sin(azimuth)) / np.sqrt(n)
    # of the chord sqrt(1 - ρ² sin²) + ρ cos the cosine picks half of ρ
    expected = 0.8 / 2 / (2 / np.pi * ellipe(0.8**2))
    assert np.mean(np.cos(azimuth)) == pytest.approx(
        expected, abs=5 * np.std(np.cos(azimuth)) / np.sqrt(n)
    )


def test_point_spread(rng, assert_pulls):
    impact = (2.0, 1.0)
    photons = muon_photons(FAST, impact, (0.0, 0.0), replace(PLAIN, psf=0.05), rng)
    azimuth = towards(photons, impact)
    for axis, part in ((photons.fov_lon, np.cos(azimuth)), (photons.fov_lat, np.sin(azimuth))):
        assert_pulls((axis - 1.2 * part) / 0.05)


@pytest.mark.parametrize("begin", [0.5, -1.0])
def test_misaligned_sector(rng, begin):
    sector = MisalignedSector(begin=begin, end=begin + 1.5, shift=0.2, direction=2.0)
    impact = (0.0, 0.0)
    photons = muon_photons(FAST, impact, (0.0, 0.0), replace(PLAIN, misaligned=sector), rng)
    ring = 1.2 * np.exp(1j * towards(photons, impact))
    shift = photons.fov_lon + 1j * photons.fov_lat - ring
    azimuth = np.angle(np.exp(1j * (np.arctan2(photons.y, photons.x) - begin - 0.75)))
    there = np.abs(azimuth) < 0.75
    np.testing.assert_allclose(shift, np.where(there, 0.2 * np.exp(2j), 0), atol=1e-9)
    share = 1.5 / (2 * np.pi)
    assert there.mean() == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / there.size))


def test_all_light_arrives_as_if_from_the_impact_point(rng):
    """Path differences: b·sin θ/c times the cosine of the azimuth from the impact point."""
    impact = (0.9 * R, 0.0)
    photons = muon_photons(FAST, impact, (0.0, 0.0), PLAIN, rng)
    azimuth = np.arctan2(photons.fov_lat, photons.fov_lon)
    expected = impact[0] * np.sin(THETA) * np.cos(azimuth) / LIGHT
    # (tan θ - sin θ) t/c, t < 2 R
    np.testing.assert_allclose(photons.time, expected, atol=2 * R * THETA**3 / 2 / LIGHT * 1.01)
    assert np.ptp(photons.time) > 0.5


def test_slow_light_of_a_slow_muon(rng):
    """A muon of 8 GeV is behind the light: c t = s (n²β - 1/β) for light in the middle."""
    photons = muon_photons(8.0, (0.0, 0.0), (0.0, 0.0), PLAIN, rng, fraction=0.1)
    beta, n = np.sqrt(1 - (MUON_MASS / 8.0) ** 2), 1 + PLAIN.refractivity
    cosine = 1 / (n * beta)
    landing = photons.distance * (n**2 * beta - 1 / beta)
    to_centre = photons.distance * np.sqrt(1 - cosine**2) ** 2 / cosine
    np.testing.assert_allclose(photons.time * LIGHT, landing - to_centre, atol=1e-9)


def test_multiple_scattering(rng):
    """Random walk: the variance of the slope grows with s, that of the offset with s³/3."""
    air = replace(PLAIN, radiation_length=300.0)
    energy, n = 10.0, 4000
    tracks = [muon_track(energy, np.zeros(2), air, rng) for _ in range(n)]
    part = min(track[1].shape[1] for track in tracks) - 1
    nodes = tracks[0][0]
    slope = np.array([track[1][:, part] for track in tracks])
    offset = np.array([track[2][:, part] for track in tracks])
    p, beta = np.sqrt(energy**2 - MUON_MASS**2), np.sqrt(1 - (MUON_MASS / energy) ** 2)
    expected = 0.0136 / (beta * p) * np.sqrt((nodes[part] + nodes[1] / 2) / 300)
    tolerance = 5 / np.sqrt(4 * n)
    assert slope.std() == pytest.approx(expected, rel=tolerance)
    expected = 0.0136 / (beta * p) * np.sqrt(nodes[part] ** 3 / 3 / 300)
    # the sum over steps: a part of 1/n² of n steps is missing
    assert offset.std() == pytest.approx(expected, rel=tolerance + 1 / part**2)
    assert all((track[2][:, 0] == 0).all() for track in tracks)


def test_scattered_muon_takes_its_photons_along(rng):
    """The centre of the ring of the light from some distance has the scatter of the muon there."""
    air = replace(PLAIN, radiation_length=100.0)
    energy, n = 20.0, 300
    centres, errors = [], []
    for _ in range(n):
        photons = muon_photons(energy, (0.0, 0.0), (0.0, 0.0), air, rng, fraction=0.3)
        own = (photons.distance > 150) & (photons.distance < 350)  # all of it hits the mirror
        centres.append([photons.fov_lon[own].mean(), photons.fov_lat[own].mean()])
        errors.append(1.2 / np.sqrt(2 * own.sum()))
    # mean of the variance of the walk over the interval: s1 + (s2 - s1)/3
    beta2 = 1 - (MUON_MASS / energy) ** 2
    scatter = np.rad2deg(0.0136 / (beta2 * energy) * np.sqrt((150 + 200 / 3) / 100))
    expected = np.hypot(scatter, np.sqrt(np.mean(np.square(errors))))
    assert np.std(centres) == pytest.approx(expected, rel=5 / np.sqrt(4 * n))
    assert scatter > 2 * np.mean(errors)


# 38.7 µT across the track: a positive muon that flies down comes from the West
NORTHWARDS = (0.0, -38.7e-6)  # the telescope is turned to the North: y is South


def test_bending_by_hand(rng):
    """0.2998 x 38.7e-6 T x 300 m / 12 GeV = 0.290 mrad, 0.0166 deg, and 43.5 mm."""
    telescope = replace(PLAIN, field=NORTHWARDS)
    nodes, slope, offset = muon_track(12.0, np.zeros(2), telescope, rng)
    middle = (nodes[1:] + nodes[:-1]) / 2
    turned = np.rad2deg(np.interp(300.0, middle, slope[0]))
    assert turned == pytest.approx(0.0166, abs=5e-5)
    aside = np.interp(300.0, nodes, offset[0])
    assert aside == pytest.approx(0.0435, abs=1e-4)
    assert (slope[1] == 0).all()


def test_direction_of_the_force(rng):
    """v x B in North, East, down: what flies down in a field to the North is pushed to the East.

    It comes ever more from the East, the higher above the telescope: x, which is East.
    """
    charge, down, north = 1, np.array([0.0, 0, 1]), np.array([1.0, 0, 0])
    force = charge * np.cross(down, north)
    np.testing.assert_allclose(force, [0, 1, 0])
    for q in (1, -1):
        telescope = replace(PLAIN, field=NORTHWARDS)
        _, slope, offset = muon_track(12.0, np.zeros(2), telescope, rng, charge=q)
        assert (q * slope[0] > 0).all()
        assert (np.diff(q * slope[0]) > 0).all()
        assert (q * offset[0][1:] > 0).all()
    np.testing.assert_allclose(np.cross(down, [0.0, 1, 0]), [-1, 0, 0])  # to the South, y
    eastwards = replace(PLAIN, field=(38.7e-6, 0.0))
    assert (muon_track(12.0, np.zeros(2), eastwards, rng)[1][1] > 0).all()


def test_fast_muons_fly_straight(rng):
    """The bending goes with 1/p; none for a muon without charge."""
    telescope = replace(PLAIN, field=NORTHWARDS)
    slopes = [muon_track(e, np.zeros(2), telescope, rng)[1][0, 0] for e in (20.0, 40.0, 1e9)]
    p = [np.sqrt(e**2 - MUON_MASS**2) for e in (20.0, 40.0)]
    nodes = [muon_track(e, np.zeros(2), telescope, rng)[0][1] for e in (20.0, 40.0)]
    assert slopes[0] / slopes[1] == pytest.approx(p[1] / p[0] * nodes[0] / nodes[1], rel=1e-12)
    assert abs(slopes[2]) < 1e-11
    assert (muon_track(20.0, np.zeros(2), telescope, rng, charge=0)[1] == 0).all()


@pytest.mark.parametrize("charge", [1, -1])
def test_bent_muon_takes_its_photons_along(rng, charge):
    """Every photon is at the Cherenkov angle from where the muon comes from there."""
    telescope = replace(PLAIN, field=(100e-6, -300e-6))
    photons = muon_photons(10.0, (0.0, 0.0), (0.0, 0.0), telescope, rng, charge=charge)
    curvature = np.rad2deg(0.299792458 / np.sqrt(10.0**2 - MUON_MASS**2))  # deg/(T m)
    turn = charge * curvature * photons.distance
    angle = np.hypot(photons.fov_lon - 300e-6 * turn, photons.fov_lat - 100e-6 * turn)
    expected = np.rad2deg(np.arcsin(np.sqrt(sin2_cherenkov(10.0, PLAIN.refractivity))))
    # the direction is that of the middle of a step, 1/64 of at most 1.5 times all distances
    step = 1.5 * photons.distance.max() / 64
    half = curvature * np.hypot(100e-6, 300e-6) * step / 2
    np.testing.assert_allclose(angle, expected, atol=half)
    assert 300e-6 * np.abs(turn).max() > 20 * half

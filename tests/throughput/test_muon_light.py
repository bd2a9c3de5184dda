"""Light of a muon by azimuth: closed forms, limits, anchors D01 to D03."""

import astropy.units as u
import numpy as np
import pytest
from astropy.constants import alpha
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ellipe

from calibpipe.throughput.muon_light import (
    MUON_MASS,
    band_extinction,
    cherenkov_angle,
    chord_interval,
    chord_length,
    lowest_extinction,
    muon_threshold,
    photons_per_azimuth,
)

N = 20_000
PHI = (np.arange(N) + 0.5) * 2 * np.pi / N
STEP = 2 * np.pi / N
ANGLE = 1.2 * u.deg


def ring_photons(impact, mirror=11.1 * u.m, angle=ANGLE, **more):
    """Photons of the whole ring."""
    light = photons_per_azimuth(impact, PHI * u.rad, angle, mirror, **more) * STEP * u.rad
    return light.to_value(u.one).sum()


@pytest.mark.parametrize(
    ("rho", "mean"),
    [(0, 1.0), (0.25, 0.98419), (0.5, 0.93422), (0.75, 0.83937), (1, 0.63662), (1.5, 0.35593)],
)
def test_mean_chord(rho, mean):
    """D01, in radii of the mirror: 2/pi E(rho) inside."""
    found = chord_length(rho, PHI, 1.0).mean()
    assert found == pytest.approx(mean, abs=1e-5)
    if rho <= 1:
        assert found == pytest.approx(2 / np.pi * ellipe(rho**2), rel=1e-6)


@pytest.mark.parametrize(
    ("impact", "azimuth", "begin", "end"),
    [
        (0.0, 1.0, 0.0, 2.0),
        (1.0, 0.0, 0.0, 3.0),
        (1.0, np.pi, 0.0, 1.0),
        (1.0, np.pi / 2, 0.0, np.sqrt(3)),
        (4.0, 0.0, 2.0, 6.0),
        (4.0, np.pi / 6, 2 * np.sqrt(3), 2 * np.sqrt(3)),  # the tangent
        (4.0, np.pi, 0.0, 0.0),
        (4.0, np.pi / 2, 0.0, 0.0),
    ],
)
def test_chord_by_hand(impact, azimuth, begin, end):
    """A disc of radius 2."""
    np.testing.assert_allclose(chord_interval(impact, azimuth, 2.0), (begin, end), atol=1e-7)


@given(impact=st.floats(0, 3), azimuth=st.floats(-np.pi, np.pi), radius=st.floats(0.1, 2))
def test_ends_of_a_chord_lie_on_the_rim_or_in_the_point(impact, azimuth, radius):
    begin, end = chord_interval(impact, azimuth, radius)
    assert 0 <= begin <= end
    if end > begin + 1e-6:
        for t in (begin, end):
            from_centre = np.hypot(t * np.cos(azimuth) - impact, t * np.sin(azimuth))
            assert t == 0 or from_centre == pytest.approx(radius, rel=1e-6)


@pytest.mark.parametrize(
    ("mirror", "rho", "photons"),
    [
        (11.1, 0, 17760),
        (11.1, 0.5, 16592),
        (11.1, 1, 11307),
        (5.94, 0, 9504),
        (5.94, 0.5, 8879),
        (5.94, 1, 6051),
        (2.0, 0, 3200),
        (2.0, 0.5, 2990),
        (2.0, 1, 2037),
    ],
)
def test_photons_of_a_ring(mirror, rho, photons):
    """D02, to the digits they are given with."""
    found = ring_photons(rho * mirror * u.m, mirror * u.m)
    assert found == pytest.approx(photons, abs=0.6)


def test_on_axis_it_is_the_light_of_the_track_that_is_imaged():
    """Frank and Tamm: 2 pi alpha sin² theta (1/l1 - 1/l2) per length, of R/tan theta."""
    track = 11.1 * u.m / np.tan(ANGLE)
    wave_numbers = 1 / (300 * u.nm) - 1 / (600 * u.nm)
    expected = (2 * np.pi * alpha * np.sin(ANGLE) ** 2 * wave_numbers * track).to_value(u.one)
    assert ring_photons(0 * u.m) / expected == pytest.approx(1, rel=1e-12)


def test_light_of_a_point_of_the_mirror():
    """Sum over the azimuth is the integral over the mirror of light ~ 1/distance."""
    rng, impact = np.random.default_rng(1), 14.0
    n = 400_000
    radius, azimuth = 11.1 * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    distance = np.hypot(radius * np.cos(azimuth) - impact, radius * np.sin(azimuth))
    per_area = np.pi * 11.1**2 / distance
    track = alpha.value / 2 * np.sin(2 * ANGLE).value * 1e9 * (1 / 300 - 1 / 600)
    error = per_area.std() / np.sqrt(n)
    expected = ring_photons(impact * u.m) / track
    assert per_area.mean() == pytest.approx(expected, abs=4 * error)
    assert error < 0.002 * expected


@pytest.mark.parametrize("impact", [0.0, 0.3, 5.0, 10.7, 13.0])
@pytest.mark.parametrize("hole", [0.0, 0.74])
def test_extinction_is_integrated_along_the_chord(impact, hole):
    """Numerically, with 100 times the extinction of air."""
    rate = 3e-3 / u.m
    found = photons_per_azimuth(
        impact * u.m,
        [0.0, 0.05, 0.7, 3.0] * u.rad,
        ANGLE,
        11.1 * u.m,
        hole_radius=hole * u.m,
        extinction=rate,
    )
    t = (np.arange(400_000) + 0.5) * 25.0 / 400_000
    for phi, light in zip([0.0, 0.05, 0.7, 3.0], found, strict=True):
        radius = np.hypot(t * np.cos(phi) - impact, t * np.sin(phi))
        there = (radius < 11.1) & (radius > hole)
        column = np.sum(np.exp(-3e-3 * t / np.tan(ANGLE))[there]) * t[0] * 2
        yield_ = alpha.value / 2 * np.sin(2 * ANGLE) * (1 / 300e-9 - 1 / 600e-9)
        # a step of the sum is 60 micrometres, at no more than four rims
        tolerance = 4 * 2 * t[0] * yield_
        assert light.value == pytest.approx((yield_ * column).value, abs=tolerance.value)


def test_weak_extinction_is_linear():
    """exp(-x) = 1 - x, x the mean path: that of light on axis is R/(2 tan theta)."""
    thin = 1e-9 / u.m
    lost = 1 - ring_photons(0 * u.m, extinction=thin) / ring_photons(0 * u.m)
    assert lost == pytest.approx((thin * 11.1 * u.m / np.tan(ANGLE) / 2).value, rel=1e-6)


def test_the_hole_takes_its_own_chord():
    dark = ring_photons(3 * u.m, hole_radius=0.74 * u.m)
    assert dark == pytest.approx(
        ring_photons(3 * u.m) - ring_photons(3 * u.m, 0.74 * u.m), rel=1e-12
    )


def test_band_and_angle_scale_the_light():
    """Twice 1/l1 - 1/l2; and sin 2 theta."""
    band = (200 * u.nm, 600 * u.nm)
    assert ring_photons(0 * u.m, band=band) / ring_photons(0 * u.m) == pytest.approx(2, rel=1e-12)
    ratio = np.sin(2 * 0.9 * u.deg) / np.sin(2 * ANGLE)
    assert ring_photons(2 * u.m, angle=0.9 * u.deg) / ring_photons(2 * u.m) == pytest.approx(
        ratio.value, rel=1e-12
    )


@pytest.mark.parametrize("band", [(600, 300), (300, 300), (0, 600)])
def test_an_empty_band_is_refused(band):
    with pytest.raises(ValueError, match="from a short to a long wavelength, got"):
        ring_photons(0 * u.m, band=(band[0] * u.nm, band[1] * u.nm))


def test_a_hole_as_large_as_the_mirror_is_refused():
    with pytest.raises(ValueError, match=r"the hole, 2\.0 m, is not inside"):
        ring_photons(0 * u.m, 2 * u.m, hole_radius=2 * u.m)


@pytest.mark.parametrize(
    ("energy", "angle"),
    [
        (6, 0.6839),
        (8, 0.9556),
        (10, 1.0580),
        (15, 1.1502),
        (20, 1.1808),
        (50, 1.2129),
        (np.inf, 1.2190),
    ],
)
def test_cherenkov_angle(energy, angle):
    """D03: n - 1 = 2.2635e-4."""
    found = cherenkov_angle(2.2635e-4, energy * u.GeV)
    assert found.to_value(u.deg) == pytest.approx(angle, abs=6e-5)


@pytest.mark.parametrize(
    ("refractivity", "threshold", "largest"), [(2.2635e-4, 4.967, 1.2190), (2.83e-4, 4.442, 1.3629)]
)
def test_threshold(refractivity, threshold, largest):
    """D03, and at sea level; below it there is no angle."""
    found = muon_threshold(refractivity)
    assert found.to_value(u.GeV) == pytest.approx(threshold, abs=6e-4)
    assert cherenkov_angle(refractivity, np.inf * u.GeV).value == pytest.approx(largest, abs=6e-5)
    assert np.isnan(cherenkov_angle(refractivity, 0.9999 * found))
    assert 0 < cherenkov_angle(refractivity, 1.0001 * found).value < 0.03
    assert np.isnan(cherenkov_angle(refractivity, 0.5 * MUON_MASS))


def test_no_threshold_without_air():
    assert np.isnan(muon_threshold([0.0, -1e-4])).all()


def test_extinction_of_the_band_by_hand():
    r"""\beta = k/lambda^4: the mean with 1/lambda² is k/5 (a^-5 - b^-5)/(1/a - 1/b)."""
    wavelength = np.linspace(280, 700, 4201)
    found = band_extinction(wavelength * u.nm, wavelength**-4.0 / u.m)
    expected = (300.0**-5 - 600.0**-5) / 5 / (1 / 300 - 1 / 600)
    # trapezoids of 1 nm: h²/12 (f'(b) - f'(a)) of the integral, f ~ lambda^-6
    error = 6 * 300.0**-7 / 12 / (1 / 300 - 1 / 600)
    assert found.to_value(1 / u.m) == pytest.approx(expected, abs=1.1 * error)
    assert error < 1e-4 * expected


def test_extinction_that_is_constant_is_its_mean():
    found = band_extinction([200, 900] * u.nm, [2, 2] / u.km, (350 * u.nm, 500 * u.nm))
    assert found.to_value(1 / u.km) == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize("wavelength", [(301, 700), (200, 599)])
def test_extinction_must_cover_the_band(wavelength):
    with pytest.raises(ValueError, match="nm does not cover the band"):
        band_extinction(wavelength * u.nm, [1, 1] / u.m)


def test_extinction_of_the_lowest_air_by_hand():
    """Levels 0.3, 0.45 and 2 km above: the second is nearest to 400 m; 0.018/450 m."""
    altitude = np.array([2.45, 2.6, 4.15]) * u.km
    depth = np.array([[0.01, 0.018, 0.06], [0.001, 0.0018, 0.006]])
    found = lowest_extinction(altitude, depth, 2150 * u.m).to_value(1 / u.m)
    np.testing.assert_allclose(found, [4e-5, 4e-6])

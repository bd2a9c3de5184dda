"""Components of the width of muon rings: by hand, and photon by photon."""

import astropy.units as u
import numpy as np
import pytest
from astropy.tests.helper import assert_quantity_allclose
from ring_light import light_of_rings, simulated_rings, variances_of_circles, walk

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.throughput.muon_width import (
    SCATTERING_SPREAD,
    Air,
    Optics,
    air_at_telescope,
    bending_variance,
    chromatic_variance,
    drift_variance,
    emission_angle,
    pixel_variance,
    scattering_variance,
    squared_mass_over_momentum,
    track_moments,
    width_components,
)

AIR = Air(2.2635e-4, 0.0148, 0.97 * u.kg / u.m**3, 9.5 * u.km)
LST = Optics(11.1 * u.m, 10 * u.km, 6.9e-4 * u.deg**2)
UNFOCUSED = Optics(11.1 * u.m, np.inf * u.m, 6.9e-4 * u.deg**2)
NO_DISPERSION = Air(AIR.refractivity, 0.0, AIR.density, AIR.scale_height)
CONDITIONS = (788 * u.hPa, 283.15 * u.K, 0.0, 420e-6, AIR.density, AIR.scale_height)


def test_anchors_of_the_angle_by_hand():
    # sqrt(2 x 2.2635e-4) = 0.0212767 rad = 1.2191 deg; the exact arccos(1/n) is 1.2190 deg
    nothing = Optics(1e-9 * u.m, np.inf * u.m, 0 * u.deg**2)
    track = track_moments(0 * u.m, nothing)
    at_largest = squared_mass_over_momentum(1.2190 * u.deg, track, nothing, AIR)
    assert at_largest == pytest.approx(0, abs=2 * 0.0213 * np.deg2rad(2e-4))
    # 10 GeV: 1.0580 deg
    ratio = squared_mass_over_momentum(1.0580 * u.deg, track, nothing, AIR) ** 0.5
    momentum = np.sqrt(10**2 - 0.10566**2)
    assert ratio * momentum == pytest.approx(0.10566, rel=2e-3)


def test_anchor_of_dispersion():
    """n-1 differs by 5.3 % from 300 to 600 nm, the angle by 2.6 %: 0.031 deg at 1.2 deg."""
    two_lines = air_at_telescope(*CONDITIONS, wavelength=[300, 600] * u.nm, efficiency=[1, 4])
    # two lines of equal light lie one standard deviation to each side of the mean
    spread = two_lines.dispersion
    assert (1 + spread) / (1 - spread) - 1 == pytest.approx(0.053, abs=5e-4)
    full_range = 2 * np.sqrt(chromatic_variance(1.2 * u.deg, two_lines))
    assert full_range.to_value(u.deg) == pytest.approx(0.031, abs=1e-3)


def test_air_of_a_flat_efficiency():
    air = air_at_telescope(*CONDITIONS)
    assert air.refractivity == pytest.approx(2.2417e-4, rel=1e-4)
    # independent: the spectrum drawn, 1/wavelength is uniform
    rng = np.random.default_rng(3)
    lines = np.sort(1 / rng.uniform(1 / 600, 1 / 300, 20_000)) * u.nm
    from calibpipe.atmosphere.refractivity import refractivity

    index = refractivity(lines, *CONDITIONS[:4]).value
    spread, error = index.std() / index.mean(), 1 / np.sqrt(2 * len(lines))
    assert air.dispersion == pytest.approx(spread, rel=4 * error)
    assert air.refractivity == pytest.approx(index.mean(), rel=4 * spread / np.sqrt(len(lines)))


@pytest.mark.parametrize(
    ("wavelength", "efficiency"),
    [([400, 300], [1, 1]), ([300, 400], [0, 0]), ([300, 400], [-1, 9])],
)
def test_a_spectrum_without_light_is_refused(wavelength, efficiency):
    with pytest.raises(ConfigurationError, match="increasing wavelengths and an efficiency"):
        air_at_telescope(*CONDITIONS, wavelength=wavelength * u.nm, efficiency=efficiency)


def test_moments_on_the_axis_and_at_the_edge_by_hand():
    unit = Optics(1 * u.m, np.inf * u.m, 0 * u.deg**2)
    track = track_moments([0, 1] * u.m, unit)
    # axis: t uniform in 0 to 1. Edge: mean t = cos(phi) is a shift of the centre, and
    # <(2 cos)³/12> / <2 cos> = 2/9 about it. Midpoint rule of 100 steps: 1e-4.
    np.testing.assert_allclose(track.level, [1 / 2, 0], atol=1e-4)
    np.testing.assert_allclose(track.variance, [1 / 12, 2 / 9], rtol=1e-4)
    assert track.wander[0] == pytest.approx(1 / 6, rel=1e-3)
    # <(t cos)²> = 1/6 less the shift by <2 t cos²> = 1/2, whose part is 1/8
    assert track.turn[0] == pytest.approx(1 / 24, rel=1e-4)
    assert track.turn_mixture[0] == pytest.approx(0, abs=1e-12)
    assert track.mixture[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("impact", [-0.1, 2.01, np.nan])
def test_an_impact_out_of_range_has_no_moments(impact):
    track = track_moments(impact * LST.mirror_radius, LST)
    assert np.isnan([*vars(track).values()]).all()


@pytest.mark.parametrize("rho", [0.0, 0.53, 0.9, 1.4])
def test_moments_photon_by_photon(rho):
    """Radii 1 + k t, and radii with a walking direction, fitted with circles."""
    rng = np.random.default_rng(5)
    unit = Optics(1 * u.m, np.inf * u.m, 0 * u.deg**2)
    track = track_moments(rho * u.m, unit)
    k, n_rings = 1e-3, 1500
    azimuth, t = light_of_rings(rng, n_rings, 300, rho)
    variance, radius = variances_of_circles(*((1 + k * t) * f(azimuth) for f in (np.cos, np.sin)))
    for found, expected in ((variance / k**2, track.variance), ((radius - 1) / k, track.level)):
        error = found.std() / np.sqrt(n_rings)
        assert abs(found.mean() - expected) < 4 * error + 1e-3  # 1e-3: second order in k
    x, y = (f(azimuth) + walk(rng, t, k**2) for f in (np.cos, np.sin))
    variance = variances_of_circles(x, y)[0] / k**2
    error = variance.std() / np.sqrt(n_rings)
    assert error < 0.03 * track.wander
    # 1 %: a walk between photons is not seen
    assert abs(variance.mean() - track.wander) < 4 * error + 0.01 * track.wander


@pytest.mark.parametrize("rho", [0.0, 0.53, 0.9, 1.4])
def test_moments_of_turns_photon_by_photon(rho):
    """A direction that turns with t, to any side, alone and with radii that change with t."""
    rng = np.random.default_rng(15)
    unit = Optics(1 * u.m, np.inf * u.m, 0 * u.deg**2)
    track = track_moments(rho * u.m, unit)
    k, n_rings, n_photons = 1e-3, 1500, 400
    azimuth, t = light_of_rings(rng, n_rings, n_photons, rho)
    side = rng.uniform(-np.pi, np.pi, (n_rings, 1))
    circle = np.cos(azimuth), np.sin(azimuth)
    turned = k * t * np.cos(side), k * t * np.sin(side)
    variance = variances_of_circles(circle[0] + turned[0], circle[1] + turned[1])[0] / k**2
    error = variance.std() / np.sqrt(n_rings)
    # 1e-3: second order in k
    assert abs(variance.mean() - track.turn) < 4 * error + 1e-3 * track.turn
    assert error < 0.02 * track.turn
    both = [(1 + k * t) * part + shift for part, shift in zip(circle, turned, strict=True)]
    found = variances_of_circles(*both)[0] / k**2
    alone = variances_of_circles(*((1 + k * t) * part for part in circle))[0] / k**2
    mixed = found - variance - alone  # twice the covariance of t and the turn
    error = mixed.std() / np.sqrt(n_rings)
    assert abs(mixed.mean()) < 4 * error
    # the part of single photons is as large for rings in the middle
    kurtosis = np.mean((mixed - mixed.mean()) ** 4) / mixed.var() ** 2
    of_photons = track.turn * track.variance / n_photons * 4
    expected = np.sqrt(4 * track.turn_mixture + of_photons)
    assert mixed.std() == pytest.approx(
        expected, rel=4 * np.sqrt((kurtosis - 1) / 4 / n_rings) + np.sqrt(of_photons) / expected
    )


def test_bending_by_hand():
    """30.9 µT, m/p = 0.01 (10.57 GeV), theta 0.0188 rad, on the axis.

    0.2998 x 30.9e-6/10.566 x 11.1/0.0188 = 0.5177 mrad over all of the light's track.
    """
    air = Air((0.01**2 + 0.0188**2) / 2, 0.0, AIR.density, 1e9 * u.km)
    optics = Optics(11.1 * u.m, np.inf * u.m, 0 * u.deg**2, 30.9 * u.uT)
    track = track_moments(0 * u.m, optics)
    found = bending_variance(0.0188 * u.rad, track, optics, air)
    assert_quantity_allclose(found, 0.5177e-3**2 / 24 * u.rad**2, rtol=1e-3)
    assert np.sqrt(found).to_value(u.deg) == pytest.approx(0.00605, abs=1e-5)
    stronger = Optics(*list(vars(optics).values())[:3], 61.8 * u.uT)
    assert_quantity_allclose(bending_variance(0.0188 * u.rad, track, stronger, air), 4 * found)
    without = Optics(*list(vars(optics).values())[:3])
    assert bending_variance(0.0188 * u.rad, track, without, air) == 0
    # for p to infinity the ring is the largest one
    largest = np.sqrt(2 * air.refractivity) * u.rad
    assert abs(bending_variance(largest, track, optics, air)) < 1e-6 * found


def test_spread_of_scattering_of_single_muons():
    rng = np.random.default_rng(6)
    azimuth, t = light_of_rings(rng, 2000, 300, 0.0)
    x, y = (f(azimuth) + walk(rng, t, 1e-6) for f in (np.cos, np.sin))
    variance = variances_of_circles(x, y)[0]
    found = variance.std() / variance.mean()
    # relative error of a standard deviation with the kurtosis 4.8 of the sum of exponentials
    kurtosis = np.mean((variance / variance.mean() - 1) ** 4) / found**4
    assert abs(found / SCATTERING_SPREAD - 1) < 4 * np.sqrt((kurtosis - 1) / 4 / len(variance))


@pytest.mark.parametrize(("rho", "ratio"), [(0.5, 0.00528), (0.8, 0.0088)])
def test_spread_between_muons_photon_by_photon(rho, ratio):
    n_rings, n_photons = 1500, 400
    variance, radius = simulated_rings(
        np.random.default_rng(9), n_rings, n_photons, rho, optics=LST, air=AIR, ratio=ratio
    )
    expected = width_components(radius.mean() * u.rad, rho * LST.mirror_radius, LST, AIR)
    of_photons = np.sqrt(2 / n_photons) * variance.mean()
    found = np.sqrt(variance.var() - of_photons**2)
    kurtosis = np.mean((variance - variance.mean()) ** 4) / variance.var() ** 2
    error = np.sqrt((kurtosis - 1) / 4 / n_rings)
    # 6 %: light of the drift is flat, not Gaussian, and paths off the axis wander a bit otherwise
    assert np.deg2rad(np.deg2rad(expected.spread)) == pytest.approx(found, rel=4 * error + 0.06)
    assert expected.spread > 1.1 * SCATTERING_SPREAD * expected.scattering


def test_scattering_by_hand():
    """10.57 GeV (m/p = 0.01), theta 0.0188 rad: 590.6 m and 1.5645 X0 of an axial muon."""
    optics = Optics(11.1 * u.m, np.inf * u.m, 0 * u.deg**2)
    air = Air((0.01**2 + 0.0188**2) / 2, 0.0, 0.97 * u.kg / u.m**3, 1e9 * u.km)
    found = scattering_variance(0.0188 * u.rad, track_moments(0 * u.m, optics), optics, air)
    depth = 0.97e-3 * 1110 / 0.0188 / 36.62  # 1.5640
    highland = 13.6 / 10565.8 * np.sqrt(depth) * (1 + 0.038 * np.log(depth))
    assert_quantity_allclose(found, highland**2 / 6 * u.rad**2, rtol=2e-3)
    assert np.sqrt(found).to_value(u.deg) == pytest.approx(0.0383, abs=2e-4)


def test_drift_by_hand():
    """On the axis 11.1 m / sqrt(12) x (gradient + 1e-4/m)."""
    theta = 0.0212
    height = 0.5 * 11.1 / theta  # 261.8 m
    gradient = 2.2635e-4 * np.exp(-height / 9500) / 9500 / theta**2  # 5.157e-5 rad/m
    gradient *= 1 + gradient * height  # 1.35 %
    found = drift_variance(theta * u.rad, track_moments(0 * u.m, LST), LST, AIR)
    expected = 11.1 / np.sqrt(12) * (gradient + 1e-4)
    assert np.sqrt(found).to_value(u.rad) == pytest.approx(expected, rel=1e-3)
    assert np.sqrt(found).to_value(u.deg) == pytest.approx(0.0279, abs=1e-4)


BENDING = Optics(11.1 * u.m, np.inf * u.m, 6.9e-4 * u.deg**2, 300 * u.uT)


@pytest.mark.parametrize(
    "component", ["chromatic", "drift", "focus", "scattering", "bending", "all"]
)
@pytest.mark.parametrize(("rho", "ratio"), [(0.0, 0.0106), (0.6, 0.004)])
def test_components_photon_by_photon(component, rho, ratio):
    optics = LST if component in ("focus", "all") else UNFOCUSED
    optics = BENDING if component == "bending" else optics
    n_1 = AIR.refractivity
    thin = 1e-9 * u.kg / u.m**3
    air = {
        "chromatic": Air(n_1, AIR.dispersion, thin, 1e9 * u.km),
        "scattering": Air(n_1, 0.0, AIR.density, 1e9 * u.km),
        "bending": Air(n_1, 0.0, thin, 1e9 * u.km),
        "all": AIR,
    }.get(component, NO_DISPERSION)
    scattering = component in ("scattering", "all")
    n_rings = 2000 if scattering else 200
    variance, radius = simulated_rings(
        np.random.default_rng(8), n_rings, 400, rho,
        optics=optics, air=air, ratio=ratio, scattering=scattering,
    )  # fmt: skip
    # the true radius, without the error of single rings
    impact = rho * optics.mirror_radius
    found = width_components(radius.mean() * u.rad, impact, optics, air)
    parts = {"chromatic": found.chromatic, "scattering": found.scattering}
    parts["bending"] = found.bending
    parts["all"] = found.chromatic + found.drift + found.scattering
    expected = parts.get(component, found.drift) * u.deg**2 << u.rad**2
    error = variance.std() / np.sqrt(n_rings)
    # 2 %: first order in the gradients along the track, photons sample the walk
    assert abs(variance.mean() - expected.value) < 4 * error + 0.02 * expected.value
    assert error < 0.02 * expected.value


def test_the_angle_of_emission_undoes_the_focus():
    track = track_moments(0 * u.m, LST)
    found = emission_angle(1.2 * u.deg, track, LST) - 1.2 * u.deg
    assert_quantity_allclose(found, np.rad2deg(0.5 * 11.1 / 1e4) * u.deg, rtol=1e-3)


def test_a_ring_larger_than_the_largest_has_negative_scattering():
    found = width_components([1.1, 1.3] * u.deg, 0 * u.m, UNFOCUSED, AIR)
    assert found.scattering[0] > 0 > found.scattering[1]


@pytest.mark.parametrize("radius", [0.0, -1.0, np.nan])
def test_a_radius_that_is_none_has_no_width(radius):
    found = width_components([radius] * u.deg, [1] * u.m, LST, AIR)
    assert np.isnan([found.chromatic, found.drift, found.bending, found.spread]).all()
    assert np.isnan(found.scattering).all()


@pytest.mark.parametrize(
    ("shape", "inside"),
    [
        ("SQUARE", lambda x, y: np.maximum(x, y) < 0.5),
        ("CIRCLE", lambda x, y: np.hypot(x, y) < 0.5),
        ("HEXAGON", lambda x, y: np.maximum(y, 3**0.5 / 2 * x + y / 2) < 0.5),
    ],
)
def test_variance_of_pixels_counted(shape, inside):
    """A quarter, on a grid of 1/2000; the hexagon is 1 from flat to flat and longer across."""
    axis = (np.arange(1200) + 0.5) / 2000
    x, y = np.meshgrid(axis, axis)
    found = pixel_variance(shape, 2 * u.deg).to_value(u.deg**2)
    for place in (x, y):
        assert found == pytest.approx(4 * np.mean(place[inside(x, y)] ** 2), rel=2e-3)

"""Coma of rings: moments by hand and ray by ray, closure of fits photon by photon, widths."""

from dataclasses import replace
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from ring_light import light_of_rings, variances_of_circles

from calibpipe.pointing.coma_psf import coma_displacement
from calibpipe.simulation.muon_photons import MuonTelescope, muon_photons
from calibpipe.throughput.muon_coma import (
    INDEX_GRADIENT,
    coma_of_azimuth,
    coma_with_stretch,
    drift_per_radius,
)
from calibpipe.throughput.muon_intensity import PARAMETERS, fitted_muons
from calibpipe.throughput.muon_psf import psf_from_widths
from calibpipe.throughput.muon_ring import Circles
from calibpipe.throughput.muon_width import (
    Air,
    Optics,
    coma_variance,
    drift_variance,
    track_moments,
    width_components,
)

COMA = 0.0446  # LST
THETA = 1.2  # deg
NOTHING = {
    "is_dispersive": False,
    "extinction": 0.0,
    "radiation_length": np.inf,
    "field": (0.0, 0.0),
}
UNIT = Optics(1 * u.m, np.inf * u.m, 0 * u.deg**2)


def test_through_the_middle_by_hand():
    """θ(3u² - 1) outwards, 9 (1/5 - 1/9) = 0.8 θ²; along the ring (1/3 - 1) of what is across."""
    found = coma_of_azimuth(0.0, 0.0, 1.0, 0.0, 0.0, 0.0, THETA, 0.0)
    # with the place: <t (3 t²)> - <t> <3 t²> = 3/4 - 1/2
    assert found == pytest.approx((0, 0.8 * THETA**2, THETA / 4, 0), abs=1e-12)
    # centre of the ring 0.3 off to the ring's direction: there the field is 1.5, opposite 0.9
    assert coma_of_azimuth(0.0, 0.0, 1.0, 0.0, 0.3, 0.0, THETA, 0.0)[1] == pytest.approx(0.8 * 2.25)
    assert coma_of_azimuth(0.0, 0.0, -1.0, 0.0, 0.3, 0.0, THETA, 0.0)[1] == pytest.approx(0.648)
    across = coma_of_azimuth(0.0, 0.0, 1.0, 0.0, 0.0, 0.3, THETA, 0.0)
    assert across == pytest.approx((0, 0.8 * THETA**2, THETA / 4, -2 / 3 * 0.3), abs=1e-12)


def test_no_light_no_displacement():
    """A ray that misses the mirror, one that flies away from it, and one in the shadow only."""
    assert coma_of_azimuth(1.2, 0.0, 0.0, 1.0, 0.0, 0.0, THETA, 0.0) == (0, 0, 0, 0)
    assert coma_of_azimuth(1.2, 0.0, -1.0, 0.0, 0.0, 0.0, THETA, 0.0) == (0, 0, 0, 0)
    assert coma_of_azimuth(0.0, 0.0, 1.0, 0.0, 0.0, 0.0, THETA, 1.0) == (0, 0, 0, 0)


@pytest.mark.parametrize("impact", [(0.3, 0.1), (-0.5, 0.6), (0.9, 0.7)])
@pytest.mark.parametrize("hole", [0.0, 0.4])
def test_ray_by_ray(rng, impact, hole):
    """Mean and variance of `coma_displacement` of light that is uniform along its chord."""
    n, azimuth, centre = 200_000, 0.4, np.array([0.3, -0.5])
    e = np.array([np.cos(azimuth), np.sin(azimuth)])
    hit = np.array(impact)[:, None] - e[:, None] * rng.uniform(0, 2.5, n)
    hit = hit[:, (np.hypot(*hit) < 1) & (np.hypot(*hit) > hole)]
    field = centre + THETA * e
    moved = coma_displacement(hit, np.broadcast_to(field[:, None], hit.shape), 1.0)
    outwards, along = e @ moved, np.array([-e[1], e[0]]) @ moved
    found = coma_of_azimuth(*impact, *e, *centre, THETA, hole)
    error = 4 / np.sqrt(hit.shape[1])
    assert found[0] == pytest.approx(outwards.mean(), abs=error * outwards.std())
    assert found[1] == pytest.approx(outwards.var(), rel=2 * error)
    t = e @ (np.array(impact)[:, None] - hit)
    spread = error * t.std() * outwards.std()
    assert found[2] == pytest.approx(np.cov(t, outwards)[0, 1], abs=spread)
    assert found[3] == pytest.approx(along.mean(), abs=error * along.std())


def test_stretch_is_the_slope_of_the_displacement_along_the_ring():
    impact, centre, h = (0.5, 0.2), (0.3, -0.5), 1e-5

    def along(azimuth):
        return coma_of_azimuth(*impact, np.cos(azimuth), np.sin(azimuth), *centre, THETA, 0.1)[3]

    found = coma_with_stretch(*impact, np.cos(2.0), np.sin(2.0), *centre, THETA, 0.1)[4]
    assert found == pytest.approx((along(2 + h) - along(2 - h)) / (2 * h), abs=5e-3)


def test_drift_of_the_fit_by_hand():
    """11.1 m at 0.02 rad: 2.2e-8/4e-4 + 1e-4 a metre."""
    assert drift_per_radius(0.02, 11.1, 1e-4) == pytest.approx(11.1 * 1.55e-4)


def test_moments_by_hand():
    """Variance about the circle 0.8 on the axis, 1/4 with t: <3 t³> - <3 t²>/2 = 3/4 - 1/2."""
    track = track_moments(0 * u.m, UNIT)
    assert track.coma == pytest.approx(0.8, rel=1e-9)
    assert track.coma_drift == pytest.approx(0.25, rel=1e-9)


@pytest.mark.parametrize("rho", [0.0, 0.4, 0.8, 1.3])
def test_moments_photon_by_photon(rho):
    """Circles through light that is displaced by coma; and by coma and a drift of t."""
    rng, n_rings, k = np.random.default_rng(7), 1500, 1e-3
    azimuth, t = light_of_rings(rng, n_rings, 300, rho)
    u_place, h = t - rho * np.cos(azimuth), rho * np.sin(azimuth)
    shift = 3 * u_place**2 + h**2 - 1
    around = np.cos(azimuth), np.sin(azimuth)
    variance = variances_of_circles(*((1 + k * shift) * f for f in around))[0] / k**2
    track = track_moments(rho * u.m, UNIT)
    assert track.coma == pytest.approx(variance.mean(), abs=4 * variance.std() / np.sqrt(n_rings))
    within = [
        np.cov(t.ravel()[part], shift.ravel()[part])[0, 1] * part.mean() for part in _parts(azimuth)
    ]
    assert track.coma_drift == pytest.approx(np.sum(within), abs=0.004)


def _parts(azimuth):
    """Light by azimuth, in degrees where there is any."""
    number = np.floor(np.rad2deg(azimuth.ravel())).astype(int)
    return [number == k for k in np.unique(number)]


def test_coma_and_drift_by_hand():
    """Drift D of 1e-4 rad a radius (0.00573 deg): -2 (0.05 x 1.2 deg) D / 4; less the fit's."""
    optics = Optics(10 * u.m, 100 * u.km, 0 * u.deg**2, coma=0.05)
    air = Air(1e-9, 0.0, 0 * u.kg / u.m**3, 1e9 * u.km)
    track = track_moments(0 * u.m, optics)
    found = coma_variance(THETA * u.deg, track, optics, air)
    drift = np.rad2deg(1e-4)
    assert drift_variance(THETA * u.deg, track, optics, air).value == pytest.approx(
        drift**2 / 12, rel=1e-3
    )
    in_fit = np.rad2deg(10 * INDEX_GRADIENT / np.deg2rad(THETA) ** 2)
    assert found.value == pytest.approx(-2 * 0.05 * THETA * (drift - in_fit) / 4, rel=1e-3)
    known = coma_variance(THETA * u.deg, track, replace(optics, fit_focus_distance=100 * u.km), air)
    assert known.value == pytest.approx(2 * 0.05 * THETA * in_fit / 4, rel=1e-3)
    assert coma_variance(THETA * u.deg, track, replace(optics, coma=0.0), air).value == 0


def test_width_components_tell_what_the_fit_has_taken_out():
    optics = Optics(11.1 * u.m, np.inf * u.m, 0 * u.deg**2, coma=COMA)
    air = Air(2.24e-4, 0.015, 0.97 * u.kg / u.m**3)
    parts = width_components([THETA] * u.deg, 0 * u.m, optics, air)
    assert parts.coma_in_fit == pytest.approx(0.8 * (COMA * THETA) ** 2, rel=1e-6)
    assert parts.coma_with_drift < 0
    assert abs(parts.coma) < 0.3 * abs(parts.coma_with_drift)  # the drift of the fit is that of air
    without = width_components([THETA] * u.deg, 0 * u.m, replace(optics, coma=0.0), air)
    assert without.coma == without.coma_in_fit == without.coma_with_drift == 0
    for name in ("chromatic", "drift", "bending", "scattering", "spread"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(without, name))


def fits_of_photons(lst, telescope, coma, *, n=60, seed=1, energy=1e6, off_axis=0.7, focus=np.inf):
    """Muons followed from their track, within 0.15 to 0.9 radii: parameters of fits that know c.

    The same photons for any coma of the telescope, but for their images.
    """
    rng = np.random.default_rng(seed)
    phi, polar = rng.uniform(-np.pi, np.pi, (2, n))
    impact = lst.mirror.radius * np.sqrt(rng.uniform(0.15**2, 0.9**2, n))
    b_x, b_y = impact * np.cos(phi), impact * np.sin(phi)
    x, y = off_axis * np.cos(polar), off_axis * np.sin(polar)
    image = rng.standard_normal((n, lst.geometry.n_pixels))
    for k in range(n):
        photons = muon_photons(energy, (b_x[k], b_y[k]), (x[k], y[k]), telescope, rng, fraction=0.2)
        blur = np.rad2deg(
            np.stack([photons.x, photons.y]) / focus
        )  # out of focus: towards the mirror
        pixel = lst.lookup(photons.fov_lon + blur[0], photons.fov_lat + blur[1])
        image[k] += np.bincount(pixel[pixel >= 0], minlength=image.shape[1])
    start = Circles(x, y, np.full(n, 1.15), np.full(n, 0.06**2), np.zeros((n, 3, 3)))
    used, noise = np.ones(image.shape, bool), np.ones(image.shape[1])
    mirror = replace(lst.mirror, coma=coma, focus_distance=focus)
    return fitted_muons(image, used, noise, start, lst.camera.grid, mirror, spe_width=0.0)


@pytest.fixture(scope="module")
def closure(lst):
    """Fits of the same muons without coma, with coma that the fit knows, and that it ignores."""
    plain = MuonTelescope(
        psf=0.03,
        mirror_radius=lst.mirror.radius,
        refractivity=1 / np.cos(np.deg2rad(THETA)) - 1,
        scale_height=10_200.0,
        **NOTHING,
    )
    comatic = replace(plain, coma=COMA)
    return SimpleNamespace(
        without=fits_of_photons(lst, plain, 0.0),
        known=fits_of_photons(lst, comatic, COMA),
        ignored=fits_of_photons(lst, comatic, 0.0),
    )


def change(fits, reference, name):
    """Mean of the change of a parameter, its error."""
    k = PARAMETERS.index(name)
    difference = fits.values[:, k] - reference.values[:, k]
    return difference.mean(), difference.std() / np.sqrt(len(difference))


def test_throughput_is_unbiased_by_coma(closure):
    """0.2 %, the systematic error; ignored coma costs 1 %. Pulls as without coma."""
    assert closure.known.has_converged.all()
    mean, error = change(closure.known, closure.without, "throughput")
    assert abs(mean) / 0.2 < 0.05 * COMA + 3 * error / 0.2
    assert error / 0.2 < 0.001
    ignored, _ = change(closure.ignored, closure.without, "throughput")
    assert ignored / 0.2 < -0.007
    k = PARAMETERS.index("throughput")
    # the angle at the mirror is larger than that of the ring, by as much with coma and without
    pulls = [
        (fits.values[:, k] - 0.2) / np.sqrt(fits.covariance[:, k, k])
        for fits in (closure.known, closure.without)
    ]
    n = len(pulls[0])
    assert pulls[0].std() == pytest.approx(1, abs=4 / np.sqrt(2 * n))
    allowed = 0.05 * COMA * 0.2 / np.sqrt(np.median(closure.known.covariance[:, k, k]))
    error = (pulls[0] - pulls[1]).std() / np.sqrt(n)
    assert pulls[0].mean() == pytest.approx(pulls[1].mean(), abs=allowed + 4 * error)


def test_radius_and_width_are_those_without_coma(closure):
    """Ignored, it is 0.05 to 0.28 C larger; 0.35 to 0.8 C² wider, of which drift takes a half."""
    c = COMA * THETA
    shift, error = change(closure.known, closure.without, "radius")
    assert abs(shift) < 0.05 * c + 3 * error
    assert change(closure.ignored, closure.without, "radius")[0] > 0.12 * c
    k = PARAMETERS.index("width")
    squares = [fits.values[:, k] ** 2 for fits in vars(closure).values()]
    assert np.mean(squares[1] - squares[0]) == pytest.approx(0, abs=0.05 * c**2)
    assert 0.2 * c**2 < np.mean(squares[2] - squares[0]) < 0.45 * c**2


@pytest.mark.parametrize("focus", [np.inf, 1e4])
def test_point_spread_function_comes_back_in_air(lst, focus):
    """Drift and coma pull the light to opposite sides; the fit knows most of it."""
    air = MuonTelescope(
        psf=0.03, mirror_radius=lst.mirror.radius, coma=COMA, scale_height=10_200.0, **NOTHING
    )
    fits = fits_of_photons(lst, air, COMA, n=100, energy=60.0, off_axis=0.5, focus=focus)
    values, k = fits.values, PARAMETERS.index("width")
    lengths = (lst.mirror.radius * u.m, focus * u.m)
    optics = Optics(*lengths, 6.9e-4 * u.deg**2, coma=COMA, fit_focus_distance=focus * u.m)
    medium = Air(air.refractivity, 0.0, 1e-6 * u.kg / u.m**3, air.scale_height * u.m)
    numbers = (values[:, 2] * u.deg, values[:, k] * u.deg)
    numbers += (np.sqrt(fits.covariance[:, k, k]) * u.deg, np.hypot(*values[:, 4:6].T) * u.m)
    found = psf_from_widths(*numbers, optics, medium)
    error = np.hypot(found.sigma_stat_error, found.sigma_sys_error)
    assert found.sigma_stat_error < 0.02 * found.sigma
    assert abs(found.sigma - 0.03 * u.deg) < 2 * error
    assert error < 0.004 * u.deg

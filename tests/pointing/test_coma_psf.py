"""Coma: moments by hand, focal lengths (E04), containment, ctapipe's model beside it."""

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from ctapipe.instrument.optics import ComaPSFModel
from traitlets.config import Config

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.pointing.coma_psf import (
    ComaPsf,
    centroid_offset,
    coma_displacement,
    coma_of_focal_lengths,
    coma_of_optics,
    coma_of_parabola,
    containment_radius,
    psf_density,
    psf_moments,
    pupil_rays,
)

SIGMA = 0.03 * u.deg
FOCAL_LENGTHS = {"equivalent_focal_length": 28 * u.m, "effective_focal_length": 29.30565 * u.m}
LST = ComaPsf(SIGMA, coma_of_parabola(1.2))


def traced(n, scale, sigma, obscuration, rng):
    """Rays through random places of the mirror: along and across, from the image of its centre."""
    rho = np.sqrt(rng.uniform(obscuration**2, 1, n))
    phi = rng.uniform(0, 2 * np.pi, n)
    along = scale * rho**2 * (2 + np.cos(2 * phi)) + rng.normal(0, sigma, n)
    return along, scale * rho**2 * np.sin(2 * phi) + rng.normal(0, sigma, n)


def test_size_of_coma():
    """Tangential 0.130 d, sagittal 0.043 d at F = 1.2, from the image of the centre."""
    assert coma_of_parabola(1.2) == pytest.approx(0.0434, abs=1e-4)
    rays = pupil_rays(64, 256)
    assert rays[0].max() + 1 == pytest.approx(3, abs=0.01)
    assert rays[1].max() == pytest.approx(1, abs=0.01)
    assert rays[2].sum() == pytest.approx(1)


def test_effective_focal_length_is_the_centroid_of_coma():
    """E04: 1.0466 (LST), a paraboloid of F = 28/23.8 has 1 + 1/(16 F²) = 1.045."""
    c = coma_of_focal_lengths(29.30565 * u.m, 28 * u.m)
    assert c == pytest.approx(1 - 1 / 1.0466, abs=1e-4)
    assert c == pytest.approx(coma_of_parabola(28 / 23.8), rel=0.02)
    assert coma_of_focal_lengths(16.44505 * u.m, 16 * u.m) == pytest.approx(0.0271, abs=1e-4)
    with pytest.raises(ConfigurationError, match="outwards"):
        coma_of_focal_lengths(27 * u.m, 28 * u.m)


def test_coma_of_a_telescope():
    """Of its focal lengths; none of two mirrors."""
    one, two = (SimpleNamespace(n_mirrors=n, **FOCAL_LENGTHS) for n in (1, 2))
    assert coma_of_optics(one) == pytest.approx(0.0446, abs=1e-4)
    assert coma_of_optics(two) == 0
    one.effective_focal_length = np.nan * u.m
    with pytest.raises(ConfigurationError, match="nan m is not at least"):
        coma_of_optics(one)


def test_displacement_of_rays_by_hand():
    """Field (0, 2), C = 0.2: 2 C out from the edge above, 0 from its sides, -C from the middle."""
    mirror = np.array([[0, 0, 1, -1, np.sqrt(0.5), 0], [1, -1, 0, 0, np.sqrt(0.5), 0]])
    moved = coma_displacement(mirror, np.broadcast_to([[0.0], [2.0]], mirror.shape), 0.1)
    expected = [[0, 0, 0, 0, 0.2, 0], [0.4, 0.4, 0, 0, 0.2, -0.2]]
    np.testing.assert_allclose(moved, expected, atol=1e-12)


@pytest.mark.parametrize("direction", [0.0, 0.9, 4.0])
def test_displacements_are_the_kernel_in_any_direction(direction):
    rays = pupil_rays(8, 32)
    node, _ = np.polynomial.legendre.leggauss(8)
    rho = np.sqrt((node + 1) / 2)[:, None]
    azimuth = direction + np.pi * (np.arange(32) + 0.5) / 32  # half the mirror: twice its azimuth
    mirror = np.stack([(rho * f(azimuth)).ravel() for f in (np.cos, np.sin)])
    outwards = np.array([np.cos(direction), np.sin(direction)])
    moved = coma_displacement(mirror, outwards[:, None] * np.ones(mirror.shape[1]), 1.0)
    np.testing.assert_allclose(outwards @ moved, rays[0], atol=1e-12)
    np.testing.assert_allclose([-outwards[1], outwards[0]] @ moved, rays[1], atol=1e-12)


@pytest.mark.parametrize("obscuration", [0.0, 0.4])
def test_moments_are_those_of_traced_rays(obscuration):
    rng = np.random.default_rng(3)
    n, scale = 400_000, 0.06
    along, across = traced(n, scale, 0.03, obscuration, rng)
    psf = ComaPsf(SIGMA, 0.04, obscuration)
    angle = 1.5 * u.deg  # c d = 0.06 deg
    offset = centroid_offset(angle, psf).to_value(u.deg)
    assert np.mean(along) == pytest.approx(offset, abs=5 * along.std() / np.sqrt(n))
    moments = psf_moments(angle, psf)
    for values, expected in ((along, moments[0]), (across, moments[1])):
        squares = (values - values.mean()) ** 2
        error = squares.std() / np.sqrt(n)
        assert squares.mean() == pytest.approx(expected.value, abs=5 * error)
    cubes = (along - along.mean()) ** 3
    assert cubes.mean() == pytest.approx(moments[2].value, abs=5 * cubes.std() / np.sqrt(n))
    if obscuration == 0:
        by_hand = [0.03**2 + 0.06**2 / 2, 0.03**2 + 0.06**2 / 6, 0.06**3 / 4]
        np.testing.assert_allclose([m.value for m in moments], by_hand)


@pytest.mark.parametrize("degrees", [0.0, 0.5, 1.5, 2.2])
def test_density_integrates_to_one_and_has_its_moments(degrees):
    step = 0.004
    grid = np.arange(-0.5, 0.6, step)
    along, across = np.meshgrid(grid, grid, indexing="ij")
    density = psf_density(along * u.deg, across * u.deg, degrees * u.deg, LST).value * step**2
    assert density.sum() == pytest.approx(1, abs=1e-4)
    assert (density * along).sum() == pytest.approx(0, abs=1e-5)
    moments = psf_moments(degrees * u.deg, LST)
    assert (density * along**2).sum() == pytest.approx(moments[0].value, rel=2e-3)
    assert (density * across**2).sum() == pytest.approx(moments[1].value, rel=2e-3)
    assert (density * along**3).sum() == pytest.approx(moments[2].value, abs=2e-7)


def test_containment():
    """1.794 sigma on the axis; with coma as many traced rays."""
    assert containment_radius(0 * u.deg, LST).to_value(u.deg) == pytest.approx(
        0.03 * np.sqrt(-2 * np.log(0.2)), rel=1e-6
    )
    rng = np.random.default_rng(4)
    n, scale = 200_000, 1.5 * LST.coma
    along, across = traced(n, scale, 0.03, 0, rng)
    radius = containment_radius([1.5] * u.deg, LST).to_value(u.deg)[0]
    inside = np.mean(np.hypot(along - scale, across) < radius)
    assert inside == pytest.approx(0.8, abs=5 * np.sqrt(0.16 / n))
    with pytest.raises(ConfigurationError, match="fraction of the light is 1"):
        containment_radius(0 * u.deg, LST, 1.0)


def test_what_ctapipe_has_instead(example_lst):
    """Its asymmetric Laplacian with the variances of ours at 1 deg, K = 1/2: both lean outwards.

    Not its centroid but its peak is at the star (1.5 of its scales further in), and it has a cusp
    there.
    """
    angle = 1.0
    along, across, _ = (m.value for m in psf_moments(angle * u.deg, LST))
    scale = np.sqrt(along / 4.25)  # variance (1/K² + K²) of the Laplacian
    parameters = dict.fromkeys(
        (
            "asymmetry_linear_term",
            "radial_scale_linear",
            "radial_scale_quadratic",
            "radial_scale_cubic",
            "polar_scale_decay",
            "polar_scale_offset",
        ),
        0.0,
    ) | {
        "asymmetry_max": 0.5,
        "asymmetry_decay_rate": 1e3,
        "radial_scale_offset": scale,
        "polar_scale_amplitude": np.sqrt(across / 2) / angle,
    }
    model = ComaPSFModel(subarray=example_lst, config=Config({"ComaPSFModel": parameters}))
    step = 0.002
    grid = np.arange(-0.4, 0.6, step) + step / 2
    x, y = np.meshgrid(grid, grid, indexing="ij")
    theirs = model.pdf(1, (angle + x) * u.deg, y * u.deg, angle * u.deg, 0 * u.deg)
    mine = psf_density(x * u.deg, y * u.deg, angle * u.deg, LST).value
    total = [density.sum() * step**2 for density in (theirs, mine)]
    np.testing.assert_allclose(total, 1, atol=0.03)
    mean = [(density * x).sum() / density.sum() for density in (theirs, mine)]
    assert mean[1] == pytest.approx(0, abs=1e-4)
    assert mean[0] == pytest.approx(1.5 * scale, rel=0.1)  # a star is drawn in by as much
    skew = [(d * (x - m) ** 3).sum() for d, m in zip((theirs, mine), mean, strict=True)]
    assert min(skew) > 0
    assert theirs.max() > 2 * mine.max()


def test_refusals():
    for more in ({"sigma": 0 * u.deg}, {"coma": -0.1}, {"obscuration": 1.0}):
        values = {"sigma": SIGMA, "coma": 0.04} | more
        with pytest.raises(ConfigurationError, match="point spread function with sigma"):
            ComaPsf(**values)
    with pytest.raises(ConfigurationError, match="at most 10"):
        psf_density(0 * u.deg, 0 * u.deg, 5 * u.deg, ComaPsf(0.01 * u.deg, 0.05))

"""Images of photons anywhere on the mirror: coma as that of the stars."""

from dataclasses import replace

import astropy.units as u
import numpy as np

from calibpipe.pointing.coma_psf import ComaPsf, psf_moments
from calibpipe.simulation.mirror_image import camera_image, track_axes
from calibpipe.simulation.muon_photons import MuonTelescope

COMA, N = 0.0446, 200_000
TELESCOPE = MuonTelescope(psf=0.03, coma=COMA)


def image_of_a_star(telescope, seed=2, fov=(0.9, -1.2)):
    """Outwards and across from the direction of a star, 1.5 deg off the axis; full mirror."""
    rng = np.random.default_rng(seed)
    rho = telescope.mirror_radius * np.sqrt(rng.random(N))
    phi = rng.uniform(0, 2 * np.pi, N)
    source = np.broadcast_to(track_axes(*fov)[0][:, np.newaxis], (3, N))
    image = camera_image(rho * np.cos(phi), rho * np.sin(phi), source, telescope, rng)
    moved, outwards = image - np.array(fov)[:, np.newaxis], np.array(fov) / np.hypot(*fov)
    return outwards @ moved, np.array([-outwards[1], outwards[0]]) @ moved


def test_a_star_has_the_moments_of_the_star_simulation():
    """Centroid at the angle of the star, σ² + C²/2 and σ² + C²/6."""
    along, across = image_of_a_star(TELESCOPE)
    expected = psf_moments(1.5 * u.deg, ComaPsf(0.03 * u.deg, COMA))
    for values, variance in zip((along, across), expected[:2], strict=True):
        assert abs(values.mean()) < 4 * values.std() / np.sqrt(N)
        squares = (values - values.mean()) ** 2
        assert abs(squares.mean() - variance.value) < 4 * squares.std() / np.sqrt(N)


def test_without_coma_only_the_gaussian():
    """The same random numbers: what is left of the image is the Gaussian."""
    along, across = image_of_a_star(replace(TELESCOPE, coma=0.0))
    with_coma = image_of_a_star(TELESCOPE)
    for values in (along, across):
        assert abs(values.std() / 0.03 - 1) < 4 / np.sqrt(2 * N)
    # the edge of the mirror is 2 C outwards of the centroid, its middle 1 C inwards
    moved = with_coma[0] - along
    np.testing.assert_allclose(
        [moved.min(), moved.max()], np.array([-1, 2]) * COMA * 1.5, rtol=0.02
    )

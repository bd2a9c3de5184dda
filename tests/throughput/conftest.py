"""Rings of muons, made photon by photon in the camera of an LST."""

import sys
from pathlib import Path
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.constants import alpha
from ctapipe.coordinates import TelescopeFrame

from calibpipe.core.telescope import telescope_subarray
from calibpipe.simulation.pixel_lookup import pixel_lookup
from calibpipe.throughput.muon_intensity import Mirror
from calibpipe.throughput.muon_rings import CameraPixels

sys.path.insert(0, str(Path(__file__).parent))  # tests of widths share their photons


@pytest.fixture
def rng():
    return np.random.default_rng(20240710)


@pytest.fixture(scope="session")
def lst():
    """LSTN-01: subarray, geometry in the telescope frame, camera, mirror."""
    subarray = telescope_subarray(1)
    geometry = subarray.tel[1].camera.geometry.transform_to(TelescopeFrame())
    area = subarray.tel[1].optics.mirror_area.to_value(u.m**2)
    return SimpleNamespace(
        subarray=subarray,
        geometry=geometry,
        camera=CameraPixels.of_geometry(geometry),
        mirror=Mirror(float(np.sqrt(area / np.pi)), 0.74),
        lookup=pixel_lookup(geometry.pix_x.to_value(u.deg), geometry.pix_y.to_value(u.deg)),
    )


@pytest.fixture(scope="session")
def photon_images(lst):
    """Function that makes images (n, n_pixels) of n rings, photon by photon; their detected light.

    No chord and no integral over pixels: photons are uniform in azimuth and in distance t from the
    impact point, kept if they hit the mirror and not the hole.
    """

    def made(
        n,
        rng,
        *,
        x=0.0,
        y=0.0,
        radius=1.2,
        width=0.05,
        impact=0.0,
        impact_phi=0.0,
        throughput=0.2,
        spe_width=0.47,
        noise=1.0,
    ):
        values = (x, y, radius, width, impact, impact_phi, throughput)
        truth = np.stack([np.broadcast_to(value, n) for value in values], axis=1)
        n_pixels = lst.geometry.n_pixels
        image, light = np.zeros((n, n_pixels)), np.zeros(n, int)
        for k, (x0, y0, theta, sigma, b, phi0, part) in enumerate(truth):
            length = b + lst.mirror.radius  # no light from farther
            dense = alpha.value / 2 * np.sin(2 * np.deg2rad(theta)) * 1e9 * (1 / 300 - 1 / 600)
            m = rng.poisson(part * dense * 2 * np.pi * length)
            phi, t = rng.uniform(-np.pi, np.pi, m), length * rng.random(m)
            square = b**2 + t**2 - 2 * b * t * np.cos(phi - phi0)
            hit = (square < lst.mirror.radius**2) & (square > lst.mirror.hole_radius**2)
            phi = phi[hit]
            r = theta + sigma * rng.standard_normal(phi.size)
            pixel = lst.lookup(x0 + r * np.cos(phi), y0 + r * np.sin(phi))
            light[k] = phi.size
            image[k] = np.bincount(pixel[pixel >= 0], minlength=n_pixels)
        image += spe_width * np.sqrt(image) * rng.standard_normal(image.shape)
        return image + noise * rng.standard_normal(image.shape), light

    return made

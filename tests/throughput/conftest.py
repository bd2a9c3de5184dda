"""Rings of muons, made photon by photon in the cameras of an LST and of both MSTs."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.constants import alpha
from ctapipe.coordinates import CameraFrame, TelescopeFrame
from ctapipe.instrument import (
    CameraDescription,
    CameraGeometry,
    OpticsDescription,
    SubarrayDescription,
    TelescopeDescription,
)

from calibpipe.core.telescope import telescope_subarray
from calibpipe.simulation.pixel_lookup import pixel_lookup
from calibpipe.throughput.muon_intensity import Mirror
from calibpipe.throughput.muon_rings import CameraPixels
from calibpipe.tools.muon_settings import MuonSettings

sys.path.insert(0, str(Path(__file__).parent))  # tests of widths share their photons

# Pixels, and azimuth (deg) of a neighbour: of sim_telarray's descriptions of prod6.
MSTS = {"NectarCam": (1855, 40.9), "FlashCam": (1764, 30.0)}
MST_AREA, MST_FOCAL_LENGTH, MST_EFFECTIVE = 106.26, 16.0, 16.445  # m², m, m: prod6
PITCH, WIDTH = 0.05, 0.049  # m: 4 % of the area are gaps between pixels


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


@pytest.fixture(scope="session", params=MSTS)
def mst(request):
    """An MST with one of its cameras: as `lst`, and which telescope it is in the subarray."""
    n_pixels, azimuth = MSTS[request.param]
    x, y = _lattice(n_pixels, PITCH, np.deg2rad(azimuth))
    geometry = CameraGeometry(
        name=request.param,
        pix_id=np.arange(n_pixels),
        pix_x=x * u.m,
        pix_y=y * u.m,
        pix_area=np.full(n_pixels, np.sqrt(3) / 2 * WIDTH**2) * u.m**2,
        pix_type="hexagon",
        frame=CameraFrame(focal_length=MST_EFFECTIVE * u.m),
    )
    optics = OpticsDescription(
        name="MST",
        size_type="MST",
        n_mirrors=1,
        equivalent_focal_length=MST_FOCAL_LENGTH * u.m,
        effective_focal_length=MST_EFFECTIVE * u.m,
        mirror_area=MST_AREA * u.m**2,
        n_mirror_tiles=86,
        reflector_shape="HYBRID",
    )
    readout = telescope_subarray(1).tel[1].camera.readout  # of no effect on images
    camera = CameraDescription(request.param, geometry, readout)
    subarray = SubarrayDescription(
        "MST",
        {5: [0, 0, 0] * u.m},
        {5: TelescopeDescription("MST", optics, camera)},
        reference_location=telescope_subarray(1).reference_location,
    )
    angular = geometry.transform_to(TelescopeFrame())
    width = np.rad2deg(WIDTH / MST_EFFECTIVE)
    place = (angular.pix_x.to_value(u.deg), angular.pix_y.to_value(u.deg))
    return SimpleNamespace(
        subarray=subarray,
        tel_id=5,
        geometry=angular,
        camera=CameraPixels.of_geometry(angular),
        mirror=replace(MuonSettings(subarray=subarray).mirror(5, 0.0), coma=0.0),  # as the images
        lookup=pixel_lookup(*place, width),
    )


def _lattice(n, pitch, azimuth):
    """The n points nearest to the middle of a hexagonal lattice."""
    i, j = (axis.ravel() for axis in np.mgrid[-40:41, -40:41])
    place = pitch * np.exp(1j * azimuth) * (i + j * np.exp(1j * np.pi / 3))
    place = place[np.argsort(np.abs(place), kind="stable")][:n]
    return place.real, place.imag


@pytest.fixture(scope="session")
def photon_images(lst):
    """`photon_by_photon` of the LST."""
    return photon_by_photon(lst)


@pytest.fixture(scope="session")
def mst_images(mst):
    """`photon_by_photon` of an MST."""
    return photon_by_photon(mst)


def photon_by_photon(telescope):
    """Function that makes images (n, n_pixels) of n rings, photon by photon; their detected light.

    No chord and no integral over pixels: photons are uniform in azimuth and in distance t from the
    impact point, kept if they hit the mirror and not the hole; or not the shadow of a square of the
    side `body` (m) in front of the mirror, which moves with the direction of the light.
    """
    radius_of_mirror, hole = telescope.mirror.radius, telescope.mirror.hole_radius
    n_pixels = telescope.geometry.n_pixels

    def is_lit(x, y, lon, lat, body):
        if body is None:
            return x**2 + y**2 > hole**2
        above = (
            place + MST_FOCAL_LENGTH * np.deg2rad(angle) for place, angle in ((x, lon), (y, lat))
        )
        return np.max(np.abs(list(above)), axis=0) > body / 2

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
        body=None,
    ):
        values = (x, y, radius, width, impact, impact_phi, throughput)
        truth = np.stack([np.broadcast_to(value, n) for value in values], axis=1)
        image, light = np.zeros((n, n_pixels)), np.zeros(n, int)
        for k, (x0, y0, theta, sigma, b, phi0, part) in enumerate(truth):
            length = b + radius_of_mirror  # no light from farther
            dense = alpha.value / 2 * np.sin(2 * np.deg2rad(theta)) * 1e9 * (1 / 300 - 1 / 600)
            m = rng.poisson(part * dense * 2 * np.pi * length)
            phi, t = rng.uniform(-np.pi, np.pi, m), length * rng.random(m)
            hit_x, hit_y = b * np.cos(phi0) - t * np.cos(phi), b * np.sin(phi0) - t * np.sin(phi)
            hit = hit_x**2 + hit_y**2 < radius_of_mirror**2
            lon, lat = x0 + theta * np.cos(phi), y0 + theta * np.sin(phi)
            hit &= is_lit(hit_x, hit_y, lon, lat, body)
            phi = phi[hit]
            r = theta + sigma * rng.standard_normal(phi.size)
            pixel = telescope.lookup(x0 + r * np.cos(phi), y0 + r * np.sin(phi))
            light[k] = phi.size
            image[k] = np.bincount(pixel[pixel >= 0], minlength=n_pixels)
        image += spe_width * np.sqrt(image) * rng.standard_normal(image.shape)
        return image + noise * rng.standard_normal(image.shape), light

    return made

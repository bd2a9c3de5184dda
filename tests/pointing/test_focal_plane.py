"""From the sky into the camera: ctapipe's frames, round trips, derivatives, plate scale (E04)."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, SkyCoord
from ctapipe.coordinates import CameraFrame, EngineeringCameraFrame, TelescopeFrame

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.pointing.focal_plane import (
    Alignment,
    FocalPlane,
    camera_pointing,
    camera_position,
    camera_position_and_jacobian,
    engineering_position,
    focal_plane_of,
    focal_surface_height,
    sky_position,
)

LST = 29.30565 * u.m
ARCSEC = np.deg2rad(1 / 3600)
POINTING = (130 * u.deg, 65 * u.deg)


@pytest.fixture
def stars():
    """Directions within 2.3 deg of the pointing."""
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-1.6, 1.6, (2, 40))
    return POINTING[0] + lon / np.cos(POINTING[1]) * u.deg, POINTING[1] + lat * u.deg


def optics(**more):
    return FocalPlane(LST, rotation=10.893 * u.deg, **more)


OFF = Alignment(80 * u.arcsec, -45 * u.arcsec, 5 * u.arcmin, 1.002)
CURVED = {"curvature": 1 / u.m / 50, "along_surface": True}
VARIANTS = [
    {},
    {"distortion": (0.3, -20.0)},
    {"mapping": "sine", "distortion": (0.5, 0.0), **CURVED},
    {"mapping": "ctapipe", "distortion": (0.1, 0.0)},
]


def test_mapping_of_ctapipe_is_that_of_its_frames(stars):
    frame = CameraFrame(focal_length=LST, rotation=10.893 * u.deg)
    pointing = SkyCoord(AltAz(az=POINTING[0], alt=POINTING[1]))
    sky = SkyCoord(AltAz(az=stars[0], alt=stars[1]))
    field = sky.transform_to(TelescopeFrame(telescope_pointing=pointing))
    there = field.transform_to(frame)
    x, y = camera_position(*stars, *POINTING, optics(mapping="ctapipe"))
    np.testing.assert_allclose([there.x.to_value(u.m), there.y.to_value(u.m)], [x.value, y.value])


def test_gnomonic_differs_from_ctapipe_by_the_cube_of_the_angle():
    """tan θ - θ: 1.2 arcsec at 1.5 deg."""
    star = POINTING[0], POINTING[1] + 1.5 * u.deg
    x = [
        camera_position(*star, *POINTING, FocalPlane(LST, mapping=m))[0]
        for m in ("gnomonic", "ctapipe")
    ]
    angle = np.deg2rad(1.5)
    assert (x[0] - x[1]).to_value(u.m) / 29.30565 == pytest.approx(np.tan(angle) - angle, rel=1e-6)
    assert (x[0] - x[1]).to_value(u.m) / 29.30565 / ARCSEC == pytest.approx(1.23, abs=0.01)


def test_plate_scale_of_effective_focal_lengths():
    """E04: the equivalent focal length puts a star at 1.5 deg 252 and 150 arcsec off."""
    for effective, equivalent, ratio, shift in (
        (29.30565, 28, 1.0466, 252),
        (16.44505, 16, 1.0278, 150),
    ):
        star = POINTING[0], POINTING[1] + 1.5 * u.deg
        x, y = camera_position(*star, *POINTING, FocalPlane(effective * u.m))
        wrong = sky_position(x, y, *POINTING, FocalPlane(equivalent * u.m))
        assert effective / equivalent == pytest.approx(ratio, abs=1e-4)
        assert (wrong[1] - star[1]).to_value(u.arcsec) == pytest.approx(shift, abs=1)


def test_engineering_frame_is_that_of_ctapipe():
    x, y = [0.3, -0.2] * u.m, [0.1, 0.4] * u.m
    for n_mirrors in (1, 2):
        there = SkyCoord(CameraFrame(x=x, y=y, focal_length=LST)).transform_to(
            EngineeringCameraFrame(n_mirrors=n_mirrors)
        )
        mine = engineering_position(x, y, n_mirrors)
        np.testing.assert_allclose([there.x.value, there.y.value], [mine[0].value, mine[1].value])
    with pytest.raises(ConfigurationError, match="3 mirrors"):
        engineering_position(x, y, 3)


@pytest.mark.parametrize("more", VARIANTS)
def test_there_and_back(stars, more):
    x, y = camera_position(*stars, *POINTING, optics(**more), OFF)
    azimuth, altitude = sky_position(x, y, *POINTING, optics(**more), OFF)
    assert np.abs(azimuth - stars[0]).to_value(u.arcsec).max() < 1e-5
    assert np.abs(altitude - stars[1]).to_value(u.arcsec).max() < 1e-5


@pytest.mark.parametrize("more", VARIANTS)
def test_derivatives_are_differences(stars, more):
    plane = optics(**more)
    _, _, jacobian = camera_position_and_jacobian(*stars, *POINTING, plane, OFF)
    vector = OFF.vector
    for i, step in enumerate((1e-6, 1e-6, 1e-6, 1e-6)):
        pair = []
        for sign in (1, -1):
            a, b, c, d = vector + sign * step * (np.arange(4) == i)
            moved = Alignment(a * u.rad, b * u.rad, c * u.rad, d)
            pair.append(
                np.stack([p.value for p in camera_position(*stars, *POINTING, plane, moved)])
            )
        np.testing.assert_allclose(jacobian[:, i], (pair[0] - pair[1]) / 2 / step, atol=2e-7)


def test_the_middle_of_the_camera_looks_where_the_alignment_says():
    """Also near the zenith, where azimuths turn fast; the tilt does not roll the camera."""
    for altitude in (20, 65, 89.5) * u.deg:
        pointing = POINTING[0], altitude
        middle = camera_pointing(*pointing, OFF)
        x, y = camera_position(*middle, *pointing, optics(), OFF)
        np.testing.assert_allclose([x.value, y.value], 0, atol=1e-12)
        field = SkyCoord(AltAz(az=middle[0], alt=middle[1])).transform_to(
            TelescopeFrame(telescope_pointing=SkyCoord(AltAz(az=pointing[0], alt=altitude)))
        )
        assert field.fov_lon.to_value(u.arcsec) == pytest.approx(80, abs=1e-6)
        assert field.fov_lat.to_value(u.arcsec) == pytest.approx(-45, abs=1e-6)


def test_small_tilt_moves_the_image_back(stars):
    """The star is at (lon - dlon, lat - dlat) of the camera, to second order."""
    tilt = Alignment(60 * u.arcsec, 30 * u.arcsec)
    plane = FocalPlane(LST)
    before, after = (camera_position(*stars, *POINTING, plane, a) for a in (None, tilt))
    shift = [(b - a).to_value(u.m) / 29.30565 / ARCSEC for a, b in zip(before, after, strict=True)]
    np.testing.assert_allclose(shift[0], -30, atol=0.2)  # x goes with altitude
    np.testing.assert_allclose(shift[1], -60, atol=0.2)


def test_curved_surface_of_two_mirrors():
    """Along a sphere of radius R: R arcsin(r/R); sine mapping: r = f sin θ."""
    plane = FocalPlane(5.6 * u.m, mapping="sine", curvature=1 / u.m, along_surface=True)
    star = POINTING[0], POINTING[1] + 3 * u.deg
    x, _ = camera_position(*star, *POINTING, plane)
    radius = 5.6 * np.sin(np.deg2rad(3))
    assert x.to_value(u.m) == pytest.approx(np.arcsin(radius))
    height = focal_surface_height(x, 0 * u.m, plane)
    assert height.to_value(u.m) == pytest.approx(1 - np.sqrt(1 - radius**2))
    assert focal_surface_height(x, 0 * u.m, FocalPlane(5.6 * u.m)) == 0 * u.m


def test_what_is_behind_is_nowhere():
    x, y = camera_position(310 * u.deg, -60 * u.deg, *POINTING, optics())
    assert np.isnan([x.value, y.value]).all()


def test_distortion_without_inverse_is_nan():
    plane = optics(distortion=(-500.0, 0.0))
    azimuth, _ = sky_position(1.2 * u.m, 0 * u.m, *POINTING, plane)
    assert np.isnan(azimuth)


def test_no_effective_focal_length():
    class Optics:
        effective_focal_length = np.nan * u.m

    with pytest.raises(ConfigurationError, match="effective"):
        focal_plane_of(Optics())
    with pytest.raises(ConfigurationError, match="unknown mapping 'flat'"):
        FocalPlane(LST, mapping="flat")

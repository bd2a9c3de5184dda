r"""From the sky into the camera and back.

A direction has components (u, v, w) along the axis of the drive, its azimuth and its altitude. The
camera is tilted by (dlon, dlat) against it; (ξ, η) is the image of the direction at unit focal
length, by the mapping of the optics;
:math:`x + iy = f\,p\,D(r)\,e^{-i\rho}(\eta + i\xi)` with plate scale *p*, distortion
:math:`D = 1 + k_2r^2 + k_4r^4` and rotation ρ. Axes are those of ctapipe: ``x`` of ``CameraFrame``
goes with altitude (``fov_lat``), ``y`` with azimuth (``fov_lon``), with one mirror and with two;
cameras of one and two mirrors differ in how they are seen from the dish (`engineering_position`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError

if TYPE_CHECKING:
    from ctapipe.instrument import CameraGeometry, OpticsDescription

__all__ = [
    "Alignment",
    "FocalPlane",
    "camera_pointing",
    "camera_position",
    "camera_position_and_jacobian",
    "engineering_position",
    "focal_plane_of",
    "focal_surface_height",
    "sky_position",
]

Mapping = Literal["gnomonic", "sine", "ctapipe"]
_NEWTON_STEPS = 12


@dataclass(frozen=True)
class FocalPlane:
    """Optics and camera as built.

    Parameters
    ----------
    focal_length : Quantity
        Effective one: of the centroid of the light, coma included (LST 29.30565 m, not 28 m).
    rotation : Quantity
        Of the camera, as ``CameraFrame.rotation``.
    distortion : tuple of float
        k₂ and k₄: relative change of the scale per (tan θ)² and (tan θ)⁴.
    mapping : str
        ``gnomonic``: f tan θ (one mirror). ``sine``: f sin θ (aplanatic: Schwarzschild-Couder).
        ``ctapipe``: f times ``fov_lat`` and ``fov_lon`` in radians, as ctapipe's ``CameraFrame``.
    curvature : Quantity, 1/length
        Of the focal surface; 0 is a plane.
    along_surface : bool
        Whether positions are measured along the curved surface instead of across the axis.
    """

    focal_length: u.Quantity
    rotation: u.Quantity = 0 * u.deg
    distortion: tuple[float, float] = (0.0, 0.0)
    mapping: Mapping = "gnomonic"
    curvature: u.Quantity = 0 / u.m
    along_surface: bool = False

    def __post_init__(self) -> None:
        if not self.focal_length.to_value(u.m) > 0:
            raise ConfigurationError(
                f"focal length is {self.focal_length}, needs a positive one; stars need the "
                "effective focal length of ray tracing, which some descriptions do not have"
            )
        if self.mapping not in get_args(Mapping):
            raise ConfigurationError(
                f"unknown mapping {self.mapping!r}; choose one of {', '.join(get_args(Mapping))}"
            )


@dataclass(frozen=True)
class Alignment:
    """How the camera looks beside where the drive says: what star tracking is after.

    Parameters
    ----------
    dlon, dlat : Quantity, angle
        Where the middle of the camera looks in the ``TelescopeFrame`` of the drive's pointing:
        true pointing = drive + (dlon/cos(altitude), dlat). The tilt does not roll the camera.
    rotation : Quantity, angle
        Added to that of `FocalPlane`.
    plate_scale : float
        Factor to the focal length.
    """

    dlon: u.Quantity = 0 * u.arcsec
    dlat: u.Quantity = 0 * u.arcsec
    rotation: u.Quantity = 0 * u.arcmin
    plate_scale: float = 1.0

    @property
    def vector(self) -> NDArray:
        """(dlon, dlat, rotation, plate_scale), rad and 1; shape (4,) or (4, n)."""
        angles = (self.dlon, self.dlat, self.rotation)
        values = [np.asarray(angle.to_value(u.rad)) for angle in angles]
        return np.stack(np.broadcast_arrays(*values, np.asarray(self.plate_scale)))


def focal_plane_of(
    optics: "OpticsDescription", geometry: "CameraGeometry | None" = None, **more: Any
) -> FocalPlane:
    """Focal plane of a telescope of ctapipe; `more` are other fields of `FocalPlane`.

    Raises
    ------
    ConfigurationError
        If there is no effective focal length.
    """
    frame = getattr(geometry, "frame", None)
    return FocalPlane(optics.effective_focal_length, getattr(frame, "rotation", 0 * u.deg), **more)


def camera_position(
    azimuth: u.Quantity,
    altitude: u.Quantity,
    pointing_azimuth: u.Quantity,
    pointing_altitude: u.Quantity,
    plane: FocalPlane,
    alignment: Alignment | None = None,
) -> tuple[u.Quantity, u.Quantity]:
    """Centroids in the ``CameraFrame``, m; NaN for what is not in front of the telescope.

    Parameters
    ----------
    azimuth, altitude : Quantity, angle
        Observed directions.
    pointing_azimuth, pointing_altitude : Quantity, angle
        Of the drive; all shapes broadcast.
    plane : FocalPlane
    alignment : Alignment, optional
        Its values broadcast with the others.
    """
    direction = _components(azimuth, altitude, pointing_azimuth, pointing_altitude)
    x, y = _image(direction, plane, (alignment or Alignment()).vector)[0]
    return x * u.m, y * u.m


def camera_position_and_jacobian(
    azimuth: u.Quantity,
    altitude: u.Quantity,
    pointing_azimuth: u.Quantity,
    pointing_altitude: u.Quantity,
    plane: FocalPlane,
    alignment: Alignment | None = None,
) -> tuple[u.Quantity, u.Quantity, NDArray]:
    """As `camera_position`; third, derivatives to (dlon, dlat, rotation, plate_scale).

    Returns
    -------
    x, y : Quantity, m
    jacobian : ndarray, shape (2, 4, ...)
        m per rad, m per 1.
    """
    direction = _components(azimuth, altitude, pointing_azimuth, pointing_altitude)
    (x, y), jacobian = _image(direction, plane, (alignment or Alignment()).vector, derive=True)
    assert jacobian is not None  # asked for
    return x * u.m, y * u.m, jacobian


def sky_position(
    x: u.Quantity,
    y: u.Quantity,
    pointing_azimuth: u.Quantity,
    pointing_altitude: u.Quantity,
    plane: FocalPlane,
    alignment: Alignment | None = None,
) -> tuple[u.Quantity, u.Quantity]:
    """Azimuth (0 to 360 deg) and altitude of centroids in the camera: inverse of `camera_position`.

    NaN where the distortion has no inverse, or outside of what the mapping can have.
    """
    dlon, dlat, turn, scale = (alignment or Alignment()).vector
    rho = plane.rotation.to_value(u.rad) + turn
    size = plane.focal_length.to_value(u.m) * scale
    x, y = x.to_value(u.m), y.to_value(u.m)
    eta, xi = x * np.cos(rho) - y * np.sin(rho), x * np.sin(rho) + y * np.cos(rho)
    shrunk = _undistorted(np.hypot(xi, eta) / size, plane, size)
    u3, v3, w3 = _unmapped(shrunk * xi / size, shrunk * eta / size, plane.mapping)
    u1 = u3 * np.cos(dlat) - w3 * np.sin(dlat)
    w = w3 * np.cos(dlat) + u3 * np.sin(dlat)
    u0 = u1 * np.cos(dlon) - v3 * np.sin(dlon)
    v = v3 * np.cos(dlon) + u1 * np.sin(dlon)
    return _horizontal(u0, v, w, pointing_azimuth, pointing_altitude)


def camera_pointing(
    pointing_azimuth: u.Quantity, pointing_altitude: u.Quantity, alignment: Alignment
) -> tuple[u.Quantity, u.Quantity]:
    """Azimuth (0 to 360 deg) and altitude at which the middle of the camera looks."""
    dlon, dlat = alignment.vector[:2]
    axis = np.cos(dlat) * np.cos(dlon), np.cos(dlat) * np.sin(dlon), np.sin(dlat)
    return _horizontal(*axis, pointing_azimuth, pointing_altitude)


def engineering_position(
    x: u.Quantity, y: u.Quantity, n_mirrors: int
) -> tuple[u.Quantity, u.Quantity]:
    """Position as seen from the dish (x right, y up), ctapipe's ``EngineeringCameraFrame``.

    One mirror: (-y, -x), a reflection. Two mirrors: (y, -x), a rotation: the second mirror undoes
    the reflection.

    Raises
    ------
    ConfigurationError
        If there are neither one nor two mirrors.
    """
    if n_mirrors not in (1, 2):
        raise ConfigurationError(f"telescope has {n_mirrors} mirrors, 1 or 2 are known")
    return (-y if n_mirrors == 1 else y), -x


def focal_surface_height(x: u.Quantity, y: u.Quantity, plane: FocalPlane) -> u.Quantity:
    """How far the focal surface curves from the plane that touches it in the middle, m."""
    kappa = plane.curvature.to_value(1 / u.m)
    r2 = x.to_value(u.m) ** 2 + y.to_value(u.m) ** 2
    if plane.along_surface and kappa:
        r2 = (np.sin(kappa * np.sqrt(r2)) / kappa) ** 2
    return kappa * r2 / (1 + np.sqrt(1 - kappa**2 * r2)) * u.m


def _components(
    azimuth: u.Quantity,
    altitude: u.Quantity,
    pointing_azimuth: u.Quantity,
    pointing_altitude: u.Quantity,
) -> tuple[NDArray, ...]:
    """Direction along axis, azimuth and altitude of the drive."""
    angle = (azimuth - pointing_azimuth).to_value(u.rad)
    a, p = altitude.to_value(u.rad), pointing_altitude.to_value(u.rad)
    toward = np.cos(a) * np.cos(angle)
    return (
        toward * np.cos(p) + np.sin(a) * np.sin(p),
        np.cos(a) * np.sin(angle),
        np.sin(a) * np.cos(p) - toward * np.sin(p),
    )


def _horizontal(
    along: NDArray,
    v: NDArray,
    w: NDArray,
    pointing_azimuth: u.Quantity,
    pointing_altitude: u.Quantity,
) -> tuple[u.Quantity, u.Quantity]:
    p = pointing_altitude.to_value(u.rad)
    toward = along * np.cos(p) - w * np.sin(p)
    up = w * np.cos(p) + along * np.sin(p)
    azimuth = pointing_azimuth.to_value(u.rad) + np.arctan2(v, toward)
    altitude = np.arctan2(up, np.hypot(toward, v))
    return np.rad2deg(azimuth) % 360 * u.deg, np.rad2deg(altitude) * u.deg


def _image(
    direction: tuple[NDArray, ...], plane: FocalPlane, alignment: NDArray, derive: bool = False
) -> tuple[NDArray, NDArray | None]:
    """(x, y) in m, and its derivatives (2, 4, ...) if asked for."""
    dlon, dlat, turn, scale = alignment
    u0, v0, w0 = direction
    u1 = u0 * np.cos(dlon) + v0 * np.sin(dlon)
    v = v0 * np.cos(dlon) - u0 * np.sin(dlon)
    axis = u1 * np.cos(dlat) + w0 * np.sin(dlat)
    w = w0 * np.cos(dlat) - u1 * np.sin(dlat)
    axis = np.where(axis > 0, axis, np.nan)  # behind the telescope
    (xi, eta), by_direction = _mapped(axis, v, w, plane.mapping)
    size = plane.focal_length.to_value(u.m) * scale
    r2 = xi**2 + eta**2
    factor, slope, by_scale = _radial(r2, plane, size)
    rho = plane.rotation.to_value(u.rad) + turn
    cosine, sine = np.cos(rho), np.sin(rho)

    def turned(lon: NDArray, lat: NDArray) -> NDArray:
        return np.stack(np.broadcast_arrays(lat * cosine + lon * sine, lon * cosine - lat * sine))

    x, y = place = turned(size * factor * xi, size * factor * eta)
    if not derive:
        return place, None
    zero = np.zeros_like(v)
    tilts = (
        (v * np.cos(dlat), -u1 + zero, -v * np.sin(dlat)),
        (w, zero, -axis),
    )
    columns = []
    for tilt in tilts:
        dxi, deta = (sum(d * t for d, t in zip(row, tilt, strict=True)) for row in by_direction)
        along = 2 * slope * (xi * dxi + eta * deta)
        columns.append(
            turned(size * (factor * dxi + along * xi), size * (factor * deta + along * eta))
        )
    columns += [np.stack([y, -x]), turned(by_scale * xi, by_scale * eta) * (size / scale)]
    return place, np.stack(np.broadcast_arrays(*columns), axis=1)


def _mapped(
    axis: NDArray, v: NDArray, w: NDArray, mapping: str
) -> tuple[tuple[NDArray, ...], tuple[tuple[NDArray, ...], ...]]:
    """(ξ, η) of a direction, and their derivatives to (u, v, w)."""
    zero = np.zeros_like(axis)
    if mapping == "gnomonic":
        xi, eta = v / axis, w / axis
        return (xi, eta), ((-xi / axis, 1 / axis, zero), (-eta / axis, zero, 1 / axis))
    if mapping == "sine":
        one = np.ones_like(axis)
        return (v + zero, w + zero), ((zero, one, zero), (zero, zero, one))
    level = axis**2 + v**2
    lon, lat = np.arctan2(v, axis), np.arctan2(w, np.sqrt(level))
    # lat is arcsin(w) of a unit vector; its derivative along the vector does not matter
    return (lon, lat), (
        (-v / level, axis / level, zero),
        (-w * axis / np.sqrt(level), -w * v / np.sqrt(level), np.sqrt(level)),
    )


def _unmapped(xi: NDArray, eta: NDArray, mapping: str) -> tuple[NDArray, NDArray, NDArray]:
    if mapping == "gnomonic":
        norm = np.sqrt(1 + xi**2 + eta**2)
        return 1 / norm, xi / norm, eta / norm
    if mapping == "sine":
        left = 1 - xi**2 - eta**2
        axis = np.sqrt(np.where(left > 0, left, np.nan))
        return axis, xi + 0 * axis, eta + 0 * axis
    return np.cos(eta) * np.cos(xi), np.cos(eta) * np.sin(xi), np.sin(eta)


def _radial(
    r2: NDArray, plane: FocalPlane, size: float | NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Factor of the radius, its derivative to r², and d(size × factor)/d(size)."""
    k2, k4 = plane.distortion
    factor, slope = 1 + k2 * r2 + k4 * r2**2, k2 + 2 * k4 * r2
    kappa = plane.curvature.to_value(1 / u.m)
    if not (plane.along_surface and kappa):
        return factor, slope, factor
    r = np.sqrt(r2)
    bend = kappa * size * factor * r  # sine of the angle on the surface
    bend = np.where(np.abs(bend) < 1, bend, np.nan)
    small = np.abs(bend) < 1e-6
    safe = np.where(small, 1.0, bend)
    stretch = np.where(small, 1 + bend**2 / 6, np.arcsin(safe) / safe)
    outer = 1 / np.sqrt(1 - bend**2)  # d(arcsin)/d(sine)
    # stretch'(bend)/bend
    steep = np.where(small, 1 / 3, (outer - stretch) / safe**2)
    by_r2 = (kappa * size) ** 2 * factor * (factor / 2 + r2 * slope)  # bend d(bend)/d(r²)
    return factor * stretch, slope * stretch + factor * steep * by_r2, factor * outer


def _undistorted(radius: NDArray, plane: FocalPlane, size: float | NDArray) -> NDArray:
    """(ξ, η) of the mapping over those of a camera without distortion, by Newton's method."""
    there = np.asarray(radius, float)
    kappa = plane.curvature.to_value(1 / u.m)
    flat = np.sin(kappa * size * there) / (kappa * size) if plane.along_surface and kappa else there
    k2, k4 = plane.distortion
    r = flat * 1.0
    for _ in range(_NEWTON_STEPS if k2 or k4 else 0):
        slope = 1 + 3 * k2 * r**2 + 5 * k4 * r**4
        r = r - (r * (1 + k2 * r**2 + k4 * r**4) - flat) / np.where(slope > 0, slope, np.nan)
    return np.where(there > 0, r / np.where(there > 0, there, 1.0), 1.0)

r"""Photons of a muon, followed one by one from the track over the mirror to their image.

No closed form of the light of a ring is used. Axes: :math:`(x, y)` in the plane of the mirror are
parallel to ``fov_lon, fov_lat`` of ctapipe's ``TelescopeFrame``: a source at positive ``fov_lon``
stands above positive x. z is the optical axis, from the mirror to the sky. Light that flies towards
azimuth :math:`\phi` comes from azimuth :math:`\phi + \pi` of the sky.

These axes are left-handed, as azimuths are: pointing to the zenith from the North, x is East and
y is South.

# ASSUME: the telescope points to the zenith, the mirror is a flat disc (with a hole: the shadow of
the camera) that brings light of any direction in focus, isochronously, with third-order coma about
the centroid of a full mirror (`coma_psf`), and the camera has ctapipe's equidistant mapping:
distance from its centre is angle to the axis.
"""

from dataclasses import dataclass
from functools import cache

import astropy.units as u
import numpy as np
from astropy.constants import alpha, c
from numpy.polynomial import polynomial
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from ..atmosphere.refractivity import standard_air_refractivity
from ..throughput.geomagnetic_field import CURVATURE, site_field, transverse_field
from .mirror_image import camera_image, landing, track_axes

__all__ = [
    "BAND",
    "MisalignedSector",
    "MuonPhotons",
    "MuonTelescope",
    "muon_photons",
    "muon_track",
    "sin2_cherenkov",
]

BAND = (300.0, 600.0)  # nm: of the light that is followed, and that throughput refers to
REFERENCE = 400.0  # nm: of refractivity, extinction and Cherenkov angle
MUON_MASS = 0.1056583755  # GeV (Particle Data Group 2024)
CO2 = 420e-6  # mole fraction: NOAA, annual mean of Mauna Loa 2023 (421 ppm)
LIGHT_SPEED = c.to_value(u.m / u.ns)
_FARTHEST = 30_000.0  # m: where tracks begin at most
_STEPS = 64  # of the random walk of a muon
_LA_PALMA = transverse_field(site_field("CTAO-North"), 90 * u.deg, 0 * u.deg).to_value(u.T)


@dataclass(frozen=True)
class MisalignedSector:
    """Part of the mirror that looks elsewhere.

    Parameters
    ----------
    begin, end : float
        rad: the sector is where the azimuth on the mirror, modulo 2π, is from `begin` to `end`.
    shift : float
        deg: by how much its light is displaced in the camera.
    direction : float
        rad: azimuth, in ``fov_lon, fov_lat``, of the displacement.
    """

    begin: float
    end: float
    shift: float
    direction: float


@dataclass(frozen=True)
class MuonTelescope:
    """Mirror of a telescope and the air above it.

    The air is that of 2150 m (LSTs of CTAO-North): 788 hPa, 10 °C, dry, 420 ppm CO₂.

    Parameters
    ----------
    optical_throughput : float
        Photoelectrons per photon of 300 to 600 nm that reaches the mirror, in a pixel of relative
        efficiency 1. # ASSUME: the same for all wavelengths and all directions.
    psf : float
        deg: standard deviation, in each of two directions, of the Gaussian image of a point.
    coma : float
        Shift of the centroid over the field angle (`calibpipe.pointing.coma_psf`); 0 for none.
    mirror_radius, hole_radius : float
        m: disc and its shadowed middle. Default: an LST (ctapipe's MuonIntensityFitter).
        # ASSUME: the shadow is the same for all directions.
    misaligned : MisalignedSector, optional
        Part of the mirror that is misaligned.
    refractivity : float
        n - 1 at the telescope and 400 nm (`calibpipe.atmosphere.refractivity`: Ciddor 1996).
    is_dispersive : bool
        Whether n - 1 depends on the wavelength as that of air.
    scale_height : float
        m: n - 1, density and extinction fall with height h as exp(-h/H). Default: 283 K and the
        lapse of the US Standard Atmosphere (1976), 1/H = (g/R - 6.5 K/km)/T.
    extinction : float
        1/m: of molecules at the telescope and 400 nm, ~ λ⁻⁴
        (`calibpipe.atmosphere.rayleigh`). # ASSUME: no aerosols.
    radiation_length : float
        m: of the air at the telescope: 36.62 g/cm² (Particle Data Group 2024) of 0.9695 kg/m³.
    field : tuple of float
        T: the Earth's magnetic field along x and y (`geomagnetic_field.transverse_field`). Default:
        CTAO-North, pointing to the zenith from the North, 30.9 µT.
        # ASSUME: uniform, and transverse to all muons as to the axis: 1 % for those 1° off.
    """

    optical_throughput: float = 0.2
    psf: float = 0.03
    coma: float = 0.0
    mirror_radius: float = 11.1
    hole_radius: float = 0.74
    misaligned: MisalignedSector | None = None
    refractivity: float = 2.238e-4
    is_dispersive: bool = True
    scale_height: float = 10_200.0
    extinction: float = 3.38e-5
    radiation_length: float = 378.0
    field: tuple[float, float] = (float(_LA_PALMA[0]), float(_LA_PALMA[1]))

    def column(self, distance: ArrayLike) -> NDArray:
        """Path of as much air at the telescope, m, as there is in the first `distance` above it."""
        return -self.scale_height * np.expm1(-np.asarray(distance) / self.scale_height)

    def depth(self, distance: ArrayLike, wavelength: ArrayLike) -> NDArray:
        """Optical depth of the first `distance` (m) above the telescope at a wavelength (nm)."""
        extinction = self.extinction * (REFERENCE / np.asarray(wavelength)) ** 4
        return extinction * self.column(distance)

    def refractivity_at(self, distance: ArrayLike, wavelength: ArrayLike) -> NDArray:
        """Refractivity at a distance (m) above the telescope and a wavelength (nm)."""
        at_reference = self.refractivity * np.exp(-np.asarray(distance) / self.scale_height)
        if not self.is_dispersive:
            return at_reference
        wave_number2 = (1e3 / np.asarray(wavelength)) ** 2
        return at_reference * polynomial.polyval(wave_number2, _dispersion_series())


@dataclass(frozen=True)
class MuonPhotons:
    """Photons of a muon that reach the mirror, each of shape (n_photons,).

    Parameters
    ----------
    wavelength : ndarray
        nm.
    distance : ndarray
        m: from the telescope to where the photon was emitted.
    x, y : ndarray
        m: where it hits the mirror.
    fov_lon, fov_lat : ndarray
        deg: where its image is, with misalignment and point-spread function.
    time : ndarray
        ns: when it is in focus, after the muon's crossing of the plane of the mirror.
    """

    wavelength: NDArray
    distance: NDArray
    x: NDArray
    y: NDArray
    fov_lon: NDArray
    fov_lat: NDArray
    time: NDArray


def muon_photons(
    energy: float,
    impact: tuple[float, float],
    fov: tuple[float, float],
    telescope: MuonTelescope,
    rng: Generator,
    *,
    charge: int = 1,
    fraction: float = 1.0,
) -> MuonPhotons:
    r"""Photons of a muon that reach the mirror.

    Photons per length of the track and wavelength are
    :math:`2\pi\alpha\,\sin^2\theta(s, \lambda)/\lambda^2` (Frank and Tamm 1937), with
    :math:`\cos\theta = 1/(n(s, \lambda)\beta)`; their azimuths are uniform. They are scattered out
    on their way by molecules. The direction of the muon turns in the Earth's field and walks at
    random along the track (`muon_track`), and its photons leave the displaced track.

    # ASSUME: photons fly straight, at the phase velocity. They are followed from as far as the cone
    first leaves the mirror, not from where it closes again near the threshold, kilometres above:
    0.03 % of the light of 8 GeV. Knock-on electrons have no light.

    Parameters
    ----------
    energy : float
        GeV, total.
    impact : tuple of float
        m: x and y where the muon crosses the plane of the mirror.
    fov : tuple of float
        deg: ``fov_lon, fov_lat`` that it comes from when it does.
    telescope : MuonTelescope
        Mirror and air; the throughput is not applied.
    rng : Generator
        Source of all randomness.
    charge : int
        Of the muon: 1 or -1, 0 for one that does not feel the field.
    fraction : float
        Part of the photons that is followed, at random: 1 for all, the throughput for those that
        are detected.

    Returns
    -------
    MuonPhotons
        None for a muon below the threshold.
    """
    place = np.asarray(impact, dtype=float)
    track = muon_track(energy, place, telescope, rng, charge=charge)
    distance, wavelength, sin2, level = _candidates(energy, track[0][-1], telescope, fraction, rng)
    azimuth = rng.uniform(0.0, 2 * np.pi, distance.size)
    slope, offset = _along(track, distance)
    slope = slope + np.sqrt(sin2 / (1 - sin2)) * np.stack([np.cos(azimuth), np.sin(azimuth)])
    x, y, source, path = landing(slope, offset, distance, place, track_axes(*fov))
    radius2 = x**2 + y**2
    on_mirror = (radius2 < telescope.mirror_radius**2) & (radius2 > telescope.hole_radius**2)
    seen = np.flatnonzero(on_mirror & (level < sin2))
    depth = telescope.depth(distance[seen], wavelength[seen]) / np.sqrt(1 - sin2[seen])
    seen = seen[np.flatnonzero(level[seen] < sin2[seen] * np.exp(-depth))]

    distance, wavelength, path = distance[seen], wavelength[seen], path[seen]
    x, y, source = x[seen], y[seen], np.take(source, seen, axis=1)
    slowness = telescope.refractivity_at(0.0, wavelength) * telescope.column(distance) / distance
    to_centre = x * source[0] + y * source[1]  # of the mirror, of the wave front
    speed = np.sqrt(1 - (MUON_MASS / energy) ** 2)
    time = (path * (1 + slowness) + to_centre - distance / speed) / LIGHT_SPEED
    fov_lon, fov_lat = camera_image(x, y, source, telescope, rng)
    return MuonPhotons(wavelength, distance, x, y, fov_lon, fov_lat, time)


def sin2_cherenkov(energy: float | NDArray, refractivity: float | NDArray) -> NDArray:
    """Squared sine of the Cherenkov angle of a muon, 0 below the threshold.

    Parameters
    ----------
    energy : float or ndarray
        GeV, total.
    refractivity : float or ndarray
        :math:`n - 1`.
    """
    speed2 = 1 - (MUON_MASS / np.asarray(energy)) ** 2
    return np.maximum(1 - 1 / (speed2 * (1 + np.asarray(refractivity)) ** 2), 0.0)


@cache
def _dispersion_series() -> NDArray:
    """Coefficients in 1/µm² of n - 1 of dry air over that at 400 nm: Ciddor (1996) to 1e-7.

    Vapour and CO₂ change the ratio by less than 1e-4.
    """
    wavelength = np.linspace(*BAND, 301)
    at_reference = standard_air_refractivity(REFERENCE * u.nm, CO2).value
    ratio = standard_air_refractivity(wavelength * u.nm, CO2).value / at_reference
    return polynomial.polyfit((1e3 / wavelength) ** 2, ratio, 4)


def _tangent(energy: float, refractivity: NDArray) -> NDArray:
    sin2 = sin2_cherenkov(energy, refractivity)
    return np.sqrt(sin2 / (1 - sin2))


def _candidates(
    energy: float, last: float, telescope: MuonTelescope, fraction: float, rng: Generator
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Distance, wavelength, squared sine of the Cherenkov angle, level of the photons of a track.

    As many as if all of it shone as at the telescope at 300 nm: those are photons whose level,
    uniform, is below the squared sine.
    """
    most = float(sin2_cherenkov(energy, telescope.refractivity_at(0.0, BAND[0])))
    highest, lowest = 1 / BAND[0], 1 / BAND[1]  # 1/nm
    per_metre = 2 * np.pi * alpha.value * 1e9 * (highest - lowest) * most
    n = rng.poisson(fraction * per_metre * last)
    distance = last * rng.random(n)
    wavelength = 1 / rng.uniform(lowest, highest, n)
    sin2 = sin2_cherenkov(energy, telescope.refractivity_at(distance, wavelength))
    return distance, wavelength, sin2, most * rng.random(n)


def muon_track(
    energy: float, place: NDArray, telescope: MuonTelescope, rng: Generator, *, charge: int = 1
) -> tuple[NDArray, NDArray, NDArray]:
    r"""Direction of a muon along its track, and where that leads it.

    In the Earth's field it turns with the radius :math:`p/(0.2998\,B_\perp)` (GeV, T, m): by
    :math:`(-B_y, B_x)\,0.2998\,q s/p` at the distance *s* above the telescope, in the left-handed
    axes of the module. On top is multiple scattering, a random walk. Highland's formula without
    its logarithm,
    :math:`\sigma = 13.6\,\mathrm{MeV}/(\beta c p)\,\sqrt{x/X_0}` in each of two directions
    (Particle Data Group 2024): its variance adds up along the track. The direction is constant in
    each of the steps, with the variance of their middle.

    # ASSUME: the logarithm, 10 % at 1 X₀, and the tails of single scattering are left out.

    Parameters
    ----------
    energy : float
        GeV, total.
    place : ndarray, shape (2,)
        m: where the muon crosses the plane of the mirror.
    telescope : MuonTelescope
        Mirror and air.
    rng : Generator
        Source of all randomness.
    charge : int
        1, -1 or 0.

    Returns
    -------
    distance : ndarray, shape (n_steps + 1,)
        m: from the telescope, where it is 0, to where light can no longer hit the mirror, or is
        none.
    slope : ndarray, shape (2, n_steps)
        Between the distances, transverse to the muon's direction at the telescope.
    offset : ndarray, shape (2, n_steps + 1)
        m: at the distances, from the straight line of that direction.
    """
    radius = telescope.mirror_radius
    distance = np.linspace(0.0, _FARTHEST, 1000)
    leaving = distance * _tangent(energy, telescope.refractivity_at(distance, BAND[1]))
    is_dark = sin2_cherenkov(energy, telescope.refractivity_at(distance, BAND[0])) == 0
    far = np.flatnonzero((leaving > 1.5 * (radius + np.hypot(*place))) | is_dark)
    nodes = np.linspace(0.0, distance[far[0] if far.size else -1], _STEPS + 1)
    scale = 13.6e-3 / (energy - MUON_MASS**2 / energy)  # rad; βcp = E - m²/E
    thickness = telescope.column((nodes[1:] + nodes[:-1]) / 2) / telescope.radiation_length
    kick = scale * np.sqrt(np.diff(thickness, prepend=0.0))
    slope = np.cumsum(kick * rng.standard_normal((2, _STEPS)), axis=1)
    slope += np.outer(_bend(energy, charge, telescope), (nodes[1:] + nodes[:-1]) / 2)
    offset = np.cumsum(slope * nodes[1], axis=1)
    # the cone at a node is around where light would land that flies along the muon
    aim = np.hypot(*(place[:, np.newaxis] + offset - slope * nodes[1:]))
    nearest = np.interp(nodes[1:], distance, leaving) - aim
    gone = np.flatnonzero(nearest > 1.2 * radius)
    n = gone[0] + 1 if gone.size else _STEPS
    offset = np.concatenate([np.zeros((2, 1)), offset], axis=1)
    return nodes[: n + 1], slope[:, :n], offset[:, : n + 1]


def _bend(energy: float, charge: int, telescope: MuonTelescope) -> NDArray:
    """Change of the direction that a muon comes from, 1/m, along x and y, upwards."""
    momentum = np.sqrt(max(energy**2 - MUON_MASS**2, 0.0))
    across = np.array([-telescope.field[1], telescope.field[0]])
    return charge * CURVATURE / momentum * across


def _along(track: tuple[NDArray, NDArray, NDArray], distance: NDArray) -> tuple[NDArray, NDArray]:
    """Slope and offset of a track, both (2, n), at distances (n,)."""
    nodes, slope, offset = track
    part = np.minimum((distance / nodes[1]).astype(int), nodes.size - 2)
    there = np.take(slope, part, axis=1)
    return there, np.take(offset, part, axis=1) + (distance - np.take(nodes, part)) * there

r"""Light of the electrons that a muon knocks on, followed electron by electron.

Electrons of kinetic energy *T* are knocked on with

.. math::
   \frac{d^2N}{dX\,dT} = \frac{K}{2}\frac{Z}{A}\frac{1}{\beta^2T^2}
   \left(1 - \beta^2\frac{T}{T_{max}} + \frac{T^2}{2E^2}\right)

under the angle of two bodies (Rossi 1952, High-Energy Particles; Particle Data Group 2024, section
34.2), lose energy, are scattered, and emit Cherenkov light as the muon does. Axes and conventions:
`muon_photons`.

# ASSUME: energy is lost continuously; angles are small; electrons start on the muon's straight
line, and the Earth's field does not bend them; no bremsstrahlung and pairs of the muon. Above the
critical energy of 85 MeV an electron showers. Without radiation (the default) its track is as long
as all tracks of the shower together, but straighter and all of it above the threshold: an upper
limit. With radiation, what is radiated emits no light: a lower one.
"""

import numpy as np
from astropy.constants import alpha
from numpy.random import Generator
from numpy.typing import NDArray

from .mirror_image import camera_image, landing, track_axes
from .muon_photons import BAND, LIGHT_SPEED, MUON_MASS, MuonPhotons, MuonTelescope

__all__ = ["knock_on_electrons", "knock_on_photons", "largest_transfer"]

ELECTRON_MASS = 0.51099895e-3  # GeV (Particle Data Group 2024)
RATE = 0.307075e-3 / 2 * 0.49919  # GeV cm²/g: K/2 Z/A of dry air (Particle Data Group 2024)
COLLISION_LOSS = (
    2.2e-3  # GeV cm²/g, electrons of 30 to 100 MeV in dry air (ESTAR, Berger et al. 2005)
)
RADIATION_LENGTH = 36.62  # g/cm², dry air (Particle Data Group 2024)
_HIGHEST = 4000.0  # m: of the muon's track above the telescope
_LOWEST = 0.020  # GeV, below the threshold of Cherenkov light
_STEPS = 80  # of an electron


def largest_transfer(energy: float) -> float:
    """Largest kinetic energy that a muon of some total energy can give to an electron, GeV."""
    gamma = energy / MUON_MASS
    ratio = ELECTRON_MASS / MUON_MASS
    return 2 * ELECTRON_MASS * (gamma**2 - 1) / (1 + 2 * gamma * ratio + ratio**2)


def knock_on_electrons(
    energy: float, column: float, rng: Generator, *, lowest: float = _LOWEST
) -> NDArray:
    """Kinetic energies (n,), GeV, of the electrons that are knocked on in a column (g/cm²).

    Parameters
    ----------
    energy : float
        GeV, total, of the muon.
    column : float
        g/cm².
    rng : Generator
    lowest : float
        GeV; fewer and fewer are faster, 0.0766 MeV cm²/g over the energy.
    """
    largest = largest_transfer(energy)
    if largest <= lowest:
        return np.empty(0)
    beta2 = 1 - (MUON_MASS / energy) ** 2
    candidates = RATE / beta2 * (1 / lowest - 1 / largest) * column
    n = rng.poisson(candidates * 1.5)  # the bracket is at most 1.5
    kinetic = 1 / (1 / lowest - rng.random(n) * (1 / lowest - 1 / largest))
    bracket = 1 - beta2 * kinetic / largest + kinetic**2 / (2 * energy**2)
    return kinetic[1.5 * rng.random(n) < bracket]


def knock_on_photons(
    energy: float,
    impact: tuple[float, float],
    fov: tuple[float, float],
    telescope: MuonTelescope,
    rng: Generator,
    *,
    fraction: float = 1.0,
    is_radiating: bool = False,
) -> MuonPhotons:
    """Photons of knock-on electrons that reach the mirror.

    Parameters
    ----------
    energy, impact, fov, telescope, rng, fraction
        As of `muon_photons`: of the muon.
    is_radiating : bool
        Whether electrons lose energy by radiation, which then is no more seen (see the module).

    Returns
    -------
    MuonPhotons
        Often none: one electron above the threshold is knocked on in 300 g/cm².
    """
    per_metre = 0.1 * 366.2 / telescope.radiation_length  # g/cm² at the telescope
    highest = per_metre * telescope.column(_HIGHEST)
    kinetic = knock_on_electrons(energy, float(highest), rng)
    depth = highest * rng.random(kinetic.size)  # above the telescope
    tracks = _tracks(energy, kinetic, depth, per_metre, telescope, rng, is_radiating)
    return _light(*tracks, impact, fov, telescope, rng, fraction)


def _tracks(
    energy: float,
    kinetic: NDArray,
    depth: NDArray,
    per_metre: float,
    telescope: MuonTelescope,
    rng: Generator,
    is_radiating: bool,
) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
    """Steps of all electrons: energy, height, length, slope (2,), offset (2,)."""
    n = kinetic.size
    # to the telescope, or as far as an electron that only collides is above the threshold
    step = np.minimum(depth, np.maximum(kinetic - _LOWEST, 0) / COLLISION_LOSS) / _STEPS
    momentum = np.sqrt(kinetic * (kinetic + 2 * ELECTRON_MASS))
    beta = np.sqrt(1 - (MUON_MASS / energy) ** 2)
    cosine = kinetic * (energy + ELECTRON_MASS) / (momentum * beta * energy)
    angle = np.arccos(np.minimum(cosine, 1.0))
    azimuth = rng.uniform(-np.pi, np.pi, n)
    slope = np.tan(angle) * np.stack([np.cos(azimuth), np.sin(azimuth)])
    offset, left = np.zeros((2, n)), depth.copy()
    total = kinetic + ELECTRON_MASS
    found = []
    for _ in range(_STEPS):
        height = _height(left - step / 2, per_metre, telescope)
        length = _height(left, per_metre, telescope) - _height(left - step, per_metre, telescope)
        loss = COLLISION_LOSS + (total / RADIATION_LENGTH if is_radiating else 0.0)
        middle = np.maximum(total - loss * step / 2, ELECTRON_MASS)
        scatter = 13.6e-3 / middle * np.sqrt(step / RADIATION_LENGTH)
        slope = slope + scatter * rng.standard_normal((2, n))
        found.append((middle, height, length, slope, offset - slope * length / 2))
        offset = offset - slope * length
        total = np.maximum(total - loss * step, ELECTRON_MASS)
        left = left - step
    middle, height, length, slope, offset = (
        np.concatenate(part, axis=-1) for part in zip(*found, strict=True)
    )
    return middle, height, length, slope, offset


def _height(depth: NDArray, per_metre: float, telescope: MuonTelescope) -> NDArray:
    """Height above the telescope, m, that is under a column of g/cm²."""
    part = np.clip(depth / (per_metre * telescope.scale_height), 0.0, 0.999)
    return -telescope.scale_height * np.log1p(-part)


def _light(
    energy: NDArray,
    height: NDArray,
    length: NDArray,
    slope: NDArray,
    offset: NDArray,
    impact: tuple[float, float],
    fov: tuple[float, float],
    telescope: MuonTelescope,
    rng: Generator,
    fraction: float,
) -> MuonPhotons:
    """Photons of steps of electrons."""
    lowest, highest = 1 / BAND[1], 1 / BAND[0]
    squared = (ELECTRON_MASS / energy) ** 2  # 1 - β²
    most = np.maximum(2 * telescope.refractivity_at(0.0, BAND[0]) * 1.001 - squared, 0.0)
    mean = fraction * 2e9 * np.pi * alpha.value * (highest - lowest) * most * length
    step = np.repeat(np.arange(mean.size), rng.poisson(mean))
    wavelength = 1 / rng.uniform(lowest, highest, step.size)
    index = 1 + telescope.refractivity_at(height[step], wavelength)
    sin2 = np.maximum(1 - 1 / (index**2 * (1 - squared[step])), 0.0)
    kept = np.flatnonzero(most[step] * rng.random(step.size) < sin2)
    step, wavelength, sin2 = step[kept], wavelength[kept], sin2[kept]
    azimuth = rng.uniform(0.0, 2 * np.pi, step.size)
    cone = np.sqrt(sin2 / (1 - sin2)) * np.stack([np.cos(azimuth), np.sin(azimuth)])
    flight = slope[:, step] + cone, offset[:, step], height[step]
    x, y, source, path = landing(*flight, np.asarray(impact, float), track_axes(*fov))
    radius2 = x**2 + y**2
    on_mirror = (radius2 < telescope.mirror_radius**2) & (radius2 > telescope.hole_radius**2)
    inclined = path / np.maximum(height[step], 1e-9)
    through = np.exp(-telescope.depth(height[step], wavelength) * inclined)
    seen = np.flatnonzero(on_mirror & (rng.random(x.size) < through))
    x, y, source, distance = x[seen], y[seen], source[:, seen], height[step][seen]
    slowness = telescope.refractivity_at(0.0, wavelength[seen]) * telescope.column(distance)
    slowness = slowness / np.maximum(distance, 1e-9)
    # electron and muon are behind light by less than 0.1 ns
    to_centre = x * source[0] + y * source[1]
    time = (path[seen] * (1 + slowness) - distance + to_centre) / LIGHT_SPEED
    fov_lon, fov_lat = camera_image(x, y, source, telescope, rng)
    return MuonPhotons(wavelength[seen], distance, x, y, fov_lon, fov_lat, time)

r"""Muons near a telescope: the truth for throughput from muon rings.

`muon_photons` follows their light. Conventions (its axes: x is ``fov_lon``, y is ``fov_lat``):

- The muon crosses the plane of the mirror at :math:`b\,(\cos\phi_0, \sin\phi_0)`, *b* being
  ``impact`` and :math:`\phi_0` ``impact_phi``: ``impact_x, impact_y`` of ctapipe's
  ``MuonIntensityFitter``. The ring is brightest at azimuth :math:`\phi_0` around its centre: that
  light flew from the impact point towards the centre of the mirror, and over it.
- ``fov_lon, fov_lat`` are where the muon comes from when it crosses the plane of the mirror: the
  centre of its ring, but for multiple scattering and the bending in the Earth's field.
"""

from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable
from ctapipe.coordinates import TelescopeFrame
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError
from .camera import CameraTruth
from .knock_on import knock_on_photons
from .light import Light, pulsed_light
from .muon_photons import MUON_MASS, MuonTelescope, muon_photons, sin2_cherenkov
from .pixel_lookup import PixelLookup, pixel_lookup

__all__ = [
    "MuonTruth",
    "camera_lookup",
    "drawn_throughput",
    "mirror_and_hole",
    "muon_light",
    "muon_truth",
    "muon_truth_table",
]

# Radius (m) of the disc that shadows as much as the camera. LST, SST: the absent facet amid the
# mirror (ctapipe's MuonIntensityFitter). MST: bodies of NectarCAM and FlashCam, squares of
# 2.918 and 2.89 m (sim_telarray, prod6: camera_body_diameter); they hide the absent facet (0.59 m).
HOLE_RADIUS = {"LST": 0.74, "MST": 1.64, "SST": 0.38}
# ASSUME: dN/dE ~ (E + 3.64 GeV)^-2.7 of vertical muons: the parametrisation of Guan et al. (2015,
# arXiv:1509.06176) without the decay of pions and kaons above 100 GeV; at sea level.
SPECTRUM = (3.64, 2.7)
# Of 5 to 100 GeV, independent of the momentum: CMS Collaboration (2010), Phys. Lett. B 692, 83,
# doi 10.1016/j.physletb.2010.07.033: 1.2766 ± 0.0032 (stat) ± 0.0032 (syst).
CHARGE_RATIO = 1.2766


@dataclass(frozen=True)
class MuonTruth:
    """Muons, defined at the plane of the mirror (conventions: module).

    Parameters
    ----------
    energy : ndarray, shape (n_muons,)
        GeV, total. # ASSUME: no energy loss, which is 0.2 GeV/km.
    impact : ndarray, shape (n_muons,)
        m: from the centre of the mirror.
    impact_phi : ndarray, shape (n_muons,)
        rad: azimuth of the impact point, and of the brightest part of the ring.
    fov_lon, fov_lat : ndarray, shape (n_muons,)
        deg: where the muon comes from.
    cherenkov_angle : ndarray, shape (n_muons,)
        deg: at the height of the mirror, at 400 nm.
    charge : ndarray, shape (n_muons,), int
        1 or -1.
    """

    energy: NDArray
    impact: NDArray
    impact_phi: NDArray
    fov_lon: NDArray
    fov_lat: NDArray
    cherenkov_angle: NDArray
    charge: NDArray

    def __len__(self) -> int:
        return self.energy.size


def mirror_and_hole(optics: Any) -> tuple[float, float]:
    """Radius of a mirror and of the shadow of its camera, m.

    Parameters
    ----------
    optics : ctapipe.instrument.OpticsDescription
        Of a telescope with one mirror.

    Raises
    ------
    ConfigurationError
        If there are two mirrors, the mirror's area is unknown, or the size of the telescope.
    """
    area = optics.mirror_area.to_value(u.m**2)
    size = getattr(optics.size_type, "value", optics.size_type)
    # sim_telarray of old counts one mirror of a Schwarzschild-Couder telescope
    is_dual = optics.reflector_shape.name == "SCHWARZSCHILD_COUDER"
    n_mirrors = 2 if is_dual else optics.n_mirrors
    if n_mirrors != 1:
        raise ConfigurationError(
            f"muons need a telescope with one mirror, {optics.name} has {n_mirrors}; "
            "leave them out (n_muon = 0)"
        )
    if not (area > 0 and size in HOLE_RADIUS):
        raise ConfigurationError(
            f"muons need the area of the mirror and a size of {', '.join(HOLE_RADIUS)}, got "
            f"{area:g} m² and {size} of {optics.name}; describe the telescope's optics or leave "
            "muons out (n_muon = 0)"
        )
    return float(np.sqrt(area / np.pi)), HOLE_RADIUS[size]


def camera_lookup(geometry: Any) -> PixelLookup:
    """Lookup of pixels by ``fov_lon, fov_lat`` in deg.

    Parameters
    ----------
    geometry : ctapipe.instrument.CameraGeometry
        In the ``CameraFrame``, with a focal length.
    """
    angular = geometry.transform_to(TelescopeFrame())
    width = None  # ASSUME: round pixels take the light around them, too
    if geometry.pix_type.name in ("HEXAGON", "SQUARE"):
        width = float(np.median(angular.pixel_width.to_value(u.deg)))
    return pixel_lookup(angular.pix_x.to_value(u.deg), angular.pix_y.to_value(u.deg), width)


def drawn_throughput(mean: float, spread: float, rng: Generator) -> float:
    """Optical throughput of a telescope: log-normal, never negative.

    Parameters
    ----------
    mean : float
        Of telescopes.
    spread : float
        Standard deviation over telescopes, relative to the mean.
    rng : Generator
        Source of all randomness.
    """
    sigma = np.sqrt(np.log1p(spread**2))
    return float(mean * np.exp(rng.normal(-(sigma**2) / 2, sigma)))


@u.quantity_input
def muon_truth(
    n_muons: int,
    rng: Generator,
    telescope: MuonTelescope,
    *,
    energy_min: u.Quantity[u.GeV] = 8 * u.GeV,
    max_impact: float = 1.2,
    fov_radius: u.Quantity[u.deg] = 1 * u.deg,
) -> MuonTruth:
    r"""Muons that cross a disc around the mirror.

    Energies follow :math:`dN/dE \propto (E + 3.64\,\mathrm{GeV})^{-2.7}` above `energy_min`;
    there are 1.2766 positive muons for each negative one at all energies.

    Parameters
    ----------
    n_muons : int
        Muons.
    rng : Generator
        Source of all randomness.
    telescope : MuonTelescope
        Telescope.
    energy_min : Quantity
        Lowest energy.
    max_impact : float
        Radius of the disc, which is hit uniformly, in radii of the mirror.
    fov_radius : Quantity
        Directions are uniform in a disc of this radius around the optical axis.

    Raises
    ------
    ConfigurationError
        If muons of the lowest energy emit no light.
    """
    lowest = energy_min.to_value(u.GeV)
    if not sin2_cherenkov(lowest, telescope.refractivity) > 0:
        threshold = MUON_MASS / np.sqrt(1 - (1 + telescope.refractivity) ** -2)
        raise ConfigurationError(
            f"muons of {lowest:g} GeV emit no Cherenkov light at the telescope, needs more than "
            f"{threshold:.3f} GeV; raise the lowest energy of the muons"
        )
    offset, index = SPECTRUM
    energy = (lowest + offset) * (1 - rng.random(n_muons)) ** (-1 / (index - 1)) - offset
    impact = max_impact * telescope.mirror_radius * np.sqrt(rng.random(n_muons))
    off_axis = fov_radius.to_value(u.deg) * np.sqrt(rng.random(n_muons))
    impact_phi, polar = rng.uniform(-np.pi, np.pi, (2, n_muons))
    is_positive = rng.random(n_muons) < CHARGE_RATIO / (1 + CHARGE_RATIO)
    return MuonTruth(
        energy=energy,
        impact=impact,
        impact_phi=impact_phi,
        fov_lon=off_axis * np.cos(polar),
        fov_lat=off_axis * np.sin(polar),
        cherenkov_angle=np.rad2deg(
            np.arcsin(np.sqrt(sin2_cherenkov(energy, telescope.refractivity)))
        ),
        charge=np.where(is_positive, 1, -1),
    )


@u.quantity_input
def muon_light(
    muons: MuonTruth,
    telescope: MuonTelescope,
    truth: CameraTruth,
    pixels: PixelLookup,
    rng: Generator,
    *,
    time: u.Quantity[u.ns],
    transit_time_spread: u.Quantity[u.ns],
    has_knock_on: bool = True,
) -> Light:
    """Light of muons in the camera.

    Parameters
    ----------
    muons : MuonTruth
        Muons, one an event.
    telescope : MuonTelescope
        Mirror and air.
    truth : CameraTruth
        Camera; the relative efficiency of a pixel multiplies the throughput.
    pixels : PixelLookup
        Of its pixels in the ``TelescopeFrame``, x being ``fov_lon`` and y ``fov_lat`` in deg.
    rng : Generator
        Source of all randomness.
    time : Quantity, scalar or shape (n_muons,)
        When light would arrive that travels with the muon through the centre of the mirror.
    transit_time_spread : Quantity
        Of one photoelectron, standard deviation; the pulse of a pixel is at the mean time of its
        photons and scatters by it over √n.
    has_knock_on : bool
        With the light of knock-on electrons (`knock_on_photons`).

    Returns
    -------
    Light
        The photoelectrons of a muon are the sum over its pixels.
    """
    n_pe = np.zeros((len(muons), truth.n_pixels), int)
    delay = np.zeros(n_pe.shape)
    largest = truth.relative_efficiency.max()
    chance = truth.relative_efficiency / largest
    fraction = telescope.optical_throughput * largest
    phi = muons.impact_phi
    impact = np.stack([muons.impact * np.cos(phi), muons.impact * np.sin(phi)], axis=1)
    fov = np.stack([muons.fov_lon, muons.fov_lat], axis=1)
    for k in range(len(muons)):
        one = muons.energy[k], impact[k], fov[k], telescope, rng
        light = [muon_photons(*one, charge=muons.charge[k], fraction=fraction)]
        if has_knock_on:
            light.append(knock_on_photons(*one, fraction=fraction))
        for photons in light:
            pixel = pixels(photons.fov_lon, photons.fov_lat)
            kept = (pixel >= 0) & (rng.random(pixel.size) < chance[pixel])
            pixel = pixel[kept]
            n_pe[k] += np.bincount(pixel, minlength=truth.n_pixels)
            delay[k] += np.bincount(pixel, photons.time[kept], truth.n_pixels)
    arrival = np.asarray(time.to_value(u.ns))[..., np.newaxis]
    start = arrival + delay / np.maximum(n_pe, 1)
    return pulsed_light(n_pe, start, transit_time_spread.to_value(u.ns), truth, rng)


def muon_truth_table(event_id: ArrayLike, muons: MuonTruth, n_pe: ArrayLike) -> QTable:
    """Table of muons, one row an event.

    Parameters
    ----------
    event_id : ndarray, shape (n_muons,), int
        Numbers of their events.
    muons : MuonTruth
        Muons.
    n_pe : ndarray, shape (n_muons,), int
        Photoelectrons in the camera.
    """
    table = QTable(
        {
            "event_id": np.asarray(event_id),
            **{name: getattr(muons, name) * unit for name, unit in _UNITS.items()},
            "charge": np.asarray(muons.charge, np.int8),
            "n_pe": np.asarray(n_pe),
        }
    )
    table["charge"].info.description = "1 for a positive muon, -1 for a negative one"
    return table


_UNITS = {
    "energy": u.GeV,
    "impact": u.m,
    "impact_phi": u.rad,
    "fov_lon": u.deg,
    "fov_lat": u.deg,
    "cherenkov_angle": u.deg,
}

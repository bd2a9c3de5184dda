"""Showers as an array sees them: which telescopes, what light, what energies, and when.

One throughput and one time offset of each telescope are the truth. A telescope of throughput *c*
sees *c* times the light, and its energy, reconstructed for the nominal throughput, is *c* times too
large: both methods that compare telescopes must find *c*.
"""

from dataclasses import dataclass, field

import numpy as np
from astropy.constants import c as speed_of_light
from numpy.typing import NDArray

__all__ = ["ArrayShowers", "ArrayTruth", "ShowerModel", "direction_vector", "simulated_showers"]

LIGHT_IN_M_PER_NS = speed_of_light.to_value("m/ns")


@dataclass(frozen=True)
class ShowerModel:
    """What the showers are like.

    Parameters
    ----------
    spectral_index : float
        Of dN/dE, positive.
    min_energy_in_tev, max_energy_in_tev : float
    radius_in_m : float
        Cores are uniform in this circle.
    viewcone_in_deg : float
        One standard deviation of the direction around the pointing, in each axis.
    light_in_pe_per_tev : dict of str to float
        By size of telescope, near the core.
    threshold_in_pe : dict of str to float
        Of the light to be expected for the telescope's throughput.
    resolution : dict of str to float
        Standard deviation of the logarithm of energies of one telescope; of the light as well.
    time_error_in_ns : float
        Of one trigger.
    direction_error_in_deg, core_error_in_m, height_error_in_m : float
        Of the reconstructed geometry, in each axis.
    invalid : float
        Part of the telescopes' energies that could not be reconstructed.
    """

    spectral_index: float = 2.6
    min_energy_in_tev: float = 0.03
    max_energy_in_tev: float = 100.0
    radius_in_m: float = 400.0
    viewcone_in_deg: float = 0.5
    light_in_pe_per_tev: dict[str, float] = field(
        default_factory=lambda: {"LST": 12000.0, "MST": 3300.0, "SST": 440.0}
    )
    threshold_in_pe: dict[str, float] = field(
        default_factory=lambda: {"LST": 60.0, "MST": 60.0, "SST": 50.0}
    )
    resolution: dict[str, float] = field(
        default_factory=lambda: {"LST": 0.2, "MST": 0.2, "SST": 0.2}
    )
    time_error_in_ns: float = 1.5
    direction_error_in_deg: float = 0.1
    core_error_in_m: float = 5.0
    height_error_in_m: float = 300.0
    invalid: float = 0.003


@dataclass(frozen=True)
class ArrayTruth:
    """Telescopes of a simulated array, with what is to be found.

    Attributes
    ----------
    tel_ids, kinds : ndarray, shape (n_tel,)
        Kinds are ``LST``, ``MST``, ``SST``.
    positions : ndarray, shape (n_tel, 3)
        Ground frame, m.
    throughput : ndarray, shape (n_tel,)
        Of the nominal one.
    time_offset_in_ns : ndarray, shape (n_tel,)
        Added to the trigger times.
    elevation_in_m : float
        Of the ground frame's origin.
    """

    tel_ids: NDArray
    kinds: NDArray
    positions: NDArray
    throughput: NDArray
    time_offset_in_ns: NDArray
    elevation_in_m: float


@dataclass(frozen=True)
class ArrayShowers:
    """Showers that at least two telescopes see.

    Attributes
    ----------
    energy : ndarray, shape (n_events,)
        True, TeV.
    alt, az, core_x, core_y, h_max : ndarray, shape (n_events,)
        True: rad, ground frame in m, m above the sea.
    reconstructed : dict of str to ndarray, shape (n_events,)
        The same quantities as reconstructed.
    has_data : ndarray, shape (n_events, n_tel), bool
    impact, size, tel_energy, delay : ndarray, shape (n_events, n_tel)
        Distance to the reconstructed axis (m), photoelectrons, energy (TeV; NaN where invalid),
        trigger after the front passes the origin (ns).
    """

    energy: NDArray
    alt: NDArray
    az: NDArray
    core_x: NDArray
    core_y: NDArray
    h_max: NDArray
    reconstructed: dict[str, NDArray]
    has_data: NDArray
    impact: NDArray
    size: NDArray
    tel_energy: NDArray
    delay: NDArray


def direction_vector(alt: NDArray, az: NDArray) -> NDArray:
    """Unit vectors to the source in the ground frame (x north, y west, z up); angles in rad."""
    return np.stack([np.cos(alt) * np.cos(az), -np.cos(alt) * np.sin(az), np.sin(alt)], axis=-1)


def simulated_showers(
    n_tries: int,
    truth: ArrayTruth,
    alt: float,
    az: float,
    model: ShowerModel,
    rng: np.random.Generator,
) -> ArrayShowers:
    """Showers around one pointing; those that fewer than two telescopes see are dropped.

    # ASSUME: light is flat to 120 m from the axis and falls by e every 55 m beyond. The trigger
    # knows the light to be expected, not its fluctuation: it selects no fluctuations.
    # ASSUME: the light comes from one point, the shower maximum; the front is a sphere.

    Parameters
    ----------
    n_tries : int
        Showers before selection.
    truth : ArrayTruth
    alt, az : float
        Pointing, rad.
    model : ShowerModel
    rng : Generator
    """
    energy = _power_law(n_tries, model, rng)
    radius = model.radius_in_m * np.sqrt(rng.random(n_tries))
    phi = rng.uniform(-np.pi, np.pi, n_tries)
    core = np.stack([radius * np.cos(phi), radius * np.sin(phi), np.zeros(n_tries)], axis=1)
    light = np.array([model.light_in_pe_per_tev[kind] for kind in truth.kinds]) * truth.throughput
    threshold = np.array([model.threshold_in_pe[kind] for kind in truth.kinds])
    cone = np.deg2rad(model.viewcone_in_deg)
    true_alt = np.minimum(alt + cone * rng.standard_normal(n_tries), np.pi / 2)
    true_az = az + cone * rng.standard_normal(n_tries) / np.cos(true_alt)
    impact = axis_distance(truth.positions, core, direction_vector(true_alt, true_az))
    expected = light * energy[:, None] * np.exp(-np.clip(impact - 120.0, 0, None) / 55.0)
    seen = expected > threshold
    kept = np.count_nonzero(seen, axis=1) >= 2
    energy, core, seen, expected = energy[kept], core[kept], seen[kept], expected[kept]
    true_alt, true_az = true_alt[kept], true_az[kept]
    h_max = 10_500.0 - 1000.0 * np.log(energy) + 500.0 * rng.standard_normal(len(energy))
    found, found_impact = _reconstructed(truth, core, true_alt, true_az, h_max, model, rng)
    sigma = np.array([model.resolution[kind] for kind in truth.kinds])
    size = expected * np.exp(sigma * rng.standard_normal(seen.shape))
    tel_energy = (
        energy[:, None] * truth.throughput * np.exp(sigma * rng.standard_normal(seen.shape))
    )
    tel_energy[rng.random(seen.shape) < model.invalid] = np.nan
    delay = front_delay(truth, core, true_alt, true_az, h_max) + truth.time_offset_in_ns
    delay += model.time_error_in_ns * rng.standard_normal(seen.shape)
    return ArrayShowers(
        energy, true_alt, true_az, core[:, 0], core[:, 1], h_max, found, seen, found_impact, size,
        tel_energy, delay,
    )  # fmt: skip


def _power_law(n: int, model: ShowerModel, rng: np.random.Generator) -> NDArray:
    slope = 1 - model.spectral_index
    low, high = model.min_energy_in_tev**slope, model.max_energy_in_tev**slope
    return (low + (high - low) * rng.random(n)) ** (1 / slope)


def axis_distance(positions: NDArray, core: NDArray, direction: NDArray) -> NDArray:
    """Distances of telescopes from shower axes, shape (n_events, n_tel)."""
    apart = positions - core[:, None]
    along = np.einsum("etk,ek->et", apart, direction)
    return np.sqrt(np.clip(np.einsum("etk,etk->et", apart, apart) - along**2, 0, None))


def front_delay(
    truth: ArrayTruth, core: NDArray, alt: NDArray, az: NDArray, h_max: NDArray
) -> NDArray:
    """Arrival of the spherical front after it passes the frame's origin, ns, (n_events, n_tel)."""
    direction = direction_vector(alt, az)
    slant = (h_max - truth.elevation_in_m) / np.sin(alt)
    source = core + slant[:, None] * direction
    path = np.linalg.norm(truth.positions - source[:, None], axis=2)
    return (path - np.linalg.norm(source, axis=1)[:, None]) / LIGHT_IN_M_PER_NS


def _reconstructed(
    truth: ArrayTruth,
    core: NDArray,
    alt: NDArray,
    az: NDArray,
    h_max: NDArray,
    model: ShowerModel,
    rng: np.random.Generator,
) -> tuple[dict[str, NDArray], NDArray]:
    n, cone = len(alt), np.deg2rad(model.direction_error_in_deg)
    found_alt = np.minimum(alt + cone * rng.standard_normal(n), np.pi / 2)
    found_az = az + cone * rng.standard_normal(n) / np.cos(alt)
    found_core = core + model.core_error_in_m * rng.standard_normal(core.shape) * [1, 1, 0]
    found = {
        "alt": found_alt,
        "az": found_az,
        "core_x": found_core[:, 0],
        "core_y": found_core[:, 1],
        "h_max": h_max + model.height_error_in_m * rng.standard_normal(n),
    }
    direction = direction_vector(found_alt, found_az)
    return found, axis_distance(truth.positions, found_core, direction)

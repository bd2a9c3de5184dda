r"""Width of a muon's ring: what the air, the muon and the focus add to the optics.

A photon that reaches the mirror at distance t from the impact point was emitted at the height
:math:`t/\theta`; with :math:`\theta^2 = 2(n-1) - m^2/p^2` the variance of the radial light profile
about the fitted circle is

.. math::
   \sigma^2 = \sigma_{PSF}^2 + \sigma_{chromatic}^2 + \sigma_{drift}^2 + \sigma_{bending}^2
   + \sigma_{scattering}^2 + \sigma_{coma}^2 .

The fit of a ring takes out the telescope's coma; what is left of it,
:math:`\sigma_{coma}^2`, is its covariance with the drift that the fit did not know. All are
variances per axis: a ring's radial profile is a projection of the point spread function.
"""

from dataclasses import dataclass
from functools import lru_cache

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..atmosphere.refractivity import refractivity
from ..core.exceptions import ConfigurationError
from .geomagnetic_field import CURVATURE
from .muon_coma import drift_per_radius
from .muon_light import BAND, MUON_MASS, chord_interval

__all__ = [
    "SCATTERING_SPREAD",
    "Air",
    "Optics",
    "TrackMoments",
    "WidthComponents",
    "air_at_telescope",
    "air_of_model",
    "angle_at_mirror",
    "bending_variance",
    "chromatic_variance",
    "coma_variance",
    "drift_variance",
    "emission_angle",
    "pixel_variance",
    "scattering_variance",
    "squared_mass_over_momentum",
    "track_moments",
    "width_components",
]

SCATTERING_CONSTANT = 13.6 * u.MeV  # Highland, Particle Data Group (2024), eq. 34.16
RADIATION_LENGTH = 36.62 * u.g / u.cm**2  # dry air, Particle Data Group (2024)
ENERGY_LOSS = 2.4 * u.MeV * u.cm**2 / u.g  # muons of 5 to 20 GeV in air; Groom et al. (2001)

# Standard deviation over the mean of the scattering variance of one ring: mean square of a
# Brownian path about its own mean, two axes, sqrt((1/90) / (1/6)²).
SCATTERING_SPREAD = np.sqrt(0.4)
LARGEST_IMPACT = 2.0  # in mirror radii


@dataclass(frozen=True)
class Air:
    """Air at a telescope, of the night's own model.

    Parameters
    ----------
    refractivity : float
        n - 1 averaged over the detected Cherenkov light.
    dispersion : float
        Standard deviation of n - 1 over that light, relative to `refractivity`.
    density : Quantity, kg/m³
    scale_height : Quantity, m
        Of n - 1 in the first kilometre above the telescope.
    """

    refractivity: float
    dispersion: float
    density: u.Quantity
    scale_height: u.Quantity = 9.5 * u.km


@dataclass(frozen=True)
class Optics:
    """A telescope as far as widths of rings depend on it.

    Parameters
    ----------
    mirror_radius : Quantity, m
    focus_distance : Quantity, m
        Of the object that is sharp in the camera; infinite for a camera in the focal plane.
    pixel_variance : Quantity, deg²
        Per axis, which the fit of the ring has taken out.
    transverse_field : Quantity, µT
        The Earth's magnetic field across the optical axis (`geomagnetic_field`).
    coma : float
        Which the fit of the ring has taken out (`muon_coma`); 0 if it knew of none.
    fit_focus_distance : Quantity, m
        That the fit took with it.
    """

    mirror_radius: u.Quantity
    focus_distance: u.Quantity
    pixel_variance: u.Quantity
    transverse_field: u.Quantity = 0 * u.uT
    coma: float = 0.0
    fit_focus_distance: u.Quantity = np.inf * u.m


def pixel_variance(shape: str, width: u.Quantity) -> u.Quantity:
    """Variance per axis within a pixel: 5 w²/72 for a hexagon, w²/16 a circle, w²/12 a square.

    Parameters
    ----------
    shape : str
        ``HEXAGON``, ``CIRCLE`` or ``SQUARE``.
    width : Quantity
        Flat to flat, diameter or side.
    """
    return {"HEXAGON": 5 / 72, "CIRCLE": 1 / 16, "SQUARE": 1 / 12}[shape] * width**2


@u.quantity_input(pressure=u.Pa, temperature=u.K, equivalencies=u.temperature())
def air_at_telescope(
    pressure: u.Quantity,
    temperature: u.Quantity,
    water_vapour_mole_fraction: float,
    co2_mole_fraction: float,
    density: u.Quantity,
    scale_height: u.Quantity,
    *,
    wavelength: u.Quantity | None = None,
    efficiency: NDArray | None = None,
) -> Air:
    r"""Air with n - 1 averaged over a spectrum :math:`\epsilon(\lambda)/\lambda^2`.

    Parameters
    ----------
    pressure, temperature, density, scale_height : Quantity, scalar
        At the telescope.
    water_vapour_mole_fraction, co2_mole_fraction : float
    wavelength : Quantity, shape (n,), optional
        Increasing; 300 to 600 nm unless given.
    efficiency : ndarray, shape (n,), optional
        Detection efficiency at `wavelength`, any scale; constant unless given.

    Raises
    ------
    ConfigurationError
        If wavelengths do not increase, or no light is detected.
    """
    if wavelength is None:
        wavelength = u.Quantity(np.linspace(BAND[0], BAND[1], 301))
    spectrum = np.ones(wavelength.shape) if efficiency is None else np.asarray(efficiency, float)
    nm = wavelength.to_value(u.nm)
    light = np.gradient(nm) * spectrum / nm**2
    light[[0, -1]] /= 2  # trapezium
    if np.any(np.diff(nm) <= 0) or np.any(light < 0) or not light.sum() > 0:
        raise ConfigurationError(
            "the spectrum needs increasing wavelengths and an efficiency that is somewhere above "
            f"and nowhere below 0, got {spectrum.min():g} to {spectrum.max():g}; correct the table"
        )
    index = refractivity(
        wavelength, pressure, temperature, water_vapour_mole_fraction, co2_mole_fraction
    ).value
    mean = np.average(index, weights=light)
    spread = np.sqrt(np.average((index - mean) ** 2, weights=light))
    return Air(float(mean), float(spread / mean), density, scale_height)


@u.quantity_input
def air_of_model(
    altitude: u.Quantity[u.m],
    pressure: u.Quantity[u.Pa],
    temperature: u.Quantity[u.K],
    density: u.Quantity[u.kg / u.m**3],
    water_vapour_mole_fraction: NDArray,
    telescope_altitude: u.Quantity[u.m],
    co2_mole_fraction: float = 420e-6,
) -> Air:
    """Air at a telescope from a profile of the atmosphere.

    Parameters
    ----------
    altitude, pressure, temperature, density : Quantity, shape (n,)
        Altitudes ascending.
    water_vapour_mole_fraction : ndarray, shape (n,)
    telescope_altitude : Quantity, scalar
    co2_mole_fraction : float

    Raises
    ------
    ConfigurationError
        If the profile does not reach from the telescope to a kilometre above.
    """
    z, site = altitude.to_value(u.m), telescope_altitude.to_value(u.m)
    if not z[0] <= site <= z[-1] - 1000:
        raise ConfigurationError(
            f"the atmosphere goes from {z[0]:g} to {z[-1]:g} m, the telescope is at {site:g} m; "
            "give one that reaches from there to a kilometre above"
        )

    def at(values: NDArray, height: float) -> float:
        return float(np.exp(np.interp(height, z, np.log(values))))

    rho = density.to_value(u.kg / u.m**3)
    scale_height = 1000 / np.log(at(rho, site) / at(rho, site + 1000)) * u.m
    return air_at_telescope(
        at(pressure.to_value(u.Pa), site) * u.Pa,
        np.interp(site, z, temperature.to_value(u.K)) * u.K,
        float(np.interp(site, z, water_vapour_mole_fraction)),
        co2_mole_fraction,
        at(rho, site) * u.kg / u.m**3,
        scale_height,
    )


@dataclass(frozen=True)
class TrackMoments:
    r"""Where on the mirror the light of rings arrives, moments (n_rings,) in mirror radii.

    Light is uniform in azimuth and in t along the chord. A circle is fitted to the ring: what a
    shift of centre or radius explains is not width. NaN for an impact that is negative, above two
    mirror radii or NaN.

    Parameters
    ----------
    level : ndarray
        a of the mean :math:`t = a + b\cos\phi`; the fitted radius belongs to it. 1/2 at impact 0.
    variance : ndarray
        Of t about :math:`a + b\cos\phi`; 1/12 at impact 0.
    wander : ndarray
        Variance about the circle of a Brownian direction that gains variance 1 per axis per unit
        t; 1/6 at impact 0 (1/2 about the direction at the mirror, less 1/3 of the fitted centre).
    mixture : ndarray
        Variance, over muons, of the covariance of t and that direction; 0 at impact 0.
    turn : ndarray
        Variance about the circle of a direction that changes by 1 per unit t towards one side,
        averaged over the sides; 1/24 at impact 0.
    turn_mixture : ndarray
        Variance, over the sides, of the covariance of t and that direction; 0 at impact 0.
    coma : ndarray
        Variance of the displacement by a coma of 1, :math:`3u^2 + h^2 - 1` (`muon_coma`), about
        the circle; 0.8 at impact 0.
    coma_drift : ndarray
        Covariance of t and that displacement at the same azimuth; 1/4 at impact 0.
    """

    level: NDArray
    variance: NDArray
    wander: NDArray
    mixture: NDArray
    turn: NDArray
    turn_mixture: NDArray
    coma: NDArray
    coma_drift: NDArray


@u.quantity_input
def track_moments(impact: u.Quantity[u.m], optics: Optics) -> TrackMoments:
    """Moments of the light on the mirror, for each impact."""
    rho = (impact / optics.mirror_radius).to_value(u.one)
    nodes, *tables = _moment_tables()
    rho = np.where((rho >= 0) & (rho <= LARGEST_IMPACT), rho, np.nan)
    return TrackMoments(*(np.interp(rho, nodes, table) for table in tables))


@lru_cache(maxsize=1)
def _moment_tables(n_azimuths: int = 400, n_steps: int = 100) -> tuple[NDArray, ...]:
    """Impacts in mirror radii and the moments of `TrackMoments`, by the midpoint rule."""
    nodes = np.linspace(0, LARGEST_IMPACT, 81)
    azimuth = (np.arange(n_azimuths) + 0.5) * np.pi / n_azimuths
    step = (np.arange(n_steps) + 0.5) / n_steps
    return nodes, *np.transpose([_moments(rho, azimuth, step) for rho in nodes])


def _moments(rho: float, azimuth: NDArray, step: NDArray) -> tuple[float, ...]:
    begin, end = chord_interval(rho, azimuth, 1.0)
    length = end - begin
    light = length / length.sum()
    cosine, sine = np.cos(azimuth), np.sin(azimuth)
    middle = (begin + end) / 2
    mean = light @ middle
    # orthonormal functions of the azimuth that a shifted circle can follow
    offset = light @ cosine
    norm = np.sqrt(light @ (cosine - offset) ** 2)
    along = (cosine - offset) / norm
    across = sine / np.sqrt(light @ sine**2)
    slope = light @ (along * middle)
    residual = middle - mean - slope * along
    variance = light @ (length**2 / 12 + residual**2)
    # cov B(t) B(t') = min(t, t') = integral over s of (s < t)(s < t')
    s = step * end.max()
    beyond = np.clip(end - s[:, None], 0, length) / length.sum()
    explained = sum(
        np.mean((beyond @ (function * axis)) ** 2)
        for function, axis in ((1.0, cosine), (along, cosine), (across, sine))
    )
    # integral of t - (a + b cos) beyond s, the circle's part of t taken off
    circle = middle - residual
    lever = ((end - circle) ** 2 - (np.clip(s[:, None], begin, end) - circle) ** 2) / 2
    mixture = np.mean((lever @ cosine / length.sum()) ** 2) * end.max()
    wander = mean - explained * end.max()
    turns = _turn_moments(light, length, middle, residual, (cosine, sine, along, across))
    comas = _coma_moments(light, (begin, end), rho * cosine, rho * sine, along)
    return mean - slope * offset / norm, variance, wander, mixture, *turns, *comas


def _coma_moments(
    light: NDArray, chord: tuple, place: NDArray, across: NDArray, along: NDArray
) -> tuple[float, float]:
    """Variance of the displacement by coma about the circle; covariance with t in an azimuth."""
    begin, end = chord
    low, length = place - end, end - begin  # of u = place - t
    with np.errstate(invalid="ignore", divide="ignore"):
        u1, u2, u3, u4 = (
            np.where(length > 0, ((low + length) ** n - low**n) / (n * length), 0.0)
            for n in (2, 3, 4, 5)
        )
    shift = 3 * u2 + across**2 - 1
    mean = light @ shift
    residual = shift - mean - (light @ (along * shift)) * along
    return light @ (9 * (u4 - u2**2) + residual**2), -3 * light @ (u3 - u1 * u2)


def _turn_moments(
    light: NDArray, length: NDArray, middle: NDArray, residual: NDArray, functions: tuple
) -> tuple[float, float]:
    """Variance of t cos and t sin about the circle, their mean; half their squared covariance."""
    cosine, sine, along, across = functions
    to_side, upwards = middle * cosine, middle * sine
    to_side = to_side - light @ to_side - (light @ (along * to_side)) * along
    upwards = upwards - (light @ (across * upwards)) * across
    within = length**2 / 12
    turn = light @ (within + to_side**2 + upwards**2) / 2
    return turn, (light @ (within * cosine + residual * to_side)) ** 2 / 2


@u.quantity_input
def emission_angle(
    radius: u.Quantity[u.deg], track: TrackMoments, optics: Optics
) -> u.Quantity[u.deg]:
    r"""Mean Cherenkov angle of a ring: its radius + :math:`a R/d`.

    A camera that is sharp at the distance d sees light of the point t of the mirror shifted
    inwards by t/d. NaN for a radius that is not positive.
    """
    shift = track.level * (optics.mirror_radius / optics.focus_distance).to_value(u.one)
    return (_positive(radius.to_value(u.rad)) + shift) * u.rad << u.deg


@u.quantity_input
def angle_at_mirror(
    angle: u.Quantity[u.deg], track: TrackMoments, optics: Optics, air: Air
) -> u.Quantity[u.deg]:
    r"""Cherenkov angle at the height of the mirror, :math:`\theta + (n-1)\,a R / (H\theta^2)`.

    The index falls with height and the angle with it: the ring shows the angle at the mean height
    :math:`a R/\theta` of the emission. The light on a mirror is that of the angle at the mirror:
    light from above is weaker by :math:`\theta^2` and falls closer together, by the same.

    Parameters
    ----------
    angle : Quantity, deg, shape (n_rings,)
        `emission_angle`.
    """
    theta = _positive(angle.to_value(u.rad))
    gradient = air.refractivity / air.scale_height.to_value(u.m)
    rise = gradient * track.level * optics.mirror_radius.to_value(u.m) / theta**2
    return (theta + rise) * u.rad << u.deg


@u.quantity_input
def squared_mass_over_momentum(
    angle: u.Quantity[u.deg], track: TrackMoments, optics: Optics, air: Air
) -> NDArray:
    r"""Squared m/p of the muon, :math:`2(n-1)e^{-aR/(\theta H)} - \theta^2`.

    Parameters
    ----------
    angle : Quantity, deg, shape (n_rings,)
        `emission_angle`.

    Returns
    -------
    ndarray
        Negative for a ring larger than the largest angle: what is linear in it stays unbiased
        under errors of the radius. NaN for an angle that is not positive.
    """
    theta = _positive(angle.to_value(u.rad))
    height = track.level * (optics.mirror_radius / air.scale_height).to_value(u.one) / theta
    return 2 * air.refractivity * np.exp(-height) - theta**2


@u.quantity_input
def chromatic_variance(angle: u.Quantity[u.deg], air: Air) -> u.Quantity[u.deg**2]:
    r"""Dispersion of the air, :math:`(\delta n/\theta)^2`, with the rms of n over the light.

    Parameters
    ----------
    angle : Quantity, deg
        `emission_angle`; NaN for one that is not positive.
    """
    width = air.dispersion * air.refractivity / _positive(angle.to_value(u.rad))
    return width**2 * u.rad**2 << u.deg**2


@u.quantity_input
def drift_variance(
    angle: u.Quantity[u.deg], track: TrackMoments, optics: Optics, air: Air
) -> u.Quantity[u.deg**2]:
    r"""Angle that changes with the place on the mirror: index, energy loss and focus.

    .. math::
       \sigma_{drift} = \left|\frac{1}{\theta^2}\left(\frac{n-1}{H}
       - \frac{(m/p)^3}{m}\frac{dE}{dh}\right) + \frac{1}{d}\right| R \sqrt{V(\rho)}

    with n - 1 at the mean height and the moment V, `TrackMoments.variance`; the first term a few
    per cent larger, as the height :math:`t/\theta` grows faster than t.

    Parameters
    ----------
    angle : Quantity, deg, shape (n_rings,)
        `emission_angle`.
    track : TrackMoments
    """
    drift = _drift(angle, track, optics, air)
    return drift**2 * track.variance * u.rad**2 << u.deg**2


def _drift(angle: u.Quantity, track: TrackMoments, optics: Optics, air: Air) -> NDArray:
    """Decrease of the angle, rad, from the impact point to a mirror's radius beside it."""
    theta = _positive(angle.to_value(u.rad))
    squared = squared_mass_over_momentum(angle, track, optics, air)
    index = (squared + theta**2) / 2  # n - 1 at the mean height
    # ASSUME: mean energy loss, no fluctuation of it along the track
    loss = (ENERGY_LOSS * air.density / MUON_MASS).to_value(1 / u.m)
    gradient = index / air.scale_height.to_value(u.m) - np.maximum(squared, 0) ** 1.5 * loss
    radius = optics.mirror_radius.to_value(u.m)
    drift = gradient / theta**2
    drift = drift * (1 + drift * track.level * radius / theta)  # smaller angle: larger height
    return (drift + 1 / optics.focus_distance.to_value(u.m)) * radius


@u.quantity_input
def coma_variance(
    angle: u.Quantity[u.deg], track: TrackMoments, optics: Optics, air: Air
) -> u.Quantity[u.deg**2]:
    r"""What coma adds to the width of a ring of whose fit it is part: the drift that this missed.

    Light from the rim of the mirror is displaced outwards by coma and inwards by the drift; their
    covariance is in the fit, too, with the drift :math:`D_0` of `drift_per_radius`:

    .. math:: \sigma_{coma}^2 = -2\,c\,\theta\,(D - D_0)\,X(\rho)

    with the drift D per mirror radius and the moment X, `TrackMoments.coma_drift`.

    Parameters
    ----------
    angle : Quantity, deg, shape (n_rings,)
        `emission_angle`.
    track : TrackMoments

    Returns
    -------
    Quantity, deg²
        0 without coma. Inclined muons: the same in the mean.
    """
    theta = _positive(angle.to_value(u.rad))
    vergence = 1 / optics.fit_focus_distance.to_value(u.m)
    in_fit = drift_per_radius(theta, optics.mirror_radius.to_value(u.m), vergence)
    missed = _drift(angle, track, optics, air) - in_fit
    return _coma_with_drift(angle, missed, track, optics)


def _coma_with_drift(
    angle: u.Quantity, drift: NDArray, track: TrackMoments, optics: Optics
) -> u.Quantity:
    """Twice the covariance of displacements by coma and by a drift (rad)."""
    coma = optics.coma * angle.to_value(u.rad)
    return -2 * coma * drift * track.coma_drift * u.rad**2 << u.deg**2


@u.quantity_input
def bending_variance(
    angle: u.Quantity[u.deg], track: TrackMoments, optics: Optics, air: Air
) -> u.Quantity[u.deg**2]:
    r"""Bending of the muon in the Earth's magnetic field along the light's track.

    The direction changes by :math:`0.2998\,B_\perp h/p` (T, m, GeV) over the height
    :math:`h = t/\theta`, to the other side for the other charge:

    .. math::
       \sigma_{bending}^2 = \left(\frac{0.2998\,B_\perp}{m}\frac{m}{p}\frac{R}{\theta}\right)^2
       T(\rho)

    with the moment T, `TrackMoments.turn`: 1/6 about the direction at the mirror less 1/8 for the
    centre that is fitted, at impact 0. Directions of impact points are as they come.

    Parameters
    ----------
    angle : Quantity, deg, shape (n_rings,)
        `emission_angle`.
    track : TrackMoments

    Returns
    -------
    Quantity, deg²
        Negative where `squared_mass_over_momentum` is; 0 without field.
    """
    height = optics.mirror_radius.to_value(u.m) / _positive(angle.to_value(u.rad))
    over_mass = CURVATURE * optics.transverse_field.to_value(u.T) / MUON_MASS.to_value(u.GeV)
    squared = squared_mass_over_momentum(angle, track, optics, air)
    return (over_mass * height) ** 2 * squared * track.turn * u.rad**2 << u.deg**2


@u.quantity_input
def scattering_variance(
    angle: u.Quantity[u.deg], track: TrackMoments, optics: Optics, air: Air
) -> u.Quantity[u.deg**2]:
    r"""Multiple scattering of the muon along the light's track, expected over many muons.

    .. math::
       \sigma_{scattering}^2 = \left(\frac{13.6\,\mathrm{MeV}}{m}\frac{m}{p}\right)^2
       \frac{\varrho R W(\rho)}{X_0\theta} \left(1 + 0.038 \ln\frac{x}{X_0}\right)^2,
       \qquad x = \frac{\varrho R}{\theta}

    with the moment W, `TrackMoments.wander`. A single muon differs from it by
    `SCATTERING_SPREAD`.

    Parameters
    ----------
    angle : Quantity, deg, shape (n_rings,)
        `emission_angle`.
    track : TrackMoments

    Returns
    -------
    Quantity, deg²
        Negative where `squared_mass_over_momentum` is.

    References
    ----------
    Navas, S. et al. (Particle Data Group) 2024, Phys. Rev. D 110, 030001, section 34.3.
    doi 10.1103/PhysRevD.110.030001
    """
    depth = (air.density * optics.mirror_radius / RADIATION_LENGTH).to_value(u.one)
    depth = depth / _positive(angle.to_value(u.rad))
    # ASSUME: beta = 1; Highland's logarithm taken at the depth of an axial track
    factor = (SCATTERING_CONSTANT / MUON_MASS).to_value(u.one)
    factor = (factor * (1 + 0.038 * np.log(depth))) ** 2
    squared = squared_mass_over_momentum(angle, track, optics, air)
    return factor * squared * depth * track.wander * u.rad**2 << u.deg**2


@dataclass(frozen=True)
class WidthComponents:
    """Variances of rings that are not of the optics; arrays (n_rings,), deg².

    ``bending`` and ``scattering`` are negative for rings larger than the largest angle. ``coma``
    is what its fit leaves (`coma_variance`), ``coma_in_fit`` the variance of coma alone,
    ``coma_with_drift`` that of its covariance with all of the drift. ``spread``
    is the standard deviation between muons: as their paths wander and, off the axis, as these and
    the bending correlate with the drift.
    """

    chromatic: NDArray
    drift: NDArray
    bending: NDArray
    scattering: NDArray
    spread: NDArray
    coma: NDArray
    coma_in_fit: NDArray
    coma_with_drift: NDArray


@u.quantity_input
def width_components(
    radius: u.Quantity[u.deg], impact: u.Quantity[u.m], optics: Optics, air: Air
) -> WidthComponents:
    """Components of the widths of rings.

    Parameters
    ----------
    radius : Quantity, deg, shape (n_rings,)
        As fitted in the camera.
    impact : Quantity, m, broadcastable

    Returns
    -------
    WidthComponents
        NaN for a radius that is not positive or an impact above two mirror radii.
    """
    track = track_moments(impact, optics)
    angle = emission_angle(radius, track, optics)
    chromatic = np.broadcast_to(chromatic_variance(angle, air).value, angle.shape)
    drift = drift_variance(angle, track, optics, air).value
    bending = bending_variance(angle, track, optics, air).value
    scattering = scattering_variance(angle, track, optics, air).value
    walks = track.mixture / track.wander * np.maximum(scattering, 0)
    turns = track.turn_mixture / track.turn * np.maximum(bending, 0)
    correlated = 4 * drift / track.variance * (walks + turns)
    spread = np.sqrt((SCATTERING_SPREAD * scattering) ** 2 + correlated)
    coma = coma_variance(angle, track, optics, air).value
    in_fit = track.coma * (optics.coma * angle.value) ** 2
    both = _coma_with_drift(angle, _drift(angle, track, optics, air), track, optics).value
    return WidthComponents(chromatic, drift, bending, scattering, spread, coma, in_fit, both)


def _positive(values: NDArray) -> NDArray:
    return np.where(values > 0, values, np.nan)

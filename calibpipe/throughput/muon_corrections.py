r"""Corrections between what the fit of muon rings finds and the throughput of shower light.

Each has a name, a factor, a systematic error of its own, and can be switched off: then its factor
is told but not applied, and its error grows by what it would have corrected. The throughput is the
fitted one times all factors that are applied.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from scipy.special import ellipe, ndtri

__all__ = [
    "Correction",
    "angle_correction",
    "chromatic_correction",
    "coma_correction",
    "inclination_correction",
    "knock_on_correction",
    "light_loss_correction",
    "mean_ray_length",
    "mean_wavelength",
    "mirror_shape_correction",
    "plate_scale_correction",
    "product_of_corrections",
    "switched_off",
    "transmission_correction",
    "transmission_to_level",
]

COMA_ERROR = 0.05  # of the coma: 0.2 % left in simulated rings (LST), more than its own error makes
KNOCK_ON_LIGHT = 0.0006  # in the fitted ring, relative: `calibpipe.simulation.knock_on`


@dataclass(frozen=True)
class Correction:
    """A factor on the throughput.

    Parameters
    ----------
    name : str
    factor : float
        True over fitted.
    error : float
        Systematic error of the throughput, relative.
    source : str
        Where factor and error come from.
    applied : str
        ``mean`` (to the mean of the rings), ``fit`` (in the fit of each ring) or ``off``.
    """

    name: str
    factor: float
    error: float
    source: str
    applied: str = "mean"


def switched_off(correction: Correction) -> Correction:
    """The same, not applied: what it would have corrected adds to its error.

    What is in the fit of the rings can be switched off there only.
    """
    if correction.applied == "fit":
        return correction
    error = np.hypot(correction.error, correction.factor - 1)
    return replace(correction, applied="off", error=float(error))


def product_of_corrections(corrections: Sequence[Correction]) -> tuple[float, float]:
    """Factor of all that are applied to the mean, and the relative systematic error of all."""
    factor = np.prod([entry.factor for entry in corrections if entry.applied == "mean"])
    return float(factor), float(np.sqrt(sum(entry.error**2 for entry in corrections)))


def inclination_correction(inclination: NDArray) -> Correction:
    r"""The mirror is narrower for muons that come at an angle to the optical axis.

    Seen along a muon of inclination :math:`\nu` a disc is an ellipse of axes *R* and
    :math:`R\cos\nu`, whose rays are shorter by :math:`1 - \nu^2/4` in the mean.

    Parameters
    ----------
    inclination : ndarray, shape (n_rings,), deg
        Distance of the rings' centres from the optical axis.

    Returns
    -------
    Correction
        The error is as large as the correction: the shadow of the camera moves, too.

    References
    ----------
    Gaug, M. et al. 2019, ApJS 243, 11. doi 10.3847/1538-4365/ab2123
    """
    shorter = np.nanmean(np.deg2rad(inclination) ** 2) / 4
    return Correction(
        "inclined_muons",
        float(1 / (1 - shorter)),
        float(shorter),
        "ellipse of the mirror along the muon; shadow of the camera not moved",
    )


@u.quantity_input
def angle_correction(
    name: str, fitted: u.Quantity[u.deg], true: u.Quantity[u.deg], *, relative: float, source: str
) -> Correction:
    r"""Photons were counted for the angle of the ring, :math:`\sin 2\theta`, not for the right one.

    Parameters
    ----------
    name : str
    fitted, true : Quantity, deg, shape (n_rings,)
        Angle that photons were counted for, and the one that they should have been counted for.
    relative : float
        Error of the correction over the correction.
    source : str
    """
    ratio = np.sin(2 * fitted) / np.sin(2 * true)
    factor = float(np.nanmean(ratio.to_value(u.one)))
    return Correction(name, factor, abs(factor - 1) * relative, source)


def mean_ray_length(n_sides: int, impact: NDArray | float) -> NDArray:
    """Mean length of the rays from a point inside a regular polygon to its rim.

    Parameters
    ----------
    n_sides : int
        Sides of the polygon, 3 or more; its area is that of a disc of radius 1.
    impact : ndarray
        Distance of the point from the centre, in radii of that disc, averaged over its direction.

    Returns
    -------
    ndarray
        In radii of the disc; for many sides 2/pi E(impact), E the complete elliptic integral.

    Raises
    ------
    ValueError
        If there are fewer than three sides.
    """
    if n_sides < 3:
        raise ValueError(f"a polygon has at least 3 sides, got {n_sides}")
    impact = np.asarray(impact, float)
    apothem = np.sqrt(np.pi / (n_sides * np.tan(np.pi / n_sides)))
    ray = 2 * np.pi * (np.arange(720) + 0.5) / 720
    place = 2 * np.pi * (np.arange(12) + 0.5) / (12 * n_sides)  # of one side: all are alike
    normal = 2 * np.pi * np.arange(n_sides) / n_sides
    shape = (*impact.shape, place.size, ray.size)
    length = np.full(shape, np.inf)
    for direction in normal:
        reach = np.maximum(
            apothem - impact[..., None, None] * np.cos(place - direction)[:, None], 0
        )
        speed = np.cos(ray - direction)
        with np.errstate(divide="ignore"):
            length = np.minimum(length, np.where(speed > 1e-12, reach / speed, np.inf))
    return length.mean(axis=(-2, -1))


def mirror_shape_correction(n_sides: int, impact: NDArray) -> Correction:
    """The mirror is a polygon of segments, the fit takes a disc of the same area.

    Parameters
    ----------
    n_sides : int
        Of the mirror's outline; 0 for a disc.
    impact : ndarray, shape (n_rings,)
        Fitted, in radii of the disc.

    Returns
    -------
    Correction
        Half of it is its error, at least 0.2 %: gaps and the real rim.

    References
    ----------
    Mitchell, A. et al. 2015, arXiv:1509.04258
    """
    source = "regular polygon against disc of the same area; gaps count in the area"
    if n_sides == 0:
        return Correction("mirror_shape", 1.0, 0.002, "outline taken for a disc")
    grid = np.linspace(0, 0.95, 20)
    disc = 2 / np.pi * ellipe(grid**2)
    ratio = np.interp(np.clip(impact, 0, 0.95), grid, mean_ray_length(n_sides, grid) / disc)
    factor = 1 / np.nanmean(ratio)
    return Correction("mirror_shape", float(factor), float(max(abs(factor - 1) / 2, 0.002)), source)


@u.quantity_input
def mean_wavelength(wavelength: u.Quantity[u.nm], transmission: NDArray) -> u.Quantity:
    r"""Mean wavelength of Cherenkov light, :math:`\lambda^{-2} T(\lambda)`, behind some air.

    Parameters
    ----------
    wavelength : Quantity, shape (n,), ascending
    transmission : ndarray, shape (n,)
    """
    weight = transmission / wavelength.to_value(u.nm) ** 2
    x = wavelength.to_value(u.nm)
    return trapezoid(weight * x, x) / trapezoid(weight, x) * u.nm


@u.quantity_input
def chromatic_correction(
    wavelength: u.Quantity[u.nm],
    response: NDArray | None,
    reference_response: NDArray | None,
    muon_transmission: NDArray,
    shower_transmission: NDArray,
    *,
    error: float = 0.01,
) -> Correction:
    r"""Muons are bluer than showers: a change of colour changes them differently.

    .. math:: f = \frac{\langle r\rangle_{shower} / \langle r_0\rangle_{shower}}
                       {\langle r\rangle_{muon} / \langle r_0\rangle_{muon}}, \quad
              \langle r\rangle_x = \frac{\int r\,T_x\,\lambda^{-2} d\lambda}
                                        {\int T_x\,\lambda^{-2} d\lambda}

    with the telescope's spectral response *r* now and :math:`r_0` when the showers were simulated.

    Parameters
    ----------
    wavelength : Quantity, shape (n,), ascending
    response, reference_response : ndarray, shape (n,), or None
        Relative; None where it was not measured: no correction, only the error.
    muon_transmission, shower_transmission : ndarray, shape (n,)
        Of the air between the light's origin and the telescope.
    error : float
        Without a measured response. A degradation of mirrors in the ultraviolet by
        1 - 0.2 exp(-(lambda - 280 nm)/60 nm) lowers muon light by 5.7 % and shower light by 4.7 %.

    Returns
    -------
    Correction
        A tenth of it is its error where the response is measured.
    """
    if response is None or reference_response is None:
        return Correction(
            "chromatic", 1.0, error, "spectral response not measured; error as configured"
        )
    x = wavelength.to_value(u.nm)

    def mean(values: NDArray, transmission: NDArray) -> float:
        weight = transmission / x**2
        return float(trapezoid(values * weight, x) / trapezoid(weight, x))

    of_showers, of_muons = (
        mean(response, air) / mean(reference_response, air)
        for air in (shower_transmission, muon_transmission)
    )
    factor = of_showers / of_muons
    source = "measured response against that of the simulation, night's extinction"
    return Correction("chromatic", factor, abs(factor - 1) / 10, source)


@u.quantity_input
def transmission_to_level(
    level: u.Quantity[u.km],
    wavelength: u.Quantity[u.nm],
    altitude: u.Quantity[u.km],
    table_wavelength: u.Quantity[u.nm],
    optical_depth: NDArray,
) -> NDArray:
    """Transmission from an altitude to the telescope, of a table of extinction.

    Parameters
    ----------
    level : Quantity, scalar
    wavelength : Quantity, shape (n,)
    altitude : Quantity, shape (n_levels,), ascending
    table_wavelength : Quantity, shape (n_wavelengths,), ascending
    optical_depth : ndarray, shape (n_wavelengths, n_levels)
        From the telescope to the altitudes.

    Returns
    -------
    ndarray, shape (n,)
    """
    height = altitude.to_value(u.km)
    depth = [np.interp(level.to_value(u.km), height, row) for row in optical_depth]
    return np.exp(-np.interp(wavelength.to_value(u.nm), table_wavelength.to_value(u.nm), depth))


def plate_scale_correction(
    choices: Collection[str], effective: u.Quantity, equivalent: u.Quantity
) -> Correction:
    """Angles of rings follow from the focal length: radius and photons are off as it is.

    Parameters
    ----------
    choices : collection of str
        Focal lengths that rings were made with: ``effective``, ``equivalent`` or ``unknown``.
    effective, equivalent : Quantity, m
        Of the telescope; NaN where not known.

    Returns
    -------
    Correction
        Of 1. Its error is 0.2 % for the effective focal length; else the ratio of both less 1, or
        5 % where it is not known, as much as coma shifts light outwards.
    """
    if set(choices) == {"effective"}:
        return Correction("plate_scale", 1.0, 0.002, "effective focal length")
    ratio = (effective / equivalent).to_value(u.one)
    error = abs(ratio - 1) if np.isfinite(ratio) and ratio != 1 else 0.05
    told = f"{', '.join(sorted(choices))} focal length; coma shifts light outwards by up to 5 %"
    return Correction("plate_scale", 1.0, float(error), told)


def coma_correction(in_fit: float, of_telescope: float) -> Correction:
    """Coma moves light outwards from where the muon's angle is.

    Parameters
    ----------
    in_fit : float
        Shift of the centroid over the field angle that the fit of the rings knew of; 0 for none.
    of_telescope : float
        That of the telescope's description; 0 where it is not known or there is none.

    Returns
    -------
    Correction
        Of 1: it is in the fit, or not corrected. Rings fitted without it are 0.05 to 0.3 of the
        coma too large, by their impact, and lose light: 0.1 to 0.4 of it in the throughput.
    """
    if in_fit > 0:
        return Correction(
            "coma", 1.0, COMA_ERROR * in_fit, f"coma {in_fit:.3g} of field angles in the fit", "fit"
        )
    told = f"coma {of_telescope:.3g} not in the fit" if of_telescope > 0 else "no coma"
    return Correction("coma", 1.0, 0.3 * of_telescope, told, "off")


def light_loss_correction(
    values: NDArray, photons: NDArray, errors: NDArray, faint: float = 0.0
) -> Correction:
    r"""Trigger and cleaning prefer bright rings: compare the faint half with the bright one.

    The fit takes all pixels, cleaned or not; what is left is that faint fluctuations are not
    triggered and cut. Then rings of few photons look too bright.

    Where a part f of the rings is cut for little light, those that are left are too bright by at
    most what a normal distribution of relative width s is without its lower part,

    .. math:: s\,\frac{\varphi(\Phi^{-1}(f))}{1 - f} .

    Parameters
    ----------
    values : ndarray, shape (n_rings,)
        Throughput of the rings.
    photons : ndarray, shape (n_rings,)
        That reached the mirror: they do not fluctuate with the light that was found.
    errors : ndarray, shape (n_rings,)
        Of `values`, with the scatter between rings.
    faint : float
        Part of the rings that was cut for nothing but little light, from 0 to below 1.

    Returns
    -------
    Correction
        Factor 1. Its error is half of what the fainter half is above or below the brighter one,
        beyond one standard error of the difference; 0.5 % with fewer than 20 rings. In quadrature,
        what the rings that are cut can make.
    """
    source = "half the difference of faint and bright rings beyond its standard error"
    density = np.exp(-(ndtri(faint) ** 2) / 2) / np.sqrt(2 * np.pi)
    cut = float(np.mean(errors / values) * density / (1 - faint))
    if faint > 0:
        source += f"; {faint:.0%} of the rings are cut for little light"
    if len(values) < 20:
        error = float(np.hypot(0.005, cut))
        return Correction("trigger_and_cleaning", 1.0, error, "too few rings; argued")
    bright = photons > np.median(photons)
    halves = [values[chosen].mean() for chosen in (bright, ~bright)]
    scatter = np.sqrt(
        sum(np.mean(errors[chosen] ** 2) / np.count_nonzero(chosen) for chosen in (bright, ~bright))
    )
    beyond = max(abs(halves[1] - halves[0]) - scatter, 0.0)
    error = np.hypot(beyond / 2 / values.mean(), cut)
    return Correction("trigger_and_cleaning", 1.0, float(error), source)


def knock_on_correction() -> Correction:
    """Electrons that the muon knocks on emit light, too; a little of it is in the fitted ring.

    Those above the threshold of Cherenkov light, 24 MeV, are 0.3 in 100 g/cm² and fly at 2 to 12
    degrees from the muon: nearly all of their light misses the mirror or the ring.

    Returns
    -------
    Correction
        Of rings that were followed with and without them (`calibpipe.simulation.knock_on`) and
        fitted as data: 0.073 ± 0.015 % too bright as an upper limit, 0.045 ± 0.010 % as a lower
        one. The error is as large as the correction: cascades, bremsstrahlung of muons.

    References
    ----------
    Navas, S. et al. (Particle Data Group) 2024, Phys. Rev. D 110, 030001, section 34.2.
    doi 10.1103/PhysRevD.110.030001
    """
    return Correction(
        "knock_on_electrons",
        1 / (1 + KNOCK_ON_LIGHT),
        KNOCK_ON_LIGHT,
        "rings simulated with and without knock-on electrons, fitted as data",
    )


def transmission_correction(transmission: float, *, relative: float = 0.1) -> Correction:
    """Air of the last kilometre.

    Parameters
    ----------
    transmission : float
        Mean over the rings of what the extinction in the fit lets through; 1 where there was none.
    relative : float
        Error of the extinction, which is that of molecules.

    Returns
    -------
    Correction
        In the fit, or off: 1 % of the light is then lost in the air of LST.
    """
    # ASSUME: aerosol near the ground takes 0.5 % of the light or less
    aerosol = 0.005
    if transmission < 1:
        error = np.hypot((1 - transmission) * relative, aerosol)
        source = "molecular extinction of the night; aerosol in the error"
        return Correction("atmosphere", float(1 / transmission), float(error), source, "fit")
    return Correction("atmosphere", 1.0, 0.015, "extinction not known; argued", "off")

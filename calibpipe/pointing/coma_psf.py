r"""Point spread function of a mirror with coma: third-order kernel and a Gaussian.

A ray through the mirror at radius ρ (of its edge) and azimuth φ is off the image of its centre by

.. math:: C\rho^2\,(2 + \cos 2\phi,\ \sin 2\phi)

along the radius and across; :math:`C = c\,d` with field angle *d*. It reaches 3 C out (tangential
coma) and C to both sides (sagittal coma); a paraboloid has :math:`c = 1/(16 F^2)`. The centroid of
a full mirror is C out: the effective focal length is 1 + c times the focal length. Positions here
are from the centroid. Facets spread each ray by a Gaussian of σ per axis.

References
----------
Schroeder, D. J. 2000, Astronomical Optics, ch. 5 and 6. doi 10.1016/B978-0-12-629810-9.X5000-X
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chndtr

from ..core.exceptions import ConfigurationError

if TYPE_CHECKING:
    from ctapipe.instrument import OpticsDescription

__all__ = [
    "ComaPsf",
    "centroid_offset",
    "coma_displacement",
    "coma_of_focal_lengths",
    "coma_of_optics",
    "coma_of_parabola",
    "containment_radius",
    "psf_density",
    "psf_moments",
    "pupil_rays",
]

_FINENESS = 0.8  # largest distance of neighbouring rays in σ


@dataclass(frozen=True)
class ComaPsf:
    """Optics of a point source, angles in units of the effective focal length.

    # ASSUME: no astigmatism (LST at 1.5 deg: θ²/(2F) = 1.0 arcmin against 11.7 arcmin of coma), no
    vignetting; both are in σ if it is fitted.

    Parameters
    ----------
    sigma : Quantity, angle
        Gaussian, per axis.
    coma : float
        c: centroid shift, and sagittal coma, over the field angle.
    obscuration : float
        Radius of the hole, or the camera's shadow, over that of the mirror.
    """

    sigma: u.Quantity
    coma: float
    obscuration: float = 0.0

    def __post_init__(self) -> None:
        sigma = self.sigma.to_value(u.deg)
        if not (0 < sigma < 5 and 0 <= self.coma < 0.5 and 0 <= self.obscuration < 1):
            raise ConfigurationError(
                f"point spread function with sigma {sigma:g} deg, coma {self.coma:g} and "
                f"obscuration {self.obscuration:g}: needs sigma in (0, 5) deg, coma in [0, 0.5), "
                "obscuration in [0, 1)"
            )


def coma_of_parabola(focal_ratio: float) -> float:
    """Coma c = 1/(16 F²) per field angle: 0.043 at F = 1.2."""
    return 1 / (16 * focal_ratio**2)


def coma_of_focal_lengths(effective: u.Quantity, equivalent: u.Quantity) -> float:
    """Coma c of a telescope whose effective focal length was ray traced: 1 - f/f_eff.

    In angles of the effective focal length: LST 0.0446, MST 0.0271.
    """
    ratio = (equivalent / effective).to_value(u.one)
    if not 0 < ratio <= 1:
        raise ConfigurationError(
            f"effective focal length {effective} is not at least the equivalent one {equivalent}; "
            "coma moves light outwards"
        )
    return 1 - ratio


def coma_of_optics(optics: "OpticsDescription") -> float:
    """Coma c of a telescope of ctapipe: of its two focal lengths; 0 with two mirrors (aplanatic).

    Raises
    ------
    ConfigurationError
        If the effective focal length is not known, or below the equivalent one.
    """
    if optics.n_mirrors != 1:
        return 0.0
    return coma_of_focal_lengths(optics.effective_focal_length, optics.equivalent_focal_length)


def coma_displacement(mirror: NDArray, field: NDArray, coma: float) -> NDArray:
    r"""How far the image of single rays is from the centroid of a full mirror.

    .. math:: c\,[(2\rho^2 - 1)\,\vec d + \rho^2 (\cos 2\phi,\ \sin 2\phi)] ,

    the second vector turned to the direction of :math:`\vec d`: the kernel of the module.

    Parameters
    ----------
    mirror : ndarray, shape (2, n)
        Where the rays hit it, in radii of the mirror; axes parallel to those of `field`.
    field : ndarray, shape (2, n), any unit
        Angle of the source to the optical axis.
    coma : float
        c.

    Returns
    -------
    ndarray, shape (2, n)
        Unit of `field`.
    """
    x, y = mirror
    squares, mixed = x**2 - y**2, 2 * x * y
    turned = np.stack(
        [squares * field[0] + mixed * field[1], mixed * field[0] - squares * field[1]]
    )
    return coma * ((2 * (x**2 + y**2) - 1) * field + turned)


def centroid_offset(field_angle: u.Quantity, psf: ComaPsf) -> u.Quantity:
    """How far the centroid is outside of the image of the mirror's centre: C (1 + ε²), deg."""
    return (psf.coma * (1 + psf.obscuration**2) * field_angle).to(u.deg)


@lru_cache(maxsize=64)
def pupil_rays(n_rings: int, n_azimuths: int, obscuration: float = 0.0) -> NDArray:
    """Rays of equal areas of the mirror, shape (3, n): along, across, weight; unit C.

    Gauss-Legendre in ρ², uniform in φ; from the centroid. Weights sum to 1.
    """
    node, weight = np.polynomial.legendre.leggauss(n_rings)
    inner = obscuration**2
    rho2 = inner + (1 - inner) * (node + 1) / 2
    angle = 2 * np.pi * (np.arange(n_azimuths) + 0.5) / n_azimuths
    along = rho2[:, np.newaxis] * (2 + np.cos(angle)) - (1 + inner)
    across = rho2[:, np.newaxis] * np.sin(angle)
    shares = np.broadcast_to(weight[:, np.newaxis] / 2 / n_azimuths, along.shape)
    rays = np.stack([along.ravel(), across.ravel(), shares.ravel()])
    rays.flags.writeable = False
    return rays


def rays_of(scale: float, sigma: float, obscuration: float = 0.0) -> NDArray:
    """As many rays as a kernel of scale C needs before a Gaussian of σ (same unit).

    Raises
    ------
    ConfigurationError
        If C is above 10 σ.
    """
    ratio = scale / sigma
    if ratio > 10:
        raise ConfigurationError(
            f"coma is {ratio:.3g} times the Gaussian of the mirror, at most 10 are computed; give "
            "a larger sigma or a smaller field"
        )
    n_azimuths = 4 + 2 * int(np.ceil(np.pi * ratio / _FINENESS))
    n_rings = 3 + int(np.ceil(1.5 * ratio / _FINENESS))
    return pupil_rays(n_rings, n_azimuths, obscuration)


def psf_moments(field_angle: u.Quantity, psf: ComaPsf) -> tuple[u.Quantity, u.Quantity, u.Quantity]:
    """Variances along and across the radius (deg²), third central moment along it (deg³).

    Full mirror: σ² + C²/2, σ² + C²/6, C³/4.
    """
    c = psf.coma * field_angle.to_value(u.deg)
    inner = psf.obscuration**2
    second = (1 + inner + inner**2) / 3  # <ρ⁴>
    third = (1 + inner) * (1 + inner**2) / 4  # <ρ⁶>
    mean = 1 + inner
    variance = psf.sigma.to_value(u.deg) ** 2
    along = variance + c**2 * (4.5 * second - mean**2)
    across = variance + c**2 * second / 2
    skew = c**3 * (11 * third - 3 * mean * 4.5 * second + 2 * mean**3)
    return along * u.deg**2, across * u.deg**2, skew * u.deg**3


def psf_density(
    along: u.Quantity, across: u.Quantity, field_angle: u.Quantity, psf: ComaPsf
) -> u.Quantity:
    """Light per solid angle, 1/deg², of one star; its integral is 1.

    Parameters
    ----------
    along, across : Quantity, any shape, angle
        From the centroid: outwards, and across the radius.
    field_angle : Quantity, scalar
        Of the star.
    psf : ComaPsf
    """
    scale, sigma = psf.coma * field_angle.to_value(u.deg), psf.sigma.to_value(u.deg)
    rays = rays_of(scale, sigma, psf.obscuration)
    a, b = (np.asarray(v.to_value(u.deg))[..., np.newaxis] for v in (along, across))
    squares = (a - scale * rays[0]) ** 2 + (b - scale * rays[1]) ** 2
    density = np.exp(-squares / (2 * sigma**2)) @ rays[2] / (2 * np.pi * sigma**2)
    return density / u.deg**2


def containment_radius(field_angle: u.Quantity, psf: ComaPsf, fraction: float = 0.8) -> u.Quantity:
    """Radius around the centroid that holds a fraction of the light, deg; θ₈₀ by default.

    Without coma σ √(-2 ln 0.2) = 1.794 σ.

    Raises
    ------
    ConfigurationError
        If the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ConfigurationError(f"fraction of the light is {fraction:g}, needs to be in (0, 1)")
    sigma = psf.sigma.to_value(u.deg)
    radii = []
    for angle in np.atleast_1d(field_angle.to_value(u.deg)):
        scale = psf.coma * angle / sigma
        rays = rays_of(scale, 1.0, psf.obscuration)
        offset2 = scale**2 * (rays[0] ** 2 + rays[1] ** 2)

        def outside(radius: float, offset2: NDArray = offset2, shares: NDArray = rays[2]) -> float:
            return fraction - shares @ chndtr(radius**2, 2, offset2)

        radii.append(sigma * brentq(outside, 0, 10 + 4 * scale, xtol=1e-10))
    return np.reshape(radii, np.shape(field_angle)) * u.deg

r"""CORSIKA's five-layer atmosphere and its fit to a table of atmospheric thickness.

The thickness (mass of air above, also called overburden or depth) at altitude :math:`h` is

.. math:: T(h) = a_i + b_i e^{-h/c_i} \quad (i = 1 \dots 4), \qquad T(h) = a_5 - b_5 h/c_5

Particle transport in CORSIKA uses these layers even where refraction comes from a table.

References
----------
Heck, Pierog (2021): Extensive Air Shower Simulation with CORSIKA: A User's Guide, appendix F.
Heck, Knapp, Capdevielle, Schatz, Thouw (1998): Forschungszentrum Karlsruhe FZKA 6019.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares

from ..core.exceptions import CorruptedInputError, MissingInputError

__all__ = ["LINSLEY_US_STANDARD", "FiveLayerAtmosphere", "FiveLayerFit", "fit_five_layers"]

THICKNESS = u.g / u.cm**2
DENSITY = u.g / u.cm**3

TOP = 112.8292e5  # cm, where the thickness reaches zero: CORSIKA's own top, all built-in models
FIT_TOP = 100e5  # cm; above, the linear layer is a convention, not a description
CORE_TOP = 30e5  # cm; where Cherenkov light is made, and the accuracy is promised
MINIMUM_ROWS = 20  # of the fit: 13 parameters are free

# Bounds [cm] of the boundaries between the layers, and from where the search sets out.
LOWEST_BOUNDARIES = np.array([2e5, 8e5, 18e5, 70e5])
HIGHEST_BOUNDARIES = np.array([14e5, 22e5, 50e5, 105e5])
FIRST_BOUNDARIES = (
    np.array([4e5, 10e5, 40e5, 100e5]),  # Linsley: right for middle latitudes
    np.array([8e5, 16.5e5, 36e5, 95e5]),  # a boundary at the tropopause of the subtropics
    np.array([11e5, 18e5, 30e5, 95e5]),
    np.array([11e5, 18e5, 36e5, 90e5]),
)


@dataclass(frozen=True)
class FiveLayerAtmosphere:
    """Parameters of the five layers, each an array of shape (5,), the lowest layer first.

    Parameters
    ----------
    boundaries : Quantity
        Lower boundary of each layer, a length; the first is 0.
    a, b : Quantity
        g/cm2.
    c : Quantity
        A length: scale height of the density in the four exponential layers.
    """

    boundaries: u.Quantity
    a: u.Quantity
    b: u.Quantity
    c: u.Quantity

    @property
    def top(self) -> u.Quantity:
        """Altitude where the thickness reaches zero."""
        return (self.a[4] * self.c[4] / self.b[4]).to(u.km)

    @u.quantity_input
    def thickness(self, altitude: u.km) -> u.Quantity:
        """Mass of air above an altitude, g/cm2.

        Parameters
        ----------
        altitude : Quantity
            Any shape. Below 0 the lowest layer goes on; above the top the result is 0.
        """
        return _thickness(*self._in_cgs(), altitude.to_value(u.cm)) * THICKNESS

    @u.quantity_input
    def density(self, altitude: u.km) -> u.Quantity:
        """Density, g/cm3: minus the derivative of the thickness; it jumps at the boundaries.

        Parameters
        ----------
        altitude : Quantity
            Any shape. Below 0 the lowest layer goes on; above the top the result is 0.
        """
        boundaries, a, b, c = self._in_cgs()
        h = altitude.to_value(u.cm)
        i = _layer(boundaries, h)
        exponential = b[i] / c[i] * np.exp(-h / c[i])
        linear = np.where(h < a[4] * c[4] / b[4], b[4] / c[4], 0.0)
        return np.where(i < 4, exponential, linear) * DENSITY

    def _in_cgs(self) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        a, b = self.a.to_value(THICKNESS), self.b.to_value(THICKNESS)
        return self.boundaries.to_value(u.cm), a, b, self.c.to_value(u.cm)


LINSLEY_US_STANDARD = FiveLayerAtmosphere(
    boundaries=np.array([0.0, 4.0, 10.0, 40.0, 100.0]) * u.km,
    a=np.array([-186.555305, -94.919, 0.61289, 0.0, 0.01128292]) * THICKNESS,
    b=np.array([1222.6562, 1144.9069, 1305.5948, 540.1778, 1.0]) * THICKNESS,
    c=np.array([994186.38, 878153.55, 636143.04, 772170.16, 1e9]) * u.cm,
)
"""CORSIKA's built-in U.S. standard atmosphere (ATMOD 1), parametrised by J. Linsley."""


@dataclass(frozen=True)
class FiveLayerFit:
    """Five layers fitted to a table, and how well they describe it.

    Parameters
    ----------
    atmosphere : FiveLayerAtmosphere
    altitude : Quantity
        (n,) rows of the table.
    thickness_residual : ndarray
        (n,) fitted over tabulated thickness, minus 1; NaN where the table has zero.
    density_residual : ndarray
        (n - 1,) the same of the mean density between neighbouring rows, which sets the light.
    """

    atmosphere: FiveLayerAtmosphere
    altitude: u.Quantity
    thickness_residual: np.ndarray
    density_residual: np.ndarray

    @property
    def largest_thickness_residual(self) -> float:
        """Largest absolute relative error of the thickness up to 30 km."""
        core = self.altitude <= CORE_TOP * u.cm
        return float(np.max(np.abs(self.thickness_residual[core])))

    @property
    def largest_density_residual(self) -> float:
        """Largest absolute relative error of the mean density of an interval up to 30 km."""
        core = self.altitude[1:] <= CORE_TOP * u.cm
        return float(np.max(np.abs(self.density_residual[core])))


@u.quantity_input
def fit_five_layers(
    altitude: u.Quantity[u.km], thickness: u.Quantity[u.g / u.cm**2]
) -> FiveLayerFit:
    r"""Five-layer atmosphere with the smallest relative errors of the thickness up to 100 km.

    Free are the four boundaries (within limits), the thickness at the five lower boundaries and
    the four scale heights: thickness is continuous by construction, and linear from the highest
    boundary to zero at 112.8 km. Minimised are :math:`\sum w^2 \ln^2(T_{fit}/T)` from four
    starts, then, from the best, the fourth powers, which lowers the largest error. The search
    is deterministic.

    Parameters
    ----------
    altitude : Quantity
        (n,) ascending, from 0 or below to 100 km or above, at least 20 rows up to 100 km.
    thickness : Quantity
        (n,) g/cm2, falling; only rows above 100 km may be zero.

    Returns
    -------
    FiveLayerFit
        For real profiles the thickness is met within 1 % up to 30 km, the density of a 1 km
        interval within 5 %.

    Raises
    ------
    MissingInputError
        If the table does not reach from sea level to 100 km, or has too few rows.
    CorruptedInputError
        If a value is not finite, the altitude does not ascend, or the thickness is not positive
        and falling.
    """
    z, X = altitude.to_value(u.cm), thickness.to_value(THICKNESS)
    _check_thickness(z, X)
    rows = z <= FIT_TOP
    parameters = _best_parameters(z[rows], X[rows])
    boundaries, a, b, c = _layers(parameters)
    fitted = _thickness(boundaries, a, b, c, z)
    mass = -np.diff(X)
    return FiveLayerFit(
        atmosphere=FiveLayerAtmosphere(
            (boundaries * u.cm).to(u.km), a * THICKNESS, b * THICKNESS, c * u.cm
        ),
        altitude=altitude.to(u.km),
        thickness_residual=fitted / np.where(X > 0.0, X, np.nan) - 1.0,
        density_residual=-np.diff(fitted) / np.where(mass > 0.0, mass, np.nan) - 1.0,
    )


def _layer(boundaries: NDArray, h: NDArray) -> NDArray:
    return np.clip(np.searchsorted(boundaries, h, side="right") - 1, 0, 4)


def _thickness(boundaries: NDArray, a: NDArray, b: NDArray, c: NDArray, h: NDArray) -> NDArray:
    i = _layer(boundaries, h)
    linear = np.maximum(a[4] - b[4] * h / c[4], 0.0)
    return np.where(i < 4, a[i] + b[i] * np.exp(-h / c[i]), linear)


def _layers(parameters: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Boundaries, a, b, c from boundaries (4), ln thickness there (5) and scale heights (4)."""
    boundaries = np.append(0.0, parameters[:4])
    at_boundary, scale = np.exp(parameters[4:9]), parameters[9:]
    low, high = np.exp(-boundaries[:4] / scale), np.exp(-boundaries[1:] / scale)
    b = (at_boundary[:4] - at_boundary[1:]) / (low - high)
    a = at_boundary[:4] - b * low
    top_scale = (TOP - boundaries[4]) / at_boundary[4]
    return (
        boundaries,
        np.append(a, TOP / top_scale),
        np.append(b, 1.0),
        np.append(scale, top_scale),
    )


def _best_parameters(z: NDArray, X: NDArray) -> NDArray:
    # ASSUME: above 30 km an error matters less, by the square root of the mass left above: full
    # weight up there would cost percents where the light is made.
    log_X = np.log(X)
    weight = np.minimum(1.0, np.exp(0.5 * (log_X - np.interp(CORE_TOP, z, log_X))))

    def residuals(parameters: NDArray, power: float) -> NDArray:
        ratio = np.maximum(_thickness(*_layers(parameters), z), 1e-30) / X
        return np.sign(ratio - 1.0) * np.abs(weight * np.log(ratio)) ** power

    def fit(start: NDArray, power: float) -> OptimizeResult:
        return least_squares(
            residuals,
            start,
            args=(power,),
            bounds=_bounds(),
            x_scale=np.concatenate([np.full(4, 1e6), np.full(5, 0.1), np.full(4, 1e5)]),
            max_nfev=200,
        )

    fits = [fit(_start(z, log_X, boundaries), 1.0) for boundaries in FIRST_BOUNDARIES]
    best = min(fits, key=lambda result: result.cost)
    return fit(best.x, 2.0).x


def _start(z: NDArray, log_X: NDArray, boundaries: NDArray) -> NDArray:
    edges = np.append(0.0, boundaries)
    log_at_edges = np.interp(edges, z, log_X)
    scale = np.diff(edges) / -np.diff(log_at_edges)
    low, high = _bounds()
    return np.concatenate(
        [boundaries, log_at_edges, np.clip(scale, 1.01 * low[9:], 0.99 * high[9:])]
    )


def _bounds() -> tuple[NDArray, NDArray]:
    """Of boundaries [cm], ln thickness [g/cm2] (1e-7 to 1e4) and scale heights [cm]."""
    low = np.concatenate([LOWEST_BOUNDARIES, np.full(5, np.log(1e-7)), np.full(4, 3e5)])
    high = np.concatenate([HIGHEST_BOUNDARIES, np.full(5, np.log(1e4)), np.full(4, 30e5)])
    return low, high


def _check_thickness(z: NDArray, X: NDArray) -> None:
    if z.ndim != 1 or z.shape != X.shape:
        raise CorruptedInputError(
            f"five-layer fit: altitude {z.shape} and thickness {X.shape} must be two columns of "
            "the same length"
        )
    if not (np.all(np.isfinite(z)) and np.all(np.isfinite(X))):
        raise CorruptedInputError(
            "five-layer fit: altitude or thickness is not finite in row "
            f"{np.flatnonzero(~np.isfinite(z + X))[0]}; mend the table"
        )
    if np.any(np.diff(z) <= 0.0):
        row = np.flatnonzero(np.diff(z) <= 0.0)[0] + 1
        raise CorruptedInputError(
            f"five-layer fit: altitude does not ascend, {z[row] / 1e5:g} km in row {row} follows "
            f"{z[row - 1] / 1e5:g} km; sort the table"
        )
    if z[0] > 0.0 or z[-1] < FIT_TOP:
        raise MissingInputError(
            f"five-layer fit: needs 0 to {FIT_TOP / 1e5:g} km, the table has {z[0] / 1e5:g} to "
            f"{z[-1] / 1e5:g} km; complete it with a model of the upper air"
        )
    if np.count_nonzero(z <= FIT_TOP) < MINIMUM_ROWS:
        raise MissingInputError(
            f"five-layer fit: needs at least {MINIMUM_ROWS} rows up to {FIT_TOP / 1e5:g} km, got "
            f"{np.count_nonzero(z <= FIT_TOP)}; give a finer table"
        )
    _check_falling(z, X)


def _check_falling(z: NDArray, X: NDArray) -> None:
    wrong = np.where(z <= FIT_TOP, X <= 0.0, X < 0.0)
    wrong[1:] |= (np.diff(X) >= 0.0) & (X[1:] > 0.0)
    if np.any(wrong):
        row = np.flatnonzero(wrong)[0]
        raise CorruptedInputError(
            f"five-layer fit: thickness must be positive and fall, it is {X[row]:g} g/cm2 at "
            f"{z[row] / 1e5:g} km" + (f" after {X[row - 1]:g} g/cm2" if row else "")
        )

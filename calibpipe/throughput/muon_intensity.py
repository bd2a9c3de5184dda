r"""Throughput, impact and width of muon rings: one compiled fit of all rings of a batch.

The expected charge of a pixel is the light of `muon_light` on the ring, spread by a Gaussian in the
radial direction and integrated over the pixel. Centre, radius, width, impact point and throughput
are fitted together.

The estimator is the quasi-likelihood of Wedderburn: it solves

.. math:: \sum_i \frac{\partial\mu_i}{\partial p}\,\frac{q_i - \mu_i}{V_i} = 0, \qquad
          V_i = \sigma_i^2 + F^2 \mu_i

with pedestal noise :math:`\sigma_i` and width of the single-photoelectron spectrum,
:math:`F^2 = 1 + \mathrm{width}^2`. It is unbiased whatever the distribution of the charges, if only
their mean is right (a wrong :math:`F^2` costs precision, not accuracy), and its covariance follows
from the charges' variance alone. The slopes leave out the rim of the shadow, a step that would
feign precision: estimates are unbiased with any slopes. Impact points nearer to the middle than one
and a half radii of the shadow are off by as much, and the throughput with them by 1 to 2 %.
"""

from dataclasses import dataclass, field
from math import cos, exp, hypot, log, pi, sin, sqrt, tan
from typing import TYPE_CHECKING

import astropy.units as u
import numba
import numpy as np
from astropy.constants import alpha
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from .muon_coma import coma_with_stretch, drift_per_radius
from .muon_light import BAND
from .muon_ring import PARAMETERS, Circles

if TYPE_CHECKING:
    from ctapipe.instrument import CameraGeometry

__all__ = ["PARAMETERS", "Mirror", "MuonFits", "PixelGrid", "expected_charge", "fitted_muons"]

_N = len(PARAMETERS)
_STEPS = 60
_RIDGE = 1e-10  # keeps the information invertible
_STALLED = 1.0  # decrement of a fit that ends at the rim of the mirror or shadow: one error
_CONVERGED = 0.005  # gain in quasi-likelihood that may be left: 0.1 of an error
_COMA_ROUNDS = 3
_NARROWEST = 0.05  # of a pixel
_LEAST = 0.1  # light of an azimuth that coma stretches along the ring; 0.9 to 1.1 in real ones
_REACH = 4.5  # widths from the ring beyond which no light is expected (7e-6 of it)
_SMOOTH = 0.15  # of the mirror radius: slopes at the mirror's rim are those so far inside
_SCALE = np.array([np.rad2deg(1.0)] * 4 + [1.0] * 3)


@dataclass(frozen=True)
class PixelGrid:
    """Pixels as the fit integrates over them.

    Parameters
    ----------
    x, y : ndarray, shape (n_pixels,)
        rad, in the telescope frame.
    area : ndarray, shape (n_pixels,)
        rad², sensitive area of each pixel.
    offsets : ndarray, shape (n_points, 2)
        rad, points of the cubature around the centre of a pixel.
    weights : ndarray, shape (n_points,)
        Their weights, 1 in sum.
    width : float
        rad, flat to flat.
    """

    x: NDArray
    y: NDArray
    area: NDArray
    offsets: NDArray = field(repr=False)
    weights: NDArray = field(repr=False)
    width: float

    @classmethod
    def of_geometry(cls, geometry: "CameraGeometry") -> "PixelGrid":
        """Pixels of a camera in the telescope frame (``geometry.transform_to(TelescopeFrame())``).

        Raises
        ------
        ConfigurationError
            If the pixels have no angular positions.
        """
        if not geometry.pix_x.unit.is_equivalent(u.rad):
            raise ConfigurationError(
                "pixel positions are lengths; transform the camera geometry to the telescope frame"
            )
        x, y = (a.to_value(u.rad) for a in (geometry.pix_x, geometry.pix_y))
        area = geometry.pix_area.to_value(u.rad**2)
        width = float(np.median(geometry.pixel_width.to_value(u.rad)))
        shape = geometry.pix_type.name.lower()
        offsets, weights = _cubature(shape, width, _direction(x, y))
        return cls(x, y, area, offsets, weights, width)


@dataclass(frozen=True)
class Mirror:
    """Mirror as the muon's light sees it: a disc with a round shadow in the middle.

    Parameters
    ----------
    radius : float
        m, of the disc that has the mirror's area.
    hole_radius : float
        m, of the shadow of the camera.
    extinction : float
        1/m, of the air above the telescope, averaged over the band.
    band : tuple of float
        m, wavelengths between which the photons are counted.
    coma : float
        c of third-order coma (`calibpipe.pointing.coma_psf`): radii and widths of rings are then
        those without it.
    focus_distance : float
        m, of what is sharp in the camera: its blur and coma have a covariance. Of no effect without
        coma.
    """

    radius: float
    hole_radius: float = 0.0
    extinction: float = 0.0
    band: tuple[float, float] = (BAND[0].to_value(u.m), BAND[1].to_value(u.m))
    coma: float = 0.0
    focus_distance: float = np.inf

    def __post_init__(self) -> None:
        if not 0 <= self.hole_radius < self.radius:
            raise ConfigurationError(
                f"mirror of radius {self.radius:g} m with a shadow of {self.hole_radius:g} m; the "
                "shadow must be smaller (hole_radius_in_m), the mirror area positive"
            )

    @property
    def photons_per_length(self) -> float:
        """Photons per sin(2 theta), radian and metre of chord."""
        return 0.5 * alpha.value * (1 / self.band[0] - 1 / self.band[1])


@dataclass(frozen=True)
class MuonFits:
    """Fits of many rings.

    Parameters
    ----------
    values : ndarray, shape (n_rings, 7)
        By `PARAMETERS`. The impact point is written as ctapipe writes it: its azimuth is that of
        the brightest part of the ring.
    covariance : ndarray, shape (n_rings, 7, 7)
    chi2 : ndarray, shape (n_rings,)
        Pearson's, of the pixels that were used.
    n_pixels : ndarray, shape (n_rings,), int
    light : ndarray, shape (n_rings,)
        Fitted photoelectrons on the pixels that were used.
    photons : ndarray, shape (n_rings,)
        Photons of the fitted ring that reach the mirror (`Mirror.band`).
    transmission : ndarray, shape (n_rings,)
        Part of them that the air of the mirror's `extinction` has let through.
    has_converged : ndarray, shape (n_rings,), bool
    """

    values: NDArray
    covariance: NDArray = field(repr=False)
    chi2: NDArray
    n_pixels: NDArray
    light: NDArray
    photons: NDArray
    transmission: NDArray
    has_converged: NDArray

    def __len__(self) -> int:
        return len(self.values)


def fitted_muons(
    image: NDArray,
    is_used: NDArray,
    noise: NDArray,
    circles: Circles,
    grid: PixelGrid,
    mirror: Mirror,
    *,
    spe_width: float = 0.5,
) -> MuonFits:
    """Fit the light of muon rings.

    Parameters
    ----------
    image : ndarray, shape (n_rings, n_pixels)
        Photoelectrons, of an extraction that does not look for the highest sample in each pixel.
    is_used : ndarray, shape (n_rings, n_pixels), bool
        Pixels that count; neither masked nor saturated nor NaN.
    noise : ndarray, shape (n_pixels,) or (n_rings, n_pixels)
        Standard deviation of pixels without light, photoelectrons, positive.
    circles : Circles
        Where the fit begins, deg.
    grid : PixelGrid
    mirror : Mirror
    spe_width : float
        Relative standard deviation of the charge of single photoelectrons.

    Returns
    -------
    MuonFits
        NaN for rings without circle, or with fewer pixels than parameters.

    Raises
    ------
    ValueError
        If the noise is not positive.

    References
    ----------
    Wedderburn, R. 1974, Biometrika 61, 439. doi 10.1093/biomet/61.3.439
    Vacanti, G. et al. 1994, Astropart. Phys. 2, 1. doi 10.1016/0927-6505(94)90012-4
    """
    image = np.ascontiguousarray(image, np.float64)
    noise = np.broadcast_to(np.asarray(noise, float), image.shape)
    if not np.all(noise[is_used] > 0):
        raise ValueError("noise of pixels must be positive")
    n = len(image)
    start = np.stack([circles.x, circles.y, circles.radius, np.sqrt(circles.radial_variance)], 1)
    values, covariance = np.full((n, _N), np.nan), np.full((n, _N, _N), np.nan)
    chi2, light, photons, without = np.full((4, n), np.nan)
    n_pixels, has_converged = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    _fit_rings(
        image,
        np.ascontiguousarray(is_used, np.bool_),
        noise,
        np.deg2rad(start),
        *_plain(grid),
        *_plain_mirror(mirror),
        1 + spe_width**2,
        values,
        covariance,
        chi2,
        n_pixels,
        light,
        photons,
        without,
        has_converged,
    )
    return MuonFits(
        values * _SCALE,
        covariance * np.outer(_SCALE, _SCALE),
        chi2,
        n_pixels,
        light,
        photons,
        photons / without,
        has_converged,
    )


def expected_charge(values: NDArray, grid: PixelGrid, mirror: Mirror) -> NDArray:
    """Photoelectrons that the model expects in every pixel.

    Parameters
    ----------
    values : ndarray, shape (7,)
        By `PARAMETERS`.
    grid : PixelGrid
    mirror : Mirror

    Returns
    -------
    ndarray, shape (n_pixels,)
    """
    charge, slopes = np.empty(len(grid.x)), np.empty((len(grid.x), _N))
    every = np.arange(len(grid.x))
    parameters = np.asarray(values, float) / _SCALE
    plain = _plain_mirror(mirror)
    known = _seen_by_coma(parameters, mirror.radius)
    _model(every, parameters, known, *_plain(grid), *plain, charge, slopes)
    return charge


def _plain(grid: PixelGrid) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray, float]:
    return grid.x, grid.y, grid.area, grid.offsets, grid.weights, grid.width


def _plain_mirror(mirror: Mirror) -> tuple[float, float, float, float, float, float]:
    optics = mirror.radius, mirror.hole_radius, mirror.coma, 1 / mirror.focus_distance
    return *optics, mirror.extinction, mirror.photons_per_length


def _direction(x: NDArray, y: NDArray) -> float:
    """Azimuth of the nearest neighbour of the pixel next to the middle, rad."""
    middle = np.argmin(np.hypot(x - x.mean(), y - y.mean()))
    distance = np.hypot(x - x[middle], y - y[middle])
    distance[middle] = np.inf
    nearest = np.argmin(distance)
    return float(np.arctan2(y[nearest] - y[middle], x[nearest] - x[middle]))


def _cubature(shape: str, width: float, direction: float) -> tuple[NDArray, NDArray]:
    """Points and weights on a pixel, exact to fifth order; neighbours lie in `direction`.

    Stroud 1971, Approximate Calculation of Multiple Integrals: H2 5-1 (hexagon), C2 5-4 (square),
    S2 5-1 (circle).
    """
    sixfold = np.exp(1j * np.pi / 3 * np.arange(6))
    if shape == "hexagon":
        corner = width / np.sqrt(3) * np.exp(1j * (direction + np.pi / 6))
        points = np.concatenate([[0], np.sqrt(14) / 5 * corner * sixfold])
        weights = np.array([258] + [125] * 6) / 1008
    elif shape == "square":
        node, weight = np.polynomial.legendre.leggauss(3)
        points = (node[:, None] + 1j * node).ravel() * width / 2 * np.exp(1j * direction)
        weights = np.outer(weight, weight).ravel() / 4
    else:
        points = np.concatenate([[0], np.sqrt(2 / 3) * width / 2 * sixfold])
        weights = np.array([2] + [1] * 6) / 8
    return np.stack([points.real, points.imag], 1), weights


@numba.njit(cache=True, nogil=True)
def _attenuation(depth: float) -> float:
    """exp(-depth), by its series (to 3e-7) where it is small."""
    if depth < 0.05:
        return 1 - depth * (1 - depth / 2 * (1 - depth / 3))
    return exp(-depth)


@numba.njit(cache=True, nogil=True)
def _chord(
    bx: float, by: float, c: float, s: float, disc: float, rate: float
) -> tuple[float, float, float, float]:
    """Attenuated chord of a disc and its slopes with both coordinates of the impact and azimuth."""
    along, across = bx * c + by * s, bx * s - by * c
    inside = disc * disc - across * across
    if inside <= 0.0 or disc <= 0.0:
        return 0.0, 0.0, 0.0, 0.0
    half = sqrt(inside)
    begin, end = max(along - half, 0.0), max(along + half, 0.0)
    if end <= 0.0:
        return 0.0, 0.0, 0.0, 0.0
    steep = max(half, _SMOOTH * disc)
    at_end, at_begin = _attenuation(rate * end), _attenuation(rate * begin)
    depth = rate * (end - begin)
    if depth < 0.05:
        chord = at_begin * (end - begin) * (1 - depth / 2 * (1 - depth / 3 * (1 - depth / 4)))
    else:
        chord = (at_begin - at_end) / rate
    slope_x, slope_y, slope_phi = -across * s / steep, across * c / steep, -across * along / steep
    with_x = at_end * (c + slope_x)
    with_y = at_end * (s + slope_y)
    with_phi = at_end * (-across + slope_phi)
    if begin > 0.0:
        with_x -= at_begin * (c - slope_x)
        with_y -= at_begin * (s - slope_y)
        with_phi -= at_begin * (-across - slope_phi)
    return chord, with_x, with_y, with_phi


@numba.njit(cache=True, nogil=True)
def _model(
    pixels: NDArray, p: NDArray, known: NDArray, x: NDArray, y: NDArray, area: NDArray,
    offsets: NDArray, weights: NDArray, pixel_width: float, radius: float, hole: float,
    coma: float, vergence: float, extinction: float, yield_: float, mu: NDArray, slopes: NDArray,
) -> None:  # fmt: skip
    """Expected charge of some pixels, and its slopes with the parameters.

    Coma is that of the parameters `known`, with lengths in radii of the mirror.
    """
    x0, y0, theta, sigma, bx, by, efficiency = p[0], p[1], p[2], p[3], p[4], p[5], p[6]
    rate, turned = extinction / tan(theta), 2.0 / tan(2 * theta)
    unit = efficiency * yield_ * sin(2 * theta) / (sigma * sqrt(2 * pi))
    drift = drift_per_radius(known[2], radius, vergence) if coma > 0.0 else 0.0
    for k in range(pixels.size):
        i = pixels[k]
        charge = with_x0 = with_y0 = with_theta = with_sigma = with_bx = with_by = 0.0
        for q in range(weights.size):
            dx, dy = x[i] + offsets[q, 0] - x0, y[i] + offsets[q, 1] - y0
            r = sqrt(dx * dx + dy * dy)
            if r == 0.0:
                continue
            c, s = dx / r, dy / r
            if coma > 0.0:
                shift, variance, with_place, along, stretch = coma_with_stretch(
                    known[4], known[5], c, s, known[0], known[1], known[2], hole / radius
                )
                added = coma * (coma * variance - 2.0 * drift * with_place)
                width = sqrt(max(sigma * sigma + added, (_NARROWEST * pixel_width) ** 2))
                t = (r - theta - coma * shift) / width
            else:
                width, t = sigma, (r - theta) / sigma
            if abs(t) > _REACH:
                continue
            part = 1.0
            if coma > 0.0:
                part = max(1.0 - coma * stretch / known[2], _LEAST) * sigma / width
                turn_back = coma * along / known[2]
                norm = sqrt(1.0 + turn_back * turn_back)
                c, s = (c + turn_back * s) / norm, (s - turn_back * c) / norm
            outer, outer_bx, outer_by, outer_phi = _chord(bx, by, c, s, radius, rate)
            inner, _, _, _ = _chord(bx, by, c, s, hole, rate)
            scale = unit * area[i] * weights[q] * part * exp(-0.5 * t * t) / r
            density = scale * (outer - inner)
            turn = scale * outer_phi / r
            c, s = dx / r, dy / r
            radial = density * (-t / width - 1.0 / r)
            charge += density
            with_x0 += -c * radial + s * turn
            with_y0 += -s * radial - c * turn
            with_theta += density * (t / width + turned)
            with_sigma += density * (t * t - 1.0) / width * (sigma / width)
            with_bx += scale * outer_bx
            with_by += scale * outer_by
        mu[k] = charge
        slopes[k, 0], slopes[k, 1], slopes[k, 2] = with_x0, with_y0, with_theta
        slopes[k, 3], slopes[k, 4], slopes[k, 5] = with_sigma, with_bx, with_by
        slopes[k, 6] = charge / efficiency


@numba.njit(cache=True, nogil=True)
def _quasi_likelihood(charge: NDArray, mu: NDArray, variance: NDArray, spread: float) -> float:
    """Of all pixels; pixels in which nothing is expected add a constant, 0 here."""
    total = 0.0
    for k in range(charge.size):
        if mu[k] > 0.0:
            a = variance[k] / spread
            total += ((charge[k] + a) * log(1.0 + mu[k] / a) - mu[k]) / spread
    return total


@numba.njit(cache=True, nogil=True)
def _start(
    pixels: NDArray, charge: NDArray, variance: NDArray, p: NDArray, x: NDArray, y: NDArray,
    pixel_width: float, radius: float, yield_: float,
) -> None:  # fmt: skip
    """Width, impact and throughput from the light's spread, first harmonic and sum."""
    p[3] = sqrt(max(p[3] ** 2 - pixel_width**2 / 12, (0.25 * pixel_width) ** 2))
    p[3] = min(p[3], pixel_width)
    total = first_c = first_s = 0.0
    reach = 2 * p[3] + pixel_width
    for k in range(pixels.size):
        dx, dy = x[pixels[k]] - p[0], y[pixels[k]] - p[1]
        r = hypot(dx, dy)
        if r > 0.0 and abs(r - p[2]) < reach:
            total += charge[k]
            first_c += charge[k] * dx / r
            first_s += charge[k] * dy / r
    total = max(total, 1.0)
    harmonic = min(hypot(first_c, first_s) / total, 0.95)
    # exact for 0 and 1, mean chord <D>/R = 2/pi E(rho), first harmonic rho/2
    rho = min(2 * harmonic * (1 - 0.59 * harmonic**2), 1.0)
    direction = np.arctan2(first_s, first_c)
    p[4], p[5] = rho * radius * cos(direction), rho * radius * sin(direction)
    mean_chord = radius * (1 - 0.363 * rho**2)
    p[6] = total / (yield_ * sin(2 * p[2]) * 2 * pi * mean_chord)


@numba.njit(cache=True, nogil=True)
def _photons(p: NDArray, radius: float, hole: float, extinction: float, yield_: float) -> float:
    """Photons of a ring that reach the mirror, by azimuth in steps of a degree."""
    rate = extinction / tan(p[2])
    total = 0.0
    for k in range(360):
        c, s = cos(2 * pi * k / 360), sin(2 * pi * k / 360)
        outer, _, _, _ = _chord(p[4], p[5], c, s, radius, rate)
        inner, _, _, _ = _chord(p[4], p[5], c, s, hole, rate)
        total += outer - inner
    return total * 2 * pi / 360 * yield_ * sin(2 * p[2])


@numba.njit(cache=True, nogil=True)
def _information(
    charge: NDArray, variance: NDArray, spread: float, mu: NDArray, slopes: NDArray,
    information: NDArray, gradient: NDArray,
) -> float:  # fmt: skip
    """Sums of slope x slope / variance and of slope x residual / variance; Pearson's chi²."""
    information[:] = 0.0
    gradient[:] = 0.0
    chi2 = 0.0
    for k in range(charge.size):
        weight = 1.0 / (variance[k] + spread * mu[k])
        residual = charge[k] - mu[k]
        chi2 += residual * residual * weight
        if mu[k] == 0.0:
            continue
        for a in range(_N):
            scaled = slopes[k, a] * weight
            gradient[a] += scaled * residual
            for b in range(a + 1):
                information[a, b] += scaled * slopes[k, b]
    for a in range(_N):
        for b in range(a):
            information[b, a] = information[a, b]
    return chi2


@numba.njit(cache=True, nogil=True)
def _allowed(p: NDArray, pixel_width: float, radius: float) -> bool:
    """Whether parameters describe a ring."""
    return (
        p[2] > 2 * pixel_width
        and _NARROWEST * pixel_width < p[3] < 0.5 * p[2]
        and hypot(p[4], p[5]) < 3 * radius
        and p[6] > 0.0
    )


@numba.njit(cache=True, nogil=True)
def _seen_by_coma(p: NDArray, radius: float) -> NDArray:
    """Parameters with the impact point in radii of the mirror."""
    known = p.copy()
    known[4] /= radius
    known[5] /= radius
    return known


@numba.njit(cache=True, nogil=True)
def _fit_ring(
    p: NDArray, known: NDArray, pixels: NDArray, charge: NDArray, variance: NDArray, spread: float,
    grid: tuple[NDArray, NDArray, NDArray, NDArray, NDArray, float],
    mirror: tuple[float, float, float, float, float, float], covariance: NDArray,
) -> tuple[float, float, bool]:  # fmt: skip
    """Levenberg and Marquardt's steps with the expected information; p becomes the solution."""
    pixel_width, radius = grid[5], mirror[0]
    n = pixels.size
    mu, slopes = np.empty(n), np.empty((n, _N))
    new_mu, new_slopes = np.empty(n), np.empty((n, _N))
    information, gradient = np.empty((_N, _N)), np.empty(_N)
    _model(pixels, p, known, *grid, *mirror, mu, slopes)
    best = _quasi_likelihood(charge, mu, variance, spread)
    chi2 = _information(charge, variance, spread, mu, slopes, information, gradient)
    damping, converged = 1e-3, False
    for _ in range(_STEPS):
        whole, damped = information.copy(), information.copy()
        for a in range(_N):
            if not information[a, a] > 0.0:
                return chi2, mu.sum(), False
            whole[a, a] *= 1 + _RIDGE
            damped[a, a] *= 1 + damping + _RIDGE
        trial = p + np.linalg.solve(damped, gradient)
        # twice the gain that is left: of the whole step, a damped one is small anywhere
        decrement = np.dot(np.linalg.solve(whole, gradient), gradient)
        is_better = False
        if _allowed(trial, pixel_width, radius):
            _model(pixels, trial, known, *grid, *mirror, new_mu, new_slopes)
            quality = _quasi_likelihood(charge, new_mu, variance, spread)
            is_better = quality >= best
        if is_better:
            is_free = damping < 1.0
            converged = decrement < 2 * _CONVERGED or (
                is_free and quality - best < 0.2 * _CONVERGED
            )
            p[:] = trial
            best = quality
            mu, new_mu = new_mu, mu
            slopes, new_slopes = new_slopes, slopes
            chi2 = _information(charge, variance, spread, mu, slopes, information, gradient)
            damping /= 10
        else:
            damping *= 10
            converged = decrement < 2 * _CONVERGED
        if damping > 1e6:  # no step is better; at a rim the smoothed slopes promise a little more
            converged = decrement < _STALLED
            break
        if converged:
            break
    for a in range(_N):
        if not information[a, a] > 0.0:
            return chi2, mu.sum(), False
    scale = 1 / np.sqrt(np.diag(information))
    normalised = information * np.outer(scale, scale)
    if np.linalg.cond(normalised) > 1e10:
        return chi2, mu.sum(), False
    covariance[:] = np.linalg.inv(normalised) * np.outer(scale, scale)
    return chi2, mu.sum(), converged


@numba.njit(cache=True, nogil=True)
def _fit_rings(
    image: NDArray, is_used: NDArray, noise: NDArray, start: NDArray, x: NDArray, y: NDArray,
    area: NDArray, offsets: NDArray, weights: NDArray, pixel_width: float, radius: float,
    hole: float, coma: float, vergence: float, extinction: float, yield_: float, spread: float,
    values: NDArray, covariance: NDArray, chi2: NDArray, n_pixels: NDArray, light: NDArray,
    photons: NDArray, without: NDArray, has_converged: NDArray,
) -> None:  # fmt: skip
    grid = (x, y, area, offsets, weights, pixel_width)
    mirror = (radius, hole, coma, vergence, extinction, yield_)
    chosen = np.empty(x.size, np.int64)
    for ring in range(image.shape[0]):
        p = np.empty(_N)
        p[:4] = start[ring]
        if not np.isfinite(p[0] + p[1] + p[2] + p[3]):
            continue
        n = 0
        reach = 5 * min(max(p[3], 0.5 * pixel_width), pixel_width) + pixel_width
        for i in range(x.size):
            if is_used[ring, i] and abs(hypot(x[i] - p[0], y[i] - p[1]) - p[2]) < reach:
                chosen[n] = i
                n += 1
        n_pixels[ring] = n
        if n <= _N:
            continue
        pixels = chosen[:n]
        charge, variance = image[ring][pixels], noise[ring][pixels] ** 2
        _start(pixels, charge, variance, p, x, y, pixel_width, radius, yield_)
        if not _allowed(p, pixel_width, radius):
            continue
        # impact points follow from the light by azimuth, not from its width by coma, to which the
        # drift of the angle adds: coma is that of the fit before
        for _ in range(_COMA_ROUNDS if coma > 0.0 else 1):
            known = _seen_by_coma(p, radius)
            chi2[ring], light[ring], has_converged[ring] = _fit_ring(
                p, known, pixels, charge, variance, spread, grid, mirror, covariance[ring]
            )
        values[ring] = p
        photons[ring] = _photons(p, radius, hole, extinction, yield_)
        without[ring] = _photons(p, radius, hole, 0.0, yield_)

"""Photons of muon rings, one by one, and circles fitted to them."""

import astropy.units as u
import numpy as np

from calibpipe.throughput.muon_light import MUON_MASS
from calibpipe.throughput.muon_ring import fitted_circles


def light_of_rings(rng, n_rings, n_photons, rho):
    """Azimuths and distances t (n_rings, n_photons) on a mirror of radius 1, uniform on it."""
    # uniform in azimuth and t: points of the mirror drawn with the density 1/t
    azimuth, distance = np.empty((2, n_rings * n_photons))
    n = 0
    while n < len(azimuth):
        phi, t = rng.uniform(-np.pi, np.pi, 100_000), rng.uniform(0, 1 + rho, 100_000)
        inside = t**2 + rho**2 - 2 * t * rho * np.cos(phi) < 1
        k = min(inside.sum(), len(azimuth) - n)
        azimuth[n : n + k], distance[n : n + k] = phi[inside][:k], t[inside][:k]
        n += k
    return azimuth.reshape(n_rings, -1), distance.reshape(n_rings, -1)


def walk(rng, parameter, rate):
    """Brownian directions at parameter (n_rings, n_photons), variance `rate` per unit and axis."""
    order = np.argsort(parameter, axis=1)
    gaps = np.diff(np.take_along_axis(parameter, order, 1), axis=1, prepend=0)
    path = np.cumsum(rng.standard_normal(gaps.shape) * np.sqrt(rate * gaps), axis=1)
    found = np.empty_like(path)
    np.put_along_axis(found, order, path, 1)
    return found


def variances_of_circles(x, y):
    """Unbiased radial variance of light about the fitted circles, shape (n_rings,)."""
    circles = fitted_circles(x, y, np.ones_like(x))
    return circles.radial_variance * x.shape[1] / (x.shape[1] - 3), circles.radius


def simulated_rings(rng, n_rings, n_photons, rho, *, optics, air, ratio, scattering=True, psf=0.0):
    """Variances (rad²) and radii (rad) of rings of muons with m/p = `ratio`, exact angles."""
    azimuth, t = light_of_rings(rng, n_rings, n_photons, rho)
    t *= optics.mirror_radius.to_value(u.m)
    index = air.refractivity * (1 + air.dispersion * rng.standard_normal(t.shape))
    nominal = np.sqrt(2 * air.refractivity - ratio**2)
    height = t / nominal
    for _ in range(3):  # of emission, where the angle is that of this height
        above = np.exp(-height / air.scale_height.to_value(u.m))
        height = t / np.sqrt(2 * air.refractivity * above - ratio**2)
    loss = 2.4e-3 * 0.1 * air.density.value / MUON_MASS.to_value(u.GeV) * height  # of E/m
    index = index * np.exp(-height / air.scale_height.to_value(u.m))
    beta = 1 - 0.5 / (1 / ratio + loss) ** 2
    radius = np.arccos(1 / ((1 + index) * beta)) - t / optics.focus_distance.to_value(u.m)
    x, y = radius * np.cos(azimuth), radius * np.sin(azimuth)
    # bending, to any side
    turn = 0.299792458 * optics.transverse_field.to_value(u.T) * ratio / MUON_MASS.to_value(u.GeV)
    if turn:
        side = rng.uniform(-np.pi, np.pi, (n_rings, 1))
        x, y = x + turn * height * np.cos(side), y + turn * height * np.sin(side)
    if scattering:
        per_metre = air.density.to_value(u.g / u.cm**3) * 100 / 36.62
        depth = per_metre * optics.mirror_radius.to_value(u.m) / nominal
        rate = (13.6 / 105.66 * ratio * (1 + 0.038 * np.log(depth))) ** 2 * per_metre
        x, y = x + walk(rng, height, rate), y + walk(rng, height, rate)
    blur = psf * rng.standard_normal((2, *x.shape))
    return variances_of_circles(x + blur[0], y + blur[1])

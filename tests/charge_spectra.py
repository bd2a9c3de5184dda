"""Charge spectra of pixels with known truth."""

import numpy as np

from calibpipe.camera.charge_histograms import ChargeHistograms
from calibpipe.camera.spe_spectra import Spectra
from calibpipe.simulation.single_photoelectron import SpeShape, spe_charge

PEDESTAL_WIDTH = 15.0  # ADC
SHAPE = SpeShape()


def histograms(charges, low=-110.5, width=1.0, n_bins=650):
    """Spectra of rows of charges."""
    n = len(charges)
    high = low + width * n_bins
    counts = [np.histogram(row, n_bins, (low, high))[0] for row in charges]
    return ChargeHistograms(
        counts=np.array(counts, np.uint32),
        low_edge=np.full(n, low),
        bin_width=np.full(n, width),
        below=np.array([np.sum(row < low) for row in charges]),
        above=np.array([np.sum(row >= high) for row in charges]),
        saturated=np.zeros(n, int),
    )


def run(rng, gain, light=1.0, n_events=35_000, shape=SHAPE, high=False, with_dark=True):
    """Spectra of pixels of some gains in a run."""
    bins = {"low": -300.5, "width": 7.0, "n_bins": 650} if high else {}
    pixels = np.broadcast_to(light, np.shape(gain)), np.asarray(gain, float)
    charges = [
        spe_charge(n_events, mean, scale, 0.0, PEDESTAL_WIDTH, shape, rng)
        for mean, scale in zip(*pixels, strict=True)
    ]
    dark = [rng.normal(0.0, PEDESTAL_WIDTH, n_events) for _ in charges] if with_dark else None
    return Spectra(histograms(charges, **bins), dark and histograms(dark, **bins))

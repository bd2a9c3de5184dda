"""Worker of single_photoelectron.py in our environment; each task prints a line of JSON."""

import json
import sys
import time

import numpy as np

from calibpipe.camera.charge_histograms import ChargeHistograms
from calibpipe.camera.single_photoelectron import single_photoelectrons
from calibpipe.camera.spe_fit import fitted_spectra
from calibpipe.camera.spe_likelihood import Spectrum, deviance
from calibpipe.camera.spe_model import component_function, components_of_shape, photoelectron_facts
from calibpipe.camera.spe_parameters import free_shape
from calibpipe.camera.spe_spectra import Spectra
from calibpipe.simulation.single_photoelectron import SpeShape, spe_charge

N_EVENTS, N_BINS, LOW = 35_000, 600, -110.5
# about the peer's bounds of p_raw, R and n: a spectrum that is not of high voltage tells
# a narrow half-normal part from more pedestal only within them
BOUNDS = ((1e-3, 5), (-45, 45), (6, 37), (10, 200), (0.08, 0.44), (0.2, 1.0), (0.2, 0.5))
GAIN, WIDTH = 49.3, 15.0  # NectarCAM-like pixels of reference/peer.md


def main() -> None:
    task, *arguments = sys.argv[1:]
    print(json.dumps(globals()[task](*arguments)))


def make(path: str, n_pixels: str) -> dict:
    """Spectra of pixels around one gain, one photoelectron an event on average."""
    rng = np.random.default_rng(1)
    gain = GAIN * rng.normal(1, 0.05, int(n_pixels))
    edges = LOW + np.arange(N_BINS + 1)
    counts = [
        np.histogram(spe_charge(N_EVENTS, 1.0, g, 0.0, WIDTH, SpeShape(), rng), edges)[0]
        for g in gain
    ]
    np.savez(path, counts=np.array(counts), edges=edges, gain=gain)
    return {"n_pixels": len(gain)}


def fit(path: str, output: str) -> dict:
    """Gains with a given shape, as our Tool does, and all seven parameters free."""
    data = np.load(path)
    counts, gain = data["counts"], data["gain"]
    n = len(counts)
    zero = np.zeros(n, int)
    low, width = np.full(n, LOW), np.ones(n)
    spectra = Spectra(ChargeHistograms(counts, low, width, zero, zero, zero))
    begin = time.process_time()
    found = single_photoelectrons(spectra)
    given = time.process_time() - begin
    start = [
        np.column_stack([found["light"], found["pedestal"], found["pedestal_width"], own])
        for own in (
            model.start(found["gain"], np.full(n, 0.5))
            for model in (free_shape(), free_shape(0.8, 0.9))
        )
    ]
    bounds = _bounds(n)
    spectrum = Spectrum(counts, low, width, tuple(range(7)))
    begin = time.process_time()
    both = [fitted_spectra(s, bounds, [spectrum], component_function) for s in start]
    free = time.process_time() - begin
    deeper = both[1].deviance < both[0].deviance
    value = np.where(deeper[:, np.newaxis], both[1].value, both[0].value)
    np.savez(output, value=value, deviance=np.minimum(both[0].deviance, both[1].deviance))
    ratio = found["gain"] / gain
    return {
        "cpu_per_pixel": given / n,
        "cpu_per_pixel_all_free": free / n,
        "good": int(np.count_nonzero(found.status == 0)),
        "gain_bias": float(np.mean(ratio) - 1),
        "gain_rms": float(np.std(ratio)),
    }


def _bounds(n: int) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = (np.tile(box, (n, 1)) for box in np.transpose(BOUNDS))
    return lower, upper


def compare(path: str, ours: str, theirs: str) -> dict:
    """Exact deviances at our optimum, at that of MIGRAD, at the peer's parameters."""
    data, mine, other = np.load(path), np.load(ours), np.load(theirs)
    n = len(other["values"])
    spectrum = Spectrum(data["counts"][:n], np.full(n, LOW), np.ones(n), tuple(range(7)))
    p_raw, resolution, shape_n, light, pedestal, width, mu = other["values"].T
    components = components_of_shape(np.stack([mu, resolution]), p_raw, shape_n)
    peer = deviance(
        np.column_stack([light, pedestal, width, components.T]), [spectrum], component_function
    )
    return {
        "ours": mine["deviance"][:n].round(4).tolist(),
        "migrad": other["migrad"].round(4).tolist(),
        "peer": peer.value.round(4).tolist(),
        "peer_gain_over_true": (photoelectron_facts(components)[0] / data["gain"][:n])
        .round(4)
        .tolist(),
    }


if __name__ == "__main__":
    main()

"""Worker of single_photoelectron.py in the peer's environment; prints a line of JSON.

The peer's fit, and MIGRAD on our exact likelihood, whose two modules need numpy and scipy alone.
"""

import importlib.util
import json
import logging
import sys
import time
from pathlib import Path

import numpy as np
from calibpipe.telescope.camera.spe_algorithm import SPEalgorithm
from hist import Hist, axis
from iminuit import Minuit

BOUNDS = ((1e-3, 5), (-45, 45), (6, 37), (10, 200), (0.08, 0.44), (0.2, 1.0), (0.2, 0.5))
CAMERA = Path(__file__).resolve().parents[1] / "calibpipe/camera"


def module(name: str):
    spec = importlib.util.spec_from_file_location(name, CAMERA / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


def main() -> None:
    path, ours, output, n_pixels = sys.argv[1:]
    logging.disable()
    data, n = np.load(path), int(n_pixels)
    counts, edges = data["counts"][:n], data["edges"]
    histogram = Hist(
        axis.Variable(edges, name="charge"),
        axis.Integer(0, 1, name="channel"),
        axis.Integer(0, n, name="pixel"),
    )
    histogram.view()[:, 0, :] = counts.T
    begin = time.process_time()
    results = SPEalgorithm()(histogram)
    cpu = time.process_time() - begin
    values = np.full((n, 7), np.nan)
    for (_, pixel), found in results.items():
        values[pixel] = found["values"]
    valid = sum(bool(found["fit_status"]["is_valid"]) for found in results.values())
    begin = time.process_time()
    value = np.load(ours)["value"][:n]
    minima = [migrad(row, edges, start) for row, start in zip(counts, value, strict=True)]
    direct = time.process_time() - begin
    np.savez(output, values=values, migrad=np.array(minima))
    print(json.dumps({"cpu_per_pixel": cpu / n, "valid": valid, "migrad_per_pixel": direct / n}))


def migrad(counts: np.ndarray, edges: np.ndarray, ours: np.ndarray) -> float:
    """Smallest deviance from a start that is 5 % off in every parameter."""
    model, likelihood = module("spe_model"), module("spe_likelihood")
    width = np.diff(edges)[:1]
    spectrum = likelihood.Spectrum(counts[np.newaxis], edges[:1], width, tuple(range(7)))

    def function(parameters: np.ndarray) -> float:
        row = np.asarray(parameters)[np.newaxis]
        value = likelihood.deviance(row, [spectrum], model.component_function).value[0]
        return float(value) if np.isfinite(value) else 1e9

    lower, upper = np.array(BOUNDS).T
    minuit = Minuit(function, np.clip(1.05 * ours, lower, upper))
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.limits = BOUNDS
    minuit.strategy = 2
    for _ in range(3):
        minuit.migrad()
    return minuit.fval


if __name__ == "__main__":
    main()

"""Worker of camera_calibration.py in our environment; each task prints a line of JSON."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import protozfits

from calibpipe.camera.coefficients import (
    CoefficientSettings,
    camera_coefficients,
    coefficients_table,
)
from calibpipe.camera.dl0_statistics import (
    StatisticsSettings,
    observation_statistics,
)
from calibpipe.camera.pixel_statistics import (
    COEFFICIENT_COLUMNS,
    ChunkStatistics,
    chunks_of_table,
    statistics_table,
)
from calibpipe.core.monitoring_file import (
    read_camera_coefficients,
    write_camera_coefficients,
)
from calibpipe.core.products import ProductMetadata
from calibpipe.core.statistics_file import (
    PIXEL_STATISTICS,
    read_pixel_statistics,
    write_pixel_statistics,
)
from calibpipe.core.telescope import telescope_subarray

SERIES = ("sky_pedestal_image", "flatfield_image", "flatfield_peak_time")
METADATA = ProductMetadata("camera/benchmark", "benchmark", category="B")
SETTINGS = CoefficientSettings()
LAST_RUN = 3  # the first ones compile and warm up


def main() -> None:
    task, *arguments = sys.argv[1:]
    print(json.dumps(globals()[task](*arguments)))


def cpu(function, *arguments) -> float:
    begin = time.process_time()
    function(*arguments)
    return time.process_time() - begin


def events(dl0: str, chunk: str) -> dict:
    """From events to coefficients in memory, and what protozfits needs for the events alone."""
    size = int(chunk)
    settings = StatisticsSettings(
        flatfield_chunk_size=size, pedestal_chunk_size=size, max_sigma=4.0, n_baseline_events=0
    )

    def chain() -> None:
        found = observation_statistics(dl0, settings)
        camera_coefficients(
            found.pedestal_charge, found.flatfield_charge, found.flatfield_peak_time, SETTINGS
        )

    return {
        "chain": [cpu(chain) for _ in range(LAST_RUN)][-1],
        "protozfits": [cpu(_unpack, dl0) for _ in range(LAST_RUN)][-1],
    }


def _unpack(dl0: str) -> None:
    with protozfits.File(dl0, pure_protobuf=True) as file:
        for _ in file.Events:
            pass


def compare(ours: str, theirs: str, our_coefficients: str) -> dict:
    """Largest differences of two files of statistics and of their coefficients."""
    found = {}
    for name in SERIES:
        mine, other = (read_pixel_statistics(path).tables[name] for path in (ours, theirs))
        for column in ("mean", "median"):
            a, b = np.asarray(mine[column]), np.asarray(other[column])
            found[f"{name} {column}"] = _largest(a, b)
    mine, other = (read_camera_coefficients(path, 1) for path in (our_coefficients, theirs))
    good = ~np.asarray(mine["outlier_mask"][-1] | other["outlier_mask"][-1], bool)
    a, b = (np.asarray(table["factor"][-1], float)[good] for table in (mine, other))
    found["median factor (theirs of medians)"] = float(np.median(a / b) - 1)
    return {key: float(f"{value:.2g}") for key, value in found.items()}


def _largest(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.nanmax(np.abs(a - b) / np.abs(b)))


def make_chunks(path: str, number: str) -> str:
    """Statistics of chunks that coincide, of a camera with known gain."""
    rng = np.random.default_rng(1)
    subarray = telescope_subarray(1)
    n_pixels = subarray.tel[1].camera.geometry.n_pixels
    shape, n = (2, n_pixels), 2500
    gain = np.array([[58.0], [3.4]]) * rng.normal(1, 0.05, shape)
    noise = np.array([[60.0], [10.0]]) * np.ones(shape)
    spread = np.sqrt(noise**2 + 1.222 * gain**2 * 80)
    true = {
        "sky_pedestal_image": (np.full(shape, 100.0), noise),
        "sky_pedestal_variance": (np.full(shape, 25.0), np.ones(shape)),
        "flatfield_image": (100 + 80 * gain, spread),
        "flatfield_peak_time": (18 + rng.normal(0, 0.5, shape), np.full(shape, 0.5)),
    }

    def chunk(k: int, mean: np.ndarray, std: np.ndarray) -> ChunkStatistics:
        error = std / np.sqrt(n)
        drawn = mean + error * rng.normal(size=shape)
        width = std * (1 + rng.normal(size=shape) / np.sqrt(2 * n))
        return ChunkStatistics(
            *(1.8e9 + 10.0 * k, 1.8e9 + 10.0 * k + 9.9, n * k, n * k + n - 1),
            *(np.full(shape, n), drawn, drawn, width, error, error, np.full(2, np.nan)),
        )

    tables = {
        name: statistics_table([chunk(k, *true[name]) for k in range(int(number))])
        for name in PIXEL_STATISTICS
    }
    return str(write_pixel_statistics(path, subarray, 1, tables, METADATA))


def chunks(path: str, output: str) -> dict:
    """From a file of statistics to a file of coefficients."""
    for _ in range(LAST_RUN):
        Path(output).unlink(missing_ok=True)
        begin = time.process_time()
        found = read_pixel_statistics(path, None, SERIES, COEFFICIENT_COLUMNS)
        series = [chunks_of_table(found.tables[name]) for name in SERIES]
        read = time.process_time()
        coefficients = camera_coefficients(*series, SETTINGS)
        table = coefficients_table(coefficients)
        calculated = time.process_time()
        write_camera_coefficients(output, found.subarray, {1: table}, METADATA)
        end = time.process_time()
    return {"all": end - begin, "calculation": calculated - read, "rows": len(table)}


if __name__ == "__main__":
    main()

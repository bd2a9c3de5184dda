"""Cameras of a night made by hand: gain, pedestal, times and masked pixels are known."""

import numpy as np
from astropy.table import QTable

from calibpipe.camera.coefficients import (
    CoefficientSettings,
    camera_coefficients,
    coefficients_table,
)
from calibpipe.camera.pixel_statistics import ChunkStatistics
from calibpipe.core.monitoring_file import write_camera_coefficients
from calibpipe.core.products import write_table
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import write_telescope_tables

F2, WIDTH, N_PE, PEDESTAL = 1.222, 12, 80.0, 400.0
GAIN = np.array([[58.0], [3.4]])  # ADC/p.e.
NOISE = np.array([[60.0], [10.0]])
DRIFT = 0.02  # of gain over the rows
DEAD, NOISY = (17, 900), 1500
N_CHUNKS, INVALID = 6, 3
START = 1720652400.0 + 37  # 2024-07-10T23:00:00 UTC
PIXELS = 1855


def _chunk(k, mean, std, n_events=2500):
    shape = (2, PIXELS)
    mean, std = np.broadcast_to(mean, shape), np.broadcast_to(std, shape).copy()
    start, n = START + 600 * k, np.full(shape, n_events)
    error = std / np.sqrt(n_events - 1)
    nothing = np.full(2, np.nan)
    return ChunkStatistics(start, start + 599.5, k, k, n, mean, mean, std, error, std**2, nothing)


def coefficients(seed=1):
    """Coefficients of six rows, the fourth invalid: a third of the pixels without light."""
    rng = np.random.default_rng(seed)
    gain = GAIN * rng.normal(1, 0.05, PIXELS)
    pedestal = rng.normal(PEDESTAL, 4, (2, PIXELS))
    time = 18 + rng.normal(0, 0.8, PIXELS)
    noise = np.broadcast_to(NOISE, (2, PIXELS)).copy()
    noise[:, NOISY] *= 20
    series = [], [], []
    for k in range(N_CHUNKS):
        now = gain * (1 + DRIFT * k / (N_CHUNKS - 1))
        light = np.full(PIXELS, N_PE)
        light[list(DEAD)] = 0
        light[: PIXELS // 3] *= k != INVALID
        spread = np.sqrt(noise**2 + F2 * now**2 * light)
        series[0].append(_chunk(k, WIDTH * pedestal, noise))
        series[1].append(_chunk(k, WIDTH * pedestal + now * light, spread))
        series[2].append(_chunk(k, time, 0.5))
    settings = CoefficientSettings(WIDTH, F2, 0.02)
    return coefficients_table(camera_coefficients(*series, settings))


def add_index(night, telescopes=(1, 2), **details):
    """Index of one observation of each telescope."""
    names = [f"LSTN-{tel_id:02d}" for tel_id in telescopes]
    n = len(names)
    index = QTable(
        {
            "array_element": names,
            "tel_id": list(telescopes),
            "obs_id": [1] * n,
            "path": [f"DL0/{name}/events.fits.fz" for name in names],
            "problem": [""] * n,
        }
    )
    index["problem"] = index["problem"].astype("U40")
    metadata = night.metadata("array/dl0_index", **details)
    write_table(night.folder / "array/dl0_index.ecsv", index, metadata)


def add_cameras(night, telescopes=(1, 2), table=coefficients):
    """Index, statistics and coefficients of one observation of each telescope."""
    add_index(night, telescopes)
    for tel_id in telescopes:
        name = f"LSTN-{tel_id:02d}"
        facts = {"tel_id": tel_id, "array_element": name, "obs_id": 1}
        subarray, folder = telescope_subarray(tel_id), night.folder / f"{name}/camera"
        statistics = night.metadata("camera/pixel_statistics", **facts)
        path = folder / "pixel_statistics.OBSID1.h5"
        write_telescope_tables(path, subarray, tel_id, {}, statistics)  # pages show none of it
        write_camera_coefficients(
            folder / "coefficients.OBSID1.h5",
            subarray,
            {tel_id: table(tel_id)},
            night.metadata("camera/coefficients", **facts),
        )
    return night

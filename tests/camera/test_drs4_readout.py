"""First capacitors of pixels and times since the last reading, against counting by hand."""

import numpy as np
import pytest

from calibpipe.camera.drs4_readout import (
    CapacitorClock,
    chip_of_channel,
    first_capacitors,
    is_read_besides,
)
from calibpipe.core.dl0_camera import CameraConfiguration
from calibpipe.core.exceptions import ConfigurationError, MissingInputError

MS = 4_000_000  # quarter nanoseconds


def camera(n_pixels=14, pixel_id_map=None, n_channels=2):
    ids = np.arange(n_pixels) if pixel_id_map is None else np.asarray(pixel_id_map)
    return CameraConfiguration(1, 2, 3, 1, n_pixels, n_channels, 40, 1024, 1.0, 0.0, ids)


def test_chips_of_an_lst_module():
    """Order of the Dragon board: 4 chips of high gain, 4 of low gain, two pixels each."""
    chips = chip_of_channel(2)
    assert chips[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 8, 8, 9, 9, 10, 10, 11]
    assert chips[1].tolist() == [4, 4, 5, 5, 6, 6, 7, 12, 12, 13, 13, 14, 14, 15]
    assert chip_of_channel(265).shape == (2, 1855)


def test_first_capacitors_in_the_order_of_the_geometry():
    turned = np.arange(14)[::-1]
    cells = np.arange(100, 116)[np.newaxis]
    found = first_capacitors(cells, camera(pixel_id_map=turned))
    assert found[0, 0, 13] == 100  # the first position is pixel 13
    assert found[0, 1, 0] == 115
    of_pixels = np.arange(28)[np.newaxis]
    assert first_capacitors(of_pixels, camera(pixel_id_map=turned))[0, 1, 13] == 14
    assert is_read_besides(camera(pixel_id_map=turned))[13 - np.arange(7)].tolist() == [
        *(True, False, True, False, True, False, True)
    ]


@pytest.mark.parametrize("cells", [np.zeros((3, 16)), np.zeros((3, 0))])
def test_data_without_first_capacitors_are_refused(cells):
    with pytest.raises(MissingInputError, match="the camera server has corrected the data or"):
        first_capacitors(cells, camera())


def test_strange_first_capacitors_are_refused():
    with pytest.raises(ConfigurationError, match="5 numbers of first capacitors for 2 gains of 14"):
        first_capacitors(np.ones((3, 5), int), camera())
    with pytest.raises(ConfigurationError, match="a first capacitor is 4096"):
        first_capacitors(np.full((3, 16), 4096), camera())


def clock_by_hand(first, milliseconds, besides, n_samples, n_before, n_after):
    """One pixel: the rule in words."""
    last, found = {}, []
    for begin, now in zip(first, milliseconds, strict=True):
        stored = [(begin + n_before + s) % 4096 for s in range(n_samples)]
        found.append([now - last[c] if c in last else np.nan for c in stored])
        read = [(begin + s) % 4096 for s in range(n_before + n_samples + n_after)]
        chip, place = divmod(begin, 1024)
        if besides and 767 < place < 1013:
            read += [(begin + 1024 + s) % 4096 for s in range(12)]
        elif besides and place >= 1013:
            read += [c % 4096 for c in range(begin + 1024, (chip + 2) * 1024)]
        last |= dict.fromkeys(read, now)
    return np.array(found)


@pytest.mark.parametrize("besides", [True, False])
def test_time_since_the_last_reading(besides):
    rng = np.random.default_rng(1)
    n = 600
    milliseconds = np.cumsum(rng.exponential(1.0, n)).round(6)
    first = rng.integers(0, 4096, (n, 1, 2))
    first[::3] = 1010 + rng.integers(0, 14, (n // 3, 1, 2))
    clock = CapacitorClock(1, np.array([besides, False]))
    quarters = np.rint(milliseconds * MS).astype(np.int64)
    time_s, time_qns = 1000 + quarters // (1000 * MS), quarters % (1000 * MS)
    found = np.concatenate(
        [
            clock.elapsed(first[k], time_s[k], time_qns[k], 36, n_before=3, n_after=1)
            for k in np.array_split(np.arange(n), 7)
        ]
    )
    for pixel, own in enumerate((besides, False)):
        expected = clock_by_hand(first[:, 0, pixel], milliseconds, own, 36, 3, 1)
        assert found[:, 0, pixel] == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True)
    assert np.isfinite(found).any()
    assert np.isnan(found[0]).all()

"""Real camera files that are not DL0 are refused with the reason."""

import pytest

from calibpipe.core.dl0 import read_batches
from calibpipe.core.dl0_camera import camera_configuration
from calibpipe.core.exceptions import CorruptedInputError

pytestmark = pytest.mark.realdata


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            "LST-1.1.Run02008.0000_first50.fits.fz",
            r"Run02008.* is R0 of an LST .*Events of R1\.CameraEvent",
        ),
        (
            "example_9evts_NectarCAM.fits.fz",
            r"NectarCAM.* is R0 of a NectarCAM .*Events of DataModel\.CameraEvent",
        ),
    ],
)
def test_r0_is_refused(shared_data, tmp_path, file, message):
    path = shared_data / "zfits" / file
    with pytest.raises(CorruptedInputError, match=message):
        camera_configuration(path)
    disguised = tmp_path / "TEL001_SDH000_20260115T220000_SUBARRAY_CHUNK000.fits.fz"
    disguised.symlink_to(path)
    with pytest.raises(CorruptedInputError, match=r"needed is Events of DL0v1\.Telescope\.Event"):
        read_batches(disguised)

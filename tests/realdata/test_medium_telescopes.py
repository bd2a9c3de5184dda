"""NectarCAM and FlashCam of full simulations: from simulated DL0 to coefficients, as an LST."""

from types import SimpleNamespace

import numpy as np
import pytest
from ctapipe.core import run_tool

from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError
from calibpipe.core.monitoring_file import read_camera_coefficients
from calibpipe.core.products import read_table
from calibpipe.core.telescope import telescope_subarray
from calibpipe.simulation.camera import CAMERA_SPREADS, truth_from_table
from calibpipe.simulation.service_data import telescope_description
from calibpipe.simulation.waveforms import pulse_templates
from calibpipe.tools.calculate_camcalib_coefficients import CalculateCamcalibCoefficients
from calibpipe.tools.calculate_pixel_statistics import CalculatePixelStatistics
from calibpipe.tools.index_dl0 import IndexDl0
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData

pytestmark = [pytest.mark.realdata, pytest.mark.filterwarnings("ignore")]  # of old simulations
NIGHT = "2024-07-10"
N_EVENTS, N_SHOWERS = 1000, 20
NECTARCAM = "proton_run000001_za20deg_north_6.0.2.simtel.zst"
FLASHCAM = "calib_true_pe.simtel.zst"
NO_FOCAL_LENGTH = "calib_events.simtel.gz"
FAULTS = {"dead": 0.005, "hot": 0.005, "noisy": 0.005, "flickering": 0.005}
CAMERAS = {  # file; arrival in ns; samples of the window, those before its maximum, its begin
    "NectarCam": ("CTAO-North", (1, 5), NECTARCAM, 18, (16, 6, 12)),
    "FlashCam": ("CTAO-South", (105,), FLASHCAM, 24, (18, 5, 5)),
}


@pytest.fixture(scope="module", params=CAMERAS)
def camera(request, root, shared_data, tmp_path_factory):
    """Folder, truth and coefficients of the telescope; service data are set for its tests."""
    site, tel_ids, file, arrival, (width, shift, start) = CAMERAS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    element = "MSTN-01" if tel_ids[-1] == 5 else "MSTS-01"
    (folder / "simulation.yaml").write_text(
        f"ProduceCamcalibTestData: {{spread: {FAULTS}, gain_selection_threshold: 400.0, "
        f"arrival_time_in_ns: {arrival}}}"
    )

    def run(tool, *options):
        night = [f"--site={root}/config/sites/{site}.yaml", f"--night={NIGHT}"]
        run_tool(tool(), argv=[*night, *options], cwd=folder, raises=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", raising=False)
        run(
            ProduceCamcalibTestData,
            "--config=simulation.yaml",
            *(f"--tel-id={tel_id}" for tel_id in tel_ids),
            f"--camera-description={shared_data / 'simtel' / file}",
            f"--n-flatfield={N_EVENTS}",
            f"--n-pedestal={N_EVENTS}",
            f"--n-shower={N_SHOWERS}",
            "--output-folder=simulated",
            "--seed=5",
        )
        patch.delenv("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", raising=False)
        patch.setenv("CTAPIPE_SVC_PATH", str(folder / "simulated/service_data"))
        dl0 = "--dl0-root=simulated"
        run(IndexDl0, dl0, f"--telescopes={element}", "--output=index.ecsv")
        run(
            CalculatePixelStatistics,
            *("--index=index.ecsv", dl0, f"--telescope={element}", "--obs-id=1"),
            f"--CalculatePixelStatistics.window_width={width}",
            f"--CalculatePixelStatistics.flatfield_window_shift={shift}",
            f"--CalculatePixelStatistics.pedestal_window_start={start}",
            "--output=statistics.h5",
        )
        run(CalculateCamcalibCoefficients, "--input=statistics.h5", "--output=coefficients.h5")
        (path,) = folder.glob(f"simulated/truth/{element}/*/*.camera_truth.ecsv")
        truth = truth_from_table(read_table(path, "simulation/camera_truth"))
        coefficients = read_camera_coefficients(folder / "coefficients.h5", tel_ids[-1])
        yield SimpleNamespace(
            folder=folder,
            name=request.param,
            element=element,
            tel_id=tel_ids[-1],
            tel_ids=list(tel_ids),
            n_channels=len(truth.gain),
            truth=truth,
            window=(width, shift),
            coefficients=coefficients,
            row=coefficients[-1],
            good=(truth.status == 0) & ~coefficients["outlier_mask"][-1, 0],
        )


def fraction(camera):
    """Part of the charge of a pulse in the window, mean over the phases of its arrival."""
    width, shift = camera.window
    readout = telescope_subarray(camera.tel_id).tel[camera.tel_id].camera.readout
    templates = pulse_templates(
        readout.reference_pulse_shape, readout.reference_pulse_sample_width, readout.sampling_rate
    )

    def in_window(template):
        first = template.argmax() - shift
        return template[max(first, 0) : first + width].sum(dtype=float)

    return np.array([[np.mean([in_window(t) for t in channel])] for channel in templates.value])


def test_subarray_is_that_of_the_service_data(camera):
    subarray = telescope_subarray(camera.tel_id)
    description = subarray.tel[camera.tel_id].camera
    assert subarray.name == camera.element
    assert description.name == camera.name
    assert description.geometry.n_pixels == camera.truth.n_pixels
    assert camera.n_channels == (2 if camera.name == "NectarCam" else 1)
    header = camera.coefficients.meta["calibpipe"]
    assert (header["array_element"], header["tel_id"]) == (camera.element, camera.tel_id)
    assert camera.coefficients["is_valid"].all()


def test_faulty_pixels_are_found_and_good_ones_kept(camera):
    masked = camera.row["outlier_mask"][0]
    faulty = camera.truth.status != 0
    assert faulty.sum() > 30
    assert masked[faulty].mean() >= 0.97
    assert masked[~faulty].mean() <= 0.002


def test_gain(camera):
    """Bias below 0.5 %, within the systematic error; errors that are the scatter."""
    expected = (camera.truth.gain * fraction(camera))[:, camera.good]
    gain = camera.row["gain"][:, camera.good].astype(float)
    ratio = gain / expected
    bias = ratio.mean(axis=1, keepdims=True)
    assert np.all(abs(bias - 1) < 0.005 + ratio.std() / np.sqrt(expected.shape[1]))
    pulls = (gain - expected * bias) / camera.row["gain_stat_error"][:, camera.good]
    np.testing.assert_allclose(pulls.std(axis=1), 1, atol=0.07)


def test_pedestal(camera):
    difference = (camera.row["pedestal_offset"] - camera.truth.pedestal)[:, camera.good]
    pulls = difference / camera.row["pedestal_offset_stat_error"][:, camera.good]
    np.testing.assert_allclose(pulls.mean(axis=1), 0, atol=3 / np.sqrt(pulls.shape[1]))
    np.testing.assert_allclose(pulls.std(axis=1), 1, atol=0.07)


def test_flat_fields_come_out_in_photoelectrons(camera):
    """ctapipe-process with the coefficients: 80 p.e. times the median efficiency, in all pixels."""
    from ctapipe.io import read_table as read_hdf5
    from ctapipe.tools.process import ProcessorTool

    width, shift = camera.window
    (dl0,) = camera.folder.glob(f"simulated/DL0/{camera.element}/**/*.fits.fz")
    argv = [
        f"--input={dl0}",
        f"--ProtozfitsTelescopeEventSource.subarray_id={1000 + camera.tel_id}",
        "--output=flatfield.dl1.h5",
        "--monitoring-source=HDF5MonitoringSource",
        "--HDF5MonitoringSource.input_files=coefficients.h5",
        "--CameraCalibrator.image_extractor_type=LocalPeakWindowSum",
        f"--LocalPeakWindowSum.window_width={width}",
        f"--LocalPeakWindowSum.window_shift={shift}",
        "--LocalPeakWindowSum.apply_integration_correction=False",
        "--EventTypeFilter.allowed_types=FLATFIELD",
        "--write-images",
        "--no-write-parameters",
        "--quiet",
        "--overwrite",
    ]
    run_tool(ProcessorTool(), argv=argv, cwd=camera.folder, raises=True)
    group = f"/dl1/event/telescope/images/tel_{camera.tel_id:03d}"
    images = read_hdf5(camera.folder / "flatfield.dl1.h5", group)["image"]
    charge = images.reshape(len(images), camera.n_channels, -1)[..., camera.good].mean(axis=0)
    expected = 80 * np.median(camera.truth.relative_efficiency[camera.good])
    assert len(images) == N_EVENTS
    np.testing.assert_allclose(charge.mean(axis=1), expected, rtol=0.01)
    assert np.all(charge.std(axis=1) / charge.mean(axis=1) < 3e-3)


def test_array_events_and_selected_gain(camera):
    """From the triggers: showers have all telescopes of the block, each with one stored channel."""
    from ctapipe_io_zfits import ProtozfitsEventSource

    (triggers,) = camera.folder.glob("simulated/DL0/ARRAY/**/*.fits.fz")
    gains, n_showers = set(), 0
    with ProtozfitsEventSource(triggers, warn_missing=False) as source:
        for event in source:
            dl0 = event.dl0.tel[camera.tel_id]
            if camera.tel_id in event.dl0.tel and dl0.event_type.name == "SUBARRAY":
                n_showers += 1
                assert list(event.dl0.tel) == camera.tel_ids
                assert dl0.waveform.shape[:2] == (1, camera.truth.n_pixels)
                gains.update(np.unique(dl0.selected_gain_channel))
    assert n_showers == N_SHOWERS
    assert gains == ({0, 1} if camera.n_channels == 2 else {0})


def test_description_has_the_camera_of_the_file(shared_data):
    nectarcam = telescope_description([shared_data / "simtel" / NECTARCAM], "NectarCam")
    assert nectarcam.camera.name == nectarcam.camera.geometry.name == "NectarCam"
    assert (nectarcam.camera.geometry.n_pixels, nectarcam.camera.readout.n_channels) == (1855, 2)
    assert nectarcam.optics.effective_focal_length.to_value("m") == pytest.approx(16.445, abs=1e-3)
    assert len(CAMERA_SPREADS["NectarCam"].electronic_noise) == 2


def test_what_the_files_do_not_describe(shared_data, tmp_path):
    folder = shared_data / "simtel"
    with pytest.raises(ConfigurationError, match=r"no FlashCam in proton.*there are .*NectarCam"):
        telescope_description([folder / NECTARCAM], "FlashCam")
    with pytest.raises(ConfigurationError, match="no effective focal length"):
        telescope_description([folder / NO_FOCAL_LENGTH], "FlashCam")
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(CorruptedInputError, match=r"notes\.txt describes no telescopes"):
        telescope_description([tmp_path / "notes.txt"], "FlashCam")

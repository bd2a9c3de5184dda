"""Trigger times of full simulations (sim_telarray) against the spherical front."""

import astropy.units as u
import numpy as np
import pytest
from ctapipe.core import run_tool
from ctapipe.io import EventSource
from ctapipe.tools.process import ProcessorTool

from calibpipe.array.dl2_layout import read_layout
from calibpipe.array.dl2_times import read_pointing, read_times
from calibpipe.array.shower_front import front_delay, shower_axis
from calibpipe.array.timing_stream import with_plane_restored
from calibpipe.core.array_file import read_array_product
from calibpipe.core.exceptions import CalibPipeError
from calibpipe.core.monitoring_file import open_hdf5
from calibpipe.tools.calculate_array_timing import KIND, OFFSETS, CalculateArrayTiming

pytestmark = [pytest.mark.realdata, pytest.mark.filterwarnings("ignore")]  # of old simulations
GAMMA = "gamma_run000007_za40deg_south_lsts_7.0.0.simtel.zst"


@pytest.fixture(scope="module")
def gammas(shared_data, tmp_path_factory):
    """DL2 of four gammas on four LSTs, and their true geometry by event."""
    folder = tmp_path_factory.mktemp("gammas")
    source = shared_data / "simtel" / GAMMA
    argv = [f"--input={source}", "--output=gammas.dl2.h5", "--DataWriter.write_dl2=True"]
    argv += ["--SimTelEventSource.focal_length_choice=EQUIVALENT"]
    run_tool(ProcessorTool(), argv=argv, cwd=folder, raises=True)
    showers = {}
    with EventSource(source, focal_length_choice="EQUIVALENT") as events:
        for event in events:
            shower = event.simulation.shower
            core = [shower.core_x.to_value(u.m), shower.core_y.to_value(u.m), 0.0]
            showers[event.index.event_id] = (
                shower.alt.to_value(u.rad),
                shower.az.to_value(u.rad),
                core,
            )
    return folder / "gammas.dl2.h5", showers


def test_times_are_relative_to_the_pointing(gammas):
    """Residuals of 1 ns with the plane front restored; without it, 100 ns and more."""
    path, showers = gammas
    with open_hdf5(path, "DL2") as h5file:
        position = read_layout(h5file).positions
    (obs_id,), (pointing,) = zip(*read_pointing(path).items(), strict=True)
    chunk = next(read_times([path], "HillasReconstructor"))
    assert chunk.obs_id.tolist() == [obs_id] * 4
    alt, az, core = (np.array(x) for x in zip(*map(showers.get, chunk.event_id), strict=True))
    axis, _, _ = shower_axis(alt, az)
    # ASSUME: light from 9 km above the array, 14 km along the axis, at 100 to 300 GeV
    distance = 9000 / np.sin(alt)
    front = front_delay(position, core, axis, 1 / distance, refractivity=1.5e-4)
    restored = with_plane_restored(chunk.time, position, *np.radians(pointing), 2.28e-4)

    def scatter(time):
        residual = time - front
        residual -= np.nanmean(residual, axis=1, keepdims=True)
        n_free = np.isfinite(residual).sum() - len(residual)
        return np.sqrt(np.nansum(residual**2) / n_free)

    assert scatter(restored) < 2.0  # ns; triggers of faint images jitter by 1 to 2 ns
    assert scatter(chunk.time) > 100.0


def test_few_events_give_large_errors_or_none(gammas, root):
    path, _ = gammas
    options = [
        f"--site={root}/config/sites/CTAO-South.yaml",
        "--night=2024-07-10",
        f"--input={path}",
        f"--output={path.parent / 'timing.h5'}",
        "--time-reference=pointing",
    ]
    with pytest.raises(CalibPipeError, match="20 events in common, the most are") as error:
        run_tool(CalculateArrayTiming(), argv=options, raises=True)
    assert error.value.exit_code == 106
    options += ["--CalculateArrayTiming.min_common_events=1", "--CalculateArrayTiming.min_events=2"]
    options += ["--CalculateArrayTiming.fit_errors=False"]
    run_tool(CalculateArrayTiming(), argv=options, raises=True)
    header, tables = read_array_product(path.parent / "timing.h5", KIND, [OFFSETS])
    table = tables[OFFSETS]
    valid = table["is_valid"].data
    assert valid.sum() >= 3
    error = np.hypot(table["stat_error"], table["sys_error"]).data
    assert np.all(error[valid] > 0.5)  # ns: no better than one event of 2 ns
    # the simulation has no offsets
    assert np.all(np.abs(table["offset"].data[valid]) < 4 * error[valid])
    assert header["n_events"] == 3

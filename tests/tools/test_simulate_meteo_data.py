"""The Tool that simulates a night of meteorology: files, truth, exit codes."""

import astropy.units as u
import numpy as np
import pytest
from ctapipe.core import run_tool
from ctapipe.core.tool import ToolConfigurationError

from calibpipe.core.meteo_files import read_meteo_files
from calibpipe.core.night import astronomical_night
from calibpipe.core.products import read_table
from calibpipe.tools.simulate_meteo_data import KIND, SimulateMeteoData

NIGHT = "2024-02-29"


@pytest.fixture
def simulate(root, tmp_path):
    """Run of the Tool in a folder of the test."""

    def run(*more, name="meteo.grib", night=NIGHT, site="CTAO-North", raises=True):
        path = tmp_path / name
        argv = [f"--site={root}/config/sites/{site}.yaml", f"--night={night}", f"--output={path}"]
        code = run_tool(SimulateMeteoData(), argv=[*argv, *more], cwd=tmp_path, raises=raises)
        return code if not raises else path

    return run


@pytest.mark.parametrize(
    ("category", "shape", "kind", "step"),
    [("C", (12, 37, 3, 3), "specific", 1), ("B", (4, 26, 4, 4), "relative", 6)],
)
def test_data_bracket_the_night_and_the_site(simulate, north, *, category, shape, kind, step):
    data = read_meteo_files(simulate(f"--category={category}"))
    night = astronomical_night(NIGHT, north)
    assert data.shape == shape
    assert data.humidity_kind == kind
    assert data.times[0] <= night.dusk < data.times[1]
    assert data.times[-2] < night.dawn <= data.times[-1]
    np.testing.assert_allclose(np.diff(data.times.unix), 3600 * step)
    data.require_site(north.latitude, north.longitude)


def test_truth_is_written_beside_the_data(simulate, north):
    path = simulate("--category=C")
    truth = read_table(path.with_suffix(".truth.ecsv"), KIND)
    assert truth["altitude"][0] == 0 * u.m
    assert truth["altitude"][-1] == 60 * u.km
    header = truth.meta["calibpipe"]
    times = read_meteo_files(path).times
    assert header["times_utc"] == list(times.isot)
    assert truth["density_at_times"].shape == (601, times.size)
    assert header["configuration"]["seed"] == 0


def test_categories_describe_the_same_atmosphere(simulate):
    tables = [
        read_table(simulate(f"--category={c}", name=f"{c}.grib").with_suffix(".truth.ecsv"), KIND)
        for c in "BC"
    ]
    for name in tables[0].colnames:
        assert (tables[0][name] == tables[1][name]).all()


def test_content_depends_on_seed_night_and_site_alone(simulate):
    def content(*more, **keys):
        return simulate("--category=B", "--overwrite", *more, **keys).read_bytes()

    first = content("--seed=3")
    assert content("--seed=3", name="again.grib") == first
    assert content("--seed=4") != first
    assert content("--seed=3", night="2024-03-01") != first
    assert content("--seed=3", site="CTAO-South") != first


def test_shipped_configuration_holds_the_defaults(simulate, root):
    config = f"--config={root}/config/tools/simulate_meteo_data.yaml"
    assert simulate(config, name="a.grib").read_bytes() == simulate(name="b.grib").read_bytes()


@pytest.mark.parametrize("name", ["meteo.grib", "meteo.truth.ecsv"])
def test_nothing_is_overwritten_unless_asked(simulate, tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(ToolConfigurationError, match=f"{name} exists"):
        simulate()
    assert (tmp_path / name).read_text() == "precious"
    assert simulate("--category=B", "--overwrite").read_bytes()[:4] == b"GRIB"
    assert (tmp_path / name).read_bytes() != b"precious"


def test_missing_options_are_named(tmp_path):
    with pytest.raises(ToolConfigurationError, match="needs --site, --night, --output"):
        run_tool(SimulateMeteoData(), argv=[], cwd=tmp_path, raises=True)


def test_help(tmp_path, capsys):
    assert run_tool(SimulateMeteoData(), argv=["--help"], cwd=tmp_path) == 0
    assert "GDAS-like" in capsys.readouterr().out

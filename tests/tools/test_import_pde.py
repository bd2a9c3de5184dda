"""Import of photon detection efficiencies: what is accepted, what is refused, interpolation."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from ctapipe.core import run_tool

from calibpipe.camera.photon_detection_efficiency import checked_table, efficiency_of_table
from calibpipe.core.exceptions import CalibPipeError, CorruptedInputError
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import read_table
from calibpipe.tools.import_pde import KIND, ImportPde

CORRUPTED, CONFIGURATION = 104, 101


def measured(**changes):
    wavelength, angle = np.meshgrid([300.0, 400, 500], [0.0, 30, 60])
    columns = {
        "wavelength": wavelength.ravel() * u.nm,
        "incidence_angle": angle.ravel() * u.deg,
        "pde": (0.4 - np.abs(wavelength - 400) / 1000 - angle / 1000).ravel(),
        "pde_error": np.full(9, 0.01),
    }
    return QTable({k: v for k, v in (columns | changes).items() if v is not None})


@pytest.fixture
def run(root, tmp_path):
    def run(table, *options, telescope="LSTN-01", measured="2015-03-01"):
        table.write(tmp_path / "pde.ecsv", overwrite=True)
        argv = [f"--site={root}/config/sites/CTAO-North.yaml", "--night=2024-07-10"]
        argv += ["--input=pde.ecsv", "--output=product.ecsv", f"--telescope={telescope}"]
        argv += ["--origin=a laboratory", f"--measured={measured}", *options]
        run_tool(ImportPde(), argv=argv, cwd=tmp_path, raises=True)
        return read_table(tmp_path / "product.ecsv", KIND)

    return run


def test_product_has_its_origin_and_is_sorted(run, tmp_path):
    shuffled = measured()[np.random.default_rng(1).permutation(9)]
    table = run(shuffled, "--reference=10.1000/1")
    header = table.meta["calibpipe"]
    assert (header["array_element"], header["origin"]) == ("LSTN-01", "a laboratory")
    assert (header["measured"], header["reference"]) == ("2015-03-01", "10.1000/1")
    begin, end = read_product_header(tmp_path / "product.ecsv").validity
    assert (end - begin).to_value("day") == pytest.approx(365)
    assert header["inputs"][-1]["role"] == "camera/pde_measurement"
    assert (table["wavelength"] == measured()["wavelength"]).all()
    assert np.asarray(table["pde"]) == pytest.approx(np.asarray(measured()["pde"]))


def test_efficiency_between_and_outside():
    found = efficiency_of_table(checked_table(measured()))
    assert float(found(350 * u.nm, 15 * u.deg)) == pytest.approx(0.4 - 0.05 - 0.015)
    assert float(found(500 * u.nm, 60 * u.deg)) == pytest.approx(0.24)
    outside = found([299, 501, 400] * u.nm, [0, 0, 61] * u.deg)
    assert np.isnan(outside).all()


def test_without_angles_all_is_at_normal_incidence():
    table = measured(incidence_angle=None)[:3]
    found = efficiency_of_table(checked_table(table))
    assert float(found(450 * u.nm)) == pytest.approx(0.35)
    assert np.isnan(found(450 * u.nm, 10 * u.deg))


def test_other_units_are_converted():
    table = measured(wavelength=np.tile([0.3, 0.4, 0.5], 3) * u.um)
    assert checked_table(table)["wavelength"].to_value(u.nm)[:3] == pytest.approx([300, 400, 500])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pde": None}, "has no column pde"),
        ({"wavelength": np.tile([300.0, 400, 500], 3)}, "wavelength has no unit; give it in nm"),
        ({"wavelength": np.tile([300.0, 400, 500], 3) * u.K}, "wavelength is in K, needs nm"),
        ({"wavelength": np.tile([30.0, 400, 500], 3) * u.nm}, "wavelength is 30 nm in row 0"),
        ({"incidence_angle": np.full(9, 91) * u.deg}, "incidence_angle is 91 deg in row 0"),
        ({"pde": np.full(9, 38.0)}, "a fraction, not per cent"),
        ({"pde": np.full(9, np.nan)}, "pde is nan in row 0"),
        ({"pde_error": np.full(9, -0.1)}, "pde_error is -0.1"),
        ({"incidence_angle": np.zeros(9) * u.deg}, "9 rows for 3 wavelengths and 1 angles"),
    ],
)
def test_impossible_tables(changes, message):
    with pytest.raises(CorruptedInputError, match=message):
        checked_table(measured(**changes))


def test_a_table_in_per_cent_is_no_product(run, tmp_path):
    with pytest.raises(CalibPipeError) as error:
        run(measured(pde=np.full(9, 38.0)))
    assert error.value.exit_code == CORRUPTED
    assert not (tmp_path / "product.ecsv").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"measured": "last year"}, "needs a date YYYY-MM-DD"),
        ({"telescope": "LST-1"}, "no array element LST-1"),
    ],
)
def test_wrong_options(run, option, message):
    with pytest.raises(CalibPipeError, match=message) as error:
        run(measured(), **option)
    assert error.value.exit_code == CONFIGURATION

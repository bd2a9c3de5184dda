"""The Tools of the molecular atmosphere on a simulated night with known truth."""

import json
import shutil
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.constants import k_B
from astropy.table import QTable
from astropy.time import Time
from ctapipe.core import Provenance, run_tool
from night_chain import NIGHT, ROOT, Night

from calibpipe.atmosphere.corsika_table import parse_atm_trans, parse_atmprof
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    InsufficientStatisticsError,
    MissingInputError,
)
from calibpipe.core.products import content_hash, read_table
from calibpipe.tools.create_molecular_atmospheric_model import CreateMolecularAtmosphericModel
from calibpipe.tools.create_molecular_density_profile import CreateMolecularDensityProfile
from calibpipe.tools.create_reference_atmospheric_models import CreateReferenceAtmosphericModels
from calibpipe.tools.select_reference_atmospheric_model import SelectReferenceAtmosphericModel


@pytest.fixture(scope="module", params=[("CTAO-North", "C"), ("CTAO-South", "B")])
def night(request, tmp_path_factory):
    site, category = request.param
    return Night(tmp_path_factory.mktemp(f"{site}-{category}"), site, category).all()


@pytest.fixture
def copy(night, tmp_path):
    """The same night in a folder of its own, to be spoilt."""
    folder = tmp_path / "night"
    shutil.copytree(night.folder, folder)
    files = folder / "meteo_data.json"
    files.write_text(files.read_text().replace(f"{night.folder}/", f"{folder}/"))
    return Night(folder, night.site_name, night.category)


def test_density_closes_on_the_simulated_truth(night):
    truth = read_table(night["meteo.truth.ecsv"], "simulation/meteo_truth")
    profile = read_table(night["density_profile.ecsv"], "atmosphere/density_profile")
    rows = min(len(truth), len(profile))
    np.testing.assert_array_equal(truth["altitude"][:rows], profile["altitude"][:rows])
    ratio = (profile["density"][:rows] / truth["density"][:rows]).to_value(u.one)
    # C: GRIB packing of hourly fields, 0.25 deg. B: weather between analyses 6 h apart as well
    limit = {"C": 1e-3, "B": 2e-3}[night.category]
    assert np.abs(ratio - 1).max() < limit
    above_ground = profile["altitude"][:rows] > 2.2 * u.km
    assert np.abs(ratio - 1)[above_ground].max() < {"C": 3e-4, "B": 2e-3}[night.category]
    systematic = (profile["density_sys_error"] / profile["density"]).to_value(u.one)
    assert np.all(np.abs(ratio - 1)[above_ground] < systematic[:rows][above_ground])


def test_spread_over_the_night_is_that_of_the_truth(night):
    """The true density at the analyses, taken to run linearly between them, sampled finely."""
    truth = read_table(night["meteo.truth.ecsv"], "simulation/meteo_truth")
    profile = read_table(night["density_profile.ecsv"], "atmosphere/density_profile")
    header, known = profile.meta["calibpipe"], truth.meta["calibpipe"]["times_utc"]
    dusk, dawn, *analyses = Time(
        [header["dusk_utc"], header["dawn_utc"], *header["times_utc"]], format="isot", scale="utc"
    ).unix
    hours = Time(known, format="isot", scale="utc").unix
    fine = np.linspace(dusk, dawn, 2001)
    for row in (30, 150, 250):
        true = truth["density_at_times"][row].value
        # B: the truth is hourly in the night, its first and last analyses lie up to 6 h outside
        at_analyses = np.interp(analyses, hours, true) if night.category == "C" else true
        expected = np.interp(fine, analyses if night.category == "C" else hours, at_analyses).std()
        measured = profile["density_stat_error"][row].value
        sampling = {"C": 0.0, "B": 1.2e-3}[night.category]  # a tide missed between 6 h
        assert measured == pytest.approx(expected, rel=0.02, abs=(2e-5 + sampling) * true[0])


def test_products_say_what_they_are(night):
    for name, kind in {
        "density_profile": "atmosphere/density_profile",
        "reference_model": "atmosphere/reference_model",
        "atmospheric_model": "atmosphere/atmospheric_model",
        "rayleigh_extinction": "atmosphere/rayleigh_extinction",
    }.items():
        table = read_table(night[f"{name}.ecsv"], kind)
        header = table.meta["calibpipe"]
        assert (header["site"], header["night"]) == (night.site_name, NIGHT)
        assert header["category"] == night.category
        assert header["validity"]["begin_utc"] < header["validity"]["end_utc"]
        assert {entry["role"] for entry in header["inputs"]} >= {"site"}
        assert table.meta["CTA PRODUCT DATA CATEGORY"] == night.category
        assert str(Path.home()) not in json.dumps(header["configuration"])


def test_model_continues_the_data_without_a_step(night):
    model = read_table(night["atmospheric_model.ecsv"], "atmosphere/atmospheric_model")
    top = model.meta["calibpipe"]["top_of_data_in_km"]
    assert top == pytest.approx({"C": 48.5, "B": 31.3}[night.category], abs=0.6)
    scale = -np.diff(model["altitude"].value) / np.diff(np.log(model["density"].value))
    inner = model["altitude"][1:] < 80 * u.km
    assert np.all((scale[inner] > 5) & (scale[inner] < 12))  # km: no step hides in a row
    temperature = model["temperature"].to_value(u.K)[model["altitude"] < 100 * u.km]
    assert 150 < temperature.min() < temperature.max() < 310


def test_spread_of_the_thickness_is_that_of_the_pressure(night):
    profile = read_table(night["density_profile.ecsv"], "atmosphere/density_profile")
    model = read_table(night["atmospheric_model.ecsv"], "atmosphere/atmospheric_model")
    for kilometre in (2, 10, 20):
        row = int(np.searchsorted(profile["altitude"].to_value(u.km), kilometre))
        expected = (profile["pressure_stat_error"][row] / profile["pressure"][row]).value
        measured = (model["thickness_stat_error"][kilometre] / model["thickness"][kilometre]).value
        assert measured == pytest.approx(expected, rel=1e-6)
        assert 1e-5 < measured < 5e-3  # about 1 hPa of 800, growing upward


def test_model_closes(night):
    extinction = read_table(night["rayleigh_extinction.ecsv"], "atmosphere/rayleigh_extinction")
    header = extinction.meta["calibpipe"]
    assert abs(header["closure"]["relative_difference"]) < 3e-3  # A22b
    row = int(np.searchsorted(extinction["wavelength"].value, 350))
    assert extinction["optical_depth"][row, -1] == pytest.approx(
        header["closure"]["optical_depth_350nm"], rel=1e-12
    )
    assert len(extinction) == 800
    assert extinction["optical_depth"].shape == (800, 50)
    assert np.all(np.diff(extinction["optical_depth"], axis=1) > 0)
    assert len(header["relative_stat_error"]) == len(header["relative_sys_error"]) == 50
    assert 0 < header["relative_sys_error"][-1] < 0.01


def test_exchange_formats_hold_the_same_numbers(night):
    model = read_table(night["atmospheric_model.ecsv"], "atmosphere/atmospheric_model")
    columns = parse_atmprof(night["atmprof.dat"].read_text())
    for name in ("density", "thickness", "refractivity", "temperature"):
        np.testing.assert_allclose(
            u.Quantity(columns[name]).value, u.Quantity(model[name]).value, rtol=1e-6, atol=1e-30
        )
    extinction = read_table(night["rayleigh_extinction.ecsv"], "atmosphere/rayleigh_extinction")
    site, altitude, wavelength, depth = parse_atm_trans(night["atm_trans.dat"].read_text())
    header = extinction.meta["calibpipe"]
    assert site.to_value(u.km) == pytest.approx(header["observation_altitude_in_km"])
    np.testing.assert_allclose(altitude.to_value(u.km), header["altitude_in_km"], atol=5e-4)
    np.testing.assert_array_equal(wavelength, extinction["wavelength"])
    np.testing.assert_allclose(depth, extinction["optical_depth"], rtol=1e-5)


def test_reference_model_changes_nothing_inside_the_data(night):
    profile = f"--density-profile={night['density_profile.ecsv']}"
    night.select("by_date.ecsv", "--fallback-reason=test", "--overwrite")
    other = QTable.read(night["by_date.ecsv"])
    for name in ("pressure", "density", "number_density"):
        other[name] *= 1.05
    other.write(night["denser.ecsv"], overwrite=True)
    night.model("other_", profile, "--overwrite", reference="denser.ecsv")
    one, two = (
        read_table(night[f"{stem}atmospheric_model.ecsv"], "atmosphere/atmospheric_model")
        for stem in ("", "other_")
    )
    inside = one["altitude"].value <= one.meta["calibpipe"]["top_of_data_in_km"]
    for name in ("density", "temperature", "pressure", "refractivity"):
        np.testing.assert_array_equal(one[name][inside], two[name][inside])
    # the pressure at the top fixes the weight above; how high it lies changes gravity by 1e-4
    np.testing.assert_allclose(
        one["thickness"][inside].value, two["thickness"][inside].value, rtol=1e-4
    )


@pytest.mark.parametrize("upper_air", ["nrlmsis", "us-standard"])
def test_other_upper_air(night, upper_air):
    profile = f"--density-profile={night['density_profile.ecsv']}"
    option = f"--CreateMolecularAtmosphericModel.upper_air={upper_air}"
    night.model(f"{upper_air}_", profile, option, "--overwrite")
    one, two = (
        read_table(night[f"{stem}rayleigh_extinction.ecsv"], "atmosphere/rayleigh_extinction")
        for stem in ("", f"{upper_air}_")
    )
    np.testing.assert_allclose(one["optical_depth"][:, -1], two["optical_depth"][:, -1], rtol=1e-4)


def test_without_data_the_date_decides_and_the_products_say_so(night, tmp_path):
    night.select("fallback.ecsv", "--fallback-reason=GDAS was down", "--overwrite")
    header = read_table(night["fallback.ecsv"], "atmosphere/reference_model").meta["calibpipe"]
    assert header["selection"]["method"] == "date"
    assert "fell back" in header["selection"]["reason"]
    assert "GDAS was down" in header["selection"]["reason"]
    night.model("fallback_", "--overwrite", reference="fallback.ecsv")
    model = read_table(night["fallback_atmospheric_model.ecsv"], "atmosphere/atmospheric_model")
    assert model.meta["calibpipe"]["origin"] == "reference atmosphere alone"
    ratio = (model["density_sys_error"] / model["density"]).to_value(u.one)
    assert np.all(ratio > 0.04)  # a climatology is not a measurement


def test_no_density_profile_and_no_reason(night):
    with pytest.raises(ConfigurationError, match="state with --fallback-reason why"):
        night.select("nothing.ecsv")
    assert not night["nothing.ecsv"].exists()


def test_same_input_same_content(copy):
    before = {
        name: content_hash(copy[name])
        for name in ("density_profile.ecsv", "atmospheric_model.ecsv", "rayleigh_extinction.ecsv")
    }
    profile = f"--density-profile={copy['density_profile.ecsv']}"
    copy.density_profile("density_profile.ecsv", "--overwrite")
    copy.model("", profile, "--overwrite")
    assert before == {name: content_hash(copy[name]) for name in before}


def test_nothing_is_overwritten_by_accident(night):
    with pytest.raises(Exception, match="exists, but overwrite=False"):
        night.density_profile()


def test_night_outside_the_hours_of_the_files(copy):
    copy.night = "2024-07-14"
    with pytest.raises(MissingInputError, match="give files of this night that bracket it"):
        copy.density_profile("spoilt.ecsv")
    assert not copy["spoilt.ecsv"].exists()


def test_site_outside_the_box(copy):
    copy.site_name = {"CTAO-North": "CTAO-South", "CTAO-South": "CTAO-North"}[copy.site_name]
    with pytest.raises(MissingInputError, match=r"site|grid"):
        copy.density_profile("spoilt.ecsv")


def test_changed_file_is_noticed(copy):
    with copy["meteo.grib"].open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(CorruptedInputError, match="has changed since it was retrieved"):
        copy.density_profile("spoilt.ecsv")


def test_removed_file_is_noticed(copy):
    copy["meteo.grib"].unlink()
    with pytest.raises(MissingInputError, match="is gone since it was retrieved"):
        copy.density_profile("spoilt.ecsv")


def test_pressure_that_contradicts_the_heights_is_refused(copy):
    table = QTable.read(copy["density_profile.ecsv"])
    table["number_density"] *= 1.01
    table.write(copy["wrong.ecsv"])
    with pytest.raises(CorruptedInputError, match=r"differ by .*%, limit 0\.3 %"):
        copy.model("wrong_", f"--density-profile={copy['wrong.ecsv']}")
    assert not copy["wrong_rayleigh_extinction.ecsv"].exists()


def test_unknown_site(copy):
    copy.site_name = "CTAO-West"
    with pytest.raises(ConfigurationError, match="unknown site 'CTAO-West'"):
        copy.density_profile("spoilt.ecsv")


def test_what_has_to_be_given():
    for tool in (
        CreateMolecularDensityProfile,
        SelectReferenceAtmosphericModel,
        CreateMolecularAtmosphericModel,
        CreateReferenceAtmosphericModels,
    ):
        Provenance().clear()
        with pytest.raises(Exception, match=r"needs --site"):
            run_tool(tool(), [])


def pool_of(tmp_path, *options, site="CTAO-North"):
    Provenance().clear()
    tmp_path.mkdir(exist_ok=True)
    argv = [f"--site={ROOT}/config/sites/{site}.yaml", f"--pool={tmp_path}", *options]
    run_tool(CreateReferenceAtmosphericModels(), argv, cwd=tmp_path)
    return {path.stem: QTable.read(path) for path in tmp_path.glob("*.ecsv")}


@pytest.mark.parametrize("site", ["CTAO-North", "CTAO-South"])
def test_shipped_climatology_is_what_the_tool_makes(tmp_path, site):
    made = pool_of(tmp_path, "--source=climatology", site=site)
    shipped = ROOT / "config/reference_models" / site
    assert {path.stem for path in shipped.glob("*.ecsv")} == set(made)
    for name, table in made.items():
        other = QTable.read(shipped / f"{name}.ecsv")
        assert "climatology" in other.meta["calibpipe"]["source"]
        for column in table.colnames:
            # NRLMSISE-00 is single precision, the spread a small difference of its numbers
            limit = 1e-3 if column == "density_spread" else 1e-6
            np.testing.assert_allclose(
                u.Quantity(table[column]).value, u.Quantity(other[column]).value, rtol=limit
            )


@pytest.fixture(scope="module")
def profiles(tmp_path_factory):
    """Density profiles of three nights of one season."""
    nights = []
    for day in ("2024-07-10", "2024-07-11", "2024-07-12"):
        night = Night(tmp_path_factory.mktemp(day), night=day)
        night.simulate()
        night.retrieve()
        night.macobac()
        night.density_profile()
        nights.append(night["density_profile.ecsv"])
    return nights


def test_published_densities_decide_which_season_a_night_is_like(night):
    """A15 through the Tool: the boundaries are those of CTAO's models, whatever the pool holds."""
    table = QTable.read(night["density_profile.ecsv"])
    cases = {
        "CTAO-North": {4.42e18: "winter", 4.44e18: "intermediate", 4.57e18: "summer"},
        "CTAO-South": {4.570e18: "winter", 4.585e18: "summer"},
    }
    for density, season in cases[night.site_name].items():
        table.meta["calibpipe"]["number_density_15km_in_per_cm3"] = density
        table.write(night["other_weather.ecsv"], overwrite=True)
        profile = f"--density-profile={night['other_weather.ecsv']}"
        night.select("other_reference.ecsv", profile, "--overwrite")
        header = read_table(night["other_reference.ecsv"], "atmosphere/reference_model").meta
        assert header["calibpipe"]["selection"]["season"] == season
        assert header["calibpipe"]["number_density_15km_source"] == "published for the site"


def test_pool_from_nights_grows(tmp_path, profiles):
    few = "--CreateReferenceAtmosphericModels.minimum_nights=1"
    first = pool_of(tmp_path, few, f"--input={profiles[0]}", f"--input={profiles[1]}")
    assert set(first) == {"summer_v1"}
    both = pool_of(tmp_path, few, f"--input={profiles[2]}")
    assert set(both) == {"summer_v1", "summer_v2"}
    header = both["summer_v2"].meta["calibpipe"]
    assert header["nights"] == ["2024-07-10", "2024-07-11", "2024-07-12"]
    assert header["n_nights"] == 3
    together = pool_of(tmp_path / "new", few, *(f"--input={path}" for path in profiles))
    for name in ("density", "density_spread", "number_density"):
        np.testing.assert_allclose(
            both["summer_v2"][name].value, together["summer_v1"][name].value, rtol=1e-9, atol=1e-12
        )
    measured = np.mean([QTable.read(path)["density"][150].value for path in profiles])
    row = int(np.searchsorted(header_altitude(both["summer_v2"]), 15_000))
    assert both["summer_v2"]["density"][row].value == pytest.approx(measured, rel=1e-9)


def header_altitude(table):
    return table["altitude"].to_value(u.m)


def test_too_few_nights(tmp_path, profiles):
    with pytest.raises(InsufficientStatisticsError, match="has 1 nights, needs 10"):
        pool_of(tmp_path, f"--input={profiles[0]}")
    assert not list(tmp_path.glob("*.ecsv"))


def test_a_night_given_twice(tmp_path, profiles):
    twin = tmp_path / "twin.ecsv"
    shutil.copy(profiles[0], twin)
    with pytest.raises(ConfigurationError, match="night 2024-07-10 is given twice"):
        pool_of(tmp_path / "pool", f"--input={profiles[0]}", f"--input={twin}")


def test_profile_of_another_site(tmp_path, profiles):
    with pytest.raises(ConfigurationError, match="is of CTAO-North, the pool of CTAO-South"):
        pool_of(tmp_path, f"--input={profiles[0]}", site="CTAO-South")


def test_nothing_to_make_models_from(tmp_path):
    with pytest.raises(MissingInputError, match="give --input with files"):
        pool_of(tmp_path, "--input=none*.ecsv")


def test_empty_pool(night, tmp_path):
    with pytest.raises(MissingInputError, match="no reference model of"):
        night.run(
            SelectReferenceAtmosphericModel, "x.ecsv", f"--pool={tmp_path}", "--fallback-reason=x"
        )


@pytest.mark.realdata
@pytest.mark.parametrize(("site", "count"), [("CTAO-North", 3), ("CTAO-South", 2)])
def test_ctao_tables_are_imported(shared_data, tmp_path, site, count):
    pattern = f"--input={shared_data}/reference_models/reference_atmo_model_*.ecsv"
    models = pool_of(tmp_path, "--source=ctao-tables", pattern, site=site)
    assert len(models) == count
    for table in models.values():
        header = table.meta["calibpipe"]
        (path,) = shared_data.glob(
            f"reference_models/reference_atmo_model_*{site.lower()}_{header['season']}.ecsv"
        )
        row = QTable.read(path)[15]
        # n = p/(kT) of its 15 km row; the table was averaged column by column over a season
        expected = (row["pressure"] / (row["temperature"] * k_B)).to_value(u.cm**-3)
        assert header["number_density_15km_in_per_cm3"] == pytest.approx(expected, rel=2e-3)
        assert header["source"].startswith("CTAO table")

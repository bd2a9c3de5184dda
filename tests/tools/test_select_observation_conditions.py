"""The Tool that combines all instruments: truth of a simulated night, absent ones, bad input."""

import itertools
import shutil

import astropy.units as u
import monitored_night
import numpy as np
import pytest
from astropy.table import QTable
from ctapipe.core import run_tool
from lidar_sky import us_standard
from monitored_night import BASE, CLOUD, DUST, EXPONENT, NIGHT, TOP

from calibpipe.atmosphere.emission_profile import emission_profile, layer_slant
from calibpipe.atmosphere.transmission_correction import wavelength_weights
from calibpipe.core.exceptions import CalibPipeError
from calibpipe.core.observation_conditions_file import KIND, read_observation_conditions
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import ProductMetadata, write_table
from calibpipe.simulation.lidar import AerosolLayer, Aerosols
from calibpipe.tools.select_observation_conditions import SelectObservationConditions

INSTRUMENTS = ("lidar", "clear-night", "allsky", "transparency")
CONFIGURATION, CORRUPTED, MISSING = 101, 104, 105
CLEAR, CLOUDY = [0, 1, 2, 3, 10, 11, 12, 13], [5, 6, 7, 8]  # slices of the night; 4, 9 are mixed


@pytest.fixture(scope="module")
def products(root, tmp_path_factory, north):
    folder = tmp_path_factory.mktemp("products")
    monitored_night.write_all(root, folder, north)
    return folder


class Selection:
    """The Tool on products of a folder."""

    def __init__(self, root, products, folder):
        self.root, self.products, self.folder = root, products, folder
        self.output = folder / "observation_conditions.h5"

    def run(self, *options, of=INSTRUMENTS, site="CTAO-North", night=NIGHT, density=None):
        density = density or self.products / "density_profile.ecsv"
        argv = [f"--site={self.root}/config/sites/{site}.yaml", f"--night={night}"]
        argv += [f"--density-profile={density}", f"--output={self.output}", "--overwrite"]
        argv += [f"--{n}={self.products}/{n.replace('-', '_')}.ecsv" for n in of]
        argv += list(options)
        run_tool(SelectObservationConditions(), argv, cwd=self.folder, raises=True)
        return read_observation_conditions(self.output)

    def refused(self, *options, **keys):
        with pytest.raises(CalibPipeError) as caught:
            self.run(*options, **keys)
        return caught.value.exit_code, str(caught.value)


@pytest.fixture
def select(root, products, tmp_path):
    return Selection(root, products, tmp_path)


@pytest.fixture(scope="module")
def whole(root, products, tmp_path_factory):
    """Header and tables with all instruments."""
    return Selection(root, products, tmp_path_factory.mktemp("whole")).run()


def true_sky(site, *, cloud):
    ground = AerosolLayer(
        DUST, site.elevation, site.elevation + 2 * u.km, angstrom_exponent=EXPONENT
    )
    above = AerosolLayer(CLOUD, BASE * u.m, TOP * u.m)
    return Aerosols((ground, above) if cloud else (ground,))


def true_depth(header, site, *, cloud):
    altitude = header["altitude_in_m"] * u.m
    sky = true_sky(site, cloud=cloud)
    return np.stack(
        [sky.optical_depth(altitude, w * u.nm) for w in header["wavelength_in_nm"]], axis=1
    )


class TestClosure:
    @pytest.mark.parametrize(("slices", "cloud"), [(CLEAR, False), (CLOUDY, True)])
    def test_optical_depth(self, whole, north, slices, cloud):
        header, tables = whole
        z = np.array(header["altitude_in_m"])
        known = (z < BASE - 250) | (z > TOP + 250)  # the LIDAR gives its ends to 300 m
        depth, stat, sys = (
            tables["slices"][f"optical_depth{e}"][slices][:, known][:, 1:]
            for e in ("", "_stat_error", "_sys_error")
        )
        true = true_depth(header, north, cloud=cloud)[known][1:]
        error = np.hypot(stat, sys)
        assert np.all(np.abs(depth - true) < 3.5 * error)
        assert error[:, -1].max() < 0.02

    @pytest.mark.parametrize(("slices", "cloud"), [(CLEAR, False), (CLOUDY, True)])
    def test_mean_transmission(self, whole, north, slices, cloud):
        """Against the integral over the true sky on the fine altitudes of the emission."""
        header, tables = whole
        profile = us_standard()
        high = profile.altitude[profile.altitude > north.elevation + 1 * u.m]
        air = profile.at(np.append(north.elevation, high))
        energy, zenith = header["energy_in_tev"] * u.TeV, header["zenith_in_deg"] * u.deg
        wavelength = header["wavelength_in_nm"] * u.nm
        emission = emission_profile(air, energy, zenith, wavelength, 420e-6)
        band = wavelength_weights(wavelength, [300, 550] * u.nm, [1, 1])
        sky, z = true_sky(north, cloud=cloud), air.altitude.to_value(u.m)
        vertical = np.stack([sky.optical_depth(air.altitude, w) for w in wavelength], axis=1)
        found, stat, sys = (
            tables["corrections"][f"mean_transmission{e}"][slices]
            for e in ("", "_stat_error", "_sys_error")
        )
        for j, angle in enumerate(zenith):
            path = layer_slant(((z[1:] + z[:-1]) / 2 - z[0]) * u.m, angle)[:, None]
            slant = np.pad(np.cumsum(path * np.diff(vertical, axis=0), axis=0), ((1, 0), (0, 0)))
            light = np.trapezoid(emission[:, j] * np.exp(-slant), z, axis=1) @ band
            true = light / (np.trapezoid(emission[:, j], z, axis=1) @ band)
            error = np.hypot(stat, sys)[..., j]
            assert np.all(np.abs(found[..., j] - true) < 3.5 * error)
        assert np.all((found > 0.6) & (found < 1))

    def test_quality(self, whole):
        header, tables = whole
        quality = tables["slices"]["quality"]
        assert set(quality[CLEAR]) == {"good"}
        assert set(quality[CLOUDY]) == {"correctable"}
        for reasons in tables["slices"]["reasons"][CLOUDY]:
            assert {"fram_not_clear", "cloud_fraction", "layer"} <= set(reasons.split())
        assert np.all(tables["slices"]["sources"] == "lidar, fram")
        assert np.all(np.abs(tables["slices"]["lidar_fram_pull"]) < 3)
        assert header["absent"] == {}
        assert set(header["reasons"]) == {r for t in tables["slices"]["reasons"] for r in t.split()}

    def test_clouds(self, whole):
        slices = whole[1]["slices"]
        assert np.abs(slices["cloud_base"][CLOUDY].quantity.to_value(u.m) - BASE).max() < 300
        assert np.abs(slices["cloud_top"][CLOUDY].quantity.to_value(u.m) - TOP).max() < 300
        assert np.abs(slices["cloud_depth"][CLOUDY] - CLOUD).max() < 0.03
        assert np.all(slices["cloud_depth"][CLEAR] == 0)

    def test_intervals(self, whole):
        header, tables = whole
        slices, intervals = tables["slices"], tables["good_time_intervals"]
        assert intervals["quality"].tolist() == ["good", "correctable", "good"]
        livetime = intervals["livetime"].quantity.to_value(u.s)
        night = (slices["end"][-1] - slices["begin"][0]).to_value(u.s)
        np.testing.assert_allclose(livetime.sum(), night)
        np.testing.assert_allclose(header["livetime_in_s"]["correctable"], livetime[1])
        np.testing.assert_allclose(sum(header["fractions"].values()), 1.0)
        for row in intervals:
            own = slice(row["first_slice"], row["first_slice"] + row["n_slices"])
            corrections = tables["corrections"][own]
            np.testing.assert_allclose(
                row["mean_transmission"], corrections["mean_transmission"].mean(axis=0)
            )
            stat = np.sqrt((corrections["mean_transmission_stat_error"] ** 2).sum(axis=0))
            np.testing.assert_allclose(row["mean_transmission_stat_error"], stat / row["n_slices"])
            least = corrections["mean_transmission_sys_error"].min(axis=0)
            assert np.all(row["mean_transmission_sys_error"] > 0.9 * least)  # common to slices

    def test_median_profile(self, whole, north):
        header, tables = whole
        median = tables["median_profile"]
        n = len(header["altitude_in_m"])
        assert len(median) == 3 * n
        np.testing.assert_allclose(
            median["altitude"][:n].quantity.to_value(u.m), header["altitude_in_m"]
        )
        np.testing.assert_allclose(median["transmission"], np.exp(-median["optical_depth"]))
        for interval, cloud in ((0, False), (1, True), (2, False)):
            top = median[median["interval"] == interval][-1]
            error = np.hypot(top["transmission_stat_error"], top["transmission_sys_error"])
            true = np.exp(-true_depth(header, north, cloud=cloud)[-1])
            assert np.all(np.abs(top["transmission"] - true) < 3.5 * error)


class TestAbsent:
    @pytest.mark.parametrize(
        "of", [c for n in (1, 3) for c in itertools.combinations(INSTRUMENTS, n)]
    )
    def test_any_instrument(self, select, of):
        header, tables = select.run(of=of)
        names = {name.replace("-", "_") for name in set(INSTRUMENTS) - set(of)}
        assert set(header["absent"]) == names
        slices = tables["slices"]
        known = np.isfinite(slices["reference_transmission"])
        assert np.all(known == (slices["status"] == ""))
        assert header["n_slices_with_profile"] == known.sum()
        if "lidar" in of:
            assert known.all()
        elif "clear-night" in of:
            assert known[CLEAR].all()
            assert not known[CLOUDY].any()
        else:
            assert not known.any()
            assert set(slices["quality"]) <= {"unknown", "bad"}
        valid = tables["corrections"]["is_valid"]
        assert np.all(valid == known)
        assert np.all(
            np.isfinite(tables["corrections"]["mean_transmission"]).all(axis=(1, 2)) == known
        )

    def test_intervals_without_a_profile_say_so(self, select):
        _, tables = select.run(of=("clear-night", "allsky"))
        intervals = tables["good_time_intervals"]
        assert intervals["status"].tolist() == ["", "6 of 6 slices without a profile", ""]
        assert np.isnan(intervals["mean_transmission"][1]).all()
        assert set(tables["median_profile"]["interval"]) == {0, 2}

    def test_no_profile_at_all(self, select):
        _, tables = select.run(of=("allsky",))
        assert len(tables["median_profile"]) == 0
        assert tables["median_profile"]["transmission"].shape[1] == 17

    def test_no_instrument(self, select):
        code, message = select.refused(of=())
        assert code == CONFIGURATION
        assert "needs one of --lidar, --clear-night, --allsky, --transparency at least" in message


class TestOptions:
    def test_shipped_configuration_holds_the_defaults(self, select, root):
        select.run()
        first = read_product_header(select.output).own["configuration"]
        identifier = read_product_header(select.output).product_id
        header, _ = select.run(f"--config={root}/config/tools/select_observation_conditions.yaml")
        limits = first.pop("limits"), header["configuration"].pop("limits")
        assert limits == (
            {},
            {
                n: v
                for n, v in header["limits"].items()
                if n not in ("max_pull", "max_hidden_fraction")
            },
        )
        assert header["configuration"] == first
        select.run()
        assert read_product_header(select.output).product_id == identifier

    def test_header(self, whole, select):
        select.run()
        header = read_product_header(select.output)
        assert (header.kind, header.night, header.site) == (KIND, NIGHT, "CTAO-North")
        assert {one["role"] for one in header.inputs} >= {
            "lidar",
            "clear_night",
            "allsky",
            "transparency_coefficient",
            "density_profile",
        }

    def test_limits(self, select):
        header, tables = select.run("--SelectObservationConditions.limits=good_transmission=0.99")
        assert header["limits"]["good_transmission"] == 0.99
        assert header["fractions"]["good"] == 0
        assert all("transmission" in t.split() for t in tables["slices"]["reasons"])

    def test_response_of_a_file(self, select, whole):
        path = select.folder / "response.ecsv"
        QTable({"wavelength": [550, 700] * u.nm, "efficiency": [1.0, 1.0]}).write(path)
        _, tables = select.run(f"--response={path}")
        red, blue = (t["corrections"]["mean_transmission"][CLEAR] for t in (tables, whole[1]))
        assert np.all(red > blue)  # aerosols dim blue light more

    def test_shorter_slices_than_those_of_fram(self, select):
        header, tables = select.run("--SelectObservationConditions.slice_length_in_min=15")
        assert header["n_slices"] == 28
        assert np.all(np.isfinite(tables["slices"]["vaod"]))


class TestRefused:
    def test_night_of_another_product(self, select):
        code, message = select.refused(of=("lidar",), night="2024-07-11")
        assert code == CONFIGURATION
        assert "lidar.ecsv is of the night 2024-07-10, not 2024-07-11" in message

    def test_site_of_another_product(self, select):
        code, message = select.refused(of=("allsky",), site="CTAO-South")
        assert code == CONFIGURATION
        assert "is of the site CTAO-North, not CTAO-South" in message

    def test_product_of_another_kind(self, select):
        code, message = select.refused(
            f"--lidar={select.products}/allsky.ecsv", of=("clear-night",)
        )
        assert code == CONFIGURATION
        assert "is a product 'atmosphere/allsky', needs 'atmosphere/lidar'" in message

    def test_product_that_is_not_there(self, select):
        code, message = select.refused(f"--allsky={select.folder}/none.ecsv", of=())
        assert code == MISSING
        assert "none.ecsv does not exist" in message

    def test_density_profile_that_ends_too_low(self, select):
        air = us_standard().at(np.arange(0, 12_001, 100) * u.m)
        from calibpipe.atmosphere.profile_table import profile_table

        path = select.folder / "low.ecsv"
        metadata = ProductMetadata(
            "atmosphere/density_profile", "test", details={"co2_mole_fraction": 420e-6}
        )
        write_table(path, QTable(profile_table(air)), metadata)
        code, message = select.refused(of=("allsky",), density=path)
        assert code == MISSING
        assert "ends at 12.0 km" in message

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ("limits=max_wind=1", "limits: unknown max_wind; known are good_transmission"),
            ("limits=good_transmission=0.5", "correctable_transmission 0.65 is above"),
            ("wavelengths_in_nm=400", "give two at least, ascending"),
            ("zenith_angles_in_deg=85", "0 to 75 deg"),
            ("energies_in_tev=0.0001", "a shower of 100 MeV"),
            ("scale_height_error_in_m=2000", "the error must be below it"),
        ],
    )
    def test_options_that_cannot_be(self, select, option, message):
        code, text = select.refused(f"--SelectObservationConditions.{option}", of=("clear-night",))
        assert code == CONFIGURATION
        assert message in text

    def test_wavelengths_without_that_of_fram(self, select):
        options = [f"--SelectObservationConditions.wavelengths_in_nm={w}" for w in (500, 600)]
        options += [f"--SelectObservationConditions.response_band_in_nm={w}" for w in (500, 600)]
        code, text = select.refused(*options)
        assert code == CONFIGURATION
        assert "measured at 440 nm lies outside" in text

    def test_response_without_its_columns(self, select):
        path = select.folder / "response.ecsv"
        QTable({"wavelength": [300, 700] * u.nm}).write(path)
        code, text = select.refused(f"--response={path}", of=("allsky",))
        assert code == CONFIGURATION
        assert "needs wavelength and efficiency" in text

    def test_reader_of_another_product(self, select):
        select.run(of=("allsky",))
        cut = select.folder / "cut.h5"
        shutil.copy(select.output, cut)
        import tables

        with tables.open_file(cut, "a") as h5file:
            h5file.remove_node("/calibpipe/atmosphere/observation_conditions/slices")
        with pytest.raises(CalibPipeError, match=r"lacks .*slices; make it again") as caught:
            read_observation_conditions(cut)
        assert caught.value.exit_code == CORRUPTED

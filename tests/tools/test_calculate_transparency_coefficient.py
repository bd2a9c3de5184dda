"""The Tool for the transparency coefficient: nights of known air, references, bad input."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table
from astropy.time import Time
from ctapipe.core import run_tool

from calibpipe.atmosphere.transparency import RateModel
from calibpipe.core.ctapipe_groups import DL1_TEL_MUON_THROUGHPUT_GROUP
from calibpipe.core.exceptions import CalibPipeError
from calibpipe.core.monitoring_file import DL1_CAMERA_COEFFICIENTS_GROUP
from calibpipe.core.products import ProductMetadata, read_table, write_table
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import write_telescope_tables
from calibpipe.simulation.trigger_rates import simulated_trigger_rates
from calibpipe.tools.calculate_transparency_coefficient import (
    CLEAR_NIGHT,
    KIND,
    CalculateTransparencyCoefficient,
)

NIGHT, CONFIGURATION, CORRUPTED, MISSING, FEW = "2024-07-10", 101, 104, 105, 106
TEL_IDS = np.arange(1, 5)
MODEL = RateModel(zenith_exponent=1.3)
RATE = [1500, 1400, 1300, 1200] * u.Hz
DEAD = 30 * u.us


class Array:
    """Rates of nights in a folder, and the Tool on them."""

    def __init__(self, root, folder):
        self.root, self.folder = root, folder

    def rates(self, night=NIGHT, air=1.0, *, n=12, seed=1, known=True, tel_ids=TEL_IDS, **more):
        """Write the rates of a night; throughputs and gains differ from night to night."""
        rng = np.random.default_rng(seed)
        n_tel = len(tel_ids)
        mu, g = (rng.uniform(0.85, 1.1, n_tel) for _ in range(2))
        begin = Time(f"{night}T22:00:00") + np.arange(n) * 20 * u.min
        table = simulated_trigger_rates(
            begin,
            20 * u.min,
            np.linspace(10, 50, n) * u.deg,
            np.broadcast_to(air, n),
            tel_ids,
            mu,
            g,
            RATE[:n_tel],
            MODEL,
            rng,
            DEAD,
        )
        if known:
            for name, value in (("throughput", mu), ("gain", g)):
                table[name] = np.tile(value, n)
                table[f"{name}_error"] = 0.01 * table[name]
        for name, value in more.items():
            table[name] = value(table)
        table.write(self.folder / f"rates_{night}.ecsv", overwrite=True)
        return mu, g

    def run(self, *options, night=NIGHT, dead=DEAD.value):
        output = self.folder / f"transparency_{night}.ecsv"
        argv = [f"--site={self.root}/config/sites/CTAO-North.yaml", f"--night={night}"]
        argv += [f"--config={self.root}/config/tools/calculate_transparency_coefficient.yaml"]
        argv += [f"--rates={self.folder}/rates_{night}.ecsv", f"--output={output}", "--overwrite"]
        argv += [f"--CalculateTransparencyCoefficient.dead_time_in_us={dead}"]
        tool = CalculateTransparencyCoefficient()
        run_tool(tool, argv=[*argv, *options], cwd=self.folder, raises=True)
        return read_table(output, KIND)

    def references(self, airs=(1.0,)):
        """Products of reference nights, and the options that name them."""
        options = []
        for k, air in enumerate(airs):
            night = f"2024-07-{k + 1:02d}"
            self.rates(night, air, seed=100 + k)
            self.run("--reference-night", night=night)
            options.append(f"--reference={self.folder}/transparency_{night}.ecsv")
        return options

    def refused(self, *options, **keys):
        with pytest.raises(CalibPipeError) as caught:
            self.run(*options, **keys)
        return caught.value.exit_code, str(caught.value)

    def product(self, name, kind, tel_id, group, table, **details):
        metadata = ProductMetadata(
            kind=kind,
            description="made for a test",
            site="CTAO-North",
            night=NIGHT,
            details={"tel_id": tel_id} | details,
        )
        path = self.folder / name
        write_telescope_tables(path, telescope_subarray(tel_id), tel_id, {group: table}, metadata)
        return path


@pytest.fixture
def array(root, tmp_path):
    return Array(root, tmp_path)


def own(table):
    return table.meta["calibpipe"]


class TestClosure:
    def test_known_air(self, array):
        """Other throughputs and gains than in the reference night, and less transparent air."""
        references = array.references()
        array.rates(air=0.85)
        table = array.run(*references)
        header = own(table)
        assert header["tel_ids"] == TEL_IDS.tolist()
        assert header["zenith_exponent_source"] == "reference nights"
        model = header["rate_model"]
        assert abs(model["zenith_exponent"] - 1.3) < 3.3 * model["zenith_exponent_error"]
        error = np.hypot(table["stat_error"], table["sys_error"])
        assert np.all(np.abs(table["transparency"] - 0.85) < 3.3 * error)
        # throughput and gain are exact here: what is left is statistics and the index
        by_index = 0.05 / 1.7 * 0.25
        assert np.all(np.abs(table["transparency"] - 0.85) < 3.3 * table["stat_error"] + by_index)
        assert table["is_good"].all()
        assert abs(header["transparency"] - 0.85) < 0.005
        assert 0.05 * 0.85 < header["sys_error"] < 0.06 * 0.85  # one reference: 5 % assumed
        names = {"log_light", "stat_error", "night_scatter", "nights", "common_error"}
        assert names <= set(header["normalisation"])
        assert header["normalisation"]["nights"] == ["2024-07-01"]

    def test_reference_night_has_a_mean_of_one(self, array):
        array.rates()
        table = array.run("--reference-night")
        assert own(table)["is_reference"]
        assert np.exp(np.mean(np.log(table["transparency"]))) == pytest.approx(1, abs=2e-3)

    def test_several_reference_nights(self, array):
        airs = (0.98, 1.02, 1.0, 1.03, 0.97)
        references = array.references(airs)
        array.rates(air=0.9)
        table = array.run(*references)
        scatter = own(table)["normalisation"]["night_scatter"]
        assert scatter == pytest.approx(np.std(np.log(airs), ddof=1), rel=0.05)
        assert own(table)["normalisation"]["common_error"] == pytest.approx(scatter / np.sqrt(5))
        assert own(table)["transparency"] == pytest.approx(0.9, abs=0.01)

    def test_clouds_are_not_good(self, array):
        references = array.references()
        air = np.where(np.arange(12) < 6, 1.0, 0.6)
        array.rates(air=air)
        table = array.run(*references)
        assert table["is_good"].tolist() == (air == 1).tolist()
        assert own(table)["n_good_slices"] == 6

    def test_excluded_and_absent_telescopes(self, array):
        """With three telescopes there is no reference: those slices have no value, and it shows."""
        references = array.references()
        array.rates(is_excluded=lambda t: (t["tel_id"] == 2) & (np.arange(len(t)) < 8))
        table = array.run(*references)
        assert own(table)["n_excluded_rows"] == 2
        assert own(table)["n_slices_without_reference"] == 2
        assert np.isnan(table["transparency"][:2]).all()
        assert np.isfinite(table["transparency"][2:]).all()
        assert not table["is_good"][:2].any()

    def test_live_fraction(self, array):
        references = array.references()
        array.rates()
        dead = own(array.run(*references))["transparency"]
        rates = QTable.read(array.folder / f"rates_{NIGHT}.ecsv")
        seen = np.asarray(rates["n_triggers"]) / 1200
        rates["live_fraction"] = 1 - seen * DEAD.to_value(u.s)
        rates.write(array.folder / f"rates_{NIGHT}.ecsv", overwrite=True)
        live = own(array.run(*references, dead=0))
        assert live["transparency"] == pytest.approx(dead, rel=1e-6)

    def test_muons_and_gains_from_products(self, array):
        references = array.references()
        mu, g = array.rates(air=0.9, known=False)
        options = []
        for k, tel_id in enumerate(TEL_IDS.tolist()):
            path = array.product(
                f"muon_{tel_id}.h5",
                "throughput/muon_throughput",
                tel_id,
                DL1_TEL_MUON_THROUGHPUT_GROUP,
                Table({"mean": [mu[k]]}),
                throughput=mu[k],
                stat_error=0.003,
                sys_error=0.004,
            )
            options.append(f"--muon={path}")
            gain = np.full((2, 2, 3), g[k])
            bad = np.zeros(gain.shape, bool)
            bad[0, 0, 0], gain[0, 0, 0] = True, 99.0
            gain[1] = 77.0  # not valid
            coefficients = Table({"is_valid": [True, False], "outlier_mask": bad, "gain": gain})
            coefficients["gain_sys_error"] = 0.02 * gain
            path = array.product(
                f"camera_{tel_id}.h5",
                "camera/coefficients",
                tel_id,
                DL1_CAMERA_COEFFICIENTS_GROUP,
                coefficients,
            )
            options.append(f"--coefficients={path}")
        table = array.run(*references, *options)
        assert table["throughput"][0] == pytest.approx(mu)
        assert table["throughput_error"][0] == pytest.approx(0.005)
        assert table["gain"][0] == pytest.approx(g)
        assert table["gain_error"][0] == pytest.approx(0.02 * g)
        assert own(table)["transparency"] == pytest.approx(0.9, abs=0.01)
        code, message = array.refused(*references, *options, options[0])
        assert code == CONFIGURATION
        assert "second product of telescope 1" in message
        code, message = array.refused(*references, *options[2:])
        assert code == CONFIGURATION
        assert "no throughput of telescope 1: give --muon" in message


class TestWrong:
    def test_no_reference(self, array):
        array.rates()
        code, message = array.refused()
        assert code == CONFIGURATION
        assert "needs --reference with products" in message

    def test_reference_of_another_site_or_array(self, array):
        references = array.references()
        array.rates(tel_ids=TEL_IDS[:2])
        code, message = array.refused(*references)
        assert code == FEW
        assert "as many telescopes ([2])" in message
        path = array.folder / "transparency_2024-07-01.ecsv"
        path.write_text(path.read_text().replace("site: CTAO-North", "site: CTAO-South"))
        code, message = array.refused(*references)
        assert code == CONFIGURATION
        assert "needs a reference night of CTAO-North" in message

    @pytest.mark.parametrize("clear", [True, False])
    def test_reference_has_to_be_clear(self, array, clear):
        array.rates()
        details = {"is_clear": clear, "reasons": {} if clear else {"aerosol": "too much"}}
        path = array.folder / "clear.ecsv"
        metadata = ProductMetadata(
            CLEAR_NIGHT, "made for a test", "CTAO-North", NIGHT, details=details
        )
        write_table(path, QTable({"vaod": [0.02]}), metadata)
        options = "--reference-night", f"--clear-night={path}"
        if clear:
            assert len(array.run(*options)) == 12
            return
        code, message = array.refused(*options)
        assert code == CONFIGURATION
        assert "not clear (aerosol)" in message

    def test_other_night(self, array):
        array.rates("2024-07-12")
        (array.folder / "rates_2024-07-12.ecsv").rename(array.folder / f"rates_{NIGHT}.ecsv")
        code, message = array.refused("--reference-night")
        assert code == MISSING
        assert "outside the night" in message

    @pytest.mark.parametrize(
        ("name", "value", "code", "message"),
        [
            ("n_triggers", lambda t: -t["n_triggers"], CORRUPTED, "negative"),
            ("zenith", lambda t: t["zenith"].value * u.K, CORRUPTED, "no unit of angle"),
            ("zenith", lambda t: t["zenith"] + 60 * u.deg, CORRUPTED, "below 90"),
            ("zenith", lambda t: t["zenith"] * t["tel_id"] / 4, CORRUPTED, "one field"),
            ("tel_id", lambda t: np.ones(len(t), int), CORRUPTED, "twice"),
            ("begin_utc", lambda t: t["end_utc"], CORRUPTED, "end before"),
            ("begin_utc", lambda t: ["soon"] * len(t), CORRUPTED, "is no time"),
            ("is_excluded", lambda t: np.ones(len(t), bool), MISSING, "no row"),
            ("live_fraction", lambda t: np.full(len(t), 1.5), CONFIGURATION, "at most 1"),
            ("throughput", lambda t: np.full(len(t), np.nan), CONFIGURATION, "no throughput"),
            ("n_triggers", lambda t: 0 * t["n_triggers"], FEW, "none of 48 rates"),
        ],
    )
    def test_rates(self, array, name, value, code, message):
        array.rates(**{name: value})
        found = array.refused("--reference-night")
        assert found[0] == code
        assert message in found[1]

    def test_file(self, array):
        code, message = array.refused("--reference-night")
        assert code == MISSING
        assert "give the trigger rates" in message
        QTable({"tel_id": [1]}).write(array.folder / f"rates_{NIGHT}.ecsv")
        code, message = array.refused("--reference-night")
        assert code == CORRUPTED
        assert "lacks the columns begin_utc" in message

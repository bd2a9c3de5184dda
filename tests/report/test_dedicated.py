"""Dedicated camera calibration on the page: steps, numbers, doubts, and what is absent."""

import re
import runpy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from report.made_camera import add_cameras, add_index
from report.made_dedicated import (
    DARK_PIXEL,
    EXCLUDED,
    OBS_IDS,
    PAIR,
    PIXELS,
    POOR_PIXEL,
    add_crosstalk,
    add_dedicated,
    add_exclusion,
    add_pedestal,
    add_spe,
    add_transfer,
    exclusion_tables,
    pair_table,
    pedestal_table,
    spe_tables,
    transfer_tables,
    write,
)
from report.made_night import MadeNight, failure, write_failure
from report.test_throughput import material

from calibpipe.camera.pixel_exclusion import ExclusionReason
from calibpipe.core.exceptions import ConfigurationError
from calibpipe.report.completeness import absent_products
from calibpipe.report.dedicated_agreement import METRICS
from calibpipe.report.dedicated_figures import MAPS
from calibpipe.report.dedicated_night import (
    DedicatedCamera,
    dedicated_cameras,
    dedicated_steps,
    gain_ratios,
)
from calibpipe.report.dedicated_numbers import camera_median, left_out_rows, numbers, overview
from calibpipe.report.dedicated_page import dedicated_facts
from calibpipe.report.dedicated_pedestal import (
    noise_figure,
    pedestal_left_out,
    pedestal_numbers,
)
from calibpipe.report.dedicated_remarks import dedicated_remarks
from calibpipe.report.dedicated_tiles import dedicated_tiles
from calibpipe.report.material import is_of_cameras
from calibpipe.report.night_page import night_facts, render
from calibpipe.tools.calculate_photon_transfer import KIND as TRANSFER
from calibpipe.tools.calculate_photon_transfer import PIXELS_GROUP, RATIO_GROUP

GOOD = ~np.isin(np.arange(PIXELS), [DARK_PIXEL, POOR_PIXEL])
N_EXCLUDED = len(EXCLUDED) + 1


@pytest.fixture(scope="module")
def set_night(tmp_path_factory, north):
    """One camera with all products; tests only read it."""
    night = MadeNight(tmp_path_factory.mktemp("dedicated") / "night", north)
    return add_dedicated(night)


@pytest.fixture(scope="module")
def found(set_night):
    return material(set_night)


@pytest.fixture(scope="module")
def facts(found):
    """With all figures."""
    return dedicated_facts(found)


def told(night, *more):
    return {
        title: (level, text) for level, title, text in dedicated_remarks(material(night, *more))
    }


def page(found):
    return render(night_facts(found, []), datetime(2024, 7, 12, tzinfo=UTC), "0")


def spe_gain():
    return spe_tables()[0]["gain"].value[GOOD]


def transfer_gain(channel):
    return transfer_tables()[PIXELS_GROUP]["gain"][0, channel]


def named(rows):
    return {row["name"]: row for row in rows}


def test_steps_come_in_the_order_of_need():
    folder = "LSTN-01/camera"
    names = ("excluded_pixels.h5", "crosstalk.h5", "pde.ecsv", "photon_transfer.h5")
    others = ("coefficients.OBSID1.h5", "pixel_statistics.OBSID101.h5")
    steps = dedicated_steps(
        [f"{folder}/{name}" for name in names + others], [f"{folder}/coefficients.OBSID1"]
    )
    transfer, crosstalk = f"{folder}/photon_transfer", f"{folder}/crosstalk"
    assert [(step.name, step.needs) for step in steps] == [
        (transfer, ()),
        (crosstalk, (transfer,)),
        (f"{folder}/pde", ()),
        (f"{folder}/excluded_pixels", (transfer, crosstalk, f"{folder}/coefficients.OBSID1")),
    ]
    assert steps[2].products == (f"{folder}/pde.ecsv",)
    assert not any(is_of_cameras(step.name) for step in steps)  # nor expects an index of DL0


@pytest.mark.parametrize(("spread", "ratio"), [(5.0, 1.0), (0.0, np.sqrt(3 / 4))])
def test_error_of_a_median_is_its_scatter(spread, ratio):
    """30 cameras measured 40 times; alike, the chances p are uniform: <p(1-p)> 1/6, not 1/4,
    and <phi> is 1/sqrt(4 pi), not 1/sqrt(2 pi)."""
    rng = np.random.default_rng(3)
    cameras = 100 + spread * rng.standard_normal((30, 1, 501))
    values = cameras + rng.standard_normal((30, 40, 501))
    errors = [
        [camera_median(value, np.ones(501), np.zeros(501))[1] for value in camera]
        for camera in values
    ]
    scatter = np.median(values, axis=2).var(axis=1, ddof=1).mean()
    assert np.sqrt(scatter / np.mean(np.square(errors))) == pytest.approx(ratio, abs=0.06)


def test_numbers_are_those_of_the_products(found):
    (camera,) = dedicated_cameras(found)
    rows = named(numbers(camera))
    gain = np.median(spe_gain())
    of_spe = rows["Gain from single photoelectrons"]
    assert float(of_spe["value"]) == pytest.approx(gain, abs=float(of_spe["stat"]))
    assert of_spe["notes"][0] == f"{PIXELS - 2} of {PIXELS} pixels"
    for channel, name in enumerate(("high gain", "low gain")):
        row = rows[f"Gain from photon transfer, {name}"]
        middle = np.nanmedian(transfer_gain(channel))
        assert float(row["value"]) == pytest.approx(middle, abs=float(row["stat"]))
        assert row["notes"][0] == f"{PIXELS - 1} of {PIXELS} pixels"
    ratio = np.median(transfer_tables()[RATIO_GROUP]["ratio"])
    assert float(rows["High gain / low gain"]["value"]) == pytest.approx(ratio, rel=1e-4)
    crosstalk = rows["Cross-talk"]
    assert float(crosstalk["value"]) == pytest.approx(100 * PAIR, abs=1e-3)
    assert float(crosstalk["stat"]) == pytest.approx(0.1 / np.sqrt(len(pair_table())), rel=0.05)
    assert float(crosstalk["sys"]) == pytest.approx(0.05, abs=1e-3)
    efficiency = rows["Largest photon detection efficiency"]
    assert (efficiency["value"], efficiency["total"]) == ("38.0", "1.5")
    assert efficiency["notes"] == ["at 400 nm", "Laboratory, batch 12, 2015-03-01"]
    assert (rows["Excluded pixels"]["value"], rows["Excluded pixels"]["unit"]) == (
        str(N_EXCLUDED),
        f"of {PIXELS}",
    )
    assert rows["Excluded pixels"]["notes"][1] == "1 excluded by operators"


def test_numbers_of_the_pedestal(found):
    """Medians of pixels that differ by ±2 %; 2 % of error each."""
    (camera,) = dedicated_cameras(found)
    rows = named(pedestal_numbers(camera))
    known = {
        "Baseline, high gain": (400, "ADC"),
        "Pedestal rms, closed camera, high gain": (17, "ADC"),
        "Pedestal rms, night sky, high gain": (170, "ADC"),
        "Night sky, high gain": (0.25, "p.e./ns"),
        "Baseline, low gain": (350, "ADC"),
        "Pedestal rms, closed camera, low gain": (5, "ADC"),
    }
    for name, (value, unit) in known.items():
        assert float(rows[name]["value"]) == pytest.approx(value, rel=0.002)
        assert rows[name]["unit"] == unit
    notes = rows["Baseline, high gain"]["notes"]
    assert notes == [f"{PIXELS - 1} of {PIXELS} pixels", "per sample"]
    notes = rows["Pedestal rms, closed camera, high gain"]["notes"]
    assert notes == ["in the window", "samples 4.86 ADC", "pixels scatter by 1.8 %"]
    assert float(rows["Pedestal rms, closed camera, high gain"]["sys"]) == pytest.approx(0.01)
    (row,) = pedestal_left_out(camera)
    assert (row["reason"], row["pixels"]) == ("no noise: off, or stuck", "1 / 1")


def test_set_of_a_pedestal_alone(made_night):
    """No gain, no drift of one chunk: no rate, no systematic error, and the page says so."""
    remark = "no rate of the night sky: no gain is known"
    add_pedestal(made_night, table=pedestal_table(drift=np.nan, rate=np.nan), remarks=[remark])
    night = material(made_night)
    facts = dedicated_facts(night)
    (row,) = facts["rows"]
    assert float(row["pedestal"]["value"]) == pytest.approx(17, rel=0.01)
    assert row["pedestal"]["sys"] == "–"
    assert row["status"] == "complete"  # what is only noted stands above the page
    assert f"LSTN-01: pedestal: {remark}" in [title for _, title, _ in dedicated_remarks(night)]
    assert facts["verdict"]["sentence"] == "calibration set of LSTN-01"
    (camera,) = facts["cameras"]
    assert camera["runs"] == "Pedestal: observations 101 and 102."
    titles = [figure["title"] for figure in camera["figures"]]
    assert titles == ["Noise of the pedestal", "Baseline of the closed camera"]
    assert "Night sky, high gain" not in named(camera["numbers"])
    (tile,) = dedicated_tiles(night)
    assert (tile["name"], tile["unit"]) == ("Pedestal rms of LSTN-01", "ADC")
    assert tile["notes"][1] == "night sky not known"


def test_pedestal_without_sky_is_drawn_without_it():
    dark = np.array([[16.0, 17, 18, np.nan]])
    (axes,) = noise_figure({"dark": dark, "sky": np.full((1, 4), np.nan)}).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["closed camera"]
    (line,) = axes.patches
    assert np.max(line.get_xy()[:, 1]) == 1


def test_table_of_all_cameras(set_night, found):
    (row,) = overview(found, [])
    assert (row["state"], row["status"]) == ("good", "complete")
    assert row["excluded"] == f"{N_EXCLUDED} of {PIXELS}"
    assert float(row["crosstalk"]["value"]) == pytest.approx(100 * PAIR, abs=1e-3)
    assert float(row["spe"]["value"]) == pytest.approx(np.median(spe_gain()), rel=1e-3)
    assert float(row["transfer"]["value"]) == pytest.approx(
        np.nanmedian(transfer_gain(0)), rel=1e-3
    )


def test_tiles_name_gain_and_excluded_pixels(found):
    gain, excluded = dedicated_tiles(found)
    assert gain["name"] == "Gain of LSTN-01, dedicated runs"
    assert float(gain["value"]) == pytest.approx(np.nanmedian(transfer_gain(0)), rel=1e-3)
    assert any(note.startswith("single photoelectrons ") for note in gain["notes"])
    assert (excluded["value"], excluded["unit"]) == (str(N_EXCLUDED), f"of {PIXELS}")


def test_many_cameras_share_a_tile(made_night, monkeypatch):
    add_crosstalk(made_night, 1)
    add_transfer(made_night, 2)
    night = material(made_night)
    one, two = dedicated_tiles(night)
    assert (one["value"], one["notes"]) == ("–", ["no pixel has a gain"])
    monkeypatch.setattr("calibpipe.report.dedicated_tiles.MAX_TILES", 1)
    (tile,) = dedicated_tiles(night)
    assert tile["name"] == "Gain of LSTN cameras, dedicated runs, median"
    assert (tile["value"], tile["notes"][0]) == (two["value"], "1 of 2 cameras")


def test_faults_are_counted_by_reason(found):
    (camera,) = dedicated_cameras(found)
    rows = {(row["product"], row["reason"]): row["pixels"] for row in left_out_rows(camera)}
    assert rows["single photoelectrons", "the model does not describe the spectrum"] == "1"
    assert rows["photon transfer", "no light"] == "1 / 1"
    assert rows["excluded pixels", "operator"] == "1"
    assert rows["excluded pixels", "statistics"] == "1"
    assert ("excluded pixels", "linearity") not in rows  # seen once: not excluded


def test_section_has_every_figure(facts):
    (camera,) = facts["cameras"]
    parts = [figure["name"].removeprefix("dedicated-LSTN-01-") for figure in camera["figures"]]
    spectra = ["typical", "typical-high", "best", "worst", "worst-high"]
    assert parts == [
        *(f"spectrum-{name}" for name in spectra),
        *("spe-gain", "spe-resolution", "spe-chances", "spe-gains"),
        *("transfer", "linearity", "transfer-gain", "ratio-map", "ratio", "gains"),
        *("pedestal-noise", "pedestal-map", "nsb-map"),
        *("crosstalk-pairs", "crosstalk-map", "efficiency", "excluded", "excluded-nights"),
    ]
    assert set(MAPS) - {"drs4-baseline"} < set(parts)
    assert camera["runs"].startswith("Single photoelectrons: observations 101 and 110; ")
    assert f"{OBS_IDS[-2]} and {OBS_IDS[-1]}" in camera["runs"]
    assert (facts["verdict"]["level"], facts["verdict"]["word"]) == ("complete", "Good")


def test_figures_are_small_and_have_units(facts):
    for figure in facts["cameras"][0]["figures"]:
        assert len(re.findall("<(?:path|use|image)", figure["svg"])) < 1000
        assert len(figure["svg"]) < 200_000
        assert "Good:" in figure["caption"] or "spectrum" in figure["name"]
        known = ("ADC", "p.e.", "%", "nm", "resolution", "p-value", "night", "gain", "statistics")
        assert any(unit in figure["svg"] for unit in known)


def test_captions_tell_the_pixels_own_numbers(facts):
    captions = {figure["name"][len("dedicated-LSTN-01-") :]: figure["caption"]
                for figure in facts["cameras"][0]["figures"]}  # fmt: skip
    assert captions["spectrum-worst"].startswith(f"Pixel {POOR_PIXEL}: χ² 10000 for ")
    pixel = int(re.match(r"Pixel (\d+),", captions["transfer"])[1])
    gain = transfer_gain(0)[pixel]
    assert f"high gain: g {gain:.4g} ± " in captions["transfer"]


def test_page_has_the_section(found, facts, monkeypatch):
    monkeypatch.setattr("calibpipe.report.night_page.dedicated_facts", lambda _: facts)
    html = page(found)
    assert "<h2>Dedicated camera calibration</h2>" in html
    assert 'href="#dedicated-LSTN-01"' in html
    assert html.count('<figure id="dedicated-LSTN-01-') == 23
    assert 'href="../LSTN-01/camera/pde.ecsv"' in html


def test_nothing_is_said_without_products(made_night):
    assert dedicated_facts(material(made_night)) is None
    assert dedicated_tiles(material(made_night)) == []


def test_night_without_a_set_says_so(made_night):
    add_exclusion(made_night)
    found = material(made_night)
    facts = dedicated_facts(found)
    assert facts["verdict"]["word"] == "Not calibrated anew"
    assert facts["verdict"]["sentence"].startswith("no calibration set this night; excluded pixels")
    assert facts["rows"][0]["status"] == "no calibration set this night"
    assert [f["title"] for f in facts["cameras"][0]["figures"]] == [
        "Excluded pixels by reason",
        "Excluded pixels over the nights",
    ]
    assert [tile["name"] for tile in dedicated_tiles(found)] == ["Excluded pixels"]


def test_expected_product_is_missed(made_night):
    add_crosstalk(made_night)
    path = made_night.folder / "LSTN-01/camera/photon_transfer.h5"
    found = material(made_night, f"--dedicated={path}")
    absent = {entry["path"]: entry["reason"] for entry in absent_products(found)}
    assert absent["LSTN-01/camera/photon_transfer.h5"].startswith("not made")
    (row,) = dedicated_facts(found)["rows"]
    assert row["state"] == "bad"
    assert row["status"].startswith("photon transfer: not made")


def test_expected_product_of_another_night_is_refused(made_night):
    with pytest.raises(ConfigurationError, match="not in the folder of the night"):
        material(made_night, "--dedicated=elsewhere/LSTN-01/camera/crosstalk.h5")


def test_failed_step_is_told(made_night):
    add_crosstalk(made_night)
    logs = made_night.folder.parent / "logs"
    write_failure(logs, failure("LSTN-01/camera/photon_transfer"))
    found = material(made_night)
    assert [record["step"] for record in found.failures] == ["LSTN-01/camera/photon_transfer"]
    (row,) = overview(found, [])
    assert row["status"] == "photon transfer: its step failed, see above"
    assert found.camera_steps == ()  # ordinary coefficients are not expected because of it


def test_what_waits_for_statistics_of_a_run_says_so(made_night):
    logs = made_night.folder.parent / "logs"
    step = "LSTN-01/camera/run_statistics.OBSID104"
    write_failure(logs, failure(step, message="no light in observation 104"))
    path = made_night.folder / "LSTN-01/camera/photon_transfer.h5"
    found = material(made_night, f"--dedicated={path}")
    (row,) = dedicated_facts(found)["rows"]
    assert row["status"] == f"photon transfer: not made, because it needs {step}, which failed"
    assert [record["message"] for record in found.failures] == ["no light in observation 104"]


def test_incomplete_product_is_not_used(made_night):
    add_crosstalk(made_night)
    write(made_night, TRANSFER, "photon_transfer", transfer_tables(), status="no light in any run")
    found = material(made_night)
    facts = dedicated_facts(found)
    (row,) = facts["rows"]
    assert row["state"] == "bad"
    assert "no light in any run" in row["status"]
    assert row["transfer"]["value"] == "–"
    assert facts["verdict"]["level"] == "failed"
    assert [figure["title"] for figure in facts["cameras"][0]["figures"]] == [
        "Cross-talk of pairs of neighbours",
        "Cross-talk to all neighbours",
    ]


def test_broken_file_is_not_used(made_night):
    path = made_night.folder / "LSTN-01/camera/single_photoelectron.h5"
    path.parent.mkdir(parents=True)
    path.write_text("nothing")
    facts = dedicated_facts(material(made_night))
    assert "is no product of CalibPipe" in facts["rows"][0]["status"]
    assert facts["cameras"] == []


def test_runs_of_a_set_are_not_expected_of_ordinary_calibration(made_night):
    add_index(made_night, (1,))
    steps = [step.name for step in material(made_night).camera_steps]
    assert "LSTN-01/camera/coefficients.OBSID1" in steps
    steps = [s.name for s in material(made_night, "--calibration-runs=1", "--pointing").all_steps]
    assert not any("OBSID1" in step for step in steps)


def test_verdict_that_failed_is_bad(set_night, found):
    product = {"kind": TRANSFER, "array_element": "LSTN-01", "block": "", "id": ""}
    failed = {"content": {"product": product, "verdict": "FAIL", "because": []}}
    failed["content"]["criteria"] = []
    (row,) = overview(replace(found, verdicts=[failed]), [])
    assert (row["state"], row["status"]) == ("bad", "photon transfer failed verification")


def record(result="PASS", median=1.01, path="run/CTAO-North/C/2024-06-12/a1/transfer.h5", **more):
    """Verification of coefficients against a certified photon transfer."""
    entry = {
        "id": "CAM-41",
        "mode": "dedicated",
        "metric": "gain_to_transfer",
        "unit": "",
        "limits": [0.95, 1.05],
        "informative": False,
        "result": result,
        "median": median,
        "n_elements": 2,
        "n_failing": int(result == "FAIL"),
    }
    product = {"kind": "camera/coefficients", "array_element": "LSTN-01", "block": "OBSID1"}
    content = {
        "product": product | {"id": "p"},
        "verdict": "FAIL" if result == "FAIL" else "PASS",
        "because": ["gain_to_transfer"],
        "criteria": [entry | more],
    }
    inputs = [{"role": "certified camera/photon_transfer", "path": path, "sha256": "0"}]
    return {"calibpipe": {"inputs": inputs}, "content": content}


def test_night_is_held_against_certified_sets(made_night):
    """Without any product of this night, too."""
    night = replace(material(made_night), verdicts=[record(), record(result="NOT APPLICABLE")])
    facts = dedicated_facts(night)
    (row,) = facts["agreement"]
    assert (row["name"], row["what"]) == ("LSTN-01 OBSID1", METRICS["gain_to_transfer"])
    assert (row["median"], row["limits"], row["state"]) == ("1.01", "0.95 to 1.05", "good")
    assert facts["verdict"]["sentence"] == (
        "no calibration set this night; as the last certified sets"
    )
    html = page(night)
    assert "The night against the last certified sets" in html
    assert "<td>gain over that of photon transfer</td>" in html
    bad = dedicated_facts(replace(night, verdicts=[record("FAIL", 1.2)]))
    assert (bad["agreement"][0]["outside"], bad["verdict"]["level"]) == ("1 of 2", "failed")
    assert bad["verdict"]["sentence"].endswith("look at LSTN-01 OBSID1")
    noise = record("FAIL", None, informative=True, limits=[0.9, 1e6], unit="noise")
    (row,) = dedicated_facts(replace(night, verdicts=[noise]))["agreement"]
    assert (row["median"], row["limits"], row["state"]) == ("–", "above 0.9 noise", "warning")


def test_last_certified_set_is_named(made_night):
    add_exclusion(made_night)
    night = replace(material(made_night), verdicts=[record()])
    (row,) = overview(night, [])
    assert row["status"] == (
        "no calibration set this night; compared with certified photon transfer of 2024-06-12"
    )
    (row,) = overview(replace(night, verdicts=[record(path="transfer.h5")]), [])
    assert row["status"].endswith("compared with certified photon transfer")


def test_no_doubt_about_a_good_set(set_night):
    assert told(set_night) == {}


def test_gains_that_disagree_are_doubted(found, monkeypatch):
    """Coefficients with 50 ADC/p.e. for 60."""
    monkeypatch.setattr(DedicatedCamera, "ffactor_gain", lambda _: np.full((2, PIXELS), 50.0))
    (camera,) = dedicated_cameras(found)
    ratios = gain_ratios(camera)
    assert list(ratios) == [
        "photon transfer / single photoelectrons",
        "photon transfer / F-factor",
        "single photoelectrons / F-factor",
    ]
    assert np.isnan(ratios["photon transfer / F-factor"][DARK_PIXEL])
    pixel = 20
    gain, spe = transfer_gain(0)[pixel], spe_tables()[0]["gain"].value[pixel]
    assert [values[pixel] for values in ratios.values()] == pytest.approx(
        [gain / spe, gain / 50, spe / 50]
    )
    off = 100 * (np.nanmedian(transfer_gain(0)) / 50 - 1)
    titles = [title for _, title, _ in dedicated_remarks(found)]
    assert f"LSTN-01: gains differ by +{off:.1f} % (photon transfer / F-factor)" in titles
    assert len(titles) == 2


def test_much_is_doubted(made_night):
    add_crosstalk(made_night, table=pair_table(0.012))
    many = dict.fromkeys(range(100, 250), ExclusionReason.STATISTICS)
    add_exclusion(made_night, tables=exclusion_tables(many), remarks=["no history"])
    found = told(made_night)
    assert found.pop("LSTN-01: mean cross-talk 1.2 %")[0] == "warning"
    assert found.pop(f"LSTN-01: 151 of {PIXELS} pixels excluded")[0] == "warning"
    assert found.pop("LSTN-01: excluded pixels: no history")[0] == "note"
    assert not found
    assert dedicated_facts(material(made_night))["verdict"]["word"] == "In doubt"


def test_poor_fits_are_doubted(made_night, monkeypatch):
    add_spe(made_night)
    assert not told(made_night)
    monkeypatch.setattr("calibpipe.report.dedicated_remarks.POOR", 0.5 / PIXELS)
    (title,) = told(made_night)
    assert title == f"LSTN-01: 1 of {PIXELS} spectra of photoelectrons are fitted poorly"


def test_script_of_the_rule_names_dedicated_products_and_runs(root, monkeypatch):
    given = {}
    monkeypatch.setattr(
        "calibpipe.tools.step.run_step", lambda *_, **options: given.update(options)
    )
    io = pytest.importorskip("snakemake.iocontainers")

    script = Path(root) / "scripts/night_report.py"
    others = dict.fromkeys(re.findall(r"snakemake\.params\.(\w+)", script.read_text()), "")

    class Rule:
        input = io.InputFiles(
            fromdict={"site": "s.yaml", "dedicated": ["a.h5"], "excluded_pixels": ["b.h5"]}
        )
        output = io.OutputFiles(fromdict={"product": "index.html"})
        params = io.Params(fromdict=others | {"calibration_runs": [101, 102]})
        wildcards = io.Wildcards(fromdict={"night": "2024-07-10", "category": "C"})

    runpy.run_path(str(script), {"snakemake": Rule})
    assert given["dedicated"] == ["a.h5", "b.h5"]
    assert given["calibration_runs"] == [101, 102]


def test_coefficients_of_the_night_are_those_of_the_telescope(made_night):
    """Gains with 2 % drift: median over the valid rows, and over observations."""
    add_exclusion(made_night, 2)
    add_cameras(made_night, (1, 2))
    (camera,) = dedicated_cameras(material(made_night))
    (product,) = camera.coefficients
    assert product.facts["array_element"] == "LSTN-02"
    assert np.nanmedian(camera.ffactor_gain()[0]) == pytest.approx(58 * 1.01, rel=0.01)

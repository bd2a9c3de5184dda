"""Optical throughput on the page: steps, numbers, figures, doubts, and what is absent."""

import re

import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time
from report.made_camera import add_index
from report.made_muons import (
    N_IMAGES,
    N_RINGS,
    add_muons,
    add_psf,
    add_rings,
    add_throughput,
    example,
    profile,
    psf,
    sectors,
    throughputs,
)
from report.made_night import failure, write_failure

from calibpipe.core.telescope import telescope_subarray
from calibpipe.report.completeness import absent_products
from calibpipe.report.material import camera_steps, throughput_steps
from calibpipe.report.night_page import night_facts
from calibpipe.report.throughput_figures import (
    NightValue,
    rejection_figure,
    residual_figure,
    ring_figure,
    sector_figure,
    throughput_figure,
    trend_figure,
    width_figure,
)
from calibpipe.report.throughput_numbers import (
    corrections,
    overview,
    rejections,
    telescopes,
    throughput_remarks,
    throughput_tiles,
)
from calibpipe.tools.create_night_report import CreateNightReport


def material(night, *more):
    """As the Tool collects it."""
    from tools.test_create_night_report import options

    tool = CreateNightReport()
    tool.initialize([*options(night, *more), "--overwrite"])
    return tool.material()


def remarks(night, *more):
    return {
        title: (level, text) for level, title, text in throughput_remarks(material(night, *more))
    }


def test_steps_come_in_the_order_of_need():
    cameras = [step.name for step in camera_steps([("LSTN-01", 7)])]
    steps = throughput_steps({"LSTN-01": ["OBSID7", "OBSID8"]}, cameras)
    model = "atmosphere/atmospheric_model"
    rings = tuple(f"LSTN-01/throughput/muon_rings.OBSID{n}" for n in (7, 8))
    assert [(step.name, step.needs) for step in steps] == [
        (rings[0], (model, "LSTN-01/camera/coefficients.OBSID7")),
        (rings[1], (model,)),
        ("LSTN-01/throughput/muon_throughput", (model, *rings)),
        ("LSTN-01/throughput/muon_psf", (model, *rings)),
    ]
    assert steps[0].products == ("LSTN-01/throughput/muon_rings.OBSID7.h5",)


def test_known_numbers_are_in_the_table(made_night):
    (row,) = overview(material(add_muons(made_night)))
    assert row["throughput"] == {"value": "0.20000", "stat": "0.00040", "sys": "0.00500"}
    assert row["ctapipe"] == "0.18500"
    assert row["rings"] == f"{N_RINGS} of {N_IMAGES}"
    assert row["psf"] == {"value": "0.03000", "stat": "0.00030", "sys": "0.00120"}
    assert row["theta80"] == {"value": "0.05382", "stat": "0.00054", "sys": "0.00215"}
    assert (row["state"], row["status"]) == ("good", "complete")


def test_tiles_name_each_telescope_or_their_median(made_night):
    for tel_id, value in enumerate((0.2, 0.21, 0.19), start=1):
        add_throughput(made_night, tel_id, value)
    found = throughput_tiles(material(made_night))
    assert [tile["name"] for tile in found] == [f"Throughput of LSTN-0{k}" for k in (1, 2, 3)]
    assert [tile["value"] for tile in found] == ["0.20000", "0.21000", "0.19000"]
    assert found[0]["notes"] == ["400 muon rings"]


def test_many_telescopes_share_a_tile(made_night, monkeypatch):
    monkeypatch.setattr("calibpipe.report.throughput_numbers.MAX_TILES", 2)
    for tel_id, value in enumerate((0.2, 0.21, 0.19), start=1):
        add_throughput(made_night, tel_id, value)
    (tile,) = throughput_tiles(material(made_night))
    assert (tile["name"], tile["value"]) == ("Throughput, median of LSTN", "0.20000")
    assert "lowest LSTN-03 0.1900, highest LSTN-02 0.2100" in tile["notes"]


def test_corrections_multiply_what_is_applied(made_night):
    add_throughput(made_night)
    rows = corrections(telescopes(material(made_night))[0])
    assert [row["factor"] for row in rows] == ["1.0200", "0.9900", "1.1000", "1.0098"]
    assert rows[2]["applied"] == "not applied"
    assert rows[-1]["error"] == f"{100 * np.sqrt(0.015**2 + 0.02**2 + 0.01**2):.2f} %"


def test_reasons_are_in_words_with_their_cuts(made_night):
    add_rings(made_night)
    assert [(text.replace("\N{NO-BREAK SPACE}", " "), n) for text, n in rejections(
        telescopes(material(made_night))[0]
    )] == [
        ("an arc: light on less than 50 %", 380),
        ("impact not 0.1 to 0.9 mirror radii", 150),
        ("fewer than 50 pixels on the ring", 7),
    ]  # fmt: skip


def test_page_with_two_telescopes(made_night):
    from tools.test_create_night_report import report, status

    add_muons(made_night.make(), (1, 2))
    html = report(made_night)
    assert status(html) == (
        "Complete",
        "14 products; the optical depth closes; reference model intermediate, by density; "
        "2 optical throughputs from muon rings.",
    )
    assert len(html.encode()) < 2e6
    for name in ("ring", "residual", "night", "widths", "sectors", "rejected"):
        assert html.count(f'<figure id="throughput-LSTN-02-{name}"') == 1
    identifiers = re.findall(r'\bid="([^"]*)"', html)
    assert len(set(identifiers)) == len(identifiers)
    assert "masts &amp; cables" in html
    assert "Event 77 of observation 1" in html
    assert "σ = 0.03000° ± 0.00030 (stat) ± 0.00120 (sys)" in html
    assert "impact 5.0 m" in html
    assert "<script" not in html


def test_night_without_muons_has_no_section(made_night):
    found = material(made_night)
    assert not found.throughput_steps
    assert night_facts(found, [])["throughput"] is None
    assert throughput_tiles(found) == []


def test_rings_are_missed_only_if_expected(made_night):
    add_index(made_night.make(), telescopes=(1,))
    assert not [e for e in absent_products(material(made_night)) if "throughput" in e["path"]]
    expected = material(made_night, "--throughput")
    lacking = {e["path"]: e["reason"] for e in absent_products(expected) if "/muon_" in e["path"]}
    assert [path.split("/")[-1] for path in lacking] == [
        "muon_rings.OBSID1.h5", "muon_throughput.h5", "muon_psf.h5",
    ]  # fmt: skip
    reason = lacking["LSTN-01/throughput/muon_psf.h5"]
    assert reason.startswith("not made, because it needs LSTN-01/camera/pixel_statistics.OBSID1")
    assert reason.endswith("and LSTN-01/throughput/muon_rings.OBSID1, which is absent, too")


def test_rings_expected_of_no_telescope_need_the_index(made_night):
    found = material(made_night, "--throughput")
    assert [step.name for step in found.camera_steps] == ["array/dl0_index"]
    assert found.throughput_steps == ()


@pytest.mark.parametrize("kind", ["muon_rings.OBSID1", "muon_throughput", "muon_psf"])
def test_failed_step_is_told_and_the_rest_is_shown(made_night, kind):
    add_muons(made_night)
    step = f"LSTN-01/throughput/{kind}"
    (made_night.folder / f"{step}.h5").unlink()
    write_failure(made_night.folder.parent / "logs", failure(step))
    found = material(made_night)
    assert [record["step"] for record in found.failures] == [step]
    (row,) = overview(found)
    assert row["state"] == "bad"
    assert f"{kind}: its step failed, see above" in row["status"]
    (shown,) = night_facts(found, [])["throughput"]["telescopes"]
    parts = {figure["name"].rsplit("-", 1)[1] for figure in shown["figures"]}
    lost = {"muon_rings.OBSID1": {"ring", "residual"}, "muon_throughput": {"night"}}
    everything = {"ring", "residual", "night", "widths", "sectors", "rejected"}
    assert parts == everything - lost.get(kind, {"widths", "sectors"})


def test_failure_alone_makes_the_telescope_known(made_night):
    write_failure(
        made_night.folder.parent / "logs", failure("LSTN-03/throughput/muon_rings.OBSID2")
    )
    facts = night_facts(material(made_night), [])
    assert [row["name"] for row in facts["throughput"]["rows"]] == ["LSTN-03"]
    assert facts["throughput"]["telescopes"] == []
    assert facts["key_numbers"][-1]["notes"] == ["needs muon_throughput"]


def test_damaged_product_is_named(made_night):
    add_muons(made_night)
    (made_night.folder / "LSTN-01/throughput/muon_psf.h5").write_bytes(b"no HDF5")
    (row,) = overview(material(made_night))
    assert "is no product of CalibPipe" in row["status"]


def test_product_without_its_tables_is_named(made_night):
    import tables

    add_throughput(made_night)
    path = made_night.folder / "LSTN-01/throughput/muon_throughput.h5"
    with tables.open_file(path, "a") as h5file:
        h5file.remove_node("/calibpipe/throughput/muon_corrections", recursive=True)
    (row,) = overview(material(made_night))
    assert "holds no throughput/muon_throughput" in row["status"]


def test_block_without_muons(made_night):
    add_rings(made_night, is_empty=True, remarks=["no MUON events"])
    found = remarks(made_night)
    assert found["LSTN-01: only 0 muon rings"][0] == "warning"
    assert found["LSTN-01: no MUON events"][0] == "note"
    (shown,) = night_facts(material(made_night), [])["throughput"]["telescopes"]
    assert shown["figures"] == []


def test_good_night_has_no_remark(made_night):
    assert remarks(add_muons(made_night)) == {}


def test_few_rings(made_night):
    add_rings(made_night)
    add_throughput(made_night, n_rings=57)
    level, text = remarks(made_night)["LSTN-01: only 57 muon rings"]
    assert level == "warning"
    assert "Of 800 images (limit 100 rings). Most were rejected for: an arc" in text
    assert remarks(made_night, "--CreateNightReport.min_rings=50") == {}


def test_large_systematic_error(made_night):
    add_throughput(made_night, sys=0.0102)
    level, text = remarks(made_night)["LSTN-01: systematic error of the throughput 5.1 %"]
    assert level == "warning"
    assert "mirror shape (2.0 %) and camera gain (1.5 %)" in text


def test_misaligned_sectors(made_night):
    add_psf(made_night, misaligned=(3, 4))
    level, text = remarks(made_night)["LSTN-01: 2 mirror sectors misaligned"]
    assert level == "warning"
    assert "90 to 120° (+10.0 ± 1.0 mdeg) and 120 to 150°" in text


def test_sectors_not_told(made_night):
    add_psf(made_night, has_sectors=False, remarks=["mirror sectors not told: too few rings"])
    assert list(remarks(made_night)) == ["LSTN-01: mirror sectors not told: too few rings"]
    (shown,) = night_facts(material(made_night), [])["throughput"]["telescopes"]
    assert [figure["title"] for figure in shown["figures"]] == ["Widths of the rings"]


def test_equivalent_focal_length_is_told_once(made_night):
    told = "effective focal length not known: the equivalent one was used"
    add_rings(made_night, focal_length="equivalent", remarks=[told])
    found = remarks(made_night)
    assert list(found) == ["LSTN-01: angles follow from the equivalent focal length"]


def test_point_spread_function_is_only_a_limit(made_night):
    add_psf(
        made_night, is_limit=True, remarks=["the rings are no wider than scattering makes them"]
    )
    found = remarks(made_night)
    assert list(found) == ["LSTN-01: the point spread function is only a limit"]
    assert found.popitem()[1][1].startswith("σ below 0.021° (95 %): the rings are no wider")
    (row,) = overview(material(made_night))
    assert row["psf"]["value"] == "< 0.021"
    assert row["theta80"]["value"] == "–"


def test_telescope_off_the_others(made_night):
    for tel_id, value in enumerate((0.2, 0.202, 0.17), start=1):
        add_throughput(made_night, tel_id, value)
    assert list(remarks(made_night)) == ["LSTN-03: throughput 15 % below the other telescopes"]
    option = "--CreateNightReport.throughput_difference_limit_in_percent=16"
    assert remarks(made_night, option) == {}


def test_of_two_telescopes_nobody_knows_which(made_night):
    add_throughput(made_night, 1, 0.2)
    add_throughput(made_night, 2, 0.16)
    assert list(remarks(made_night)) == ["LSTN-01 and LSTN-02: throughputs differ by 22 %"]


def test_ring_has_its_circle_and_its_impact_point():
    subarray = telescope_subarray(1)
    geometry = subarray.tel[1].camera.geometry
    axes = ring_figure(example(subarray, 1), geometry, 10.0).axes[0]
    circle = axes.patches[-1]
    assert circle.center == pytest.approx((0.3, -0.2))
    assert circle.radius == pytest.approx(1.1)
    arrow = next(text for text in axes.texts if getattr(text, "arrow_patch", None))
    # half the mirror's radius away, in the direction (3, 4)
    assert arrow.xy == pytest.approx((0.3 + 1.1 * 0.3, -0.2 + 1.1 * 0.4))
    assert np.ma.count_masked(axes.collections[0].get_array()) == 2


def test_residual_is_symmetric_about_nothing():
    subarray = telescope_subarray(1)
    table = example(subarray, 1)
    pixels = residual_figure(table, subarray.tel[1].camera.geometry).axes[0].collections[0]
    low, high = pixels.get_clim()
    assert low == -high
    expected = (table["image"] - table["expected"])[0]
    assert pixels.get_array()[10] == pytest.approx(expected[10])


def test_mean_bands_and_chunks():
    chunks, night = throughputs(0.2, 0.005, 3), throughputs(0.2, 0.005, 1)
    axes = throughput_figure(chunks, night).axes[0]
    bands = [(p.get_y(), p.get_y() + p.get_height()) for p in axes.patches]
    whole = np.hypot(0.0004, 0.005)
    assert bands == [
        pytest.approx((0.2 - whole, 0.2 + whole)),
        pytest.approx((0.1996, 0.2004)),
    ]
    points = axes.containers[0].lines[0].get_ydata()
    assert points == pytest.approx([0.199, 0.2, 0.201])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "night", "ctapipe", "chunk",
    ]  # fmt: skip


def test_parts_of_the_width_add_up():
    axes = width_figure(Table(profile()), Table(psf(is_limit=False))).axes[0]
    total = axes.lines[0].get_ydata()
    assert len(total) == 9  # a bin has no rings
    assert total == pytest.approx(1e3 * profile()["squared_width"].value[1:])


def test_optics_of_a_limit_has_no_negative_area():
    axes = width_figure(Table(profile()), Table(psf(is_limit=True))).axes[0]
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert np.all(heights == 0)


def test_significant_sectors_are_marked():
    axes = sector_figure(Table(sectors((3,)))).axes[0]
    aligned, significant = axes.containers
    assert significant.lines[0].get_xdata() == pytest.approx([105])
    assert significant.lines[0].get_ydata() == pytest.approx([10])
    assert len(aligned.lines[0].get_xdata()) == 11


def test_bars_count_images():
    axes = rejection_figure([("an arc", 380), ("impact", 150)], 800).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [380, 150]
    assert axes.get_xlim() == (0, 800)


def test_trend_is_in_the_order_of_time_without_what_is_unknown():
    days = [Time(f"2024-07-{day}T12:00:00") for day in (12, 10, 11)]
    values = [NightValue("LSTN-01", day, 0.2 + k, 0.1) for k, day in enumerate(days)]
    values.append(NightValue("LSTN-02", days[0], float("nan")))
    axes = trend_figure(values, "throughput", (0.1, float("inf"))).axes[0]
    line, points, limit = axes.lines
    assert line.get_ydata().tolist() == [1.2, 2.2, 0.2]
    assert np.all(np.diff(points.get_xdata()) == 1)
    assert limit.get_ydata()[0] == 0.1
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["LSTN-01"]
    bars = [len(lines.get_segments()) for lines in axes.collections]
    assert bars == [0, 3]  # systematic errors are not known, statistical ones are

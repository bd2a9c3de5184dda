"""Pointing on the page: steps, numbers, doubts, and what is absent or empty."""

import re

import numpy as np
import pytest
import tables as pytables
from report.made_camera import add_index
from report.made_muons import add_psf
from report.made_night import MadeNight, failure, write_failure
from report.made_pointing import (
    CLOUD,
    MUON,
    OFFSET,
    RESIDUAL,
    SIGMA,
    STAT,
    SYS,
    add_model,
    add_pointing,
    add_star_psf,
    add_tracking,
    predicted,
)
from report.test_throughput import material

from calibpipe.report.completeness import absent_products
from calibpipe.report.night_page import night_facts
from calibpipe.report.pointing_night import (
    OF_MEDIAN,
    OF_MODEL,
    pointing_steps,
    pointing_telescopes,
    reference_offsets,
)
from calibpipe.report.pointing_numbers import (
    block_rows,
    mean_offset,
    overview,
    star_rows,
    stars_told,
    term_rows,
)
from calibpipe.report.pointing_page import pointing_facts
from calibpipe.report.pointing_remarks import chance, pointing_remarks
from calibpipe.report.pointing_tiles import length_with_errors, pointing_tiles
from calibpipe.tools.star_tracking import SPOTS_GROUP

FAR_OFFSET = OFFSET + np.array([20.0, 0.0])


@pytest.fixture(scope="module")
def stars_night(tmp_path_factory, north):
    """Two telescopes with two blocks, one with a pointing model; tests only read it."""
    night = MadeNight(tmp_path_factory.mktemp("pointing") / "night", north)
    add_model(add_pointing(night, (1, 2)))
    return night


@pytest.fixture
def quick_figures(monkeypatch):
    """Figures are made but not written out: for tests of everything else."""
    monkeypatch.setattr("calibpipe.report.pointing_page.inline_svg", lambda *_: "")


def first(night, *more):
    return pointing_telescopes(material(night, *more))[0]


def remarks(night, *more):
    return {title: (level, text) for level, title, text in pointing_remarks(material(night, *more))}


def rows(night, *more):
    found = material(night, *more)
    return {row["name"]: row for row in overview(found, list(pointing_remarks(found)))}


def test_steps_come_after_what_they_need():
    known = ["LSTN-01/camera/coefficients.OBSID1", "LSTN-01/throughput/muon_psf"]
    found = pointing_steps({"LSTN-01": ["OBSID1"]}, {"LSTN-01": ["OBSID1"]}, ["LSTN-02"], known)
    air = "atmosphere/density_profile"
    assert [(step.name, step.needs) for step in found] == [
        ("LSTN-01/pointing/star_tracking.OBSID1", (air, known[0])),
        ("LSTN-01/pointing/star_psf.OBSID1", (air, *known)),
        ("LSTN-02/pointing/pointing_model", ()),
    ]


def test_flag_expects_every_telescope_and_block_of_the_index(made_night):
    add_index(made_night)
    assert material(made_night).pointing_steps == ()
    found = material(made_night, "--pointing")
    assert [step.name for step in found.pointing_steps] == [
        f"{name}/pointing/{kind}.OBSID1"
        for name in ("LSTN-01", "LSTN-02")
        for kind in ("star_tracking", "star_psf")
    ]
    assert material(made_night, "--pointing", "--illuminator=1").pointing_steps == ()
    absent = {entry["path"]: entry["reason"] for entry in absent_products(found)}
    assert (
        "LSTN-02/camera/coefficients.OBSID1" in absent["LSTN-02/pointing/star_tracking.OBSID1.h5"]
    )


def test_without_the_flag_only_what_there_is(made_night):
    add_index(made_night)
    add_tracking(made_night, 2)
    found = material(made_night)
    assert [step.name for step in found.pointing_steps] == ["LSTN-02/pointing/star_tracking.OBSID1"]
    assert not any("pointing" in entry["path"] for entry in absent_products(found))


def test_night_without_a_trace_has_no_section(made_night):
    found = material(made_night)
    assert pointing_facts(found) is None
    assert pointing_tiles(found) == []
    assert list(pointing_remarks(found)) == []


def test_blocks_are_in_the_order_of_time(made_night):
    add_tracking(made_night, block=10, hours=1.0)
    add_tracking(made_night, block=9, hours=2.0)
    offsets = first(made_night).offsets
    assert list(offsets.observation) == ["OBSID10"] * 10 + ["OBSID9"] * 10
    assert (np.diff(offsets.begin) > 0).all()
    minute = offsets.begin[0] % 1 * 1440  # UTC, not TAI: 37 s would be a block's half
    assert minute == pytest.approx(23 * 60, abs=1e-3)


def test_mean_and_errors_of_one_block(stars_night):
    """Errors are not those of a mean of 20 blocks: they have much in common."""
    telescope = first(stars_night)
    for axis, numbers in enumerate(mean_offset(telescope)):
        assert numbers == pytest.approx((OFFSET[axis], STAT, SYS))
    assert telescope.offsets.error == pytest.approx(np.full(20, np.sqrt(2 * (STAT**2 + SYS**2))))


def test_overview_of_telescopes(stars_night):
    found = rows(stars_night)
    row = found["LSTN-01"]
    assert row["valid"] == "20 of 20"
    assert row["dlon"] == {"value": "30.0", "stat": "5.0", "sys": "3.0"}
    assert row["dlat"]["value"] == "\N{MINUS SIGN}40.0"
    assert row["error"] == "8.2"
    # two blocks of statistical error 4
    assert row["theta80"] == {"value": f"{1.794 * SIGMA:.1f}", "stat": "2.8", "sys": "5.0"}
    assert row["model"] == "6.9"
    assert (row["state"], row["status"]) == ("good", "complete")
    assert found["LSTN-02"]["model"] == "–"


def test_length_of_an_offset_has_the_errors_along_it():
    rng = np.random.default_rng(4)
    numbers = np.array([[30.0, 4.0, 1.0], [-40.0, 2.0, 3.0]])
    length, stat, sys = length_with_errors(numbers)
    assert length == pytest.approx(50.0)
    drawn = numbers[:, 0] + rng.normal(size=(20000, 2)) * numbers[:, 1]
    scatter = np.std(np.hypot(*drawn.T))
    assert stat == pytest.approx(scatter, rel=0.03)  # five standard errors: 2.5 %
    assert sys == pytest.approx(np.hypot(0.6 * 1.0, 0.8 * 3.0))
    assert length_with_errors(np.array([[0.0, 4.0, 1.0], [0.0, 4.0, 1.0]])) == (0.0, 4.0, 1.0)


def test_key_numbers(stars_night):
    tile, other = pointing_tiles(material(stars_night))
    assert tile["name"] == "LSTN-01 looks beside its drive"
    assert [tile[k] for k in ("value", "stat", "sys", "unit")] == ["50.0", "5.0", "3.0", "arcsec"]
    assert tile["notes"] == [
        "dlon +30.0, dlat \N{MINUS SIGN}40.0; errors of one block",
        "20 of 20 blocks valid",
        "stars: θ₈₀ 193.8 ± 2.8 ± 5.0 arcsec on the axis",
        "pointing model leaves 6.9 arcsec",
    ]
    assert len(other["notes"]) == 3


def test_many_telescopes_share_a_key_number(made_night):
    for tel_id in range(1, 5):
        add_tracking(made_night, tel_id, offset=OFFSET * tel_id)
    assert len(pointing_tiles(material(made_night))) == 4
    write_failure(made_night.folder.parent / "logs", failure("LSTN-09/pointing/star_psf.OBSID1"))
    (tile,) = pointing_tiles(material(made_night))
    assert (tile["value"], tile["notes"][0][:20]) == ("125.0", "4 of 5 telescopes; e")
    assert tile["notes"][1] == "least LSTN-01 50, most LSTN-04 200"


def test_offsets_are_compared_with_the_model_where_it_was_measured(made_night):
    add_tracking(made_night)
    name, reference = reference_offsets(first(made_night))
    assert name == OF_MEDIAN
    assert reference[0] == pytest.approx(OFFSET)
    add_model(made_night)
    name, reference = reference_offsets(first(made_night))
    assert name == OF_MODEL
    assert reference[0] == pytest.approx(predicted())
    add_model(made_night, sectors=3)  # the telescope looked south
    assert reference_offsets(first(made_night))[0] == OF_MEDIAN
    title = "LSTN-01: the pointing model was not measured where the telescope looked"
    assert remarks(made_night)[title][0] == "note"


def test_good_night_has_no_remark(stars_night):
    assert remarks(stars_night) == {}
    verdict = pointing_facts(material(stars_night))["verdict"]
    assert (verdict["level"], verdict["word"]) == ("complete", "Good")
    assert verdict["sentence"] == (
        "40 of 40 blocks of 2 telescopes valid; errors up to 8.2 arcsec on the sky (limit 14); "
        "pointing models leave up to 6.9 arcsec"
    )


@pytest.mark.usefixtures("quick_figures")
def test_clouds_are_told_with_what_to_do(made_night):
    add_tracking(made_night, invalid=range(3))
    level, text = remarks(made_night)["LSTN-01: 3 of 10 blocks not valid"]
    assert level == "warning"
    assert text == (
        "Too few stars seen: cloud, few stars, or too many masked pixels (3). Look at the clouds "
        "of that time and the masked pixels of the camera; more stars (magnitude_limit) may help."
    )
    more = "--CreateNightReport.valid_blocks_limit_in_percent=50"
    assert remarks(made_night, more)["LSTN-01: 3 of 10 blocks not valid"][0] == "note"
    verdict = pointing_facts(material(made_night))["verdict"]
    assert (verdict["level"], verdict["word"]) == ("warning", "In doubt")


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("drive data missing", "37 s off has UTC for TAI"),
        ("field of view below 10 deg", "nothing is to be done"),
        ("1 stars of the catalogue in the camera, needs 2", "Raise magnitude_limit"),
        (
            "1 of 9 stars within 0.3 deg of where they are expected: cloud, wrong time or "
            "pointing, or a larger misalignment",
            "the clock of the camera",
        ),
        (
            "misalignment is at the limit of the search, 0.3 deg; enlarge search_radius, or check "
            "the time",
            "enlarge search_radius_in_deg",
        ),
        (
            "pattern of 2 stars fits at two places (second 0.97 of the first); give more stars or "
            "a smaller search_radius",
            "smaller search_radius_in_deg",
        ),
        (
            "statistical error of 17.3 arcsec exceeds 14: bright sky (Moon), cloud, or few stars",
            "make blocks longer",
        ),
        (
            "stars disagree: chi2 310 for 93 degrees of freedom; wrong time or pointing, or one "
            "of few stars is wrong",
            "record of the drive",
        ),
    ],
)
def test_every_status_has_its_advice(made_night, status, advice):
    add_tracking(made_night, invalid=range(5), status=status)
    assert advice in remarks(made_night)["LSTN-01: 5 of 10 blocks not valid"][1]


def test_blocks_that_are_not_sure_enough(made_night):
    add_tracking(made_night, stat=10.0)
    level, text = remarks(made_night)["LSTN-01: 10 of 10 valid blocks less sure than 14 arcsec"]
    assert level == "warning"
    assert text.startswith(f"Error on the sky up to {np.sqrt(2 * (100 + SYS**2)):.1f} arcsec")
    more = "--CreateNightReport.pointing_limit_in_arcsec=20"
    assert remarks(made_night, more) == {}


def test_few_stars(made_night):
    add_tracking(made_night, n_stars=2)
    assert remarks(made_night)["LSTN-01: 2 stars in a block"][0] == "note"


def test_far_beside_the_drive_is_a_clock_first(made_night):
    add_tracking(made_night, offset=(-555.0, 0.0))  # 37 s
    level, text = remarks(made_night)["LSTN-01: the camera looks 9.2 arcmin beside the drive"]
    assert level == "warning"
    assert "UTC taken for TAI" in text


def test_block_away_from_the_others_and_from_the_model(made_night):
    add_tracking(made_night)
    add_tracking(made_night, block=2, hours=2.0)
    add_tracking(made_night, block=3, hours=3.0, offset=FAR_OFFSET)
    (title,) = remarks(made_night)
    found = re.fullmatch(r"LSTN-01: OBSID3 is (\S+) arcsec from the median of the night", title)
    assert float(found[1]) == pytest.approx(20.0, abs=1.0)  # blocks run by 1 arcsec
    add_model(made_night)
    (title,) = remarks(made_night)
    away = np.hypot(*(FAR_OFFSET - predicted()))
    assert title == f"LSTN-01: OBSID3 looks {away:.1f} arcsec from where the pointing model says"


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        ({"rotation_in_arcmin": 15.0}, "rotation of the camera shifts stars by 31 arcsec"),
        ({"plate_scale": 0.995}, "plate scale shifts stars by 36 arcsec"),
    ],
)
def test_rotation_and_plate_scale_are_judged_at_two_degrees(made_night, facts, title):
    add_tracking(made_night, facts=facts)
    level, text = remarks(made_night)[f"LSTN-01: OBSID1: {title}"]
    assert level == "warning"
    assert "wrong by minutes" in text


def test_rotation_that_is_not_sure_is_no_warning(made_night):
    facts = {"rotation_in_arcmin": 15.0, "rotation_stat_error_in_arcmin": 6.0}
    add_tracking(made_night, facts=facts)
    assert remarks(made_night) == {}


def test_stars_that_disagree(made_night):
    add_tracking(made_night, facts={"chi2": 200.0, "n_degrees": 93})
    title = "LSTN-01: OBSID1: places of stars scatter more than their errors"
    assert remarks(made_night)[title][0] == "note"
    assert "too small by 1.5" in remarks(made_night)[title][1]


def test_chance_of_chi2():
    assert chance(2.0, 2) == pytest.approx(np.exp(-1.0))
    assert chance(5.0, 0) == 1.0


def test_wrong_star_is_named(made_night):
    add_tracking(made_night, wrong="41.0 arcsec from where the other stars say (chi2 63)")
    text = remarks(made_night)["LSTN-01: OBSID1: 1 star left out"][1]
    assert text == "HIP 99 (41.0 arcsec from where the other stars say (chi2 63))."


def test_remarks_of_the_product(made_night):
    add_tracking(made_night, facts={"remarks": ["12 events are damaged"]})
    assert "LSTN-01: OBSID1: 12 events are damaged" in remarks(made_night)


def test_stars_and_muons_see_different_optics(made_night):
    add_star_psf(made_night, compared=4.0)
    level, text = remarks(made_night)["LSTN-01: OBSID1: stars and muon rings see different optics"]
    assert level == "warning"
    assert text.startswith(f"Width 215 arcsec of stars, {MUON:.0f} of rings, 4.0 errors apart.")
    add_star_psf(made_night, compared=2.0)
    assert remarks(made_night) == {}


def test_model_in_doubt(made_night):
    add_model(made_night, rms=20.0, remarks=["nights do not agree in IA and IE"])
    found = remarks(made_night)
    assert list(found) == [
        "LSTN-01: the pointing model leaves 20.0 arcsec",
        "LSTN-01: nights do not agree in IA and IE",
    ]
    assert {level for level, _ in found.values()} == {"warning"}


def test_failed_step_tells_what_it_lacked(made_night):
    add_index(made_night, (1,))
    step = "LSTN-01/pointing/star_tracking.OBSID1"
    message = "drive recorded 21:00 to 22:00 UTC, 30 of 30 times are outside"
    write_failure(made_night.folder.parent / "logs", failure(step, message=message))
    level, text = remarks(made_night)["LSTN-01: no star tracking OBSID1"]
    assert level == "warning"
    assert text.startswith("Give the record of the drive of this block")
    row = rows(made_night)["LSTN-01"]
    assert row["state"] == "bad"
    assert row["status"].startswith("star tracking.OBSID1: its step failed, see above")


def test_failed_verification_is_part_of_the_state(made_night):
    add_tracking(made_night)
    found = material(made_night)
    product = {"kind": "pointing/star_tracking", "array_element": "LSTN-01", "block": "OBSID1"}
    document = {"content": {"product": product | {"id": "x"}, "verdict": "FAIL"}}
    found.verdicts.append(document)
    (row,) = overview(found, [])
    assert (row["state"], row["status"]) == ("bad", "star tracking OBSID1 failed verification")


def test_table_of_blocks(stars_night):
    row, other = block_rows(first(stars_night))
    assert (row["block"], row["time"], row["valid"]) == ("OBSID1", "22:00 – 22:09", "10 of 10")
    assert row["rotation"] == {"value": "2.0", "stat": "1.0", "sys": "1.5"}
    assert row["scale"] == {"value": "0.020", "stat": "0.040", "sys": "0.050"}
    assert other["time"] == "01:00 – 01:09"


def test_table_of_stars(made_night):
    add_tracking(made_night, wrong="light 0.1 times that of the catalogue: variable, planet, or")
    telescope = first(made_night)
    found = star_rows(telescope)
    assert [row["star"] for row in found] == [*(f"HIP {k}" for k in range(1, 6)), "HIP 99"]
    x, y = RESIDUAL[0]
    assert found[0]["residuals"] == [f"+{y:.1f} ± 2.0", f"+{x:.1f} ± 2.0"]  # y is azimuth
    assert found[-1]["residuals"] == ["–", "–"]
    assert found[-1]["state"] == "warning"
    assert stars_told(telescope) == (
        "5 of 7 stars used in 1 observation block; 1 too faint; 1 of another light than the "
        "catalogue says"
    )


def test_table_of_terms(made_night):
    add_model(made_night, fixed=("TF",))
    found = {row["name"]: row for row in term_rows(first(made_night).model)}
    row = found["CA"]
    assert row["value"] == {"value": "\N{MINUS SIGN}33.0", "stat": "2.0", "sys": "0.0"}
    assert (row["significance"], row["status"]) == ("16.5", "fitted")
    row = found["TF"]
    assert (row["significance"], row["gain"], row["state"]) == ("–", "–", "warning")


@pytest.mark.parametrize("n", [1, 10])
def test_no_valid_block(made_night, n):
    """The page is made, says so, and draws no offsets."""
    add_tracking(made_night, n=n, invalid=range(n), status=CLOUD)
    facts = night_facts(material(made_night), [])
    found = facts["pointing"]
    assert found["verdict"]["level"] == "failed"
    assert found["verdict"]["word"] == "No pointing"
    assert found["rows"][0]["state"] == "bad"
    assert found["telescopes"][0]["figures"] == []
    (tile,) = pointing_tiles(material(made_night))
    assert (tile["value"], tile["notes"]) == ("–", ["no block of star tracking is valid"])


def test_one_block(made_night):
    add_tracking(made_night, n=1)
    names = [f["name"] for f in pointing_facts(material(made_night))["telescopes"][0]["figures"]]
    assert names == ["pointing-LSTN-01-stars", "pointing-LSTN-01-offsets"]


def test_no_product_but_expected(made_night):
    add_index(made_night, (1,))
    facts = night_facts(material(made_night, "--pointing"), [])["pointing"]
    assert facts["telescopes"] == []
    assert facts["rows"][0]["state"] == "bad"
    assert facts["verdict"]["sentence"].startswith("0 of 0 blocks of 1 telescope valid")


def test_damaged_product_is_named(made_night):
    add_tracking(made_night)
    path = made_night.folder / "LSTN-01/pointing/star_tracking.OBSID1.h5"
    with pytables.open_file(path, "a") as file:
        file.remove_node(SPOTS_GROUP, recursive=True)
    assert "holds no pointing/star_tracking" in rows(made_night)["LSTN-01"]["status"]
    path.write_text("not a table")
    assert "is no product of CalibPipe" in rows(made_night)["LSTN-01"]["status"]


def test_muons_of_the_night_where_the_product_was_not_compared(made_night):
    add_star_psf(made_night)
    assert first(made_night).muons is None
    (figure,) = pointing_facts(material(made_night))["telescopes"][0]["figures"]
    assert "There are no muon rings to compare with." in figure["caption"]
    add_psf(made_night, is_limit=True)
    assert first(made_night).muons is None
    add_psf(made_night)
    (figure,) = pointing_facts(material(made_night))["telescopes"][0]["figures"]
    assert "Diamond: muon rings" in figure["caption"]


@pytest.mark.usefixtures("quick_figures")
def test_figures_of_good_telescopes_are_folded_where_there_are_many(made_night, monkeypatch):
    monkeypatch.setattr("calibpipe.report.pointing_page.MAX_OPEN", 2)
    for tel_id in range(1, 4):
        add_tracking(made_night, tel_id, stat=10.0 if tel_id == 3 else STAT)
    found = pointing_facts(material(made_night))["telescopes"]
    assert [t["is_open"] for t in found] == [False, False, True]


def test_page_with_everything(made_night):
    from tools.test_create_night_report import report

    made_night.make()
    add_model(add_pointing(made_night))
    html = report(made_night)
    section = re.search(r'<section class="throughput pointing".*?</section>', html, re.DOTALL)
    names = re.findall(r'<figure id="pointing-LSTN-01-([^"]*)"', section[0])
    assert names == ["stars", "offsets", "psf", "model"]
    assert 'href="../LSTN-01/pointing/pointing_model.h5"' in html
    assert '<h2>Pointing</h2>\n<div class="status complete"><strong>Good</strong>' in html


def test_same_products_same_figures(stars_night):
    first_time, second = (
        [
            f["svg"]
            for t in pointing_facts(material(stars_night))["telescopes"]
            for f in t["figures"]
        ]
        for _ in range(2)
    )
    assert first_time == second
    assert sum(map(len, first_time)) < 2 * 180_000

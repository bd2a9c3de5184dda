"""The Tool of the night report: any subset of a night, exit codes, a real browser."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from browsers import chromium
from ctapipe.core import ToolConfigurationError, run_tool
from report.made_night import MadeNight, failure, reference_table, write_failure

from calibpipe.core.exceptions import ConfigurationError, StorageError
from calibpipe.core.products import ProductMetadata, write_table
from calibpipe.tools.create_night_report import CreateNightReport
from calibpipe.tools.select_reference_atmospheric_model import POOL_KIND

ROOT = Path(__file__).parents[2]


@pytest.fixture
def made_night(tmp_path, north):
    return MadeNight(tmp_path / "night", north)


@pytest.fixture
def quick_figures(monkeypatch):
    """Figures are made but not written out: for tests of everything else."""
    monkeypatch.setattr(
        "calibpipe.report.night_figures.inline_svg", lambda *_: '<svg viewBox="0 0 1 1"></svg>'
    )


def options(night, *more):
    given = {
        "config": ROOT / "config/tools/create_night_report.yaml",
        "site": ROOT / f"config/sites/{night.site.name}.yaml",
        "night": night.night,
        "category": night.category,
        "night-folder": night.folder,
        "log-folder": night.folder.parent / "logs",
        "output": page_of(night),
    }
    replaced = {option.removeprefix("--").split("=")[0] for option in more}
    kept = [f"--{name}={value}" for name, value in given.items() if name not in replaced]
    return [*kept, *more]


def page_of(night):
    return night.folder / "report/index.html"


def report(night, *more, raises=True):
    code = run_tool(
        CreateNightReport(), options(night, *more), cwd=night.folder.parent, raises=raises
    )
    assert code == 0
    return page_of(night).read_text()


def status(html):
    return re.search(r"<strong>(.*?)</strong>\s*<p>(.*?)</p>", html).groups()


def test_whole_night(made_night):
    html = report(made_night.make())
    assert status(html)[0] == "Complete"
    assert html.count("<figure ") == 6
    assert 'href="../atmosphere/atmprof.dat"' in html
    assert not list(page_of(made_night).parent.glob(".*"))  # nothing is left half-written


def test_page_changes_only_in_its_time(made_night):
    first = report(made_night.make())
    second = report(made_night, "--overwrite")
    without_time = re.compile(r"<time.*?</time>", re.DOTALL)
    assert without_time.sub("", first) == without_time.sub("", second)


@pytest.mark.usefixtures("quick_figures")
def test_page_is_not_overwritten_by_accident(made_night):
    report(made_night.make())
    with pytest.raises(ToolConfigurationError, match="overwrite"):
        report(made_night)


@pytest.mark.usefixtures("quick_figures")
def test_products_are_not_touched(made_night):
    made_night.make()
    before = {p: p.read_bytes() for p in made_night.folder.rglob("*") if p.is_file()}
    report(made_night)
    assert {p: p.read_bytes() for p in before} == before


def test_failed_night_without_pool(made_night):
    made_night.meteo_data()
    made_night.macobac()
    logs = made_night.folder.parent / "logs"
    write_failure(logs, failure(message="hour 03:00 is missing; retrieve again"))
    html = report(made_night)
    assert status(html) == ("1 step failed", "atmosphere/density_profile; 6 products not made.")
    assert "hour 03:00 is missing; retrieve again" in html
    assert "needs atmosphere/density_profile, which failed" in html


def test_failures_are_in_the_order_of_time(made_night):
    logs = made_night.folder.parent / "logs"
    write_failure(logs, failure("atmosphere/macobac", time_utc="2024-07-11T10:00:00+00:00"))
    write_failure(logs, failure("atmosphere/meteo_data", time_utc="2024-07-11T09:00:00+00:00"))
    assert status(report(made_night))[1].startswith("atmosphere/meteo_data and atmosphere/macobac")


@pytest.mark.usefixtures("quick_figures")
def test_record_that_cannot_be_read_is_a_failure_too(made_night):
    made_night.make()
    broken = made_night.folder.parent / "logs/atmosphere/macobac.failure.json"
    broken.parent.mkdir(parents=True)
    broken.write_text('{"step": "atmosphere/mac')
    html = report(made_night)
    assert status(html)[0] == "1 step failed"
    assert "cannot be read" in html


def older(path, seconds):
    """Set the time of a file back."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


@pytest.mark.usefixtures("quick_figures")
@pytest.mark.parametrize(
    "step", ["atmosphere/density_profile", "atmosphere/atmospheric_model", "simulation/meteo"]
)
def test_record_of_a_failure_since_overcome_does_not_count(made_night, step):
    logs = made_night.folder.parent / "logs"
    write_failure(logs, failure(step))
    older(logs / f"{step}.failure.json", 10)
    made_night.make()
    assert status(report(made_night))[0] == "Complete"
    older(made_night["atm_trans.dat"], 20)
    older(made_night["meteo_data.json"], 20)
    older(made_night["density_profile.ecsv"], 20)
    assert status(report(made_night, "--overwrite"))[0] == "1 step failed"


@pytest.mark.usefixtures("quick_figures")
def test_record_of_a_step_that_nobody_knows_is_shown(made_night):
    write_failure(made_night.folder.parent / "logs", failure("camera/pedestal"))
    assert status(report(made_night.make())) == ("1 step failed", "camera/pedestal.")


def by_date(night):
    """Everything chosen by date, after a run with data."""
    night.make()
    night.reference_model(method="date", margin=float("nan"), reason="no data will ever come")
    night.atmospheric_model(top=0.0)
    log = night.folder.parent / "logs/atmosphere/meteo_data.log"
    log.parent.mkdir(parents=True)
    log.write_text("2024-07-11 05:46:04,989 WARNING [calibpipe.x] (x.report): old trouble\n")
    write_failure(night.folder.parent / "logs", failure("atmosphere/meteo_data"))
    return night


def test_numbers_of_before_the_decision_are_not_shown(made_night):
    html = report(by_date(made_night))
    word, sentence = status(html)
    assert (word, sentence.split(";")[0]) == (
        "Complete, look twice",
        "Reference model intermediate was chosen by date, not by density.",
    )
    assert "Unused: atmosphere/meteo_data.json and atmosphere/density_profile.ecsv" in html
    assert html.count("of an earlier run, not used: the date chose the model") == 2
    assert "of the reference model, not of the night" in html
    assert "old trouble" not in html
    assert "calibpipe-make-density_profile" not in html  # no configuration of it
    assert "ERA5" not in html
    assert "analyses (points)" not in html


@pytest.mark.usefixtures("quick_figures")
def test_forced_decision_before_anything_is_made(made_night):
    """The workflow says so: nothing of the weather is missed, its old failure does not count."""
    write_failure(made_night.folder.parent / "logs", failure("atmosphere/meteo_data"))
    html = report(made_night, "--by-date")
    assert status(html) == ("Incomplete", "6 products absent, no failure recorded.")
    assert "density_profile, which" not in html
    assert status(report(made_night, "--overwrite"))[0] == "1 step failed"


@pytest.mark.usefixtures("quick_figures")
def test_failure_of_the_report_itself_is_not_reported(made_night):
    """Its record lies there while it runs again."""
    made_night.make()
    write_failure(made_night.folder.parent / "logs", failure("report/report"))
    assert status(report(made_night))[0] == "Complete"


def test_no_night_at_all(made_night):
    assert status(report(made_night))[0] == "Incomplete"


@pytest.mark.usefixtures("quick_figures")
def test_log_folder_and_pool_may_be_absent(made_night):
    made_night.make()
    report(made_night, f"--pool={made_night.folder.parent / 'nowhere'}")


@pytest.mark.usefixtures("quick_figures")
@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("macobac.ecsv", "co2\n424\n", "is no product of CalibPipe"),
        ("meteo_data.json", '{"CTA', "is no product of CalibPipe"),
        ("rayleigh_extinction.ecsv", "", "is no product of CalibPipe"),
    ],
)
def test_damaged_product_is_named_with_its_defect(made_night, name, text, reason):
    made_night.make()
    made_night[name].write_text(text)
    html = report(made_night)
    assert status(html)[0] == "Incomplete"
    assert reason in html
    assert name in html


@pytest.mark.usefixtures("quick_figures")
def test_product_that_says_it_is_not_complete(made_night):
    made_night.make()
    text = made_night["reference_model.ecsv"].read_text()
    made_night["reference_model.ecsv"].write_text(
        text.replace("status: COMPLETE", "status: interrupted")
    )
    assert "is not complete: interrupted" in report(made_night)


def test_pool_gives_the_newest_model_of_each_season(made_night, tmp_path):
    made_night.make()
    for season, version in (("winter", 1), ("winter", 2), ("summer", 1)):
        metadata = ProductMetadata(
            POOL_KIND, "pool", details={"season": season, "version": version}
        )
        write_table(tmp_path / f"pool/{season}_v{version}.ecsv", reference_table(season), metadata)
    (tmp_path / "pool/winter_v3.ecsv").write_text("damaged")
    html = report(made_night, f"--pool={tmp_path / 'pool'}")
    drawn = re.search(r'<figure id="density-ratio">.*?</figure>', html, re.DOTALL)[0]
    for label in ("winter", "summer", "intermediate (chosen)"):
        assert drawn.count(f">{label}</text>") == 1


@pytest.mark.usefixtures("quick_figures")
def test_warnings_of_the_logs(made_night):
    made_night.make()
    log = made_night.folder.parent / "logs/atmosphere/macobac.log"
    log.parent.mkdir(parents=True)
    line = "2024-07-11 05:46:04,989 \x1b[1;33mWARNING\x1b[0m [calibpipe.x] (x.report): no record"
    log.write_text(f"calibpipe-x --night\n{line}\n{line}\n2024-07-11 05:46:05,1 INFO [a] (b): c\n")
    html = report(made_night)
    table = re.search(r"<h2>Warnings in the logs</h2>.*?</section>", html, re.DOTALL)[0]
    assert table.count("no record") == 1
    assert "INFO" not in table


@pytest.mark.usefixtures("quick_figures")
def test_night_without_darkness_has_a_page(made_night, tmp_path):
    site = tmp_path / "Tromso.yaml"
    text = (ROOT / "config/sites/CTAO-North.yaml").read_text()
    site.write_text(text.replace("28.761795", "69.65").replace("CTAO-North", "Tromso"))
    html = report(made_night, f"--site={site}")
    assert "the Sun stays above" in html


def test_wrong_request(made_night):
    with pytest.raises(ConfigurationError, match="unknown site"):
        report(made_night, "--site=Mars.yaml")
    with pytest.raises(ConfigurationError, match="is no night"):
        report(made_night, "--night=yesterday")
    with pytest.raises(ToolConfigurationError, match="needs --site, --night, --output"):
        run_tool(CreateNightReport(), [], raises=True)


@pytest.mark.usefixtures("quick_figures")
def test_folder_that_cannot_be_written(made_night):
    made_night.make()
    (made_night.folder / "report").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot write"):
        report(made_night)


@pytest.mark.usefixtures("quick_figures")
def test_provenance_names_products_and_page(made_night, tmp_path):
    provenance = tmp_path / "page.provenance.json"
    report(made_night.make(), f"--provenance-log={provenance}")
    (activity,) = json.loads(provenance.read_text())
    roles = {entry["role"] for entry in activity["input"]}
    assert {"site", "atmosphere/density_profile", "atmosphere/atmprof"} <= roles
    assert [entry["role"] for entry in activity["output"]] == ["report/night"]


def test_runs_as_a_module_and_draws_nothing_for_help():
    """Snakemake's handler of errors starts it so; help must not wait for matplotlib."""
    code = (
        "import sys, runpy; sys.argv = ['report', '--help']\n"
        "try: runpy.run_module('calibpipe.tools.create_night_report', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--night-folder" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 False"


def browse(folder, *arguments):
    """What a real browser says; it opens the file alone, without network."""
    command = [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'browser'}"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


@pytest.mark.slow
def test_browser_shows_and_prints_the_page(made_night, tmp_path):
    report(made_night.make())
    address = page_of(made_night).as_uri()
    dom = browse(tmp_path, "--dump-dom", address)
    assert "733.0" in dom
    assert "Complete" in dom

    pdf = tmp_path / "page.pdf"
    browse(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={pdf}", address)
    pages = subprocess.run(
        ["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True
    ).stdout.split("\f")[:-1]
    assert 4 <= len(pages) <= 6
    assert "CTAO-North · 2024-07-10" in pages[0]
    assert "4.500" in pages[0]
    assert "733.0" in pages[0]
    for title, page in (("Density over the night", 1), ("Transmission to the site", 2)):
        assert title in pages[page]  # three figures a page, none cut

    wide = tmp_path / "wide.png"
    browse(tmp_path, "--window-size=1400,1000", f"--screenshot={wide}", address)
    assert painted_colours(wide) > 20


def painted_colours(path):
    """Number of different colours in a picture: a blank page has one."""
    from PIL import Image

    with Image.open(path) as picture:
        return len(picture.convert("RGB").getcolors(1 << 24))

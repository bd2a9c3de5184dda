"""calibpipe-create-trends: from the archive to the page."""

import pytest
from ctapipe.core import ToolConfigurationError, run_tool
from night_chain import Night

from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive
from calibpipe.core.exceptions import ConfigurationError
from calibpipe.tools.certify import Certify
from calibpipe.tools.create_trends import CreateTrends
from calibpipe.tools.verify import Verify


@pytest.fixture(scope="module")
def archive(tmp_path_factory, north, root):
    """An archive with the carbon dioxide of one night, made, verified, certified."""
    folder = tmp_path_factory.mktemp("archive")
    night = Night(folder / "night")
    night.folder.mkdir()
    night.macobac()
    keys = [f"--site={night.site_file}", f"--night={night.night}", "--category=C"]
    product, record = night["macobac.ecsv"], night["verified.json"]
    argv = [*keys, f"--criteria={root / 'config/criteria.yaml'}", f"--product={product}"]
    run_tool(Verify(), [*argv, f"--output={record}"], cwd=night.folder, raises=True)
    location = folder / "archive"
    upload_site(init_archive(location), north, {f"LSTN-0{n}": n for n in range(1, 5)})
    argv = [f"--archive={location}", f"--product={product}", f"--verification={record}"]
    run_tool(Certify(), [*argv, "--reason=a test"], cwd=night.folder, raises=True)
    return location


def create(archive, output, *options, site="CTAO-North"):
    argv = [f"--archive={archive}", f"--site={site}", f"--output={output}", *options]
    return run_tool(CreateTrends(), argv, cwd=output.parent, raises=True)


def test_from_verification_to_page(archive, tmp_path):
    """What a verification measured is on the page, and a link to the page of its night."""
    results = tmp_path / "results/CTAO-North"
    night = results / "C/2024-07-10/report/index.html"
    night.parent.mkdir(parents=True)
    night.write_text("<p>the night</p>")
    output = results / "trends/index.html"
    output.parent.mkdir()
    assert create(archive, output, f"--results={results}", "--now=2024-07-11T12:30:00") == 0
    page = output.read_text()
    assert "<h3>Carbon dioxide</h3>" in page
    assert "Up to date" in page
    assert "<strong>424.61</strong>" in page  # ppm: the newest month of the shipped table
    link = '<a href="../C/2024-07-10/report/index.html">2024-07-10</a>'
    assert link in page
    create(archive, output, "--now=2024-07-20T12:00:00", "--overwrite")
    later = output.read_text()
    assert "Overdue" in later
    assert link not in later  # nobody said where pages are


def test_what_is_refused(archive, tmp_path):
    output = tmp_path / "trends.html"
    with pytest.raises(ConfigurationError, match="no site CTAO-South"):
        create(archive, output, site="CTAO-South")
    with pytest.raises(ConfigurationError, match="no time"):
        create(archive, output, "--now=yesterday")
    with pytest.raises(ToolConfigurationError, match="needs --site"):
        run_tool(CreateTrends(), [f"--archive={archive}", f"--output={output}"], raises=True)
    output.write_text("a page")
    with pytest.raises(ToolConfigurationError):
        create(archive, output)
    assert output.read_text() == "a page"

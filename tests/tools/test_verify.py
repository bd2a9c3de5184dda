"""calibpipe-verify: what it refuses, and a verdict against what is certified."""

import json
import shutil

import pytest
from ctapipe.core import ToolConfigurationError, run_tool
from night_chain import Night

from calibpipe.archive.candidate import Candidate
from calibpipe.archive.certify import certify
from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive
from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import content_hash, read_json, read_table
from calibpipe.tools.verify import Verify


@pytest.fixture
def night(tmp_path):
    """A night with its CO2."""
    made = Night(tmp_path)
    made.macobac()
    return made


def verify(night, root, *options, criteria=None):
    """Record of the verification."""
    argv = [
        f"--site={night.site_file}",
        f"--night={night.night}",
        "--category=C",
        f"--criteria={criteria or root / 'config/criteria.yaml'}",
        f"--product={night['macobac.ecsv']}",
        f"--output={night['verified.json']}",
        "--overwrite",
        *options,
    ]
    run_tool(Verify(), argv, cwd=night.folder, raises=True)
    return json.loads(night["verified.json"].read_text())["content"]


def test_verdict_with_itself(night, root):
    content = verify(night, root)
    assert (content["verdict"], content["because"]) == ("PASS", [])
    results = {entry["id"]: entry["result"] for entry in content["criteria"]}
    assert results == {"CO2-01": "PASS", "CO2-02": "PASS", "CO2-31": "NOT APPLICABLE"}
    header = read_product_header(night["macobac.ecsv"])
    assert content["product"]["id"] == str(header.product_id)
    values = [(v["quantity"], v["unit"], round(v["value"])) for v in content["values"]]
    assert values == [("co2_mole_fraction", "ppm", 425)]


def test_verdict_against_what_was_certified_a_month_before(night, root, tmp_path, north):
    """CO2 that was 2 ppm less a month before fails CO2-31 (limit 1.5 ppm)."""
    before = Night(tmp_path / "before", night="2024-06-10")
    before.folder.mkdir()
    before.macobac()
    table = read_table(before["macobac.ecsv"], "atmosphere/macobac")
    text = before["macobac.ecsv"].read_text()
    value = float(table["co2_mole_fraction"][0])
    assert repr(value) in text
    before["macobac.ecsv"].write_text(text.replace(repr(value), repr(round(value - 2e-6, 9))))
    archive = init_archive(tmp_path / "archive")
    upload_site(archive, north, {f"LSTN-0{n}": n for n in range(1, 5)})
    header = read_product_header(before["macobac.ecsv"])
    certify(archive, [Candidate(header, verdict="PASS")], author="me", reason="a test")
    content = verify(night, root, f"--archive={archive.location}")
    assert content["verdict"] == "FAIL"
    assert content["because"][0].startswith("CO2-31 co2_change: 1 of 1 outside -1.5 to 1.5 ppm")
    assert content["compared_with"] == {"month": str(header.product_id)}


def test_what_is_refused(night, root, tmp_path):
    criteria = (root / "config/criteria.yaml").read_text()
    changed = tmp_path / "criteria.yaml"
    changed.write_text(criteria.replace("CO2-02:", "CO2-01:"))
    with pytest.raises(ConfigurationError, match="CO2-01 occurs twice"):
        verify(night, root, criteria=changed)
    changed.write_text(
        "\n".join(line for line in criteria.splitlines() if "atmosphere/macobac" not in line)
    )
    with pytest.raises(ConfigurationError, match="no criterion for atmosphere/macobac"):
        verify(night, root, criteria=changed)
    shutil.move(night["macobac.ecsv"], night["elsewhere.ecsv"])
    with pytest.raises(MissingInputError, match="does not exist"):
        verify(night, root)


def test_several_products_in_one_run(night, root):
    """Each has its verdict, the same as alone; one that cannot be verified stops no other."""
    verify(night, root)
    text = night["macobac.ecsv"].read_text()
    value = repr(
        float(read_table(night["macobac.ecsv"], "atmosphere/macobac")["co2_mole_fraction"][0])
    )
    night["doubled.ecsv"].write_text(text.replace(value, repr(2 * float(value))))
    night["broken.ecsv"].write_text("no product")
    argv = [
        f"--site={night.site_file}",
        f"--night={night.night}",
        f"--criteria={root / 'config/criteria.yaml'}",
        f"--product={night['broken.ecsv']}",
        f"--product={night['macobac.ecsv']}",
        f"--product={night['absent.ecsv']}",
        f"--product={night['doubled.ecsv']}",
    ]
    folder = night["verdicts"]
    with pytest.raises(CorruptedInputError) as told:
        run_tool(Verify(), [*argv, f"--output-folder={folder}"], cwd=night.folder, raises=True)
    assert "broken.ecsv" in str(told.value)
    assert "absent.ecsv does not exist" in str(told.value)
    verdicts = {
        path.stem: read_json(path, "verification/record")["content"]["verdict"]
        for path in folder.iterdir()
    }
    assert verdicts == {"macobac": "PASS", "doubled": "FAIL"}
    assert content_hash(folder / "macobac.json") == content_hash(night["verified.json"])


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        (["--product=a.ecsv"], ToolConfigurationError, "needs --output or --output-folder"),
        (["--product=a.ecsv", "--product=b.ecsv", "--output=c.json"], ConfigurationError, "of one"),
        (
            ["--product=a.ecsv", "--product=b.ecsv", "--data=d.h5", "--output-folder=c"],
            ConfigurationError,
            "of one product",
        ),
        (
            ["--product=a/timing.h5", "--product=b/timing.h5", "--output-folder=c"],
            ConfigurationError,
            "several products are called timing",
        ),
    ],
)
def test_where_verdicts_go(root, tmp_path, options, error, told):
    argv = [f"--site={root / 'config/sites/CTAO-North.yaml'}", "--night=2024-07-10"]
    argv += [f"--criteria={root / 'config/criteria.yaml'}", *options]
    with pytest.raises(error, match=told):
        run_tool(Verify(), argv, cwd=tmp_path, raises=True)

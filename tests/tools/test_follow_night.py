"""A running night: what is told of a block, what is refused, what is asked of the workflow."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from ctapipe.core import ToolConfigurationError, run_tool

from calibpipe.core.exceptions import ConfigurationError, StorageError
from calibpipe.tools.follow_night import FollowNight
from calibpipe.tools.quick_look import Finding, block_line, findings, is_left_out
from calibpipe.tools.reprocessing import lonely

BLOCK = ("LSTN-01", 3)
DOMAINS = ["camera", "throughput", "pointing", "report"]
EVENING = datetime(2024, 7, 10, 22, 0, 0, tzinfo=UTC).timestamp()


@pytest.fixture
def night(tmp_path):
    """Records of a block: camera good, pointing bad, throughput impossible."""
    results, logs = tmp_path / "results", tmp_path / "logs"
    verdicts = {
        "camera_coefficients.LSTN-01.OBSID3": ("PASS", ["nothing"]),
        "star_tracking.LSTN-01.OBSID3": ("FAIL", ["STR-001 median 80, limit 60", "STR-002"]),
    }
    for name, (verdict, because) in verdicts.items():
        path = results / f"verification/{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"content": {"verdict": verdict, "because": because}}))
        os.utime(path, (EVENING, EVENING))
    failed(logs, "throughput/muon_throughput", "needs at least 10 rings, got 3")
    return results, logs


def failed(logs, step, message):
    path = logs / f"LSTN-01/{step}.failure.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"step": f"LSTN-01/{step}", "message": message}))
    return path


def test_one_line_tells_times_verdicts_and_reasons(night):
    found = findings(*night, BLOCK, DOMAINS)
    assert [f.is_made for f in found] == [True, False, True]
    assert block_line(BLOCK, EVENING - 65, found, "absent") == (
        "LSTN-01 OBSID3: complete 21:58:55, calibrated 22:00:00 UTC: camera PASS, throughput "
        "failed (LSTN-01/throughput/muon_throughput: needs at least 10 rings, got 3), pointing "
        "FAIL (STR-001 median 80, limit 60; STR-002)"
    )


def test_what_has_no_record_is_told(night):
    found = findings(*night, ("LSTN-02", 4), ["camera"])
    assert found == [Finding("camera")]
    line = block_line(("LSTN-02", 4), EVENING, found, "left to the morning")
    assert line.endswith("complete 22:00:00, not calibrated: camera left to the morning")


@pytest.mark.parametrize(
    ("step", "is_out"),
    [
        ("camera/pixel_statistics.OBSID3", True),
        ("camera/coefficients.OBSID3", True),
        ("throughput/muon_rings.OBSID3", True),
        ("camera/pixel_statistics.OBSID4", False),
        ("pointing/star_tracking.OBSID3", False),  # rings of the block count
        ("throughput/muon_psf", False),
    ],
)
def test_a_block_without_camera_or_rings_is_left_out(tmp_path, step, is_out):
    failed(tmp_path, step, "no")
    assert is_left_out(tmp_path, BLOCK) is is_out


def soon(hours=1):
    return f"--until={datetime.now(UTC) + timedelta(hours=hours):%Y-%m-%dT%H:%M:%S}"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ([], ToolConfigurationError, "needs --site"),
        (["--site=CTAO-West"], ConfigurationError, "CTAO-West"),
        (
            ["--site=CTAO-North", "--night=2024-07-10"],
            ConfigurationError,
            r"the night 2024-07-10 at CTAO-North was over at 2024-07-11 04:\d\d:\d\d UTC: run the "
            "workflow itself",
        ),
        (["--site=CTAO-North", "--until=dawn"], ToolConfigurationError, "--until is like"),
        (["--site=CTAO-North", soon(-1)], ConfigurationError, "give a later --until"),
        (
            ["--site=CTAO-North", soon(), "--configfile=simulated.yaml"],
            ConfigurationError,
            "only files can be waited for",
        ),
    ],
)
def test_refusals(options, error, message, tmp_path):
    (tmp_path / "simulated.yaml").write_text("dl0: {source: simulation}")
    with pytest.raises(error, match=message):
        run_tool(FollowNight(), options, cwd=tmp_path)


def test_one_quick_look_a_folder(tmp_path):
    with (
        lonely(tmp_path, "quick look"),
        pytest.raises(StorageError, match="another quick look is running"),
    ):
        run_tool(FollowNight(), ["--site=CTAO-North", soon()], cwd=tmp_path)


class Recorded(FollowNight):
    """Snakemake's part is written down only; the night is over in a second."""

    def setup(self):
        super().setup()
        self._end = time.time() + 1

    def calibrate(self, pending):
        self.__dict__.setdefault("calls", []).append(list(pending))
        for block in pending:
            self._taken[block] = self._seen[block].files


def watched(tmp_path, *options, config=None):
    """The Tool after a night of one second with one file."""
    folder = tmp_path / "data/DL0/LSTN-01/ctao/acada-adh/events/2024/07/10"
    folder.mkdir(parents=True)
    (folder / "TEL001_SDH000_20240710T220000_SBID1_OBSID3_CHUNK000.fits.fz").write_text("events")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config or {}))
    tool = Recorded()
    arguments = ["--site=CTAO-North", "--night=2024-07-10", "--configfile=config.yaml"]
    arguments += [soon(), "--interval-in-s=0.1", *options]
    assert run_tool(tool, arguments, cwd=tmp_path) == 0
    return tool


def test_a_settled_block_is_calibrated_once(tmp_path, capsys):
    tool = watched(tmp_path, "--settle-in-s=0.3")
    assert tool.calls == [[BLOCK]]
    assert "1 blocks, 0 of them with failures\n" in capsys.readouterr().out


def test_looks_are_an_interval_apart(tmp_path, monkeypatch):
    """At each line of the workflow's progress there is one, in vain if the last was just now."""
    tool = watched(tmp_path, "--settle-in-s=60")
    tool.interval_in_s = 10
    n_looks, last = tool._seen[BLOCK].n_looks, tool._looked
    for later, more in ((9.9, 0), (10, 1), (19.9, 1), (20, 2)):
        monkeypatch.setattr(time, "time", lambda now=last + later: now)
        tool.look(1, 5, 3.0)
        assert tool._seen[BLOCK].n_looks == n_looks + more


def test_the_workflow_of_a_block_holds_the_lock(tmp_path, monkeypatch):
    def held(*_, is_alone, lock):
        assert os.path.samestat(os.fstat(lock), (tmp_path / ".quick_look").stat())
        return 0

    monkeypatch.setattr("calibpipe.tools.follow_night.run_workflow", held)
    monkeypatch.setattr(Recorded, "calibrate", FollowNight.calibrate)
    assert watched(tmp_path, "--settle-in-s=0.3")._taken


def test_a_block_that_has_not_settled_is_named_at_the_end(tmp_path, capsys):
    tool = watched(tmp_path, "--settle-in-s=60")
    assert not hasattr(tool, "calls")
    assert (
        "0 blocks, 0 of them with failures; not calibrated: LSTN-01 OBSID3"
        in capsys.readouterr().out
    )


def test_a_locked_folder_is_waited_for(tmp_path, capsys):
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.output.lock").write_text("x\n")
    tool = watched(tmp_path, "--settle-in-s=0.3")
    assert not hasattr(tool, "calls")
    assert capsys.readouterr().err.count("another Snakemake runs there") == 1


def test_what_the_night_has_not_yet_is_not_asked_for(tmp_path, capsys):
    """No archive, no aerosols, no array; no weather that comes a day later, so no refraction."""
    overlay = watched(tmp_path)._overlay
    assert "without weather: star tracking is left to the morning" in capsys.readouterr().out
    assert overlay["domains"] == ["atmosphere", "camera", "throughput", "report"]
    assert overlay["meteo"] == {"source": "none"}
    assert (overlay["sites"], overlay["categories"]) == (["CTAO-North"], ["B"])
    assert overlay["nights"] == ["2024-07-10"]


def test_weather_that_is_there_is_taken_and_the_camera_certified_on_demand(tmp_path):
    config = {"meteo": {"source": "files"}, "domains": ["camera", "pointing", "array"]}
    overlay = watched(tmp_path, "--certify", config=config)._overlay
    assert "meteo" not in overlay
    assert overlay["domains"] == ["camera", "pointing", "archive"]

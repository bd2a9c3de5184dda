"""One rule runs one Tool: what it leaves behind when it ends well, badly, or not by itself."""

import errno
import json
import shlex
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ctapipe.core import ToolConfigurationError, traits
from snakemake.iocontainers import OutputFiles

from calibpipe.core.exceptions import MissingInputError
from calibpipe.tools.night_tool import NightTool
from calibpipe.tools.step import run_step


class Step(NightTool):
    """Does what a test wants."""

    name = "calibpipe-test-step"
    required = ()
    what = staticmethod(lambda: None)
    number = traits.Int(1, min=0).tag(config=True)
    aliases = {"number": "Step.number"}  # noqa: RUF012

    def start(self):
        """Do it."""
        type(self).what()


def raising(error):
    def what():
        raise error

    return staticmethod(what)


@pytest.fixture
def rule(tmp_path):
    """Run a rule in a folder; `record` is what a failure leaves."""
    (tmp_path / "empty.yaml").write_text("{}")
    log = tmp_path / "logs/atmosphere/step.log"
    log.parent.mkdir(parents=True)
    snakemake = SimpleNamespace(
        log=[str(log)],
        input=SimpleNamespace(config=tmp_path / "empty.yaml"),
        output=OutputFiles(
            fromdict={
                "provenance": str(tmp_path / "step.provenance.json"),
                "folder": str(tmp_path / "records"),
            }
        ),
    )

    def run(what=None, **options):
        tool = type("Step", (Step,), {"what": what} if what else {})
        run_step(tool, snakemake, **options)

    run.folder = tmp_path
    run.log, run.record = log, log.with_suffix(".failure.json")
    return run


def failed(rule, what=None, **options):
    with pytest.raises(SystemExit) as end:
        rule(what, **options)
    record = json.loads(rule.record.read_text()) if rule.record.is_file() else None
    return end.value.code, record


def test_success_leaves_the_command_and_no_record(rule):
    rule.record.write_text("{}")  # of an earlier failure
    rule(number=3)
    words = shlex.split(rule.log.read_text().splitlines()[0])
    assert words[0] == "calibpipe-test-step"
    assert words[-1] == "--number=3"
    assert not rule.record.exists()


def test_log_of_a_step_has_no_escape_codes(rule, monkeypatch):
    """Although whoever started the workflow sits at a terminal."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    failed(rule, raising(MissingInputError("no such night; make it")))
    text = rule.log.read_text()
    assert " ERROR [" in text
    assert "\x1b" not in text


def test_options_that_say_nothing_are_left_out(rule):
    rule(number=0, site=None, night="", files=[], by_date=False)
    line = rule.log.read_text().splitlines()[0]
    assert line.endswith("--overwrite --number=0")


def test_error_of_ours(rule, capsys):
    code, record = failed(rule, raising(MissingInputError("no such night; make it")))
    assert code == 105
    assert "calibpipe-test-step: MissingInputError: no such night; make it" in (
        capsys.readouterr().err
    )
    assert record["step"] == "atmosphere/step"
    assert (record["error"], record["exit_code"]) == ("MissingInputError", 105)
    assert record["command"] == rule.log.read_text().splitlines()[0]


def test_failed_step_leaves_nothing_of_its_outputs(rule):
    """On a cluster, Snakemake would remove the products of the whole group, or leave these."""

    def what():
        (rule.folder / "records").mkdir()
        (rule.folder / "records/macobac.json").write_text("{}")
        raise MissingInputError("the second product is not there")

    failed(rule, staticmethod(what))
    assert not (rule.folder / "records").exists()
    assert not (rule.folder / "step.provenance.json").exists()
    rule()
    assert (rule.folder / "step.provenance.json").exists()


def test_error_of_nobody(rule):
    code, record = failed(rule, raising(ValueError("strange")))
    assert (code, record["exit_code"], record["message"]) == (1, 1, "strange")
    assert "Traceback" in rule.log.read_text()


def test_interrupt(rule, capsys):
    """ctapipe turns it into SystemExit(130)."""
    code, record = failed(rule, raising(KeyboardInterrupt))
    assert (code, record["exit_code"], record["error"]) == (130, 130, "KeyboardInterrupt")
    assert record["message"] == "interrupted: run the same command again"
    assert "interrupted" in capsys.readouterr().err


def test_interrupt_that_becomes_another_error(rule):
    """ctapipe 0.32 stumbles over its provenance when Ctrl-C comes while it starts."""

    def what():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise IndexError("pop from empty list") from None

    before = signal.getsignal(signal.SIGINT)
    code, record = failed(rule, staticmethod(what))
    assert (code, record["error"]) == (130, "KeyboardInterrupt")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("options", "said"),
    [({"number": True}, "expected one argument"), ({"number": -1}, "should not be less than 0")],
)
def test_wrong_option(rule, options, said):
    """argparse ends with SystemExit(2), traitlets with SystemExit(1); the log says what it is."""
    code, record = failed(rule, **options)
    assert (code, record["exit_code"], record["error"]) == (2, 2, "ToolConfigurationError")
    assert record["message"] == f"wrong option or configuration, see {rule.log}"
    assert said in rule.log.read_text()


def test_wrong_configuration(rule):
    code, record = failed(rule, raising(ToolConfigurationError("needs --site")))
    assert (code, record["exit_code"], record["message"]) == (2, 2, "needs --site")


def test_full_disk_of_the_tool(rule):
    full = OSError(errno.ENOSPC, "No space left on device", "/data/p.ecsv")
    code, record = failed(rule, raising(full))
    assert (code, record["exit_code"], record["error"]) == (102, 102, "StorageError")
    assert record["message"].startswith("cannot write /data/p.ecsv: No space left on device")


needs_full = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full (Linux)"
)


@needs_full
def test_full_disk_of_the_log(rule, capsys):
    rule.log.symlink_to("/dev/full")
    code, record = failed(rule)
    assert (code, record["exit_code"], record["error"]) == (102, 102, "StorageError")
    assert record["message"].startswith(f"cannot write {rule.log}: No space left on device")
    assert "cannot write" in capsys.readouterr().err
    assert [path.name for path in rule.log.parent.glob("*failure*")] == [rule.record.name]


def test_log_that_cannot_be_opened_and_failure_that_cannot_be_recorded(rule, capsys):
    """The error itself is said first, whatever becomes of its record."""
    rule.log.mkdir()
    (rule.record / "in the way").mkdir(parents=True)
    code, _ = failed(rule)
    assert code == 102
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"calibpipe-test-step: StorageError: cannot write {rule.log}")
    assert "this failure could not be recorded" in second
    assert [path.name for path in rule.log.parent.glob(".*")] == []

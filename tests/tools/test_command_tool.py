"""Tools at a terminal, in a pipe and in a log."""

import io
import os
import pty
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from calibpipe.tools.command_tool import CommandTool, wants_colours

ROOT = Path(__file__).parents[2]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
WRONG = [Path(sys.executable).with_name("calibpipe-lookup")]  # without --archive: logs an error


class Terminal(io.StringIO):
    def isatty(self):
        return True


def tool_class(name):
    """Tool of an entry point: the one that its module defines under the name of the command."""
    module = sys.modules[EntryPoint(name, SCRIPTS[name], "console_scripts").load().__module__]
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, CommandTool)
        and value.__module__ == module.__name__
        and value.name == name
    )
    return found


@pytest.mark.parametrize(
    ("variables", "stream", "wanted"),
    [
        ({}, Terminal(), True),
        ({}, io.StringIO(), False),
        ({"NO_COLOR": "1"}, Terminal(), False),
        ({"NO_COLOR": ""}, Terminal(), True),  # no-color.org: "when present and not empty"
        ({"TERM": "dumb"}, Terminal(), False),
    ],
)
def test_who_wants_colours(variables, stream, wanted, monkeypatch):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert wants_colours(stream) is wanted


def at_a_terminal(command, folder, **variables):
    """What a command writes to a real (pseudo-)terminal."""
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            command, stdout=theirs, stderr=theirs, cwd=folder, env=environment | variables
        )
    finally:
        os.close(theirs)
    written = b""
    try:
        while block := os.read(ours, 4096):
            written += block
    except OSError:  # Linux: the other side is closed
        pass
    os.close(ours)
    assert process.wait() == 2
    return written.decode()


def test_colours_at_a_terminal_only_and_never_against_no_color(tmp_path):
    assert "\x1b[1;31mERROR\x1b[0m" in at_a_terminal(WRONG, tmp_path)
    plain = at_a_terminal(WRONG, tmp_path, NO_COLOR="1")
    piped = subprocess.run(WRONG, cwd=tmp_path, capture_output=True, text=True, check=False).stderr
    for text in (plain, piped):
        assert " ERROR [calibpipe.calibpipe-lookup]" in text
        assert "\x1b" not in text


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_tool_is_one(name):
    """What holds for CommandTool holds for each of them."""
    assert issubclass(tool_class(name), CommandTool)

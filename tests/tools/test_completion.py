"""Completion in a real bash, at a pseudo-terminal, as somebody types."""

import os
import pty
import re
import select
import subprocess
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from ctapipe.core import run_tool

from calibpipe.tools.bash_completion import completion_script
from calibpipe.tools.completion import Completion

ROOT = Path(__file__).parents[2]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Script of all entry points, those of this checkout."""
    path = tmp_path_factory.mktemp("completion") / "calibpipe.bash"
    points = [EntryPoint(name, SCRIPTS[name], "console_scripts") for name in SCRIPTS]
    path.write_text(completion_script(points))
    return path


class Bash:
    """An interactive bash in which commands only tell their arguments."""

    def __init__(self, script, folder):
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "", "HISTFILE": ""},
            start_new_session=True,
        )
        os.close(theirs)
        for name in ("calibpipe-lookup", "calibpipe-create-molecular-density-profile"):
            self.type(f"{name}() {{ printf '<%s>' \"$@\"; echo; }}\n")
        self.type("stty -echo\n")
        self.told(f"source {script} && echo '<sour''ced>'\n", "<sourced>")

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def told(self, keys, end):
        """What is written after some keys, until `end`."""
        self.type(keys)
        text = ""
        while end not in text:
            ready, _, _ = select.select([self.terminal], [], [], 20)
            assert ready, f"no {end} but {text!r}"
            text += os.read(self.terminal, 4096).decode()
        return text

    def arguments(self, keys):
        """Arguments that a command gets when this is typed."""
        text = self.told(f"{keys}\n", ">\r\n")
        return re.search(r"<([^\r]*)>\r\n$", text)[1].split("><")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.fixture
def bash(script, tmp_path):
    (tmp_path / "meteorology.json").write_text("{}")
    shell = Bash(script, tmp_path)
    yield shell
    shell.close()


def test_what_is_typed_is_completed(bash):
    profile = "calibpipe-create-molecular-density-profile"
    assert bash.arguments("calibpipe-lookup --teles\t") == ["--telescope"]
    assert bash.arguments("calibpipe-lookup --category ref\t") == ["--category", "reference"]
    assert bash.arguments("calibpipe-lookup --category=ref\t") == ["--category=reference"]
    assert bash.arguments(f"{profile} --meteo-d\tmeteor\t") == ["--meteo-data", "meteorology.json"]
    assert bash.arguments(f"{profile} --quick\t") == ["--quickstart-config"]
    assert bash.arguments(f"{profile} --telescope\t") == ["--telescope"]  # it has no such option


def test_every_command_is_completed(script):
    told = subprocess.run(
        ["bash", "-c", f"source {script}; complete -p"], capture_output=True, text=True, check=True
    ).stdout
    completed = {line.split()[-1] for line in told.splitlines() if "_calibpipe" in line}
    assert completed == set(SCRIPTS)


def test_written_to_a_file_or_told(tmp_path, capsys):
    """Of the installed commands."""
    assert run_tool(Completion(), ["--output=a.bash"], cwd=tmp_path, raises=True) == 0
    assert run_tool(Completion(), [], cwd=tmp_path, raises=True) == 0
    text = (tmp_path / "a.bash").read_text()
    assert text == capsys.readouterr().out
    assert "[calibpipe-lookup]" in text
    assert [path.name for path in tmp_path.iterdir()] == ["a.bash"]

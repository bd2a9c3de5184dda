"""Completion in real shells: bash and zsh at a pseudo-terminal, as somebody types, and fish."""

import os
import pty
import re
import select
import shutil
import subprocess
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from ctapipe.core import run_tool

from calibpipe.tools.completion import Completion
from calibpipe.tools.shell_completion import SHELLS, Option, completion_script

ROOT = Path(__file__).parents[2]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


INTERACTIVE = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
BEFORE = {"bash": "", "zsh": "autoload -Uz compinit; compinit -u -D; unsetopt prompt_sp; PS1=\n"}
PROFILE = "calibpipe-create-molecular-density-profile"


def needed(shell):
    """Skip where a shell is not installed; in CI that is a failure."""
    if shutil.which(shell) is None:
        reason = f"no {shell}: apt-get install {shell}"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; in CI a missing shell is a failure")
        pytest.skip(reason)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Scripts of all entry points, those of this checkout, by shell."""
    folder = tmp_path_factory.mktemp("completion")
    points = [EntryPoint(name, SCRIPTS[name], "console_scripts") for name in SCRIPTS]
    for shell in SHELLS:
        (folder / shell).write_text(completion_script(points, shell))
    return {shell: folder / shell for shell in SHELLS}


class Shell:
    """An interactive shell in which commands only tell their arguments."""

    def __init__(self, name, script, folder):
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            INTERACTIVE[name],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "", "HISTFILE": ""},
            start_new_session=True,
        )
        os.close(theirs)
        self.type(BEFORE[name])
        for command in ("calibpipe-lookup", PROFILE):
            self.type(f"{command}() {{ printf '<%s>' \"$@\"; echo; }}\n")
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
        return re.findall(r"<([^\r]*)>\r\n", text)[-1].split("><")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.fixture(params=INTERACTIVE)
def shell(request, scripts, tmp_path):
    needed(request.param)
    (tmp_path / "meteorology.json").write_text("{}")
    shell = Shell(request.param, scripts[request.param], tmp_path)
    yield shell
    shell.close()


def test_what_is_typed_is_completed(shell):
    assert shell.arguments("calibpipe-lookup --teles\t") == ["--telescope"]
    assert shell.arguments("calibpipe-lookup --category ref\t") == ["--category", "reference"]
    assert shell.arguments("calibpipe-lookup --category=ref\t") == ["--category=reference"]
    typed = shell.arguments(f"{PROFILE} --meteo-d\tmeteor\t")  # zsh writes `=` after an option
    assert "=".join(typed) == "--meteo-data=meteorology.json"
    assert shell.arguments(f"{PROFILE} --quick\t") == ["--quickstart-config"]
    assert shell.arguments(f"{PROFILE} --telescope\t") == ["--telescope"]  # it has no such option


def test_fish_offers_options_values_and_files(scripts, tmp_path):
    needed("fish")
    (tmp_path / "meteorology.json").write_text("{}")
    typed = {
        "calibpipe-lookup --teles": "--telescope\tArray element",
        "calibpipe-lookup --category ref": "reference\tCategory",
        "calibpipe-lookup --category=ref": "--category=reference\tCategory",
        f"{PROFILE} --meteo-data meteor": "meteorology.json",
        f"{PROFILE} --telesc": "",  # it has no such option
    }
    asked = "; ".join(f"complete -C '{line}'; echo ." for line in typed)
    told = subprocess.run(
        ["fish", "--no-config", "-c", f"source {scripts['fish']}; {asked}"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr == ""
    assert [part.strip("\n") for part in told.stdout.split(".\n")[:-1]] == list(typed.values())


@pytest.mark.parametrize(
    ("shell", "question"),
    [
        ("bash", "complete -p"),
        ("zsh", "for tool by in ${(kv)_comps}; do echo $by $tool; done"),
        ("fish", "complete | string match -r -- ' calibpipe-\\S+' | sed 's/^/_calibpipe/'"),
    ],
)
def test_every_command_is_completed(shell, question, scripts):
    needed(shell)
    before = BEFORE.get(shell, "").split("; unset")[0] or "true"
    told = subprocess.run(
        [shell, "-c", f"{before}; source {scripts[shell]}; {question}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    completed = {line.split()[-1] for line in told.splitlines() if "_calibpipe" in line}
    assert completed == set(SCRIPTS)


def test_help_beside_an_option_is_one_line_without_marks_of_a_shell():
    option = Option("--sky", "It's [dark]: a\\b", True, ("one", "a b"))
    made = {shell: write({"calibpipe-tides": [option]}) for shell, write in SHELLS.items()}
    assert r"""--sky=[It'"'"'s \[dark\]\: a\\b]:sky:(one a\ b)""" in made["zsh"]
    assert r"-d 'It\'s [dark]: a\\b' -x -a 'one a b'" in made["fish"]


@pytest.mark.parametrize("shell", SHELLS)
def test_written_to_a_file_or_told(shell, tmp_path, capsys):
    """Of the installed commands."""
    say = [] if shell == "bash" else [f"--shell={shell}"]
    assert run_tool(Completion(), ["--output=a.bash", *say], cwd=tmp_path, raises=True) == 0
    assert run_tool(Completion(), say, cwd=tmp_path, raises=True) == 0
    text = (tmp_path / "a.bash").read_text()
    assert text == capsys.readouterr().out
    assert f"Completion of CalibPipe in {shell}" in text
    assert "calibpipe-lookup" in text
    assert [path.name for path in tmp_path.iterdir()] == ["a.bash"]

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
import yaml
from ctapipe.core import ToolConfigurationError, run_tool

from calibpipe.tools.command_tool import CommandTool, wants_colours
from calibpipe.tools.shell_completion import tool_of

ROOT = Path(__file__).parents[2]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
WRONG = [Path(sys.executable).with_name("calibpipe-lookup")]  # without --archive: logs an error


class Terminal(io.StringIO):
    def isatty(self):
        return True


def tool_class(name):
    """Tool of an entry point."""
    return tool_of(EntryPoint(name, SCRIPTS[name], "console_scripts"))


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


def quickstart(name, folder, capsys, *options):
    tool = tool_class(name)()
    assert run_tool(tool, ["--quickstart-config", *options], cwd=folder, raises=True) == 0
    return tool, capsys.readouterr().out


@pytest.mark.parametrize("name", SCRIPTS)
def test_quickstart_configuration_of_every_tool(name, tmp_path, capsys):
    """It explains every setting, is read again, and then says the same: no value is lost."""
    tool, text = quickstart(name, tmp_path, capsys)
    (tmp_path / "quickstart.yaml").write_text(text)
    _, again = quickstart(name, tmp_path, capsys, "--config=quickstart.yaml")
    assert again == text
    settings = yaml.safe_load(text)
    known = {
        cls.__name__: cls.class_trait_names(config=True) for cls in (type(tool), *tool.classes)
    }
    assert all(set(section) <= set(known[cls]) for cls, section in settings.items())
    own = set(type(tool).class_trait_names(config=True))
    own -= set(CommandTool.class_trait_names(config=True))
    assert all(f"\n  {setting}:" in text or f"\n  # {setting}:" in text for setting in own)
    assert [path.name for path in tmp_path.iterdir()] == ["quickstart.yaml"]  # no provenance


def shipped(name):
    """Configuration of a Tool as shipped."""
    module, _ = SCRIPTS[name].split(":")
    return ROOT / f"config/tools/{module.removeprefix('calibpipe.tools.')}.yaml"


@pytest.mark.parametrize("name", [name for name in SCRIPTS if shipped(name).is_file()])
def test_quickstart_configuration_has_the_values_of_a_file(name, tmp_path, capsys):
    """Those of components, too, inside the section of the Tool or beside it."""
    path = shipped(name)
    tool, text = quickstart(name, tmp_path, capsys, f"--config={path}")
    told = yaml.safe_load(text)
    components = {cls.__name__ for cls in tool.classes}

    def compare(section, where):
        for key, value in section.items():
            if key in components:
                compare(value, key)
            elif value is None:
                assert key not in told[where]
            elif where in components:
                assert told[where][key] == value
            else:
                assert key in told[where]

    for section, settings in yaml.safe_load(path.read_text()).items():
        compare(settings, section if section in components else type(tool).__name__)


def test_quickstart_configuration_of_given_values(tmp_path, capsys):
    name = "calibpipe-create-molecular-density-profile"
    _, text = quickstart(name, tmp_path, capsys, "--category=B", "--night=2024-07-10")
    settings = yaml.safe_load(text)["CreateMolecularDensityProfile"]
    assert (settings["category"], settings["night"]) == ("B", "2024-07-10")
    assert "  # Processing category: B (GDAS, next day) or C (ERA5, final)" in text


def test_quickstart_refuses_a_misspelt_setting(tmp_path, capsys):
    (tmp_path / "wrong.yaml").write_text("Lookup: {arhcive: x}")
    with pytest.raises(ToolConfigurationError, match="arhcive"):
        quickstart("calibpipe-lookup", tmp_path, capsys, "--config=wrong.yaml")

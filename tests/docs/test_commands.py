"""Every command of the manual exists, with its options, values, files and rules."""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from ctapipe.core import Tool, traits
from docs.manual import PAGES, ROOT, Command, blocks, commands, commands_in
from snakemake.cli import get_argument_parser, parse_config
from snakemake.utils import update_config, validate
from tool_reference import entry_points, tool_class  # docs/_extensions, see conftest.py

MODULES = entry_points(ROOT)
SCHEMAS = {
    name: str(ROOT / f"config/schemas/{name}.schema.yaml")
    for name in ("config", "overrides", "pixel_overrides")
}
RULES = {
    rule
    for path in [ROOT / "Snakefile", *ROOT.glob("rules/*.smk")]
    for rule in re.findall(r"^(?:rule|checkpoint) (\w+):", path.read_text(), re.MULTILINE)
}
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMON = {"config", "c", "help", "h", "help-all", "quiet", "q", "verbose", "v", "version"}
COMMON |= {"quickstart-config"}  # of every CommandTool


@cache
def tool(name: str) -> type[Tool]:
    return tool_class(name, MODULES[name])


@cache
def process_tool() -> type[Tool]:
    from ctapipe.tools.process import ProcessorTool

    return ProcessorTool


def known_names(owner: type[Tool]) -> set[str]:
    """Names of options: aliases and flags of the Tool, of ctapipe, of traitlets."""
    names = set(COMMON)
    for entry in (owner, Tool):
        for keys in (*entry.aliases, *entry.flags):
            names |= {keys} if isinstance(keys, str) else set(keys)
    return names | {"log-level", "log-file", "provenance-log", "overwrite"}


def unknown_options(owner: type[Tool], words: tuple[str, ...]) -> list[str]:
    """Options of a command line that its program does not have."""
    classes = {entry.__name__: entry for cls in (owner, *owner.classes) for entry in cls.mro()}
    unknown = []
    for word in words:
        found = re.match(r"--?(?P<name>[A-Za-z][\w.-]*)", word)
        if not found or found["name"] in known_names(owner):
            continue
        cls, _, trait = found["name"].partition(".")
        if cls not in classes or not classes[cls].class_traits(config=True).get(trait):
            unknown.append(word)
    return unknown


def missing_files(words: tuple[str, ...]) -> list[str]:
    """Files of the repository that are named and are not there."""
    names = [word.rpartition("=")[2] for word in words]
    return [
        name
        for name in names
        if re.match(r"(config|profiles|rules|benchmarks)/", name) and not (ROOT / name).exists()
    ]


def examples() -> list[Command]:
    """Examples that the Tools print with --help."""
    return [command for name in MODULES for command in commands_in(tool(name).examples or "", name)]


@pytest.mark.parametrize("command", [*commands("calibpipe-"), *examples()], ids=str)
def test_commands_of_tools(command, monkeypatch):
    monkeypatch.setattr(traits.Path, "validate", lambda self, obj, value: Path(value))
    name, *options = command.words
    assert name in MODULES
    owner = tool(name)
    assert not unknown_options(owner, command.words[1:])
    assert not missing_files(command.words)
    given = owner()
    given.parse_command_line([word for word in options if not word.startswith("--config")])
    if "--quickstart-config" in options:
        return  # explains what is needed
    for needed in getattr(owner, "required", ()):
        assert getattr(given, needed), f"{name} needs {needed}"


@pytest.mark.parametrize("command", commands("snakemake"), ids=str)
def test_commands_of_snakemake(command):
    asked = get_argument_parser().parse_args(list(command.words[1:]))
    assert not missing_files(command.words)
    assert {*asked.until, *asked.omit_from, *(asked.forcerun or ())} <= RULES
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    update_config(config, parse_config(asked.config))
    validate(config, schema=SCHEMAS["config"])


@pytest.mark.parametrize("command", commands("make"), ids=str)
def test_targets_of_make(command):
    for word in command.words[1:]:
        name, equals, _ = word.partition("=")
        if equals:
            assert re.search(rf"\$\((?:or \$\()?{name}\)|^{name} \?=", _makefile(), re.MULTILINE)
        else:
            assert name in TARGETS


def _makefile() -> str:
    return (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("command", commands("ctapipe-"), ids=str)
def test_commands_of_ctapipe(command):
    assert command.words[0] == "ctapipe-process"
    assert not unknown_options(process_tool(), command.words[1:])


def test_there_is_something_to_check():
    assert len(commands("calibpipe-")) > 40
    assert len(commands("snakemake")) > 10
    assert len(examples()) >= len(MODULES)


@pytest.mark.parametrize(
    "words",
    [("--categry", "B"), ("--Lookup.nothing=3",), ("--Lokup.time=2024",), ("-x",), ("--site.x",)],
)
def test_a_wrong_option_is_noticed(words):
    assert unknown_options(tool("calibpipe-lookup"), words) == [words[0]]


def test_a_missing_file_is_noticed():
    assert missing_files(("--site=config/sites/Paranal.yaml",)) == ["config/sites/Paranal.yaml"]
    assert not missing_files(("--site", "config/sites/CTAO-North.yaml"))


YAML = [(page, text) for page in PAGES for text in blocks(page, "yaml")]


@pytest.mark.parametrize(
    ("page", "text"), YAML, ids=[f"{page.name}-{k}" for k, (page, _) in enumerate(YAML)]
)
def test_yaml_is_what_the_schemas_want(page, text):
    content = yaml.safe_load(text)
    if set(content) == {"overrides"}:
        pixels = "pixels" in content["overrides"][0]
        validate(content, schema=SCHEMAS["pixel_overrides" if pixels else "overrides"])
        return
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    if set(content) <= set(config):
        update_config(config, content)
        validate(config, schema=SCHEMAS["config"])
        return
    if "groups" in content:  # of a profile of Snakemake
        assert set(content["groups"]) <= RULES
        return
    if any(name.startswith("cluster-generic-") for name in content):
        assert {f"--{name}" for name in content} <= set(
            get_argument_parser()._option_string_actions
        )
        return
    owners = {entry.__name__: entry for entry in map(tool, MODULES)}
    for name, settings in content.items():  # of a file in config/tools
        known = set(owners[name].class_traits(config=True))
        assert set(settings) <= known | {entry.__name__ for entry in owners[name].classes}


def test_files_that_the_pages_name_are_there():
    for page in PAGES:
        if page.name == "CHANGELOG.md":  # of files that were
            continue
        for name in re.findall(
            r"\b(?:config|profiles|docs|rules)/[\w/-]+(?:\.schema)?\.[a-z]+", page.read_text()
        ):
            made = name.startswith("docs/_") or (page.parent / name).exists()
            assert made or (ROOT / name).exists(), f"{page.name}: {name}"


def test_links_of_pages_outside_the_manual_lead_somewhere():
    """Sphinx checks those of docs/; GitHub shows the others."""
    found = [
        (page, target)
        for page in PAGES
        if not page.is_relative_to(ROOT / "docs")
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    ]
    assert len(found) > 8
    assert not [f"{page}: {name}" for page, name in found if not (page.parent / name).exists()]

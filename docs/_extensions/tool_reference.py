"""Pages of the Tools, from their traits."""

import inspect
import math
import textwrap
import tomllib
from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from ctapipe.core import Tool, ToolConfigurationError, traits
from markdown_text import code, escaped, from_template, table
from traitlets import Enum, List, TraitType, Undefined, Union

__all__ = ["DOMAINS", "entry_points", "tool_class", "tool_pages"]

DOMAINS = {  # headings, and what names of their commands contain; the first that fits
    "Atmosphere": "macobac molecular_atmospheric molecular_density meteo reference_atmospheric",
    "Aerosols and clouds": "clear_night allsky lidar transparency observation_conditions",
    "Cameras": "camcalib crosstalk dl0 drs4 pedestal photon_transfer pixel "
    "single_photoelectron pde",
    "Throughput": "muon illuminator throughput_history",
    "Pointing": "star pointing",
    "Array": "array_timing cross_calibration inter_calibration asymmetry",
    "Archive": "certify decertify export import history init_db list lookup upload verify",
    "Running nights": "follow_night reprocess doctor completion",
    "Report and comparison": "night_report trends compare reproduce",
}
SIMULATION = "Simulation"
_CONTACT = {"contact_name", "contact_email", "contact_organization"}
_WORDS = {
    "Bool": "yes or no",
    "Int": "whole number",
    "Integer": "whole number",
    "Float": "number",
    "Unicode": "text",
    "Path": "path",
    "Dict": "table",
    "AstroTime": "time",
}


def entry_points(root: Path) -> dict[str, str]:
    """Module of every command, by its name."""
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]
    return {name: target.partition(":")[0] for name, target in sorted(scripts.items())}


def tool_class(name: str, module_name: str) -> type[Tool]:
    """Tool that a command runs.

    Raises
    ------
    ToolConfigurationError
        If the module has no Tool of this name, or several.
    """
    module = import_module(module_name)
    found = [
        entry
        for _, entry in inspect.getmembers(module, inspect.isclass)
        if issubclass(entry, Tool) and entry.__module__ == module_name and entry.name == name
    ]
    if len(found) != 1:
        raise ToolConfigurationError(f"{module_name} has {len(found)} Tools named {name}, not one")
    return found[0]


def domain(name: str) -> str:
    """Heading under which a command stands."""
    if name.startswith("calibpipe-simulate") or name.endswith("test-data"):
        return SIMULATION
    words = name.removeprefix("calibpipe-").replace("-", "_")
    for heading, parts in DOMAINS.items():
        if any(words.startswith(part) or f"_{part}" in words for part in parts.split()):
            return heading
    raise ToolConfigurationError(f"{name} has no place in DOMAINS of tool_reference.py")


def kind_of_value(trait: TraitType) -> str:
    """What may be given, in words."""
    if isinstance(trait, Enum):
        return ", ".join(code(value) for value in trait.values if value is not None)
    if isinstance(trait, traits.TelescopeParameter):
        return f"{kind_of_value(trait._trait)}, by telescope"
    if isinstance(trait, List):
        inner = trait._trait
        return f"list: {kind_of_value(inner)}" if inner is not None else "list"
    if isinstance(trait, Union):
        return " or ".join(dict.fromkeys(kind_of_value(part) for part in trait.trait_types))
    name = type(trait).__name__.removeprefix("C")
    words = _WORDS.get(name, name.lower())
    low, high = getattr(trait, "min", None), getattr(trait, "max", None)
    limits = [f"from {low}"] * _is_limit(low) + [f"to {high}"] * _is_limit(high)
    return " ".join([words, *limits])


def _is_limit(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def default_of(trait: TraitType) -> str:
    """Default value as it would be written."""
    value: Any = trait.default()
    if isinstance(trait, traits.TelescopeParameter) and value:
        value = _by_telescope(list(value))
    if value is None or value is Undefined or value in ("", []):
        return ""
    return code(str(value).lower() if isinstance(value, bool) else value)


def _by_telescope(entries: list[tuple[str, str, Any]]) -> Any:
    """The value of all, or a list as it is written in YAML."""
    if len(entries) == 1 and entries[0][:2] == ("type", "*"):
        return entries[0][2]
    return yaml.safe_dump(
        [list(entry) for entry in entries], default_flow_style=True, width=1000
    ).strip()


def options(tool: type[Tool]) -> Iterator[tuple[str, str, TraitType]]:
    """Option, class and trait of every alias that is the Tool's own."""
    classes = {entry.__name__: entry for entry in (*tool.mro(), *tool.classes)}
    for names, target in tool.aliases.items():
        owner, _, trait = target.partition(".")
        given = (names,) if isinstance(names, str) else names
        if isinstance(given[0], tuple):
            given = given[0]
        if owner in classes:
            text = ", ".join(f"{'-' if len(n) == 1 else '--'}{n}" for n in sorted(given, key=len))
            yield text, f"{owner}.{trait}", classes[owner].class_traits()[trait]


def _row(name: str, trait: TraitType, required: bool = False) -> list[str]:
    default = "**required**" if required else default_of(trait)
    return [code(name), kind_of_value(trait), default, escaped(trait.help)]


def _settings(owner: type, without: set[str]) -> list[list[str]]:
    """Settings of a class that is ours and have no option, as rows."""
    names = chain.from_iterable(
        entry.class_own_traits(config=True).items()
        for entry in reversed(owner.mro())
        if entry.__module__.startswith("calibpipe.")
    )
    return [_row(name, trait) for name, trait in dict(names).items() if name not in without]


def _shipped(root: Path, tool: type[Tool], module: str) -> str:
    """Settings as they are shipped, with their comments."""
    path = root / f"config/tools/{module.rpartition('.')[2]}.yaml"
    if not path.is_file() or not any((yaml.safe_load(path.read_text()) or {}).values()):
        return ""
    where = path.relative_to(root)
    text = path.read_text().rstrip()
    return f"## As shipped\n`{where}`:\n\n```yaml\n{text}\n```\n"


def tool_page(root: Path, tool: type[Tool], module: str) -> str:
    """Page of one Tool."""
    paragraphs = textwrap.dedent("    " + (tool.description or "").strip()).split("\n\n")
    text = "\n\n".join(escaped(paragraph) for paragraph in paragraphs)
    needed = set(getattr(tool, "required", ()))
    given = list(options(tool))
    rows = [_row(name, trait, target.partition(".")[2] in needed) for name, target, trait in given]
    flags = [
        [code(f"--{name}"), "", "", escaped(entry[1])]
        for name, entry in tool.flags.items()
        if isinstance(name, str) and name not in Tool.flags
    ]
    parts = [f"# {tool.name}\n", text + "\n"]
    if tool.examples:
        examples = textwrap.dedent(tool.examples.strip("\n")).strip()
        parts.append(f"```\n{textwrap.dedent(examples)}\n```\n")
    header = ["option", "value", "default", "meaning"]
    parts.append("## Options\n" + table(header, rows + flags))
    aliased = {target.partition(".")[2] for _, target, _ in given} | _CONTACT
    for changed, _ in tool.flags.values():  # {class: {trait: value}}
        aliased |= set(changed.get(tool.__name__, {})) | set(
            changed.get(tool.mro()[1].__name__, {})
        )
    for owner in (tool, *tool.classes):
        settings = _settings(owner, aliased if owner is tool else set())
        if settings:
            title = f"## Settings `{owner.__name__}`\n"
            parts.append(title + table(["setting", *header[1:]], settings))
    parts.append(_shipped(root, tool, module))
    return "\n".join(part for part in parts if part)


def tool_pages(root: Path) -> dict[str, str]:
    """Page of every Tool and their index, by path below the generated folder."""
    pages = {}
    headings: dict[str, list[tuple[str, str]]] = {name: [] for name in (*DOMAINS, SIMULATION)}
    for name, module in entry_points(root).items():
        tool = tool_class(name, module)
        pages[f"tools/{name}.md"] = tool_page(root, tool, module)
        first = escaped((tool.description or "").strip().partition("\n\n")[0])
        headings[domain(name)].append((name, first))
    parts = []
    for heading, entries in headings.items():
        rows = [[f"[{name}](tools/{name}.md)", first] for name, first in entries]
        toc = "\n".join(f"tools/{name}" for name, _ in entries)
        parts.append(
            f"## {heading}\n{table(['Tool', 'what it does'], rows)}\n"
            f"```{{toctree}}\n:hidden:\n{toc}\n```\n"
        )
    return pages | {"tools.md": from_template("tools", tools="\n".join(parts))}

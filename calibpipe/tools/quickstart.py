"""A commented configuration of a Tool: every setting with its meaning and its value."""

import textwrap
from collections import UserList
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import astropy.units as u
import yaml
from ctapipe.core import Tool
from traitlets import TraitType, Undefined
from traitlets.config import Config, Configurable

__all__ = ["commented_configuration"]

_WIDTH = 100


def commented_configuration(tool: Tool, base: type[Tool]) -> str:
    """Configuration as YAML that `--config` reads again.

    Values are those that the Tool has: defaults, or what ``--config`` and options say. A setting
    that has no value is a comment.

    Parameters
    ----------
    tool : Tool
        With its configuration loaded.
    base : type
        Class whose settings (logs, provenance) are left out.
    """
    left_out = set(base.class_trait_names(config=True))
    summary = " ".join((tool.description or "").split())
    lines = [_comment(f"{tool.name}: {summary}", 0), ""]
    for cls in dict.fromkeys((type(tool), *tool.classes)):
        traits = sorted(cls.class_traits(config=True).items())
        own = [(n, t) for n, t in traits if not (issubclass(cls, Tool) and n in left_out)]
        if not own:
            continue
        lines.append(f"{cls.__name__}:")
        entries = [_entry(name, trait, _value(tool, cls, name, trait)) for name, trait in own]
        if all(entry.splitlines()[-1].lstrip().startswith("#") for entry in entries):
            lines[-1] += " {}"
        lines += [*entries, ""]
    return "\n".join(lines).rstrip() + "\n"


def _entry(name: str, trait: TraitType, value: Any) -> str:
    """A setting: what it means, what it may be, what it is."""
    told = " ".join((trait.help or "").split())
    choices = [str(choice) for choice in getattr(trait, "values", None) or ()]
    if not all(choice in told for choice in choices):
        told += f" ({', '.join(choices)})"
    parts = [_comment(told, 2)] if told else []
    if value is None or value is Undefined:
        parts.append(f"  # {name}:")
    else:
        text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=_WIDTH)
        text = text.removesuffix("...\n").rstrip()  # the end of a document that is one value
        parts.append(f"  {name}: {textwrap.indent(text, ' ' * 4).lstrip()}")
    return "\n".join(parts)


def _comment(text: str, indent: int) -> str:
    start = f"{' ' * indent}# "
    return textwrap.fill(text, _WIDTH, initial_indent=start, subsequent_indent=start)


def _value(tool: Tool, cls: type[Configurable], name: str, trait: TraitType) -> Any:
    """Value of a setting, of the Tool itself or of a component that it would make."""
    if isinstance(tool, cls):
        return _plain(getattr(tool, name))
    for parent in cls.mro():  # what is said of a class holds for those that follow from it
        for section in _sections(tool.config, parent.__name__):
            if name in section:
                return _plain(section[name])
    return _plain(trait.default())


def _sections(config: Config, name: str) -> Iterator[Config]:
    """Sections of a component, the innermost first: it holds for the component of that parent."""
    for key, section in config.items():
        if isinstance(section, Config):
            yield from _sections(section, name)
            if key == name:
                yield section


def _plain(value: Any) -> Any:
    """Value as YAML has it."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | UserList):
        return [_plain(entry) for entry in value]
    if isinstance(value, Path | u.UnitBase | u.Quantity):
        return str(value)
    return value

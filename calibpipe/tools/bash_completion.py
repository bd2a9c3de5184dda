"""Completion of the command lines in bash, written once: a Tab costs no start of Python.

argcomplete, which traitlets knows, would start Python and import ctapipe at every Tab: a second.
"""

import shlex
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint

from .command_tool import CommandTool

__all__ = ["completion_script", "tool_of"]

_SCRIPT = """\
# Completion of CalibPipe in bash, written by calibpipe-completion.
declare -gA _calibpipe_options=(
{options}
)
declare -gA _calibpipe_choices=(
{choices}
)
_calibpipe() {{
    local tool=${{1##*/}} current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    if [[ $current == "=" ]]; then
        current=""
    elif [[ $before == "=" ]]; then
        before=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    local words=${{_calibpipe_choices["$tool $before"]-}}
    if [[ -z $words && $current == -* ]]; then
        words=${{_calibpipe_options[$tool]-}}
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o default -F _calibpipe {tools}
"""


def tool_of(entry_point: EntryPoint) -> type[CommandTool]:
    """Tool that an entry point runs: that of its module with the name of the command."""
    module = sys.modules[entry_point.load().__module__]
    (tool,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, CommandTool)
        and value.__module__ == module.__name__
        and value.name == entry_point.name
    )
    return tool


def completion_script(entry_points: Iterable[EntryPoint]) -> str:
    """Script for bash: options of each command, values of those that have few, else files.

    Parameters
    ----------
    entry_points : iterable of EntryPoint
        Console scripts of the package.
    """
    options: dict[str, str] = {}
    choices: dict[str, str] = {}
    for entry_point in sorted(entry_points, key=lambda e: e.name):
        tool = tool_of(entry_point)()
        values = option_values(tool)
        options[tool.name] = " ".join([*sorted(values), "--help", "--help-all"])
        choices |= {f"{tool.name} {option}": " ".join(few) for option, few in values.items() if few}
    tools = " ".join(map(shlex.quote, options))
    return _SCRIPT.format(options=_entries(options), choices=_entries(choices), tools=tools)


def _entries(values: Mapping[str, str]) -> str:
    return "\n".join(f"    [{shlex.quote(k)}]={shlex.quote(v)}" for k, v in values.items())


def option_values(tool: CommandTool) -> dict[str, list[str]]:
    """Long options of a Tool, and what may be said after each; nothing where that is free."""
    found: dict[str, list[str]] = {}
    for names in tool.flags:
        found |= {name: [] for name in _long(names)}
    classes = {cls.__name__: cls for cls in (*type(tool).mro(), *tool.classes)}
    for names, target in tool.aliases.items():
        place = target[0] if isinstance(target, tuple) else target  # with a help of its own
        section, trait = place.split(".")
        traits = classes[section].class_traits(config=True)
        values = getattr(traits[trait], "values", None) or ()
        found |= {name: [str(value) for value in values] for name in _long(names)}
    return found


def _long(names: str | tuple[str, ...]) -> list[str]:
    every = names if isinstance(names, tuple) else (names,)
    return [f"--{name}" for name in every if len(name) > 1]

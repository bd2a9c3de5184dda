"""Completion of the command lines in bash, zsh and fish, written once: a Tab starts no Python.

argcomplete, which traitlets knows, would start Python and import ctapipe at every Tab: a second.
"""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint

from .command_tool import CommandTool

__all__ = ["SHELLS", "Option", "completion_script", "tool_of"]

_BASH = """\
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
_ZSH = """\
#compdef {tools}
# Completion of CalibPipe in zsh, written by calibpipe-completion.
_calibpipe() {{
    case $service in
{cases}
    esac
}}
if [[ $funcstack[1] == _calibpipe ]]; then # a file of $fpath
    _calibpipe "$@"
else
    compdef _calibpipe {tools}
fi
"""
_LONGEST = 70  # letters of a help beside an option


@dataclass(frozen=True)
class Option:
    """A long option of a Tool.

    Parameters
    ----------
    name : str
        ``--telescope``.
    text : str
        One line of help.
    takes_value : bool
        Whether something is said after it.
    values : tuple of str
        What may be said; empty where that is free.
    """

    name: str
    text: str
    takes_value: bool = False
    values: tuple[str, ...] = ()


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


def completion_script(entry_points: Iterable[EntryPoint], shell: str = "bash") -> str:
    """Script for a shell: options of each command, values of those that have few, else files.

    Parameters
    ----------
    entry_points : iterable of EntryPoint
        Console scripts of the package.
    shell : str
        One of `SHELLS`.
    """
    tools = [tool_of(entry)() for entry in sorted(entry_points, key=lambda e: e.name)]
    return SHELLS[shell]({tool.name: options_of(tool) for tool in tools})


def options_of(tool: CommandTool) -> list[Option]:
    """Long options of a Tool, in the order of their names, help last."""
    found: dict[str, Option] = {}
    for names, (_, text) in tool.flags.items():
        found |= {name: Option(name, _line(text)) for name in _long(names)}
    classes = {cls.__name__: cls for cls in (*type(tool).mro(), *tool.classes)}
    for names, target in tool.aliases.items():
        place, own = target if isinstance(target, tuple) else (target, None)
        section, name = place.split(".")
        trait = classes[section].class_traits(config=True)[name]
        values = tuple(str(value) for value in getattr(trait, "values", None) or ())
        text = _line(own or trait.help)
        found |= {name: Option(name, text, True, values) for name in _long(names)}
    helps = Option("--help", "Show this help"), Option("--help-all", "Show help of all settings")
    return [*(found[name] for name in sorted(found)), *helps]


def _long(names: str | tuple[str, ...]) -> list[str]:
    every = names if isinstance(names, tuple) else (names,)
    return [f"--{name}" for name in every if len(name) > 1]


def _line(text: str) -> str:
    """First sentence of a help, cut at a word where it is long."""
    sentence = re.split(r"(?<=\w)[.;:] ", " ".join(text.split()))[0].rstrip(".")
    if len(sentence) <= _LONGEST:
        return sentence
    return sentence[:_LONGEST].rsplit(" ", 1)[0] + " …"


def _bash(commands: Mapping[str, Sequence[Option]]) -> str:
    options = {tool: " ".join(o.name for o in every) for tool, every in commands.items()}
    choices = {
        f"{tool} {option.name}": " ".join(option.values)
        for tool, every in commands.items()
        for option in every
        if option.values
    }
    tools = " ".join(map(shlex.quote, commands))
    return _BASH.format(options=_entries(options), choices=_entries(choices), tools=tools)


def _entries(values: Mapping[str, str]) -> str:
    return "\n".join(f"    [{shlex.quote(k)}]={shlex.quote(v)}" for k, v in values.items())


def _zsh(commands: Mapping[str, Sequence[Option]]) -> str:
    cases = []
    for tool, every in commands.items():
        entries = " \\\n".join(f"            {_zsh_entry(option)}" for option in every)
        cases.append(
            f"        {shlex.quote(tool)})\n        _arguments \\\n{entries} \\\n"
            "            '*:file:_files'\n        ;;"
        )
    return _ZSH.format(cases="\n".join(cases), tools=" ".join(map(shlex.quote, commands)))


def _zsh_entry(option: Option) -> str:
    text = re.sub(r"([\\\[\]:])", r"\\\1", option.text)
    if not option.takes_value:
        return shlex.quote(f"{option.name}[{text}]")
    values = " ".join(re.sub(r"([^\w.-])", r"\\\1", value) for value in option.values)
    what = f"({values})" if values else "_files"
    return shlex.quote(f"*{option.name}=[{text}]:{option.name.strip('-')}:{what}")


def _fish(commands: Mapping[str, Sequence[Option]]) -> str:
    lines = ["# Completion of CalibPipe in fish, written by calibpipe-completion."]
    for tool, every in commands.items():
        for option in every:
            words = ["complete", "-c", tool, "-l", option.name.strip("-"), "-d", option.text]
            if option.values:
                words += ["-x", "-a", " ".join(option.values)]
            elif option.takes_value:
                words += ["-r", "-F"]
            lines.append(" ".join(map(_fish_quote, words)))
    return "\n".join(lines) + "\n"


def _fish_quote(word: str) -> str:
    if re.fullmatch(r"[\w./-]+", word, flags=re.ASCII):
        return word
    return "'" + re.sub(r"([\\'])", r"\\\1", word) + "'"


SHELLS: dict[str, Callable[[Mapping[str, Sequence[Option]]], str]] = {
    "bash": _bash,
    "fish": _fish,
    "zsh": _zsh,
}

"""The manual's blocks of code, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/methods/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)
_FENCE = re.compile(
    r"^```(?P<language>[\w{}-]*)[^\n]*\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Command:
    """A command as somebody would type it, and where it stands."""

    where: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where}: {shlex.join(self.words)}"


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """Blocks of code of a page in these languages."""
    for found in _FENCE.finditer(page.read_text()):
        if found["language"] in languages:
            yield found["text"]


def commands_in(text: str, where: str) -> Iterator[Command]:
    """Commands of a block; a backslash at the end of a line continues it, # begins a remark."""
    for line in text.replace("\\\n", " ").splitlines():
        if re.match(r"\s*(calibpipe-|snakemake |make |ctapipe-)", line):
            yield Command(where, tuple(shlex.split(line, comments=True)))


def commands(*programs: str) -> list[Command]:
    """All commands of the manual whose program begins with one of these."""
    return [
        command
        for page in PAGES
        for text in blocks(page, "", "sh", "bash", "text")
        for command in commands_in(text, str(page.relative_to(ROOT)))
        if command.words[0].startswith(programs)
    ]

"""Text and tables in Markdown."""

import re
from pathlib import Path
from string import Template

__all__ = ["code", "escaped", "from_template", "table"]

TEMPLATES = Path(__file__).parent / "templates"


def escaped(text: str) -> str:
    """Text whose characters mean nothing to Markdown, in one line; code in backticks stays."""
    parts = re.split(r"(`+[^`]+`+)", " ".join(str(text).split()))
    plain = [re.sub(r"([\\*_<>\[\]$|{}])", r"\\\1", part) for part in parts]
    return "".join(part.replace("|", "\\|") if k % 2 else plain[k] for k, part in enumerate(parts))


def code(text: object) -> str:
    """Literal text in a cell of a table; nothing for empty text."""
    literal = str(text).replace("|", "\\|")
    return f"`{literal}`" if literal else ""


def table(header: list[str], rows: list[list[str]]) -> str:
    """Table of cells that are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def from_template(name: str, **parts: str) -> str:
    """Page of a template with these parts."""
    return Template((TEMPLATES / f"{name}.md").read_text()).substitute(parts)

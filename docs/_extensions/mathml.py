"""Sphinx extension: formulas as MathML, which browsers draw themselves, without JavaScript."""

from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.errors import ExtensionError

__all__ = ["mathml", "setup"]

CONVERTER = LatexToMathML(fancy_error=False)


def mathml(latex: str, display: bool = False) -> str:
    """MathML of a formula; lines or columns of a displayed one are aligned.

    Raises
    ------
    ExtensionError
        If the formula is no LaTeX, or has a command that MathML lacks.
    """
    text = latex.strip()
    if display and r"\begin" not in text and (r"\\" in text or "&" in text):
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    try:
        return CONVERTER.convert_with_local_state(text, displaystyle=display)
    except LatexError as error:
        raise ExtensionError(f"formula {latex.strip()!r}: {error}") from error


def visit_inline(writer: Any, node: nodes.math) -> None:
    """Formula within a sentence."""
    writer.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def visit_block(writer: Any, node: nodes.math_block) -> None:
    """Formula on lines of its own, which scrolls where it is wider than the page."""
    formula = mathml(node.astext(), display=True)
    writer.body.append(f'<div class="formula" tabindex="0">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Take the place of MathJax, which is fetched from elsewhere."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

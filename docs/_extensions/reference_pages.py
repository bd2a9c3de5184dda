"""Sphinx extension: pages that are made of the code and the configuration, in docs/_generated."""

from pathlib import Path
from typing import Any

from product_reference import product_pages
from settings_reference import settings_pages
from tool_reference import tool_pages

__all__ = ["setup", "write_pages"]

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "core": "files, nights, products",
    "atmosphere": "air, aerosols, clouds",
    "camera": "cameras",
    "throughput": "muon rings, flashes",
    "pointing": "stars, pointing models",
    "array": "array calibration, timing",
    "verification": "metrics, verdicts",
    "archive": "certified products",
    "simulation": "known truth",
    "report": "pages",
}


def package_pages(root: Path) -> dict[str, str]:
    """A page a subpackage with all of its modules."""
    pages = {}
    for name, content in PACKAGES.items():
        modules = sorted(
            ".".join(path.relative_to(root).with_suffix("").parts)
            for path in (root / "calibpipe" / name).glob("*.py")
            if path.stem != "__init__"
        )
        text = "\n".join(
            f"## {module.rpartition('.')[2]}\n\n"
            f"```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n"
            for module in modules
        )
        pages[f"package/{name}.md"] = f"# calibpipe.{name}: {content}\n\n{text}"
    return pages


def write_pages(root: Path, folder: Path) -> None:
    """Write what has changed, remove what is gone."""
    pages = tool_pages(root) | settings_pages(root) | product_pages() | package_pages(root)
    for path in folder.rglob("*.md"):
        if str(path.relative_to(folder)) not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before Sphinx looks for them."""
    write_pages(ROOT, Path(app.srcdir) / "_generated")
    return {"parallel_read_safe": True}

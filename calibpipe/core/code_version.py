"""Version of the code that one step runs: of its module and of all that this imports.

An edit of a method changes the version of the steps that use it, and of no other ones. Imports are
found in the text, those inside functions too; what only a string names is not found.
"""

import hashlib
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path

from .. import __version__

__all__ = ["code_version", "imported_modules", "software_versions"]

PACKAGE = Path(__file__).parents[1]
_FROM = re.compile(r"^\s*from\s+(\.*)([\w.]*)\s+import\s+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(rf"^\s*import\s+{PACKAGE.name}\.([\w.]+)", re.MULTILINE)
_NAMES = re.compile(r"\w+")


@cache
def code_version(module: str) -> str:
    """Version of the package with a digest of what a module runs, ``0.1.0+3f9a1d0e``.

    Parameters
    ----------
    module : str
        ``calibpipe.tools.process_lidar``; of a module outside of the package the version counts.

    Raises
    ------
    FileNotFoundError
        If the package has no such module.
    """
    package, _, name = module.partition(".")
    if package != PACKAGE.name:
        return __version__
    content = hashlib.sha256()
    for path in imported_modules(_file((), name)):
        content.update(_content(path))
    return f"{__version__}+{content.hexdigest()[:8]}"


def imported_modules(path: Path) -> list[Path]:
    """Files of a module, of what it imports of the package, and of data beside them; sorted.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    found = {path}
    front = [path]
    while front:
        new = set(_direct(front.pop())) - found
        found |= new
        front += new
    data = {file for folder in {p.parent for p in found} for file in _data(folder)}
    return sorted(found | data)


@cache
def _content(path: Path) -> bytes:
    """Name and content of a file of the package."""
    return path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes()


@cache
def _data(folder: Path) -> tuple[Path, ...]:
    """Files of a folder and below that modules of it may read."""
    kept = (p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return tuple(p for p in kept if p.suffix != ".py") if folder != PACKAGE else ()


@cache
def _direct(path: Path) -> tuple[Path, ...]:
    """Modules of the package that a file imports itself."""
    text = path.read_text()
    here = path.relative_to(PACKAGE).parent.parts
    named = [(here[:n], "") for n in range(len(here) + 1)]  # its packages
    for dots, module, imported in _FROM.findall(text):
        first, _, rest = module.partition(".")
        if not dots and first != PACKAGE.name:
            continue
        base, name = (here[: len(here) - len(dots) + 1], module) if dots else ((), rest)
        named += [(base, name), *((base, f"{name}.{n}") for n in _NAMES.findall(imported))]
    named += [((), module) for module in _IMPORT.findall(text)]
    return tuple(file for base, name in dict.fromkeys(named) if _is_file(file := _file(base, name)))


@cache
def _is_file(path: Path) -> bool:
    return path.is_file()


@cache
def _file(base: tuple[str, ...], module: str) -> Path:
    """File of a module, or of a package's ``__init__``."""
    path = PACKAGE.joinpath(*base, *filter(None, module.split(".")))
    return path / "__init__.py" if path.is_dir() else path.with_name(f"{path.name}.py")


def software_versions() -> dict[str, str]:
    """Versions of the package and of what its numbers depend on."""
    return {"calibpipe": __version__} | {
        name: version(name) for name in ("astropy", "ctapipe", "numpy", "scipy")
    }

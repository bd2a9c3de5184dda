"""Folders that are written to, and folders of the observatory's data."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ..core.exceptions import MissingInputError, StorageError
from .finding import Finding, fail, ok, warning

__all__ = ["data_roots", "dl0_root", "nights_of", "write_access"]

LEAST_SPACE = 1.0  # GB below which a night does not end


def write_access(folders: Mapping[str, Path], enough_space: float) -> Iterator[Finding]:
    """Whether folders, or what they will be made in, can be written and have space.

    Parameters
    ----------
    folders : mapping
        Folder by what it is for.
    enough_space : float
        Free space in GB (1e9 bytes) below which there is a warning.
    """
    for name, folder in folders.items():
        there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        where = f"{name} {folder}"
        try:
            with tempfile.TemporaryFile(dir=there) as stream:
                stream.write(b"calibpipe")
        except OSError as error:
            yield fail(
                f"{where} cannot be written: {error.strerror}",
                "change its rights, or name another folder in the configuration",
                StorageError,
            )
            continue
        free = shutil.disk_usage(there).free / 1e9
        text = f"{where}: {free:.1f} GB free"
        if free < LEAST_SPACE:
            yield fail(
                f"{text}, needs {LEAST_SPACE:g} GB", "free space, or another disk", StorageError
            )
        elif free < enough_space:
            yield warning(f"{text}, should be {enough_space:g} GB", "free space, or another disk")
        else:
            yield ok(text)


def data_roots(config: Mapping[str, Any], base: Path) -> Iterator[Finding]:
    """Roots of what the configuration takes from files, but DL0.

    Parameters
    ----------
    config : mapping
        Configuration of the workflow.
    base : path
        Working folder, which relative paths begin at.
    """
    roots, domains = config["data_roots"], set(config["domains"])
    needed = {
        "dl2": ("array" in domains and config["dl2"]["source"] == "files", True),
        "monitoring": ("aerosol" in domains and config["monitoring"]["source"] == "files", False),
        "meteo": ("atmosphere" in domains and config["meteo"]["source"] == "files", True),
    }
    for name, (is_needed, stops) in needed.items():
        root = base / roots[name]
        if not is_needed:
            yield ok(f"{name}: not taken from files")
        elif root.is_dir():
            yield ok(f"{name}: {root}")
        elif stops:
            yield fail(f"{name}: there is no {root}", _remedy(name), MissingInputError)
        else:
            yield warning(f"{name}: there is no {root}; nights go on without", _remedy(name))


def _remedy(name: str) -> str:
    return f"mount it, or set data_roots.{name}, or {name}.source to something else than files"


def dl0_root(config: Mapping[str, Any], base: Path, telescopes: Sequence[str]) -> Iterator[Finding]:
    """Root of DL0: its folders, telescopes without data, newest night, nights that are asked for.

    Parameters
    ----------
    config, base
        As for `data_roots`.
    telescopes : sequence of str
        Array elements whose data are wanted.
    """
    wanted = {"camera", "throughput", "pointing"} & set(config["domains"])
    if config["dl0"]["source"] != "files" or not wanted:
        yield ok("not taken from files")
        return
    root = base / config["data_roots"]["dl0"]
    if not (root / "DL0").is_dir():
        what = f"{root} has no folder DL0" if root.is_dir() else f"there is no {root}"
        yield fail(what, _remedy("dl0"), MissingInputError)
        return
    nights = {name: nights_of(root, name) for name in telescopes}
    without = [name for name, found in nights.items() if not found]
    if len(without) == len(telescopes):
        yield fail(
            f"{root}/DL0 has nothing of {', '.join(telescopes)}; needs "
            "<array element>/<user>/acada-adh/events/YYYY/MM/DD/",
            "set data_roots.dl0 to the folder that contains DL0, or telescopes to those there are",
            MissingInputError,
        )
        return
    if without:
        yield warning(f"no DL0 of {', '.join(without)}", "set telescopes to those with data")
    every = set().union(*nights.values())
    yield ok(f"{root}: {len(every)} nights of {len(telescopes)} telescopes, newest {max(every)}")
    absent = sorted(requested_nights(config["nights"]) - {str(night) for night in every})
    if absent:
        few = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
        yield warning(
            f"no DL0 of {few}, which nights asks for", "wait for the data, or ask for other nights"
        )


def nights_of(root: Path, telescope: str) -> set[date]:
    """Evenings that a telescope has folders of."""
    found = set()
    for path in (root / "DL0" / telescope).glob("*/acada-adh/events/*/*/*"):
        try:
            found.add(date.fromisoformat("-".join(path.parts[-3:])))
        except ValueError:  # somebody's own folder
            continue
    return found


def requested_nights(nights: Any) -> set[str]:
    """Names of the nights of a configuration: one, a list, or the first and the last."""
    if isinstance(nights, Mapping):
        first, last = (date.fromisoformat(nights[end]) for end in ("first", "last"))
        return {str(first + timedelta(days=k)) for k in range((last - first).days + 1)}
    return {nights} if isinstance(nights, str) else set(nights)

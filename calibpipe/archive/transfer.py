"""From one archive to another: a folder with files, checksums and a manifest."""

import json
import re
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from ..core.product_header import ProductHeader
from .candidate import Candidate
from .certify import certify
from .checksum import check_sum
from .errors import NoValidProductError
from .history import product_record
from .lookup import Certified, product_path
from .names import CATEGORIES, checked_name, layer_number
from .repository import Archive, uses_database
from .validity import Interval

__all__ = ["export_products", "import_products"]

MANIFEST = "manifest.json"
FORMAT = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@uses_database
def export_products(
    archive: Archive, selection: Sequence[Certified], folder: str | Path
) -> dict[str, Any]:
    """Products with their validities and history into a folder, for another archive.

    Every file is compared with the checksum of the archive before it is given away.

    Parameters
    ----------
    selection : sequence of Certified
        What `lookup` and `certified` return.
    folder : path
        Must be empty or absent; appears complete or not at all.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    NoValidProductError
        If nothing is selected.
    ConfigurationError
        If the folder is not empty.
    CorruptedInputError
        If a file of the archive is not what was stored.
    """
    folder = Path(folder)
    if not selection:
        raise NoValidProductError("nothing is certified that was asked for: nothing to export")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} exists and is not empty: give another folder")
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        (partial / "files").mkdir(parents=True)
        entries = {}
        for found in selection:
            key = str(found.product_id)
            if key not in entries:
                entries[key] = _exported(archive, found, partial)
            entries[key]["validities"].append(
                {
                    "layer": layer_number(found.collection),
                    "begin_tai_ns": found.validity.begin,
                    "end_tai_ns": found.validity.end,
                }
            )
        universe = archive.butler.dimensions
        manifest = {
            "format": FORMAT,
            "universe": {"namespace": universe.namespace, "version": universe.version},
            "sites": _observatory(archive, {e["keys"]["site"] for e in entries.values()}),
            "products": list(entries.values()),
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _exported(archive: Archive, found: Certified, folder: Path) -> dict[str, Any]:
    record = product_record(archive, found.product_id)
    source = product_path(archive, found.product_id)
    name = f"files/{found.product_id}{source.suffix}"
    shutil.copyfile(source, folder / name)
    check_sum(folder / name, record["sha256"], f"{source} of the archive")
    keys = {
        "site": record["site"],
        "category": record["category"],
        "night": record["night_name"],
        "array_element": record["array_element"],
        "block": record["block"],
        "season": found.data_id.get("season"),
    }
    return {
        "id": str(found.product_id),
        "kind": found.kind,
        "keys": keys,
        "run": found.run,
        "file": name,
        "sha256": record["sha256"],
        "configuration_digest": record["configuration_digest"],
        "software": record["software"],
        "inputs": record["inputs"],
        "history": record["history"],
        "validities": [],
    }


def _observatory(archive: Archive, sites: set[str]) -> list[dict[str, Any]]:
    query = archive.butler.query_dimension_records
    answer = []
    for site in sorted(sites):
        about = query("site", site=site)[0].toDict()
        for element in ("telescope", "season"):
            rows = query(element, site=site, explain=False, limit=None)
            about[f"{element}s"] = [row.toDict() for row in rows]
        answer.append(about)
    return answer


@uses_database
def import_products(
    archive: Archive, folder: str | Path, *, author: str, reason: str
) -> list[dict[str, Any]]:
    """Products of another archive, with validities and history, all of them or none.

    Identifiers, layers and validities are kept, so that a lookup gives the same answer in both.
    What is here already is left as it is.

    Raises
    ------
    MissingInputError
        If the folder holds no export, or a file is not there.
    CorruptedInputError
        If the manifest cannot be read, a path leaves the folder, or a checksum is wrong.
    ConfigurationError
        If it comes from another universe, or knows a site or telescope otherwise.
    OverlappingValidityError
        If another product is certified here for a part of the time in the same layer.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    ours = archive.butler.dimensions
    theirs = manifest["universe"]
    if (theirs["namespace"], theirs["version"]) != (ours.namespace, ours.version):
        raise ConfigurationError(
            f"{folder} comes from the universe {theirs['namespace']!r} {theirs['version']!r}, "
            f"needs {ours.namespace!r} {ours.version}"
        )
    candidates = []
    try:
        for entry in manifest["products"]:
            candidates += _candidates(folder, entry)
        history = [row for entry in manifest["products"] for row in entry["history"]]
        sites = [_checked_site(entry) for entry in manifest["sites"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptedInputError(f"{folder / MANIFEST} is damaged: {error!r}") from error
    _check_observatory(archive, sites)
    _add_observatory(archive, sites)
    return certify(archive, candidates, author=author, reason=reason, history=history)


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise MissingInputError(f"{folder} holds no export: {MANIFEST} is missing")
    try:
        manifest = json.loads(path.read_text())
        if manifest["format"] != FORMAT:
            raise ConfigurationError(
                f"{path} has the format {manifest['format']!r}, this CalibPipe reads {FORMAT}"
            )
        {name: manifest[name] for name in ("universe", "sites", "products")}
        {name: manifest["universe"][name] for name in ("namespace", "version")}
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptedInputError(f"{path} cannot be read: {error!r}") from error
    return manifest


def _candidates(folder: Path, entry: dict[str, Any]) -> list[Candidate]:
    product_id = uuid.UUID(entry["id"])
    path = _inside(folder, entry["file"])
    if not _SHA256.fullmatch(entry["sha256"]):
        raise CorruptedInputError(f"{folder / MANIFEST}: {entry['sha256']!r} is no checksum")
    check_sum(path, entry["sha256"], str(path))
    keys = entry["keys"]
    for name in ("site", "night", "array_element", "block", "season"):
        if keys[name] is not None:
            checked_name(keys[name], name)
    if keys["category"] not in CATEGORIES:
        raise CorruptedInputError(f"{folder / MANIFEST}: no category {keys['category']!r}")
    header = ProductHeader(
        path=path,
        product_id=product_id,
        kind=entry["kind"],
        status="COMPLETE",
        site=keys["site"],
        night=keys["night"],
        category=keys["category"],
        array_element=keys["array_element"],
        obs_id=int(keys["block"].removeprefix("OBSID")) if keys["block"] else None,
        validity=None,
        inputs=tuple(_input(row) for row in entry["inputs"]),
        own={
            "configuration_digest": entry["configuration_digest"],
            "software": {"calibpipe": entry["software"]},
        },
    )
    last = entry["history"][-1] if entry["history"] else {}
    return [
        Candidate(
            header,
            validity=Interval(int(v["begin_tai_ns"]), int(v["end_tai_ns"])),
            verdict=str(last.get("verdict") or "NONE"),
            verification=str(last.get("verification") or ""),
            override="certified in the archive that it comes from",
            season=keys["season"] or "",
            layer=int(v["layer"]),
            run=_checked_run(entry["run"]),
        )
        for v in entry["validities"]
    ]


def _input(row: dict[str, str]) -> dict[str, str]:
    source = str(row["source"])
    known = (
        {"sha256": source.removeprefix("sha256:")}
        if source.startswith("sha256:")
        else {"product_id": str(uuid.UUID(source))}
    )
    return {"role": str(row["role"]), "path": str(row["path"])} | known


def _checked_run(run: str) -> str:
    return "/".join(checked_name(part, "part of a run") for part in run.split("/"))


def _inside(folder: Path, name: str) -> Path:
    """File of an export, if its name does not lead out of it."""
    pure = PurePosixPath(name)
    path = folder / pure
    if (
        pure.is_absolute()
        or ".." in pure.parts
        or not path.resolve().is_relative_to(folder.resolve())
    ):
        raise CorruptedInputError(
            f"{folder / MANIFEST} names the file {name!r}, which leads out of the folder: refused"
        )
    if path.is_symlink() or not path.is_file():
        raise MissingInputError(f"{path}, which the manifest names, does not exist")
    return path


def _checked_site(entry: dict[str, Any]) -> dict[str, Any]:
    checked_name(entry["name"], "site")
    for row in entry["telescopes"]:
        checked_name(row["tel_name"], "telescope")
    for row in entry["seasons"]:
        checked_name(row["name"], "season")
    return entry


def _check_observatory(archive: Archive, sites: list[dict[str, Any]]) -> None:
    for entry in sites:
        for row in entry["telescopes"]:
            here = archive.telescopes.get((entry["name"], row["tel_name"]))
            if here is not None and here != row["id"]:
                raise ConfigurationError(
                    f"{row['tel_name']} of {entry['name']} is telescope {here} here and "
                    f"{row['id']} in the export: one of the archives is wrong"
                )


def _add_observatory(archive: Archive, sites: list[dict[str, Any]]) -> None:
    registry = archive.butler.registry
    with archive.writing():
        for entry in sites:
            about = {k: v for k, v in entry.items() if k not in ("telescopes", "seasons")}
            if entry["name"] not in archive.sites:
                registry.syncDimensionData("site", about)
            for element in ("telescope", "season"):
                for row in entry[f"{element}s"]:
                    registry.syncDimensionData(element, row)
    archive.forget_observatory()

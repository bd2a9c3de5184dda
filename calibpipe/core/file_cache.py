"""Retrieved files that are kept: found by their request, checked before they are used again."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .files import atomic_path, sha256
from .products import digest

__all__ = ["cache_path", "cached", "keep"]


def cache_path(folder: str | Path, stem: str, request: dict[str, Any], suffix: str) -> Path:
    """Place of the answer to a request; other requests have other places.

    `stem` is for people, the digest of the request decides.
    """
    return Path(folder) / f"{stem}_{digest(request)[:16]}{suffix}"


def cached(path: str | Path) -> dict[str, Any] | None:
    """Record of a kept file; None if there is none, or the file is not what was kept."""
    path = Path(path)
    try:
        record = json.loads(_record_path(path).read_text())
        size = path.stat().st_size
        intact = size == record["size"] and sha256(path) == record["sha256"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return record if intact else None


def keep(path: str | Path, request: dict[str, Any]) -> dict[str, Any]:
    """Record of a new file: request, length, checksum, time; written beside the file.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    path = Path(path)
    record = {
        "request": request,
        "size": path.stat().st_size,
        "sha256": sha256(path),
        "retrieved": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with atomic_path(_record_path(path)) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")
    return record


def _record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")

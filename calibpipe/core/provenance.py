"""ctapipe's provenance without the seconds that it costs.

ctapipe 0.32 imports all of `ctapipe.io` to register a file, also when it is told not to read the
file's metadata (``add_meta=False``). The imports of this pipeline's Tools are a large part of their
run time, so the import is put off until metadata are really wanted. It also reads all the metadata
of all installed packages (0.4 s) for their names and versions, which are in the first lines. The
records are the same.
"""

from importlib.metadata import Distribution, distributions
from itertools import takewhile
from typing import Any

from ctapipe.core import Provenance, provenance
from ctapipe.core.provenance import _ActivityProvenance

__all__ = ["Provenance"]

_reading = _ActivityProvenance._get_reference_meta


def _get_reference_meta(
    self: _ActivityProvenance, url: str, reference_meta: Any = None, read_meta: bool = True
) -> Any:
    if reference_meta is not None or not read_meta:
        return reference_meta
    return _reading(self, url, reference_meta, read_meta)


def _name_and_version(package: Distribution) -> tuple[str | None, str]:
    """From the header of the metadata, that ends with an empty line."""
    lines = (package.read_text("METADATA") or package.read_text("PKG-INFO") or "").splitlines()
    entries = [line.partition(": ") for line in takewhile(bool, lines)]
    header = {key: value.strip() for key, _, value in reversed(entries)}  # the first one counts
    return header.get("Name"), header.get("Version", "<unknown>")


def _get_python_packages() -> list[dict[str, str]]:
    found = [(name, version) for name, version in map(_name_and_version, distributions()) if name]
    found.sort(key=lambda entry: entry[0].lower())
    return [{"name": name, "version": version} for name, version in found]


_ActivityProvenance._get_reference_meta = _get_reference_meta
provenance._get_python_packages = _get_python_packages

"""ctapipe's provenance without the two seconds that it costs.

ctapipe 0.32 imports all of `ctapipe.io` to register a file, also when it is told not to read the
file's metadata (``add_meta=False``). The imports of this pipeline's Tools are a large part of their
run time, so the import is put off until metadata are really wanted. The records are the same.
"""

from typing import Any

from ctapipe.core import Provenance
from ctapipe.core.provenance import _ActivityProvenance

__all__ = ["Provenance"]

_reading = _ActivityProvenance._get_reference_meta


def _get_reference_meta(
    self: _ActivityProvenance, url: str, reference_meta: Any = None, read_meta: bool = True
) -> Any:
    if reference_meta is not None or not read_meta:
        return reference_meta
    return _reading(self, url, reference_meta, read_meta)


_ActivityProvenance._get_reference_meta = _get_reference_meta

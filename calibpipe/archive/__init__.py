"""The calibration archive: products, validity and history in a Butler repository."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .calibration import Calibration, get

__all__ = ["Calibration", "get"]


def __getattr__(name: str) -> Any:
    """`get` and what it answers, read when asked for: the Butler takes a second to import."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from . import calibration

    return getattr(calibration, name)

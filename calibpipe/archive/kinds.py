"""Kinds of products in the archive."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from ..core.exceptions import ConfigurationError
from .names import dataset_type_name

__all__ = ["STORAGE_CLASSES", "Kind", "kind_of", "kinds"]

STORAGE_CLASSES = {  # content of a product: Butler's storage class and Python type
    "table": ("CalibPipeTable", "astropy.table.QTable"),
    "document": ("CalibPipeDocument", "dict"),
    "file": ("CalibPipeFile", "pathlib.Path"),
}
_DAYS = {"nightly": 1.0, "weekly": 7.0, "monthly": 31.0, "yearly": 366.0, "on demand": None}


@dataclass(frozen=True)
class Kind:
    """A kind of product.

    Parameters
    ----------
    name : str
        ``camera/coefficients``.
    dimensions : tuple of str
        Of the universe: what one product is for.
    content : str
        ``table``, ``document`` or ``file``.
    cadence : str
        How often it is made.
    validity : bool
        Whether it is certified; if not, it is kept only.
    until_next : bool
        Whether one that is certified after a later one ends where that begins: a measurement that
        holds until there is a new one.
    """

    name: str
    dimensions: tuple[str, ...]
    content: str
    cadence: str
    validity: bool = True
    until_next: bool = False

    @property
    def dataset_type(self) -> str:
        """Name in the Butler."""
        return dataset_type_name(self.name)

    @property
    def period_in_days(self) -> float | None:
        """Longest time between two products; None if there is no rule."""
        return _DAYS[self.cadence]


@cache
def kinds() -> dict[str, Kind]:
    """Every kind of product that the archive knows, by name."""
    entries = yaml.safe_load(Path(__file__).with_name("kinds.yaml").read_text())
    return {
        name: Kind(name, **(entry | {"dimensions": tuple(entry["dimensions"])}))
        for name, entry in entries.items()
    }


def kind_of(name: str) -> Kind:
    """Kind of this name.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    dataset_type_name(name)
    if name not in kinds():
        raise ConfigurationError(
            f"the archive has no kind of product {name!r}; it has {', '.join(kinds())}"
        )
    return kinds()[name]

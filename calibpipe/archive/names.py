"""Names in the archive: collections, dataset types, and what may not be one.

==========================================  ==================================================
``CTAO-North/C/2024-07-10/3f9a…[/OBSID5]``  RUN: products of one night as made once, immutable
``CTAO-North/C/layer-0001``                 CALIBRATION: products with their validity
``CTAO-North/C``                            CHAINED: the layers of a category, newest first
``CTAO-North/calib``                        CHAINED: search order of a site: C, B, reference
==========================================  ==================================================
"""

import re

from ..core.exceptions import ConfigurationError

__all__ = [
    "CATEGORIES",
    "category_chain",
    "checked_name",
    "dataset_type_name",
    "layer_name",
    "layer_number",
    "run_name",
    "search_order",
    "site_chain",
]

CATEGORIES = ("C", "B", "reference")  # search order; products without a category are reference
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_KIND = re.compile(r"[a-z0-9_]{1,60}/[a-z0-9_]{1,60}")
_LAYER = re.compile(r".*/layer-(\d{4})")
_SHOWN = 60  # characters of a refused name


def checked_name(value: str, what: str) -> str:
    """`value`, if it can be a part of a path and of a collection's name.

    Raises
    ------
    ConfigurationError
        If it holds anything but letters, digits, dot, underscore, dash, or is longer than 32.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value) or ".." in value:
        raise ConfigurationError(
            f"{_shown(value)} is no name of a {what}: needs at most 32 letters, digits, '.', '_' "
            "or '-', the first a letter or digit"
        )
    return value


def dataset_type_name(kind: str) -> str:
    """Name of a product kind in the Butler: ``camera/coefficients`` is ``camera_coefficients``.

    Raises
    ------
    ConfigurationError
        If `kind` does not consist of two words with a slash between.
    """
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise ConfigurationError(
            f"{_shown(kind)} is no kind of product: needs two words of lower-case letters, digits "
            "and underscores with a slash between, such as camera/coefficients"
        )
    return kind.replace("/", "_")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def run_name(site: str, category: str, night: str, digest: str, block: str = "") -> str:
    """RUN collection of the products of one night (or one version), in one observation block."""
    parts = [
        checked_name(site, "site"),
        checked_name(category, "category"),
        checked_name(night, "night or version"),
        checked_name(digest, "digest"),
    ]
    if block:
        parts.append(checked_name(block, "observation block"))
    return "/".join(parts)


def category_chain(site: str, category: str) -> str:
    """CHAINED collection of the layers of a category."""
    if category not in CATEGORIES:
        raise ConfigurationError(
            f"{_shown(category)} is no category; there are {', '.join(CATEGORIES)}"
        )
    return f"{checked_name(site, 'site')}/{category}"


def site_chain(site: str) -> str:
    """CHAINED collection that searches every category of a site: C before B."""
    return f"{checked_name(site, 'site')}/calib"


def layer_name(site: str, category: str, number: int) -> str:
    """CALIBRATION collection; a higher number supersedes a lower one."""
    return f"{category_chain(site, category)}/layer-{number:04d}"


def search_order(layer: str) -> tuple[int, int]:
    """Key to sort layers of a site by: category C first, of each the newest first."""
    return CATEGORIES.index(layer.split("/")[-2]), -layer_number(layer)


def layer_number(collection: str) -> int:
    """Number of a layer."""
    match = _LAYER.fullmatch(collection)
    if match is None:
        raise ValueError(f"{collection} is no layer of a site")
    return int(match[1])

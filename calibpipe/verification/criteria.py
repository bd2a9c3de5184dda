"""Numbered limits of the numbers that a product is verified by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.exceptions import ConfigurationError

__all__ = ["Criteria", "Criterion", "criteria_of"]

INTERNAL = "internal"
DEDICATED = "dedicated"  # against certified calibrations by dedicated runs


@dataclass(frozen=True)
class Criterion:
    """One limit on both sides.

    Parameters
    ----------
    id : str
        Number, such as ``CAM-03``: it stays when limits change.
    kind : str
        Kind of product.
    mode : str
        ``internal`` (consistent with itself), the period over which the product is compared with
        what is certified (``day``, ``week``, ``month``), or ``dedicated``: with the certified
        calibrations by dedicated runs.
    metric : str
        Name of the number.
    low, high : float
        Limits, both allowed values.
    unit : str
        Of the number and its limits.
    source : str
        Where the limits come from.
    elements : float
        A group (chunk, telescope) fails if more than this fraction of its elements fails.
    groups : float
        The metric fails if more than this fraction of its groups fails.
    informative : bool
        Whether it stays out of the verdict.
    """

    id: str
    kind: str
    mode: str
    metric: str
    low: float
    high: float
    unit: str
    source: str
    elements: float
    groups: float
    informative: bool = False


@dataclass(frozen=True)
class Criteria:
    """All criteria.

    Parameters
    ----------
    entries : tuple of Criterion
        In the order of the file.
    """

    entries: tuple[Criterion, ...]

    def of_kind(self, kind: str) -> tuple[Criterion, ...]:
        """Criteria of a kind of product."""
        return tuple(c for c in self.entries if c.kind == kind)


def criteria_of(content: Mapping[str, Any], metrics: Mapping[str, set[str]]) -> Criteria:
    """Criteria of the content of ``config/criteria.yaml``.

    Parameters
    ----------
    metrics : mapping
        Names of the metrics of each kind and mode: ``"camera/coefficients internal"``,
        ``"... dedicated"``; external metrics are the same for all periods: ``"... external"``.

    Raises
    ------
    ConfigurationError
        If limits are in the wrong order, a fraction is none, or a kind, mode or metric is unknown.
    """
    entries: list[Criterion] = []
    rule = _fractions("fails_if_more_than", content["fails_if_more_than"])
    for name, value in content["criteria"].items():
        low, high = value["limits"]
        entry = Criterion(
            name,
            value["kind"],
            value["mode"],
            value["metric"],
            float(low),
            float(high),
            value["unit"],
            value["source"],
            **rule | _fractions(f"criterion {name}", value.get("fails_if_more_than", {})),
            informative=value.get("informative", False),
        )
        if not entry.low < entry.high:
            raise ConfigurationError(
                f"criterion {name}: the limits {low} and {high} leave nothing between them"
            )
        own = entry.mode in (INTERNAL, DEDICATED)
        place = f"{entry.kind} {entry.mode if own else 'external'}"
        if entry.metric not in metrics.get(place, set()):
            known = ", ".join(sorted(metrics.get(place, set()))) or "none"
            raise ConfigurationError(
                f"criterion {name}: no metric {entry.metric!r} of {place}; there are {known}"
            )
        entries.append(entry)
    return Criteria(tuple(entries))


def _fractions(what: str, given: Mapping[str, float]) -> dict[str, float]:
    for name, value in given.items():
        if not 0 <= value < 1:
            raise ConfigurationError(f"{what}, {name}: {value} is no fraction from 0 to below 1")
    return {name: float(value) for name, value in given.items()}

"""From numbers and limits to a verdict.

A metric is an array of shape (n_groups, n_elements): chunks and pixels of a camera, one and the
levels of a profile, one and one for a single number. NaN is "cannot be determined", neither inside
nor outside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .criteria import INTERNAL, Criteria, Criterion

__all__ = ["FAIL", "NOT_APPLICABLE", "PASS", "UNDETERMINED", "Outcome", "outcome", "verdict"]

PASS, FAIL = "PASS", "FAIL"
UNDETERMINED = "UNDETERMINED"  # nothing could be calculated: counts as failed
NOT_APPLICABLE = "NOT APPLICABLE"  # nothing is certified to compare with: says nothing
_LISTED = 200  # failing elements that are on the record
_TOLD = 3  # of them in a reason
_MAJORITY = 0.5


@dataclass(frozen=True)
class Outcome:
    """What a criterion found.

    Parameters
    ----------
    criterion : Criterion
        Limits.
    result : str
        ``PASS``, ``FAIL``, ``UNDETERMINED`` or ``NOT APPLICABLE``.
    median, minimum, maximum : float or None
        Of the determined elements.
    n_elements, n_failing, n_groups, n_failing_groups : int
        Determined elements, those outside; groups, those with a majority outside.
    failing : tuple of (int, int)
        Group and element of those outside, the farthest first; at most 200.
    named : tuple of str
        The same with name and value, where elements have names.
    """

    criterion: Criterion
    result: str
    median: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    n_elements: int = 0
    n_failing: int = 0
    n_groups: int = 0
    n_failing_groups: int = 0
    failing: tuple[tuple[int, int], ...] = ()
    named: tuple[str, ...] = ()

    def text(self) -> dict[str, Any]:
        """As JSON."""
        c = self.criterion
        return {
            "id": c.id,
            "mode": c.mode,
            "metric": c.metric,
            "unit": c.unit,
            "limits": [c.low, c.high],
            "source": c.source,
            "informative": c.informative,
            "result": self.result,
            "median": self.median,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "n_elements": self.n_elements,
            "n_failing": self.n_failing,
            "n_groups": self.n_groups,
            "n_failing_groups": self.n_failing_groups,
            "failing": [list(pair) for pair in self.failing],
            "named": list(self.named),
        }


def outcome(
    values: np.ndarray | None, criterion: Criterion, elements: Sequence[str] = ()
) -> Outcome:
    """Outcome of one criterion.

    Parameters
    ----------
    values : array, (n_groups, n_elements), or None
        The metric; None: there is nothing to compare with.
    elements : sequence of str, length n_elements
        Their names (telescopes); empty if they have none.
    """
    if values is None:
        return Outcome(criterion, NOT_APPLICABLE)
    values = np.atleast_2d(np.asarray(values, float))
    known = np.isfinite(values)
    if not known.any():
        return Outcome(criterion, UNDETERMINED, n_groups=len(values))
    outside = known & ((values < criterion.low) | (values > criterion.high))
    counted = known.sum(axis=1)
    share = outside.sum(axis=1) / np.maximum(counted, 1)
    failing_groups = (share > criterion.elements) | (counted == 0)
    failed = failing_groups.mean() > criterion.groups
    found = values[known]
    failing = _farthest(values, outside, criterion)
    named = [f"{elements[k]} {values[g, k]:.3g}" for g, k in failing] if elements else ()
    return Outcome(
        criterion,
        FAIL if failed else PASS,
        float(np.median(found)),
        float(found.min()),
        float(found.max()),
        int(known.sum()),
        int(outside.sum()),
        len(values),
        int(failing_groups.sum()),
        failing,
        tuple(named),
    )


def _farthest(
    values: np.ndarray, outside: np.ndarray, criterion: Criterion
) -> tuple[tuple[int, int], ...]:
    distance = np.maximum(criterion.low - values, values - criterion.high)
    places = np.argwhere(outside)
    order = np.argsort(-distance[outside], kind="stable")[:_LISTED]
    return tuple((int(group), int(element)) for group, element in places[order])


def verdict(outcomes: Sequence[Outcome]) -> tuple[str, list[str]]:
    """``PASS`` or ``FAIL``, and because of what.

    Informative criteria and those without anything to compare with are left out. If none is left,
    the product fails: nothing speaks for it.
    """
    counted = [o for o in outcomes if not o.criterion.informative and o.result != NOT_APPLICABLE]
    if not counted:
        return FAIL, ["no criterion could be applied"]
    reasons = [_reason(o) for o in counted if o.result != PASS]
    return (FAIL if reasons else PASS), reasons


def _reason(found: Outcome) -> str:
    c = found.criterion
    if found.result == UNDETERMINED:
        return f"{c.id} {c.metric}: cannot be determined, no element has a value"
    unit = f" {c.unit}" if c.unit else ""
    share = "the majority" if c.elements == _MAJORITY else f"more than {100 * c.elements:g} %"
    told = (
        f"{c.id} {c.metric}: {found.n_failing} of {found.n_elements} outside {c.low:g} to "
        f"{c.high:g}{unit} (median {found.median:.4g}), in {found.n_failing_groups} of "
        f"{found.n_groups} groups {share}"
    )
    named = [*found.named[:_TOLD], *["..."] * (len(found.named) > _TOLD)]
    return f"{told}: {', '.join(named)}" if named else told


def outcomes(
    criteria: Criteria,
    kind: str,
    internal: Mapping[str, np.ndarray],
    external: Mapping[str, Mapping[str, np.ndarray]],
    elements: Mapping[str, Sequence[str]] | None = None,
) -> list[Outcome]:
    """Outcome of every criterion of a kind.

    Parameters
    ----------
    internal : mapping of str to array
        Metrics by name.
    external : mapping of str to mapping
        Metrics by name for each period that has a certified product, and of ``dedicated`` ones.
    elements : mapping of str to sequence of str
        Names of the elements of metrics that have them.
    """
    found = []
    for criterion in criteria.of_kind(kind):
        if criterion.mode == INTERNAL:
            values = internal.get(criterion.metric)
        else:
            values = external.get(criterion.mode, {}).get(criterion.metric)
        found.append(outcome(values, criterion, (elements or {}).get(criterion.metric, ())))
    return found

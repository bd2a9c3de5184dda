"""Labels side by side that do not cover each other."""

from collections.abc import Sequence

__all__ = ["apart"]


def apart(values: Sequence[float], least: float) -> list[float]:
    """Values moved as little as needed to be `least` apart, in the order given.

    Neighbours that are too near are spread evenly about their common mean.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(values)), key=lambda i: values[i]):
        groups.append([index])
        while len(groups) > 1 and _bottom(groups[-1], values, least) < least + _top(
            groups[-2], values, least
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    placed = [0.0] * len(values)
    for group in groups:
        for place, index in enumerate(group):
            placed[index] = _bottom(group, values, least) + place * least
    return placed


def _bottom(group: list[int], values: Sequence[float], least: float) -> float:
    return sum(values[i] for i in group) / len(group) - least * (len(group) - 1) / 2


def _top(group: list[int], values: Sequence[float], least: float) -> float:
    return _bottom(group, values, least) + least * (len(group) - 1)

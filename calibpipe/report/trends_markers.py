"""Markers of telescopes on the page of trends: one set for drawings, script and legend."""

__all__ = ["MARKERS", "marker_path"]

_A = 0.42  # half the width of an arm of the plus
Point = tuple[float, float]
MARKERS: tuple[tuple[Point, ...], ...] = (  # corners in radii, y downward; none: a circle
    (),
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
    ((0, 1.2), (1.1, -0.9), (-1.1, -0.9)),
    (
        *((-_A, -1.2), (_A, -1.2), (_A, -_A), (1.2, -_A), (1.2, _A), (_A, _A)),
        *((_A, 1.2), (-_A, 1.2), (-_A, _A), (-1.2, _A), (-1.2, -_A), (-_A, -_A)),
    ),
    (
        *((0, -0.5), (0.7, -1.2), (1.2, -0.7), (0.5, 0), (1.2, 0.7), (0.7, 1.2)),
        *((0, 0.5), (-0.7, 1.2), (-1.2, 0.7), (-0.5, 0), (-1.2, -0.7), (-0.7, -1.2)),
    ),
)


def marker_path(rank: int, x: float, y: float, radius: float) -> str:
    """Outline of the marker of the telescope of this rank, as a path of SVG.

    >>> marker_path(2, 10, 10, 4)
    'M10 5L15 10L10 15L5 10Z'
    """
    corners = MARKERS[rank % len(MARKERS)]
    if not corners:
        arc = f"a{radius:g} {radius:g} 0 1 0"
        return f"M{x - radius:g} {y:g}{arc} {2 * radius:g} 0{arc} {-2 * radius:g} 0Z"
    return "M" + "L".join(f"{x + u * radius:g} {y + v * radius:g}" for u, v in corners) + "Z"

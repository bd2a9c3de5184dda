"""Clouds of a night: layers of LIDAR profiles that belong together in time and height."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .aerosol_night import AerosolNight, days, period
from .wording import rounded

__all__ = ["MEASURED", "Cloud", "cell_edges", "cloud_rows", "clouds"]

MEASURED = "measured"
MAX_GAP = 3.0  # intervals between profiles that a cloud may be unseen


@dataclass
class Cloud:
    """Layers of neighbouring profiles that overlap in height, all wavelengths together.

    Attributes
    ----------
    rows : set of int
        Of profiles.
    base, top : float
        Lowest base and highest top, km; NaN where a top was never seen.
    entries : list of tuple
        Row, wavelength (nm), base, top (km), depth, statistical error, status of every layer.
    """

    rows: set[int] = field(default_factory=set)
    base: float = np.nan
    top: float = np.nan
    entries: list[tuple] = field(default_factory=list)

    def add(self, entry: tuple) -> None:
        """Take in a layer."""
        self.rows.add(entry[0])
        self.entries.append(entry)
        self.base = float(np.fmin(self.base, entry[2]))
        self.top = float(np.fmax(self.top, entry[3]))

    def take_over(self, other: "Cloud") -> None:
        """Take in another cloud."""
        for entry in other.entries:
            self.add(entry)
        self.entries.sort(key=lambda entry: entry[:3])

    @property
    def has_open_top(self) -> bool:
        """Whether the top of some of its layers was not seen."""
        return any(np.isnan(entry[3]) for entry in self.entries)

    def depths(self, wavelength: int) -> NDArray:
        """Measured depths and their statistical errors at a wavelength, shape (n, 2)."""
        found = [e[4:6] for e in self.entries if e[1] == wavelength and e[6] == MEASURED]
        return np.array(found, float).reshape(-1, 2)


def clouds(night: AerosolNight) -> list[Cloud]:
    """Clouds in the order of time; none without a LIDAR."""
    if night.lidar is None:
        return []
    time = days(night.lidar.table["time"])
    gap = MAX_GAP * _interval(time)
    found: list[Cloud] = []
    for entry in _layers(night.lidar.facts):
        mine = [cloud for cloud in found if _touches(cloud, entry, time, gap)]
        cloud = mine[0] if mine else Cloud()
        for other in mine[1:]:
            cloud.take_over(other)
            found.remove(other)
        cloud.add(entry)
        if not mine:
            found.append(cloud)
    return sorted(found, key=lambda cloud: (min(cloud.rows), cloud.base))


def _layers(facts: dict[str, Any]) -> list[tuple]:
    """Layers of the header in the order of time, altitudes in km."""
    layers = facts["layers"]
    columns = ("row", "wavelength_in_nm", "base_in_m", "top_in_m", "depth", "stat_error", "status")
    entries = []
    for row, wavelength, *values, status in zip(*(layers[c] for c in columns), strict=True):
        base, top, depth, error = (np.nan if v is None else float(v) for v in values)
        entries.append((int(row), int(wavelength), base / 1000, top / 1000, depth, error, status))
    return sorted(entries, key=lambda entry: entry[:3])


def _touches(cloud: Cloud, entry: tuple, time: NDArray, gap: float) -> bool:
    """Whether a layer overlaps one of a cloud in height, not long before."""
    row, _, base, top = entry[:4]
    for other in reversed(cloud.entries):
        if time[row] - time[other[0]] > gap:
            return False
        # a top that is not seen (NaN) ends nothing
        if not (base > other[3] or other[2] > top):
            return True
    return False


def _interval(time: NDArray) -> float:
    """Usual time between profiles, days; ten minutes for a single one."""
    steps = np.diff(time)
    steps = steps[steps > 0]
    return float(np.median(steps)) if steps.size else 10 / 1440


def cell_edges(time: NDArray) -> tuple[NDArray, NDArray]:
    """Begin and end of what each profile is drawn for: no wider than the usual interval, days."""
    half = np.full(len(time), _interval(time) / 2)
    apart = np.diff(time) / 2
    before, after = np.append(half[:1], apart), np.append(apart, half[:1])
    return time - np.minimum(half, before), time + np.minimum(half, after)


def cloud_rows(night: AerosolNight) -> list[dict[str, Any]]:
    """Rows of the table of clouds, as text."""
    found = clouds(night)
    if not found:
        return []
    begin, end = cell_edges(days(night.lidar.table["time"]))
    wavelengths = night.lidar.facts["wavelengths_in_nm"]
    return [
        {
            "time": period(begin[min(cloud.rows)], end[max(cloud.rows)]),
            "profiles": len(cloud.rows),
            "base": _range([entry[2] for entry in cloud.entries]),
            "top": _top(cloud),
            "depths": [_depth(cloud.depths(wavelength)) for wavelength in wavelengths],
            "status": _status(cloud),
            "state": "good" if _status(cloud) == MEASURED else "warning",
        }
        for cloud in found
    ]


def _range(values: list[float]) -> str:
    """``9.0`` or ``8.9 – 9.3``."""
    low, high = (f"{edge:.1f}" for edge in (np.min(values), np.max(values)))
    return low if low == high else f"{low} – {high}"


def _top(cloud: Cloud) -> str:
    known = [entry[3] for entry in cloud.entries if np.isfinite(entry[3])]
    seen = _range(known) if known else ""
    return "; ".join(filter(None, [seen, "not seen" if cloud.has_open_top else ""]))


def _depth(depths: NDArray) -> dict[str, str]:
    """Mean over the profiles with its statistical error, and how far they reach."""
    if len(depths) == 0:
        return {"value": "–", "stat": "", "range": ""}
    error = float(np.sqrt(np.sum(depths[:, 1] ** 2)) / len(depths))
    value, stat = rounded(float(depths[:, 0].mean()), error)
    low, high = f"{depths[:, 0].min():.2f}", f"{depths[:, 0].max():.2f}"
    return {"value": value, "stat": stat, "range": "" if low == high else f"{low} – {high}"}


def _status(cloud: Cloud) -> str:
    reasons = dict.fromkeys(entry[6] for entry in cloud.entries if entry[6] != MEASURED)
    return "; ".join(reasons) or MEASURED

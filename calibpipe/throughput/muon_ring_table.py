"""Table of muon rings: columns of ctapipe's muon table, and ours beside them.

What ctapipe calls ``optical_efficiency`` is written as ctapipe would find it, without atmosphere
and with its own area of a pixel; ``throughput`` is the absolute one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table, vstack
from astropy.time import Time
from numpy.typing import NDArray

from ..core.exceptions import CorruptedInputError
from .muon_ring import N_SECTORS, PARAMETERS

__all__ = [
    "CTAPIPE_COLUMNS",
    "RING_COLUMNS",
    "Rings",
    "joined_rings",
    "ring_table",
    "rings_of_ctapipe",
    "rings_of_table",
]

_POSITION = {name: i for i, name in enumerate(PARAMETERS)}
_CTAPIPE = {  # column of ctapipe: ours and its unit
    "muonring_center_fov_lon": ("x", u.deg),
    "muonring_center_fov_lat": ("y", u.deg),
    "muonring_radius": ("radius", u.deg),
    "muonparameters_containment": ("containment", None),
    "muonparameters_completeness": ("completeness", None),
    "muonparameters_intensity_ratio": ("intensity_ratio", None),
    "muonparameters_mean_squared_error": ("mean_squared_error", u.deg**2),
    "muonparameters_ring_intensity": ("ring_intensity", None),
    "muonparameters_intensity_outside_ring": ("outside_intensity", None),
    "muonparameters_n_pixels_in_ring": ("n_pixels", None),
    "muonefficiency_width": ("width", u.deg),
    "muonefficiency_impact_x": ("impact_x", u.m),
    "muonefficiency_impact_y": ("impact_y", u.m),
}
_OWN = (
    "throughput",
    "light",
    "photons",
    "transmission",
    "chi2",
    "n_fitted",
    "saturated",
    "unusable",
    "rejection",
)
_DETAILS = ("sector_residual", "sector_light", "covariance")
RING_COLUMNS = (
    "obs_id",
    "event_id",
    "time",
    "rejection",
    "throughput",
    "throughput_stat_error",
    "photons",
    "transmission",
    "muonring_center_distance",
    "muonring_radius",
    "muonefficiency_impact",
    "muonefficiency_optical_efficiency",
    "muonefficiency_width",
    "width_stat_error",
)
"""Columns that throughput and point spread function follow from (`rings_of_table`)."""

CTAPIPE_COLUMNS = (
    "obs_id",
    "event_id",
    "time",
    "muonring_center_distance",
    "muonring_radius",
    "muonefficiency_optical_efficiency",
    "muonefficiency_width",
    "muonefficiency_impact",
    "muonefficiency_is_valid",
    "muonefficiency_parameters_at_limit",
)
"""The same, of ctapipe's own muon table (`rings_of_ctapipe`)."""


@dataclass(frozen=True)
class Rings:
    """Rings that count, in the order of time; each one once.

    Parameters
    ----------
    obs_id, event_id : ndarray, shape (n_rings,), int
    time : ndarray, shape (n_rings,), s
        TAI since 1970-01-01.
    throughput, stat_error : ndarray, shape (n_rings,)
        Absolute; errors are NaN where the fit gave none (ctapipe's).
    ctapipe_throughput : ndarray, shape (n_rings,)
        As ctapipe finds it.
    photons, transmission : ndarray, shape (n_rings,)
        That reached the mirror; part that the air has let through (NaN for rings of ctapipe).
    inclination, radius, width, width_error : ndarray, shape (n_rings,), deg
    impact : ndarray, shape (n_rings,), m
    """

    obs_id: NDArray
    event_id: NDArray
    time: NDArray
    throughput: NDArray
    stat_error: NDArray
    ctapipe_throughput: NDArray
    photons: NDArray
    transmission: NDArray
    inclination: NDArray
    radius: NDArray
    width: NDArray
    width_error: NDArray
    impact: NDArray

    def __len__(self) -> int:
        return len(self.time)

    def chosen(self, rows: NDArray | slice) -> "Rings":
        """Some of them."""
        return Rings(*(getattr(self, entry.name)[rows] for entry in fields(self)))


def ring_table(
    batches: Sequence[dict[str, NDArray]],
    *,
    obs_id: int,
    tel_id: int,
    area_ratio: float,
) -> tuple[QTable, QTable]:
    """Table of the rings of one telescope and observation.

    Parameters
    ----------
    batches : sequence of dict
        Of `calibpipe.throughput.muon_rings.muon_rings`, with ``event_id``, ``time`` (TAI seconds)
        and ``peak_time`` (ns); none for a table without rows.
    obs_id, tel_id : int
    area_ratio : float
        See `calibpipe.throughput.muon_rings.CameraPixels`.

    Returns
    -------
    rings : QTable
        One row an image that was looked at, rejected or not.
    details : QTable
        Same rows: covariance of the fit (n, 7, 7), by the ``PARAMETERS`` of
        `calibpipe.throughput.muon_intensity` in their units; light and its mean distance from the
        ring, deg, by sector (n, 12).
    """
    batches = [batch for batch in batches if len(batch["event_id"])] or [_no_rings()]
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    n = len(columns["event_id"])
    error = np.sqrt(np.einsum("rii->ri", columns["covariance"]))
    table = QTable(
        {
            "obs_id": np.full(n, obs_id, np.int64),
            "event_id": columns["event_id"].astype(np.int64),
            "tel_id": np.full(n, tel_id, np.int16),
            "time": Time(columns["time"], format="unix_tai", scale="tai"),
        }
    )
    for name, (own, unit) in _CTAPIPE.items():
        table[name] = columns[own] if unit is None else columns[own] * unit
        if name.startswith("muonring"):
            table[f"{name}_err"] = error[:, _POSITION[own]] * unit
    x, y = columns["x"], columns["y"]
    table["muonring_center_phi"] = np.rad2deg(np.arctan2(y, x)) * u.deg
    table["muonring_center_distance"] = np.hypot(x, y) * u.deg
    impact, impact_error = _impact(columns)
    table["muonefficiency_impact"] = impact * u.m
    table["muonefficiency_optical_efficiency"] = (
        columns["throughput"] * columns["transmission"] * area_ratio
    )
    table["muonefficiency_is_valid"] = columns["has_converged"]
    table["muonefficiency_parameters_at_limit"] = ~columns["has_converged"]
    table["muonefficiency_likelihood_value"] = columns["chi2"] / 2
    for name in _OWN:
        table[name] = columns[name]
    table["throughput_stat_error"] = error[:, _POSITION["throughput"]]
    table["width_stat_error"] = error[:, _POSITION["width"]] * u.deg
    table["impact_stat_error"] = impact_error * u.m
    table["peak_time"] = columns["peak_time"] * u.ns
    details = table[["obs_id", "event_id"]]
    for name in _DETAILS:
        details[name] = columns[name].astype(np.float32)
    return table, details


def _impact(columns: dict[str, NDArray]) -> tuple[NDArray, NDArray]:
    """Distance from the mirror's centre and its error."""
    x, y, covariance = columns["impact_x"], columns["impact_y"], columns["covariance"]
    impact = np.hypot(x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        direction = np.stack([x, y], axis=1) / impact[:, None]
    of_point = covariance[:, 4:6, 4:6]
    return impact, np.sqrt(np.einsum("ri,rij,rj->r", direction, of_point, direction))


def _no_rings() -> dict[str, NDArray]:
    """Columns without rows."""
    ours = (own for own, _ in _CTAPIPE.values())
    columns = dict.fromkeys((*ours, *_OWN, "event_id", "time", "peak_time"), np.empty(0))
    columns |= {name: np.empty(0, int) for name in ("n_pixels", "n_fitted", "event_id")}
    columns |= {"rejection": np.empty(0, np.uint16), "has_converged": np.empty(0, bool)}
    columns |= {f"sector_{name}": np.empty((0, N_SECTORS)) for name in ("residual", "light")}
    return columns | {"covariance": np.empty((0, len(PARAMETERS), len(PARAMETERS)))}


def rings_of_table(tables: Sequence[Table]) -> Rings:
    """Rings that count, of some tables of one telescope with the `RING_COLUMNS`.

    A ring is one event of one observation: one that occurs twice is counted once.
    """
    good = [table[np.asarray(table["rejection"]) == 0] for table in tables]
    joined = good[0] if len(good) == 1 else vstack(good, metadata_conflicts="silent")
    values = {name: np.asarray(joined[name]) for name in RING_COLUMNS if name != "time"}
    time = joined["time"].unix_tai if len(joined) else np.empty(0)
    rings = Rings(
        obs_id=values["obs_id"],
        event_id=values["event_id"],
        time=np.asarray(time, float),
        throughput=values["throughput"],
        stat_error=values["throughput_stat_error"],
        ctapipe_throughput=values["muonefficiency_optical_efficiency"],
        photons=values["photons"],
        transmission=values["transmission"],
        inclination=values["muonring_center_distance"],
        radius=values["muonring_radius"],
        width=values["muonefficiency_width"],
        width_error=values["width_stat_error"],
        impact=values["muonefficiency_impact"],
    )
    return _once(rings)


def joined_rings(tables: Sequence[Table], area_ratio: float) -> Rings:
    """Rings that count, of our tables or of ctapipe's.

    Parameters
    ----------
    tables : sequence of Table
        All of one telescope and of one origin.
    area_ratio : float
        As for `rings_of_ctapipe`.
    """
    if all("rejection" in table.colnames for table in tables):
        return rings_of_table(tables)
    joined = tables[0] if len(tables) == 1 else vstack(list(tables), metadata_conflicts="silent")
    return rings_of_ctapipe(joined, area_ratio)


def rings_of_ctapipe(table: Table, area_ratio: float) -> Rings:
    """Rings of ctapipe's own muon table.

    Parameters
    ----------
    table : Table
        With the `CTAPIPE_COLUMNS`.
    area_ratio : float
        See `calibpipe.throughput.muon_rings.CameraPixels`: makes the throughput absolute.

    Raises
    ------
    CorruptedInputError
        If the table lacks a column.
    """
    if missing := [name for name in CTAPIPE_COLUMNS if name not in table.colnames]:
        raise CorruptedInputError(f"table of muons has no column {', '.join(missing)}")
    names = ("optical_efficiency", "width", "impact", "is_valid", "parameters_at_limit")
    values = {name: np.asarray(table[f"muonefficiency_{name}"]) for name in names}
    good = values["is_valid"] & ~values["parameters_at_limit"]
    good &= np.isfinite(values["optical_efficiency"])
    unknown = np.full(len(table), np.nan)
    rings = Rings(
        obs_id=np.asarray(table["obs_id"]),
        event_id=np.asarray(table["event_id"]),
        time=np.asarray(table["time"].unix_tai, float),
        throughput=values["optical_efficiency"] / area_ratio,
        stat_error=unknown,
        ctapipe_throughput=values["optical_efficiency"],
        photons=unknown,
        transmission=unknown,
        inclination=np.asarray(table["muonring_center_distance"]),
        radius=np.asarray(table["muonring_radius"]),
        width=values["width"],
        width_error=unknown,
        impact=values["impact"],
    )
    return _once(rings.chosen(good))


def _once(rings: Rings) -> Rings:
    """Each event once, in the order of time."""
    order = np.lexsort((rings.event_id, rings.obs_id))
    obs_id, event_id = rings.obs_id[order], rings.event_id[order]
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(obs_id) != 0) | (np.diff(event_id) != 0)
    kept = order[first]
    return rings.chosen(kept[np.argsort(rings.time[kept], kind="stable")])

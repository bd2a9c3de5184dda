"""A calibration set: which dedicated runs of a camera give which products, in their order."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from ..core.exceptions import ConfigurationError, MissingInputError
from .transfer_tables import SCAN_COLUMNS, nominal_light

__all__ = ["MODES", "RUN_TYPES", "CalibrationSet", "calibration_set"]

DARK, PEDESTAL, FLAT, SCAN = "dark", "pedestal", "flat", "scan"
SINGLE_PE, HIGH_VOLTAGE, SINGLE_PIXEL = "single_pe", "high_voltage", "single_pixel"
DRS4, DRS4_FLAT = "drs4", "drs4_flat"
RUN_TYPES = {
    DARK: "pedestals of the closed camera",
    PEDESTAL: "sky pedestals",
    FLAT: "flat fields of one intensity, sky pedestals between them",
    SCAN: "flat fields behind one filter, sky pedestals between them",
    SINGLE_PE: "few photoelectrons",
    HIGH_VOLTAGE: "the same at high voltage",
    SINGLE_PIXEL: "light in one pixel after the other, sky pedestals between",
    DRS4: "raw pedestals of the closed camera at random times, with first capacitors",
    DRS4_FLAT: "raw flat fields, with first capacitors",
}
MODES = {  # run types that each needs
    "PEDESTAL": (DARK, PEDESTAL),
    "PEDESTAL_FLAT": (DARK, FLAT),
    "PEDESTAL_FLAT_SCAN": (DARK, SCAN),
    "PEDESTAL_FLAT_SCAN_SPE": (DARK, SCAN, SINGLE_PE),
    "DRS4": (DRS4,),
}
_ONCE = (
    DARK,
    SINGLE_PE,
    HIGH_VOLTAGE,
    SINGLE_PIXEL,
    DRS4,
    DRS4_FLAT,
)  # products are of one such run
_MIN_FILTERS = 3  # two unknowns and a check


@dataclass(frozen=True)
class CalibrationSet:
    """Runs of a set by type, and what its mode makes of them.

    Parameters
    ----------
    mode : str
        One of `MODES`.
    runs : mapping of str to tuple of int
        Observations of each type.
    """

    mode: str
    runs: Mapping[str, tuple[int, ...]]

    def run(self, run_type: str) -> int | None:
        """Observation of a type that is there once; None if it is not."""
        return next(iter(self.runs.get(run_type, ())), None)

    def type_of(self, obs_id: int) -> str | None:
        """Type of a run; None if it is not of the set."""
        return next((kind for kind, runs in self.runs.items() if obs_id in runs), None)

    @property
    def has_scan(self) -> bool:
        """Whether the filter scan is used."""
        return SCAN in MODES[self.mode]

    @property
    def products(self) -> tuple[str, ...]:
        """Products of the camera, each made with those before it."""
        made = {
            "single_photoelectron": SINGLE_PE in MODES[self.mode],
            "photon_transfer": self.has_scan,
            "pedestal": DARK in MODES[self.mode],
            "crosstalk": self.has_scan and SINGLE_PIXEL in self.runs,
            "drs4": DRS4 in self.runs,
        }
        return tuple(name for name, is_made in made.items() if is_made)

    @property
    def measured_runs(self) -> tuple[int, ...]:
        """Runs whose pixel statistics are made: pedestals, and the scan if it is used."""
        if DARK not in MODES[self.mode]:
            return ()
        kinds = (DARK, PEDESTAL, *[SCAN] * self.has_scan)
        return tuple(obs_id for kind in kinds for obs_id in self.runs.get(kind, ()))

    @property
    def sky_runs(self) -> tuple[str, tuple[int, ...]]:
        """Type of the runs whose sky pedestals count, and these: own ones before others."""
        kinds = [PEDESTAL, *[SCAN] * self.has_scan, *[FLAT] * bool(self.flat_fields)]
        kind = next((kind for kind in kinds if kind in self.runs), PEDESTAL)
        return kind, self.runs.get(kind, ())

    @property
    def flat_fields(self) -> tuple[int, ...]:
        """Runs that give camera coefficients, as an ordinary block does."""
        return self.runs.get(FLAT, ()) if self.mode not in ("PEDESTAL", "DRS4") else ()


def calibration_set(
    table: Table, mode: str, where: str = "the table of the runs"
) -> CalibrationSet:
    """Set of the runs in a table, checked.

    Parameters
    ----------
    table : Table
        ``obs_id`` and ``run_type``; for a scan all `SCAN_COLUMNS`, and ``monitor`` with
        ``monitor_error`` if the light was measured.
    mode : str
        One of `MODES`. Runs of other types may be in the table, no more of each than
        a set may have: they are left alone.
    where : str
        Name of the table, for messages.

    Raises
    ------
    ConfigurationError
        If the mode or the type of a run is unknown, a column is missing, a run is there twice, a
        filter has no light, or there are more runs of a type than a product is made of.
    MissingInputError
        If a type of run or a filter position that the mode needs is missing.
    """
    if mode not in MODES:
        raise ConfigurationError(f"{mode!r} is no mode of a calibration set: {', '.join(MODES)}")
    needed = SCAN_COLUMNS if SCAN in MODES[mode] else SCAN_COLUMNS[:2]
    missing = [name for name in needed if name not in table.colnames]
    if missing:
        raise ConfigurationError(
            f"{where} has no column {', '.join(missing)}; it has {', '.join(table.colnames)}"
        )
    obs_ids = [int(value) for value in table["obs_id"]]
    kinds = [str(kind) for kind in table["run_type"]]
    _check_types(obs_ids, kinds, where)
    runs = {
        kind: tuple(n for n, own in zip(obs_ids, kinds, strict=True) if own == kind)
        for kind in RUN_TYPES
        if kind in kinds
    }
    _check_needs(runs, mode, where)
    found = CalibrationSet(mode, runs)
    if found.has_scan:
        _check_filters(table[np.array(kinds) == SCAN], where)
    return found


def _check_types(obs_ids: list[int], kinds: list[str], where: str) -> None:
    twice = sorted({n for n in obs_ids if obs_ids.count(n) > 1})
    if twice:
        raise ConfigurationError(f"{where}: observations {twice} are there twice; give each once")
    for obs_id, kind in zip(obs_ids, kinds, strict=True):
        if kind not in RUN_TYPES:
            raise ConfigurationError(
                f"{where}: observation {obs_id} is a run {kind!r}, needs one of "
                f"{', '.join(RUN_TYPES)}"
            )


def _check_needs(runs: Mapping[str, tuple[int, ...]], mode: str, where: str) -> None:
    for kind in MODES[mode]:
        if kind not in runs:
            raise MissingInputError(
                f"{where} has no run {kind!r} ({RUN_TYPES[kind]}), which mode {mode} needs; it has "
                f"{', '.join(runs) or 'none'}"
            )
    for kind in _ONCE:
        if len(runs.get(kind, ())) > 1:
            raise ConfigurationError(
                f"{where} has {len(runs[kind])} runs {kind!r}, observations {list(runs[kind])}: a "
                "set has one; leave out the others, or make sets of them"
            )


def _check_filters(scan: Table, where: str) -> None:
    if len(scan) < _MIN_FILTERS:
        raise MissingInputError(
            f"{where}: the scan needs at least {_MIN_FILTERS} filter positions, got {len(scan)}"
        )
    try:
        light, tolerance, source = nominal_light(scan)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    for obs_id, value, uncertainty in zip(scan["obs_id"], light, tolerance, strict=True):
        if not (value > 0 and uncertainty > 0):
            raise ConfigurationError(
                f"{where}: observation {obs_id} has a {source} of {value:g} with error "
                f"{uncertainty:g}; both must be positive"
            )

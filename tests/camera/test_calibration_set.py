"""Which runs a calibration set needs, what it makes of them, what it refuses."""

import numpy as np
import pytest
from astropy.table import Table

from calibpipe.camera.calibration_set import MODES, calibration_set
from calibpipe.core.exceptions import ConfigurationError, MissingInputError

RUNS = {
    101: "dark",
    102: "pedestal",
    103: "flat",
    104: "scan",
    105: "scan",
    106: "scan",
    107: "single_pe",
    108: "high_voltage",
    109: "single_pixel",
    110: "drs4",
    111: "drs4_flat",
}


def runs(kinds=RUNS, **changes):
    """Table of runs; changed columns, None to leave one out."""
    n = len(kinds)
    columns = {
        "obs_id": list(kinds),
        "run_type": list(kinds.values()),
        "transmission": [0.1 if kind == "scan" else np.nan for kind in kinds.values()],
        "transmission_error": np.full(n, 0.05),
    } | changes
    return Table({name: values for name, values in columns.items() if values is not None})


def without(*left_out):
    return {n: kind for n, kind in RUNS.items() if kind not in left_out}


@pytest.mark.parametrize(
    ("mode", "products", "measured", "flat_fields"),
    [
        ("DRS4", ("drs4",), (), ()),
        ("PEDESTAL", ("pedestal", "drs4"), (101, 102), ()),
        ("PEDESTAL_FLAT", ("pedestal", "drs4"), (101, 102), (103,)),
        (
            "PEDESTAL_FLAT_SCAN",
            ("photon_transfer", "pedestal", "crosstalk", "drs4"),
            (101, 102, 104, 105, 106),
            (103,),
        ),
        (
            "PEDESTAL_FLAT_SCAN_SPE",
            ("single_photoelectron", "photon_transfer", "pedestal", "crosstalk", "drs4"),
            (101, 102, 104, 105, 106),
            (103,),
        ),
    ],
)
def test_a_mode_says_what_is_made(mode, products, measured, flat_fields):
    found = calibration_set(runs(), mode)
    assert found.products == products
    assert found.measured_runs == measured
    assert found.flat_fields == flat_fields


def test_runs_by_type():
    found = calibration_set(runs(), "PEDESTAL_FLAT_SCAN_SPE")
    assert (found.run("dark"), found.run("high_voltage")) == (101, 108)
    assert (found.type_of(105), found.type_of(1)) == ("scan", None)
    few = without("high_voltage", "single_pixel", "drs4")
    few = calibration_set(runs(few), "PEDESTAL_FLAT_SCAN_SPE")
    assert few.run("high_voltage") is None
    assert few.products == ("single_photoelectron", "photon_transfer", "pedestal")


@pytest.mark.parametrize(
    ("mode", "left_out", "kind", "obs_ids"),
    [
        ("PEDESTAL", (), "pedestal", (102,)),
        ("PEDESTAL_FLAT", ("pedestal",), "flat", (103,)),
        ("PEDESTAL_FLAT_SCAN", ("pedestal",), "scan", (104, 105, 106)),
        ("PEDESTAL_FLAT_SCAN_SPE", (), "pedestal", (102,)),
    ],
)
def test_sky_pedestals_are_of_their_own_run_if_there_is_one(mode, left_out, kind, obs_ids):
    assert calibration_set(runs(without(*left_out)), mode).sky_runs == (kind, obs_ids)


@pytest.mark.parametrize(
    ("mode", "kind"), [(mode, kind) for mode, kinds in MODES.items() for kind in kinds]
)
def test_a_type_of_run_that_is_missing(mode, kind):
    with pytest.raises(MissingInputError, match=rf"has no run '{kind}' \(.*mode {mode} needs; it"):
        calibration_set(runs(without(kind)), mode)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (runs(run_type=None), "has no column run_type; it has obs_id, transmission"),
        (runs(RUNS | {112: "laser"}), "observation 112 is a run 'laser', needs one of dark, "),
        (runs(obs_id=[101, 102, 103, 104, 104, *range(106, 112)]), r"\[104\] are there twice"),
        (runs(RUNS | {112: "dark"}), r"2 runs 'dark', observations \[101, 112\]: a set has one"),
        (
            runs(transmission=np.full(11, np.nan)),
            r"runs: observations \[104, 105, 106\] have no tr",
        ),
        (runs(transmission=np.zeros(11)), "104 has a transmission of 0 with error 0.05; both must"),
        (runs(transmission_error=np.zeros(11)), "transmission of 0.1 with error 0; both must be"),
    ],
)
def test_wrong_tables(table, message):
    with pytest.raises(ConfigurationError, match=message):
        calibration_set(table, "PEDESTAL_FLAT_SCAN_SPE")


def test_filters_do_not_matter_without_a_scan():
    table = runs(transmission=None, transmission_error=None)
    assert calibration_set(table, "PEDESTAL_FLAT").flat_fields == (103,)


def test_a_missing_filter_position():
    two = {n: kind for n, kind in RUNS.items() if n != 106}
    with pytest.raises(MissingInputError, match="at least 3 filter positions, got 2"):
        calibration_set(runs(two), "PEDESTAL_FLAT_SCAN")


def test_an_unknown_mode():
    with pytest.raises(ConfigurationError, match="'FLAT' is no mode of a calibration set: PEDEST"):
        calibration_set(runs(), "FLAT")

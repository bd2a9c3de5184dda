"""Declarations of the columns of products."""

import re

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table
from astropy.time import Time

from calibpipe.archive.kinds import kinds
from calibpipe.core.columns import column_problems, declared, require_columns

RULES = [
    (kind, node, name, rule)
    for kind, tables in declared().items()
    for node, table in tables.items()
    for name, rule in table.columns.items()
]
TRACKING = "/dl1/monitoring/telescope/pointing/star_tracking"


def pointing(**changes):
    """Some columns of star tracking, in order."""
    columns = {
        "time": Time([1.7e9, 1.7e9 + 60], format="unix_tai"),
        "dlon": [0.01, 0.02] * u.deg,
        "is_valid": [True, False],
        "status": ["valid", "no star"],
        "n_stars": [5, 0],
    }
    return {f"{TRACKING}/tel_001": QTable(columns | changes)}


def test_every_declaration_can_be_read():
    assert len(RULES) > 700
    for kind, node, name, rule in RULES:
        where = f"{kind} {node} {name}"
        assert rule.type in {"float", "integer", "boolean", "text", "time"}, where
        u.Unit(rule.unit)
        assert all(re.fullmatch("n_[a-z_]+", size) for size in rule.shape), where
        assert len(rule.meaning) > 1, where
    for tables in declared().values():
        assert all(table.may_lack <= set(table.columns) for table in tables.values())


def test_every_table_that_can_be_certified_is_declared():
    apart = {"observatory/site", "timing/array_offset"}  # documents
    apart |= {"external/camera_coefficients", "verification/metrics", "verification/record"}
    assert set(kinds()) - apart <= set(declared())


def test_meaning_of_an_error_follows_from_its_name():
    (table,) = (t for n, t in declared()["atmosphere/lidar"].items())
    meaning = table.columns["optical_depth_sys_error_*nm"].meaning
    assert meaning == "Systematic error of `optical_depth_*nm`"
    assert table.rule("optical_depth_sys_error_355nm").meaning == meaning
    assert table.rule("optical_depth_355nm").shape == ("n_altitudes",)
    assert table.rule("optical_depth_nm") is None


def test_a_table_as_declared_has_no_problem():
    assert column_problems("pointing/star_tracking", pointing()) == []
    assert column_problems("test/nothing", {"": Table({"x": [1]})}) == []
    empty = Table(names=("status", "n_stars"), dtype=(float, int))
    assert column_problems("pointing/star_tracking", {TRACKING: empty}) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dlon": [0.01, 0.02] * u.arcsec}, "dlon: has the unit 'arcsec', not 'deg'"),
        ({"dlon": [1, 2] * u.one}, "dlon: has the unit '', not 'deg'"),
        ({"n_stars": [5.0, 0.0]}, "n_stars: is float, not integer"),
        ({"status": [1, 2]}, "status: is integer, not text"),
        ({"time": ["now", "then"]}, "time: is text, not time"),
        ({"n_stars": np.ones((2, 3), int)}, r"n_stars: has values of shape \(3,\), not \(\)"),
        ({"dlonn": [1, 2]}, "column .*star_tracking dlonn is not declared"),
    ],
)
def test_what_is_otherwise_is_told(changes, problem):
    (found,) = column_problems("pointing/star_tracking", pointing(**changes))
    assert re.search(problem, found)
    with pytest.raises(
        ValueError, match=f"pointing/star_tracking is declared otherwise.*{problem}"
    ):
        require_columns("pointing/star_tracking", pointing(**changes))


def test_a_dimension_has_one_size_in_a_product():
    node = "/calibpipe/camera/photon_transfer"
    tables = {node: Table({"gain": np.ones((1, 2, 19)), "chi2": np.ones((1, 2, 18))})}
    (found,) = column_problems("camera/photon_transfer", tables)
    assert found == "n_pixels is [18, 19]"


def test_an_unknown_table_is_told():
    (found,) = column_problems("array/timing", {"/calibpipe/array/more": Table({"x": [1]})})
    assert found == "table /calibpipe/array/more is not declared"

"""Differences of two products against hand-computed values."""

import numpy as np
import pytest

from calibpipe.core.content import Column
from calibpipe.verification.difference import (
    document_columns,
    error_column,
    header_differences,
    table_differences,
)


def only(first, second):
    (found,) = table_differences({"t": {"x": first}}, {"t": {"x": second}})
    return found


def test_figures_by_hand():
    one = {
        "gain": Column(np.array([10.0, 20.0, 0.0, np.nan]), "ns"),
        "gain_stat_error": Column(np.array([0.5, 2.0, 1.0, 1.0]), "ns"),
    }
    other = one | {"gain": Column(np.array([11.0, 20.0, 2.0, np.nan]), "ns")}
    gain, error = table_differences({"t": one}, {"t": other})
    assert not error.is_different
    assert (gain.n_values, gain.n_differing, gain.n_one_sided) == (4, 2, 0)  # NaN is NaN
    assert gain.max_absolute == 2
    assert gain.rms_absolute == pytest.approx(np.sqrt((1 + 0 + 4) / 3))
    assert gain.max_relative == pytest.approx(0.1)  # of values other than zero
    assert gain.rms_relative == pytest.approx(np.sqrt(0.1**2 / 2))
    assert gain.error_column == "gain_stat_error"
    assert gain.max_pull == 2
    assert gain.rms_pull == pytest.approx(np.sqrt((2**2 + 0 + 2**2) / 3))
    assert gain.unit == "ns"


def test_a_value_that_became_nan_is_told():
    found = only(Column(np.array([1.0, 2.0])), Column(np.array([1.0, np.nan])))
    assert (found.n_differing, found.n_one_sided, found.max_absolute) == (1, 1, 0)


def test_nothing_in_common_gives_no_figures():
    found = only(Column(np.array([1.0])), Column(np.array([np.nan])))
    assert found.n_differing == found.n_one_sided == 1
    assert np.isnan(found.max_absolute)


def test_texts_and_flags_are_counted():
    names = Column(np.array(["a", "b", "c"])), Column(np.array(["a", "x", "y"]))
    found = only(*names)
    assert (found.n_differing, np.isnan(found.max_absolute)) == (2, True)
    assert only(Column(np.array([True, False])), Column(np.array([True, True]))).n_differing == 1


@pytest.mark.parametrize(
    ("second", "remark"),
    [
        (Column(np.zeros(3), "m"), "shape (2,) against (3,)"),
        (Column(np.zeros(2), "cm"), "unit m against cm"),
    ],
)
def test_what_cannot_be_compared_says_why(second, remark):
    found = only(Column(np.zeros(2), "m"), second)
    assert found.remark == remark
    assert found.is_different


def test_columns_and_tables_of_one_product_only():
    one = {"t": {"x": Column(np.zeros(1))}}
    other = {"t": {"y": Column(np.zeros(1))}, "s": {"x": Column(np.zeros(1))}}
    found = {(d.table, d.column): d.remark for d in table_differences(one, other)}
    first, second = (f"in the {which} product only" for which in ("first", "second"))
    assert found == {("t", "x"): first, ("t", "y"): second, ("s", "x"): second}


def test_errors_have_the_shape_of_their_values():
    pixels, chunk = Column(np.zeros((2, 5))), Column(np.zeros(2))
    assert error_column("mean", {"mean": pixels, "mean_error": pixels}) == "mean_error"
    assert error_column("mean", {"mean": pixels, "mean_error": chunk}) == ""
    assert error_column("vaod", {"vaod": chunk, "stat_error": chunk}) == "stat_error"
    assert error_column("altitude", {"altitude": chunk, "stat_error": chunk}) == ""


def test_headers_differ_beyond_the_run_only():
    first = {
        "CTA PRODUCT CREATION TIME": "yesterday",
        "calibpipe": {
            "software": {"numpy": "2.4"},
            "inputs": [{"path": "a/x", "sha256": "1"}, {"path": "b", "sha256": "2"}],
            "limit": 0.1,
            "old": 1,
        },
    }
    second = {
        "CTA PRODUCT CREATION TIME": "today",
        "calibpipe": {
            "software": {"numpy": "2.5"},
            "inputs": [{"path": "elsewhere/x", "sha256": "1"}, {"path": "b", "sha256": "3"}],
            "limit": 0.1 + 1e-15,
        },
    }
    found = {d.key: (d.first, d.second) for d in header_differences(first, second)}
    assert found == {"calibpipe.inputs[1].sha256": ("2", "3"), "calibpipe.old": (1, None)}


def test_documents_become_columns():
    document = {
        "rows": [{"x": 1.0, "name": "a"}],
        "pair": [1.0, 2.0],
        "none": None,
        "mixed": [1, "a"],
        "gaps": [1, 2.5, None],
    }
    columns = document_columns(document)
    assert columns["rows[0].x"].values == 1
    assert columns["pair"].values.tolist() == [1, 2]
    assert columns["mixed"].values.tolist() == ["1", "a"]
    assert np.array_equal(columns["gaps"].values, [1, 2.5, np.nan], equal_nan=True)
    assert np.isnan(columns["none"].values)
    assert set(columns) == {"rows[0].x", "rows[0].name", "pair", "none", "mixed", "gaps"}

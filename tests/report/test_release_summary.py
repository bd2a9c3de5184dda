"""What a release changes, kind by kind, against hand-made comparisons."""

import re

import numpy as np
import pytest

from calibpipe.report.release_summary import (
    levels_figure,
    pulls_figure,
    summary_page,
    summary_table,
)
from calibpipe.tools.product_comparison import ProductComparison
from calibpipe.verification.difference import ColumnDifference

KEYS = [("CTAO-North", "C", "2024-07-10"), ("CTAO-North", "C", "2024-07-12")]


def column(pull, relative=0.1, name="gain"):
    return ColumnDifference(
        "t", name, "ns", 4, 2, 0, 0.2, 0.1, relative, relative, f"{name}_error", pull, pull / 2
    )


@pytest.fixture
def found():
    return [
        ProductComparison("a/1.h5", "camera/coefficients", "same bytes"),
        ProductComparison("a/2.h5", "camera/coefficients", "different", (column(3.0),)),
        ProductComparison("a/3.h5", "camera/coefficients", "different", (column(5.0, 0.02),)),
        ProductComparison("b.ecsv", "atmosphere/macobac", "same content"),
        ProductComparison("c<d>.dat", "", "missing"),
    ]


def test_kinds_are_counted_with_their_largest_differences(found):
    table = summary_table(found)
    rows = {row["kind"]: row for row in table}
    camera = rows["camera/coefficients"]
    assert (camera["products"], camera["same_bytes"], camera["different"]) == (3, 1, 2)
    assert (camera["max_pull"], camera["rms_pull"], camera["max_relative"]) == (5, 2.5, 0.1)
    assert rows["atmosphere/macobac"]["same_content"] == 1
    assert np.isnan(rows["atmosphere/macobac"]["max_pull"])
    assert rows["other files"]["missing"] == 1


def test_figures_show_the_numbers(found):
    table = summary_table(found)
    (axes,) = levels_figure(table).axes
    widths = [bar.get_width() for bar in axes.patches]
    assert sum(widths) == pytest.approx(len(table))  # each kind is whole
    assert sorted(w for w in widths if 0 < w < 1) == pytest.approx([1 / 3, 2 / 3])
    (axes,) = pulls_figure(table).axes
    assert [list(line.get_xdata()) for line in axes.lines[:2]] == [[5.0], [2.5]]
    assert pulls_figure(summary_table(found[3:])) is None


def test_page_names_what_changed_most_first(found):
    page = summary_page("2027a", KEYS, found)
    assert "2 nights, 2024-07-10 to 2024-07-12" in page
    assert page.count("<svg") == 2
    listed = re.findall(r"<td>(a/\d\.h5)</td>", page)
    assert listed == ["a/3.h5", "a/2.h5"]
    assert "c<d>" not in page
    assert "<svg" not in summary_page("2027a", KEYS, [])

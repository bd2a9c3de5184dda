"""Figures of the array: points, errors, bands, cells and labels against the numbers."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from report.made_array import IDS, KINDS, NAMES, residuals

from calibpipe.report.array_figures import TelescopeValues, kind_colours, telescope_figure
from calibpipe.report.array_pair_figure import NO_PAIR, pair_figure
from calibpipe.report.array_timing_figures import block_figure, residual_figure
from calibpipe.report.drawing import PALETTE


def values(value, stat=0.01, sys=0.02, names=NAMES, kinds=KINDS):
    value = np.asarray(value, float)
    nothing = np.zeros(len(value), bool)
    errors = (np.full(len(value), error) for error in (stat, sys))
    return TelescopeValues(
        np.array(names), np.array(kinds), value, *errors, np.isfinite(value), nothing
    )


def southern():
    names = [f"MSTS-{k:02d}" for k in range(1, 15)] + [f"SSTS-{k:02d}" for k in range(1, 38)]
    return names, ["MST"] * 14 + ["SST"] * 37


def points(axes, marker, colour=None):
    """Coordinates of the points of a kind in axes."""
    found = [
        line.get_xydata()
        for line in axes.lines
        if line.get_marker() == marker and colour in (None, line.get_color())
    ]
    return np.concatenate(found)


def apart(labels):
    """Whether no label that is drawn covers another one."""
    boxes = [t.get_window_extent() for t in labels if t.get_visible() and t.get_text()]
    return not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])


def drawn(figure):
    FigureCanvasAgg(figure).draw()
    return figure


def test_telescopes_stand_in_columns_of_their_types():
    value = 1 + 0.01 * np.arange(13)
    lst, mst = telescope_figure(values(value), "throughput", 1.0).axes
    assert points(lst, "o") == pytest.approx(np.stack([value[:4], np.arange(4)], axis=1))
    assert points(mst, "o") == pytest.approx(np.stack([value[4:], np.arange(9)], axis=1))
    assert lst.get_xlim() == mst.get_xlim()
    assert [axes.get_title(loc="left") for axes in (lst, mst)] == ["LST", "MST"]


def test_both_errors_are_drawn():
    lst, _ = telescope_figure(values(np.ones(13)), "throughput", 1.0).axes
    sys, stat = ([s[:, 0] for s in lines.get_segments()] for lines in lst.collections)
    assert np.array(sys) == pytest.approx(np.tile([0.98, 1.02], (4, 1)))
    assert np.array(stat) == pytest.approx(np.tile([0.99, 1.01], (4, 1)))


def test_small_errors_are_enlarged_and_the_axis_says_so():
    offset = np.linspace(-10, 10, 13)
    figure = telescope_figure(values(offset, 0.0, 0.05), "time offset (ns)", 0.0)
    first = figure.axes[0].collections[0].get_segments()[0][:, 0]
    assert np.ptp(first) == pytest.approx(10 * 2 * 0.05)
    assert figure.texts[0].get_text() == "time offset (ns); bars: 10 times the errors"


def test_outliers_and_invalid_ones_are_marked():
    found = values(np.ones(13))
    value = found.value.copy()
    value[[1, 2, 3]] = 1.3, 1.02, 5.0
    found = replace(found, value=value, is_valid=~np.isin(IDS, (3, 4)), is_marked=IDS == 2)
    lst, _ = telescope_figure(found, "throughput", 1.0).axes
    red = PALETTE["warning"]
    assert points(lst, "D", red) == pytest.approx(np.array([[1.3, 1]]))
    assert points(lst, "x", red) == pytest.approx(np.array([[1.02, 2]]))
    assert points(lst, ">", red) == pytest.approx(np.array([[lst.get_xlim()[1], 3]]))
    assert len(points(lst, "o")) == 1
    assert lst.get_xlim()[1] < 1.5  # an invalid one does not decide


def test_telescope_without_a_value_says_so():
    value = np.ones(13)
    value[0] = np.nan
    lst, _ = telescope_figure(values(value), "throughput", 1.0).axes
    assert [label.get_text() for label in lst.get_yticklabels()] == ["LSTN-01 –", *NAMES[1:4]]
    assert len(points(lst, "o")) == 3


def test_no_telescope_has_a_value():
    lst, mst = telescope_figure(values(np.full(13, np.nan)), "throughput", 1.0).axes
    assert len(points(lst, "o")) == len(points(mst, "o")) == 0


def test_scales_and_muons():
    beside = values(np.where(KINDS == "LST", 1.1, np.nan), 0.03, 0.0)
    bands = {"LST": (0.95, 0.01, 0.03), "MST": (1.0, 0.0, 0.0)}
    lst, mst = telescope_figure(
        values(np.ones(13)), "throughput", 1.0, beside=beside, bands=bands
    ).axes
    whole = np.hypot(0.01, 0.03)
    spans = [(p.get_x(), p.get_x() + p.get_width()) for p in lst.patches]
    assert spans == [pytest.approx((0.95 - whole, 0.95 + whole)), pytest.approx((0.94, 0.96))]
    assert list(mst.patches) == []
    assert points(lst, "D", PALETTE["ink"])[:, 0] == pytest.approx(np.full(4, 1.1))
    muons = [s[:, 0] for s in lst.collections[-1].get_segments()]
    assert np.array(muons) == pytest.approx(np.tile([1.07, 1.13], (4, 1)))
    assert len(points(mst, "D")) == 0


def test_names_of_51_telescopes_do_not_cover_each_other():
    names, kinds = southern()
    found = values(1 + 0.002 * np.arange(51), names=names, kinds=kinds)
    figure = drawn(telescope_figure(found, "throughput", 1.0))
    assert len(figure.axes) == 3
    shown = [label for axes in figure.axes for label in axes.get_yticklabels()]
    assert sorted(label.get_text() for label in shown) == sorted(names)
    assert apart(shown)
    for axes in figure.axes:
        assert apart([t for t in axes.get_xticklabels() if t.get_window_extent().width])
        room = axes.get_position().x0 * figure.bbox.width
        left = min(label.get_window_extent().x0 for label in axes.get_yticklabels())
        before = [a.get_position().x1 * figure.bbox.width for a in figure.axes]
        assert left > max([x for x in before if x < room], default=0.0)


def test_cells_have_the_colours_of_their_pulls():
    import matplotlib as mpl

    first, second = np.array([0, 1, 4]), np.array([1, 2, 5])
    axes = pair_figure(NAMES, KINDS, first, second, np.array([1.5, np.nan, -3.0])).axes[0]
    cells = np.asarray(axes.images[0].get_array())
    colour = mpl.colormaps["PuOr"]
    assert cells[0, 1] == pytest.approx(colour(0.75)[:3])
    assert cells[1, 0] == pytest.approx(colour(0.25)[:3])  # turned around
    assert cells[4, 5] == pytest.approx(colour(0.0)[:3])
    assert cells[0, 2] == pytest.approx(to_rgb(NO_PAIR))
    assert cells[12, 3] == pytest.approx(to_rgb(NO_PAIR))
    assert sorted(map(tuple, points(axes, "."))) == [(1, 2), (2, 1)]  # decide alone
    texts = sorted(text.get_text() for text in axes.texts)
    assert texts == ["1.5", "3.0", "−1.5", "−3.0"]


@pytest.mark.parametrize("kinds", [["SST"], ["MST", "SST"]])
def test_names_along_large_matrices_do_not_cover_each_other(kinds):
    names, of_names = southern()
    chosen = [name for name, kind in zip(names, of_names, strict=True) if kind in kinds]
    none = np.array([], int)
    figure = drawn(pair_figure(chosen, ["SST"] * len(chosen), none, none, np.array([])))
    axes = figure.axes[0]
    for axis in (axes.xaxis, axes.yaxis):
        labels = [*axis.get_majorticklabels(), *axis.get_minorticklabels()]
        assert sorted(label.get_text() for label in labels) == sorted(chosen)
        assert apart(labels)
        for label in labels:
            box = label.get_window_extent()
            assert min(box.x0, box.y0) > 0
            assert box.y1 < figure.bbox.height


def test_residuals_of_types_are_means_over_their_telescopes():
    axes = residual_figure(residuals(), IDS, KINDS).axes[0]
    lst, mst = axes.containers
    assert lst.lines[0].get_ydata() == pytest.approx([0.05] * 3 + [-0.05] * 3)
    assert mst.lines[0].get_ydata() == pytest.approx([0.0] * 6)
    # 4 times 400 times of rms 1 ns
    ends = np.array([segment[:, 1] for segment in lst.lines[2][0].get_segments()])
    assert np.ptp(ends, axis=1) == pytest.approx(np.full(6, 2 / np.sqrt(1599)))
    assert axes.get_xlim() == (0, 500)  # nothing was seen beyond
    assert [label.get_text() for label in axes.get_xticklabels()][-1] == "500"


def test_residuals_of_few_times_are_not_drawn():
    axes = residual_figure(residuals(), IDS, KINDS).axes[0]
    thin = [line for line in axes.lines if line.get_linewidth() == 0.8]
    shown = [np.isfinite(line.get_ydata()).sum() for line in thin]
    assert shown == [4 * 6, 8 * 6]  # the last MST has 10 times in each bin


def test_residuals_of_nothing():
    table = residuals()
    for name in ("n", "total", "square"):
        table[name] = 0 * table[name]
    for name in ("mean", "error"):
        table[name] = np.nan
    axes = residual_figure(Table(table), IDS, KINDS).axes[0]
    assert not np.isfinite(axes.containers[0].lines[0].get_ydata()).any()


def blocks(jump=0.0):
    """Two blocks, 0.1 ns above and below; the third telescope is marked and jumps."""
    found = []
    for k in range(2):
        value = np.where(IDS == 3, jump * k, 0.1 * (-1) ** (k + IDS))
        found.append(replace(values(value, 0.02, 0.2), is_marked=IDS == 3))
    return found


def test_blocks_stand_one_after_the_other():
    axes = block_figure(blocks(), ["1\n21:46", "2\n23:46"], "offset (ns)").axes[0]
    lst = points(axes, "o", kind_colours(KINDS)["LST"])
    assert np.floor(lst[:, 0] + 0.5).tolist() == [0] * 4 + [1] * 4
    assert lst[:, 1] == pytest.approx([-0.1, 0.1, 0.0, 0.1, 0.1, -0.1, 0.0, -0.1])
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["1\n21:46", "2\n23:46"]


def test_telescope_that_jumps_is_named_with_its_jump():
    axes = block_figure(blocks(jump=0.9), ["1", "2"], "offset (ns)").axes[0]
    assert [text.get_text() for text in axes.texts] == ["LSTN-03 +0.9"]
    assert axes.texts[0].xy[1] == pytest.approx(0.9)


def test_large_jump_does_not_hide_the_others():
    axes = block_figure(blocks(jump=-1000.0), ["1", "2"], "offset (ns)").axes[0]
    others = 0.1 + np.hypot(0.02, 0.2)
    assert axes.texts[0].get_text() == "LSTN-03 −1e+03"
    assert axes.texts[0].xy[1] == pytest.approx(-6 * others)
    assert axes.get_ylim()[1] == pytest.approx(1.1 * 6 * others)


def test_telescopes_without_values_take_no_place():
    empty = [replace(block, value=np.where(IDS > 4, np.nan, block.value)) for block in blocks()]
    axes = block_figure(empty, ["1", "2"], "offset (ns)").axes[0]
    assert points(axes, "o")[:4, 0] == pytest.approx([-0.4, -0.4 + 0.8 / 3, 0.4 - 0.8 / 3, 0.4])

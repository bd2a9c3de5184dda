"""Figures of dedicated runs: lines, bands and classes against the numbers."""

import matplotlib.colors as mcolors
import numpy as np
import pytest
from astropy.table import Table
from report.made_dedicated import (
    BY_OPERATOR,
    DARK_PIXEL,
    EXCLUDED,
    F2,
    NIGHTS,
    PAIR,
    PIXELS,
    POOR_PIXEL,
    exclusion_tables,
    pair_table,
    spe_tables,
    transfer_tables,
)

from calibpipe.camera.pixel_exclusion import ExclusionReason
from calibpipe.camera.spe_curve import SpeCurve, fitted_curve
from calibpipe.core.telescope import telescope_subarray
from calibpipe.report.crosstalk_figures import crosstalk_sums, efficiency_figure, pair_figure
from calibpipe.report.drawing import PALETTE, dots, new_figure
from calibpipe.report.exclusion_figures import (
    REASON_COLOURS,
    REASONS,
    exclusion_classes,
    exclusion_history_figure,
)
from calibpipe.report.inline_svg import inline_svg
from calibpipe.report.pixel_map import class_map, pixel_map
from calibpipe.report.spe_examples import example_rows
from calibpipe.report.spe_figures import chance_figure, gains_figure, spectrum_figure
from calibpipe.report.transfer_figures import (
    QUANTILES,
    comparison_figure,
    linearity_figure,
    linearity_quantiles,
    ratio_figure,
    transfer_figure,
    typical_pixel,
)
from calibpipe.tools.calculate_photon_transfer import PIXELS_GROUP, POINTS_GROUP
from calibpipe.tools.select_excluded_pixels import HISTORY_GROUP
from calibpipe.tools.select_excluded_pixels import PIXELS_GROUP as EXCLUSION_GROUP


@pytest.fixture(scope="module")
def geometry():
    return telescope_subarray(1).tel[1].camera.geometry


def coloured(lines, role):
    return [line for line in lines if mcolors.to_hex(line.get_color()) == PALETTE[role]]


def spe_rows(p_value, chi2, outlier=None, gain=1.0, channel=0):
    n = len(p_value)
    return Table(
        {
            "channel": np.broadcast_to(channel, n),
            "gain": np.broadcast_to(gain, n),
            "p_value": p_value,
            "chi2": chi2,
            "n_dof": np.full(n, 100),
            "outlier_mask": np.zeros(n, bool) if outlier is None else outlier,
        }
    )


def test_examples_are_typical_best_and_worst():
    p_value, chi2 = [0.5, 0.9, 0.0, 0.0, 0.4], [100.0, 80, 300, 500, 103]
    bad = np.array([False, False, True, True, False])
    assert example_rows(spe_rows(p_value, chi2, bad)) == {"typical": 0, "best": 1, "worst": 3}


def test_examples_are_of_high_gain_and_have_a_fit():
    rows = spe_rows([0.5, np.nan, 0.1], [100.0, 100, 90], gain=[1.0, 1, np.nan])
    assert example_rows(rows) == {"typical": 0}
    assert example_rows(spe_rows([0.5], [100.0], channel=1)) == {}
    all_bad = spe_rows([0.1, 0.2], [130.0, 120], np.ones(2, bool))
    assert example_rows(all_bad) == {"worst": 0}
    assert example_rows(spe_tables()[0])["worst"] == POOR_PIXEL


def test_spectrum_is_drawn_with_its_fit():
    pixels, spectra = spe_tables()
    curve = fitted_curve(pixels[20], spectra[20])
    spectrum, residual = spectrum_figure(curve).axes
    (fit,) = coloured(spectrum.get_lines(), "warning")
    (steps,) = [p for p in spectrum.patches if not p.get_fill()]
    counts, edges, _ = steps.get_data()
    joined = round(np.diff(edges)[0] / np.diff(curve.edges)[0])
    assert counts.sum() == pytest.approx(curve.counts.sum(), rel=1e-3)
    assert fit.get_ydata().max() == pytest.approx(joined * curve.expected.max())
    assert len(coloured(spectrum.get_lines(), "level4")) == 1
    pedestal, gain = (line.get_xdata()[0] for line in coloured(residual.get_lines(), "faint"))
    assert gain - pedestal == pytest.approx(float(pixels["gain"].value[20]))
    low, high = residual.get_xlim()
    assert low < pedestal < gain < high


def test_spectrum_without_a_fit_is_drawn_alone():
    n = 50
    nothing = np.full((3, n), np.nan)
    counts = np.where(np.arange(n) < 30, 10.0, 0)
    figure = spectrum_figure(SpeCurve(np.arange(n + 1.0), counts, nothing[0], nothing, np.nan, 1))
    assert "<path" in inline_svg(figure, "x", "")


def test_chances_count_every_fit():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.uniform(size=980), np.zeros(20), [np.nan]])
    (axes,) = chance_figure(values, 0.001).axes
    (steps,) = axes.patches[-1:]
    heights = steps.get_xy()[:, 1]
    assert heights.max() >= 20
    (mean,) = coloured(axes.get_lines(), "faint")
    assert mean.get_ydata()[0] == 50
    n_poor = np.count_nonzero(values < 0.001)
    assert axes.get_title(loc="right") == f"{n_poor} of 1000 below 0.001"


def test_gains_are_compared():
    gain = np.array([60.0, 61, np.nan, 62])
    left, right = gains_figure(gain, gain + 1, np.array([0.5, 0.5, np.nan, -100])).axes
    points, _ = left.get_lines()
    assert points.get_xdata()[::3].tolist() == [60, 61, 62]
    assert points.get_ydata()[::3].tolist() == [61, 62, 63]
    heights = right.patches[-1].get_xy()[:, 1]
    assert heights.max() == 2  # -100 counts in the first bin


def test_typical_pixel_is_nearest_to_the_medians():
    row = {
        "gain": np.array([[60.0, 62, 70, np.nan], [3.0, 3.1, 3.5, 3.1]]),
        "status": np.array([[0, 0, 0, 1], [0, 0, 0, 0]]),
        "chi2": np.full((2, 4), 5.0),
        "n_degrees": np.full((2, 4), 5),
    }
    assert typical_pixel([row]) == 1
    nothing = row | {"gain": np.full((2, 4), np.nan), "status": np.ones((2, 4), int)}
    assert typical_pixel([nothing]) is None


def test_transfer_line_is_that_of_the_fit():
    pixels, points = (transfer_tables()[group] for group in (PIXELS_GROUP, POINTS_GROUP))
    pixel = typical_pixel(pixels)
    assert pixel != DARK_PIXEL
    curve, residual = transfer_figure(pixels, points, pixel).axes
    row = pixels[0]
    for channel, role in enumerate(("level5", "level1")):
        lines = coloured(curve.get_lines(), role)
        fit = next(line for line in lines if len(line.get_xdata()) > 20)
        x, y = fit.get_data()
        slope = F2 * row["gain"][channel, pixel]
        assert y == pytest.approx(
            slope * x + row["squared_quadratic_noise"][channel, pixel] * x**2, rel=1e-5
        )
        noise = next(line for line in lines if line.get_label().startswith("pedestal"))
        assert noise.get_ydata()[0] == pytest.approx(row["read_noise"][channel, pixel] ** 2)
    used = np.asarray(points["is_used_in_transfer"])[:, 0, pixel]
    lines = coloured(residual.get_lines(), "level5")
    drawn = next(line for line in lines if len(line.get_xdata()) == used.sum())
    signal, variance, error = (
        np.asarray(points[name])[used, 0, pixel]
        for name in ("signal", "variance", "variance_error")
    )
    line = F2 * row["gain"][0, pixel] * signal
    line += row["squared_quadratic_noise"][0, pixel] * signal**2
    assert drawn.get_ydata() == pytest.approx((variance - line) / error, abs=1e-4)
    turn_off = [
        line for line in coloured(curve.get_lines(), "level5") if len(set(line.get_xdata())) == 1
    ]
    assert any(line.get_xdata()[0] == row["turn_off"][0, pixel] for line in turn_off)


def linear_points(residual, n_pixels=4):
    """Two points of 10 and 100 p.e., every pixel with the gain of its number + 1."""
    light = np.array([1.0, 10.0])
    gain = np.arange(1.0, n_pixels + 1)
    residual = np.broadcast_to(residual, (2, 1, n_pixels)).astype(float)
    signal = 10 * light[:, None, None] * gain * (1 + residual)
    return Table({"light": light, "signal": signal, "residual": residual}), gain


def test_linearity_is_of_the_good_pixels_in_photoelectrons():
    residual = np.stack([np.zeros((1, 4)), [[-0.01, -0.02, -0.03, 0.5]]])
    points, gain = linear_points(residual)
    row = {"status": np.array([[0, 0, 0, 1]]), "gain": gain[np.newaxis]}
    x, bands = linearity_quantiles(row, points, 0)
    assert x == pytest.approx([10, 100])
    assert bands[:, 0] == pytest.approx(np.zeros(5))
    assert bands[:, 1] == pytest.approx(np.quantile([-0.01, -0.02, -0.03], QUANTILES))
    row["status"][:] = 1
    x, bands = linearity_quantiles(row, points, 0)
    assert np.isnan(bands).all()


def test_linearity_is_drawn_within_some_tolerances():
    tables = transfer_tables()
    figure = linearity_figure(tables[PIXELS_GROUP], tables[POINTS_GROUP], 0.02)
    assert len(figure.axes) == 2
    for axes, role in zip(figure.axes, ("level5", "level1"), strict=True):
        assert 4 <= axes.get_ylim()[1] <= 8  # percent: high gain saturates below the axes
        assert [line.get_ydata()[0] for line in coloured(axes.get_lines(), "warning")] == [-2, 2]
        assert len(coloured(axes.get_lines(), role)) == 1
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_ratio_and_its_errors_are_drawn():
    left, right = ratio_figure(np.array([17.0, 17.1, np.nan]), np.array([0.017, 0.0171, 1])).axes
    assert [axes.patches[-1].get_xy()[:, 1].sum() > 0 for axes in (left, right)] == [True, True]
    low, high = right.get_xlim()
    assert low < 0.1 < high  # percent


def test_comparison_tells_medians():
    ratios = {"a / b": np.array([1.0, 1.02, 1.04, np.nan]), "a / c": np.full(4, 0.9)}
    figure = comparison_figure(ratios)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["a / b: median 1.020", "a / c: median 0.900"]
    low, high = figure.axes[0].get_xlim()
    assert low < 0.9
    assert high > 1.05


def test_crosstalk_is_summed_over_the_neighbours_of_its_source(geometry):
    sums = crosstalk_sums(pair_table(unknown=[20]), PIXELS)
    neighbours = np.asarray(geometry.neighbor_matrix_sparse.sum(axis=0)).ravel()
    known = np.arange(PIXELS) != 20
    assert sums[known] == pytest.approx(PAIR * neighbours[known], rel=1e-6)
    assert np.isnan(sums[20])
    directed = pair_table()
    once = directed[directed["pixel"] < directed["source"]]
    of_once = crosstalk_sums(once, PIXELS, has_direction=False)
    assert of_once == pytest.approx(crosstalk_sums(directed, PIXELS))


def test_pairs_scatter_as_their_errors_say():
    rng = np.random.default_rng(1)
    error = np.full(5000, 0.002)
    (axes,) = pair_figure(rng.normal(0.01, error), error).axes
    (chance,) = [line for line in axes.get_lines() if line.get_label().startswith("errors")]
    heights = axes.patches[-1].get_xy()[:, 1]
    assert chance.get_ydata().max() == pytest.approx(heights.max(), rel=0.2)
    (mean,) = coloured(axes.get_lines(), "level1")
    assert mean.get_xdata()[0] == pytest.approx(1.0, abs=4 * 0.2 / np.sqrt(5000))


def test_efficiency_has_a_line_for_an_angle_and_few_of_them():
    wavelength, angle = (g.ravel() for g in np.meshgrid([300.0, 400, 500], np.arange(0.0, 70, 10)))
    table = Table({"wavelength": wavelength, "incidence_angle": angle})
    table["wavelength"].unit, table["incidence_angle"].unit = "nm", "deg"
    table["pde"], table["pde_error"] = 0.3 - 0.001 * angle, np.full(len(angle), 0.01)
    (axes,) = efficiency_figure(table).axes
    lines = axes.get_lines()
    assert len(lines) == 5
    assert (lines[0].get_label(), lines[-1].get_label()) == ("0°", "60°")
    assert lines[-1].get_ydata() == pytest.approx(np.full(3, 24.0))


def test_excluded_pixels_have_their_first_reason():
    operator, statistics, linearity = (
        ExclusionReason[name].value for name in ("OPERATOR", "STATISTICS", "LINEARITY")
    )
    classes = exclusion_classes(np.array([0, statistics, statistics | operator, linearity]))
    names = [None, *REASONS.values()]
    assert [names[k] for k in classes] == [None, "statistics", "operator", "linearity"]
    assert len(set(REASON_COLOURS.values())) == len(ExclusionReason)


def test_map_counts_classes_and_outlines(geometry):
    tables = exclusion_tables()
    classes = exclusion_classes(tables[EXCLUSION_GROUP]["reasons"])
    outlined = np.zeros(PIXELS, bool)
    outlined[40] = True
    figure = class_map(geometry, classes, REASON_COLOURS, outlined, "evidence")
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == {"operator (1)", "statistics (1)", "photon transfer (1)", "evidence (1)"}
    assert not class_map(geometry, np.zeros(PIXELS, int), REASON_COLOURS).legends


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        (np.full(PIXELS, 3.0), (2.5, 3.5)),
        (np.full(PIXELS, np.nan), (0.0, 1.0)),
        (np.arange(PIXELS) / (PIXELS - 1), (0.01, 0.99)),
    ],
)
def test_map_of_a_number_runs_over_its_quantiles(geometry, values, ends):
    figure = pixel_map(geometry, values, "gain (ADC/p.e.)")
    (pixels,) = [c for c in figure.axes[0].collections if c.get_array() is not None]
    assert pixels.get_clim() == pytest.approx(ends)
    assert figure.axes[1].get_ylabel() == "gain (ADC/p.e.)"


def test_history_counts_evidence_and_exclusions():
    tables = exclusion_tables()
    evidence = np.asarray(tables[HISTORY_GROUP]["evidence"])
    since = [entry for entry in tables[EXCLUSION_GROUP]["since"] if entry]
    above, below = exclusion_history_figure(NIGHTS, evidence, since).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in above.get_lines()}
    assert lines == {"statistics": [1, 1, 1], "photon transfer": [1, 1, 1], "linearity": [0, 0, 1]}
    steps = below.patches[-1].get_data().values
    assert list(steps) == [len(EXCLUDED), len(EXCLUDED) + 1]  # the operator's came last
    assert BY_OPERATOR not in EXCLUDED


def test_dots_are_one_path():
    figure, (axes,) = new_figure()
    dots(axes, np.array([1.0, np.nan, 2.0]), np.array([1.0, 1.0, 3.0]), PALETTE["level5"])
    axes.set_axis_off()
    axes.grid(visible=False)
    svg = inline_svg(figure, "x", "")
    (path,) = [p for p in svg.split("<path") if "level5" in p]
    assert path.count("M ") == 2

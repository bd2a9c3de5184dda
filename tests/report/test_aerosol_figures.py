"""Figures of aerosols and clouds: lines, bands, cells and colours against the numbers."""

import base64
import io
import re

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time
from matplotlib import colors
from matplotlib.image import imread

from calibpipe.report.aerosol_clouds import Cloud
from calibpipe.report.aerosol_figures import QUALITIES, Quality, strip_figure
from calibpipe.report.aerosol_profile_figures import (
    COLOURS,
    LEVELS,
    backscatter_figure,
    median_figure,
)
from calibpipe.report.aerosol_series import Series
from calibpipe.report.aerosol_sky_figure import COLOURS as SKY_COLOURS
from calibpipe.report.aerosol_sky_figure import SkyMap, colour_of, sky_figure, sky_maps
from calibpipe.report.aerosol_transparency import (
    TelescopeTransparency,
    deviations,
    telescopes_figure,
)
from calibpipe.report.drawing import PALETTE
from calibpipe.report.inline_svg import inline_svg

DUSK, DAWN = Time(["2024-07-10T22:00", "2024-07-11T04:00"], scale="utc")
HOURS = DUSK.plot_date + np.arange(6) / 24


def series(value, label="FRAM", *, is_good=None, stat=0.01, sys=0.02):
    value = np.asarray(value, float)
    begin = DUSK.plot_date + np.arange(len(value)) / 24
    good = np.isfinite(value) if is_good is None else np.array(is_good)
    errors = (np.full(len(value), error) for error in (stat, sys))
    return Series(begin, begin + 1 / 24, value, *errors, good, label)


def lines(axes, colour):
    return [line for line in axes.lines if line.get_color() == PALETTE[colour]]


def test_panels_are_those_that_there_are():
    figure = strip_figure((DUSK, DAWN), depths=[series([0.02] * 6)])
    (axes,) = figure.axes
    assert axes.get_xlabel() == "time (UTC)"
    quality = Quality(HOURS, HOURS + 1 / 24, np.array(["good"] * 6), {})
    figure = strip_figure(
        (DUSK, DAWN),
        quality=quality,
        depths=[series([0.02] * 6)],
        cloud=series([0.1] * 6, "all-sky camera"),
        transparency=series([0.9] * 6, "array"),
        limits=(0.8, 1.2),
    )
    assert [axes.get_ylabel() for axes in figure.axes] == ["", "VAOD", "cloud fraction", "CTC"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "", "time (UTC)"]
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    tops = [axes.get_position().y1 for axes in figure.axes]
    bottoms = [axes.get_position().y0 for axes in figure.axes]
    assert all(low > high for low, high in zip(bottoms, tops[1:], strict=False))


def test_values_errors_and_what_is_not_good():
    good = [True, True, False, True, True, True]
    one = series([0.02, 0.03, 0.2, np.nan, 0.02, 0.02], is_good=good)
    (axes,) = strip_figure((DUSK, DAWN), depths=[one], depth_limit=0.04).axes
    value, stat = lines(axes, "level5")
    assert value.get_ydata()[:4] == pytest.approx([0.02, 0.02, np.nan, 0.03], nan_ok=True)
    assert value.get_xdata()[:2] == pytest.approx([one.begin[0], one.end[0]])
    assert stat.get_ydata()[:2] == pytest.approx([0.01, 0.03])
    bad, limit, *_ = lines(axes, "warning")
    assert list(limit.get_ydata()) == [0.04, 0.04]
    assert bad.get_ydata()[:2] == pytest.approx([0.2, 0.2])
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.ymin, band.ymax) == pytest.approx((0.0, 0.04))


def test_what_is_beyond_the_axis_is_a_triangle():
    (axes,) = strip_figure((DUSK, DAWN), depths=[series([0.02, 3.0, 0.02])], depth_limit=0.04).axes
    assert axes.get_ylim()[1] == pytest.approx(0.32)
    (triangles,) = [line for line in axes.lines if line.get_marker() == "^"]
    assert triangles.get_xdata() == pytest.approx([DUSK.plot_date + 1.5 / 24])


def test_many_intervals_are_one_line():
    time = np.linspace(DUSK.plot_date, DAWN.plot_date, 400)
    value = np.full(400, 0.05)
    errors = np.full(400, 0.01), np.full(400, 0.02)
    many = Series(time, time + 1e-4, value, *errors, np.ones(400, bool), "LIDAR")
    (axes,) = strip_figure((DUSK, DAWN), depths=[many]).axes
    assert len(axes.collections[0].get_paths()) == 1
    assert len(lines(axes, "level2")[0].get_xdata()) == 400


def test_quality_has_colour_and_height_and_its_reasons():
    names = np.array(["good", "good", "correctable", "bad", "unknown", "good"])
    reasons = {"cloud": names == "bad", "no LIDAR": names == "unknown"}
    (axes,) = strip_figure(
        (DUSK, DAWN), quality=Quality(HOURS, HOURS + 1 / 24, names, reasons)
    ).axes
    bars = {}
    for collection in axes.collections:
        box = [path.get_extents() for path in collection.get_paths()]
        bars.setdefault(colors.to_hex(collection.get_facecolor()[0]), []).append(box)
    good = bars[PALETTE["level4"]][0]
    assert len(good) == 2  # the first two touch
    assert good[0].width == pytest.approx(2 / 24)
    heights = [bars[PALETTE[colour]][0][0].height for colour, _ in QUALITIES.values()]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 4
    cloud = bars[PALETTE["warning"]][1][0]
    assert (cloud.x0, cloud.width) == pytest.approx((HOURS[3], 1 / 24))
    assert {"cloud", "no LIDAR"} <= {text.get_text() for text in axes.texts}


ALTITUDE = np.arange(2.0, 20.5, 1.0)


def cloud_of(rows, base=9.0, top=10.0):
    cloud = Cloud()
    for row in rows:
        cloud.add((row, 532, base, top, 0.2, 0.01, "measured"))
    return cloud


def backscatter(values, clouds=(), time=HOURS):
    return backscatter_figure(time, ALTITUDE, values, clouds, 532, 2.0 * u.km, (DUSK, DAWN))


def picture(figure):
    """The rasterised cells as an image (rows from below), and the size of the SVG element."""
    svg = inline_svg(figure, "backscatter", "test")
    (data,) = re.findall(r'href="data:image/png;base64,([^"]*)"', svg)
    return imread(io.BytesIO(base64.b64decode(data))), len(svg)


def test_cells_have_the_colours_of_their_levels():
    """Lower half clear, upper half 2e-6; one profile of six unknown."""
    values = np.where(ALTITUDE < 11, 0.0, 2e-6) * np.ones((6, 1))
    values[3] = np.nan
    cells, size = picture(backscatter(values))
    assert size < 40_000
    height, width = cells.shape[:2]
    level = int(np.searchsorted(LEVELS, 2e-6))
    for column in (0, 1, 2, 4, 5):
        x = int((column + 0.5) / 6 * width)
        for y, colour in ((0.1, COLOURS[0]), (0.9, COLOURS[level])):
            found = cells[int(y * height), x]
            assert found == pytest.approx(colors.to_rgba(colour), abs=0.01)
    assert cells[height // 2, int(3.5 / 6 * width), 3] == 0  # the hatch is seen


def test_every_level_has_a_colour():
    assert len(COLOURS) == len(LEVELS) + 1
    assert len(set(COLOURS)) == len(COLOURS)


def test_gap_between_profiles_is_empty():
    time = np.append(HOURS[:2], HOURS[4:])
    cells, _ = picture(backscatter(np.full((4, len(ALTITUDE)), 1e-6), time=time))
    alpha = cells[cells.shape[0] // 2, :, 3]
    assert np.mean(alpha == 0) == pytest.approx(2 / 6, abs=0.02)


def test_bases_and_tops_are_drawn():
    """Steps where profiles touch, a gap where they do not; a top that was not seen is none."""
    figure = backscatter(np.zeros((6, len(ALTITUDE))), [cloud_of([1, 2]), cloud_of([4], 5, np.nan)])
    bases, tops = (line.get_xydata() for line in lines(figure.axes[0], "ink"))
    known = bases[np.isfinite(bases[:, 1])]
    assert known[:, 1].tolist() == [9.0] * 4 + [5.0] * 2
    half = 0.5 / 24
    assert known[0, 0] == pytest.approx(HOURS[1] - half)
    assert known[-1] == pytest.approx([HOURS[4] + half, 5.0])
    assert np.isnan(bases[4]).all()
    assert tops[np.isfinite(tops[:, 1])][:, 1].tolist() == [10.0] * 4


def test_several_layers_of_a_profile_are_not_joined():
    cloud = cloud_of([1, 2])
    cloud.add((2, 532, 9.5, 10.5, 0.1, 0.01, "measured"))
    cloud.entries.sort(key=lambda entry: entry[:3])
    bases, _ = lines(backscatter(np.zeros((6, len(ALTITUDE))), [cloud]).axes[0], "ink")
    assert np.isnan(bases.get_ydata()).sum() == 3


def test_a_night_of_minutes_stays_small():
    time = np.arange(DUSK.plot_date, DAWN.plot_date, 1 / 1440)
    rng = np.random.default_rng(1)
    values = 10 ** rng.uniform(-9, -4, (len(time), 72))
    altitude = np.linspace(2.2, 20, 72)
    figure = backscatter_figure(time, altitude, values, [], 532, 2.2 * u.km, (DUSK, DAWN))
    _, size = picture(figure)
    assert size < 150_000  # pure noise: the worst that can be


REGIONS = {
    "zenith_min_in_deg": [0.0, 30.0, 30.0],
    "zenith_max_in_deg": [30.0, 70.0, 70.0],
    "azimuth_min_in_deg": [0.0, 45.0, 225.0],
    "azimuth_max_in_deg": [360.0, 135.0, 315.0],
}


def test_east_is_left_and_north_up():
    sky = SkyMap(0.0, 0.0, np.array([0.0, 0.6, np.nan]), 1)
    axes = sky_figure([sky], REGIONS, [""]).axes[0]
    zenith, east, west, _ = axes.patches
    boxes = [patch.get_path().get_extents() for patch in (zenith, east, west)]
    edge = 70 * np.sqrt(0.5)
    assert (boxes[0].x0, boxes[0].x1) == pytest.approx((-30, 30))
    assert (boxes[1].x0, boxes[1].x1, boxes[1].y0, boxes[1].y1) == pytest.approx(
        (-70, -30 * np.sqrt(0.5), -edge, edge), abs=0.1
    )
    assert boxes[2].x1 == pytest.approx(70, abs=0.1)
    shown = [colors.to_hex(patch.get_facecolor()) for patch in (zenith, east)]
    assert shown == [SKY_COLOURS[0], SKY_COLOURS[3]]
    assert west.get_hatch()
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert places["N"][1] > 0
    assert places["E"][0] < 0


def test_colours_of_cloud_fractions():
    edges = [0.0, 0.099, 0.1, 0.25, 0.5, 0.75, 1.0]
    assert [SKY_COLOURS.index(colour_of(f)) for f in edges] == [0, 0, 1, 2, 3, 4, 4]


def test_maps_are_medians_of_parts_of_the_night():
    time = np.arange(12.0)
    fraction = np.repeat(np.arange(12.0)[:, None], 2, axis=1) / 12
    fraction[0, 1] = np.nan
    usable = np.ones(12, bool)
    usable[11] = False
    found = sky_maps(time, fraction, usable)
    assert len(found) == 6
    assert [one.n_frames for one in found] == [2, 2, 1, 2, 2, 2]
    assert found[0].fraction == pytest.approx([0.5 / 12, 1 / 12])
    assert (found[-1].begin, found[-1].end) == (9.0, 10.0)
    assert sky_maps(time, fraction, np.zeros(12, bool)) == []
    (alone,) = sky_maps(time, fraction, time == 4)
    assert alone.fraction == pytest.approx([4 / 12] * 2)


def transparencies(factors, names):
    value = np.array([0.95, 0.95, 0.7, np.nan])[:, None] * np.array(factors)
    middle = DUSK.plot_date + (np.arange(4) + 0.5) / 24
    return TelescopeTransparency(names, middle, value, 0.01 + 0 * value, 0.02 + 0 * value)


def test_telescopes_are_lines_in_the_colour_of_their_type():
    found = transparencies([1.0, 0.9, 1.1], ["LSTN-01", "MSTN-01", "MSTN-02"])
    array = series([0.95, 0.95, 0.7, np.nan], "array", is_good=[True, True, False, False])
    axes = telescopes_figure(found, array, (0.8, 1.2), (DUSK, DAWN)).axes[0]
    (large, *_), (medium, *_) = (lines(axes, colour) for colour in ("level5", "level1"))
    assert large.get_ydata()[:3] == pytest.approx([0.95, 0.95, 0.7])
    assert np.sum(np.isfinite(medium.get_ydata())) == 6
    names = {text.get_text(): text.xy[1] for text in axes.texts}
    assert names["MSTN-01"] < names["LSTN-01"] < names["MSTN-02"]
    assert axes.get_ylim()[0] < 0.63


def test_of_many_telescopes_the_outermost_are_named():
    factors = np.linspace(0.9, 1.1, 13)
    names = [f"MSTN-{k:02d}" for k in range(1, 14)]
    array = series([0.95, 0.95, 0.7, np.nan], "array")
    axes = telescopes_figure(transparencies(factors, names), array, (0.8, 1.2), (DUSK, DAWN)).axes[
        0
    ]
    assert {text.get_text() for text in axes.texts} == {"MSTN-01", "MSTN-13"}


def test_deviations_are_from_the_others():
    found = transparencies([1.0, 0.8, 1.0, 1.0], list("abcd"))
    assert deviations(found) == pytest.approx([0.0, -0.2, 0.0, 0.0])
    assert np.isnan(deviations(transparencies([1.0], ["a"]))).all()


def test_transmission_against_altitude_with_its_errors():
    altitude = np.linspace(2.2, 20, 30)
    through = np.multiply.outer(np.linspace(1.0, 0.9, 30), [0.98, 1.0, 1.0])
    curve = {"altitude": altitude, "transmission": through, "error": 0.01 + 0 * through}
    other = curve | {"transmission": 0.9 * through}
    wavelength = np.array([300.0, 400.0, 600.0])
    (axes,) = median_figure([curve, other], wavelength, 2.2 * u.km).axes
    bold, _ = lines(axes, "level6")
    _, thin = lines(axes, "level5")
    assert bold.get_xdata() == pytest.approx(through[:, 0])
    assert thin.get_xdata() == pytest.approx(0.9 * through[:, 1])
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.x0, band.x1) == pytest.approx((0.98 * 0.9 - 0.01, 0.99))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "300 nm",
        "400 nm",
        "600 nm",
    ]
    assert axes.get_xlim()[0] < 0.9 * 0.98 * 0.9

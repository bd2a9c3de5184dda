"""Figures of pointing: tracks, vectors, bands and places against the numbers."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import vstack
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Ellipse, Wedge
from report.made_pointing import (
    COMA,
    ERROR,
    OFFSET,
    RESIDUAL,
    SIGMA,
    STAT,
    SYS,
    residual_table,
    spot_table,
    star_table,
)

from calibpipe.core.telescope import telescope_subarray
from calibpipe.pointing.coma_psf import ComaPsf, psf_moments
from calibpipe.pointing.focal_plane import camera_position, focal_plane_of
from calibpipe.report.pointing_camera_figure import (
    MAX_PANELS,
    bar_length,
    star_figure,
    star_panel,
)
from calibpipe.report.pointing_figures import (
    ImagePoint,
    PsfCurve,
    offset_figure,
    psf_figure,
    time_spans,
)
from calibpipe.report.pointing_night import Offsets
from calibpipe.report.pointing_page import MODEL_ANGLES, _along
from calibpipe.report.pointing_sky_figure import (
    MAX_SINGLE,
    map_vectors,
    sky_residual_figure,
    sky_residuals,
    to_map,
)


@pytest.fixture(scope="module")
def telescope():
    return telescope_subarray(1).tel[1]


@pytest.fixture
def panel(telescope):
    return star_panel("OBSID1", spot_table(0.0), star_table(), telescope.camera.geometry)


def arrows(axes):
    """Start and end of the arrows, data units."""
    found = [t for t in axes.texts if getattr(t, "arrow_patch", None) and not t.get_text()]
    return np.array([[t.xyann, t.xy] for t in found])


def test_stars_lie_where_the_sky_is(panel, telescope):
    """A star at a higher azimuth and altitude than the middle is right of it and above."""
    drive = 180 * u.deg, 70 * u.deg
    plane = focal_plane_of(telescope.optics, telescope.camera.geometry)
    place = 180.0 * u.deg + 0.5 * u.deg / np.cos(70.3 * u.deg), 70.3 * u.deg
    x, y = camera_position(*place, *drive, plane)
    spots = spot_table(0.0, 1)
    spots["camera_x"], spots["camera_y"] = (
        np.full(10, x.to_value(u.m)),
        np.full(10, y.to_value("m")),
    )
    spots["camera_x"].unit = spots["camera_y"].unit = u.m
    (track,) = star_panel("", spots, star_table(RESIDUAL[:1]), telescope.camera.geometry).tracks
    assert track.lon[0] == pytest.approx(0.5, abs=0.005)
    # of a star beside the meridian the altitude falls off: 0.5² sin 70° / 2 cos 70°
    assert track.lat[0] == pytest.approx(0.306, abs=0.001)
    first = panel.tracks[0]
    assert (np.diff(first.lat) > 0).all()  # x runs with altitude, rows in the order of time
    assert np.ptp(first.lon) < 1e-6


def test_residuals_are_turned_to_azimuth_and_altitude(panel):
    for track, (x, y) in zip(panel.tracks, RESIDUAL, strict=True):
        assert track.residual == pytest.approx([y, x])
        assert track.covariance == pytest.approx(ERROR**2 * np.eye(2))
    assert panel.longest == pytest.approx(np.hypot(1.0, 3.0))


def test_vectors_have_one_scale_that_the_bar_tells(panel):
    figure = star_figure([panel])
    axes, key = figure.axes
    drawn = arrows(axes)
    change = drawn[:, 1] - drawn[:, 0]
    stretch = change[0, 0] / RESIDUAL[0, 1]
    assert change == pytest.approx(stretch * RESIDUAL[:, ::-1])
    FigureCanvasAgg(figure).draw()
    scale = axes.transData.transform([[0, 0], [stretch, 0]])[:, 0] @ [-1, 1]  # of 1 arcsec
    (bar,) = key.collections[0].get_segments()
    length = key.transData.transform(bar)[:, 0] @ [-1, 1]
    told = float(key.texts[0].get_text().split()[2])
    assert length / scale == pytest.approx(told, rel=1e-3)
    assert told == 5.0
    ellipses = [p for p in axes.patches if isinstance(p, Ellipse)]
    ellipses = [p for p in ellipses if p.get_alpha() is not None]
    assert [p.width for p in ellipses] == pytest.approx([2 * ERROR * stretch] * 5)


def test_unlikely_residual_is_red(telescope):
    residual = RESIDUAL.copy()
    residual[2] = 0.0, 10.0  # five errors
    panel = star_panel("", spot_table(0.0), star_table(residual), telescope.camera.geometry)
    assert [track.is_likely for track in panel.tracks] == [True, True, False, True, True]
    colours = [
        t.arrow_patch.get_edgecolor()
        for t in star_figure([panel]).axes[0].texts
        if getattr(t, "arrow_patch", None) and not t.get_text()
    ]
    assert colours[2] != colours[0]


def test_stars_that_were_not_used_are_not_drawn(telescope):
    spots = spot_table(0.0)
    stars = star_table()
    stars["is_used"][1] = False
    panel = star_panel("", spots, stars, telescope.camera.geometry)
    assert [track.name for track in panel.tracks] == ["HIP 1", "HIP 3", "HIP 4", "HIP 5"]


def test_names_do_not_cover_each_other(telescope):
    """Twelve stars at one place."""
    spots = vstack([spot_table(0.0, 1) for _ in range(12)], metadata_conflicts="silent")
    spots["star"] = np.repeat([f"HIP {k}" for k in range(1, 13)], 10)
    stars = star_table(np.tile(RESIDUAL[:1], (5, 1)))
    stars = vstack([stars[:5]] * 3, metadata_conflicts="silent")[:12]
    stars["star"] = [f"HIP {k}" for k in range(1, 13)]
    figure = star_figure([star_panel("", spots, stars, telescope.camera.geometry)])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    names = [t for t in figure.axes[0].texts if t.get_text().startswith("HIP")]
    assert len(names) == 12
    from matplotlib.text import Text

    boxes = [Text.get_window_extent(t, canvas.get_renderer()) for t in names]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])


def test_blocks_stand_side_by_side_without_names(panel):
    figure = star_figure([panel] * MAX_PANELS)
    assert len(figure.axes) == MAX_PANELS + 1
    assert not any(t.get_text().startswith("HIP") for t in figure.axes[0].texts)
    lengths = [np.ptp(arrows(axes), axis=1).max() for axes in figure.axes[:MAX_PANELS]]
    assert lengths == pytest.approx([lengths[0]] * MAX_PANELS)


@pytest.mark.parametrize(
    ("longest", "length"), [(5.0, 5.0), (9.9, 5.0), (10.0, 10.0), (43.0, 20.0), (0.3, 0.2)]
)
def test_scale_bar_is_round_and_not_longer(longest, length):
    assert bar_length(longest) == pytest.approx(length)


def offsets(begin, valid=None):
    """Blocks of a minute at these minutes."""
    n = len(begin)
    begin = 19914.9 + np.asarray(begin) / 1440
    valid = np.ones(n, bool) if valid is None else np.asarray(valid)
    value = np.where(valid[:, None], OFFSET, np.nan) * np.ones((n, 2))
    errors = (np.full((n, 2), error) for error in (STAT, SYS))
    other = (np.full(n, "x"), np.full(n, "OBSID1"), np.full(n, 180.0), np.full(n, 70.0))
    return Offsets(begin, begin + 1 / 1440, value, *errors, valid, *other, np.full(n, 5))


def test_offsets_with_errors_and_requirement():
    found = offsets(range(10), np.arange(10) != 3)
    figure = offset_figure(found, np.tile(OFFSET, (10, 1)), "median of the night", 14.0)
    for axes, value in zip(figure.axes, OFFSET, strict=True):
        lines = {line.get_label(): line for line in axes.lines}
        assert lines["median of the night"].get_ydata() == pytest.approx(np.full(12, value))
        dashed = [ln.get_ydata()[0] for ln in axes.lines if ln.get_linestyle() == "--"]
        assert sorted(dashed) == pytest.approx([value - 14, value + 14])
        points = next(ln for ln in axes.lines if ln.get_marker() == "o")
        assert len(points.get_xdata()) == 9
        band = axes.collections[0].get_paths()[0].vertices[:, 1]
        assert (band.min(), band.max()) == pytest.approx((value - SYS, value + SYS))
        bad = lines["not valid"].get_xdata()
        assert bad[:2] == pytest.approx([found.begin[3], found.end[3]])


def test_long_breaks_are_left_out():
    assert len(time_spans(offsets([*range(10), *range(11, 20)]))) == 1
    found = offsets([*range(10), *range(180, 190), *range(400, 405)])
    spans = time_spans(found)
    assert np.array(spans) == pytest.approx(
        np.array([[found.begin[a], found.end[b]] for a, b in ((0, 9), (10, 19), (20, 24))])
    )
    figure = offset_figure(found, np.tile(OFFSET, (25, 1)), "x", 14.0)
    assert len(figure.axes) == 6
    many = offsets(np.arange(0, 700, 60))
    assert len(time_spans(many)) == 4
    assert time_spans(many)[-1][1] == many.end[-1]


def test_reference_that_is_not_known_everywhere():
    reference = np.tile(OFFSET, (10, 1))
    reference[:4] = np.nan
    axes = offset_figure(offsets(range(10)), reference, "pointing model", 14.0).axes[0]
    line = next(ln for ln in axes.lines if ln.get_label() == "pointing model")
    assert np.isfinite(line.get_ydata()).all()
    assert len(line.get_ydata()) == 8


def curve():
    angle = np.array([0.0, 1.0])
    theta = np.array([190.0, 200.0])
    width = _along(SIGMA, COMA, angle)
    return PsfCurve(
        "OBSID1", angle, width, np.array([3.0, 6.0]), MODEL_ANGLES,
        _along(SIGMA, COMA, MODEL_ANGLES), angle, theta, np.full(2, 3.0), np.full(2, 4.0),
    )  # fmt: skip


def test_width_along_the_radius_is_that_of_the_coma():
    psf = ComaPsf(SIGMA * u.arcsec, COMA)
    expected = np.sqrt(psf_moments(MODEL_ANGLES * u.deg, psf)[0]).to_value(u.arcsec)
    assert _along(SIGMA, COMA, MODEL_ANGLES) == pytest.approx(expected)


def test_images_of_stars_and_muon_rings():
    upper, lower = psf_figure([curve()], ImagePoint(1.2, 170.0, 6.0)).axes
    diamond = next(line for line in upper.lines if line.get_marker() == "D")
    assert diamond.get_xydata() == pytest.approx(np.array([[1.2, 170.0]]))
    stars = next(line for line in upper.lines if line.get_marker() == "o")
    assert stars.get_ydata()[0] == pytest.approx(SIGMA)
    bands = [c.get_paths()[0].vertices[:, 1] for c in lower.collections]
    assert [(b.min(), b.max()) for b in bands] == [
        pytest.approx((185.0, 205.0)),
        pytest.approx((187.0, 203.0)),
    ]
    upper, _ = psf_figure([curve()]).axes
    assert not any(line.get_marker() == "D" for line in upper.lines)


def test_east_is_left_and_azimuth_runs_against_the_clock():
    assert to_map([0.0, 90.0, 180.0], [60.0, 60.0, 60.0]) == pytest.approx(
        np.array([[0, 30], [-30, 0], [0, -30]]), abs=1e-9
    )


def test_vectors_on_the_map_point_where_the_direction_goes():
    """A little more azimuth, a little more altitude: difference of the places."""
    azimuth, altitude, step = np.array([10.0, 130.0, 300.0]), np.array([30.0, 50.0, 70.0]), 1e-4
    start = to_map(azimuth, altitude)
    east = (to_map(azimuth + step / np.sin(np.radians(90 - altitude)), altitude) - start) / step
    up = (to_map(azimuth, altitude + step) - start) / step
    # along azimuth the map is wider than the sky; only the direction counts
    east /= np.linalg.norm(east, axis=1, keepdims=True)
    for residual, expected in (([1.0, 0.0], east), ([0.0, 1.0], up)):
        found = map_vectors(azimuth, np.tile(residual, (3, 1)))
        assert found == pytest.approx(expected, abs=1e-5)


def test_few_residuals_are_drawn_one_by_one():
    table = residual_table(
        np.array([10.0, 100.0, 200.0]), np.array([30.0, 50.0, 70.0]), np.ones((3, 2)), [2]
    )
    found = sky_residuals(table, (15.0, 85.0), np.ones(12, bool))
    assert not found.is_mean
    assert list(found.azimuth) == [10.0, 100.0]
    assert found.outlier.tolist() == [[200.0, 70.0]]


def test_many_residuals_are_means_of_cells():
    """A common residual stays, noise of n falls with its root."""
    rng = np.random.default_rng(5)
    n = 4000
    places = rng.uniform(0, 360, n), rng.uniform(20, 80, n)
    residual = np.array([4.0, -3.0]) + rng.normal(0, 6.0, (n, 2))
    found = sky_residuals(residual_table(*places, residual), (20.0, 80.0), np.ones(12, bool))
    assert found.is_mean
    assert len(found.azimuth) < MAX_SINGLE + 30
    per_cell = n / len(found.azimuth)
    assert np.mean(found.residual, axis=0) == pytest.approx([4.0, -3.0], abs=1.0)
    assert np.std(found.residual[:, 0]) < 3 * 6.0 / np.sqrt(per_cell)


def test_cell_around_north_is_one():
    azimuth = np.tile([359.0, 1.0], MAX_SINGLE)
    table = residual_table(azimuth, np.full(len(azimuth), 85.0), np.ones((len(azimuth), 2)))
    found = sky_residuals(table, (15.0, 89.0), np.ones(12, bool))
    assert len(found.azimuth) == 2  # cells begin at north; each has its own side of it
    assert np.sort(found.azimuth) == pytest.approx([1.0, 359.0])


def test_what_was_not_measured_is_shaded():
    table = residual_table(np.array([10.0, 100.0]), np.array([30.0, 50.0]), np.ones((2, 2)))
    sectors = np.arange(12) != 3
    figure = sky_residual_figure(sky_residuals(table, (25.0, 85.0), sectors))
    shaded = [p for p in figure.axes[0].patches if isinstance(p, Wedge)]
    assert (shaded[0].theta1, shaded[0].theta2) == (180.0, 210.0)  # east to south-east
    assert (shaded[1].r, shaded[1].width) == (70.0, 5.0)


def test_one_wild_vector_does_not_hide_the_others():
    rng = np.random.default_rng(6)
    residual = rng.normal(0, 5.0, (100, 2))
    residual[0] = 500.0, 0.0
    table = residual_table(rng.uniform(0, 360, 100), rng.uniform(20, 80, 100), residual)
    figure = sky_residual_figure(sky_residuals(table, (15.0, 85.0), np.ones(12, bool)))
    (bar,) = figure.axes[1].texts
    assert float(bar.get_text().split()[2]) <= 20

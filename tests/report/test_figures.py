"""Figures draw the numbers of the tables: the lines are inspected, not the pixels."""

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time
from report.made_night import (
    CHANGE,
    MODEL_FACTORS,
    STAT,
    SYS,
    fall,
    optical_depth,
    reference_table,
    utc,
)

from calibpipe.report.drawing import PALETTE
from calibpipe.report.figures import (
    density_ratio_figure,
    evolution_figure,
    optical_depth_figure,
    profile_figure,
    refractivity_figure,
    transmission_figure,
)


@pytest.fixture(scope="module")
def tables(whole_material):
    return {
        name: whole_material.usable(name).table
        for name in (
            "density_profile",
            "reference_model",
            "atmospheric_model",
            "rayleigh_extinction",
        )
    }


def lines(axes):
    """Curves with a name: label to (x, y)."""
    return {
        line.get_label(): tuple(np.asarray(v, float) for v in line.get_data())
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def test_density_ratio_is_night_over_model(tables, north):
    models = {season: reference_table(season) for season in MODEL_FACTORS}
    figure = density_ratio_figure(tables["density_profile"], models, "summer", north.elevation)
    (axes,) = figure.axes
    curves = lines(axes)
    for label, season in {
        "summer (chosen)": "summer",
        "winter": "winter",
        "intermediate": "intermediate",
    }.items():
        ratio, z = curves[label]
        assert ratio == pytest.approx(1 / MODEL_FACTORS[season], rel=1e-9)
        assert z[-1] <= 39.9  # the last row of the data
    assert axes.get_ylim() == (0, 30)
    assert axes.get_ylabel().endswith("(km)")
    low, high = axes.get_xlim()
    assert low < 1 / 1.05 < 1 / 0.95 < high


def test_density_ratio_band_is_both_errors_and_the_chosen_model_is_bold(tables, north):
    models = {season: reference_table(season) for season in ("winter", "summer")}
    figure = density_ratio_figure(tables["density_profile"], models, "summer", north.elevation)
    (axes,) = figure.axes
    spread, band = (c.get_paths()[0].vertices for c in axes.collections)
    half = (band[:, 0].max() - band[:, 0].min()) / 2
    assert half == pytest.approx(np.hypot(STAT, SYS) / 1.05, rel=1e-6)
    assert (spread[:, 0].min(), spread[:, 0].max()) == pytest.approx((0.98, 1.02))
    widths = {line.get_label(): line.get_linewidth() for line in axes.lines}
    assert widths["summer (chosen)"] > 1.5 * widths["winter"]
    colours = {line.get_label(): line.get_color() for line in axes.lines}
    assert colours["winter"] == PALETTE["winter"]
    assert colours["summer (chosen)"] == PALETTE["summer"]


def test_note_of_the_choice_keeps_clear_of_the_curves(tables, north):
    """All models lighter than the night: the curves run right of 1, the note stands left."""
    for season, side in (("winter", "left"), ("summer", "right")):
        figure = density_ratio_figure(
            tables["density_profile"], {season: reference_table(season)}, season, north.elevation
        )
        (note,) = [text for text in figure.axes[0].texts if "15 km" in text.get_text()]
        assert note.get_horizontalalignment() == side


def test_evolution_is_the_change_from_the_mean(tables, whole_night):
    dusk, dawn = whole_night.darkness.dusk, whole_night.darkness.dawn
    figure = evolution_figure(tables["density_profile"], dusk, dawn)
    (axes,) = figure.axes
    curves = lines(axes)
    assert list(curves) == ["5 km", "10 km", "15 km", "20 km", "30 km"]
    for days, change in curves.values():
        assert change == pytest.approx(100 * CHANGE)
        assert Time(days[0], format="plot_date").isot == "2024-07-10T21:00:00.000"
    marks = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert dusk.plot_date in marks
    assert dawn.plot_date in marks
    assert "UTC" in axes.get_xlabel()
    assert "%" in axes.get_ylabel()


def test_evolution_leaves_out_altitudes_above_the_data(tables, whole_night):
    profile = tables["density_profile"]
    low = profile[profile["altitude"] < 18 * u.km]
    figure = evolution_figure(low, whole_night.darkness.dusk, whole_night.darkness.dawn)
    assert list(lines(figure.axes[0])) == ["5 km", "10 km", "15 km"]


def test_time_axis_reaches_beyond_both_night_and_data(tables):
    """Data from 21:00 to 05:00; a night that begins earlier and ends later."""
    dusk, dawn = utc("2024-07-10T20:00:00"), utc("2024-07-11T06:30:00")
    (axes,) = evolution_figure(tables["density_profile"], dusk, dawn).axes
    low, high = axes.get_xlim()
    assert low < dusk.plot_date
    assert high > dawn.plot_date


def test_refractivity_and_its_errors(tables, north):
    figure = refractivity_figure(
        tables["atmospheric_model"], 400 * u.nm, north.elevation, 39.9 * u.km
    )
    left, right = figure.axes
    n, z = (np.asarray(v, float) for v in left.lines[0].get_data())
    assert n == pytest.approx(2.8e-4 * fall(z))
    assert left.get_xscale() == "log"
    assert "400 nm" in left.get_xlabel()
    errors = lines(right)
    assert errors["statistical"][0] == pytest.approx(100 * STAT)
    assert errors["systematic"][0] == pytest.approx(100 * SYS)
    assert [text.get_text() for text in left.texts] == ["end of data"]


def test_refractivity_without_data_marks_no_end_of_them(tables, north):
    figure = refractivity_figure(tables["atmospheric_model"], 400 * u.nm, north.elevation, 0 * u.km)
    assert not figure.axes[0].texts


def test_contours_follow_the_optical_depth(tables, north):
    figure = optical_depth_figure(tables["rayleigh_extinction"])
    axes = figure.axes[0]
    site = north.elevation.to_value(u.km)
    contour = axes.collections[-1]
    checked = 0
    for level, path in zip(contour.levels, contour.get_paths(), strict=True):
        for wavelength, z in path.vertices:
            if any(abs(z - row) < 1e-9 for row in (5.0, 10.0, 15.0, 20.0)):
                # between two wavelengths contours run linearly: within 5 % of level at this step
                assert optical_depth(wavelength, z, site) == pytest.approx(level, rel=0.05)
                checked += 1
    assert checked > 10
    assert axes.get_xlabel() == "wavelength (nm)"
    assert axes.get_ylim() == (site, 30)


def test_transmission_is_the_exponential_of_the_depth(tables, north):
    (axes,) = transmission_figure(tables["rayleigh_extinction"]).axes
    site = north.elevation.to_value(u.km)
    curves = lines(axes)
    for label, altitude in {f"{site + 1:.3g} km": site + 1, "15 km": 15.0, "top": 120.0}.items():
        wavelength, transmission = curves[label]
        assert transmission == pytest.approx(np.exp(-optical_depth(wavelength, altitude, site)))
    assert axes.get_ylim() == (0, 1)


def test_profile_shows_night_and_reference(tables, north):
    figure = profile_figure(
        tables["density_profile"], tables["reference_model"], "intermediate", north.elevation
    )
    left, right = figure.axes
    assert list(lines(left)) == ["the night", "intermediate"]
    assert lines(left)["the night"][0] == pytest.approx(250.0)
    vapour, z = (np.asarray(v, float) for v in right.lines[0].get_data())
    assert vapour == pytest.approx(1e-2 * fall(4 * z) + 5e-6)
    assert left.get_xlabel() == "temperature (K)"


def test_profile_without_data_is_the_reference_alone(tables, north):
    figure = profile_figure(None, tables["reference_model"], "intermediate", north.elevation)
    assert list(lines(figure.axes[0])) == ["intermediate"]


def test_every_colour_is_one_of_the_palette():
    assert len(set(PALETTE.values())) == len(PALETTE)

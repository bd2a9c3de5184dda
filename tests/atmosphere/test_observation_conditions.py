"""Quality and status of slices: every reason, every combination of instruments."""

import astropy.units as u
import numpy as np
import pytest

from calibpipe.atmosphere.aerosol_profile import Column, DepthProfile
from calibpipe.atmosphere.lidar_slices import LidarSlice
from calibpipe.atmosphere.observation_conditions import (
    Conditions,
    Grid,
    SliceInput,
    slice_conditions,
    transmission_of,
)
from calibpipe.atmosphere.slice_quality import REASONS, Measured, QualityLimits, quality
from calibpipe.core.exceptions import ConfigurationError

GRID = Grid([2200, 7200, 12200, 17200] * u.m, [300, 400, 500] * u.nm, 10 * u.km, 400 * u.nm)
CONDITIONS = Conditions(GRID, QualityLimits(), (1.2, 0.5), (1 * u.km, 0.5 * u.km))
CLEAR, NORMAL = Measured(0.02, 0.01, 0.01), Measured(1.0, 0.01, 0.02)
FRAM = Column(0.03, 0.002, 0.008, 440.0)


def lidar(depth=0.03, error=0.005, *, cloud=0.0, scatter=0.0, hidden=0, known=True):
    grey = np.array([0, depth, depth + cloud, depth + cloud])[:, None] * np.ones(3)
    modes = np.full((1, 4, 3), error)
    modes[:, 0] = 0
    profile = DepthProfile(grey, modes, {"lidar": modes[0]}) if known else None
    base = 9000.0 if cloud or hidden else np.nan
    return LidarSlice(profile, 30 - hidden, hidden, scatter, base, base + 500, cloud, 0.003)


def conditions(**measured):
    found = {"lidar": lidar(), "column": FRAM, "cloud_fraction": CLEAR, "coefficient": NORMAL}
    return slice_conditions(SliceInput(**(found | measured)), CONDITIONS)


def test_all_is_clear():
    found = conditions()
    assert (found.quality, found.reasons, found.status) == ("good", (), "")
    assert found.sources == ("lidar", "fram")
    np.testing.assert_allclose(found.through.value, np.exp(-0.03), rtol=2e-3)
    assert abs(found.pull) < 0.1


@pytest.mark.parametrize(
    ("reason", "wanted", "measured"),
    [
        ("fram_not_clear", "correctable", {"fram": ("aerosol",)}),
        ("fram_not_clear", "correctable", {"fram": ("variable",)}),
        ("fram_not_clear", "correctable", {"fram": ("patchy",)}),
        ("cloud_fraction", "correctable", {"cloud_fraction": Measured(0.5, 0.05, 0.05)}),
        ("overcast", "bad", {"cloud_fraction": Measured(0.99, 0.02, 0.02)}),
        ("ctc_low", "correctable", {"coefficient": Measured(0.7, 0.02, 0.02)}),
        ("ctc_very_low", "bad", {"coefficient": Measured(0.5, 0.02, 0.02)}),
        ("ctc_high", "bad", {"coefficient": Measured(1.4, 0.02, 0.02)}),
        ("layer", "correctable", {"lidar": lidar(cloud=0.05), "column": None}),
        ("opaque", "bad", {"lidar": lidar(hidden=9, known=False)}),
        ("variable", "bad", {"lidar": lidar(scatter=0.2)}),
        ("transmission", "correctable", {"lidar": lidar(0.25), "column": None}),
        ("transmission_low", "bad", {"lidar": lidar(0.5), "column": None}),
        ("imprecise", "unknown", {"lidar": lidar(error=0.12), "column": None}),
        ("disagreement", "unknown", {"lidar": lidar(0.09)}),
        ("cloud_without_height", "unknown", {"lidar": None, "fram": ("patchy",)}),
        (
            "cloud_without_height",
            "unknown",
            {"lidar": None, "cloud_fraction": Measured(0.5, 0.02, 0.02)},
        ),
        (
            "cloud_without_height",
            "unknown",
            {"lidar": None, "coefficient": Measured(0.7, 0.02, 0.02)},
        ),
        (
            "undecided",
            "unknown",
            {"lidar": None, "fram": ("few",), "cloud_fraction": Measured()},
        ),
        ("no_profile", "unknown", {"lidar": None, "column": None}),
        ("no_profile", "unknown", {"lidar": None, "fram": ("negative",)}),
    ],
)
def test_every_reason(reason, wanted, measured):
    found = conditions(**measured)
    assert reason in found.reasons
    assert found.quality == wanted
    assert (found.profile is None) == bool(found.status)


def test_not_significant_is_no_reason():
    assert conditions(cloud_fraction=Measured(0.5, 0.1, 0.15)).reasons == ()
    assert conditions(coefficient=Measured(0.75, 0.02, 0.05)).reasons == ()


def test_absent_judges_change_nothing():
    found = conditions(column=None, cloud_fraction=Measured(), coefficient=Measured())
    assert (found.quality, found.sources) == ("good", ("lidar",))


def test_disagreement_in_words():
    found = conditions(lidar=lidar(0.09))
    pull = 0.06 / np.sqrt(2 * 0.005**2 + 0.002**2 + 0.008**2)
    np.testing.assert_allclose(found.pull, pull, rtol=1e-6)
    assert found.status.startswith("LIDAR and FRAM disagree")
    assert f"{pull:+.1f} errors, limit 3" in found.status
    assert np.isnan(found.through.value)


def test_a_profile_assumed_without_lidar():
    found = conditions(lidar=None)
    assert (found.quality, found.sources) == ("good", ("fram", "assumed profile"))
    assert found.profile.sys_modes["scale_height"].any()
    np.testing.assert_allclose(found.through.value, np.exp(-0.03 * (440 / 400) ** 1.2), rtol=1e-4)


def test_dust_without_lidar_needs_a_clear_sky():
    dusty = {"lidar": None, "fram": ("aerosol",), "column": Column(0.1, 0.002, 0.008, 440.0)}
    assert conditions(**dusty).profile is not None
    blind = conditions(**dusty, cloud_fraction=Measured())
    assert blind.profile is None
    assert "neither LIDAR nor all-sky camera excludes clouds" in blind.status


def test_clouds_of_unknown_height_in_words():
    found = conditions(lidar=None, fram=("variable",), cloud_fraction=Measured(0.5, 0.02, 0.02))
    assert found.status == (
        "cannot be determined: clouds (FRAM, all-sky camera) of unknown height, no LIDAR"
    )


def test_opaque_clouds_in_words():
    found = conditions(lidar=lidar(hidden=9, known=False))
    assert found.status == (
        "9 of 30 LIDAR profiles have a cloud of unknown optical depth above 9000 m"
    )


def test_bad_is_worse_than_unknown():
    assert quality(["no_profile", "overcast", "ctc_low"]) == "bad"
    assert quality(["no_profile", "ctc_low"]) == "unknown"
    assert quality([]) == "good"
    with pytest.raises(ConfigurationError, match="unknown reasons rain"):
        quality(["rain"])


def test_every_reason_decides():
    assert {quality([name]) for name in REASONS} == {"bad", "unknown", "correctable"}


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_scatter": -1.0}, "all must be above 0"),
        ({"good_transmission": 0.5}, "correctable_transmission 0.65 is above good_transmission"),
        ({"max_cloud_fraction": 0.9}, "max_cloud_fraction 0.9 is above max_correctable"),
        ({"correctable_transparency": 0.9}, "correctable_transparency 0.9 is above min_tran"),
        ({"min_transparency": 1.5}, "min_transparency 1.5 is above max_transparency"),
    ],
)
def test_limits_that_cannot_be(limits, message):
    with pytest.raises(ConfigurationError, match=message):
        QualityLimits(**limits)


def test_columns_of_a_profile():
    found = transmission_of(lidar().profile, GRID)
    np.testing.assert_allclose(found["transmission"], np.exp(-found["optical_depth"]))
    np.testing.assert_allclose(found["transmission_stat_error"][-1], np.exp(-0.03) * 0.005)
    assert all(np.isnan(value).all() for value in transmission_of(None, GRID).values())

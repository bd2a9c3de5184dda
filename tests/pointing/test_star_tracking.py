"""Tracking of stars: closure on simulated images, pulls, two stars, and what can go wrong."""

import time
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time
from starry_sky import AIR, ARCSEC, SITE, Sky, many

from calibpipe.core.exceptions import (
    ConfigurationError,
    InsufficientStatisticsError,
    MissingInputError,
)
from calibpipe.core.pointing_file import DrivePointing
from calibpipe.pointing.star_fields import star_fields
from calibpipe.pointing.star_tracking import track_stars
from calibpipe.pointing.star_tracking_table import (
    VALID,
    pointing_correction,
    pointing_table,
    spot_table,
    star_table,
)
from calibpipe.pointing.tracking_settings import TrackingSettings
from calibpipe.simulation.stars import PointingTruth, meridian_source

COLUMNS = [
    *("time", "duration", "azimuth", "altitude", "dlon", "dlat"),
    *("dlon_stat_error", "dlat_stat_error", "offset_correlation"),
    *("dlon_sys_error", "dlat_sys_error", "is_valid", "status", "n_stars"),
]


@pytest.fixture(scope="module")
def sky():
    """20 minutes of an LST with 2 % dead pixels."""
    return Sky(seed=13, start="2024-02-14T00:00:00")


@pytest.fixture(scope="module")
def tracking(sky):
    return sky.tracked()


def test_true_to_5_arcsec_and_1_arcmin(sky, tracking):
    found, _ = tracking
    error, stat = sky.errors(found)
    assert error.shape == (2, 20)
    assert np.abs(error).max() < 5
    assert np.abs(error / stat).max() < 4.5
    turn = np.rad2deg(found.rotation) * 60 - sky.truth.rotation.to_value(u.arcmin)
    assert abs(turn) < 1
    turn_error = np.rad2deg(np.sqrt(found.trajectory.common_covariance[0, 0])) * 60
    assert abs(turn) < 4 * turn_error < 4
    assert found.plate_scale == pytest.approx(
        sky.truth.plate_scale, abs=4 * np.sqrt(found.trajectory.common_covariance[1, 1])
    )


def test_product_columns(sky, tracking):
    """What the bending model reads; offsets true minus drive."""
    table = pointing_table(*tracking)
    assert table.colnames == COLUMNS
    assert np.all(table["is_valid"])
    assert set(table["status"]) == {VALID}
    assert table["dlon"].unit == table["dlat_sys_error"].unit == u.deg
    assert table["dlon"].mean().to_value("arcsec") == pytest.approx(
        sky.truth.dlon.to_value("arcsec"), abs=2
    )
    azimuth, altitude = sky.drive.at(table["time"])
    assert table["azimuth"].value == pytest.approx(azimuth.to_value("deg") % 360, abs=1e-3)
    assert table["altitude"].value == pytest.approx(altitude.to_value("deg"), abs=1e-3)
    assert np.all(table["dlon_sys_error"] > 0)
    assert np.all(np.abs(table["offset_correlation"]) < 1)
    stars = star_table(tracking[0])
    assert stars["is_used"].sum() == table["n_stars"].max()
    assert np.all(stars["reason"][~stars["is_used"]] != "used")
    used = stars[stars["is_used"]]
    assert used["relative_flux"] == pytest.approx(1, abs=0.05)
    assert np.all(np.abs(used["residual_x"]) < 4 * used["residual_x_error"])
    spots = spot_table(tracking[0])
    assert len(spots) == table["n_stars"].sum()
    pulls = spots["residual_x"] / spots["residual_x_error"]
    assert abs(pulls.std() - 1) < 5 / np.sqrt(2 * len(spots))


def test_pulls_over_many_skies():
    """Fields of 2 to 14 stars; two numbers a sky from the ends of 10 minutes, and all blocks."""
    every, ends, turns, worst = [], [], [], []
    for seed in range(10, 34):
        sky = many(seed)
        sky.n_images = 20
        try:
            found, _ = sky.tracked()
        except InsufficientStatisticsError:  # fewer than two stars, or faint ones
            assert len(sky.stars) < 6
            continue
        error, stat = sky.errors(found)
        every.append((error / stat).ravel())
        ends.append((error / stat)[:, [0, -1]].ravel())
        worst.append(np.abs(error.mean(axis=1)) / np.hypot(5, stat.mean(axis=1)))
        spread = np.sqrt(np.diag(found.trajectory.common_covariance))
        truth = sky.truth.rotation.to_value(u.rad), sky.truth.plate_scale
        turns.append(([found.rotation, found.plate_scale] - np.array(truth)) / spread)
    assert len(ends) > 20
    every = np.concatenate(every)
    assert abs(every.mean()) < 0.3
    assert abs(every.std() - 1) < 0.1
    assert abs(np.std(ends) - 1) < 4 / np.sqrt(2 * np.size(ends))
    assert abs(np.std(turns) - 1) < 4 / np.sqrt(2 * np.size(turns))
    assert np.max(worst) < 2


@pytest.fixture(scope="module")
def pair(tracking):
    """Names of two bright stars on both sides of the camera."""
    fit = tracking[0].fits[0]
    used = np.unique(fit.spots.star)
    x, y = fit.x[used, 0], fit.y[used, 0]
    other = used[np.argmax(np.hypot(x - x[0], y - y[0]))]
    return fit.field.tracks.names[used[0]], fit.field.tracks.names[other]


def shown(names, **more):
    """The sky above with some of its stars alone."""
    middle = Time("2024-02-14T00:00:00") + 600 * u.s
    source = meridian_source(middle, SITE, AIR)
    sky = Sky(seed=13, start="2024-02-14T00:00:00", source=source, **more)
    sky.shown = lambda stars: np.isin(stars.names, names)
    return sky


def test_two_stars_are_enough(pair):
    sky = shown(pair)
    found, _ = sky.tracked(magnitude_limit=7.0)
    error, stat = sky.errors(found)
    assert np.all(pointing_table(found, [])["n_stars"] == 2)
    assert np.abs(error).mean() < 5
    systematic = sum(e**2 for e in found.trajectory.own_systematics[0].values())
    total = np.sqrt(stat**2 + np.reshape(systematic, (-1, 2)).T / ARCSEC**2)
    assert np.abs(error / total).max() < 4


def test_misalignment_of_more_than_a_pixel():
    """600 arcsec and 400 arcsec; a pixel is 352."""
    truth = PointingTruth(600 * u.arcsec, -400 * u.arcsec, 10 * u.arcmin, 1.0005)
    sky = Sky(seed=13, start="2024-02-14T00:00:00", truth=truth)
    error, stat = sky.errors(sky.tracked()[0])
    assert np.abs(error / stat).max() < 4.5


def test_wrong_psf_is_fitted(sky):
    """Start 30 % too narrow."""
    images = sky.images()
    narrow = replace(sky.camera, psf=replace(sky.camera.psf, sigma=0.035 * u.deg))
    camera, sky.camera = sky.camera, narrow
    try:
        found, _ = sky.tracked(images=images)
    finally:
        sky.camera = camera
    sigma = found.psf.sigma.to_value("deg")
    assert sigma == pytest.approx(0.05, rel=0.01)
    error, stat = sky.errors(found)
    assert np.abs(error / stat).max() < 4.5


def test_gain_errors_are_in_the_systematic_error():
    """3 % of each pixel: the mean over the blocks is off by what `response` says."""
    pulls = []
    for seed in range(3):
        sky = Sky(seed=40 + seed, start="2024-02-14T00:00:00", gain_error=0.03)
        found, _ = sky.tracked()
        error, stat = sky.errors(found)
        response = found.trajectory.own_systematics[0]["response"].reshape(-1, 2).T / ARCSEC
        assert response.min() > 0.1
        pulls.append(error.mean(axis=1) / np.hypot(response.mean(axis=1), stat.mean(axis=1)))
    assert np.abs(pulls).max() < 3


@pytest.mark.parametrize("error", [0.036, 0.08])
def test_pulls_with_errors_of_gains(error):
    """1500 and 300 flat fields: events with `response`, the same in all blocks; events alone fail.

    Other systematic errors are not simulated.
    """
    total, events = [], []
    for seed in range(10, 52):
        sky = many(seed)
        sky.n_images, sky.gain_error, sky.magnitude_limit = 12, error, 8.0
        try:
            found, _ = sky.tracked()
        except InsufficientStatisticsError:  # fewer than two stars
            continue
        fit = found.trajectory
        truth = sky.truth.rotation.to_value(u.rad), sky.truth.plate_scale
        turned = [found.rotation, found.plate_scale] - np.array(truth)
        off = np.r_[sky.errors(found)[0][:, 0] * ARCSEC, turned]
        variance = np.array([*np.diag(fit.own_covariance[0])[:2], *np.diag(fit.common_covariance)])
        own, common = fit.own_systematics[0], fit.common_systematics
        response = np.r_[own["response"][:2], common["response"]]
        events.append(off / np.sqrt(variance))
        total.append(off / np.sqrt(variance + response**2))
    n = np.size(total)
    assert n > 120
    assert abs(np.mean(total)) < 4 / np.sqrt(n)
    assert np.std(total) == pytest.approx(1, abs=4 / np.sqrt(2 * n))
    assert np.std(events) > 1 + 4 / np.sqrt(2 * n)


def test_clouds_change_the_light():
    """Transparency from 1 to 0.3: nothing but the errors changes."""
    sky = Sky(seed=13, start="2024-02-14T00:00:00")
    through = 0.65 + 0.35 * np.cos(np.arange(40) / 5)
    sky.rates = lambda rates: through[:, None] * rates
    error, stat = sky.errors(sky.tracked()[0])
    assert np.abs(error / stat).max() < 4.5


def test_star_at_a_wrong_place_is_left_out(pair):
    """One star of eight is 0.03 deg from where the catalogue says."""
    sky = Sky(seed=13, start="2024-02-14T00:00:00")
    images = sky.images()
    fields, _ = star_fields(images, sky.drive, SITE, AIR, sky.camera)
    tracks = fields[0].tracks
    inside = tracks.names.index(pair[0])
    moved = tracks.altitude.copy()
    moved[inside] += 0.03 * u.deg
    field = replace(fields[0], tracks=replace(tracks, altitude=moved))
    found = track_stars([field], sky.camera, images.response_error)
    error, stat = sky.errors(found)
    assert "from where the other stars say" in found.fits[0].left_out[inside]
    assert np.abs(error / stat).max() < 4.5


def alone(tracks, names):
    """Tracks of some stars."""
    chosen = [tracks.names.index(name) for name in names]
    parts = {
        name: values[chosen]
        for name, values in vars(tracks).items()
        if name not in ("names", "rotation_error", "magnitude_limit")
    }
    return replace(tracks, names=tuple(names), **parts)


def test_two_stars_that_disagree(pair):
    """One of two is 0.03 deg off the turn that the camera can have: nothing says which."""
    sky = shown(pair)
    images = sky.images()
    fields, _ = star_fields(images, sky.drive, SITE, AIR, sky.camera)
    tracks = alone(fields[0].tracks, pair)
    moved = tracks.altitude.copy()
    moved[0] += 0.03 * u.deg
    field = replace(fields[0], tracks=replace(tracks, altitude=moved))
    settings = TrackingSettings(rotation_error=6 * u.arcmin, plate_scale_error=5e-4)
    with pytest.raises(InsufficientStatisticsError, match="20 blocks: stars disagree: chi2"):
        track_stars([field], sky.camera, images.response_error, settings)
    moved[1] += 0.03 * u.deg  # both alike: a misalignment
    field = replace(fields[0], tracks=replace(tracks, altitude=moved))
    found = track_stars([field], sky.camera, images.response_error, settings)
    assert len(found.blocks[0]) == 20


def test_star_brighter_than_the_catalogue_is_left_out(pair):
    """A variable star, ten times as bright."""
    sky = Sky(seed=13, start="2024-02-14T00:00:00")
    images = sky.images()
    fields, _ = star_fields(images, sky.drive, SITE, AIR, sky.camera)
    tracks = fields[0].tracks
    expected = tracks.expected.copy()
    inside = tracks.names.index(pair[1])
    expected[inside] /= 10
    field = replace(fields[0], tracks=replace(tracks, expected=expected))
    found = track_stars([field], sky.camera, images.response_error)
    assert "times that of the catalogue" in found.fits[0].left_out[inside]
    error, stat = sky.errors(found)
    assert np.abs(error / stat).max() < 4.5


def test_no_star_and_one_star(pair):
    nothing = Sky(seed=3, shown=lambda stars: np.zeros(len(stars), bool))
    with pytest.raises(InsufficientStatisticsError, match=r"0 of \d+ stars within 0\.3 deg"):
        nothing.tracked()
    empty = Sky(seed=3)
    with pytest.raises(InsufficientStatisticsError, match="0 stars of the catalogue in the camera"):
        empty.tracked(magnitude_limit=-2.0)
    one = shown(pair[:1])
    with pytest.raises(InsufficientStatisticsError, match=r"LSTN-01 has 2 stars \(20 blocks: 1 of"):
        one.tracked()


def test_blocks_in_cloud_are_not_valid():
    """Half of the time all variances are flat."""
    sky = Sky(seed=13, start="2024-02-14T00:00:00")
    sky.rates = lambda rates: np.where(np.arange(40)[:, None] < 20, rates, 0.0)
    table = pointing_table(*sky.tracked())
    assert table["is_valid"].sum() == 10
    assert np.all(table["is_valid"][:10])
    assert all("cloud" in text for text in table["status"][10:])
    assert np.isnan(table["dlon"][10:]).all()
    assert np.isfinite(table["azimuth"]).all()


def test_moon_makes_blocks_uncertain():
    """Gradient and 400 times the night sky: stars of V = 7 drown."""
    sky = Sky(seed=13, start="2024-02-14T00:00:00", n_events=300, magnitude_limit=8.0)
    slope = 100 * (1 + 0.3 * sky.optics.pixel_x / sky.optics.pixel_x.max())
    sky.rates = lambda rates: rates + slope * (np.arange(40)[:, None] >= 20)
    strict = TrackingSettings(max_error=14 * u.arcsec)
    table = pointing_table(*sky.tracked(strict))
    assert table["is_valid"][:10].sum() > 5
    assert not table["is_valid"][10:].any()
    assert all("cloud" in text or "Moon" in text for text in table["status"][10:])


def test_gradient_of_the_moon_moves_nothing():
    """Ten times the night sky, with a gradient."""
    sky = Sky(seed=13, start="2024-02-14T00:00:00")
    slope = 2.5 * (1 + 0.3 * sky.optics.pixel_x / sky.optics.pixel_x.max())
    sky.rates = lambda rates: rates + slope
    error, stat = sky.errors(sky.tracked()[0])
    assert np.abs(error / stat).max() < 4.5


def test_drive_that_misses_a_part(sky):
    """Blocks of that part are in the table, and say so."""
    images = sky.images()
    kept = np.arange(len(sky.drive.times)) < 600
    drive = DrivePointing(sky.drive.times[kept], sky.drive.azimuth[kept], sky.drive.altitude[kept])
    table = pointing_table(*sky.tracked(images=images, drive=drive))
    assert len(table) == 21  # the images before and after the end are not in one block
    assert np.all(np.diff(table["time"].unix_tai) > 0)
    missing = table["status"] == "drive data missing"
    assert missing.sum() == 11
    assert not table["is_valid"][missing].any()
    assert table["is_valid"][~missing].all()
    assert np.isnan(table["azimuth"][missing]).all()


def test_no_drive_at_all(sky):
    images = sky.images()
    later = DrivePointing(sky.drive.times + 1 * u.day, sky.drive.azimuth, sky.drive.altitude)
    with pytest.raises(MissingInputError, match="give the drive's record of these data"):
        sky.tracked(images=images, drive=later)


def test_wrong_time():
    """Two hours off: other stars at other places."""
    sky = Sky(seed=13, start="2024-02-14T00:00:00")
    images = sky.images()
    late = replace(images, time=images.time + 7200)
    drive = DrivePointing(sky.drive.times + 2 * u.h, sky.drive.azimuth, sky.drive.altitude)
    with pytest.raises(InsufficientStatisticsError, match=r"wrong time|fits at two places"):
        sky.tracked(images=late, drive=drive)


def test_horizon(sky):
    images = sky.images()
    low = DrivePointing(sky.drive.times, sky.drive.azimuth, 0 * sky.drive.altitude + 5 * u.deg)
    with pytest.raises(ConfigurationError, match="needs at least 10 deg"):
        sky.tracked(images=images, drive=low)


def test_correction_of_azimuth_near_the_zenith():
    """0.02 deg of dlon at 89 deg: tan(dA) = tan(dlon)/cos(alt)."""
    azimuth, altitude = pointing_correction(359.9 * u.deg, 89 * u.deg, 0.02 * u.deg, 0 * u.deg)
    expected = np.rad2deg(np.arctan(np.tan(np.deg2rad(0.02)) / np.cos(np.deg2rad(89))))
    assert azimuth.to_value("deg") == pytest.approx(expected, rel=1e-6)
    azimuth, altitude = pointing_correction(100 * u.deg, 60 * u.deg, 10 * u.arcsec, -20 * u.arcsec)
    assert azimuth.to_value("arcsec") == pytest.approx(20, rel=1e-3)
    assert altitude.to_value("arcsec") == pytest.approx(-20, abs=1e-2)


def test_flexure_is_followed():
    """60 arcsec times the cosine of the altitude, over 2 hours in parts of 30 blocks."""
    truth = PointingTruth(20 * u.arcsec, 10 * u.arcsec, flexure=600 * u.arcsec)
    sky = Sky(seed=9, start="2024-02-14T00:00:00", n_images=120, step=60.0, truth=truth)
    table = pointing_table(*sky.tracked(block_duration=2 * u.min))
    good = table[table["is_valid"]]
    assert len(good) > 50
    sag = 10 + 600 * np.cos(good["altitude"].to_value("rad"))
    pulls = (good["dlat"].to_value("arcsec") - sag) / good["dlat_stat_error"].to_value("arcsec")
    assert np.abs(pulls).max() < 5
    assert good["dlat"].max() - good["dlat"].min() > 20 * u.arcsec


def test_twenty_times_faster_than_the_peer(pair):
    """100 images, two stars: 7.5 s of CPU there."""
    sky = shown(pair, n_images=100, step=1.0, n_events=100)
    images = sky.images()
    sky.tracked(images=images)  # compiles
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        sky.tracked(images=images)
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 7.5 / 20

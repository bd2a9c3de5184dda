"""Clouds in simulated all-sky frames: closure on the truth, and frames that say nothing."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from allsky_nights import CLEAR, DARK, REGIONS, STARS, cloudy, frames
from astropy.time import Time

from calibpipe.atmosphere.allsky import frame_result, night_results
from calibpipe.atmosphere.allsky_expectation import (
    ClearSky,
    expected_stars,
    limiting_magnitude,
    star_light,
)
from calibpipe.atmosphere.allsky_result import AllskySettings
from calibpipe.atmosphere.allsky_table import allsky_table, night_summary
from calibpipe.core.moon import Moon
from calibpipe.simulation.allsky import fisheye

SETTINGS = AllskySettings()
NO_MOON = Moon(0 * u.deg, 180 * u.deg, 180 * u.deg)


def result(frame, site, settings=SETTINGS, camera=None):
    return frame_result(frame, STARS, site, REGIONS, settings, camera)


@pytest.fixture(scope="module")
def clear(north):
    """One clear frame."""
    return frames(north)[0]


@pytest.fixture(scope="module")
def patchy(north):
    """Ten frames from nearly clear to nearly overcast."""
    return frames(north, cloudy(0.1, 0.95), n=10, minutes=25)


def changed(frame, function):
    """The same frame with other counts."""
    counts = frame.counts.astype(np.float32)
    function(counts)
    return replace(frame, counts=counts)


class TestClosure:
    def test_clear(self, clear, north):
        found = result(clear[0], north)
        assert found.status == ""
        assert found.fraction.used == 1
        assert abs(found.fraction.total) < 3 * np.hypot(found.fraction.total_error, 0.001)
        assert found.sys_error < 0.015
        assert np.all(np.abs(found.fraction.region) < 2 * found.fraction.region_error)
        assert found.fraction.n_detected.sum() > 2000
        assert abs(found.transparency - 1) < 0.02
        assert found.is_pointing_own

    def test_overcast_is_no_failed_astrometry(self, north):
        """Clouds that leave 0.03 % of the light: no star at all, and the header's projection."""
        frame, truth = frames(north, cloudy(1.0, optical_depth=8.0))[0]
        assert truth.fraction == 1
        found = result(frame, north)
        assert found.status == ""
        assert not found.astrometry.is_refined
        assert abs(found.fraction.total - 1) < 3 * np.hypot(found.fraction.total_error, 0.001)
        assert found.fraction.total_error < 0.01
        assert np.isnan(found.transparency)

    def test_patches(self, patchy, north):
        """Total and regions; 370 regions, their pulls are of width one."""
        pulls, away = [], []
        for frame, truth in patchy:
            found = result(frame, north)
            error = np.hypot(found.fraction.total_error, found.sys_error)
            away.append((found.fraction.total - truth.fraction) / error)
            some = (truth.region_fraction > 0.02) & (truth.region_fraction < 0.98)
            pull = (found.fraction.region - truth.region_fraction) / found.fraction.region_error
            pulls.append(pull[some])
        pulls = np.concatenate(pulls)
        assert np.abs(away).max() < 3.3
        assert abs(np.mean(pulls)) < 3.5 / np.sqrt(pulls.size)
        assert abs(np.std(pulls) - 1) < 3.5 / np.sqrt(2 * pulls.size)

    def test_thin_clouds_count_by_the_light_that_they_take(self, north):
        """A layer that leaves 61 % in the zenith: covered is where less than half arrives.

        exp(-0.5 / cos z) < 0.5 beyond z = 43.8 deg.
        """
        simulation = cloudy(1.0, optical_depth=0.5)
        frame, truth = frames(north, simulation)[0]
        expected = (0.5 / np.log(2) - np.cos(np.radians(70))) / (1 - np.cos(np.radians(70)))
        assert abs(truth.fraction - expected) < 0.002
        found = result(frame, north)
        assert found.fraction.region[:9].max() < 0.5 < found.fraction.region[21:].min()
        # everything is near the threshold: the scale of the light decides, and says so
        assert found.sys_error > 0.1
        assert abs(found.fraction.total - truth.fraction) < 2 * found.sys_error

    @pytest.mark.slow
    def test_many_nights(self, north, south):
        """Both sites, thin and thick clouds: means below their errors, pulls of the sky."""
        pulls, away, systematic = [], [], []
        for seed, (site, depth) in enumerate([(north, 4.0), (south, 2.5), (north, 1.5)]):
            for frame, truth in frames(
                site, cloudy(0.2, 0.8, optical_depth=depth), n=16, seed=seed
            ):
                found = result(frame, site)
                away.append(found.fraction.total - truth.fraction)
                pulls.append(away[-1] / found.fraction.total_error)
                systematic.append(found.sys_error)
        n = len(pulls)
        assert abs(np.std(pulls) - 1) < 3.5 / np.sqrt(2 * n)
        statistical = np.std(away) / np.sqrt(n)
        assert abs(np.mean(away)) < 3 * statistical + np.mean(systematic)


class TestBrightness:
    def test_dark_sky(self, clear, north):
        """At the zenith as it was put in; brighter at 60 deg by the formula."""
        found = result(clear[0], north).region_brightness
        assert abs(found[0] - 21.7) < 0.1
        assert np.all(found[21:] < found[0] - 0.2)

    def test_sky_twice_as_bright(self, clear, north):
        bright = replace(CLEAR, sky=ClearSky(dark_sky=21.7 - 2.5 * np.log10(2)))
        found = result(frames(north, bright)[0][0], north).region_brightness
        reference = result(clear[0], north).region_brightness
        np.testing.assert_allclose(reference - found, 0.753, atol=0.03)


class TestNoNumbers:
    def test_moon_in_the_frame(self, north):
        frame, truth = frames(north, begin=Time("2024-07-20T23:00:00"))[0]
        assert truth.moon_altitude > 20
        found = result(frame, north)
        assert found.status == "Moon in the frame: at 27 deg, 100 % lit"
        assert found.fraction is None
        assert frame.counts.max() == frame.camera.saturation

    def test_moon_that_is_allowed(self, north):
        """A bright sky costs stars, not the answer."""
        frame, truth = frames(north, begin=Time("2024-07-20T23:00:00"))[0]
        found = result(frame, north, replace(SETTINGS, max_moon_fraction=1.0))
        assert found.status == ""
        assert found.fraction.used < 0.95  # around the Moon
        assert abs(found.fraction.total - truth.fraction) < 3 * found.fraction.total_error + 0.01
        assert np.nanmedian(found.region_brightness) < 19.5

    @pytest.mark.parametrize(
        ("hour", "status"),
        [("21:00", "twilight: the Sun stands at -12.0 deg"), ("12:00", "daylight: the Sun")],
    )
    def test_sun(self, clear, north, hour, status):
        frame = replace(clear[0], begin=Time(f"2024-07-10T{hour}:00"))
        assert result(frame, north).status.startswith(status[:27])

    def test_all_nan(self, clear, north):
        frame = changed(clear[0], lambda counts: counts.fill(np.nan))
        assert result(frame, north).status == "no image: 100 % of the pixels are not finite"

    def test_saturated(self, clear, north):
        frame = replace(clear[0], counts=np.full_like(clear[0].counts, 65000))
        expected = "saturated: 100 % of the pixels at 65000 counts"
        assert result(frame, north).status == expected

    def test_moved_camera(self, clear, north):
        frame = replace(clear[0], camera=replace(clear[0].camera, rotation=60.0))
        status = result(frame, north).status
        assert status.startswith("astrometry failed: ")
        assert "stars found" in status

    def test_too_few_stars(self, clear, north):
        found = result(clear[0], north, replace(SETTINGS, faintest=1.0, min_stars=1))
        assert found.status.startswith("too few stars expected: ")
        assert found.status.endswith(", needs 50")


class TestBadPixels:
    def test_part_without_numbers(self, clear, north):
        """A dead half: its regions have no number, the others are as before."""

        def dead(counts):
            counts[:, :512] = np.nan

        frame = changed(clear[0], dead)
        found = result(frame, north)
        assert found.status == ""
        assert 0.4 < found.fraction.used < 0.7
        assert abs(found.fraction.total) < 0.01

    def test_hot_pixels_are_no_stars(self, north):
        """Overcast, and one of two hundred pixels hot: still overcast."""
        simulation = replace(cloudy(1.0, optical_depth=8.0), n_hot=5000)
        found = result(frames(north, simulation)[0][0], north)
        assert found.status == ""
        assert abs(found.fraction.total - 1) < 0.01

    def test_hot_pixels_hide_no_stars(self, north):
        found = result(frames(north, replace(CLEAR, n_hot=5000))[0][0], north)
        assert abs(found.fraction.total) < 0.01


class TestExpectation:
    def test_light_by_hand(self):
        """V = 5 in the zenith, 30 s: 30 * 10^(-0.4 (5 - 11.2 + 0.15)) electrons."""
        found = star_light(fisheye(), 5.0, [0] * u.deg, [0.0], 30 * u.s, 0.15)
        np.testing.assert_allclose(found, 30 * 10 ** (0.4 * 6.05), rtol=1e-3)

    def test_limiting_magnitude(self):
        """Falls with the zenith angle, by two magnitudes under the full Moon, and gives s sigma."""
        camera, sky = fisheye(), ClearSky()
        where = [0, 0] * u.deg, [0, 65] * u.deg
        dark = limiting_magnitude(camera, *where, 30 * u.s, sky, NO_MOON, 6.0)
        assert dark[0] - dark[1] > 0.3
        full = Moon(90 * u.deg, 40 * u.deg, 0 * u.deg)
        assert np.all(dark - limiting_magnitude(camera, *where, 30 * u.s, sky, full, 6.0) > 0.7)
        light = star_light(camera, dark[0], [0] * u.deg, [0.0], 30 * u.s, sky.extinction)[0]
        bright = star_light(camera, dark[0] - 1, [0] * u.deg, [0.0], 30 * u.s, sky.extinction)[0]
        assert bright / light == pytest.approx(10**0.4)

    def test_significance_of_expected_stars(self, north):
        """Stars at the limiting magnitude have just that significance (those without company)."""
        camera = fisheye()
        stars = expected_stars(camera, STARS, DARK, 30 * u.s, north, ClearSky(), NO_MOON, 70.0)
        limit = limiting_magnitude(
            camera, stars.azimuth, stars.zenith, 30 * u.s, ClearSky(), NO_MOON, 6.0
        )
        significance = stars.light / np.sqrt(stars.noise**2 + 4 / 3 * stars.light)
        near = np.abs(stars.magnitude - limit) < 0.05
        assert near.sum() > 50
        assert abs(np.percentile(significance[near], 20) - 6) < 0.4  # trails take some, others add


class TestNight:
    def test_clouds_before_the_first_good_frame(self, north):
        """The projection of a later frame serves the first ones: 9 pixels off the header's."""
        off = replace(cloudy(1.0, 0.0, optical_depth=8.0), shift=(5.0, -4.0))
        night = [frame for frame, _ in frames(north, off, n=3)]
        calls = []

        def opened(only):
            calls.append(only)
            return (f for f in night if only is None or f.name in only)

        found = night_results(opened, STARS, north, REGIONS, SETTINGS)
        assert calls == [None, [night[0].name]]
        assert [r.is_pointing_own for r in found] == [True] * 3
        assert not found[0].astrometry.is_refined
        shifted = found[0].astrometry.camera
        assert abs(shifted.x_center - night[0].camera.x_center - 5) < 0.2

    def test_table(self, clear, north):
        """A row a frame in order of time, NaN with a reason."""
        dark = replace(clear[0], name="later", begin=clear[0].begin + 30 * u.min)
        bad = replace(dark, counts=np.full_like(dark.counts, 65000))
        results = [result(bad, north), result(clear[0], north)]
        table = allsky_table(results, len(REGIONS))
        assert table["time"].tolist() == ["2024-07-10T23:40:15.000", "2024-07-11T00:10:15.000"]
        assert table["status"][0] == ""
        assert table["status"][1].startswith("saturated")
        assert np.isfinite(table["cloud_fraction"][0])
        for name in table.colnames[2:]:
            assert np.isnan(np.asarray(table[name][1])).all(), name
        assert table["region_sky_brightness"].unit == u.mag / u.arcsec**2
        assert table["region_n_detected"].shape == (2, 37)
        summary = night_summary(table)
        assert summary["n_frames"] == 2
        assert summary["n_used"] == 1
        assert summary["reasons"] == {"saturated": 1}
        assert summary["median_cloud_fraction"] == table["cloud_fraction"][0]

    def test_night_without_a_usable_frame(self, clear, north):
        bad = replace(clear[0], counts=np.full_like(clear[0].counts, 65000))
        summary = night_summary(allsky_table([result(bad, north)], len(REGIONS)))
        assert summary["n_used"] == 0
        assert summary["median_cloud_fraction"] is None

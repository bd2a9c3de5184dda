"""Point spread function from stars: σ and coma come back, containment, muons."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from starry_sky import Sky

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.pointing.coma_psf import ComaPsf, containment_radius
from calibpipe.pointing.optical_psf import StarPsf, compare_with_muons, containment, star_psf
from calibpipe.pointing.star_psf_table import profile_table, psf_table, star_width_table
from calibpipe.pointing.tracking_settings import TrackingSettings


@pytest.fixture(scope="module")
def sky():
    return Sky(seed=13, start="2024-02-14T00:00:00", gain_error=0.01)


@pytest.fixture(scope="module")
def found(sky):
    images = sky.images()
    tracking, _ = sky.tracked(TrackingSettings(free_coma=True), images=images)
    return star_psf(tracking, images.response_error, images.low_gain_error)


def test_sigma_and_coma_are_those_of_the_simulation(sky, found):
    stat, sys = found.sigma_errors
    assert found.psf.sigma.to_value("deg") == pytest.approx(0.05, abs=4 * np.hypot(stat, sys).value)
    assert np.hypot(stat, sys) < 0.01 * found.psf.sigma
    error = np.sqrt(found.covariance[1, 1] + found.systematic_covariance[1, 1])
    assert found.psf.coma == pytest.approx(sky.optics.psf.coma, abs=4 * error)
    assert error < 0.02 * found.psf.coma


def test_widths_of_single_stars(found):
    """The same for all, whatever their field angle; σ of all is their weighted mean."""
    weight = found.sigma_error.value**-2
    pulls = (found.sigma - found.psf.sigma).value * np.sqrt(weight)
    assert found.chi2 < 5 * len(found.names)
    assert np.abs(pulls).max() < 6  # errors of the gains are not in them
    mean = weight @ found.sigma.value / weight.sum()
    assert mean == pytest.approx(found.psf.sigma.value, abs=3 * found.sigma_errors[0].value)
    assert found.field_angle.max() > 1.5 * u.deg


def test_containment_against_field_angle(sky, found):
    angle = [0.0, 1.0, 2.0] * u.deg
    radius, stat, sys = containment(found, angle)
    true = containment_radius(angle, sky.optics.psf)
    assert np.all(np.abs(radius - true) < 4 * np.hypot(stat, sys))
    assert radius[0].to_value("deg") == pytest.approx(1.794 * found.psf.sigma.value, rel=1e-3)
    assert stat[0].value == pytest.approx(1.794 * found.sigma_errors[0].value, rel=0.01)


def test_error_of_low_gain_is_common(sky, monkeypatch):
    """Bright pixels 1 % brighter, all together: coma and σ change as in a new fit.

    σ by two thirds of it: weights follow the light in the fit.
    """
    monkeypatch.setattr("calibpipe.pointing.star_tracking._PSF_TOLERANCE", 1e-5)
    settings = TrackingSettings(free_coma=True)
    images = sky.images()
    mean = np.nan_to_num(images.image).mean(axis=0)
    bright, dark = mean > 4, np.median(mean)
    assert bright.sum() > 5
    tracking, _ = sky.tracked(settings, images=images)
    found = star_psf(tracking, np.zeros(bright.size), 0.01 * bright)
    brighter = dark + (images.image - dark) * np.where(bright, 1.01, 1)
    other, _ = sky.tracked(settings, images=replace(images, image=brighter))
    sigma, coma = found.systematics["low_gain"]
    assert coma == pytest.approx(tracking.psf.coma - other.psf.coma, rel=0.1)
    assert 0.5 * sigma < (tracking.psf.sigma - other.psf.sigma).to_value("deg") < 1.1 * sigma
    assert not found.systematics["response"].any()
    squares = sum(one[0] ** 2 for one in found.systematics.values())
    assert found.sigma_errors[1].value == pytest.approx(np.sqrt(squares))


def by_hand(sigma, coma, errors):
    covariance = np.diag(np.square(errors))
    nothing = np.zeros(0) * u.deg
    return StarPsf(
        ComaPsf(sigma * u.deg, coma),
        covariance,
        0 * covariance,
        {},
        nothing,
        nothing,
        nothing,
        (),
        0.0,
    )


def test_comparison_with_muons_by_hand():
    """Along the radius σ² + C²/2: 0.03, c d = 0.04 × 1 give 0.0412."""
    psf = by_hand(0.03, 0.04, (0.001, 0.0))
    same = compare_with_muons(psf, 0.0412 * u.deg, 0.001 * u.deg, 0.002 * u.deg, 1 * u.deg)
    assert same.star.value == pytest.approx(np.sqrt(0.03**2 + 0.04**2 / 2))
    assert same.star_error.value == pytest.approx(0.001 * 0.03 / same.star.value)
    assert same.muon_error.value == pytest.approx(np.hypot(0.001, 0.002))
    assert abs(same.z_score) < 0.1
    other = compare_with_muons(psf, 0.06 * u.deg, 0.001 * u.deg, 0.002 * u.deg, 1 * u.deg)
    assert other.z_score == pytest.approx(
        (other.star.value - 0.06) / np.hypot(other.star_error.value, other.muon_error.value)
    )
    assert other.z_score < -5
    with pytest.raises(ConfigurationError, match="upper limit only"):
        compare_with_muons(psf, np.nan * u.deg, 1 * u.deg, 1 * u.deg)


def test_muons_without_their_coma_get_that_of_a_star():
    """σ of both 0.03, C = 0.04: √(0.03² + 0.04²/2); errors are those of σ times 0.03/0.0412."""
    psf = by_hand(0.03, 0.04, (0.001, 0.0))
    width = np.sqrt(0.03**2 + 0.04**2 / 2)
    muon = 0.03 * u.deg, 0.001 * u.deg, 0.002 * u.deg
    same = compare_with_muons(psf, *muon, 1 * u.deg, muon_coma=0.04)
    assert same.muon.value == pytest.approx(width)
    assert same.difference.value == pytest.approx(0, abs=1e-12)
    assert same.muon_error.value == pytest.approx(np.hypot(0.001, 0.002) * 0.03 / width)


def test_sigma_must_be_free(sky):
    tracking, _ = sky.tracked(TrackingSettings(free_sigma=False))
    with pytest.raises(ConfigurationError, match="set free_sigma"):
        star_psf(tracking, *np.zeros((2, sky.optics.pixel_x.size)))


def test_tables(found):
    table = psf_table(found, 1.7e9, 1.7e9 + 1200)
    assert table["theta80_diameter"] == 2 * table["theta80"]
    assert table["width"].unit == u.deg
    assert len(profile_table(found, [0, 1, 2] * u.deg)) == 3
    assert list(star_width_table(found)["star"]) == list(found.names)

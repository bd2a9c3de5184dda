"""Rings in pixels of NectarCAM and FlashCam, 0.17 deg wide, under the shadow of the camera."""

from dataclasses import replace

import numpy as np
import pytest

from calibpipe.throughput.muon_intensity import PARAMETERS
from calibpipe.throughput.muon_rings import RingRejection, muon_rings
from calibpipe.tools.muon_settings import MuonSettings

R = 5.816  # m, of the mirror
BODY = 2.918  # m, side of NectarCAM's body (sim_telarray, prod6); FlashCam: 2.89
SPE, NOISE = 0.47, 3.0  # p.e.: night sky of 0.25 / ns in some 25 ns


def drawn(n, rng, impact, **fixed):
    """Keywords of n rings; the impact (mirror radii) is uniform over the area between two radii."""
    low, high = np.broadcast_to(impact, 2)
    return {
        "x": rng.uniform(-0.5, 0.5, n),
        "y": rng.uniform(-0.5, 0.5, n),
        "radius": rng.uniform(1.0, 1.25, n),
        "width": rng.uniform(0.03, 0.09, n),
        "impact": R * np.sqrt(rng.uniform(low**2, high**2, n)),
        "impact_phi": rng.uniform(-np.pi, np.pi, n),
        "throughput": 0.2,
        "noise": NOISE,
    } | fixed


@pytest.fixture
def ring_columns(mst, mst_images, rng):
    """Columns of rings with the settings of the telescope, and the keywords they were made of."""

    def found(n, impact, *, hole_radius=None, **fixed):
        known = drawn(n, rng, impact, **fixed)
        image, _ = mst_images(n, rng, **known)
        mirror = mst.mirror if hole_radius is None else replace(mst.mirror, hole_radius=hole_radius)
        settings = MuonSettings(subarray=mst.subarray)
        nothing = np.zeros(image.shape, bool)
        noise = np.full(image.shape[1], NOISE)
        masks, camera, cuts = (nothing, nothing), mst.camera, settings.cuts(mst.tel_id)
        columns = muon_rings(image, *masks, camera, mirror, cuts, noise=noise, spe_width=SPE)
        return columns, known

    return found


def pulls(columns, known):
    """(n, 7), of rings that converged; the others are NaN."""
    b, phi = known["impact"], known["impact_phi"]
    truth = known | {"impact_x": b * np.cos(phi), "impact_y": b * np.sin(phi)}
    error = np.sqrt(np.einsum("rii->ri", columns["covariance"]))
    found = [(columns[name] - truth[name]) / error[:, k] for k, name in enumerate(PARAMETERS)]
    return np.where(columns["has_converged"], found, np.nan).T


def mean_ratio(columns, known, name="throughput", chosen=None):
    """Mean of found over true, and its standard error."""
    chosen = columns["has_converged"] if chosen is None else chosen
    ratio = (columns[name] / known[name])[chosen]
    return ratio.mean(), ratio.std() / np.sqrt(len(ratio))


def test_inside_the_mirror(ring_columns):
    """Throughput to 1 %, width to 3 %, both within four errors; pulls of all seven of width one."""
    columns, known = ring_columns(600, (0.45, 0.9))
    assert columns["has_converged"].mean() > 0.99
    mean, error = mean_ratio(columns, known)
    assert mean == pytest.approx(1, abs=min(4 * error, 0.01))
    assert error < 0.0025
    mean, error = mean_ratio(columns, known, "width")
    assert mean == pytest.approx(1, abs=min(4 * error, 0.03))
    assert error < 0.006
    spread = np.nanstd(pulls(columns, known), axis=0)
    is_impact = [name.startswith("impact") for name in PARAMETERS]
    # 0.1: 3.5 standard errors of the width of 600 pulls
    np.testing.assert_allclose(spread[np.invert(is_impact)], 1, atol=0.1)
    # the slopes of the fit leave out the rim of the shadow: errors of the impact are 13 % too small
    # (without a shadow the pulls are 1)
    np.testing.assert_allclose(spread[is_impact], 1.13, atol=0.1)
    reduced = columns["chi2"] / (columns["n_fitted"] - len(PARAMETERS))
    assert reduced.mean() == pytest.approx(1, abs=5 * reduced.std() / np.sqrt(600))


def test_outside_the_mirror(ring_columns):
    """Arcs: throughput to 2 %, within four errors, and pulls of width one."""
    columns, known = ring_columns(600, 1.1)
    fitted = columns["has_converged"] & (columns["completeness"] > 0.2)
    assert fitted.mean() > 0.8
    mean, error = mean_ratio(columns, known, chosen=fitted)
    assert mean == pytest.approx(1, abs=min(4 * error, 0.02))
    assert error < 0.005
    throughput = pulls(columns, known)[fitted, PARAMETERS.index("throughput")]
    assert throughput.std() == pytest.approx(1, abs=0.1)


def test_narrow_rings(ring_columns):
    """0.02 deg are an eighth of a pixel: the limit of what seven points in it can integrate.

    As in an LST with 0.1 to 0.15 pixels: throughput 0.5 %, width up to a third too large.
    """
    columns, known = ring_columns(300, (0.45, 0.9), width=np.full(300, 0.02))
    mean, error = mean_ratio(columns, known)
    assert mean == pytest.approx(1.005, abs=0.005 + 3 * error)
    width = np.median(columns["width"][columns["has_converged"]])
    assert 0.95 * 0.02 < width < 1.35 * 0.02


@pytest.mark.parametrize("throughput", [0.2, 0.15])
def test_cuts_keep_good_rings(ring_columns, throughput):
    """Also of a telescope that lost a quarter of its light; what they keep is not biased."""
    columns, known = ring_columns(300, (0.5, 0.85), throughput=throughput)
    good = columns["rejection"] == 0
    assert good.mean() > 0.97
    mean, error = mean_ratio(columns, known, chosen=good)
    assert mean == pytest.approx(1, abs=4 * error)


def test_impacts_under_the_camera_are_rejected(ring_columns):
    """The rim of the shadow is not resolved there: what passes does not bias the others."""
    columns, known = ring_columns(500, (0.0, 0.9))
    good = columns["rejection"] == 0
    under = known["impact"] < 1.64
    assert under.sum() > 30
    assert good[under].mean() < 0.05
    reasons = RingRejection.IMPACT | RingRejection.NOT_CONVERGED
    assert (columns["rejection"][under & ~good] & np.uint16(reasons)).all()
    mean, error = mean_ratio(columns, known, chosen=good)
    assert mean == pytest.approx(1, abs=4 * error)


@pytest.mark.parametrize("impact", [0.45, 0.7, 0.87])
def test_shadow_of_the_camera(ring_columns, impact):
    """A square that moves with the light by 0.3 m is as good as a disc of its area: to 1 %."""
    columns, known = ring_columns(300, impact, body=BODY)
    mean, error = mean_ratio(columns, known)
    assert mean == pytest.approx(1, abs=min(4 * error, 0.01))
    assert np.nanstd(pulls(columns, known)[:, -1]) == pytest.approx(1, abs=0.17)


def test_absent_facet_is_not_the_shadow(ring_columns):
    """With the hole of ctapipe, 0.59 m, which the camera hides: 7 to 11 % low."""
    for impact, low, high in ((0.45, 0.86, 0.91), (0.87, 0.915, 0.945)):
        columns, known = ring_columns(200, impact, body=BODY, hole_radius=0.59)
        mean, error = mean_ratio(columns, known)
        assert low < mean < high
        assert error < 0.004

"""From images to rings: ctapipe's cleaning, a made image for every reason, noise, sectors."""

from dataclasses import replace

import numpy as np
import pytest
from ctapipe.image import tailcuts_clean

from calibpipe.throughput import muon_rings as module
from calibpipe.throughput.muon_rings import (
    N_SECTORS,
    CameraPixels,
    RingCuts,
    RingRejection,
    cleaned_pixels,
    faint_rings,
    muon_rings,
    rejection_counts,
    ring_rejection,
)

CUTS = RingCuts()
SPE = 0.47


@pytest.fixture(scope="module")
def found(lst):
    """Rings of images; all pixels are good but for those that are given."""

    def rings(image, *, unusable=None, saturated=None, cuts=CUTS, **more):
        nothing = np.zeros(image.shape, bool)
        given = (nothing if mask is None else mask for mask in (unusable, saturated))
        return muon_rings(image, *given, lst.camera, lst.mirror, cuts, spe_width=SPE, **more)

    return rings


@pytest.fixture(scope="module")
def good(photon_images):
    """12 good rings."""
    rng = np.random.default_rng(5)
    n = 12
    known = {
        "x": rng.uniform(-0.4, 0.4, n),
        "y": rng.uniform(-0.4, 0.4, n),
        "impact": rng.uniform(2, 8, n),
        "impact_phi": rng.uniform(-np.pi, np.pi, n),
    }
    return photon_images(n, rng, **known)[0], known


def test_cleaning_is_that_of_ctapipe(lst, rng, good):
    """On noise and on rings; for several thresholds."""
    image = np.concatenate([rng.normal(5, 4, (10, lst.geometry.n_pixels)), good[0]])
    for picture, boundary in ((10.0, 5.0), (8.0, 8.0), (6.0, 3.0)):
        ours = cleaned_pixels(image, lst.camera, picture, boundary)
        theirs = [
            tailcuts_clean(lst.geometry, one, picture, boundary, min_number_picture_neighbors=2)
            for one in image
        ]
        np.testing.assert_array_equal(ours, theirs)
        assert 0 < ours.mean() < 0.6


def test_good_rings_count(found, good):
    image, known = good
    columns = found(image)
    assert (columns["rejection"] == 0).all()
    assert rejection_counts(columns["rejection"])["good"] == 12
    error = np.sqrt(np.einsum("rii->ri", columns["covariance"]))
    for k, name in enumerate(("x", "y")):
        assert np.abs((columns[name] - known[name]) / error[:, k]).max() < 4.5
    assert columns["completeness"].min() > 0.5
    assert columns["containment"].min() == 1
    assert columns["intensity_ratio"].min() > 0.99
    assert columns["n_pixels"].min() > 80


def test_batches_are_single_images(found, good):
    image, _ = good
    together = found(image)
    for k in (0, 7):
        alone = found(image[[k]])
        for name, values in together.items():
            np.testing.assert_allclose(alone[name][0], values[k], rtol=1e-12, err_msg=name)


def test_no_images(found, lst):
    columns = found(np.empty((0, lst.geometry.n_pixels)))
    assert {len(values) for values in columns.values()} == {0}


def shower(camera, rng, n_pe=4000):
    """An ellipse of 0.4 by 0.12 degrees."""
    along, across = camera.x - 0.3, camera.y + 0.2
    shape = np.exp(-0.5 * (along / 0.4) ** 2 - 0.5 * (across / 0.12) ** 2)
    return rng.poisson(n_pe * shape / shape.sum()) + rng.standard_normal(shape.size)


@pytest.fixture(scope="module")
def reasons(lst, photon_images, good):
    """Image, masks and cuts that have one fault, and the verdict that must be among the reasons."""
    rng = np.random.default_rng(11)
    one = {"impact": 5.0, "impact_phi": 1.0}
    dark = rng.standard_normal((1, lst.geometry.n_pixels))

    def ring(**more):
        return photon_images(1, rng, **(one | more))[0]

    beside = good[0][:1] + shower(lst.camera, rng, 2500)
    on_ring = good[0][:1] > 8
    return {
        "NO_RING": (dark, {}),
        "FEW_PIXELS": (ring(radius=0.9), {"cuts": replace(CUTS, min_pixels=200)}),
        "LITTLE_LIGHT": (ring(throughput=0.03), {"cuts": replace(CUTS, picture=3, boundary=2)}),
        "RADIUS": (ring(radius=0.6), {}),
        "CONTAINMENT": (ring(x=1.5), {}),
        "COMPLETENESS": (ring(impact=16.0), {}),
        "INTENSITY_RATIO": (beside, {}),
        "IMPACT": (ring(impact=10.7), {}),
        "WIDTH": (ring(width=0.14), {}),
        "CHI2": (good[0][:1] * rng.choice([0.3, 1.7], dark.shape), {}),
        "SATURATED": (good[0][:1], {"saturated": on_ring & (rng.random(dark.shape) < 0.1)}),
        "UNUSABLE_PIXELS": (good[0][:1], {"unusable": rng.random(dark.shape) < 0.3}),
    }


@pytest.mark.parametrize("reason", [r.name for r in RingRejection if r.name != "NOT_CONVERGED"])
def test_every_reason_has_its_image(found, reasons, reason):
    """The fault is seen, and what a fault brings along is no surprise."""
    image, more = reasons[reason]
    (verdict,) = (RingRejection(int(bits)) for bits in found(image, **more)["rejection"])
    assert RingRejection[reason] in verdict
    along = {  # with an arc there may be too few pixels; outside the camera, the ring is an arc
        "COMPLETENESS": {"IMPACT", "FEW_PIXELS", "LITTLE_LIGHT"},
        "CONTAINMENT": {"COMPLETENESS"},
        "IMPACT": {"COMPLETENESS"},
        "LITTLE_LIGHT": {"COMPLETENESS"},
        "RADIUS": {"COMPLETENESS"},
        "WIDTH": {"COMPLETENESS"},
        "INTENSITY_RATIO": {"CHI2", "RADIUS", "WIDTH", "NOT_CONVERGED"},
    }.get(reason, set())
    if reason != "NO_RING":
        assert {r.name for r in verdict} <= {reason, *along}


def test_without_light_every_cut_is_failed(found, reasons):
    """Nothing that is not a number passes a cut."""
    columns = found(reasons["NO_RING"][0])
    verdict = RingRejection(int(columns["rejection"][0]))
    kept = RingRejection.SATURATED | RingRejection.UNUSABLE_PIXELS
    assert verdict | kept == ~RingRejection(0)
    assert np.isnan(columns["throughput"][0])


def test_fits_that_did_not_converge(found, good):
    columns = found(good[0])
    columns["has_converged"][3] = False
    rejection = ring_rejection(columns, CUTS, 11.1)
    assert rejection[3] == RingRejection.NOT_CONVERGED
    assert (np.delete(rejection, 3) == 0).all()


def test_showers_are_no_rings(found, lst, rng):
    """None of 50 passes."""
    image = np.stack([shower(lst.camera, rng, n_pe) for n_pe in np.geomspace(300, 3e4, 50)])
    assert (found(image)["rejection"] > 0).all()


def test_reasons_are_counted():
    bits = np.array([0, 1 | 4, 4, 0, 4096], np.uint16)
    counts = rejection_counts(bits)
    assert counts["good"] == 2
    assert (counts["no_ring"], counts["little_light"], counts["unusable_pixels"]) == (1, 2, 1)
    assert sum(counts.values()) == 6
    assert set(counts) == {"good"} | {reason.name.lower() for reason in RingRejection}


def test_rings_that_are_faint_only():
    bits = [RingRejection(0), RingRejection.COMPLETENESS]
    bits += [RingRejection.FEW_PIXELS | RingRejection.LITTLE_LIGHT]
    bits += [RingRejection.COMPLETENESS | RingRejection.IMPACT, RingRejection.CHI2]
    found = faint_rings(np.array([int(b) for b in bits], np.uint16))
    np.testing.assert_array_equal(found, [False, True, True, False, False])


def test_bits_are_those_of_stored_tables():
    """Never reuse one."""
    names = (
        *("NO_RING", "FEW_PIXELS", "LITTLE_LIGHT", "RADIUS", "CONTAINMENT", "COMPLETENESS"),
        *("INTENSITY_RATIO", "NOT_CONVERGED", "IMPACT", "WIDTH", "CHI2", "SATURATED"),
        "UNUSABLE_PIXELS",
    )
    assert {r.name: r.value for r in RingRejection} == {n: 2**k for k, n in enumerate(names)}


def test_pixels_that_are_nan_or_masked_are_left_out(found, good):
    """Whatever they hold, the ring is the same; they are counted as unusable."""
    rng = np.random.default_rng(2)
    image, _ = good
    mask = rng.random(image.shape) < 0.05
    reference = found(image, unusable=mask)
    for value in (np.nan, 1e5, -1e3, np.inf):
        spoiled = np.where(mask, value, image)
        columns = found(spoiled, unusable=None if not np.isfinite(value) else mask)
        for name, values in columns.items():
            np.testing.assert_array_equal(values, reference[name], err_msg=name)
    assert reference["unusable"] == pytest.approx(0.05, abs=0.06)
    assert reference["unusable"].min() > 0
    assert (reference["rejection"] == 0).all()
    whole = found(image)
    change = reference["throughput"] / whole["throughput"] - 1
    assert np.abs(change).max() < 0.03  # 5 % of the light: a quarter of an error of 2 %
    assert np.abs(change.mean()) < 0.004


def test_saturated_pixels_are_left_out(found, good):
    image, _ = good
    saturated = (image > 30) & (np.random.default_rng(1).random(image.shape) < 0.03)
    columns = found(np.where(saturated, 20.0, image), saturated=saturated)
    whole = found(image)
    assert columns["saturated"].max() > 0
    assert (columns["unusable"] == 0).all()
    assert columns["throughput"].mean() == pytest.approx(whole["throughput"].mean(), rel=0.01)


@pytest.mark.parametrize("noise", [0.5, 2.5])
def test_noise_is_that_beside_the_ring(photon_images, found, rng, noise, monkeypatch):
    """Standard deviation of the pixels without light; what cleaning took away is not missed."""
    image, _ = photon_images(20, rng, impact=5.0, noise=noise)
    seen = []
    fit = module.fitted_muons

    def noted(image, is_used, noise, *arguments, **more):
        seen.append(noise)
        return fit(image, is_used, noise, *arguments, **more)

    monkeypatch.setattr(module, "fitted_muons", noted)
    columns = found(image)
    (given,) = seen
    assert (given == given[:, :1]).all()
    # at least 1200 pixels beside the ring
    assert given[:, 0] == pytest.approx(noise, rel=4.5 / np.sqrt(2 * 1200) + 0.01)
    reduced = columns["chi2"] / (columns["n_fitted"] - 7)
    assert reduced.mean() == pytest.approx(1, abs=4 * reduced.std() / np.sqrt(20))
    own = np.full(image.shape[1], 3.0)
    own[::2] = 0.0  # not known
    found(image, noise=own)
    assert (seen[-1][:, 1::2] == 3).all()
    np.testing.assert_array_equal(seen[-1][:, ::2], given[:, ::2])


def test_noise_is_never_none(found, good):
    """Images without any noise (of a simulation) are fitted."""
    image = np.round(good[0] * (good[0] > 4))
    assert np.isfinite(found(image)["throughput"]).all()


def test_sectors_of_rings_without_fault(photon_images, found, rng):
    """Residuals vanish, light is that of the ring."""
    n = 40
    image, _ = photon_images(n, rng, impact=5.0, impact_phi=rng.uniform(-np.pi, np.pi, n))
    columns = found(image)
    residual, light = columns["sector_residual"], columns["sector_light"]
    assert residual.shape == light.shape == (n, N_SECTORS)
    error = np.nanstd(residual) / np.sqrt(n)
    # pixels 0.1 deg wide are kept or not by their light: 2 % of their width
    np.testing.assert_allclose(np.nanmean(residual, axis=0), 0, atol=4 * error + 0.002)
    assert (np.isnan(residual) == (light == 0)).all()
    assert light.sum(axis=1) == pytest.approx(columns["ring_intensity"], rel=0.02)


def test_sectors_see_a_misaligned_part(lst, rng, found):
    """Light of 60 to 90 degrees of azimuth is 0.05 deg too far out: about that, less the ring's."""
    n = 30
    image = rng.standard_normal((n, lst.geometry.n_pixels))
    for k in range(n):
        phi = rng.uniform(-np.pi, np.pi, 3500)
        bad = np.abs(phi - np.deg2rad(75)) < np.deg2rad(15)
        r = 1.2 + 0.04 * rng.standard_normal(phi.size) + 0.05 * bad
        pixel = lst.lookup(r * np.cos(phi) + 0.1, r * np.sin(phi) - 0.1)
        image[k] += np.bincount(pixel, minlength=image.shape[1])
    residual = found(image)["sector_residual"].mean(axis=0)
    # a circle through all takes along 3/12 of it there: its mean and the harmonic (3 of 12 parts)
    assert residual[2] == pytest.approx(0.05 * (1 - 3 / 12), abs=0.004)
    assert np.argmax(residual) == 2
    # opposite, mean - first harmonic: -(1 - 2 cos 180)/12 of the shift
    assert residual[8] == pytest.approx(0.05 * -(1 - 2) / 12, abs=0.004)


def test_camera_of_a_geometry(lst):
    """Neighbours as in ctapipe's matrix; radius among those of its rim."""
    camera = CameraPixels.of_geometry(lst.geometry)
    matrix = lst.geometry.neighbor_matrix
    for pixel in (0, 77, 1854):
        own = camera.neighbors[camera.first_neighbor[pixel] : camera.first_neighbor[pixel + 1]]
        np.testing.assert_array_equal(np.sort(own), np.flatnonzero(matrix[pixel]))
    rim = np.hypot(camera.x, camera.y)[np.count_nonzero(matrix, axis=1) < 6]
    assert rim.min() < camera.radius < rim.max()
    assert camera.area_ratio == pytest.approx(0.9549, abs=1e-4)

"""Three muons of 100 GeV near an LST, fully simulated, their photons on the mirror in the file."""

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from ctapipe.coordinates import TelescopeFrame
from ctapipe.image.muon.intensity_fitter import build_negative_log_likelihood
from ctapipe.io import EventSource
from eventio import EventIOFile
from eventio.iact import Photons
from eventio.iact.objects import TelescopeData
from scipy.optimize import minimize

from calibpipe.camera.source_images import source_images
from calibpipe.throughput.muon_intensity import Mirror
from calibpipe.throughput.muon_rings import CameraPixels, RingCuts, RingRejection, muon_rings
from calibpipe.throughput.pixel_gaps import camera_fill_factor, muon_pixel_gaps

pytestmark = [pytest.mark.realdata, pytest.mark.filterwarnings("ignore")]
NAME = "simtel/lst_muons_with_true_photons.simtel.zst"
HOLE = 0.74  # m
SPE = 0.47
# Photons in the file are of 230 to 700 nm, those of the fit of 300 to 600 nm; ~ 1/wavelength².
BAND = (1 / 300 - 1 / 600) / (1 / 230 - 1 / 700)


def photons_on_mirror(path, radius):
    """Photons of each event inside a disc and outside the hole, at the height of the telescope."""
    found = []
    with EventIOFile(str(path)) as file:
        for part in file:
            if not isinstance(part, TelescopeData):
                continue
            for inner in part:
                if isinstance(inner, Photons):
                    bunches, *_ = inner.parse()
                    distance = np.hypot(bunches["x"], bunches["y"]) / 100
                    hit = (distance < radius) & (distance > HOLE)
                    found.append(BAND * bunches["photons"][hit].sum())
    return np.array(found)


@pytest.fixture(scope="module")
def rings(shared_data):
    path = shared_data / NAME
    source = source_images(path, 0)
    (batch,) = source.batches
    telescope = source.subarray.tel[source.tel_id]
    geometry = telescope.camera.geometry.transform_to(TelescopeFrame())
    camera = CameraPixels.of_geometry(geometry)
    mirror = Mirror(float(np.sqrt(telescope.optics.mirror_area.to_value(u.m**2) / np.pi)), HOLE)
    masks = batch.is_unusable, batch.is_saturated
    columns = muon_rings(batch.image, *masks, camera, mirror, RingCuts(), spe_width=SPE)
    options = {"skip_calibration_events": False, "focal_length_choice": "EQUIVALENT"}
    with EventSource(path, **options) as events:
        true = np.array([event.simulation.tel[source.tel_id].true_image for event in events])
    distance = np.hypot(camera.x - columns["x"][:, None], camera.y - columns["y"][:, None])
    area = np.median(telescope.camera.geometry.pix_area.to_value(u.m**2))
    return SimpleNamespace(
        source=source,
        batch=batch,
        columns=columns,
        true=true,
        near=np.abs(distance - columns["radius"][:, None]) < 0.15,
        distance=distance,
        sensitive=area / (np.sqrt(3) / 2 * 0.05**2),  # of a lattice of 0.050 m
        telescope=telescope,
        geometry=geometry,
        camera=camera,
        photons=photons_on_mirror(path, mirror.radius),
        error=np.sqrt(np.einsum("rii->ri", columns["covariance"])),
    )


def test_file_is_read(rings):
    """It does not know the effective focal length; telescope 1 is the only one."""
    source = rings.source
    assert (source.focal_length, source.tel_id) == ("equivalent", 1)
    np.testing.assert_array_equal(rings.batch.event_id, [100, 200, 300])


def test_three_rings(rings):
    """Muons within 5 m: those nearer than a tenth of the mirror are rejected for that only."""
    for bits in rings.columns["rejection"]:
        assert RingRejection(int(bits)) in (RingRejection(0), RingRejection.IMPACT)
    assert rings.columns["has_converged"].all()
    np.testing.assert_allclose(rings.columns["radius"], 1.20, atol=0.015)
    reduced = rings.columns["chi2"] / (rings.columns["n_fitted"] - 7)
    # real pulses; noise of all pixels together: 20 % more or less than that of each of them
    assert np.all((reduced > 0.8) & (reduced < 1.6))
    # parallel to the axis; a quarter of the width of a pixel is the precision of the mirror
    assert np.hypot(rings.columns["x"], rings.columns["y"]).max() < 0.06


def test_light_is_that_of_the_true_photoelectrons(rings):
    """On the ring: the second event has 125 p.e. of a knock-on electron beside it."""
    true = (rings.true * rings.near).sum(axis=1)
    noise2 = (rings.true == 0).mean(axis=1) * 2.1**2 * rings.near.sum(axis=1)
    error = np.sqrt(SPE**2 * true + noise2)
    assert np.all(np.abs(rings.columns["light"] - true) < 3 * error)
    assert np.all(error < 0.02 * true)


def test_throughput_is_photoelectrons_over_photons(rings):
    """Absolute, to 3 standard errors. What limits it:

    - 1.6 % of the p.e. and 1.2 % of the bunches of 5 photons fluctuate, event by event;
    - sensitive are 96 % of the camera: what falls between the pixels (0.049 of 0.050 m) is not
      in the fit's photons on a pixel, but among the photons on the mirror;
    - light is emitted above the telescope at smaller angles: photons that belong to the fitted
      radius are 1.4 % too few (corrected for later, with the night's profile);
    - near the middle, as two of the three, the hole is not resolved: 2 %;
    - bunches are counted where they pass the height of the telescope, not its curved mirror:
      3 % from 10 m above to 10 m below.
    """
    true = (rings.true * rings.near).sum(axis=1) / rings.photons
    found = rings.columns["throughput"] * rings.sensitive / 1.014
    ratio = found / true
    error = np.sqrt((rings.error[:, 6] / rings.columns["throughput"]) ** 2 + 0.012**2 + 0.01**2)
    assert np.all(np.abs(ratio - 1) < 3 * error)
    mean = np.average(ratio, weights=error**-2)
    mean_error = np.sqrt(1 / np.sum(error**-2) + 0.015**2)  # of the mirror's height
    assert mean == pytest.approx(1, abs=3 * mean_error)
    assert mean_error < 0.025


def test_gaps_between_pixels_are_told(rings):
    """The factor of the test above is that of the product's header."""
    found = camera_fill_factor(rings.telescope.camera.geometry)
    assert found == pytest.approx(rings.sensitive, rel=1e-3)
    assert muon_pixel_gaps(found) == "excluded"


def test_photons_are_those_of_the_file(rings):
    """Of the fitted rings, against the bunches: 1.4 % and the limits of the test above."""
    ratio = rings.photons / rings.columns["photons"]
    assert ratio.mean() == pytest.approx(1.014, abs=3 * np.hypot(0.012 / np.sqrt(3), 0.02))


def test_ctapipe_agrees(rings):
    """Its likelihood at our circles has its best efficiency where our table says it has.

    In the pixels of the ring, without the knock-on electron beside it.
    """
    columns = rings.columns
    for k in range(3):
        mask = rings.near[k]
        likelihood = build_negative_log_likelihood(
            rings.batch.image[k].astype(float),
            rings.telescope.optics,
            rings.geometry,
            mask,
            3,
            300 * u.nm,
            600 * u.nm,
            SPE,
            np.full(rings.camera.x.size, 2.1),
            HOLE * u.m,
        )
        circle = np.deg2rad([columns[name][k] for name in ("x", "y", "radius")])

        def of(free, likelihood=likelihood, circle=circle):
            impact, phi, width, efficiency = free * [1.0, 1.0, 1e-3, 1.0]
            return likelihood(abs(impact), phi, *circle, abs(width), efficiency)

        impact = complex(columns["impact_x"][k], columns["impact_y"][k])
        width = 1e3 * np.deg2rad(columns["width"][k])
        start = [abs(impact), np.angle(impact), width, columns["throughput"][k]]
        options = {"xatol": 1e-4, "fatol": 1e-4, "maxiter": 2000}
        theirs = minimize(of, start, method="Nelder-Mead", options=options).x[3]
        ours = columns["throughput"][k] * rings.camera.area_ratio
        n_errors = 1 if abs(impact) > 1.5 * HOLE else 2  # nearer, the rim of the hole decides
        assert ours == pytest.approx(theirs, abs=n_errors * rings.error[k, 6])


def test_shadow_is_that_of_the_camera(rings):
    """A muon at 3.5 m: the camera's body, 2.5 m wide in this simulation, against no shadow.

    The absent facet in the middle of the mirror is within the shadow of the body.
    """
    masks = rings.batch.is_unusable[:1], rings.batch.is_saturated[:1]
    radius = float(np.sqrt(rings.telescope.optics.mirror_area.to_value(u.m**2) / np.pi))
    chi2 = {}
    for hole in (0.0, HOLE, 1.25, 2.5):
        mirror = Mirror(radius, hole)
        columns = muon_rings(
            rings.batch.image[:1], *masks, rings.camera, mirror, RingCuts(), spe_width=SPE
        )
        chi2[hole] = columns["chi2"][0]
    assert chi2[0.0] - chi2[1.25] > 9  # three standard deviations
    assert chi2[2.5] - chi2[1.25] > 9
    assert chi2[HOLE] > chi2[1.25]

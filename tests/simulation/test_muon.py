"""Muons of a telescope and their light in the camera."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from ctapipe.image.muon.intensity_fitter import chord_length
from ctapipe.instrument import OpticsDescription

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.simulation.camera import camera_truth
from calibpipe.simulation.muon import (
    MuonTruth,
    mirror_and_hole,
    muon_light,
    muon_truth,
    muon_truth_table,
)
from calibpipe.simulation.muon_photons import MuonTelescope
from calibpipe.simulation.pixel_lookup import pixel_lookup

LONGEST = 17760 / 11.1  # photons of 300 to 600 nm a metre of the mirror, 1.2 deg, no losses
PLAIN = MuonTelescope(
    psf=0.0,
    mirror_radius=11.1,
    hole_radius=0.0,
    refractivity=1 / np.cos(np.deg2rad(1.2)) - 1,
    is_dispersive=False,
    scale_height=1e12,
    extinction=0.0,
    radiation_length=np.inf,
    field=(0.0, 0.0),
)


@pytest.fixture
def lit():
    """Light of equal muons of 1 PeV in a camera of 40 x 40 square pixels of 0.1 deg."""
    axis = (np.arange(40) - 19.5) * 0.1
    x, y = (place.ravel() for place in np.meshgrid(axis, axis))
    pixels = pixel_lookup(x, y)

    def light(
        n, telescope, truth, rng, *,
        impact=0.0, impact_phi=0.0, fov=(0.0, 0.0), spread=0, energy=1e6, charge=1,
        knock_on=False,
    ):  # fmt: skip
        one = (energy, impact, impact_phi, *fov, 1.2, charge)
        muons = MuonTruth(*(np.full(n, value) for value in one))
        timing = {"time": 18 * u.ns, "transit_time_spread": spread * u.ns}
        return muon_light(muons, telescope, truth, pixels, rng, has_knock_on=knock_on, **timing)

    light.x, light.y = x, y
    return light


def test_photoelectrons_are_throughput_times_photons(rng, uniform, lit, assert_pulls):
    truth = camera_truth(1600, rng, uniform)
    for throughput in (0.1, 0.2):
        light = lit(100, replace(PLAIN, optical_throughput=throughput), truth, rng)
        expected = throughput * LONGEST * 11.1
        assert_pulls((light.n_pe.sum(axis=1) - expected) / np.sqrt(expected))


def test_efficiency_of_pixels(rng, uniform, lit, assert_pulls):
    """Half of the pixels are more efficient than the mean one."""
    same = camera_truth(1600, rng, uniform)
    other = camera_truth(1600, rng, replace(uniform, efficiency_spread=0.3))
    assert (other.relative_efficiency > 1.3).any()
    n = 200
    reference = lit(n, PLAIN, same, rng).n_pe.sum(axis=0)
    found = lit(n, PLAIN, other, rng).n_pe.sum(axis=0)
    bright = reference > 100
    reference, found, efficiency = (
        part[bright] for part in (reference, found, other.relative_efficiency)
    )
    error = np.sqrt(reference * efficiency + reference * efficiency**2)
    assert_pulls((found - efficiency * reference) / error)


def test_light_outside_the_camera_is_lost(rng, uniform, lit):
    """Half of a ring around a point of the rim."""
    light = lit(50, PLAIN, camera_truth(1600, rng, uniform), rng, fov=(2.0, 0.0))
    expected = 0.2 * LONGEST * 11.1 / 2
    error = np.sqrt(expected / 50) + 1e-3 * expected  # more than the stretch of the mapping
    assert light.n_pe.sum(axis=1).mean() == pytest.approx(expected, abs=5 * error)


def test_impact_is_that_of_ctapipe(rng, uniform, lit):
    """Light around the ring against the chord of ctapipe's fit, with its impact and phi0."""
    rho, phi0, n = 0.7, -2.0, 100
    fov = (0.31, -0.24)
    light = lit(
        n, PLAIN, camera_truth(1600, rng, uniform), rng, impact=rho * 11.1, impact_phi=phi0, fov=fov
    )
    n_pe = light.n_pe.sum(axis=0)
    azimuth = np.arctan2(lit.y - fov[1], lit.x - fov[0])
    for harmonic in (1, 2):  # moments, which hardly feel the pixels
        phi = np.linspace(0, 2 * np.pi, 3601)[:-1]
        chord = chord_length(1.0, rho, phi, phi0)
        expected = np.mean(chord * np.exp(1j * harmonic * phi)) / np.mean(chord)
        found = np.sum(n_pe * np.exp(1j * harmonic * azimuth)) / n_pe.sum()
        error = np.sqrt(0.5 / n_pe.sum())
        smeared = (harmonic * 0.1 / 1.2) ** 2 / 24  # of pixels, second order
        assert abs(found - expected) < 5 * error + smeared
        assert abs(expected) > 10 * error


def test_charges_and_times(rng, lit, assert_pulls):
    truth = camera_truth(1600, rng)
    impact, n = 9.0, 100
    light = lit(n, PLAIN, truth, rng, impact=impact)
    bright = light.n_pe > 20
    variance = light.n_pe * (truth.squared_excess_noise_factor - 1)
    assert_pulls(((light.charge - light.n_pe)[bright]) / np.sqrt(variance[bright]))
    assert (light.charge[light.n_pe == 0] == 0).all()
    delay = light.time - truth.time_offset - 18
    assert (np.abs(delay[light.n_pe == 0]) < 1e-12).all()
    # impact times sine of the Cherenkov angle times the cosine of the azimuth; a pixel is 0.1 deg
    expected = impact * np.sin(np.deg2rad(1.2)) / 0.299792 * lit.x / np.hypot(lit.x, lit.y)
    half = impact * np.deg2rad(0.1) / np.sqrt(2) / 0.299792
    assert np.abs(delay - expected)[bright].max() < half * 1.01
    spread = lit(n, PLAIN, truth, rng, spread=2.0)  # in the middle all light comes at once
    scatter = (spread.time - truth.time_offset - 18) * np.sqrt(np.maximum(spread.n_pe, 1)) / 2.0
    assert_pulls(scatter[spread.n_pe > 0])


def test_drawn_muons(rng, assert_pulls):
    n = 20_000
    muons = muon_truth(
        n, rng, MuonTelescope(), energy_min=9 * u.GeV, max_impact=1.5, fov_radius=0.7 * u.deg
    )
    uniform = [
        (muons.impact / (1.5 * 11.1)) ** 2,
        (muons.fov_lon**2 + muons.fov_lat**2) / 0.7**2,
        ((muons.energy + 3.64) / (9 + 3.64)) ** -1.7,
        (muons.impact_phi / np.pi + 1) / 2,
        np.arctan2(muons.fov_lat, muons.fov_lon) / (2 * np.pi) + 0.5,
    ]
    for deviate in uniform:
        assert 0 <= deviate.min() <= deviate.max() <= 1
        assert abs(deviate.mean() - 0.5) < 5 / np.sqrt(12 * n)
        assert abs(deviate.var() - 1 / 12) < 5 / np.sqrt(180 * n)
    assert np.abs(np.corrcoef(uniform)[np.triu_indices(5, 1)]).max() < 5 / np.sqrt(n)
    gamma = muons.energy / 0.1056583755
    angle = np.arccos(1 / (1.0002238 * np.sqrt(1 - gamma**-2)))
    np.testing.assert_allclose(muons.cherenkov_angle, np.rad2deg(angle), rtol=1e-9)


def test_charges_as_many_as_measured(rng):
    """1.2766 to 1, whatever the energy."""
    n = 40_000
    muons = muon_truth(n, rng, MuonTelescope())
    assert set(muons.charge) == {-1, 1}
    for chosen in (muons.energy < 12, muons.energy >= 12):
        share = (muons.charge[chosen] == 1).mean()
        error = 0.5 / np.sqrt(chosen.sum())
        assert share == pytest.approx(1.2766 / 2.2766, abs=4 * error)


def test_light_knows_the_charge(rng, uniform, lit):
    """200 µT shift the middle of the light of both charges to opposite sides.

    By half of 0.2998 x 2e-4 T x 274 m / 20 GeV = 0.047 deg at the mean distance R/2θ: where the
    light is shifted to it has less of the mirror, by as much as makes up for the other half.
    """
    truth = camera_truth(1600, rng, uniform)
    telescope = replace(PLAIN, field=(0.0, -2e-4))
    for charge in (1, -1):
        n_pe = lit(60, telescope, truth, rng, energy=20.0, charge=charge).n_pe.sum(axis=0)
        error = 1.16 / np.sqrt(2 * n_pe.sum())
        assert np.average(lit.x, weights=n_pe) == pytest.approx(charge * 0.0235, abs=4 * error)
        assert error < 0.0235 / 10


def test_knock_on_electrons_add_light(rng, uniform, lit):
    """Rarely: most muons of 20 GeV have none in the camera, few have much."""
    truth = camera_truth(1600, rng, uniform)
    air, n = MuonTelescope(), 300
    with_, without = (
        lit(n, air, truth, rng, energy=20.0, knock_on=knock_on).n_pe.sum(axis=1)
        for knock_on in (True, False)
    )
    assert np.median(with_) == pytest.approx(np.median(without), rel=5 / np.sqrt(n * 2000) + 0.002)
    assert with_.max() - np.median(with_) > 8 * without.std()


def test_muons_without_light_are_refused(rng):
    with pytest.raises(ConfigurationError, match=r"of 4 GeV emit no .* more than 4.995 GeV"):
        muon_truth(5, rng, MuonTelescope(), energy_min=4 * u.GeV)


def test_same_seed_same_muons_and_light(uniform, lit):
    lights = []
    for seed in (1, 1, 2):
        rng = np.random.default_rng(seed)
        lights.append(lit(3, MuonTelescope(), camera_truth(1600, rng, uniform), rng).charge)
    assert (lights[0] == lights[1]).all()
    assert (lights[0] != lights[2]).any()


def test_table_has_all(rng):
    muons = muon_truth(3, rng, MuonTelescope())
    table = muon_truth_table([4, 7, 9], muons, [10, 20, 30])
    assert table.colnames == [
        *("event_id", "energy", "impact", "impact_phi", "fov_lon", "fov_lat"),
        *("cherenkov_angle", "charge", "n_pe"),
    ]
    assert [table[name].unit for name in table.colnames[1:-2]] == [
        *(u.GeV, u.m, u.rad, u.deg, u.deg, u.deg)
    ]
    assert (table["impact_phi"].value == muons.impact_phi).all()
    assert (table["charge"] == muons.charge).all()
    assert table["charge"].info.description == "1 for a positive muon, -1 for a negative one"
    assert table["event_id"].tolist() == [4, 7, 9]
    assert table["n_pe"].tolist() == [10, 20, 30]


def optics(size="LST", n_mirrors=1, area=400.0, shape="PARABOLIC"):
    return OpticsDescription(
        name="dish",
        size_type=size,
        n_mirrors=n_mirrors,
        equivalent_focal_length=28 * u.m,
        effective_focal_length=29 * u.m,
        mirror_area=area * u.m**2,
        n_mirror_tiles=198,
        reflector_shape=shape,
    )


def test_mirror_and_hole():
    assert mirror_and_hole(optics()) == (pytest.approx(11.2838, abs=1e-4), 0.74)
    # squares of 2.918 m (NectarCAM) and 2.89 m (FlashCam)
    for side in (2.918, 2.89):
        assert mirror_and_hole(optics("MST"))[1] == pytest.approx(side / np.sqrt(np.pi), rel=0.01)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"n_mirrors": 2, "size": "SST"}, "one mirror, dish has 2"),
        ({"shape": "SCHWARZSCHILD_COUDER", "size": "MST"}, "one mirror, dish has 2"),
        ({"area": np.nan}, "got nan m² and LST of dish"),
        ({"area": 0.0}, "got 0 m²"),
        ({"size": "UNKNOWN"}, "UNKNOWN of dish"),
    ],
)
def test_telescopes_without_muons(bad, message):
    with pytest.raises(ConfigurationError, match=message):
        mirror_and_hole(optics(**bad))

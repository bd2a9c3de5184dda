"""The Tool that simulates calibration events: DL0, truth, exit codes."""

import os

os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

import astropy.units as u
import numpy as np
import pytest
import yaml
from astropy.time import Time
from ctapipe.containers import EventType
from ctapipe.core import run_tool
from ctapipe.core.tool import ToolConfigurationError
from ctapipe_io_zfits import ProtozfitsEventSource, ProtozfitsTelescopeEventSource

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.night import astronomical_night
from calibpipe.core.pointing_file import read_pointing
from calibpipe.core.products import content_hash, read_table
from calibpipe.core.telescope import subarray_of
from calibpipe.simulation.camera import PixelFault, truth_from_table
from calibpipe.tools.produce_camcalib_test_data import (
    KIND,
    MUON_KIND,
    SHOWER_KIND,
    ProduceCamcalibTestData,
)
from calibpipe.tools.star_simulation import STAR_KIND

NIGHT = "2024-02-29"
FEW = ("--n-flatfield=3", "--n-pedestal=3", "--n-shower=2")
OWN = "--ProduceCamcalibTestData."


@pytest.fixture
def produce(root, tmp_path):
    """Run of the Tool in a folder of the test."""

    def run(*more, folder="simulated", site="CTAO-North", few=FEW, night=NIGHT, raises=True):
        argv = [
            f"--site={root}/config/sites/{site}.yaml",
            f"--night={night}",
            f"--output-folder={tmp_path / folder}",
        ]
        tool = ProduceCamcalibTestData()
        code = run_tool(tool, argv=[*argv, *few, *more], cwd=tmp_path, raises=raises)
        return code if not raises else tmp_path / folder

    return run


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def streams(folder):
    return [path for path in files(folder) if path.name.startswith("TEL")]


def truth(folder, kind=KIND, element="*"):
    (path,) = (folder / "truth").glob(f"{element}/*/*.{kind.split('/')[1]}.ecsv")
    return read_table(path, kind)


def test_events_of_all_types_in_the_night(produce, north):
    closed = (f"{OWN}n_dark_pedestal=2", f"{OWN}n_single_pe=1", "--rate=0.01")
    folder = produce(*closed, f"{OWN}n_streams=2")
    with ProtozfitsTelescopeEventSource(streams(folder)[1]) as source:
        events = [(e.index.event_id, e.trigger.event_type, e.trigger.time) for e in source]
    event_id, kinds, times = zip(*events, strict=True)
    assert event_id == tuple(range(1, 12))
    assert set(kinds[:3]) == {EventType.DARK_PEDESTAL, EventType.SINGLE_PE}
    assert [kinds.count(EventType[name]) for name in ("FLATFIELD", "SKY_PEDESTAL")] == [3, 3]
    assert kinds.count(EventType.SUBARRAY) == 2
    dusk = astronomical_night(NIGHT, north).dusk
    seconds = (Time(list(times)) - dusk).to_value(u.s)
    np.testing.assert_allclose(seconds, 100 * np.arange(11), atol=1e-6)


def test_one_block_of_two_telescopes(produce):
    """Triggers of the block lead to both telescopes, showers to both at once."""
    folder = produce("--tel-id=1", "--tel-id=3", "--rate=2", f"{OWN}obs_id=7")
    (triggers,) = (path for path in files(folder) if path.name.startswith("SUB"))
    with ProtozfitsEventSource(triggers) as source:
        events = [(e.index.event_id, list(e.dl0.tel), e.trigger.time) for e in source]
    assert [number for number, _, _ in events] == list(range(1, 15))
    both = [number for number, tel_ids, _ in events if tel_ids == [1, 3]]
    assert len(both) == 2
    assert sum(tel_ids == [3] for _, tel_ids, _ in events) == 6
    for element in ("LSTN-01", "LSTN-03"):
        (path,) = folder.glob(f"truth/{element}/{NIGHT}/{element}_OBSID7.shower_truth.ecsv")
        assert list(read_table(path, SHOWER_KIND)["event_id"]) == both
    assert (events[-1][2] - events[0][2]).to_value(u.s) == pytest.approx(3.75)


def test_a_telescope_has_the_same_waveforms_in_any_block(produce):
    """Without drifts: only numbers and times differ."""
    alone, together = produce("--tel-id=3"), produce("--tel-id=1", "--tel-id=3", folder="two")
    waves = []
    for folder in (alone, together):
        (path,) = folder.glob("DL0/LSTN-03/**/*.fits.fz")
        with ProtozfitsTelescopeEventSource(path, subarray_id=2) as source:
            waves.append([event.dl0.tel[3].waveform for event in source])
    assert len(waves[0]) == 8
    for one, other in zip(*waves, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_telescope_left_out_leaves_nothing(produce):
    folder = produce("--tel-id=1", "--tel-id=3")
    with pytest.raises(ToolConfigurationError, match="exists"):
        produce("--tel-id=3")
    produce("--tel-id=2", "--overwrite")
    assert len(streams(folder)) == 1
    assert {path.name[:6] for path in streams(folder)} == {"TEL002"}
    assert [path.parent.parent.name for path in files(folder / "truth")] == ["LSTN-02"] * 2
    assert len(list(folder.glob("DL0/ARRAY/**/*.fits.fz"))) == 1


def test_single_photoelectrons_at_high_voltage(produce):
    """Gains and the shape of the charge are in the truth; other random numbers stay."""
    closed = (f"{OWN}n_single_pe=2", f"{OWN}single_pe_charge=two-component")
    shape = f"{OWN}single_pe_shape=resolution=0.45"
    nominal = truth(produce(*closed, shape))
    high = truth(produce(*closed, shape, f"{OWN}voltage_gain=5", folder="high"))
    np.testing.assert_allclose(high["gain"].value, 5 * nominal["gain"].value)
    np.testing.assert_allclose(nominal["single_pe_resolution"], 0.45)
    with pytest.raises(ConfigurationError, match=r"unknown entries \['width'\]"):
        produce(*closed, f"{OWN}single_pe_shape=width=1", "--overwrite")


def test_pedestals_and_showers_are_those_of_the_truth(produce):
    folder = produce()
    camera = truth_from_table(truth(folder))
    showers = truth(folder, SHOWER_KIND)
    with ProtozfitsTelescopeEventSource(streams(folder)[0]) as source:
        events = {event.index.event_id: event.dl0.tel[1] for event in source}
    for row in showers:
        event = events[row["event_id"]]
        assert event.event_type is EventType.SUBARRAY
        assert (event.selected_gain_channel == row["selected_gain_channel"]).all()
    dark = [e.waveform for e in events.values() if e.event_type is EventType.SKY_PEDESTAL]
    baseline = np.mean(dark, axis=(0, 3)) - camera.pedestal
    # shot noise of the night sky in 40 samples (edges left out), electronic noise, rounding
    sky = camera.gain**2 * 1.222 * camera.nsb_rate / 1.024 / 40
    error = np.sqrt((sky + (camera.electronic_noise**2 + 1 / 12) / 40) / 3)
    for channel in range(2):
        assert abs(np.mean(baseline / error, axis=1)[channel]) < 5 / np.sqrt(camera.n_pixels)


@pytest.fixture
def muons(produce):
    """Two telescopes with muons, many pixels of which are in low gain."""
    return produce(
        *("--tel-id=1", "--tel-id=3", "--n-muon=4", "--seed=7", f"{OWN}throughput_spread=0.2"),
        f"{OWN}gain_selection_threshold=1000",
    )


@pytest.mark.parametrize("tel_id", [1, 3])
def test_muons_are_those_of_the_truth(muons, tel_id):
    element = f"LSTN-0{tel_id}"
    camera = truth_from_table(truth(muons, element=element))
    table = truth(muons, MUON_KIND, element)
    (path,) = muons.glob(f"DL0/{element}/**/*.fits.fz")
    with ProtozfitsTelescopeEventSource(path, subarray_id=2) as source:
        events = {event.index.event_id: event for event in source}
    found = [n for n, e in events.items() if e.trigger.event_type is EventType.MUON]
    assert found == table["event_id"].tolist()
    assert len(found) == 4
    for row in table:
        dl0 = events[row["event_id"]].dl0.tel[tel_id]
        gain = dl0.selected_gain_channel
        assert dl0.waveform.shape[:2] == (1, 1855)
        assert 0 < gain.sum() < 400
        pixel = np.arange(1855)
        charge = (dl0.waveform[0] - camera.pedestal[gain, pixel][:, np.newaxis]).sum(axis=1)
        found = np.sum(charge / camera.gain[gain, pixel])
        # night sky in 40 samples, electronic noise of low gain, charges of single photoelectrons
        sky = 1.222 * camera.nsb_rate.sum() * 40 / 1.024
        noise = 40 * np.sum((camera.electronic_noise / camera.gain)[gain, pixel] ** 2)
        error = np.sqrt(sky + noise + 0.222 * row["n_pe"])
        assert abs(found - row["n_pe"]) < 5 * error < row["n_pe"]


def test_a_muon_is_an_event_of_one_telescope(muons):
    own = [set(truth(muons, MUON_KIND, f"LSTN-0{tel_id}")["event_id"]) for tel_id in (1, 3)]
    (triggers,) = (path for path in files(muons) if path.name.startswith("SUB"))
    with ProtozfitsEventSource(triggers) as source:
        telescopes = {e.index.event_id: list(e.dl0.tel) for e in source}
    assert len(telescopes) == 2 * (3 + 3 + 4) + 2
    for tel_id, numbers in zip((1, 3), own, strict=True):
        assert all(telescopes[number] == [tel_id] for number in numbers)


def test_truth_of_muons_tells_of_the_telescope(muons, produce):
    """Throughput is drawn for each telescope and seed, the same in every night."""
    headers = [truth(muons, MUON_KIND, f"LSTN-0{tel_id}").meta["calibpipe"] for tel_id in (1, 3)]
    throughputs = [header["optical_throughput"] for header in headers]
    assert throughputs[0] != throughputs[1]
    assert all(0.05 < throughput < 0.6 for throughput in throughputs)
    assert headers[0]["psf_in_deg"] == 0.03
    assert headers[0]["mirror_radius_in_m"] == pytest.approx(11.095, abs=1e-3)
    assert headers[0]["hole_radius_in_m"] == 0.74
    few = ("--tel-id=3", "--n-muon=1", "--n-flatfield=0", "--n-pedestal=0")
    for seed, spread, expected in ((7, 0.2, throughputs[1]), (8, 0, 0.2)):
        options = (f"--seed={seed}", f"{OWN}throughput_spread={spread}")
        alone = produce(*options, folder=f"alone{seed}", few=few, night="2024-05-05")
        assert truth(alone, MUON_KIND).meta["calibpipe"]["optical_throughput"] == expected


@pytest.mark.parametrize(("name", "value"), [("n_mirrors", 2), ("mirror_area", np.nan * u.m**2)])
def test_muons_need_one_mirror(produce, monkeypatch, tmp_path, name, value):
    number, subarray = subarray_of([1])
    monkeypatch.setattr(subarray.tel[1].optics, name, value)
    monkeypatch.setattr("calibpipe.core.telescope.subarray_of", lambda _: (number, subarray))
    with pytest.raises(ConfigurationError, match="muons need"):
        produce("--n-muon=1")
    assert not files(tmp_path / "simulated")
    assert produce()


def test_same_seed_same_content(produce):
    first, again = (produce("--seed=1", "--n-muon=2", folder=name) for name in ("first", "again"))
    other = produce("--seed=2", "--n-muon=2", folder="other")
    for name in ("*.camera_truth.ecsv", "*.muon_truth.ecsv"):
        hashes = [content_hash(next(folder.rglob(name))) for folder in (first, again, other)]
        assert hashes[0] == hashes[1] != hashes[2]
    for name in (streams(first)[0], streams(again)[0]):
        assert name.is_file()
    waves = []
    for folder in (first, again):
        with ProtozfitsTelescopeEventSource(streams(folder)[0]) as source:
            waves.append([event.dl0.tel[1].waveform for event in source])
    assert all((a == b).all() for a, b in zip(*waves, strict=True))


def test_nothing_is_overwritten_unless_asked_and_no_stream_is_left_over(produce):
    folder = produce(f"{OWN}n_streams=2", "--n-muon=1")
    before = {path: path.read_bytes() for path in files(folder)}
    with pytest.raises(ToolConfigurationError, match="exists"):
        produce()
    assert {path: path.read_bytes() for path in files(folder)} == before
    produce("--overwrite", few=("--n-flatfield=1", "--n-pedestal=0"))
    assert len(streams(folder)) == 1
    assert not [*folder.rglob("*.shower_truth.ecsv"), *folder.rglob("*.muon_truth.ecsv")]


@pytest.mark.parametrize(
    ("more", "site", "message"),
    [
        (("--rate=0",), "CTAO-North", "needs more than 0 events per second"),
        (("--n-flatfield=0", "--n-pedestal=0", "--n-shower=0"), "CTAO-North", "no events"),
        ((), "CTAO-South", r"LSTN-01 of tel_ids \[1\] are not at CTAO-South"),
        (("--tel-id=2", "--tel-id=2"), "CTAO-North", "name a telescope twice"),
        (("--tel-id=32",), "CTAO-North", "CTAO has no array element 32"),
        (("--tel-id=1", "--tel-id=5"), "CTAO-North", "telescopes 1, 5 cannot be described"),
    ],
)
def test_impossible_requests(produce, more, site, message):
    with pytest.raises(ConfigurationError, match=message):
        produce(*more, site=site, few=() if more and "n-" in more[0] else FEW)


def test_missing_options_are_named(tmp_path):
    with pytest.raises(ToolConfigurationError, match="needs --site, --night, --output-folder"):
        run_tool(ProduceCamcalibTestData(), argv=[], cwd=tmp_path, raises=True)


def test_shipped_configuration_is_accepted(produce, root):
    config = root / "config/tools/produce_camcalib_test_data.yaml"
    asked = yaml.safe_load(config.read_text())["ProduceCamcalibTestData"]
    camera = truth(produce(f"--config={config}", "--n-muon=1"))
    used = camera.meta["calibpipe"]["configuration"]
    given = {"n_flatfield": 3, "n_pedestal": 3, "n_shower": 2, "n_muon": 1}  # on the command line
    assert {name: used[name] for name in asked} == asked | given
    faulty = {fault: np.sum(camera["status"] == fault) for fault in PixelFault}
    assert faulty == {
        fault: round(asked["spread"][fault.name.lower()] * 1855) for fault in PixelFault
    }


def test_help(tmp_path, capsys):
    assert run_tool(ProduceCamcalibTestData(), argv=["--help"], cwd=tmp_path) == 0
    assert "observatory's folders" in capsys.readouterr().out


def star_run(produce, *more, folder="simulated"):
    """Vega, in the zenith of the North in summer, V = 0.03, is 0.9 deg from the source."""
    options = (
        "--stars",
        f"{OWN}source_in_deg=279.235",
        f"{OWN}source_in_deg=37.884",
        f"{OWN}star_magnitude_limit=4",
        "--rate=40",
    )
    few = ("--n-flatfield=1", "--n-pedestal=79")
    return produce(*options, *more, folder=folder, few=few, night="2024-07-10")


def test_stars_are_in_the_events_where_the_truth_says(produce):
    folder = star_run(produce)
    table = truth(folder, STAR_KIND)
    assert table["star"][0] == "HIP 91262"
    header = table.meta["calibpipe"]
    assert abs(header["dlon_in_arcsec"]) < 5 * 40
    assert header["flexure_in_arcsec"] == 30
    with ProtozfitsTelescopeEventSource(streams(folder)[0]) as source:
        geometry = source.subarray.tel[1].camera.geometry
        waves = [
            event.dl0.tel[1].waveform[1, :, 10:20].sum(axis=1, dtype=float)
            for event in source
            if event.trigger.event_type is EventType.SKY_PEDESTAL
        ]
    variance = np.var(waves, axis=0)
    middle = [table[f"camera_{axis}"][0, 1].to_value(u.m) for axis in "xy"]
    x, y = geometry.pix_x.to_value(u.m), geometry.pix_y.to_value(u.m)
    star = np.hypot(x - middle[0], y - middle[1]) < 0.1
    assert variance[star].max() > 30 * np.median(variance)
    assert variance.argmax() in np.flatnonzero(star)
    far = np.hypot(x - middle[0], y - middle[1]) > 0.4
    assert variance[far].max() < 3 * np.median(variance)


def test_the_drive_is_recorded_for_all_events(produce):
    folder = star_run(produce, "--tel-id=1", "--tel-id=3")
    (path,) = folder.glob("monitoring/LSTN-03/2024-07-10/LSTN-03_OBSID1.pointing.h5")
    drive = read_pointing(path, 3)
    with ProtozfitsTelescopeEventSource(streams(folder)[1], subarray_id=2) as source:
        times = Time([event.trigger.time for event in source])
    azimuth, altitude = drive.at(times)
    assert np.all(altitude > 20 * u.deg)
    assert np.ptp(azimuth.value) < 1
    elements = [truth(folder, STAR_KIND, f"LSTN-0{i}").meta["calibpipe"] for i in (1, 3)]
    assert elements[0]["dlon_in_arcsec"] != elements[1]["dlon_in_arcsec"]


def test_stars_follow_from_the_seed(produce):
    one, two = (star_run(produce, folder=name) for name in ("one", "two"))
    waves = []
    for folder in (one, two):
        with ProtozfitsTelescopeEventSource(streams(folder)[0]) as source:
            waves.append([event.dl0.tel[1].waveform.tobytes() for event in source])
        (path,) = folder.rglob("*.star_truth.ecsv")
        waves[-1].append(content_hash(path))
    assert waves[0] == waves[1]


def test_pointing_that_is_given(produce):
    given = [f"{OWN}pointing_truth={v}" for v in ("dlon_in_arcsec=12.5", "plate_scale=1.001")]
    header = truth(star_run(produce, *given), STAR_KIND).meta["calibpipe"]
    assert header["dlon_in_arcsec"] == 12.5
    assert header["plate_scale"] == 1.001
    with pytest.raises(ConfigurationError, match=r"unknown entries \['dlon'\]; known ones"):
        star_run(produce, f"{OWN}pointing_truth=dlon=1", "--overwrite")


def test_a_source_is_two_numbers(produce):
    with pytest.raises(ConfigurationError, match="needs right ascension and declination"):
        produce("--stars", f"{OWN}source_in_deg=10")

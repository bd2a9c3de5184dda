"""The Tool that retrieves the meteorological data of a night, against local services."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import requests
import yaml
from ctapipe.core import run_tool
from servers.grib import era5_grib, gdas_grib
from servers.http_files import Fault

from calibpipe.atmosphere.meteo_request import analysis_time, era5_requests, gdas_files
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    IntermittentError,
    MissingInputError,
    StorageError,
)
from calibpipe.core.files import sha256
from calibpipe.core.night import astronomical_night
from calibpipe.core.products import content_hash, read_json
from calibpipe.core.site import load_site
from calibpipe.tools.retrieve_meteo_data import RetrieveMeteoData

NIGHT = "2023-06-20"
ROOT = Path(__file__).parents[2]
SOUTH = ROOT / "config/sites/CTAO-South.yaml"
KIND = "atmosphere/meteo_data"


@pytest.fixture
def site_file(tmp_path) -> Path:
    """A site whose June nights are short and over midnight UTC: two requests, few messages."""
    site = yaml.safe_load((ROOT / "config/sites/CTAO-North.yaml").read_text())
    site |= {"name": "Short-Nights", "latitude_in_deg": 47.6, "longitude_in_deg": 0.1}
    path = tmp_path / "Short-Nights.yaml"
    path.write_text(yaml.safe_dump(site))
    return path


@pytest.fixture
def site(site_file):
    return load_site(site_file)


@pytest.fixture
def options(tmp_path, site_file):
    """Command line of the Tool with small pauses; keywords change options."""

    def options(*more: str, output: str = "meteo_data.json", **changes: object) -> list[str]:
        basic = {
            "site": site_file,
            "night": NIGHT,
            "cache": tmp_path / "cache",
            "output": tmp_path / output,
            "RetrieveMeteoData.tries": 2,
            "RetrieveMeteoData.backoff_in_s": 0.001,
            "RetrieveMeteoData.timeout_in_s": 2.0,
            "RetrieveMeteoData.poll_in_s": 0.01,
            "provenance-log": tmp_path / "provenance.json",
            "log-file": tmp_path / "log.txt",
            "log-file-level": "DEBUG",
        }
        for name, value in changes.items():
            basic[name if name in basic else f"RetrieveMeteoData.{name}"] = value
        return [*(f"--{name}={value}" for name, value in basic.items()), *more]

    return options


@pytest.fixture
def run(tmp_path, options):
    """Run the Tool; the content of its product."""

    def run(*more: str, output: str = "meteo_data.json", **changes: object) -> dict:
        argv = options(*more, output=output, **changes)
        run_tool(RetrieveMeteoData(), argv=argv, cwd=tmp_path, raises=True)
        return read_json(tmp_path / output, KIND)["content"]

    return run


@pytest.fixture
def gdas(file_server, site):
    """File server with the GDAS analyses of the night; the options that lead to it."""
    for name in gdas_files(astronomical_night(NIGHT, site)):
        file_server.files[f"/grib2/{name}"] = gdas_grib(analysis_time(name), 49.0, -1.0)
    file_server.options = (
        "--category=B",
        f"--RetrieveMeteoData.gdas_url={file_server.url}/grib2",
    )
    return file_server


@pytest.fixture
def era5_files(tmp_path, site) -> list[Path]:
    """ERA5 files of the night that are already there."""
    paths = []
    for number, request in enumerate(era5_requests(site, astronomical_night(NIGHT, site))):
        paths.append(tmp_path / f"given_{number}.grib")
        paths[-1].write_bytes(era5_grib(request))
    return paths


def cached_files(tmp_path: Path, suffix: str) -> list[Path]:
    return sorted((tmp_path / "cache").rglob(f"*{suffix}"))


def hidden_files(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache").rglob(".*") if p.is_file())


def test_category_c_takes_era5(run, cds_server, tmp_path, site):
    content = run()
    assert content["dataset"] == "ERA5"
    assert content["hours"] == [
        "2023-06-20T23:00:00Z",
        "2023-06-21T00:00:00Z",
        "2023-06-21T01:00:00Z",
    ]
    assert len(content["pressure_in_hPa"]) == 37
    assert content["humidity"] == "specific"
    assert content["has_ozone"]
    assert (content["release"], content["experiment_version"]) == ("final", "0001")
    asked = [job.request for job in cds_server.jobs.values()]
    assert asked == era5_requests(site, astronomical_night(NIGHT, site))
    assert content["request"] == [{"dataset": "reanalysis-era5-pressure-levels"} | r for r in asked]
    for entry in content["files"]:
        path = Path(entry["path"])
        assert path.parent == tmp_path / "cache" / "ERA5"
        assert (entry["sha256"], entry["size"]) == (sha256(path), path.stat().st_size)
    assert hidden_files(tmp_path) == []


def test_category_b_takes_gdas(run, gdas, tmp_path):
    content = run(*gdas.options)
    assert content["dataset"] == "GDAS"
    assert content["hours"] == [
        "2023-06-20T18:00:00Z",
        "2023-06-21T00:00:00Z",
        "2023-06-21T06:00:00Z",
    ]
    assert (content["pressure_in_hPa"][0], content["pressure_in_hPa"][-1]) == (1000.0, 10.0)
    assert content["request"][0] == {
        "dataset": "d083002",
        "file": "2023/2023.06/fnl_20230620_18_00.grib2",
    }
    assert content["release"] is None
    assert gdas.url not in json.dumps(content)
    assert len(cached_files(tmp_path, ".grib2")) == 3
    assert hidden_files(tmp_path) == []


def test_preliminary_era5_says_so(run, cds_server, tmp_path):
    cds_server.result_of = partial(era5_grib, version="0005")
    content = run()
    assert (content["release"], content["experiment_version"]) == ("preliminary", "0005")
    assert "preliminary ERA5T" in (tmp_path / "log.txt").read_text()


def test_the_product_names_its_inputs_and_its_night(run, gdas, tmp_path):
    run(*gdas.options)
    header = read_json(tmp_path / "meteo_data.json", KIND)["calibpipe"]
    assert (header["site"], header["night"], header["category"]) == ("Short-Nights", NIGHT, "B")
    assert [entry["role"] for entry in header["inputs"]] == ["site", *["meteorological data"] * 3]
    activity = json.loads((tmp_path / "provenance.json").read_text())[-1]
    assert [Path(entry["url"]).name for entry in activity["output"]] == ["meteo_data.json"]
    assert len(activity["input"]) == 4


def test_a_second_run_needs_neither_credentials_nor_network(run, cds_server, monkeypatch):
    first = run()
    n_hits = len(cds_server.hits)
    monkeypatch.delenv("CDSAPI_KEY")
    assert run(output="again.json") == first  # also the time of retrieval
    assert len(cds_server.hits) == n_hits


def test_a_damaged_file_in_the_cache_is_retrieved_again(run, gdas, tmp_path):
    run(*gdas.options)
    victim = cached_files(tmp_path, ".grib2")[1]
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-100] + bytes(100))
    run(*gdas.options, output="again.json")
    assert len(gdas.hits) == 4  # the two others came from the cache
    assert victim.read_bytes() == whole


def test_what_was_asked_and_where_it_came_from_do_not_change_the_product(run, gdas, tmp_path):
    run(*gdas.options)
    mirror = type(gdas)()
    mirror.files = {f"/mirror{path}": content for path, content in gdas.files.items()}
    try:
        run(
            "--category=B",
            f"--RetrieveMeteoData.gdas_url={mirror.url}/mirror/grib2/",
            output="mirrored.json",
            cache=tmp_path / "other",
            tries=3,
        )
    finally:
        mirror.close()
    assert len(mirror.hits) == 3
    one, two = (tmp_path / name for name in ("meteo_data.json", "mirrored.json"))
    assert content_hash(one) == content_hash(two)


@pytest.mark.parametrize("given", [("given_0.grib", "given_1.grib"), ("given_?.grib",)])
def test_files_that_are_there_need_no_network(run, era5_files, given, monkeypatch):
    def no_network(*_, **__):
        pytest.fail("a connection was made")

    monkeypatch.setattr(requests.Session, "request", no_network)
    content = run(*(f"--input={name}" for name in given))
    assert [entry["path"] for entry in content["files"]] == [str(path) for path in era5_files]
    assert content["request"] is None
    assert len(content["hours"]) == 3


def test_absolute_patterns_and_repeated_files(run, era5_files, tmp_path):
    content = run(f"--input={tmp_path}/given_*.grib", f"--input={era5_files[0]}")
    assert len(content["files"]) == 2


def test_given_files_may_be_of_another_data_set(run, era5_files):
    content = run("--input=given_*.grib", "--RetrieveMeteoData.dataset=unknown")
    assert content["dataset"] == "unknown"


def test_an_unknown_data_set_cannot_be_retrieved(run):
    with pytest.raises(ConfigurationError, match="unknown data set cannot be retrieved"):
        run("--RetrieveMeteoData.dataset=unknown")


def test_no_file_of_that_name(run, tmp_path):
    with pytest.raises(MissingInputError, match=r"no file matches 'nothing_\*\.grib' in"):
        run("--input=nothing_*.grib")


def test_given_files_of_another_night(run, era5_files):
    with pytest.raises(MissingInputError, match="no time of the meteorological data is in night"):
        run("--input=given_*.grib", night="2023-06-23")


def test_given_files_of_another_place(run, era5_files):
    with pytest.raises(MissingInputError, match="cannot contain the site"):
        run("--input=given_*.grib", site=SOUTH)


def test_a_truncated_given_file(run, era5_files):
    era5_files[0].write_bytes(era5_files[0].read_bytes()[:-50])
    with pytest.raises(CorruptedInputError, match=r"given_0\.grib"):
        run("--input=given_*.grib")


def recently() -> str:
    """A night that is over everywhere, and too young for ERA5."""
    return (datetime.now(UTC) - timedelta(days=2)).date().isoformat()


def test_a_future_night(run, cds_server):
    night = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    with pytest.raises(
        MissingInputError, match=rf"night {night} has not begun.*will cover it from"
    ):
        run(night=night, site=ROOT / "config/sites/CTAO-North.yaml")
    assert cds_server.hits == []


def test_category_c_before_era5_exists(run, cds_server):
    with pytest.raises(MissingInputError, match=r"too recent for ERA5.*cover it from") as info:
        run(night=recently(), site=SOUTH)
    assert info.value.exit_code == 105
    assert cds_server.hits == []


def test_files_that_are_there_are_not_too_recent(run, tmp_path, south):
    night = recently()
    for number, request in enumerate(era5_requests(south, astronomical_night(night, south))[:1]):
        (tmp_path / f"early_{number}.grib").write_bytes(era5_grib(request))
    assert run("--input=early_*.grib", night=night, site=SOUTH)["dataset"] == "ERA5"


def test_hours_that_the_store_left_out(run, cds_server, tmp_path):
    cds_server.result_of = lambda request: era5_grib(request, hours=request["time"][:1])
    with pytest.raises(MissingInputError, match="1 of 2 hours: lacks 2023-06-21 01:00 UTC"):
        run()
    assert len(cached_files(tmp_path, ".grib")) == 1  # that of the evening, which has all its hours


def test_a_file_of_another_hour_is_not_kept(run, gdas, tmp_path):
    gdas.files["/grib2/2023/2023.06/fnl_20230621_00_00.grib2"] = gdas_grib(
        datetime(2023, 6, 22, 0, tzinfo=UTC), 49.0, -1.0
    )
    with pytest.raises(MissingInputError, match="lacks 2023-06-21 00:00 UTC"):
        run(*gdas.options)
    assert len(cached_files(tmp_path, ".grib2")) == 1


def test_a_truncated_grib_of_the_right_length_is_not_kept(run, gdas, tmp_path):
    name = "/grib2/2023/2023.06/fnl_20230620_18_00.grib2"
    gdas.files[name] = gdas.files[name][:-40]
    with pytest.raises(CorruptedInputError, match="cut off or damaged"):
        run(*gdas.options)
    assert cached_files(tmp_path, ".grib2") == []
    assert hidden_files(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("status", 401), ConfigurationError("netrc")),
        (Fault("status", 404), MissingInputError("no such file")),
        (Fault("status", 429), IntermittentError("429")),
        (Fault("status", 500), IntermittentError("500")),
        (Fault("truncate", n_bytes=10), IntermittentError("broke off")),
        (Fault("html"), CorruptedInputError("web page")),
        (Fault("hang"), IntermittentError("no answer")),
    ],
    ids=["401", "404", "429", "500", "truncated", "html", "no answer"],
)
def test_gdas_faults_have_their_exit_codes(run, gdas, tmp_path, fault, error):
    gdas.always = fault
    with pytest.raises(type(error), match=str(error)):
        run(*gdas.options, timeout_in_s=0.1)
    assert cached_files(tmp_path, ".grib2") == []
    assert not (tmp_path / "meteo_data.json").exists()


def test_gdas_goes_on_after_a_fault(run, gdas):
    gdas.faults = [Fault("status", 503), None, Fault("truncate", n_bytes=70_000)]
    assert len(run(*gdas.options)["hours"]) == 3


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (lambda s: setattr(s, "key", "another"), ConfigurationError),
        (lambda s: setattr(s, "states", ["rejected"]), MissingInputError),
        (lambda s: setattr(s, "always", Fault("status", 500)), IntermittentError),
        (lambda s: setattr(s, "always", Fault("html")), CorruptedInputError),
        (lambda s: setattr(s, "result_of", lambda _: b"no GRIB"), CorruptedInputError),
    ],
    ids=["401", "rejected", "500", "html", "no grib"],
)
def test_era5_faults_have_their_exit_codes(run, cds_server, tmp_path, prepare, error):
    prepare(cds_server)
    with pytest.raises(error):
        run()
    assert cached_files(tmp_path, ".grib") == []
    assert not (tmp_path / "meteo_data.json").exists()


def test_the_exit_code_of_the_process(gdas, options, tmp_path):
    gdas.always = Fault("status", 404)
    argv = options(*gdas.options)
    code = run_tool(RetrieveMeteoData(), argv=argv, cwd=tmp_path, raises=False)
    assert code == MissingInputError.exit_code


def test_the_deadline_holds_for_everything_together(run, cds_server):
    cds_server.states = ["running"]
    begin = time.monotonic()
    with pytest.raises(IntermittentError, match=r"not done within 0\.5 s"):
        run(deadline_in_s=0.5)
    assert time.monotonic() - begin < 3.0


def test_an_interrupt_in_the_middle_and_the_next_run_continues(
    run, gdas, options, tmp_path, monkeypatch
):
    name = list(gdas.files)[1]
    gdas.files[name] += bytes(300_000)  # padding, so that there is a middle
    chunks = requests.Response.iter_content

    def broken(self, size):
        for number, chunk in enumerate(chunks(self, size)):
            if number == 2:
                raise KeyboardInterrupt
            yield chunk

    with monkeypatch.context() as patch:
        patch.setattr(requests.Response, "iter_content", broken)
        argv = options(*gdas.options)
        code = run_tool(RetrieveMeteoData(), argv=argv, cwd=tmp_path, raises=False)
    assert code == 130
    assert len(cached_files(tmp_path, ".grib2")) == 1  # the first file; it has no middle
    content = run(*gdas.options)
    assert len(content["files"]) == 3
    ranges = [hit.headers["Range"] for hit in gdas.hits]
    assert ranges == [None, None, "bytes=131072-", None]
    assert hidden_files(tmp_path) == []


def test_two_processes_at_once_share_one_download(gdas, options, tmp_path):
    code = "from calibpipe.tools.retrieve_meteo_data import main; main()"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *options(*gdas.options, output=f"{number}.json")],
            cwd=tmp_path,
        )
        for number in range(2)
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    one, two = (read_json(tmp_path / f"{number}.json", KIND)["content"] for number in range(2))
    assert one == two
    assert len(gdas.hits) == 3
    assert hidden_files(tmp_path) == []


def test_a_full_disk(run, gdas, tmp_path):
    """On a real, tiny file system where we may make one."""
    cache = tmp_path / "cache"
    cache.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(cache)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a small file system; core/test_download.py goes without")
    try:
        with pytest.raises(StorageError, match="No space left on device") as info:
            run(*gdas.options)
        assert hidden_files(tmp_path) == []
        for path in cached_files(tmp_path, ".grib2"):  # what is there, is whole
            assert path.read_bytes() in gdas.files.values()
    finally:
        subprocess.run(["umount", str(cache)], check=True)
    assert info.value.exit_code == 102


@pytest.mark.parametrize("outcome", ["good", "401", "500", "rejected"])
def test_the_key_is_in_no_log_product_or_provenance(run, cds_server, tmp_path, outcome, capfd):
    key = cds_server.key
    if outcome == "401":
        cds_server.key = "another"
    elif outcome == "500":
        cds_server.always = Fault("status", 500)
    elif outcome == "rejected":
        cds_server.states, cds_server.reason = ["rejected"], f"{key} has asked too often"
    text = ""
    try:
        run("--log-level=DEBUG")
    except Exception as error:  # whatever it is, it must not tell
        text = repr(error)
    assert (text == "") == (outcome == "good")
    streams = capfd.readouterr()
    assert key not in text + streams.out + streams.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"log.txt", "provenance.json"} <= {path.name for path in files}
    for path in files:
        assert key.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("url", ["https://me:{}@host/grib2", "https://host/grib2?token={}"])
def test_a_login_in_the_configuration_is_refused(run, tmp_path, url):
    secret = "hush-" * 2
    with pytest.raises(ConfigurationError, match=r"put the login into ~/\.netrc") as info:
        run("--category=B", f"--RetrieveMeteoData.gdas_url={url.format(secret)}")
    assert secret not in str(info.value)
    assert secret not in (tmp_path / "log.txt").read_text()
    assert secret not in (tmp_path / "provenance.json").read_text()


def test_a_product_is_not_overwritten_by_accident(run, era5_files):
    run("--input=given_*.grib")
    with pytest.raises(Exception, match="exists, but overwrite=False"):
        run("--input=given_*.grib")
    run("--input=given_*.grib", "--overwrite")


def test_the_shipped_configuration_names_only_what_there_is():
    configuration = yaml.safe_load((ROOT / "config/tools/retrieve_meteo_data.yaml").read_text())
    own = configuration.pop("RetrieveMeteoData")
    assert configuration == {}
    assert own
    for name, value in own.items():
        assert RetrieveMeteoData.class_traits(config=True)[name].default_value == value


def test_help_imports_nothing_that_is_slow():
    """What only the work needs is imported by the work."""
    code = "from calibpipe.tools.retrieve_meteo_data import main; main()"
    command = [sys.executable, "-X", "importtime", "-c", code, "--help"]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--night" in process.stdout
    imported = {line.split("|")[-1].strip().split(".")[0] for line in process.stderr.splitlines()}
    assert "traitlets" in imported
    assert not imported & {"cfgrib", "eccodes", "xarray", "pandas", "cdsapi", "numba", "matplotlib"}


@pytest.mark.realdata
def test_real_era5_of_the_south(run, shared_data):
    path = shared_data / "meteo/era5_paranal_2023-01-20.grib"
    content = run(f"--input={path}", site=SOUTH, night="2023-01-19")
    assert content["dataset"] == "ERA5"
    assert content["release"] == "final"
    assert len(content["pressure_in_hPa"]) == 37
    assert content["files"][0]["sha256"] == sha256(path)


@pytest.mark.realdata
def test_real_gfs_of_the_north(run, shared_data):
    path = shared_data / "meteo/gfs_global_2p5deg_2011-01-15.grib2"
    north = ROOT / "config/sites/CTAO-North.yaml"
    content = run(f"--input={path}", "--category=B", site=north, night="2011-01-14")
    assert content["dataset"] == "GDAS"
    assert content["humidity"] == "relative"
    assert len(content["pressure_in_hPa"]) == 26

"""The Tool for CO2: every way a number can come, a server that misbehaves, exit codes."""

import os
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import yaml
from ctapipe.core import run_tool

from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    InsufficientStatisticsError,
    MissingInputError,
)
from calibpipe.core.products import content_hash, read_table
from calibpipe.tools.calculate_macobac import KIND, CalculateMacobac

NIGHT = "2023-06-20"
PPM = 1e-6


def record(first="2020-01", number=42, base=400.0):
    """NOAA's layout; the value of month i is `base` + i, so that any mean is plain."""
    lines = ["year,month,decimal date,average,deseasonalized,ndays,sdev,unc"]
    for i, month in enumerate(np.datetime64(first, "M") + np.arange(number)):
        year, name = str(month).split("-")
        value = f"{base + i:.2f}"
        lines.append(f"{year},{name},2020.0,{value},{value},25,0.5,0.2")
    return "\n".join(lines) + "\n"


# June 2023 is month 41 from January 2020: the mean of 30..41 is 35.5.
MEAN = 435.5 * PPM


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TQDM_DISABLE", "1")


@contextmanager
def http_server(answers):
    """Server on 127.0.0.1: path -> (status, type, body), or None for no answer at all."""
    asked, closing = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if answers[self.path] is None:
                closing.wait(10)
                return
            status, kind, body = answers[self.path]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def run(root, tmp_path):
    """Run the Tool; returns the product's row and its own header."""

    def run_it(*options, night=NIGHT, urls=None):
        argv = [f"--site={root}/config/sites/CTAO-North.yaml", f"--night={night}"]
        argv += [f"--output={tmp_path}/macobac.ecsv", "--overwrite", *options]
        argv += ["--CalculateMacobac.tries=1", "--CalculateMacobac.timeout=0.3"]
        argv += [f"--CalculateMacobac.urls={url}" for url in urls or ()]
        if urls:
            argv += ["--online", f"--cache={tmp_path}/cache"]
        run_tool(CalculateMacobac(), argv=argv, cwd=tmp_path, raises=True)
        table = read_table(tmp_path / "macobac.ecsv", KIND)
        assert len(table) == 1
        return table[0], table.meta["calibpipe"]

    return run_it


def test_given_file(run, tmp_path):
    (tmp_path / "co2.csv").write_text(record(number=60))
    row, header = run(f"--input={tmp_path}/co2.csv")
    assert float(row["co2_mole_fraction"]) == pytest.approx(MEAN, rel=1e-12)
    assert (row["first_month"], row["last_month"], row["n_months"]) == ("2022-07", "2023-06", 12)
    assert (row["method"], row["source"]) == ("measured", "co2.csv")
    assert (header["age_in_days"], header["calendar_months"]) == (0, 12)
    assert [entry["role"] for entry in header["inputs"]] == ["site", "monthly_co2"]
    assert header["validity"]["begin_utc"] == "2023-06-20T11:00:00.000"
    assert 0 < float(row["stat_error"]) < 1e-12 < float(row["sys_error"]) < 2 * PPM


def test_same_input_gives_the_same_content(run, tmp_path):
    (tmp_path / "co2.csv").write_text(record())
    run(f"--input={tmp_path}/co2.csv")
    first = content_hash(tmp_path / "macobac.ecsv")
    run(f"--input={tmp_path}/co2.csv")
    assert content_hash(tmp_path / "macobac.ecsv") == first


def test_an_old_record_is_used_with_its_age_and_a_warning(run, tmp_path, capsys):
    (tmp_path / "co2.csv").write_text(record(number=24))
    row, header = run(f"--input={tmp_path}/co2.csv")
    assert (row["last_month"], header["age_in_days"]) == ("2021-12", 536)
    assert float(row["sys_error"]) == pytest.approx(np.hypot(0.3, 2.5 * 2) * PPM, rel=0.02)
    assert "the record ends 536 days before the night" in capsys.readouterr().err


def test_without_record_and_network_the_last_known_value(run, capsys):
    row, _ = run()
    assert float(row["co2_mole_fraction"]) == 424.61e-6
    assert row["method"] == "last_known"
    assert "NOAA" in row["source"]
    assert (row["first_month"], row["last_month"]) == ("2024-01", "2024-12")
    # From the middle of 2024 back to June 2023: 1.03 years.
    assert float(row["sys_error"]) == pytest.approx(np.hypot(0.3, 2.5 * 1.03) * PPM, rel=0.01)
    assert "no record of CO2 could be had, the error has grown" in capsys.readouterr().err


def test_offline_tries_no_network(run):
    with http_server({"/co2.csv": (200, "text/csv", record())}) as (url, asked):
        row, _ = run("--offline", f"--CalculateMacobac.urls={url}/co2.csv")
    assert row["method"] == "last_known"
    assert asked == []


def test_download(run, tmp_path):
    with http_server({"/co2.csv": (200, "text/csv", record())}) as (url, asked):
        row, _ = run(urls=[f"{url}/co2.csv"])
        assert float(row["co2_mole_fraction"]) == pytest.approx(MEAN, rel=1e-12)
        assert (row["method"], row["source"]) == ("measured", f"{url}/co2.csv")
        again, _ = run(urls=[f"{url}/co2.csv"])
    assert asked == ["/co2.csv"], "a cached record that reaches the night is not fetched again"
    assert (again["method"], again["source"]) == ("cached", "co2.csv")
    assert again["co2_mole_fraction"] == row["co2_mole_fraction"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["co2.csv"]


def this_month(months=0):
    return (datetime.now(UTC).date().replace(day=1) - timedelta(days=28 * months)).isoformat()


@pytest.mark.parametrize("months", [0, 1])
def test_months_that_no_record_holds_yet_are_asked_for_once_a_day(run, tmp_path, months):
    """Every night of the month would fetch the same file again."""
    last = np.datetime64("today", "M") - np.timedelta64(3, "M")
    text = record(first=str(last - np.timedelta64(29, "M")), number=30)
    with http_server({"/co2.csv": (200, "text/csv", text)}) as (url, asked):
        first, _ = run(urls=[f"{url}/co2.csv"], night=this_month(months))
        again, _ = run(urls=[f"{url}/co2.csv"], night=this_month(months))
        assert (first["method"], again["method"]) == ("measured", "cached")
        assert again["source"] == "co2.csv"
        assert again["last_month"] == first["last_month"] == str(last)
        assert len(asked) == 1
        yesterday = time.time() - 86401
        os.utime(tmp_path / "cache/co2.csv", (yesterday, yesterday))
        run(urls=[f"{url}/co2.csv"], night=this_month(months))
        assert len(asked) == 2


def test_a_record_that_is_not_of_the_address_does_not_stop_the_download(run, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/copied.csv").write_text(record(first="2020-01", number=24))
    with http_server({"/co2.csv": (200, "text/csv", record())}) as (url, asked):
        row, _ = run(urls=[f"{url}/co2.csv"], night=this_month())
    assert asked == ["/co2.csv"]
    assert row["method"] == "measured"


def test_older_nights_are_worth_a_download(run, tmp_path):
    """A month that a newer record may hold: a fresh file that does not is no reason to wait."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/co2.csv").write_text(record(number=36))
    with http_server({"/co2.csv": (200, "text/csv", record())}) as (url, asked):
        row, _ = run(urls=[f"{url}/co2.csv"])
    assert asked == ["/co2.csv"]
    assert row["last_month"] == "2023-06"


BAD = {
    "404": ((404, "text/plain", "not here"), "404"),
    "500": ((500, "text/plain", "broken"), "500"),
    "web page": ((200, "text/html", "<html><title>Login</title></html>"), "web page"),
    "web page as csv": ((200, "text/csv", "<html><title>Login</title></html>"), "web page"),
    "other text": ((200, "text/csv", "under maintenance"), "no monthly CO2"),
    "too short": ((200, "text/csv", record(number=7)), "needs 12 measured months"),
    "silence": (None, "no answer within 0.3 s"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_server_never_blocks_the_product(run, kind, capsys):
    answer, said = BAD[kind]
    with http_server({"/co2.csv": answer}) as (url, asked):
        row, _ = run(urls=[f"{url}/co2.csv"])
    assert asked
    assert row["method"] == "last_known"
    assert float(row["co2_mole_fraction"]) == 424.61e-6
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("kind", BAD)
def test_the_second_address_is_tried(run, kind):
    answers = {"/co2.csv": BAD[kind][0], "/other.csv": (200, "text/csv", record())}
    with http_server(answers) as (url, asked):
        row, _ = run(urls=[f"{url}/co2.csv", f"{url}/other.csv"])
    assert asked == ["/co2.csv", "/other.csv"]
    assert (row["method"], row["source"]) == ("measured", f"{url}/other.csv")


def test_no_server_at_all_and_an_old_cache(run, tmp_path, capsys):
    """The newest record is the one with the last month; rubbish is passed over."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "newer.csv").write_text(record(number=36))
    (cache / "older.csv").write_text(record(number=30))
    (cache / "rubbish.csv").write_text("<html>")
    with http_server({}) as (url, _):
        pass  # nobody listens there any more
    row, _ = run(urls=[f"{url}/co2.csv"])
    assert (row["method"], row["source"]) == ("cached", "newer.csv")
    assert (row["first_month"], row["last_month"]) == ("2022-01", "2022-12")
    said = capsys.readouterr().err
    assert "rubbish.csv: no monthly CO2" in said
    assert "CO2: download of http://127.0.0.1" in said


def test_a_cached_record_is_replaced_only_by_a_good_one(run, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "co2.csv").write_text(record(number=36))
    with http_server({"/co2.csv": BAD["web page"][0]}) as (url, _):
        row, _ = run(urls=[f"{url}/co2.csv"])
    assert (row["method"], row["last_month"]) == ("cached", "2022-12")
    assert (cache / "co2.csv").read_text() == record(number=36)
    with http_server({"/co2.csv": (200, "text/csv", record())}) as (url, _):
        row, _ = run(urls=[f"{url}/co2.csv"])
    assert (row["method"], row["last_month"]) == ("measured", "2023-06")


def test_secrets_of_an_address_are_in_no_product(run, tmp_path):
    with http_server({"/co2.csv?key=secret": (200, "text/csv", record())}) as (url, _):
        address = url.replace("//", "//user:password@") + "/co2.csv?key=secret"
        row, _ = run(urls=[address])
    assert (row["method"], row["source"]) == ("measured", f"{url}/co2.csv")


def test_shipped_configuration_is_the_default(root):
    shipped = yaml.safe_load((root / "config/tools/calculate_macobac.yaml").read_text())
    assert "online" not in shipped["CalculateMacobac"]  # the workflow always says it
    tool = CalculateMacobac()
    assert {key: getattr(tool, key) for key in shipped["CalculateMacobac"]} == shipped[
        "CalculateMacobac"
    ]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, MissingInputError, r"co2\.csv does not exist: give a record"),
        ("<html>", CorruptedInputError, r"co2\.csv: no monthly CO2 in a text of 6 characters"),
        (record(number=5), InsufficientStatisticsError, "got 5 in a record of 5"),
    ],
)
def test_a_given_file_that_cannot_be_used_is_an_error(run, tmp_path, text, error, message):
    if text is not None:
        (tmp_path / "co2.csv").write_text(text)
    with pytest.raises(error, match=message):
        run(f"--input={tmp_path}/co2.csv")
    assert not (tmp_path / "macobac.ecsv").exists()


def test_exit_code_of_a_missing_file(root, tmp_path):
    argv = [f"--site={root}/config/sites/CTAO-North.yaml", f"--night={NIGHT}"]
    argv += [f"--output={tmp_path}/macobac.ecsv", "--input=nowhere.csv"]
    assert run_tool(CalculateMacobac(), argv=argv, cwd=tmp_path, raises=False) == 105


def test_online_needs_a_cache(run):
    with pytest.raises(ConfigurationError, match="--online needs --cache"):
        run("--online")


def test_night_that_is_none(run):
    with pytest.raises(ConfigurationError, match="'2023-02-30' is no night"):
        run(night="2023-02-30")

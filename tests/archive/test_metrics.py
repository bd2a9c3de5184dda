"""Metrics over time, through the archive."""

import subprocess
import sys
from pathlib import Path

import pytest
from ctapipe.core import ToolConfigurationError, run_tool
from products import at

from calibpipe.archive.history import products
from calibpipe.archive.metrics import KIND, VALUE, metric_rows, metrics, store_metrics
from calibpipe.core.exceptions import ConfigurationError, InsufficientStatisticsError
from calibpipe.tools.history import History


def record(night, median, product_id, telescope="LSTN-01"):
    """Verification record as calibpipe-verify writes it."""
    entry = {
        **{"id": "CAM-02", "mode": "internal", "metric": "flat_field_residual", "unit": ""},
        **{"limits": [-0.02, 0.02], "informative": False, "result": "PASS", "median": median},
        **{"minimum": -0.1, "maximum": 0.1, "n_elements": 3710, "n_failing": 7},
        **{"n_groups": 2, "n_failing_groups": 0},
    }
    begin = f"{night}T21:46:02.861"
    return {
        "calibpipe": {
            **{"site": "CTAO-North", "category": "C", "night": night},
            "validity": {"begin_tai": begin, "begin_utc": f"{night}T21:45:25.861"},
        },
        "content": {
            "product": {
                **{"id": product_id, "kind": "camera/coefficients"},
                **{"array_element": telescope, "block": "OBSID5"},
            },
            "verdict": "PASS",
            "criteria": [entry, entry | {"id": "CAM-11", "result": "NOT APPLICABLE"}],
        },
    }


def test_trend_over_nights(archive):
    for night, value in (("2024-07-11", 0.2), ("2024-07-10", 0.1)):
        store_metrics(archive, metric_rows(record(night, value, f"product of {night}")))
    rows = metrics(archive, criterion="CAM-02")
    assert [(r["night"], r["median"], r["n_failing"]) for r in rows] == [
        ("2024-07-10", 0.1, 7),
        ("2024-07-11", 0.2, 7),
    ]
    assert metrics(archive, criterion="CAM-11") == []  # there was nothing to compare with
    assert metrics(archive, array_element="LSTN-02") == []
    assert [r["median"] for r in metrics(archive, at(24))] == [0.2]
    assert [r["median"] for r in metrics(archive, None, at(24))] == [0.1]


def test_the_same_again_and_verified_anew(archive):
    rows = metric_rows(record("2024-07-10", 0.1, "one product"))
    assert store_metrics(archive, rows) == store_metrics(archive, rows)
    assert len(products(archive, kind=KIND)) == 1
    store_metrics(archive, metric_rows(record("2024-07-10", 0.3, "one product")))
    assert [r["median"] for r in metrics(archive)] == [0.3]


def test_values_of_the_product_with_their_errors(sqlite_archive):
    document = record("2024-07-10", 0.1, "one product")
    value = {"quantity": "gain", "value": 80.0, "stat_error": 0.5, "sys_error": None}
    value |= {"unit": "ADC / p.e.", "array_element": None}
    document["content"]["values"] = [value, value | {"value": 8.0, "array_element": "LSTN-02"}]
    store_metrics(sqlite_archive, metric_rows(document))
    names = ("metric", "array_element", "value", "stat_error", "sys_error", "unit", "verdict")
    found = [row for row in metrics(sqlite_archive) if row["mode"] == VALUE]
    assert [[row[name] for name in names] for row in found] == [
        ["gain", "LSTN-01", 80.0, 0.5, None, "ADC / p.e.", "PASS"],
        ["gain", "LSTN-02", 8.0, 0.5, None, "ADC / p.e.", "PASS"],
    ]
    assert [row["value"] for row in metrics(sqlite_archive, criterion="CAM-02")] == [None]


def test_nothing_determined_is_kept_as_such(sqlite_archive):
    document = record("2024-07-10", None, "one product")
    store_metrics(sqlite_archive, metric_rows(document))
    assert metrics(sqlite_archive)[0]["median"] is None


def test_an_unknown_site(sqlite_archive):
    document = record("2024-07-10", 0.1, "one product")
    document["calibpipe"]["site"] = "CTAO-South"
    with pytest.raises(ConfigurationError, match="no site CTAO-South"):
        store_metrics(sqlite_archive, metric_rows(document))


def test_trend_is_drawn(sqlite_archive, tmp_path):
    for night, value in (("2024-07-11", 0.2), ("2024-07-10", 0.1)):
        store_metrics(sqlite_archive, metric_rows(record(night, value, f"product of {night}")))
    asked = [f"--archive={tmp_path / 'archive'}", "--trend=CAM-02"]
    figure = tmp_path / "figures/trend.svg"
    assert run_tool(History(), [*asked, f"--figure={figure}"], raises=True) == 0
    drawn = figure.read_text()
    assert all(f">{text}</text>" in drawn for text in ("LSTN-01", "flat field residual"))
    with pytest.raises(InsufficientStatisticsError, match="no value of CAM-99"):
        run_tool(History(), [asked[0], "--trend=CAM-99", f"--figure={figure}"], raises=True)
    for more in (["--figure=trend.txt", "--trend=CAM-02"], [f"--figure={figure}"]):
        with pytest.raises(ToolConfigurationError, match="--figure"):
            run_tool(History(), [asked[0], *more], raises=True)


def test_reading_starts_no_thread(sqlite_archive):
    """Threads of pyarrow abort the program at its end, now and then."""
    store_metrics(sqlite_archive, metric_rows(record("2024-07-10", 0.1, "product")))
    (table,) = Path(sqlite_archive.location).rglob("verification_metrics_*.parquet")
    code = (
        "import sys; from pathlib import Path; from calibpipe.archive import metrics;"
        "tasks = lambda: len(list(Path('/proc/self/task').iterdir())); before = tasks();"
        "rows = metrics._read(Path(sys.argv[1])).num_rows; print(rows, tasks() - before)"
    )
    command = [sys.executable, "-c", code, str(table)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.split() == ["1", "0"]

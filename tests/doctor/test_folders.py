"""Folders that cannot be written or are not there, DL0 in and out of its place."""

from calibpipe.doctor import folders
from calibpipe.doctor.finding import Level
from calibpipe.doctor.folders import data_roots, dl0_root, requested_nights, write_access

ENOUGH = 1e-9


def levels(findings):
    return [found.level.value for found in findings]


def test_folders_to_be_made_in_one_that_can_be_written(tmp_path):
    found = list(write_access({"results": tmp_path / "new/results"}, ENOUGH))
    assert levels(found) == ["OK"]
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_a_folder_that_nobody_can_write():
    """Not even root makes a file in /proc."""
    (found,) = write_access({"results": folders.Path("/proc/results")}, ENOUGH)
    assert (found.level, found.exit_code) == (Level.FAIL, 102)
    assert "results /proc/results cannot be written: " in found.what


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "results").write_text("")
    assert levels(write_access({"results": tmp_path / "results"}, ENOUGH)) == ["FAIL"]


def test_little_space(tmp_path, monkeypatch):
    (found,) = write_access({"results": tmp_path}, 1e12)
    assert found.level is Level.WARNING
    assert "should be 1e+12 GB" in found.what
    monkeypatch.setattr(folders, "LEAST_SPACE", 1e12)
    (found,) = write_access({"results": tmp_path}, 1e12)
    assert (found.level, found.exit_code) == (Level.FAIL, 102)


def test_roots_that_are_missing(config, tmp_path):
    config["meteo"]["source"] = "files"
    dl2, monitoring, meteo = data_roots(config, tmp_path)
    assert (dl2.level, dl2.exit_code) == (Level.FAIL, 105)
    assert monitoring.level is Level.WARNING  # a night goes on without
    assert meteo.level is Level.FAIL
    for name in ("dl2", "monitoring", "cache/meteo"):
        (tmp_path / name).mkdir(parents=True)
    assert levels(data_roots(config, tmp_path)) == ["OK"] * 3
    config["meteo"]["source"] = config["dl2"]["source"] = "simulation"
    config["domains"] = ["array", "atmosphere"]
    assert levels(data_roots(config, tmp_path / "none")) == ["OK"] * 3


def test_dl0_by_night(config, tmp_path):
    telescopes = ["LSTN-01", "LSTN-02"]

    def told():
        return list(dl0_root(config, tmp_path, telescopes))

    (found,) = told()
    assert (found.level, found.exit_code, found.what) == (
        Level.FAIL,
        105,
        f"there is no {tmp_path}/data",
    )
    (tmp_path / "data/LSTN-01").mkdir(parents=True)
    assert "has no folder DL0" in told()[0].what
    (tmp_path / "data/DL0/LSTN-01/2024/07/10").mkdir(parents=True)  # not the schema
    assert "has nothing of LSTN-01, LSTN-02" in told()[0].what
    events = tmp_path / "data/DL0/LSTN-01/ctao/acada-adh/events"
    for name in ("2024/07/09", "2024/07/10", "2024/02/30", "old/07/10"):
        (events / name).mkdir(parents=True)
    without, newest = told()
    assert without.what == "no DL0 of LSTN-02"
    assert newest.what.endswith("2 nights of 2 telescopes, newest 2024-07-10")
    config["nights"] = {"first": "2024-07-10", "last": "2024-07-12"}
    assert told()[-1].what == "no DL0 of 2024-07-11, 2024-07-12, which nights asks for"
    config["dl0"]["source"] = "simulation"
    assert levels(told()) == ["OK"]


def test_requested_nights():
    assert requested_nights("2024-07-10") == {"2024-07-10"}
    assert requested_nights(["2024-07-10", "2024-07-12"]) == {"2024-07-10", "2024-07-12"}
    spanned = requested_nights({"first": "2024-02-28", "last": "2024-03-01"})
    assert spanned == {"2024-02-28", "2024-02-29", "2024-03-01"}

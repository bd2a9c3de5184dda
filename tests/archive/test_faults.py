"""kill -9 in the middle, and several writers at a time."""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lsst.daf.butler import Butler
from products import OFFSET, SIGNED, TEL_IDS, at, candidate, hours, product, value_of
from writer import REFUSED, Writer, certifying, headers, importing

from calibpipe.archive.certify import certify
from calibpipe.archive.history import changes, products
from calibpipe.archive.lookup import certified, lookup, product_path
from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive, open_archive
from calibpipe.archive.transfer import export_products
from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.files import sha256


def certified_by(archive, folder, begin, end, supersede=False):
    return Writer(certifying, archive.location, folder, begin, end, supersede)


def killed(rng, writer):
    """Kill a writer within the time that it needs at most; whether it had ended before."""
    writer.opened()
    time.sleep(rng.uniform(0, 0.15))
    return writer.kill()


def state(archive, seen=frozenset()):
    """Products with their files and validities; each of them has all three or is not there.

    Files of products that were `seen` are not read again.
    """
    rows = {r["id"]: r for r in products(archive, kind=OFFSET)}
    layers = archive.layers("CTAO-North", None)
    valid = {str(c.product_id) for c in certified(archive, OFFSET, layers)}
    done = {r["product_id"] for r in changes(archive, kind=OFFSET)}
    assert set(rows) == valid == done
    for identifier in set(rows) - seen:
        row = rows[identifier]
        path = product_path(archive, identifier)
        assert sha256(path) == row["sha256"]
    return valid


def nights(tmp_path, number):
    """Folders with the products of four telescopes each."""
    for night in range(number):
        folder = tmp_path / f"night{night}"
        for name in TEL_IDS:
            product(folder, float(night), telescope=name)
        yield night, folder


def kill_and_complete(archive, tmp_path, number):
    rng = random.Random(20241124)
    unharmed = 0
    after = state(archive)
    for night, folder in nights(tmp_path, number):
        before = after = state(archive, after)
        span = 10 * night, 10 * night + 10
        unharmed += killed(rng, certified_by(archive, folder, *span))
        after = state(archive, before)
        assert before <= after
        assert len(after - before) in (0, 4)
        assert certified_by(archive, folder, *span).ended() == 0
        assert len(state(archive, after)) == 4 * (night + 1)
        found = lookup(archive, OFFSET, "CTAO-North", at(span[0]), telescope="LSTN-03")
        assert value_of(archive, found) == night
    assert unharmed < number  # some were killed in the middle


def test_killed_while_it_certifies(archive, tmp_path):
    kill_and_complete(archive, tmp_path, 15)


@pytest.mark.slow
def test_killed_while_it_certifies_100_times(archive, tmp_path):
    """Half of them with SQLite, half with PostgreSQL."""
    kill_and_complete(archive, tmp_path, 50)


def test_killed_while_it_imports(sqlite_archive, tmp_path, north):
    """Nothing of an import that is killed is there, or all of it."""
    for night, folder in nights(tmp_path, 3):
        made = [candidate(h, hours(10 * night, 10 * night + 10)) for h in headers(folder)]
        certify(sqlite_archive, made, **SIGNED)
    layers = sqlite_archive.layers("CTAO-North", None)
    export_products(sqlite_archive, certified(sqlite_archive, OFFSET, layers), tmp_path / "export")
    rng = random.Random(7)
    for attempt in range(15):
        other = init_archive(tmp_path / f"other{attempt}")
        upload_site(other, north, TEL_IDS)
        killed(rng, Writer(importing, other.location, tmp_path / "export"))
        assert len(state(other)) in (0, 12)
        assert Writer(importing, other.location, tmp_path / "export").ended() == 0
        assert state(other) == state(sqlite_archive)


def test_four_writers_lose_nothing(archive, tmp_path):
    """Each certifies its own night; writers of SQLite wait for each other."""
    jobs = [
        certified_by(archive, folder, 10 * night, 10 * night + 10)
        for night, folder in nights(tmp_path, 4)
    ]
    assert [job.ended() for job in jobs] == [0] * 4
    assert len(state(open_archive(archive.location))) == 16


def test_four_writers_for_the_same_time(archive, tmp_path):
    """One wins, the database refuses the others."""
    jobs = [certified_by(archive, folder, 0, 10) for _, folder in nights(tmp_path, 4)]
    assert sorted(job.ended() for job in jobs) == [0, REFUSED, REFUSED, REFUSED]
    assert len(state(open_archive(archive.location))) == 4


def test_four_writers_supersede_each_other(archive, tmp_path):
    """All are certified, on top of each other, in a chain that is in order."""
    jobs = [certified_by(archive, folder, 0, 10, True) for _, folder in nights(tmp_path, 4)]
    assert [job.ended() for job in jobs] == [0] * 4
    again = open_archive(archive.location)
    assert len(state(again)) == 16
    layers = again.layers("CTAO-North", "C")
    assert layers == [f"CTAO-North/C/layer-{n:04d}" for n in (4, 3, 2, 1)]
    chain = again.butler.collections.get_info("CTAO-North/C").children
    assert list(chain) == layers


def test_the_butler_command_works_on_it(sqlite_archive, tmp_path):
    """Rubin's own command line reads the repository, without anything of ours but the formatter."""
    certify(sqlite_archive, [candidate(product(tmp_path / "made", 1), hours(1, 2))], **SIGNED)
    butler = Path(sys.executable).with_name("butler")

    def told(*arguments):
        done = subprocess.run(
            [butler, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    collections = told("query-collections", sqlite_archive.location)
    assert "CTAO-North/C/layer-0001" in collections
    datasets = told("query-datasets", sqlite_archive.location, "timing_array_offset")
    assert "CTAO-North/C/2024-07-10/" in datasets
    assert "layer-0001" in told(
        "query-collections", sqlite_archive.location, "--collection-type", "CALIBRATION"
    )


def test_archive_whose_making_was_killed_is_made(postgresql, tmp_path, north):
    """Its tables are in PostgreSQL, its folder is not there yet."""
    database = postgresql.new_database("unfinished")
    shutil.rmtree(init_archive(tmp_path / "archive", database).location)
    with pytest.raises(ConfigurationError, match="say --if-missing"):
        init_archive(tmp_path / "archive", database)
    archive = init_archive(tmp_path / "archive", database, unfinished=True)
    upload_site(archive, north, TEL_IDS)
    with pytest.raises(ConfigurationError, match="that is in use: name its folder"):
        init_archive(tmp_path / "other", database, unfinished=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive"]


def test_folder_of_an_archive_is_whole_or_absent(tmp_path, monkeypatch):
    """Butler writes its configuration before it makes the tables."""

    def killed(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Butler, "_make_repo_registry", killed)
    with pytest.raises(KeyboardInterrupt):
        init_archive(tmp_path / "archive")
    assert not list(tmp_path.iterdir())

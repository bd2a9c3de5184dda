"""What is written in bulk is what Butler writes; how much it does not grow with the archive."""

import shutil
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy
from astropy.time import Time
from lsst.daf.butler import CollectionType, DatasetRef, FileDataset
from products import OFFSET, SIGNED, SITE_KIND, TEL_IDS, candidate, hours, product

from calibpipe.archive.bulk import certify_intervals, ingest, no_other_certifies
from calibpipe.archive.certify import certify
from calibpipe.archive.repository import open_archive
from calibpipe.archive.sqlite import sqlite_file

LAYER = "CTAO-North/C/layer-0001"
WHEN = [hours(0, 10), hours(10, 20)]


def rows(archive):
    """Every table of the database, without the order and time in which its rows were made."""
    with closing(sqlite3.connect(sqlite_file(archive.location))) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found = {}
        for (name,) in names:
            made = "id" if name.startswith("dataset_calibs") else "ingest_date"
            table = database.execute(f'SELECT * FROM "{name}"')
            columns = [column[0] for column in table.description]
            kept = [k for k, column in enumerate(columns) if column != made]
            found[name] = sorted(repr([row[k] for k in kept]) for row in table)
        return found


def files(archive):
    return {
        path.relative_to(archive.location): path.read_bytes()
        for path in (archive.location / "CTAO-North").rglob("*.*")
    }


def refs(archive, folder):
    """Products of two nights: of each telescope, and of the site."""
    made = []
    for night in range(2):
        run = f"CTAO-North/C/2024-07-1{night}/content"
        archive.butler.collections.register(run, CollectionType.RUN)
        wanted = [(OFFSET, {"telescope": n}, name) for name, n in TEL_IDS.items()]
        for kind, key, name in [*wanted, (SITE_KIND, {}, "")]:
            header = product(folder, 10.0 * night, kind=kind, telescope=name)
            where = archive.butler.registry.expandDataId({"site": "CTAO-North", **key})
            ref = DatasetRef(archive.dataset_type(kind), where, run, id=header.product_id)
            made.append((header.path, ref, WHEN[night]))
    return made


def test_the_same_as_butler(sqlite_archive, tmp_path):
    shutil.copytree(sqlite_archive.location, tmp_path / "other")
    ours, theirs = sqlite_archive, open_archive(tmp_path / "other", writeable=True)
    for archive in (ours, theirs):
        archive.add_layer("CTAO-North", "C", 1)
    made = refs(ours, tmp_path / "made")
    assert [ref for _, ref, _ in made] == [ref for _, ref, _ in refs(theirs, tmp_path / "made")]
    theirs.butler.ingest(*(FileDataset(str(path), ref) for path, ref, _ in made), transfer="copy")
    for interval in WHEN:
        certified = [ref for _, ref, when in made if when == interval]
        theirs.butler.registry.certify(LAYER, certified, interval.timespan)
    with ours.butler.transaction():
        ingest(ours.butler, [(path, ref) for path, ref, _ in made])
        with no_other_certifies(ours.butler, {ref.datasetType.name for _, ref, _ in made}):
            for name in sorted({ref.datasetType.name for _, ref, _ in made}):
                members = [(ref, when) for _, ref, when in made if ref.datasetType.name == name]
                certify_intervals(ours.butler, name, LAYER, members)
    assert rows(ours) == rows(theirs)
    with closing(sqlite3.connect(sqlite_file(ours.location))) as database:
        ((date,),) = database.execute("SELECT DISTINCT ingest_date FROM dataset")
    assert abs(date / 1e9 - Time.now().unix_tai) < 600
    assert files(ours) == files(theirs)
    assert len(files(ours)) == len(made) == 10


def test_copies_are_taken_back(archive, tmp_path, monkeypatch):
    """Nothing stays of what was copied before a failure: a file that is not there, the database."""
    made = [(path, ref) for path, ref, _ in refs(archive, tmp_path / "made")]
    absent = [(path.with_name("absent.json"), ref) for path, ref in made[-1:]]
    with pytest.raises(FileNotFoundError), archive.butler.transaction():
        ingest(archive.butler, made[:-1] + absent)
    assert not files(archive)
    header = product(tmp_path, 1)
    monkeypatch.setattr("calibpipe.archive.certify.certify_intervals", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        certify(archive, [candidate(header, WHEN[0])], **SIGNED)
    assert not files(archive)
    assert archive.butler.get_dataset(header.product_id) is None


@pytest.fixture
def instructions():
    """Function that tells how many instructions SQLite has needed so far."""
    number = 0

    def count():
        nonlocal number
        number += 1

    def watch(_, cursor, *__):
        cursor.connection.set_progress_handler(count, 1)

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", watch)
    yield lambda: number
    sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", watch)


def nights(folder, first, number):
    return [
        candidate(product(folder, float(n), telescope=name), hours(24 * n, 24 * n + 24))
        for n in range(first, first + number)
        for name in TEL_IDS
    ]


def test_a_night_is_no_more_work_in_a_larger_archive(sqlite_archive, tmp_path, instructions):
    certify(sqlite_archive, nights(tmp_path, 0, 10), **SIGNED)
    needed = []
    for number in (1, 60, 1):
        made = nights(tmp_path, 10 + len(needed) * 60, number)
        before = instructions()
        certify(sqlite_archive, made, **SIGNED)
        needed.append(instructions() - before)
    assert needed[2] <= 1.05 * needed[0]

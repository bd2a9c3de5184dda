"""The cluster, a database with a password, nights that use both."""

import os
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # cluster, servers

from cluster.night import ROOT, SETTINGS, SWIFT, WHOLE, Night
from cluster.slurm import PACKAGES, Slurm, missing
from servers.postgresql import USER, PostgreSQL, programs

PASSWORD = "night-sky-background-0815"


@pytest.fixture(scope="session")
def slurm():
    """A cluster of two nodes; where it cannot be made, in CI a failure, elsewhere skipped."""
    reason = ""
    if os.geteuid() != 0:
        reason = "SLURM on loopback is started by root"
    elif missing():
        reason = f"no {', '.join(missing())}: install Debian's {' '.join(PACKAGES)}"
    if reason and os.environ.get("CI"):
        pytest.fail(f"{reason}; in CI that is a failure")
    if reason:
        pytest.skip(reason)
    cluster = Slurm()
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory):
    """A server that asks for a password, and a file that has it."""
    if programs() is None:
        pytest.skip("no PostgreSQL: install Debian's package postgresql")
    server = PostgreSQL(programs(), password=PASSWORD)
    server.passwords = tmp_path_factory.mktemp("home") / "pgpass"
    server.passwords.write_text(f"127.0.0.1:{server.port}:*:{USER}:{PASSWORD}\n")
    server.passwords.chmod(0o600)
    yield server
    server.close()


@pytest.fixture(scope="session")
def on_one_machine(tmp_path_factory):
    """The undisturbed night: that of `make demo` if all of it is asked for, else a new one."""
    demo = Night(ROOT / "demo", settings=WHOLE)
    if SETTINGS is WHOLE and (demo.folder / "results").is_dir():
        code, told = demo.run("--dry-run")
        if code == 0 and "Nothing to be done" in told:
            return demo
    night = Night(tmp_path_factory.mktemp("one_machine"), settings=SETTINGS)
    code, told = night.run()
    assert code == 0, told
    return night


@pytest.fixture(scope="session")
def new_night(slurm, postgresql, tmp_path_factory):
    """Function that gives a night, to be run through SLURM, with an archive in PostgreSQL."""

    def make(profile, settings):
        night = Night(tmp_path_factory.mktemp("night"))
        night.options = (f"--profile={ROOT}/profiles/{profile}", *SWIFT[profile])
        night.environment = slurm.environment | {"PGPASSFILE": str(postgresql.passwords)}
        database = postgresql.new_database(f"night{uuid.uuid4().hex}")
        archive = {"location": "calibration_archive", "database": database}
        night.settings = settings | {"archive": archive}
        return night

    return make

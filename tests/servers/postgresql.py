"""A real PostgreSQL on 127.0.0.1, from Debian's package, in a folder of its own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg2

USER = "calibpipe"


def programs() -> Path | None:
    """Folder with initdb and pg_ctl, the newest version; None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class PostgreSQL:
    """Server that lives until `close`; PostgreSQL refuses root, so it runs as user postgres."""

    def __init__(self, programs: Path, password: str = ""):
        self._programs = programs
        self.password = password
        self.folder = Path(tempfile.mkdtemp(prefix="calibpipe-postgresql-"))
        self._account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self.port = _free_port()
        if self._account:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        (self.folder / "password").write_text(password or "unused")
        (self.folder / "password").chmod(0o644)
        method = "scram-sha-256" if password else "trust"
        options = [f"--auth={method}", f"--username={USER}", "--no-sync", "--encoding=UTF8"]
        self._run("initdb", *options, f"--pwfile={self.folder / 'password'}")
        self.start()

    def start(self) -> None:
        """Start it, wait until it answers."""
        settings = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "start", "-w", "-o", settings, "-l", str(self.folder / "log"))

    def stop(self) -> None:
        """Stop it at once."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def kill(self) -> None:
        """All of its processes at once, as when the machine loses its power."""
        parent = int((self.folder / "data/postmaster.pid").read_text().split()[0])
        os.kill(parent, signal.SIGSTOP)  # it starts no other one meanwhile
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(parent)],
            check=False,
            capture_output=True,
            text=True,
        )
        processes = [parent, *map(int, listed.stdout.split())]
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        last = time.monotonic() + 30
        while any(map(_runs, processes)) and time.monotonic() < last:
            time.sleep(0.05)
        # In a container nobody may collect a dead parent: PostgreSQL would take it for alive.
        for lock in (self.folder / "data/postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            lock.unlink()

    def close(self) -> None:
        """Stop it and remove its folder."""
        if (self.folder / "data/postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self, name: str) -> str:
        """Address of a new, empty database."""
        self.execute("postgres", f'CREATE DATABASE "{name}"')
        self.execute(name, "CREATE EXTENSION btree_gist")
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def copied_database(self, template: str, name: str) -> str:
        """Address of a new database like another one, whose connections are ended."""
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname"
        self.execute("postgres", f"{ended} = '{template}'")
        self.execute("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def execute(self, database: str, statement: str) -> None:
        """Run a statement outside of a transaction."""
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            dbname=database,
            password=self.password or None,
        )
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def _run(self, program: str, *options: str) -> None:
        command = [str(self._programs / program), "-D", str(self.folder / "data"), *options]
        account = {}
        if self._account:
            account = {"user": self._account.pw_uid, "group": self._account.pw_gid}
        done = subprocess.run(
            command,
            check=False,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **account,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")


def _runs(pid: int) -> bool:
    """Whether a process has not ended; one that nobody has collected has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

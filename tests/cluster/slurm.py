"""A real SLURM on one machine: controller, accounting, nodes on loopback; Debian's packages, root.

Everything lives in one folder and ends with `Slurm.close`. SLURM's own client tools find it by
``SLURM_CONF``; the steps that Snakemake's plugin starts inside a job do not get that variable, so
that ``/etc/slurm/slurm.conf`` is a link to ours meanwhile. A machine that has one is refused.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from .processes import alive, children, end, free_ports, wait_for

PACKAGES = (
    *("slurmctld", "slurmd", "slurm-client", "munge"),
    *("slurmdbd", "mariadb-server", "slurm-wlm-mysql-plugin"),  # accounting
)
PROGRAMS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd", "sbatch", "sacct")
SYSTEM_CONF = Path("/etc/slurm/slurm.conf")
SILENT_IN_S = 10  # a node that is silent for so long is down

SLURM_CONF = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# nodes claim more than this machine has: the file counts
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,sched_min_interval=0
SlurmctldTimeout=30
SlurmdTimeout={silent}
InactiveLimit=0
KillWait=2
MinJobAge=3600
JobRequeue=1
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/run/munge.socket
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 State=UP
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
    "CPUs=2 RealMemory=8000 State=UNKNOWN"
)
SLURMDBD_CONF = """
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={dbd_port}
SlurmUser=root
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=root
StorageLoc=slurm_acct_db
"""


def missing() -> list[str]:
    """Programs that are not installed."""
    return [name for name in PROGRAMS if not _program(name)]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Slurm:
    """The cluster; nodes can be killed and brought back."""

    def __init__(self, nodes: int = 2):
        if SYSTEM_CONF.exists() or SYSTEM_CONF.is_symlink():
            raise RuntimeError(
                f"{SYSTEM_CONF} is there: this machine has a SLURM of its own, or one of a test "
                "that was killed; if it is a broken link, remove it"
            )
        self.folder = Path(tempfile.mkdtemp(prefix="calibpipe-slurm-"))
        self.nodes = [f"n{k + 1}" for k in range(nodes)]
        self._foreground: list[subprocess.Popen] = []
        try:
            self._configure()
            self._start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Cancel what runs, stop every daemon, remove every trace."""
        if self._pid("slurmctld"):
            self.run("scancel", "--user=root", check=False)
        for name in (*(f"slurmd-{node}" for node in self.nodes), "slurmctld", "slurmdbd"):
            self._stop(name)
        for process in reversed(self._foreground):
            end(process.pid)
            process.wait()
        self._stop("munged")
        if SYSTEM_CONF.is_symlink() and SYSTEM_CONF.readlink() == self._conf:
            SYSTEM_CONF.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which the client tools find it."""
        return {"SLURM_CONF": str(self._conf)}

    def run(self, program: str, *options: str, check: bool = True) -> str:
        """Output of one of SLURM's own tools."""
        done = subprocess.run(
            [_program(program), *options],
            check=False,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise RuntimeError(f"{program} {' '.join(options)}: {done.stdout}{done.stderr}")
        return done.stdout

    def jobs(self, folder: Path) -> list[dict[str, str]]:
        """Jobs of a working folder, as the accounting has them."""
        fields = ("jobid", "state", "nodelist", "reqmem", "timelimit", "elapsed", "workdir")
        text = self.run("sacct", "-X", "-n", "-P", f"--format={','.join(fields)}")
        jobs = [dict(zip(fields, line.split("|"), strict=True)) for line in text.splitlines()]
        return [job for job in jobs if job["workdir"] == str(folder)]

    def busy_nodes(self) -> list[str]:
        """Nodes with a running job."""
        return sorted(set(self.run("squeue", "-h", "-t", "R", "-o", "%N").split()))

    def kill_node(self, name: str) -> None:
        """Power off: its daemon and everything that it started, with SIGKILL."""
        daemon = self._pid(f"slurmd-{name}")
        jobs = self.run("squeue", "-h", "-w", name, "-o", "%A").split()
        steps = [pid for job in jobs for pid in _step_daemons(job)]
        for pid in (daemon, *steps):
            for process in (pid, *children(pid)):
                _kill(process)
        self._pid_file(f"slurmd-{name}").unlink(missing_ok=True)

    def start_node(self, name: str) -> None:
        """Bring a node up."""
        (self.folder / "spool" / name).mkdir(parents=True, exist_ok=True)
        self._daemon(f"slurmd-{name}", "slurmd", "-N", name)

    def wait_until_idle(self) -> None:
        """Wait for all nodes."""

        def states() -> set[str]:
            return set(self.run("sinfo", "-h", "-N", "-o", "%T", check=False).split())

        wait_for(lambda: states() == {"idle"}, f"nodes of SLURM: {states()}", seconds=60)

    @property
    def _conf(self) -> Path:
        return self.folder / "etc/slurm.conf"

    def _configure(self) -> None:
        for name in ("etc", "run", "log", "state", "spool"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        (self.folder / "run").chmod(0o755)
        host = socket.gethostname().partition(".")[0]
        ctld, dbd, self._sql_port, *ports = free_ports(3 + len(self.nodes))
        values = {"folder": self.folder, "host": host, "ctld_port": ctld, "dbd_port": dbd}
        nodes = [
            NODE.format(name=name, host=host, port=port)
            for name, port in zip(self.nodes, ports, strict=True)
        ]
        self._conf.write_text(
            SLURM_CONF.format(nodes="\n".join(nodes), silent=SILENT_IN_S, **values)
        )
        accounting = self.folder / "etc/slurmdbd.conf"
        accounting.write_text(SLURMDBD_CONF.format(sql_port=self._sql_port, **values))
        accounting.chmod(0o600)
        key = self.folder / "etc/munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        SYSTEM_CONF.parent.mkdir(exist_ok=True)
        SYSTEM_CONF.symlink_to(self._conf)

    def _start(self) -> None:
        run = self.folder / "run"
        munge = (
            f"--key-file={self.folder}/etc/munge.key",
            f"--socket={run}/munge.socket",
            f"--pid-file={run}/munged.pid",
            f"--seed-file={run}/munge.seed",
            f"--log-file={self.folder}/log/munged.log",
        )
        self._daemon("munged", "munged", *munge)
        self._database()
        self._daemon("slurmdbd", "slurmdbd")
        add = ("sacctmgr", "-i", "add")
        wait_for(
            lambda: (
                "loopback" in self.run("sacctmgr", "-n", "-P", "list", "cluster", check=False)
                or self.run(*add, "cluster", "loopback", check=False) is None
            ),
            "slurmdbd does not know the cluster",
        )
        self.run(*add, "account", "calib", "Cluster=loopback")
        self.run(*add, "user", "root", "Account=calib", "Cluster=loopback", check=False)
        self._daemon("slurmctld", "slurmctld")
        for name in self.nodes:
            self.start_node(name)
        self.wait_until_idle()

    def _database(self) -> None:
        """MariaDB for the accounting: root over TCP without password, on loopback."""
        data, run = self.folder / "mysql", self.folder / "run"
        common = ("--no-defaults", "--user=root", f"--datadir={data}")
        install = ("--auth-root-authentication-method=normal", "--skip-test-db")
        subprocess.run(["mariadb-install-db", *common, *install], check=True, capture_output=True)
        options = (
            f"--socket={run}/mysql.sock",
            f"--port={self._sql_port}",
            "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=128M",
            "--innodb-lock-wait-timeout=900",
            "--innodb-flush-log-at-trx-commit=0",
        )
        with (self.folder / "log/mariadb.log").open("w") as log:
            self._foreground.append(
                subprocess.Popen(
                    [_program("mariadbd"), *common, *options],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        wait_for((run / "mysql.sock").exists, f"mariadbd, see {log.name}", seconds=60)

    def _daemon(self, name: str, program: str, *options: str) -> None:
        """A program that puts itself into the background and writes its number."""
        self._pid_file(name).unlink(missing_ok=True)
        log = self.folder / f"log/{name}.start.log"
        with log.open("w") as stream:
            subprocess.run(
                [_program(program), *options],
                check=False,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        wait_for(lambda: self._pid(name), f"{name} does not start: {log.read_text()}", seconds=30)

    def _pid_file(self, name: str) -> Path:
        return self.folder / f"run/{name}.pid"

    def _pid(self, name: str) -> int | None:
        path = self._pid_file(name)
        text = path.read_text().strip() if path.exists() else ""
        return int(text) if text and alive(int(text)) else None

    def _stop(self, name: str) -> None:
        if pid := self._pid(name):
            end(pid, *children(pid))


def _step_daemons(job: str) -> list[int]:
    """Processes ``slurmstepd: [job.step]`` of a job."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended
        if title.startswith(f"slurmstepd: [{job}."):
            found.append(int(path.parent.name))
    return found


def _kill(pid: int) -> None:
    if alive(pid):
        os.kill(pid, signal.SIGKILL)

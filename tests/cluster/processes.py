"""Processes and ports of this machine, by /proc."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def children(pid: int) -> list[int]:
    """All that a process started, and what they started."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
        parents.setdefault(parent, []).append(int(path.parent.name))
    found, front = [], [pid]
    while front:
        front = [child for parent in front for child in parents.get(parent, [])]
        found += front
    return found


def end(*pids: int, seconds: float = 10.0) -> None:
    """Ask processes to end; those that do not are killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in filter(alive, pids):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        last = time.monotonic() + seconds
        while any(map(alive, pids)) and time.monotonic() < last:
            time.sleep(0.05)


def wait_for(is_so: Callable[[], object], complaint: str, seconds: float = 30.0) -> None:
    """Wait until something is so."""
    last = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > last:
            raise TimeoutError(f"not within {seconds:.0f} s: {complaint}")
        time.sleep(0.1)


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens to."""
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports

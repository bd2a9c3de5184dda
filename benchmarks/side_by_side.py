"""What the benchmarks share: children alone on one thread, and the peer in its own environment.

The peer, ctao-calibpipe, has the same package name as we: it lives under ``.bench/peer``, which is
made at the first run.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEER = "ctao-calibpipe==0.8.0"
PEER_FOLDER = ROOT / ".bench/peer"


@dataclass
class Run:
    """What one child process printed and what it cost."""

    answer: dict
    cpu: float  # seconds, user and system, with interpreter and imports
    peak_rss: float  # MiB


def peer_environment() -> Path:
    """Interpreter of the peer's own environment, made if it is not there or not complete."""
    python = PEER_FOLDER / "bin/python"
    test = [python, "-I", "-c", "import molecularprofiles, calibpipe.tools.atmospheric_base_tool"]
    if python.exists():
        done = subprocess.run(test, check=False, capture_output=True, cwd=PEER_FOLDER)
        if done.returncode == 0:
            return python
    say(f"installing {PEER} into {PEER_FOLDER.relative_to(ROOT)}")
    shutil.rmtree(PEER_FOLDER, ignore_errors=True)
    if uv := shutil.which("uv"):
        commands = [
            [uv, "venv", "--quiet", "--python", sys.executable, PEER_FOLDER],
            [uv, "pip", "install", "--quiet", "--python", python, PEER],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", PEER_FOLDER],
            [python, "-m", "pip", "install", "--quiet", PEER],
        ]
    for command in commands:
        subprocess.run(command, check=True)
    subprocess.run(test, check=True, capture_output=True, cwd=PEER_FOLDER)
    return python


def run(command: list, folder: Path, answers: bool = True) -> Run:
    """Run a child alone, on one thread, and take its resources from the kernel."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV_"))
    }
    environment |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    environment["CTAPIPE_IO_ZFITS_NO_SERVICE_DATA"] = "1"  # nothing is downloaded
    with (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as err:
        child = subprocess.Popen(
            [str(part) for part in command], cwd=folder, stdout=out, stderr=err, env=environment
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if child.returncode:
            sys.exit(f"benchmark: {command[:4]} failed\n{out.read()[-2000:]}\n{err.read()[-4000:]}")
        text = out.read()
    scale = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss: bytes there, KiB here
    answer = json.loads(text.strip().splitlines()[-1]) if answers else {}
    return Run(answer, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale)


def say(message: str) -> None:
    print(f"... {message}", file=sys.stderr, flush=True)

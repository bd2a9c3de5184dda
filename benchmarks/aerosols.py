"""Aerosols and clouds: the LIDAR's and the all-sky camera's night, and clear nights with the peer.

.venv/bin/python benchmarks/aerosols.py          # a minute
.venv/bin/python benchmarks/aerosols.py --quick  # a tenth
"""

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np
from side_by_side import ROOT, peer_environment, run

RESULTS = ROOT / "benchmarks/results/aerosols.json"
WORKER = ROOT / "benchmarks/our_aerosols.py"
PEER_WORKER = ROOT / "benchmarks/peer_aerosols.py"
ERROR, IMAGES = 0.002, 50  # of the optical depth of an image; in a night


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    part = 10 if parser.parse_args().quick else 1
    report = {"machine": f"{platform.machine()}, Python {platform.python_version()}"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        nights = folder / "nights.npz"
        simulate_nights(nights, 2000 // part)
        ours = [sys.executable, "-I", WORKER]
        report["lidar"] = run([*ours, "lidar", 600 // part, 4000], folder).answer
        report["clear"] = {
            "ours": run([*ours, "clear_nights", nights], folder).answer,
            "peer": run([peer_environment(), "-I", PEER_WORKER, nights], folder).answer,
        }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(page(report))
    print(f"\nall numbers: {RESULTS.relative_to(ROOT)}")


def simulate_nights(path: Path, n: int) -> None:
    """Nights of FRAM with a VAOD of 0.02: constant, of varying air, with too much aerosol."""
    rng = np.random.default_rng(1)
    noise = ERROR * rng.normal(size=(n, IMAGES))
    np.savez(
        path,
        kinds=["constant", "varying", "hazy"],
        error=ERROR,
        constant=0.02 + noise,
        varying=0.02 + 0.01 * rng.normal(size=(n, IMAGES)) + noise,
        hazy=0.05 + noise,
    )


def page(report: dict) -> str:
    """The numbers to look at."""
    lidar, clear = report["lidar"], report["clear"]
    lines = [
        report["machine"],
        f"LIDAR, {lidar['profiles']} profiles at {lidar['wavelengths']} nm: "
        f"{lidar['cpu']:.1f} s of CPU (limit 10 for 600), "
        f"depth known in {lidar['known']:.0%}, rms error {lidar['rms']:.4f}",
        "called clear of nights that are      ours    peer",
    ]
    for kind in clear["ours"]:
        lines.append(f"    {kind:30s} {clear['ours'][kind]:6.1%}  {clear['peer'][kind]:6.1%}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

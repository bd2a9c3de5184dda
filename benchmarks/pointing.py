"""Star tracking: 100 variance images of an LST with two stars, ours against the peer's.

.venv/bin/python benchmarks/pointing.py    # half a minute
"""

import json
import platform
import sys
import tempfile
from pathlib import Path

from side_by_side import ROOT, peer_environment, run, say

RESULTS = ROOT / "benchmarks/results/pointing.json"
WORKER = ROOT / "benchmarks/our_pointing.py"
PEER_WORKER = ROOT / "benchmarks/peer_pointing.py"
NEEDED, QUERY = 20, 0.3  # ratio, seconds


def main() -> None:
    peer_python = peer_environment()
    report = {"machine": f"{platform.machine()}, Python {platform.python_version()}"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images, subarray = folder / "images.npz", folder / "subarray.h5"
        worker = [sys.executable, "-I", WORKER]
        say("images of two stars, our tracking")
        report["stars"] = run([*worker, "make", images, subarray], folder).answer
        report["ours"] = run([*worker, "track", images], folder).__dict__
        say("the peer's reconstruction and fit")
        report["peer"] = run([peer_python, "-I", PEER_WORKER, images, subarray], folder).__dict__
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(page(report))
    print(f"\nall numbers: {RESULTS.relative_to(ROOT)}")


def page(report: dict) -> str:
    """Numbers as text."""
    ours, peer = report["ours"]["answer"], report["peer"]["answer"]
    ratio = peer["cpu"] / ours["cpu"]
    lines = [
        f"Star tracking ({report['machine']}), CPU seconds of 100 images and two stars",
        "",
        f"  {'reconstruction and fit':<28}{ours['cpu']:>9.3f}   peer {peer['cpu']:.2f}: "
        f"{ratio:.0f} times (needed {NEEDED})",
    ]
    for label, key in (("query of stars, the first", "query_first"), ("the next", "query")):
        lines.append(f"  {label:<28}{ours[key]:>9.3f}   peer {peer[key]:.3f} (needed {QUERY:g} s)")
    for name, found in (("ours", ours), ("peer", peer)):
        values = ", ".join(
            f"{off:+.1f} +- {error:.1f}"
            for off, error in zip(found["off"], found["error"], strict=True)
        )
        lines.append(f"  {name}: dlon, dlat less the truth {values} arcsec")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

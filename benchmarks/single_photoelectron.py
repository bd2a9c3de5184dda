"""Single photoelectrons: our fit against the peer's, on the same spectra of 600 bins.

The likelihood of both optima is the exact one; MIGRAD minimises it, too, from elsewhere.

    .venv/bin/python benchmarks/single_photoelectron.py          # 1855 pixels, of the peer 6
    .venv/bin/python benchmarks/single_photoelectron.py --quick  # 128 pixels, of the peer 2
"""

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

from side_by_side import ROOT, peer_environment, run, say

RESULTS = ROOT / "benchmarks/results/single_photoelectron.json"
WORKER = ROOT / "benchmarks/our_single_photoelectron.py"
PEER_WORKER = ROOT / "benchmarks/peer_single_photoelectron.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few pixels")
    n_ours, n_theirs = (128, 2) if parser.parse_args().quick else (1855, 6)
    peer_python = peer_environment()
    report = {"machine": f"{platform.machine()}, Python {platform.python_version()}"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spectra, ours, theirs = (folder / f"{name}.npz" for name in ("spectra", "ours", "theirs"))
        worker = [sys.executable, "-I", WORKER]
        say(f"{n_ours} spectra, our fits")
        run([*worker, "make", spectra, n_ours], folder)
        report["ours"] = run([*worker, "fit", spectra, ours], folder).__dict__
        say(f"the peer's fits of {n_theirs} of them, and MIGRAD on our likelihood")
        peer = [peer_python, "-I", PEER_WORKER, spectra, ours, theirs, n_theirs]
        report["peer"] = run(peer, folder).__dict__
        report["deviance"] = run([*worker, "compare", spectra, ours, theirs], folder).answer
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(page(report, n_ours, n_theirs))
    print(f"\nall numbers: {RESULTS.relative_to(ROOT)}")


def page(report: dict, n_ours: int, n_theirs: int) -> str:
    """Numbers as text."""
    ours, peer, found = report["ours"]["answer"], report["peer"]["answer"], report["deviance"]
    cost = peer["cpu_per_pixel"]
    lines = [f"Single photoelectrons ({report['machine']}), CPU seconds a pixel of 600 bins", ""]
    for label, key in (
        ("shape given (our Tool), with errors", "cpu_per_pixel"),
        ("seven parameters, two starts", "cpu_per_pixel_all_free"),
    ):
        lines.append(
            f"  {label:<40}{ours[key]:>9.4f}   peer {cost:.2f}: {cost / ours[key]:.0f} times"
        )
    lines += [
        f"  MIGRAD on our likelihood {peer['migrad_per_pixel']:.2f}",
        "",
        f"good: ours {ours['good']} of {n_ours}, peer {peer['valid']} of {n_theirs}",
        f"gain over true: ours {1 + ours['gain_bias']:.4f} +- {ours['gain_rms']:.4f} a pixel, "
        f"peer {found['peer_gain_over_true']}",
        "exact deviance at the optimum, seven parameters free",
    ]
    return "\n".join(
        [*lines, *(f"  {name:<8}{found[name]}" for name in ("ours", "migrad", "peer"))]
    )


if __name__ == "__main__":
    main()

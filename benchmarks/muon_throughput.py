"""Muon throughput of one LST, ours against ctapipe's muon analysis and the peer's Tools.

DL0 muon events to throughput, and throughput and point spread function from the fitted rings of a
night. ctapipe-process runs in the peer's environment, as the peer's users have it.

    .venv/bin/python benchmarks/muon_throughput.py          # 1000 muons, 200 000 rings
    .venv/bin/python benchmarks/muon_throughput.py --quick  # 60 muons, 10 000 rings
"""

import argparse
import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from side_by_side import ROOT, Run, peer_environment, run, say

RESULTS = ROOT / "benchmarks/results/muon_throughput.json"
WORKER = ROOT / "benchmarks/our_muon_throughput.py"
PEER_WORKER = ROOT / "benchmarks/peer_muon_throughput.py"
SITE = ROOT / "config/sites/CTAO-North.yaml"
NIGHT = ("--site", SITE, "--night", "2024-07-10")
PYTHON = sys.executable
WINDOW = ("window_width=12", "window_shift=5", "apply_integration_correction=False")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few events and rings")
    quick = parser.parse_args().quick
    n_muons, n_rings = (60, 10_000) if quick else (1000, 200_000)
    peer_python = peer_environment()
    report = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "n_muons": n_muons,
        "n_rings": n_rings,
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        calibrate(folder)
        report["events"] = of_events(folder, n_muons, peer_python)
        report["memory"] = memory(folder, n_muons)
        report["rings"] = of_rings(folder, n_rings, peer_python)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(page(report))
    print(f"\nall numbers: {RESULTS.relative_to(ROOT)}")


def ours(folder: Path, name: str, *options: object) -> Run:
    """One of our Tools, as a process."""
    code = f"from calibpipe.tools.{name} import main; main()"
    command = [PYTHON, "-I", "-c", code, *options, "--overwrite", "--quiet"]
    return run(command, folder, answers=False)


def our_functions(folder: Path, name: str, *options: object) -> float:
    """CPU seconds of one of our Tools without start-up."""
    return run([PYTHON, "-I", WORKER, "tool", name, *options], folder).answer["cpu"]


def simulate(folder: Path, name: str, **numbers: int) -> tuple[Path, Path]:
    """DL0 of LSTN-01 and the truth of its muons; always the same camera."""
    output = folder / name
    ours(
        folder,
        "produce_camcalib_test_data",
        *NIGHT,
        *("--tel-id", 1, "--seed", 1, "--output-folder", output),
        *(f"--ProduceCamcalibTestData.{key}={value}" for key, value in numbers.items()),
    )
    (dl0,) = output.glob("DL0/LSTN-01/**/TEL*.fits.fz")
    return dl0, next(output.glob("truth/**/*.muon_truth.ecsv"), None)


def calibrate(folder: Path) -> None:
    """Statistics and coefficients, of a block of calibration events of the same night."""
    say("calibration of the camera")
    dl0, _ = simulate(folder, "calibration", n_flatfield=500, n_pedestal=500)
    statistics, coefficients = folder / "statistics.h5", folder / "coefficients.h5"
    sizes = [f"--CalculatePixelStatistics.{k}_chunk_size=500" for k in ("flatfield", "pedestal")]
    ours(
        folder,
        "calculate_pixel_statistics",
        *(*NIGHT, "--category", "B", "--input", dl0, "--output", statistics, *sizes),
    )
    ours(
        folder,
        "calculate_camcalib_coefficients",
        *(*NIGHT, "--category", "B", "--input", statistics, "--output", coefficients),
    )
    shutil.rmtree(folder / "calibration")


def rings_options(folder: Path, dl0: Path) -> list:
    """Options of our Tool that fits rings."""
    options = ["--input", dl0, "--output", folder / "rings.h5"]
    options += ["--coefficients", folder / "coefficients.h5"]
    return [*NIGHT, *options, "--statistics", folder / "statistics.h5"]


def of_events(folder: Path, n_muons: int, peer_python: Path) -> dict:
    """DL0 to throughput."""
    say(f"DL0 of {n_muons} muons")
    dl0, truth = simulate(folder, "muons", n_flatfield=0, n_pedestal=0, n_muon=n_muons)
    air = folder / "rayleigh_extinction.ecsv"
    run([PYTHON, "-I", WORKER, "air", truth, air], folder)
    rings = [*rings_options(folder, dl0), "--extinction", air]
    throughput = [*NIGHT, "--input", folder / "rings.h5", "--output", folder / "throughput.h5"]
    throughput += ["--MuonRingsTool.min_rings=5"]
    say("our functions, our Tools")
    tools = {"calculate_muon_rings": rings, "calculate_throughput_muon": throughput}
    functions = {
        name: our_functions(folder, name.removeprefix("calculate_"), *options)
        for name, options in tools.items()
    }
    start_up = sum(ours(folder, name, "--help").cpu for name in tools)
    whole = {name: ours(folder, name, *options).__dict__ for name, options in tools.items()}
    found = {"size": dl0.stat().st_size, "functions": functions}
    found["ours"] = whole | {"start_up": start_up}
    say("ctapipe-process and the peer's throughput")
    found["theirs"] = their_chain(folder, dl0, peer_python)
    products = (folder / "throughput.h5", folder / "theirs.h5", truth)
    found["found"] = run([PYTHON, "-I", WORKER, "found", *products], folder).answer
    shutil.rmtree(folder / "muons")
    return found


def their_chain(folder: Path, dl0: Path, peer_python: Path) -> dict:
    """CPU seconds of ctapipe-process, then of the peer's Tool, each a process."""
    process, throughput = (
        peer_python.parent / name
        for name in ("ctapipe-process", "calibpipe-calculate-throughput-muon")
    )
    start_up = sum(run([t, "--help"], folder, answers=False).cpu for t in (process, throughput))
    command = [
        *(process, "--input", dl0, "--output", folder / "theirs.h5"),
        "--monitoring-source=HDF5MonitoringSource",
        f"--HDF5MonitoringSource.input_files={folder / 'coefficients.h5'}",
        "--CameraCalibrator.image_extractor_type=GlobalPeakWindowSum",
        *(f"--GlobalPeakWindowSum.{option}" for option in WINDOW),
        "--ImageProcessor.image_cleaner_type=TailcutsImageCleaner",
        "--TailcutsImageCleaner.picture_threshold_pe=10",
        "--TailcutsImageCleaner.boundary_threshold_pe=5",
        "--EventTypeFilter.allowed_types=MUON",
        *("--write-muon-parameters", "--no-write-images", "--no-write-parameters"),
        *("--overwrite", "--quiet"),
    ]
    processed = run(command, folder, answers=False)
    one_chunk = "--SizeChunking.chunk_size=None"
    command = [throughput, "--input", folder / "theirs.h5", one_chunk, "--quiet"]
    return {
        "process": processed.__dict__,
        "throughput": run(command, folder, answers=False).__dict__,
        "start_up": start_up,
    }


def memory(folder: Path, n_muons: int) -> dict:
    """Peak memory of our rings for a file and for one of three times its length."""
    found = {}
    for n in (n_muons, 3 * n_muons):
        say(f"memory, {n} muons")
        dl0, _ = simulate(folder, "memory", n_flatfield=0, n_pedestal=0, n_muon=n)
        options = rings_options(folder, dl0)
        found[str(n)] = ours(folder, "calculate_muon_rings", *options).peak_rss
        shutil.rmtree(folder / "memory")
    return found


def of_rings(folder: Path, n_rings: int, peer_python: Path) -> dict:
    """Throughput and point spread function of the rings of a night."""
    say(f"tables of {n_rings} rings")
    run([PYTHON, "-I", WORKER, "make_rings", folder, n_rings], folder)
    found = {}
    # ctapipe's table has no errors of widths, which our point spread function wants
    for name, own in (("throughput", "ctapipe.h5"), ("psf", "ours.h5")):
        say(f"{name} of rings")
        options = [*NIGHT, "--input", folder / own, "--output", folder / f"{name}.h5"]
        theirs = folder / "theirs_of_rings.h5"
        shutil.copy(folder / "ctapipe.h5", theirs)
        chunks = [f"--SizeChunking.chunk_size={500 if name == 'throughput' else None}"]
        in_peer = [peer_python, "-I", PEER_WORKER, name, theirs, *chunks]
        command = [peer_python.parent / f"calibpipe-calculate-{name}-muon", "--input", theirs]
        found[name] = {
            "ours": our_functions(folder, f"{name}_muon", *options),
            "peer": run(in_peer, folder).answer["cpu"],
            "our_tool": ours(folder, f"calculate_{name}_muon", *options).__dict__,
            "peer_tool": run([*command, *chunks, "--quiet"], folder, answers=False).__dict__,
        }
    return found


def page(report: dict) -> str:
    """Tables as text."""
    lines = [f"Muon throughput of one LST ({report['machine']}), CPU seconds", ""]

    def row(label: str, mine: float, theirs: float) -> None:
        lines.append(f"{label:<58}{mine:>9.2f}{theirs:>9.2f}{theirs / mine:>8.1f}")

    events = report["events"]
    mine, theirs, functions = events["ours"], events["theirs"], events["functions"]
    tools = [mine[name] for name in functions]
    processes = [theirs[name] for name in ("process", "throughput")]
    lines.append(f"{report['n_muons']} muons, DL0 to throughput{'ours':>40}{'theirs':>9}   ratio")
    whole, of_theirs = (sum(entry["cpu"] for entry in part) for part in (tools, processes))
    row(
        "  our functions; their processes less --help",
        *(sum(functions.values()), of_theirs - theirs["start_up"]),
    )
    row("  processes less --help", whole - mine["start_up"], of_theirs - theirs["start_up"])
    row("  whole processes", whole, of_theirs)
    row(
        "  peak memory, MiB",
        *(max(entry["peak_rss"] for entry in part) for part in (tools, processes)),
    )
    lines += [
        f"  ours: rings {functions['calculate_muon_rings']:.2f}, throughput "
        f"{functions['calculate_throughput_muon']:.2f}; theirs: ctapipe-process "
        f"{processes[0]['cpu']:.1f}, peer {processes[1]['cpu']:.1f}, start-up "
        f"{theirs['start_up']:.1f} of both",
        f"  true throughput {events['found']['truth']:g}",
    ]
    for side in ("ours", "theirs"):
        values = events["found"][side]
        systematic = f" +- {values['sys_error']:.4f} (sys)" if "sys_error" in values else ""
        lines.append(
            f"  {side:<7} {values['throughput']:.4f} +- {values['stat_error']:.4f} (stat)"
            f"{systematic}, {values['n_rings']} rings"
        )
    lines += ["", f"memory of our rings by events of the file, MiB: {report['memory']}", ""]
    lines.append(f"{report['n_rings']} fitted rings{'ours':>49}{'peer':>9}   ratio")
    for name, found in report["rings"].items():
        row(f"  {name}, functions", found["ours"], found["peer"])
        row(f"  {name}, whole processes", *(found[k]["cpu"] for k in ("our_tool", "peer_tool")))
        row(
            f"  {name}, peak memory, MiB",
            *(found[k]["peak_rss"] for k in ("our_tool", "peer_tool")),
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

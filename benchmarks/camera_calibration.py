"""Camera calibration of one LST: DL0 to coefficients, ours against ctapipe's tools and the peer's.

Same DL0 file in, same statistics out. ctapipe-process and ctapipe-calculate-pixel-statistics are
those of our environment, the coefficients on their side come from the peer, in its own.

    .venv/bin/python benchmarks/camera_calibration.py          # 2000 events, 1000 chunks
    .venv/bin/python benchmarks/camera_calibration.py --quick  # 200 events, 50 chunks
"""

import argparse
import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from side_by_side import ROOT, peer_environment, run, say

RESULTS = ROOT / "benchmarks/results/camera_calibration.json"
WORKER = ROOT / "benchmarks/our_camera_calibration.py"
PEER_WORKER = ROOT / "benchmarks/peer_camera_calibration.py"
SITE = ROOT / "config/sites/CTAO-North.yaml"
NIGHT = ("--site", SITE, "--night", "2024-07-10", "--category", "B")
PYTHON = sys.executable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the events and chunks")
    quick = parser.parse_args().quick
    n_events, n_chunks = (100, 50) if quick else (1000, 1000)
    peer_python = peer_environment()
    report = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "n_events": 2 * n_events,
        "n_chunks": n_chunks,
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        report["files"] = {
            compression: one_file(folder, compression, n_events, peer_python)
            for compression in ("raw", "fact")
        }
        report["memory"] = memory(folder, n_events)
        report["chunks"] = many_chunks(folder, n_chunks, peer_python)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(page(report))
    print(f"\nall numbers: {RESULTS.relative_to(ROOT)}")


def tool(name: str, *options: object) -> list:
    """Command of one of our Tools."""
    code = f"from calibpipe.tools.{name} import main; main()"
    return [PYTHON, "-I", "-c", code, *options, "--quiet"]


def simulate(folder: Path, name: str, compression: str, n_events: int) -> tuple[Path, float]:
    """DL0 with as many flat fields as pedestals, and the CPU seconds of its making.

    Without what the process needs for two events, which is start-up and reading compiled code.
    """
    output = folder / name

    def simulated(number: int) -> float:
        command = tool(
            "produce_camcalib_test_data",
            *NIGHT[:4],
            *("--tel-id", 1, "--n-flatfield", number, "--n-pedestal", number),
            *("--seed", 1, "--output-folder", output, "--overwrite"),
            f"--ProduceCamcalibTestData.compression={compression}",
        )
        return run(command, folder, answers=False).cpu

    start_up = simulated(1)
    cpu = simulated(n_events) - start_up
    (path,) = output.glob("DL0/LSTN-01/**/TEL*.fits.fz")
    return path, cpu


def one_file(folder: Path, compression: str, n_events: int, peer_python: Path) -> dict:
    say(f"DL0 of {2 * n_events} events, {compression}")
    dl0, simulation = simulate(folder, compression, compression, n_events)
    chunk = n_events // 2
    say("protozfits alone, our functions, our Tools")
    functions = run([PYTHON, "-I", WORKER, "events", dl0, str(chunk)], folder)
    ours = our_tools(folder, dl0, chunk)
    say("ctapipe-process, ctapipe-calculate-pixel-statistics, the peer's coefficients")
    theirs = their_tools(folder, dl0, chunk, peer_python)
    compare = [PYTHON, "-I", WORKER, "compare", folder / "ours.h5", folder / "theirs.h5"]
    compare += [folder / "our_coefficients.h5"]
    differences = run(compare, folder).answer
    size = dl0.stat().st_size
    shutil.rmtree(folder / compression)
    return {
        "size": size,
        "simulation_cpu": simulation,
        "functions": functions.answer,
        "ours": ours,
        "theirs": theirs,
        "differences": differences,
    }


def our_tools(folder: Path, dl0: Path, chunk: int) -> dict:
    """CPU seconds of our two Tools, with the settings of the others: no baseline, clip at 4."""
    statistics = run(
        tool(
            "calculate_pixel_statistics",
            *NIGHT,
            *("--input", dl0, "--output", folder / "ours.h5", "--overwrite"),
            f"--CalculatePixelStatistics.flatfield_chunk_size={chunk}",
            f"--CalculatePixelStatistics.pedestal_chunk_size={chunk}",
            "--CalculatePixelStatistics.max_sigma=4.0",
            "--CalculatePixelStatistics.n_baseline_events=0",
        ),
        folder,
        answers=False,
    )
    coefficients = run(
        tool(
            "calculate_camcalib_coefficients",
            *NIGHT,
            *("--input", folder / "ours.h5", "--output", folder / "our_coefficients.h5"),
            "--overwrite",
            "--CalculateCamcalibCoefficients.squared_quadratic_noise=0.0",
        ),
        folder,
        answers=False,
    )
    return {
        "statistics": statistics.cpu,
        "coefficients": coefficients.cpu,
        "peak_rss": max(statistics.peak_rss, coefficients.peak_rss),
    }


def their_tools(folder: Path, dl0: Path, chunk: int, peer_python: Path) -> dict:
    """CPU seconds of ctapipe's tools and the peer's, each a process."""
    window = ("window_width=12", "apply_integration_correction=False")
    kinds = {
        "SKY_PEDESTAL": ("FixedWindowSum", "peak_index=18", "window_shift=6", *window),
        "FLATFIELD": ("LocalPeakWindowSum", "window_shift=5", *window),
    }
    cost = dict.fromkeys(("process", "statistics", "merge", "coefficients"), 0.0)
    start_up, rss = 0.0, []

    def step(part: str, command: list) -> None:
        nonlocal start_up
        start_up += run([command[0], "--help"], folder, answers=False).cpu
        done = run(command, folder, answers=False)
        cost[part] += done.cpu
        rss.append(done.peak_rss)

    tables = []
    for kind, (extractor, *options) in kinds.items():
        dl1 = folder / f"{kind}.dl1.h5"
        step(
            "process",
            [
                *(Path(PYTHON).parent / "ctapipe-process", "--input", dl0, "--output", dl1),
                f"--CameraCalibrator.image_extractor_type={extractor}",
                *(f"--{extractor}.{option}" for option in options),
                f"--EventTypeFilter.allowed_types={kind}",
                "--CameraCalibrator.invalid_pixel_handler_type=None",
                *("--write-images", "--no-write-parameters", "--overwrite", "--quiet"),
            ],
        )
        for column in ("image", "peak_time")[: 2 if kind == "FLATFIELD" else 1]:
            tables.append(folder / f"{kind}_{column}.h5")
            step(
                "statistics",
                [
                    Path(PYTHON).parent / "ctapipe-calculate-pixel-statistics",
                    *("--input_url", dl1, "--output_path", tables[-1], "--overwrite", "--quiet"),
                    f"--PixelStatisticsCalculatorTool.input_column_name={column}",
                    "--PixelStatisticsCalculator.stats_aggregator_type=SigmaClippingAggregator",
                    f"--SizeChunking.chunk_size={chunk}",
                ],
            )
    merge = [Path(PYTHON).parent / "ctapipe-merge", "--attach-monitoring", "--overwrite"]
    step("merge", [*merge, "--quiet", "--output", folder / "theirs.h5", *tables])
    peer_tool = peer_python.parent / "calibpipe-calculate-camcalib-coefficients"
    step("coefficients", [peer_tool, "--input_url", folder / "theirs.h5", "--quiet"])
    return cost | {"start_up": start_up, "peak_rss": max(rss)}


def memory(folder: Path, n_events: int) -> dict:
    """Peak memory of our statistics for a file and for one of three times its length."""
    found = {}
    for factor in (1, 3):
        say(f"memory, {2 * factor * n_events} events")
        dl0, _ = simulate(folder, "memory", "fact", factor * n_events)
        found[str(2 * factor * n_events)] = our_tools(folder, dl0, n_events // 2)["peak_rss"]
        shutil.rmtree(folder / "memory")
    return found


def many_chunks(folder: Path, n_chunks: int, peer_python: Path) -> dict:
    """Coefficients of many chunks of statistics, functions and whole processes."""
    say(f"coefficients of {n_chunks} chunks")
    path = folder / "chunks.h5"
    run([PYTHON, "-I", WORKER, "make_chunks", path, str(n_chunks)], folder, answers=False)
    shutil.copy(path, folder / "peer_chunks.h5")
    ours = run([PYTHON, "-I", WORKER, "chunks", path, folder / "out.h5"], folder)
    theirs = run([peer_python, "-I", PEER_WORKER, folder / "peer_chunks.h5"], folder)
    whole = run(
        tool(
            "calculate_camcalib_coefficients",
            *NIGHT,
            *("--input", path, "--output", folder / "whole.h5"),
            "--CalculateCamcalibCoefficients.window_width=12",
        ),
        folder,
        answers=False,
    )
    return {"ours": ours.__dict__, "peer": theirs.__dict__, "our_tool": whole.__dict__}


def page(report: dict) -> str:
    """Tables as text."""
    lines = [f"Camera calibration of one LST ({report['machine']}), CPU seconds", ""]

    def row(label: str, mine: float, theirs: float) -> None:
        lines.append(f"{label:<62}{mine:>9.2f}{theirs:>9.2f}{theirs / mine:>8.1f}")

    for compression, found in report["files"].items():
        ours, theirs, own = found["ours"], found["theirs"], found["functions"]
        n = report["n_events"]
        lines.append(
            f"DL0 of {n} events, {compression}, {found['size'] / 1e6:.0f} MB"
            f"{'ours':>24}{'theirs':>9}{'ratio':>8}"
        )
        chain = sum(theirs[k] for k in ("process", "statistics", "merge", "coefficients"))
        row("  whole processes, imports included", ours["statistics"] + ours["coefficients"], chain)
        row(
            "  our functions; their processes without --help",
            own["chain"],
            chain - theirs["start_up"],
        )
        lines += [
            f"  of theirs: ctapipe-process {theirs['process']:.1f}, statistics "
            f"{theirs['statistics']:.1f}, merge {theirs['merge']:.1f}, peer "
            f"{theirs['coefficients']:.1f}, of all the start-up {theirs['start_up']:.1f}",
            f"  protozfits alone {n / own['protozfits']:.0f} events/s; DL0 to coefficients "
            f"{n / own['chain']:.0f} events/s: {own['protozfits'] / own['chain']:.2f} of it",
            f"  peak memory {ours['peak_rss']:.0f} MiB, theirs {theirs['peak_rss']:.0f} MiB; "
            f"simulated and written at {n / found['simulation_cpu']:.0f} events/s",
            f"  largest relative differences: {found['differences']}",
            "",
        ]
    lines.append(f"memory by events of the file, MiB: {report['memory']}")
    ours, peer = report["chunks"]["ours"], report["chunks"]["peer"]
    lines += ["", f"coefficients of {report['n_chunks']} chunks{'ours':>35}{'peer':>9}{'ratio':>8}"]
    row("  statistics file to coefficients file", ours["answer"]["all"], peer["answer"]["all"])
    row("  of this the calculation", ours["answer"]["calculation"], peer["answer"]["calculation"])
    whole = report["chunks"]["our_tool"]
    row("  whole processes, imports included", whole["cpu"], peer["cpu"])
    lines.append(f"  peak memory {whole['peak_rss']:.0f} MiB, peer {peer['peak_rss']:.0f} MiB")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

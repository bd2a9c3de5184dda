"""Array calibration, ours against the peer's Tools: DL2 to relative throughputs.

Energy asymmetry, image asymmetry, inter-calibration and cross-calibration, on the same file.

    .venv/bin/python benchmarks/array_calibration.py          # a million array events
    .venv/bin/python benchmarks/array_calibration.py --quick  # 20 000
"""

import argparse
import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from side_by_side import ROOT, Run, peer_environment, run, say

RESULTS = ROOT / "benchmarks/results/array_calibration.json"
WORKER = ROOT / "benchmarks/our_array_calibration.py"
PEER_WORKER = ROOT / "benchmarks/peer_array_calibration.py"
SITE = ROOT / "config/sites/CTAO-North.yaml"
NIGHT = ("--site", SITE, "--night", "2024-07-10")
PYTHON = sys.executable
GAMMAS = ("gammaness", "RandomForestClassifier_tel_prediction > 0.5")
VALID = ("valid", "RandomForestRegressor_tel_is_valid")
ENOUGH = ("energy", "RandomForestRegressor_tel_energy > 0.05 * u.TeV")
ENERGY, IMAGE = "energy_asymmetry", "image_asymmetry"
STEPS = (ENERGY, IMAGE, "inter_calibration", "cross_calibration")
GOALS = {ENERGY: 20, IMAGE: 50, "cross_calibration": 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few events")
    quick = parser.parse_args().quick
    n_events, n_few = (20_000, 10_000) if quick else (1_000_000, 100_000)
    peer_python = peer_environment()
    report = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "n_events": n_events,
        "n_few": n_few,
    }
    with tempfile.TemporaryDirectory() as temporary:
        few, many = Path(temporary) / "few", Path(temporary) / "many"
        simulate(few, n_few)
        report["equal"] = {name: equal(few, name, peer_python) for name in (ENERGY, IMAGE)}
        report["few"] = ours(few)
        shutil.rmtree(few)
        report["telescope_events"] = simulate(many, n_events)
        report["ours"] = ours(many)
        report["functions"] = our_functions(many)
        report["peer"] = theirs(many, peer_python)
        report["away"] = {side: away(many, side) for side in ("ours", "peer")}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(page(report))
    print(f"\nall numbers: {RESULTS.relative_to(ROOT)}")


def simulate(folder: Path, n_events: int) -> int:
    """One block of 4 LSTs and 9 MSTs in ``data/events.h5``, and the truth; telescope events."""
    say(f"simulation of {n_events} array events")
    (folder / "data").mkdir(parents=True)
    size = ("--n-events", n_events, "--n-blocks", 1, "--seed", 1)
    our_tool(folder, "simulate_dl2_data", *NIGHT, *size, "--output-folder", folder)
    (events,), (truth,) = folder.glob("dl2/**/*.h5"), folder.glob("dl2/**/truth.ecsv")
    truth.rename(folder / "truth.ecsv")
    events.rename(folder / "data/events.h5")
    answer = run([PYTHON, "-I", WORKER, "for_peer", folder / "data/events.h5"], folder).answer
    return answer["telescope_events"]


def our_tool(folder: Path, name: str, *options: object) -> Run:
    """One of our Tools, as a process."""
    code = f"from calibpipe.tools.{name} import main; main()"
    command = [PYTHON, "-I", "-c", code, *options, "--overwrite", "--quiet"]
    return run(command, folder, answers=False)


def our_steps(folder: Path) -> list[tuple[str, str, list]]:
    """Of each step its name, that of the Tool, its options."""
    config = folder / "ours.json"
    config.write_text(json.dumps({"AsymmetryTool": {"quality_criteria": [GAMMAS]}}))
    trait = "--AsymmetryTool."
    common = [*NIGHT, "--input", folder / "data/events.h5", "--config", config]
    products = {name: folder / f"ours_{name}.h5" for name in (*STEPS, "of_images")}
    of_pairs = [*NIGHT, "--input", products[ENERGY]]
    of_images = [*NIGHT, "--input", products[IMAGE]]
    options = {
        ENERGY: [*common, f"{trait}minimum=0.05"],
        IMAGE: [*common, f"{trait}minimum=80", f"{trait}equidistance_slope=0.1"],
        "inter_calibration": of_pairs,
        "cross_calibration": of_pairs,
        "of_images": of_images,
    }
    tools = {ENERGY: f"{ENERGY}_estimation", IMAGE: f"{IMAGE}_estimation"}
    tools["of_images"] = "inter_calibration"
    return [
        (name, tools.get(name, name), [*options[name], "--output", product])
        for name, product in products.items()
    ]


def ours(folder: Path) -> dict:
    """Our Tools, each a process."""
    found = {}
    for name, tool, options in our_steps(folder):
        say(f"ours, {name}")
        found[name] = our_tool(folder, tool, *options).__dict__
    return found


def our_functions(folder: Path) -> dict:
    """CPU seconds of our Tools without start-up."""
    found = {}
    for name, tool, options in our_steps(folder):
        say(f"our functions, {name}")
        found[name] = run([PYTHON, "-I", WORKER, "tool", tool, *options], folder).answer["cpu"]
    return found


def peer_config(path: Path, criteria: tuple, of_images: dict) -> Path:
    """Selection as the peer ships it (`criteria` apart)."""
    preprocessor = {"QualityQuery": {"quality_criteria": criteria}}
    lists = {"EventPreprocessor": preprocessor}
    config = {
        "CalculateEnergyAsymmetry": {
            "energy_reconstructor": "RandomForestRegressor",
            "event_filters": {"max_distance_asymmetry": 0.05},
            **lists,
        },
        "CalculateImageAsymmetry": {
            "event_filters": {
                "equidistant_event_selection": [["type", "*", [0.05, 0.1]]],
                **of_images,
            },
            **lists,
        },
        "CalculateInterCalibration": {
            "RelativeThroughputFitter": {"reference_telescopes": {"LST": "1", "MST": "5"}}
        },
        "CalculateCrossCalibration": lists,
    }
    path.write_text(json.dumps(config))
    return path


def theirs(folder: Path, peer_python: Path) -> dict:
    """The peer's Tools, each a process; the product of inter-calibration is that of the cross."""
    criteria = (VALID, ENOUGH, GAMMAS)
    config = peer_config(folder / "peer.json", criteria, {"minimum_individual_intensity": 80.0})
    events, found = folder / "data/events.h5", {}
    inter, of_images = folder / "peer_inter_calibration.h5", folder / "peer_of_images.h5"
    for name in (ENERGY, IMAGE):
        (folder / name).mkdir()
    label = "--CalculateInterCalibration.asymmetry_label"
    options = {
        ENERGY: ["--input_url", events, "--output_url", folder / ENERGY / "events.h5"],
        IMAGE: ["--input_url", events, "--output_url", folder / IMAGE / "events.h5"],
        "inter_calibration": ["--input_url", folder / ENERGY, "--output_url", inter],
        "of_images": [
            *("--input_url", folder / IMAGE, "--output_url", of_images, f"{label}={IMAGE}")
        ],
        "cross_calibration": ["--input_url", inter, "--input_data_url", folder / "data"],
    }
    for name, own in options.items():
        say(f"peer, {name}")
        tool = "inter_calibration" if name == "of_images" else name
        command = [peer_python, "-I", PEER_WORKER, "tool", tool, *own, "--config", config]
        done = run(command, folder)
        found[name] = {"cpu": done.cpu, "peak_rss": done.peak_rss, "functions": done.answer["cpu"]}
    shutil.copy(inter, folder / "peer_cross_calibration.h5")
    return found


def equal(folder: Path, name: str, peer_python: Path) -> dict:
    """Events and mean asymmetry of each pair with one and the same selection, without thresholds.

    The peer has none on impact distances, but for pairs: ours is opened.
    """
    say(f"comparison of both, {name}")
    config = peer_config(folder / "equal.json", (VALID, GAMMAS), {})
    product, events = folder / "equal.h5", folder / "data/events.h5"
    command = [peer_python, "-I", PEER_WORKER, "tool", name, "--config", config, "--overwrite"]
    run([*command, "--input_url", events, "--output_url", product], folder)
    peer = run([peer_python, "-I", PEER_WORKER, "pairs", product, name], folder).answer
    _, tool, options = our_steps(folder)[STEPS.index(name)]
    config = {"quality_criteria": [GAMMAS, VALID], "max_impact_in_m": {"LST": 1e6, "MST": 1e6}}
    (folder / "ours.json").write_text(json.dumps({"AsymmetryTool": config}))
    our_tool(folder, tool, *(option for option in options if "minimum" not in str(option)))
    mine = run([PYTHON, "-I", WORKER, "pairs", options[-1]], folder).answer
    return {
        "n_pairs": len(peer),
        "n_pair_events": sum(n for n, _ in peer.values()),
        "n_different": sum(abs(mine.get(pair, [0])[0] - n) for pair, (n, _) in peer.items()),
        "largest_difference": max(abs(mine[p][1] - a) for p, (_, a) in peer.items() if p in mine),
    }


def away(folder: Path, side: str) -> dict:
    """How far the throughputs are from the true ones."""
    products = {"inter_calibration": "inter", "of_images": "inter", "cross_calibration": "cross"}
    found = {}
    for name, kind in products.items():
        task = ["away", folder / "truth.ecsv", folder / f"{side}_{name}.h5", kind]
        found[name] = run([PYTHON, "-I", WORKER, *task], folder).answer
    return found


def page(report: dict) -> str:
    """Tables as text."""
    lines = [f"Array calibration ({report['machine']}), CPU seconds", ""]
    mine, peer, functions = report["ours"], report["peer"], report["functions"]

    def row(label: str, own: float, other: float, goal: int | None = None) -> None:
        wanted = f"   (wanted: {goal})" if goal else ""
        lines.append(f"{label:<52}{own:>9.2f}{other:>9.2f}{other / own:>8.1f}{wanted}")

    lines.append(
        f"{report['n_events']} array events, {report['telescope_events']} of telescopes"
        f"{'ours':>12}{'peer':>9}   ratio"
    )
    for name in STEPS:
        row(f"  {name}, functions", functions[name], peer[name]["functions"], GOALS.get(name))
    chain = [ENERGY, "inter_calibration", "cross_calibration"]
    all_of_peer = sum(peer[name]["functions"] for name in chain)
    row("  DL2 to cross-calibration, functions", sum(functions[n] for n in chain), all_of_peer)
    row(
        "  cross-calibration of the peer alone to all of ours",
        *(sum(functions[n] for n in chain), peer["cross_calibration"]["functions"]),
    )
    for name in STEPS:
        row(f"  {name}, whole process", mine[name]["cpu"], peer[name]["cpu"])
    for name in STEPS:
        row(f"  {name}, peak memory, MiB", mine[name]["peak_rss"], peer[name]["peak_rss"])
    few = {name: round(entry["peak_rss"]) for name, entry in report["few"].items()}
    lines += [f"  our peak memory with {report['n_few']} events, MiB: {few}", ""]
    lines.append(f"one selection for both, {report['n_few']} array events")
    for name, found in report["equal"].items():
        lines.append(
            f"  {name}: {found['n_pair_events']} events of {found['n_pairs']} pairs, "
            f"{found['n_different']} differ; mean asymmetries within "
            f"{found['largest_difference']:.1g}"
        )
    lines += ["", "away from the truth, rms; errors given, rms (per cent)"]
    for name in report["away"]["ours"]:
        values = [
            f"{side} {100 * of[name]['rms']:.3f}; {100 * of[name]['error']:.3f}"
            for side, of in report["away"].items()
        ]
        lines.append(f"  {name:<20} {'    '.join(values)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

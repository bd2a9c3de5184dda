"""Atmospheric model of one night: CPU time, memory and result, ours and the peer's, in one run.

Both read the same table of ERA5 data over La Palma and make a CORSIKA profile and a Rayleigh
extinction table. The peer, ctao-calibpipe, has the same package name as we: it lives in its own
environment under ``.bench/peer``, which this script makes at its first run.

    .venv/bin/python benchmarks/atmospheric_model.py          # some six minutes, the peer's
    .venv/bin/python benchmarks/atmospheric_model.py --quick  # peer scaled from 20 wavelengths
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from side_by_side import ROOT, peer_environment, run, say

RESULTS = ROOT / "benchmarks/results/atmospheric_model.json"
SITE, NIGHT = "CTAO-North", "2023-07-09"
POOL = ROOT / "config/reference_models" / SITE
METEO_DATA = "meteo/era5_lapalma_2023-07-10.ecsv"
CO2_DATA = "co2/monthly_in_situ_co2_mlo.csv"
QUICK_WAVELENGTHS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"let the peer do {QUICK_WAVELENGTHS} wavelengths and scale its time by their number",
    )
    arguments = parser.parse_args()
    data = data_folder()
    peer_python = peer_environment()
    with tempfile.TemporaryDirectory() as folder:
        report = measurements(data, peer_python, Path(folder), arguments.quick)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(page(report))
    print(f"\nall numbers: {RESULTS.relative_to(ROOT)}")


def data_folder() -> Path:
    folder = Path(os.environ.get("CALIBPIPE_TEST_DATA", ROOT / "../shared/data")).resolve()
    if not (folder / METEO_DATA).is_file():
        sys.exit(
            f"benchmark: no {METEO_DATA} in {folder}; name the folder of the test data with "
            "CALIBPIPE_TEST_DATA"
        )
    return folder


def measurements(data: Path, peer_python: Path, folder: Path, quick: bool) -> dict:
    say("our functions")
    command = [sys.executable, "-I", worker("our"), data / METEO_DATA, site_file(), POOL]
    ours = run(command, folder)
    tools = our_tools(data, folder)
    report = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "quick": quick,
        "input": METEO_DATA,
        "ours": ours.__dict__,
        "our_tools": tools,
        "peer": {},
    }
    co2 = ours.answer["co2_ppm"]
    for name, wavelengths in {"tool": 500, "full": 800}.items():
        done = QUICK_WAVELENGTHS if quick else wavelengths
        say(f"the peer, {name} table, {done} wavelengths")
        command = [peer_python, "-I", worker("peer"), data, METEO_DATA, name, str(done), str(co2)]
        peer = run(command, folder)
        report["peer"][name] = {
            **peer.__dict__,
            "wavelengths": wavelengths,
            "measured_wavelengths": done,
            "extinction_cpu": peer.answer["cpu"]["extinction"] * wavelengths / done,
        }
    add_hydrostatic(report, folder)
    return report


def our_tools(data: Path, folder: Path) -> dict[str, dict]:
    """Cost of every Tool from the data file to the products, each a process of its own."""
    products = folder / "products"
    night = ["--site", site_file(), "--night", NIGHT]
    category = ["--category", "C"]
    steps = {
        "retrieve_meteo_data": ["--input", data / METEO_DATA, *category],
        "calculate_macobac": ["--input", data / CO2_DATA, "--offline", *category],
        "create_molecular_density_profile": [
            *("--meteo-data", products / "meteo_data.json", "--macobac", products / "macobac.ecsv"),
            # The table begins two hours after dusk.
            "--CreateMolecularDensityProfile.max_edge_gap_in_h=3",
            *category,
        ],
        "select_reference_atmospheric_model": [
            *("--density-profile", products / "density_profile.ecsv", "--pool", POOL)
        ],
        "create_molecular_atmospheric_model": [
            *("--density-profile", products / "density_profile.ecsv"),
            *("--reference-model", products / "reference_model.ecsv"),
            *("--macobac", products / "macobac.ecsv"),
            *("--extinction-output", products / "rayleigh_extinction.ecsv"),
            *("--atmprof-output", products / "atmprof.dat"),
            *("--atm-trans-output", products / "atm_trans.dat"),
            *category,
        ],
    }
    outputs = dict(
        zip(
            steps,
            [
                *("meteo_data.json", "macobac.ecsv", "density_profile.ecsv"),
                *("reference_model.ecsv", "atmospheric_model.ecsv"),
            ],
            strict=True,
        )
    )
    products.mkdir()
    costs = {}
    for tool, options in steps.items():
        say(f"our Tool {tool}")
        code = f"from calibpipe.tools.{tool} import main; main()"
        command = [sys.executable, "-I", "-c", code, *night, *options, "--quiet"]
        done = run([*command, "--output", products / outputs[tool]], folder, answers=False)
        costs[tool] = {"cpu": done.cpu, "peak_rss": done.peak_rss}
    return costs


def add_hydrostatic(report: dict, folder: Path) -> None:
    """Optical depth that the pressure at its lowest edge gives each table, by one formula."""
    answers = {"ours": report["ours"]["answer"]}
    answers |= {name: peer["answer"] for name, peer in report["peer"].items()}
    places = {name: (a["lowest_edge_km"], a["pressure_hpa"]) for name, a in answers.items()}
    code = f"""
import json
import astropy.units as u
from calibpipe.atmosphere.rayleigh import hydrostatic_optical_depth
from calibpipe.core.site import load_site
latitude = load_site({str(site_file())!r}).latitude
print(json.dumps({{name: float(hydrostatic_optical_depth(
    350 * u.nm, p * u.hPa, z * u.km, latitude, {report["ours"]["answer"]["co2_ppm"]!r} * 1e-6
)) for name, (z, p) in {places!r}.items()}}))
"""
    report["hydrostatic"] = run([sys.executable, "-I", "-c", code], folder).answer


def worker(name: str) -> Path:
    return ROOT / f"benchmarks/{name}_atmospheric_model.py"


def site_file() -> Path:
    return ROOT / f"config/sites/{SITE}.yaml"


def page(report: dict) -> str:
    """The tables as text: cost, then result."""
    ours, peer, tools = report["ours"], report["peer"], report["our_tools"]
    cpu = ours["answer"]["cpu"]
    lines = [
        f"Atmospheric model of one night, {report['input']} ({report['machine']})",
        "",
        f"{'CPU seconds':<58}{'ours':>9}{'peer':>10}{'ratio':>8}",
    ]

    def row(label, mine, theirs, mark=" "):
        lines.append(f"{label:<58}{mine:>9.3f}{theirs:>9.2f}{mark}{theirs / mine:>8.0f}")

    full, tool = peer["full"], peer["tool"]
    full_cpu = full["answer"]["cpu"]
    scaled = "*" if report["quick"] else " "
    own = f"500 wavelengths x {tool['answer']['n_bins']} bins"
    lines.append("the functions")
    row("  read the data (the peer: and average them)", cpu["read"], full_cpu["read"])
    row("  CORSIKA profile, 55 rows", cpu["profile"], full_cpu["profile"])
    row(
        "  extinction, 800 wavelengths x 50 bins", cpu["extinction"], full["extinction_cpu"], scaled
    )
    row(f"  same, the peer's Tool has {own}", cpu["extinction"], tool["extinction_cpu"], scaled)
    row("  all three, 800 wavelengths x 50 bins", cpu["total"], calculation(full), scaled)
    row(f"  same, the peer's Tool has {own}", cpu["total"], calculation(tool), scaled)
    lines.append(f"{'  five-layer fit for CORSIKA':<58}{cpu['five_layer_fit']:>9.3f}{'none':>9}")
    lines.append("whole processes, imports included")
    row("  functions above, 800 wavelengths x 50 bins", ours["cpu"], whole(full), scaled)
    mine = tools["create_molecular_atmospheric_model"]["cpu"]
    row(f"  our Tool; the peer's functions, {own}", mine, whole(tool), scaled)
    row("  all five of our Tools from the data on; same", total(tools), whole(tool), scaled)
    rss = max(entry["peak_rss"] for entry in tools.values())
    theirs = max(entry["peak_rss"] for entry in peer.values())
    lines += ["", f"{'peak memory of a process, MiB':<58}{rss:>9.0f}{theirs:>9.0f}"]
    if report["quick"]:
        lines.append(
            f"* scaled: measured with {QUICK_WAVELENGTHS} wavelengths, times their number over "
            f"{QUICK_WAVELENGTHS}"
        )
    lines += ["", f"{'Optical depth at 350 nm':<58}{'table':>9}{'p/g':>9} {'difference':>10}"]
    tables = {
        "ours": ("ours", ours["answer"]),
        "full": ("peer, our edges", full["answer"]),
        "tool": ("peer, its Tool's edges", tool["answer"]),
    }
    for key, (label, answer) in tables.items():
        depth, expected = answer["optical_depth_350nm"], report["hydrostatic"][key]
        place = f"{label}, above {answer['lowest_edge_km']:.3f} km"
        lines.append(f"{place:<58}{depth:>9.5f}{expected:>9.5f} {depth / expected - 1:>+10.2%}")
    return "\n".join(lines)


def calculation(peer: dict) -> float:
    cpu = peer["answer"]["cpu"]
    return cpu["read"] + cpu["profile"] + peer["extinction_cpu"]


def whole(peer: dict) -> float:
    return peer["cpu"] - peer["answer"]["cpu"]["extinction"] + peer["extinction_cpu"]


def total(tools: dict) -> float:
    return sum(entry["cpu"] for entry in tools.values())


if __name__ == "__main__":
    main()

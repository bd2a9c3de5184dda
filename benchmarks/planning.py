"""Planning of a year: how long Snakemake takes to find out what there is to do, month by month.

Every night has an index of DL0 files (they are empty), so that all blocks of all telescopes are
planned and nothing hides behind a checkpoint. No job is run.
"""

import argparse
import calendar
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import yaml
from astropy.table import QTable

from calibpipe.core.dl0_files import COLUMNS
from calibpipe.core.products import ProductMetadata, write_table

ROOT = Path(__file__).parents[1]
SITE = "CTAO-North"
DOMAINS = ("atmosphere", "camera", "throughput", "pointing", "archive", "report")


def made_index(folder, night, telescopes, n_blocks):
    """The night's index of DL0 files, with the files."""
    rows = []
    for tel_id, element in enumerate(telescopes, 1):
        day = night.replace("-", "/")
        place = f"DL0/{element}/ctao/acada-adh/events/{day}"
        (folder / "data" / place).mkdir(parents=True)
        for block in range(1, n_blocks + 1):
            path = f"{place}/TEL{tel_id:03d}_OBSID{block:020d}_CHUNK000.fits.fz"
            (folder / "data" / path).touch()
            rows.append([element, tel_id, block, block, "SDH000", 0, path, 1, ""])
    index = QTable(rows=rows, names=list(COLUMNS), dtype=list(COLUMNS.values()))
    product = folder / f"results/{SITE}/C/{night}/array/dl0_index.ecsv"
    write_table(product, index, ProductMetadata("array/dl0_index", "a list", SITE, night, "C"))
    product.with_name("dl0_index.provenance.json").write_text("[]\n")


def workflow_with(folder, telescopes):
    """The workflow at a site that has as many telescopes."""
    for name in ("rules", "scripts", "envs", "config"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    path = folder / f"config/sites/{SITE}.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"telescopes": telescopes}))
    return folder / "Snakefile"


def planned(snakefile, folder, nights):
    """Jobs, wall seconds, CPU seconds and memory of one plan."""
    span = f'nights={{"first": "{nights[0]}", "last": "{nights[-1]}"}}'
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "reason", "host"]
    command += [f"--snakefile={snakefile}", f"--directory={folder}", "--cores=2"]
    command += [f"--configfile={folder}/year.yaml", "--config", span]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"^total\s+(\d+)", done.stdout + done.stderr, flags=re.MULTILINE)
    if done.returncode or not found:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(found[1]), wall, cpu, after.ru_maxrss / 1024


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--nights", type=int, default=31, help="nights a month, at most")
    parser.add_argument("--telescopes", type=int, default=20)
    parser.add_argument("--blocks", type=int, default=1, help="observation blocks a night")
    options = parser.parse_args()
    telescopes = [f"MSTN-{number:02d}" for number in range(1, options.telescopes + 1)]
    total = [0, 0.0, 0.0]
    peak = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "nights"
        folder.mkdir()
        snakefile = workflow_with(Path(name) / "workflow", telescopes)
        settings = {
            "sites": [SITE],
            "categories": ["C"],
            "telescopes": telescopes,
            "domains": list(DOMAINS),
            "meteo": {"source": "simulation"},
            "co2": {"online": False},
        }
        (folder / "year.yaml").write_text(yaml.safe_dump(settings))
        print(f"{'month':8} {'jobs':>8} {'wall s':>8} {'CPU s':>8} {'MB':>6}")
        for month in range(1, options.months + 1):
            days = min(calendar.monthrange(2023, month)[1], options.nights)
            nights = [str(date(2023, month, 1) + timedelta(days=k)) for k in range(days)]
            for night in nights:
                made_index(folder, night, telescopes, options.blocks)
            jobs, wall, cpu, memory = planned(snakefile, folder, nights)
            total = [a + b for a, b in zip(total, (jobs, wall, cpu), strict=True)]
            peak = max(peak, memory)
            print(f"2023-{month:02d}  {jobs:8d} {wall:8.1f} {cpu:8.1f} {memory:6.0f}", flush=True)
    print(f"{'sum':8} {total[0]:8d} {total[1]:8.1f} {total[2]:8.1f} {peak:6.0f}")


if __name__ == "__main__":
    main()

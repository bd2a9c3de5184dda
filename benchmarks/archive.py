"""Load on the archive: products stored and certified in bulk, lookup of one.

Three kinds of 14 telescopes; 30 nights at a time. SQLite, and PostgreSQL where Debian's package is.
"""

import argparse
import shutil
import sys
import tempfile
import time
import uuid
from pathlib import Path

import astropy.units as u
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from servers.postgresql import PostgreSQL, programs

from calibpipe.archive.candidate import Candidate
from calibpipe.archive.certify import certify
from calibpipe.archive.lookup import lookup
from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive, open_archive
from calibpipe.archive.validity import moment
from calibpipe.core.product_header import ProductHeader
from calibpipe.core.site import Season, Site

BATCH = 30  # nights that are certified in one call
KINDS = ("camera/coefficients", "timing/array_offset", "external/camera_coefficients")
TELESCOPES = tuple(f"MSTN-{n:02d}" for n in range(1, 15))
FIRST = moment("2020-01-01T12:00:00", "tai")
SITE = Site(
    "CTAO-North",
    28.76 * u.deg,
    -17.89 * u.deg,
    2158 * u.m,
    "Atlantic/Canary",
    (Season("all", (1, 1), (12, 31)),),
    TELESCOPES,
)


def candidates(file, night):
    """Products of a night, valid for a day."""
    begin = FIRST + night * u.day
    validity = (begin, begin + 1 * u.day)
    name = begin.isot[:10]
    return [
        Candidate(
            ProductHeader(
                path=file,
                product_id=uuid.uuid4(),
                kind=kind,
                status="COMPLETE",
                site=SITE.name,
                night=name,
                category="C",
                array_element=telescope,
                obs_id=None,
                validity=validity,
                inputs=({"role": "DL0", "path": "a.fits.fz", "sha256": f"{night:064d}"},),
                own={"configuration_digest": "0" * 64, "software": {"calibpipe": "0"}},
            ),
            verdict="PASS",
        )
        for kind in KINDS
        for telescope in TELESCOPES
    ]


def measured(name, folder, database, nights):
    """One line of the table."""
    file = folder / "product.json"
    file.write_text("{" + " " * 1000 + "}")
    archive = init_archive(folder / "archive", database)
    upload_site(archive, SITE, {tel: 5 + k for k, tel in enumerate(TELESCOPES)})
    rates = []
    for first in range(0, nights, BATCH):
        batch = range(first, min(first + BATCH, nights))
        wanted = [candidate for night in batch for candidate in candidates(file, night)]
        start = time.perf_counter()
        certify(archive, wanted, author="benchmark", reason="benchmark")
        rates.append(len(wanted) / (time.perf_counter() - start))
        if first % 300 == 0:
            print(f"{name}: {batch.stop} nights, {rates[-1]:.0f} products/s", flush=True)
    start = time.perf_counter()
    again = open_archive(folder / "archive")
    lookup(again, KINDS[0], SITE.name, FIRST + 0.5 * u.day, telescope=TELESCOPES[0])
    opened = time.perf_counter() - start
    rng = np.random.default_rng(1)
    times = []
    for _ in range(100):
        moment_ = FIRST + rng.uniform(0, nights) * u.day
        kind, telescope = rng.choice(KINDS), rng.choice(TELESCOPES)
        start = time.perf_counter()
        lookup(again, str(kind), SITE.name, moment_, telescope=str(telescope))
        times.append(1e3 * (time.perf_counter() - start))
    tenth = max(len(rates) // 10, 1)
    return (
        f"| {name} | {nights * len(KINDS) * len(TELESCOPES)} | {np.mean(rates[:tenth]):.0f} | "
        f"{np.mean(rates[-tenth:]):.0f} | {np.median(times):.1f} | {max(times):.1f} | "
        f"{opened:.2f} |"
    )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=300)
    parser.add_argument("--only", choices=("SQLite", "PostgreSQL"))
    options = parser.parse_args()
    lines = []
    for name in ("SQLite", "PostgreSQL"):
        if options.only not in (None, name) or (name == "PostgreSQL" and programs() is None):
            continue
        folder = Path(tempfile.mkdtemp(prefix="calibpipe-archive-"))
        server = PostgreSQL(programs()) if name == "PostgreSQL" else None
        try:
            database = server.new_database("benchmark") if server else ""
            lines.append(measured(name, folder, database, options.nights))
        finally:
            shutil.rmtree(folder)
            if server:
                server.close()
    print(
        "| database | products | products/s, first tenth | last tenth | lookup, median (ms) "
        "| worst of 100 | open and first lookup (s) |"
    )
    print("|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

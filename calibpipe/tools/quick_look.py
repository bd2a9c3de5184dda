"""What came of an observation block in a running night: verdicts, failures, the line that tells."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..core.dl0_arrival import Block

__all__ = ["Finding", "block_line", "findings", "is_left_out"]

QUANTITIES = {  # record of the verification, failed steps without which there is none
    "camera": (
        "verification/camera_coefficients.{tel}.{block}",
        ["{tel}/camera/pixel_statistics.{block}", "{tel}/camera/coefficients.{block}"],
    ),
    "throughput": (
        "verification/muon_throughput.{tel}",
        [
            "{tel}/throughput/muon_rings.{block}",
            "{tel}/throughput/muon_throughput",
            "{tel}/throughput/muon_psf",
        ],
    ),
    "pointing": (
        "verification/star_tracking.{tel}.{block}",
        ["{tel}/pointing/star_tracking.{block}"],
    ),
}
NEEDED = ("camera/pixel_statistics", "camera/coefficients", "throughput/muon_rings")
DONE = ("PASS", "FAIL")


@dataclass(frozen=True)
class Finding:
    """What came of a block for one quantity.

    Parameters
    ----------
    quantity : str
        Domain: camera, throughput (of the telescope, of all blocks so far), pointing.
    state : str
        Verdict, ``failed`` or, with no record of either, empty.
    because : str
        Why, unless it passed.
    time : float
        Unix time in s of the record, 0 without.
    """

    quantity: str
    state: str = ""
    because: str = ""
    time: float = 0.0

    @property
    def is_made(self) -> bool:
        """Whether there is a verdict, good or bad."""
        return self.state in DONE


def findings(results: Path, logs: Path, block: Block, domains: Collection[str]) -> list[Finding]:
    """What came of a block, domain by domain.

    Parameters
    ----------
    results, logs : Path
        Folders of the night.
    block : (str, int)
        Array element and number.
    domains : collection of str
        That are wanted; others than camera, throughput and pointing have nothing to say.
    """
    names = {"tel": block[0], "block": f"OBSID{block[1]}"}
    found = []
    for quantity, (record, steps) in QUANTITIES.items():
        if quantity in domains:
            paths = [logs / f"{step.format(**names)}.failure.json" for step in [*steps, record]]
            verified = results / f"{record.format(**names)}.json"
            found.append(_finding(quantity, verified, [p for p in paths if p.is_file()]))
    return found


def _finding(quantity: str, verified: Path, failures: list[Path]) -> Finding:
    if failures:
        failure = json.loads(failures[0].read_text())
        because = f"{failure['step']}: {failure['message']}"
        return Finding(quantity, "failed", because, failures[0].stat().st_mtime)
    if not verified.is_file():
        return Finding(quantity)
    content = json.loads(verified.read_text())["content"]
    because = "; ".join(content["because"]) if content["verdict"] != "PASS" else ""
    return Finding(quantity, content["verdict"], because, verified.stat().st_mtime)


def is_left_out(logs: Path, block: Block) -> bool:
    """Whether later runs of the night do without a block: the telescope's rings need all of it.

    A block whose pointing alone failed stays.
    """
    element, obs_id = block
    return any((logs / element / f"{s}.OBSID{obs_id}.failure.json").is_file() for s in NEEDED)


def block_line(block: Block, complete: float, found: list[Finding], absent: str) -> str:
    """One line: since when the data are complete, when they were calibrated, verdicts.

    Parameters
    ----------
    block : (str, int)
        Array element and number.
    complete : float
        Unix time in s since which the files have been as they are.
    found : list of Finding
        What came of it.
    absent : str
        What is said of a quantity without a record.
    """
    told = [
        f"{f.quantity} {f.state or absent}{f' ({f.because})' if f.because else ''}" for f in found
    ]
    made = [f.time for f in found if f.is_made]
    ended = f"calibrated {_clock(max(made))} UTC" if made else "not calibrated"
    return f"{block[0]} OBSID{block[1]}: complete {_clock(complete)}, {ended}: {', '.join(told)}"


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}"

"""What of a night is there, what is absent and why, and what to say first."""

from collections.abc import Sequence
from typing import Any

from .material import NightMaterial, Step
from .wording import counted, listed

__all__ = ["absent_groups", "absent_products", "failure_facts", "status"]

EXIT_CODES = {
    1: "unexpected error",
    2: "command line or configuration: change it",
    100: "may pass: run the same command again later",
    101: "configuration or request: change it",
    102: "storage: a file could not be written or read",
    104: "an input is corrupted",
    105: "an input is missing or does not cover the night",
    106: "too few data",
    130: "interrupted: run the same command again",
}


def failure_facts(record: dict[str, Any]) -> dict[str, Any]:
    """A failure record with the meaning of its exit code."""
    known = {"step": "unknown", "error": "", "message": "", "command": "", "time_utc": ""} | record
    code = record.get("exit_code", 1)
    return known | {"exit_code": code, "meaning": EXIT_CODES.get(code, "unexpected error")}


def absent_products(material: NightMaterial) -> list[dict[str, str]]:
    """Products that are not there or cannot be used, each with the reason."""
    failed = {record.get("step") for record in material.failures}
    absent = []
    for step in material.steps:
        for path in step.products:
            product = material.products.get(path)
            if product is not None and not product.problem:
                continue
            reason = product.problem if product else _why_not_made(step, failed, material)
            absent.append({"path": path, "step": step.name, "reason": reason})
    return absent


def _why_not_made(step: Step, failed: set[str | None], material: NightMaterial) -> str:
    if step.name in failed:
        return "its step failed, see above"
    needed = [
        name
        for name in _all_needs(step, material.all_steps)
        if name in {s.name for s in material.steps}
    ]
    if causes := [name for name in needed if name in failed]:
        return f"not made, because it needs {listed(causes)}, which failed"
    steps = material.all_steps
    made = {s.name for s in steps if s.products and s.products[0] in material.products}
    lacking = [s.name for s in steps if s.name in needed and s.products and s.name not in made]
    if lacking:
        return f"not made, because it needs {listed(lacking)}, which is absent, too"
    return "not made, and no failure is recorded: run snakemake again"


def _all_needs(step: Step, steps: Sequence[Step]) -> list[str]:
    """Names of all steps that a step needs, directly or not, in the order of the night."""
    by_name = {s.name: s for s in steps}
    found: set[str] = set()
    pending = list(step.needs)
    while pending:
        name = pending.pop()
        found.add(name)
        pending += by_name[name].needs
    return [s.name for s in steps if s.name in found]


def absent_groups(absent: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Absent products with a common reason in one entry."""
    groups: dict[str, list[str]] = {}
    for entry in absent:
        groups.setdefault(entry["reason"], []).append(entry["path"])
    return [{"paths": listed(paths), "reason": reason} for reason, paths in groups.items()]


def status(
    material: NightMaterial, absent: Sequence[dict[str, str]], remarks: Sequence[dict[str, str]]
) -> dict[str, str]:
    """The band at the top: one word and one sentence."""
    warnings = [remark for remark in remarks if remark["level"] == "warning"]
    if material.failures:
        steps = listed([record.get("step", "unknown") for record in material.failures])
        word = f"{counted(len(material.failures), 'step')} failed"
        lacking = f"; {counted(len(absent), 'product')} not made" if absent else ""
        return {"level": "failed", "word": word, "sentence": f"{steps}{lacking}."}
    if absent:
        return {
            "level": "failed",
            "word": "Incomplete",
            "sentence": f"{counted(len(absent), 'product')} absent, no failure recorded.",
        }
    found = counted(len(material.used), "product")
    if warnings:
        titles = "; ".join(remark["title"] for remark in warnings)
        return {"level": "warning", "word": "Complete, look twice", "sentence": f"{titles}."}
    season = material.usable("reference_model").facts["selection"]["season"]
    cameras = f"; {counted(len(material.cameras), 'camera block')} calibrated"
    throughputs = [p for p in material.used if p.endswith("/throughput/muon_throughput.h5")]
    muons = f"; {counted(len(throughputs), 'optical throughput')} from muon rings"
    return {
        "level": "complete",
        "word": "Complete",
        "sentence": f"{found}; the optical depth closes; reference model {season}, by density"
        f"{cameras if material.cameras else ''}{muons if throughputs else ''}"
        f"{_certified(material)}.",
    }


def _certified(material: NightMaterial) -> str:
    """How many products were verified and certified."""
    if not material.certifications:
        return ""
    number = sum(len(record["certified"]) for record in material.certifications)
    return f"; {counted(number, 'product')} verified and certified"

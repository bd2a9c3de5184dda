"""Nights calibrated again, with what differs, and their acceptance."""

import math
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import ToolConfigurationError, traits

from .archive_tool import ArchiveTool, SigningTool, tabulated
from .reprocessing import begun_with, lonely, months, planned_jobs, run_workflow
from .workflow_tool import WorkflowTool


class Reprocess(WorkflowTool, SigningTool):
    """Calibrate a range of nights again for a release, beside what is certified.

    In a folder of its own, which begins with the results there are: only what follows from other
    code, settings or inputs is made again. One run of the workflow a month; the same command goes
    on after an interruption; with --plan nothing runs, it says what would. At the end: what differs
    from the results before, kind by kind. What passes its verification is kept in the archive for
    the release. With --accept it is certified, all at once, in front of what held until then.
    """

    name = "calibpipe-reprocess"
    description = __doc__
    examples = """
    calibpipe-reprocess --release 2027a --directory . --output-folder ../2027a \\
        --configfile my_nights.yaml --site CTAO-North --first 2024-01-01 --last 2024-12-31 --plan
    calibpipe-reprocess --release 2027a --directory . --output-folder ../2027a \\
        --configfile my_nights.yaml --site CTAO-North --first 2024-01-01 --last 2024-12-31
    calibpipe-reprocess --release 2027a --archive calibration_archive --accept \\
        --reason "differences understood, see the minutes of 12 March"
    """

    release = traits.Unicode("", help="Name of the release").tag(config=True)
    output_folder = traits.Path(
        None, allow_none=True, exists=None, file_ok=False, help="Folder for the new results"
    ).tag(config=True)
    site = traits.List(traits.Unicode(), help="Sites; empty: those of the configuration").tag(
        config=True
    )
    category = traits.List(traits.Unicode(), help="Categories; empty: as configured").tag(
        config=True
    )
    first = traits.Unicode("", help="First night, YYYY-MM-DD").tag(config=True)
    last = traits.Unicode("", help="Last night").tag(config=True)
    plan = traits.Bool(
        False, help="Say what would be made again: as many months at a time as there are --cores"
    ).tag(config=True)
    accept = traits.Bool(False, help="Certify the products of the release").tag(config=True)

    aliases: ClassVar[dict] = (
        ArchiveTool.aliases
        | SigningTool.aliases
        | WorkflowTool.aliases
        | {
            "release": "Reprocess.release",
            ("o", "output-folder"): "Reprocess.output_folder",
            "site": "Reprocess.site",
            "category": "Reprocess.category",
            "first": "Reprocess.first",
            "last": "Reprocess.last",
        }
    )
    flags: ClassVar[dict] = ArchiveTool.flags | {
        "plan": ({"Reprocess": {"plan": True}}, "Say what would be made again"),
        "accept": ({"Reprocess": {"accept": True}}, "Certify the products of the release"),
    }
    required: ClassVar[tuple[str, ...]] = ("release",)
    _failed = 0

    def start(self) -> None:
        """Make again and compare, or accept."""
        from ..archive.names import checked_name

        checked_name(self.release, "release")
        if self.accept:
            self.accepted()
            return
        missing = [name for name in ("output_folder", "first", "last") if not getattr(self, name)]
        if missing:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
            raise ToolConfigurationError(f"{self.name} needs {options}")
        old, new = Path(self.directory).resolve(), Path(self.output_folder).resolve()
        if old == new:
            raise ToolConfigurationError(f"--output-folder {new} holds the results of before")
        new.mkdir(parents=True, exist_ok=True)
        with lonely(new) as lock:
            keys, overlays = self.begun(old, new)
            if self.plan:
                self.tell_plan(overlays, new)
                return
            self.made_again(overlays, new, lock)
            self.compared(old, new, keys)

    def accepted(self) -> None:
        """Certify what is proposed."""
        from ..archive.release import accept

        if self.archive is None:
            raise ToolConfigurationError(f"{self.name} --accept needs --archive")
        signature = self.signature()
        records = accept(self.opened(writeable=True), self.release, **signature)
        rows = [{k: v for k, v in r.items() if k != "interval"} for r in records]
        counts: dict[tuple[str, str], int] = {}
        for row in rows:
            key = row["kind"], row["action"]
            counts[key] = counts.get(key, 0) + 1
        shown = [{"kind": k, "action": a, "n": n} for (k, a), n in sorted(counts.items())]
        self.answer(rows, tabulated(shown, {"kind": "kind", "action": "", "n": "products"}))

    def begun(self, old: Path, new: Path) -> tuple[list[tuple[str, str, str]], list[Path]]:
        """Site, category and night of what is asked for; a configuration of each month."""
        import yaml

        settings = self.settings()
        keys = [
            (site, category, night)
            for site in settings["sites"]
            for category in settings["categories"]
            for night in settings["nights"]
        ]
        folders = [f"results/{'/'.join(key)}" for key in keys]
        begun_with(old, new, ["results/archive", *folders])
        overlays = []
        for nights in months(settings["nights"]):
            overlay = new / f"reprocessing/{nights[0][:7]}.yaml"
            overlay.parent.mkdir(exist_ok=True)
            overlay.write_text(yaml.safe_dump(settings | {"nights": nights}))
            overlays.append(overlay)
        return keys, overlays

    def tell_plan(self, overlays: list[Path], new: Path) -> None:
        """Jobs of each month by rule."""
        from concurrent.futures import ThreadPoolExecutor

        def planned(overlay: Path) -> dict[str, int] | None:
            options = self.workflow_options(overlay)
            return planned_jobs(options, new, overlay.with_suffix(".plan.log"))

        with ThreadPoolExecutor(self.cores) as pool:
            found = dict(zip(overlays, pool.map(planned, overlays), strict=True))
        counts: dict[str, int] = {}
        for overlay, jobs in found.items():
            if jobs is None:
                self._failed = 1
                self.log.error(
                    "%s: no plan, see %s", overlay.stem, overlay.with_suffix(".plan.log")
                )
            for rule, number in (jobs or {}).items():
                counts[rule] = counts.get(rule, 0) + number
        content = {overlay.stem: jobs for overlay, jobs in found.items()}
        rows = [{"rule": rule, "jobs": number} for rule, number in sorted(counts.items())]
        rows.append({"rule": "all jobs", "jobs": sum(counts.values())})
        if "dl0_index" in counts:
            rows.append({"rule": "and what follows from the data, when their index is made"})
        self.answer(content, tabulated(rows, {"rule": "rule", "jobs": "jobs"}))

    def made_again(self, overlays: list[Path], new: Path, lock: int) -> None:
        """Run the workflow month by month."""
        begin = time.monotonic()
        for number, overlay in enumerate(overlays):
            month = overlay.stem
            options = self.workflow_options(overlay)

            def tell(done: int, of: int, _: float, k: int = number, month: str = month) -> None:
                part = (k + done / of) / len(overlays)
                gone = time.monotonic() - begin
                left = _duration(gone / part - gone) if part else "?"
                place = f"{month} ({k + 1} of {len(overlays)})"
                print(f"{place}: {done} of {of} jobs, {_duration(gone)} gone, about {left} left")

            code = run_workflow(options, new, overlay.with_suffix(".log"), tell, lock=lock)
            if code:
                self._failed = 1
                self.log.error(
                    "%s: not all of it was made, see %s", month, overlay.with_suffix(".log")
                )

    def settings(self) -> dict[str, Any]:
        """What is laid over the configuration: the range, and the release."""
        base = self.configured()
        try:
            first, last = date.fromisoformat(self.first), date.fromisoformat(self.last)
        except ValueError as error:
            raise ToolConfigurationError(f"--first and --last are YYYY-MM-DD: {error}") from error
        if last < first:
            raise ToolConfigurationError(f"--last {last} comes before --first {first}")
        nights = [str(first + timedelta(days=k)) for k in range((last - first).days + 1)]
        return {
            "sites": list(self.site) or base["sites"],
            "categories": list(self.category) or base["categories"],
            "telescopes": list(self.telescopes) or base["telescopes"],
            "nights": nights,
            "archive": {"release": self.release},
        }

    def compared(self, old: Path, new: Path, keys: list[tuple[str, str, str]]) -> None:
        """What differs from the results before, product by product and kind by kind."""
        from ..core.files import atomic_path
        from ..report.release_summary import summary_page, summary_table
        from .compare_products import difference_table
        from .product_comparison import compare_folders

        found = []
        for key in keys:
            place = f"results/{'/'.join(key)}"
            if (old / place).is_dir() or (new / place).is_dir():
                found += compare_folders(old / place, new / place, place)
        summary = summary_table(found)
        folder = new / "reprocessing"
        for name, table in {"summary": summary, "differences": difference_table(found)}.items():
            with atomic_path(folder / f"{name}.ecsv") as temporary:
                table.write(temporary, format="ascii.ecsv", overwrite=True)
        with atomic_path(folder / "summary.html") as temporary:
            temporary.write_text(summary_page(self.release, keys, found))
        rows = [dict(zip(summary.colnames, map(_shown, row), strict=True)) for row in summary]
        text = tabulated(rows, {name: name.replace("_", " ") for name in summary.colnames})
        self.answer([f.document() for f in found], f"{text}\n{folder / 'summary.html'}")

    def exit(self, exit_status: int = 0) -> None:
        """End with an error's own code, or with 1 if not all of the nights was made."""
        super().exit(exit_status or self._failed)


def _shown(value: Any) -> Any:
    """A number for people; nothing for NaN."""
    if isinstance(value, float):
        return None if math.isnan(value) else f"{value:.2g}"
    return value


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def main() -> None:
    """Run the Tool."""
    Reprocess().run()


if __name__ == "__main__":
    main()

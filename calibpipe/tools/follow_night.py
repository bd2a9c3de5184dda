"""A night that is not over, calibrated block by block."""

import math
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import ToolConfigurationError, traits

from .night_tool import require
from .quick_look import block_line, findings, is_left_out
from .reprocessing import is_locked, lonely, run_workflow
from .workflow_tool import WorkflowTool

DOMAINS = ("atmosphere", "camera", "throughput", "pointing", "report")  # that need no later data


class FollowNight(WorkflowTool):
    """Follow a running night: calibrate each observation block as soon as its data are complete.

    A block is complete when a later one of the same telescope has begun, or when its files have
    stayed as they are for some time. Then the workflow makes camera, throughput (of all blocks so
    far) and pointing of it, verifies them, and the page of the night; one line tells when, and the
    verdicts. What fails of a block is told and does not stop the others. Nothing is certified,
    unless with --certify the camera. It ends at astronomical dawn, at --until or with Ctrl-C. The
    run of the morning goes on from there: what is complete is not done again.
    """

    name = "calibpipe-follow-night"
    description = __doc__
    examples = """
    calibpipe-follow-night --site CTAO-North --category B --configfile my_nights.yaml
    calibpipe-follow-night --site CTAO-North --category B --until 2024-07-11T02:00:00
    """

    site = traits.Unicode("", help="Site, as in the configuration: CTAO-North").tag(config=True)
    night = traits.Unicode("", help="Evening, YYYY-MM-DD; empty: the night of now").tag(config=True)
    category = traits.CaselessStrEnum(
        ["B", "C"], "B", help="Category; that of the morning, or all is made again"
    ).tag(config=True)
    until = traits.Unicode(
        "", help="End, as 2024-07-11T02:00:00 (UTC); empty: astronomical dawn and settle_in_s"
    ).tag(config=True)
    settle_in_s = traits.Float(
        120.0, min=0, help="Files that have not changed for so long are complete"
    ).tag(config=True)
    interval_in_s = traits.Float(10.0, min=0.1, help="Time between two looks").tag(config=True)
    certify = traits.Bool(False, help="Certify the camera coefficients of each block").tag(
        config=True
    )

    aliases: ClassVar[dict] = WorkflowTool.aliases | {
        "site": "FollowNight.site",
        "night": "FollowNight.night",
        "category": "FollowNight.category",
        "until": "FollowNight.until",
        "settle-in-s": "FollowNight.settle_in_s",
        "interval-in-s": "FollowNight.interval_in_s",
    }
    flags: ClassVar[dict] = {
        "certify": ({"FollowNight": {"certify": True}}, "Certify the camera of each block")
    }

    def setup(self) -> None:
        """Which night, until when, what is wanted of it."""
        from astropy.time import Time

        from ..core.night import astronomical_night, night_date, observing_night
        from ..core.site import load_site

        if not self.site:
            raise ToolConfigurationError(f"{self.name} needs --site")
        site = load_site(self.workflow_folder() / f"config/sites/{self.site}.yaml")
        self.night = self.night or observing_night(Time.now(), site)
        self._date = night_date(self.night)
        if self.until:
            self._end = _unix_time(self.until)
        else:
            dawn = astronomical_night(self.night, site).dawn
            self._end = float(dawn.unix) + self.settle_in_s
        require(
            self._end > time.time(),
            f"the night {self.night} at {self.site} was over at {_text(self._end)} UTC: run the "
            "workflow itself, or give a later --until",
        )
        self.prepare(self.configured(), list(site.telescopes))

    def prepare(self, configured: dict[str, Any], there: list[str]) -> None:
        """What is laid over the configuration; folders."""
        require(
            configured["dl0"]["source"] == "files",
            f"dl0.source is {configured['dl0']['source']}: only files can be waited for",
        )
        without_weather = configured["meteo"]["source"] == "archive"  # a day later, or five
        left = {"pointing"} if without_weather else set()  # stars are refracted
        domains = [name for name in configured["domains"] if name in DOMAINS and name not in left]
        elements = list(self.telescopes) or configured["telescopes"]
        self._overlay: dict[str, Any] = {
            "sites": [self.site],
            "categories": [self.category],
            "nights": [self.night],
            "telescopes": elements,
            "domains": domains + ["archive"] * self.certify,
        }
        if without_weather:
            self._overlay["meteo"] = {"source": "none"}
        self._elements = [name for name in there if name in elements or not elements]
        self._folder = Path(self.directory).resolve()
        self._root = self._folder / configured["data_roots"]["dl0"]
        key = f"{self.site}/{self.category}/{self.night}"
        self._results, self._logs = self._folder / "results" / key, self._folder / "logs" / key
        self._runs = self._folder / "quick_look" / key
        self._looked = -math.inf
        self._seen: dict[Any, Any] = {}
        self._taken: dict[Any, Any] = {}  # files with which a block was calibrated
        self._left_out: set[Any] = set()
        self._failed: set[Any] = set()
        self._waits = False

    def start(self) -> None:
        """Look, calibrate, wait, until the night is over."""
        with lonely(self._folder, "quick look") as self._lock:
            without = "meteo" in self._overlay
            print(
                f"{self.site} {self.night}: until {_text(self._end)} UTC"
                + ", without weather: star tracking is left to the morning" * without,
                flush=True,
            )
            try:
                self.follow()
            except KeyboardInterrupt:
                print("stopped by Ctrl-C", flush=True)
            self.tell_end()

    def follow(self) -> None:
        """Look again and again; the last time after the end."""
        is_over = False
        while not is_over:
            self.look()
            is_over = self._looked >= self._end
            pending = self.pending()
            if pending and not self.has_to_wait():
                self.calibrate(pending)
            elif not is_over:
                next_look = self._looked + self.interval_in_s
                time.sleep(min(self.interval_in_s, max(next_look - time.time(), 0.01)))

    def look(self, *_: Any) -> None:
        """See which files there are, unless the last look is less than `interval_in_s` ago."""
        from ..core.dl0_arrival import arrivals, files_of_blocks

        now = time.time()
        if 0 <= now - self._looked < self.interval_in_s:
            return
        found = files_of_blocks(self._root, self._date, self._elements)
        self._seen = arrivals(self._seen, found, now)
        self._looked = now

    def complete(self) -> list[Any]:
        """Blocks whose data were complete at the last look."""
        from ..core.dl0_arrival import complete_blocks

        return complete_blocks(self._seen, self._looked, self.settle_in_s)

    def pending(self) -> list[Any]:
        """Complete blocks that were not calibrated, or with other files."""
        return [b for b in self.complete() if self._taken.get(b) != self._seen[b].files]

    def has_to_wait(self) -> bool:
        """Whether another Snakemake has the folder; said once."""
        locked = is_locked(self._folder)
        if locked and not self._waits:
            self.log.warning(
                "%s is locked: another Snakemake runs there, blocks wait for its end; if it was "
                "killed, remove its lock with `snakemake --unlock`",
                self._folder,
            )
        self._waits = locked
        return locked

    def calibrate(self, pending: list[Any]) -> None:
        """Run the workflow on the complete blocks, tell what came of those that are new."""
        import yaml

        before = [b for b in self.complete() if b in self._taken and b not in self._left_out]
        blocks = sorted({*pending, *before})
        arrived = {block: self._seen[block] for block in blocks}
        overlay = self._runs / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}.yaml"
        overlay.parent.mkdir(parents=True, exist_ok=True)
        names = [f"{element}/OBSID{obs_id}" for element, obs_id in blocks]
        dl0 = {"dl0": {"blocks": names}}
        overlay.write_text(yaml.safe_dump(self._overlay | dl0))
        # its sizes may be of files that have grown since, which no time of a folder tells
        (self._results / "array/dl0_index.ecsv").unlink(missing_ok=True)
        log = overlay.with_suffix(".log")
        options = ["quick_look", *self.workflow_options(overlay)]
        code = run_workflow(options, self._folder, log, self.look, is_alone=False, lock=self._lock)
        absent = f"not made, see {log}" if code else "left to the morning"
        for block in pending:
            self._taken[block] = arrived[block].files
            found = findings(self._results, self._logs, block, self._overlay["domains"])
            for known, holds in (
                (self._left_out, is_left_out(self._logs, block)),
                (self._failed, bool(code) and not all(f.is_made for f in found)),
            ):
                (known.add if holds else known.discard)(block)
            print(block_line(block, arrived[block].since, found, absent), flush=True)

    def tell_end(self) -> None:
        """How many blocks there were; those that are left to the morning."""
        rest = sorted(set(self._seen) - set(self._taken))
        page = self._results / "report/index.html"
        print(
            f"{len(self._taken)} blocks, {len(self._failed)} of them with failures"
            + (f"; not calibrated: {', '.join(f'{e} OBSID{n}' for e, n in rest)}" if rest else "")
            + (f"; {page}" if page.is_file() else ""),
            flush=True,
        )

    def finish(self) -> None:
        """Nothing is left to be done."""

    def write_provenance(self) -> None:
        """Provenance of the run where it was asked for; each product has its own."""
        if self.provenance_log is not None:
            super().write_provenance()

    def exit(self, exit_status: int = 0) -> None:
        """End with an error's own code, or with 1 if not all of a block was made."""
        super().exit(exit_status or int(bool(getattr(self, "_failed", ()))))


def _unix_time(text: str) -> float:
    from astropy.time import Time

    try:
        return float(Time(text, scale="utc").unix)
    except ValueError as error:
        raise ToolConfigurationError(f"--until is like 2024-07-11T02:00:00: {error}") from error


def _text(unix: float) -> str:
    return f"{datetime.fromtimestamp(unix, UTC):%Y-%m-%d %H:%M:%S}"


def main() -> None:
    """Run the Tool."""
    FollowNight().run()


if __name__ == "__main__":
    main()

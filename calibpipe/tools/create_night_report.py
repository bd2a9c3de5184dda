"""Page of one night: what was made, what it says, what failed and why."""

import re
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

_WARNING = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ WARNING \[[^\]]*\] (?:\([^)]*\): )?(.*)$")
_OF_TELESCOPE = re.compile(r"^[^/]+/((?:camera|throughput)/\w+)(?:\.[^./]+)?$")
_OF_ARRAY = re.compile(
    r"array/(?:(energy|image)_asymmetry\.([^./]+)|(inter_calibration|cross_calibration|timing))"
)
_OF_MUONS = re.compile(r"([^/]+)/throughput/muon_(?:rings\.([^./]+)|throughput|psf)")
_OF_FLASHES = re.compile(r"([^/]+)/throughput/illuminator_throughput\.([^./]+)")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


class CreateNightReport(NightTool):
    """Create the page of one night: one HTML file that opens without network.

    Takes what there is in the folder of the night. What is absent is listed with the reason: the
    records that failed steps left beside their logs, or the step that it waits for. Records that
    are older than the products of their step, and those of steps that the night does without, do
    not count.
    """

    name = "calibpipe-create-night-report"
    description = __doc__
    examples = """
    calibpipe-create-night-report --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --category C --night-folder results/CTAO-North/C/2024-07-10 \\
        --log-folder logs/CTAO-North/C/2024-07-10 --pool config/reference_models/CTAO-North \\
        --output results/CTAO-North/C/2024-07-10/report/index.html
    """

    night_folder = traits.Path(
        None, allow_none=True, exists=None, file_ok=False, help="Folder with the night's products"
    ).tag(config=True)
    log_folder = traits.Path(
        None,
        allow_none=True,
        exists=None,
        file_ok=False,
        help="Folder with the night's logs and failure records",
    ).tag(config=True)
    pool = traits.Path(
        None,
        allow_none=True,
        exists=None,
        file_ok=False,
        help="Folder with the reference models of the site, to compare the night with",
    ).tag(config=True)
    margin_limit_in_sigma = traits.Float(
        2.0,
        min=0,
        help="The page warns when the density at 15 km is nearer to the boundary of two models",
    ).tag(config=True)
    by_date = traits.Bool(
        False,
        help="The date was forced to choose the reference model: nothing of the weather is missed",
    ).tag(config=True)
    camera = traits.Bool(
        False,
        help="Cameras are expected: an absent index of DL0 files counts as missing",
    ).tag(config=True)
    throughput = traits.Bool(
        False,
        help="Muon rings are expected: absent throughputs of indexed telescopes count as missing",
    ).tag(config=True)
    illuminator = traits.List(
        traits.Int(min=1),
        help="Observations with flashes of external light: no muon rings are expected of them, and "
        "of cameras only what there is a trace of",
    ).tag(config=True)
    array = traits.Bool(
        False,
        help="Inter-calibration, cross-calibration and timing of the array are expected: absent "
        "ones count as missing",
    ).tag(config=True)
    min_rings = traits.Int(
        100, min=0, help="The page warns when a telescope has fewer muon rings"
    ).tag(config=True)
    throughput_sys_limit_in_percent = traits.Float(
        5.0, min=0, help="The page warns when the systematic error of a throughput is larger"
    ).tag(config=True)
    throughput_difference_limit_in_percent = traits.Float(
        10.0, min=0, help="The page warns when a telescope is farther from the others of its kind"
    ).tag(config=True)
    masked_limit_in_percent = traits.Float(
        5.0, min=0, max=100, help="The page warns when more pixels of a camera are masked"
    ).tag(config=True)
    co2_age_limit_in_days = traits.Float(
        400.0, min=0, help="The page says so when measured CO2 ends longer before the night"
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        "night-folder": "CreateNightReport.night_folder",
        "log-folder": "CreateNightReport.log_folder",
        "pool": "CreateNightReport.pool",
        "illuminator": "CreateNightReport.illuminator",
    }
    flags: ClassVar[dict] = {
        "by-date": (
            {"CreateNightReport": {"by_date": True}},
            "The date was forced to choose the reference model",
        ),
        "camera": (
            {"CreateNightReport": {"camera": True}},
            "Cameras are expected: an absent index of DL0 files counts as missing",
        ),
        "throughput": (
            {"CreateNightReport": {"throughput": True}},
            "Muon rings are expected: absent throughputs of indexed telescopes count as missing",
        ),
        "array": (
            {"CreateNightReport": {"array": True}},
            "Calibration and timing of the array are expected: absent ones count as missing",
        ),
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "night_folder")

    def start(self) -> None:
        """Read, collect, draw, write."""
        from datetime import UTC, datetime

        from .. import __version__
        from ..core.files import atomic_path
        from ..report.night_figures import night_figures
        from ..report.night_page import night_facts, render

        material = self.material()
        facts = night_facts(material, night_figures(material))
        page = render(facts, datetime.now(UTC).replace(microsecond=0), __version__)
        with atomic_path(self.output) as temporary:
            temporary.write_text(page, encoding="utf-8")
        self.add_output(self.output, "report/night")
        self.log.info(
            "%s: %s %s", self.output, facts["status"]["word"], facts["status"]["sentence"]
        )

    def material(self) -> Any:
        """Everything that the page is made from."""
        from dataclasses import replace

        from ..core.exceptions import MissingInputError
        from ..core.night import astronomical_night
        from ..report.material import DL0_INDEX, STEPS, NightMaterial, ThroughputLimits

        site = self.load_site()
        try:
            darkness = astronomical_night(self.night, site)
        except MissingInputError:  # no darkness: the page says so
            darkness = None
        index = f"{DL0_INDEX}.ecsv"
        first = {index: self.product(index)} if (self.night_folder / index).is_file() else {}
        cameras = self.camera_steps(first.get(index))
        muons = self.throughput_steps(first.get(index), cameras)
        flashes = self.illuminator_steps(first.get(index))
        history = self.history_steps()
        array = self.array_steps(muons)
        steps = STEPS + cameras + muons + flashes + history + array
        paths = [path for step in steps for path in step.products if path != index]
        there = {p: self.product(p) for p in paths if (self.night_folder / p).is_file()}
        found = NightMaterial(
            site=site,
            night=self.night,
            category=self.category,
            darkness=darkness,
            products=there | first,
            models=self.models(),
            margin_limit=self.margin_limit_in_sigma,
            co2_age_limit=self.co2_age_limit_in_days,
            forced_by_date=self.by_date,
            camera_steps=cameras,
            masked_limit=self.masked_limit_in_percent / 100,
            throughput_steps=muons,
            throughput_limits=ThroughputLimits(
                self.min_rings,
                self.throughput_sys_limit_in_percent / 100,
                self.throughput_difference_limit_in_percent / 100,
            ),
            illuminator_steps=flashes,
            history_steps=history,
            array_steps=array,
            verdicts=self.documents("verification"),
            certifications=self.documents("certification"),
        )
        return replace(found, failures=self.failures(found), log_warnings=self.log_warnings(found))

    def documents(self, folder: str) -> list[dict[str, Any]]:
        """Records of the verification or certification of the night; what is broken is left out."""
        import json

        found = []
        for path in sorted((self.night_folder / folder).glob("*.json")):
            if path.name.endswith(".provenance.json"):
                continue
            try:
                found.append(json.loads(path.read_text()))
            except ValueError as error:
                self.log.warning("%s cannot be read and is not shown: %s", path, error)
        return found

    def camera_steps(self, index: Any) -> tuple[Any, ...]:
        """Steps of the cameras; none if there is no trace of them and none are expected."""
        from ..core.dl0_files import blocks
        from ..report.material import camera_steps, is_of_cameras

        failed = [step for step, _ in self.logs("failure.json") if is_of_cameras(step)]
        if not (self.camera or self.throughput or index or failed):
            return ()
        known = blocks(index.table) if index and not index.problem else []
        known = [block for block in known if block[1] not in self.illuminator or self.traced(block)]
        return camera_steps(known, [step for step in failed if step.startswith("simulation/")])

    def traced(self, block: tuple[str, int]) -> bool:
        """Whether something was made of the camera in an observation, or a step failed."""
        step = f"{block[0]}/camera/{{}}.OBSID{block[1]}"
        names = [step.format(kind) for kind in ("pixel_statistics", "coefficients")]
        failed = {name for name, _ in self.logs("failure.json")}
        return any(n in failed or (self.night_folder / f"{n}.h5").is_file() for n in names)

    def illuminator_steps(self, index: Any) -> tuple[Any, ...]:
        """Steps of flashes: with a product or a failure, or expected of the index."""
        from ..core.dl0_files import blocks
        from ..report.material import illuminator_steps

        traces = map(_OF_FLASHES.fullmatch, self.traces())
        found = {match.groups() for match in traces if match}
        for array_element, obs_id in blocks(index.table) if index and not index.problem else ():
            if obs_id in self.illuminator:
                found.add((array_element, f"OBSID{obs_id}"))
        return illuminator_steps(sorted(found, key=lambda entry: (_of_number(entry[1]), entry[0])))

    def history_steps(self) -> tuple[Any, ...]:
        """Step of the nights before, if there is a trace of it."""
        from ..report.material import HISTORY, Step

        path = f"{HISTORY}.ecsv"
        failed = HISTORY in [step for step, _ in self.logs("failure.json")]
        there = failed or (self.night_folder / path).is_file()
        return (Step(HISTORY, (path,)),) if there else ()

    def traces(self) -> list[str]:
        """Steps that failed, and products of throughputs and of the array that are there."""
        failed = [step for step, _ in self.logs("failure.json")]
        files = [
            *self.night_folder.glob("*/throughput/*.h5"),
            *self.night_folder.glob("array/*.h5"),
        ]
        return failed + [p.relative_to(self.night_folder).as_posix()[:-3] for p in files]

    def throughput_steps(self, index: Any, cameras: tuple[Any, ...]) -> tuple[Any, ...]:
        """Steps of the muon rings: of telescopes with a trace of them, or of all if expected."""
        from ..core.dl0_files import blocks
        from ..report.material import throughput_steps

        found: dict[str, set[str]] = {}
        for match in filter(None, map(_OF_MUONS.fullmatch, self.traces())):
            found.setdefault(match[1], set()).update(filter(None, [match[2]]))
        for array_element, obs_id in blocks(index.table) if index and not index.problem else ():
            expected = self.throughput or array_element in found
            if expected and obs_id not in self.illuminator:
                found.setdefault(array_element, set()).add(f"OBSID{obs_id}")
        ordered = {name: sorted(found[name], key=_of_number) for name in sorted(found)}
        return throughput_steps(ordered, [step.name for step in cameras])

    def array_steps(self, muons: tuple[Any, ...]) -> tuple[Any, ...]:
        """Steps of the array: with a product or a failure, or all if expected."""
        from ..report.material import ARRAY_RESULTS, array_steps

        matches = list(filter(None, map(_OF_ARRAY.fullmatch, self.traces())))
        found: dict[str, set[str]] = {}
        for match in matches:
            if match[1]:
                found.setdefault(match[1], set()).add(match[2])
        if self.array:  # both quantities of every block
            found = dict.fromkeys(("energy", "image"), set().union(*found.values()))
        blocks = {name: sorted(found[name], key=_of_number) for name in sorted(found)}
        there = {match[3] for match in matches}
        results = [name for name in ARRAY_RESULTS if self.array or name in there]
        throughputs = [step.name for step in muons if step.name.endswith("/muon_throughput")]
        return array_steps(blocks, results, throughputs)

    def product(self, name: str) -> Any:
        """A product of the night as it lies there; one that cannot be read says why."""
        import os

        from ..core.exceptions import CalibPipeError
        from ..core.files import sha256
        from ..core.products import read_json, read_table
        from ..report.material import FoundProduct
        from .hdf5_products import (
            array_tables,
            camera_coefficients,
            hdf5_header,
            throughput_tables,
        )

        stem, suffix = name.rsplit(".", 1)
        kind = _OF_TELESCOPE.sub(r"\1", stem)
        if _OF_ARRAY.fullmatch(stem):
            kind = stem.split(".")[0]
        path = self.add_input(self.night_folder / name, kind)
        header, table, content, geometry, tables, problem = {}, None, {}, None, {}, ""
        try:
            if suffix == "ecsv":
                table = read_table(path, kind)
                header = dict(table.meta)
            elif suffix == "json":
                header = read_json(path, kind)
                content = header.pop("content")
            elif suffix == "h5":
                header = hdf5_header(path, kind)
                if kind == "camera/coefficients":
                    table, geometry = camera_coefficients(path, header["calibpipe"])
                elif kind.startswith("throughput/"):
                    tables, geometry = throughput_tables(path, header["calibpipe"])
                elif kind.startswith("array/"):
                    tables = array_tables(path, kind)
        except CalibPipeError as error:
            problem = str(error)
        return FoundProduct(
            path=name,
            link=os.path.relpath(path, self.output.parent),
            size=path.stat().st_size,
            sha256=sha256(path),
            header=header,
            table=table,
            content=content,
            geometry=geometry,
            tables=tables,
            problem=problem,
        )

    def failures(self, night: Any) -> list[dict[str, Any]]:
        """Records of failed steps among those that the night needs, the first failure first."""
        import json

        records = []
        for step, path in self.logs("failure.json", night):
            if self.is_outdated(step, path, night):
                continue
            self.add_input(path, "failure record")
            try:
                record = dict(json.loads(path.read_text()))
            except (ValueError, TypeError) as error:
                record = {
                    "step": step,
                    "error": type(error).__name__,
                    "message": f"the failure record {path} cannot be read: {error}; see the log",
                }
            records.append(record)
        return sorted(records, key=lambda record: str(record.get("time_utc", "")))

    def is_outdated(self, step: str, record: Path, night: Any) -> bool:
        """Whether all that a step makes was made after the record of its failure.

        The simulation makes no product of the page: those of the steps that need it count.
        """
        own = [path for s in night.all_steps if s.name == step for path in s.products]
        later = [path for s in night.all_steps if step in s.needs for path in s.products]
        paths = [self.night_folder / path for path in own or later]
        failed = record.stat().st_mtime_ns
        return bool(paths) and all(p.is_file() and p.stat().st_mtime_ns > failed for p in paths)

    def log_warnings(self, night: Any) -> list[tuple[str, str]]:
        """Warnings in the logs of the steps that the night needs, each once: step and text."""
        found = {}
        for step, path in self.logs("log", night):
            for line in path.read_text(errors="replace").splitlines():
                if match := _WARNING.match(_COLOUR.sub("", line)):
                    found[step, match[1]] = None
        return list(found)

    def logs(self, suffix: str, night: Any = None) -> list[tuple[str, Path]]:
        """Step and file of what the steps left in the log folder.

        Left out: earlier reports, and steps that the night, if given, does without.
        """
        if self.log_folder is None:
            return []
        left_out = set()
        if night is not None:
            left_out = {s.name for s in night.all_steps} - {s.name for s in night.steps}
        paths = [*self.log_folder.glob(f"*/*.{suffix}"), *self.log_folder.glob(f"*/*/*.{suffix}")]
        steps = {
            path.relative_to(self.log_folder).as_posix().removesuffix(f".{suffix}"): path
            for path in sorted(paths)
        }
        return [
            (step, path)
            for step, path in steps.items()
            if not step.startswith("report/") and step not in left_out
        ]

    def models(self) -> dict[str, Any]:
        """Newest reference model of each season in the pool; none without a pool."""
        from ..core.exceptions import CalibPipeError
        from ..core.products import read_table
        from .select_reference_atmospheric_model import POOL_KIND

        newest: dict[str, Any] = {}
        for path in sorted(self.pool.glob("*.ecsv")) if self.pool is not None else ():
            try:
                table = read_table(self.add_input(path, "reference_model"), POOL_KIND)
            except CalibPipeError as error:
                self.log.warning("left out of the figure: %s", error)
                continue
            facts = table.meta["calibpipe"]
            known = newest.get(facts["season"])
            if known is None or known.meta["calibpipe"]["version"] < facts["version"]:
                newest[facts["season"]] = table
        return newest


def _of_number(block: str) -> tuple[int, str]:
    """``OBSID9`` before ``OBSID10``."""
    return len(block), block


def main() -> None:
    """Run the Tool."""
    CreateNightReport().run()


if __name__ == "__main__":
    main()

"""Steps of a night for its page: those that left a product or a failure, and expected ones."""

import re
from pathlib import Path
from typing import Any

from .night_tool import NightTool, require

__all__ = ["AEROSOL", "OF_ARRAY", "NightSteps"]

AEROSOL = (  # as in the report, which is slow to import
    "clear_night",
    "lidar",
    "allsky",
    "transparency_coefficient",
    "observation_conditions",
)

OF_ARRAY = re.compile(
    r"array/(?:(energy|image)_asymmetry\.([^./]+)|(inter_calibration|cross_calibration|timing))"
)
_OF_MUONS = re.compile(r"([^/]+)/throughput/muon_(?:rings\.([^./]+)|throughput|psf)")
_OF_POINTING = re.compile(r"([^/]+)/pointing/(?:(star_tracking|star_psf)\.([^./]+)|pointing_model)")
_WARNING = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ WARNING \[[^\]]*\] (?:\([^)]*\): )?(.*)$")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_OF_FLASHES = re.compile(r"([^/]+)/throughput/illuminator_throughput\.([^./]+)")


class NightSteps(NightTool):
    """Tool that knows which steps belong to a night.

    Its traits ``night_folder``, ``log_folder``, ``camera``, ``dedicated``, ``calibration_runs``,
    ``throughput``, ``illuminator``, ``pointing``, ``array`` and ``aerosol`` are those of the Tool.
    """

    def camera_steps(self, index: Any) -> tuple[Any, ...]:
        """Steps of the cameras; none if there is no trace of them and none are expected."""
        from ..report.material import camera_steps, is_of_cameras

        failed = [step for step, _ in self.logs("failure.json") if is_of_cameras(step)]
        if not (self.camera or self.throughput or self.pointing or index or failed):
            return ()
        known = [b for b in self.blocks(index) if b[1] not in self.special or self.traced(b)]
        return camera_steps(known, [step for step in failed if step.startswith("simulation/")])

    @property
    def special(self) -> set[int]:
        """Observations with external light or of dedicated runs: no showers, no stars."""
        return {*self.illuminator, *self.calibration_runs}

    def blocks(self, index: Any) -> list[tuple[str, int]]:
        """Array element and observation of the index, if it is there and can be used."""
        from ..core.dl0_files import blocks

        return blocks(index.table) if index and not index.problem else []

    def dedicated_steps(self, cameras: tuple[Any, ...]) -> tuple[Any, ...]:
        """Steps of dedicated runs of cameras: with a product or a failure, or expected."""
        from ..report.dedicated_night import dedicated_steps, product_path

        failed = [step for step, _ in self.logs("failure.json")]
        paths = [product_path(step) for step in failed]
        root = self.night_folder.resolve()
        for path in map(Path, self.dedicated):
            require(
                path.resolve().is_relative_to(root),
                f"{path} is not in the folder of the night, {root}; give products of this night",
            )
            paths.append(path.resolve().relative_to(root).as_posix())
        files = [p for end in ("h5", "ecsv") for p in self.night_folder.glob(f"*/camera/*.{end}")]
        paths += sorted(p.relative_to(self.night_folder).as_posix() for p in files)
        return dedicated_steps(paths, [step.name for step in cameras], failed)

    def traced(self, block: tuple[str, int]) -> bool:
        """Whether something was made of the camera in an observation, or a step failed."""
        step = f"{block[0]}/camera/{{}}.OBSID{block[1]}"
        names = [step.format(kind) for kind in ("pixel_statistics", "coefficients")]
        failed = {name for name, _ in self.logs("failure.json")}
        return any(n in failed or (self.night_folder / f"{n}.h5").is_file() for n in names)

    def illuminator_steps(self, index: Any) -> tuple[Any, ...]:
        """Steps of flashes: with a product or a failure, or expected of the index."""
        from ..report.material import illuminator_steps

        traces = map(_OF_FLASHES.fullmatch, self.traces())
        found = {(match[1], match[2]) for match in traces if match}
        for array_element, obs_id in self.blocks(index):
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
        """Steps that failed, and products of telescopes and of the array that are there."""
        failed = [step for step, _ in self.logs("failure.json")]
        files = [
            *self.night_folder.glob("*/throughput/*.h5"),
            *self.night_folder.glob("*/pointing/*.h5"),
            *self.night_folder.glob("array/*.h5"),
        ]
        return failed + [p.relative_to(self.night_folder).as_posix()[:-3] for p in files]

    def throughput_steps(self, index: Any, cameras: tuple[Any, ...]) -> tuple[Any, ...]:
        """Steps of the muon rings: of telescopes with a trace of them, or of all if expected."""
        from ..report.material import throughput_steps

        found: dict[str, set[str]] = {}
        for match in filter(None, map(_OF_MUONS.fullmatch, self.traces())):
            found.setdefault(match[1], set()).update(filter(None, [match[2]]))
        for array_element, obs_id in self.blocks(index):
            expected = self.throughput or array_element in found
            if expected and obs_id not in self.special:
                found.setdefault(array_element, set()).add(f"OBSID{obs_id}")
        ordered = {name: sorted(found[name], key=_of_number) for name in sorted(found)}
        return throughput_steps(ordered, [step.name for step in cameras])

    def pointing_steps(self, index: Any, others: tuple[Any, ...]) -> tuple[Any, ...]:
        """Steps of stars: with a product or a failure, or of all blocks of the index if expected.

        Pointing models of nights are shown where there is one, or a failure.
        """
        from ..report.pointing_night import pointing_steps

        matches = list(filter(None, map(_OF_POINTING.fullmatch, self.traces())))
        found: dict[str, dict[str, set[str]]] = {"star_tracking": {}, "star_psf": {}}
        for match in matches:
            if match[2]:
                found[match[2]].setdefault(match[1], set()).add(match[3])
        for array_element, obs_id in self.blocks(index) if self.pointing else ():
            for of_kind in found.values():
                if obs_id not in self.special:
                    of_kind.setdefault(array_element, set()).add(f"OBSID{obs_id}")
        tracked, imaged = (
            {name: sorted(names, key=_of_number) for name, names in of_kind.items()}
            for of_kind in found.values()
        )
        models = {match[1] for match in matches if not match[2]}
        return pointing_steps(tracked, imaged, models, [step.name for step in others])

    def array_steps(self, muons: tuple[Any, ...]) -> tuple[Any, ...]:
        """Steps of the array: with a product or a failure, or all if expected."""
        from ..report.material import ARRAY_RESULTS, array_steps

        matches = list(filter(None, map(OF_ARRAY.fullmatch, self.traces())))
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

    def aerosol_steps(self) -> tuple[Any, ...]:
        """Steps of aerosols and clouds: with a product or a failure, or expected."""
        from ..report.aerosol_night import AEROSOL_PRODUCTS, aerosol_steps

        failed = {step for step, _ in self.logs("failure.json")}
        there = [
            name
            for name, (file, _) in AEROSOL_PRODUCTS.items()
            if f"atmosphere/{name}" in failed or (self.night_folder / "atmosphere" / file).is_file()
        ]
        return aerosol_steps([*there, *self.aerosol])

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
        found: dict[tuple[str, str], None] = {}
        for step, path in self.logs("log", night):
            for line in path.read_text(errors="replace").splitlines():
                if match := _WARNING.match(_COLOUR.sub("", line)):
                    found[step, match[1]] = None
        return list(found)


def _of_number(block: str) -> tuple[int, str]:
    """``OBSID9`` before ``OBSID10``."""
    return len(block), block

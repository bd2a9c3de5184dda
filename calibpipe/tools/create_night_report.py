"""Page of one night: what was made, what it says, what failed and why."""

import re
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_steps import AEROSOL, OF_ARRAY, NightSteps

_OF_TELESCOPE = re.compile(r"^[^/]+/((?:camera|throughput|pointing)/\w+)(?:\.[^./]+)?$")


class CreateNightReport(NightSteps):
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
    trends = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Page of the site over the nights, for a link to it",
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
    dedicated = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Products of dedicated runs of cameras, and excluded pixels, that are expected",
    ).tag(config=True)
    calibration_runs = traits.List(
        traits.Int(min=1),
        help="Observations of dedicated runs: no muon rings and no stars are expected of them, and "
        "of cameras, beside --dedicated, only what there is a trace of",
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
    pointing = traits.Bool(
        False,
        help="Stars are expected: absent tracking and point spread functions of indexed blocks "
        "count as missing",
    ).tag(config=True)
    array = traits.Bool(
        False,
        help="Inter-calibration, cross-calibration and timing of the array are expected: absent "
        "ones count as missing",
    ).tag(config=True)
    aerosol = traits.List(
        traits.Enum(AEROSOL),
        help="Products of aerosols and clouds that are expected: absent ones count as missing",
    ).tag(config=True)
    nights_before = traits.Int(
        30,
        min=0,
        help="Nights of the calendar whose transparency is shown, if their folders lie beside this",
    ).tag(config=True)
    good_time_limit_in_percent = traits.Float(
        80.0, min=0, max=100, help="The page warns when less of the night is good"
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
    pointing_limit_in_arcsec = traits.Float(
        14.0, min=0, help="The page warns when a direction is less sure on the sky"
    ).tag(config=True)
    valid_blocks_limit_in_percent = traits.Float(
        80.0, min=0, max=100, help="The page warns when less of the star tracking is valid"
    ).tag(config=True)
    co2_age_limit_in_days = traits.Float(
        400.0, min=0, help="The page says so when measured CO2 ends longer before the night"
    ).tag(config=True)

    aliases: ClassVar[dict] = NightSteps.aliases | {
        "night-folder": "CreateNightReport.night_folder",
        "log-folder": "CreateNightReport.log_folder",
        "pool": "CreateNightReport.pool",
        "dedicated": "CreateNightReport.dedicated",
        "calibration-runs": "CreateNightReport.calibration_runs",
        "trends": "CreateNightReport.trends",
        "illuminator": "CreateNightReport.illuminator",
        "aerosol": "CreateNightReport.aerosol",
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
        "pointing": (
            {"CreateNightReport": {"pointing": True}},
            "Stars are expected: absent tracking and point spread functions count as missing",
        ),
        "array": (
            {"CreateNightReport": {"array": True}},
            "Calibration and timing of the array are expected: absent ones count as missing",
        ),
    }
    required: ClassVar[tuple[str, ...]] = (*NightSteps.required, "night_folder")

    def start(self) -> None:
        """Read, collect, draw, write."""
        import os
        from datetime import UTC, datetime

        from .. import __version__
        from ..core.files import atomic_path
        from ..report.night_figures import night_figures
        from ..report.night_page import night_facts, render

        material = self.material()
        trends = os.path.relpath(self.trends, self.output.parent) if self.trends else ""
        facts = night_facts(material, night_figures(material), trends)
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
        dedicated = self.dedicated_steps(cameras)
        muons = self.throughput_steps(first.get(index), cameras)
        flashes = self.illuminator_steps(first.get(index))
        history = self.history_steps()
        stars = self.pointing_steps(first.get(index), cameras + muons)
        array = self.array_steps(muons)
        aerosol = self.aerosol_steps()
        steps = STEPS + aerosol + cameras + dedicated + muons + flashes + history + stars + array
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
            dedicated_steps=dedicated,
            masked_limit=self.masked_limit_in_percent / 100,
            throughput_steps=muons,
            throughput_limits=ThroughputLimits(
                self.min_rings,
                self.throughput_sys_limit_in_percent / 100,
                self.throughput_difference_limit_in_percent / 100,
            ),
            illuminator_steps=flashes,
            history_steps=history,
            pointing_steps=stars,
            pointing_limit=self.pointing_limit_in_arcsec,
            valid_blocks_limit=self.valid_blocks_limit_in_percent / 100,
            array_steps=array,
            aerosol_steps=aerosol,
            good_time_limit=self.good_time_limit_in_percent / 100,
            transparency_before=self.transparency_before() if aerosol else {},
            verdicts=self.documents("verification"),
            certifications=self.documents("certification"),
        )
        return replace(found, failures=self.failures(found), log_warnings=self.log_warnings(found))

    def transparency_before(self) -> dict[str, Any]:
        """Transparency coefficients of earlier nights that lie beside this one; usable ones."""
        from datetime import timedelta

        from ..core.night import night_date
        from .calculate_transparency_coefficient import KIND as TRANSPARENCY

        last, found = night_date(self.night), {}
        for k in range(self.nights_before, 0, -1):
            night = str(last - timedelta(days=k))
            name = f"../{night}/atmosphere/transparency_coefficient.ecsv"
            if (self.night_folder / name).is_file():
                product = self.product(name, TRANSPARENCY)
                same = [product.facts.get(key) for key in ("site", "night", "category")]
                if same == [self.load_site().name, night, self.category]:
                    found[night] = product
        return found

    def documents(self, folder: str) -> list[dict[str, Any]]:
        """Records of the verification or certification of the night; what is broken is left out."""
        import json

        found = []
        for path in sorted((self.night_folder / folder).rglob("*.json")):
            if path.name.endswith(".provenance.json"):
                continue
            try:
                found.append(json.loads(path.read_text()))
            except ValueError as error:
                self.log.warning("%s cannot be read and is not shown: %s", path, error)
        return found

    def product(self, name: str, kind: str = "") -> Any:
        """A product of the night as it lies there; one that cannot be read says why."""
        import os

        from ..core.exceptions import CalibPipeError
        from ..core.files import sha256
        from ..core.products import read_json, read_table
        from ..report.material import FoundProduct
        from .hdf5_products import (
            AEROSOL_CONDITIONS,
            array_tables,
            camera_coefficients,
            dedicated_kind,
            dedicated_tables,
            hdf5_header,
            observation_tables,
            pointing_tables,
            throughput_tables,
        )

        stem, suffix = name.rsplit(".", 1)
        kind = kind or _OF_TELESCOPE.sub(r"\1", stem)
        if OF_ARRAY.fullmatch(stem):
            kind = stem.split(".")[0]
        kind, is_dedicated = dedicated_kind(kind)
        path = self.add_input(self.night_folder / name, kind)
        header: dict[str, Any] = {}
        tables: dict[str, Any] = {}
        table, content, geometry, problem = None, {}, None, ""
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
                elif is_dedicated:
                    tables, geometry = dedicated_tables(path, header["calibpipe"])
                elif kind.startswith("throughput/"):
                    tables, geometry = throughput_tables(path, header["calibpipe"])
                elif kind.startswith("pointing/"):
                    tables, geometry = pointing_tables(path, header["calibpipe"])
                elif kind == AEROSOL_CONDITIONS:
                    tables = observation_tables(path)
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


def main() -> None:
    """Run the Tool."""
    CreateNightReport().run()


if __name__ == "__main__":
    main()

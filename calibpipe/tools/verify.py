"""Verification of products: numbers, limits, verdicts."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import ToolConfigurationError, traits

from ..core.exceptions import CalibPipeError
from .night_tool import NightTool, require

KIND = "verification/record"
WINDOWS = {"day": (2.0, 0.5), "week": (10.0, 4.0), "month": (45.0, 20.0)}  # days before
DEDICATED_AGE = 62.0  # days: calibration sets are taken every month; older ones say nothing


class Verify(NightTool):
    """Verify products against numbered criteria: with themselves, and with what is certified.

    The verdict on each is a product of its own. A failed one is no error of this tool:
    calibpipe-certify refuses what failed. A product that cannot be verified does not stop the
    others.
    """

    name = "calibpipe-verify"
    description = __doc__
    examples = """
    calibpipe-verify --site config/sites/CTAO-North.yaml --night 2024-07-10 --category C \\
        --product coefficients.OBSID5.h5 --data pixel_statistics.OBSID5.h5 \\
        --criteria config/criteria.yaml --output camera_coefficients.LSTN-01.OBSID5.json
    calibpipe-verify --site config/sites/CTAO-North.yaml --night 2024-07-10 --category C \\
        --product macobac.ecsv --product density_profile.ecsv \\
        --criteria config/criteria.yaml --output-folder verification/atmosphere
    """

    product = traits.List(
        traits.Path(exists=None, directory_ok=False), help="Products to verify"
    ).tag(config=True)
    output_folder = traits.Path(
        None,
        allow_none=True,
        exists=None,
        file_ok=False,
        help="Folder for the verdicts on several products, named as they are: macobac.json",
    ).tag(config=True)
    data = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="What it was made from: pixel statistics of camera coefficients, muon rings of a "
        "throughput",
    ).tag(config=True)
    criteria = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="config/criteria.yaml"
    ).tag(config=True)
    archive = traits.Path(
        None,
        allow_none=True,
        exists=None,
        file_ok=False,
        help="Calibration archive: the product is compared with what was certified the day, the "
        "week and the month before",
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        "product": "Verify.product",
        "data": "Verify.data",
        "criteria": "Verify.criteria",
        "archive": "Verify.archive",
        "output-folder": "Verify.output_folder",
    }
    required: ClassVar[tuple[str, ...]] = ("site", "night", "product", "criteria")

    def setup(self) -> None:
        """Check where the verdicts go: nothing is overwritten by accident."""
        super().setup()
        if (self.output is None) == (self.output_folder is None):
            raise ToolConfigurationError(f"{self.name} needs --output or --output-folder")
        several = len(self.product) > 1
        require(
            not (several and (self.output or self.data)),
            "--output and --data are of one product: with several give --output-folder",
        )
        stems = [path.stem for path in self.product]
        twice = sorted({stem for stem in stems if stems.count(stem) > 1})
        require(not twice, f"several products are called {', '.join(twice)}: verify each by itself")
        self.check_output(*self.verdict_files())

    def verdict_files(self) -> list[Path]:
        """File of each product's verdict."""
        if self.output is not None:
            return [self.output]
        return [self.output_folder / f"{path.stem}.json" for path in self.product]

    def start(self) -> None:
        """Verify one product after the other, then tell which could not be verified."""
        site = self.load_site()
        criteria = self.read_criteria()
        archive = self.opened_archive()
        if self.output_folder is not None:
            self.output_folder.mkdir(parents=True, exist_ok=True)
        failures = []
        for path, output in zip(self.product, self.verdict_files(), strict=True):
            self._inputs[:] = [("site", self.site)]
            try:
                self.verify(path, output, criteria, archive, site)
            except CalibPipeError as error:
                failures.append(error)
        if failures:
            told = "; ".join(map(str, failures))
            raise type(failures[0])(told) from failures[0]

    def verify(
        self, path: Path, output: Path, criteria: tuple[Any, str], archive: Any, site: Any
    ) -> None:
        """Read, calculate, compare, write."""
        from ..core.product_header import read_product_header
        from ..core.products import write_json
        from ..verification.verdict import outcomes, verdict
        from .monitored_products import product_values
        from .verified_products import product_metrics

        header = read_product_header(self.add_input(path, "product"))
        self._inputs.append(("criteria", self.criteria))
        limits, criteria_digest = criteria
        require(
            limits.of_kind(header.kind),
            f"{self.criteria} has no criterion for {header.kind}: nothing could be verified",
        )
        references = self.references(header, archive)
        data = [self.add_input(source, "data") for source in self.data]
        dedicated = self.dedicated(header, archive, site)
        certified = {period: found for period, (_, found) in references.items()}
        runs = {kind: found for kind, (_, found) in dedicated.items()}
        metrics = product_metrics(path, header, data, certified, site, runs)
        found = outcomes(limits, header.kind, *metrics)
        decision, because = verdict(found)
        record = {
            "product": {
                "id": str(header.product_id),
                "kind": header.kind,
                "array_element": header.array_element,
                "block": header.block or None,
            },
            "verdict": decision,
            "because": because,
            "criteria": [entry.text() for entry in found],
            "values": product_values(path, header),
            "criteria_digest": criteria_digest,
            "compared_with": {
                name: str(e.product_id) for name, (e, _) in (references | dedicated).items()
            },
        }
        what = " ".join(filter(None, (header.kind, header.array_element, header.block)))
        metadata = self.metadata(
            KIND,
            f"Verification of {what}: {decision}",
            validity=header.validity,
            details={"verified": header.kind, "verdict": decision},
        )
        write_json(output, record, metadata)
        self.add_output(output, KIND)
        for reason in because:
            self.log.warning("%s: %s", what, reason)
        self.log.info("%s: %s", what, decision)

    def read_criteria(self) -> tuple[Any, str]:
        """Criteria of the file, checked, and the digest of its content."""
        import yaml

        from ..core.products import digest
        from ..verification.criteria import criteria_of
        from .verified_products import known_metrics

        self.add_input(self.criteria, "criteria")
        content = yaml.load(self.criteria.read_text(), Loader=_unique_keys())
        return criteria_of(content, known_metrics()), digest(content)

    def opened_archive(self) -> Any:
        """The archive, if there is one to compare with."""
        if self.archive is None:
            return None
        from ..archive.repository import open_archive

        return open_archive(self.archive)

    def references(self, header: Any, archive: Any) -> dict[str, tuple[Any, Path]]:
        """Certified product of the day, week and month before, where there is one."""
        if archive is None or header.validity is None:
            return {}
        import astropy.units as u

        from ..archive.lookup import certified, data_id, product_path
        from ..archive.validity import Interval

        where = data_id(archive, header.kind, header.site, telescope=header.array_element)
        layers = archive.layers(header.site, header.category)
        begin = header.validity[0]
        found = {}
        for period, (earliest, latest) in WINDOWS.items():
            span = Interval.of(begin - earliest * u.day, begin - latest * u.day)
            every = certified(archive, header.kind, layers, where=where, within=span)
            front = [e for e in every if e.collection == every[0].collection]
            if front:
                newest = max(front, key=lambda e: e.validity)
                path = product_path(archive, newest.product_id)
                found[period] = newest, self.add_input(path, f"certified a {period} before")
        return found

    def dedicated(self, header: Any, archive: Any, site: Any) -> dict[str, tuple[Any, Path]]:
        """Newest certified calibration by dedicated runs of the nights before, by kind."""
        from .verified_camera import CAMERA, DEDICATED_KINDS

        if archive is None or header.validity is None or header.kind != CAMERA:
            return {}
        import astropy.units as u

        from ..archive.lookup import newest_certified, product_path
        from ..archive.validity import Interval
        from ..core.night import night_span

        begin, _ = night_span(self.night, site)
        span = Interval.of(begin - DEDICATED_AGE * u.day, begin)
        found = {}
        own, telescope = (header.site, header.category), header.array_element
        for kind in DEDICATED_KINDS:
            if newest := newest_certified(archive, kind, *own, span, telescope=telescope):
                path = product_path(archive, newest.product_id)
                found[kind] = newest, self.add_input(path, f"certified {kind}")
        return found


def _unique_keys() -> type:
    """YAML loader that refuses a number that occurs twice."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
            keys = [key.value for key, _ in node.value]
            twice = sorted({key for key in keys if keys.count(key) > 1})
            require(not twice, f"criteria: {', '.join(twice)} occurs twice{node.start_mark}")
            return super().construct_mapping(node, deep)

    return Loader


def main() -> None:
    """Run the Tool."""
    Verify().run()

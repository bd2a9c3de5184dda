"""Verification of a product: numbers, limits, verdict."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

KIND = "verification/record"
WINDOWS = {"day": (2.0, 0.5), "week": (10.0, 4.0), "month": (45.0, 20.0)}  # days before


class Verify(NightTool):
    """Verify a product against numbered criteria: with itself, and with what is certified.

    The verdict is a product of its own. A failed one is no error of this tool: calibpipe-certify
    refuses what failed.
    """

    name = "calibpipe-verify"
    description = __doc__
    examples = """
    calibpipe-verify --site config/sites/CTAO-North.yaml --night 2024-07-10 --category C \\
        --product coefficients.OBSID5.h5 --data pixel_statistics.OBSID5.h5 \\
        --criteria config/criteria.yaml --output camera_coefficients.LSTN-01.OBSID5.json
    """

    product = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Product to verify"
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
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "product", "criteria")

    def start(self) -> None:
        """Read, calculate, compare, write."""
        from ..core.product_header import read_product_header
        from ..core.products import digest, write_json
        from ..verification.verdict import outcomes, verdict
        from .monitored_products import product_values
        from .verified_products import product_metrics

        site = self.load_site()
        header = read_product_header(self.add_input(self.product, "product"))
        criteria, content = self.read_criteria(header.kind)
        references = self.references(header)
        data = [self.add_input(path, "data") for path in self.data]
        certified = {period: path for period, (_, path) in references.items()}
        metrics = product_metrics(self.product, header, data, certified, site)
        found = outcomes(criteria, header.kind, *metrics)
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
            "values": product_values(self.product, header),
            "criteria_digest": digest(content),
            "compared_with": {p: str(e.product_id) for p, (e, _) in references.items()},
        }
        what = " ".join(filter(None, (header.kind, header.array_element, header.block)))
        metadata = self.metadata(
            KIND,
            f"Verification of {what}: {decision}",
            validity=header.validity,
            details={"verified": header.kind, "verdict": decision},
        )
        write_json(self.output, record, metadata)
        self.add_output(self.output, KIND)
        for reason in because:
            self.log.warning("%s: %s", what, reason)
        self.log.info("%s: %s", what, decision)

    def read_criteria(self, kind: str) -> tuple[Any, dict[str, Any]]:
        """Criteria of the file, checked, and its content."""
        import yaml

        from ..verification.criteria import criteria_of
        from .verified_products import known_metrics

        self.add_input(self.criteria, "criteria")
        content = yaml.load(self.criteria.read_text(), Loader=_unique_keys())
        criteria = criteria_of(content, known_metrics())
        require(
            criteria.of_kind(kind),
            f"{self.criteria} has no criterion for {kind}: nothing could be verified",
        )
        return criteria, content

    def references(self, header: Any) -> dict[str, tuple[Any, Path]]:
        """Certified product of the day, week and month before, where there is one."""
        if self.archive is None or header.validity is None:
            return {}
        import astropy.units as u

        from ..archive.lookup import certified, data_id, product_path
        from ..archive.repository import open_archive
        from ..archive.validity import Interval

        archive = open_archive(self.archive)
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


def _unique_keys() -> type:
    """YAML loader that refuses a number that occurs twice."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
            keys = [key.value for key, _ in node.value]
            twice = sorted({key for key in keys if keys.count(key) > 1})
            require(not twice, f"criteria: {', '.join(twice)} occurs twice{node.start_mark}")
            return super().construct_mapping(node, deep)

    return Loader


def main() -> None:
    """Run the Tool."""
    Verify().run()

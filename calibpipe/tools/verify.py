"""Verification of a product: numbers, limits, verdict."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from ..core.ctapipe_groups import (
    DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP,
    DL1_TEL_MUON_THROUGHPUT_GROUP,
    DL1_TEL_OPTICAL_PSF_GROUP,
)
from ..core.exceptions import ConfigurationError, InsufficientStatisticsError
from .night_tool import NightTool, require

KIND = "verification/record"
CAMERA = "camera/coefficients"
TABLES = {  # of a product, by the names that its metrics know
    "throughput/muon_throughput": {
        "chunks": DL1_TEL_MUON_THROUGHPUT_GROUP,
        "night": "/calibpipe/throughput/muon_night",
    },
    "throughput/muon_psf": {
        "night": DL1_TEL_OPTICAL_PSF_GROUP,
        "profile": "/calibpipe/throughput/muon_psf_profile",
        "sectors": "/calibpipe/throughput/mirror_sectors",
    },
    "throughput/illuminator_throughput": {
        "chunks": DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP,
    },
}
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

        site = self.load_site()
        header = read_product_header(self.add_input(self.product, "product"))
        criteria, content = self.read_criteria(header.kind)
        references = self.references(header)
        if header.kind == CAMERA:
            internal, external = self.camera(header, references)
        elif header.kind in TABLES:
            internal, external = self.throughput(header, references)
        else:
            internal, external = self.atmosphere(header, site, references)
        found = outcomes(criteria, header.kind, internal, external)
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

        from ..verification import atmosphere, camera, throughput
        from ..verification.criteria import criteria_of

        metrics = {}
        for domain in (atmosphere, throughput):
            metrics |= {f"{name} internal": known for name, known in domain.INTERNAL.items()}
            metrics |= {f"{name} external": known for name, known in domain.EXTERNAL.items()}
        metrics[f"{CAMERA} internal"] = camera.INTERNAL
        metrics[f"{CAMERA} external"] = camera.EXTERNAL
        self.add_input(self.criteria, "criteria")
        content = yaml.load(self.criteria.read_text(), Loader=_unique_keys())
        criteria = criteria_of(content, metrics)
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

    def camera(self, header: Any, references: dict[str, Any]) -> tuple[dict, dict]:
        """Metrics of camera coefficients with the statistics that they were made from."""
        from ..verification.camera import external_metrics, internal_metrics

        require(
            len(self.data) == 1,
            f"{header.kind} is verified with the statistics it was made from: give --data",
        )
        coefficients = self.read_coefficients(self.product, header.own["tel_id"])
        statistics, noise = self.read_statistics(header)
        external = {
            period: external_metrics(
                coefficients,
                self.read_coefficients(path, header.own["tel_id"]),
                noise,
                statistics.window_width,
            )
            for period, (_, path) in references.items()
        }
        return internal_metrics(coefficients, statistics), external

    def read_coefficients(self, path: Path, tel_id: int) -> Any:
        """Coefficients of a file as arrays."""
        import numpy as np

        from ..core.monitoring_file import read_camera_coefficients
        from ..verification.camera import Coefficients

        table = read_camera_coefficients(path, tel_id)
        return Coefficients(
            time=table["time"].unix_tai,
            factor=np.asarray(table["factor"]),
            factor_error=np.asarray(table["factor_stat_error"]),
            pedestal_offset=np.asarray(table["pedestal_offset"]),
            time_shift=np.asarray(table["time_shift"]),
            gain=np.asarray(table["gain"]),
            n_pe=np.asarray(table["n_pe"]),
            masked=np.asarray(table["outlier_mask"], bool),
            is_valid=np.asarray(table["is_valid"], bool),
        )

    def read_statistics(self, header: Any) -> tuple[Any, Any]:
        """Statistics as arrays, and the noise of the pedestal (n_channels, n_pixels)."""
        import numpy as np

        from ..core.statistics_file import read_pixel_statistics
        from ..verification.camera import CameraStatistics

        names = ("sky_pedestal_image", "flatfield_image", "flatfield_peak_time")
        path = self.add_input(self.data[0], "data")
        read = read_pixel_statistics(path, header.own["tel_id"], names)
        missing = [name for name in names if name not in read.tables]
        if missing:
            raise InsufficientStatisticsError(
                f"{path} has no {', '.join(missing)}: {header.kind} cannot be verified"
            )
        pedestal, flat_field, peak_time = (read.tables[name] for name in names)
        noise = np.nanmedian(np.asarray(pedestal["std"], float), axis=0)
        statistics = CameraStatistics(
            baseline=np.zeros_like(noise) if read.baseline is None else read.baseline,
            window_width=read.header["extraction"]["window_width"],
            pedestal_time=_centre(pedestal),
            pedestal=np.asarray(pedestal["mean"], float),
            pedestal_std=np.asarray(pedestal["std"], float),
            flat_field_time=_centre(flat_field),
            flat_field=np.asarray(flat_field["mean"], float),
            peak_time=np.asarray(peak_time["mean"], float),
        )
        return statistics, noise

    def throughput(self, header: Any, references: dict[str, Any]) -> tuple[dict, dict]:
        """Metrics of a throughput or point spread function."""
        from ..core.muon_file import read_muon_tables
        from ..throughput.muon_ring_table import RING_COLUMNS, rings_of_table
        from ..verification.throughput import external_metrics, internal_metrics

        tables = self.read_tables(self.product, header)
        rings = None
        if self.data:
            paths = [self.add_input(path, "data") for path in self.data]
            read = read_muon_tables(paths, header.own["tel_id"], RING_COLUMNS)
            rings = rings_of_table([entry.table for entry in read])
        external = {
            period: external_metrics(header.kind, tables, self.read_tables(path, header))
            for period, (_, path) in references.items()
        }
        return internal_metrics(header.kind, tables, header.own, rings), external

    def read_tables(self, path: Path, header: Any) -> dict[str, Any]:
        """Tables of a product, those that there are."""
        from ..core.telescope_file import read_telescope_table, telescope_groups

        there = telescope_groups(path)
        return {
            name: read_telescope_table(path, group, header.own["tel_id"], header.kind)
            for name, group in TABLES[header.kind].items()
            if group in there
        }

    def atmosphere(self, header: Any, site: Any, references: dict[str, Any]) -> tuple[dict, dict]:
        """Metrics of a product of the atmosphere."""
        from ..core.products import read_table
        from ..verification.atmosphere import INTERNAL, external_metrics, internal_metrics

        if header.kind not in INTERNAL:
            raise ConfigurationError(f"{self.product}: no way is known to verify {header.kind}")
        table = read_table(self.product, header.kind)
        external = {
            period: external_metrics(header.kind, table, read_table(path, header.kind))
            for period, (_, path) in references.items()
        }
        return internal_metrics(header.kind, table, site.latitude), external


def _centre(table: Any) -> Any:
    begin, end = (table[f"time_{name}"].unix_tai for name in ("start", "end"))
    return (begin + end) / 2


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

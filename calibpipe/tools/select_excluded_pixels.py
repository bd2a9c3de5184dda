"""Pixels of one telescope that are excluded, from all evidence, history and decisions."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

KIND = "camera/excluded_pixels"
PIXELS_GROUP = "/calibpipe/camera/excluded_pixels"
HISTORY_GROUP = "/calibpipe/camera/pixel_evidence"


class SelectExcludedPixels(NightTool):
    """Select the pixels that are excluded from a night on.

    Evidence against a pixel comes from camera coefficients, photon transfer (with linearity and
    ratio of gains), cross-talk and single photoelectrons of the night, as many as there are; what
    none of them measures stays as the night before had it. A pixel is excluded that has evidence in
    n_bad of the last n_nights nights, and comes back after n_good nights without. The history is in
    the product of the night before: the last one that is certified (--archive), or a file
    (--previous). Decisions of operators (--overrides: dated, signed, with a reason) come before all
    evidence.
    """

    name = "calibpipe-select-excluded-pixels"
    description = __doc__
    examples = """
    calibpipe-select-excluded-pixels --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --coefficients LSTN-01/camera/coefficients.OBSID1.h5 \\
        --photon-transfer LSTN-01/camera/photon_transfer.h5 --archive calibration_archive \\
        --overrides config/pixel_overrides.yaml --output LSTN-01/camera/excluded_pixels.h5
    """

    coefficients = traits.List(
        traits.Path(exists=None, directory_ok=False), help="Camera coefficients of the night"
    ).tag(config=True)
    photon_transfer = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Photon transfer"
    ).tag(config=True)
    crosstalk = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Cross-talk"
    ).tag(config=True)
    single_photoelectron = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Single photoelectrons"
    ).tag(config=True)
    verification = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Verification records of the dedicated runs: a product that failed is no evidence",
    ).tag(config=True)
    previous = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Product of the night before"
    ).tag(config=True)
    archive = traits.Path(
        None,
        allow_none=True,
        exists=None,
        file_ok=False,
        help="Calibration archive: the history is the last product before this night that is "
        "certified there",
    ).tag(config=True)
    history_in_days = traits.Int(
        30, min=1, max=366, help="Nights of the calendar back to which a history is looked for"
    ).tag(config=True)
    overrides = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Decisions of operators (YAML)"
    ).tag(config=True)
    n_bad = traits.Int(2, min=1, help="Nights with evidence that exclude a pixel").tag(config=True)
    n_nights = traits.Int(3, min=1, help="Last nights, of which these are").tag(config=True)
    n_good = traits.Int(3, min=1, help="Nights in a row without evidence, to come back").tag(
        config=True
    )
    min_bad_fraction = traits.Float(
        0.5, min=0, max=1, help="Part of the rows of coefficients in which a bad pixel is bad"
    ).tag(config=True)
    min_saturation = traits.Float(
        0.5, min=0, max=1, help="Range of linearity over the camera's median that a pixel needs"
    ).tag(config=True)
    max_crosstalk = traits.Float(0.05, min=0, help="Largest cross-talk of a pair").tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        "coefficients": "SelectExcludedPixels.coefficients",
        "photon-transfer": "SelectExcludedPixels.photon_transfer",
        "crosstalk": "SelectExcludedPixels.crosstalk",
        "single-photoelectron": "SelectExcludedPixels.single_photoelectron",
        "verification": "SelectExcludedPixels.verification",
        "previous": "SelectExcludedPixels.previous",
        "archive": "SelectExcludedPixels.archive",
        "overrides": "SelectExcludedPixels.overrides",
    }

    _header: Any = None  # of the first product that is read
    _path: Any = None

    def setup(self) -> None:
        """Check what has to be given."""
        super().setup()
        require(
            not (self.previous and self.archive),
            f"{self.name}: the history is that of --previous or of --archive; give one of them",
        )

    def start(self) -> None:
        """Read the evidence, decide, write."""
        import numpy as np

        from ..camera.pixel_exclusion import (
            Hysteresis,
            carried_evidence,
            evidence_of,
            excluded_pixels,
        )
        from ..core.night import night_date

        site = self.load_site()
        night = str(night_date(self.night))
        verdicts = self.verdicts()
        self._header: dict[str, Any] | None = None
        self._path: Path | None = None
        self._failed: list[str] = []
        found = self.evidence(verdicts)
        n_pixels = self.subarray().tel[self._header["tel_id"]].camera.geometry.n_pixels
        bits = evidence_of(found, n_pixels)
        previous = self.previous or self.certified_before(site)
        nights, history, excluded, since = self.history(previous, night, n_pixels)
        if nights:
            bits = carried_evidence(bits, found, history[-1])
        decisions = self.decisions(site.name, night)
        exclusion = excluded_pixels(
            [*nights, night],
            np.concatenate([history, bits[np.newaxis]]),
            excluded,
            since,
            hysteresis=Hysteresis(self.n_bad, self.n_nights, self.n_good),
            overrides=decisions,
        )
        kept = max(self.n_nights, self.n_good)
        table: dict[str, Any] = {"night": [*nights, night][-kept:]}
        table["evidence"] = np.concatenate([history, bits[np.newaxis]])[-kept:]
        facts = {
            "evidence_from": sorted(reason.name.lower() for reason in found),
            "history_of": nights,
            "decisions": [decision.text() for decision in decisions],
        }
        self.write(exclusion, table, facts)

    def table(self, path: Path, group: str, kind: str, columns: Any = None) -> Any:
        """Table of a product of this telescope."""
        from ..core.telescope_file import read_telescope_table

        if (kind, Path(path)) not in self._inputs:
            self.add_input(path, kind)
        tel_id = 0 if self._header is None else self._header["tel_id"]
        table = read_telescope_table(path, group, tel_id, kind, columns)
        header = table.meta["calibpipe"]
        require(header.get("kind") == kind, f"{path} is {header.get('kind')}, needs {kind}")
        if self._header is None:
            self._header, self._path = header, path
        return table

    def verdicts(self) -> dict[str, str]:
        """Verdicts by identifier of the product."""
        from ..core.products import read_json

        kind = "verification/record"
        found = [read_json(self.add_input(p, kind), kind)["content"] for p in self.verification]
        return {content["product"]["id"]: content["verdict"] for content in found}

    def good(self, path: Path | None, verdicts: dict[str, str]) -> Path | None:
        """A product of dedicated runs that did not fail: half a camera may have been off then."""
        if path is None:
            return None
        from ..core.product_header import read_product_header

        header = read_product_header(path)
        verdict = verdicts.get(str(header.product_id), "PASS")
        if verdict == "PASS":
            return path
        self._failed.append(f"{header.kind} is no evidence, its verdict is {verdict}")
        return None

    def evidence(self, verdicts: dict[str, str]) -> dict[Any, Any]:
        """All evidence of the night."""
        from ..camera import exclusion_evidence as evidence
        from ..core.ctapipe_groups import DL1_CAMERA_COEFFICIENTS_GROUP
        from .calculate_crosstalk import KIND as CROSSTALK
        from .calculate_crosstalk import PAIRS_GROUP
        from .calculate_photon_transfer import KIND as TRANSFER
        from .calculate_photon_transfer import PIXELS_GROUP as TRANSFER_GROUP
        from .calculate_photon_transfer import RATIO_GROUP

        found: dict[Any, Any] = {}
        if self.coefficients:
            reasons = self.reasons(DL1_CAMERA_COEFFICIENTS_GROUP)
            found |= evidence.coefficient_evidence(reasons, min_fraction=self.min_bad_fraction)
        if transfer := self.good(self.photon_transfer, verdicts):
            tables = {"pixels": self.table(transfer, TRANSFER_GROUP, TRANSFER)}
            if tables["pixels"]["status"].shape[1] == 2:
                tables["ratio"] = self.table(transfer, RATIO_GROUP, TRANSFER)
            found |= evidence.transfer_evidence(tables, min_saturation=self.min_saturation)
        if crosstalk := self.good(self.crosstalk, verdicts):
            pairs = self.table(crosstalk, PAIRS_GROUP, CROSSTALK)
            n_pixels = self.subarray().tel[self._header["tel_id"]].camera.geometry.n_pixels
            found |= evidence.crosstalk_evidence(pairs, n_pixels, max_crosstalk=self.max_crosstalk)
        if photoelectrons := self.good(self.single_photoelectron, verdicts):
            group, kind = "/calibpipe/camera/single_photoelectron", "camera/single_photoelectron"
            columns = ("channel", "pixel_id", "outlier_mask")
            table = self.table(photoelectrons, group, kind, columns)
            n_pixels = self.subarray().tel[self._header["tel_id"]].camera.geometry.n_pixels
            found |= evidence.single_photoelectron_evidence(table, n_pixels)
        require(
            found,
            "; ".join(["there is no evidence", *self._failed]) + "; give --coefficients, "
            "--photon-transfer, --crosstalk or --single-photoelectron",
        )
        return found

    def reasons(self, group: str) -> Any:
        """Reasons of all valid rows of the night's coefficients."""
        import numpy as np

        rows = []
        for path in self.coefficients:
            table = self.table(path, group, "camera/coefficients", ("reasons", "is_valid"))
            rows.append(np.asarray(table["reasons"])[np.asarray(table["is_valid"], bool)])
        reasons = np.concatenate(rows)
        require(len(reasons), f"{', '.join(map(str, self.coefficients))}: no valid row")
        return reasons

    def subarray(self) -> Any:
        """Of the telescope."""
        from ..core.hdf5_tables import subarray_of_file

        tel_id = self._header["tel_id"]
        every = subarray_of_file(self._path)
        return every.select_subarray([tel_id], name=self._header.get("array_element", every.name))

    def certified_before(self, site: Any) -> Path | None:
        """Newest certified product of the nights before, if there is one."""
        if self.archive is None:
            return None
        from datetime import timedelta

        from ..archive.lookup import newest_certified, product_path
        from ..archive.repository import open_archive
        from ..archive.validity import Interval
        from ..core.night import night_date, night_span

        first = str(night_date(self.night) - timedelta(days=self.history_in_days))
        span = Interval.of(*(night_span(night, site)[0] for night in (first, self.night)))
        archive, telescope = open_archive(self.archive), self._header["array_element"]
        newest = newest_certified(
            archive, KIND, site.name, self.category, span, telescope=telescope
        )
        return None if newest is None else product_path(archive, newest.product_id)

    def history(
        self, previous: Path | None, night: str, n_pixels: int
    ) -> tuple[list[str], Any, Any, Any]:
        """Nights before with their evidence; pixels excluded by evidence, and since when."""
        import numpy as np

        empty = np.zeros((0, n_pixels), np.uint16)
        if previous is None:
            return [], empty, np.zeros(n_pixels, bool), np.full(n_pixels, "", "U10")
        evidence = self.table(previous, HISTORY_GROUP, KIND)
        pixels = self.table(previous, PIXELS_GROUP, KIND)
        nights = [str(entry) for entry in evidence["night"]]
        require(
            nights[-1] < night,
            f"{previous} is of the night {nights[-1]}, not before {night}; give the product "
            "of an earlier night",
        )
        found = np.asarray(evidence["evidence"], np.uint16).reshape(len(nights), -1)
        require(
            found.shape[1] == n_pixels,
            f"{previous} is of {found.shape[1]} pixels, the camera has {n_pixels}; was the camera "
            "changed? Decertify the product, or give --previous",
        )
        return (
            nights,
            found,
            np.asarray(pixels["excluded_by_evidence"], bool),
            np.asarray(pixels["since"]).astype("U10"),
        )

    def decisions(self, site: str, night: str) -> list[Any]:
        """Decisions of operators on this telescope that hold in the night.

        The file has those of others, too: these go into the header, not its checksum.
        """
        from datetime import date

        import yaml

        from ..camera.pixel_exclusion import overrides_of
        from ..core.exceptions import ConfigurationError, MissingInputError
        from ..core.provenance import Provenance

        if self.overrides is None:
            return []
        path = Path(self.overrides)
        if not path.is_file():
            raise MissingInputError(f"{path} does not exist: give the decisions of operators")
        try:
            entries = yaml.safe_load(path.read_text())["overrides"] or []
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{path} is no YAML with an entry `overrides`: {error}; see "
                "config/pixel_overrides.yaml"
            ) from error
        Provenance().add_input_file(str(path), role="camera/pixel_overrides", add_meta=False)
        every = overrides_of(entries, site, self._header["array_element"])
        return [decision for decision in every if decision.holds(date.fromisoformat(night))]

    def write(self, found: Any, history: dict[str, Any], facts: dict[str, Any]) -> None:
        """One row a pixel, and the evidence of the nights that the next one needs."""
        from dataclasses import fields

        import numpy as np
        from astropy.table import Table

        from ..camera.pixel_exclusion import ExclusionReason
        from ..core.night import night_span
        from ..core.telescope_file import write_telescope_tables

        columns = {f.name: getattr(found, f.name) for f in fields(found)}
        pixels = Table({"pixel_id": np.arange(len(found.is_excluded), dtype=np.int32)} | columns)
        name, excluded = self._header["array_element"], found.is_excluded
        counts = {
            reason.name: int(np.count_nonzero(found.reasons & reason.value))
            for reason in ExclusionReason
        }
        metadata = self.metadata(
            KIND,
            f"Excluded pixels of {name}",
            validity=night_span(self.night, self._loaded_site),
            details={
                "tel_id": self._header["tel_id"],
                "array_element": name,
                **facts,
                "n_excluded": int(excluded.sum()),
                "n_with_reason": {key: value for key, value in counts.items() if value},
                "remarks": self._failed
                + ["no history: evidence of one night only"] * (not facts["history_of"]),
            },
        )
        tables = {PIXELS_GROUP: pixels, HISTORY_GROUP: Table(history)}
        write_telescope_tables(
            self.output, self.subarray(), self._header["tel_id"], tables, metadata
        )
        self.add_output(self.output, KIND)
        self.log.info(
            "%s: %d of %d pixels excluded, evidence tonight against %d",
            self.output,
            excluded.sum(),
            excluded.size,
            np.count_nonzero(history["evidence"][-1]),
        )


def main() -> None:
    """Run the Tool."""
    SelectExcludedPixels().run()

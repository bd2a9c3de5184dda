"""Reference atmospheres into the archive."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import ToolConfigurationError, traits

from .archive_tool import ArchiveTool, SigningTool

KIND = "atmosphere/reference_atmospheric_model"


class UploadAtmosphericModelData(SigningTool):
    """Upload reference atmospheres with season, version and validity.

    Files that calibpipe-create-reference-atmospheric-models wrote say what they are. For a table of
    somebody else give --site, --season and --model-version; it is kept as it is.
    """

    name = "calibpipe-upload-atmospheric-model-data"
    description = __doc__
    examples = """
    calibpipe-upload-atmospheric-model-data --archive archive --reason "climatology 2024" \\
        --model config/reference_models/CTAO-North/summer_v1.ecsv
    """

    model = traits.List(
        traits.Path(exists=True, directory_ok=False), help="Reference atmospheres, ECSV"
    ).tag(config=True)
    site = traits.Unicode("", help="Site of a foreign table").tag(config=True)
    season = traits.Unicode("", help="Season of a foreign table").tag(config=True)
    model_version = traits.Unicode("", help="Version of a foreign table").tag(config=True)
    begin = traits.Unicode("", help="Holds from this time on (UTC); empty: since ever").tag(
        config=True
    )
    end = traits.Unicode("", help="Holds until before this time (UTC); empty: open").tag(
        config=True
    )

    aliases: ClassVar[dict] = (
        ArchiveTool.aliases
        | SigningTool.aliases
        | {
            "model": "UploadAtmosphericModelData.model",
            "site": "UploadAtmosphericModelData.site",
            "season": "UploadAtmosphericModelData.season",
            "model-version": "UploadAtmosphericModelData.model_version",
            "begin": "UploadAtmosphericModelData.begin",
            "end": "UploadAtmosphericModelData.end",
        }
    )
    required: ClassVar[tuple[str, ...]] = ("archive", "model")

    def start(self) -> None:
        """Read the headers, certify."""
        from ..archive.candidate import Candidate
        from ..archive.certify import certify
        from ..archive.validity import Interval, moment

        signature = self.signature()
        begin, end = (moment(text) if text else None for text in (self.begin, self.end))
        candidates = [
            Candidate(
                self.header(Path(path)),
                validity=Interval.of(begin, end),
                override="reference data, nothing to verify",
                season=self.season,
            )
            for path in self.model
        ]
        records = certify(self.opened(writeable=True), candidates, supersede=True, **signature)
        self.answer(records, "\n".join(f"{r['action']} {r['data_id']}" for r in records))

    def header(self, path: Path) -> Any:
        """Header of our own model, or of a foreign table with the keys of the options."""
        from ..core.exceptions import CorruptedInputError
        from ..core.product_header import foreign_header, read_product_header

        if not (self.site or self.season or self.model_version):
            try:
                return read_product_header(path)
            except CorruptedInputError as error:
                raise CorruptedInputError(
                    f"{error}; for a table of somebody else give --site, --season and "
                    "--model-version"
                ) from error
        if not (self.site and self.season and self.model_version):
            raise ToolConfigurationError("a foreign table needs --site, --season, --model-version")
        if len(self.model) != 1:
            raise ToolConfigurationError(f"--season is for one --model, got {len(self.model)}")
        return foreign_header(path, KIND, site=self.site, night=self.model_version)


def main() -> None:
    """Run the Tool."""
    UploadAtmosphericModelData().run()

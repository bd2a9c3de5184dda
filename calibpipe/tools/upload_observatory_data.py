"""Sites, seasons and telescopes into the archive."""

import tempfile
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .archive_tool import ArchiveTool, SigningTool

KIND = "observatory/site"


class UploadObservatoryData(SigningTool):
    """Upload descriptions of sites: location, seasons, telescopes, and since when they hold.

    The description itself becomes a product of the archive with a version and a validity: what the
    array looked like at a time can be looked up.
    """

    name = "calibpipe-upload-observatory-data"
    description = __doc__
    examples = """
    calibpipe-upload-observatory-data --archive archive --site config/sites/CTAO-North.yaml \\
        --reason "first telescopes"
    """

    site = traits.List(
        traits.Path(exists=True, directory_ok=False), help="YAML files that describe sites"
    ).tag(config=True)
    site_version = traits.Unicode("1", help="Version of the descriptions").tag(config=True)
    begin = traits.Unicode("", help="They hold from this time on (UTC); empty: since ever").tag(
        config=True
    )

    aliases: ClassVar[dict] = (
        ArchiveTool.aliases
        | SigningTool.aliases
        | {
            "site": "UploadObservatoryData.site",
            "site-version": "UploadObservatoryData.site_version",
            "begin": "UploadObservatoryData.begin",
        }
    )
    required: ClassVar[tuple[str, ...]] = ("archive", "site")

    def start(self) -> None:
        """Read, check, upload."""
        from ..archive.observatory import upload_site
        from ..core.site import load_site
        from ..core.telescope import array_element_id

        signature = self.signature()
        sites = [(path, load_site(path)) for path in self.site]
        archive = self.opened(writeable=True)
        told = []
        with tempfile.TemporaryDirectory() as folder:
            for path, site in sites:
                new = upload_site(
                    archive, site, {name: array_element_id(name) for name in site.telescopes}
                )
                (record,) = self.certified(archive, site, path, Path(folder), signature)
                told.append({"name": site.name, **new, "description": record["action"]})
        self.answer(told, "\n".join(map(_line, told)))

    def certified(
        self, archive: Any, site: Any, path: Path, folder: Path, signature: dict[str, str]
    ) -> list[dict[str, Any]]:
        """Description of a site as a product, certified from `begin` on."""
        import yaml

        from ..archive.candidate import Candidate
        from ..archive.certify import certify
        from ..archive.validity import Interval, moment
        from ..core.product_header import read_product_header
        from ..core.products import ProductMetadata, write_json

        metadata = ProductMetadata(
            KIND,
            f"Description of {site.name}, version {self.site_version}",
            site=site.name,
            details={"version": self.site_version},
        )
        content = yaml.safe_load(path.read_text())
        header = read_product_header(write_json(folder / f"{site.name}.json", content, metadata))
        begin = moment(self.begin) if self.begin else None
        candidate = Candidate(
            header, validity=Interval.of(begin, None), override="a description, nothing to verify"
        )
        return certify(archive, [candidate], supersede=True, **signature)


def _line(entry: dict[str, Any]) -> str:
    new = [*entry["telescopes"], *entry["seasons"]]
    return f"{entry['name']}: {', '.join(new) or 'nothing'} new, description {entry['description']}"


def main() -> None:
    """Run the Tool."""
    UploadObservatoryData().run()

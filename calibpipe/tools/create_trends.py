"""Page of a site over the nights: values, verdicts, what is overdue."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .archive_tool import ArchiveTool

KIND = "report/trends"


class CreateTrends(ArchiveTool):
    """Create the page of a site over the nights: one HTML file that opens without network.

    Values of all nights with their errors, verdicts, nights of which category C is due, telescopes
    without a calibration that is as new as it should be; all from the calibration archive. Links
    to the pages of nights that lie below --results.
    """

    name = "calibpipe-create-trends"
    description = __doc__
    examples = """
    calibpipe-create-trends --archive archive --site CTAO-North --output trends.html
    calibpipe-create-trends --archive archive --site CTAO-North --now 2024-08-01T12:00:00 \\
        --results results/CTAO-North --output results/CTAO-North/trends/index.html
    """

    site = traits.Unicode("", help="Site: CTAO-North").tag(config=True)
    now = traits.Unicode(
        "", help="What is overdue, is so at this time (UTC); empty: the time of the clock"
    ).tag(config=True)
    results = traits.Path(
        None,
        allow_none=True,
        exists=None,
        file_ok=False,
        help="Folder of the site with the categories and nights, for links to their pages",
    ).tag(config=True)
    due_in_days = traits.Float(
        28.0, min=0, help="Days after a night within which its category C is to be certified"
    ).tag(config=True)
    max_points = traits.Int(
        6000,
        min=100,
        help="Values of a figure that are shown night by night; months before them as medians",
    ).tag(config=True)
    output = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Page to write"
    ).tag(config=True)

    aliases: ClassVar[dict] = ArchiveTool.aliases | {
        "site": "CreateTrends.site",
        "now": "CreateTrends.now",
        "results": "CreateTrends.results",
        ("o", "output"): "CreateTrends.output",
    }
    required: ClassVar[tuple[str, ...]] = ("archive", "site", "output")

    def setup(self) -> None:
        """Check what has to be given; a page is never overwritten by accident."""
        super().setup()
        self.check_output(self.output)

    def start(self) -> None:
        """Ask the archive, collect, draw, write."""
        from datetime import UTC, datetime

        from .. import __version__
        from ..archive.trends import site_trends
        from ..core.files import atomic_path
        from ..core.provenance import Provenance
        from ..report.trends_page import render_trends, trend_facts

        trends = site_trends(self.opened(), self.site, self.moment())
        facts = trend_facts(
            trends,
            *self.pages(),
            due_in_days=self.due_in_days,
            max_points=self.max_points,
        )
        page = render_trends(facts, datetime.now(UTC).replace(microsecond=0), __version__)
        with atomic_path(self.output) as temporary:
            temporary.write_text(page, encoding="utf-8")
        Provenance().add_output_file(str(self.output), role=KIND, add_meta=False)
        self.log.info(
            "%s: %d nights, %s %s",
            self.output,
            facts["span"]["number"],
            facts["status"]["word"],
            facts["status"]["sentence"],
        )

    def moment(self) -> Any:
        """Time at which something is overdue."""
        from astropy.time import Time

        from ..archive.validity import moment

        return moment(self.now) if self.now else Time.now()

    def pages(self) -> tuple[list[str], str]:
        """Nights with a page (``C/2024-07-10``), and their folder as seen from this page."""
        import os

        if self.results is None:
            return [], ".."
        found = self.results.glob("[BC]/????-??-??/report/index.html")
        names = sorted("/".join(path.parts[-4:-2]) for path in found)
        return names, os.path.relpath(self.results, self.output.parent)


def main() -> None:
    """Run the Tool."""
    CreateTrends().run()


if __name__ == "__main__":
    main()

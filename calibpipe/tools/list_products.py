"""What is in the archive."""

from typing import TYPE_CHECKING, ClassVar

from ctapipe.core import ToolConfigurationError, traits

from .archive_tool import QuestionTool, tabulated

if TYPE_CHECKING:
    from ..archive.repository import Archive


class ListProducts(QuestionTool):
    """List the products of the archive, or with --overdue the kinds that should be newer."""

    name = "calibpipe-list"
    description = __doc__
    examples = """
    calibpipe-list --archive archive --site CTAO-North --kind camera/coefficients
    calibpipe-list --archive archive --site CTAO-North --overdue 2024-07-12T12:00:00
    """

    night = traits.Unicode("", help="Observing night, YYYY-MM-DD").tag(config=True)
    overdue = traits.Unicode("", help="What is overdue at this time").tag(config=True)

    aliases: ClassVar[dict] = QuestionTool.aliases | {
        "night": "ListProducts.night",
        "overdue": "ListProducts.overdue",
    }

    def start(self) -> None:
        """Ask, tell."""
        from ..archive.history import products

        archive = self.opened()
        if self.overdue:
            self.tell_overdue(archive)
            return
        rows = products(
            archive,
            site=self.site or None,
            kind=self.kind or None,
            category=self.category,
            night_name=self.night or None,
            array_element=self.telescope or None,
        )
        columns = {
            "site": "site",
            "category": "category",
            "night_name": "night",
            "array_element": "telescope",
            "block": "block",
            "kind": "kind",
            "id": "product",
        }
        self.answer(rows, tabulated(rows, columns))

    def tell_overdue(self, archive: "Archive") -> None:
        """Kinds whose newest validity ended longer ago than their cadence allows."""
        from ..archive.history import overdue

        if not self.site:
            raise ToolConfigurationError("--overdue needs --site")
        rows = overdue(archive, self.site, self.moment(self.overdue), self.category)
        shown = [r | {"of": " ".join(r["data_id"].values())} for r in rows]
        columns = {"kind": "kind", "of": "of", "cadence": "cadence", "days": "days late"}
        self.answer(rows, tabulated(shown, columns))


def main() -> None:
    """Run the Tool."""
    ListProducts().run()

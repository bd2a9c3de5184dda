"""Products of another archive."""

from typing import ClassVar

from ctapipe.core import traits

from .archive_tool import ArchiveTool, SigningTool, tabulated, validity_text


class ImportProducts(SigningTool):
    """Import what calibpipe-export wrote from another archive: all of it or nothing.

    Checksums are verified; names that lead out of the folder and other universes are refused.
    Identifiers, validities and history are kept: a lookup gives the same answer in both archives.
    """

    name = "calibpipe-import"
    description = __doc__
    examples = """
    calibpipe-import --archive archive --input from_another_archive --reason "from the north"
    """

    input = traits.Path(
        None, allow_none=True, exists=None, file_ok=False, help="Folder of calibpipe-export"
    ).tag(config=True)

    aliases: ClassVar[dict] = (
        ArchiveTool.aliases | SigningTool.aliases | {("i", "input"): "ImportProducts.input"}
    )
    required: ClassVar[tuple[str, ...]] = ("archive", "input")

    def start(self) -> None:
        """Check, import, tell."""
        from ..archive.transfer import import_products

        signature = self.signature()
        records = import_products(self.opened(writeable=True), self.input, **signature)
        rows = [{k: v for k, v in r.items() if k != "interval"} for r in records]
        shown = [r | {"when": validity_text(r["validity"])} for r in rows]
        columns = {"action": "", "kind": "kind", "array_element": "telescope", "when": "UTC"}
        self.answer(rows, tabulated(shown, columns | {"product_id": "product"}))


def main() -> None:
    """Run the Tool."""
    ImportProducts().run()

"""Validity taken away."""

from typing import ClassVar

from ctapipe.core import traits

from .archive_tool import ArchiveTool, QuestionTool, SigningTool, tabulated, validity_text


class Decertify(QuestionTool, SigningTool):
    """Take the validity of a kind of product away for some time; the products stay.

    What reaches over an end of this time is split: it holds before and after as it did.
    """

    name = "calibpipe-decertify"
    description = __doc__
    examples = """
    calibpipe-decertify --archive archive --kind camera/coefficients --site CTAO-North \\
        --telescope LSTN-01 --category C --begin 2024-07-10T21:00:00 --end 2024-07-10T22:00:00 \\
        --reason "shutter was closed"
    """

    begin = traits.Unicode("", help="Begin; empty: since ever").tag(config=True)
    end = traits.Unicode("", help="End, exclusive; empty: open").tag(config=True)
    only_front = traits.Bool(False, help="What it superseded holds again").tag(config=True)

    aliases: ClassVar[dict] = (
        QuestionTool.aliases
        | SigningTool.aliases
        | {"begin": "Decertify.begin", "end": "Decertify.end"}
    )
    flags: ClassVar[dict] = ArchiveTool.flags | {
        "only-front": (
            {"Decertify": {"only_front": True}},
            "Take away what holds only, so that what it superseded holds again",
        )
    }
    required: ClassVar[tuple[str, ...]] = ("archive", "kind", "site", "category")

    def start(self) -> None:
        """Take away, tell what."""
        from ..archive.decertify import decertify
        from ..archive.validity import Interval

        interval = Interval.of(self.moment(self.begin), self.moment(self.end))
        gone = decertify(
            self.opened(writeable=True),
            self.kind,
            self.site,
            interval,
            only_front=self.only_front,
            **self.keys(),
            **self.signature(),
        )
        rows = [entry.text() for entry in gone]
        shown = [r | {"when": validity_text(r["validity"])} for r in rows]
        self.answer(rows, tabulated(shown, {"when": "was valid (UTC)", "product_id": "product"}))


def main() -> None:
    """Run the Tool."""
    Decertify().run()

"""Which calibration holds at a time."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .archive_tool import QuestionTool, tabulated, validity_text


class Lookup(QuestionTool):
    """Find the calibration that applies to a telescope at a time: one kind, or all of them.

    One product, or an error that names the nearest validities. Without --kind: everything that
    applies, and what does not.
    """

    name = "calibpipe-lookup"
    description = __doc__
    examples = """
    calibpipe-lookup --archive archive --kind camera/coefficients --site CTAO-North \\
        --telescope LSTN-01 --time 2024-07-10T22:00:00
    calibpipe-lookup --archive archive --site CTAO-North --telescope LSTN-01 \\
        --time 2024-07-10T22:00:00 --category B
    """

    time = traits.Unicode("", help="Time of the event, ISO 8601").tag(config=True)
    end = traits.Unicode("", help="One product has to hold from --time until here").tag(config=True)

    aliases: ClassVar[dict] = QuestionTool.aliases | {"time": "Lookup.time", "end": "Lookup.end"}
    required: ClassVar[tuple[str, ...]] = ("archive", "site", "time")

    def start(self) -> None:
        """Look up, tell."""
        from ..archive.lookup import applicable, lookup, product_path

        archive = self.opened()
        time = self.moment(self.time)
        asked = (time, self.moment(self.end)) if self.end else time
        if self.kind:
            found: dict[str, Any] = {
                self.kind: lookup(archive, self.kind, self.site, asked, **self.keys())
            }
        else:
            keys = {name: value for name, value in self.keys().items() if name != "season"}
            found = applicable(archive, self.site, asked, **keys)
        rows = []
        for kind, entry in found.items():
            if isinstance(entry, str):
                rows.append({"kind": kind, "absent": entry, "when": "nothing certified"})
                continue
            row = entry.text() | {"path": str(product_path(archive, entry.product_id))}
            rows.append(row | {"when": validity_text(row["validity"])})
        columns = {"kind": "kind", "when": "valid (UTC)", "run": "run", "product_id": "product"}
        text = tabulated(rows, columns)
        if self.kind:
            text += f"\n{rows[0]['path']}"
        self.answer([{k: v for k, v in row.items() if k != "when"} for row in rows], text)


def main() -> None:
    """Run the Tool."""
    Lookup().run()

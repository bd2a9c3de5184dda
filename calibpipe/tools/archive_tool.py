"""What the Tools of the archive share: which archive, who asks, how the answer is written."""

import getpass
import json
import logging
from typing import Any, ClassVar

from ctapipe.core import ToolConfigurationError, traits

from ..core.exceptions import CalibPipeError, ConfigurationError
from ..core.files import atomic_path
from ..core.provenance import Provenance
from .command_tool import CommandTool


def _without_traceback(record: logging.LogRecord) -> bool:
    """An error that its reader can mend is one line."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, CalibPipeError):
        record.msg, record.args, record.exc_info = str(error), (), None
    return True


class ArchiveTool(CommandTool):
    """A Tool that reads or writes the calibration archive."""

    archive = traits.Path(
        None, allow_none=True, exists=None, file_ok=False, help="Folder of the archive"
    ).tag(config=True)
    json = traits.Bool(False, help="Answer as JSON instead of text").tag(config=True)
    record = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="File for the answer as JSON"
    ).tag(config=True)

    aliases: ClassVar[dict] = {
        ("a", "archive"): "ArchiveTool.archive",
        "record": "ArchiveTool.record",
    }
    flags: ClassVar[dict] = {"json": ({"ArchiveTool": {"json": True}}, "Answer as JSON")}
    required: ClassVar[tuple[str, ...]] = ("archive",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        logging.getLogger(self.log.name).addFilter(_without_traceback)

    def setup(self) -> None:
        """Check what has to be given."""
        missing = [name for name in self.required if not getattr(self, name)]
        if missing:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
            raise ToolConfigurationError(f"{self.name} needs {options}")

    def finish(self) -> None:
        """Nothing is left to be done."""

    def write_provenance(self) -> None:
        """Provenance of the run where it was asked for; the archive keeps its own history."""
        if self.provenance_log is not None:
            super().write_provenance()

    def get_current_config(self) -> dict[str, Any]:
        """Configuration with paths as text: all of it is JSON."""
        return json.loads(json.dumps(super().get_current_config(), default=str))

    def opened(self, *, writeable: bool = False) -> Any:
        """The archive."""
        from ..archive.repository import open_archive

        return open_archive(self.archive, writeable=writeable)

    def answer(self, content: Any, text: str) -> None:
        """Write the answer to the standard output, and to a file where one was asked for."""
        document = json.dumps(content, indent=2, default=str)
        if self.record is not None:
            with atomic_path(self.record) as temporary:
                temporary.write_text(document + "\n")
            Provenance().add_output_file(str(self.record), role="answer", add_meta=False)
        print(document if self.json else text)


class QuestionTool(ArchiveTool):
    """A Tool that asks for products by their keys."""

    site = traits.Unicode("", help="Site: CTAO-North").tag(config=True)
    kind = traits.Unicode("", help="Kind of product: camera/coefficients").tag(config=True)
    telescope = traits.Unicode("", help="Array element: LSTN-01").tag(config=True)
    season = traits.Unicode("", help="Season of a reference atmosphere: summer").tag(config=True)
    category = traits.CaselessStrEnum(
        ["B", "C", "reference"],
        None,
        allow_none=True,
        help="Category; without one C is searched first, then B, then reference data",
    ).tag(config=True)
    scale = traits.CaselessStrEnum(
        ["utc", "tai"], "utc", help="Time scale of the times that are given"
    ).tag(config=True)

    aliases: ClassVar[dict] = ArchiveTool.aliases | {
        "site": "QuestionTool.site",
        "kind": "QuestionTool.kind",
        "telescope": "QuestionTool.telescope",
        "season": "QuestionTool.season",
        "category": "QuestionTool.category",
        "scale": "QuestionTool.scale",
    }

    def moment(self, text: str) -> Any:
        """Time of an option; None if it is empty."""
        from ..archive.validity import moment

        return moment(text, self.scale.lower()) if text else None

    def keys(self) -> dict[str, str | None]:
        """Telescope, season and category for a lookup."""
        return {
            "telescope": self.telescope or None,
            "season": self.season or None,
            "category": self.category,
        }


class SigningTool(ArchiveTool):
    """A Tool that changes what is certified: somebody says why."""

    author = traits.Unicode("", help="Who decides; the user of this process if empty").tag(
        config=True
    )
    reason = traits.Unicode("", help="Why; part of the record").tag(config=True)

    aliases: ClassVar[dict] = {
        "author": "SigningTool.author",
        "reason": "SigningTool.reason",
    }

    def signature(self) -> dict[str, str]:
        """Author and reason."""
        if not self.reason:
            raise ConfigurationError(
                f"{self.name} needs --reason: why this is done is part of the record"
            )
        return {"author": self.author or getpass.getuser(), "reason": self.reason}


def tabulated(rows: list[dict[str, Any]], columns: dict[str, str]) -> str:
    """Rows as text in columns, for people.

    Parameters
    ----------
    columns : dict
        Title by name of an entry.
    """
    if not rows:
        return "nothing"
    cells = [
        [str(row.get(name) if row.get(name) is not None else "-") for name in columns]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(columns.values(), *cells, strict=True)]
    lines = [list(columns.values()), *cells]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def validity_text(validity: dict[str, str | None]) -> str:
    """Validity as ``begin to end`` in UTC."""
    begin, end = (validity[f"{name}_utc"] for name in ("begin", "end"))
    return f"{begin or 'ever'} to {end or 'open'}"

"""What all Tools have in common on the command line."""

import logging
import os
import sys
from typing import Any, ClassVar, TextIO

from ctapipe.core import Tool, ToolConfigurationError, traits
from ctapipe.core.logging import ColoredFormatter, PlainFormatter


class CommandTool(Tool):
    """A Tool that colours what it logs for people at a terminal only, and explains its settings."""

    flags: ClassVar[dict]

    quickstart_config = traits.Bool(
        False, help="Write a commented configuration to the standard output and end"
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        told = "Write a commented configuration to the standard output and end"
        flag = ({"CommandTool": {"quickstart_config": True}}, told)
        self.__dict__["flags"] = {"quickstart-config": flag, **self.flags}

    def initialize(self, argv: list[str] | None = None) -> None:
        """Read options and configuration; end here if only they are to be shown."""
        super().initialize(argv)
        if self.quickstart_config:
            if self.trait_warning_handler.errors:
                raise ToolConfigurationError("; ".join(self.trait_warning_handler.errors))
            from .quickstart import commented_configuration

            print(commented_configuration(self, CommandTool), end="")
            self.exit(0)

    def write_provenance(self) -> None:
        """Provenance of the run; none where nothing was run."""
        if not self.quickstart_config:
            super().write_provenance()

    def update_logging_config(self) -> None:
        """Configure the loggers; files, pipes and people who want no colours get none."""
        super().update_logging_config()
        if wants_colours(sys.stderr):
            return
        for handler in logging.getLogger(self.module_name).handlers:
            if isinstance(handler.formatter, ColoredFormatter):
                handler.setFormatter(PlainFormatter(handler.formatter._fmt))


def wants_colours(stream: TextIO) -> bool:
    """Whether the reader of a stream sees colours, and wants them.

    No where it is no terminal, where the terminal cannot (``TERM=dumb``) and where ``NO_COLOR`` is
    set to anything but an empty text.

    References
    ----------
    https://no-color.org
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()

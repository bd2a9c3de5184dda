"""What all Tools have in common on the command line."""

import logging
import os
import sys
from typing import TextIO

from ctapipe.core import Tool
from ctapipe.core.logging import ColoredFormatter, PlainFormatter


class CommandTool(Tool):
    """A Tool that colours what it logs for people at a terminal only."""

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

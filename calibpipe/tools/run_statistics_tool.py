"""What the Tools of dedicated runs share: pixel statistics of a run, checked."""

from pathlib import Path
from typing import Any

from .night_tool import NightTool, require


class RunStatisticsTool(NightTool):
    """A Tool that reads pixel statistics of dedicated runs of one telescope."""

    def statistics(self, path: Path) -> Any:
        """Statistics of one run with their header."""
        from ..core.statistics_file import read_pixel_statistics

        found = read_pixel_statistics(self.add_input(path, "camera/pixel_statistics"))
        require(
            "obs_id" in found.header and "extraction" in found.header,
            f"{path} does not say of which observation it is; take the statistics of "
            "calibpipe-calculate-pixel-statistics",
        )
        return found

    def check_same(self, statistics: list[Any]) -> None:
        """All runs are of one telescope, with one window for pulses and pedestals."""
        telescopes = sorted({entry.tel_id for entry in statistics})
        require(len(telescopes) == 1, f"the runs are of telescopes {telescopes}; give those of one")
        widths = sorted({entry.header["extraction"]["window_width"] for entry in statistics})
        require(
            len(widths) == 1,
            f"the runs are integrated over {widths} samples; make their statistics with one window",
        )

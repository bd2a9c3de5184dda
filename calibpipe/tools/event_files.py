"""Which DL0 files a Tool reads: of the night's index, or as given."""

from pathlib import Path
from typing import ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require


class EventFilesTool(NightTool):
    """A Tool that reads the events of one telescope in one observation block."""

    index = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Index of the night's DL0 files (calibpipe-index-dl0)",
    ).tag(config=True)
    dl0_root = traits.Path(
        None, allow_none=True, exists=None, file_ok=False, help="Folder that contains DL0"
    ).tag(config=True)
    telescope = traits.Unicode(
        "", help="Array element that the events are of, such as LSTN-01"
    ).tag(config=True)
    obs_id = traits.Int(0, min=0, help="Observation block of the index").tag(config=True)
    input_files = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="DL0 files of one telescope and observation, instead of an index",
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        "index": "EventFilesTool.index",
        "dl0-root": "EventFilesTool.dl0_root",
        "telescope": "EventFilesTool.telescope",
        "obs-id": "EventFilesTool.obs_id",
        ("i", "input"): "EventFilesTool.input_files",
    }

    def event_files(self) -> list[Path]:
        """DL0 files of the observation."""
        from ..core.dl0_files import block_files
        from ..core.products import read_table

        of_index = [self.index, self.dl0_root, self.obs_id]
        require(
            not any(of_index) if self.input_files else all(of_index) and self.telescope,
            f"{self.name} needs either --input or all of --index, --dl0-root, --telescope, "
            "--obs-id",
        )
        if self.input_files:
            return [Path(path) for path in self.input_files]
        index = read_table(self.add_input(self.index, "array/dl0_index"), "array/dl0_index")
        return block_files(index, self.dl0_root, self.telescope, self.obs_id)

    @property
    def is_checked(self) -> bool:
        """Whether the index has checked the files."""
        return not self.input_files

    def require_telescope(self, array_element: str, tel_id: int) -> None:
        """Refuse files that are not of the telescope that was named, if one was."""
        require(
            self.telescope in ("", array_element),
            f"the files of {self.telescope} are of telescope {tel_id}, {array_element}",
        )

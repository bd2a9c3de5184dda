"""Index of the DL0 files of one night."""

from typing import ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

KIND = "array/dl0_index"


class IndexDl0(NightTool):
    """List the DL0 event files of the telescopes of one night, and which of them cannot be read.

    A file that is truncated, still being written or of something else does not stop the night: it
    is in the index with its problem, and the observation block that it belongs to fails with that.
    """

    name = "calibpipe-index-dl0"
    description = __doc__
    examples = """
    calibpipe-index-dl0 --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --dl0-root data --telescopes LSTN-01 --telescopes LSTN-02 --output array/dl0_index.ecsv
    """

    dl0_root = traits.Path(
        None, allow_none=True, exists=None, file_ok=False, help="Folder that contains DL0"
    ).tag(config=True)
    telescopes = traits.List(
        traits.Unicode(), help="Array elements, such as LSTN-01; none: all that the site has"
    ).tag(config=True)

    blocks = traits.List(
        traits.Unicode(),
        help="Observation blocks whose files are taken, such as LSTN-01/OBSID3; none: all",
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        "blocks": "IndexDl0.blocks",
        "dl0-root": "IndexDl0.dl0_root",
        "telescopes": "IndexDl0.telescopes",
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "dl0_root")

    def start(self) -> None:
        """Look at all files, write the index."""
        from ..core.dl0_files import blocks, index_of_night, named_block
        from ..core.night import night_date
        from ..core.products import write_table

        site = self.load_site()
        elements = self.telescopes or list(site.telescopes)
        only = [named_block(text) for text in self.blocks]
        index = index_of_night(self.dl0_root, night_date(self.night), elements, only)
        for row in index:
            if row["problem"]:
                self.log.warning("%s", row["problem"])
        without = sorted(set(elements) - set(index["array_element"]))
        if without:
            self.log.warning("no DL0 of %s in this night", ", ".join(without))
        metadata = self.metadata(
            KIND,
            f"DL0 files of {site.name} in the night {self.night}",
            details={"telescopes": list(elements), "without_data": without}
            | ({"blocks_taken": list(self.blocks)} if self.blocks else {}),
        )
        write_table(self.output, index, metadata)
        self.add_output(self.output, KIND)
        self.log.info(
            "%s: %d files of %d observation blocks, %d with a problem",
            self.output,
            len(index),
            len(blocks(index)),
            sum(bool(problem) for problem in index["problem"]),
        )


def main() -> None:
    """Run the Tool."""
    IndexDl0().run()

"""Throughput and point spread function of the nights before, from the calibration archive."""

from datetime import timedelta
from typing import ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

KIND = "array/throughput_history"


class CollectThroughputHistory(NightTool):
    """Collect what is certified of the optical throughput in the nights before one.

    Throughput and width of the point spread function from muon rings, with their errors, telescope
    by telescope; of the same category, and of nothing later than the night before. The archive
    grows: this product keeps what it held when it was made. Nothing certified is a table without
    rows.
    """

    name = "calibpipe-collect-throughput-history"
    description = __doc__
    examples = """
    calibpipe-collect-throughput-history --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --category C --archive calibration_archive --output array/throughput_history.ecsv
    """

    archive = traits.Path(
        None, allow_none=True, exists=None, file_ok=False, help="Calibration archive"
    ).tag(config=True)
    n_nights = traits.Int(30, min=1, max=366, help="Nights of the calendar that are looked at").tag(
        config=True
    )

    aliases: ClassVar[dict] = NightTool.aliases | {"archive": "CollectThroughputHistory.archive"}
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "archive")

    def start(self) -> None:
        """Ask the archive, write."""
        from ..archive.repository import open_archive
        from ..archive.throughput_history import throughput_history
        from ..archive.validity import Interval
        from ..core.night import night_date, night_span
        from ..core.products import write_table

        site = self.load_site()
        last = night_date(self.night)
        nights = [str(last - timedelta(days=k)) for k in range(self.n_nights, 0, -1)]
        span = Interval.of(*(night_span(night, site)[0] for night in (nights[0], self.night)))
        archive = open_archive(self.archive)
        table = throughput_history(archive, site.name, self.category, nights, span)
        metadata = self.metadata(
            KIND,
            f"Optical throughput at {site.name} in the {self.n_nights} nights before {self.night}",
            details={"first_night": nights[0], "last_night": nights[-1]},
        )
        write_table(self.output, table, metadata)
        self.add_output(self.output, KIND)
        found = sorted(set(table["night"]))
        self.log.info(
            "%d values of %d nights%s",
            len(table),
            len(found),
            f", {found[0]} to {found[-1]}" if found else "",
        )


def main() -> None:
    """Run the Tool."""
    CollectThroughputHistory().run()

"""What was done, what was used, what has to be made again."""

from typing import TYPE_CHECKING, Any, ClassVar

from ctapipe.core import ToolConfigurationError, traits

from .archive_tool import QuestionTool, tabulated, validity_text

if TYPE_CHECKING:
    from ..archive.repository import Archive

FIGURES = (".svg", ".png", ".pdf")


class History(QuestionTool):
    """Tell the history of the archive, of one product, or of a file that was made with it.

    Without --product, --affected-by and --used-for: what was certified and decertified.
    """

    name = "calibpipe-history"
    description = __doc__
    examples = """
    calibpipe-history --archive archive --since 2024-07-01 --until 2024-08-01
    calibpipe-history --archive archive --product 3f9a1d0e-...
    calibpipe-history --archive archive --affected-by 3f9a1d0e-...
    calibpipe-history --archive archive --used-for events.dl1.h5 \\
        --process-log ctapipe-process.provenance.log
    calibpipe-history --archive archive --trend CAM-02 --telescope LSTN-01 --figure trend.svg
    """

    since = traits.Unicode("", help="Done at or after this time").tag(config=True)
    until = traits.Unicode("", help="Done before this time").tag(config=True)
    product = traits.Unicode("", help="Everything about this product").tag(config=True)
    affected_by = traits.Unicode(
        "", help="What was made from this product, file or checksum, directly or not"
    ).tag(config=True)
    used_for = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="What this file was made with"
    ).tag(config=True)
    trend = traits.Unicode("", help="Values of this criterion over time, such as CAM-02").tag(
        config=True
    )
    figure = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Figure of the trend: .svg, .png or .pdf",
    ).tag(config=True)
    process_log = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Provenance log of the ctapipe tool that made it",
    ).tag(config=True)

    aliases: ClassVar[dict] = QuestionTool.aliases | {
        "since": "History.since",
        "until": "History.until",
        "product": "History.product",
        "affected-by": "History.affected_by",
        "used-for": "History.used_for",
        "trend": "History.trend",
        "figure": "History.figure",
        "process-log": "History.process_log",
    }

    def start(self) -> None:
        """Ask, tell."""
        asked = (self.product, self.affected_by, self.used_for is not None, self.trend)
        if sum(map(bool, asked)) > 1:
            raise ToolConfigurationError(
                "give one of --product, --affected-by, --used-for and --trend"
            )
        if self.figure is not None and not self.trend:
            raise ToolConfigurationError("--figure draws a --trend: say of which criterion")
        if self.figure is not None and self.figure.suffix not in FIGURES:
            raise ToolConfigurationError(f"--figure {self.figure} is none of {', '.join(FIGURES)}")
        archive = self.opened()
        if self.product:
            self.tell_product(archive)
        elif self.affected_by:
            self.tell_affected(archive)
        elif self.used_for is not None:
            self.tell_used(archive)
        elif self.trend:
            self.tell_trend(archive)
        else:
            self.tell_changes(archive)

    def tell_changes(self, archive: "Archive") -> None:
        """Certifications and decertifications."""
        from ..archive.history import changes

        rows = changes(
            archive,
            self.moment(self.since),
            self.moment(self.until),
            site=self.site or None,
            kind=self.kind or None,
        )
        self.answer(rows, _told(rows))

    def tell_product(self, archive: "Archive") -> None:
        """Everything about one product."""
        from ..archive.history import product_record

        record = product_record(archive, self.product)
        names = ("kind", "site", "category", "night_name", "array_element", "block", "run")
        lines = [f"{name:14} {record[name]}" for name in (*names, "software", "sha256")]
        lines += [
            f"{'made from':14} {i['role']}: {i['path']} ({i['source']})" for i in record["inputs"]
        ]
        lines += [f"{'valid (UTC)':14} {validity_text(c['validity'])}" for c in record["certified"]]
        self.answer(record, "\n".join([*lines, _told(record["history"])]))

    def tell_affected(self, archive: "Archive") -> None:
        """Products to be made again when one is replaced, and their nights."""
        from ..archive.history import affected

        rows = affected(archive, self.affected_by)
        nights = sorted({f"{r['site']} {r['category']} {r['night_name']}" for r in rows})
        columns = {
            "kind": "kind",
            "array_element": "telescope",
            "night_name": "night",
            "id": "product",
        }
        text = tabulated(rows, columns)
        if nights:
            text += "\nnights to be made again: " + ", ".join(nights)
        self.answer({"products": rows, "nights": nights}, text)

    def tell_trend(self, archive: "Archive") -> None:
        """Values of one criterion, verification by verification."""
        from ..archive.metrics import metrics

        table = metrics(
            archive,
            self.moment(self.since),
            self.moment(self.until),
            criterion=self.trend,
            site=self.site or None,
            category=self.category,
            array_element=self.telescope or None,
        )
        columns = {
            "begin_utc": "valid from (UTC)",
            "array_element": "telescope",
            "category": "category",
            "median": "median",
            "minimum": "minimum",
            "maximum": "maximum",
            "unit": "unit",
            "result": "result",
        }
        numbers = ("median", "minimum", "maximum")
        shown = [
            row | {name: f"{row[name]:.4g}" for name in numbers if row[name] is not None}
            for row in table
        ]
        self.answer(table, tabulated(shown, columns))
        if self.figure is not None:
            self.draw_trend(table)

    def draw_trend(self, table: "list[dict[str, Any]]") -> None:
        """Medians over time, with the limits of the newest verification."""
        import matplotlib as mpl

        from ..archive.validity import moment
        from ..core.exceptions import InsufficientStatisticsError
        from ..core.files import atomic_path
        from ..report.drawing import STYLE
        from ..report.throughput_figures import NightValue, trend_figure

        known = [row for row in table if row["median"] is not None]
        if not known:
            raise InsufficientStatisticsError(
                f"the archive has no value of {self.trend} to draw; leave out --figure, or ask for "
                "other times and telescopes"
            )
        newest = known[-1]
        unit = f" ({newest['unit']})" if newest["unit"] else ""
        figure = trend_figure(
            [
                NightValue(
                    row["array_element"] or row["site"],
                    moment(row["begin_tai"], "tai"),
                    row["median"],
                )
                for row in known
            ],
            f"{newest['metric'].replace('_', ' ')}{unit}",
            tuple(newest[end] for end in ("low", "high") if newest[end] is not None),
        )
        with atomic_path(self.figure) as temporary, mpl.rc_context(STYLE):
            figure.savefig(temporary, facecolor="white")

    def tell_used(self, archive: "Archive") -> None:
        """Calibrations that a file was made with."""
        from ..archive.history import calibrations_of

        rows = calibrations_of(archive, self.used_for, self.process_log)
        columns = {"kind": "kind", "array_element": "telescope", "run": "run", "id": "product"}
        self.answer(rows, tabulated(rows, columns))


def _told(rows: list[dict[str, Any]]) -> str:
    shown = [r | {"when": validity_text(r["validity"])} for r in rows]
    columns = {
        "made_utc": "done (UTC)",
        "action": "",
        "kind": "kind",
        "data_id": "of",
        "when": "validity (UTC)",
        "author": "by",
        "reason": "because",
    }
    return tabulated(shown, columns)


def main() -> None:
    """Run the Tool."""
    History().run()

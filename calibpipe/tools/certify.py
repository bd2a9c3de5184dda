"""Products into the archive, with the time for which they hold."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import ToolConfigurationError, traits

from .archive_tool import ArchiveTool, SigningTool, tabulated, validity_text


class Certify(SigningTool):
    """Certify products: store them in the archive and say for which time they hold.

    All of them or none. Every product needs a verification record with verdict PASS
    (calibpipe-verify), or an override with its reason and date. What is certified already for a
    part of the time is an error, or is superseded with --supersede: it stays certified behind.
    """

    name = "calibpipe-certify"
    description = __doc__
    examples = """
    calibpipe-certify --archive archive --reason "night of 10 July" \\
        --product density_profile.ecsv --verification atmosphere_density_profile.json
    calibpipe-certify --archive archive --reason "new flasher" --product coefficients.OBSID5.h5 \\
        --override "checked by hand" --override-date 2026-11-24 --end open
    """

    product = traits.List(
        traits.Path(exists=None, directory_ok=False), help="Products to certify"
    ).tag(config=True)
    verification = traits.List(
        traits.Path(exists=None), help="Their verification records, or folders with them"
    ).tag(config=True)
    override = traits.Unicode(
        "", help="Why products are certified that did not pass a verification"
    ).tag(config=True)
    override_date = traits.Unicode("", help="Day of that decision, YYYY-MM-DD").tag(config=True)
    begin = traits.Unicode("", help="Begin of the validity; empty: as proposed").tag(config=True)
    end = traits.Unicode("", help="End of it, or 'open'; empty: as proposed").tag(config=True)
    scale = traits.CaselessStrEnum(["utc", "tai"], "utc", help="Time scale of begin and end").tag(
        config=True
    )
    supersede = traits.Bool(False, help="Go in front of what is certified").tag(config=True)
    release = traits.Unicode(
        "", help="Keep the products for this release; nothing holds by them until it is accepted"
    ).tag(config=True)
    skip_failed = traits.Bool(
        False, help="Leave out products whose verification failed, and say so, instead of stopping"
    ).tag(config=True)
    kind = traits.Unicode("", help="Kind of a file that is no product of CalibPipe").tag(
        config=True
    )
    site = traits.Unicode("", help="Site of such a file").tag(config=True)
    telescope = traits.Unicode("", help="Telescope of such a file").tag(config=True)
    night = traits.Unicode("", help="Night or version of such a file").tag(config=True)

    aliases: ClassVar[dict] = (
        ArchiveTool.aliases
        | SigningTool.aliases
        | {
            "product": "Certify.product",
            "verification": "Certify.verification",
            "override": "Certify.override",
            "override-date": "Certify.override_date",
            "begin": "Certify.begin",
            "end": "Certify.end",
            "scale": "Certify.scale",
            "release": "Certify.release",
            "kind": "Certify.kind",
            "site": "Certify.site",
            "telescope": "Certify.telescope",
            "night": "Certify.night",
        }
    )
    flags: ClassVar[dict] = ArchiveTool.flags | {
        "supersede": ({"Certify": {"supersede": True}}, "Go in front of what is certified"),
        "skip-failed": (
            {"Certify": {"skip_failed": True}},
            "Leave out products whose verification failed, and say so",
        ),
    }
    required: ClassVar[tuple[str, ...]] = ("archive", "product")

    def start(self) -> None:
        """Read headers and verdicts, certify, tell."""
        from ..archive.certify import certify
        from ..archive.metrics import store_metrics
        from ..archive.release import propose

        signature = self.signature()
        if self.override and not self.override_date:
            raise ToolConfigurationError("an override needs --override-date, YYYY-MM-DD")
        candidates = self.candidates()
        left_out = []
        if self.skip_failed:
            left_out = [c for c in candidates if c.verdict != "PASS" and not c.override]
            candidates = [c for c in candidates if c not in left_out]
        archive = self.opened(writeable=True)
        store_metrics(archive, self.metric_rows())
        if self.release:
            records = propose(archive, candidates, self.release, refused=left_out, **signature)
        else:
            records = certify(archive, candidates, supersede=self.supersede, **signature)
        self.tell(records, left_out)

    def tell(self, records: list[dict[str, Any]], left_out: list[Any]) -> None:
        """Answer: what was certified, what was left out, what of a release was withdrawn."""
        from ..archive.release import WITHDRAWN

        refused = [
            {
                "path": str(c.header.path),
                "kind": c.header.kind,
                "array_element": c.header.array_element,
                "product_id": str(c.header.product_id),
                "verdict": c.verdict,
            }
            for c in left_out
        ]
        for entry in refused:
            self.log.warning(
                "%s: not certified, its verdict is %s", entry["path"], entry["verdict"]
            )
        rows = [{k: v for k, v in r.items() if k != "interval"} for r in records]
        content = {"certified": [r for r in rows if r["action"] != WITHDRAWN], "refused": refused}
        if self.release:
            content["withdrawn"] = [r for r in rows if r["action"] == WITHDRAWN]
        shown = [r | {"when": validity_text(r["validity"])} for r in rows]
        columns = {"action": "", "kind": "kind", "array_element": "telescope", "when": "UTC"}
        self.answer(content, tabulated(shown, columns | {"product_id": "product"}))

    def candidates(self) -> list[Any]:
        """Products with validity and verdict."""
        from ..archive.candidate import Candidate, override_reason

        verdicts = self.verdicts()
        override = ""
        if self.override:
            author = self.signature()["author"]
            override = override_reason(author, self.override_date, self.override)
        candidates = []
        for path in self.product:
            header = self.header(Path(path))
            verdict, record = verdicts.get(str(header.product_id), ("NONE", ""))
            candidates.append(
                Candidate(
                    header,
                    validity=self.interval(header),
                    verdict=verdict,
                    verification=record,
                    override="" if verdict == "PASS" else override,
                )
            )
        return candidates

    def header(self, path: Path) -> Any:
        """Header of a product, or of a foreign file with the keys of the options."""
        from ..core.product_header import foreign_header, read_product_header

        if not self.kind:
            return read_product_header(path)
        return foreign_header(
            path,
            self.kind,
            site=self.site or None,
            night=self.night or None,
            array_element=self.telescope or None,
        )

    def interval(self, header: Any) -> Any:
        """Validity of the options; None where the product decides."""
        from ..archive.validity import Interval, moment

        if not (self.begin or self.end):
            return None
        begin, end = header.validity or (None, None)
        if self.begin:
            begin = moment(self.begin, self.scale.lower())
        if self.end:
            end = None if self.end == "open" else moment(self.end, self.scale.lower())
        return Interval.of(begin, end)

    def metric_rows(self) -> list[dict[str, Any]]:
        """What every criterion found, also of products that failed."""
        from ..archive.metrics import metric_rows

        return [row for document in self.records() for row in metric_rows(document)]

    def records(self) -> list[dict[str, Any]]:
        """Verification records."""
        from ..core.products import read_json

        files = [
            file
            for path in self.verification
            for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])
        ]
        return [read_json(file, "verification/record") for file in files]

    def verdicts(self) -> dict[str, tuple[str, str]]:
        """Verdict and identifier of the record, by product."""
        found = {}
        for document in self.records():
            content = document["content"]
            found[content["product"]["id"]] = (content["verdict"], document["CTA PRODUCT ID"])
        return found


def main() -> None:
    """Run the Tool."""
    Certify().run()

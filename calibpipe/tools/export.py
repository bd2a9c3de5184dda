"""Out of the archive: to ctapipe-process, or to another archive."""

from typing import ClassVar

from ctapipe.core import ToolConfigurationError, traits

from .archive_tool import QuestionTool


class Export(QuestionTool):
    """Export the monitoring file that ctapipe-process needs, or products for another archive.

    With --time: one HDF5 file of the telescope, that ctapipe-process applies unchanged. Pixels that
    are excluded at that time (certified list) are masked in its coefficients. Without: a folder
    with everything that is certified of the kind (all kinds if none is given).
    """

    name = "calibpipe-export"
    description = __doc__
    examples = """
    calibpipe-export --archive archive --site CTAO-North --telescope LSTN-01 \\
        --time 2024-07-10T22:00:00 --output monitoring.h5
    calibpipe-export --archive archive --site CTAO-North --output for_another_archive
    """

    time = traits.Unicode("", help="Time of the events").tag(config=True)
    output = traits.Path(None, allow_none=True, exists=None, help="File or folder").tag(config=True)

    merge_excluded_pixels = traits.Bool(
        True, help="Mask excluded pixels in coefficients for ctapipe-process"
    ).tag(config=True)

    aliases: ClassVar[dict] = QuestionTool.aliases | {
        "time": "Export.time",
        ("o", "output"): "Export.output",
    }
    required: ClassVar[tuple[str, ...]] = ("archive", "site", "output")

    def start(self) -> None:
        """Find, check, write."""
        if self.time:
            self.export_monitoring()
        else:
            self.export_products()

    def export_monitoring(self) -> None:
        """One file for ctapipe-process."""
        from ..archive.lookup import lookup
        from ..archive.monitoring import excluded_pixels_at, export_monitoring

        if self.output.exists():
            raise ToolConfigurationError(f"{self.output} exists: give another name")
        archive = self.opened()
        kind = self.kind or "camera/coefficients"
        time = self.moment(self.time)
        found = lookup(archive, kind, self.site, time, **self.keys())
        excluded = None
        if kind == "camera/coefficients" and self.merge_excluded_pixels:
            keys = {"telescope": self.telescope, "category": self.category}
            excluded = excluded_pixels_at(archive, self.site, time, **keys)
            if excluded is None:
                self.log.warning("no certified list of excluded pixels holds then: none is masked")
        content = export_monitoring(archive, found, self.output, excluded)
        merged = content.get("excluded_pixels")
        masked = f"; {merged['n_newly_masked']} more pixels masked, by {excluded}" if merged else ""
        self.answer(content | {"path": str(self.output)}, f"{self.output}: {found}{masked}")

    def export_products(self) -> None:
        """A folder for another archive."""
        from ..archive.kinds import kind_of, kinds
        from ..archive.lookup import certified
        from ..archive.transfer import export_products

        archive = self.opened()
        where = {"site": archive.checked_site(self.site)}
        wanted = [kind_of(self.kind)] if self.kind else list(kinds().values())
        if self.telescope:
            where["telescope"] = archive.tel_id(self.site, self.telescope)
            wanted = [kind for kind in wanted if "telescope" in kind.dimensions]
        layers = archive.layers(self.site, self.category)
        selection = [
            entry
            for kind in wanted
            if kind.validity
            for entry in certified(archive, kind.name, layers, where=where)
        ]
        manifest = export_products(archive, selection, self.output)
        number = len(manifest["products"])
        self.answer(manifest, f"{self.output}: {number} products, {len(selection)} validities")


def main() -> None:
    """Run the Tool."""
    Export().run()

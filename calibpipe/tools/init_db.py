"""A new calibration archive."""

from typing import ClassVar

from ctapipe.core import traits

from .archive_tool import ArchiveTool


class InitDb(ArchiveTool):
    """Make an empty calibration archive: SQLite in a folder, or PostgreSQL for several writers."""

    name = "calibpipe-init-db"
    description = __doc__
    examples = """
    calibpipe-init-db --archive archive
    calibpipe-init-db --archive archive --database postgresql://calibpipe@dbhost/calib
    """

    database = traits.Unicode(
        "",
        help="postgresql://user@host:port/name; empty: SQLite. The password belongs into "
        "~/.lsst/db-auth.yaml or PGPASSWORD, never here",
    ).tag(config=True)
    namespace = traits.Unicode("", help="Schema in PostgreSQL").tag(config=True)
    if_missing = traits.Bool(False, help="Leave an archive that is there as it is").tag(config=True)

    aliases: ClassVar[dict] = ArchiveTool.aliases | {
        "database": "InitDb.database",
        "namespace": "InitDb.namespace",
    }
    flags: ClassVar[dict] = ArchiveTool.flags | {
        "if-missing": (
            {"InitDb": {"if_missing": True}},
            "Leave an archive that is there as it is; go on with one that was not finished",
        )
    }

    def start(self) -> None:
        """Make it."""
        from ..archive.repository import init_archive

        there = (self.archive / "butler.yaml").is_file()
        if there and self.if_missing:
            self.opened()
        else:
            init_archive(self.archive, self.database, self.namespace, unfinished=self.if_missing)
        content = {"archive": str(self.archive), "new": not (there and self.if_missing)}
        self.answer(content, f"{self.archive} {'is ready' if content['new'] else 'was there'}")


def main() -> None:
    """Run the Tool."""
    InitDb().run()

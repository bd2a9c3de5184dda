"""The archive as a Butler repository: made, opened, locked for writing."""

import re
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property, wraps
from pathlib import Path
from typing import Any

import sqlalchemy.exc
from lsst.daf.butler import (
    Butler,
    CollectionType,
    Config,
    DatasetType,
    DimensionConfig,
    DimensionUniverse,
    MissingCollectionError,
)
from lsst.daf.butler.registry.interfaces import SchemaAlreadyDefinedError

from ..core.exceptions import ConfigurationError, MissingInputError, StorageError
from .bulk import index_times
from .kinds import STORAGE_CLASSES, kind_of, kinds
from .names import CATEGORIES, category_chain, checked_name, layer_name, layer_number, site_chain
from .sqlite import only_writer, sqlite_file

__all__ = ["Archive", "init_archive", "open_archive", "uses_database", "without_password"]

UNIVERSE = Path(__file__).with_name("universe.yaml")
_TEMPLATE = "{run:/}/{datasetType}/{datasetType}_{site}_{telescope.tel_name:?}_{season:?}_{night:?}"
_PASSWORD = re.compile(r"(//[^:/@\s]+):[^@\s]*@|(password=)\S+")


def without_password(text: str) -> str:
    """Text in which the passwords of database addresses are left out.

    >>> without_password("postgresql://me:secret@db/calib")
    'postgresql://me:***@db/calib'
    """
    return _PASSWORD.sub(lambda m: f"{m[1]}:***@" if m[1] else f"{m[2]}***", text)


class Archive:
    """An archive that is open.

    Parameters
    ----------
    butler : Butler
        Of the repository; everything that Butler offers works on it, too.
    location : Path
        Folder of the repository.
    """

    def __init__(self, butler: Butler, location: Path):
        self.butler = butler
        self.location = location

    def __repr__(self) -> str:
        return f"<Archive {self.location}>"

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """Sites that were uploaded."""
        return tuple(r.name for r in self.butler.query_dimension_records("site", explain=False))

    def forget_observatory(self) -> None:
        """Read sites and telescopes again: some were added."""
        for name in ("sites", "telescopes"):
            self.__dict__.pop(name, None)

    @cached_property
    def telescopes(self) -> dict[tuple[str, str], int]:
        """``tel_id`` by site and array element."""
        records = self.butler.query_dimension_records("telescope", explain=False, limit=None)
        return {(r.site, r.tel_name): r.id for r in records}

    def tel_id(self, site: str, telescope: str) -> int:
        """``tel_id`` of an array element.

        Raises
        ------
        ConfigurationError
            If the archive does not know the site or telescope.
        """
        checked_name(telescope, "telescope")
        self.checked_site(site)
        if (site, telescope) not in self.telescopes:
            there = sorted(name for where, name in self.telescopes if where == site)
            raise ConfigurationError(
                f"the archive has no telescope {telescope} at {site}, only {', '.join(there)}; "
                "add it with calibpipe-upload-observatory-data"
            )
        return self.telescopes[site, telescope]

    def checked_site(self, site: str) -> str:
        """`site`, if the archive knows it."""
        checked_name(site, "site")
        if site not in self.sites:
            raise ConfigurationError(
                f"the archive has no site {site}, only {', '.join(self.sites) or 'none yet'}; "
                "add it with calibpipe-upload-observatory-data"
            )
        return site

    def dataset_type(self, kind: str) -> DatasetType:
        """Dataset type of a kind of product."""
        return _dataset_type(self.butler.dimensions, kind)

    def layers(self, site: str, category: str | None) -> list[str]:
        """CALIBRATION collections of a category (of all, in their search order), newest first."""
        if category is None:
            return [layer for name in CATEGORIES for layer in self.layers(site, name)]
        chain = category_chain(site, category)
        try:
            children = self.butler.collections.get_info(chain).children
        except MissingCollectionError:
            return []
        return sorted(children, key=layer_number, reverse=True)

    def add_layer(self, site: str, category: str, number: int) -> str:
        """Make a layer and put it in front of its chain; nothing happens if it is there."""
        collections = self.butler.collections
        layer = layer_name(site, category, number)
        chain = category_chain(site, category)
        collections.register(layer, CollectionType.CALIBRATION)
        collections.register(chain, CollectionType.CHAINED)
        there = collections.get_info(chain).children
        if layer not in there:
            wanted = sorted({*there, layer}, key=layer_number, reverse=True)
            collections.redefine_chain(chain, wanted)
        collections.register(site_chain(site), CollectionType.CHAINED)
        top = collections.get_info(site_chain(site)).children
        if chain not in top:
            wanted = [c for n in CATEGORIES if (c := category_chain(site, n)) in {*top, chain}]
            collections.redefine_chain(site_chain(site), wanted)
        return layer

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file, for one writer at a time."""
        return sqlite_file(self.location).is_file()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Writers of an SQLite archive wait for each other; those of PostgreSQL lock tables there.

        Raises
        ------
        StorageError
            If the database cannot be written, or another writer holds it for too long.
        """
        alone = only_writer(self.location) if self.is_sqlite else nullcontext()
        with alone, translated_errors(self.location):
            yield

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing: what is done inside is done as a whole, or not at all."""
        return self.butler.transaction()


@contextmanager
def translated_errors(location: str | Path) -> Iterator[None]:
    """Errors of the database as a StorageError that names the archive and no password."""
    try:
        yield
    except (sqlalchemy.exc.DBAPIError, sqlite3.DatabaseError) as error:  # Butler asks both ways
        cause = without_password(str(getattr(error, "orig", None) or error)).strip().splitlines()
        raise StorageError(
            f"the database of the archive {location} cannot be used: "
            f"{cause[0] if cause else type(error).__name__}; see whether it "
            "runs, may be written and its disk is not full"
        ) from None


def uses_database[T](function: Callable[..., T]) -> Callable[..., T]:
    """Decorator of what takes an archive: errors of its database become a StorageError."""

    @wraps(function)
    def wrapped(archive: Archive, *args: Any, **kwargs: Any) -> T:
        with translated_errors(archive.location):
            return function(archive, *args, **kwargs)

    return wrapped


def _dataset_type(universe: DimensionUniverse, name: str) -> DatasetType:
    kind = kind_of(name)
    return DatasetType(
        kind.dataset_type,
        universe.conform(kind.dimensions),
        STORAGE_CLASSES[kind.content][0],
        isCalibration=kind.validity,
    )


def init_archive(
    location: str | Path, database: str = "", namespace: str = "", *, unfinished: bool = False
) -> Archive:
    """Make an archive: a folder with SQLite, or with its registry in PostgreSQL.

    Parameters
    ----------
    location : path
        Folder; must be empty or absent.
    database : str
        ``postgresql://user@host:port/name``; empty: SQLite in the folder. A password belongs into
        ``~/.lsst/db-auth.yaml`` (or the file that ``LSST_DB_AUTH`` names) or ``PGPASSWORD``.
    namespace : str
        Schema of PostgreSQL, so that one database can hold several archives.
    unfinished : bool
        Go on with tables of an archive that were made by a run that was killed.

    Raises
    ------
    ConfigurationError
        If the folder is not empty, the address holds a password, or the database an archive.
    StorageError
        If the folder or database cannot be written.
    """
    location = Path(location)
    if location.exists() and (not location.is_dir() or any(location.iterdir())):
        raise ConfigurationError(
            f"{location} exists and is not empty: a new archive needs a folder of its own"
        )
    if without_password(database) != database:
        raise ConfigurationError(
            f"the address {without_password(database)} holds a password, which would be written "
            "into the archive; put it into ~/.lsst/db-auth.yaml or PGPASSWORD"
        )
    seed = Config(
        {
            "datastore": {
                "cls": "lsst.daf.butler.datastores.fileDatastore.FileDatastore",
                "templates": {"default": _TEMPLATE},
                "formatters": {
                    name: "calibpipe.archive.formatter.ProductFormatter"
                    for name, _ in STORAGE_CLASSES.values()
                },
                "checksum": True,
            },
            "storageClasses": {
                name: {"pytype": python_type} for name, python_type in STORAGE_CLASSES.values()
            },
        }
    )
    if database:
        seed["registry", "db"] = database
        if namespace:
            seed["registry", "namespace"] = namespace
    beside = location.with_name(f".{uuid.uuid4().hex}")
    part = beside / "archive"
    try:
        with translated_errors(location):
            part.mkdir(parents=True)
            _make_repository(part, seed, database, unfinished)
            open_archive(part, writeable=True)
            part.rename(location)  # whole, or not at all
    except OSError as error:
        raise StorageError(f"cannot make the archive {location}: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return open_archive(location, writeable=True)


def _make_repository(part: Path, seed: Config, database: str, unfinished: bool) -> None:
    """Folder and tables; tables that a killed run has left are taken if nothing is in them."""
    try:
        Butler.makeRepo(str(part), config=seed, dimensionConfig=DimensionConfig(str(UNIVERSE)))
    except SchemaAlreadyDefinedError as error:  # the folder is complete by then
        where = f"the database {without_password(database)} has tables of an archive"
        if not unfinished:
            raise ConfigurationError(
                f"{where}: use the folder of that archive, or another database or --namespace; if "
                "calibpipe-init-db was killed, say --if-missing"
            ) from error
        butler = open_archive(part).butler
        if butler.collections.query("*") or butler.query_dimension_records("site", explain=False):
            raise ConfigurationError(
                f"{where} that is in use: name its folder, or another database or --namespace"
            ) from error


def open_archive(location: str | Path, *, writeable: bool = False) -> Archive:
    """Open an archive.

    Raises
    ------
    MissingInputError
        If there is none.
    ConfigurationError
        If it is a Butler repository of another universe, or of another version of ours.
    StorageError
        If its database does not answer.
    """
    location = Path(location)
    if not (location / "butler.yaml").is_file():
        raise MissingInputError(f"{location} is no archive: make one with calibpipe-init-db")
    with translated_errors(location):
        butler = Butler.from_config(str(location), writeable=writeable)
    ours = DimensionConfig(str(UNIVERSE))
    theirs = butler.dimensions
    if (theirs.namespace, theirs.version) != (ours["namespace"], ours["version"]):
        raise ConfigurationError(
            f"{location} is a repository of the universe {theirs.namespace} {theirs.version}, "
            f"needs {ours['namespace']} {ours['version']}: this CalibPipe cannot use it"
        )
    archive = Archive(butler, location)
    if writeable:
        _add_new_kinds(archive)
    return archive


def _add_new_kinds(archive: Archive) -> None:
    """Dataset types of kinds that came with a newer CalibPipe."""
    there = {t.name for t in archive.butler.registry.queryDatasetTypes()}
    new = [kind for kind in kinds().values() if kind.dataset_type not in there]
    for kind in new:
        archive.butler.registry.registerDatasetType(archive.dataset_type(kind.name))
    index_times(archive.butler, [kind.dataset_type for kind in new if kind.validity])

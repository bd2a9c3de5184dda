"""Writers in processes of their own: forked from a server that has the imports, so quick."""

import multiprocessing
import sys
from pathlib import Path

from products import SIGNED, candidate, hours

from calibpipe.archive.certify import certify
from calibpipe.archive.errors import OverlappingValidityError
from calibpipe.archive.repository import open_archive
from calibpipe.archive.transfer import import_products
from calibpipe.core.product_header import read_product_header

REFUSED = 3
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["calibpipe.archive.transfer", "astropy.table"])


def headers(folder):
    """Headers of the products of a folder."""
    return [read_product_header(path) for path in sorted(Path(folder).glob("*.json"))]


def certifying(opened, location, folder, begin, end, supersede):
    """Certify the products of a folder."""
    archive = open_archive(location, writeable=True)
    opened.send(True)
    wanted = [candidate(header, hours(begin, end)) for header in headers(folder)]
    try:
        certify(archive, wanted, **SIGNED, supersede=supersede)
    except OverlappingValidityError as error:
        print(error, repr(error.__cause__), file=sys.stderr)
        sys.exit(REFUSED)


def importing(opened, location, folder):
    """Import an export."""
    archive = open_archive(location, writeable=True)
    opened.send(True)
    import_products(archive, folder, **SIGNED)


class Writer:
    """A process that writes; `opened` waits until it has the archive."""

    def __init__(self, action, *arguments):
        self._receiver, sender = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=action, args=(sender, *map(_plain, arguments)))
        self._process.start()
        sender.close()

    def opened(self):
        """Wait until the archive is open."""
        assert self._receiver.recv()

    def kill(self):
        """kill -9; whether it had ended before."""
        self._process.kill()
        return self.ended() == 0

    def ended(self):
        """Exit code."""
        self._process.join()
        self._receiver.close()
        code = self._process.exitcode
        self._process.close()
        return code


def _plain(value):
    return str(value) if isinstance(value, Path) else value

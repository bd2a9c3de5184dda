"""Local servers that stand in for the remote services."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the servers serve several folders of tests

from servers.fixtures import cds_server, file_server, hermetic

__all__ = ["cds_server", "file_server", "hermetic"]

"""A configuration as shipped, and nobody's home."""

from pathlib import Path

import pytest
import yaml
from servers.fixtures import hermetic

__all__ = ["hermetic"]


@pytest.fixture
def config():
    """The shipped configuration."""
    return yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text())

"""The manual is made by what lies in docs/_extensions."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs/_extensions"))

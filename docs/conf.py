"""Sphinx configuration."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
os.environ.setdefault("CTAPIPE_IO_ZFITS_NO_SERVICE_DATA", "1")

project = "CalibPipe"
author = "the CalibPipe developers"
extensions = [
    "myst_parser",
    "mathml",  # these two in docs/_extensions
    "reference_pages",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
highlight_language = "sh"
smartquotes = False  # of -- it would make a dash
toc_object_entries = False  # of all functions in every sidebar: half of the time of the build
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_extensions"]
html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "logo": {"text": "CalibPipe"},
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "collapse_navigation": True,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_context = {"default_mode": "auto"}
html_sidebars = {"index": []}
html_math_renderer = "mathml"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["formulas.css", "layout.css", "tables.css"]
html_title = "CalibPipe"
suppress_warnings = ["ref.python"]  # fields of several classes have the same names

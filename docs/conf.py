"""Sphinx configuration."""

project = "CalibPipe"
author = "the CalibPipe developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "deflist"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "CalibPipe"
suppress_warnings = ["ref.python"]  # fields of several classes have the same names

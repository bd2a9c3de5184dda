"""Notebooks of the manual: as pages, and as they are committed."""

import json
import re

import pytest
from docs.manual import ROOT
from notebook_pages import markdown

NOTEBOOKS = sorted(ROOT.glob("docs/notebooks/*.ipynb"))


def test_page_of_a_notebook():
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "text"]},
        {"cell_type": "code", "metadata": {"figure": "a.png"}, "source": ["x = 1\n", "x"]},
    ]
    assert markdown({"cells": cells}, "n.ipynb").splitlines() == [
        *("# Title", "text", "", "The notebook: {download}`n.ipynb`.", ""),
        *("```python", "x = 1", "x", "```", "", "![what the code above draws](a.png)"),
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_committed_without_outputs(path):
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 3
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    figures = [cell["metadata"]["figure"] for cell in code if "figure" in cell["metadata"]]
    drawn = [cell for cell in code if "plt.subplots" in "".join(cell["source"])]
    assert len(figures) == len(drawn) > 1
    assert all((path.parent / name).is_file() for name in figures)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_links_of_a_notebook_lead_to_pages(path):
    cells = json.loads(path.read_text())["cells"]
    text = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert "_generated" in target or (path.parent / target).is_file()

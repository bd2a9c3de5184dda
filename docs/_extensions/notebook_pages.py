"""Sphinx extension: notebooks as pages, not executed; pictures beside them stand for outputs."""

import json
from typing import Any

__all__ = ["markdown", "setup"]


def markdown(notebook: dict[str, Any], name: str) -> str:
    """Text of a notebook; after code with `figure` in its metadata that picture.

    Parameters
    ----------
    notebook : dict
        Of version 4.
    name : str
        File name, to be offered at the end of the first text.
    """
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            text = f"```python\n{text}\n```"
        parts.append(text)
        if picture := cell["metadata"].get("figure"):
            parts.append(f"![what the code above draws]({picture})")
    parts.insert(1, f"The notebook: {{download}}`{name}`.")
    return "\n\n".join(parts) + "\n"


def read_source(app: Any, docname: str, source: list[str]) -> None:
    """Take the notebook for the page that it is."""
    path = app.env.doc2path(docname)
    if path.suffix == ".ipynb":
        source[0] = markdown(json.loads(source[0]), path.name)


def setup(app: Any) -> dict[str, bool]:
    """Notebooks are read before MyST sees them."""
    app.connect("source-read", read_source)
    return {"parallel_read_safe": True}

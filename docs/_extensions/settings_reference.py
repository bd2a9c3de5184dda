"""Pages of the configuration, from its schemas; kinds of products and limits, from their files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from markdown_text import code, escaped, from_template, table

__all__ = ["settings_pages"]

_PATTERNS = {
    r"^\d{4}-\d{2}-\d{2}$": "`YYYY-MM-DD`",
    r"^\d{2}-\d{2}$": "`MM-DD`",
    r"^[A-Z]{3,4}-[0-9]{2}$": "array element, such as `LSTN-01`",
    r"^(postgresql://[^\s]+)?$": "`postgresql://user@host/name`",
}
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true`, `false`",
    "object": "table",
}
_PLACEHOLDERS = {"CTAO-(North|South)": "<site>"}


def read(path: Path) -> Any:
    """Contents of a YAML file."""
    return yaml.safe_load(path.read_text())


def kind_of_value(schema: dict) -> str:
    """What may be given, in words."""
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    if isinstance(schema["type"], list):
        parts = [kind_of_value(schema | {"type": entry}) for entry in schema["type"]]
        return " or ".join(parts)
    if schema["type"] == "array":
        return f"list: {kind_of_value(schema['items'])}" if "items" in schema else "list"
    if schema["type"] == "object" and schema.get("required"):
        return "{" + ", ".join(f"{name}: …" for name in schema["required"]) + "}"
    if schema["type"] == "string" and schema.get("pattern") in _PATTERNS:
        return _PATTERNS[schema["pattern"]]
    limits = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to"}
    words = [f"{word} {schema[name]}" for name, word in limits.items() if name in schema]
    return " ".join([_TYPES[schema["type"]], *words])


def keys(schema: dict, prefix: str = "", value: Any = None) -> Iterator[tuple[str, dict, Any]]:
    """Every key of a schema with its part of the schema and its default.

    Of a list of tables the keys are `name[].key`.
    """
    inner, opening = schema, f"{prefix}." if prefix else ""
    if schema.get("type") == "array":
        inner, opening, value = schema["items"], f"{prefix}[].", None
    for name, part in inner.get("properties", {}).items():
        default = value.get(name) if isinstance(value, dict) else None
        of_value = isinstance(part.get("type"), list)
        nested = not of_value and ("properties" in part or "properties" in part.get("items", {}))
        if not nested or "description" in part:
            yield f"{opening}{name}", part, None if nested and default else default
        if nested:
            yield from keys(part, f"{opening}{name}", default)
    for pattern, part in inner.get("patternProperties", {}).items():
        name = pattern.strip("^$")
        for word, placeholder in _PLACEHOLDERS.items():
            name = name.replace(word, placeholder)
        if "description" in part:
            yield f"{opening}{name}", part, None


def settings_table(schema: dict, defaults: Any = None) -> str:
    """Table of every key of a schema."""
    rows = []
    for name, part, default in keys(schema, value=defaults):
        text = "" if default in (None, "", [], {}) else _flow(default)
        rows.append(
            [code(name), kind_of_value(part), code(text), escaped(part.get("description", ""))]
        )
    header = ["key", "value", "default", "meaning"]
    if defaults is None:
        return table([*header[:2], header[3]], [[*row[:2], row[3]] for row in rows])
    return table(header, rows)


def _flow(value: Any) -> str:
    if isinstance(value, str):
        return value
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def configuration_page(root: Path) -> str:
    """Page of `config/`."""
    schemas = {
        name: read(root / f"config/schemas/{name}.schema.yaml")
        for name in ("config", "site", "overrides", "pixel_overrides")
    }
    defaults = read(root / "config/config.yaml")
    tables = {name: settings_table(schema) for name, schema in schemas.items()}
    tables["config"] = settings_table(schemas["config"], defaults)
    return from_template("configuration", **tables)


def criteria_page(root: Path) -> str:
    """Page of the limits of the verification."""
    content = read(root / "config/criteria.yaml")
    descriptions = read(root / "config/schemas/criteria.schema.yaml")
    of = descriptions["properties"]["criteria"]["additionalProperties"]["properties"]
    by_kind: dict[str, list[list[str]]] = {}
    for number, entry in content["criteria"].items():
        low, high = entry["limits"]
        text = f"{low:g} to {high:g} {entry['unit']}".strip()
        verdict = "informs" if entry.get("informative") else "counts"
        cells = [number, entry["mode"], code(entry["metric"]), escaped(text), verdict]
        by_kind.setdefault(entry["kind"], []).append([*cells, escaped(entry["source"])])
    header = ["number", "mode", "metric", "inside", "verdict", "source of the limits"]
    parts = [f"## {kind}\n{table(header, rows)}" for kind, rows in by_kind.items()]
    meaning = "\n".join(
        f"- `{name}`: {escaped(part['description'])}"
        for name, part in of.items()
        if "description" in part
    )
    return from_template("criteria", columns=meaning, criteria="\n".join(parts))


def kinds_page(root: Path) -> str:
    """Page of the kinds of products that the archive knows."""
    kinds = read(root / "calibpipe/archive/kinds.yaml")
    content = {"table": "ECSV", "document": "JSON", "file": "HDF5"}
    judged = {entry["kind"] for entry in read(root / "config/criteria.yaml")["criteria"].values()}
    rows = []
    for name, kind in kinds.items():
        anchor = name.replace("/", "").replace(" ", "-")
        limits = f"[limits](criteria.md#{anchor})" if name in judged else ""
        form = "Parquet" if name == "verification/metrics" else content[kind["content"]]
        kept = kind["cadence"] if kind.get("validity", True) else "kept, not certified"
        rows.append([code(name), ", ".join(kind["dimensions"]), form, kept, limits])
    header = ["kind", "one a", "format", "made", "verified"]
    return from_template("kinds", kinds=table(header, rows))


def settings_pages(root: Path) -> dict[str, str]:
    """Pages by path below the generated folder."""
    return {
        "configuration.md": configuration_page(root),
        "criteria.md": criteria_page(root),
        "kinds.md": kinds_page(root),
    }

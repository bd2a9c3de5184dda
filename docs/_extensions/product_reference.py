"""Pages of the columns of every product, from their declarations in the code."""

from markdown_text import code, escaped, from_template, table

from calibpipe.core.columns import ColumnRule, TableRule, declared

__all__ = ["product_pages"]

DOMAINS = {
    "atmosphere": "Columns: air, aerosols, clouds",
    "camera": "Columns: cameras",
    "throughput": "Columns: optical throughput",
    "pointing": "Columns: pointing",
    "array": "Columns: array",
}
_HEADER = ["column", "type", "unit", "meaning"]


def type_of(rule: ColumnRule) -> str:
    """Type of a value, with the names of its dimensions."""
    return f"{rule.type} ({', '.join(rule.shape)})" if rule.shape else rule.type


def table_section(node: str, rule: TableRule) -> str:
    """Where a table is, what a row is for, its columns."""
    where = f"`{node}/tel_NNN`" if "/telescope" in node or _of_telescope(node) else f"`{node}`"
    begin = f"{where}: one" if node else "One"
    end = "; not in every file" if rule.is_optional else ""
    rows = [
        [
            code(name.replace("*", "{wavelength}")),
            type_of(column),
            code(column.unit),
            escaped(column.meaning.replace("*nm", "{wavelength}nm"))
            + (" (not always there)" if name in rule.may_lack else ""),
        ]
        for name, column in rule.columns.items()
    ]
    return f"{begin} row is {rule.rows}{end}.\n\n{table(_HEADER, rows)}"


def _of_telescope(node: str) -> bool:
    return node.startswith(
        tuple(f"/calibpipe/{name}/" for name in ("camera", "throughput", "pointing"))
    )


def product_pages() -> dict[str, str]:
    """A page a domain, and one that lists them."""
    kinds = declared()
    pages = {}
    for domain, title in DOMAINS.items():
        sections = [
            f"## {kind}\n\n" + "\n".join(table_section(*entry) for entry in tables.items())
            for kind, tables in kinds.items()
            if kind.startswith(f"{domain}/")
        ]
        pages[f"columns/{domain}.md"] = f"# {title}\n\n" + "\n".join(sections)
    overview = [
        [
            ", ".join(f"[{kind}](columns/{domain}.md#{kind.replace('/', '')})" for kind in own),
            str(sum(len(entry.columns) for kind in own for entry in kinds[kind].values())),
        ]
        for domain in DOMAINS
        for own in [sorted(kind for kind in kinds if kind.startswith(f"{domain}/"))]
    ]
    pages["columns.md"] = from_template(
        "columns",
        overview=table(["products", "columns"], overview),
        pages="\n".join(f"columns/{domain}" for domain in DOMAINS),
    )
    return pages

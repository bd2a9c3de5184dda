"""Two products, or two folders of them, compared: bytes, content, numbers."""

import filecmp
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["RECORDS", "ProductComparison", "compare_folders", "compare_products"]

SAME_BYTES, SAME_CONTENT, SAME_NUMBERS = "same bytes", "same content", "same numbers"
DIFFERENT, MISSING = "different", "missing"
PRODUCTS = (".ecsv", ".json", ".h5")
RECORDS = ("report", "certification")  # folders of what a run says of itself
_TOLD = 8  # columns, and entries of the header, of a product that are told in the text
_SHOWN = 60  # characters of an entry of a header


@dataclass(frozen=True)
class ProductComparison:
    """What two products have in common, and what not.

    Parameters
    ----------
    name : str
        Of the product; its path in both folders.
    kind : str
        ``camera/coefficients``; empty for what is no product.
    level : str
        ``same bytes``, ``same content``, ``same numbers`` (headers differ), ``different`` or
        ``missing``.
    columns : tuple of ColumnDifference
        Every column that either has.
    headers : tuple of HeaderDifference
        Entries that differ, beyond times, software and places of the run.
    remark : str
        Where it is missing, or why it could not be read.
    """

    name: str
    kind: str
    level: str
    columns: tuple[Any, ...] = ()
    headers: tuple[Any, ...] = ()
    remark: str = ""

    @property
    def is_same(self) -> bool:
        """Whether the content is the same."""
        return self.level in (SAME_BYTES, SAME_CONTENT)

    @property
    def differing(self) -> list[Any]:
        """Columns that differ."""
        return [column for column in self.columns if column.is_different]

    def text(self) -> str:
        """For people."""
        lines = [f"{self.level:13} {self.name}{f': {self.remark}' if self.remark else ''}"]
        if self.is_same:
            return lines[0]
        entries = [
            f"{h.key}: {_shortened(h.first)} -> {_shortened(h.second)}" for h in self.headers
        ]
        lines += _first_ones(entries, "entries of the header")
        lines += _first_ones([_column_text(column) for column in self.differing], "columns")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        columns = [
            {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in row.items()}
            for row in map(asdict, self.differing)
        ]
        return {
            "name": self.name,
            "kind": self.kind,
            "level": self.level,
            "remark": self.remark,
            "headers": [asdict(entry) for entry in self.headers],
            "n_columns": len(self.columns),
            "columns": columns,
        }


def _first_ones(entries: list[str], what: str) -> list[str]:
    lines = [f"    {entry}" for entry in entries[:_TOLD]]
    more = len(entries) - _TOLD
    return [*lines, f"    and {more} more {what}"] if more > 0 else lines


def _shortened(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _column_text(column: Any) -> str:
    name = f"{column.table}/{column.column}".lstrip("/")
    if column.remark:
        return f"{name}: {column.remark}"
    unit = f" {column.unit}" if column.unit else ""
    text = f"{name}: {column.n_differing} of {column.n_values} differ"
    if not math.isnan(column.max_absolute):
        text += f", at most {column.max_absolute:.3g}{unit} (rms {column.rms_absolute:.3g})"
    if not math.isnan(column.max_relative):
        text += f", {column.max_relative:.2g} relative"
    if not math.isnan(column.max_pull):
        text += f", {column.max_pull:.2g} errors (rms {column.rms_pull:.2g})"
    if column.n_one_sided:
        text += f", {column.n_one_sided} finite in one only"
    return text


def compare_products(first: Path, second: Path, name: str = "") -> ProductComparison:
    """Bytes, content and numbers of two products.

    Raises
    ------
    MissingInputError
        If one is not there.
    CorruptedInputError
        If one is no product of CalibPipe.
    """
    from ..core.content import read_content
    from ..core.products import content_hash
    from ..verification.difference import document_columns, header_differences, table_differences

    one, other = read_content(first), read_content(second)
    name, kind = name or second.name, str(other.header["calibpipe"]["kind"])
    if filecmp.cmp(first, second, shallow=False):
        return ProductComparison(name, kind, SAME_BYTES)
    columns = table_differences(one.tables, other.tables)
    if one.document or other.document:
        documents = ({"": document_columns(c.document)} for c in (one, other))
        columns += table_differences(*documents)
    headers = header_differences(one.header, other.header)
    same = first.suffix == second.suffix and content_hash(first) == content_hash(second)
    equal = SAME_NUMBERS if headers and not any(c.is_different for c in columns) else DIFFERENT
    return ProductComparison(
        name, kind, SAME_CONTENT if same else equal, tuple(columns), tuple(headers)
    )


def compare_folders(first: Path, second: Path, place: str = "") -> list[ProductComparison]:
    """Every product that either folder has, by its path in the folder (with `place` before it).

    Files that are no products (tables for simulations, raw data) are compared byte by byte;
    records of a run (`RECORDS`, ``*.provenance.json``) and hidden files are left out.
    """
    names = sorted({*_files(first), *_files(second)})
    found = [_compared(first, second, name) for name in names]
    return [replace(c, name=f"{place}/{c.name}") for c in found] if place else found


def _files(folder: Path) -> list[str]:
    found = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        left_out = any(part.startswith(".") or part in RECORDS for part in name.parts)
        if path.is_file() and not left_out and not name.name.endswith(".provenance.json"):
            found.append(name.as_posix())
    return found


def _compared(first: Path, second: Path, name: str) -> ProductComparison:
    from ..core.exceptions import CalibPipeError

    one, other = first / name, second / name
    if not (one.is_file() and other.is_file()):
        there, absent = (first, second) if one.is_file() else (second, first)
        return ProductComparison(
            name, kind_of_file(there / name), MISSING, remark=f"not in {absent}"
        )
    if one.samefile(other):
        return ProductComparison(name, kind_of_file(one), SAME_BYTES)
    if one.suffix in PRODUCTS and is_product(one):
        try:
            return compare_products(one, other, name)
        except CalibPipeError as error:
            return ProductComparison(name, "", DIFFERENT, remark=str(error))
    same = filecmp.cmp(one, other, shallow=False)
    return ProductComparison(name, "", SAME_BYTES if same else DIFFERENT)


def kind_of_file(path: Path) -> str:
    """Kind of a product; empty for what is none."""
    from ..core.exceptions import CalibPipeError
    from ..core.product_header import read_product_header

    try:
        return read_product_header(path).kind if path.suffix in PRODUCTS else ""
    except CalibPipeError:
        return ""


def is_product(path: Path) -> bool:
    """Whether a file is a product of CalibPipe."""
    return bool(kind_of_file(path))


def documents(found: list[ProductComparison]) -> str:
    """All comparisons as JSON."""
    return json.dumps([comparison.document() for comparison in found], indent=2, default=str)

"""Columns that every product has: one declaration for those who write them and for the manual.

A file a domain in `declarations` holds, by kind and table, ``name: [type, unit, shape, meaning]``:
the type is float, integer, boolean, text or time; the shape of a value is in names of dimensions
(empty: one number a row). ``*`` in a name is any whole number (a wavelength).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import yaml
from astropy.time import Time

__all__ = ["ColumnRule", "TableRule", "column_problems", "declared", "require_columns"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TYPES = {"f": "float", "i": "integer", "u": "integer", "b": "boolean", "U": "text", "S": "text"}
_ERROR = re.compile(r"(?P<of>.*)_(?P<kind>stat|sys)_error(?P<rest>_\*nm)?")
_KINDS = {"stat": "Statistical", "sys": "Systematic"}


@dataclass(frozen=True)
class ColumnRule:
    """What a column must be.

    Parameters
    ----------
    type : str
        ``float``, ``integer``, ``boolean``, ``text`` or ``time``.
    unit : str
    shape : tuple of str
        Names of the dimensions of a value.
    meaning : str
    """

    type: str
    unit: str
    shape: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class TableRule:
    """What a table must have.

    Parameters
    ----------
    rows : str
        What one row is for.
    columns : dict of str to ColumnRule
    is_optional : bool
        Whether a product may lack it.
    may_lack : frozenset of str
        Columns that not every such table has.
    """

    rows: str
    columns: dict[str, ColumnRule]
    is_optional: bool = False
    may_lack: frozenset[str] = frozenset()

    def rule(self, name: str) -> ColumnRule | None:
        """Rule of a column; None if there is none."""
        if name in self.columns:
            return self.columns[name]
        patterns = {key: re.escape(key).replace(r"\*", r"\d+") for key in self.columns}
        found = (key for key, text in patterns.items() if re.fullmatch(text, name))
        return self.columns.get(next(found, ""))


@cache
def declared() -> dict[str, dict[str, TableRule]]:
    """Tables of each kind of product, by their path without telescope; one ``""`` of ECSV files."""
    kinds: dict[str, Any] = {}
    for path in sorted(Path(__file__).with_name("declarations").glob("*.yaml")):
        kinds |= yaml.load(path.read_text(), Loader=_LOADER)
    return {
        kind: {node: _table(entry) for node, entry in tables.items()}
        for kind, tables in kinds.items()
    }


def _table(entry: Mapping[str, Any]) -> TableRule:
    columns = {
        name: ColumnRule(type_, unit, tuple(shape.split()), meaning or _meaning(name))
        for name, (type_, unit, shape, meaning) in entry["columns"].items()
    }
    may_lack = frozenset(entry.get("may_lack", ()))
    return TableRule(entry["rows"], columns, entry.get("optional", False), may_lack)


def _meaning(name: str) -> str:
    """Of an error: whose it is."""
    if found := _ERROR.fullmatch(name):
        return f"{_KINDS[found['kind']]} error of `{found['of']}{found['rest'] or ''}`"
    return f"Error of `{name.removesuffix('_error')}`"


def column_problems(kind: str, tables: Mapping[str, Any]) -> list[str]:
    """What is not as declared: tables and columns that nobody knows, types, units, shapes.

    Parameters
    ----------
    kind : str
        Of the product; kinds that declare nothing have no problems.
    tables : mapping of str to Table
        By path; the number of the telescope at its end does not count.

    Returns
    -------
    list of str
        Empty if all is well. Columns that are not there are no problem.
    """
    rules = declared().get(kind)
    if rules is None:
        return []
    problems: list[str] = []
    sizes: dict[str, set[int]] = {}
    for path, table in tables.items():
        node = re.sub(r"/tel_\d+$", "", path)
        if node not in rules:
            problems.append(f"table {node or 'of the file'} is not declared")
            continue
        for name in table.colnames:
            where, rule = f"{node} {name}".strip(), rules[node].rule(name)
            if rule is None:
                problems.append(f"column {where} is not declared")
            else:
                problems += [f"{where}: {text}" for text in _differences(table[name], rule, sizes)]
    odd = {name: found for name, found in sizes.items() if len(found) > 1}
    return problems + [f"{name} is {sorted(found)}" for name, found in odd.items()]


def _differences(column: Any, rule: ColumnRule, sizes: dict[str, set[int]]) -> list[str]:
    type_, unit = _described(column)
    shape = column.shape[1:]
    found = []
    if len(column) and type_ != rule.type:
        found.append(f"is {type_}, not {rule.type}")
    if unit != u.Unit(rule.unit):
        found.append(f"has the unit {str(unit)!r}, not {rule.unit!r}")
    if len(shape) != len(rule.shape):
        found.append(f"has values of shape {shape}, not ({', '.join(rule.shape)})")
    else:
        for name, size in zip(rule.shape, shape, strict=True):
            sizes.setdefault(name, set()).add(size)
    return found


def _described(column: Any) -> tuple[str, u.UnitBase]:
    if isinstance(column, Time):
        return "time", u.Unit("")
    unit = u.Unit(getattr(column, "unit", None) or "")
    values = np.asarray(getattr(column, "value", column))
    return ("text" if values.dtype == object else TYPES.get(values.dtype.kind, "?")), unit


def require_columns(kind: str, tables: Mapping[str, Any]) -> None:
    """Let no product be written that is not as declared.

    Raises
    ------
    ValueError
        If a table or column is not declared, or has another type, unit or shape: a mistake of the
        program, not of its input.
    """
    if problems := column_problems(kind, tables):
        shown = "; ".join([*problems[:5], *(["..."] if len(problems) > 5 else [])])
        raise ValueError(f"{kind} is declared otherwise in calibpipe/core/declarations: {shown}")

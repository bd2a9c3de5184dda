r"""Two products side by side: which numbers differ, by how much, in units of their errors.

For values :math:`a_i` and :math:`b_i` with quoted errors :math:`\sigma_i` of the first product

.. math:: d_i = b_i - a_i, \quad r_i = |d_i| / |a_i|, \quad p_i = |d_i| / \sigma_i

with their largest values and root mean squares over all values that both have. Errors of products
that share their data are correlated: a pull :math:`p_i` of 1 is a large difference, no common one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.content import Column
from ..core.products import repeatable

__all__ = [
    "ColumnDifference",
    "HeaderDifference",
    "document_columns",
    "error_column",
    "header_differences",
    "table_differences",
]

SUFFIXES = ("_stat_error", "_error", "_err", "_uncertainty")
SHARED = {  # values whose errors are not named after them
    "co2_mole_fraction": ("stat_error",),
    "mean": ("mean_error", "sem"),
    "muon_value": ("muon_error",),
    "offset": ("stat_error",),
    "transparency": ("stat_error",),
    "vaod": ("stat_error",),
    "value": ("error",),
    "width": ("stat_error",),
}


@dataclass(frozen=True)
class ColumnDifference:
    """How a column of one product differs from that of another.

    Numbers are NaN where there is nothing to compare.

    Parameters
    ----------
    table, column, unit : str
        Which one; the unit of the first product.
    n_values, n_differing : int
        Values, and those that are not equal; two NaN are.
    n_one_sided : int
        Values that are finite in one product only.
    max_absolute, rms_absolute : float
        Of :math:`d_i`, in the unit; of texts and flags NaN.
    max_relative, rms_relative : float
        Of :math:`r_i`, of values other than zero.
    error_column : str
        Where the errors are; empty if there are none.
    max_pull, rms_pull : float
        Of :math:`p_i`, of values with a positive error.
    remark : str
        Why the column cannot be compared, or in which units.
    """

    table: str
    column: str
    unit: str = ""
    n_values: int = 0
    n_differing: int = 0
    n_one_sided: int = 0
    max_absolute: float = np.nan
    rms_absolute: float = np.nan
    max_relative: float = np.nan
    rms_relative: float = np.nan
    error_column: str = ""
    max_pull: float = np.nan
    rms_pull: float = np.nan
    remark: str = ""

    @property
    def is_different(self) -> bool:
        """Whether anything differs."""
        return bool(self.n_differing or self.remark)


@dataclass(frozen=True)
class HeaderDifference:
    """An entry of the headers that differs; None where a product does not have it."""

    key: str
    first: Any
    second: Any


def table_differences(
    first: Mapping[str, Mapping[str, Column]], second: Mapping[str, Mapping[str, Column]]
) -> list[ColumnDifference]:
    """Differences column by column, of all columns that either product has.

    Parameters
    ----------
    first, second : mapping
        Columns by name, by the path of their table, as `~calibpipe.core.content.Content` has them.
    """
    found = []
    for table in dict.fromkeys([*first, *second]):
        one, other = first.get(table, {}), second.get(table, {})
        for name in dict.fromkeys([*one, *other]):
            if name not in one or name not in other:
                where = "first" if name in one else "second"
                found.append(ColumnDifference(table, name, remark=f"in the {where} product only"))
                continue
            error = error_column(name, one)
            errors = one[error].values if error else None
            found.append(_difference(table, name, one[name], other[name], error, errors))
    return found


def error_column(name: str, columns: Mapping[str, Column]) -> str:
    """Column with the statistical errors of another one of its shape; empty if there is none.

    >>> one = Column(np.zeros(1))
    >>> error_column("gain", {"gain": one, "gain_stat_error": one})
    'gain_stat_error'
    """
    candidates = [f"{name}{suffix}" for suffix in SUFFIXES] + list(SHARED.get(name, ()))
    shape = columns[name].values.shape
    for candidate in candidates:
        if candidate in columns and columns[candidate].values.shape == shape:
            return candidate
    return ""


def _difference(
    table: str, name: str, one: Column, other: Column, error: str, errors: np.ndarray | None
) -> ColumnDifference:
    a, b = one.values, other.values
    values: dict[str, Any] = {
        "table": table,
        "column": name,
        "unit": one.unit,
        "n_values": int(a.size),
    }
    if a.shape != b.shape:
        return ColumnDifference(**values, remark=f"shape {a.shape} against {b.shape}")
    if one.unit != other.unit:
        remark = f"unit {one.unit or 'none'} against {other.unit or 'none'}"
        return ColumnDifference(**values, remark=remark)
    if not all(v.dtype.kind in "iuf" for v in (a, b)):
        return ColumnDifference(**values, n_differing=int(np.count_nonzero(a != b)))
    a, b = (v.astype(float).ravel() for v in (a, b))
    both = np.isfinite(a) & np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", divide="ignore"):
        d = np.abs(b - a)
        relative = (d / np.abs(a))[both & (a != 0)]
        pull = np.empty(0)
        if errors is not None:
            sigma = errors.astype(float).ravel()
            pull = (d / sigma)[both & np.isfinite(sigma) & (sigma > 0)]
    return ColumnDifference(
        **values,
        n_differing=int(np.count_nonzero(~same)),
        n_one_sided=int(np.count_nonzero(np.isfinite(a) != np.isfinite(b))),
        **_figures("absolute", d[both]),
        **_figures("relative", relative),
        error_column=error,
        **_figures("pull", pull),
    )


def _figures(name: str, values: np.ndarray) -> dict[str, Any]:
    if not values.size:
        return {}
    rms = np.sqrt(np.mean(values**2))
    return {f"max_{name}": float(values.max()), f"rms_{name}": float(rms)}


def header_differences(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> list[HeaderDifference]:
    """Entries of two headers that differ beyond times, software and places of the run."""
    one, other = (dict(_leaves(repeatable(dict(header)))) for header in (first, second))
    return [
        HeaderDifference(key, one.get(key), other.get(key))
        for key in sorted({*one, *other})
        if one.get(key) != other.get(key)
    ]


def document_columns(document: Mapping[str, Any]) -> dict[str, Column]:
    """Entries of a JSON document as columns by their paths; lists of numbers are one column."""
    return {
        path: Column(np.array(np.nan if value is None else value))
        for path, value in _leaves(document)
    }


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, entry in value.items():
            yield from _leaves(entry, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(e, dict | list) for e in value):
        for number, entry in enumerate(value):
            yield from _leaves(entry, f"{path}[{number}]")
    elif isinstance(value, list) and len({type(e) for e in value}) > 1:
        is_number = all(entry is None or type(entry) in (int, float) for entry in value)
        yield path, [(np.nan if e is None else e) if is_number else str(e) for e in value]
    else:
        yield path, value if not isinstance(value, Mapping) else ""

"""Products of a night against the declarations of their columns, in both directions."""

import re

from astropy.table import QTable

from calibpipe.core.columns import column_problems, declared
from calibpipe.core.hdf5_content import hdf5_headers, hdf5_tables
from calibpipe.core.hdf5_tables import read_hdf5_table
from calibpipe.core.monitoring_file import open_hdf5


def product_tables(path):
    """Kind of a product and its tables by path."""
    if path.suffix == ".ecsv":
        table = QTable.read(path, format="ascii.ecsv")
        return table.meta["calibpipe"]["kind"], {"": table}
    with open_hdf5(path, "product") as h5file:
        nodes = [table._v_pathname for table in hdf5_tables(h5file)]
        own = [node for node in nodes if not node.startswith("/configuration")]
        kind = hdf5_headers(h5file)["calibpipe"]["kind"]
        return kind, {node: read_hdf5_table(h5file, node) for node in own}


def missing(kind, tables):
    """Declared tables and columns that are not there."""
    found = {re.sub(r"/tel_\d+$", "", node): table for node, table in tables.items()}
    for node, rule in declared().get(kind, {}).items():
        if node not in found:
            if not rule.is_optional:
                yield f"no table {node}"
            continue
        names = {re.sub(r"\d+nm$", "*nm", name) for name in found[node].colnames}
        for name in set(rule.columns) - names - rule.may_lack:
            yield f"no column {node} {name}"


def departures(folder):
    """What is not as declared in all tables of a night, and the kinds that were looked at."""
    problems, kinds = [], set()
    for path in sorted([*folder.rglob("*.h5"), *folder.rglob("*.ecsv")]):
        if "simulation" in path.parts:
            continue
        kind, tables = product_tables(path)
        assert kind in declared(), f"{path.name}: the columns of {kind} are not declared"
        kinds.add(kind)
        problems += [
            f"{path.name}: {text}"
            for text in (*column_problems(kind, tables), *missing(kind, tables))
        ]
    return problems, kinds

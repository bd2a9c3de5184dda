"""What two products, or two nights, have in common."""

import json
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import ToolConfigurationError, traits

from .command_tool import CommandTool
from .product_comparison import ProductComparison, compare_folders, compare_products, documents


class CompareProducts(CommandTool):
    """Compare two products, or two folders of products by their paths.

    Bytes; content (without times, software and places of the run, floats of six digits); numbers:
    column by column the largest and rms difference, absolute, relative and in units of the errors
    that the first product quotes.

    Exit code 0: same content. 1: different content. 2 and others: an error.
    """

    name = "calibpipe-compare-products"
    description = __doc__
    examples = """
    calibpipe-compare-products old/coefficients.h5 new/coefficients.h5
    calibpipe-compare-products results/CTAO-North/B/2024-07-10 results/CTAO-North/C/2024-07-10 \\
        --output differences.ecsv
    """

    output = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="File for the differences: .ecsv (a row a column that differs) or .json (everything)",
    ).tag(config=True)
    all_products = traits.Bool(False, help="Tell the products with same content, too").tag(
        config=True
    )

    aliases: ClassVar[dict] = {("o", "output"): "CompareProducts.output"}
    flags: ClassVar[dict] = {
        "all": ({"CompareProducts": {"all_products": True}}, "Tell those with same content, too")
    }
    _different = 0

    def setup(self) -> None:
        """Check what has to be given."""
        if len(self.extra_args) != 2:
            raise ToolConfigurationError(
                f"{self.name} needs two products or two folders, got {len(self.extra_args)}"
            )
        self.first, self.second = map(Path, self.extra_args)
        for path in (self.first, self.second):
            if not path.exists():
                raise ToolConfigurationError(f"{path} does not exist")
        if self.first.is_dir() != self.second.is_dir():
            raise ToolConfigurationError(
                f"{self.first} and {self.second}: give two files or two folders"
            )
        if self.output is not None:
            if self.output.suffix not in (".ecsv", ".json"):
                raise ToolConfigurationError(f"--output {self.output} is no .ecsv and no .json")
            self.check_output(self.output)

    def start(self) -> None:
        """Compare, tell."""
        if self.first.is_dir():
            self.found = compare_folders(self.first, self.second)
        else:
            self.found = [compare_products(self.first, self.second)]
        shown = [
            f for f in self.found if self.all_products or not f.is_same or len(self.found) == 1
        ]
        for comparison in shown:
            print(comparison.text())
        counts: dict[str, int] = {}
        for comparison in self.found:
            counts[comparison.level] = counts.get(comparison.level, 0) + 1
        print(", ".join(f"{n} {level}" for level, n in counts.items()) or "nothing to compare")

    def finish(self) -> None:
        """Write what was asked for; the exit code says whether the content is the same."""
        from ..core.files import atomic_path

        if self.output is not None:
            with atomic_path(self.output) as temporary:
                if self.output.suffix == ".json":
                    temporary.write_text(documents(self.found) + "\n")
                else:
                    difference_table(self.found).write(
                        temporary, format="ascii.ecsv", overwrite=True
                    )
        if not self.found or not all(comparison.is_same for comparison in self.found):
            self._different = 1

    def get_current_config(self) -> dict[str, Any]:
        """Configuration with paths as text: all of it is JSON."""
        return json.loads(json.dumps(super().get_current_config(), default=str))

    def exit(self, exit_status: int = 0) -> None:
        """End with an error's own code, else with 0 or 1 as the content is the same or not."""
        super().exit(2 if exit_status == 1 else exit_status or self._different)

    def write_provenance(self) -> None:
        """Provenance of the run where it was asked for."""
        if self.provenance_log is not None:
            super().write_provenance()


def difference_table(found: list[ProductComparison]) -> Any:
    """A row for every column, and every entry of a header, that differs."""
    from dataclasses import asdict

    from astropy.table import Table

    from ..verification.difference import ColumnDifference

    rows = []
    for comparison in found:
        keys = {"product": comparison.name, "kind": comparison.kind, "level": comparison.level}
        own = [asdict(column) for column in comparison.differing]
        own += [
            asdict(ColumnDifference("header", h.key, remark=f"{h.first} -> {h.second}"))
            for h in comparison.headers
        ]
        if not own and not comparison.is_same:
            own = [asdict(ColumnDifference("", "", remark=comparison.remark))]
        rows += [keys | row for row in own]
    names = ["product", "kind", "level", *asdict(ColumnDifference("", ""))]
    empty = {"names": names, "dtype": ["U1"] * len(names)}
    return Table(rows=rows, names=names) if rows else Table(**empty)


def main() -> None:
    """Run the Tool."""
    CompareProducts().run()


if __name__ == "__main__":
    main()

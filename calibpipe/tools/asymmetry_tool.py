"""What the Tools that compare telescopes event by event share."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

TABLES = "/calibpipe/array/asymmetry"
PAIRS_TABLE, SUMS_TABLE = f"{TABLES}/pairs", f"{TABLES}/sums"


class AsymmetryTool(NightTool):
    """A Tool that compares telescopes pair by pair in the events of one observation block."""

    kind = ""
    same_type = False

    input_files = traits.List(
        traits.Path(exists=None, directory_ok=False), help="DL2 files of ctapipe"
    ).tag(config=True)
    geometry_reconstructor = traits.Unicode(
        "HillasReconstructor", help="Whose impact distances count"
    ).tag(config=True)
    quality_criteria = traits.List(
        traits.Tuple(traits.Unicode(), traits.Unicode()),
        help="Name and expression (as of ctapipe's QualityQuery) of rows of telescopes that count; "
        "on columns of the file, but not on the one that is compared",
    ).tag(config=True)
    max_impact_in_m = traits.Dict(
        value_trait=traits.Float(),
        key_trait=traits.Unicode(),
        default_value={"LST": 125.0, "MST": 125.0, "SST": 225.0},
        help="Largest impact distance by size of telescope; pairs farther apart than the sum of "
        "both are none",
    ).tag(config=True)
    left_out_telescopes = traits.List(
        traits.Int(), help="Telescopes (tel_id) that are not compared"
    ).tag(config=True)
    equidistance_constant = traits.Float(
        0.05, min=0.0, help="A: |d1 - d2| / (d1 + d2) must be below A + B cos(90 deg - zenith)"
    ).tag(config=True)
    equidistance_slope = traits.Float(0.0, min=0.0, help="B; 0 for a constant").tag(config=True)
    minimum = traits.Float(
        0.0, min=0.0, help="Of the mean of the pair, in the unit of the column"
    ).tag(config=True)
    maximum = traits.Float(float("inf"), min=0.0, help="Of the mean of the pair").tag(config=True)
    resolution = traits.Dict(
        value_trait=traits.Float(),
        key_trait=traits.Unicode(),
        help="Relative resolution by size of telescope, for the mean of the pair that thresholds "
        "apply to: weighted with 1/resolution^2; all the same (geometric mean) if not given",
    ).tag(config=True)
    min_events = traits.Int(10, min=2, help="Of a pair that counts").tag(config=True)
    chunk_size = traits.Int(50_000, min=1, help="Array events at once").tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        ("i", "input"): "AsymmetryTool.input_files",
        "chunk-size": "AsymmetryTool.chunk_size",
    }

    def compared_column(self) -> str:
        """Column that telescopes are compared by."""
        raise NotImplementedError

    def needed_flags(self) -> tuple[str, ...]:
        """Columns that must be True, where a file has them."""
        return ()

    def start(self) -> None:
        """Read, compare, write."""
        import numpy as np

        from ..array.asymmetry import PairSums, add_events
        from ..array.dl2_events import check_events, file_events
        from ..array.pairs import criteria_columns, telescope_pairs

        self.load_site()
        require(self.input_files, f"{self.name} needs --input")
        require(self.minimum < self.maximum, "`minimum` must be below `maximum`")
        paths = [self.add_input(path, "dl2") for path in self.input_files]
        compared = self.compared_column()
        distance = f"{self.geometry_reconstructor}_tel_impact_distance"
        criteria = criteria_columns(self.quality_criteria, compared, ALLOWED)
        layout = check_events(paths)
        pairs = telescope_pairs(
            layout,
            self.max_impact_in_m,
            same_type=self.same_type,
            left_out=self.left_out_telescopes,
        )
        reach = np.array([self.max_impact_in_m[kind.split("_")[0]] for kind in layout.tel_types])
        weight = self.weights(layout, pairs)
        sums, observations = PairSums.of_pairs(len(pairs)), set()
        unit = None
        for path in paths:
            flags = self.flags_of(path)
            columns = list(dict.fromkeys([compared, distance, *flags, *criteria]))
            pointing = self.pointing(path, layout)
            for chunk in file_events(path, layout, columns, chunk_size=self.chunk_size):
                d = np.asarray(chunk.columns[distance], float)
                selected = (d <= reach[chunk.telescope]) & self.mask(chunk, criteria)
                for flag in flags:
                    selected &= chunk.columns[flag]
                add_events(
                    sums,
                    pairs,
                    chunk.first,
                    chunk.telescope,
                    chunk.columns[compared],
                    selected=selected,
                    distance=d,
                    distance_limit=self.limit(chunk, pointing),
                    weight=weight,
                    window=(self.minimum, self.maximum),
                )
                observations |= set(np.unique(chunk.obs_id).tolist())
            of_file = chunk.units.get(compared, "") if observations else ""
            require(
                unit in (None, of_file),
                f"{path} has {compared} in {of_file or 'no unit'}, other files in {unit}",
            )
            unit = of_file
        self.write(paths[0], layout, pairs, sums, sorted(observations), unit)

    def weights(self, layout: Any, pairs: Any) -> Any:
        """Weights of the mean of a pair, by the configured resolutions."""
        import numpy as np

        from ..array.pairs import pair_weights

        if not self.resolution:
            return np.full(len(pairs), 0.5)
        sizes = [kind.split("_")[0] for kind in layout.tel_types]
        missing = sorted(set(sizes) - set(self.resolution))
        require(not missing, f"`resolution` lacks {', '.join(missing)}")
        return pair_weights([self.resolution[size] ** 2 for size in sizes], pairs)

    def flags_of(self, path: Path) -> list[str]:
        """Those of the flags that the file has."""
        from ..array.dl2_layout import column_place
        from ..core.exceptions import MissingInputError
        from ..core.monitoring_file import open_hdf5

        found = []
        with open_hdf5(path, "DL2 events") as h5file:
            column_place(h5file, self.compared_column())
            for name in self.needed_flags():
                try:
                    found.append(column_place(h5file, name).name)
                except MissingInputError:
                    self.log.warning("%s has no column %s: all rows count", path, name)
        return found

    def pointing(self, path: Path, layout: Any) -> Any:
        """Pointing of the telescopes, if the distance limit depends on it."""
        from ..array.pointing import read_pointing
        from ..core.monitoring_file import open_hdf5

        if not self.equidistance_slope:
            return None
        with open_hdf5(path, "DL2 events") as h5file:
            return read_pointing(h5file, layout)

    def limit(self, chunk: Any, pointing: Any) -> Any:
        """Largest difference of impact distances."""
        import numpy as np

        from ..array.pairs import equidistance_limit
        from ..array.pointing import row_altitude

        if pointing is None:
            return self.equidistance_constant
        zenith = np.pi / 2 - row_altitude(chunk, pointing)
        return equidistance_limit(self.equidistance_constant, self.equidistance_slope, zenith)

    def mask(self, chunk: Any, columns: list[str]) -> Any:
        """Rows that fulfil all criteria."""
        import numpy as np
        from astropy.table import Table
        from ctapipe.core import QualityQuery

        if not self.quality_criteria:
            return np.ones(len(chunk.event), bool)
        table = Table({name: chunk.columns[name] for name in columns}, copy=False)
        for name in columns:
            if name in chunk.units:
                table[name].unit = chunk.units[name]
        if not columns:  # a constant expression
            table["event"] = chunk.event
        query = QualityQuery(quality_criteria=self.quality_criteria)
        selected = np.ones(len(chunk.event), bool)
        for passed in query.engine(table):  # its counts are not needed, and take longer
            selected &= passed
        return selected

    def selection(self, unit: str | None) -> dict[str, Any]:
        """What decides which events count: products that differ in it are not added."""
        return {
            "column": self.compared_column(),
            "unit": unit or "",
            "geometry_reconstructor": self.geometry_reconstructor,
            "quality_criteria": [list(entry) for entry in self.quality_criteria],
            "max_impact_in_m": dict(self.max_impact_in_m),
            "left_out_telescopes": list(self.left_out_telescopes),
            "equidistance": [self.equidistance_constant, self.equidistance_slope],
            "window": [self.minimum, str(self.maximum)],
            "resolution": dict(self.resolution),
        }

    def write(
        self,
        path: Path,
        layout: Any,
        pairs: Any,
        sums: Any,
        observations: list[int],
        unit: str | None,
    ) -> None:
        """Pairs, sums, subarray."""
        from ctapipe.instrument import SubarrayDescription

        from ..array.asymmetry import pair_ratios
        from ..array.asymmetry_table import pair_groups, pairs_table, sums_table
        from ..core.array_file import write_array_tables
        from ..core.night import night_span

        groups = pair_groups(layout.tel_types[pairs.first], layout.tel_types[pairs.second])
        ratios = pair_ratios(sums, groups, min_events=self.min_events)
        table = pairs_table(layout, pairs, ratios)
        metadata = self.metadata(
            self.kind,
            f"Asymmetries of pairs of telescopes in {self.compared_column()}, night {self.night}",
            validity=night_span(self.night, self._loaded_site),
            details={
                "observations": observations,
                "selection": self.selection(unit),
                "counts": sums.counts,
                "n_pairs": len(pairs),
                "n_valid_pairs": int(ratios.is_valid.sum()),
                "n_pair_events": int(sums.n.sum()),
            },
        )
        tables = {PAIRS_TABLE: table, SUMS_TABLE: sums_table(table, sums)}
        subarray = SubarrayDescription.from_hdf(path, focal_length_choice="EQUIVALENT")
        write_array_tables(self.output, subarray, tables, metadata)
        self.add_output(self.output, self.kind)
        self.log.info(
            "%d of %d pairs have %d events or more; %d rows of telescopes: %d not finite, %d not "
            "positive, %d not selected",
            ratios.is_valid.sum(),
            len(pairs),
            self.min_events,
            sums.counts["rows"],
            sums.counts["not_finite"],
            sums.counts["not_positive"],
            sums.counts["not_selected"],
        )


# names in expressions of ctapipe that are no columns
ALLOWED = ("u", "np", "sin", "cos", "tan", "arctan2", "log", "log10", "exp", "sqrt", "abs")

"""Time offsets of the telescopes of an array, of a night or of many."""

from collections.abc import Iterator
from typing import Any, ClassVar

from ctapipe.core import QualityQuery, traits

from .night_tool import NightTool, require

KIND = "array/timing"
OFFSETS = "/calibpipe/array/timing"
BLOCKS = "/calibpipe/array/timing_blocks"
RESIDUALS = "/calibpipe/array/timing_residuals"
EQUATIONS = "/calibpipe/array/timing_equations"


class TimingQuality(QualityQuery):
    """Which showers count, by columns of the geometry without the name of the reconstructor."""

    quality_criteria = traits.List(
        traits.Tuple(traits.Unicode(), traits.Unicode()),
        default_value=[
            ("valid geometry", "is_valid"),
            ("core near a telescope", "core_distance < 300.0"),
        ],
        help="Name and condition; columns of DL2 geometry (alt, az in deg; core_x, core_y, h_max "
        "in m; is_valid, goodness_of_fit ...), n_tel, the telescopes that have a time, and "
        "core_distance, of the core from the nearest of these, m",
    ).tag(config=True)


class CalculateArrayTiming(NightTool):
    """Calculate the time offsets of telescopes from the arrival times of showers.

    The front of a shower is a sphere around its maximum. Offsets come from least squares over all
    events, in every observation block and over all of them, with statistical and systematic
    errors; telescopes that no events tie to the others, and those that jump, are reported.
    Products of several nights are added up with --blocks.
    """

    name = "calibpipe-calculate-array-timing"
    description = __doc__
    examples = """
    calibpipe-calculate-array-timing --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --input dl2/run1.dl2.h5 --input dl2/run2.dl2.h5 --output array/timing.h5
    """

    input_files = traits.List(
        traits.Path(exists=None, directory_ok=False), help="DL2 files of ctapipe"
    ).tag(config=True)
    block_products = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Products of this Tool whose observation blocks are added",
    ).tag(config=True)
    reconstructor = traits.Unicode(
        "HillasReconstructor", help="Of the shower geometry in the DL2 files"
    ).tag(config=True)
    reference = traits.Int(
        None, allow_none=True, help="Telescope (tel_id) of offset 0; not given: mean of the valid"
    ).tag(config=True)
    time_reference = traits.CaselessStrEnum(
        ["clock", "pointing"],
        "clock",
        help="Times as clocks show them, or relative to a plane front along the array's pointing, "
        "as sim_telarray writes them",
    ).tag(config=True)
    plane_refractivity = traits.Float(
        2.28e-4, min=0.0, help="n - 1 that the plane front of sim_telarray goes with"
    ).tag(config=True)
    refractivity = traits.Float(
        1.5e-4, min=0.0, help="Mean n - 1 between the telescopes and the shower maximum"
    ).tag(config=True)
    emission_height_in_m = traits.Float(
        10_000.0, help="Above the sea, where the shower maximum was not reconstructed"
    ).tag(config=True)
    time_error_in_ns = traits.Float(
        2.0, min=0.0, help="Of a telescope in an event; where it is fitted, to begin with"
    ).tag(config=True)
    direction_error_in_deg = traits.Float(
        0.1, min=1e-6, help="Of a shower, along each axis; where it is fitted, to begin with"
    ).tag(config=True)
    core_error_in_m = traits.Float(10.0, min=0.0, help="Of a shower, along each axis").tag(
        config=True
    )
    curvature_error = traits.Float(
        0.15, min=0.0, help="Of the distance of the shower maximum, relative, of a shower"
    ).tag(config=True)
    fit_errors = traits.Bool(
        True, help="Time errors of telescopes and direction error from the residuals"
    ).tag(config=True)
    direction_offset_in_deg = traits.Float(
        0.02, min=0.0, help="Systematic error that all directions may have in common"
    ).tag(config=True)
    curvature_offset = traits.Float(
        0.1, min=0.0, help="Relative error that all distances of the maximum may have in common"
    ).tag(config=True)
    height_error_in_m = traits.Float(
        0.02, min=0.0, help="Of the surveyed height of a telescope"
    ).tag(config=True)
    max_sigma = traits.Float(4.0, min=2.0, help="Times beyond are outliers").tag(config=True)
    max_jump_in_sigma = traits.Float(
        5.0, min=2.0, help="A telescope that differs more between blocks has no offset"
    ).tag(config=True)
    min_common_events = traits.Int(20, min=1, help="That tie two telescopes").tag(config=True)
    min_events = traits.Int(100, min=2, help="That a telescope needs").tag(config=True)
    chunk_size = traits.Int(20_000, min=1, help="Array events at once").tag(config=True)
    sample_size = traits.Int(
        3000, min=100, help="Events of a block that start values are from"
    ).tag(config=True)

    classes: ClassVar[list] = [TimingQuality]
    aliases: ClassVar[dict] = NightTool.aliases | {
        ("i", "input"): "CalculateArrayTiming.input_files",
        "blocks": "CalculateArrayTiming.block_products",
        "reconstructor": "CalculateArrayTiming.reconstructor",
        "reference": "CalculateArrayTiming.reference",
        "time-reference": "CalculateArrayTiming.time_reference",
    }

    def setup(self) -> None:
        """Check options."""
        super().setup()
        require(
            self.input_files or self.block_products,
            f"{self.name} needs --input (DL2 files) or --blocks (its own products)",
        )
        require(self.time_error_in_ns > 0, "time_error_in_ns must be above 0")
        self._quality = TimingQuality(parent=self)

    def start(self) -> None:
        """Blocks of files and of products, offsets, write."""
        self.load_site()
        subarray, layout = self.array()
        place = None if self.reference is None else layout.index(self.reference)
        blocks, left_out = self.timed(subarray, layout)
        blocks = [*self.earlier_blocks(layout.tel_ids), *blocks]
        self.check_blocks(blocks, left_out)
        names = [subarray.tel[int(tel_id)].name for tel_id in layout.tel_ids]
        if len(set(names)) < len(names):  # simulations have names of types
            names = [f"{n}_{t:03d}" for n, t in zip(names, layout.tel_ids, strict=True)]
        self.write(subarray, layout, names, blocks, left_out, place)

    def array(self) -> tuple[Any, Any]:
        """Subarray, and its telescopes in ascending order."""
        from ctapipe.instrument import SubarrayDescription

        from ..array.dl2_layout import read_layout, same_layout
        from ..core.monitoring_file import open_hdf5

        paths = [*self.input_files, *self.block_products]
        layout = None
        for path in paths:
            with open_hdf5(path, "events or timing of an array") as h5file:
                found = read_layout(h5file)
            if layout is not None:
                same_layout(layout, found, path)
            layout = layout or found
        subarray = SubarrayDescription.from_hdf(paths[0], focal_length_choice="EQUIVALENT")
        return subarray, layout

    def timed(self, subarray: Any, layout: Any) -> tuple[list[Any], dict[int, str]]:
        """Blocks of the DL2 files, and those with too few events."""
        import numpy as np

        from ..array.shower_times import TimingErrors
        from ..array.timing_stream import TimingSettings, timed_blocks

        if not self.input_files:
            return [], {}
        for path in self.input_files:
            self.add_input(path, "dl2")
        direction = np.radians(self.direction_offset_in_deg)
        settings = TimingSettings(
            errors=TimingErrors(
                np.full(len(layout.tel_ids), self.time_error_in_ns),
                float(np.radians(self.direction_error_in_deg)),
                self.core_error_in_m,
                self.curvature_error,
            ),
            prior=np.array([direction, direction, self.curvature_offset]),
            fit_errors=self.fit_errors,
            max_sigma=self.max_sigma,
            refractivity=self.refractivity,
            min_common=self.min_common_events,
            sample_size=self.sample_size,
        )
        elevation = subarray.reference_location.geodetic.height.to_value("m")
        return timed_blocks(
            lambda: self.stream(layout.positions, float(elevation)), layout.positions, settings
        )

    def stream(self, position: Any, elevation: float) -> Iterator[Any]:
        """Showers of the files that count, by block."""
        import numpy as np

        from ..array.dl2_times import read_pointing, read_times
        from ..array.shower_front import emission_curvature
        from ..array.shower_times import ShowerTimes
        from ..array.timing_stream import BlockEvents, with_plane_restored

        is_relative = self.time_reference == "pointing"
        pointing: dict[int, tuple[float, float]] = {}
        for path in self.input_files if is_relative else ():
            pointing |= read_pointing(path)
        for chunk in read_times(self.input_files, self.reconstructor, chunk_size=self.chunk_size):
            counts = self.counts(chunk, position)
            geometry = {name: column[counts] for name, column in chunk.geometry.items()}
            alt, az = np.radians(geometry["alt"]), np.radians(geometry["az"])
            core = np.stack([geometry["core_x"], geometry["core_y"], np.zeros_like(alt)], axis=1)
            curvature = emission_curvature(
                geometry.get("h_max", np.full_like(alt, np.nan)),
                alt,
                site_height=elevation,
                default_height=self.emission_height_in_m,
            )
            times = ShowerTimes(chunk.time[counts], alt, az, core, curvature)
            obs_ids, seconds = chunk.obs_id[counts], chunk.seconds[counts]
            for obs_id in np.unique(obs_ids):
                own = obs_ids == obs_id
                block = times.chosen(own)
                if is_relative:
                    require(obs_id in pointing, f"observation {obs_id} has no fixed pointing")
                    alt0, az0 = np.radians(pointing[int(obs_id)])
                    time = with_plane_restored(
                        block.time, position, alt0, az0, self.plane_refractivity
                    )
                    block = ShowerTimes(time, block.alt, block.az, block.core, block.curvature)
                when = seconds[own]
                yield BlockEvents(int(obs_id), int(when.min()), int(when.max()), block)

    def counts(self, chunk: Any, position: Any) -> Any:
        """Showers that two telescopes have times of, and that pass the quality criteria."""
        import numpy as np
        from astropy.table import Table
        from ctapipe.containers import EventType

        from ..array.shower_front import nearest_telescope

        has_time = np.isfinite(chunk.time)
        n_tel = has_time.sum(axis=1)
        distance = nearest_telescope(
            chunk.geometry["core_x"], chunk.geometry["core_y"], position, has_time
        )
        chosen = (chunk.event_type == EventType.SUBARRAY.value) & (n_tel >= 2)
        for name in ("alt", "az", "core_x", "core_y"):
            chosen &= np.isfinite(chunk.geometry[name])
        columns = chunk.geometry | {"n_tel": n_tel, "core_distance": distance}
        table = Table(columns, copy=False)
        return chosen & np.asarray(self._quality.get_table_mask(table), bool)

    def earlier_blocks(self, tel_ids: Any) -> list[Any]:
        """Blocks of products that were made before."""
        from ..array.timing_tables import blocks_from_tables
        from ..core.array_file import read_array_product

        found = []
        for path in self.block_products:
            self.add_input(path, KIND)
            _, tables = read_array_product(path, KIND, [EQUATIONS])
            found += blocks_from_tables(tables[EQUATIONS])
        return found

    def check_blocks(self, blocks: list[Any], left_out: dict[int, str]) -> None:
        """Refuse nothing at all, and blocks that are there twice."""
        from collections import Counter

        from ..core.exceptions import ConfigurationError, InsufficientStatisticsError

        for obs_id, why in left_out.items():
            self.log.warning("observation %d is left out: %s", obs_id, why)
        if not blocks:
            why = "; ".join(f"observation {o}: {w}" for o, w in left_out.items())
            raise InsufficientStatisticsError(
                why
                or "no shower was seen by two telescopes with a valid geometry and exact "
                "times; look at the quality criteria and at the reconstructor"
            )
        twice = sorted(o for o, n in Counter(b.obs_id for b in blocks).items() if n > 1)
        if twice:
            raise ConfigurationError(
                f"observations {twice} are there twice: give each block once, as a DL2 file or in "
                "a product"
            )

    def write(
        self,
        subarray: Any,
        layout: Any,
        names: list[str],
        blocks: list[Any],
        left_out: dict[int, str],
        reference: int | None,
    ) -> None:
        """Offsets of all blocks, of each one, residuals, equations."""
        from ..array.timing_report import night_and_blocks, timing_details
        from ..array.timing_tables import equations_table, residuals_table
        from ..core.array_file import write_array_tables
        from ..core.night import night_span

        night, table, by_block, residuals = night_and_blocks(
            blocks,
            layout.tel_ids,
            names,
            layout.tel_types,
            direction_offset=self.direction_offset_in_deg,
            curvature_offset=self.curvature_offset,
            height_error=self.height_error_in_m,
            reference=reference,
            min_common=self.min_common_events,
            min_events=self.min_events,
            max_jump=self.max_jump_in_sigma,
        )
        metadata = self.metadata(
            KIND,
            f"Time offsets of the telescopes at {self._loaded_site.name}, night {self.night}",
            validity=night_span(self.night, self._loaded_site),
            details=timing_details(night, blocks, names, left_out, self.reference),
        )
        tables = {
            OFFSETS: table,
            BLOCKS: by_block,
            RESIDUALS: residuals_table(residuals, layout.tel_ids),
            EQUATIONS: equations_table(blocks),
        }
        write_array_tables(self.output, subarray, tables, metadata)
        self.add_output(self.output, KIND)
        for row in table:
            self.log.info(
                "%s: %.3f +- %.3f (stat) +- %.3f (sys) ns from %d events%s",
                row["array_element"],
                row["offset"],
                row["stat_error"],
                row["sys_error"],
                row["n_events"],
                "" if row["is_valid"] else f"; not valid: {row['reason']}",
            )


def main() -> None:
    """Run the Tool."""
    CalculateArrayTiming().run()

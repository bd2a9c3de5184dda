"""Aerosols and clouds of a night from all instruments, and which times are good."""

from dataclasses import asdict
from typing import Any, ClassVar

from ctapipe.core import traits

from ..core.observation_conditions_file import KIND, NODES
from .night_tool import NightTool, require

CLEAR_NIGHT = "atmosphere/clear_night"
LIDAR = "atmosphere/lidar"
ALLSKY = "atmosphere/allsky"
TRANSPARENCY = "atmosphere/transparency_coefficient"
DENSITY = "atmosphere/density_profile"
INSTRUMENTS = {
    "lidar": "optical depth by altitude",
    "clear_night": "optical depth of the whole atmosphere from stars",
    "allsky": "cloud fraction",
    "transparency": "Cherenkov transparency coefficient",
}


class SelectObservationConditions(NightTool):
    """Combine all instruments into the aerosols and clouds of a night.

    For each slice of time: optical depth and transmission by altitude and wavelength, quality
    (good, correctable, bad, unknown) with reasons, and the correction of energies and effective
    areas by the height that the light of showers comes from. Good-time intervals, and for
    simulations the median transmission of each. Any instrument may be absent; what cannot be said
    without it has a status.
    """

    name = "calibpipe-select-observation-conditions"
    description = __doc__
    examples = """
    calibpipe-select-observation-conditions --site config/sites/CTAO-North.yaml \\
        --night 2024-07-10 --density-profile density_profile.ecsv --lidar lidar.ecsv \\
        --clear-night clear_night.ecsv --allsky allsky.ecsv \\
        --transparency transparency_coefficient.ecsv --output observation_conditions.h5
    """

    lidar = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help=f"Product {LIDAR}"
    ).tag(config=True)
    clear_night = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help=f"Product {CLEAR_NIGHT}"
    ).tag(config=True)
    allsky = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help=f"Product {ALLSKY}"
    ).tag(config=True)
    transparency = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help=f"Product {TRANSPARENCY}"
    ).tag(config=True)
    density_profile = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help=f"Product {DENSITY}"
    ).tag(config=True)
    response = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="ECSV with wavelength and efficiency of mirrors and camera; else a flat band",
    ).tag(config=True)
    response_band_in_nm = traits.List(
        traits.Float(), default_value=[300.0, 550.0], help="Of a flat response"
    ).tag(config=True)
    slice_length_in_min = traits.Float(
        30.0, min=1.0, help="About; the night is cut into equal slices"
    ).tag(config=True)
    altitude_step_in_m = traits.Float(250.0, min=10.0, help="Of the profiles").tag(config=True)
    highest_altitude_in_m = traits.Float(
        20000.0, min=5000.0, help="Above the sea; no aerosols are assumed above"
    ).tag(config=True)
    wavelengths_in_nm = traits.List(
        traits.Float(),
        default_value=[float(w) for w in range(300, 701, 25)],
        help="Wavelengths of optical depths and transmissions",
    ).tag(config=True)
    energies_in_tev = traits.List(
        traits.Float(),
        default_value=[0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0],
        help="Of gamma rays, for the corrections",
    ).tag(config=True)
    zenith_angles_in_deg = traits.List(
        traits.Float(), default_value=[0.0, 20.0, 40.0, 60.0], help="For the corrections"
    ).tag(config=True)
    emission_depth_error_in_g_per_cm2 = traits.Float(
        18.0, min=0.0, help="Of the depth of the mean shower: half a radiation length"
    ).tag(config=True)
    angstrom_exponent = traits.Float(
        1.2, help="Of aerosols, where neither LIDAR nor FRAM tells better"
    ).tag(config=True)
    angstrom_exponent_error = traits.Float(0.5, min=0.0, help="Its systematic error").tag(
        config=True
    )
    scale_height_in_m = traits.Float(1000.0, min=1.0, help="Of aerosols, without LIDAR").tag(
        config=True
    )
    scale_height_error_in_m = traits.Float(500.0, min=0.0, help="Its systematic error").tag(
        config=True
    )
    lowest_cloud_in_m = traits.Float(
        5000.0, help="Above the sea: layers of the LIDAR with a higher base are clouds"
    ).tag(config=True)
    max_hidden_fraction = traits.Float(
        0.1, min=0.0, max=1.0, help="LIDAR profiles of a slice with a cloud of unknown depth"
    ).tag(config=True)
    max_pull = traits.Float(
        3.0, min=0.0, help="LIDAR and FRAM agree within so many errors of both"
    ).tag(config=True)
    reference_height_in_m = traits.Float(
        10000.0, min=0.0, help="Above the observatory: transmission that is judged"
    ).tag(config=True)
    reference_wavelength_in_nm = traits.Float(
        400.0, min=200.0, help="Wavelength at which optical depths are told and judged"
    ).tag(config=True)
    limits = traits.Dict(
        value_trait=traits.Float(),
        help="Limits of the quality that differ from the defaults (QualityLimits)",
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        "lidar": "SelectObservationConditions.lidar",
        "clear-night": "SelectObservationConditions.clear_night",
        "allsky": "SelectObservationConditions.allsky",
        "transparency": "SelectObservationConditions.transparency",
        "density-profile": "SelectObservationConditions.density_profile",
        "response": "SelectObservationConditions.response",
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "density_profile")

    def setup(self) -> None:
        """Check the options."""
        super().setup()
        options = ", ".join(f"--{name.replace('_', '-')}" for name in INSTRUMENTS)
        require(
            any(getattr(self, name) for name in INSTRUMENTS),
            f"{self.name} needs one of {options} at least: nothing else knows the aerosols",
        )

    def start(self) -> None:
        """Read, combine, write."""
        from ..atmosphere.good_time_intervals import good_time_intervals, time_slices
        from ..atmosphere.observation_conditions import slice_conditions
        from ..atmosphere.observation_tables import night_details
        from ..atmosphere.transmission_correction import mean_transmission
        from ..core.night import astronomical_night

        site = self.load_site()
        night = astronomical_night(self.night, site)
        edges = time_slices(
            night.dusk.unix_tai, night.dawn.unix_tai, 60.0 * self.slice_length_in_min
        )
        grid = self.grid(site)
        products = {
            name: self.product(getattr(self, name), kind)
            for name, kind in (
                ("lidar", LIDAR),
                ("clear_night", CLEAR_NIGHT),
                ("allsky", ALLSKY),
                ("transparency", TRANSPARENCY),
            )
            if getattr(self, name)
        }
        lidar, exponent, source = self.lidar_and_exponent(products, grid)
        conditions = self.conditions(grid, exponent)
        inputs = self.slice_inputs(products, lidar, edges, conditions)
        found = [slice_conditions(one, conditions) for one in inputs]
        light, shifted = self.lights(grid)
        means = [
            None if one.profile is None else mean_transmission(light, one.profile, shifted)
            for one in found
        ]
        intervals = good_time_intervals(edges, [one.quality for one in found])
        self.write(
            (night.dusk, night.dawn),
            self.tables(edges, inputs, found, means, intervals, grid),
            night_details(grid, conditions, found, intervals)
            | {
                "limits": asdict(conditions.limits)
                | {"max_pull": self.max_pull, "max_hidden_fraction": self.max_hidden_fraction},
                "energy_in_tev": list(self.energies_in_tev),
                "zenith_in_deg": list(self.zenith_angles_in_deg),
                "angstrom_exponent_source": source,
                "absent": {n: what for n, what in INSTRUMENTS.items() if n not in products},
            },
        )

    def product(self, path: Any, kind: str) -> Any:
        """Table of a product of this night and site."""
        from ..core.products import read_table

        table = read_table(self.add_input(path, kind.removeprefix("atmosphere/")), kind)
        header = table.meta["calibpipe"]
        for name, wanted in (("site", self._loaded_site.name), ("night", self.night)):
            require(
                header[name] in (None, wanted),
                f"{path} is of the {name} {header[name]}, not {wanted}",
            )
        return table

    def grid(self, site: Any) -> Any:
        """Altitudes and wavelengths of the product."""
        import astropy.units as u
        import numpy as np

        from ..atmosphere.observation_conditions import Grid

        nm = np.array(self.wavelengths_in_nm)
        require(
            len(nm) >= 2 and np.all(np.diff(nm) > 0) and nm[0] >= 200,
            f"wavelengths_in_nm {nm.tolist()}: give two at least, ascending, above 200 nm",
        )
        bottom = site.elevation.to_value(u.m)
        altitude = np.arange(bottom, self.highest_altitude_in_m, self.altitude_step_in_m)
        return Grid(
            altitude * u.m,
            nm * u.nm,
            self.reference_height_in_m * u.m,
            self.reference_wavelength_in_nm * u.nm,
        )

    def conditions(self, grid: Any, exponent: tuple[float, float]) -> Any:
        """Assumptions and limits."""
        from dataclasses import fields

        import astropy.units as u

        from ..atmosphere.observation_conditions import Conditions
        from ..atmosphere.slice_quality import QualityLimits

        known = [field.name for field in fields(QualityLimits)]
        unknown = sorted(set(self.limits) - set(known))
        require(
            not unknown,
            f"limits: unknown {', '.join(unknown)}; known are {', '.join(known)}",
        )
        scale = (self.scale_height_in_m * u.m, self.scale_height_error_in_m * u.m)
        return Conditions(grid, QualityLimits(**self.limits), exponent, scale, self.max_pull)

    def lidar_and_exponent(self, products: dict[str, Any], grid: Any) -> tuple[Any, Any, str]:
        """LIDAR as arrays, and the Ångström exponent that is known best, with its source."""
        import astropy.units as u

        from ..atmosphere.lidar_profiles import lidar_from_table
        from ..atmosphere.lidar_slices import lidar_exponent

        lidar = None
        choices = [(self.angstrom_exponent_error, self.angstrom_exponent, "configured")]
        if "clear_night" in products:
            header = products["clear_night"].meta["calibpipe"]
            if header["angstrom_exponent_source"] != "configured":
                error = header["angstrom_exponent_error"]
                choices.append((error, header["angstrom_exponent"], "fram"))
        if "lidar" in products:
            lidar = lidar_from_table(products["lidar"], grid.altitude, self.lowest_cloud_in_m * u.m)
            if measured := lidar_exponent(lidar):
                choices.append((measured[1], measured[0], "lidar"))
        error, exponent, source = min(choices)
        return lidar, (exponent, error), source

    def slice_inputs(
        self, products: dict[str, Any], lidar: Any, edges: Any, conditions: Any
    ) -> list[Any]:
        """What each instrument measured in each slice."""
        import numpy as np

        from ..atmosphere.lidar_slices import lidar_slice
        from ..atmosphere.observation_conditions import SliceInput
        from ..atmosphere.slice_monitoring import (
            allsky_slices,
            fram_slices,
            nothing,
            transparency_slices,
        )

        n = len(edges) - 1
        found: dict[str, list[Any]] = {"lidar": [None] * n} | nothing(n)
        if "clear_night" in products:
            found |= fram_slices(products["clear_night"], edges)
        if "allsky" in products:
            found["cloud_fraction"] = allsky_slices(products["allsky"], edges)
        if "transparency" in products:
            found["coefficient"] = transparency_slices(products["transparency"], edges)
        if lidar is not None:
            place = np.searchsorted(edges, lidar.time, side="right") - 1
            grid = conditions.grid
            found["lidar"] = [
                lidar_slice(
                    lidar.chosen(np.flatnonzero(place == k)),
                    grid.altitude,
                    grid.wavelength,
                    conditions.exponent,
                    self.max_hidden_fraction,
                )
                for k in range(n)
            ]
        return [SliceInput(**{name: found[name][k] for name in found}) for k in range(n)]

    def lights(self, grid: Any) -> tuple[Any, dict[str, Any]]:
        """Light of showers in the night's own air, and with showers that develop deeper."""
        import astropy.units as u
        import numpy as np

        from ..atmosphere.emission_profile import emission_profile
        from ..atmosphere.profile_table import profile_from_table
        from ..atmosphere.transmission_correction import shower_light, wavelength_weights

        table = self.product(self.density_profile, DENSITY)
        profile = profile_from_table(table)
        bottom = grid.altitude[0]
        air = profile.at(np.append(bottom, profile.altitude[profile.altitude > bottom + 1 * u.m]))
        weights = wavelength_weights(grid.wavelength, *self.response_curve())
        zenith = self.zenith_angles_in_deg * u.deg
        lights = [
            shower_light(
                emission_profile(
                    air,
                    self.energies_in_tev * u.TeV,
                    zenith,
                    grid.wavelength,
                    table.meta["calibpipe"]["co2_mole_fraction"],
                    offset,
                ),
                air.altitude,
                grid.altitude,
                zenith,
                weights,
            )
            for offset in (0.0, self.emission_depth_error_in_g_per_cm2)
        ]
        return lights[0], {"emission": lights[1]}

    def response_curve(self) -> tuple[Any, Any]:
        """Response of the telescopes: of a file, or a flat band."""
        import astropy.units as u
        import numpy as np

        from ..core.ecsv_input import read_ecsv

        if not self.response:
            # ASSUME: all wavelengths of the band count alike beside the Cherenkov spectrum
            return u.Quantity(self.response_band_in_nm, u.nm), np.ones(
                len(self.response_band_in_nm)
            )
        table = read_ecsv(self.add_input(self.response, "response"), "response of the telescopes")
        require(
            {"wavelength", "efficiency"} <= set(table.colnames),
            f"{self.response} has columns {', '.join(table.colnames)}, needs wavelength and "
            "efficiency",
        )
        return u.Quantity(table["wavelength"], u.nm), u.Quantity(table["efficiency"]).value

    def tables(
        self, edges: Any, inputs: Any, found: Any, means: Any, intervals: Any, grid: Any
    ) -> dict[str, Any]:
        """Tables by their nodes."""
        from ..atmosphere.observation_tables import (
            corrections_table,
            intervals_table,
            median_table,
            slices_table,
        )

        shape = (len(self.energies_in_tev), len(self.zenith_angles_in_deg))
        return {
            NODES["slices"]: slices_table(edges, inputs, found, grid),
            NODES["corrections"]: corrections_table(edges, means, shape),
            NODES["good_time_intervals"]: intervals_table(intervals, means, shape),
            NODES["median_profile"]: median_table(intervals, found, grid),
        }

    def write(self, validity: tuple, tables: dict[str, Any], details: dict[str, Any]) -> None:
        """Write the product."""
        from ..core.array_file import write_array_tables

        metadata = self.metadata(
            KIND,
            f"Aerosols and clouds of {self._loaded_site.name}, night {self.night}, by slices",
            validity=validity,
            details=details,
        )
        write_array_tables(self.output, None, tables, metadata, level="Other")
        self.add_output(self.output, KIND)
        parts = ", ".join(f"{100 * v:.0f} % {name}" for name, v in details["fractions"].items())
        self.log.info("night %s: %s of %d slices", self.night, parts, details["n_slices"])
        for name, what in details["absent"].items():
            self.log.warning("no product of %s: no %s", name, what)


def main() -> None:
    """Run the Tool."""
    SelectObservationConditions().run()

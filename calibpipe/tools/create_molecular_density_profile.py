"""Molecular density profile of one night from meteorological data."""

from typing import TYPE_CHECKING, Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

if TYPE_CHECKING:
    import astropy.units as u
    from astropy.table import QTable

    from ..core.meteo_files import PressureLevelData
    from ..core.night import AstronomicalNight
    from ..core.site import Site

KIND = "atmosphere/density_profile"


class CreateMolecularDensityProfile(NightTool):
    """Create the molecular density profile of one night over one site.

    Reads the files that `calibpipe-retrieve-meteo-data` listed, interpolates them to the site,
    averages them over the astronomical night and writes air density against altitude with its
    spread over the night.
    """

    name = "calibpipe-create-molecular-density-profile"
    description = __doc__
    examples = """
    calibpipe-create-molecular-density-profile --site config/sites/CTAO-North.yaml \\
        --night 2024-07-10 --category C --meteo-data meteo_data.json --macobac macobac.ecsv \\
        --output density_profile.ecsv
    """

    meteo_data = traits.Path(
        None, exists=None, directory_ok=False, help="Product atmosphere/meteo_data"
    ).tag(config=True)
    macobac = traits.Path(
        None, exists=None, directory_ok=False, help="Product atmosphere/macobac (CO2)"
    ).tag(config=True)
    max_edge_gap_in_h = traits.Float(
        1.0,
        min=0,
        help="Longest time at dusk and at dawn without data: the nearest analysis is held there",
    ).tag(config=True)
    altitude_step_in_m = traits.Float(100.0, min=10, help="Step of the altitude grid").tag(
        config=True
    )
    allow_forecast = traits.Bool(
        False, help="Accept forecasts (step above 0 h) where analyses are expected"
    ).tag(config=True)
    saturation = traits.CaselessStrEnum(
        ["auto", "water", "ice", "ifs", "gfs"],
        "auto",
        help="What a relative humidity refers to; auto: ifs for ERA5, gfs for GDAS",
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        "meteo-data": "CreateMolecularDensityProfile.meteo_data",
        "macobac": "CreateMolecularDensityProfile.macobac",
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "meteo_data", "macobac")

    def start(self) -> None:
        """Read, calculate, write."""
        from ..core.night import astronomical_night
        from ..core.products import read_table, write_table

        site = self.load_site()
        night = astronomical_night(self.night, site)
        macobac = read_table(self.add_input(self.macobac, "macobac"), "atmosphere/macobac")
        data = self.read_meteo(site)
        table, details = self.night_profile(data, site, night, macobac["co2_mole_fraction"][0])
        metadata = self.metadata(
            KIND,
            f"Molecular density profile over {site.name} in the night {self.night}",
            validity=(night.dusk, night.dawn),
            details=details,
        )
        write_table(self.output, table, metadata)
        self.add_output(self.output, KIND)

    def read_meteo(self, site: "Site") -> "PressureLevelData":
        """Fields of the files listed by the retrieval, checksums compared."""
        from ..core.exceptions import CorruptedInputError, MissingInputError
        from ..core.files import sha256
        from ..core.meteo_files import read_meteo_files
        from ..core.products import read_json

        content = read_json(self.add_input(self.meteo_data, "meteo_data"), "atmosphere/meteo_data")[
            "content"
        ]
        paths = []
        for entry in content["files"]:
            path = self.add_input(entry["path"], "meteo_file")
            if not path.is_file():
                raise MissingInputError(
                    f"{path} is gone since it was retrieved: run "
                    "calibpipe-retrieve-meteo-data again"
                )
            if sha256(path) != entry["sha256"]:
                raise CorruptedInputError(
                    f"{path} has changed since it was retrieved (checksum differs from "
                    f"{self.meteo_data}): run calibpipe-retrieve-meteo-data again"
                )
            paths.append(path)
        data = read_meteo_files(
            paths, dataset=content["dataset"], around=(site.latitude, site.longitude)
        )
        if data.forecast_hours > 0 and not self.allow_forecast:
            raise MissingInputError(
                f"{content['dataset']} files hold forecasts of up to {data.forecast_hours:g} h, "
                "analyses are needed; give analyses, or set allow_forecast"
            )
        self.log.info(
            "%s: %d times, %d levels, grid %d x %d",
            data.dataset,
            len(data.times),
            data.pressure.size,
            data.latitude.size,
            data.longitude.size,
        )
        return data

    def night_profile(
        self, data: "PressureLevelData", site: "Site", night: "AstronomicalNight", co2: float
    ) -> "tuple[QTable, dict[str, Any]]":
        """Table of the night and the facts for its header."""
        import astropy.units as u
        from astropy.table import QTable

        from ..atmosphere.meteorology import require_dense_levels, site_sounding
        from ..atmosphere.night_profile import night_profile, number_density_at
        from ..atmosphere.profile_table import profile_table
        from ..atmosphere.reference_model import REFERENCE_ALTITUDE

        levels, step = self.levels_and_step(data.dataset)
        require_dense_levels(data.pressure, levels)
        result = night_profile(
            site_sounding(data, site, self.saturation_convention(data)),
            night,
            site,
            co2,
            self.altitude_step_in_m * u.m,
            self.max_edge_gap_in_h * u.h,
            step,
        )
        density, error = number_density_at(result, REFERENCE_ALTITUDE)
        table = QTable(profile_table(result.mean))
        for name in (
            "density_stat_error",
            "density_sys_error",
            "pressure_stat_error",
            "density_at_times",
            "pressure_at_times",
        ):
            table[name] = getattr(result, name)
        details = {
            "dataset": data.dataset,
            "experiment_version": data.experiment_version,
            "dusk_utc": night.dusk.utc.isot,
            "dawn_utc": night.dawn.utc.isot,
            "times_utc": [t.utc.isot for t in result.times],
            "time_weights": result.weights.tolist(),
            "largest_time_step_in_h": round(result.largest_step.to_value(u.h), 4),
            "uncovered_in_h": [round(float(h), 4) for h in result.uncovered.to_value(u.h)],
            "levels_in_hPa": data.pressure.to_value(u.hPa).tolist(),
            "co2_mole_fraction": float(co2),
            "number_density_15km_in_per_cm3": float(density.to_value(1 / u.cm**3)),
            "number_density_15km_error_in_per_cm3": float(error.to_value(1 / u.cm**3)),
        }
        return table, details

    @staticmethod
    def levels_and_step(dataset: str) -> "tuple[tuple[int, ...], u.Quantity]":
        """Levels that a data set has (none if it is not known), and the time between analyses."""
        import astropy.units as u

        from ..atmosphere.meteo_request import ERA5_LEVELS, GDAS_LEVELS

        known = {"ERA5": (ERA5_LEVELS, 1 * u.h), "GDAS": (GDAS_LEVELS, 6 * u.h)}
        return known.get(dataset, ((), 6 * u.h))

    def saturation_convention(self, data: "PressureLevelData") -> str:
        """What a relative humidity of these data refers to."""
        from .night_tool import require

        if self.saturation != "auto" or data.humidity_kind == "specific":
            return "water" if self.saturation == "auto" else self.saturation
        known = {"ERA5": "ifs", "GDAS": "gfs"}
        require(
            data.dataset in known,
            f"relative humidity of data set {data.dataset!r}: say with `saturation` what it refers "
            "to (water, ice, ifs, gfs)",
        )
        return known[data.dataset]


def main() -> None:
    """Run the Tool."""
    CreateMolecularDensityProfile().run()

"""Molecular density profile of one night from meteorological data."""

from typing import ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

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
        help="What a relative humidity refers to; auto: ifs for category C, gfs for B",
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

    def read_meteo(self, site):
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

    def night_profile(self, data, site, night, co2):
        """Table of the night and the facts for its header."""
        import astropy.units as u
        import numpy as np
        from astropy.table import QTable

        from ..atmosphere.density_profile import molecular_profile, systematic_relative_error
        from ..atmosphere.meteorology import (
            geometric_altitude,
            night_mean,
            night_weights,
            site_sounding,
            weighted_spread,
        )
        from ..atmosphere.reference_model import REFERENCE_ALTITUDE

        saturation = self.saturation
        if saturation == "auto":
            saturation = {"B": "gfs", "C": "ifs"}[self.category]
        sounding = site_sounding(data, site, saturation=saturation)
        weights = night_weights(
            sounding.times, night.dusk, night.dawn, self.max_edge_gap_in_h * u.h
        )
        used = np.flatnonzero(weights > 0)
        mean_sounding = night_mean(sounding, weights)
        highest = geometric_altitude(
            np.min(sounding.geopotential_height[:, -1]), site.latitude
        ).to_value(u.m)
        altitude = np.arange(0.0, highest, self.altitude_step_in_m) * u.m
        where = (altitude, site.latitude, co2, site.elevation)
        mean = molecular_profile(mean_sounding, *where)
        at_times = [molecular_profile(sounding, *where, time_index=i) for i in used]
        density = np.array([p.density.to_value(u.kg / u.m**3) for p in at_times])
        pressure = np.array([p.pressure.to_value(u.hPa) for p in at_times])
        spread = weighted_spread(density, sounding.times[used], night.dusk, night.dawn)
        pressure_spread = weighted_spread(pressure, sounding.times[used], night.dusk, night.dawn)
        step = np.max(np.diff(sounding.times[used].unix)) * u.s if used.size > 1 else 6 * u.h
        sys = systematic_relative_error(altitude, mean.density, altitude[-1], 5 * u.km, step)

        table = QTable(
            {
                "altitude": altitude,
                "pressure": mean.pressure,
                "temperature": mean.temperature,
                "water_vapour_mole_fraction": mean.water_vapour_mole_fraction,
                "density": mean.density,
                "number_density": mean.number_density,
                "density_stat_error": spread * u.kg / u.m**3,
                "density_sys_error": sys * mean.density,
                "pressure_stat_error": pressure_spread * u.hPa,
                "density_at_times": density.T * u.kg / u.m**3,
                "pressure_at_times": pressure.T * u.hPa,
            }
        )
        row = int(np.argmin(np.abs(altitude - REFERENCE_ALTITUDE)))
        relative = np.hypot(spread[row] / mean.density.value[row], sys[row])
        times = sounding.times[used]
        details = {
            "dataset": data.dataset,
            "experiment_version": data.experiment_version,
            "dusk_utc": night.dusk.utc.isot,
            "dawn_utc": night.dawn.utc.isot,
            "times_utc": [t.utc.isot for t in times],
            "largest_time_step_in_h": round(step.to_value(u.h), 4),
            "time_weights": [float(w) for w in weights[used]],
            "uncovered_in_h": [
                round(max(0.0, (times[0] - night.dusk).to_value(u.h)), 4),
                round(max(0.0, (night.dawn - times[-1]).to_value(u.h)), 4),
            ],
            "levels_in_hPa": [float(p) for p in sounding.pressure.value],
            "co2_mole_fraction": float(co2),
            "number_density_15km_in_per_cm3": float(mean.number_density[row].to_value(1 / u.cm**3)),
            "number_density_15km_error_in_per_cm3": float(
                relative * mean.number_density[row].to_value(1 / u.cm**3)
            ),
        }
        return table, details


def main() -> None:
    """Run the Tool."""
    CreateMolecularDensityProfile().run()

"""Meteorological data of one night with known truth, in the services' own formats."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

KIND = "simulation/meteo_truth"


class SimulateMeteoData(NightTool):
    """Simulate the meteorological data of one night over one site.

    Category C gives ERA5-like GRIB 1 (37 levels, 0.25 degrees, hourly), category B GDAS-like
    GRIB 2 (26 levels, 1 degree, six-hourly); both bracket the astronomical night. The true
    profiles above the site are written beside it, with the suffix ``.truth.ecsv``. The atmosphere
    depends on site, night, seed and amplitudes only: categories B and C of one night describe the
    same one.
    """

    name = "calibpipe-simulate-meteo-data"
    description = __doc__
    examples = """
    calibpipe-simulate-meteo-data --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --category C --seed 1 --output era5_2024-07-10.grib
    """

    seed = traits.Int(0, min=0, help="Seed of the random weather").tag(config=True)
    temperature_wave_in_kelvin = traits.Float(
        1.0, min=0, max=10, help="Root mean square of the temperature waves"
    ).tag(config=True)
    pressure_tide_in_hectopascal = traits.Float(
        1.0, min=0, max=10, help="Amplitude of the semidiurnal tide of pressure at sea level"
    ).tag(config=True)
    temperature_gradient_in_kelvin_per_deg = traits.Float(
        0.3, min=0, max=3, help="Horizontal gradient of temperature"
    ).tag(config=True)
    pressure_gradient_in_hectopascal_per_deg = traits.Float(
        0.3, min=0, max=3, help="Horizontal gradient of pressure at sea level"
    ).tag(config=True)
    sea_level_humidity = traits.Float(
        0.5, min=0, max=1, help="Relative humidity over water at sea level"
    ).tag(config=True)
    humidity_scale_height_in_m = traits.Float(
        2000.0, min=500, max=4000, help="Altitude over which water vapour falls by e"
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {"seed": "SimulateMeteoData.seed"}

    def setup(self) -> None:
        """Check what has to be given and that nothing would be overwritten."""
        super().setup()
        self.truth_output = self.output.with_suffix(".truth.ecsv")
        self.check_output(self.truth_output)

    def start(self) -> None:
        """Simulate, encode, write."""
        import numpy as np

        from ..core.files import atomic_path
        from ..core.night import astronomical_night, night_date
        from ..simulation.meteorology import simulated_atmosphere

        site = self.load_site()
        night = astronomical_night(self.night, site)
        rng = np.random.default_rng([self.seed, night_date(self.night).toordinal()])
        middle = night.dusk + (night.dawn - night.dusk) / 2
        atmosphere = simulated_atmosphere(site, middle, self.weather(), rng)
        content = self.encoded(atmosphere, site, night)
        with atomic_path(self.output) as temporary:
            temporary.write_bytes(content)
        self.add_output(self.output, "simulation/meteo_data")
        self.write_truth(atmosphere, site, night)

    def weather(self) -> Any:
        """Amplitudes of the configuration."""
        import astropy.units as u

        from ..simulation.meteorology import Weather

        return Weather(
            temperature_wave=self.temperature_wave_in_kelvin * u.K,
            pressure_tide=self.pressure_tide_in_hectopascal * u.hPa,
            temperature_gradient=self.temperature_gradient_in_kelvin_per_deg * u.K / u.deg,
            pressure_gradient=self.pressure_gradient_in_hectopascal_per_deg * u.hPa / u.deg,
            sea_level_humidity=self.sea_level_humidity,
            humidity_scale_height=self.humidity_scale_height_in_m * u.m,
        )

    def encoded(self, atmosphere: Any, site: Any, night: Any) -> bytes:
        """File that the service of the category would deliver."""
        from ..simulation.meteo_encoding import era5_grib, gdas_grib
        from ..simulation.meteorology import era5_like, gdas_like

        if self.category == "B":
            return gdas_grib(gdas_like(atmosphere, site, night))
        return era5_grib(*era5_like(atmosphere, site, night))

    def write_truth(self, atmosphere: Any, site: Any, night: Any) -> None:
        """True profiles beside the data."""
        import astropy.units as u

        from ..core.products import write_table
        from ..simulation.meteorology import bracketing_times, truth_table

        times = bracketing_times(night.dusk, night.dawn, 1 * u.h)
        metadata = self.metadata(
            KIND,
            f"True atmosphere over {site.name} in the simulated night {self.night}",
            validity=(night.dusk, night.dawn),
            details={
                "times_utc": [time.utc.isot for time in times],
                "dusk_utc": night.dusk.utc.isot,
                "dawn_utc": night.dawn.utc.isot,
            },
        )
        write_table(self.truth_output, truth_table(atmosphere, site, night, times), metadata)
        self.add_output(self.truth_output, KIND)


def main() -> None:
    """Run the Tool."""
    SimulateMeteoData().run()

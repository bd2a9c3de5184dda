"""Aerosols and clouds above a site in one night from LIDAR profiles."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

KIND = "atmosphere/lidar"


class ProcessLidar(NightTool):
    """Process the LIDAR profiles of one night.

    Reads raw profiles (EARLINET netCDF, Licel) or attenuated backscatter (PollyXT), takes the
    molecules from the night's own density profile, and writes for each profile and laser wavelength
    the optical depth of aerosols and clouds from the observatory up to each altitude, its
    transmission, the backscatter, layers with base, top and optical depth, and the Ångström
    exponent, with statistical and systematic errors. A profile that cannot be used is a row with a
    reason and no numbers.
    """

    name = "calibpipe-process-lidar"
    description = __doc__
    examples = """
    calibpipe-process-lidar --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --category C --density-profile density_profile.ecsv --input lidar_2024-07-10.nc \\
        --output lidar.ecsv
    """

    input_files = traits.List(
        traits.Path(exists=None, directory_ok=False),
        default_value=[],
        help="LIDAR files: netCDF (EARLINET raw, PollyXT) or Licel binary",
    ).tag(config=True)
    density_profile = traits.Path(
        None, exists=None, directory_ok=False, help="Product atmosphere/density_profile"
    ).tag(config=True)
    averaging_time_in_s = traits.Float(60.0, min=1, help="Profiles are averaged to this").tag(
        config=True
    )
    bin_width_in_m = traits.Float(60.0, min=1, max=500, help="Bins are averaged to this").tag(
        config=True
    )
    altitude_step_in_m = traits.Float(250.0, min=10, help="Step of altitudes of the product").tag(
        config=True
    )
    highest_altitude_in_m = traits.Float(
        20000.0, min=5000, help="Highest altitude of the product, above the sea"
    ).tag(config=True)
    full_overlap_in_m = traits.Float(300.0, min=0, help="Range of full overlap").tag(config=True)
    background_from_in_m = traits.Float(27000.0, min=0, help="Range of the background").tag(
        config=True
    )
    dead_time_in_ns = traits.Float(
        2.0, min=0, help="Of the photon counters; that of the instrument"
    ).tag(config=True)
    reference_range_in_m = traits.List(
        traits.Float(), default_value=[6000.0, 25000.0], help="Range of the Rayleigh fit"
    ).tag(config=True)
    reference_width_in_m = traits.Float(2000.0, min=100, help="Length of clear air used").tag(
        config=True
    )
    layer_range_in_m = traits.List(
        traits.Float(), default_value=[1500.0, 24000.0], help="Range of the search for layers"
    ).tag(config=True)
    lidar_ratio_in_sr = traits.Float(
        50.0, min=1, max=200, help="Of aerosols, where nothing measures it"
    ).tag(config=True)
    cloud_lidar_ratio_in_sr = traits.Float(
        25.0, min=1, max=200, help="Of layers, where nothing measures it"
    ).tag(config=True)
    lidar_ratio_relative_error = traits.Float(0.4, min=0, max=1, help="Of both").tag(config=True)
    angstrom_exponent = traits.Float(
        1.0, help="Between laser and Raman line, for the Raman extinction"
    ).tag(config=True)
    angstrom_error = traits.Float(0.5, min=0, help="Its error").tag(config=True)
    multiple_scattering = traits.Float(
        1.0, min=0.5, max=1, help="Part of the optical depth of a layer that is seen"
    ).tag(config=True)
    calibrated = traits.Bool(
        False, help="Attenuated backscatter is absolute: its level gives the optical depth"
    ).tag(config=True)
    calibration_relative_error = traits.Float(0.05, min=0, help="Of its constant").tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        ("i", "input"): "ProcessLidar.input_files",
        "density-profile": "ProcessLidar.density_profile",
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "input_files", "density_profile")

    def start(self) -> None:
        """Read, calculate, write."""
        from ..atmosphere.lidar_night import lidar_night
        from ..atmosphere.lidar_table import lidar_table
        from ..atmosphere.profile_table import profile_from_table
        from ..core.lidar_files import read_lidar_files
        from ..core.night import night_span
        from ..core.products import read_table, write_table

        site = self.load_site()
        product = read_table(
            self.add_input(self.density_profile, "density_profile"), "atmosphere/density_profile"
        )
        data = read_lidar_files([self.add_input(p, "lidar") for p in self.input_files])
        self.check_place_and_time(data, site, night_span(self.night, site))
        results = lidar_night(
            data,
            profile_from_table(product),
            product.meta["calibpipe"]["co2_mole_fraction"],
            self.settings(),
            self.averaging_time_in_s,
            self.bin_width_in_m,
            self.dead_time_in_ns,
        )
        table, details = lidar_table(results, self.altitudes(site))
        metadata = self.metadata(
            KIND,
            f"Aerosols and clouds over {site.name} in the night {self.night}, LIDAR",
            validity=(data.times[0], data.times[-1] + data.duration[-1]),
            details=details,
        )
        write_table(self.output, table, metadata)
        self.add_output(self.output, KIND)
        self.log.info("%d profiles, %d layers", len(table), len(details["layers"]["base_in_m"]))

    def check_place_and_time(self, data: Any, site: Any, span: tuple) -> None:
        """The data are of this site and of this night."""
        import astropy.units as u

        from ..core.exceptions import ConfigurationError, MissingInputError

        inside = (data.times >= span[0]) & (data.times < span[1])
        if not inside.all():
            raise MissingInputError(
                f"{int((~inside).sum())} of {len(data.times)} LIDAR profiles are not of night "
                f"{self.night} ({span[0].isot} to {span[1].isot} UTC), the first at "
                f"{data.times[~inside][0].isot}; give the files of this night"
            )
        off = abs(data.latitude - site.latitude) > 0.2 * u.deg
        off |= abs(data.longitude - site.longitude) > 0.2 * u.deg
        if off or abs(data.altitude - site.elevation) > 500 * u.m:
            raise ConfigurationError(
                f"the LIDAR stands at {data.latitude:.3f}, {data.longitude:.3f}, "
                f"{data.altitude:.0f}, the site {site.name} at {site.latitude:.3f}, "
                f"{site.longitude:.3f}, {site.elevation:.0f}; give the files of this site"
            )

    def altitudes(self, site: Any) -> Any:
        """Altitudes of the product, the first one is the observatory."""
        import astropy.units as u
        import numpy as np

        bottom = site.elevation.to_value(u.m)
        return np.arange(bottom, self.highest_altitude_in_m, self.altitude_step_in_m) * u.m

    def settings(self) -> Any:
        """Settings of the retrieval."""
        import astropy.units as u

        from ..atmosphere.lidar_settings import RetrievalSettings

        return RetrievalSettings(
            full_overlap=self.full_overlap_in_m * u.m,
            background=self.background_from_in_m * u.m,
            reference=tuple(r * u.m for r in self.reference_range_in_m),
            reference_width=self.reference_width_in_m * u.m,
            layer_search=tuple(r * u.m for r in self.layer_range_in_m),
            lidar_ratio=self.lidar_ratio_in_sr * u.sr,
            cloud_lidar_ratio=self.cloud_lidar_ratio_in_sr * u.sr,
            lidar_ratio_error=self.lidar_ratio_relative_error,
            angstrom_exponent=self.angstrom_exponent,
            angstrom_error=self.angstrom_error,
            multiple_scattering=self.multiple_scattering,
            calibration=1.0 if self.calibrated else None,
            calibration_error=self.calibration_relative_error,
        )


def main() -> None:
    """Run the Tool."""
    ProcessLidar().run()

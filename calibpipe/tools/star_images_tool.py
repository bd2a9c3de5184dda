"""What the Tools of stars share: variance images, drive, air, tracking."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .event_files import EventFilesTool
from .night_tool import require

STATISTICS = "sky_pedestal_image"


class StarImagesTool(EventFilesTool):
    """A Tool that tracks the stars in the sky pedestals of one telescope."""

    statistics = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Product camera/pixel_statistics with short chunks, instead of events",
    ).tag(config=True)
    coefficients = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Camera coefficients"
    ).tag(config=True)
    gains = traits.List(
        traits.Path(exists=None, directory_ok=False),
        default_value=[],
        help="Other gains of the pixels: camera/coefficients of other blocks of the night, "
        "camera/photon_transfer; a product with errors each",
    ).tag(config=True)
    archive = traits.Path(
        None,
        allow_none=True,
        exists=None,
        file_ok=False,
        help="Calibration archive: its newest certified photon transfer of the telescope of the "
        "nights before is another of --gains",
    ).tag(config=True)
    gains_age_in_days = traits.Float(
        62.0, min=1, help="Age of a photon transfer above which its gains say nothing"
    ).tag(config=True)
    pointing = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Record of the drive (HDF5)"
    ).tag(config=True)
    density_profile = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Product atmosphere/density_profile: air at the telescopes",
    ).tag(config=True)
    pressure_in_hpa = traits.Float(
        None, allow_none=True, help="At the telescopes; not given: of the density profile"
    ).tag(config=True)
    temperature_in_deg_c = traits.Float(
        None, allow_none=True, help="At the telescopes; not given: of the density profile"
    ).tag(config=True)
    relative_humidity = traits.Float(
        None, allow_none=True, min=0, max=1, help="0 to 1; not given: of the density profile"
    ).tag(config=True)
    pressure_error_in_hpa = traits.Float(1.0, min=0, help="Error of the pressure").tag(config=True)
    temperature_error_in_k = traits.Float(3.0, min=0, help="Error of the temperature").tag(
        config=True
    )
    wavelength_in_nm = traits.Float(
        420.0, min=300, max=1100, help="Effective one of a star of mean colour, for refraction"
    ).tag(config=True)
    pedestal_type = traits.CaselessStrEnum(
        ["PEDESTAL", "DARK_PEDESTAL", "SKY_PEDESTAL"], "SKY_PEDESTAL", help="Events that are used"
    ).tag(config=True)
    chunk_size = traits.Int(100, min=10, help="Events of a variance image").tag(config=True)
    window_start = traits.Int(12, min=0, help="First sample that is integrated").tag(config=True)
    window_width = traits.Int(8, min=1, help="Samples that are integrated").tag(config=True)
    max_sigma = traits.Float(
        6.0, min=0, help="Limit of clipping of charges; 0 clips nothing (showers stay in)"
    ).tag(config=True)
    highest_in_adc = traits.Float(
        4095.0, help="Samples at 0 and here are saturated: no variance"
    ).tag(config=True)
    squared_excess_noise_factor = traits.Float(1.222, min=1.0, help="F² of the photoelectrons").tag(
        config=True
    )
    block_duration_in_s = traits.Float(60.0, min=0.1, help="Of one offset").tag(config=True)
    magnitude_limit = traits.Float(8.0, max=8.0, help="Faintest V of stars in the model").tag(
        config=True
    )
    max_stars = traits.Int(12, min=2, help="Brightest stars whose places count").tag(config=True)
    min_significance = traits.Float(
        8.0, min=3, help="Light over its error of a star that counts, in a block"
    ).tag(config=True)
    search_radius_in_deg = traits.Float(
        0.3, min=0.01, help="Largest misalignment that is looked for"
    ).tag(config=True)
    max_error_in_arcsec = traits.Float(
        14.0, min=0, help="Statistical error above which a block is not valid"
    ).tag(config=True)
    rotation_error_in_arcmin = traits.Float(
        15.0, min=0.01, help="What the rotation of the camera is known to beforehand"
    ).tag(config=True)
    plate_scale_error = traits.Float(
        0.002, min=1e-6, help="What the effective focal length is known to beforehand, relative"
    ).tag(config=True)
    time_error_in_s = traits.Float(0.001, min=0, help="Of clocks of camera and drive").tag(
        config=True
    )
    optical_psf_in_deg = traits.Float(
        0.05, min=0.005, help="σ per axis from which the fit starts"
    ).tag(config=True)

    aliases: ClassVar[dict] = EventFilesTool.aliases | {
        "statistics": "StarImagesTool.statistics",
        "coefficients": "StarImagesTool.coefficients",
        "gains": "StarImagesTool.gains",
        "archive": "StarImagesTool.archive",
        "pointing": "StarImagesTool.pointing",
        "density-profile": "StarImagesTool.density_profile",
    }
    required: ClassVar[tuple[str, ...]] = (*EventFilesTool.required, "coefficients", "pointing")
    free_coma: Any = False

    def tracked(self) -> dict[str, Any]:
        """Track the stars; all that a product tells of it."""
        from ..core.monitoring_file import read_camera_coefficients
        from ..core.pointing_file import read_pointing
        from ..pointing.camera_images import images_of_chunks
        from ..pointing.star_fields import star_fields
        from ..pointing.star_tracking import track_stars

        site = self.load_site()
        chunks, subarray, tel_id, about = self.chunks()
        self.require_telescope(subarray.name, tel_id)
        where = f"{subarray.name}, night {self.night}"
        table = read_camera_coefficients(
            self.add_input(self.coefficients, "camera/coefficients"), tel_id
        )
        require(
            self.coefficients not in self.gains,
            f"{self.name}: {self.coefficients} is given as --coefficients, its gains are known; "
            "leave it out of --gains",
        )
        gains = [*self.gains, *self.certified_gains(site, subarray.name)]
        others = [self.other_gains(path, tel_id) for path in gains]
        images = images_of_chunks(chunks, table, self.squared_excess_noise_factor, where, others)
        drive = read_pointing(self.add_input(self.pointing, "pointing/drive"), tel_id)
        air, camera = self.air(site), self.camera(subarray.tel[tel_id])
        fields, left_out = star_fields(images, drive, site, air, camera, self.field_settings())
        require(fields, f"{where}: no images of which the drive is known above 10 deg")
        settings = self.tracking_settings()
        tracking = track_stars(fields, camera, images.response_error, settings, where)
        return {
            "tracking": tracking,
            "left_out": left_out,
            "images": images,
            "air": air,
            "subarray": subarray.select_subarray([tel_id], name=subarray.name),
            "tel_id": tel_id,
            "about": about,
        }

    def certified_gains(self, site: Any, telescope: str) -> list[Any]:
        """Newest certified photon transfer of the nights before, if there is one."""
        from .certified_gains import certified_photon_transfer

        newest = certified_photon_transfer(self, site, telescope, self.gains_age_in_days)
        return [] if newest is None else [newest]

    def other_gains(self, path: Any, tel_id: int) -> tuple[Any, Any]:
        """Gains and statistical errors of another product, (n_channels, n_pixels)."""
        import numpy as np

        from ..core.exceptions import MissingInputError
        from ..core.monitoring_file import read_camera_coefficients
        from ..core.telescope_file import read_telescope_table, telescope_groups
        from ..pointing.pixel_gains import mean_gains
        from .calculate_photon_transfer import PIXELS_GROUP

        names = ("gain", "gain_stat_error")
        if PIXELS_GROUP in telescope_groups(path):
            self.add_input(path, "camera/photon_transfer")
            columns = (*names, "status")
            row = read_telescope_table(path, PIXELS_GROUP, tel_id, "photon transfer", columns)[0]
            good = np.asarray(row["status"]) == 0
            first, second = (np.where(good, np.asarray(row[n], float), np.nan) for n in names)
            return first, second
        table = read_camera_coefficients(self.add_input(path, "camera/coefficients"), tel_id)
        rows = table[np.asarray(table["is_valid"], bool)]
        if not len(rows) or not set(names) <= set(table.colnames):
            raise MissingInputError(
                f"{path} has no valid row with gains and their errors; leave it out of --gains"
            )
        return mean_gains(*(np.asarray(rows[name], float) for name in names))

    def chunks(self) -> tuple[list[Any], Any, int, dict[str, Any]]:
        """Variances chunk by chunk, subarray, telescope, what is known of the observation."""
        from ..core.telescope import telescope_subarray

        if self.statistics is not None:
            require(not self.input_files, f"{self.name}: give --statistics or --input, not both")
            return self.chunks_of_statistics()
        from tqdm import tqdm

        from ..camera.dl0_variance import VarianceSettings, pedestal_variances
        from ..core.dl0 import StreamReport
        from ..core.dl0_camera import camera_configuration

        paths = self.event_files()
        settings = VarianceSettings(
            self.window_start,
            self.window_width,
            self.pedestal_type,
            self.chunk_size,
            self.max_sigma,
            highest=self.highest_in_adc,
        )
        report = StreamReport()
        with tqdm(unit=" events", desc=self.telescope or None, disable=None) as progress:
            chunks = pedestal_variances(
                paths,
                settings,
                report=report,
                progress=progress.update,
                is_checked=self.is_checked,
            )
        for path in paths:
            self.add_input(path, "dl0/events")
        camera = camera_configuration(paths[0])
        about = {
            "obs_id": camera.obs_id,
            "sb_id": camera.sb_id,
            "remarks": report.remarks(),
        }
        return chunks, telescope_subarray(camera.tel_id), camera.tel_id, about

    def chunks_of_statistics(self) -> tuple[list[Any], Any, int, dict[str, Any]]:
        """As `chunks`, of a product of pixel statistics."""
        from ..camera.pixel_statistics import chunks_of_table
        from ..core.exceptions import MissingInputError
        from ..core.statistics_file import read_pixel_statistics

        path = self.add_input(self.statistics, "camera/pixel_statistics")
        found = read_pixel_statistics(path, names=(STATISTICS,))
        if STATISTICS not in found.tables:
            raise MissingInputError(f"{path} has no statistics {STATISTICS} of sky pedestals")
        about = {key: found.header.get(key) for key in ("obs_id", "sb_id")} | {"remarks": []}
        return chunks_of_table(found.tables[STATISTICS]), found.subarray, found.tel_id, about

    def air(self, site: Any) -> Any:
        """Air at the telescopes: numbers of the configuration before those of the profile."""
        import astropy.units as u

        from ..pointing.apparent_place import SurfaceAir

        given = [self.pressure_in_hpa, self.temperature_in_deg_c, self.relative_humidity]
        if None in given:
            require(
                self.density_profile is not None,
                f"{self.name} needs --density-profile, or pressure_in_hpa, temperature_in_deg_c "
                "and relative_humidity: stars are refracted",
            )
            of_profile = self.air_of_profile(site)
            given = [b if a is None else a for a, b in zip(given, of_profile, strict=True)]
        pressure, temperature, humidity = given
        return SurfaceAir(
            pressure * u.hPa,
            temperature * u.deg_C,
            humidity,
            self.wavelength_in_nm * u.nm,
            pressure_error=self.pressure_error_in_hpa * u.hPa,
            temperature_error=self.temperature_error_in_k * u.K,
        )

    def air_of_profile(self, site: Any) -> tuple[float, float, float]:
        """Pressure (hPa), temperature (deg C), humidity of the profile at the telescopes."""
        import astropy.units as u

        from ..atmosphere.profile_table import profile_from_table
        from ..core.products import read_table
        from ..pointing.surface_level import surface_values

        path = self.add_input(self.density_profile, "density_profile")
        profile = profile_from_table(read_table(path, "atmosphere/density_profile"))
        pressure, temperature, humidity = surface_values(profile, site.elevation)
        return (
            float(pressure.to_value(u.hPa)),
            float(temperature.to_value(u.K)) - 273.15,
            humidity,
        )

    def camera(self, telescope: Any) -> Any:
        """Camera and optics as stars are seen with them."""
        import astropy.units as u

        from ..pointing.field_fit import star_camera

        return star_camera(telescope, self.optical_psf_in_deg * u.deg)

    def field_settings(self) -> Any:
        """How images become blocks."""
        import astropy.units as u

        from ..pointing.star_fields import FieldSettings

        return FieldSettings(
            block_duration=self.block_duration_in_s * u.s, magnitude_limit=self.magnitude_limit
        )

    def tracking_settings(self) -> Any:
        """How stars are tracked."""
        import astropy.units as u

        from ..pointing.tracking_settings import TrackingSettings

        return TrackingSettings(
            search_radius=self.search_radius_in_deg * u.deg,
            min_significance=self.min_significance,
            max_stars=self.max_stars,
            max_error=self.max_error_in_arcsec * u.arcsec,
            rotation_error=self.rotation_error_in_arcmin * u.arcmin,
            plate_scale_error=self.plate_scale_error,
            time_error=self.time_error_in_s * u.s,
            free_coma=self.free_coma,
        )

    def details(self, found: dict[str, Any]) -> dict[str, Any]:
        """What the headers of the products say."""
        import astropy.units as u
        import numpy as np

        tracking, air = found["tracking"], found["air"]
        return {
            "tel_id": found["tel_id"],
            "array_element": found["subarray"].name,
            **found["about"],
            "n_images": len(found["images"]),
            "n_stars": len({name for fit in tracking.fits for name in _used(fit)}),
            "air": {
                "pressure_in_hpa": float(air.pressure.to_value(u.hPa)),
                "temperature_in_deg_c": float(
                    air.temperature.to_value(u.deg_C, equivalencies=u.temperature())
                ),
                "relative_humidity": float(np.mean(air.relative_humidity)),
                "wavelength_in_nm": float(air.wavelength.to_value(u.nm)),
            },
        }


def _used(fit: Any) -> set[str]:
    """Names of the stars that count in an observation."""
    return set() if fit.spots is None else {fit.field.tracks.names[k] for k in fit.spots.star}

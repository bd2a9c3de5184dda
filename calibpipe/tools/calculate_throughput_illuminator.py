"""Optical throughput of one telescope from flashes of external light."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .event_files import EventFilesTool
from .night_tool import require

KIND = "throughput/illuminator_throughput"
FLASHES_GROUP = "/calibpipe/throughput/illuminator_flashes"
PEDESTAL_BATCHES = 8  # of 64 events: the noise of a pixel to 3 %


class CalculateThroughputIlluminator(EventFilesTool):
    """Calculate the optical throughput of a telescope from flashes of external light.

    The light (UAV, illuminator on the ground, laser) is known at the telescope or at a distance
    from the source; --source is a table of the periods in which the source stays the same:
    time (ISO, TAI), photons (ph/m2 per flash), relative_error, and as needed reference_distance,
    distance, attenuation_length, angle, each with its error, jitter (relative rms from flash to
    flash), map_error, tel_id. Without a distance the photons are those at the telescope. --map
    (pixel_id, relative_light) tells how the light is spread over the pixels; evenly if not given.

    Writes mean, spread and errors, statistical and systematic by name, chunk by chunk, and the
    throughput of each flash for ratios of telescopes.
    """

    name = "calibpipe-calculate-throughput-illuminator"
    description = __doc__
    examples = """
    calibpipe-calculate-throughput-illuminator --site config/sites/CTAO-North.yaml \\
        --night 2024-07-10 --index array/dl0_index.ecsv --dl0-root simulated \\
        --telescope LSTN-01 --obs-id 2 --coefficients LSTN-01/camera/coefficients.OBSID1.h5 \\
        --source illuminator.ecsv --output LSTN-01/throughput/illuminator_throughput.OBSID2.h5
    """

    coefficients = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Camera coefficients"
    ).tag(config=True)
    source = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Table of the source (ECSV)"
    ).tag(config=True)
    light_map = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Light of the pixels (ECSV: pixel_id, relative_light); all alike if not given",
    ).tag(config=True)
    event_type = traits.CaselessStrEnum(
        ["OTHER_CALIBRATION", "FLATFIELD"], "OTHER_CALIBRATION", help="Type of the flashes"
    ).tag(config=True)
    window_width = traits.Int(0, min=0, help="Samples integrated; 0: as the coefficients say").tag(
        config=True
    )
    window_shift = traits.Int(5, min=0, help="Of these, samples before the peak").tag(config=True)
    saturation_in_adc = traits.Float(
        4000.0, help="Sample above which high gain is not used, or a pixel is saturated"
    ).tag(config=True)
    squared_excess_noise_factor = traits.Float(
        1.222, min=1.0, help="F² of the expected fluctuations (weights and chi2)"
    ).tag(config=True)
    pedestal_noise_in_pe = traits.Float(
        None,
        allow_none=True,
        min=0,
        help="Rms of an image without light; not given: of the pedestals in the same files",
    ).tag(config=True)
    min_pixels = traits.Int(100, min=2, help="Lit pixels that a flash needs").tag(config=True)
    max_saturated_fraction = traits.Float(
        0.01, min=0, max=1, help="Of the lit pixels; flashes with more give no number"
    ).tag(config=True)
    chunk_size = traits.Int(500, min=2, help="Largest number of flashes in a chunk").tag(
        config=True
    )
    chunk_duration_in_s = traits.Float(
        None, allow_none=True, help="Longest chunk; not given: as long as the source is the same"
    ).tag(config=True)
    min_flashes = traits.Int(10, min=2, help="Flashes that a chunk needs").tag(config=True)
    max_sigma = traits.Float(
        5.0, min=1, help="Standard deviations from the median beyond which flashes are left out"
    ).tag(config=True)
    max_outlier_fraction = traits.Float(
        0.1, min=0, max=1, help="Of the flashes of a chunk; more, and it is invalid"
    ).tag(config=True)
    max_flash_chi2 = traits.Float(
        4.0, min=0, help="Reduced chi2 between the flashes of a chunk; above, it is invalid"
    ).tag(config=True)
    max_image_chi2 = traits.Float(
        2.0, min=0, help="Reduced chi2 of image and map; flashes above are left out"
    ).tag(config=True)

    aliases: ClassVar[dict] = EventFilesTool.aliases | {
        "coefficients": "CalculateThroughputIlluminator.coefficients",
        "source": "CalculateThroughputIlluminator.source",
        "map": "CalculateThroughputIlluminator.light_map",
        "event-type": "CalculateThroughputIlluminator.event_type",
    }
    required: ClassVar[tuple[str, ...]] = (*EventFilesTool.required, "coefficients", "source")

    def start(self) -> None:
        """Read, calculate, write."""
        from ..camera.calibrated_images import CalibrationReport
        from ..camera.coefficient_errors import pixel_and_common_errors
        from ..core.dl0_camera import camera_configuration
        from ..core.monitoring_file import read_camera_coefficients
        from ..core.telescope import telescope_subarray
        from ..throughput.illuminator_product import illuminator_throughput

        self.load_site()
        paths = self.event_files()
        camera = camera_configuration(paths[0])
        subarray = telescope_subarray(camera.tel_id)
        self.require_telescope(subarray.name, camera.tel_id)
        area = self.mirror_area(subarray, camera.tel_id)
        n_pixels = subarray.tel[camera.tel_id].camera.geometry.n_pixels
        source, light = self.light(camera.tel_id, n_pixels)
        path = self.add_input(self.coefficients, "camera/coefficients")
        table = read_camera_coefficients(path, camera.tel_id)
        pixel_error, common = pixel_and_common_errors(table)
        report = CalibrationReport()
        flashes = self.flashes(paths, table, light, pixel_error, report)
        for path in paths:
            self.add_input(path, "dl0/events")
        found = illuminator_throughput(
            *flashes,
            source,
            mirror_area=area,
            n_pixels=n_pixels,
            calibration=common,
            limits=self.limits(),
            max_flashes=self.chunk_size,
            chunk_duration=self.chunk_duration_in_s,
            where=f"{subarray.name}, observation {camera.obs_id}",
        )
        self.write(found, subarray, camera, report)

    def mirror_area(self, subarray: Any, tel_id: int) -> Any:
        """Area of the mirror, which not every description of a telescope has."""
        import astropy.units as u

        area = subarray.tel[tel_id].optics.mirror_area
        require(
            area is not None and area > 0 * u.m**2,
            f"the description of {subarray.name} has no mirror area ({area}): photons on its "
            "mirror cannot be counted; set CTAPIPE_SVC_PATH to service data that have it",
        )
        return area

    def light(self, tel_id: int, n_pixels: int) -> tuple[Any, Any]:
        """Source and map of its light."""
        import numpy as np

        from ..core.ecsv_input import read_ecsv
        from ..throughput.illuminator import relative_light_map
        from ..throughput.illuminator_source import illuminator_source, map_of_pixels

        path = self.add_input(self.source, "throughput/illuminator_source")
        source = illuminator_source(read_ecsv(path, "table of the light source"), tel_id)
        if self.light_map is None:
            return source, np.ones(n_pixels)
        path = self.add_input(self.light_map, "throughput/illuminator_map")
        light = map_of_pixels(read_ecsv(path, "map of the light"), n_pixels)
        return source, relative_light_map(light)

    def image_settings(self, table: Any) -> Any:
        """Extraction of the images: the window of the coefficients."""
        from ..camera.calibrated_images import ImageSettings

        of_coefficients = table.meta["calibpipe"].get("extraction", {}).get("window_width")
        width = self.window_width or of_coefficients
        require(
            width,
            f"{self.coefficients} does not say over how many samples charges are integrated; give "
            "--CalculateThroughputIlluminator.window_width",
        )
        return ImageSettings(width, self.window_shift, self.saturation_in_adc)

    def flashes(
        self, paths: list[Path], table: Any, light: Any, pixel_error: Any, report: Any
    ) -> tuple[Any, Any, Any]:
        """Time, event number and level of each flash."""
        from dataclasses import fields

        import numpy as np
        from ctapipe.containers import EventType

        from ..camera.calibrated_images import calibrated_batches
        from ..core.exceptions import MissingInputError
        from ..throughput.illuminator import LightLevels, light_levels

        settings = self.image_settings(table)
        kind = EventType[self.event_type].value
        noise = self.noise(paths, table, settings)
        is_checked = self.is_checked or self.pedestal_noise_in_pe is None  # with the pedestals
        options = {"event_types": [kind], "report": report, "is_checked": is_checked}
        time, event_id, levels = [], [], []
        for batch in calibrated_batches(paths, table, settings, **options):
            time.append(batch.time)
            event_id.append(batch.event_id)
            levels.append(
                light_levels(
                    batch.image,
                    light,
                    noise=noise,
                    squared_excess_noise_factor=self.squared_excess_noise_factor,
                    pixel_error=pixel_error,
                    is_unusable=batch.is_unusable,
                    is_saturated=batch.is_saturated,
                    min_pixels=self.min_pixels,
                    max_saturated_fraction=self.max_saturated_fraction,
                )
            )
        if not time:
            raise MissingInputError(
                f"no flash is covered by {self.coefficients}: {'; '.join(report.remarks())}; give "
                "coefficients of the same night that begin before"
            )
        names = [entry.name for entry in fields(LightLevels)]
        joined = (np.concatenate([getattr(part, name) for part in levels]) for name in names)
        return np.concatenate(time), np.concatenate(event_id), LightLevels(*joined)

    def noise(self, paths: list[Path], table: Any, settings: Any) -> Any:
        """Rms of images without light, p.e.; of the first pedestals, or as configured."""
        import numpy as np

        from ..throughput.illuminator import image_noise

        if self.pedestal_noise_in_pe is not None:
            return self.pedestal_noise_in_pe
        batches = list(islice(self.pedestals(paths, table, settings), PEDESTAL_BATCHES))
        n_pixels = table["factor"].shape[2]
        empty = np.empty((0, n_pixels))
        image = np.concatenate([empty, *(batch.image for batch in batches)])
        unusable = np.concatenate([empty.astype(bool), *(batch.is_unusable for batch in batches)])
        return image_noise(image, unusable)

    def pedestals(self, paths: list[Path], table: Any, settings: Any) -> Iterator[Any]:
        """Images of pedestals; none if there are none."""
        from ctapipe.containers import EventType

        from ..camera.calibrated_images import calibrated_batches
        from ..core.exceptions import InsufficientStatisticsError

        kinds = [EventType.SKY_PEDESTAL.value, EventType.PEDESTAL.value]
        options: dict[str, Any] = {"event_types": kinds, "is_checked": self.is_checked}
        try:
            yield from calibrated_batches(paths, table, settings, **options)
        except InsufficientStatisticsError as error:
            self.log.debug("no pedestals: %s", error)

    def limits(self) -> Any:
        """When a chunk is believed."""
        from ..throughput.illuminator_chunks import ChunkLimits

        return ChunkLimits(
            min_flashes=self.min_flashes,
            max_sigma=self.max_sigma,
            max_outlier_fraction=self.max_outlier_fraction,
            max_flash_chi2=self.max_flash_chi2,
            max_image_chi2=self.max_image_chi2,
        )

    def write(self, found: Any, subarray: Any, camera: Any, report: Any) -> None:
        """Chunks and flashes of the telescope."""
        import numpy as np
        from astropy.time import Time

        from ..core.ctapipe_groups import DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP
        from ..core.telescope_file import write_telescope_tables
        from ..throughput.pixel_gaps import INCLUDED, camera_fill_factor

        filled = camera_fill_factor(subarray.tel[camera.tel_id].camera.geometry)
        remarks = [*report.remarks(), *found.remarks()]
        valid = [chunk for chunk in found.chunks if chunk.is_valid]
        validity = (min(c.time_start for c in valid), max(c.time_end for c in valid))
        metadata = self.metadata(
            KIND,
            f"Optical throughput of {subarray.name} from external light, "
            f"observation {camera.obs_id}",
            validity=tuple(Time(t, format="unix_tai", scale="tai") for t in validity),
            details={
                "tel_id": camera.tel_id,
                "array_element": subarray.name,
                "sb_id": camera.sb_id,
                "obs_id": camera.obs_id,
                "pixel_gaps": INCLUDED,  # all photons on the mirror are shared among the pixels
                "pixel_fill_factor": filled,
                "n_flashes": found.time.size,
                "n_chunks": len(found.chunks),
                "n_valid_chunks": len(valid),
                "systematics": {k: float(np.nanmax(v)) for k, v in found.systematics.items()},
                "remarks": remarks,
            },
        )
        tables = {
            DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP: found.chunk_table(camera.obs_id),
            FLASHES_GROUP: found.flash_table(),
        }
        write_telescope_tables(self.output, subarray, camera.tel_id, tables, metadata)
        self.add_output(self.output, KIND)
        for remark in remarks:
            self.log.warning("%s", remark)
        for chunk in valid:
            self.log.info("throughput %.5f +- %.5f (stat)", chunk.mean, chunk.stat_error)


def main() -> None:
    """Run the Tool."""
    CalculateThroughputIlluminator().run()

"""Muon rings of one telescope and observation block."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .event_files import EventFilesTool
from .muon_settings import MuonSettings
from .night_tool import require

KIND = "throughput/muon_rings"
EXAMPLE_GROUP = "/calibpipe/throughput/muon_example"
WINDOW_SHIFT = 5  # samples


class CalculateMuonRings(EventFilesTool):
    """Find and fit the muon rings of one telescope.

    Images in one window for all pixels are made from DL0 muon events with the coefficients of the
    night; or from any file that ctapipe reads (--images). Rings are fitted with circles, then
    centre, radius, width, impact point and throughput together with the light of every pixel.

    Writes ctapipe's muon table with covariances, the absolute throughput and the verdict on each
    image beside. No muon events give a table without rows and a remark.
    """

    name = "calibpipe-calculate-muon-rings"
    description = __doc__
    examples = """
    calibpipe-calculate-muon-rings --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --index array/dl0_index.ecsv --dl0-root simulated --telescope LSTN-01 --obs-id 1 \\
        --coefficients LSTN-01/camera/coefficients.OBSID1.h5 \\
        --statistics LSTN-01/camera/pixel_statistics.OBSID1.h5 \\
        --extinction atmosphere/rayleigh_extinction.ecsv \\
        --output LSTN-01/throughput/muon_rings.OBSID1.h5
    """

    coefficients = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Camera coefficients"
    ).tag(config=True)
    statistics = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Pixel statistics: noise of each pixel; not given: of the pixels beside the ring",
    ).tag(config=True)
    extinction = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Rayleigh extinction of the night; not given: no air between muon and mirror",
    ).tag(config=True)
    images = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="File of muon events that ctapipe reads (simulation, R1, DL1), instead of DL0",
    ).tag(config=True)
    tel_id = traits.Int(0, min=0, help="Telescope of --images; 0: the only one").tag(config=True)
    event_type = traits.CaselessStrEnum(
        ["MUON", "SUBARRAY", "HARDWARE_STEREO"],
        "MUON",
        help="Events that are searched for rings; others than MUON where none are tagged",
    ).tag(config=True)
    window_width = traits.Int(0, min=0, help="Samples integrated; 0: as the coefficients say").tag(
        config=True
    )
    window_shift = traits.Int(
        None,
        allow_none=True,
        min=0,
        help="Of these, samples before the peak; not given: as the coefficients say, else 5",
    ).tag(config=True)
    saturation_in_adc = traits.Float(
        4000.0, help="Sample above which high gain is not used, or a pixel is saturated"
    ).tag(config=True)

    classes: ClassVar[list[type]] = [MuonSettings]
    aliases: ClassVar[dict] = EventFilesTool.aliases | {
        "coefficients": "CalculateMuonRings.coefficients",
        "statistics": "CalculateMuonRings.statistics",
        "extinction": "CalculateMuonRings.extinction",
        "images": "CalculateMuonRings.images",
        "tel-id": "CalculateMuonRings.tel_id",
        "event-type": "CalculateMuonRings.event_type",
    }

    def start(self) -> None:
        """Read images, find and fit rings, write."""
        self.load_site()
        extinction = self.air_extinction()
        if self.images is not None:
            self.of_images(extinction)
        else:
            self.of_dl0(extinction)

    def of_dl0(self, extinction: float) -> None:
        """Rings of DL0 events."""
        from ..camera.calibrated_images import CalibrationReport
        from ..core.dl0_camera import camera_configuration
        from ..core.monitoring_file import read_camera_coefficients
        from ..core.telescope import telescope_subarray

        require(self.coefficients is not None, f"{self.name} needs --coefficients for DL0")
        paths = self.event_files()
        camera = camera_configuration(paths[0])
        subarray = telescope_subarray(camera.tel_id)
        self.require_telescope(subarray.name, camera.tel_id)
        path = self.add_input(self.coefficients, "camera/coefficients")
        table = read_camera_coefficients(path, camera.tel_id)
        noise = self.noise(table, camera.tel_id)
        report = CalibrationReport()
        batches = self.calibrated(paths, table, report)
        found = self.rings(subarray, camera.tel_id, batches, extinction, noise)
        for path in paths:
            self.add_input(path, "dl0/events")
        about = {
            "sb_id": camera.sb_id,
            "obs_id": camera.obs_id,
            "focal_length": _focal_length(subarray.tel[camera.tel_id]),
            "camera_gain_error": _gain_error(table),
        }
        self.write(subarray, camera.tel_id, found, about, report.remarks())

    def of_images(self, extinction: float) -> None:
        """Rings of a file that ctapipe reads."""
        from ..camera.source_images import source_images

        require(
            not self.input_files and self.index is None,
            f"{self.name} takes --images or DL0 (--input, --index), not both",
        )
        path = self.add_input(self.images, "events")
        source = source_images(
            path,
            self.tel_id,
            window_width=self.window_width or 12,
            window_shift=WINDOW_SHIFT if self.window_shift is None else self.window_shift,
        )
        alone = source.subarray.select_subarray([source.tel_id])
        found = self.rings(alone, source.tel_id, source.batches, extinction, None)
        about = {
            "obs_id": source.obs_id,
            "focal_length": source.focal_length,
            "camera_gain_error": 0.0,
        }
        self.write(alone, source.tel_id, found, about, [])

    def air_extinction(self) -> float:
        """Of the air above the telescopes for the light of muons, 1/m; 0 if not given."""
        import astropy.units as u

        from ..core.products import read_table
        from ..throughput.muon_light import band_extinction, lowest_extinction

        if self.extinction is None:
            return 0.0
        kind = "atmosphere/rayleigh_extinction"
        table = read_table(self.add_input(self.extinction, kind), kind)
        header = table.meta["calibpipe"]
        extinction = lowest_extinction(
            header["altitude_in_km"] * u.km,
            table["optical_depth"],
            header["observation_altitude_in_km"] * u.km,
        )
        return band_extinction(table["wavelength"], extinction).to_value("1/m")

    def calibrated(self, paths: list[Path], table: Any, report: Any) -> Iterator[Any]:
        """Images of the muon events; none if there are no such events."""
        from ctapipe.containers import EventType

        from ..camera.calibrated_images import ImageSettings, calibrated_batches
        from ..core.exceptions import InsufficientStatisticsError

        extraction = table.meta["calibpipe"].get("extraction", {})
        width = self.window_width or extraction.get("window_width")
        shift = self.window_shift
        if shift is None:
            shift = extraction.get("flatfield_window_shift", WINDOW_SHIFT)
        require(
            width,
            f"{self.coefficients} does not say over how many samples charges are integrated; give "
            "--CalculateMuonRings.window_width",
        )
        settings = ImageSettings(width, shift, self.saturation_in_adc)
        kind = EventType[self.event_type].value
        options = {"event_types": [kind], "report": report, "is_checked": self.is_checked}
        try:
            yield from calibrated_batches(paths, table, settings, **options)
        except InsufficientStatisticsError:
            self.log.warning("no %s events in %s", self.event_type, paths[0].name)

    def noise(self, coefficients: Any, tel_id: int) -> Any:
        """Standard deviation of each pixel without light, p.e.; None if not known."""
        import numpy as np

        from ..core.statistics_file import read_pixel_statistics

        if self.statistics is None:
            return None
        path = self.add_input(self.statistics, "camera/pixel_statistics")
        name = "sky_pedestal_image"
        read = read_pixel_statistics(path, tel_id, [name])
        if name not in read.tables:
            return None
        std = np.asarray(read.tables[name]["std"], float)[:, 0]
        factor = np.asarray(coefficients["factor"], float)[:, 0]
        return np.nan_to_num(np.nanmedian(std, axis=0) * np.median(factor, axis=0))

    def rings(
        self, subarray: Any, tel_id: int, batches: Iterator[Any], extinction: float, noise: Any
    ) -> dict[str, Any]:
        """Rings of all batches, and what they were found with."""
        from ctapipe.coordinates import TelescopeFrame

        from ..throughput.muon_rings import CameraPixels, muon_rings, shown_ring

        settings = MuonSettings(subarray=subarray, parent=self)
        mirror, cuts = settings.mirror(tel_id, extinction), settings.cuts(tel_id)
        geometry = subarray.tel[tel_id].camera.geometry.transform_to(TelescopeFrame())
        camera = CameraPixels.of_geometry(geometry)
        found, shown = [], None
        for batch in batches:
            columns = muon_rings(
                batch.image,
                batch.is_unusable,
                batch.is_saturated,
                camera,
                mirror,
                cuts,
                noise=noise,
                spe_width=settings.spe_width(tel_id),
            )
            same = ("event_id", "time", "peak_time")
            found.append(columns | {name: getattr(batch, name) for name in same})
            if shown is None and (row := shown_ring(columns, mirror.radius)) is not None:
                shown = self.example(batch, columns, row, camera, mirror)
        return {
            "batches": found,
            "camera": camera,
            "mirror": mirror,
            "cuts": cuts,
            "shown": shown,
        }

    def example(self, batch: Any, columns: Any, row: int, camera: Any, mirror: Any) -> Any:
        """A ring to look at: its image, and what the fit expects."""
        import numpy as np
        from astropy.table import Table

        from ..throughput.muon_intensity import PARAMETERS, expected_charge

        values = np.array([columns[name][row] for name in PARAMETERS])
        rows: dict[str, Any] = {"event_id": [int(batch.event_id[row])]}
        rows |= {name: [value] for name, value in zip(PARAMETERS, values, strict=True)}
        rows["image"] = batch.image[row][np.newaxis]
        expected = expected_charge(values, camera.grid, mirror)
        rows["expected"] = expected.astype(np.float32)[np.newaxis]
        rows["is_used"] = ~(batch.is_unusable | batch.is_saturated)[row][np.newaxis]
        return Table(rows)

    def write(
        self,
        subarray: Any,
        tel_id: int,
        found: dict[str, Any],
        about: dict[str, Any],
        remarks: list[str],
    ) -> None:
        """Table of the rings."""
        from dataclasses import asdict

        from ..core.ctapipe_groups import DL1_TEL_MUON_GROUP
        from ..core.muon_file import MUON_DETAILS_GROUP
        from ..core.telescope_file import write_telescope_tables
        from ..throughput.muon_ring_table import ring_table
        from ..throughput.muon_rings import rejection_counts

        mirror = found["mirror"]
        table, details = ring_table(
            found["batches"],
            obs_id=about["obs_id"],
            tel_id=tel_id,
            area_ratio=found["camera"].area_ratio,
        )
        counts = rejection_counts(table["rejection"])
        name = self.telescope or subarray.name
        if not len(table):
            remarks = [*remarks, f"no {self.event_type} events"]
        if about["focal_length"] != "effective":
            remarks = [*remarks, "effective focal length not known: the equivalent one was used"]
        times = (table["time"][0], table["time"][-1]) if len(table) else None
        metadata = self.metadata(
            KIND,
            f"Muon rings of {name}, observation {about['obs_id']}",
            validity=times,
            details={
                "tel_id": tel_id,
                "array_element": name,
                **about,
                "mirror_radius_in_m": mirror.radius,
                "hole_radius_in_m": mirror.hole_radius,
                "extinction_per_m": mirror.extinction,
                "coma": mirror.coma,
                "focus_distance_in_m": _finite(mirror.focus_distance),
                "band_in_nm": [1e9 * edge for edge in mirror.band],
                "area_ratio": found["camera"].area_ratio,
                "cuts": asdict(found["cuts"]),
                "n_images": len(table),
                "n_rings": counts["good"],
                "rejected": counts,
                "remarks": remarks,
            },
        )
        tables = {DL1_TEL_MUON_GROUP: table, MUON_DETAILS_GROUP: details}
        if found["shown"] is not None:
            tables[EXAMPLE_GROUP] = found["shown"]
        write_telescope_tables(self.output, subarray, tel_id, tables, metadata)
        self.add_output(self.output, KIND)
        for remark in remarks:
            self.log.warning("%s", remark)
        self.log.info("%s: %d rings of %d images", self.output, counts["good"], len(table))


def _focal_length(telescope: Any) -> str:
    """Which focal length the camera's angles follow from."""
    import numpy as np

    effective = telescope.optics.effective_focal_length
    used = telescope.camera.geometry.frame.focal_length
    return "effective" if np.isclose(used, effective) else "equivalent"


def _finite(distance: float) -> float | None:
    """A distance, or None for infinity."""
    return distance if distance < float("inf") else None


def _gain_error(coefficients: Any) -> float:
    """Systematic error that the photoelectrons of all pixels have in common."""
    import numpy as np

    from ..camera.coefficient_errors import NEEDED, pixel_and_common_errors

    if not set(NEEDED) <= set(coefficients.colnames):
        return 0.0
    _, common = pixel_and_common_errors(coefficients)
    return float(np.hypot(common["gain"], common["calibration"]))


def main() -> None:
    """Run the Tool."""
    CalculateMuonRings().run()

"""Pixel statistics of one telescope and observation block, from DL0."""

from typing import Any

from ctapipe.core import traits

from .event_files import EventFilesTool

KIND = "camera/pixel_statistics"


class CalculatePixelStatistics(EventFilesTool):
    """Calculate statistics of every pixel from the calibration events of one telescope.

    Reads DL0 in one pass, all parallel streams together, and writes mean, median, spread and
    their errors of pedestal charge and variance and of flat-field charge and peak time, chunk by
    chunk, in the tables of ctapipe-calculate-pixel-statistics.

    The events are those of an observation block in the night's index (--index, --dl0-root,
    --telescope, --obs-id), or of the files that are given (--input).
    """

    name = "calibpipe-calculate-pixel-statistics"
    description = __doc__
    examples = """
    calibpipe-calculate-pixel-statistics --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --index array/dl0_index.ecsv --dl0-root simulated --telescope LSTN-01 --obs-id 1 \\
        --output LSTN-01/camera/pixel_statistics.OBSID1.h5
    """

    window_width = traits.Int(12, min=1, help="Samples that are integrated").tag(config=True)
    flatfield_window_shift = traits.Int(
        5, min=0, help="Samples of the window before the highest sample of a flat-field pulse"
    ).tag(config=True)
    flatfield_window_start = traits.Int(
        None,
        allow_none=True,
        min=0,
        help="First sample of a fixed window of flat fields, for scans with faint light; not "
        "given: about the highest sample",
    ).tag(config=True)
    pedestal_window_start = traits.Int(
        12, min=0, help="First sample of the fixed window of pedestals"
    ).tag(config=True)
    pedestal_type = traits.CaselessStrEnum(
        ["PEDESTAL", "DARK_PEDESTAL", "SKY_PEDESTAL"], "SKY_PEDESTAL", help="Events that are used"
    ).tag(config=True)
    pedestals_only = traits.Bool(
        False, help="Of an observation without flat fields (closed camera)"
    ).tag(config=True)
    flatfield_chunk_size = traits.Int(1000, min=2, help="Flat-field events in a chunk").tag(
        config=True
    )
    pedestal_chunk_size = traits.Int(1000, min=2, help="Pedestal events in a chunk").tag(
        config=True
    )
    chunk_duration_in_s = traits.Float(
        None,
        allow_none=True,
        help="Chunks of this length instead, with at most as many events as the sizes say",
    ).tag(config=True)
    max_sigma = traits.Float(5.0, min=0, help="Limit of sigma clipping; 0 clips nothing").tag(
        config=True
    )
    clipping_iterations = traits.Int(5, min=1, help="Largest number of clippings").tag(config=True)
    n_baseline_events = traits.Int(
        100,
        min=0,
        help="First pedestal events whose mean is subtracted from all samples before extraction; "
        "0 subtracts nothing, which spoils the peak times",
    ).tag(config=True)

    def start(self) -> None:
        """Stream the events, write the statistics."""
        from tqdm import tqdm

        from ..camera.dl0_statistics import observation_statistics

        self.load_site()
        paths = self.event_files()
        with tqdm(unit=" events", desc=self.telescope or None, disable=None) as progress:
            found = observation_statistics(
                paths,
                self.settings(),
                progress=progress.update,
                is_checked=self.is_checked,
            )
        for path in paths:
            self.add_input(path, "dl0/events")
        for remark in found.report.remarks():
            self.log.warning("%s", remark)
        self.write(found)

    def settings(self) -> Any:
        """Settings of the configuration."""
        from ..camera.dl0_statistics import StatisticsSettings

        return StatisticsSettings(
            window_width=self.window_width,
            flatfield_window_shift=self.flatfield_window_shift,
            flatfield_window_start=self.flatfield_window_start,
            pedestal_window_start=self.pedestal_window_start,
            pedestals_only=self.pedestals_only,
            pedestal_type=self.pedestal_type,
            flatfield_chunk_size=self.flatfield_chunk_size,
            pedestal_chunk_size=self.pedestal_chunk_size,
            chunk_duration=self.chunk_duration_in_s,
            max_sigma=self.max_sigma,
            clipping_iterations=self.clipping_iterations,
            n_baseline_events=self.n_baseline_events,
        )

    def write(self, found: Any) -> None:
        """Statistics with what the next step has to know of their making."""
        from dataclasses import asdict

        from astropy.time import Time

        from ..camera.pixel_statistics import statistics_table
        from ..core.statistics_file import write_pixel_statistics
        from ..core.telescope import telescope_subarray

        tel_id = found.camera.tel_id
        subarray = telescope_subarray(tel_id)
        name = subarray.tel[tel_id].name
        self.require_telescope(subarray.name, tel_id)
        chunks = (*found.pedestal_charge, *found.flatfield_charge)
        validity = (min(c.time_start for c in chunks), max(c.time_end for c in chunks))
        metadata = self.metadata(
            KIND,
            f"Pixel statistics of {subarray.name}, observation {found.camera.obs_id}",
            validity=tuple(Time(t, format="unix_tai", scale="tai") for t in validity),
            details={
                "tel_id": tel_id,
                "array_element": subarray.name,
                "camera": name,
                "sb_id": found.camera.sb_id,
                "obs_id": found.camera.obs_id,
                "extraction": asdict(self.settings()),
                "n_events_read": found.report.n_events,
                "remarks": found.report.remarks(),
            },
        )
        quantities = {
            "sky_pedestal_image": found.pedestal_charge,
            "sky_pedestal_variance": found.pedestal_variance,
            "flatfield_image": found.flatfield_charge,
            "flatfield_peak_time": found.flatfield_peak_time,
        }
        write_pixel_statistics(
            self.output,
            subarray,
            tel_id,
            {name: statistics_table(chunks) for name, chunks in quantities.items() if chunks},
            metadata,
            baseline=None if found.baseline is None else found.baseline.mean,
        )
        self.add_output(self.output, KIND)
        self.log.info(
            "%s: %d pedestal and %d flat-field chunks of %d events",
            self.output,
            len(found.pedestal_charge),
            len(found.flatfield_charge),
            found.report.n_selected,
        )


def main() -> None:
    """Run the Tool."""
    CalculatePixelStatistics().run()

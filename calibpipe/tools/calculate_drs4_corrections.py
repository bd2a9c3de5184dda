"""DRS4 corrections of one telescope from runs of raw data."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .event_files import EventFilesTool
from .night_tool import require

KIND = "camera/drs4"
CAPACITORS_GROUP = "/calibpipe/camera/drs4_capacitors"
PIXELS_GROUP = "/calibpipe/camera/drs4"
LAW_GROUP = "/calibpipe/camera/drs4_time_lapse"
POINTS_GROUP = "/calibpipe/camera/drs4_time_lapse_points"
SAMPLING_GROUP = "/calibpipe/camera/drs4_sampling_times"


class CalculateDrs4Corrections(EventFilesTool):
    """Calculate baselines of capacitors, time lapse and sampling times of DRS4 chips (LST).

    From dark pedestals at random times (20 000 of LSTs: 195 readings of each capacitor), not
    corrected on site, with the numbers of first capacitors (first_cell_id). With a run of flat
    fields or other pulses, raw as well (--flatfield, or --flatfield-obs-id with an index), sampling
    times, too. Runs are given as files, or by their observation blocks in the night's index.

    Writes baseline, error, readings and status of each capacitor; noise, systematic error and
    status of each pixel and gain; the law of the time lapse with covariance and the points that it
    was fitted to; Fourier coefficients of the sampling times.
    """

    name = "calibpipe-calculate-drs4-corrections"
    description = __doc__
    examples = """
    calibpipe-calculate-drs4-corrections --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --index array/dl0_index.ecsv --dl0-root simulated --telescope LSTN-01 --obs-id 112 \\
        --output LSTN-01/camera/drs4.h5
    """

    flatfield_files = traits.List(
        traits.Path(exists=None, directory_ok=False), help="DL0 files of the run of pulses"
    ).tag(config=True)
    flatfield_obs_id = traits.Int(
        0, min=0, help="Observation block of the run of pulses; 0: none"
    ).tag(config=True)
    dark_event_type = traits.CaselessStrEnum(
        ["DARK_PEDESTAL", "PEDESTAL", "SKY_PEDESTAL"], "DARK_PEDESTAL", help="Events without light"
    ).tag(config=True)
    flatfield_event_type = traits.CaselessStrEnum(
        ["FLATFIELD", "OTHER_CALIBRATION"], "FLATFIELD", help="Events with pulses"
    ).tag(config=True)
    n_skipped = traits.Int(
        2, min=0, help="Samples at both ends of the readout that do not count: they are noisy"
    ).tag(config=True)
    min_entries = traits.Int(10, min=2, help="Readings of a capacitor").tag(config=True)
    rest_in_ms = traits.Float(
        100.0, min=0.1, help="After which a capacitor has forgotten that it was read"
    ).tag(config=True)
    time_lapse = traits.CaselessStrEnum(
        ["fitted", "given"], "fitted", help="Fit the law, or take that of known_time_lapse"
    ).tag(config=True)
    known_time_lapse = traits.List(
        traits.Float(),
        default_value=[32.99, 0.22, 11.9],
        help="a, b and c of a t^-b - c (ADC, ms) where it is given; LST at 20 °C",
    ).tag(config=True)
    min_known = traits.Float(
        0.9, min=0, max=1, help="Part of the capacitors of a pixel that need a baseline"
    ).tag(config=True)
    noise_range = traits.List(
        traits.Float(min=0),
        default_value=[0.5, 2.0],
        help="Of the noise of a pixel, over the median of its gain",
    ).tag(config=True)
    max_capacitor_noise = traits.Float(
        3.0, min=1, help="Noise of a capacitor over that of its pixel"
    ).tag(config=True)
    window_width = traits.Int(12, min=1, help="Samples of a pulse").tag(config=True)
    window_shift = traits.Int(5, min=0, help="Of them before the highest").tag(config=True)
    min_charge_in_adc = traits.List(
        traits.Float(min=0), default_value=[200.0, 200.0], help="Of a pulse, high and low gain"
    ).tag(config=True)
    n_harmonics = traits.Int(16, min=1, max=63, help="Of the sampling times").tag(config=True)
    min_pulses = traits.Int(10, min=2, help="In each bin of 8 capacitors").tag(config=True)
    validity_in_days = traits.Float(30.0, min=0.5, help="From the begin of the dark run").tag(
        config=True
    )

    aliases: ClassVar[dict] = EventFilesTool.aliases | {
        "flatfield": "CalculateDrs4Corrections.flatfield_files",
        "flatfield-obs-id": "CalculateDrs4Corrections.flatfield_obs_id",
        "time-lapse": "CalculateDrs4Corrections.time_lapse",
    }

    def start(self) -> None:
        """Read the runs, calculate, write."""
        from ..camera.drs4_run import drs4_corrections
        from ..core.dl0_camera import camera_configuration
        from ..core.telescope import telescope_subarray

        self.load_site()
        dark, pulses = self.run_files()
        tel_id = camera_configuration(dark[0]).tel_id
        subarray = telescope_subarray(tel_id)
        self.require_telescope(subarray.name, tel_id)
        settings = self.settings()
        passes = 2 if settings.law else 3
        with self.progress("dark events", passes) as progress:
            found = drs4_corrections(
                self.raw_run(dark, {self.event_type(self.dark_event_type)}, progress), settings
            )
        sampling, n_pulses, of_pulses = None, 0, None
        if pulses:
            of_pulses = camera_configuration(pulses[0])
            require(
                of_pulses.tel_id == tel_id,
                f"the run of pulses is of telescope {of_pulses.tel_id}, the dark one of {tel_id}",
            )
            sampling, n_pulses = self.sampling_times(pulses, found)
        for path in [*dark, *pulses]:
            self.add_input(path, "dl0/events")
        self.write(found, sampling, n_pulses, of_pulses, subarray)

    def run_files(self) -> tuple[list[Path], list[Path]]:
        """DL0 files of the dark run and of the run of pulses."""
        from ..core.dl0_files import block_files
        from ..core.products import read_table

        dark = self.event_files()
        if self.input_files:
            require(
                not self.flatfield_obs_id,
                f"{self.name}: observation blocks need --index, not --input",
            )
            return dark, [Path(path) for path in self.flatfield_files]
        require(
            not self.flatfield_files,
            f"{self.name}: with --index give --flatfield-obs-id, not files",
        )
        if not self.flatfield_obs_id:
            return dark, []
        index = read_table(Path(self.index), "array/dl0_index")
        return dark, block_files(index, self.dl0_root, self.telescope, self.flatfield_obs_id)

    def progress(self, what: str, passes: int = 1) -> Any:
        """Bar of the events that were read."""
        from tqdm import tqdm

        return tqdm(unit=f" {what}", desc=f"read {passes} times", disable=None)

    def raw_run(self, paths: list[Path], event_types: set[int] | None, progress: Any) -> Any:
        """A run that can be read again and again."""
        from ..camera.drs4_run import RawRun

        return RawRun(
            paths,
            event_types,
            n_skipped=self.n_skipped,
            progress=progress.update,
            is_checked=self.is_checked,
        )

    def event_type(self, name: str) -> int:
        """Value of a type of events."""
        from ctapipe.containers import EventType

        return EventType[name].value

    def settings(self) -> Any:
        """Settings of baselines and time lapse."""
        from ..camera.drs4_run import Drs4Settings
        from ..camera.drs4_time_lapse import TimeLapse

        for name, n in (("noise_range", 2), ("known_time_lapse", 3)):
            given = getattr(self, name)
            require(len(given) == n, f"{name} has {len(given)} values, needs {n}")
        law = TimeLapse(*self.known_time_lapse, max_time=self.rest_in_ms)
        return Drs4Settings(
            n_skipped=self.n_skipped,
            min_entries=self.min_entries,
            rest=self.rest_in_ms,
            law=law if self.time_lapse == "given" else None,
            min_known=self.min_known,
            noise_range=tuple(self.noise_range),
            max_noise=self.max_capacitor_noise,
        )

    def sampling_times(self, paths: list[Path], found: Any) -> tuple[Any, int]:
        """Sampling times, and the number of pulses."""
        from ..camera.drs4_pulses import PulseSettings, pulse_sampling_times

        n_channels = found.camera.num_channels
        settings = PulseSettings(
            event_type=self.event_type(self.flatfield_event_type),
            window_width=self.window_width,
            window_shift=self.window_shift,
            min_charge=tuple(self.min_charge_in_adc[:n_channels]),
            n_harmonics=self.n_harmonics,
            min_entries=self.min_pulses,
        )
        with self.progress("pulses") as progress:
            run = self.raw_run(paths, None, progress)
            return pulse_sampling_times(run, found.baseline, found.law, settings)

    def write(
        self, found: Any, sampling: Any, n_pulses: int, of_pulses: Any, subarray: Any
    ) -> None:
        """Tables of capacitors, pixels, law and sampling times."""
        import astropy.units as u
        import numpy as np
        from astropy.time import Time

        from ..camera import drs4_tables as tables_of
        from ..core.telescope_file import write_telescope_tables

        camera, law = found.camera, found.law
        begin = Time(found.time_start, format="unix_tai", scale="tai")
        tables = {
            PIXELS_GROUP: tables_of.pixels_table(found),
            CAPACITORS_GROUP: tables_of.capacitors_table(found),
            LAW_GROUP: tables_of.law_table(found),
        }
        if found.time.size:
            tables[POINTS_GROUP] = tables_of.points_table(found)
        if sampling is not None:
            tables[SAMPLING_GROUP] = tables_of.sampling_table(sampling)
        remarks = [*found.report.remarks(), *tables_of.remarks(found)]
        runs = {"dark": camera.obs_id} | ({"pulses": of_pulses.obs_id} if of_pulses else {})
        metadata = self.metadata(
            KIND,
            f"DRS4 corrections of {subarray.name}, observation {camera.obs_id}",
            validity=(begin, begin + self.validity_in_days * u.day),
            details={
                "tel_id": camera.tel_id,
                "array_element": subarray.name,
                "sb_id": camera.sb_id,
                "obs_id": camera.obs_id,
                "runs": runs,
                "n_events": {"dark": found.report.n_selected, "pulses": n_pulses},
                "time_lapse": self.time_lapse,
                "n_pixels_with_status": [int(n) for n in (found.status != 0).sum(axis=1)],
                "known_fraction": float(np.isfinite(found.baseline).mean()),
                "remarks": remarks,
            },
        )
        write_telescope_tables(self.output, subarray, camera.tel_id, tables, metadata)
        self.add_output(self.output, KIND)
        for remark in remarks:
            self.log.warning("%s", remark)
        self.log.info(
            "%s: noise %s ADC (median), %s pixels with a status, time lapse %.2f t^-%.4f - %.2f",
            self.output,
            np.round(np.nanmedian(np.where(found.status == 0, found.noise, np.nan), axis=1), 2),
            (found.status != 0).sum(axis=1),
            *(law.amplitude, law.exponent, law.offset),
        )


def main() -> None:
    """Run the Tool."""
    CalculateDrs4Corrections().run()

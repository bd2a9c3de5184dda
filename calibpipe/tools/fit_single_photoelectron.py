"""Single photoelectrons of the pixels of one telescope, from dedicated runs."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .event_files import EventFilesTool
from .night_tool import require

KIND = "camera/single_photoelectron"
GROUP = "/calibpipe/camera/single_photoelectron"
SPECTRA_GROUP = "/calibpipe/camera/single_photoelectron_spectra"


class FitSinglePhotoelectron(EventFilesTool):
    """Fit gain, resolution and excess noise of every pixel to spectra of few photoelectrons.

    Reads DL0 of a run with weak light at nominal voltage and, where there are such, of a run at
    high voltage (which gives the shape of the charge of one photoelectron) and of a dark run
    (which gives the pedestal; else the samples before the light do). Runs are given as files, or
    by their observation blocks in the night's index.
    """

    name = "calibpipe-fit-single-photoelectron"
    description = __doc__
    examples = """
    calibpipe-fit-single-photoelectron --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --input TEL005_..._OBSID...1_..._CHUNK000.fits.fz \\
        --high-voltage TEL005_..._OBSID...2_..._CHUNK000.fits.fz \\
        --output MSTN-01/camera/single_photoelectron.h5
    """

    high_voltage_files = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="DL0 files of the run at high voltage",
    ).tag(config=True)
    dark_files = traits.List(
        traits.Path(exists=None, directory_ok=False), help="DL0 files of the run without light"
    ).tag(config=True)
    high_voltage_obs_id = traits.Int(
        0, min=0, help="Observation block of the run at high voltage; 0: none"
    ).tag(config=True)
    dark_obs_id = traits.Int(
        0, min=0, help="Observation block of the run without light; 0: none"
    ).tag(config=True)
    event_type = traits.CaselessStrEnum(
        ["SINGLE_PE", "FLATFIELD"], "SINGLE_PE", help="Events with light"
    ).tag(config=True)
    dark_event_type = traits.CaselessStrEnum(
        ["DARK_PEDESTAL", "PEDESTAL", "SKY_PEDESTAL"], "DARK_PEDESTAL", help="Events without"
    ).tag(config=True)
    window_start = traits.Int(12, min=0, help="First sample of the window of light").tag(
        config=True
    )
    window_width = traits.Int(12, min=1, help="Samples that are summed").tag(config=True)
    pedestal_window_start = traits.Int(
        0, min=-1, help="First sample of the window before the light; -1: there is none"
    ).tag(config=True)
    n_bins = traits.Int(600, min=50, max=8192, help="Of a spectrum").tag(config=True)
    n_range_events = traits.Int(
        256, min=10, help="First events, from which the range of each pixel follows"
    ).tag(config=True)
    saturation = traits.Int(4095, min=1, help="Stored value of a saturated sample").tag(config=True)
    sensor = traits.CaselessStrEnum(
        ["photomultiplier", "sipm"], "photomultiplier", help="Of the camera"
    ).tag(config=True)
    p_raw = traits.Float(
        0.42,
        min=0.01,
        max=0.99,
        help="Shape of the charge of one photoelectron, without a run at "
        "high voltage: half-normal part",
    ).tag(config=True)
    n = traits.Float(0.813, min=0.01, max=0.9, help="The same: width of the Gaussian part").tag(
        config=True
    )
    p_raw_error = traits.Float(0.05, min=0, max=0.5, help="Its uncertainty").tag(config=True)
    n_error = traits.Float(0.05, min=0, max=0.09, help="Its uncertainty").tag(config=True)
    recovery_ratio = traits.Float(
        1.0, min=0.05, max=20, help="SiPM: recovery time over mean delay of after-pulses"
    ).tag(config=True)
    min_events = traits.Int(2000, min=100, help="Of a pixel").tag(config=True)
    min_signal_events = traits.Int(
        100, min=1, help="Events 5 standard deviations above the pedestal"
    ).tag(config=True)
    max_light = traits.Float(4.5, min=0.1, max=6, help="Mean photoelectrons").tag(config=True)
    max_saturated = traits.Float(1e-3, min=0, max=1, help="Fraction of events").tag(config=True)
    max_outside = traits.Float(
        0.01, min=0, max=1, help="Fraction of events outside the range of the spectrum"
    ).tag(config=True)
    min_p_value = traits.Float(1e-6, min=0, max=1, help="Less is a poor fit").tag(config=True)
    max_relative_deviation = traits.Float(
        0.5, min=0, help="Of a gain from the median of the camera"
    ).tag(config=True)
    min_separation = traits.Float(1.5, min=0, help="Gain over the width of the pedestal").tag(
        config=True
    )
    dark_in_fit = traits.Bool(
        False, help="Fit the spectrum without light together with the others"
    ).tag(config=True)
    validity_in_days = traits.Float(30.0, min=0.5, help="From the begin of the first run").tag(
        config=True
    )

    aliases: ClassVar[dict] = EventFilesTool.aliases | {
        "high-voltage": "FitSinglePhotoelectron.high_voltage_files",
        "dark": "FitSinglePhotoelectron.dark_files",
        "high-voltage-obs-id": "FitSinglePhotoelectron.high_voltage_obs_id",
        "dark-obs-id": "FitSinglePhotoelectron.dark_obs_id",
        "sensor": "FitSinglePhotoelectron.sensor",
    }

    def start(self) -> None:
        """Spectra, fit, checks of the camera, product."""
        from ..camera.single_photoelectron import single_photoelectrons
        from ..camera.spe_table import (
            require_channels,
            require_high_voltage,
            require_photoelectrons,
            with_outliers,
        )

        self.load_site()
        runs = self.read_runs()
        nominal, high = runs["nominal"], runs.get("high_voltage")
        for name, run in runs.items():
            require_channels(run.charge, f"{name} run, observation {run.camera.obs_id}")
        spectra = self.spectra(nominal, runs.get("dark"))
        result = single_photoelectrons(
            spectra, None if high is None else self.spectra(high, None), self.settings()
        )
        n_channels = len(nominal.charge.low_edge)
        where = f"observation {nominal.camera.obs_id} of telescope {nominal.camera.tel_id}"
        status = with_outliers(result, n_channels, self.max_relative_deviation)
        require_photoelectrons(status, n_channels, where)
        require_high_voltage(result, where)
        self.write(runs, result, status)

    def settings(self) -> Any:
        """Settings of the fit."""
        from dataclasses import fields

        from ..camera.spe_spectra import SpeSettings

        names = {entry.name for entry in fields(SpeSettings)} - {"fit"}
        return SpeSettings(**{name: getattr(self, name) for name in names})

    def read_runs(self) -> dict[str, Any]:
        """Spectra of the runs: nominal, high voltage and dark, as far as they are given."""
        from tqdm import tqdm

        from ..camera.charge_histograms import HistogramSettings, charge_run

        before = self.pedestal_window_start
        require(
            before < 0 or before + self.window_width <= self.window_start,
            f"the window of the pedestal, samples {before} to {before + self.window_width - 1}, "
            f"reaches into that of the light, which begins at {self.window_start}; move it before "
            "the light, or set pedestal_window_start to -1",
        )
        settings = HistogramSettings(
            event_type=self.event_type,
            window_start=self.window_start,
            window_width=self.window_width,
            pedestal_window_start=None if before < 0 else before,
            n_bins=self.n_bins,
            n_range_events=self.n_range_events,
            saturation=self.saturation,
        )
        runs: dict[str, Any] = {}
        for name, paths in self.run_files().items():
            own, edges = settings, None
            if name == "dark":
                from dataclasses import replace

                own = replace(settings, event_type=self.dark_event_type, pedestal_window_start=None)
                edges = runs["nominal"].charge
            with tqdm(unit=" events", desc=name, disable=None) as progress:
                runs[name] = charge_run(
                    paths,
                    own,
                    edges=edges,
                    tel_id=runs["nominal"].camera.tel_id if runs else None,
                    progress=progress.update,
                    is_checked=self.is_checked,
                )
            for path in paths:
                self.add_input(path, "dl0/events")
        return runs

    def run_files(self) -> dict[str, list[Path]]:
        """DL0 files of each run."""
        from ..core.dl0_files import block_files
        from ..core.products import read_table

        runs = {"nominal": self.event_files()}
        if self.input_files:
            blocks = self.high_voltage_obs_id or self.dark_obs_id
            require(not blocks, f"{self.name}: observation blocks need --index, not --input")
            given = {"high_voltage": self.high_voltage_files, "dark": self.dark_files}
            return runs | {name: [Path(p) for p in files] for name, files in given.items() if files}
        require(
            not (self.high_voltage_files or self.dark_files),
            f"{self.name}: with --index give --high-voltage-obs-id and --dark-obs-id, not files",
        )
        index = read_table(Path(self.index), "array/dl0_index")
        ids = {"high_voltage": self.high_voltage_obs_id, "dark": self.dark_obs_id}
        return runs | {
            name: block_files(index, self.dl0_root, self.telescope, obs_id)
            for name, obs_id in ids.items()
            if obs_id
        }

    def spectra(self, run: Any, dark: Any) -> Any:
        """Spectra along one axis, with the best that is known of the pedestal."""
        from ..camera.spe_spectra import Spectra

        without = run.pedestal if dark is None else dark.charge
        return Spectra(run.charge.flat(), None if without is None else without.flat())

    def write(self, runs: dict[str, Any], result: Any, status: Any) -> None:
        """Tables of pixels and of spectra."""
        import astropy.units as u
        from astropy.time import Time

        from ..camera.spe_table import common_difference, spe_table, spectra_table
        from ..core.telescope import telescope_subarray
        from ..core.telescope_file import write_telescope_tables

        nominal = runs["nominal"]
        tel_id, n_channels = nominal.camera.tel_id, len(nominal.charge.low_edge)
        subarray = telescope_subarray(tel_id)
        element = subarray.name
        self.require_telescope(element, tel_id)
        difference = common_difference(result, status, n_channels)
        begin = Time(min(r.time_start for r in runs.values()), format="unix_tai", scale="tai")
        facts = _facts(result, status, n_channels)
        metadata = self.metadata(
            KIND,
            f"Single photoelectrons of {element}, observation {nominal.camera.obs_id}",
            validity=(begin, begin + self.validity_in_days * u.day),
            details={
                "tel_id": tel_id,
                "array_element": element,
                "camera": subarray.tel[tel_id].name,
                "sb_id": nominal.camera.sb_id,
                "obs_id": nominal.camera.obs_id,
                "runs": {name: run.camera.obs_id for name, run in runs.items()},
                "n_events": {name: run.report.n_selected for name, run in runs.items()},
                "extraction": {
                    "window_start": self.window_start,
                    "window_width": self.window_width,
                },
                "shape": "given" if "high_voltage" not in runs else "of high voltage",
                "model_difference": difference.tolist(),
                "remarks": [text for run in runs.values() for text in run.report.remarks()],
            }
            | facts,
        )
        spectra = {n: run.charge for n, run in runs.items() if n != "dark"}
        tables = {
            GROUP: spe_table(result, status, nominal.charge.flat().n_events, difference),
            SPECTRA_GROUP: spectra_table(spectra),
        }
        write_telescope_tables(self.output, subarray, tel_id, tables, metadata)
        self.add_output(self.output, KIND)
        for channel, fact in enumerate(facts["channels"]):
            self.log.info(
                "%s channel %d: %d of %d pixels, gain %s ADC, resolution %s",
                *(element, channel, fact["n_good"], fact["n_pixels"]),
                *(fact["gain"], fact["resolution"]),
            )


def _facts(result: Any, status: Any, n_channels: int) -> dict[str, Any]:
    """Numbers of the camera for the header."""
    import numpy as np

    from ..camera.spe_status import FATAL, REASONS

    rows = []
    of_channel = status.reshape(n_channels, -1)
    for channel, own in enumerate(of_channel):
        good = (own & FATAL) == 0
        fact: dict[str, Any] = {"n_pixels": int(own.size), "n_good": int(good.sum())}
        for name in ("gain", "resolution", "squared_excess_noise_factor", "light"):
            values = result[name].reshape(n_channels, -1)[channel][good]
            fact[name] = float(np.median(values)) if values.size else None
        fact["reasons"] = {
            text: int(np.count_nonzero(own & bit))
            for bit, text in REASONS.items()
            if (own & bit).any()
        }
        rows.append(fact)
    return {
        "channels": rows,
        "status_bits": {int(bit): f"{bit.name}: {text}" for bit, text in REASONS.items()},
    }


def main() -> None:
    """Run the Tool."""
    FitSinglePhotoelectron().run()

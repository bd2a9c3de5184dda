"""Pedestal of one telescope from a run of the closed camera, and under the night sky."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .calculate_photon_transfer import KIND as TRANSFER
from .calculate_photon_transfer import PIXELS_GROUP, SKY_GROUP
from .certified_gains import certified_photon_transfer
from .night_tool import NightTool, require
from .run_statistics_tool import RunStatisticsTool

KIND = "camera/pedestal"
PEDESTAL_GROUP = "/calibpipe/camera/pedestal"
CHARGE, SAMPLES = "sky_pedestal_image", "sky_pedestal_variance"


class CalculatePedestal(RunStatisticsTool):
    """Calculate baseline and noise of every pixel, with closed camera and under the night sky.

    Reads the pixel statistics of a run of the closed camera (--dark), those of runs with sky
    pedestals (--sky, as many as there are) and the gains of a photon transfer (--photon-transfer,
    or the newest certified one of --archive).

    Writes mean and rms per sample and per window of both kinds, the rate of the night sky from
    the difference of their variances, and what is wrong with a pixel. Statistical and systematic
    errors everywhere. Without sky or gain the rate is NaN, and the header says why.
    """

    name = "calibpipe-calculate-pedestal"
    description = __doc__
    examples = """
    calibpipe-calculate-pedestal --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --dark LSTN-01/camera/run_statistics.OBSID101.h5 \\
        --sky LSTN-01/camera/run_statistics.OBSID102.h5 \\
        --archive calibration_archive --output LSTN-01/camera/pedestal.h5
    """

    dark = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Pixel statistics of the closed camera",
    ).tag(config=True)
    sky = traits.List(
        traits.Path(exists=None, directory_ok=False),
        default_value=[],
        help="Pixel statistics of runs with sky pedestals",
    ).tag(config=True)
    photon_transfer = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Product with the gains"
    ).tag(config=True)
    archive = traits.Path(
        None,
        allow_none=True,
        exists=None,
        file_ok=False,
        help="Calibration archive: without --photon-transfer, its newest certified one of the "
        "telescope of the nights before",
    ).tag(config=True)
    gains_age_in_days = traits.Float(
        62.0, min=1, help="Age of a certified photon transfer above which its gains say nothing"
    ).tag(config=True)
    validity_in_days = traits.Float(30.0, min=0.5, help="From the begin of the first run").tag(
        config=True
    )

    aliases: ClassVar[dict] = NightTool.aliases | {
        "dark": "CalculatePedestal.dark",
        "sky": "CalculatePedestal.sky",
        "photon-transfer": "CalculatePedestal.photon_transfer",
        "archive": "CalculatePedestal.archive",
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "dark")

    def start(self) -> None:
        """Read the runs, calculate, write."""
        from ..camera.pedestal_table import pedestal_table

        site = self.load_site()
        self.remarks: list[str] = []
        dark, *sky = runs = [self.statistics(path) for path in (self.dark, *self.sky)]
        self.check_same(runs)
        self.check_type(dark, "DARK_PEDESTAL")
        for entry in sky:
            self.check_type(entry, "SKY_PEDESTAL")
        gains = self.gains(site, dark)
        self.no_rate = "no sky pedestals are given" if not sky else self.no_gains
        found = pedestal_table(
            self.chunks([dark]),
            self.chunks(sky) if sky else None,
            gains,
            dark.subarray.tel[dark.tel_id].camera.readout,
            dark.header["extraction"]["window_width"],
        )
        self.write(found, dark, sky)

    def check_type(self, statistics: Any, kind: str) -> None:
        """The pedestals of a run are of the kind that is asked for; PEDESTAL may be any."""
        found = statistics.header["extraction"].get("pedestal_type")
        require(
            found in (kind, "PEDESTAL"),
            f"{statistics.path} is made of {found}, needs {kind}: a run of another type",
        )

    def chunks(self, runs: list[Any]) -> tuple[list[Any], list[Any]]:
        """Charges with their baseline, and variances within waveforms, of all runs."""
        from ..camera.pedestal import with_baseline
        from ..camera.pixel_statistics import chunks_of_table

        charges, samples = [], []
        for run in runs:
            missing = [name for name in (CHARGE, SAMPLES) if name not in run.tables]
            require(not missing, f"{run.path} has no {', '.join(missing)}: a run of another type")
            own = {name: chunks_of_table(run.tables[name]) for name in (CHARGE, SAMPLES)}
            width = run.header["extraction"]["window_width"]
            subtracted = 0.0 if run.baseline is None else run.baseline
            charges += with_baseline(own[CHARGE], subtracted, width)
            samples += own[SAMPLES]
        if len(charges) < 2:
            self.remarks.append(
                f"observation {runs[0].header['obs_id']} is one chunk: its drift, the systematic "
                "error of baseline and rms, is not known"
            )
        return charges, samples

    def gains(self, site: Any, dark: Any) -> Any:
        """Gains of the pixels; None without, with the reason in `no_gains`."""
        from ..camera.pedestal_table import GAIN_COLUMNS, WINDOW_COLUMNS, gains_of_tables
        from ..core.telescope_file import read_telescope_table, telescope_groups

        path, self.no_gains = self.photon_transfer, ""
        if path is None:
            name = dark.header.get("array_element", dark.subarray.name)
            path = certified_photon_transfer(self, site, name, self.gains_age_in_days)
        if path is None:
            self.no_gains = "no gain is known: no photon transfer is given" + (
                ""
                if self.archive is None
                else f", none certified in the {self.gains_age_in_days:g} days before"
            )
            return None
        self.add_input(path, TRANSFER)
        if SKY_GROUP not in telescope_groups(path):
            self.no_gains = (
                f"the photon transfer {Path(path).name} has no correction of its window; make it "
                "with pedestals of the closed camera"
            )
            return None
        pixels, sky = (
            read_telescope_table(path, group, dark.tel_id, TRANSFER, columns)
            for group, columns in ((PIXELS_GROUP, GAIN_COLUMNS), (SKY_GROUP, WINDOW_COLUMNS))
        )
        return gains_of_tables(pixels, sky, dark.tables[CHARGE]["mean"].shape[1:])

    def write(self, table: Any, dark: Any, sky: list[Any]) -> None:
        """Table of the telescope."""
        import astropy.units as u
        import numpy as np
        from astropy.time import Time

        from ..camera.light_scan import camera_median
        from ..camera.pedestal import MIN_EVENTS
        from ..core.exceptions import InsufficientStatisticsError
        from ..core.telescope_file import write_telescope_tables

        if not np.isfinite(table["dark_mean"]).any():
            raise InsufficientStatisticsError(
                f"{dark.path}: no pixel has {MIN_EVENTS} events of the closed camera that "
                "fluctuate; give a longer run, look at the camera"
            )
        name = dark.header.get("array_element", dark.subarray.name)
        times = [run.tables[CHARGE]["time_start"].unix_tai.min() for run in (dark, *sky)]
        begin = Time(min(times), format="unix_tai", scale="tai")
        if self.no_rate:
            self.remarks.append(f"no rate of the night sky: {self.no_rate}")
        status = np.asarray(table["status"][0])
        metadata = self.metadata(
            KIND,
            f"Pedestal of {name}",
            validity=(begin, begin + self.validity_in_days * u.day),
            details={
                "tel_id": dark.tel_id,
                "array_element": name,
                "obs_id": dark.header["obs_id"],
                "sky_obs_ids": [run.header["obs_id"] for run in sky],
                "extraction": dark.header["extraction"],
                "no_nsb_rate": self.no_rate,
                "n_pixels_with_status": [int(n) for n in (status != 0).sum(axis=1)],
                "remarks": self.remarks,
            },
        )
        tables = {PEDESTAL_GROUP: table}
        write_telescope_tables(self.output, dark.subarray, dark.tel_id, tables, metadata)
        self.add_output(self.output, KIND)
        for remark in self.remarks:
            self.log.warning("%s", remark)
        self.log.info(
            "%s: baseline %s ADC, rms in the window %s ADC (medians), %s pixels with a status",
            self.output,
            *(
                np.round(camera_median(np.asarray(table[name][0]))[:, 0], 2)
                for name in ("dark_mean", "dark_window_rms")
            ),
            (status != 0).sum(axis=1),
        )


def main() -> None:
    """Run the Tool."""
    CalculatePedestal().run()

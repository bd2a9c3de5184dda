"""Photon transfer, linearity and ratio of gains of one telescope from a filter scan."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require
from .run_statistics_tool import RunStatisticsTool

KIND = "camera/photon_transfer"
PIXELS_GROUP = "/calibpipe/camera/photon_transfer"
POINTS_GROUP = "/calibpipe/camera/linearity"
RATIO_GROUP = "/calibpipe/camera/gain_ratio"
SKY_GROUP = "/calibpipe/camera/night_sky"


class CalculatePhotonTransfer(RunStatisticsTool):
    """Calculate gain, noise, linearity and ratio of gains of every pixel from a filter scan.

    Reads the pixel statistics of each run of the scan (flat fields and pedestals of the same run,
    best with a fixed window: flatfield_window_start) and the table of the runs (ECSV: obs_id,
    run_type, transmission, transmission_error; monitor and monitor_error if a diode has seen the
    light). Pedestals of the closed camera (--dark) tell the noise of the electronics, and with it
    the rate of the night sky.

    Writes gain, read noise, quadratic noise B², turn-off, range of linearity and saturation; light,
    residuals and the correction by point of the scan; the ratio of the gains; and what is wrong
    with a pixel. Statistical and systematic errors everywhere.
    """

    name = "calibpipe-calculate-photon-transfer"
    description = __doc__
    examples = """
    calibpipe-calculate-photon-transfer --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --input LSTN-01/camera/pixel_statistics.OBSID102.h5 \\
        --input LSTN-01/camera/pixel_statistics.OBSID103.h5 \\
        --input LSTN-01/camera/pixel_statistics.OBSID104.h5 \\
        --dark LSTN-01/camera/pixel_statistics.OBSID101.h5 \\
        --runs calibration_runs.2024-07-10.ecsv --output LSTN-01/camera/photon_transfer.h5
    """

    input_files = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Pixel statistics of each run of the scan",
    ).tag(config=True)
    runs = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Table of the runs (ECSV)"
    ).tag(config=True)
    dark = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Pixel statistics of the closed camera; not given: the errors of the gain ratio are "
        "those with the night sky, which is too much",
    ).tag(config=True)
    allow_missing_points = traits.Bool(
        False, help="Do without filter positions that have no statistics"
    ).tag(config=True)
    single_photoelectron = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Single photoelectrons, whose F² each pixel gets, and with whose gain its own is "
        "compared; not given: the same F² for all",
    ).tag(config=True)
    squared_excess_noise_factor = traits.Float(
        1.222, min=1.0, help="F²; LST 1.222 (Kobayashi et al. 2021)"
    ).tag(config=True)
    squared_excess_noise_factor_error = traits.Float(
        0.02, min=0.0, help="Its systematic error: all gains scale with it"
    ).tag(config=True)
    quadratic_noise = traits.CaselessStrEnum(
        ["fitted", "common"],
        "fitted",
        help="B² of each pixel, or of the mean charge of the camera (NectarCAM)",
    ).tag(config=True)
    turn_off_sigma = traits.Float(
        3.5, min=1, help="Standard deviations by which the variance falls behind at the turn-off"
    ).tag(config=True)
    max_signal_in_adc = traits.List(
        traits.Float(), help="Largest signal that counts, one a channel; none if empty"
    ).tag(config=True)
    min_p_value = traits.Float(1e-6, min=0, max=1, help="Of chi2; below it a fit is bad").tag(
        config=True
    )
    linearity_tolerance = traits.Float(
        0.02, min=0, max=0.5, help="Largest relative deviation from proportionality"
    ).tag(config=True)
    common_bend = traits.Float(
        0.01, min=0, help="Relative deviation that all pixels may share unseen"
    ).tag(config=True)
    variance_factor = traits.Float(
        1.0,
        min=0.1,
        max=1,
        help="Part of the variance that clipping has left, of statistics that are not corrected "
        "for it (ctapipe's; 0.998929 for 4 sigma); ours are",
    ).tag(config=True)
    validity_in_days = traits.Float(30.0, min=0.5, help="From the begin of the first run").tag(
        config=True
    )

    aliases: ClassVar[dict] = NightTool.aliases | {
        ("i", "input"): "CalculatePhotonTransfer.input_files",
        "runs": "CalculatePhotonTransfer.runs",
        "dark": "CalculatePhotonTransfer.dark",
        "single-photoelectron": "CalculatePhotonTransfer.single_photoelectron",
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "input_files", "runs")

    def start(self) -> None:
        """Read the runs, calculate, write."""
        from ..camera.gain_ratio import gain_ratio
        from ..camera.light_levels import light_levels
        from ..camera.light_scan import light_scan
        from ..camera.linearity import linearity
        from ..camera.photon_transfer import photon_transfer
        from ..camera.transfer_tables import (
            gain_ratio_table,
            nominal_light,
            points_table,
            transfer_table,
        )

        self.load_site()
        self.remarks: list[str] = []
        statistics = [self.statistics(path) for path in self.input_files]
        self.check_same(statistics)
        obs_ids = [entry.header["obs_id"] for entry in statistics]
        rows = self.scan_rows(obs_ids)
        names = [f"observation {obs_id}" for obs_id in obs_ids]
        runs = [self.combined(entry) for entry in statistics]
        scan = light_scan(*zip(*runs, strict=True), names=names)
        self._spe = self.photoelectrons(statistics[0].tel_id, scan.signal.shape[2])
        found = photon_transfer(scan, self.settings(statistics[0]))
        light, tolerance, source = nominal_light(rows)
        levels = light_levels(
            scan,
            found.is_used,
            light[scan.order],
            tolerance[scan.order],
            common_bend=self.common_bend,
            max_residual=self.linearity_tolerance,
        )
        bent = linearity(scan, levels, tolerance=self.linearity_tolerance)
        tables = {
            PIXELS_GROUP: transfer_table(
                found, bent, self.excess_noise()["squared_excess_noise_factor"], self._spe
            ),
            POINTS_GROUP: points_table(obs_ids, scan, found, levels, bent),
        }
        electronics = self.electronics(scan, statistics[0])
        if scan.signal.shape[1] == 2:
            tables[RATIO_GROUP] = gain_ratio_table(gain_ratio(scan, levels.is_used, electronics))
        if self.dark is not None:
            tables[SKY_GROUP] = self.night_sky(scan, found, statistics)
        self.write(tables, statistics, source)

    def scan_rows(self, obs_ids: list[int]) -> Any:
        """Rows of the table of runs."""
        from ..camera.transfer_tables import scan_rows
        from ..core.ecsv_input import read_ecsv

        table = read_ecsv(self.add_input(self.runs, "camera/calibration_runs"), "table of the runs")
        rows = scan_rows(table, obs_ids, allow_missing=self.allow_missing_points)
        n_scan = sum(str(kind) == "scan" for kind in table["run_type"])
        if n_scan > len(obs_ids):
            self.remarks.append(f"{n_scan - len(obs_ids)} of {n_scan} filter positions are missing")
        return rows

    def combined(self, statistics: Any, kinds: tuple[str, ...] = ()) -> list[Any]:
        """Flat field and pedestal of a run."""
        from ..camera.light_scan import combined_chunks
        from ..camera.pixel_statistics import chunks_of_table

        kinds = kinds or ("flatfield_image", "sky_pedestal_image")
        missing = [name for name in kinds if name not in statistics.tables]
        require(
            not missing, f"{statistics.path} has no {', '.join(missing)}: a run of another type"
        )
        return [
            combined_chunks(
                chunks_of_table(statistics.tables[name]), variance_factor=self.variance_factor
            )
            for name in kinds
        ]

    def settings(self, statistics: Any) -> Any:
        """Settings of the configuration."""
        from ..camera.photon_transfer import TransferSettings

        n_channels = statistics.tables["flatfield_image"]["mean"].shape[1]
        require(
            len(self.max_signal_in_adc) in (0, n_channels),
            f"max_signal_in_adc has {len(self.max_signal_in_adc)} values, the camera has "
            f"{n_channels} gain channels; give as many or none",
        )
        return TransferSettings(
            **self.excess_noise(),
            quadratic_noise=self.quadratic_noise,
            turn_off_sigma=self.turn_off_sigma,
            min_p_value=self.min_p_value,
            max_signal=tuple(self.max_signal_in_adc) or None,
        )

    def photoelectrons(self, tel_id: int, n_pixels: int) -> Any:
        """Single photoelectrons of high gain, if they are given."""
        from ..camera.transfer_tables import SPE_COLUMNS, spe_of_table
        from ..core.telescope_file import read_telescope_table

        if self.single_photoelectron is None:
            return None
        group, kind = "/calibpipe/camera/single_photoelectron", "camera/single_photoelectron"
        path = self.add_input(self.single_photoelectron, kind)
        return spe_of_table(read_telescope_table(path, group, tel_id, kind, SPE_COLUMNS), n_pixels)

    def excess_noise(self) -> dict[str, Any]:
        """F² and its error, of the single photoelectrons or of the configuration."""
        known = self._spe
        return {
            "squared_excess_noise_factor": self.squared_excess_noise_factor
            if known is None
            else known.squared_excess_noise_factor,
            "squared_excess_noise_factor_error": self.squared_excess_noise_factor_error
            if known is None
            else known.squared_excess_noise_factor_error,
        }

    def electronics(self, scan: Any, first: Any) -> Any:
        """Variance of charges by the electronics alone, (n_channels, n_pixels)."""
        if self.dark is None:
            self.remarks.append(
                "no pedestals of the closed camera: errors of the gain ratio have the night sky in "
                "them and are too large"
            )
            return scan.pedestal_variance.mean(axis=0)
        self._dark = self.statistics(self.dark)
        self.check_same([first, self._dark])
        (pedestal,) = self.combined(self._dark, ("sky_pedestal_image",))
        return pedestal.variance

    def night_sky(self, scan: Any, found: Any, statistics: list[Any]) -> Any:
        """Dark baseline and rate of the night sky, one row."""
        from ..camera.night_sky_table import night_sky_table

        header = self._dark.header["extraction"]
        kind = "sky_pedestal_variance"
        (charge,) = self.combined(self._dark, ("sky_pedestal_image",))
        (samples,) = self.combined(self._dark, (kind,))
        tel_id = statistics[0].tel_id
        return night_sky_table(
            scan,
            found,
            charge,
            samples,
            *self.peak_time(scan, found, statistics),
            statistics[0].subarray.tel[tel_id].camera.readout,
            extraction=statistics[0].header["extraction"],
            window_width=header["window_width"],
            baseline=0.0 if self._dark.baseline is None else self._dark.baseline,
            **self.excess_noise(),
        )

    def peak_time(self, scan: Any, found: Any, statistics: list[Any]) -> tuple[Any, Any]:
        """Mean and rms of the peak time, of the brightest point that most pixels of a gain use."""
        import numpy as np

        mean, rms = [], []
        for channel, used in enumerate(found.is_used.transpose(1, 0, 2)):
            most = np.flatnonzero(used.mean(axis=-1) > 0.5)
            run = statistics[scan.order[most[-1] if most.size else 0]]
            table = run.tables["flatfield_peak_time"]
            mean.append(np.nanmean(table["mean"][:, channel], axis=0))
            rms.append(np.nanmean(table["std"][:, channel], axis=0))
        return np.array(mean, float), np.array(rms, float)

    def write(self, tables: dict[str, Any], statistics: list[Any], source: str) -> None:
        """Tables of the telescope."""
        import astropy.units as u
        import numpy as np
        from astropy.time import Time

        from ..core.telescope_file import write_telescope_tables

        first = statistics[0]
        name = first.header.get("array_element", first.subarray.name)
        pixels, points = tables[PIXELS_GROUP], tables[POINTS_GROUP]
        begin = min(
            entry.tables["flatfield_image"]["time_start"].unix_tai.min() for entry in statistics
        )
        begin = Time(begin, format="unix_tai", scale="tai")
        far = np.abs(np.asarray(points["pull"], float)) > 5
        if far.any():
            found = ", ".join(str(n) for n in points["obs_id"][far])
            self.remarks.append(f"light of observations {found} is not what the {source} says")
        status = np.asarray(pixels["status"][0])
        metadata = self.metadata(
            KIND,
            f"Photon transfer, linearity and gain ratio of {name}",
            validity=(begin, begin + self.validity_in_days * u.day),
            details={
                "tel_id": first.tel_id,
                "array_element": name,
                "obs_ids": [int(n) for n in points["obs_id"]],
                "extraction": first.header["extraction"],
                "light_from": source,
                "n_pixels_with_status": [int(n) for n in (status != 0).sum(axis=1)],
                "remarks": self.remarks,
            },
        )
        write_telescope_tables(self.output, first.subarray, first.tel_id, tables, metadata)
        self.add_output(self.output, KIND)
        for remark in self.remarks:
            self.log.warning("%s", remark)
        self.log.info(
            "%s: %d points, gain %s ADC/p.e. (median), %s pixels with a status",
            self.output,
            len(points),
            np.round(np.nanmedian(pixels["gain"][0], axis=-1), 3),
            (status != 0).sum(axis=1),
        )


def main() -> None:
    """Run the Tool."""
    CalculatePhotonTransfer().run()

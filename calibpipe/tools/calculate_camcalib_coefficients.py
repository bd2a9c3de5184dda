"""Camera calibration coefficients of one telescope and observation block."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

KIND = "camera/coefficients"


class CalculateCamcalibCoefficients(NightTool):
    """Calculate camera calibration coefficients from pixel statistics, by the F-factor method.

    Writes the file that ctapipe-process applies (HDF5MonitoringSource): pedestal offset, factor to
    flat-fielded photoelectrons, time shift and mask, for every interval in which the statistics
    stay the same; and beside them gain, photoelectrons, reasons of masked pixels, statistical and
    systematic errors.
    """

    name = "calibpipe-calculate-camcalib-coefficients"
    description = __doc__
    examples = """
    calibpipe-calculate-camcalib-coefficients --site config/sites/CTAO-North.yaml \\
        --night 2024-07-10 --category C --input LSTN-01/camera/pixel_statistics.OBSID1.h5 \\
        --output LSTN-01/camera/coefficients.OBSID1.h5
    """

    input_file = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Pixel statistics, of calibpipe-calculate-pixel-statistics or of ctapipe's own tools",
    ).tag(config=True)
    tel_id = traits.Int(
        0, min=0, help="Telescope; 0: the one that the statistics are of (ctapipe's do not say)"
    ).tag(config=True)
    window_width = traits.Int(
        0, min=0, help="Samples integrated; 0: as the statistics say (ctapipe's do not say)"
    ).tag(config=True)
    squared_excess_noise_factor = traits.Float(
        1.222, min=1.0, help="F²; LST 1.222 (Kobayashi et al. 2021)"
    ).tag(config=True)
    squared_excess_noise_factor_error = traits.Float(
        0.02, min=0.0, help="Its systematic error: all gains scale with it"
    ).tag(config=True)
    squared_quadratic_noise = traits.Float(
        None,
        allow_none=True,
        help="B² of a filter scan; not given: what all pixels have in common, of the data",
    ).tag(config=True)
    squared_quadratic_noise_error = traits.Float(
        5e-5, min=0.0, help="Its error: noise that grows with the charge but is not common"
    ).tag(config=True)
    max_gap_in_s = traits.Float(1.0, min=0.0, help="Break between chunks that is no gap").tag(
        config=True
    )
    fill_missing_channel = traits.Bool(
        False,
        help="Take the channel that gain-selected calibration events lack from the other, flagged",
    ).tag(config=True)
    criteria = traits.Dict(
        {},
        help="Limits of the outlier criteria that differ from the defaults: names and values of "
        "calibpipe.camera.outliers.OutlierCriteria",
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        ("i", "input"): "CalculateCamcalibCoefficients.input_file",
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "input_file")

    def start(self) -> None:
        """Read statistics, calculate, write."""
        from ..camera.coefficients import camera_coefficients
        from ..camera.pixel_statistics import COEFFICIENT_COLUMNS, chunks_of_table
        from ..core.statistics_file import read_pixel_statistics

        self.load_site()
        path = self.add_input(self.input_file, "camera/pixel_statistics")
        names = ("sky_pedestal_image", "flatfield_image", "flatfield_peak_time")
        statistics = read_pixel_statistics(path, self.tel_id or None, names, COEFFICIENT_COLUMNS)
        pedestals, flatfields, peak_times = (
            chunks_of_table(statistics.tables[name]) if name in statistics.tables else []
            for name in names
        )
        found = camera_coefficients(
            pedestals,
            flatfields,
            peak_times,
            self.settings(statistics),
            baseline=0.0 if statistics.baseline is None else statistics.baseline,
        )
        self.write(found, statistics)

    def settings(self, statistics: Any) -> Any:
        """Settings of the configuration and of the statistics."""
        from ..camera.coefficients import CoefficientSettings

        width = self.window_width or statistics.header.get("extraction", {}).get("window_width")
        require(
            width,
            f"{self.input_file} does not say over how many samples charges are integrated; "
            "give --CalculateCamcalibCoefficients.window_width",
        )
        return CoefficientSettings(
            window_width=width,
            squared_excess_noise_factor=self.squared_excess_noise_factor,
            squared_excess_noise_factor_error=self.squared_excess_noise_factor_error,
            squared_quadratic_noise=self.squared_quadratic_noise,
            squared_quadratic_noise_error=self.squared_quadratic_noise_error,
            criteria=self.outlier_criteria(),
            max_gap=self.max_gap_in_s,
            fill_missing_channel=self.fill_missing_channel,
            where=self.where(statistics),
        )

    def where(self, statistics: Any) -> str:
        """Telescope and observation, for messages."""
        obs_id = statistics.header.get("obs_id")
        name = statistics.header.get("array_element", statistics.subarray.name)
        return f"{name}, observation {obs_id}" if obs_id else name

    def outlier_criteria(self) -> Any:
        """Criteria of the configuration."""
        from dataclasses import fields

        from ..camera.outliers import OutlierCriteria

        known = {entry.name for entry in fields(OutlierCriteria)}
        unknown = sorted(set(self.criteria) - known)
        require(
            not unknown,
            f"criteria has unknown entries {unknown}; known ones: {', '.join(sorted(known))}",
        )
        return OutlierCriteria(**self.criteria)

    def write(self, found: Any, statistics: Any) -> None:
        """Coefficients that ctapipe-process applies."""
        from astropy.time import Time

        from ..camera.coefficients import coefficients_table
        from ..core.monitoring_file import write_camera_coefficients

        tel_id = statistics.tel_id
        known = ("sb_id", "obs_id", "extraction")
        metadata = self.metadata(
            KIND,
            f"Camera calibration coefficients of {self.where(statistics)}",
            validity=tuple(
                Time(t, format="unix_tai", scale="tai") for t in (found.time[0], found.time_end[-1])
            ),
            details={
                "tel_id": tel_id,
                "array_element": statistics.header.get("array_element", statistics.subarray.name),
                **{name: statistics.header[name] for name in known if name in statistics.header},
                "n_rows": len(found.time),
                "n_valid_rows": int(found.is_valid.sum()),
                "remarks": sorted({remark for remark in found.remarks if remark}),
            },
        )
        write_camera_coefficients(
            self.output, statistics.subarray, {tel_id: coefficients_table(found)}, metadata
        )
        self.add_output(self.output, KIND)
        for remark in sorted({remark for remark in found.remarks if remark}):
            self.log.warning("%s: invalid coefficients: %s", self.where(statistics), remark)
        self.log.info(
            "%s: %d of %d rows valid, %.1f %% of the pixels masked",
            self.output,
            found.is_valid.sum(),
            len(found.time),
            100 * found.outlier_mask[:, 0].mean(),
        )


def main() -> None:
    """Run the Tool."""
    CalculateCamcalibCoefficients().run()

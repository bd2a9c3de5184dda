"""Scale factors between types of telescopes from the showers they share."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .energy_asymmetry_estimation import KIND as ENERGY
from .inter_calibration import COVARIANCE
from .inter_calibration import KIND as INTER_CALIBRATION
from .night_tool import require
from .pair_fit_tool import PairFitTool

KIND = "array/cross_calibration"
TABLES = "/calibpipe/array/cross_calibration"
SCALES, CROSS_COVARIANCE = f"{TABLES}/scaling_factors", f"{TABLES}/covariance"


class CrossCalibration(PairFitTool):
    """Put the telescopes of all types on one scale, by the energies they give to the same showers.

    Scale factors relative to the reference type with their covariance, and throughputs of all
    telescopes: of the inter-calibration of each type, times the factor. With muon throughputs
    (--muon) both are compared; they are combined where they agree, and an alarm is raised where
    they do not.
    """

    name = "calibpipe-cross-calibration"
    description = __doc__
    examples = """
    calibpipe-cross-calibration --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --input array/energy_asymmetry.OBSID1.h5 --muon LSTN-01/throughput/muon_throughput.h5 \\
        --muon LSTN-02/throughput/muon_throughput.h5 --output array/cross_calibration.h5
    """
    kinds = (ENERGY,)

    reference_type = traits.Unicode("MST", help="Type of telescope with scale 1").tag(config=True)
    inter_calibration = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Inter-calibration from images; not given: from the same energies",
    ).tag(config=True)
    alarm_limit = traits.Float(
        0.05, min=0.0, help="Relative difference of muons and showers that is an alarm"
    ).tag(config=True)
    min_p_value = traits.Float(1e-3, min=0.0, help="Of agreement, to be combined").tag(config=True)

    aliases: ClassVar[dict] = PairFitTool.aliases | {
        "reference-type": "CrossCalibration.reference_type",
        "inter-calibration": "CrossCalibration.inter_calibration",
    }

    def start(self) -> None:
        """Add, solve, compare, write."""
        import numpy as np

        from ..array.cross_calibration import cross_calibration
        from ..array.systematics import systematic_covariance

        self.load_site()
        telescopes, _, ratios, facts = self.read_blocks()
        own = np.flatnonzero(ratios.is_valid)
        first, second = telescopes.first[own], telescopes.second[own]
        value, covariance, given_sys = self.given_throughputs(telescopes)
        result = cross_calibration(
            first,
            second,
            ratios.log_ratio[own],
            ratios.covariance[np.ix_(own, own)],
            telescopes.tel_types,
            reference_type=self.reference_type,
            log_throughput=value,
            throughput_covariance=covariance,
            robust=self.robust,
        )
        sys_covariance, parts = systematic_covariance(
            result.operator,
            first,
            second,
            telescopes.tel_types,
            of_telescope=self.reconstruction_error,
            of_type=self.type_error,
            bias_of_pair=self.threshold_bias(telescopes, ratios, facts)[own],
        )
        response = result.throughput_operator
        sys_covariance = sys_covariance + response @ np.nan_to_num(given_sys) @ response.T
        combined, remarks = self.combined(telescopes, result, sys_covariance)
        if result.p_value < self.min_p_value:
            remarks.append(
                f"pairs of different types do not fit together: chi2 {result.chi2:.1f} for "
                f"{result.n_dof:.1f} degrees of freedom"
            )
        for text in remarks:
            self.log.warning("%s", text)
        facts["largest_sys_error"] = {name: float(e.max()) for name, e in parts.items()}
        self.write(telescopes, result, sys_covariance, combined, facts, remarks)

    def given_throughputs(self, telescopes: Any) -> tuple[Any, Any, Any]:
        """Logarithms of an inter-calibration from images (None if not given), both covariances."""
        import numpy as np

        from ..core.array_file import read_array_product
        from ..core.ctapipe_groups import DL2_SUBARRAY_INTER_CALIBRATION_GROUP as NODE

        if self.inter_calibration is None:
            return None, None, np.zeros((len(telescopes.tel_ids),) * 2)
        path = self.add_input(self.inter_calibration, INTER_CALIBRATION)
        header, tables = read_array_product(path, INTER_CALIBRATION, [NODE, COVARIANCE])
        require(
            header["method"] != ENERGY,
            f"{path} is from energies: leave it out, the inter-calibration of the same energies is "
            "made here, with its correlation",
        )
        matrix = tables[COVARIANCE]
        require(
            np.array_equal(matrix["tel_id"], telescopes.tel_ids),
            f"{path} is of other telescopes than the asymmetries; give those of one subarray",
        )
        table = tables[NODE][tables[NODE]["is_valid"]]
        value = np.full(len(telescopes.tel_ids), np.nan)
        value[np.searchsorted(telescopes.tel_ids, table["tel_id"])] = np.log(table["value"])
        return value, np.asarray(matrix["stat_covariance"]), np.asarray(matrix["sys_covariance"])

    def combined(self, telescopes: Any, result: Any, sys_covariance: Any) -> tuple[dict, list[str]]:
        """By telescope: muon value, difference, alarm, combined value; for each type or for all."""
        import numpy as np

        from ..array.cross_calibration import combined_throughput

        names = ("muon_value", "muon_error", "difference", "difference_error", "combined_value",
                 "combined_error")  # fmt: skip
        columns = {name: np.full(len(telescopes.tel_ids), np.nan) for name in names}
        columns["is_alarm"] = np.zeros(len(telescopes.tel_ids), bool)
        if not self.muon_throughputs:
            return {}, []
        muon, muon_covariance = self.muons(telescopes)
        sizes = np.array([kind.split("_")[0] for kind in telescopes.tel_types])
        if set(sizes) <= set(self.nominal_throughput):
            groups = {"all types": np.arange(len(muon))}
        else:
            groups = {str(kind): np.flatnonzero(sizes == kind) for kind in np.unique(sizes)}
        columns["muon_value"] = np.exp(muon)
        columns["muon_error"] = np.exp(muon) * np.sqrt(np.diag(muon_covariance))
        shower = np.nan_to_num(result.covariance) + sys_covariance
        remarks = []
        for name, members in groups.items():
            both = np.isfinite(muon[members]) & np.isfinite(result.log_throughput[members])
            if np.count_nonzero(both) < 2:
                remarks.append(f"{name}: muon throughputs of two telescopes are needed to compare")
                continue
            place = np.ix_(members, members)
            found = combined_throughput(
                result.log_throughput[members],
                shower[place],
                muon[members],
                muon_covariance[place],
                limit=self.alarm_limit,
                min_p_value=self.min_p_value,
            )
            value = np.exp(found.log_throughput)
            columns["difference"][members] = found.difference
            columns["difference_error"][members] = found.difference_error
            columns["is_alarm"][members] = found.alarm
            columns["combined_value"][members] = value
            columns["combined_error"][members] = value * np.sqrt(np.diag(found.covariance))
            for k in np.flatnonzero(found.alarm):
                remarks.append(
                    f"ALARM: telescope {telescopes.tel_ids[members][k]}: muons and showers differ "
                    f"by {100 * found.difference[k]:.1f} +- {100 * found.difference_error[k]:.1f} "
                    f"%, more than {100 * self.alarm_limit:g} %"
                )
            if not found.is_combined:
                remarks.append(
                    f"{name}: muons and showers are not combined (chi2 {found.chi2:.1f} for "
                    f"{found.n_dof}, p = {found.p_value:.2g})"
                )
        return columns, remarks

    def write(
        self,
        telescopes: Any,
        result: Any,
        sys_covariance: Any,
        combined: dict[str, Any],
        facts: dict[str, Any],
        remarks: list[str],
    ) -> None:
        """Coefficients, scale factors, covariance."""
        import numpy as np
        from astropy.table import Table

        from ..array.calibration_tables import covariance_table
        from ..array.systematics import scale_sys_error
        from ..core.array_file import write_array_tables
        from ..core.ctapipe_groups import DL2_SUBARRAY_CROSS_CALIBRATION_GROUP
        from ..core.night import night_span

        value = np.exp(result.log_throughput)
        valid = np.isfinite(value)
        table = Table(
            {
                "tel_type": telescopes.tel_types,
                "tel_id": telescopes.tel_ids.astype(np.int16),
                "value": value,
                "error": value * np.sqrt(np.diag(result.covariance)),
                "sys_error": value * np.sqrt(np.diag(sys_covariance)),
                "is_valid": valid,
                **combined,
            }
        )
        factor = np.exp(result.log_scale)
        sys_error = scale_sys_error(len(result.types), of_type=self.type_error)
        scales = Table(
            {
                "tel_type": np.array(result.types),
                "tel_ref": np.full(len(result.types), self.reference_type),
                "scaling_factor": factor,
                "scaling_factor_uncertainty": factor * np.sqrt(np.diag(result.scale_covariance)),
                "scaling_factor_sys_error": factor * sys_error,
                "n_pairs": result.n_pairs,
                "log_covariance": result.scale_covariance,
            }
        )
        metadata = self.metadata(
            KIND,
            f"Throughputs of telescopes of all types on one scale, night {self.night}",
            validity=night_span(self.night, self._loaded_site),
            details=facts
            | {
                "reference_type": self.reference_type,
                "scaling_factors": dict(zip(result.types, factor.tolist(), strict=True)),
                "chi2": result.chi2,
                "n_dof": result.n_dof,
                "p_value": None if np.isnan(result.p_value) else result.p_value,
                "alarms": table["tel_id"][table["is_alarm"]].tolist() if combined else [],
                "n_valid": int(valid.sum()),
                "remarks": remarks,
            },
        )
        matrices = covariance_table(telescopes.tel_ids, stat=result.covariance, sys=sys_covariance)
        tables = {
            DL2_SUBARRAY_CROSS_CALIBRATION_GROUP: table,
            SCALES: scales,
            CROSS_COVARIANCE: matrices,
        }
        write_array_tables(self.output, self.subarray(), tables, metadata)
        self.add_output(self.output, KIND)
        self.log.info(
            "scale factors to %s: %s",
            self.reference_type,
            metadata.details["scaling_factors"],
        )


def main() -> None:
    """Run the Tool."""
    CrossCalibration().run()

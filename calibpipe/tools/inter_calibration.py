"""Relative throughputs of the telescopes of each type from the showers they share."""

from typing import Any, ClassVar

from ctapipe.core import traits

from ..core.exceptions import InsufficientStatisticsError
from .night_tool import require
from .pair_fit_tool import PairFitTool

KIND = "array/inter_calibration"
FITTED_PAIRS = "/calibpipe/array/inter_calibration/pairs"
COVARIANCE = "/calibpipe/array/inter_calibration/covariance"


class InterCalibration(PairFitTool):
    """Solve the asymmetries of pairs for relative throughputs of telescopes.

    Weighted least squares in the logarithms, for each type of telescope (or for all together), with
    the full covariance. Relative to the geometric mean of each connected part of the array; to
    reference telescopes or to muon throughputs on request. Parts that no pair connects are
    reported and never solved together.
    """

    name = "calibpipe-inter-calibration"
    description = __doc__
    examples = """
    calibpipe-inter-calibration --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --input array/energy_asymmetry.OBSID1.h5 --input array/energy_asymmetry.OBSID2.h5 \\
        --output array/inter_calibration.h5
    """

    per_type = traits.Bool(
        True, help="Solve each type of telescope alone; all types together otherwise"
    ).tag(config=True)
    gauge = traits.CaselessStrEnum(
        ["mean_log", "reference", "muon"],
        "mean_log",
        help="What throughputs are relative to: the geometric mean, a telescope, or absolute ones "
        "of muon rings (--muon)",
    ).tag(config=True)
    reference_telescopes = traits.List(
        traits.Int(), help="tel_id; one for each type, or one for all types together"
    ).tag(config=True)
    split_array = traits.CaselessStrEnum(
        ["report", "error"],
        "report",
        help="Where pairs do not connect all telescopes of a type: solve each part alone, only the "
        "largest is valid; or stop",
    ).tag(config=True)
    outlier_deviation = traits.Float(
        0.3, min=0.0, help="Logarithm, from the median of the type"
    ).tag(config=True)
    outlier_sigma = traits.Float(5.0, min=0.0, help="The same in errors and spread").tag(
        config=True
    )

    aliases: ClassVar[dict] = PairFitTool.aliases | {
        "gauge": "InterCalibration.gauge",
        "reference-telescopes": "InterCalibration.reference_telescopes",
    }

    def start(self) -> None:
        """Add, solve, write."""
        import numpy as np

        self.load_site()
        self.check_gauge()
        telescopes, pairs, ratios, facts = self.read_blocks()
        self.check_references(telescopes)
        muons = self.muons(telescopes) if self.gauge == "muon" else None
        groups = self.groups(telescopes)
        found, remarks = [], []
        for name, members in groups.items():
            inside = np.isin(telescopes.first, members) & np.isin(telescopes.second, members)
            own = np.flatnonzero(inside & ratios.is_valid)
            if not len(own):
                tel_ids = ", ".join(map(str, telescopes.tel_ids[members]))
                remarks.append(
                    f"{name}: no pair of {tel_ids} has {self.min_events} events; not solved"
                )
                continue
            found.append(self.solved(name, members, own, telescopes, ratios, facts, muons))
            remarks += self.remarks(found[-1], telescopes)
        if not found:
            raise InsufficientStatisticsError(
                f"nothing can be calibrated: {'; '.join(remarks)}; give more events or lower "
                "`min_events`"
            )
        for text in remarks:
            self.log.warning("%s", text)
        self.write(telescopes, pairs, ratios, found, facts, remarks)

    def check_gauge(self) -> None:
        """The gauge has what it needs."""
        require(
            (self.gauge == "reference") == bool(self.reference_telescopes),
            "gauge `reference` and `reference_telescopes` go together",
        )
        require(
            (self.gauge == "muon") == bool(self.muon_throughputs),
            "gauge `muon` and muon throughputs (--muon) go together",
        )
        require(
            self.gauge != "muon" or self.per_type or self.nominal_throughput,
            "muon throughputs of different types are comparable with `nominal_throughput` only",
        )

    def check_references(self, telescopes: Any) -> None:
        """Reference telescopes are there."""
        missing = set(self.reference_telescopes) - set(telescopes.tel_ids.tolist())
        require(
            not missing,
            f"reference telescope {', '.join(map(str, sorted(missing)))} is not in the subarray, "
            f"which has {', '.join(map(str, telescopes.tel_ids))}; name one of these",
        )

    def groups(self, telescopes: Any) -> dict[str, Any]:
        """Telescopes that are solved together."""
        import numpy as np

        if not self.per_type:
            return {"ALL": np.arange(len(telescopes.tel_ids))}
        kinds = telescopes.tel_types
        return {str(kind): np.flatnonzero(kinds == kind) for kind in np.unique(kinds)}

    def solved(
        self,
        name: str,
        members: Any,
        own: Any,
        telescopes: Any,
        ratios: Any,
        facts: dict[str, Any],
        muons: Any,
    ) -> Any:
        """Inter-calibration of one group."""
        import numpy as np

        from ..array.calibration_tables import TypeCalibration
        from ..array.inter_calibration import (
            external_gauge,
            inter_calibration,
            outlier_telescopes,
            reference_gauge,
        )
        from ..array.systematics import excess_covariance, systematic_covariance

        first = np.searchsorted(members, telescopes.first[own])
        second = np.searchsorted(members, telescopes.second[own])
        result = inter_calibration(
            len(members),
            first,
            second,
            ratios.log_ratio[own],
            ratios.covariance[np.ix_(own, own)],
            robust=self.robust,
        )
        reference = np.isin(telescopes.tel_ids[members], self.reference_telescopes)
        if self.gauge == "reference":
            require(
                np.count_nonzero(reference) == 1,
                f"{np.count_nonzero(reference)} reference telescopes are of type {name}, one is "
                "needed for each",
            )
            result = reference_gauge(result, int(np.flatnonzero(reference)[0]))
        elif self.gauge == "muon":
            value, covariance = muons
            result = external_gauge(result, value[members], covariance[np.ix_(members, members)])
        bias = self.threshold_bias(telescopes, ratios, facts)
        sys_covariance, _ = systematic_covariance(
            result.operator,
            first,
            second,
            telescopes.tel_types[members],
            of_telescope=self.reconstruction_error,
            of_type=0.0 if self.per_type else self.type_error,
            bias_of_pair=bias[own],
        )
        sys_covariance += excess_covariance(
            np.nan_to_num(result.covariance), result.chi2, result.expected_chi2
        )
        outlier = outlier_telescopes(
            result, deviation=self.outlier_deviation, n_sigma=self.outlier_sigma
        )
        if self.split_array == "error" and len(result.islands.size) > 1:
            raise InsufficientStatisticsError(
                f"pairs do not connect the telescopes of {name}: "
                f"{result.islands.described(telescopes.tel_ids[members])}; their levels cannot be "
                "compared. Give more events, or set `split_array` to `report`"
            )
        return TypeCalibration(name, members, own, result, sys_covariance, outlier, reference)

    def remarks(self, calibration: Any, telescopes: Any) -> list[str]:
        """What a reader must know of a group."""
        result, name = calibration.result, calibration.name
        tel_ids = telescopes.tel_ids[calibration.members]
        found = []
        if len(result.islands.size) > 1:
            found.append(
                f"{name}: no pairs connect {result.islands.described(tel_ids)}; each part is "
                "relative to itself, only the first is valid"
            )
        for tel_id in tel_ids[calibration.is_outlier]:
            found.append(f"{name}: telescope {tel_id} is far from the others")
        if result.p_value < 1e-3:
            found.append(
                f"{name}: the pairs do not fit together, chi2 {result.chi2:.1f} where "
                f"{result.expected_chi2:.1f} is expected; the systematic error has the excess"
            )
        return found

    def write(
        self,
        telescopes: Any,
        pairs: Any,
        ratios: Any,
        found: list[Any],
        facts: dict[str, Any],
        remarks: list[str],
    ) -> None:
        """Coefficients, pairs, covariance."""
        import numpy as np

        from ..array.calibration_tables import (
            covariance_table,
            fitted_pairs_table,
            inter_calibration_table,
        )
        from ..core.array_file import write_array_tables
        from ..core.ctapipe_groups import DL2_SUBARRAY_INTER_CALIBRATION_GROUP
        from ..core.night import night_span

        table = inter_calibration_table(telescopes, found)
        shape = (len(telescopes.tel_ids),) * 2
        stat, sys = np.full(shape, np.nan), np.full(shape, np.nan)
        for calibration in found:
            place = np.ix_(calibration.members, calibration.members)
            stat[place], sys[place] = calibration.result.covariance, calibration.sys_covariance
        fits = {
            c.name: {
                "chi2": c.result.chi2,
                "expected_chi2": c.result.expected_chi2,
                "n_dof": c.result.n_dof,
                "p_value": None if np.isnan(c.result.p_value) else c.result.p_value,
                "n_pairs": len(c.pairs),
                "islands": c.result.islands.described(telescopes.tel_ids[c.members]),
                "n_islands": len(c.result.islands.size),
            }
            for c in found
        }
        metadata = self.metadata(
            KIND,
            f"Relative throughputs of telescopes, night {self.night}",
            validity=night_span(self.night, self._loaded_site),
            details=facts
            | {
                "gauge": self.gauge,
                "fits": fits,
                "outliers": table["tel_id"][table["is_outlier"]].tolist(),
                "n_valid": int(np.count_nonzero(table["is_valid"])),
                "remarks": remarks,
            },
        )
        tables = {
            DL2_SUBARRAY_INTER_CALIBRATION_GROUP: table,
            FITTED_PAIRS: fitted_pairs_table(pairs, ratios, found),
            COVARIANCE: covariance_table(telescopes.tel_ids, stat=stat, sys=sys),
        }
        write_array_tables(self.output, self.subarray(), tables, metadata)
        self.add_output(self.output, KIND)
        self.log.info("%d of %d telescopes calibrated", metadata.details["n_valid"], shape[0])


def main() -> None:
    """Run the Tool."""
    InterCalibration().run()

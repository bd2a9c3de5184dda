"""What the Tools that solve the pairs of many observation blocks share."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .asymmetry_tool import PAIRS_TABLE, SUMS_TABLE
from .energy_asymmetry_estimation import KIND as ENERGY
from .image_asymmetry_estimation import KIND as IMAGE
from .night_tool import NightTool, require


class PairFitTool(NightTool):
    """A Tool that adds the asymmetries of observation blocks and solves for telescopes."""

    kinds: tuple[str, ...] = (ENERGY, IMAGE)

    input_files = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Asymmetries of observation blocks, of one night or of many",
    ).tag(config=True)
    estimator = traits.CaselessStrEnum(
        ["log_ratio", "mean_asymmetry", "median"],
        "log_ratio",
        help="log_ratio: mean of ln x1/x2, unbiased; mean_asymmetry: as published, drawn to zero "
        "by the resolution; median: half of the events may be outliers",
    ).tag(config=True)
    robust = traits.Bool(False, help="Pairs that fit badly count less (Huber)").tag(config=True)
    min_events = traits.Int(10, min=2, help="Of a pair that counts").tag(config=True)
    reconstruction_error = traits.Float(
        0.01, min=0.0, help="Relative systematic error, own to each telescope"
    ).tag(config=True)
    type_error = traits.Float(
        0.03, min=0.0, help="Relative systematic error, own to each type of telescope"
    ).tag(config=True)
    spectral_slope = traits.Float(
        1.7, help="Spectral index less 1, for the bias of thresholds where resolutions differ"
    ).tag(config=True)
    muon_throughputs = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Muon throughputs of telescopes (products throughput/muon_throughput)",
    ).tag(config=True)
    nominal_throughput = traits.Dict(
        value_trait=traits.Float(),
        key_trait=traits.Unicode(),
        help="Throughput by size of telescope that energies are reconstructed with; needed where "
        "muons are compared between types",
    ).tag(config=True)
    muon_own_error = traits.Float(
        0.02, min=0.0, help="Part of the muons' systematic error that is own to each telescope"
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        ("i", "input"): "PairFitTool.input_files",
        "estimator": "PairFitTool.estimator",
        "muon": "PairFitTool.muon_throughputs",
    }
    flags: ClassVar[dict] = {
        **NightTool.flags,
        "robust": ({"PairFitTool": {"robust": True}}, "Pairs that fit badly count less"),
    }

    def read_blocks(self) -> tuple[Any, Any, Any, dict[str, Any]]:
        """Telescopes, table of pairs, their ratios, and facts for the header."""
        from ..array.asymmetry import pair_ratios
        from ..array.asymmetry_table import added_sums, pair_groups
        from ..array.calibration_tables import telescopes_of_pairs
        from ..array.dl2_layout import read_layout
        from ..core.array_file import read_array_product
        from ..core.monitoring_file import open_hdf5

        require(self.input_files, f"{self.name} needs --input")
        blocks = []
        for path in self.input_files:
            self.add_input(path, "asymmetry")
            header, tables = read_array_product(path, self.kinds, [PAIRS_TABLE, SUMS_TABLE])
            blocks.append((str(path), header, tables[PAIRS_TABLE], tables[SUMS_TABLE]))
        pairs, sums, observations = added_sums(blocks)
        with open_hdf5(self.input_files[0], "asymmetry") as h5file:
            layout = read_layout(h5file)
        groups = pair_groups(*(pairs[f"tel_type_{k}"].astype(str) for k in (1, 2)))
        ratios = pair_ratios(sums, groups, estimator=self.estimator, min_events=self.min_events)
        telescopes = telescopes_of_pairs(pairs, layout.tel_ids, layout.tel_types)
        facts = {
            "method": blocks[0][1]["kind"],
            "estimator": self.estimator,
            "observations": observations,
            "nights": sorted({str(header["night"]) for _, header, _, _ in blocks}),
            "selection": blocks[0][1]["selection"],
            "counts": sums.counts,
            "n_pairs": len(pairs),
            "n_valid_pairs": int(ratios.is_valid.sum()),
        }
        return telescopes, pairs, ratios, facts

    def subarray(self) -> Any:
        """Subarray of the products."""
        from ctapipe.instrument import SubarrayDescription

        return SubarrayDescription.from_hdf(self.input_files[0], focal_length_choice="EQUIVALENT")

    def threshold_bias(self, telescopes: Any, ratios: Any, facts: dict[str, Any]) -> Any:
        """Bias of each ratio by the threshold on the mean of the pair; 0 without a threshold."""
        import numpy as np

        from ..array.systematics import bias_of_pairs

        low, high = facts["selection"]["window"]
        if low == 0 and not np.isfinite(float(high)):
            return np.zeros(len(ratios.n))
        return bias_of_pairs(
            telescopes.tel_types,
            telescopes.first,
            telescopes.second,
            ratios.std,
            ratios.n,
            ratios.is_valid,
            slope=self.spectral_slope,
            resolution=facts["selection"]["resolution"],
        )

    def muons(self, telescopes: Any) -> tuple[Any, Any]:
        """Logarithms of muon over nominal throughput, and their covariance; NaN where none."""
        import numpy as np

        from ..array.systematics import muon_covariance
        from ..core.array_file import read_array_product

        value = np.full(len(telescopes.tel_ids), np.nan)
        stat, sys = np.zeros(len(value)), np.zeros(len(value))
        for path in self.muon_throughputs:
            header, _ = read_array_product(
                self.add_input(path, MUONS), MUONS, [f"{MUON_NIGHT}/tel_{_tel_id(path):03d}"]
            )
            place = np.flatnonzero(telescopes.tel_ids == header["tel_id"])
            require(
                len(place),
                f"{path} is of telescope {header['tel_id']}, which is not in the subarray",
            )
            size = telescopes.tel_types[place[0]].split("_")[0]
            require(
                not np.isfinite(value[place[0]]),
                f"{path} is a second muon throughput of telescope {header['tel_id']}",
            )
            throughput = header["throughput"]
            require(throughput > 0, f"{path} has a throughput of {throughput}")
            value[place] = np.log(throughput / self.nominal_throughput.get(size, 1.0))
            stat[place] = header["stat_error"] / throughput
            sys[place] = header["sys_error"] / throughput
        return value, muon_covariance(stat, sys, own_error=self.muon_own_error)


MUONS = "throughput/muon_throughput"
MUON_NIGHT = "/calibpipe/throughput/muon_night"


def _tel_id(path: Any) -> int:
    """Telescope that a product of one is of."""
    import json

    from ..core.monitoring_file import open_hdf5

    with open_hdf5(path, MUONS) as h5file:
        header = json.loads(getattr(h5file.root._v_attrs, "calibpipe", "{}"))
    return header.get("tel_id", 0)

"""Array events of one night with known throughputs and time offsets, as DL2 of ctapipe."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

KIND, MUONS = "simulation/dl2_truth", "simulation/muon_truth"


class SimulateDl2Data(NightTool):
    """Simulate array events as ctapipe-process and ctapipe-apply-models would write them.

    4 LST and 9 MST at CTAO-North, 14 MST and 37 SST at CTAO-South. Below the output folder, in
    ``dl2/<site>/<night>/``: one file an observation block, ``events.OBSID<number>.dl2.h5``, and the
    true throughput and time offset of each telescope, ``truth.ecsv``. Throughputs and offsets
    depend on site and seed, events on the night as well: nights of one seed have the same truth.

    In the files: trigger times of the array and of telescopes (with the offsets), impact distances,
    sizes of images, energies and gammaness of single telescopes, reconstructed geometry, pointing.
    """

    name = "calibpipe-simulate-dl2-data"
    description = __doc__
    examples = """
    calibpipe-simulate-dl2-data --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --n-events 100000 --n-blocks 3 --seed 1 --output-folder simulated
    """

    output_folder = traits.Path(
        None, allow_none=True, exists=None, file_ok=False, help="Folder of the night's data"
    ).tag(config=True)
    n_events = traits.Int(
        0, min=0, help="Array events of an observation block; 0: 1000 for each telescope"
    ).tag(config=True)
    n_blocks = traits.Int(2, min=1, help="Observation blocks").tag(config=True)
    first_obs_id = traits.Int(1, min=1, help="Number of the first block; others follow").tag(
        config=True
    )
    first_event_id = traits.Int(1, min=0, help="Of each block; may be beyond 2^53").tag(config=True)
    seed = traits.Int(0, min=0, help="Seed of everything random").tag(config=True)
    numbers = traits.Dict(
        value_trait=traits.Int(),
        key_trait=traits.Unicode(),
        help="Telescopes of each kind, such as {LSTN: 4, MSTN: 9}; the array's own if not given",
    ).tag(config=True)
    camera_description = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Files of sim_telarray or ctapipe with the cameras of MSTs; else they have 49 pixels",
    ).tag(config=True)
    muon_truth = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Truth of simulated muons: their telescopes have its throughput over "
        "`nominal_throughput` in DL2 as well",
    ).tag(config=True)
    nominal_throughput = traits.Float(
        0.2, min=1e-6, help="Optical throughput that energies are reconstructed with"
    ).tag(config=True)
    throughput_spread = traits.Float(
        0.1, min=0.0, help="Of telescopes of one type, in the logarithm"
    ).tag(config=True)
    type_spread = traits.Float(0.05, min=0.0, help="Of the types, in the logarithm").tag(
        config=True
    )
    offset_in_ns = traits.Float(5.0, min=0.0, help="Spread of the time offsets").tag(config=True)
    zenith_in_deg = traits.Float(20.0, min=0.0, max=70.0, help="Of the pointing").tag(config=True)
    rate_in_hz = traits.Float(2000.0, min=1.0, help="Of array events").tag(config=True)
    resolution = traits.Float(
        0.2, min=0.01, help="Of energies and images of one telescope, in the logarithm"
    ).tag(config=True)

    required: ClassVar[tuple[str, ...]] = ("site", "night", "output_folder")
    aliases: ClassVar[dict] = {
        "site": "NightTool.site",
        "night": "NightTool.night",
        ("o", "output-folder"): "SimulateDl2Data.output_folder",
        "n-events": "SimulateDl2Data.n_events",
        "n-blocks": "SimulateDl2Data.n_blocks",
        "seed": "SimulateDl2Data.seed",
        "camera-description": "SimulateDl2Data.camera_description",
        "muon-truth": "SimulateDl2Data.muon_truth",
    }

    def start(self) -> None:
        """Draw the truth, simulate block by block."""
        import numpy as np

        from ..core.night import night_date
        from ..simulation.array_layout import array_subarray
        from ..simulation.dl2 import array_truth

        site = self.load_site()
        folder = Path(self.output_folder) / "dl2" / site.name / self.night
        names = [f"events.OBSID{self.first_obs_id + k:05d}.dl2.h5" for k in range(self.n_blocks)]
        for name in (*names, "truth.ecsv"):
            self.check_output(folder / name)
        cameras = [self.add_input(path, "camera") for path in self.camera_description]
        subarray = array_subarray(site, cameras, dict(self.numbers) or None)
        truth = array_truth(
            subarray,
            np.random.default_rng([self.seed, *site.name.encode()]),
            spread=self.throughput_spread,
            type_spread=self.type_spread,
            offset_in_ns=self.offset_in_ns,
        )
        self.take_muons(truth)
        day = night_date(self.night).toordinal()
        rows = []
        for k, name in enumerate(names):
            rng = np.random.default_rng([self.seed, day, self.first_obs_id + k])
            rows.append(self.simulate(folder / name, k, subarray, truth, site, rng))
        self.write_truth(folder / "truth.ecsv", truth, subarray, rows)

    def take_muons(self, truth: Any) -> None:
        """Throughputs of telescopes whose muons were simulated."""
        from ..core.products import read_table
        from ..core.telescope import array_element_id

        for path in self.muon_truth:
            header = read_table(self.add_input(path, MUONS), MUONS).meta["calibpipe"]
            own = truth.tel_ids == array_element_id(header["array_element"])
            truth.throughput[own] = header["optical_throughput"] / self.nominal_throughput

    def simulate(
        self, path: Path, block: int, subarray: Any, truth: Any, site: Any, rng: Any
    ) -> dict[str, Any]:
        """One observation block; azimuths of the blocks go once around."""
        from ..core.night import astronomical_night
        from ..simulation.array_showers import ShowerModel
        from ..simulation.dl2 import write_dl2

        night = astronomical_night(self.night, site)
        start = night.dusk + (night.dawn - night.dusk) * (block / self.n_blocks)
        azimuth = 360.0 * block / self.n_blocks
        radius = 400.0 if site.name == "CTAO-North" else 800.0
        model = ShowerModel(
            radius_in_m=radius,
            resolution=dict.fromkeys(("LST", "MST", "SST"), self.resolution),
        )
        obs_id = self.first_obs_id + block
        n_events = self.n_events or 1000 * len(truth.tel_ids)
        n_rows = write_dl2(
            path,
            subarray,
            truth,
            n_events=n_events,
            obs_id=obs_id,
            start=start,
            alt_in_deg=90.0 - self.zenith_in_deg,
            az_in_deg=azimuth,
            rng=rng,
            model=model,
            rate_in_hz=self.rate_in_hz,
            first_event_id=self.first_event_id,
        )
        self.add_output(path, "dl2")
        self.log.info("block %d: %d array events, %d of telescopes", obs_id, n_events, n_rows)
        return {"obs_id": obs_id, "azimuth_in_deg": azimuth, "n_telescope_events": n_rows}

    def write_truth(
        self, path: Path, truth: Any, subarray: Any, blocks: list[dict[str, Any]]
    ) -> None:
        """True throughputs and offsets of the telescopes."""
        import numpy as np
        from astropy.table import QTable

        from ..core.products import write_table

        table = QTable(
            {
                "tel_id": truth.tel_ids,
                "array_element": np.array([subarray.tel[i].name for i in truth.tel_ids]),
                "tel_type": truth.kinds,
                "throughput": truth.throughput,
                "time_offset_in_ns": truth.time_offset_in_ns,
            }
        )
        metadata = self.metadata(
            KIND,
            f"True throughputs and time offsets of the simulated array, night {self.night}",
            details={"blocks": blocks, "resolution": self.resolution},
        )
        write_table(path, table, metadata)
        self.add_output(path, KIND)


def main() -> None:
    """Run the Tool."""
    SimulateDl2Data().run()

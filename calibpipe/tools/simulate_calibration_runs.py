"""DL0 of dedicated calibration runs of one night with known truth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .drs4_simulation import Drs4Simulation
from .night_tool import require
from .produce_camcalib_test_data import ProduceCamcalibTestData

RUNS_KIND = "simulation/calibration_runs"
CROSSTALK_KIND = "simulation/crosstalk_truth"
DARK, SCAN, SINGLE_PIXEL = "dark", "scan", "single_pixel"
SINGLE_PE, HIGH_VOLTAGE = "single_pe", "high_voltage"
DRS4, DRS4_FLAT = "drs4", "drs4_flat"
PAUSE = 60.0  # s between runs


@dataclass(frozen=True)
class Run:
    """One observation block: what it is, events of each type, light."""

    name: str
    obs_id: int
    n_of_type: dict[str, int]
    light: float = 0.0  # relative to that without a filter
    voltage_gain: float = 1.0  # of all gains


class SimulateCalibrationRuns(Drs4Simulation):
    """Simulate dedicated calibration runs: dark, single p.e., scan, single pixels, raw ones.

    One observation block after the other, of the same camera: pedestals and single photoelectrons
    of the closed camera (--n-dark-pedestal, --n-single-pe, and --n-high-voltage at high voltage),
    flat fields and sky pedestals behind each filter (--n-flatfield and --n-pedestal each; without a
    filter a pixel has --full-n-pe), light in one pixel after the other (--n-single-pixel events of
    each), dark events and flat fields of LSTs as their DRS4 chips read them (--n-drs4,
    --n-drs4-flat). Files and truth are those of calibpipe-produce-camcalib-test-data. Beside them:

    - ``calibration_runs.<night>.ecsv``: what an observer knows of each run (obs_id, run_type,
      transmission and its tolerance, monitor and its error), as calibpipe-calculate-photon-transfer
      reads it;
    - ``truth/<night>.calibration_runs.ecsv`` with the true light besides;
    - ``truth/<array element>/<night>/<array element>.crosstalk_truth.ecsv`` if there is cross-talk,
      ``.drs4_truth.h5`` if there are raw runs.
    """

    name = "calibpipe-simulate-calibration-runs"
    description = __doc__
    examples = """
    calibpipe-simulate-calibration-runs --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --tel-id 1 --n-flatfield 500 --n-pedestal 500 --n-dark-pedestal 500 \\
        --output-folder simulated
    """

    first_obs_id = traits.Int(101, min=1, help="Observation block of the first run").tag(
        config=True
    )
    begin_in_minutes = traits.Float(
        0.0, min=-300, max=300, help="Begin of the first run after dusk; negative: before"
    ).tag(config=True)
    n_high_voltage = traits.Int(0, min=0, help="Single-p.e. events at high voltage").tag(
        config=True
    )
    high_voltage_gain = traits.Float(
        8.0, min=1, max=100, help="Gain at high voltage over that of the other runs"
    ).tag(config=True)
    transmissions = traits.List(
        traits.Float(),
        default_value=[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0],
        help="Nominal transmission of the filter of each run of the scan",
    ).tag(config=True)
    transmission_tolerance = traits.Float(
        0.05, min=0, help="Relative standard deviation of true transmissions"
    ).tag(config=True)
    monitor_error = traits.Float(
        0.001, min=0, help="Relative error of the diode that sees the light"
    ).tag(config=True)
    full_n_pe = traits.Float(600.0, min=0, help="Mean p.e. without a filter").tag(config=True)
    bend_in_pe = traits.Float(
        0.0, min=0, help="P.e. at which half of the charge is lost; 0: a linear camera"
    ).tag(config=True)
    n_single_pixel = traits.Int(0, min=0, help="Events with light in one pixel, of each").tag(
        config=True
    )
    lit_pixels = traits.List(
        traits.Int(min=0), default_value=[], help="Pixels that are lit one by one; all if empty"
    ).tag(config=True)
    single_pixel_n_pe = traits.Float(100.0, min=0, help="Mean p.e. of the lit pixel").tag(
        config=True
    )
    crosstalk = traits.Float(
        0.0, min=0, max=0.2, help="Part of the charge that each neighbour sees"
    ).tag(config=True)
    crosstalk_spread = traits.Float(0.2, min=0, help="Its relative spread over pairs").tag(
        config=True
    )

    aliases: ClassVar[dict] = {
        "site": "NightTool.site",
        "night": "NightTool.night",
        ("o", "output-folder"): "ProduceCamcalibTestData.output_folder",
        ("tel-id", "tel-ids"): "ProduceCamcalibTestData.tel_ids",
        "camera-description": "ProduceCamcalibTestData.camera_description",
        "n-flatfield": "ProduceCamcalibTestData.n_flatfield",
        "n-pedestal": "ProduceCamcalibTestData.n_pedestal",
        "n-dark-pedestal": "ProduceCamcalibTestData.n_dark_pedestal",
        "n-single-pe": "ProduceCamcalibTestData.n_single_pe",
        "n-high-voltage": "SimulateCalibrationRuns.n_high_voltage",
        "n-single-pixel": "SimulateCalibrationRuns.n_single_pixel",
        "n-drs4": "Drs4Simulation.n_drs4",
        "n-drs4-flat": "Drs4Simulation.n_drs4_flat",
        "full-n-pe": "SimulateCalibrationRuns.full_n_pe",
        "rate": "ProduceCamcalibTestData.rate_in_hertz",
        "seed": "ProduceCamcalibTestData.seed",
    }
    flags: ClassVar[dict] = {
        key: value for key, value in ProduceCamcalibTestData.flags.items() if key != "stars"
    }
    _run: Run | None = None

    def start(self) -> None:
        """Simulate run after run and write them."""
        import astropy.units as u

        from ..core.night import astronomical_night

        site = self.load_site()
        self.check_request(site)
        self.check_scan()
        subarray_id, subarray = self.described(site)
        self._leaks = {
            tel_id: self.leak(tel_id, subarray.tel[tel_id].camera.geometry)
            for tel_id in self.tel_ids
        }
        self._scan = self.scan()
        self._next_pixel = dict.fromkeys(self.tel_ids, 0)
        begin = astronomical_night(self.night, site).dusk + self.begin_in_minutes * u.min
        runs = self.runs(subarray)
        for path in [*self.table_paths(), *map(self.drs4_path, self.tel_ids)]:
            self.check_output(path)
        usual_rate = self.rate_in_hertz
        for run in runs:
            self._run, self.obs_id, self.voltage_gain = run, run.obs_id, run.voltage_gain
            self.is_raw = run.name in (DRS4, DRS4_FLAT)
            self.rate_in_hertz = self.drs4_rate_in_hertz if self.is_raw else usual_rate
            self.simulate_block(begin, subarray_id, subarray)
            begin = begin + (self.n_events / self.rate_in_hertz + PAUSE) * u.s
        self.write_runs(runs)
        self.rate_in_hertz = usual_rate
        for tel_id, leak in self._leaks.items():
            self.write_crosstalk(tel_id, leak)
            if self.n_drs4 or self.n_drs4_flat:
                self.write_drs4(tel_id, subarray)

    def check_scan(self) -> None:
        """Filters, and events behind each of them."""
        require(
            all(0 < value <= 1 for value in self.transmissions),
            f"transmissions are {self.transmissions}: each is above 0 and at most 1",
        )
        require(
            not self.transmissions or (self.n_flatfield > 0 and self.n_pedestal > 0),
            f"a scan needs flat fields and pedestals behind each filter, got {self.n_flatfield} "
            f"and {self.n_pedestal}; give --n-flatfield and --n-pedestal, or no transmissions",
        )
        require(
            not (self.n_shower or self.n_muon or self.stars),
            "dedicated runs have neither showers nor muons nor stars; simulate them with "
            "calibpipe-produce-camcalib-test-data",
        )

    @property
    def n_of_type(self) -> dict[str, int]:
        """Number of events of each type of the run, or of all runs before there is one."""
        more = {
            "DARK_PEDESTAL": self.n_dark_pedestal + self.n_drs4,
            "SINGLE_PE": self.n_single_pe + self.n_high_voltage,
            "FLATFIELD": self.n_flatfield + self.n_drs4_flat,
            "OTHER_CALIBRATION": self.n_single_pixel,
        }
        counts = super().n_of_type | more
        return counts if self._run is None else dict.fromkeys(counts, 0) | self._run.n_of_type

    def runs(self, subarray: Any) -> list[Run]:
        """Runs of the night in order."""
        closed = {
            DARK: {"DARK_PEDESTAL": self.n_dark_pedestal},
            SINGLE_PE: {"SINGLE_PE": self.n_single_pe},
            HIGH_VOLTAGE: {"SINGLE_PE": self.n_high_voltage},
        }
        behind = {"FLATFIELD": self.n_flatfield, "SKY_PEDESTAL": self.n_pedestal}
        sizes = [subarray.tel[tel_id].camera.geometry.n_pixels for tel_id in self.tel_ids]
        require(
            max(self.lit_pixels, default=0) < min(sizes),
            f"lit_pixels go up to {max(self.lit_pixels, default=0)}, the camera has {min(sizes)}",
        )
        most = len(set(self.lit_pixels)) or max(sizes)
        plans: list[tuple] = [(name, n, 0.0) for name, n in closed.items() if any(n.values())]
        plans += [(SCAN, behind, float(light)) for light in self._scan.light]
        if self.n_single_pixel:
            single = {"OTHER_CALIBRATION": self.n_single_pixel * most}
            plans.append((SINGLE_PIXEL, single | {"SKY_PEDESTAL": self.n_pedestal}, 0.0))
        if self.n_drs4:
            plans.append((DRS4, {"DARK_PEDESTAL": self.n_drs4}, 0.0))
        if self.n_drs4_flat:
            light = self.drs4_flat_n_pe / self.full_n_pe if self.full_n_pe else 0.0
            plans.append((DRS4_FLAT, {"FLATFIELD": self.n_drs4_flat}, light))
        return [
            Run(
                name,
                self.first_obs_id + k,
                counts,
                light,
                self.high_voltage_gain if name == HIGH_VOLTAGE else 1.0,
            )
            for k, (name, counts, light) in enumerate(plans)
        ]

    def scan(self) -> Any:
        """True light behind the filters."""
        from ..simulation.dedicated_light import scan_truth

        return scan_truth(
            self.transmissions,
            self.rng(0),
            tolerance=self.transmission_tolerance,
            monitor_error=self.monitor_error,
        )

    def rng(self, *key: int) -> Any:
        """Source of randomness of its own, the same in every night."""
        from numpy.random import SeedSequence, default_rng

        return default_rng(SeedSequence(self.seed, spawn_key=(20, *key)))

    def event_rng(self, rng: Any, seed: list[int]) -> Any:
        """Events of each run are others, of the same camera."""
        from numpy.random import default_rng

        return default_rng([*seed, self._run.obs_id])

    def leak(self, tel_id: int, geometry: Any) -> Any:
        """Cross-talk of a telescope, or None."""
        from scipy.sparse import csr_array

        from ..simulation.dedicated_light import crosstalk_matrix

        if not self.crosstalk:
            return None
        neighbours = csr_array(geometry.neighbor_matrix)
        return crosstalk_matrix(neighbours, self.crosstalk, self.crosstalk_spread, self.rng(tel_id))

    def write_telescope(self, writer: Any, *plan: Any) -> tuple[Any, dict]:
        """Events of a telescope; its number decides the cross-talk of the light."""
        self._tel_id = writer.observation.tel_id
        return super().write_telescope(writer, *plan)

    def light(self, name: str, n_events: int, camera: Any, truth: Any, rng: Any) -> Any:
        """Light of the run, bent and leaked."""
        import numpy as np

        from ..simulation.dedicated_light import bent_light, leaked_light, single_pixel_light

        if name == "OTHER_CALIBRATION":
            first = self._next_pixel[self._tel_id]
            choice = sorted(set(self.lit_pixels)) or np.arange(truth.n_pixels)
            lit = np.resize(choice, first + n_events)[first:]
            self._next_pixel[self._tel_id] = first + n_events
            light = single_pixel_light(
                lit, truth, rng, n_pe=self.single_pixel_n_pe, **self.timing()
            )
        else:
            self.flatfield_n_pe = self._run.light * self.full_n_pe
            light = super().light(name, n_events, camera, truth, rng)
        light = bent_light(light, self.bend_in_pe)
        leak = self._leaks[self._tel_id]
        return light if leak is None else leaked_light(light, leak)

    def table_paths(self) -> tuple[Path, Path]:
        """Where the tables of the runs go: the observer's and the true one."""
        folder = Path(self.output_folder)
        name = f"calibration_runs.{self.night}.ecsv"
        return folder / name, folder / "truth" / f"{self.night}.calibration_runs.ecsv"

    def write_runs(self, runs: list[Run]) -> None:
        """Tables of the runs."""
        import numpy as np
        from astropy.table import QTable

        from ..core.products import write_table

        scan = iter(zip(self._scan.transmission, self._scan.monitor, strict=True))
        known = [next(scan) if run.name == SCAN else (np.nan, np.nan) for run in runs]
        transmission, monitor = np.array(known).T
        table = QTable(
            {
                "obs_id": [run.obs_id for run in runs],
                "run_type": [run.name for run in runs],
                "transmission": transmission,
                "transmission_error": np.full(len(runs), max(self.transmission_tolerance, 1e-6)),
                "monitor": monitor,
                "monitor_error": np.full(len(runs), max(self.monitor_error, 1e-6)),
            }
        )
        observer, true = self.table_paths()
        observer.parent.mkdir(parents=True, exist_ok=True)
        table.write(observer, format="ascii.ecsv", overwrite=True)
        self.add_output(observer, "camera/calibration_runs")
        table["light"] = [run.light for run in runs]
        table["n_pe"] = table["light"] * self.full_n_pe
        details = {"bend_in_pe": self.bend_in_pe, "intensity_jitter": self.intensity_jitter}
        metadata = self.metadata(
            RUNS_KIND, f"Calibration runs of the simulated night {self.night}", details=details
        )
        write_table(true, table, metadata)
        self.add_output(true, RUNS_KIND)

    def write_crosstalk(self, tel_id: int, leak: Any) -> None:
        """True cross-talk of a telescope, one row a pair of pixels."""
        from astropy.table import QTable
        from scipy.sparse import coo_array

        from ..core.products import write_table
        from ..core.telescope import array_element

        if leak is None:
            return
        pairs, name = coo_array(leak), array_element(tel_id)
        table = QTable({"pixel": pairs.row, "source": pairs.col, "crosstalk": pairs.data})
        path = Path(self.output_folder) / "truth" / name / self.night
        path = path / f"{name}.crosstalk_truth.ecsv"
        metadata = self.metadata(
            CROSSTALK_KIND,
            f"True cross-talk of {name} in the simulated night {self.night}",
            details={"tel_id": tel_id, "array_element": name},
        )
        write_table(path, table, metadata)
        self.add_output(path, CROSSTALK_KIND)


def main() -> None:
    """Run the Tool."""
    SimulateCalibrationRuns().run()

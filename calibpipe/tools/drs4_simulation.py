"""Raw runs of LSTs: what DRS4 chips do to waveforms before anything is corrected."""

from pathlib import Path
from typing import Any

from ctapipe.core import traits

from .night_tool import require
from .produce_camcalib_test_data import ProduceCamcalibTestData

DRS4_KIND = "simulation/drs4_truth"
TRUE_CAPACITORS, TRUE_TIMES = "/simulation/drs4_capacitors", "/simulation/drs4_sampling_times"
_NEARLY = 0.98  # of the time between events: the camera is busy for the rest


class Drs4Simulation(ProduceCamcalibTestData):
    """A simulation that can write raw observation blocks, with first capacitors."""

    n_drs4 = traits.Int(0, min=0, help="Raw dark pedestals at random times (LST)").tag(config=True)
    n_drs4_flat = traits.Int(0, min=0, help="Raw flat fields (LST)").tag(config=True)
    drs4_rate_in_hertz = traits.Float(
        1000.0, min=1, max=20_000, help="Events per second and telescope of raw runs"
    ).tag(config=True)
    drs4_flat_n_pe = traits.Float(80.0, min=0, help="Mean p.e. of raw flat fields").tag(config=True)
    drs4_spread_in_adc = traits.Float(
        10.0, min=0, help="Standard deviation of the baselines of capacitors"
    ).tag(config=True)
    drs4_sampling_in_ns = traits.Float(
        0.3, min=0, help="Amplitude of the first harmonic of the sampling times"
    ).tag(config=True)
    drs4_time_lapse = traits.List(
        traits.Float(),
        default_value=[32.99, 0.22, 11.9],
        help="a, b and c of a t^-b - c (ADC, ms); LST at 20 °C",
    ).tag(config=True)

    is_raw = False  # of the block that is simulated
    _chips: Any = None
    _cells: Any = None

    def schedule(self, types: Any, n_telescopes: int) -> Any:
        """Raw events come at random times in their slots."""
        from dataclasses import replace

        found = super().schedule(types, n_telescopes)
        if not self.is_raw:
            return found
        slot = 1 / (n_telescopes * self.rate_in_hertz)
        late = self.rng(11, self.obs_id).uniform(0, _NEARLY * slot, found.seconds.shape)
        return replace(found, seconds=found.seconds + late)

    def rng(self, *key: int) -> Any:
        """Source of randomness of its own, the same in every night."""
        raise NotImplementedError

    def drs4_truth(self, tel_id: int, n_pixels: int) -> Any:
        """Deviations of capacitors and sampling times of a telescope, the same in all runs."""
        from ..simulation.drs4 import drs4_truth

        return drs4_truth(
            2,
            n_pixels,
            self.rng(10, tel_id),
            baseline_mean=0.0,
            baseline_spread=self.drs4_spread_in_adc,
            amplitude=self.drs4_sampling_in_ns,
        )

    def write_telescope(self, writer: Any, camera: Any, *plan: Any) -> tuple[Any, dict]:
        """Events of a telescope; of raw ones by its chips."""
        from ..camera.drs4_readout import PIXELS_OF_MODULE, chip_of_channel
        from ..camera.drs4_time_lapse import TimeLapse
        from ..simulation.drs4 import ChipReadout

        self._chips = None
        if self.is_raw:
            import numpy as np

            observation = writer.observation
            n_pixels = observation.n_pixels
            require(
                observation.array_element.startswith("LST") and n_pixels % PIXELS_OF_MODULE == 0,
                f"DRS4 runs are of LSTs, {observation.array_element} is none; give others",
            )
            self._chips = ChipReadout(
                self.drs4_truth(observation.tel_id, n_pixels),
                TimeLapse(*self.drs4_time_lapse),
                chip_of_channel(n_pixels // PIXELS_OF_MODULE),
                np.arange(n_pixels) % PIXELS_OF_MODULE % 2 == 0,
                self.rng(12, observation.tel_id, self.obs_id),
            )
        return super().write_telescope(writer, camera, *plan)

    def digitised(self, light: Any, *what: Any, **more: Any) -> Any:
        """Waveforms; of raw events pulses come at other times in each chip."""
        from ..simulation.drs4 import sampling_shift, shifted_waveforms

        if self._chips is None:
            return super().digitised(light, *what, **more)
        self._cells = self._chips.first_cells(len(light.charge))
        if not light.charge.any():
            return super().digitised(light, *what, **more)
        first = self._chips.first_capacitors(self._cells)
        shift = sampling_shift(self._chips.truth, first)
        return shifted_waveforms(light, shift, *what, **more)

    def read_out(self, events: list[tuple], stamps: Any) -> tuple[list[tuple], list[Any]]:
        """Events as they are stored, and their first capacitors; a raw run has one type."""
        import numpy as np

        if self._chips is None:
            return super().read_out(events, stamps)
        waveform = np.stack([event[1] for event in events])
        waveform = self._chips.read(waveform, self._cells, *np.transpose(stamps))
        read = [(kind, w, *rest) for (kind, _, *rest), w in zip(events, waveform, strict=True)]
        return read, list(self._cells)

    def drs4_path(self, tel_id: int) -> Path:
        """Where the truth of a telescope goes."""
        from ..core.telescope import array_element

        name = array_element(tel_id)
        return Path(self.output_folder) / "truth" / name / self.night / f"{name}.drs4_truth.h5"

    def write_drs4(self, tel_id: int, subarray: Any) -> None:
        """True chips of a telescope: deviations from the pedestal of the pixel, sampling times."""
        import numpy as np
        from astropy.table import Table

        from ..core.telescope import array_element
        from ..core.telescope_file import write_telescope_tables

        n_pixels, name = subarray.tel[tel_id].camera.geometry.n_pixels, array_element(tel_id)
        truth = self.drs4_truth(tel_id, n_pixels)
        channel, pixel = (part.ravel() for part in np.indices((2, n_pixels)))
        capacitors = Table({"channel": channel.astype(np.int8), "pixel_id": pixel.astype(np.int32)})
        capacitors["baseline"] = truth.baseline.reshape(channel.size, -1).astype(np.float32)
        times = {"cosine": truth.cosine[np.newaxis], "sine": truth.sine[np.newaxis]}
        path = self.drs4_path(tel_id)
        metadata = self.metadata(
            DRS4_KIND,
            f"True DRS4 chips of {name} in the simulated night {self.night}",
            details={
                "tel_id": tel_id,
                "array_element": name,
                "time_lapse": list(self.drs4_time_lapse),
            },
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        tables = {TRUE_CAPACITORS: capacitors, TRUE_TIMES: Table(times)}
        write_telescope_tables(path, subarray, tel_id, tables, metadata)
        self.add_output(path, DRS4_KIND)

"""Trigger rates of an array in one night under air of known transparency."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

KIND = "simulation/trigger_rates_truth"
MUONS, CAMERA = "simulation/muon_truth", "simulation/camera_truth"


class SimulateTriggerRates(NightTool):
    """Simulate the trigger rates of all telescopes of an array in one night.

    Slices of time from dusk to dawn on a field that culminates in the middle of the night; a cloud
    for part of the night. Throughputs and gains depend on site and seed; telescopes whose camera
    and muons were simulated have those of their truth. What a measurement of both would have
    found is in the table; the truth is beside it, with the suffix ``.truth.ecsv``.
    """

    name = "calibpipe-simulate-trigger-rates"
    description = __doc__
    examples = """
    calibpipe-simulate-trigger-rates --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --seed 1 --output trigger_rates_2024-07-10.ecsv
    """

    seed = traits.Int(0, min=0, help="Seed of everything random").tag(config=True)
    clear = traits.Bool(False, help="No cloud: a reference night").tag(config=True)
    slice_in_min = traits.Float(20.0, min=1.0, help="Length of a slice").tag(config=True)
    rate_in_hz = traits.Float(
        1500.0, min=1.0, help="Of a telescope with nominal throughput and gain at the zenith"
    ).tag(config=True)
    dead_time_in_us = traits.Float(7.0, min=0.0, help="Of a trigger").tag(config=True)
    transparency = traits.Float(1.0, min=0.01, max=1.0, help="Of the night").tag(config=True)
    cloud_transparency = traits.Float(0.9, min=0.01, max=1.0, help="Light that a cloud leaves").tag(
        config=True
    )
    cloud_begin = traits.Float(1 / 3, min=0.0, max=1.0, help="Part of the night").tag(config=True)
    cloud_end = traits.Float(2 / 3, min=0.0, max=1.0, help="Part of the night").tag(config=True)
    zenith_exponent = traits.Float(1.0, help="Rates are as this power of cos z").tag(config=True)
    zenith_range_in_deg = traits.List(
        traits.Float(min=0.0, max=85.0),
        default_value=[10.0, 50.0],
        minlen=2,
        maxlen=2,
        help="At culmination; at dusk and dawn",
    ).tag(config=True)
    nominal_throughput = traits.Float(
        0.2, min=1e-6, help="Optical throughput about which telescopes spread"
    ).tag(config=True)
    nominal_gain = traits.Float(85.0, min=1e-6, help="ADC of a photoelectron").tag(config=True)
    spread = traits.Float(0.05, min=0.0, help="Relative, of throughputs and gains").tag(config=True)
    measurement_error = traits.Float(
        0.01, min=0.0, help="Relative, of throughputs and gains in the table"
    ).tag(config=True)
    muon_truth = traits.List(
        traits.Path(exists=None, directory_ok=False), help="Truth of simulated muons"
    ).tag(config=True)
    camera_truth = traits.List(
        traits.Path(exists=None, directory_ok=False), help="Truth of simulated cameras"
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        "seed": "SimulateTriggerRates.seed",
        "muon-truth": "SimulateTriggerRates.muon_truth",
        "camera-truth": "SimulateTriggerRates.camera_truth",
    }
    flags: ClassVar[dict] = {
        **NightTool.flags,
        "clear": ({"SimulateTriggerRates": {"clear": True}}, "No cloud: a reference night"),
    }

    def setup(self) -> None:
        """Check what has to be given and that nothing would be overwritten."""
        super().setup()
        self.truth_output = self.output.with_suffix(".truth.ecsv")
        self.check_output(self.truth_output)

    def start(self) -> None:
        """Draw the telescopes, simulate, write."""
        import astropy.units as u
        import numpy as np

        from ..atmosphere.transparency import RateModel
        from ..core.files import atomic_path
        from ..core.night import astronomical_night, night_date
        from ..core.products import write_table
        from ..simulation.array_layout import array_subarray
        from ..simulation.trigger_rates import (
            culminating_field,
            night_slices,
            passing_cloud,
            simulated_trigger_rates,
        )

        site = self.load_site()
        night = astronomical_night(self.night, site)
        begin, duration, part = night_slices(night, self.slice_in_min * u.min)
        tel_ids = np.array(array_subarray(site).tel_ids)
        throughput, gain = self.telescopes(tel_ids, site)
        model = RateModel(zenith_exponent=self.zenith_exponent)
        cloud = 1.0 if self.clear else self.cloud_transparency
        air = self.transparency * passing_cloud(part, cloud, self.cloud_begin, self.cloud_end)
        nominal = self.nominal_throughput * self.nominal_gain
        rng = np.random.default_rng([self.seed, night_date(self.night).toordinal()])
        table = simulated_trigger_rates(
            begin,
            duration,
            culminating_field(part, self.zenith_range_in_deg * u.deg),
            air,
            tel_ids,
            throughput,
            gain,
            self.rate_in_hz / nominal**model.exponent * u.Hz,
            model,
            rng,
            self.dead_time_in_us * u.us,
        )
        for name, true in (("throughput", throughput), ("gain", gain)):
            measured = true * (1 + self.measurement_error * rng.normal(size=len(true)))
            table[name] = np.tile(measured, len(begin))
            table[f"{name}_error"] = self.measurement_error * table[name]
        with atomic_path(self.output) as temporary:
            table.write(temporary, format="ascii.ecsv", overwrite=True)
        self.add_output(self.output, "simulation/trigger_rates")
        metadata = self.metadata(
            KIND,
            f"True transparency over {site.name} in the simulated night {self.night}",
            validity=(night.dusk, night.dawn),
            details={
                "tel_ids": tel_ids.tolist(),
                "throughput": throughput.tolist(),
                "gain": gain.tolist(),
            },
        )
        write_table(self.truth_output, self.truth(begin, air), metadata)
        self.add_output(self.truth_output, KIND)

    def telescopes(self, tel_ids: Any, site: Any) -> tuple[Any, Any]:
        """True throughput and gain (ADC per p.e.) of each telescope."""
        import numpy as np

        from ..core.products import read_table
        from ..core.telescope import array_element_id

        rng = np.random.default_rng([self.seed, *site.name.encode()])
        throughput, gain = (
            nominal * np.exp(self.spread * rng.normal(size=len(tel_ids)))
            for nominal in (self.nominal_throughput, self.nominal_gain)
        )
        for path in self.muon_truth:
            own = read_table(self.add_input(path, MUONS), MUONS).meta["calibpipe"]
            at = tel_ids == array_element_id(own["array_element"])
            throughput[at] = own["optical_throughput"]
        for path in self.camera_truth:
            table = read_table(self.add_input(path, CAMERA), CAMERA)
            at = tel_ids == array_element_id(table.meta["calibpipe"]["array_element"])
            sound = np.asarray(table["status"]) == 0
            gain[at] = float(np.mean(np.asarray(table["gain"].value)[sound, 0]))
        return throughput, gain

    @staticmethod
    def truth(begin: Any, air: Any) -> Any:
        """One row a slice."""
        from astropy.table import QTable

        return QTable({"begin_utc": begin.utc.isot, "transparency": air})


def main() -> None:
    """Run the Tool."""
    SimulateTriggerRates().run()

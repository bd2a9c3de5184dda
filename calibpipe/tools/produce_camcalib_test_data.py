"""DL0 calibration data of one observation block with known truth."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import require
from .star_simulation import StarSimulation

KIND = "simulation/camera_truth"
SHOWER_KIND = "simulation/shower_truth"
MUON_KIND = "simulation/muon_truth"
CLOSED_CAMERA = ("DARK_PEDESTAL", "SINGLE_PE")  # before the camera sees the sky
GAIN_SELECTED = ("SUBARRAY", "MUON")
BLOCK = 64  # events simulated at once: 50 MB; the random numbers depend on it


class ProduceCamcalibTestData(StarSimulation):
    """Simulate one observation block of LSTs and MSTs in one night, as DL0.

    Writes below the output folder the event streams of each telescope and the array triggers in
    the observatory's folders (``DL0/<array element>/...``, ``DL0/ARRAY/...``), and the truth beside
    them (``truth/<array element>/<night>/<array element>_OBSID<number>.camera_truth.ecsv``, and
    ``.shower_truth.ecsv`` and ``.muon_truth.ecsv`` if there are showers and muons). Numbers and
    rate of events are those of one telescope. Telescopes take their calibration events and muons
    in turn; a shower is one event of all. Flat-field, sky-pedestal, shower and muon events are
    spread evenly over the observation; dark pedestals and single-photoelectron events come first,
    with a closed camera. The observation begins at astronomical dusk. Waveforms of a telescope
    depend on site, night, telescope and configuration only, its optical throughput on telescope,
    seed and configuration: it is the same every night.

    With --stars the telescopes track a source, and the stars around it add to the night sky of the
    pixels. What the drives record goes into
    ``monitoring/<array element>/<night>/<array element>_OBSID<number>.pointing.h5``, the true
    pointing and stars into ``.star_truth.ecsv`` beside the other truth. One throughput
    (``optical_throughput``) is that of all telescopes for stars.

    LSTs of CTAO-North are known. Other telescopes (5 is MSTN-01) need the description of their
    camera: service data in a folder of CTAPIPE_SVC_PATH, or --camera-description and a simulation
    of sim_telarray that has a NectarCAM (North) or FlashCam (South). Then service data are written
    into ``service_data``: with CTAPIPE_SVC_PATH set to that folder, the events can be read.
    """

    name = "calibpipe-produce-camcalib-test-data"
    description = __doc__
    examples = """
    calibpipe-produce-camcalib-test-data --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --tel-id 1 --tel-id 2 --n-flatfield 1000 --n-pedestal 1000 --seed 1 \\
        --output-folder simulated
    """

    output_folder = traits.Path(
        None, allow_none=True, exists=None, file_ok=False, help="Folder of the DL0 tree"
    ).tag(config=True)
    tel_ids = traits.List(
        traits.Int(min=1), default_value=[1], help="Telescopes of the block: 1 is LSTN-01"
    ).tag(config=True)
    camera_description = traits.List(
        traits.Path(exists=None, directory_ok=False),
        default_value=[],
        help="Files with telescopes (simulations, any file that ctapipe reads) whose cameras the "
        "MSTs get",
    ).tag(config=True)
    obs_id = traits.Int(1, min=1, help="Observation block").tag(config=True)
    sb_id = traits.Int(1, min=1, help="Scheduling block").tag(config=True)
    n_streams = traits.Int(1, min=1, max=16, help="Parallel DL0 streams (SDH)").tag(config=True)
    compression = traits.CaselessStrEnum(
        ["raw", "zstd1", "fact"],
        "raw",
        help="Of the waveforms: raw is fastest (300 kB a dual-gain event), fact smallest (100 kB)",
    ).tag(config=True)
    n_flatfield = traits.Int(500, min=0, help="Flat-field events").tag(config=True)
    n_pedestal = traits.Int(500, min=0, help="Sky-pedestal events").tag(config=True)
    n_shower = traits.Int(0, min=0, help="Shower events, gain selected").tag(config=True)
    n_muon = traits.Int(0, min=0, help="Muon events, gain selected").tag(config=True)
    n_dark_pedestal = traits.Int(0, min=0, help="Pedestals of the closed camera").tag(config=True)
    n_single_pe = traits.Int(0, min=0, help="Single-photoelectron events").tag(config=True)
    rate_in_hertz = traits.Float(
        100.0, help="Events per second and telescope, all types together"
    ).tag(config=True)
    seed = traits.Int(0, min=0, help="Seed of everything random").tag(config=True)

    flatfield_n_pe = traits.Float(80.0, min=0, help="Mean p.e. of a flat-field event").tag(
        config=True
    )
    single_pe_n_pe = traits.Float(0.8, min=0, help="Mean p.e. of a single-p.e. event").tag(
        config=True
    )
    single_pe_charge = traits.CaselessStrEnum(
        ["gamma", "two-component"],
        "gamma",
        help="Charge of the photoelectrons of single-p.e. events: as of all light, or half-normal "
        "and Gaussian, with `single_pe_shape`",
    ).tag(config=True)
    single_pe_shape = traits.Dict(
        default_value={},
        value_trait=traits.Float(),
        help="What differs from calibpipe.simulation.single_photoelectron.SpeShape, such as "
        "{'resolution': 0.45}",
    ).tag(config=True)
    voltage_gain = traits.Float(
        1.0, min=0.1, max=100, help="Gain of this block over that of the truth: high voltage"
    ).tag(config=True)
    intensity_jitter = traits.Float(
        0.01, min=0, max=0.3, help="Relative rms of the light source from event to event (B)"
    ).tag(config=True)
    arrival_time_in_ns = traits.Float(18.0, help="After the first sample").tag(config=True)
    time_jitter_in_ns = traits.Float(
        0.5, min=0, help="Rms of the arrival over flat fields and muons"
    ).tag(config=True)
    transit_time_spread_in_ns = traits.Float(0.6, min=0, help="Of one photoelectron, rms").tag(
        config=True
    )
    gain_selection_threshold = traits.Float(
        3500.0,
        help="ADC of high gain above which a pixel of a shower or muon is stored in low gain",
    ).tag(config=True)
    optical_throughput = traits.Float(
        0.2, min=0, max=1, help="Photoelectrons per photon of 300 to 600 nm on the mirror"
    ).tag(config=True)
    throughput_spread = traits.Float(
        0.0, min=0, max=0.5, help="Of the throughput between telescopes, relative rms"
    ).tag(config=True)
    optical_psf_in_deg = traits.Float(
        0.03, min=0, help="Rms, in each of two directions, of the image of a point"
    ).tag(config=True)
    muon_energy_min_in_gev = traits.Float(8.0, help="Lowest energy of muons").tag(config=True)
    muon_max_impact = traits.Float(
        1.2, min=0, help="Largest distance of muons from the middle of the mirror, in its radii"
    ).tag(config=True)
    muon_fov_radius_in_deg = traits.Float(
        1.0, min=0, max=5, help="Largest angle of muons to the optical axis"
    ).tag(config=True)
    muon_knock_on = traits.Bool(
        True, help="Whether electrons that muons knock on have light, too"
    ).tag(config=True)
    spread = traits.Dict(
        {},
        help="Means and spreads of the pixels that differ from the defaults: names and values of "
        "calibpipe.simulation.camera.CameraSpread, such as {'dead': 0.005, 'gain_drift': 0.01}",
    ).tag(config=True)

    required: ClassVar[tuple[str, ...]] = ("site", "night", "output_folder")
    aliases: ClassVar[dict] = {
        "site": "NightTool.site",
        "night": "NightTool.night",
        ("o", "output-folder"): "ProduceCamcalibTestData.output_folder",
        ("tel-id", "tel-ids"): "ProduceCamcalibTestData.tel_ids",
        "camera-description": "ProduceCamcalibTestData.camera_description",
        "n-flatfield": "ProduceCamcalibTestData.n_flatfield",
        "n-pedestal": "ProduceCamcalibTestData.n_pedestal",
        "n-shower": "ProduceCamcalibTestData.n_shower",
        "n-muon": "ProduceCamcalibTestData.n_muon",
        "rate": "ProduceCamcalibTestData.rate_in_hertz",
        "seed": "ProduceCamcalibTestData.seed",
    }
    flags: ClassVar[dict] = StarSimulation.flags | {
        "stars": (
            {"ProduceCamcalibTestData": {"stars": True}},
            "Track a source and see the stars around it",
        ),
    }

    def start(self) -> None:
        """Simulate telescope after telescope and write them."""
        from ..core.night import astronomical_night

        site = self.load_site()
        self.check_request(site)
        subarray_id, subarray = self.described(site)
        self.simulate_block(astronomical_night(self.night, site).dusk, subarray_id, subarray)

    def simulate_block(self, begin: Any, subarray_id: int, subarray: Any) -> None:
        """Simulate and write the observation block."""
        observations = [
            self.observation(begin, subarray_id, tel_id, subarray.tel[tel_id].camera)
            for tel_id in self.tel_ids
        ]
        mirrors = [self.mirror(subarray.tel[tel_id].optics, tel_id) for tel_id in self.tel_ids]
        left = self.check_outputs(observations)
        self._skies = self.star_skies(observations, subarray)
        found = self.write_events(observations, subarray, mirrors)
        for path in left:  # what an earlier run left would be read as part of this one
            path.unlink(missing_ok=True)
        for observation, mirror, (truth, events) in zip(observations, mirrors, found, strict=True):
            self.write_truth(observation, truth)
            if self.n_shower:
                self.write_showers(observation, events["SUBARRAY"])
            if self.n_muon:
                self.write_muons(observation, events["MUON"], mirror)
            self.write_stars(observation, subarray)

    def check_request(self, site: Any) -> None:
        """Rate, number of events, telescopes."""
        from ..core.telescope import array_element

        require(
            self.rate_in_hertz > 0,
            f"rate_in_hertz is {self.rate_in_hertz:g}, needs more than 0 events per second",
        )
        require(
            self.n_events > 0,
            "no events asked for; give --n-flatfield, --n-pedestal, --n-shower or --n-muon",
        )
        require(
            len(set(self.tel_ids)) == len(self.tel_ids) > 0,
            f"tel_ids {self.tel_ids} name a telescope twice or none; name each once",
        )
        letter = site.name.removeprefix("CTAO-")[0]
        strange = [name for name in map(array_element, self.tel_ids) if name[3] != letter]
        require(
            not strange,
            f"{', '.join(strange)} of tel_ids {self.tel_ids} are not at {site.name}; give --site "
            "or --tel-ids of telescopes of one site",
        )

    @property
    def n_events(self) -> int:
        """Events of all types, of one telescope."""
        return sum(self.n_of_type.values())

    @property
    def n_of_type(self) -> dict[str, int]:
        """Number of events of each type, closed camera first."""
        return {
            "DARK_PEDESTAL": self.n_dark_pedestal,
            "SINGLE_PE": self.n_single_pe,
            "FLATFIELD": self.n_flatfield,
            "SKY_PEDESTAL": self.n_pedestal,
            "SUBARRAY": self.n_shower,
            "MUON": self.n_muon,
        }

    def described(self, site: Any) -> tuple[int, Any]:
        """Number and description of the subarray of the block."""
        from ..core.telescope import subarray_of

        if not self.camera_description:
            return subarray_of(self.tel_ids)
        from ..simulation.service_data import site_subarray, subarray_number, write_service_data

        paths = [
            self.add_input(path, "simulation/camera_description")
            for path in self.camera_description
        ]
        subarray = site_subarray(site, paths)
        folder = Path(self.output_folder) / "service_data"
        self.check_output(folder / "instrument.meta.json")
        write_service_data(folder, subarray)
        self.add_output(folder / "instrument.meta.json", "simulation/service_data")
        self.log.info("to read the events: CTAPIPE_SVC_PATH=%s", folder)
        return subarray_number(subarray, self.tel_ids), subarray

    def camera_spread(self, camera: Any) -> Any:
        """Spread of a camera, changed by the configuration."""
        from dataclasses import fields, replace

        from ..simulation.camera import CAMERA_SPREADS, CameraSpread

        known = {entry.name for entry in fields(CameraSpread)}
        unknown = sorted(set(self.spread) - known)
        require(
            not unknown,
            f"spread has unknown entries {unknown}; known ones: {', '.join(sorted(known))}",
        )
        return replace(CAMERA_SPREADS.get(camera.name, CameraSpread()), **self.spread)

    def mirror(self, optics: Any, tel_id: int) -> Any:
        """Mirror of a telescope and the air above it, for muons."""
        from numpy.random import SeedSequence, default_rng

        from ..pointing.coma_psf import coma_of_optics
        from ..simulation.muon import drawn_throughput, mirror_and_hole
        from ..simulation.muon_photons import MuonTelescope

        if not self.n_muon:
            return None
        mirror_radius, hole_radius = mirror_and_hole(optics)
        rng = default_rng(SeedSequence(self.seed, spawn_key=(tel_id,)))
        return MuonTelescope(
            optical_throughput=drawn_throughput(
                self.optical_throughput, self.throughput_spread, rng
            ),
            psf=self.optical_psf_in_deg,
            coma=float(coma_of_optics(optics)),
            mirror_radius=mirror_radius,
            hole_radius=hole_radius,
            field=self.field(),
            **self.air(),
        )

    def air(self) -> dict[str, Any]:
        """Air of the night, which is that of calibpipe-simulate-meteo-data with the same seed."""
        from numpy.random import default_rng

        from ..core.night import astronomical_night, night_date
        from ..simulation.meteorology import Weather, simulated_atmosphere
        from ..simulation.muon_air import muon_air

        site = self._loaded_site
        night = astronomical_night(self.night, site)
        middle = night.dusk + (night.dawn - night.dusk) / 2
        rng = default_rng([self.seed, night_date(self.night).toordinal()])
        return muon_air(simulated_atmosphere(site, middle, Weather(), rng), site, night.dusk)

    def field(self) -> tuple[float, float]:
        """Earth's magnetic field across the zenith, T, as for telescopes turned to the North."""
        import astropy.units as u

        from ..throughput.geomagnetic_field import site_field, transverse_field

        field = transverse_field(site_field(self._loaded_site.name), 90 * u.deg, 0 * u.deg)
        lon, lat = field.to_value(u.T)
        return float(lon), float(lat)

    def observation(self, begin: Any, subarray_id: int, tel_id: int, camera: Any) -> Any:
        """What is written of a telescope, and where."""
        from ..core.night import night_date
        from ..core.telescope import array_element
        from ..simulation.camera import PIXELS_PER_MODULE
        from ..simulation.dl0 import Dl0Observation

        name = array_element(tel_id)
        return Dl0Observation(
            folder=Path(self.output_folder),
            tel_id=tel_id,
            array_element=name,
            subarray_id=subarray_id,
            sb_id=self.sb_id,
            obs_id=self.obs_id,
            evening=night_date(self.night),
            start=begin,
            n_pixels=camera.geometry.n_pixels,
            n_samples=camera.readout.n_samples,
            sampling_rate=camera.readout.sampling_rate,
            n_channels=camera.readout.n_channels,
            pixels_per_module=PIXELS_PER_MODULE.get(camera.name, 7),
            user=f"ctao-{name[3].lower()}-acada",
            n_streams=self.n_streams,
        )

    def truth_path(self, observation: Any, kind: str) -> Path:
        """Where a truth goes."""
        name = f"{observation.array_element}_OBSID{observation.obs_id}.{kind}.ecsv"
        return Path(self.output_folder) / "truth" / observation.array_element / self.night / name

    def check_outputs(self, observations: list[Any]) -> list[Path]:
        """Nothing is overwritten by accident; what an earlier run left of this block."""
        kinds = ["camera_truth"]
        kinds += ["shower_truth"] * (self.n_shower > 0) + ["muon_truth"] * (self.n_muon > 0)
        own = {observation.trigger_path for observation in observations}
        for observation in observations:
            own.update(observation.event_paths)
            own.update(self.truth_path(observation, kind) for kind in kinds)
            own.update(self.star_paths(observation))
        folder = Path(self.output_folder)
        left = set(folder.glob(f"truth/*/{self.night}/*_OBSID{self.obs_id}.*_truth.ecsv"))
        left.update(folder.glob(f"monitoring/*/{self.night}/*_OBSID{self.obs_id}.pointing.h5"))
        for path in (observations[0].event_paths[0], observations[0].trigger_path):
            _, _, name = path.name.split("_", 2)  # telescope or subarray, stream, the block
            element, *day = path.parent.relative_to(folder / "DL0").parts
            anything = "/".join(["ARRAY" if element == "ARRAY" else "*", *day, f"*_*_{name}"])
            left.update((folder / "DL0").glob(anything))
        for path in sorted(own | left):
            self.check_output(path)
        return sorted(left - own)

    def write_events(
        self, observations: list[Any], subarray: Any, mirrors: list[Any]
    ) -> list[tuple[Any, dict]]:
        """All events of the block; truth, showers and muons of each telescope.

        The files appear together when all are complete.
        """
        from ctapipe.containers import EventType

        from ..simulation.array_triggers import write_array_triggers
        from ..simulation.dl0 import Dl0Writer

        types = [EventType[name].value for name in self.event_types()]
        schedule = self.schedule(types, len(observations))
        with ExitStack() as stack:
            found = []
            for k, observation in enumerate(observations):
                writer = stack.enter_context(Dl0Writer(observation, len(types), self.compression))
                camera = subarray.tel[observation.tel_id].camera
                plan = schedule.event_id[k], schedule.seconds[k]
                found.append(self.write_telescope(writer, camera, mirrors[k], *plan))
            write_array_triggers(observations[0], schedule, self.tel_ids)
        for observation in observations:
            for path in observation.event_paths:
                self.add_output(path, "simulation/dl0")
        self.add_output(observations[0].trigger_path, "simulation/dl0")
        return found

    def schedule(self, types: Any, n_telescopes: int) -> Any:
        """When which telescope has an event."""
        import astropy.units as u

        from ..simulation.array_triggers import block_schedule

        return block_schedule(types, n_telescopes, self.rate_in_hertz * u.Hz)

    def write_telescope(
        self, writer: Any, camera: Any, mirror: Any, event_id: Any, seconds: Any
    ) -> tuple[Any, dict[str, list[tuple]]]:
        """Events of a telescope in the order of time; its truth; that of its showers and muons.

        The random numbers of a telescope are its own.
        """
        from dataclasses import replace

        import numpy as np
        from ctapipe.containers import EventType
        from tqdm import tqdm

        from ..core.night import night_date
        from ..simulation.camera import camera_truth
        from ..simulation.dl0 import event_times
        from ..simulation.muon import camera_lookup
        from ..simulation.waveforms import pulse_templates

        observation, readout, types = writer.observation, camera.readout, self.event_types()
        seed = [self.seed, night_date(self.night).toordinal(), observation.tel_id]
        rng = np.random.default_rng(seed)
        spread = self.camera_spread(camera)
        truth = camera_truth(camera.geometry.n_pixels, rng, spread, readout.n_channels)
        truth = replace(truth, gain=self.voltage_gain * truth.gain)
        rng = self.event_rng(rng, seed)
        templates = pulse_templates(
            readout.reference_pulse_shape,
            readout.reference_pulse_sample_width,
            readout.sampling_rate,
        )
        stamps = np.transpose(event_times(observation.start, seconds))
        muon_optics = mirror, camera_lookup(camera.geometry) if mirror else None
        records: dict[str, list[tuple]] = {name: [] for name in GAIN_SELECTED}
        with tqdm(total=types.size, desc=observation.array_element, disable=None) as progress:
            size = self.block_size(BLOCK)
            for first in range(0, types.size, size):
                block = slice(first, first + size)
                plan = types[block], seconds[block]
                seen = self.starlit(truth, observation.tel_id, seconds[block])
                events = self.block(*plan, camera, muon_optics, seen, templates, rng)
                events, cells = self.read_out(events, stamps[block])
                for i, (name, waveform, gain, record) in enumerate(events, first):
                    stamp = (int(part) for part in stamps[i])
                    kind = EventType[name].value
                    writer.write(int(event_id[i]), *stamp, kind, waveform, gain, cells[i - first])
                    if name in records:
                        records[name].append((event_id[i], *record, gain))
                progress.update(len(events))
        return truth, records

    def event_rng(self, rng: Any, seed: list[int]) -> Any:
        """Source of the randomness of events, after that of the camera."""
        return rng

    def event_types(self) -> Any:
        """Type of each event, in the order of time: closed camera first, then the open one."""
        import numpy as np

        from ..simulation.light import interleaved

        names = list(self.n_of_type)
        counts = list(self.n_of_type.values())
        closed = len(CLOSED_CAMERA)
        order = [interleaved(counts[:closed]), closed + interleaved(counts[closed:])]
        return np.array(names)[np.concatenate(order)]

    def block(
        self,
        types: Any,
        seconds: Any,
        camera: Any,
        muon_optics: tuple[Any, Any],
        truth: Any,
        templates: Any,
        rng: Any,
    ) -> list[tuple]:
        """Events of a block: type, waveform, selected gain, truth."""
        import numpy as np

        from ..simulation.waveforms import selected_gain

        events: list[Any] = [None] * types.size
        for name in np.unique(types):
            own = np.flatnonzero(types == name)
            if name == "MUON":
                light, records = self.muons(own.size, *muon_optics, truth, rng)
            else:
                light = self.light(str(name), own.size, camera, truth, rng)
                records = list(zip(light.n_pe, light.time, strict=True))
            waveform = self.digitised(
                light,
                truth,
                templates,
                camera.readout.n_samples,
                rng,
                hours=seconds[own] / 3600,
                sky=name not in CLOSED_CAMERA,
            )
            for i, event in enumerate(own):
                gain = None
                if name in GAIN_SELECTED:
                    gain = selected_gain(waveform[i], self.gain_selection_threshold)
                events[event] = (str(name), waveform[i], gain, records[i])
        return events

    def digitised(self, *what: Any, **more: Any) -> Any:
        """Waveforms of events of one type; see `calibpipe.simulation.waveforms.waveforms`."""
        from ..simulation.waveforms import waveforms

        return waveforms(*what, **more)

    def read_out(self, events: list[tuple], stamps: Any) -> tuple[list[tuple], list[Any]]:
        """Events of a block as they are stored, and the capacitors that were read first, if any."""
        return events, [None] * len(events)

    def light(self, name: str, n_events: int, camera: Any, truth: Any, rng: Any) -> Any:
        """Light of events of one type, but muons."""
        import astropy.units as u

        from ..simulation.light import flat_field_light, no_light, shower_light

        if name.endswith("PEDESTAL"):
            return no_light(n_events, truth)
        timing = self.timing()
        if name == "SUBARRAY":
            x, y = camera.geometry.pix_x, camera.geometry.pix_y
            return shower_light(n_events, truth, rng, pixel_x=x, pixel_y=y, **timing)
        light = flat_field_light(
            n_events,
            truth,
            rng,
            n_pe=self.flatfield_n_pe if name == "FLATFIELD" else self.single_pe_n_pe,
            intensity_jitter=self.intensity_jitter,
            time_jitter=self.time_jitter_in_ns * u.ns,
            **timing,
        )
        if name == "SINGLE_PE" and self.single_pe_charge == "two-component":
            from ..simulation.single_photoelectron import few_photoelectron_light

            return few_photoelectron_light(light, self.shape_of_charge(), rng)
        return light

    def shape_of_charge(self) -> Any:
        """Shape of the charge of one photoelectron."""
        from dataclasses import fields

        from ..simulation.single_photoelectron import SpeShape

        known = {entry.name for entry in fields(SpeShape)}
        unknown = sorted(set(self.single_pe_shape) - known)
        require(
            not unknown,
            f"single_pe_shape has unknown entries {unknown}; known ones: "
            f"{', '.join(sorted(known))}",
        )
        return SpeShape(**self.single_pe_shape)

    def muons(
        self, n_events: int, mirror: Any, pixels: Any, truth: Any, rng: Any
    ) -> tuple[Any, list[tuple]]:
        """Light of muons; their truth and photoelectrons."""
        from dataclasses import astuple

        import astropy.units as u

        from ..simulation.muon import muon_light, muon_truth

        muons = muon_truth(
            n_events,
            rng,
            mirror,
            energy_min=self.muon_energy_min_in_gev * u.GeV,
            max_impact=self.muon_max_impact,
            fov_radius=self.muon_fov_radius_in_deg * u.deg,
        )
        timing = self.timing()
        jitter = self.time_jitter_in_ns * rng.standard_normal(n_events) * u.ns
        timing["time"] = timing["time"] + jitter  # samples do not wait for the muon
        light = muon_light(
            muons, mirror, truth, pixels, rng, has_knock_on=self.muon_knock_on, **timing
        )
        return light, list(zip(*astuple(muons), light.n_pe.sum(axis=1), strict=True))

    def timing(self) -> dict[str, Any]:
        """When light arrives, and how one photoelectron scatters."""
        import astropy.units as u

        return {
            "time": self.arrival_time_in_ns * u.ns,
            "transit_time_spread": self.transit_time_spread_in_ns * u.ns,
        }

    def write_truth(self, observation: Any, truth: Any) -> None:
        """True pixels beside the data."""
        from ..core.products import write_table
        from ..simulation.camera import truth_table

        path = self.truth_path(observation, "camera_truth")
        table = truth_table(truth)
        if self.n_single_pe and self.single_pe_charge == "two-component":
            for name, column in self.shape_of_charge().columns(len(table)).items():
                table[f"single_pe_{name}"] = column
        metadata = self.metadata(
            KIND,
            f"True camera of {observation.array_element} in the simulated night {self.night}",
            validity=self.validity(observation),
            details=self.details(observation),
        )
        write_table(path, table, metadata)
        self.add_output(path, KIND)

    def write_showers(self, observation: Any, showers: list[tuple]) -> None:
        """True photoelectrons and arrival times of the showers beside the data."""
        import astropy.units as u
        import numpy as np
        from astropy.table import QTable

        from ..core.products import write_table

        event_id, n_pe, time, gain = (np.array(part) for part in zip(*showers, strict=True))
        table = QTable(
            {
                "event_id": event_id,
                "n_pe": n_pe,
                "time": np.round(time, 3) * u.ns,
                "selected_gain_channel": gain,
            }
        )
        path = self.truth_path(observation, "shower_truth")
        metadata = self.metadata(
            SHOWER_KIND,
            f"True images of {observation.array_element} in the simulated night {self.night}",
            validity=self.validity(observation),
            details=self.details(observation),
        )
        write_table(path, table, metadata)
        self.add_output(path, SHOWER_KIND)

    def write_muons(self, observation: Any, muons: list[tuple], mirror: Any) -> None:
        """True muons beside the data."""
        import numpy as np

        from ..core.products import write_table
        from ..simulation.muon import MuonTruth, muon_truth_table
        from ..simulation.muon_photons import BAND

        event_id, *values, n_pe, _ = (np.array(part) for part in zip(*muons, strict=True))
        path = self.truth_path(observation, "muon_truth")
        about = {
            "optical_throughput": mirror.optical_throughput,
            "band_in_nm": list(BAND),
            "psf_in_deg": mirror.psf,
            "coma": mirror.coma,
            "mirror_radius_in_m": mirror.mirror_radius,
            "hole_radius_in_m": mirror.hole_radius,
            "refractivity": mirror.refractivity,
            "scale_height_in_m": mirror.scale_height,
            "extinction_per_m": mirror.extinction,
            "radiation_length_in_m": mirror.radiation_length,
            "field_in_microtesla": [round(1e6 * part, 4) for part in mirror.field],
        }
        metadata = self.metadata(
            MUON_KIND,
            f"True muons of {observation.array_element} in the simulated night {self.night}",
            validity=self.validity(observation),
            details=self.details(observation) | about,
        )
        write_table(path, muon_truth_table(event_id, MuonTruth(*values), n_pe), metadata)
        self.add_output(path, MUON_KIND)

    def validity(self, observation: Any) -> tuple[Any, Any]:
        """From the first event to one period after the last."""
        import astropy.units as u

        return observation.start, observation.start + self.n_events / self.rate_in_hertz * u.s

    def details(self, observation: Any) -> dict[str, Any]:
        """Which data the truth belongs to."""
        paths = (*observation.event_paths, observation.trigger_path)
        return {
            "tel_id": observation.tel_id,
            "array_element": observation.array_element,
            "sb_id": observation.sb_id,
            "obs_id": observation.obs_id,
            "reference_time_tai": observation.start.tai.isot,
            "n_events": self.n_of_type,
            "files": [str(path.relative_to(self.output_folder)) for path in paths],
        }


def main() -> None:
    """Run the Tool."""
    ProduceCamcalibTestData().run()

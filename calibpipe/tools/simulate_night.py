"""A whole night with known truth, as the observatory and the weather services deliver it."""

from pathlib import Path
from typing import ClassVar

from ctapipe.core import Tool, run_tool, traits

from .night_tool import NightTool
from .produce_camcalib_test_data import ProduceCamcalibTestData
from .simulate_meteo_data import SimulateMeteoData


class SimulateNight(NightTool):
    """Simulate one night: meteorological data and DL0 of telescopes, each with its truth.

    Below the output folder:

    - ``meteo/<site>/<night>/<category>.grib`` with ``.truth.ecsv`` beside it;
    - ``DL0/<array element>/...``, ``DL0/ARRAY/...``: events and array triggers of one observation
      block of all telescopes;
    - ``truth/<array element>/<night>/...``: true pixels, images of showers, muons, stars;
    - ``monitoring/<array element>/<night>/...``: what the drives record, if there are stars;
    - ``provenance/<night>/<part>.json``.

    The parts are the Tools calibpipe-simulate-meteo-data and calibpipe-produce-camcalib-test-data;
    the configuration file may set all that they have. With ``data_roots: {dl0: <folder>, meteo:
    <folder>/meteo}``, ``dl0: {source: files}`` and ``meteo: {source: files, files:
    "{site}/{night}/{category}.grib"}`` the workflow calibrates the night. Everything follows from
    site, night, seed and configuration.
    """

    name = "calibpipe-simulate-night"
    description = __doc__
    examples = """
    calibpipe-simulate-night --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --tel-ids 1 --tel-ids 2 --seed 1 --output-folder simulated
    """

    output_folder = traits.Path(
        None, allow_none=True, exists=None, file_ok=False, help="Folder of the night's data"
    ).tag(config=True)
    categories = traits.List(
        traits.CaselessStrEnum(["B", "C"]),
        default_value=["B", "C"],
        help="Weather services: B is like GDAS, C like ERA5; both describe the same atmosphere",
    ).tag(config=True)
    tel_ids = traits.List(
        traits.Int(min=1), default_value=[1, 2], help="Telescopes; none: the weather alone"
    ).tag(config=True)
    seed = traits.Int(0, min=0, help="Seed of everything random").tag(config=True)

    required: ClassVar[tuple[str, ...]] = ("site", "night", "output_folder")
    aliases: ClassVar[dict] = {
        "site": "NightTool.site",
        "night": "NightTool.night",
        ("o", "output-folder"): "SimulateNight.output_folder",
        "categories": "SimulateNight.categories",
        "tel-ids": "SimulateNight.tel_ids",
        "seed": "SimulateNight.seed",
    }
    classes: ClassVar[list[type]] = [ProduceCamcalibTestData, SimulateMeteoData]

    def start(self) -> None:
        """Run the parts, the weather first."""
        site = self.load_site()
        weather = Path(self.output_folder) / "meteo" / site.name / self.night
        for category in self.categories:
            output = weather / f"{category}.grib"
            options = [f"--category={category}", f"--output={output}"]
            self.run_part(SimulateMeteoData(), f"meteo_{category}", options)
        if self.tel_ids:
            options = [f"--tel-id={tel_id}" for tel_id in self.tel_ids]
            options.append(f"--output-folder={self.output_folder}")
            self.run_part(ProduceCamcalibTestData(), "dl0", options)

    def run_part(self, part: Tool, name: str, options: list[str]) -> None:
        """Run a Tool for a part of the night, with the configuration of this one."""
        provenance = Path(self.output_folder) / "provenance" / self.night / f"{name}.json"
        provenance.parent.mkdir(parents=True, exist_ok=True)
        provenance.unlink(missing_ok=True)  # ctapipe appends
        part.update_config(self.config)
        argv = [
            f"--site={self.site}",
            f"--night={self.night}",
            f"--seed={self.seed}",
            f"--provenance-log={provenance}",
            *options,
            *["--overwrite"] * self.overwrite,
            *["--quiet"] * self.quiet,
        ]
        run_tool(part, argv=argv, raises=True)


def main() -> None:
    """Run the Tool."""
    SimulateNight().run()

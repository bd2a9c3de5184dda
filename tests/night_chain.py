"""One night through the Tools of the molecular atmosphere, in a folder of its own."""

from pathlib import Path

from ctapipe.core import Provenance, run_tool

from calibpipe.tools.calculate_macobac import CalculateMacobac
from calibpipe.tools.create_molecular_atmospheric_model import CreateMolecularAtmosphericModel
from calibpipe.tools.create_molecular_density_profile import CreateMolecularDensityProfile
from calibpipe.tools.retrieve_meteo_data import RetrieveMeteoData
from calibpipe.tools.select_reference_atmospheric_model import SelectReferenceAtmosphericModel
from calibpipe.tools.simulate_meteo_data import SimulateMeteoData

ROOT = Path(__file__).parents[1]
NIGHT = "2024-07-10"


class Night:
    """One night's files and how to make them."""

    def __init__(self, folder, site="CTAO-North", category="C", night=NIGHT):
        self.folder, self.site_name, self.category, self.night = folder, site, category, night

    def __getitem__(self, name):
        return self.folder / name

    @property
    def site_file(self):
        return ROOT / f"config/sites/{self.site_name}.yaml"

    def run(self, tool, output, *options):
        Provenance().clear()
        argv = [
            f"--site={self.site_file}",
            f"--night={self.night}",
            f"--category={self.category}",
            f"--output={self[output]}",
            *options,
        ]
        return run_tool(tool(), argv, cwd=self.folder)

    def simulate(self, *options):
        self.run(SimulateMeteoData, "meteo.grib", "--overwrite", *options)

    def retrieve(self, *files):
        self.run(
            RetrieveMeteoData,
            "meteo_data.json",
            *(f"--input={file}" for file in files or [self["meteo.grib"]]),
            f"--cache={self['cache']}",
            "--overwrite",
        )

    def macobac(self):
        self.run(CalculateMacobac, "macobac.ecsv", "--offline")

    def density_profile(self, output="density_profile.ecsv", *options):
        self.run(
            CreateMolecularDensityProfile,
            output,
            f"--meteo-data={self['meteo_data.json']}",
            f"--macobac={self['macobac.ecsv']}",
            *options,
        )

    def select(self, output="reference_model.ecsv", *options):
        pool = f"--pool={ROOT}/config/reference_models/{self.site_name}"
        self.run(SelectReferenceAtmosphericModel, output, pool, *options)

    def model(self, stem="", *options, reference="reference_model.ecsv"):
        self.run(
            CreateMolecularAtmosphericModel,
            f"{stem}atmospheric_model.ecsv",
            f"--reference-model={self[reference]}",
            f"--macobac={self['macobac.ecsv']}",
            f"--extinction-output={self[f'{stem}rayleigh_extinction.ecsv']}",
            f"--atmprof-output={self[f'{stem}atmprof.dat']}",
            f"--atm-trans-output={self[f'{stem}atm_trans.dat']}",
            *options,
        )

    def all(self, *files):
        if not files:
            self.simulate()
        self.retrieve(*files)
        self.macobac()
        self.density_profile()
        self.select("reference_model.ecsv", f"--density-profile={self['density_profile.ecsv']}")
        self.model("", f"--density-profile={self['density_profile.ecsv']}")
        return self

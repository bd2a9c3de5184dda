"""FRAM data of one night with known truth, as the FITS table that FRAM delivers."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

KIND = "simulation/fram_truth"


class SimulateFramData(NightTool):
    """Simulate the FRAM data of one night at one site.

    Aerosol with drift and scatter, a cloud for part of the night, patches over the field. The true
    depths are written beside it, with the suffix ``.truth.ecsv``. Same site, night, seed and
    configuration give the same data.
    """

    name = "calibpipe-simulate-fram-data"
    description = __doc__
    examples = """
    calibpipe-simulate-fram-data --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --seed 1 --output fram_2024-07-10.fits
    """

    seed = traits.Int(0, min=0, help="Seed of the sky and of the noise").tag(config=True)
    vaod = traits.Float(0.02, min=0.0, help="Vertical, at 440 nm, at dusk").tag(config=True)
    drift = traits.Float(0.0, help="Change of the VAOD from dusk to dawn").tag(config=True)
    variation = traits.Float(0.0, min=0.0, help="Scatter from image to image").tag(config=True)
    patchiness = traits.Float(0.0, min=0.0, help="Scatter over a field").tag(config=True)
    cloud = traits.Float(0.0, min=0.0, help="Optical depth of a cloud").tag(config=True)
    cloud_begin = traits.Float(0.5, min=0.0, max=1.0, help="Part of the night").tag(config=True)
    cloud_end = traits.Float(0.75, min=0.0, max=1.0, help="Part of the night").tag(config=True)
    angstrom_exponent = traits.Float(1.2, help="Of the aerosol").tag(config=True)
    wavelengths_in_nm = traits.List(
        traits.Float(min=200.0, max=1200.0), default_value=[440.0], help="Filters, in turn"
    ).tag(config=True)
    interval_in_min = traits.Float(2.0, min=0.1, help="From image to image").tag(config=True)
    n_stars = traits.Int(60, min=1, help="In an image").tag(config=True)
    star_error = traits.Float(0.02, min=1e-6, help="Optical depth of one star").tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {"seed": "SimulateFramData.seed"}

    def setup(self) -> None:
        """Check what has to be given and that nothing would be overwritten."""
        super().setup()
        self.truth_output = self.output.with_suffix(".truth.ecsv")
        self.check_output(self.truth_output)

    def start(self) -> None:
        """Simulate, write."""
        import numpy as np

        from ..core.files import atomic_path
        from ..core.night import astronomical_night, night_date
        from ..core.products import write_table
        from ..simulation.fram import fram_hdus, simulated_fram

        site = self.load_site()
        night = astronomical_night(self.night, site)
        rng = np.random.default_rng([self.seed, night_date(self.night).toordinal()])
        measured, truth = simulated_fram(site, night, *self.sky_and_camera(), rng)
        with atomic_path(self.output) as temporary:
            fram_hdus(measured).writeto(temporary, overwrite=True)  # checksums would hold the time
        self.add_output(self.output, "simulation/fram")
        metadata = self.metadata(
            KIND,
            f"True optical depths over {site.name} in the simulated night {self.night}",
            validity=(night.dusk, night.dawn),
        )
        write_table(self.truth_output, truth, metadata)
        self.add_output(self.truth_output, KIND)

    def sky_and_camera(self) -> tuple[Any, Any]:
        """Sky and camera of the configuration."""
        import astropy.units as u

        from ..simulation.fram import FramCamera, FramSky

        names = ("vaod", "drift", "variation", "patchiness", "cloud", "cloud_begin", "cloud_end")
        sky = FramSky(
            **{name: getattr(self, name) for name in names},
            angstrom_exponent=self.angstrom_exponent,
        )
        camera = FramCamera(
            filters=self.wavelengths_in_nm * u.nm,
            interval=self.interval_in_min * u.min,
            n_stars=self.n_stars,
            star_error=self.star_error,
        )
        return sky, camera


def main() -> None:
    """Run the Tool."""
    SimulateFramData().run()

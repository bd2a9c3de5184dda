"""All-sky frames of one night with known clouds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

KIND = "simulation/allsky_truth"


class SimulateAllskyData(NightTool):
    """Simulate the frames of an all-sky camera in one night.

    Stars of the catalogue as trails through a fisheye lens, the sky's brightness with the Moon's
    glow, noise, hot pixels, and patches of cloud that the wind carries. One FITS file with a
    compressed image a frame, or, with --folder, a folder with a file a frame. The covered part of
    the sky and of each region is written beside it, with the suffix ``.truth.ecsv``. Same site,
    night, seed and configuration give the same data.
    """

    name = "calibpipe-simulate-allsky-data"
    description = __doc__
    examples = """
    calibpipe-simulate-allsky-data --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --seed 1 --output allsky_2024-07-10.fits
    """

    seed = traits.Int(0, min=0, help="Seed of clouds and noise").tag(config=True)
    folder = traits.Bool(False, help="Write a folder with a file a frame").tag(config=True)
    size = traits.Int(1024, min=128, max=8192, help="Pixels on a side").tag(config=True)
    interval_in_min = traits.Float(25.0, min=0.5, help="From frame to frame").tag(config=True)
    exposure_in_s = traits.Float(30.0, min=0.1, max=300.0, help="Of a frame").tag(config=True)
    cloud_cover = traits.List(
        traits.Float(min=0.0, max=1.0),
        default_value=[0.0, 0.0, 0.5, 0.1, 0.0],
        minlen=1,
        help="Of the layer at equal steps from dusk to dawn, linear between",
    ).tag(config=True)
    cloud_optical_depth = traits.Float(4.0, min=0.0, help="Vertical").tag(config=True)
    cloud_height_in_m = traits.Float(4000.0, min=100.0, help="Above the site").tag(config=True)
    cloud_patch_in_m = traits.Float(4000.0, min=100.0, help="Size of patches").tag(config=True)
    wind_in_m_per_s = traits.Float(15.0, min=0.0, help="Of the cloud layer").tag(config=True)
    cloud_brightness = traits.Float(
        0.8, min=0.0, help="Of an opaque cloud relative to the clear sky"
    ).tag(config=True)
    extinction = traits.Float(0.15, min=0.0, help="Of the clear sky, mag per airmass").tag(
        config=True
    )
    dark_sky = traits.Float(21.7, help="Zenith without Moon, mag/arcsec2").tag(config=True)
    scatter_in_mag = traits.Float(0.08, min=0.0, help="Of stars against the catalogue").tag(
        config=True
    )
    shift_in_pix = traits.List(
        traits.Float(), default_value=[1.4, -0.9], minlen=2, maxlen=2, help="Of the header's axis"
    ).tag(config=True)
    n_hot = traits.Int(300, min=0, help="Hot pixels").tag(config=True)
    zenith_edges_in_deg = traits.List(
        traits.Float(), default_value=[0.0, 20.0, 40.0, 55.0, 70.0], help="Regions of the truth"
    ).tag(config=True)
    sectors = traits.List(
        traits.Int(), default_value=[1, 8, 12, 16], help="Sectors of azimuth of each ring"
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {"seed": "SimulateAllskyData.seed"}
    flags: ClassVar[dict] = {
        "folder": ({"SimulateAllskyData": {"folder": True}}, "Write a folder, a file a frame"),
        **NightTool.flags,
    }

    def setup(self) -> None:
        """Check what has to be given and that nothing would be overwritten."""
        super().setup()
        self.truth_output = Path(self.output).with_suffix(".truth.ecsv")
        self.check_output(self.truth_output)

    def start(self) -> None:
        """Simulate, write."""
        import numpy as np

        from ..atmosphere.allsky_regions import sky_regions
        from ..core.night import astronomical_night, night_date
        from ..core.star_catalogue import catalogue_stars
        from ..simulation.allsky import simulated_frames

        site = self.load_site()
        night = astronomical_night(self.night, site)
        simulation = self.simulation()
        begins = simulation.times(night)
        require(len(begins) > 0, f"no frame every {simulation.interval:g} fits into {night.name}")
        regions = sky_regions(self.zenith_edges_in_deg, self.sectors)
        rng = np.random.default_rng([self.seed, night_date(self.night).toordinal()])
        frames = simulated_frames(
            site,
            begins,
            (begins - night.dusk).to_value("h") / night.duration.to_value("h"),
            catalogue_stars(night.dusk),
            simulation,
            regions,
            rng,
            self.size,
        )
        truths = self.write(frames, site)
        self.write_truth(truths, site, regions, (night.dusk, night.dawn))

    def simulation(self) -> Any:
        """Camera and sky of the configuration."""
        import astropy.units as u

        from ..atmosphere.allsky_expectation import ClearSky
        from ..simulation.allsky import AllskySimulation, fisheye
        from ..simulation.allsky_clouds import CloudLayer

        return AllskySimulation(
            camera=fisheye(self.size),
            shift=tuple(self.shift_in_pix),
            sky=ClearSky(self.extinction, self.dark_sky),
            clouds=CloudLayer(
                cover=tuple(self.cloud_cover),
                optical_depth=self.cloud_optical_depth,
                height=self.cloud_height_in_m * u.m,
                patch=self.cloud_patch_in_m * u.m,
                speed=self.wind_in_m_per_s * u.m / u.s,
                brightness=self.cloud_brightness,
            ),
            exposure=self.exposure_in_s * u.s,
            interval=self.interval_in_min * u.min,
            scatter=self.scatter_in_mag,
            n_hot=self.n_hot,
        )

    def write(self, frames: Iterator[tuple[Any, Any]], site: Any) -> list:
        """Write the frames as they come; what they show."""
        from astropy.io import fits

        from ..core.files import atomic_path
        from ..simulation.allsky_encoding import frame_hdu

        truths = []
        if self.folder:
            for frame, truth in frames:
                path = Path(self.output) / frame.begin.strftime("allsky_%Y%m%dT%H%M%S.fits.fz")
                with atomic_path(path) as temporary:
                    hdus = fits.HDUList([fits.PrimaryHDU(), frame_hdu(frame, site)])
                    hdus.writeto(temporary, overwrite=True)  # checksums would hold the time
                self.add_output(path, "simulation/allsky")
                truths.append(truth)
            return truths
        with atomic_path(self.output) as temporary:
            fits.PrimaryHDU().writeto(temporary, overwrite=True)
            with fits.open(temporary, mode="append", memmap=False) as hdus:
                for frame, truth in frames:
                    hdus.append(frame_hdu(frame, site))
                    hdus.flush()
                    truths.append(truth)
        self.add_output(self.output, "simulation/allsky")
        return truths

    def write_truth(self, truths: list, site: Any, regions: Any, validity: tuple) -> None:
        """True covered parts of every frame beside the data."""
        import astropy.units as u
        import numpy as np
        from astropy.table import QTable

        from ..atmosphere.allsky_table import regions_of
        from ..core.products import write_table

        table = QTable(
            {
                "time": [truth.time.utc.isot for truth in truths],
                "cloud_fraction": [truth.fraction for truth in truths],
                "region_cloud_fraction": np.array([truth.region_fraction for truth in truths]),
                "region_transmission": np.array([truth.region_transmission for truth in truths]),
                "moon_altitude": np.array([truth.moon_altitude for truth in truths]) * u.deg,
            }
        )
        metadata = self.metadata(
            KIND,
            f"True clouds over {site.name} in the simulated night {self.night}",
            validity=validity,
            details={"regions": regions_of(regions), "threshold": 0.5},
        )
        write_table(self.truth_output, table, metadata)
        self.add_output(self.truth_output, KIND)


def main() -> None:
    """Run the Tool."""
    SimulateAllskyData().run()

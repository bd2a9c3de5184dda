"""Clouds over a site in one night from the frames of an all-sky camera."""

from collections.abc import Collection, Iterator
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

KIND = "atmosphere/allsky"


class ProcessAllsky(NightTool):
    """Process the all-sky frames of one night.

    Stars of the catalogue that should be seen in a clear sky are looked for at their places. For
    each frame and region of the sky: the part that is covered by clouds, from stars expected and
    stars detected, with statistical and systematic error, and the brightness of the sky. A frame
    that cannot be used is a row with a reason and no numbers. For scheduling and as a veto; a
    fraction of the sky, not a transmission.
    """

    name = "calibpipe-process-allsky"
    description = __doc__
    examples = """
    calibpipe-process-allsky --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --input allsky_2024-07-10.fits --output atmosphere/allsky.ecsv
    """

    input_files = traits.List(
        traits.Path(exists=None),
        default_value=[],
        help="FITS files of frames, or folders of them",
    ).tag(config=True)
    camera = traits.Dict(
        default_value={}, help="Values of the camera that replace those of the headers"
    ).tag(config=True)
    zenith_edges_in_deg = traits.List(
        traits.Float(), default_value=[0.0, 20.0, 40.0, 55.0, 70.0], help="Rings of the regions"
    ).tag(config=True)
    sectors = traits.List(
        traits.Int(), default_value=[1, 8, 12, 16], help="Sectors of azimuth of each ring"
    ).tag(config=True)
    threshold = traits.Float(
        0.5, min=0.1, max=0.9, help="Covered is where less than this part of the light arrives"
    ).tag(config=True)
    significance = traits.Float(
        6.0, min=3.0, help="Smallest expected significance of a star that is used"
    ).tag(config=True)
    faintest_magnitude = traits.Float(
        6.5, max=7.3, help="Of stars used; the catalogue is complete to 7.3"
    ).tag(config=True)
    scatter_in_mag = traits.Float(
        0.1, min=0.0, max=0.3, help="Of single stars: colour, variability, flat field"
    ).tag(config=True)
    zero_point_error_in_mag = traits.Float(0.1, min=0.0, help="Of all stars").tag(config=True)
    extinction = traits.Float(0.15, min=0.0, help="Of a clear sky, mag per airmass").tag(
        config=True
    )
    extinction_error = traits.Float(0.03, min=0.0, help="mag per airmass").tag(config=True)
    dark_sky = traits.Float(
        21.7, min=15.0, max=23.0, help="Zenith without Moon, mag/arcsec2; limits the stars used"
    ).tag(config=True)
    efficiency_error = traits.Float(
        0.01, min=0.0, help="Systematic, of the probability to detect a star in a clear sky"
    ).tag(config=True)
    min_stars = traits.Int(5, min=2, help="Expected in a region").tag(config=True)
    min_expected = traits.Int(50, min=1, help="Expected in a frame").tag(config=True)
    moon_radius_in_deg = traits.Float(
        30.0, min=0.0, help="Stars closer to the Moon are not used"
    ).tag(config=True)
    max_moon_fraction = traits.Float(
        0.5,
        min=0.0,
        max=1.0,
        help="Lit part of the Moon above the horizon up to which is processed",
    ).tag(config=True)
    max_sun_altitude_in_deg = traits.Float(
        -18.0, max=0.0, help="Frames with the Sun above it are not measured"
    ).tag(config=True)
    search_radius_in_pix = traits.Int(
        8, min=2, max=50, help="How far stars may be from where the header puts them"
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {("i", "input"): "ProcessAllsky.input_files"}
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "input_files")

    def start(self) -> None:
        """Read, look for stars, write."""
        from ..atmosphere.allsky import night_results
        from ..atmosphere.allsky_regions import sky_regions
        from ..atmosphere.allsky_table import allsky_table, night_summary, regions_of
        from ..core.allsky_file import allsky_files
        from ..core.night import night_span
        from ..core.products import write_table
        from ..core.star_catalogue import catalogue_stars

        self._site = self.load_site()
        regions = sky_regions(self.zenith_edges_in_deg, self.sectors)
        self._span = night_span(self.night, self._site)
        self._paths = [self.add_input(p, "allsky") for p in allsky_files(self.input_files)]
        self._outside: dict[str, str] = {}
        self._unreadable: dict[str, str] = {}
        results = night_results(
            self.frames, catalogue_stars(self._span[0]), self._site, regions, self.settings()
        )
        self.check_frames(results)
        table = allsky_table(results, len(regions))
        details = night_summary(table) | {
            "regions": regions_of(regions),
            "n_frames_outside_night": len(self._outside),
            "unreadable": self._unreadable,
            "n_frames_own_pointing": sum(result.is_pointing_own for result in results),
            "threshold": self.threshold,
            "catalogue": "Hipparcos (I/239) of ctapipe, V < 8",
        }
        times = sorted(result.time for result in results)
        metadata = self.metadata(
            KIND,
            f"Clouds over {self._site.name} in the night {self.night}, all-sky camera",
            validity=self.validity(times),
            details=details,
        )
        write_table(self.output, table, metadata)
        self.add_output(self.output, KIND)
        middle = details["median_cloud_fraction"]
        self.log.info(
            "night %s: %d frames, %d used, median cloud fraction %s",
            self.night,
            details["n_frames"],
            details["n_used"],
            "none" if middle is None else f"{middle:.3f}",
        )

    def frames(self, only: Collection[str] | None = None) -> Iterator[Any]:
        """Frames of the night; damaged files and frames of other nights are noted."""
        from ..core.allsky_file import read_allsky
        from ..core.exceptions import CorruptedInputError

        for path in self._paths:
            try:
                for frame in read_allsky(path, self._site, self.camera, only):
                    if self._span[0] <= frame.time < self._span[1]:
                        yield frame
                    else:
                        self._outside[frame.name] = frame.time.isot
            except CorruptedInputError as error:
                if path.name not in self._unreadable:
                    self.log.warning("%s", error)
                self._unreadable[path.name] = str(error).replace(str(path), path.name)

    def check_frames(self, results: list) -> None:
        """There is at least one frame, and each once."""
        from ..core.exceptions import CorruptedInputError, MissingInputError

        if not results and self._outside:
            first, last = min(self._outside.values()), max(self._outside.values())
            raise MissingInputError(
                f"none of {len(self._outside)} all-sky frames from {first} to {last} UTC lies in "
                f"the night {self.night} ({self._span[0].isot} to {self._span[1].isot}); give the "
                "frames of this night"
            )
        if not results:
            raise CorruptedInputError(
                f"none of {len(self._paths)} files is readable, the first: "
                f"{next(iter(self._unreadable.values()))}"
            )
        times = [result.time.isot for result in results]
        if len(set(times)) < len(times):
            twice = next(time for time in times if times.count(time) > 1)
            raise CorruptedInputError(
                f"{len(times) - len(set(times))} of {len(times)} all-sky frames are there twice, "
                f"the first at {twice}; give every frame once"
            )

    def validity(self, times: list) -> tuple:
        """From the first frame to the last, a minute on both sides."""
        import astropy.units as u

        return times[0] - 1 * u.min, times[-1] + 1 * u.min

    def settings(self) -> Any:
        """How frames are judged."""
        from ..atmosphere.allsky_expectation import ClearSky
        from ..atmosphere.allsky_result import AllskySettings

        return AllskySettings(
            sky=ClearSky(self.extinction, self.dark_sky),
            threshold=self.threshold,
            significance=self.significance,
            faintest=self.faintest_magnitude,
            scatter=self.scatter_in_mag,
            zero_point_error=self.zero_point_error_in_mag,
            extinction_error=self.extinction_error,
            efficiency_error=self.efficiency_error,
            min_stars=self.min_stars,
            min_expected=self.min_expected,
            moon_radius=self.moon_radius_in_deg,
            max_moon_fraction=self.max_moon_fraction,
            max_sun_altitude=self.max_sun_altitude_in_deg,
            search_radius=self.search_radius_in_pix,
        )


def main() -> None:
    """Run the Tool."""
    ProcessAllsky().run()

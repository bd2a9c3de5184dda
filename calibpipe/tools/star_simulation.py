"""Stars in the events of a simulated observation block: what the simulating Tool adds for them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctapipe.core import traits

from .night_tool import NightTool, require

POINTING_KIND = "simulation/pointing"
STAR_KIND = "simulation/star_truth"
STEP = 5.0  # s: star light is linear in time between
STILL = 2.0  # s: events that see the same sky
MARGIN = 10.0  # s that the drive records before and after the events
SPAWN_KEY = 1  # of the random numbers: not those of throughputs, so that they stay the same


@dataclass
class StarSky:
    """Star light of one telescope in an observation block.

    Parameters
    ----------
    stars, telescope, truth
        Of `calibpipe.simulation.stars`.
    drive : DrivePointing
    start : Time
    grid : ndarray, shape (n_times,), s
        After the start.
    rates : ndarray, shape (n_times, n_pixels)
        Photoelectrons per ns in pixels of efficiency 1.
    """

    stars: Any
    telescope: Any
    truth: Any
    drive: Any
    start: Any
    grid: Any
    rates: Any

    def at(self, seconds: Any) -> Any:
        """Mean rates of the pixels over events at these seconds after the start."""
        import numpy as np

        at = np.clip((np.asarray(seconds) - self.grid[0]) / STEP, 0, len(self.grid) - 1)
        first = np.minimum(at.astype(int), len(self.grid) - 2)
        weight = np.zeros(len(self.grid))
        np.add.at(weight, first, 1 - (at - first))
        np.add.at(weight, first + 1, at - first)
        return weight @ self.rates / np.size(seconds)


class StarSimulation(NightTool):
    """Options and steps for stars in simulated events."""

    stars = traits.Bool(
        False, help="Whether the telescopes track a source and see the stars around it"
    ).tag(config=True)
    star_magnitude_limit = traits.Float(8.0, max=8.0, help="Faintest V of the stars").tag(
        config=True
    )
    source_in_deg = traits.List(
        traits.Float(),
        default_value=[],
        help="Right ascension and declination (ICRS) of the source; none: where the meridian is 20 "
        "deg from the zenith in the middle of the block",
    ).tag(config=True)
    misalignment_in_arcsec = traits.Float(
        40.0, min=0, help="Rms over telescopes, each direction, of the camera's misalignment"
    ).tag(config=True)
    camera_rotation_in_arcmin = traits.Float(
        3.0, min=0, help="Rms over telescopes of the camera's rotation"
    ).tag(config=True)
    plate_scale_spread = traits.Float(
        5e-4, min=0, help="Rms over telescopes of the focal length, relative"
    ).tag(config=True)
    flexure_in_arcsec = traits.Float(
        30.0, help="Sag of the structure at the horizon, goes with the cosine of the altitude"
    ).tag(config=True)
    pointing_truth = traits.Dict(
        default_value={},
        value_trait=traits.Float(),
        help="Instead of drawn ones: dlon_in_arcsec, dlat_in_arcsec, rotation_in_arcmin, "
        "plate_scale, flexure_in_arcsec",
    ).tag(config=True)
    refraction_wavelength_in_nm = traits.Float(
        420.0, min=300, max=1100, help="At which the air refracts the light of stars"
    ).tag(config=True)
    _skies: Any = None

    def star_skies(self, observations: list[Any], subarray: Any) -> dict[int, StarSky]:
        """Sky of each telescope; none without stars."""
        if not self.stars:
            return {}
        import astropy.units as u
        import numpy as np

        from ..core.pointing_file import DrivePointing
        from ..simulation.stars import meridian_source, star_rates, stars_in_view, tracked_source

        site, start = self._loaded_site, observations[0].start
        air = self.star_air()
        length = self.n_events / self.rate_in_hertz
        middle = start + length / 2 * u.s
        if self.source_in_deg:
            require(
                len(self.source_in_deg) == 2,
                f"source_in_deg is {self.source_in_deg}, needs right ascension and declination",
            )
            ra, dec = self.source_in_deg * u.deg
        else:
            ra, dec = meridian_source(middle, site, air)
        times = start + np.arange(-MARGIN, length + MARGIN + 1) * u.s
        drive = DrivePointing(times, *tracked_source(ra, dec, times, site, air))
        grid = np.arange(-STEP, length + 2 * STEP, STEP)
        moments = start + grid * u.s
        skies = {}
        for observation in observations:
            telescope = self.star_telescope(subarray.tel[observation.tel_id])
            truth = self.drawn_pointing(observation.tel_id)
            stars = stars_in_view(middle, ra, dec, telescope, self.star_magnitude_limit)
            view = (moments, drive.at(moments), telescope, truth, site, air)
            rates = star_rates(stars, *view)
            skies[observation.tel_id] = StarSky(stars, telescope, truth, drive, start, grid, rates)
        return skies

    def star_air(self) -> Any:
        """Air at the telescopes in the night of calibpipe-simulate-meteo-data of the same seed."""
        import astropy.units as u
        from numpy.random import default_rng

        from ..core.night import astronomical_night, night_date
        from ..simulation.meteorology import Weather, simulated_atmosphere
        from ..simulation.surface_air import surface_air

        site = self._loaded_site
        night = astronomical_night(self.night, site)
        middle = night.dusk + (night.dawn - night.dusk) / 2
        rng = default_rng([self.seed, night_date(self.night).toordinal()])
        atmosphere = simulated_atmosphere(site, middle, Weather(), rng)
        return surface_air(atmosphere, site, night.dusk, self.refraction_wavelength_in_nm * u.nm)

    def star_telescope(self, telescope: Any) -> Any:
        """Telescope as stars see it."""
        import astropy.units as u

        from ..simulation.stars import star_telescope

        return star_telescope(telescope, self.optical_throughput, self.optical_psf_in_deg * u.deg)

    def drawn_pointing(self, tel_id: int) -> Any:
        """Misalignment of a telescope: the same every night of a seed."""
        import astropy.units as u
        from numpy.random import SeedSequence, default_rng

        from ..simulation.stars import PointingTruth

        rng = default_rng(SeedSequence(self.seed, spawn_key=(tel_id, SPAWN_KEY)))
        dlon, dlat, rotation, scale = rng.standard_normal(4)
        values = {
            "dlon_in_arcsec": self.misalignment_in_arcsec * dlon,
            "dlat_in_arcsec": self.misalignment_in_arcsec * dlat,
            "rotation_in_arcmin": self.camera_rotation_in_arcmin * rotation,
            "plate_scale": 1 + self.plate_scale_spread * scale,
            "flexure_in_arcsec": self.flexure_in_arcsec,
        }
        unknown = sorted(set(self.pointing_truth) - set(values))
        require(
            not unknown,
            f"pointing_truth has unknown entries {unknown}; known ones: {', '.join(values)}",
        )
        values |= self.pointing_truth
        return PointingTruth(
            values["dlon_in_arcsec"] * u.arcsec,
            values["dlat_in_arcsec"] * u.arcsec,
            values["rotation_in_arcmin"] * u.arcmin,
            values["plate_scale"],
            values["flexure_in_arcsec"] * u.arcsec,
        )

    def starlit(self, truth: Any, tel_id: int, seconds: Any) -> Any:
        """Camera with the night sky and the stars of events at these seconds."""
        from dataclasses import replace

        if tel_id not in self._skies:
            return truth
        light = self._skies[tel_id].at(seconds) * truth.relative_efficiency
        return replace(truth, nsb_rate=truth.nsb_rate + light)

    def block_size(self, largest: int) -> int:
        """Events that are simulated at once."""
        return max(1, min(largest, int(STILL * self.rate_in_hertz))) if self.stars else largest

    def pointing_path(self, observation: Any) -> Path:
        """Where the record of the drive goes."""
        name = f"{observation.array_element}_OBSID{observation.obs_id}.pointing.h5"
        folder = Path(self.output_folder) / "monitoring" / observation.array_element
        return folder / self.night / name

    def star_paths(self, observation: Any) -> list[Path]:
        """Files that stars add for a telescope."""
        if not self.stars:
            return []
        return [self.truth_path(observation, "star_truth"), self.pointing_path(observation)]

    def write_stars(self, observation: Any, subarray: Any) -> None:
        """Record of the drive, and true stars and pointing beside the data."""
        if not self.stars:
            return
        import astropy.units as u

        from ..core.pointing_file import write_pointing
        from ..core.products import write_table
        from ..simulation.stars import star_truth_table

        sky, site, air = self._skies[observation.tel_id], self._loaded_site, self.star_air()
        element = observation.array_element
        metadata = {
            kind: self.metadata(
                kind,
                f"{what} of {element} in the simulated night {self.night}",
                validity=self.validity(observation),
                details=self.details(observation) | more,
            )
            for kind, what, more in (
                (POINTING_KIND, "Record of the drive", {}),
                (STAR_KIND, "True stars and pointing", self.star_header(sky, air)),
            )
        }
        path = self.pointing_path(observation)
        described = subarray.select_subarray([observation.tel_id])
        write_pointing(path, described, {observation.tel_id: sky.drive}, metadata[POINTING_KIND])
        self.add_output(path, POINTING_KIND)
        span = self.n_events / self.rate_in_hertz
        times = observation.start + [0, span / 2, span] * u.s
        view = (sky.stars, times, sky.drive.at(times), sky.telescope, sky.truth, site, air)
        path = self.truth_path(observation, "star_truth")
        write_table(path, star_truth_table(*view), metadata[STAR_KIND])
        self.add_output(path, STAR_KIND)

    def star_header(self, sky: StarSky, air: Any) -> dict[str, Any]:
        """Truth that is no table."""
        import astropy.units as u

        truth, telescope = sky.truth, sky.telescope
        return {
            "dlon_in_arcsec": float(truth.dlon.to_value(u.arcsec)),
            "dlat_in_arcsec": float(truth.dlat.to_value(u.arcsec)),
            "rotation_in_arcmin": float(truth.rotation.to_value(u.arcmin)),
            "plate_scale": float(truth.plate_scale),
            "flexure_in_arcsec": float(truth.flexure.to_value(u.arcsec)),
            "psf_in_deg": float(telescope.psf.sigma.to_value(u.deg)),
            "coma": float(telescope.psf.coma),
            "effective_focal_length_in_m": float(telescope.plane.focal_length.to_value(u.m)),
            "mirror_area_in_m2": float(telescope.mirror_area),
            "optical_throughput": float(telescope.throughput),
            "pressure_in_hpa": float(air.pressure.to_value(u.hPa)),
            "temperature_in_deg_c": float(air.temperature.to_value(u.deg_C)),
            "relative_humidity": float(air.relative_humidity),
            "wavelength_in_nm": float(air.wavelength.to_value(u.nm)),
            "rows_at": "begin, middle and end of the block",
        }

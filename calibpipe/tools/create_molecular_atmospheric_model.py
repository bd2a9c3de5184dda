"""Atmospheric model of one night for simulation and extinction, 0 to 120 km."""

from typing import ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

KIND = "atmosphere/atmospheric_model"
EXTINCTION_KIND = "atmosphere/rayleigh_extinction"


class CreateMolecularAtmosphericModel(NightTool):
    """Create the molecular atmosphere of one night.

    Continues the density profile into an upper-air model, and writes the table for air-shower
    simulation (also as CORSIKA ``atmprof`` with its five-layer parameters) and the Rayleigh
    extinction table (also as sim_telarray ``atm_trans``). Without a density profile, after a
    date-based choice, the reference atmosphere alone is written, and the product says so.
    """

    name = "calibpipe-create-molecular-atmospheric-model"
    description = __doc__
    examples = """
    calibpipe-create-molecular-atmospheric-model --site config/sites/CTAO-North.yaml \\
        --night 2024-07-10 --category C --density-profile density_profile.ecsv \\
        --reference-model reference_model.ecsv --macobac macobac.ecsv \\
        --output atmospheric_model.ecsv --extinction-output rayleigh_extinction.ecsv \\
        --atmprof-output atmprof.dat --atm-trans-output atm_trans.dat
    """

    density_profile = traits.Path(
        None, exists=None, directory_ok=False, help="Product atmosphere/density_profile"
    ).tag(config=True)
    reference_model = traits.Path(
        None, exists=None, directory_ok=False, help="Product atmosphere/reference_model"
    ).tag(config=True)
    macobac = traits.Path(
        None, exists=None, directory_ok=False, help="Product atmosphere/macobac (CO2)"
    ).tag(config=True)
    extinction_output = traits.Path(
        None, exists=None, directory_ok=False, help="Product atmosphere/rayleigh_extinction"
    ).tag(config=True)
    atmprof_output = traits.Path(
        None, exists=None, directory_ok=False, help="CORSIKA atmprof table to write"
    ).tag(config=True)
    atm_trans_output = traits.Path(
        None, exists=None, directory_ok=False, help="sim_telarray atm_trans table to write"
    ).tag(config=True)
    upper_air = traits.CaselessStrEnum(
        ["reference", "nrlmsis", "us-standard"],
        "reference",
        help="Model above the data: the night's reference atmosphere, NRLMSISE-00 of the date, "
        "or the US Standard Atmosphere 1976",
    ).tag(config=True)
    cross_fade_in_km = traits.Float(
        5.0, min=5, help="Length over which the data's correction of the upper air fades"
    ).tag(config=True)
    refractivity_wavelength_in_nm = traits.Float(
        400.0, min=200, max=1000, help="Wavelength of n-1; CORSIKA's own convention is 400 nm"
    ).tag(config=True)
    first_wavelength_in_nm = traits.Int(200, min=200, help="Of the extinction table").tag(
        config=True
    )
    last_wavelength_in_nm = traits.Int(999, max=4000, help="Of the extinction table").tag(
        config=True
    )
    closure_limit = traits.Float(
        3e-3,
        min=0,
        help="Largest relative difference of the total optical depth at 350 nm from the one that "
        "the pressure at the site gives",
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        option.replace("_", "-"): f"CreateMolecularAtmosphericModel.{option}"
        for option in (
            "density_profile",
            "reference_model",
            "macobac",
            "extinction_output",
            "atmprof_output",
            "atm_trans_output",
        )
    }
    required: ClassVar[tuple[str, ...]] = (
        *NightTool.required,
        "reference_model",
        "macobac",
        "extinction_output",
        "atmprof_output",
        "atm_trans_output",
    )

    def setup(self) -> None:
        """Check what has to be given and that no product would be overwritten."""
        super().setup()
        self.check_output(self.extinction_output, self.atmprof_output, self.atm_trans_output)

    def start(self) -> None:
        """Read, calculate, write."""
        from ..core.night import astronomical_night
        from ..core.products import read_table

        site = self.load_site()
        night = astronomical_night(self.night, site)
        co2 = float(
            read_table(self.add_input(self.macobac, "macobac"), "atmosphere/macobac")[
                "co2_mole_fraction"
            ][0]
        )
        reference = read_table(
            self.add_input(self.reference_model, "reference_model"), "atmosphere/reference_model"
        )
        measured = None
        if self.density_profile is not None:
            measured = read_table(
                self.add_input(self.density_profile, "density_profile"),
                "atmosphere/density_profile",
            )
        profile = self.fine_profile(site, measured, reference, co2)
        errors = self.relative_errors(profile, measured, reference, night)
        self.write_shower_atmosphere(site, night, profile, errors, co2, measured, reference)
        self.write_extinction(site, night, profile, errors, co2, measured)

    def fine_profile(self, site, measured, reference, co2):
        """Profile on the fine grid: data below, upper-air model above, or the reference alone."""
        import astropy.units as u

        from ..atmosphere.atmospheric_model import FINE_ALTITUDES
        from ..atmosphere.density_profile import blended_profile
        from ..atmosphere.profile_table import profile_from_table

        if measured is None:
            return profile_from_table(reference).at(FINE_ALTITUDES)
        return blended_profile(
            profile_from_table(measured),
            self.upper_profile(site, reference),
            FINE_ALTITUDES,
            site.latitude,
            co2,
            self.cross_fade_in_km * u.km,
        )

    def upper_profile(self, site, reference):
        """Upper-air model to continue the data."""
        from ..atmosphere.atmospheric_model import FINE_ALTITUDES
        from ..atmosphere.profile_table import profile_from_table
        from ..atmosphere.reference_model import msis_climatology, us_standard_profile
        from ..core.night import night_date

        if self.upper_air == "nrlmsis":
            return msis_climatology(site, [night_date(self.night)], FINE_ALTITUDES)[self.night]
        if self.upper_air == "us-standard":
            return us_standard_profile(FINE_ALTITUDES)
        return profile_from_table(reference)

    def relative_errors(self, profile, measured, reference, night):
        """Relative errors of density (stat, sys) on the fine grid, and columns at each time."""
        import astropy.units as u
        import numpy as np

        from ..atmosphere.density_profile import systematic_relative_error

        z = profile.altitude.to_value(u.m)
        scale = self.cross_fade_in_km * u.km
        if measured is None:
            stat = np.interp(
                z,
                reference["altitude"].to_value(u.m),
                (reference["density_spread"] / reference["density"]).value,
            )
            # no data anywhere: the upper-air error holds from sea level on
            return stat, systematic_relative_error(
                profile.altitude, profile.density, -100 * u.km, scale, 24 * u.h
            )
        known = measured["altitude"].to_value(u.m)
        step = measured.meta["calibpipe"]["largest_time_step_in_h"] * u.h
        stat = np.interp(z, known, (measured["density_stat_error"] / measured["density"]).value)
        return stat, systematic_relative_error(
            profile.altitude, profile.density, known[-1] * u.m, scale, step
        )

    def write_shower_atmosphere(self, site, night, profile, errors, co2, measured, reference):
        """Table of the shower atmosphere, its CORSIKA form and five-layer parameters."""
        import astropy.units as u
        from astropy.table import QTable

        from ..atmosphere.atmospheric_model import shower_atmosphere
        from ..atmosphere.corsika_table import (
            CORSIKA_ALTITUDES,
            atmprof_text,
            steering_cards,
        )
        from ..atmosphere.five_layer_atmosphere import fit_five_layers
        from ..core.files import atomic_path
        from ..core.products import write_table

        wavelength = self.refractivity_wavelength_in_nm * u.nm
        model = shower_atmosphere(profile, CORSIKA_ALTITUDES, wavelength, co2)
        columns = {name: getattr(model, name) for name in model.__dataclass_fields__}
        names = tuple(columns)
        columns |= self.error_columns(profile, model, errors)
        fit = fit_five_layers(model.altitude, model.thickness)
        top = measured["altitude"][-1].to_value(u.km) if measured is not None else 0.0
        selection = reference.meta["calibpipe"]
        details = {
            "refractivity_wavelength_in_nm": self.refractivity_wavelength_in_nm,
            "co2_mole_fraction": co2,
            "origin": "data" if measured is not None else "reference atmosphere alone",
            "top_of_data_in_km": top,
            "upper_air": self.upper_air,
            "reference_model": selection["selection"] | selection["model"],
            "five_layers": {
                "lower_boundary_in_km": fit.atmosphere.boundaries.to_value(u.km).tolist(),
                "a_in_g_per_cm2": fit.atmosphere.a.to_value(u.g / u.cm**2).tolist(),
                "b_in_g_per_cm2": fit.atmosphere.b.to_value(u.g / u.cm**2).tolist(),
                "c_in_cm": fit.atmosphere.c.to_value(u.cm).tolist(),
                "largest_thickness_residual_below_30km": fit.largest_thickness_residual,
                "largest_density_residual_below_30km": fit.largest_density_residual,
                "steering_cards": steering_cards(fit.atmosphere).splitlines(),
            },
        }
        metadata = self.metadata(
            KIND,
            f"Molecular atmosphere over {site.name} in the night {self.night}",
            validity=(night.dusk, night.dawn),
            details=details,
        )
        write_table(self.output, QTable(columns), metadata)
        self.add_output(self.output, KIND)
        header = [
            metadata.description,
            f"category {self.category}; n-1 at {self.refractivity_wavelength_in_nm:g} nm; "
            f"CO2 {co2 * 1e6:.2f} ppm",
            f"data up to {top:.1f} km, above: {self.upper_air}",
            "thickness integrated downward from the top; density of humid air (CIPM-2007)",
        ]
        text = atmprof_text(**{name: columns[name] for name in names}, header_lines=header)
        with atomic_path(self.atmprof_output) as temporary:
            temporary.write_text(text)
        self.add_output(self.atmprof_output, "atmosphere/atmprof")

    @staticmethod
    def error_columns(profile, model, errors):
        """Statistical and systematic errors of density, thickness and refractivity."""
        import astropy.units as u
        import numpy as np

        from ..atmosphere.atmospheric_model import column_relative_error

        z = profile.altitude.to_value(u.m)
        below_top = model.altitude[:-1]
        columns = {}
        for kind, relative in zip(("stat", "sys"), errors, strict=True):
            here = np.interp(model.altitude.to_value(u.m), z, relative)
            above = column_relative_error(
                profile.altitude, profile.density, relative, below_top, profile.altitude[-1]
            )
            columns[f"density_{kind}_error"] = model.density * here
            columns[f"thickness_{kind}_error"] = model.thickness * np.append(above, 0.0)
            columns[f"refractivity_{kind}_error"] = model.refractivity * here
        return columns

    def write_extinction(self, site, night, profile, errors, co2, measured):
        """Rayleigh extinction from the observation level up, checked for closure."""
        import astropy.units as u
        import numpy as np
        from astropy.table import QTable

        from ..atmosphere.atmospheric_model import extinction_altitudes, partial_columns
        from ..atmosphere.corsika_table import atm_trans_text
        from ..atmosphere.rayleigh import (
            hydrostatic_optical_depth,
            rayleigh_cross_section,
            rayleigh_optical_depth,
        )
        from ..core.exceptions import CorruptedInputError
        from ..core.files import atomic_path
        from ..core.products import write_table

        wavelength = np.arange(self.first_wavelength_in_nm, self.last_wavelength_in_nm + 1) * u.nm
        edges = extinction_altitudes(site.elevation)
        dry, vapour = partial_columns(profile, edges)
        optical_depth = rayleigh_optical_depth(wavelength, dry, vapour, co2)
        at_site = profile.at(site.elevation.reshape(1))
        test = 350 * u.nm
        total = float(rayleigh_optical_depth(test.reshape(1), dry[-1:], vapour[-1:], co2)[0, 0])
        expected = float(
            hydrostatic_optical_depth(test, at_site.pressure[0], site.elevation, site.latitude, co2)
        )
        closure = total / expected - 1
        if abs(closure) > self.closure_limit:
            raise CorruptedInputError(
                f"optical depth at 350 nm of the table is {total:.5f}, the pressure at "
                f"{site.elevation:g} gives {expected:.5f}: they differ by {100 * closure:+.2f} %, "
                f"limit {100 * self.closure_limit:g} %; the profile is not hydrostatic"
            )
        stat, sys = self.column_errors(site, night, profile, errors, edges, measured)
        details = {
            "observation_altitude_in_km": site.elevation.to_value(u.km),
            "altitude_in_km": [round(float(a), 6) for a in edges[1:].to_value(u.km)],
            "relative_stat_error": [float(f"{e:.3g}") for e in stat],
            "relative_sys_error": [float(f"{e:.3g}") for e in sys],
            "co2_mole_fraction": co2,
            "closure": {
                "optical_depth_350nm": total,
                "hydrostatic_optical_depth_350nm": expected,
                "relative_difference": closure,
                "limit": self.closure_limit,
            },
        }
        table = QTable(
            {
                "wavelength": wavelength,
                "cross_section": rayleigh_cross_section(wavelength, co2),
                "optical_depth": np.asarray(optical_depth),
            }
        )
        metadata = self.metadata(
            EXTINCTION_KIND,
            f"Rayleigh extinction over {site.name} in the night {self.night}",
            validity=(night.dusk, night.dawn),
            details=details,
        )
        write_table(self.extinction_output, table, metadata)
        self.add_output(self.extinction_output, EXTINCTION_KIND)
        text = atm_trans_text(
            site.elevation,
            edges[1:],
            wavelength,
            np.asarray(optical_depth),
            header_lines=[metadata.description, f"category {self.category}; Rayleigh only"],
        )
        with atomic_path(self.atm_trans_output) as temporary:
            temporary.write_text(text)
        self.add_output(self.atm_trans_output, "atmosphere/atm_trans")

    def column_errors(self, site, night, profile, errors, edges, measured):
        """Relative errors (stat, sys) of the column from the site to each altitude."""
        from astropy.time import Time

        from ..atmosphere.atmospheric_model import column_relative_error
        from ..atmosphere.density_profile import pressure_differences
        from ..atmosphere.meteorology import weighted_spread

        stat, sys = (
            column_relative_error(profile.altitude, profile.density, error, edges[0], edges[1:])
            for error in errors
        )
        if measured is None:
            return stat, sys
        columns = pressure_differences(
            measured["altitude"], measured["pressure_at_times"], site.elevation, edges[1:]
        )
        times = Time(measured.meta["calibpipe"]["times_utc"], format="isot", scale="utc")
        spread = weighted_spread(columns, times, night.dusk, night.dawn)
        mean = columns.mean(axis=0)
        return spread / mean, sys


def main() -> None:
    """Run the Tool."""
    CreateMolecularAtmosphericModel().run()

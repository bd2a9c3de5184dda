"""Atmospheric model of one night for simulation and extinction, 0 to 120 km."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

if TYPE_CHECKING:
    import astropy.units as u
    from astropy.table import QTable
    from numpy.typing import NDArray

    from ..atmosphere.density_profile import MolecularProfile
    from ..core.night import AstronomicalNight
    from ..core.products import ProductMetadata
    from ..core.site import Site

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
        profile = self.fine_profile(site, measured, reference)
        errors = self.relative_errors(profile, measured, reference)
        # everything is calculated and checked before anything is written
        shower = self.shower_product(site, night, profile, errors, co2, measured, reference)
        extinction = self.extinction_product(site, night, profile, errors, co2, measured)
        self.write(self.output, self.atmprof_output, *shower)
        self.write(self.extinction_output, self.atm_trans_output, *extinction)

    def write(
        self, output: "Path", exchange_output: "Path", table: "QTable", metadata: "ProductMetadata",
        text: str,
    ) -> None:  # fmt: skip
        """Write a product and its exchange format."""
        from ..core.files import atomic_path
        from ..core.products import write_table

        write_table(output, table, metadata)
        self.add_output(output, metadata.kind)
        with atomic_path(exchange_output) as temporary:
            temporary.write_text(text)
        self.add_output(exchange_output, f"atmosphere/{exchange_output.stem}")

    def fine_profile(
        self, site: "Site", measured: "QTable | None", reference: "QTable"
    ) -> "MolecularProfile":
        """Profile on the fine grid: data below, upper-air model above, or the reference alone."""
        import astropy.units as u

        from ..atmosphere.atmospheric_model import FINE_ALTITUDES
        from ..atmosphere.profile_table import profile_from_table
        from ..atmosphere.upper_air import blended_profile

        if measured is None:
            return profile_from_table(reference).at(FINE_ALTITUDES)
        return blended_profile(
            profile_from_table(measured),
            self.upper_profile(site, reference),
            FINE_ALTITUDES,
            site.latitude,
            self.cross_fade_in_km * u.km,
        )

    def upper_profile(self, site: "Site", reference: "QTable") -> "MolecularProfile":
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

    def relative_errors(
        self, profile: "MolecularProfile", measured: "QTable | None", reference: "QTable"
    ) -> "tuple[NDArray, NDArray]":
        """Relative errors of density (stat, sys) on the fine grid."""
        import astropy.units as u

        from ..atmosphere.night_profile import density_errors

        upper = (reference["altitude"], (reference["density_spread"] / reference["density"]).value)
        scale = self.cross_fade_in_km * u.km
        if measured is None:
            return density_errors(profile, None, scale, 24 * u.h, None, upper)
        spread = (measured["density_stat_error"] / measured["density"]).value
        return density_errors(
            profile,
            measured["altitude"][-1],
            scale,
            measured.meta["calibpipe"]["largest_time_step_in_h"] * u.h,
            (measured["altitude"], spread),
            upper,
        )

    def shower_product(
        self, site: "Site", night: "AstronomicalNight", profile: "MolecularProfile",
        errors: "tuple[NDArray, NDArray]", co2: float, measured: "QTable | None",
        reference: "QTable",
    ) -> "tuple[QTable, ProductMetadata, str]":  # fmt: skip
        """Table of the shower atmosphere, its metadata and its CORSIKA form."""
        import astropy.units as u
        from astropy.table import QTable

        from ..atmosphere.atmospheric_model import ShowerAtmosphere
        from ..atmosphere.corsika_table import CORSIKA_ALTITUDES, atmprof_text

        columns = self.shower_columns(profile, CORSIKA_ALTITUDES, errors, co2, measured)
        at_site = self.shower_columns(profile, site.elevation.reshape(1), errors, co2, measured)
        top = measured["altitude"][-1].to_value(u.km) if measured is not None else 0.0
        selection = reference.meta["calibpipe"]
        metadata = self.metadata(
            KIND,
            f"Molecular atmosphere over {site.name} in the night {self.night}",
            validity=(night.dusk, night.dawn),
            details={
                "refractivity_wavelength_in_nm": self.refractivity_wavelength_in_nm,
                "co2_mole_fraction": co2,
                "observation_level": {
                    name: {"value": float(u.Quantity(v).value[0]), "unit": str(u.Quantity(v).unit)}
                    for name, v in at_site.items()
                },
                "origin": "data" if measured is not None else "reference atmosphere alone",
                "top_of_data_in_km": top,
                "upper_air": self.upper_air,
                "reference_model": selection["selection"] | selection["model"],
                "five_layers": self.five_layers(columns["altitude"], columns["thickness"]),
            },
        )
        header = [
            metadata.description,
            f"category {self.category}; n-1 at {self.refractivity_wavelength_in_nm:g} nm; "
            f"CO2 {co2 * 1e6:.2f} ppm",
            f"data up to {top:.1f} km, above: {self.upper_air}",
            "thickness integrated downward from the top; density of humid air (CIPM-2007)",
        ]
        names = ShowerAtmosphere.__dataclass_fields__
        text = atmprof_text(**{name: columns[name] for name in names}, header_lines=header)
        return QTable(columns), metadata, text

    @staticmethod
    def five_layers(altitude: "u.Quantity", thickness: "u.Quantity") -> "dict[str, Any]":
        """Parameters of the five-layer fit for the header, and how good it is."""
        import astropy.units as u

        from ..atmosphere.corsika_table import steering_cards
        from ..atmosphere.five_layer_atmosphere import fit_five_layers

        fit = fit_five_layers(altitude, thickness)
        return {
            "lower_boundary_in_km": fit.atmosphere.boundaries.to_value(u.km).tolist(),
            "a_in_g_per_cm2": fit.atmosphere.a.to_value(u.g / u.cm**2).tolist(),
            "b_in_g_per_cm2": fit.atmosphere.b.to_value(u.g / u.cm**2).tolist(),
            "c_in_cm": fit.atmosphere.c.to_value(u.cm).tolist(),
            "largest_thickness_residual_below_30km": fit.largest_thickness_residual,
            "largest_density_residual_below_30km": fit.largest_density_residual,
            "steering_cards": steering_cards(fit.atmosphere).splitlines(),
        }

    def shower_columns(
        self, profile: "MolecularProfile", altitude: "u.Quantity",
        errors: "tuple[NDArray, NDArray]", co2: float, measured: "QTable | None",
    ) -> "dict[str, Any]":  # fmt: skip
        """Columns of the shower atmosphere with statistical and systematic errors.

        The statistical error of a measured thickness is the spread of the pressure, its weight.
        """
        import astropy.units as u
        import numpy as np

        from ..atmosphere.atmospheric_model import column_relative_error, shower_atmosphere

        wavelength = self.refractivity_wavelength_in_nm * u.nm
        model = shower_atmosphere(profile, altitude, wavelength, co2)
        columns = {name: getattr(model, name) for name in model.__dataclass_fields__}
        z, here = profile.altitude.to_value(u.m), altitude.to_value(u.m)
        for kind, relative in zip(("stat", "sys"), errors, strict=True):
            above = column_relative_error(
                profile.altitude, profile.density, relative, altitude, profile.altitude[-1]
            )
            if kind == "stat" and measured is not None:
                spread = (measured["pressure_stat_error"] / measured["pressure"]).value
                above = np.interp(here, measured["altitude"].to_value(u.m), spread)
            local = np.interp(here, z, relative)
            columns[f"density_{kind}_error"] = model.density * local
            columns[f"thickness_{kind}_error"] = model.thickness * above
            columns[f"refractivity_{kind}_error"] = model.refractivity * local
        return columns

    def extinction_product(
        self, site: "Site", night: "AstronomicalNight", profile: "MolecularProfile",
        errors: "tuple[NDArray, NDArray]", co2: float, measured: "QTable | None",
    ) -> "tuple[QTable, ProductMetadata, str]":  # fmt: skip
        """Rayleigh extinction from the observation level up, its metadata and exchange format."""
        import astropy.units as u
        import numpy as np
        from astropy.table import QTable

        from ..atmosphere.atmospheric_model import extinction_altitudes, partial_columns
        from ..atmosphere.corsika_table import atm_trans_text
        from ..atmosphere.rayleigh import rayleigh_cross_section, rayleigh_optical_depth

        wavelength = np.arange(self.first_wavelength_in_nm, self.last_wavelength_in_nm + 1) * u.nm
        edges = extinction_altitudes(site.elevation)
        dry, vapour = partial_columns(profile, edges)
        optical_depth = np.asarray(rayleigh_optical_depth(wavelength, dry, vapour, co2))
        stat, sys = self.column_errors(night, profile, errors, edges, measured)
        metadata = self.metadata(
            EXTINCTION_KIND,
            f"Rayleigh extinction over {site.name} in the night {self.night}",
            validity=(night.dusk, night.dawn),
            details={
                "observation_altitude_in_km": site.elevation.to_value(u.km),
                "altitude_in_km": [round(float(a), 6) for a in edges[1:].to_value(u.km)],
                "relative_stat_error": [float(f"{e:.3g}") for e in stat],
                "relative_sys_error": [float(f"{e:.3g}") for e in sys],
                "co2_mole_fraction": co2,
                "closure": self.closure(site, profile, dry[-1:], vapour[-1:], co2),
            },
        )
        table = QTable(
            {
                "wavelength": wavelength,
                "cross_section": rayleigh_cross_section(wavelength, co2),
                "optical_depth": optical_depth,
            }
        )
        header = [metadata.description, f"category {self.category}; Rayleigh only"]
        text = atm_trans_text(site.elevation, edges[1:], wavelength, optical_depth, header)
        return table, metadata, text

    def closure(
        self, site: "Site", profile: "MolecularProfile", dry: "u.Quantity", vapour: "u.Quantity",
        co2: float,
    ) -> dict[str, float]:  # fmt: skip
        """Total optical depth at 350 nm against the one that the pressure at the site gives."""
        import astropy.units as u

        from ..atmosphere.rayleigh import hydrostatic_optical_depth, rayleigh_optical_depth
        from ..core.exceptions import CorruptedInputError

        at_site = profile.at(site.elevation.reshape(1))
        test = [350] * u.nm
        total = float(rayleigh_optical_depth(test, dry, vapour, co2)[0, 0])
        expected = float(
            hydrostatic_optical_depth(
                test[0], at_site.pressure[0], site.elevation, site.latitude, co2
            )
        )
        difference = total / expected - 1
        if not abs(difference) <= self.closure_limit:
            raise CorruptedInputError(
                f"optical depth at 350 nm of the table is {total:.5f}, the pressure at "
                f"{site.elevation:g} gives {expected:.5f}: they differ by "
                f"{100 * difference:+.2f} %, limit {100 * self.closure_limit:g} %; the profile is "
                "not hydrostatic, look at the levels of the meteorological data"
            )
        return {
            "optical_depth_350nm": total,
            "hydrostatic_optical_depth_350nm": expected,
            "relative_difference": difference,
            "limit": self.closure_limit,
        }

    def column_errors(
        self, night: "AstronomicalNight", profile: "MolecularProfile",
        errors: "tuple[NDArray, NDArray]", edges: "u.Quantity", measured: "QTable | None",
    ) -> "tuple[NDArray, NDArray]":  # fmt: skip
        """Relative errors (stat, sys) of the optical depth from the site to each altitude."""
        import numpy as np
        from astropy.time import Time

        from ..atmosphere.atmospheric_model import column_relative_error
        from ..atmosphere.night_profile import column_spread
        from ..atmosphere.rayleigh import CROSS_SECTION_ERROR

        stat, sys = (
            column_relative_error(profile.altitude, profile.density, error, edges[0], edges[1:])
            for error in errors
        )
        if measured is not None:
            header = measured.meta["calibpipe"]
            stat = column_spread(
                measured["altitude"],
                measured["pressure_at_times"],
                Time(header["times_utc"], format="isot", scale="utc"),
                np.array(header["time_weights"]),
                night,
                edges,
            )
        return stat, np.hypot(sys, CROSS_SECTION_ERROR)


def main() -> None:
    """Run the Tool."""
    CreateMolecularAtmosphericModel().run()

"""Reference atmosphere of one night: by density at 15 km, or by date."""

from typing import TYPE_CHECKING, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool

if TYPE_CHECKING:
    from astropy.table import QTable

    from ..atmosphere.reference_model import ModelChoice
    from ..core.site import Site

KIND = "atmosphere/reference_model"
POOL_KIND = "atmosphere/reference_atmospheric_model"


class SelectReferenceAtmosphericModel(NightTool):
    """Select the reference atmosphere of one night from the pool of its site.

    With a density profile the model nearest in number density at 15 km is taken; without one the
    season of the date decides, a reason has to be given, and the product says that it fell back.
    """

    name = "calibpipe-select-reference-atmospheric-model"
    description = __doc__
    examples = """
    calibpipe-select-reference-atmospheric-model --site config/sites/CTAO-North.yaml \\
        --night 2024-07-10 --density-profile density_profile.ecsv \\
        --pool config/reference_models/CTAO-North --output reference_model.ecsv
    """

    density_profile = traits.Path(
        None, exists=None, directory_ok=False, help="Product atmosphere/density_profile"
    ).tag(config=True)
    pool = traits.Path(
        None, exists=None, file_ok=False, help="Folder with the reference models of the site"
    ).tag(config=True)
    fallback_reason = traits.Unicode(
        "", help="Why the date decides instead of data; required without a density profile"
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        "density-profile": "SelectReferenceAtmosphericModel.density_profile",
        "pool": "SelectReferenceAtmosphericModel.pool",
        "fallback-reason": "SelectReferenceAtmosphericModel.fallback_reason",
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "pool")

    def start(self) -> None:
        """Read, choose, write."""
        from ..core.night import astronomical_night
        from ..core.products import write_table

        site = self.load_site()
        night = astronomical_night(self.night, site)
        models = self.read_pool(site)
        choice = self.choice(site, models)
        if choice.method == "date":
            self.log.warning("%s", choice.reason)
        model = models[choice.season]
        header = model.meta["calibpipe"]
        densities, source = self.reference_densities(site, models)
        details = {
            "selection": {
                "season": choice.season,
                "method": choice.method,
                "reason": choice.reason,
                "margin_in_sigma": choice.margin_in_sigma,
            },
            "model": {key: header[key] for key in ("season", "version", "source", "n_nights")},
            "number_density_15km_in_per_cm3": densities,
            "number_density_15km_source": source,
        }
        metadata = self.metadata(
            KIND,
            f"Reference atmosphere of {site.name} for the night {self.night}: {choice.season}",
            validity=(night.dusk, night.dawn),
            details=details,
        )
        write_table(self.output, model, metadata)
        self.add_output(self.output, KIND)

    def read_pool(self, site: "Site") -> "dict[str, QTable]":
        """Reference models of the site by season, the newest version of each."""
        from ..core.exceptions import MissingInputError
        from ..core.products import read_table

        paths = sorted(self.pool.glob("*.ecsv"))
        if not paths:
            raise MissingInputError(
                f"no reference model of {site.name} in {self.pool}: make some with "
                "calibpipe-create-reference-atmospheric-models"
            )
        models: dict[str, QTable] = {}
        for path in paths:
            table = read_table(self.add_input(path, "reference_model"), POOL_KIND)
            header = table.meta["calibpipe"]
            known = models.get(header["season"])
            if known is None or known.meta["calibpipe"]["version"] < header["version"]:
                models[header["season"]] = table
        return models

    def choice(self, site: "Site", models: "dict[str, QTable]") -> "ModelChoice":
        """Choice by density, or by date when there is no density profile."""
        import astropy.units as u

        from ..atmosphere.reference_model import choice_by_date, choice_by_density
        from ..core.night import night_date
        from ..core.products import read_table
        from .night_tool import require

        if self.density_profile is None:
            require(
                self.fallback_reason,
                f"{self.name} got no density profile: give --density-profile, or state with "
                "--fallback-reason why the date must decide",
            )
            return choice_by_date(night_date(self.night), site, list(models), self.fallback_reason)
        profile = read_table(
            self.add_input(self.density_profile, "density_profile"), "atmosphere/density_profile"
        ).meta["calibpipe"]
        densities, _ = self.reference_densities(site, models)
        return choice_by_density(
            profile["number_density_15km_in_per_cm3"] / u.cm**3,
            profile["number_density_15km_error_in_per_cm3"] / u.cm**3,
            {season: density / u.cm**3 for season, density in densities.items()},
        )

    @staticmethod
    def reference_densities(
        site: "Site", models: "dict[str, QTable]"
    ) -> tuple[dict[str, float], str]:
        """Number density at 15 km (1/cm3) that stands for each season of the pool, and whose it is.

        The site's published ones, if it has one for every model; else those of the models.
        """
        published = dict(site.reference_densities)
        if set(models) <= set(published):
            return {season: published[season] for season in models}, "published for the site"
        return {
            season: table.meta["calibpipe"]["number_density_15km_in_per_cm3"]
            for season, table in models.items()
        }, "models of the pool"


def main() -> None:
    """Run the Tool."""
    SelectReferenceAtmosphericModel().run()

"""Pool of seasonal reference atmospheres: from nights, from climatology, from CTAO's tables."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool
from .select_reference_atmospheric_model import POOL_KIND

if TYPE_CHECKING:
    import astropy.units as u
    from astropy.table import QTable

    from ..atmosphere.density_profile import MolecularProfile
    from ..atmosphere.reference_model import NightAverage
    from ..core.site import Site


class CreateReferenceAtmosphericModels(NightTool):
    """Create or update the reference atmospheres of one site.

    Sources:
    nights: mean and spread of many density profiles, by season, added to what the pool holds;
    climatology: NRLMSISE-00, labelled as such;
    ctao-tables: CTAO's own tables (reference_atmo_model_*_<site>_<season>.ecsv).

    A model is never changed: an update is a new version in a new file.
    """

    name = "calibpipe-create-reference-atmospheric-models"
    description = __doc__
    examples = """
    calibpipe-create-reference-atmospheric-models --site config/sites/CTAO-North.yaml \\
        --source climatology --pool config/reference_models/CTAO-North

    calibpipe-create-reference-atmospheric-models --site config/sites/CTAO-North.yaml \\
        --source nights --pool pool/CTAO-North \\
        --input 'results/CTAO-North/C/*/atmosphere/density_profile.ecsv'
    """

    source = traits.CaselessStrEnum(
        ["nights", "climatology", "ctao-tables"], "nights", help="What the models are made from"
    ).tag(config=True)
    pool = traits.Path(
        None, exists=None, file_ok=False, help="Folder of the site's reference models"
    ).tag(config=True)
    input_files = traits.List(
        traits.Unicode(), help="Density profiles or CTAO tables; wildcards are expanded"
    ).tag(config=True)
    minimum_nights = traits.Int(
        10, min=1, help="Fewest nights of a season that make a model of it"
    ).tag(config=True)

    aliases: ClassVar[dict] = {
        "site": "NightTool.site",
        "source": "CreateReferenceAtmosphericModels.source",
        "pool": "CreateReferenceAtmosphericModels.pool",
        "input": "CreateReferenceAtmosphericModels.input_files",
    }
    required: ClassVar[tuple[str, ...]] = ("site", "pool")
    output_traits: ClassVar[tuple[str, ...]] = ("pool",)

    def start(self) -> None:
        """Read, average, write the new version of each season."""
        site = self.load_site()
        make = {
            "nights": self.from_nights,
            "climatology": self.from_climatology,
            "ctao-tables": self.from_ctao_tables,
        }[self.source]
        for season, (average, label) in make(site).items():
            self.write_model(site, season, average, label)

    def from_climatology(self, site: "Site") -> "dict[str, tuple[NightAverage, str]]":
        """NRLMSISE-00 of every season of the site."""
        from ..atmosphere.reference_model import msis_climatology, night_average, season_days

        return {
            season: (
                night_average(msis_climatology(site, season_days(site, season))),
                "climatology NRLMSISE-00 (no measurement)",
            )
            for season in sorted({s.name for s in site.seasons})
        }

    def from_nights(self, site: "Site") -> "dict[str, tuple[NightAverage, str]]":
        """Mean of density profiles by season, combined with the newest model made of nights."""
        from ..atmosphere.reference_model import combined_average, night_average
        from ..core.exceptions import InsufficientStatisticsError
        from ..core.night import night_date

        by_season: dict[str, dict] = {}
        for night, profile in self.read_nights(site).items():
            by_season.setdefault(site.season(night_date(night)), {})[night] = profile
        averages = {}
        for season, profiles in sorted(by_season.items()):
            known = self.newest(season)
            if known is not None and known[0].meta["calibpipe"]["source"].startswith("nights"):
                average = combined_average(self.as_average(known[0]), night_average(profiles))
            else:
                average = night_average(profiles)
            if len(average.nights) < self.minimum_nights:
                raise InsufficientStatisticsError(
                    f"season {season} at {site.name} has {len(average.nights)} nights, needs "
                    f"{self.minimum_nights}; give more nights or lower minimum_nights"
                )
            averages[season] = average, "nights"
        return averages

    def read_nights(self, site: "Site") -> "dict[str, MolecularProfile]":
        """Profiles of nights on the altitude grid of the pool, continued by climatology."""
        from ..atmosphere.profile_table import profile_from_table
        from ..atmosphere.reference_model import CLIMATOLOGY_ALTITUDES, msis_climatology
        from ..atmosphere.upper_air import blended_profile
        from ..core.night import night_date
        from ..core.products import read_table
        from .night_tool import require

        profiles = {}
        for path in self.expanded_inputs():
            table = read_table(
                self.add_input(path, "density_profile"), "atmosphere/density_profile"
            )
            header = table.meta["calibpipe"]
            require(
                header["site"] == site.name,
                f"{path} is of {header['site']}, the pool of {site.name}",
            )
            night = header["night"]
            require(night not in profiles, f"night {night} is given twice, second time by {path}")
            upper = msis_climatology(site, [night_date(night)])[night]
            measured = profile_from_table(table)
            fine = blended_profile(
                measured,
                upper,
                self.fine_altitudes(),
                site.latitude,
            )
            profiles[night] = fine.at(CLIMATOLOGY_ALTITUDES)
        return profiles

    @staticmethod
    def fine_altitudes() -> "u.Quantity":
        """Grid fine enough for the hydrostatic integral above the data."""
        from ..atmosphere.atmospheric_model import FINE_ALTITUDES

        return FINE_ALTITUDES

    def from_ctao_tables(self, site: "Site") -> "dict[str, tuple[NightAverage, str]]":
        """CTAO's tables whose file name ends in the site and a season."""
        from astropy.table import QTable

        from ..atmosphere.reference_model import (
            CLIMATOLOGY_ALTITUDES,
            ctao_reference_profile,
            night_average,
        )
        from ..core.exceptions import MissingInputError

        averages = {}
        for path in self.expanded_inputs():
            for season in {s.name for s in site.seasons}:
                if path.stem.lower().endswith(f"{site.name.lower()}_{season}"):
                    table = QTable.read(self.add_input(path, "ctao_table"), format="ascii.ecsv")
                    profile = ctao_reference_profile(table).at(CLIMATOLOGY_ALTITUDES)
                    averages[season] = (
                        night_average({f"CTAO table {path.stem}": profile}),
                        f"CTAO table {path.stem}",
                    )
        if not averages:
            raise MissingInputError(
                f"no CTAO table of {site.name} among {self.input_files}: names must end in "
                f"_{site.name.lower()}_<season>.ecsv"
            )
        return averages

    def expanded_inputs(self) -> "list[Path]":
        """Existing files of `input_files`, wildcards expanded, sorted."""
        from pathlib import Path

        from ..core.exceptions import MissingInputError

        paths = sorted(
            {
                path
                for pattern in map(Path, self.input_files)
                for path in Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
            }
        )
        if not paths:
            raise MissingInputError(
                f"no input for source {self.source!r}: give --input with files or wildcards that "
                f"exist (got {self.input_files})"
            )
        return paths

    def newest(self, season: str) -> "tuple[QTable, Path] | None":
        """Newest version of a season's model: table and path, or None."""
        from ..core.products import read_table

        models = [
            (read_table(path, POOL_KIND), path)
            for path in sorted(self.pool.glob(f"{season}_v*.ecsv"))
        ]
        return max(models, key=lambda m: m[0].meta["calibpipe"]["version"], default=None)

    @staticmethod
    def as_average(table: "QTable") -> "NightAverage":
        """Average that a model of the pool was made from."""
        from ..atmosphere.profile_table import profile_from_table
        from ..atmosphere.reference_model import NightAverage

        header = table.meta["calibpipe"]
        return NightAverage(
            profile_from_table(table), table["density_spread"], tuple(header["nights"])
        )

    def write_model(self, site: "Site", season: str, average: "NightAverage", label: str) -> None:
        """Write the next version of a season's model."""
        import astropy.units as u

        from ..atmosphere.profile_table import profile_table
        from ..atmosphere.reference_model import REFERENCE_ALTITUDE
        from ..core.products import write_table

        known = self.newest(season)
        if known is not None:
            self.add_input(known[1], "previous_version")
        version = 1 if known is None else known[0].meta["calibpipe"]["version"] + 1
        table = profile_table(average.profile)
        table["density_spread"] = average.spread
        details = {
            "season": season,
            "version": version,
            "source": label,
            "n_nights": len(average.nights),
            "nights": list(average.nights),
            "number_density_15km_in_per_cm3": float(
                average.profile.at(REFERENCE_ALTITUDE.reshape(1)).number_density.to_value(
                    1 / u.cm**3
                )[0]
            ),
        }
        metadata = self.metadata(
            POOL_KIND,
            f"Reference atmosphere of {site.name}, {season}, version {version}: {label}",
            category=None,
            details=details,
        )
        path = self.pool / f"{season}_v{version}.ecsv"
        write_table(path, table, metadata)
        self.add_output(path, POOL_KIND)
        self.log.info("%s: %s", path, metadata.description)


def main() -> None:
    """Run the Tool."""
    CreateReferenceAtmosphericModels().run()

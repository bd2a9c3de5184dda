"""Mean CO2 background concentration of one night; never stops a night."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

KIND = "atmosphere/macobac"
OLD = 400  # days from the last month to the night, above which the log warns
FRESH = 86400  # s: a younger download is not repeated for a month that no record can hold yet


class CalculateMacobac(NightTool):
    """Calculate the mean CO2 background concentration (MACOBAC) of one night.

    Mean of the last twelve measured months at Mauna Loa up to the month of the night. Sources in
    this order: a given file; a cached file that reaches the month of the night; the addresses
    (with --online; for a night of this or the last month, what came from them within a day); the
    newest cached file; a published annual mean. The product says which.
    """

    name = "calibpipe-calculate-macobac"
    description = __doc__
    examples = """
    calibpipe-calculate-macobac --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --online --cache cache/co2 --output macobac.ecsv
    """

    input_file = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Monthly CO2 at Mauna Loa, as Scripps or NOAA publish it; nothing else is tried",
    ).tag(config=True)
    online = traits.Bool(False, help="Download the record when the cache does not do").tag(
        config=True
    )
    urls = traits.List(
        traits.Unicode(),
        default_value=[
            "https://scrippsco2.ucsd.edu/assets/data/atmospheric/stations/in_situ_co2/monthly/"
            "monthly_in_situ_co2_mlo.csv",
            "https://gml.noaa.gov/webdata/ccgg/trends/co2/co2_mm_mlo.csv",
        ],
        help="Addresses of monthly records, the first that answers is taken",
    ).tag(config=True)
    cache = traits.Path(
        None,
        allow_none=True,
        exists=None,
        file_ok=False,
        help="Folder where downloaded records are kept; needed with --online",
    ).tag(config=True)
    timeout = traits.Float(20.0, min=0.01, help="Seconds that a server may stay silent").tag(
        config=True
    )
    tries = traits.Int(2, min=1, help="Tries of one address").tag(config=True)
    last_known_co2_mole_fraction = traits.Float(
        424.61e-6, min=1e-4, max=1e-3, help="Annual mean used when no record can be had"
    ).tag(config=True)
    last_known_stat_error = traits.Float(0.12e-6, min=0, help="Its statistical error").tag(
        config=True
    )
    last_known_year = traits.Int(2024, min=1958, help="Calendar year of this mean").tag(config=True)
    last_known_source = traits.Unicode(
        "NOAA Global Monitoring Laboratory, annual mean at Mauna Loa 2024",
        help="Where this mean was published",
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        ("i", "input"): "CalculateMacobac.input_file",
        "cache": "CalculateMacobac.cache",
    }
    flags: ClassVar[dict] = {
        "online": ({"CalculateMacobac": {"online": True}}, "Download the record of CO2"),
        "offline": ({"CalculateMacobac": {"online": False}}, "Try no network"),
    }

    def scientific_configuration(self) -> dict[str, Any]:
        """Configuration without what only says how the record comes here."""
        return {
            name: value
            for name, value in super().scientific_configuration().items()
            if name not in ("online", "urls", "timeout", "tries")
        }

    def setup(self) -> None:
        """Check the options."""
        super().setup()
        require(
            self.cache is not None or not self.online,
            "--online needs --cache: a folder where the record of CO2 is kept between nights",
        )

    def start(self) -> None:
        """Find a record, take the mean, write."""
        import astropy.units as u
        from astropy.table import QTable

        from ..core.night import night_date, night_span
        from ..core.products import write_table

        site = self.load_site()
        night = night_date(self.night)
        method, source, result = self.best_answer(night)
        age = max(0, (night - _last_day(result.last_month)).days)
        self.report(method, source, result, age)
        table = QTable(
            {
                "co2_mole_fraction": [result.co2_mole_fraction.to_value(u.one)] * u.one,
                "stat_error": [result.stat_error.to_value(u.one)] * u.one,
                "sys_error": [result.sys_error.to_value(u.one)] * u.one,
                "first_month": [result.first_month],
                "last_month": [result.last_month],
                "n_months": [result.n_months],
                "source": [source],
                "method": [method],
            }
        )
        metadata = self.metadata(
            KIND,
            f"Mean CO2 background concentration for the night {self.night}",
            validity=night_span(self.night, site),
            details={
                "age_in_days": age,
                "calendar_months": result.calendar_months,
                "method": method,
                "source": source,
            },
        )
        write_table(self.output, table, metadata)
        self.add_output(self.output, KIND)

    def best_answer(self, night: date) -> tuple[str, str, Any]:
        """Method, source and mean from the first source that gives twelve months."""
        from ..atmosphere.macobac import last_known_macobac, macobac
        from ..core.exceptions import CalibPipeError

        if self.input_file is not None:
            record = read_record(self.add_input(self.input_file, "monthly_co2"))
            return "measured", self.input_file.name, macobac(record, night)
        for method, source, path in self.sources(night):
            try:
                result = macobac(read_record(path), night)
            except CalibPipeError as error:
                self.log.warning("CO2: %s is of no use: %s", source, error)
                continue
            self.add_input(path, "monthly_co2")
            return method, source, result
        result = last_known_macobac(
            self.last_known_co2_mole_fraction,
            self.last_known_stat_error,
            self.last_known_year,
            night,
        )
        return "last_known", self.last_known_source, result

    def sources(self, night: date) -> Iterator[tuple[str, str, Path]]:
        """Method, name and file of every source, the best first; downloads when it comes to it."""
        from ..core.download import public_url
        from ..core.exceptions import CalibPipeError

        cached = self.cached_records()
        month = f"{night:%Y-%m}"
        yield from (("cached", path.name, path) for last, path in cached if last >= month)
        for url in self.urls if self.online else ():
            if _is_recent(night) and _is_fresh(self.place(url)):
                yield "cached", self.place(url).name, self.place(url)
                continue
            try:
                yield "measured", public_url(url), self.downloaded(url)
            except CalibPipeError as error:
                self.log.warning("CO2: %s", error)
        yield from (("cached", path.name, path) for last, path in cached if last < month)

    def cached_records(self) -> list[tuple[str, Path]]:
        """Last measured month and path of the records in the cache, the newest first."""
        from ..core.exceptions import CalibPipeError

        found = []
        for path in sorted(self.cache.glob("*.csv")) if self.cache is not None else ():
            try:
                found.append((last_measured_month(read_record(path)), path))
            except CalibPipeError as error:
                self.log.warning("CO2: passed over %s", error)
        return sorted(found, key=lambda entry: entry[0], reverse=True)

    def downloaded(self, url: str) -> Path:
        """File of the cache, fresh from an address."""
        from ..core.download import Patience, download

        patience = Patience(
            tries=self.tries,
            backoff=1.0,
            timeout=self.timeout,
            deadline=2 * self.tries * self.timeout,
            notify=self.log.info,
        )
        return download(url, self.place(url), check=read_record, patience=patience)

    def place(self, url: str) -> Path:
        """Where the record of an address is kept."""
        from ..core.download import public_url

        return self.cache / f"{Path(public_url(url)).name.removesuffix('.csv')}.csv"

    def report(self, method: str, source: str, result: Any, age: int) -> None:
        """Say where the number comes from; loudly if it is not what it should be."""
        facts = (
            f"CO2 {result.co2_mole_fraction.value * 1e6:.2f} ppm ({method}: {source}, "
            f"{result.first_month} to {result.last_month}, error "
            f"{result.stat_error.value * 1e6:.2f} and {result.sys_error.value * 1e6:.2f} ppm)"
        )
        if method == "last_known":
            self.log.warning("%s: no record of CO2 could be had, the error has grown", facts)
        elif age > OLD or result.calendar_months > result.n_months:
            self.log.warning(
                "%s: the record ends %d days before the night, %d months span %d",
                facts,
                age,
                result.n_months,
                result.calendar_months,
            )
        else:
            self.log.info("%s", facts)


def read_record(path: Path) -> Any:
    """Monthly record of a file."""
    from ..atmosphere.macobac import parse_monthly_co2
    from ..core.exceptions import CorruptedInputError, MissingInputError

    if not path.is_file():
        raise MissingInputError(
            f"{path} does not exist: give a record of Scripps or NOAA, or none at all"
        )
    try:
        return parse_monthly_co2(path.read_text(encoding="utf-8", errors="replace"))
    except CorruptedInputError as error:
        raise CorruptedInputError(f"{path}: {error}") from error


def last_measured_month(record: Any) -> str:
    """Month of the last value of a record; empty if there is none."""
    measured = record.months[record.co2_mole_fraction.value > 0]
    return str(measured[-1]) if measured.size else ""


def _is_recent(night: date) -> bool:
    """Whether a night belongs to this month or the last, which no record holds yet."""
    from datetime import UTC, datetime

    today = datetime.now(UTC).date()
    return 12 * (today.year - night.year) + today.month - night.month <= 1


def _is_fresh(path: Path) -> bool:
    """Whether a file came less than a day ago."""
    import time

    return path.is_file() and time.time() - path.stat().st_mtime < FRESH


def _last_day(month: str) -> date:
    """Day before the next month begins."""
    year, number = map(int, month.split("-"))
    return date.fromordinal(date(year + number // 12, number % 12 + 1, 1).toordinal() - 1)


def main() -> None:
    """Run the Tool."""
    CalculateMacobac().run()

"""Retrieve the meteorological data of one night, or take stock of files that are there."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

_TRANSPORT = (
    "input_files",
    "gdas_url",
    "tries",
    "backoff_in_s",
    "timeout_in_s",
    "deadline_in_s",
    "poll_in_s",
)

# A file of a night: its request, its place in the cache, and what brings it there.
_Wanted = tuple[dict[str, Any], Path, Callable[[], Path]]


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "calibpipe/meteo"


class RetrieveMeteoData(NightTool):
    """Meteorological data on pressure levels for one night and site.

    Category C takes ERA5 from the Copernicus Climate Data Store, category B the GDAS final
    analyses from NCAR. Files are kept in a cache and never downloaded twice. With `input_files`
    nothing is downloaded at all. The product lists the files with their checksums.
    """

    name = "calibpipe-retrieve-meteo-data"
    description = __doc__
    examples = """
    Category C, ERA5 (needs ~/.cdsapirc or CDSAPI_URL and CDSAPI_KEY):
    > calibpipe-retrieve-meteo-data --site config/sites/CTAO-North.yaml --night 2023-07-09 \\
        --category C --output meteo_data.json
    From files that are there, without network:
    > calibpipe-retrieve-meteo-data --site config/sites/CTAO-North.yaml --night 2023-07-09 \\
        --input 'meteo/*.grib' --output meteo_data.json
    """

    input_files = traits.List(
        traits.Unicode(),
        help="Files or patterns that are already there (GRIB, netCDF, ECSV): no network then",
    ).tag(config=True)
    dataset = traits.CaselessStrEnum(
        ["ERA5", "GDAS", "unknown"],
        None,
        allow_none=True,
        help="Data set; default: ERA5 for category C, GDAS for B; say it of other given files",
    ).tag(config=True)
    cache_dir = traits.Path(
        _default_cache(), exists=None, file_ok=False, help="Folder of retrieved files"
    ).tag(config=True)
    gdas_url = traits.Unicode(
        "https://osdf-director.osg-htc.org/ncar/gdex/d083002/grib2",
        help="Folder of GDAS final analyses (d083002); a login belongs into ~/.netrc",
    ).tag(config=True)
    tries = traits.Int(5, min=1, help="Tries of one request").tag(config=True)
    backoff_in_s = traits.Float(
        2.0, min=0.0, help="Pause before the second try; doubles with every further one"
    ).tag(config=True)
    timeout_in_s = traits.Float(60.0, help="Longest time without an answer").tag(config=True)
    deadline_in_s = traits.Float(
        6 * 3600.0, help="Longest time for everything, the queue of the data store included"
    ).tag(config=True)
    poll_in_s = traits.Float(
        120.0, help="Longest time between two questions about a job in the queue"
    ).tag(config=True)

    aliases: ClassVar[dict] = {
        **NightTool.aliases,
        ("i", "input"): "RetrieveMeteoData.input_files",
        "cache": "RetrieveMeteoData.cache_dir",
    }

    def setup(self) -> None:
        """Check the configuration."""
        from ..core.patience import public_url

        super().setup()
        require(
            self.gdas_url == public_url(self.gdas_url),
            "gdas_url holds a user, password or query, which would end up in provenance; give the "
            "plain URL and put the login into ~/.netrc",
        )

    def start(self) -> None:
        """Retrieve or find the files, check them and write their list."""
        from ..atmosphere.meteo_request import DATASET_OF_CATEGORY, STEP, require_night
        from ..core.meteo_files import read_meteo_files
        from ..core.night import astronomical_night

        site = self.load_site()
        night = astronomical_night(self.night, site)
        dataset = self.dataset or DATASET_OF_CATEGORY[self.category]
        if self.input_files:
            paths, requests, retrieved = self._given_files(), None, None
        else:
            require(dataset in STEP, "an unknown data set cannot be retrieved; give `input_files`")
            requests, paths, retrieved = self._retrieved_files(dataset, site, night)
        data = read_meteo_files(paths, dataset, around=(site.latitude, site.longitude))
        require_night(data.times, night, STEP.get(dataset, STEP["GDAS"]))
        if data.is_preliminary:
            self.log.warning(
                "%s: preliminary ERA5T, final after two to three months; remove %s then",
                self.night,
                ", ".join(str(path) for path in paths),
            )
        for path in paths:
            self.add_input(path, "meteorological data")
        self._write(data, paths, requests, retrieved)

    def _write(self, data: Any, paths: list[Path], requests: Any, retrieved: Any) -> None:
        from ..core.files import sha256
        from ..core.products import write_json

        release = "preliminary" if data.is_preliminary else "final"
        content = {
            "dataset": data.dataset,
            "release": release if data.experiment_version else None,
            "experiment_version": data.experiment_version or None,
            "request": requests,
            "files": [
                {"path": str(path), "sha256": sha256(path), "size": path.stat().st_size}
                for path in paths
            ],
            "hours": [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in data.times.utc],
            "pressure_in_hPa": data.pressure.to_value("hPa").tolist(),
            "humidity": data.humidity_kind,
            "has_ozone": data.ozone is not None,
            "forecast_hours": data.forecast_hours,
            "retrieved": retrieved,
        }
        metadata = self.metadata(
            "atmosphere/meteo_data",
            "Meteorological data on pressure levels used for the night: list of files",
        )
        write_json(self.output, content, metadata)
        self.add_output(self.output, "meteorological data list")

    def scientific_configuration(self) -> dict[str, Any]:
        """Configuration without what only says how the files come here."""
        configuration = super().scientific_configuration()
        return {key: value for key, value in configuration.items() if key not in _TRANSPORT}

    def _given_files(self) -> list[Path]:
        """Files of `input_files`, patterns resolved."""
        from ..core.exceptions import MissingInputError

        found: dict[Path, None] = {}  # keeps the order, drops repetitions
        for pattern in self.input_files:
            path = Path(pattern).expanduser()
            folder = Path(path.anchor or ".")
            matches = sorted(folder.glob(str(path.relative_to(path.anchor))))
            if not matches:
                raise MissingInputError(
                    f"no file matches {pattern!r} in {Path.cwd()}; correct `input_files` or leave "
                    "it out to retrieve the data"
                )
            found |= dict.fromkeys(match.absolute() for match in matches)
        return list(found)

    def _retrieved_files(
        self, dataset: str, site: Any, night: Any
    ) -> tuple[list[dict[str, Any]], list[Path], str]:
        """Requests, files in the cache, and when the last of them was retrieved."""
        from astropy.time import Time

        from ..atmosphere.meteo_request import require_available
        from ..core.download import Patience, exclusive
        from ..core.file_cache import cached, keep

        patience = Patience(
            tries=self.tries,
            backoff=self.backoff_in_s,
            timeout=self.timeout_in_s,
            deadline=self.deadline_in_s,
            notify=self.log.warning,
        )
        files = self._era5_files if dataset == "ERA5" else self._gdas_files
        requests, paths, retrieved = [], [], []
        for request, path, fetch in files(site, night, patience):
            requests.append(request)
            paths.append(path)
            with exclusive(path, patience):
                record = cached(path)
                if record is None:
                    require_available(dataset, night, Time.now())
                    self.log.info("retrieving %s", path.name)
                    fetch()
                    record = keep(path, request)
            retrieved.append(record["retrieved"])
        return requests, paths, max(retrieved)

    def _era5_files(self, site: Any, night: Any, patience: Any) -> Iterator[_Wanted]:
        from ..atmosphere.meteo_request import (
            ERA5_DATASET,
            ERA5_LEVELS,
            era5_requests,
            requested_hours,
        )
        from ..core import cds
        from ..core.file_cache import cache_path

        for request in era5_requests(site, night):
            hours = requested_hours(request)
            stem = f"era5_{site.name}_{hours[0]:%Y%m%d}"
            path = cache_path(self.cache_dir / "ERA5", stem, request, ".grib")
            yield (
                {"dataset": ERA5_DATASET} | request,
                path,
                partial(
                    cds.retrieve,
                    ERA5_DATASET,
                    request,
                    path,
                    check=partial(self._check, "ERA5", site, hours, ERA5_LEVELS),
                    patience=patience,
                    poll=self.poll_in_s,
                    tell=self.log.info,
                ),
            )

    def _gdas_files(self, site: Any, night: Any, patience: Any) -> Iterator[_Wanted]:
        from ..atmosphere.meteo_request import GDAS_DATASET, GDAS_LEVELS, analysis_time, gdas_files
        from ..core.download import download
        from ..core.file_cache import cache_path

        for name in gdas_files(night):
            request = {"dataset": GDAS_DATASET, "file": name}
            path = cache_path(self.cache_dir / "GDAS", Path(name).stem, request, ".grib2")
            yield (
                request,
                path,
                partial(
                    download,
                    f"{self.gdas_url.rstrip('/')}/{name}",
                    path,
                    check=partial(self._check, "GDAS", site, [analysis_time(name)], GDAS_LEVELS),
                    patience=patience,
                ),
            )

    @staticmethod
    def _check(dataset: str, site: Any, hours: list, levels: tuple[int, ...], path: Path) -> None:
        """Read a file to its end; it has to hold what was asked for."""
        from ..atmosphere.meteo_request import require_hours
        from ..core.meteo_files import read_meteo_files

        data = read_meteo_files(path, dataset, around=(site.latitude, site.longitude))
        data.require_levels(*levels)
        require_hours(data.times, hours)


def main() -> None:
    """Entry point of calibpipe-retrieve-meteo-data."""
    RetrieveMeteoData().run()

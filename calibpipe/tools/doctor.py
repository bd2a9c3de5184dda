"""Whether nights will run, before one does."""

import json
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ctapipe.core import traits

import calibpipe

from ..doctor.finding import Finding, Level, run_checks
from .command_tool import CommandTool

if TYPE_CHECKING:
    from ..core.site import Site

PACKAGE = Path(calibpipe.__file__).parent
type Check = tuple[str, Callable[[], Iterable[Finding]]]


class Doctor(CommandTool):
    """Examine installation, configuration, accounts, disk, archive and data roots before a night.

    Every line is OK, WARNING (nights run, but slower or with less) or FAIL (nights fail) and says
    what to do. Nothing is changed, nothing secret is shown, and no other machine is asked unless
    with --online.

    Exit code 0: no FAIL. Else that of the error which the first FAIL would be: 100 network, 101
    configuration, 102 disk or database, 105 missing data.
    """

    name = "calibpipe-doctor"
    description = __doc__
    examples = """
    calibpipe-doctor
    calibpipe-doctor --configfile my_nights.yaml --directory /data/nights --profile profiles/slurm
    calibpipe-doctor --online --json
    """

    workflow = traits.Path(
        None,
        allow_none=True,
        exists=None,
        file_ok=False,
        help="Checkout with the Snakefile; default: that of the package, else the working folder",
    ).tag(config=True)
    directory = traits.Path(
        ".", exists=None, file_ok=False, help="Working folder of the nights"
    ).tag(config=True)
    configfile = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Overlays of config/config.yaml, as for snakemake; later ones win",
    ).tag(config=True)
    profile = traits.Path(
        None, allow_none=True, exists=None, help="Profile of the batch system, if there is one"
    ).tag(config=True)
    enough_space_in_gb = traits.Float(
        10.0, min=0.0, help="Free space below which there is a warning"
    ).tag(config=True)
    online = traits.Bool(False, help="Ask data stores and databases of other machines").tag(
        config=True
    )
    servers = traits.Dict(
        default_value={
            "Climate Data Store": "https://cds.climate.copernicus.eu/api",
            "GDAS": "https://osdf-director.osg-htc.org/ncar/gdex/d083002/grib2",
        },
        help="Addresses that --online asks",
    ).tag(config=True)
    json = traits.Bool(False, help="Findings as JSON instead of text").tag(config=True)

    aliases: ClassVar[dict] = {
        "workflow": "Doctor.workflow",
        "directory": "Doctor.directory",
        "configfile": "Doctor.configfile",
        "profile": "Doctor.profile",
        "enough-space-in-gb": "Doctor.enough_space_in_gb",
    }
    flags: ClassVar[dict] = {
        "online": ({"Doctor": {"online": True}}, "Ask data stores and databases elsewhere"),
        "json": ({"Doctor": {"json": True}}, "Findings as JSON"),
    }
    _exit_code = 0

    def setup(self) -> None:
        """Nothing is opened."""

    def start(self) -> None:
        """Examine everything; findings of the machine come even if the configuration is broken."""
        os.environ.setdefault("PGCONNECT_TIMEOUT", "10")  # s
        there = (PACKAGE.parent / "Snakefile").is_file()
        root = self.workflow or (PACKAGE.parent if there else Path())
        findings = list(run_checks(self._machine_checks(root)))
        config: dict[str, Any] = {}
        sites: list[Site] = []

        def configuration() -> Iterable[Finding]:
            from ..core.site import load_site
            from ..doctor.configuration import configuration_files, load_configuration

            loaded = load_configuration(root, self.configfile)
            yield from configuration_files(root, loaded["sites"])
            sites.extend(load_site(root / f"config/sites/{name}.yaml") for name in loaded["sites"])
            config.update(loaded)

        findings += run_checks([("configuration", configuration)])
        if config:
            findings += run_checks(self._night_checks(config, sites))
        self._tell(findings)
        self._exit_code = next((f.exit_code for f in findings if f.level is Level.FAIL), 0)

    def _machine_checks(self, root: Path) -> list[Check]:
        from ..doctor import environment

        profile = self.profile or os.environ.get("SNAKEMAKE_PROFILE") or None
        return [
            ("python", environment.python),
            ("packages", partial(environment.packages, root / "requirements.lock")),
            ("bytecode", partial(environment.bytecode, PACKAGE)),
            ("numba", partial(environment.compiled_functions, PACKAGE)),
            ("threads", environment.threads),
            ("batch system", partial(environment.batch_system, profile and Path(profile))),
        ]

    def _night_checks(self, config: dict[str, Any], sites: list["Site"]) -> list[Check]:
        from ..doctor import folders, services

        base = self.directory
        telescopes = [
            name
            for site in sites
            for name in site.telescopes
            if name in config["telescopes"] or not config["telescopes"]
        ]
        written = {
            "results": base / "results",
            "logs": base / "logs",
            "cache of meteorology": base / config["data_roots"]["meteo"],
            "cache of CO2": base / config["data_roots"]["co2"],
        }
        if "archive" in config["domains"]:
            written["archive"] = base / config["archive"]["location"]
        checks: list[Check] = [
            ("credentials", partial(services.credentials, config)),
            ("disk", partial(folders.write_access, written, self.enough_space_in_gb)),
            (
                "archive",
                partial(services.archive, config, base, config["sites"], online=self.online),
            ),
            ("data roots", partial(folders.data_roots, config, base)),
            ("dl0", partial(folders.dl0_root, config, base, telescopes)),
        ]
        if self.online:
            checks.append(("network", partial(services.reachable, self.servers)))
        return checks

    def _tell(self, findings: list[Finding]) -> None:
        if self.json:
            print(json.dumps([found.document() for found in findings], indent=2))
            return
        for found in findings:
            print(found)
        counts = {level: sum(f.level is level for f in findings) for level in Level}
        print(", ".join(f"{count} {level}" for level, count in counts.items()))

    def finish(self) -> None:
        """Nothing is left to be done."""

    def exit(self, exit_status: int = 0) -> None:
        """End with the code of the first FAIL."""
        super().exit(exit_status or self._exit_code)

    def write_provenance(self) -> None:
        """Nothing was made: provenance only where it was asked for."""
        if "provenance_log" in self.config.get("Tool", {}):
            super().write_provenance()

    def get_current_config(self) -> dict[str, Any]:
        """Configuration with paths as text: all of it is JSON."""
        return json.loads(json.dumps(super().get_current_config(), default=str))


def main() -> None:
    """Run the Tool."""
    Doctor().run()


if __name__ == "__main__":
    main()

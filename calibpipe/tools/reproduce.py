"""A certified product, made again and compared."""

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlparse

from ctapipe.core import ToolConfigurationError, traits

from .archive_tool import ArchiveTool
from .product_comparison import compare_products, kind_of_file


class Reproduce(ArchiveTool):
    """Make a product again from what it says of itself, and compare the two.

    A product names the Tool that made it with all settings, and its inputs with their checksums.
    These are looked for where they were, and, products, in the archive. One that is missing or
    has changed is an error, unless --any-inputs is given.

    Exit code 0: same content. 1: different content. 2 and others: an error.
    """

    name = "calibpipe-reproduce"
    description = __doc__
    examples = """
    calibpipe-reproduce --archive calibration_archive 3f9a1d0e-5c1b-...
    calibpipe-reproduce results/CTAO-North/C/2024-07-10/atmosphere/macobac.ecsv
    calibpipe-reproduce --archive calibration_archive 3f9a1d0e-5c1b-... \\
        --root /data/night-of-before --replace /old/checkout=/new/checkout
    """

    root = traits.Path(
        None,
        allow_none=True,
        exists=True,
        file_ok=False,
        help="Folder in place of the one in which the product was made",
    ).tag(config=True)
    replace = traits.List(
        traits.Unicode(), help="Other beginnings of paths, OLD=NEW; may be given several times"
    ).tag(config=True)
    output_folder = traits.Path(
        "reproduced",
        exists=None,
        file_ok=False,
        help="Folder for the product; a folder an identifier",
    ).tag(config=True)
    any_inputs = traits.Bool(False, help="Go on with inputs that have changed").tag(config=True)

    aliases: ClassVar[dict] = ArchiveTool.aliases | {
        "root": "Reproduce.root",
        "replace": "Reproduce.replace",
        ("o", "output-folder"): "Reproduce.output_folder",
    }
    flags: ClassVar[dict] = ArchiveTool.flags | {
        "any-inputs": (
            {"Reproduce": {"any_inputs": True}},
            "Go on with inputs that have changed, and tell what that does",
        )
    }
    required: ClassVar[tuple[str, ...]] = ()
    _different = 0

    def start(self) -> None:
        """Find, check, make, compare, tell."""
        from ..archive.reproduction import recipe, settings, sources
        from ..core.product_header import read_product_header

        if len(self.extra_args) != 1:
            raise ToolConfigurationError(f"{self.name} needs one product: identifier or path")
        archive = self.opened() if self.archive is not None else None
        old = self.product(self.extra_args[0], archive)
        header = read_product_header(old)
        run = recipe(header)
        directory, replaced = self.directory(run), self.replaced()
        found = sources(header, directory, replaced, archive)
        self.check(found)
        folder = self.output_folder.resolve() / str(header.product_id)
        if folder.is_dir() and any(folder.iterdir()) and not self.overwrite:
            raise ToolConfigurationError(f"{folder} is not empty: --overwrite, or another folder")
        folder.mkdir(parents=True, exist_ok=True)
        wanted = settings(run, found, directory, replaced, folder)
        new = self.made(run, wanted, directory, folder, header)
        comparison = compare_products(old, new, header.kind)
        self._different = 0 if comparison.is_same else 1
        remarks = _differences_of_code(run, header.own["software"])
        remarks += [f"input {s.role}: {s.state}" for s in found if s.state != "same bytes"]
        content = comparison.document() | {
            "certified": str(old),
            "made": str(new),
            "remarks": remarks,
        }
        self.answer(content, "\n".join([comparison.text(), *remarks, str(new)]))

    def product(self, named: str, archive: Any) -> Path:
        """File of a product that is named by its path, address or identifier."""
        from ..archive.lookup import product_path

        address = urlparse(named)
        path = Path(unquote(address.path)) if address.scheme == "file" else Path(named)
        if path.is_file():
            return path
        if archive is None:
            raise ToolConfigurationError(
                f"{named} is no file: of an identifier say of which --archive it is"
            )
        return product_path(archive, named)

    def directory(self, run: dict[str, Any]) -> Path:
        """Folder in which the paths of the run begin."""
        from ..core.exceptions import MissingInputError

        folder = Path(self.root or run["directory"])
        if not folder.is_dir():
            raise MissingInputError(
                f"the product was made in {folder}, which is not there: say with --root where its "
                "relative paths begin now"
            )
        return folder.resolve()

    def replaced(self) -> dict[str, str]:
        """Beginnings of paths, old to new."""
        if wrong := [entry for entry in self.replace if "=" not in entry]:
            raise ToolConfigurationError(f"--replace {wrong[0]}: write it as OLD=NEW")
        return dict(entry.split("=", 1) for entry in self.replace)

    def check(self, found: list[Any]) -> None:
        """Refuse inputs that are not those of the product.

        Raises
        ------
        MissingInputError
            Which, what checksum is expected and found, and what to do.
        """
        from ..archive.reproduction import MISSING, unusable
        from ..core.exceptions import MissingInputError

        bad = unusable(found)
        if bad and not (self.any_inputs and all(source.state != MISSING for source in bad)):
            raise MissingInputError(
                f"{len(bad)} of {len(found)} inputs are not those of the product: "
                f"{'; '.join(map(str, bad))}. Bring them back, make them again first, say with "
                "--root or --replace where they are now, or take changed ones with --any-inputs"
            )

    def made(
        self, run: dict[str, Any], wanted: dict[str, Any], directory: Path, folder: Path, old: Any
    ) -> Path:
        """The product, made by its own Tool in a process of its own.

        A Tool may make several of a kind, in a folder of their own: that of the same name counts.
        """
        from ..core.exceptions import CalibPipeError, ConfigurationError

        found = entry_points(group="console_scripts", name=run["tool"])
        if not found:
            raise ConfigurationError(
                f"the product was made by {run['tool']}, which this CalibPipe does not have: "
                f"install the version {run['code']}"
            )
        (tool,) = found
        settings, log = folder / "settings.json", folder / "log.txt"
        settings.write_text(json.dumps(wanted, indent=1) + "\n")
        code = f"from {tool.module} import {tool.attr} as run; run()"
        options = [f"--config={settings}", f"--provenance-log={folder / 'provenance.json'}"]
        with log.open("w") as stream:
            done = subprocess.run(
                [sys.executable, "-c", code, *options, "--overwrite"],
                check=False,
                cwd=directory,
                env=_environment(run),
                stdout=stream,
                stderr=stream,
            )
        if done.returncode:
            raise CalibPipeError(f"{tool.name} ended with exit code {done.returncode}, see {log}")
        made = [path for path in folder.rglob("*") if kind_of_file(path) == old.kind]
        if len(made) > 1:
            made = [path for path in made if path.name == old.path.name]
        if len(made) != 1:
            raise CalibPipeError(
                f"{tool.name} made {len(made)} products {old.kind} in {folder} that can be "
                f"{old.path.name}, see {log}"
            )
        return made[0]

    def exit(self, exit_status: int = 0) -> None:
        """End with an error's own code, else with 0 or 1 as the content is the same or not."""
        super().exit(2 if exit_status == 1 else exit_status or self._different)


def _environment(run: dict[str, Any]) -> dict[str, str]:
    """Variables of this process, those of ctapipe as they were; the same package is imported."""
    from ..core.code_version import PACKAGE

    kept = {k: v for k, v in os.environ.items() if not k.startswith("CTAPIPE_")}
    searched = [str(PACKAGE.parent), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | run["environment"] | {"PYTHONPATH": os.pathsep.join(searched)}


def _differences_of_code(run: dict[str, Any], software: dict[str, str]) -> list[str]:
    """What of the software is not as it was."""
    from ..core.code_version import code_version, software_versions

    (tool,) = entry_points(group="console_scripts", name=run["tool"])
    now = {"code of the Tool": code_version(tool.module)} | software_versions()
    then = {"code of the Tool": run["code"]} | software
    return [
        f"{name}: {then.get(name, 'unknown')} then, {version} now"
        for name, version in now.items()
        if then.get(name) != version
    ]


def main() -> None:
    """Run the Tool."""
    Reproduce().run()

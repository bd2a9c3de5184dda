"""What the Tools of one night share: the keys, the product's metadata, the exit code."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import ToolConfigurationError, traits

from ..core.exceptions import ConfigurationError
from ..core.provenance import Provenance
from .command_tool import CommandTool


class NightTool(CommandTool):
    """A Tool that makes one product of one night at one site."""

    site = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="YAML file that describes the site (config/sites/<site>.yaml)",
    ).tag(config=True)
    night = traits.Unicode(
        "", help="Observing night: civil date of its evening at the site, YYYY-MM-DD"
    ).tag(config=True)
    category = traits.CaselessStrEnum(
        ["B", "C"], "C", help="Processing category: B (GDAS, next day) or C (ERA5, final)"
    ).tag(config=True)
    output = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Product to write"
    ).tag(config=True)
    contact_name = traits.Unicode("CalibPipe", help="Contact of the products").tag(config=True)
    contact_email = traits.Unicode("unknown", help="E-mail of the contact").tag(config=True)
    contact_organization = traits.Unicode("CTAO", help="Organisation of the contact").tag(
        config=True
    )

    aliases: ClassVar[dict] = {
        "site": "NightTool.site",
        "night": "NightTool.night",
        "category": "NightTool.category",
        ("o", "output"): "NightTool.output",
    }

    required: ClassVar[tuple[str, ...]] = ("site", "night", "output")
    output_traits: ClassVar[tuple[str, ...]] = ()  # traits of outputs whose names do not say so
    _loaded_site: Any = None

    def setup(self) -> None:
        """Check what has to be given; a product is never overwritten by accident."""
        missing = [name for name in self.required if not getattr(self, name)]
        if missing:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
            raise ToolConfigurationError(f"{self.name} needs {options}")
        if self.output is not None:
            self.check_output(self.output)

    def finish(self) -> None:
        """Nothing is left to be done when the product is written."""

    def write_provenance(self) -> None:
        """Provenance of the run; none if the options were not even understood."""
        if self.provenance_log is not None:
            super().write_provenance()

    def load_site(self) -> Any:
        """Site of the configuration; its name goes into the products."""
        from ..core.site import load_site

        self.add_input(self.site, "site")
        self._loaded_site = load_site(self.site)
        return self._loaded_site

    def add_input(self, path: str | Path, role: str) -> Path:
        """Record an input file for provenance and for the product's header."""
        path = Path(path)
        if path.is_file():
            Provenance().add_input_file(str(path), role=role, add_meta=False)
        self._inputs.append((role, path))
        return path

    def add_output(self, path: str | Path, role: str) -> None:
        """Record an output file in the provenance."""
        Provenance().add_output_file(str(path), role=role, add_meta=False)

    def get_current_config(self) -> dict[str, Any]:
        """Configuration with paths as text: all of it is JSON."""
        return _plain(super().get_current_config())

    @property
    def _inputs(self) -> list[tuple[str, Path]]:
        return self.__dict__.setdefault("_input_files", [])

    def metadata(self, kind: str, description: str, **more: Any) -> Any:
        """Metadata of a product of this run: keys, activity, configuration, inputs."""
        from ..core.products import ProductMetadata

        activity = Provenance().current_activity.provenance
        values: dict[str, Any] = {
            "site": self._loaded_site.name if self._loaded_site else None,
            "night": self.night or None,
            "category": self.category,
            "activity": {
                "name": activity["activity_name"],
                "id": activity["activity_uuid"],
                "start": str(activity["start"]["time_utc"]).replace("T", " "),
            },
            "configuration": self.scientific_configuration(),
            "inputs": tuple(self._inputs),
            "run": self.run_record(),
            "contact": {
                "name": self.contact_name,
                "email": self.contact_email,
                "organization": self.contact_organization,
            },
        }
        return ProductMetadata(kind=kind, description=description, **(values | more))

    def run_record(self) -> dict[str, Any]:
        """What it takes to run this Tool again: command, folder, all settings, version of code."""
        from ..core.code_version import code_version

        module = sys.modules[type(self).__module__]
        spec = module.__spec__  # its name is that of the module also where it is run as __main__
        name = type(self).__name__
        base = set(CommandTool.class_trait_names(config=True))
        own = {k: v for k, v in self.get_current_config()[name].items() if k not in base}
        outputs = sorted(k for k in own if "output" in k or k in self.output_traits)
        return {
            "tool": self.name,
            "code": code_version(spec.name if spec else ""),
            "command": shlex.join([self.name, *getattr(self, "argv", [])]),
            "directory": str(Path.cwd()),
            "environment": {k: v for k, v in os.environ.items() if k.startswith("CTAPIPE_")},
            "outputs": outputs,
            # text: a header is read often
            "configuration": json.dumps({name: _beside(own, f"{Path.cwd()}/")}),
        }

    def scientific_configuration(self) -> dict[str, Any]:
        """Configuration that decides the content of the product (no paths, no logging)."""
        own = self.get_current_config()[type(self).__name__]
        left_out = set(CommandTool.class_trait_names(config=True)) | {
            name
            for name, trait in self.traits(config=True).items()
            if isinstance(getattr(trait, "_trait", trait), traits.Path)  # of a list, its entries
        }
        return {
            name: value
            for name, value in sorted(own.items())
            if name not in left_out and not name.startswith("contact_")
        }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def _beside(value: Any, folder: str) -> Any:
    """Paths below a folder relative to it, as a run can be repeated elsewhere."""
    if isinstance(value, dict):
        return {key: _beside(entry, folder) for key, entry in value.items()}
    if isinstance(value, list):
        return [_beside(entry, folder) for entry in value]
    return value.removeprefix(folder) if isinstance(value, str) else value


def require(condition: object, message: str) -> None:
    """Raise a ConfigurationError with `message` unless `condition` holds."""
    if not condition:
        raise ConfigurationError(message)

"""The configuration of the workflow, and whether all of its files are what schemas say."""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from ..core.exceptions import ConfigurationError, MissingInputError, StorageError
from ..core.schema_errors import refusal
from .finding import Finding, ok

__all__ = ["configuration_files", "load_configuration"]

SCHEMAS = {
    "criteria.yaml": "criteria.schema.yaml",
    "overrides.yaml": "overrides.schema.yaml",
    "pixel_overrides.yaml": "pixel_overrides.schema.yaml",
}


def load_configuration(workflow: Path, overlays: Sequence[Path]) -> dict[str, Any]:
    """Configuration as the workflow merges and checks it.

    Parameters
    ----------
    workflow : path
        Folder of the Snakefile.
    overlays : sequence of path
        Files of ``--configfile``, later ones win.

    Raises
    ------
    MissingInputError
        If a file is not there.
    ConfigurationError
        If a file is no YAML, or the whole is not what the schema says.
    """
    from snakemake.utils import update_config

    merged: dict[str, Any] = {}
    for path in (workflow / "config/config.yaml", *overlays):
        update_config(merged, _mapping(path))
    _validate(merged, workflow, "config.schema.yaml", "the configuration")
    return merged


def configuration_files(workflow: Path, sites: Sequence[str]) -> Iterator[Finding]:
    """Files of sites, criteria, decisions and Tools.

    Raises
    ------
    MissingInputError, ConfigurationError
        As `load_configuration`.
    """
    folder = workflow / "config"
    wanted = SCHEMAS | {f"sites/{site}.yaml": "site.schema.yaml" for site in sites}
    for name, schema in wanted.items():
        _validate(_mapping(folder / name), workflow, schema, str(folder / name))
    tools = sorted((folder / "tools").glob("*.yaml"))
    for path in tools:
        _mapping(path)
    yield ok(f"{len(wanted)} files as their schemas say, {len(tools)} of Tools are YAML")


def _mapping(path: Path) -> dict[str, Any]:
    """Content of a YAML file with names at the top, dates as text."""
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise MissingInputError(
            f"{path} is not there; name the checkout with --workflow, your own with --configfile"
        ) from None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}; change its rights") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise ConfigurationError(f"{path} is no YAML: {where}; mend that line") from None
    if not isinstance(content or {}, dict):
        raise ConfigurationError(
            f"{path} holds a {type(content).__name__}, needs names with values; see docs/running.md"
        )
    return _texts(content or {})


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _texts(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_texts(entry) for entry in value]
    return value.isoformat() if isinstance(value, date) else value


def _validate(content: dict[str, Any], workflow: Path, schema: str, what: str) -> None:
    from jsonschema import ValidationError
    from snakemake.exceptions import WorkflowError
    from snakemake.utils import validate

    try:
        validate(content, schema=str(workflow / "config/schemas" / schema), set_default=False)
    except WorkflowError as error:
        refused = error.__context__
        known = isinstance(refused, ValidationError)
        reason = refusal(refused) if known else " ".join(str(error).split())
        raise ConfigurationError(
            f"{what} is not what config/schemas/{schema} says: {reason}; mend that entry"
        ) from None

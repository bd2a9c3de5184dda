"""What the Tools share that run the workflow: where it is, where its jobs run, what it does."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import ToolConfigurationError, traits

from .command_tool import CommandTool


class WorkflowTool(CommandTool):
    """A Tool that runs the workflow, once or more often."""

    directory = traits.Path(".", exists=True, file_ok=False, help="Folder with the results").tag(
        config=True
    )
    workflow = traits.Path(
        None, allow_none=True, exists=True, file_ok=False, help="Folder of the Snakefile"
    ).tag(config=True)
    profile = traits.Unicode(
        "", help="Profile of Snakemake, as profiles/slurm; empty: this machine, with --cores"
    ).tag(config=True)
    cores = traits.Int(2, min=1, help="Cores of this machine, if there is no profile").tag(
        config=True
    )
    configfile = traits.List(
        traits.Path(exists=True, directory_ok=False), help="Configurations that overlay the default"
    ).tag(config=True)
    telescopes = traits.List(traits.Unicode(), help="Array elements; empty: as configured").tag(
        config=True
    )

    aliases: ClassVar[dict] = {
        "directory": "WorkflowTool.directory",
        "workflow": "WorkflowTool.workflow",
        "profile": "WorkflowTool.profile",
        "cores": "WorkflowTool.cores",
        "configfile": "WorkflowTool.configfile",
        "telescopes": "WorkflowTool.telescopes",
    }

    def workflow_folder(self) -> Path:
        """Folder of the Snakefile: as said, or that beside this package."""
        from ..core.code_version import PACKAGE

        folder = Path(self.workflow or PACKAGE.parent).resolve()
        if not (folder / "Snakefile").is_file():  # CalibPipe was installed from a wheel
            raise ToolConfigurationError(f"no Snakefile in {folder}: name the clone, --workflow")
        return folder

    def configured(self) -> dict[str, Any]:
        """Configuration of the workflow with all that overlays it, as Snakemake merges it."""
        import yaml
        from snakemake.utils import update_config

        merged: dict[str, Any] = {}
        for path in [self.workflow_folder() / "config/config.yaml", *self.configfile]:
            update_config(merged, yaml.safe_load(Path(path).read_text()) or {})
        return merged

    def workflow_options(self, overlay: Path) -> list[str]:
        """Options of Snakemake for a run with one more overlay; targets may follow."""
        return [
            f"--snakefile={self.workflow_folder()}/Snakefile",
            self.where_to_run(),
            "--rerun-incomplete",
            "--configfile",
            *map(str, [*(path.resolve() for path in self.configfile), overlay]),
        ]

    def where_to_run(self) -> str:
        """Option of Snakemake: profile, a folder or a name that Snakemake knows, or cores."""
        if not self.profile:
            return f"--cores={self.cores}"
        folder = Path(self.profile)
        return f"--profile={folder.resolve() if folder.is_dir() else folder}"

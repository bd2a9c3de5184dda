"""Completion of command lines in bash, zsh and fish."""

from importlib.metadata import distribution
from typing import Any, ClassVar

from ctapipe.core import traits

from .command_tool import CommandTool


class Completion(CommandTool):
    """Write completion for a shell: options of every command, and values of those that have few.

    To be written anew after an update of CalibPipe.
    """

    name = "calibpipe-completion"
    description = __doc__
    examples = """
    calibpipe-completion --output ~/.calibpipe-completion.bash
    echo 'source ~/.calibpipe-completion.bash' >> ~/.bashrc
    source <(calibpipe-completion)
    calibpipe-completion --shell zsh --output ~/.calibpipe-completion.zsh
    echo 'source ~/.calibpipe-completion.zsh' >> ~/.zshrc
    calibpipe-completion --shell fish --output $__fish_config_dir/conf.d/calibpipe.fish
    """

    shell = traits.CaselessStrEnum(["bash", "fish", "zsh"], "bash", help="Shell to write for").tag(
        config=True
    )
    output = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="File to write; default: the standard output",
    ).tag(config=True)

    aliases: ClassVar[dict] = {
        ("o", "output"): "Completion.output",
        "shell": "Completion.shell",
    }

    def setup(self) -> None:
        """Nothing is opened."""

    def start(self) -> None:
        """Ask every Tool for its options."""
        from ..core.files import atomic_path
        from .shell_completion import completion_script

        scripts = distribution("calibpipe").entry_points.select(group="console_scripts")
        text = completion_script(scripts, self.shell)
        if self.output is None:
            print(text, end="")
            return
        with atomic_path(self.output) as temporary:
            temporary.write_text(text)

    def finish(self) -> None:
        """Nothing is left to be done."""

    def write_provenance(self) -> None:
        """No product was made."""

    def get_current_config(self) -> dict[str, Any]:
        """Configuration with paths as text: all of it is JSON."""
        return {
            cls: {k: str(v) for k, v in values.items()}
            for cls, values in super().get_current_config().items()
        }


def main() -> None:
    """Run the Tool."""
    Completion().run()


if __name__ == "__main__":
    main()

"""One rule of the workflow runs one Tool: options from the rule, output to its log."""

import json
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctapipe.core import Tool

__all__ = ["run_step"]


def run_step(tool_class: type[Tool], snakemake: Any, **options: Any) -> None:
    """Run a Tool with the files and parameters of a Snakemake rule.

    The log begins with the equivalent command line, so that the step can be repeated by hand.
    When the Tool fails, its error is kept beside the log (``<step>.failure.json``) for the night
    report, and the process ends with the Tool's exit code.

    Parameters
    ----------
    tool_class : type
        The Tool.
    snakemake : object
        The `snakemake` object of the script: ``input.config``, ``output.provenance``, ``log``.
    options : dict
        Command-line options; ``None``, empty texts and empty lists are left out, lists give the
        option once for each entry, ``True`` gives the bare flag.
    """
    log = Path(snakemake.log[0])
    failure = log.with_suffix(".failure.json")
    failure.unlink(missing_ok=True)
    command = command_line(snakemake, options)
    tool = tool_class()
    error: BaseException | None = None
    with log.open("w") as stream, redirect_stdout(stream), redirect_stderr(stream):
        print(shlex.join([tool.name, *command]), flush=True)
        try:
            tool.run(command, raises=True)
        except SystemExit as end:
            error = None if end.code in (0, None) else end
        except BaseException as caught:  # an interrupt leaves its record, too
            error = caught
    if error is not None:
        code = getattr(error, "exit_code", None) or (
            130 if isinstance(error, KeyboardInterrupt) else 1
        )
        record = {
            "step": str(log.with_suffix("").relative_to(log.parents[1])),
            "tool": tool.name,
            "error": type(error).__name__,
            "message": str(error),
            "exit_code": code,
            "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join([tool.name, *command]),
        }
        failure.write_text(json.dumps(record, indent=2) + "\n")
        print(f"{record['tool']}: {record['error']}: {record['message']}", file=sys.stderr)
        sys.exit(code)


def command_line(snakemake: Any, options: dict[str, Any]) -> list[str]:
    """Arguments of the Tool's command line."""
    arguments = [
        f"--config={snakemake.input.config}",
        f"--provenance-log={snakemake.output.provenance}",
        "--overwrite",
    ]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(option)
            continue
        values = value if isinstance(value, list | tuple) else [value]
        arguments += [f"{option}={v}" for v in values if v not in (None, "")]
    return arguments

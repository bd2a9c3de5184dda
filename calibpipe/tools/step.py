"""One rule of the workflow runs one Tool: options from the rule, output to its log."""

import json
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from ctapipe.core import Tool, ToolConfigurationError
from traitlets import TraitError

from ..core.exceptions import StorageError
from ..core.files import atomic_path, is_disk_full, storage_error

__all__ = ["run_step"]

WRONG_OPTION, INTERRUPTED = 2, 130  # exit codes
_NIGHT = re.compile(r"\d{4}-\d{2}-\d{2}")


def run_step(tool_class: type[Tool], snakemake: Any, **options: Any) -> None:
    """Run a Tool with the files and parameters of a Snakemake rule.

    The log begins with the equivalent command line, so that the step can be repeated by hand.
    When the Tool fails, its error is kept beside the log (``<step>.failure.json``) for the night
    report, and the process ends with the Tool's exit code. Nothing of its outputs is left.

    Parameters
    ----------
    tool_class : type
        The Tool.
    snakemake : object
        The `snakemake` object of the script: ``input.config``, ``output.provenance``, ``log``.
    options : dict
        Command-line options; ``None``, ``False``, empty texts and empty lists are left out, lists
        give the option once for each entry, ``True`` gives the bare flag.
    """
    log = Path(snakemake.log[0])
    command = command_line(snakemake, options)
    with _noticed_interrupts() as interrupts:
        error = _logged_error(tool_class, command, log)
    if error is None:
        return
    _remove_outputs(snakemake)
    if interrupts:  # ctapipe may have made something else of it
        error = KeyboardInterrupt()
    name, message, code = _named(error, log)
    print(f"{tool_class.name}: {name}: {message}", file=sys.stderr)
    _keep_record(
        log,
        {
            "step": _step(log),
            "tool": tool_class.name,
            "error": name,
            "message": message,
            "exit_code": code,
            "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join([tool_class.name, *command]),
        },
    )
    sys.exit(code)


def _remove_outputs(snakemake: Any) -> None:
    """Leave nothing of a failed step, its provenance neither.

    Snakemake does the same, but not on a cluster, where it would take the products of the whole
    group (`keep-incomplete` in the profiles).
    """
    for path in map(Path, snakemake.output):
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as trouble:  # the step has failed for a better reason
            print(f"{path} of a failed step is still there: {trouble}", file=sys.stderr)


def _step(log: Path) -> str:
    """Name of a step: its log without the folder of the night and the suffix."""
    parts = log.with_suffix("").parts
    nights = [k for k, part in enumerate(parts) if _NIGHT.fullmatch(part)]
    return "/".join(parts[nights[-1] + 1 :] if nights else parts[-2:])


@contextmanager
def _noticed_interrupts() -> Iterator[list[int]]:
    """Signals of Ctrl-C that came; each raises KeyboardInterrupt, as ever."""
    seen: list[int] = []

    def notice(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, notice)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _logged_error(tool: type[Tool], command: list[str], log: Path) -> BaseException | None:
    """What went wrong with a Tool whose output goes to a log; None if nothing did."""
    error = None
    try:
        _record_path(log).unlink(missing_ok=True)
        with log.open("w") as stream, redirect_stdout(stream), redirect_stderr(stream):
            print(shlex.join([tool.name, *command]), flush=True)
            error = _error(tool, command)
    except OSError as trouble:  # with the log: what the Tool raises is caught
        error = error or storage_error(log, trouble)
    return error


def _error(tool: type[Tool], command: list[str]) -> BaseException | None:
    try:
        tool().run(command, raises=True)
    except SystemExit as end:
        return None if end.code in (0, None) else end
    except BaseException as caught:  # an interrupt leaves its record, too
        return caught
    return None


def _named(error: BaseException, log: Path) -> tuple[str, str, int]:
    """Class, message and exit code of an error, for people.

    A Tool ends itself with 130 after Ctrl-C, and with 1 or 2 when ctapipe does not understand its
    options.
    """
    if isinstance(error, KeyboardInterrupt) or getattr(error, "code", None) == INTERRUPTED:
        return "KeyboardInterrupt", "interrupted: run the same command again", INTERRUPTED
    if isinstance(error, SystemExit):
        return "ToolConfigurationError", f"wrong option or configuration, see {log}", WRONG_OPTION
    if isinstance(error, OSError) and is_disk_full(error):
        error = storage_error(error.filename or f"a file of this step, see {log}", error)
    wrong = isinstance(error, ToolConfigurationError | TraitError)
    code = WRONG_OPTION if wrong else getattr(error, "exit_code", 1)
    return type(error).__name__, str(error), code


def _record_path(log: Path) -> Path:
    return log.with_suffix(".failure.json")


def _keep_record(log: Path, record: dict[str, Any]) -> None:
    try:
        with atomic_path(_record_path(log)) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n")
    except (StorageError, OSError) as trouble:
        print(f"{record['tool']}: this failure could not be recorded: {trouble}", file=sys.stderr)


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
        arguments += [f"{option}={v}" for v in values if not (v is None or v is False or v == "")]
    return arguments

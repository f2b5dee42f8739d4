"""The command line: ``python -m festkit COMMAND``, installed as ``festkit``.

A command's file is imported when the command runs, and imports its rooms within its function, so
that help and listings need no torch.
"""

import inspect
import os
import platform
import re
import select
import sys
import tomllib
import traceback
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import tyro

from .. import __version__
from .._support.errors import FestkitError, InputError
from .._support.files import write_utf8
from .._support.names import find_name
from .optional import OPTIONAL

_FORMAT_WITH_PLACE = warnings.formatwarning


def _function(module: str, name: str) -> Callable[[], Callable[..., None]]:
    """A function that imports a command."""

    def command() -> Callable[..., None]:
        function: Callable[..., None] = getattr(import_module(f"{__package__}.{module}"), name)
        # tyro keeps the line breaks within an argument's description.
        function.__doc__ = re.sub(r"\n {8,}", " ", inspect.cleandoc(function.__doc__ or ""))
        return function

    return command


_FILE = Path(__file__).with_name("commands.toml")

COMMANDS: dict[str, tuple[str, Callable[[], Callable[..., None]]]] = {
    name: (text, _function(*function.split(".")))
    for name, (function, text) in tomllib.loads(_FILE.read_text(encoding="utf-8")).items()
}
"""By name what a command does, and a function that imports it."""

CONTINUING = {
    "demo",
    "data build-wirstd",
    "train",
    "predict",
    "tables run",
    "weights fetch",
    "zoo train",
}
"""Commands that continue after Ctrl-C when they are called again."""

GROUPS = {name.partition(" ")[0] for name in COMMANDS if " " in name}

HELP = {"-h", "--help"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Errors of the user and of the system are printed as one line. All others are bugs, printed with
    their traceback. ``--debug`` prints it for every error.

    Args:
        arguments: command and options; None takes those of the process.

    Returns:
        Exit status: 0, 1 after an error, 2 for an unknown command, 130 after Ctrl-C, 141 if the
        reader of the output, such as ``head``, has closed it.
    """
    write_utf8()
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = [word for word in given if word != "--debug"]
    if words == ["--version"]:
        print(f"festkit {__version__}")
        return 0
    group = words[0] if words and words[0] in GROUPS else ""
    asked = not words or words[0] in HELP or (bool(group) and set(words[1:]) <= HELP)
    length = 2 if group else 1
    name, options = " ".join(words[:length]), words[length:]
    if not asked and name not in COMMANDS:
        try:
            find_name("command", name, COMMANDS)
        except InputError as error:
            print(f"festkit: {error}", file=sys.stderr)
        return 2
    before, warnings.formatwarning = warnings.formatwarning, _format_warning
    try:
        if asked:
            print(_help(group))
        else:
            command = COMMANDS[name][1]()
            tyro.cli(command, args=options, prog=f"festkit {name}", registry=OPTIONAL)
        sys.stdout.flush()
    except KeyboardInterrupt:
        kept = name in CONTINUING and ("--resume", "never") not in pairwise(options)
        hint = "; the same command continues" if kept else ""
        print(f"festkit {name}: interrupted{hint}", file=sys.stderr)
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _output_is_closed():
            return 141
        _report(name, error, debug="--debug" in given)
        return 1
    finally:
        warnings.formatwarning = before
    return 0


def _report(name: str, error: Exception, *, debug: bool) -> None:
    """Print one line for an error of the user or the system, the traceback of a bug."""
    message = _message(error)
    if debug or not message:
        traceback.print_exception(error)
    if not message:
        message = (
            f"this is a bug in festkit {__version__}. Please report it where you got festkit from,"
            " with your command, the lines above and this one: Python"
            f" {platform.python_version()}, {platform.platform()}"
        )
        print(f"festkit {name}: {message}", file=sys.stderr)
    elif not debug:
        print(f"festkit {name}: {message} (--debug shows where)", file=sys.stderr)


def _message(error: Exception) -> str:
    """What to print of an error of the user or the system; nothing for a bug."""
    of_system = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno)
    if isinstance(error, FestkitError) or of_system:
        return str(error) or "out of memory"
    if isinstance(error, RuntimeError):
        from .._support.devices import is_out_of_memory

        if is_out_of_memory(error):
            return f"{str(error).splitlines()[0]}; use --tile or a smaller size, or --device cpu"
    return ""


def _format_warning(
    message: Warning | str, category: type[Warning], *place: Any, **more: Any
) -> str:
    """Warnings for users are one line; those for developers name their place."""
    if category is UserWarning:
        return f"warning: {message}\n"
    return _FORMAT_WITH_PLACE(message, category, *place, **more)


def _output_is_closed() -> bool:
    """Whether the reader of standard output has closed it; then nothing more is written to it."""
    if not hasattr(select, "poll"):  # as on Windows
        return False
    poller = select.poll()
    poller.register(1, 0)
    closed = any(event & select.POLLERR for _, event in poller.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return closed


def _help(group: str) -> str:
    """The commands of a group, or all."""
    lines = [f"  festkit {n:18} {text}" for n, (text, _) in COMMANDS.items() if n.startswith(group)]
    end = (
        "festkit COMMAND --help lists the options of a command, festkit --version prints the\n"
        "version. --debug prints the traceback of any error."
    )
    return "\n".join(["usage: festkit COMMAND [options]\n", *lines, "", end])


if __name__ == "__main__":
    sys.exit(main())

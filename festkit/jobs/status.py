"""The files that describe the run of a notebook: status, progress, environment."""

import json
import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from .. import __version__
from .._support.errors import ProcessError
from .._support.files import NUMBER, read_json, write_json, write_text

Status = Literal["running", "done", "failed", "timed out", "interrupted", "killed"]


class NotebookError(ProcessError):
    """A notebook that did not finish; ``status`` says how it ended.

    Example:
        >>> NotebookError("timed out", "one.ipynb took more than 5 minutes").status
        'timed out'
    """

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status


class RunRecorder:
    """Writes ``status.json``, ``progress.jsonl`` and ``environment.json`` while its block runs.

    The end of the block decides the status. If the process itself is killed, it stays "running".

    Args:
        out: folder of the run.
        record: further entries of ``environment.json``.
        cells: number of code cells.
        device: device of the notebook; None if it has no such parameter.

    Example:
        >>> import tempfile
        >>> out = Path(tempfile.mkdtemp())
        >>> with RunRecorder(out, {"notebook": "one.ipynb"}, cells=0):
        ...     pass
        >>> json.loads((out / "status.json").read_text())["status"]
        'done'
    """

    def __init__(
        self, out: Path, record: Mapping[str, Any], cells: int, device: str | None = None
    ) -> None:
        self._out, self._record, self._cells, self._device = out, dict(record), cells, device
        self.cell = 0

    def __enter__(self) -> "RunRecorder":
        self._record |= {"minutes_before": _minutes_spent(self._out)}
        try:
            self._record |= environment(self._device)
        except Exception as error:  # no such device
            status, reason = _ending(error)
            write_status(self._out, status, reason=reason)
            raise
        self._record |= {"started": now(), "ended": None}
        write_status(self._out, "running")
        write_json(self._out / "environment.json", self._record)
        write_text(self._out / "progress.jsonl", "")
        return self

    def cell_starts(self, **_: Any) -> None:
        """Note that the next code cell starts."""
        self.cell += 1
        self._note("start")

    def cell_ends(self, **_: Any) -> None:
        """Note that the code cell has ended, well or not."""
        self._note("end")

    def _note(self, event: str) -> None:
        """Append a line to ``progress.jsonl``."""
        line = {"time": now(), "event": event, "cell": self.cell, "of": self._cells}
        with (self._out / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._close("done")
            return
        status, reason = _ending(error)
        with suppress(OSError):  # on a full disk the first error counts
            self._close(status, cell=self.cell, reason=reason)

    def _close(self, status: Status, **details: Any) -> None:
        """Write how and when the run ended."""
        write_json(self._out / "environment.json", self._record | {"ended": now()})
        write_status(self._out, status, **details)


def write_status(out: Path, status: Status, **details: Any) -> None:
    """Write a run's ``status.json``, with the time and this process."""
    who = {"time": now(), "process": os.getpid(), "host": socket.gethostname()}
    write_json(out / "status.json", {"status": status, **details, **who})


def _minutes_spent(out: Path) -> float:
    """Minutes of earlier attempts; a killed one ended when it last wrote a file."""
    try:
        record = read_json(out / "environment.json", {"started": str, "minutes_before?": NUMBER})
        started = datetime.fromisoformat(record["started"]).timestamp()
        files = [path for path in out.rglob("*") if path.is_file()]  # clearing changes folders
        last = max(path.stat().st_mtime for path in files)
    except (OSError, ValueError):
        return 0.0
    return float(record.get("minutes_before", 0.0)) + max(last - started, 0.0) / 60


def environment(device: str | None = None) -> dict[str, Any]:
    """Versions, git commit and device, for a run's record.

    Args:
        device: device of the notebook; None if it has no such parameter.

    Raises:
        ValueError: if the device is unknown or not available.

    Example:
        >>> environment()["versions"]["festkit"] == __version__
        True
    """
    packages = {name: version(name) for name in ("torch", "numpy")}
    return {
        "versions": {"python": platform.python_version(), "festkit": __version__} | packages,
        "platform": platform.platform(),
        "device": None if device is None else _device_name(device),
        "git": _git(),
    }


def _device_name(device: str) -> str:
    """Kind and name of a device."""
    import torch  # noqa: PLC0415 - takes seconds, and most jobs have no device

    from .._support.devices import resolve_device  # noqa: PLC0415

    place = resolve_device(device)
    cuda = place.type == "cuda"
    return f"{place.type} ({torch.cuda.get_device_name(place) if cuda else platform.machine()})"


def now() -> str:
    """The time in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _ending(error: BaseException) -> tuple[Status, str]:
    """How an error ended a run, and why."""
    if isinstance(error, NotebookError):
        return error.status, str(error)
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted", "interrupted by a signal"
    return "failed", f"{type(error).__name__}: {error}"


def _git() -> dict[str, Any] | None:
    """Commit of the kit's checkout, and whether files differ from it."""

    def ask(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        ask("ls-files", "--error-unmatch", Path(__file__).name)  # not just inside another checkout
        changes = ask("status", "--porcelain", "--untracked-files=no")
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(changes)}
    except (OSError, subprocess.CalledProcessError):
        return None

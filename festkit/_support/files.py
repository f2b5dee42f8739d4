"""Atomic files: written under a temporary name, flushed to disk, then renamed."""

import hashlib
import io
import json
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import ExistingFileError, InputError, InputTypeError, MissingFileError

NUMBER = int | float


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder that becomes ``path`` if the block ends well.

    After an error (a full disk, an interrupt) ``path`` is as it was before.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_write(folder / "note.txt") as part:
        ...     _ = part.write_text("done")
        >>> [entry.name for entry in folder.iterdir()]
        ['note.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")  # of this writer alone
    try:
        yield part
        flush(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder next to ``path`` that becomes ``path`` if the block ends well.

    Raises:
        FileExistsError: if ``path`` exists.

    Example:
        >>> target = Path(tempfile.mkdtemp()) / "set"
        >>> with atomic_folder(target) as part:
        ...     _ = (part / "list.txt").write_text("a")
        >>> (target / "list.txt").read_text()
        'a'
    """
    path = Path(path)
    if path.exists():
        raise ExistingFileError(f"{path} already exists; choose another folder or remove it first")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield part
        part.chmod(0o755)
        flush_folder(part)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file whole, indented for reading; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path, form: Any = None) -> Any:
    """Read a JSON file; an unreadable one is named in the error.

    Args:
        path: the file.
        form: what it must hold: a type or a union of types; ``{name: form}``, an object with at
            least these names, of which those that end in "?" may be absent; or ``[form]``, a list
            of such. None takes anything.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not valid JSON or has another form; the message names the entry.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "run.json"
        >>> write_json(path, {"size": 256, "test": [{"iou": "high"}]})
        >>> read_json(path, {"size": int, "test": [{"iou": NUMBER}]})
        Traceback (most recent call last):
        festkit._support.errors.InputError: ...run.json is damag...
    """
    if not Path(path).is_file():
        raise MissingFileError(f"no such file: {path}; restore it, or check the name")
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not readable JSON ({error})") from error
    if form is not None:
        check_form(path, value, form)
    return value


def check_form(source: str | Path, value: Any, form: Any, place: tuple[object, ...] = ()) -> None:
    """Refuse a value of another form than :func:`read_json` describes.

    Args:
        source: where it was read, for the message.
        value: what came.
        form: what is expected; a bool is no number.
        place: names and indices that led to the value.

    Raises:
        ValueError: if it has another form; the message names the entry.

    Example:
        >>> check_form("the card of acm", {"size": 512}, {"size": int, "th1?": NUMBER})
    """
    kind = type(form) if isinstance(form, dict | list) else form
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, NUMBER)):
        where = ", ".join(map(str, place)) or "the whole"
        found = "is missing" if value is ... else f"is {value!r}"
        expected = getattr(kind, "__name__", kind)
        raise InputError(
            f"{source} is damaged: {where} {found}, expected {expected}; restore the file, or "
            "delete it so that it is created again"
        )
    if isinstance(form, dict) and isinstance(value, dict):
        for name, inner in form.items():
            known = name.removesuffix("?")
            if known in value or known == name:
                check_form(source, value.get(known, ...), inner, (*place, known))
    elif isinstance(form, list):
        for number, inner in enumerate(value):
            check_form(source, inner, form[0], (*place, number))


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "empty"
        >>> path.touch()
        >>> sha256(path)[:8]
        'e3b0c442'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush_folder(folder: Path) -> None:
    """Flush every file of a folder to disk, so that renaming the folder completes it.

    Links are not followed; files that cannot be opened are skipped.

    Example:
        >>> flush_folder(Path(tempfile.mkdtemp()))
    """
    for path in [*folder.rglob("*"), folder]:
        kind = stat.S_IFMT(path.lstat().st_mode)
        if kind in (stat.S_IFREG, stat.S_IFDIR):
            with suppress(PermissionError):  # read-only or another user's; on Windows any folder
                flush(path)


def flush(path: Path) -> None:
    """Flush a file or folder to disk.

    Example:
        >>> flush(Path(tempfile.mkdtemp()))
    """
    number = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_utf8() -> None:
    """Let standard output and error take every character.

    On Windows, redirected output has a regional encoding, which lacks characters such as "⁻⁶".

    Example:
        >>> write_utf8()
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def check_path(name: str, value: object) -> None:
    """Refuse values that are not paths.

    Raises:
        TypeError: if it is neither a string nor a Path.

    Example:
        >>> check_path("path", "frame.png")
    """
    if not isinstance(value, str | os.PathLike):
        raise InputTypeError(f"{name} is {value!r}, expected a path (str or Path)")

"""The threshold tuner in the browser: its notebook, opened by a private local server."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import nbformat
from jupyter_core.paths import jupyter_config_dir

from .._support.errors import BusyError, InputError, ProcessError
from .._support.files import write_json, write_text
from ..data.catalogue import dataset_folder
from ..jobs.parameters import write_parametrised
from ..training.run import Run
from .sources import of_runs

App = Literal["auto", "lab", "voila"]

NOTEBOOK = "04_threshold_tuner"

SETTINGS = Path(__file__).parent / "server"
"""Constant settings of the server: no news, and Voila pages that need no network."""

HINTS = {"lab": "Run, Run All Cells shows it; ", "voila": ""}

PLACES = {"lab": ("jupyterlab", "lab/tree"), "voila": ("jupyter_server", "voila/render")}
"""Server module of each app, and the URL path of its notebooks."""

START_SECONDS = 60

STOP_SECONDS = 30
"""Time for the server to end its kernels [s]; long, since busy machines are slow."""

ENDS_WITH_US = """import atexit, os, pathlib, shutil, signal, threading

def end():
    os.read(0, 1)
    atexit.register(shutil.rmtree, pathlib.Path(__file__).parents[1], ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=end, daemon=True).start()
"""
"""Settings of the server by which it ends, and takes its folder along, once its standard input
does: the system closes that when this process ends, however it ends."""

PROOF = "proof.txt"
"""A file with a secret that the server serves; it identifies our server."""


def serve(
    runs: Sequence[str | Path],
    *,
    split: str = "test",
    dataset: str | Path | None = None,
    data_root: str | Path | None = None,
    app: App = "auto",
    port: int | None = None,
    open_browser: bool = True,
) -> None:
    """Open the threshold tuner of training runs in the browser, until Ctrl-C ends it.

    The server listens on 127.0.0.1 and requires a new random token, which other users of the
    machine cannot see. Its files are in a private temporary folder that is deleted at the end.

    Args:
        runs: folders of finished runs; several are the scales of one FEST.
        split: "test", or "holdout" (the training images held out for validation).
        dataset: name or folder of the images; default: the dataset of the run, see
            :func:`festkit.open_maps`.
        data_root: folder of the datasets; default: FESTKIT_DATA, else ``data``.
        app: "lab" opens the notebook in JupyterLab, "voila" shows only the tuner; "auto" uses Voila
            if it is installed.
        port: port of the server; default: any free port.
        open_browser: open the browser; False only prints the URL.

    Raises:
        FileNotFoundError: if a run or its images are missing, or the run has not finished.
        ValueError: if the images are not those of the runs, or maps are damaged.
        OSError: if the port is in use.
        RuntimeError: if the server cannot start, or fails.

    Example:
        >>> serve(["runs/never-trained"])
        Traceback (most recent call last):
        festkit._support.errors.MissingFileError: runs/never-trained holds no finished run; ...
    """
    opened = [Run(Path(run)) for run in runs]
    of_runs(opened, split=split, dataset=dataset, root=data_root).close()
    app = _choose(app)
    _check_port(port)
    folders = [str(Path(run).resolve()) for run in runs]
    given = {
        "run": folders[0] if len(folders) == 1 else folders,
        "split": split,
        "dataset": dataset and dataset_folder(dataset, data_root),
        "data_root": data_root and str(Path(data_root).resolve()),
    }
    parameters = {name: value for name, value in given.items() if value is not None}
    with _ended_by_signals(), _private_folder() as home:
        book = home / "notebooks" / Path(NOTEBOOK).with_suffix(".ipynb").name
        write_parametrised(NOTEBOOK, parameters, book)
        if app == "voila":
            _keep_tuner(book)
        with _server(app, book, port or 0) as (server, url):
            print(f"The tuner is at {url}  ({HINTS[app]}Ctrl-C ends it)", flush=True)
            with _browser(url) if open_browser else nullcontext():
                server.wait()
            if server.returncode:
                raise ProcessError(f"{app} {_last_words(server, home)}")


def _choose(app: App) -> App:
    """The app to start."""
    installed = bool(find_spec("voila"))
    if app == "voila" and not installed:
        raise ProcessError('no Voila; pip install "festkit[app]", or take app "lab"')
    return ("voila" if installed else "lab") if app == "auto" else app


def _keep_tuner(book: Path) -> None:
    """Reduce a notebook to the code up to the tuner, and name the page of Voila."""
    notebook = nbformat.read(book, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shows = [cell.source.endswith("\ntuner") for cell in code]
    notebook.cells = code[: shows.index(True) + 1] if any(shows) else code
    notebook.metadata["title"] = "festkit tuner"
    nbformat.write(notebook, book)


def _check_port(port: int | None) -> None:
    """Refuse a port that is none, or is taken, before a server starts."""
    if port is not None and not 0 <= port <= 65535:
        raise InputError(f"port is {port}, expected 1 to 65535, or 0 or None for a free one")
    try:
        socket.create_server(("127.0.0.1", port or 0)).close()
    except OSError as error:
        raise BusyError(
            f"port {port} is not available ({error.strerror}); choose another"
        ) from error


@contextmanager
def _private_folder(place: str | None = None) -> Iterator[Path]:
    """A folder that only its owner reads, and that goes with the block."""
    options: dict[str, Any] = {"prefix": "festkit-tuner-", "ignore_cleanup_errors": True}
    with tempfile.TemporaryDirectory(dir=place, **options) as name:
        yield Path(name)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end the block as Ctrl-C does, without an error."""

    def end(*_: Any) -> None:
        """End the block as Ctrl-C does."""
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, end) for number in heard}
    try:
        yield
    except KeyboardInterrupt:
        print()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _server(app: App, book: Path, port: int) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A running server and the address of the notebook on it."""
    home, token = book.parent.parent, secrets.token_urlsafe()
    module, place = PLACES[app]
    proof = _configure(home, port, token)
    with (home / "log").open("wb") as log:
        streams: Any = {"stdin": subprocess.PIPE, "stdout": log, "stderr": subprocess.STDOUT}
        places: Any = {"cwd": book.parent, "env": _environment(home)}
        alone: Any = {"start_new_session": True}  # Ctrl-C reaches this process, which ends it
        server = subprocess.Popen([sys.executable, "-m", module], **streams, **places, **alone)
    try:
        url = _wait(app, server, home, proof)
        yield server, f"{url}{place}/{book.name}?token={token}"
    finally:
        _end(server)


def _configure(home: Path, port: int, token: str) -> str:
    """Write the settings of the server; on the command line other users could read the token.

    Returns:
        The secret of :data:`PROOF`.
    """
    proof = secrets.token_urlsafe()
    server = {
        "ServerApp": {
            "ip": "127.0.0.1", "port": port, "port_retries": 0, "open_browser": False,
            "root_dir": str(home / "notebooks"), "allow_root": True,
            "extra_static_paths": [str(home / "static")],
            "tornado_settings": {"mathjax_url": "/static/mathjax.js"},
            "jpserver_extensions": {"voila.server_extension": bool(find_spec("voila"))},
        },
        "IdentityProvider": {"token": token},
    }  # fmt: skip
    for file in filter(Path.is_file, SETTINGS.rglob("*")):
        write_text(home / file.relative_to(SETTINGS), file.read_text(encoding="utf-8"))
    write_json(home / "config" / "jupyter_server_config.json", server)
    write_text(home / "config" / "jupyter_server_config.py", ENDS_WITH_US)
    write_text(home / "static" / PROOF, proof)
    return proof


def _environment(home: Path) -> dict[str, str]:
    """Private settings, but the user's theme and shortcuts; places that do not depend on ours."""
    datasets = Path(os.environ.get("FESTKIT_DATA") or "data").expanduser().resolve()
    settings = Path(jupyter_config_dir()) / "lab" / "user-settings"
    paths = filter(None, [str(home / "data"), os.environ.get("JUPYTER_PATH")])
    return {
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        **os.environ,
        "FESTKIT_DATA": str(datasets),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_PATH": os.pathsep.join(paths),
    }


def _wait(app: App, server: "subprocess.Popen[bytes]", home: Path, proof: str) -> str:
    """Wait until the server answers at the address that it wrote down; gives the address.

    It writes before it listens, and another process may have taken the port in between: what does
    not know the proof is not told the token.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        with suppress(OSError, ValueError):  # not written yet, or in part; not listening yet
            for info in (home / "runtime").glob("jpserver-*.json"):
                url: str = json.loads(info.read_text(encoding="utf-8"))["url"]
                with direct.open(f"{url}static/{PROOF}", timeout=START_SECONDS) as answer:
                    if secrets.compare_digest(answer.read(), proof.encode()):
                        return url
        time.sleep(0.1)
    raise ProcessError(f"{app} did not start: it {_last_words(server, home)}")


def _last_words(server: "subprocess.Popen[bytes]", home: Path) -> str:
    """How a server is, and the end of its log."""
    ended = server.poll() is not None
    state = (
        f"ended with status {server.returncode}" if ended else f"is silent after {START_SECONDS} s"
    )
    lines = (home / "log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([f"{state}; the end of its log:", *lines[-15:]])


def _end(server: "subprocess.Popen[bytes]") -> None:
    """End the server, which ends its kernels."""
    with server:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()


@contextmanager
def _browser(url: str) -> Iterator[None]:
    """Open the browser by way of a file: its command line, too, can be read by other users.

    The file lies in the user's home: a browser from a snap sees another /tmp, and no hidden folder.
    """
    home = os.path.expanduser("~")
    with _private_folder(home if os.access(home, os.W_OK) else None) as folder:
        page = folder / "open.html"
        write_text(page, f"<meta http-equiv='refresh' content={json.dumps('0; url=' + url)}>")
        webbrowser.open(page.as_uri())
        yield

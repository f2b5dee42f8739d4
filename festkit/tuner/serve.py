"""The threshold tuner in the browser: its notebook, opened by a private server on this machine."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from jupyter_core.paths import jupyter_config_dir

from .._errors import ProcessError
from .._files import write_json, write_text
from .._run import Run
from ..jobs import write_parametrised
from .sources import of_runs

App = Literal["auto", "lab", "voila"]

NOTEBOOK = "04_threshold_tuner"

HINTS = {"lab": "Run, Run All Cells shows it; ", "voila": ""}

START_SECONDS = 60
STOP_SECONDS = 10

OFFLINE = """{% extends "voila/templates/lab/index.html.j2" %}
{% block notebook_css %}{{ super() | replace('rel="stylesheet" href="https:', 'href="https:') }}
{% endblock %}
"""
"""Voila's page without the style sheets that it asks of the net."""


def serve(
    runs: Sequence[str | Path],
    *,
    split: str = "test",
    data_root: str | Path | None = None,
    app: App = "auto",
    port: int | None = None,
    open_browser: bool = True,
) -> None:
    """Open the threshold tuner of training runs in the browser, until Ctrl-C ends it.

    The server listens on 127.0.0.1 and asks for a token made for this one time, which no other user
    of the machine gets to see. Everything it needs lies in a private folder that goes with it.

    Args:
        runs: folders of finished runs; several are the scales of one FEST.
        split: "test", or "holdout", the training images that were kept from training.
        data_root: folder of the datasets; None takes FESTKIT_DATA, else ``data``.
        app: "lab" opens the notebook in JupyterLab, "voila" shows the tuner alone; "auto" takes
            Voila where it is installed.
        port: of the server; None takes a free one.
        open_browser: False only prints the address.

    Raises:
        FileNotFoundError: if a run or its images are missing, or the run has not finished.
        ValueError: if runs and images do not belong together.
        OSError: if the port is taken.
        RuntimeError: if the server cannot start, or fails.

    Example:
        >>> serve(["runs/never-trained"])
        Traceback (most recent call last):
        festkit._errors.MissingFileError: runs/never-trained holds no finished run; ...
    """
    of_runs([Run(Path(run)) for run in runs], split=split, dataset=None, root=data_root)
    app, port = _choose(app), _free_port(port)
    folders = [str(Path(run).resolve()) for run in runs]
    parameters = {
        "run": folders[0] if len(folders) == 1 else folders,
        "split": split,
        "data_root": None if data_root is None else str(Path(data_root).resolve()),
    }
    with (
        _ended_by_signals(),
        tempfile.TemporaryDirectory(prefix="festkit-tuner-", ignore_cleanup_errors=True) as name,
    ):
        book = Path(name) / "notebooks" / Path(NOTEBOOK).with_suffix(".ipynb").name
        write_parametrised(NOTEBOOK, parameters, book)
        with _server(app, book, port) as (server, url):
            print(f"The tuner is at {url}  ({HINTS[app]}Ctrl-C ends it)", flush=True)
            if open_browser:
                _open(url, Path(name) / "open.html")
            server.wait()
            if server.returncode:
                raise ProcessError(f"{app} {_last_words(server, Path(name))}")


def _choose(app: App) -> App:
    if app == "auto":
        return "voila" if find_spec("voila") else "lab"
    if app == "voila" and not find_spec("voila"):
        raise ProcessError(
            'Voila is not installed; pip install "festkit[app]", or take JupyterLab: app "lab"'
        )
    return app


def _free_port(port: int | None) -> int:
    try:
        with socket.create_server(("127.0.0.1", port or 0)) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise OSError(f"port {port} cannot be had ({error.strerror}); choose another") from error


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end the block as Ctrl-C does, without an error."""

    def end(*_: Any) -> None:
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
    _configure(home, port, token)
    words = ["jupyterlab"] if app == "lab" else ["voila", str(book)]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=book.parent,
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends it
        )
    try:
        url = f"http://127.0.0.1:{port}/"
        _wait(app, server, url, home)
        yield server, f"{url}{f'lab/tree/{book.name}' if app == 'lab' else ''}?token={token}"
    finally:
        _end(server)


def _configure(home: Path, port: int, token: str) -> None:
    """Write the settings of both servers; on the command line other users could read the token."""
    place = {"ip": "127.0.0.1", "port": port, "port_retries": 0, "open_browser": False}
    server = {
        "ServerApp": place | {"root_dir": str(home / "notebooks"), "allow_root": True},
        "IdentityProvider": {"token": token},
    }
    news = {"fetchNews": "false", "checkForUpdates": False}
    lab = {"@jupyterlab/apputils-extension:notification": news}
    voila = {
        # A page that is left could not end its kernel otherwise: it sends no XSRF token.
        "Voila": place
        | {"tornado_settings": {"disable_check_xsrf": True}}
        | {"token": token, "connection_dir_root": str(home)},
        "VoilaConfiguration": {"template": "offline", "show_tracebacks": True},
    }
    write_json(home / "config" / "jupyter_server_config.json", server)
    write_json(home / "config" / "labconfig" / "default_setting_overrides.json", lab)
    write_json(home / "config" / "voila.json", voila)
    template = home / "data" / "voila" / "templates" / "offline"
    write_json(template / "conf.json", {"base_template": "lab"})
    write_text(template / "index.html.j2", OFFLINE)


def _environment(home: Path) -> dict[str, str]:
    """Private settings, but the user's theme and shortcuts; places that do not depend on ours."""
    datasets = Path(os.environ.get("FESTKIT_DATA") or "data").expanduser().resolve()
    settings = Path(jupyter_config_dir()) / "lab" / "user-settings"
    return {
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        **os.environ,
        "FESTKIT_DATA": str(datasets),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_PATH": os.pathsep.join(
            filter(None, [str(home / "data"), os.environ.get("JUPYTER_PATH")])
        ),
    }


def _wait(app: App, server: "subprocess.Popen[bytes]", url: str, home: Path) -> None:
    """Wait until the server answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            direct.open(f"{url}login", timeout=START_SECONDS).close()
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise ProcessError(f"{app} did not start: it {_last_words(server, home)}")


def _last_words(server: "subprocess.Popen[bytes]", home: Path) -> str:
    state = f"is silent after {START_SECONDS} s"
    if server.poll() is not None:
        state = f"ended with status {server.returncode}"
    lines = (home / "log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([f"{state}; the end of its log:", *lines[-15:]])


def _end(server: "subprocess.Popen[bytes]") -> None:
    """End the server, which ends its kernels."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _open(url: str, page: Path) -> None:
    """Open the browser by way of a file: its command line, too, can be read by other users."""
    write_text(page, f"<meta http-equiv='refresh' content={json.dumps('0; url=' + url)}>")
    webbrowser.open(page.as_uri())

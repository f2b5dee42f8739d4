"""JupyterLab and Voila as private servers on loopback, without the user's settings."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60

LAB = (
    "jupyterlab",
    "--no-browser",
    "--expose-app-in-browser",
    "--allow-root",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.terminals_enabled=False",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.news_url=None",
    "--LabApp.extension_manager=readonly",
)
VOILA = ("voila", "--no-browser", "--Voila.ip=127.0.0.1", "--Voila.port_retries=0")

SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight are there, too
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


@dataclass(frozen=True)
class Server:
    """A running server: its address, its token, and the folder whose notebooks it serves."""

    url: str
    token: str
    folder: Path


@contextmanager
def lab_server(home: Path) -> Iterator[Server]:
    """JupyterLab on the notebooks in ``home``/notebooks."""
    for name, values in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    port = free_port()
    words = [*LAB, f"--ServerApp.port={port}", f"--ServerApp.root_dir={home / 'notebooks'}"]
    with _server(words, home, port, "api/contents") as server:
        yield server


@contextmanager
def voila_server(home: Path) -> Iterator[Server]:
    """Voila on the notebooks in ``home``/notebooks."""
    port = free_port()
    words = [*VOILA, f"--Voila.port={port}", str(home / "notebooks")]
    with _server(words, home, port, "voila/tree") as server:
        yield server


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _server(words: list[str], home: Path, port: int, page: str) -> Iterator[Server]:
    folder, token = home / "notebooks", secrets.token_urlsafe()
    folder.mkdir()
    # A page that is left ends its kernel by a request without an XSRF token.
    settings = {"token": token, "tornado_settings": {"disable_check_xsrf": True}}
    (home / "voila.json").write_text(json.dumps({"Voila": settings}))
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=home,
            env=_environment(home, token),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}/", token, folder)
    try:
        _wait(process, f"{server.url}{page}?token={token}", home / "log")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(home: Path, token: str) -> dict[str, str]:
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    own = {"JUPYTER_TOKEN": token, "JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}
    return os.environ | own | {name: str(home / place) for name, place in places.items()}


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            direct.open(url, timeout=START_SECONDS).close()
            return
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(
        f"{url.partition('?')[0]} did not answer in {START_SECONDS} s "
        f"(exit status {process.poll()}); the end of its log:\n{log.read_text()[-3000:]}"
    )

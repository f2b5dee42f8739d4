import http.client
import json
import re
import signal
import stat
import sys
import time
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from servedtuner import make_root, served_tuner

from festkit.tuner import serve as serving
from festkit.tuner.serve import serve

SECONDS = 60


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("serve"))


@pytest.fixture
def here(root, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setattr(serving, "NOTEBOOK", str(root / "tell.ipynb"))
    monkeypatch.setenv("FESTKIT_DATA", "sets")
    return root


class TestErrors:
    """All of them come before any server is started."""

    @pytest.fixture(autouse=True)
    def no_server(self, monkeypatch):
        monkeypatch.setattr(serving, "_server", None)

    def test_no_run(self, here):
        with pytest.raises(FileNotFoundError, match="missing holds no finished run; train it"):
            serve(["run", "missing"])

    def test_an_unfinished_run(self, here, tmp_path):
        (tmp_path / "config.json").write_text("{}")
        with pytest.raises(FileNotFoundError, match="holds no finished run; train it to its end"):
            serve([tmp_path])

    def test_no_holdout(self, here):
        with pytest.raises(FileNotFoundError, match=r"run has no holdout_maps\.npz"):
            serve(["run"], split="holdout")

    def test_no_images(self, here, tmp_path):
        with pytest.raises(FileNotFoundError, match="images of the run are not at hand"):
            serve(["run"], data_root=tmp_path)

    def test_no_voila(self, here, monkeypatch):
        monkeypatch.setattr(serving, "find_spec", lambda _: None)
        with pytest.raises(RuntimeError, match=r'pip install "festkit\[app\]"'):
            serve(["run"], app="voila")

    def test_a_port_that_is_taken(self, here):
        with serving.socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(OSError, match=rf"port {port} cannot be had \(.*; choose another"):
                serve(["run"], port=port)


@pytest.mark.parametrize(("installed", "app"), [(True, "voila"), (None, "lab")])
def test_what_auto_takes(monkeypatch, installed, app):
    monkeypatch.setattr(serving, "find_spec", lambda _: installed)
    assert serving._choose("auto") == app
    assert serving._choose("lab") == "lab"


STANDING_IN = """#!{python}
import http.server, json, os, sys
print("arguments", *sys.argv[1:], flush=True)
path = os.path.join(os.environ["JUPYTER_CONFIG_DIR"], "voila.json")
port = json.load(open(path))["Voila"]["port"]
open("login", "w").close()
{then}
"""
ANSWER = "http.server.HTTPServer(('127.0.0.1', port), http.server.SimpleHTTPRequestHandler)"


@pytest.fixture
def stand_in(here, tmp_path, monkeypatch):
    """A function that puts a few lines of Python in the place of every server."""

    def put(then):
        script = tmp_path / "server"
        script.write_text(STANDING_IN.format(python=sys.executable, then=then))
        script.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(script))

    return put


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script with a first line")
class TestLife:
    def test_a_server_that_does_not_start(self, stand_in):
        stand_in("sys.exit('no such extension')")
        with pytest.raises(RuntimeError) as error:
            serve(["run"], app="lab", open_browser=False)
        assert str(error.value).splitlines() == [
            "lab did not start: it ended with status 1; the end of its log:",
            "arguments -m jupyterlab",
            "no such extension",
        ]

    def test_a_server_that_says_nothing(self, stand_in, monkeypatch):
        stand_in("import time; time.sleep(60)")
        monkeypatch.setattr(serving, "START_SECONDS", 1)
        with pytest.raises(RuntimeError, match=r"voila did not start: it is silent after 1 s; .*"):
            serve(["run"], app="voila", open_browser=False)

    def test_a_server_that_fails_later(self, stand_in):
        stand_in(f"{ANSWER}.handle_request(); sys.exit(3)")
        with pytest.raises(RuntimeError, match="lab ended with status 3; the end of its log"):
            serve(["run"], app="lab", open_browser=False)

    def test_it_opens_the_browser_with_a_page_that_only_its_owner_reads(
        self, stand_in, monkeypatch, capsys
    ):
        stand_in(f"{ANSWER}.handle_request()")
        seen = []
        monkeypatch.setattr(
            webbrowser, "open", lambda url: seen.append((url, Path(urlsplit(url).path).read_text()))
        )
        serve(["run"], app="lab")
        ((url, page),) = seen
        address = re.search(r"http\S+", capsys.readouterr().out).group()
        assert url.startswith("file:")
        assert address.split("token=")[1] not in url
        assert f"0; url={address}" in page
        assert not Path(urlsplit(url).path).parent.exists()

    def test_the_token_is_another_every_time(self, stand_in, capsys):
        stand_in(f"{ANSWER}.handle_request()")
        for _ in range(2):
            serve(["run"], app="lab", open_browser=False)
        first, second = re.findall(r"token=(\S{40,})", capsys.readouterr().out)
        assert first != second


def ask(url, path, *, method="GET", token=None):
    """Status and body of a request to the server, as any other program would send it."""
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=SECONDS)
    headers = {} if token is None else {"Authorization": f"token {token}"}
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    return response.status, response.read().decode()


@pytest.fixture(scope="module", params=["lab", "voila"])
def served(request, root):
    if request.param == "voila":
        pytest.importorskip("voila")
    runs = {"lab": ["run", "second"], "voila": ["run"]}[request.param]
    with served_tuner(root, request.param, *runs) as served:
        yield served


class TestServer:
    """In this order: the last test ends the server."""

    def test_it_prints_one_line_with_the_whole_address(self, served):
        place = {"lab": "lab/tree/tell.ipynb", "voila": ""}[served.app]
        address = rf"http://127\.0\.0\.1:\d+/{place}\?token=\S{{40,}}"
        hint = {"lab": "Run, Run All Cells shows it; ", "voila": ""}[served.app]
        assert re.fullmatch(rf"The tuner is at {address}  \({hint}Ctrl-C ends it\)\n", served.line)

    def test_it_listens_on_this_machine_only(self, served):
        listening = [
            connection.laddr for connection in served.server.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]  # fmt: skip
        assert (served.url.hostname, served.url.port) in listening
        assert {address.ip for address in listening} == {"127.0.0.1"}

    @pytest.mark.parametrize(
        "path", ["/", "/lab", "/api/contents", "/api/kernels/0", "/voila/tree"]
    )
    @pytest.mark.parametrize("token", [None, "guess"])
    def test_it_tells_nothing_without_the_token(self, served, path, token):
        status, body = ask(served.url, path, token=token)
        assert status in {302, 403, 404}
        assert "tell" not in body

    def test_with_the_token_it_shows_the_runs(self, served, root):
        sets = str(root / "sets")
        if served.app == "lab":
            status, body = ask(served.url, "/api/contents/tell.ipynb", token=served.token)
            cells = json.loads(body)["content"]["cells"]
            assert f'run = ["{root / "run"}", "{root / "second"}"]' in cells[1]["source"]
            assert served.server.environ()["FESTKIT_DATA"] == sets
        else:
            status, body = ask(served.url, f"/?token={served.token}")
            told = re.search(r"\[(&#39;|').*\]", body).group().replace("&#39;", "'")
            assert told == str([str(root / "run"), "test", None, sets])
        assert status == 200

    def test_its_folder_and_its_token_are_private(self, served):
        assert stat.S_IMODE(served.home.stat().st_mode) == 0o700
        for process in (served.server, psutil.Process(served.process.pid)):
            assert served.token not in " ".join(process.cmdline())

    def test_sigterm_ends_it_with_its_kernels_and_leaves_nothing(self, served):
        if served.app == "lab":
            assert ask(served.url, "/api/kernels", method="POST", token=served.token)[0] == 201
        kernels = served.server.children()  # and whatever else Lab starts, such as npm
        assert kernels
        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(SECONDS) == 0
        assert time.monotonic() - began < serving.STOP_SECONDS
        assert not psutil.wait_procs([served.server, *kernels], timeout=5)[1]
        assert not served.home.exists()

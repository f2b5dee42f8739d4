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

import nbformat
import psutil
import pytest
from servedtuner import make_root, served_tuner

from festkit.jobs.parameters import write_parametrised
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
        with pytest.raises(FileNotFoundError, match="missing holds no finished run; finish"):
            serve(["run", "missing"])

    def test_an_unfinished_run(self, here, tmp_path):
        (tmp_path / "config.json").write_text("{}")
        with pytest.raises(FileNotFoundError, match="holds no finished run; finish the training"):
            serve([tmp_path])

    def test_no_holdout(self, here):
        with pytest.raises(FileNotFoundError, match=r"run has no holdout_maps\.npz"):
            serve(["run"], split="holdout")

    def test_no_images(self, here, tmp_path):
        with pytest.raises(FileNotFoundError, match="images of the run are missing"):
            serve(["run"], data_root=tmp_path)

    def test_no_voila(self, here, monkeypatch):
        monkeypatch.setattr(serving, "find_spec", lambda _: None)
        with pytest.raises(RuntimeError, match=r'pip install "festkit\[app\]"'):
            serve(["run"], app="voila")

    def test_a_port_that_is_taken(self, here):
        with serving.socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(
                OSError, match=rf"port {port} is not available \(.*; choose another"
            ):
                serve(["run"], port=port)
        for port in (-1, 65536):
            with pytest.raises(ValueError, match=f"port is {port}, expected 1 to 65535, or 0 or"):
                serve(["run"], port=port)


def test_what_voila_shows_of_the_notebook(tmp_path):
    book = tmp_path / "book.ipynb"
    write_parametrised(serving.NOTEBOOK, {"run": "runs/first"}, book)
    serving._keep_tuner(book)
    notebook = nbformat.read(book, 4)
    assert {cell.cell_type for cell in notebook.cells} == {"code"}
    assert 'run = "runs/first"' in notebook.cells[1].source
    assert notebook.cells[-1].source.endswith("\ntuner")
    assert notebook.metadata["title"] == "festkit tuner"


@pytest.mark.parametrize(("installed", "app"), [(True, "voila"), (None, "lab")])
def test_what_auto_takes(monkeypatch, installed, app):
    monkeypatch.setattr(serving, "find_spec", lambda _: installed)
    assert serving._choose("auto") == app
    assert serving._choose("lab") == "lab"


STANDING_IN = """#!{python}
import functools, http.server, json, os, pathlib, sys
print("arguments", *sys.argv[1:], flush=True)
home = pathlib.Path(os.environ["JUPYTER_CONFIG_DIR"]).parent
settings = json.loads((home / "config" / "jupyter_server_config.json").read_text())["ServerApp"]
class Handler(http.server.SimpleHTTPRequestHandler):
    proof = None
    def do_GET(self):
        if self.proof is None:
            return super().do_GET()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.proof)
def listen(port=settings["port"]):
    handler = functools.partial(Handler, directory=home)
    server = http.server.HTTPServer((settings["ip"], port), handler)
    tell(server.server_port)
    return server
def tell(port):
    (home / "runtime").mkdir(exist_ok=True)
    told = json.dumps({{"url": f"http://127.0.0.1:{{port}}/"}})
    (home / "runtime" / "jpserver-1.json").write_text(told)
{then}
"""


@pytest.fixture
def stand_in(here, tmp_path, monkeypatch):
    """A function that puts a few lines of Python in the place of every server."""

    def put(then):
        script = tmp_path / "server"
        script.write_text(STANDING_IN.format(python=sys.executable, then=then))
        script.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(script))

    return put


@pytest.mark.system
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
        stand_in("listen().handle_request(); sys.exit(3)")
        with pytest.raises(RuntimeError, match="lab ended with status 3; the end of its log"):
            serve(["run"], app="lab", open_browser=False)

    def test_it_opens_the_browser_with_a_page_that_only_its_owner_reads(
        self, stand_in, monkeypatch, capsys, tmp_path
    ):
        stand_in("listen().handle_request()")
        monkeypatch.setenv("HOME", str(tmp_path))
        seen = []
        monkeypatch.setattr(
            webbrowser, "open", lambda url: seen.append((url, Path(urlsplit(url).path).read_text()))
        )
        serve(["run"], app="lab")
        ((url, page),) = seen
        place = Path(urlsplit(url).path).parent
        assert place.parent == tmp_path  # not /tmp, which browsers from snaps do not see
        assert not place.name.startswith(".")
        address = re.search(r"http\S+", capsys.readouterr().out).group()
        assert url.startswith("file:")
        assert address.split("token=")[1] not in url
        assert f"0; url={address}" in page
        assert not place.exists()

    def test_another_server_on_the_port_is_not_told_the_token(self, stand_in, monkeypatch, capsys):
        stand_in("Handler.proof = b'a guess'; listen().serve_forever()")
        monkeypatch.setattr(serving, "START_SECONDS", 2)
        with pytest.raises(RuntimeError, match="did not start"):
            serve(["run"], app="lab")
        assert "token=" not in capsys.readouterr().out

    def test_what_is_not_ready_is_asked_again(self, stand_in, capsys):
        """No file, half a file, nobody who listens, a connection that breaks: each an error."""
        stand_in(
            "import socket, time\n"
            "(home / 'runtime').mkdir()\n"
            "(home / 'runtime' / 'jpserver-1.json').write_text('{')\n"
            "time.sleep(0.3)\n"
            "tell(1)\n"
            "time.sleep(0.3)\n"
            "with socket.create_server(('127.0.0.1', 0)) as broken:\n"
            "    tell(broken.getsockname()[1])\n"
            "    broken.accept()[0].close()\n"
            "listen().handle_request()"
        )
        serve(["run"], app="lab", open_browser=False)
        assert "token=" in capsys.readouterr().out

    def test_the_token_is_another_every_time(self, stand_in, capsys):
        stand_in("listen().handle_request()")
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


@pytest.mark.system
class TestServer:
    """In this order: the last test ends the server."""

    def test_it_prints_one_line_with_the_whole_address(self, served):
        place = {"lab": "lab/tree/tell.ipynb", "voila": "voila/render/tell.ipynb"}[served.app]
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
        "path",
        ["/", "/lab", "/api/contents", "/api/kernels/0", "/voila/tree", "/voila/render/tell.ipynb"],
    )
    @pytest.mark.parametrize("token", [None, "guess"])
    def test_it_tells_nothing_without_the_token(self, served, path, token):
        status, body = ask(served.url, path, token=token)
        assert status in {302, 403, 404} or (path, served.app) == ("/", "voila")  # a bare greeting
        assert "tell" not in body

    def test_with_the_token_it_shows_the_runs(self, served, root):
        sets = str(root / "sets")
        if served.app == "lab":
            status, body = ask(served.url, "/api/contents/tell.ipynb", token=served.token)
            cells = json.loads(body)["content"]["cells"]
            assert f'run = ["{root / "run"}", "{root / "second"}"]' in cells[1]["source"]
            assert served.server.environ()["FESTKIT_DATA"] == sets
        else:
            path = f"/voila/render/tell.ipynb?token={served.token}"
            status, body = ask(served.url, path)
            told = re.search(r"\[(&#39;|').*\]", body).group().replace("&#39;", "'")
            hand = str(root / "sets" / "hand")
            assert told == str([str(root / "run"), "test", hand, None, sets])
        assert status == 200

    def test_no_other_page_acts_in_the_name_of_the_user(self, served):
        """Logged in by the cookie that a browser sends from any page, without an XSRF token."""
        connection = http.client.HTTPConnection(served.url.hostname, served.url.port)
        connection.request("GET", f"/api/status?token={served.token}")
        answer = connection.getresponse()
        answer.read()
        cookie = "; ".join(c.partition(";")[0] for c in answer.headers.get_all("Set-Cookie"))
        paths = ["/api/kernels", "/voila/api/shutdown/0a-0-0-0-0"]
        for path in paths[: 2 if served.app == "voila" else 1]:
            connection.request("POST", path, headers={"Cookie": cookie})
            answer = connection.getresponse()
            assert (answer.status, "_xsrf" in answer.read().decode()) == (403, True)

    def test_its_folder_and_its_token_are_private(self, served):
        assert stat.S_IMODE(served.home.stat().st_mode) == 0o700
        for process in (served.server, psutil.Process(served.process.pid)):
            assert served.token not in " ".join(process.cmdline())

    def test_what_kills_it_ends_the_server_with_its_kernels_and_leaves_nothing(self, served, root):
        with served_tuner(root, served.app, "run") as other:
            ask(other.url, "/api/kernels", method="POST", token=other.token)
            kernels = other.server.children()
            other.process.kill()
            assert not psutil.wait_procs([other.server, *kernels], timeout=serving.STOP_SECONDS)[1]
            with pytest.raises(ConnectionRefusedError):
                ask(other.url, "/api")
            assert not other.home.exists()

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

"""Weights from a local server, and from a hub that is one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lyingserver import serving

from festkit._support import shipped
from festkit._support.files import read_json
from festkit.cli.main import main
from festkit.fest import FEST
from festkit.inference import open_model
from festkit.pretrained import files, required_file, weights_dir, weights_file
from festkit.pretrained.fetch import fetch_weights

ENTRY = "nuaa-sirst/acm-256-bce"
SHIPPED = Path(__file__).parents[2] / "weights"
CONTENT = (SHIPPED / f"{ENTRY}.safetensors").read_bytes()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An own cache, and no settings of the user."""
    for name in ("FESTKIT_WEIGHTS", "FESTKIT_WEIGHTS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "festkit" / "weights"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A kit as a wheel installs it, with the records of all entries and no weights."""
    inside = tmp_path / "site-packages" / "festkit" / "shipped" / "weights"
    (inside / "nuaa-sirst").mkdir(parents=True)
    for path in SHIPPED.glob("nuaa-sirst/*.json"):
        (inside / "nuaa-sirst" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(shipped, "PACKAGE", inside.parents[1])
    monkeypatch.setattr(shipped, "INSTALLED", True)
    monkeypatch.setattr(files, "INSTALLED", True)
    return inside


@pytest.fixture
def server():
    with serving({f"{ENTRY}.safetensors": CONTENT}) as running:
        yield running


def test_what_is_here_needs_no_source():
    assert fetch_weights("NUAA-SIRST/ACM") == [
        SHIPPED / "nuaa-sirst/acm-512-eedm.safetensors",
        SHIPPED / "nuaa-sirst/acm-768-eedm.safetensors",
    ]


@pytest.mark.system
def test_an_installed_kit_fetches_into_the_cache(installed, cache, server, capsys, monkeypatch):
    assert not weights_file(ENTRY).exists()
    assert weights_dir() == cache
    with pytest.raises(FileNotFoundError, match=f"To download them: festkit weights fetch {ENTRY}"):
        required_file(ENTRY)
    assert main(["weights", "fetch", ENTRY, "--source", f"{server.url}/"]) == 0
    assert capsys.readouterr().out == f"{cache / ENTRY}.safetensors\n"
    assert required_file(ENTRY).read_bytes() == CONTENT
    assert sorted(path.name for path in cache.rglob("*")) == [
        "acm-256-bce.safetensors",
        "nuaa-sirst",
    ]
    assert open_model(ENTRY, device="cpu").th1 == 0.5
    monkeypatch.setenv("FESTKIT_WEIGHTS_URL", server.url)
    fetch_weights(ENTRY)
    assert len(server.ranges) == 1


@pytest.mark.system
def test_a_folder_of_ones_own_gets_the_record_too(installed, server, tmp_path, monkeypatch):
    monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path / "own"))
    monkeypatch.setenv("FESTKIT_WEIGHTS_URL", server.url)
    (path,) = fetch_weights(ENTRY)
    assert path == tmp_path / "own" / f"{ENTRY}.safetensors"
    assert read_json(path.with_suffix(".json")) == read_json(SHIPPED / f"{ENTRY}.json")


def test_weights_of_another_version_are_refused_and_replaced(installed, cache):
    path = cache / f"{ENTRY}.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match=f"another version .*festkit weights fetch {ENTRY}"):
        required_file(ENTRY)
    with serving({f"{ENTRY}.safetensors": CONTENT}) as server:
        fetch_weights(ENTRY, server.url)
    assert required_file(ENTRY) == path


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("lies", "is not the expected file: its SHA-256 starts with "),
        ("breaks off", "; the same command continues"),
    ],
)
@pytest.mark.system
@pytest.mark.usefixtures("installed")
def test_a_fault_is_one_line(cache, server, capsys, fault, said):
    server.fault = fault
    assert main(["weights", "fetch", ENTRY, "--source", server.url]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "festkit" in line]
    assert line.startswith("festkit weights fetch: http://127.0.0.1")
    assert said in line
    assert list(cache.rglob("*.safetensors")) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no entry given; festkit zoo list prints their names"),
        ([ENTRY], "no source of weights; pass --source, or set FESTKIT_WEIGHTS_URL, to https://"),
        ([ENTRY, "--source", "/share"], "the source is '/share'; pass --source, or set FESTKIT_W"),
        ([ENTRY, "--source", "hf://acm"], "hf://acm is no repository of the hub; expected hf://ow"),
        (["nuaa-sirst/dna-net"], "no record of nuaa-sirst/dna-net-512-eedm, so the checksum"),
        (["nuaa/acm"], "unknown entry 'nuaa/acm'; choose from"),
    ],
)
def test_requests_that_cannot_be_met(installed, capsys, words, said):
    assert main(["weights", "fetch", *words]) == 1
    assert said in capsys.readouterr().err


def ask_hub(server, tmp_path, code):
    """Run Python with the hub at the local server."""
    tmp_path.mkdir(exist_ok=True)
    own = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hub"), "no_proxy": "127.0.0.1"}
    server.headers = {"ETag": '"1f"', "X-Repo-Commit": "0" * 40}
    return subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}"],
        cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize("load", ["FEST.from_pretrained", "open_model"])
def test_a_fest_from_a_repository_of_the_hub(load, tmp_path):
    FEST({32: "ACM"}, th2=0.2).save_pretrained(tmp_path / "saved")
    content = (tmp_path / "saved" / "fest.safetensors").read_bytes()
    with serving({"own/fest/resolve/v1/fest.safetensors": content}) as server:
        code = f"import festkit as fk; print(fk.{load}('hf://own/fest@v1').th2)"
        done = ask_hub(server, tmp_path, code)
    assert done.stdout == "0.2\n", done.stderr


@pytest.mark.system
@pytest.mark.slow
def test_an_entry_from_the_hub(tmp_path):
    fetch = (
        "from festkit.cli.main import main\n"
        f"sys.exit(main(['weights', 'fetch', {ENTRY!r}, '--source', 'hf://own/zoo']))"
    )
    own = tmp_path / "own"
    code = f"import os; os.environ['FESTKIT_WEIGHTS'] = {str(own)!r}\n{fetch}"
    path = f"own/zoo/resolve/main/{ENTRY}.safetensors"
    with serving({path: CONTENT[::-1]}) as server:
        done = ask_hub(server, tmp_path, code)
        assert done.returncode == 1
        assert "is not the expected file: its SHA-256 starts with" in done.stderr
        assert list(own.rglob("*.safetensors")) == []
    with serving({path: CONTENT}) as server:
        done = ask_hub(server, tmp_path / "other", code)
        assert (done.returncode, done.stdout) == (0, f"{own / ENTRY}.safetensors\n"), done.stderr
    with serving({}) as server:
        done = ask_hub(server, tmp_path / "third", code.replace(ENTRY, "nuaa-sirst/acm-256-eedm"))
        assert done.returncode == 1
        (line,) = [line for line in done.stderr.splitlines() if "festkit" in line]
        assert "cannot get nuaa-sirst/acm-256-eedm.safetensors of hf://own/zoo: " in line

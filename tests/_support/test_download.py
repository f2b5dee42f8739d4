"""Downloads from a server that does everything wrong, one thing at a time."""

import hashlib
import os
import socket

import pytest
from lyingserver import serving

from festkit._support import download as downloads
from festkit._support.download import download
from festkit._support.errors import DownloadError

pytestmark = pytest.mark.system

CONTENT = bytes(range(251)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving({"acm": CONTENT}) as running:
        yield running


@pytest.fixture
def get(server, tmp_path):
    """Download the one file that the server has."""

    def get(name="acm", digest=DIGEST):
        return download(f"{server.url}/{name}", tmp_path / "acm", digest, timeout=0.3)

    return get


def fails(get, match, **options):
    with pytest.raises(DownloadError, match=match) as caught:
        get(**options)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_arrives_once(get, server, tmp_path):
    assert get().read_bytes() == CONTENT
    assert get().read_bytes() == CONTENT
    assert server.ranges == [None]
    assert os.listdir(tmp_path) == ["acm"]


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("stalls", "nothing arrived for 0.3 s; the same command continues"),
        ("breaks off", r"broke off .*502000 of 1004000 bytes.*; the same command continues"),
    ],
)
def test_what_arrived_is_kept_and_continued(get, server, tmp_path, fault, match):
    server.fault = fault
    fails(get, match)
    assert os.listdir(tmp_path) == [".acm.part"]
    server.fault = None
    assert get().read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=502000-"]
    assert os.listdir(tmp_path) == ["acm"]


def test_a_server_without_ranges_sends_everything_again(get, server, tmp_path):
    (tmp_path / ".acm.part").write_bytes(CONTENT[:1000])
    server.fault = "refuses ranges"
    assert get().read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_a_killed_download_that_had_everything(get, server, tmp_path):
    (tmp_path / ".acm.part").write_bytes(CONTENT)
    assert get().read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("start", [b"", b"of another file"])
def test_another_file_is_not_kept(get, server, tmp_path, start):
    (tmp_path / ".acm.part").write_bytes(start)
    server.fault = "lies"
    fails(get, rf"not the expected file: its SHA-256 starts with \w+, expected {DIGEST[:12]}\.")
    assert os.listdir(tmp_path) == []


def test_a_damaged_file_is_replaced(get, server, tmp_path):
    (tmp_path / "acm").write_bytes(CONTENT[:-1])
    assert get().read_bytes() == CONTENT


def test_an_unknown_file(get, tmp_path):
    fails(get, "dna: the server answers 404 Not Found; check the address", name="dna")
    assert os.listdir(tmp_path) == []


def test_a_server_that_never_ends(get, server, monkeypatch, tmp_path):
    monkeypatch.setattr(downloads, "LARGEST", 1000)
    server.fault = "endless"
    fails(get, "sends over 1000 bytes; check the address")
    assert os.listdir(tmp_path) == []


def test_no_server(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(DownloadError, match=rf"cannot reach {host} .*copy http.*/acm to "):
            download(f"http://{host}/acm", tmp_path / "acm", DIGEST)
    assert os.listdir(tmp_path) == []

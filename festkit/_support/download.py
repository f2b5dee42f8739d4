"""Files from web servers: continued where they broke off, checked, then renamed."""

import ssl
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from .errors import DownloadError
from .files import flush, sha256
from .locks import file_lock
from .progress import progress

CHUNK = 1 << 18
"""Bytes that are read at once."""

TIMEOUT = 30.0
"""Seconds without a byte after which a server counts as stalled."""

LARGEST = 2**30
"""Bytes; more than any network of the kit has."""

BROKEN = (HTTPException, ConnectionError, ssl.SSLError)
"""Errors of a connection that ends too early."""


def download(url: str, path: str | Path, digest: str, *, timeout: float = TIMEOUT) -> Path:
    """Fetch a file with a known checksum, unless it is there already.

    The bytes that have arrived are kept as ``.NAME.part`` next to ``path``, and the next call
    continues there if the server can. ``path`` appears only when the file is complete.

    Args:
        url: address, http or https.
        path: where to put the file.
        digest: its SHA-256, 64 hexadecimal digits.
        timeout: seconds without a byte after which a server counts as stalled.

    Returns:
        The path.

    Raises:
        ConnectionError: if the server cannot be reached, refuses, stalls, breaks off, or sends
            another file; the message says what to do.

    Example:
        >>> download("http://127.0.0.1:9/acm", "acm", "00")
        Traceback (most recent call last):
        festkit._support.errors.DownloadError: cannot reach 127.0.0.1:9 ...
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    with file_lock(path.with_name(f"{path.name}.lock")):
        if path.is_file() and sha256(path) == digest:
            return path
        _receive(url, part, timeout, path)
        found = sha256(part)
        if found != digest:
            part.unlink()
            raise DownloadError(
                f"{url} is not the expected file: its SHA-256 starts with {found[:12]}, expected "
                f"{digest[:12]}. Nothing was kept; try again, or check the address"
            )
        flush(part)
        part.replace(path)
    return path


def _receive(url: str, part: Path, timeout: float, path: Path) -> None:
    """Append the rest of a file to what is there."""
    done = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    kept = "; the same command continues"
    try:
        with urlopen(Request(url, headers=headers), timeout=timeout) as answer:
            _append(answer, part, done, path.name)
    except HTTPError as error:
        if error.code == 416 and done:  # nothing is left to send; the checksum decides
            return
        raise DownloadError(
            f"{url}: the server answers {error.code} {error.reason}; check the address"
        ) from error
    except TimeoutError as error:
        raise DownloadError(f"{url}: nothing arrived for {timeout:g} s{kept}") from error
    except URLError as error:
        raise DownloadError(
            f"cannot reach {urlsplit(url).netloc} ({error.reason}). Without a network, copy {url} "
            f"to {path} from another machine"
        ) from error
    except BROKEN as error:
        raise DownloadError(f"{url}: the connection broke off ({error}){kept}") from error


def _append(answer: HTTPResponse, part: Path, done: int, label: str) -> None:
    """Write what a server sends; one that ignores the range sends the file from its beginning."""
    start = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    done = done if answer.status == 206 and start == str(done) else 0
    total = None if answer.length is None else done + answer.length
    with (
        part.open("ab" if done else "wb") as file,
        progress(None, label, unit="B", done=done, total=total) as bar,
    ):
        while done <= LARGEST and (chunk := answer.read1(CHUNK)):
            file.write(chunk)
            bar.update(len(chunk))
            done += len(chunk)
    if done > LARGEST:
        part.unlink()
        raise DownloadError(f"{answer.url} sends over {LARGEST} bytes; check the address")
    if total is not None and done < total:
        raise ConnectionError(f"{done} of {total} bytes")

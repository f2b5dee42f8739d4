"""A local web server that can stall, break off, lie, refuse ranges, or not know a file."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """What it serves and how; the requests that came."""

    def __init__(self, files):
        self.files = files
        self.fault = None
        self.headers = {}
        self.ranges = []
        self.closing = threading.Event()
        self.url = ""


@contextmanager
def serving(files):
    """Serve bytes by path, such as {"nuaa-sirst/acm.safetensors": b"..."}, on 127.0.0.1."""
    server = Server(files)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            content = server.files.get(self.path.lstrip("/"))
            asked = self.headers.get("Range")
            server.ranges.append(asked)
            if content is None:
                self.send_error(404)
                return
            if server.fault == "lies":
                content = content[::-1]
            first = 0
            if asked and server.fault != "refuses ranges":
                first = int(asked.removeprefix("bytes=").removesuffix("-"))
            if first and first >= len(content):
                self.send_error(416)
                return
            rest = content[first:]
            self.send_response(206 if first else 200)
            if first:
                size = len(content)
                self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
            if server.fault != "endless":
                self.send_header("Content-Length", str(len(rest)))
            for header in server.headers.items():
                self.send_header(*header)
            self.end_headers()
            if self.command == "HEAD":
                return
            if server.fault in {"breaks off", "stalls"}:
                rest = rest[: len(rest) // 2]
            self.wfile.write(rest)
            self.wfile.flush()
            if server.fault == "stalls":
                server.closing.wait(60)

        do_HEAD = do_GET

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads = True
    server.url = f"http://127.0.0.1:{web.server_port}"
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.closing.set()
        web.shutdown()
        web.server_close()

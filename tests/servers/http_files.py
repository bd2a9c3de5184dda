"""A file server on 127.0.0.1 that keeps to HTTP, or breaks it in a planned way."""

import hashlib
import re
import threading
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    kind: "status" (answer `status`), "truncate" (close after `n_bytes` of the body, length as if it
    were whole), "html" (a web page with status 200), "hang" (no answer at all), "stall" (`n_bytes`,
    then silence), "ignore range".
    """

    kind: str
    status: int = 500
    n_bytes: int = 0
    headers: tuple[tuple[str, str], ...] = ()


HTML = b"<!DOCTYPE html>\n<html><head><title>Please log in</title></head><body>...</body></html>"


@dataclass
class Hit:
    """A request that arrived."""

    method: str
    path: str
    headers: Message
    body: bytes


class LocalServer(ThreadingHTTPServer):
    """Server in a thread; records what arrives; `faults` are used up, `always` is not."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]):
        super().__init__(("127.0.0.1", 0), handler)
        self.hits: list[Hit] = []
        self.faults: list[Fault] = []
        self.always: Fault | None = None
        self.released = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request, client_address) -> None:
        """Clients go away in the middle on purpose."""

    def fault(self) -> Fault | None:
        return self.faults.pop(0) if self.faults else self.always


class Handler(BaseHTTPRequestHandler):
    """Common part of the handlers: recording, faults, ranges."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits 40 ms
    server: LocalServer

    def log_message(self, *_) -> None:
        """Be silent."""

    def record(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.hits.append(Hit(self.command, self.path, self.headers, body))

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def broken(self, fault: Fault | None) -> bool:
        """Play a fault that needs no body; whether it was one."""
        if fault is None:
            return False
        if fault.kind == "status":
            self.answer(fault.status, b"sorry", **dict(fault.headers))
        elif fault.kind == "html":
            self.answer(200, HTML, Content_Type="text/html; charset=utf-8")
        elif fault.kind == "disguised html":
            self.answer(200, HTML, Content_Type="application/octet-stream")
        elif fault.kind == "hang":
            self.server.released.wait(20)
            self.close_connection = True
        else:
            return False
        return True

    def send_file(self, content: bytes, fault: Fault | None = None, etag: str = "") -> None:
        """Send a file or the range that was asked for, with `If-Range` honoured."""
        etag = etag or f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        begin = self.begin(etag) if not (fault and fault.kind == "ignore range") else 0
        if begin >= len(content) > 0 and begin:
            self.answer(416, Content_Range=f"bytes */{len(content)}")
            return
        body = content[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", etag)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault and fault.kind in ("truncate", "stall"):
            self.wfile.write(body[: fault.n_bytes])
            self.wfile.flush()
            self.close_connection = True
            if fault.kind == "stall":
                self.server.released.wait(20)
            return
        self.wfile.write(body)

    def begin(self, etag: str) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range", etag) == etag
        return int(found[1]) if found and fresh else 0


class FileServer(LocalServer):
    """Serves `files` by their path."""

    def __init__(self):
        super().__init__(_FileHandler)
        self.files: dict[str, bytes] = {}
        self.etag = ""  # another one than that of the content


class _FileHandler(Handler):
    server: FileServer

    def do_GET(self) -> None:
        self.record()
        fault = self.server.fault()
        if self.broken(fault):
            return
        content = self.server.files.get(self.path.partition("?")[0])
        if content is None:
            self.answer(404, b"not found")
        else:
            self.send_file(content, fault, self.server.etag)

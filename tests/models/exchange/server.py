"""A web server on the loopback that keeps files in memory, and fails on demand."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Shelf(http.server.ThreadingHTTPServer):
    """`files` by path; `asked`: every request as (method, path, Range). `cut`: after so many bytes of a body the line drops once.

    `ignores_range`: answers 200 and the whole file. `redirect`: every GET is sent there.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self.cut: int | None = None
        self.ignores_range = False
        self.redirect: str | None = None

    @property
    def address(self) -> str:
        """Its own, with the folder `shelf`."""
        return f"http://127.0.0.1:{self.server_address[1]}/shelf"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Shelf

    def do_GET(self) -> None:
        shelf, given = self.server, self.headers["Range"]
        shelf.asked.append(("GET", self.path, given))
        if shelf.redirect is not None:
            self.send_response(302)
            self.send_header("Location", shelf.redirect)
            self.end_headers()
            return
        if self.path not in shelf.files:
            self.send_error(404)
            return
        data, start = shelf.files[self.path], 0
        if given is not None and not shelf.ignores_range:
            match = re.fullmatch(r"bytes=(\d+)-", given)
            assert match is not None
            start = int(match[1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if shelf.cut is not None and len(body) > shelf.cut:
            body, shelf.cut = body[: shelf.cut], None
            self.close_connection = True
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self.server.asked.append(("PUT", self.path, None))
        self.server.files[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()

    def log_request(self, *_: object) -> None:
        """Nothing on the tests' output."""

    def log_error(self, *_: object) -> None:
        """Nor this."""


@contextmanager
def serving() -> Iterator[Shelf]:
    """A server that answers while the block runs."""
    with Shelf() as shelf:
        thread = threading.Thread(target=shelf.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield shelf
        finally:
            shelf.shutdown()
            thread.join()

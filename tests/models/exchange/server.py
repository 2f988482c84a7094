"""A web server on the loopback that keeps files in memory, and fails on demand."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Shelf(http.server.ThreadingHTTPServer):
    """`files` by path; `asked`: every request as (method, path, Range). `cut`: after so many bytes of a body the line drops once.

    `ignores_range`: answers 200 and the whole file. `redirect`: every GET is sent there. `refuses`: by method the status of
    every answer. `tells_length`: whether an answer carries Content-Length.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self.cut: int | None = None
        self.ignores_range = False
        self.redirect: str | None = None
        self.refuses: dict[str, int] = {}
        self.tells_length = True

    def handle_error(self, *_: object) -> None:
        """A client that goes away in the middle of an answer says so itself."""

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
        if (refused := shelf.refuses.get("GET", 0 if self.path in shelf.files else 404)) != 0:
            self.send_error(refused)
            return
        data, start = shelf.files[self.path], 0
        if given is not None and not shelf.ignores_range:
            match = re.fullmatch(r"bytes=(\d+)-", given)
            assert match is not None
            start = int(match[1])
            if start >= len(data):
                self.send_response(416)
                if shelf.tells_length:
                    self.send_header("Content-Range", f"bytes */{len(data)}")
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        if start:
            whole = str(len(data)) if shelf.tells_length else "*"
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{whole}")
        if shelf.tells_length:
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if shelf.cut is not None and len(body) > shelf.cut:
            body, shelf.cut = body[: shelf.cut], None
            self.close_connection = True
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self.server.asked.append(("PUT", self.path, None))
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if "PUT" in self.server.refuses:
            self.send_error(self.server.refuses["PUT"])
            return
        self.server.files[self.path] = data
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

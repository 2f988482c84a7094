"""STOW-RS against a service that answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.serving.results.subjects import file_of, image, subject

from cxreader.serving.results.sr import COMPREHENSIVE, report
from cxreader.serving.sending import stow


class Stub:
    """`answers`: (status, failure reason or None) of the next requests, then 200. `bodied`: what is said beside.

    `bodies`, `headers`: what came.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, int | None]] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.bodied: dict[str, Any] = {}


@pytest.fixture
def stub() -> Iterator[Stub]:
    made = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            made.headers.append(dict(self.headers))
            status, reason = made.answers.pop(0) if made.answers else (200, None)
            failed = [] if reason is None else [{"00081197": {"vr": "US", "Value": [reason]}}]
            body = json.dumps({"00081198": {"vr": "SQ", "Value": failed}} if failed else made.bodied).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/dicom-web/"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        (200, None, "sent"),
        (202, 0xA700, "again"),
        (409, 0xA900, "dead"),
        (409, 0x0111, "sent"),
        (503, None, "again"),
        (401, None, "again"),
        (400, None, "dead"),
    ],
)
def test_an_answer_decides(stub: Stub, status: int, reason: int | None, state: str) -> None:
    stub.answers = [(status, reason)]
    data = file_of(report(subject(image())))
    (outcome,) = stow.send({"url": stub.url}, [data])
    assert outcome.state == state
    assert data in stub.bodies[0]
    assert stub.headers[0]["Content-Type"].startswith('multipart/related; type="application/dicom"; boundary=')


OTHER, REASON = "1.2.3.99", {"00081197": {"vr": "US", "Value": [0xA900]}}


@pytest.mark.parametrize(
    ("status", "kept", "failed", "state"),
    [
        (202, ["own"], [], "sent"),  # kept with a warning
        (200, ["own"], [], "sent"),
        (202, [OTHER], [], "dead"),
        (202, [], [], "dead"),
        (202, ["own"], [REASON], "dead"),
        (202, [], [{}], "again"),  # failed without a reason: a processing failure
        (200, [], [{}], "again"),
    ],
)
def test_what_the_answer_names_as_kept_is_sent(
    stub: Stub, status: int, kept: list[str], failed: list[dict[str, Any]], state: str
) -> None:
    made = report(subject(image()))
    uids = [str(made.SOPInstanceUID) if one == "own" else one for one in kept]
    named = [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in uids]
    stub.bodied = {"00081199": {"vr": "SQ", "Value": named}, "00081198": {"vr": "SQ", "Value": failed}}
    stub.answers = [(status, None)]
    (outcome,) = stow.send({"url": stub.url}, [file_of(made)])
    assert outcome.state == state


def test_the_older_report_is_sent_to_who_does_not_take_the_newer(stub: Stub) -> None:
    stub.answers = [(409, 0x0122)]
    (outcome,) = stow.send({"url": stub.url}, [file_of(report(subject(image())))])
    assert outcome.state == "sent"
    assert [COMPREHENSIVE.encode() + b"\0" in body for body in stub.bodies] == [False, True]


def test_credentials_come_from_their_file(stub: Stub, tmp_path: Path) -> None:
    for text, wanted in (("user:word\n", "Basic dXNlcjp3b3Jk"), ("a-token", "Bearer a-token")):
        (tmp_path / "credentials").write_text(text)
        stow.send({"url": stub.url, "credentials": str(tmp_path / "credentials")}, [file_of(report(subject(image())))])
        assert stub.headers[-1]["Authorization"] == wanted


def test_where_nobody_listens_the_rest_is_not_tried() -> None:
    data = file_of(report(subject(image())))
    outcomes = stow.send({"url": "http://127.0.0.1:1/dicom-web"}, [data] * 3)
    assert [(one.state, one.reached) for one in outcomes] == [("again", False)] * 3
    assert [one.why.startswith("not tried") for one in outcomes] == [False, True, True]

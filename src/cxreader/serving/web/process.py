"""The web process: an HTTP server around the application, until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from cxreader.errors import StorageError
from cxreader.serving import incoming
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.web.app import create_app
from cxreader.serving.web_settings import WebSection

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2, the oldest that is spoken: forward secrecy and authenticated encryption (BCP 195)."""
_LOOK = 0.1
_GRACE = 10
"""Seconds that requests under way have to end."""


def run(settings: Settings, stopped: Callable[[], bool], name: str) -> None:  # noqa: ARG001 - the form of a process
    """Serve HTTP until `stopped`. Raises StorageError where the address is taken."""
    # Its modules import each other: threads that were first to use it at the same moment would see halves of them.
    import pydicom  # noqa: F401

    begun, service = time.time(), TriageService.open(settings)
    app = create_app(settings, service, stopped=stopped)
    folder: Path = app.state.door.incoming
    tempfile.tempdir = str(folder)  # what libraries put aside may be a patient's
    web = settings.web
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ssl_certfile=web.certificate,
        ssl_keyfile=web.key,
        ssl_ciphers=CIPHERS,
        timeout_graceful_shutdown=_GRACE,
    )
    with listening(web) as opened:
        incoming.remove(folder, before=begun)  # now that nobody else listens
        asyncio.run(_serve(_Server(config), opened, stopped))
    service.close()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The parent's signals are heard by `parent.entry`."""
        yield


async def _serve(server: _Server, opened: socket.socket, stopped: Callable[[], bool]) -> None:
    serving = asyncio.create_task(server.serve([opened]))
    while not stopped() and not serving.done():
        await asyncio.sleep(_LOOK)
    server.should_exit = True
    await serving


@contextmanager
def listening(web: WebSection) -> Iterator[socket.socket]:
    """The socket of this section while the block runs. Raises StorageError where the address is taken."""
    family = socket.AF_INET6 if ":" in web.address else socket.AF_INET
    try:
        opened = socket.create_server((web.address, web.port), family=family, backlog=256)
    except OSError as error:
        what = f"cannot listen on port {web.port} ({error.strerror})"
        raise StorageError(what, where="web.port", mend="choose another port, or end what uses it") from None
    with opened:
        # Connections inherit it; asyncio sets it for sockets that it makes itself alone. Without, each answer on a connection
        # that is kept open waits 40 ms for the other side's acknowledgement (RFC 896, RFC 1122 4.2.3.2).
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield opened

"""A running service for a browser: uvicorn in a thread on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from tests.serving.web.world import World


@contextmanager
def served(world: World) -> Iterator[str]:
    """The address of the world's application while a block runs."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        config = uvicorn.Config(
            world.app, access_log=False, log_config=None, lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([opened],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)

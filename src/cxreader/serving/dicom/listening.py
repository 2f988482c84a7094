"""Where the node listens, as it tells the other processes of its home, and whether it does."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path

from cxreader.atomic import write_whole

FILE = "node.port"
"""In the home while the node listens: its port, which the settings may leave open."""
_CONNECT = 1.0
"""Seconds for a connection within this machine."""


def tell(home: Path, port: int | None) -> None:
    """Say that the node of this home listens on `port`, or, with None, no more. Raises StorageError."""
    if port is None:
        (home / FILE).unlink(missing_ok=True)
    else:
        write_whole(home / FILE, str(port).encode())


def told(home: Path) -> int | None:
    """The port on which the node of this home listens, None where it does not."""
    try:
        return int((home / FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def accepts(host: str, port: int) -> bool:
    """Whether a connection is accepted there; one to every address of this machine is tried on loopback."""
    try:
        found = ip_address(host)
        host = ("::1" if found.version == 6 else "127.0.0.1") if found.is_unspecified else host
    except ValueError:
        pass  # a name
    try:
        socket.create_connection((host, port), _CONNECT).close()
    except OSError:
        return False
    return True

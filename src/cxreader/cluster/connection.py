"""The connection to a Ray cluster."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout

from cxreader.errors import MissingDependencyError, UsageError
from cxreader.progress import Say

try:
    import ray
except ModuleNotFoundError as missing:
    if missing.name != "ray":
        raise
    raise MissingDependencyError("work on a cluster needs ray", mend="pip install 'cxreader[cluster]'") from None

_REACHED = 10.0
"""Seconds for a cluster to answer."""
_AUTHENTICATION = "RAY_AUTH_MODE"


def require_cluster_address(address: str | None) -> None:
    """Raise UsageError for the address of a Ray Client."""
    if address is not None and "://" in address:
        what = "is the address of a Ray Client, which cannot stream answers"
        raise UsageError(what, where=address, mend="give HOST:PORT, on a machine of the cluster")


@contextmanager
def connected(address: str | None, say: Say) -> Iterator[None]:
    """Connected to a Ray cluster within the block. Standard output goes nowhere there: Ray tells on it of dead workers.

    `address`: HOST:PORT of the cluster, to which this machine must belong. Left out: the one that the environment variable
    RAY_ADDRESS names or this machine belongs to, or else one of this machine alone, which ends with the block. Where Ray is
    connected already it is used as it is, and stays connected. Raises UsageError where no cluster answers.
    """
    with ExitStack() as opened:
        nowhere = opened.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123
        opened.enter_context(redirect_stdout(nowhere))
        if not ray.is_initialized():
            opened.callback(ray.shutdown)
            _connect(address, say)
        yield


def _connect(address: str | None, say: Say) -> None:
    """To a cluster, which is begun where there is none: without statistics for Ray's makers, and with a token asked for."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    mend = "begin one with `ray start` on this machine too, with the same token, and give HOST:PORT"
    if address is not None and not _answers(address):
        raise UsageError("nothing answers there", where=address, mend=mend)
    try:
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # noqa: BLE001 - Ray's own share no class with the system's
        raise UsageError(f"no Ray cluster answers ({type(error).__name__})", where=address, mend=mend) from None
    if os.environ.get(_AUTHENTICATION) != "token":
        say(
            f"Ray: this cluster asks for no token: whoever reaches its ports runs programs on it; {_AUTHENTICATION}=token"
        )


def _answers(address: str) -> bool:
    """Whether anything listens at HOST:PORT, which Ray would try for minutes; True for what names no port."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return True
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACHED).close()
    except (OSError, OverflowError):
        return False
    return True

"""A store that speaks S3, on this machine: moto's."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest


@contextmanager
def s3_server(bucket: str) -> Iterator[str]:
    """A new bucket in a new store: its HOST:PORT. The environment holds keys for it, and within the block its address."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("werkzeug"), "disabled", True)  # a line a request
        server.start()
        host, port = server.get_host_and_port()
        for name, value in environment(f"{host}:{port}").items():
            patch.setenv(name, value)
        connection = HTTPConnection(host, port)
        connection.request("PUT", f"/{bucket}")
        assert connection.getresponse().status == 200
        yield f"{host}:{port}"
        server.stop()


def environment(place: str) -> dict[str, str]:
    """What a process needs to reach the store at HOST:PORT."""
    return {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://{place}",
        "AWS_REGION": "us-east-1",
    }

"""Orthanc on loopback, with its DICOMweb plug-in, in a folder of its own: started and ended by the test."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_PATIENCE = 60.0


def program() -> str | None:
    """The program, where it and its plug-in are installed."""
    found = shutil.which("Orthanc")
    return found if PLUGIN.exists() else None


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True)
class Orthanc:
    """A running one."""

    http: int
    dicom: int

    def ask(self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of a GET, or of a POST where there is a body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=60)
        try:
            connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def json(self, path: str, body: bytes | None = None, **headers: str) -> Any:
        """The JSON of an answer that must be a success."""
        status, said = self.ask(path, body, headers)
        assert status == 200, (path, status, said[:400])
        return json.loads(said)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}/dicom-web"


@contextmanager
def running(folder: Path, modalities: Mapping[str, tuple[str, str, int]], dicom: int) -> Iterator[Orthanc]:
    """An Orthanc that knows these modalities: AE title, host, port. `dicom`: its own port."""
    made = Orthanc(free_port(), dicom)
    settings = {
        "Name": "peer",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "HttpPort": made.http,
        "DicomPort": made.dicom,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowStore": True,
        "DicomModalities": {name: list(where) for name, where in modalities.items()},
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    command = [str(program()), str(folder / "orthanc.json")]
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(made, process, folder / "orthanc.log")
            yield made
        finally:
            process.terminate()
            process.wait(30)


def _wait(made: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if made.ask("/system")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())

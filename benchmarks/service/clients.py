"""Who sends: modalities by C-STORE and programs by HTTP, each in a thread, and each attempt written down."""

from __future__ import annotations

import http.client
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import Any

HOST, PAUSE = "127.0.0.1", 0.3
"""Seconds before the next attempt."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where they send to, how many at once, and whether what was not acknowledged is sent again until `patience` seconds passed.

    `every`: seconds between two images of one sender, 0 for as fast as it goes. Once the file `stop` is there no further image is
    begun.
    """

    port: int
    ae_title: str = ""
    token: str = ""
    at_once: int = 1
    patience: float = 0.0
    every: float = 0.0
    stop: Path | None = None


class Book:
    """Attempts, a line of JSON each: uid, door, when it was begun, the seconds that it took, the answer, whether a success."""

    def __init__(self, path: Path) -> None:
        self._file, self._lock = path.open("a", buffering=1), Lock()

    def attempt(self, uid: str, door: str, begun: float, answer: object, *, kept: bool) -> None:
        """Write one down."""
        line = {
            "uid": uid,
            "door": door,
            "begun": begun,
            "seconds": time.time() - begun,
            "answer": answer,
            "kept": kept,
        }
        with self._lock:
            self._file.write(json.dumps(line) + "\n")


def attempts(path: Path) -> list[dict[str, Any]]:
    """What a book holds."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def send_by_dicom(files: Sequence[tuple[str, str]], target: Target, book: Path) -> None:
    """Files (path, SOP Instance UID) by C-STORE, over so many associations at the same time."""
    import pynetdicom  # noqa: F401 - before its threads, which would see halves of modules that import each other

    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    _in_threads(_modality, files, target, Book(book))


def send_by_http(files: Sequence[tuple[str, str]], target: Target, book: Path) -> None:
    """The same by POST to /api/v1/images, over so many connections at the same time."""
    _in_threads(_program, files, target, Book(book))


def _in_threads(work: Any, files: Sequence[tuple[str, str]], target: Target, book: Book) -> None:
    threads = [
        Thread(target=work, args=(files[n :: target.at_once], target, book))
        for n in range(min(target.at_once, len(files)))
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def _modality(files: Sequence[tuple[str, str]], target: Target, book: Book) -> None:
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
    from pynetdicom.ae import ApplicationEntity

    entity = ApplicationEntity(ae_title="MODALITY")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 90
    entity.add_requested_context(DigitalXRayImageStorageForPresentation, [ExplicitVRLittleEndian])
    association: Any = None
    for path, uid in files:
        if target.stop is not None and target.stop.exists():
            break
        until, due = time.monotonic() + target.patience, time.monotonic() + target.every
        while True:
            begun, answer, kept = time.time(), "no association", False
            if association is None or not association.is_established:
                association = entity.associate(HOST, target.port, ae_title=target.ae_title)
            if association.is_established:
                answer, kept = _stored(association, path)
            book.attempt(uid, "dicom", begun, answer, kept=kept)
            if kept or time.monotonic() > until:
                break
            time.sleep(PAUSE)
        time.sleep(max(0.0, due - time.monotonic()))
    if association is not None and association.is_established:
        association.release()


def _stored(association: Any, path: str) -> tuple[str, bool]:
    try:
        status = association.send_c_store(path)
    except (RuntimeError, OSError, AttributeError):  # the association went, at whichever moment
        return "no association", False
    return (f"{status.Status:04X}", status.Status == 0) if status else ("no answer", False)


def _program(files: Sequence[tuple[str, str]], target: Target, book: Book) -> None:
    connection = http.client.HTTPConnection(HOST, target.port, timeout=90)
    headers = {"Authorization": f"Bearer {target.token}", "Content-Type": "application/dicom"}
    for path, uid in files:
        if target.stop is not None and target.stop.exists():
            break
        until, due = time.monotonic() + target.patience, time.monotonic() + target.every
        while True:
            begun, answer, kept = time.time(), "no answer", False
            try:
                connection.request("POST", "/api/v1/images", Path(path).read_bytes(), headers)
                response = connection.getresponse()
                response.read()
                answer, kept = str(response.status), response.status in (200, 201)
            except (OSError, http.client.HTTPException) as error:
                answer = "no connection" if isinstance(error, ConnectionRefusedError) else "no answer"
                connection.close()
            book.attempt(uid, "http", begun, answer, kept=kept)
            if kept or time.monotonic() > until:
                break
            time.sleep(PAUSE)
        time.sleep(max(0.0, due - time.monotonic()))
    connection.close()

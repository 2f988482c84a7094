"""Objects to a destination by STOW-RS (PS3.18 10.5), one a request."""

from __future__ import annotations

import http.client
import io
import json
import secrets
import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from cxreader.errors import ConfigError
from cxreader.serving.results.sr import COMPREHENSIVE_3D, as_comprehensive
from cxreader.serving.sending.outcomes import PROCESSING_FAILURE, UNSUPPORTED, Outcome, of_http

TIMEOUT = 60.0
_KEPT, _INSTANCE, _FAILED, _REASON = "00081199", "00081155", "00081198", "00081197"
"""Referenced SOP Sequence, Referenced SOP Instance UID, Failed SOP Sequence, Failure Reason."""


def send(address: Mapping[str, Any], files: Sequence[bytes]) -> list[Outcome]:
    """Send files; one outcome each. `address`: `url`, and `credentials`, a file of USER:PASSWORD or a token."""
    outcomes: list[Outcome] = []
    for data in files:
        outcome = Outcome("again", "not tried: it was not reached", reached=False)
        if not outcomes or outcomes[-1].reached:
            outcome = _sent(address, data)
        outcomes.append(outcome)
    return outcomes


def echo(address: Mapping[str, Any]) -> str:
    """Ask for one study (QIDO-RS), as there is no echo; empty where it was answered, else why not."""
    try:
        code, _ = _request(address, "GET", "/studies?limit=1", b"", {"Accept": "application/dicom+json"})
    except (OSError, http.client.HTTPException) as error:
        return f"no connection ({type(error).__name__})"
    return "" if code in (200, 204) else f"HTTP {code}"


def _sent(address: Mapping[str, Any], data: bytes) -> Outcome:
    try:
        outcome, reasons = _posted(address, data)
        if UNSUPPORTED in reasons and (other := _fallen_back(data)) is not None:
            outcome, _ = _posted(address, other)
    except (OSError, http.client.HTTPException) as error:
        return Outcome("again", f"no connection ({type(error).__name__})", reached=False)
    return outcome


def _fallen_back(data: bytes) -> bytes | None:
    """The same report for who does not take the newer class; None for another object."""
    from pydicom import dcmread

    made = dcmread(io.BytesIO(data))
    if made.SOPClassUID != COMPREHENSIVE_3D:
        return None
    buffer = io.BytesIO()
    as_comprehensive(made).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _posted(address: Mapping[str, Any], data: bytes) -> tuple[Outcome, tuple[int, ...]]:
    mark = secrets.token_hex(16)
    body = f"--{mark}\r\nContent-Type: application/dicom\r\n\r\n".encode() + data + f"\r\n--{mark}--\r\n".encode()
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={mark}',
        "Accept": "application/dicom+json",
    }
    code, said = _request(address, "POST", "/studies", body, headers)
    kept, reasons = _told(said)
    return of_http(code, reasons, is_kept=code == 202 and _uid(data) in kept), reasons


def _told(said: bytes) -> tuple[frozenset[str], tuple[int, ...]]:
    """Of a response's body, as DICOM JSON: the UIDs of what is kept, and why something is not, where it does not say: 0110."""
    try:
        body = json.loads(said)
        kept, failed = (body.get(tag, {}).get("Value", []) for tag in (_KEPT, _FAILED))
        uids = frozenset(str(item[_INSTANCE]["Value"][0]) for item in kept)
        reasons = [item.get(_REASON, {}).get("Value") or [PROCESSING_FAILURE] for item in failed]
        return uids, tuple(int(one[0]) for one in reasons)
    except (ValueError, AttributeError, KeyError, TypeError, IndexError):
        return frozenset(), ()


def _uid(data: bytes) -> str:
    from pydicom import dcmread

    return str(dcmread(io.BytesIO(data), specific_tags=["SOPInstanceUID"]).SOPInstanceUID)


def _request(
    address: Mapping[str, Any], method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    url = urlsplit(address["url"])
    connection = _connection(url)
    try:
        connection.request(method, url.path.rstrip("/") + path, body, {**headers, **_authorization(address)})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _connection(url: SplitResult) -> http.client.HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "https":
        return http.client.HTTPSConnection(host, url.port, timeout=TIMEOUT, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, url.port, timeout=TIMEOUT)


def _authorization(address: Mapping[str, Any]) -> dict[str, str]:
    """The header of the credentials: they lie in a file, never in the database."""
    named = address.get("credentials")
    if named is None:
        return {}
    try:
        text = Path(named).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise ConfigError("the credentials of a destination cannot be read", where=named) from None
    return {"Authorization": f"Basic {b64encode(text.encode()).decode()}" if ":" in text else f"Bearer {text}"}

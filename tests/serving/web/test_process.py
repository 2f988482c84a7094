"""The web process on a real socket, with TLS; and what it refuses to start with."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import socket
import ssl
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.serving.web.world import people
from tests.serving.world import dicom, read_all

from cxreader.errors import ConfigError, StorageError
from cxreader.serving.access import tokens
from cxreader.serving.home import SECRET
from cxreader.serving.incoming import made
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.web.process import listening, run
from cxreader.serving.web_settings import WebSection, check_web


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(*kinds))
    return folder / "cert.pem", folder / "key.pem"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return int(opened.getsockname()[1])


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """The web process's function, in a thread."""
    stop = Event()
    thread = Thread(target=run, args=(settings, stop.is_set, "web"), daemon=True)
    thread.start()
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", settings.web.port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def test_it_serves_by_tls_until_it_is_told_to_stop(
    service: TriageService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    pem, key = certificate(tmp_path)
    settings = service.settings
    settings.home.mkdir(exist_ok=True)
    (settings.home / SECRET).write_bytes(b"s" * 32)
    web = settings.web.model_copy(update={"port": free_port(), "certificate": pem, "key": key})
    context = ssl.create_default_context(cafile=str(pem))
    left, others = (made(settings.home, door) / "left" for door in ("web", "node"))
    for one in (left, others):
        one.write_bytes(b"as a killed process leaves it")
        os.utime(one, (0, 0))
    with running(settings.model_copy(update={"web": web})):
        base = f"https://127.0.0.1:{web.port}"
        with httpx2.Client(verify=context, base_url=base) as client:
            answer = client.get("/login")
            assert (answer.status_code, answer.headers.get("server")) == (200, None)
            assert [one.exists() for one in (left, others)] == [False, True]
            assert client.post("/api/v1/images", content=dicom(1)).status_code == 401
        weak = ssl.create_default_context(cafile=str(pem))
        weak.maximum_version = ssl.TLSVersion.TLSv1_2
        weak.set_ciphers("ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA")  # without authenticated encryption
        with socket.create_connection(("127.0.0.1", web.port)) as raw, pytest.raises(ssl.SSLError):
            weak.wrap_socket(raw, server_hostname="127.0.0.1")
        with pytest.raises(StorageError, match="cannot listen on port"):
            run(settings.model_copy(update={"web": web}), lambda: True, "another")


def test_the_client_of_the_page_does_what_the_page_says(
    timed_service: TriageService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    settings, database = timed_service.settings, timed_service.database
    settings.home.mkdir(exist_ok=True)
    (settings.home / SECRET).write_bytes(b"s" * 32)
    file = tmp_path / "chest.dcm"
    file.write_bytes(dicom(1))
    timed_service.receive(file, door="folder")
    read_all(timed_service)
    user = people(timed_service)["reader"]
    with database.writing() as session:
        made = tokens.add(session, database.now(session), user, name="x", scopes=["upload", "read"], days=1)
    web = settings.web.model_copy(update={"port": free_port()})
    page = (Path(__file__).parents[3] / "docs/reference/http-api.md").read_text("utf-8")
    client = page.partition("```python\n")[2].partition("```")[0]
    monkeypatch.setenv("CXREADER_TOKEN", made.text)
    monkeypatch.setattr("sys.argv", ["client.py", str(file)])
    with running(settings.model_copy(update={"web": web})), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it is a script: what it opens ends with it
        names: dict[str, Any] = {}
        exec(client.replace(":8080", f":{web.port}"), names)  # noqa: S102 - our own page
        names["http"].close()
    told = capsys.readouterr().out
    assert told.startswith(f"{file} again accepted ")


def test_an_answer_does_not_wait_for_the_acknowledgement_of_the_one_before() -> None:
    with listening(WebSection(port=free_port())) as opened, socket.create_connection(opened.getsockname()):
        accepted, _ = opened.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"address": "0.0.0.0"}, "web.address"),  # noqa: S104 - refused
        ({"address": "192.0.2.1", "url": "https://triage.example.org"}, "web.address"),
        ({"address": "::", "url": "https://triage.example.org"}, "web.address"),
        ({"address": "192.0.2.1", "behind_proxy": True}, "web.url"),
        ({"behind_proxy": True}, "web.url"),
        ({"certificate": "cert.pem"}, "web.certificate, web.key"),
        ({"certificate": "absent.pem", "key": "absent.pem"}, "web.certificate"),
        ({"user_header": "X-Remote-User"}, "web.user_header"),
        ({"address": "192.0.2.1", "behind_proxy": True, "url": "https://triage.example.org"}, "web.proxies"),
        (
            {"oidc": {"issuer": "http://idp.example.org", "client_id": "x"}, "url": "https://t.example"},
            "web.oidc.issuer",
        ),
        ({"oidc": {"issuer": "https://idp.example.org", "client_id": "x"}}, "web.url"),
    ],
)
def test_it_does_not_listen_unprotected(given: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_web(WebSection(**given))
    assert refused.value.where == where


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"address": "::1"},
        {"address": "0.0.0.0", "enabled": False},  # noqa: S104 - does not listen
        {"address": "192.0.2.1", "behind_proxy": True, "url": "https://t.example", "proxies": ("192.0.2.7",)},
    ],
)
def test_what_is_protected_may_listen(given: dict[str, Any]) -> None:
    check_web(WebSection(**given))


@pytest.mark.parametrize("url", ["triage.example.org", "ftp://x", "https://x/path", "https://x?q=1"])
def test_its_address_is_scheme_and_host(url: str) -> None:
    with pytest.raises(ValueError, match="give scheme and host alone"):
        WebSection(url=url)

"""TLS of the node: who is let in, by which versions and ciphers, and that a silent caller keeps nobody waiting."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving.dicom.certificates import Authority
from tests.serving.dicom.conftest import Started
from tests.serving.dicom.scu import sending, stored
from tests.serving.world import dicom

from cxreader.errors import ConfigError
from cxreader.serving.dicom.node import Node
from cxreader.serving.dicom.tls import caller_context
from cxreader.serving.settings import TlsSection

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")  # pynetdicom's own sockets


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def section(authority: Authority, name: str) -> TlsSection:
    certificate, key = authority.pair(name)
    return TlsSection(certificate=certificate, key=key, authorities=authority.file)


@pytest.fixture
def secured(authority: Authority, started: Started) -> Callable[[], Node]:
    return lambda: started(tls=section(authority, "node").model_dump())


def test_a_caller_of_the_same_authority_is_let_in(authority: Authority, secured: Callable[[], Node]) -> None:
    context = caller_context(section(authority, "modality"))
    with sending(secured().port, tls_args=(context, "127.0.0.1")) as association:
        assert association.is_established
        assert stored(association, dicom(1)) == 0x0000


def test_nobody_else_is(tmp_path: Path, authority: Authority, secured: Callable[[], Node]) -> None:
    node, other = secured(), Authority(tmp_path, "other")
    stranger = caller_context(section(other, "stranger"))
    stranger.load_verify_locations(authority.file)
    unnamed = ssl.create_default_context(cafile=str(authority.file))
    for context in (stranger, unnamed):
        with sending(node.port, tls_args=(context, "127.0.0.1")) as association:
            assert not association.is_established
    with sending(node.port) as association:
        assert not association.is_established


@pytest.mark.parametrize(
    ("version", "ciphers", "let_in"),
    [
        (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM", True),
        (ssl.TLSVersion.TLSv1_2, "AES128-SHA256:AES256-GCM-SHA384", False),  # no forward secrecy
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256", False),  # CBC
        (ssl.TLSVersion.TLSv1_3, "ECDHE+AESGCM", True),
    ],
)
def test_versions_and_ciphers_are_those_of_bcp_195(
    authority: Authority, secured: Callable[[], Node], version: ssl.TLSVersion, ciphers: str, *, let_in: bool
) -> None:
    context = caller_context(section(authority, "modality"))
    context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = version
    with sending(secured().port, tls_args=(context, "127.0.0.1")) as association:
        assert association.is_established is let_in


def test_a_silent_caller_keeps_nobody_waiting(authority: Authority, secured: Callable[[], Node]) -> None:
    node, context = secured(), caller_context(section(authority, "modality"))
    with (
        socket.create_connection(("127.0.0.1", node.port)),
        sending(node.port, tls_args=(context, "127.0.0.1")) as association,
    ):
        assert association.is_established


@pytest.mark.peer
def test_dcmtk_sends_by_tls(tmp_path: Path, authority: Authority, secured: Callable[[], Node]) -> None:
    if shutil.which("storescu") is None:
        pytest.skip("dcmtk is not installed")
    certificate, key = authority.pair("dcmtk")
    (tmp_path / "image.dcm").write_bytes(dicom(2))
    where = ["127.0.0.1", str(secured().port), str(tmp_path / "image.dcm")]
    tls = ["+tls", str(key), str(certificate), "+cf", str(authority.file)]
    done = subprocess.run(["storescu", *tls, "-aec", "CXREADER", *where], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_half_a_set_up_is_refused(authority: Authority) -> None:
    certificate, _ = authority.pair("node")
    with pytest.raises(ConfigError, match="not set up whole"):
        caller_context(TlsSection(certificate=certificate))
    with pytest.raises(ConfigError, match="cannot be used"):
        caller_context(TlsSection(certificate=certificate, key=authority.file, authorities=authority.file))

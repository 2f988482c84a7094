"""TLS of DICOM associations after BCP 195 (PS3.15 B.9).

TLS 1.2 and 1.3, forward secrecy, authenticated encryption, certificates of both sides.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any

from cxreader.errors import ConfigError

if TYPE_CHECKING:
    from cxreader.serving.settings import TlsSection

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
"""Of TLS 1.2; all of TLS 1.3's fit (RFC 9325, 4.2)."""
HANDSHAKE = 20.0
"""Seconds within which the other side must speak."""


class _NodeContext(ssl.SSLContext):
    """A server's context that leaves the handshake to the association's own thread: a silent caller keeps nobody else waiting."""

    def wrap_socket(self, sock: socket.socket, *args: Any, **options: Any) -> ssl.SSLSocket:
        sock.settimeout(HANDSHAKE)
        return super().wrap_socket(sock, *args, **(options | {"do_handshake_on_connect": False}))


def node_context(section: TlsSection) -> ssl.SSLContext | None:
    """For the node: it asks the caller for a certificate of the authorities named. None where TLS is off. Raises ConfigError."""
    if section.certificate is None:
        return None
    context = _NodeContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _filled(context, section)


def caller_context(section: TlsSection) -> ssl.SSLContext:
    """For calling others: it checks their certificate, and its host, and shows its own. Raises ConfigError."""
    return _filled(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), section)


def _filled(context: ssl.SSLContext, section: TlsSection) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if section.certificate is None or section.key is None or section.authorities is None:
        mend = "name certificate, key and authorities"
        raise ConfigError("TLS is not set up whole", where="dicom.tls", mend=mend)
    try:
        context.load_cert_chain(section.certificate, section.key)
        context.load_verify_locations(section.authorities)
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise ConfigError(
            f"a certificate or key cannot be used ({why})", where="dicom.tls", mend="give PEM files"
        ) from None
    return context

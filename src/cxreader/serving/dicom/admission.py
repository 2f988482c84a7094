"""Who may open an association: known AE titles from known addresses. An AE title is no credential; TLS and the addresses are."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from cxreader.errors import ConfigError
from cxreader.serving.dicom.tls import caller_context

if TYPE_CHECKING:
    from cxreader.serving.settings import DicomSection, PeerSection, Settings


def peer(section: DicomSection, title: str) -> PeerSection | None:
    """The peer of this AE title."""
    return next((one for one in section.peers if one.ae_title == title.strip()), None)


def may_call(section: DicomSection, title: str, address: str) -> bool:
    """Whether one of this AE title may call from this address. Without peers, anybody on this machine may."""
    if not section.peers:
        return ip_address(address).is_loopback
    found = peer(section, title)
    return found is not None and any(ip_address(address) in ip_network(one, strict=False) for one in found.addresses)


def check(settings: Settings) -> None:
    """Raise ConfigError where the node may not listen as it is told to."""
    section = settings.dicom
    if not section.enabled:
        return
    for where in (one for each in section.peers for one in each.addresses):
        _network(where)
    if section.tls.certificate is not None:
        caller_context(section.tls)
    elif any(one.tls for one in section.peers):
        mend = "set up dicom.tls, or leave out tls of the peer"
        raise ConfigError("a peer is to be called by TLS, without a certificate", where="dicom.peers.tls", mend=mend)
    if _is_loopback(section.host):
        return
    if not section.peers:
        mend = "name who may call, each with AE title and addresses"
        raise ConfigError("the DICOM node listens beyond this machine, to anybody", where="dicom.peers", mend=mend)
    if section.tls.certificate is None and not section.plain:
        mend = "set up dicom.tls, or set dicom.plain = true where the network in between is trusted"
        raise ConfigError("the DICOM node listens beyond this machine without TLS", where="dicom.tls", mend=mend)


def _network(text: str) -> None:
    try:
        ip_network(text, strict=False)
    except ValueError:
        mend = "give 10.1.2.3 or 10.1.2.0/24"
        raise ConfigError(f"{text!r} is no address", where="dicom.peers.addresses", mend=mend) from None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

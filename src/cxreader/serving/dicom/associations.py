"""Associations that the service opens: to peers that are owed an answer, and to destinations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cxreader.serving.dicom.tls import caller_context

if TYPE_CHECKING:
    from pynetdicom.association import Association

    from cxreader.serving.settings import DicomSection

_CONNECT = 10.0
"""Seconds for a connection."""


@dataclass(frozen=True, slots=True)
class Called:
    """Whom to call: host, port and AE title, and whether by TLS. `calling`: our AE title there, the node's when empty."""

    host: str
    port: int
    ae_title: str
    calling: str = ""
    tls: bool = False


class RefusedError(Exception):
    """No association was opened, for a reason `why` in words."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@contextmanager
def associated(
    section: DicomSection, called: Called, wanted: Sequence[tuple[str, Sequence[str]]], *, provider: str | None = None
) -> Iterator[Association]:
    """An association that offers these SOP classes, each in its transfer syntaxes; released when the block ends.

    `provider`: the class of which we are the SCP. Raises RefusedError where none comes about, ConfigError for certificates.
    """
    from pynetdicom import build_role
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.presentation import build_context

    entity = ApplicationEntity(ae_title=called.calling or section.ae_title)
    entity.connection_timeout = _CONNECT
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = section.timeout
    tls = (caller_context(section.tls), called.host) if called.tls else None
    roles: list[Any] = [build_role(provider, scp_role=True)] if provider else []
    association = entity.associate(
        called.host,
        called.port,
        contexts=[build_context(uid, list(syntaxes)) for uid, syntaxes in wanted],
        ae_title=called.ae_title,
        ext_neg=roles,
        tls_args=tls,
    )
    if not association.is_established:
        raise RefusedError(_why(association))
    try:
        yield association
    finally:
        association.release() if association.is_established else association.kill()


def _why(association: Association) -> str:
    answer = getattr(association.acceptor, "primitive", None)
    if association.is_rejected and answer is not None:
        return f"the association was rejected ({answer.result_str}: {answer.reason_str})".lower()
    if answer is not None and not association.is_rejected:
        return "the other side accepts none of what was offered"
    return "no connection"

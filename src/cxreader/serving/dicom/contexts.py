"""What the node accepts: every image storage class, in every transfer syntax that carries its pixels in the data set."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pynetdicom.presentation import PresentationContext

VERIFICATION = "1.2.840.10008.1.1"
COMMITMENT = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model (PS3.4 J.3)."""
PLAIN = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
"""Explicit and Implicit VR Little Endian."""
_OTHERS = ("JPIP", "SMPTE", "Papyrus", "RFC 2557", "XML")
"""Words in the names of transfer syntaxes whose pixels lie elsewhere, or that are no data set at all."""


@cache
def image_classes() -> tuple[str, ...]:
    """The UIDs of all image storage SOP classes (PS3.4 B.5), retired ones among them."""
    return tuple(uid for uid, name in _named("SOP Class") if "Image Storage" in name)


@cache
def transfer_syntaxes() -> tuple[str, ...]:
    """The UIDs of all transfer syntaxes (PS3.6 A) that a data set may come in; none is decoded here."""
    found = (uid for uid, name in _named("Transfer Syntax") if not any(word in name for word in _OTHERS))
    return tuple(dict.fromkeys((*PLAIN, *found)))


@cache
def contexts() -> tuple[PresentationContext, ...]:
    """All that the node is asked for and answers."""
    from pynetdicom.presentation import build_context

    plain = [build_context(uid, list(PLAIN)) for uid in (VERIFICATION, COMMITMENT)]
    return (*plain, *(build_context(uid, list(transfer_syntaxes())) for uid in image_classes()))


def _named(kind: str) -> list[tuple[str, str]]:
    from pydicom._uid_dict import UID_dictionary

    return [(uid, about[0]) for uid, about in UID_dictionary.items() if about[1] == kind]

"""The file of a received data set (PS3.10): its head depends on nothing but the image, and so does the digest of the whole."""

from __future__ import annotations

from pathlib import Path

from cxreader.errors import ImageError

PREAMBLE = 128
_PREFIX = b"DICM"
_AT = PREAMBLE + len(_PREFIX)
_VERSION = b"\x00\x01"
IMPLEMENTATION = "2.25.271828966213180921474361935213498021457"
"""Implementation Class UID of this node (PS3.7 D.3.3.2)."""


def with_own_head(path: Path, *, sop_class: str, instance: str, syntax: str) -> bytes:
    """The file at `path`, its file meta information written anew: the same in every version of every library.

    Raises ImageError for a file that has none.
    """
    data = path.read_bytes()
    found = data[_AT : _AT + 8]
    if data[PREAMBLE:_AT] != _PREFIX or found != b"\x02\x00\x00\x00UL\x04\x00":
        raise ImageError("the data set came without a head", mend="send it again")
    body = _AT + 12 + int.from_bytes(data[_AT + 8 : _AT + 12], "little")
    return _head(sop_class, instance, syntax) + data[body:]


def _head(sop_class: str, instance: str, syntax: str) -> bytes:
    uids = {2: sop_class, 3: instance, 0x10: syntax, 0x12: IMPLEMENTATION}
    elements = b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00" + _VERSION
    for element, uid in uids.items():
        value = uid.encode("ascii") + b"\0" * (len(uid) % 2)
        elements += b"\x02\x00" + element.to_bytes(2, "little") + b"UI" + len(value).to_bytes(2, "little") + value
    length = b"\x02\x00\x00\x00UL\x04\x00" + len(elements).to_bytes(4, "little")
    return b"\0" * PREAMBLE + _PREFIX + length + elements

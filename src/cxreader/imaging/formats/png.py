"""PNG chunks (W3C PNG, third edition, chapters 5 and 11), checked before a decoder is given the picture's own.

A picture is its critical chunks and its transparency; profiles, texts, times and whatever else stands beside them are not needed,
and cannot stop it however large or damaged they are.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from cxreader.errors import ImageError
from cxreader.imaging.files import COPY_AGAIN
from cxreader.imaging.limits import MAX_PARTS

MAGIC = b"\x89PNG\r\n\x1a\n"
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
"""Colour types."""
_PICTURE = (b"PLTE", b"tRNS", b"IDAT", b"IEND")
_NAMES = re.compile(b"|".join(_PICTURE))
IEND = b"\0\0\0\0IEND\xaeB`\x82"
"""The chunk that ends every file."""
_TRIES = 16
"""Places that are looked at for the picture's next chunk behind a damaged one."""
_XMP = b"XML:com.adobe.xmp\0"
_RAW_PROFILE = (b"Raw profile type exif\0", b"Raw profile type APP1\0")
_TEXT = 2**20
"""Bytes of a text that may hold an orientation, unpacked; longer ones are not looked at."""


@dataclass(frozen=True, slots=True)
class PngHeader:
    """Of IHDR: `width`, `height` in pixels, `depth` in bits a sample, `colour` type."""

    width: int
    height: int
    depth: int
    colour: int


@dataclass(frozen=True, slots=True)
class PngPicture:
    """A PNG file of the chunks that its picture needs.

    `data`: the file. `exif`: a TIFF file, `xmp`: a packet, of chunks that were left out, both empty without one. `notes` say
    what was wrong with what was left out and might have mattered.
    """

    data: bytes
    header: PngHeader
    exif: bytes = b""
    xmp: bytes = b""
    notes: tuple[str, ...] = ()

    def as_octets(self) -> bytes:
        """The same file, told to have four samples of 8 bits instead of grey and alpha of 16: the same bytes a pixel."""
        size = self.data[16:24]
        head = b"IHDR" + size + bytes((8, COLOUR_ALPHA)) + self.data[26:29]
        return self.data[:12] + head + struct.pack(">L", zlib.crc32(head)) + self.data[33:]


def header(data: bytes, label: str) -> PngHeader:
    """What the first chunk of a PNG file says. Raises ImageError when it is none, or damaged."""
    if len(data) < 33 or data[12:16] != b"IHDR" or data[8:12] != b"\0\0\0\x0d":
        if data[12:16] == b"CgBI":
            mend = "save it as PNG with another program"
            raise ImageError(
                "a PNG as Apple's phones pack it inside programs (CgBI) is not read", where=label, mend=mend
            )
        raise _damaged("no header", label)
    if zlib.crc32(data[12:29]) != int.from_bytes(data[29:33]):
        raise _damaged("the header's checksum is wrong", label)
    return PngHeader(*struct.unpack_from(">LLBB", data, 16))


def picture(data: bytes, label: str) -> PngPicture:
    """The picture in the bytes of a PNG file.

    Raises ImageError for a critical chunk that is damaged, for an animation, and for more than MAX_PARTS chunks.
    """
    found = PngPicture(b"", header(data, label))
    parts: list[bytes | memoryview] = [data[:33]]
    transparent = False
    for name, chunk, whole in _chunks(data, label):
        body = chunk[8:-4]
        if name == b"IEND":
            break
        if name in (b"PLTE", b"IDAT"):
            if not whole:
                raise _damaged(f"its chunk {name.decode()} is cut short, or its checksum is wrong", label)
            parts.append(chunk)
        elif name == b"tRNS" and not transparent:
            transparent = whole and _fits(len(body), found.header)
            if transparent:
                parts.append(chunk)
            else:
                found = replace(found, notes=(*found.notes, "a damaged transparency: left out"))
        elif name == b"acTL" and whole and len(body) >= 4 and (frames := int.from_bytes(body[:4])) > 1:
            raise ImageError(f"the file holds {frames} frames", where=label, mend="give one image a file")
        elif name[:1].isupper() and name != b"IHDR":
            found = replace(found, notes=(*found.notes, "a PNG with a chunk of no known kind: read without it"))
        elif whole:
            found = _with_orientation(found, name, bytes(body))
    parts.append(IEND)
    return replace(found, data=b"".join(parts), notes=tuple(dict.fromkeys(found.notes)))


def _chunks(data: bytes, label: str) -> Iterator[tuple[bytes, memoryview, bool]]:
    """Name of each chunk, the chunk, and whether it is whole; behind a damaged one on with the next of the picture."""
    at, view = len(MAGIC), memoryview(data)
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            return
        length, name = struct.unpack_from(">L4s", data, at)
        end = at + 12 + length
        follows = data[end + 4 : end + 8]
        in_step = end <= len(data) and (not follows or (len(follows) == 4 and follows.isalpha()))
        if name.isalpha() and (in_step or name in _PICTURE):
            yield name, view[at:end], _is_whole(data, at)
            at = end
        else:
            at = _next(data, at + 1)
    raise ImageError("a PNG of too many chunks", where=label, mend="such a file is a bomb")


def _is_whole(data: bytes, at: int) -> bool:
    """Whether the chunk at `at` lies in the file, and its checksum is right."""
    (length,) = struct.unpack_from(">L", data, at)
    end = at + 8 + length
    return end + 4 <= len(data) and zlib.crc32(memoryview(data)[at + 4 : end]) == int.from_bytes(data[end : end + 4])


def _next(data: bytes, at: int) -> int:
    """Where behind a damaged chunk the next whole one of the picture begins; the end of the file without one."""
    for match in islice(_NAMES.finditer(data, at + 4), _TRIES):
        if _is_whole(data, match.start() - 4):
            return match.start() - 4
    return len(data)


def _with_orientation(found: PngPicture, name: bytes, body: bytes) -> PngPicture:
    """What the chunk says of the orientation, kept: EXIF, or XMP or EXIF in a text."""
    if name == b"eXIf" and not found.exif:
        return replace(found, exif=body)
    if name not in (b"tEXt", b"zTXt", b"iTXt") or not body.startswith((_XMP, *_RAW_PROFILE)):
        return found
    text = _text(name, body)
    if body.startswith(_XMP):
        return replace(found, xmp=found.xmp or text)
    try:  # "\nexif\n      length\n" and hexadecimal digits, as ImageMagick writes it
        return replace(found, exif=found.exif or bytes.fromhex("".join(text.decode("ascii").split("\n")[3:])))
    except ValueError:
        return found


def _text(name: bytes, body: bytes) -> bytes:
    """The text of a text chunk; empty when it is damaged, or longer than _TEXT."""
    rest = body[body.index(b"\0") + 1 :]
    packed = name == b"zTXt"
    if name == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]
    elif packed:
        rest = rest[1:]
    try:
        return zlib.decompressobj().decompress(rest, _TEXT) if packed else rest[:_TEXT]
    except zlib.error:
        return b""


def _fits(length: int, head: PngHeader) -> bool:
    """Whether a tRNS chunk of so many bytes is one of this colour type (11.3.1.1)."""
    return length in {GREY: (2,), COLOUR: (6,), PALETTE: range(1, 257)}.get(head.colour, ())


def _damaged(what: str, label: str) -> ImageError:
    return ImageError(f"damaged PNG ({what})", where=label, mend=COPY_AGAIN)

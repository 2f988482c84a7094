"""Damaged files by the thousand: each is read, or refused by an error of the tree, quickly and in little memory.

`python -m tests.imaging.fuzz --seconds 150` looks for files that are not. It runs in a process of its own, since a native
decoder may take its process with it; the file that was being read then lies at the path that is printed first.
"""

from __future__ import annotations

import io
import itertools
import signal
import struct
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pydicom
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.uid import JPEGLSLossless, RLELossless
from tests.dicom_files import dataset, encoded, jpeg_2000, picture, table
from tests.fuzzing import search_from_the_command_line
from tests.imaging.bombs import element, file, most_memory, nested

from cxreader.errors import CxreaderError, DataError
from cxreader.imaging.dicom.tags import WANTED
from cxreader.imaging.read import read, read_header, size
from cxreader.inference.batch.paths import listed

SECONDS, MIB = 5, 1024
"""What one file may cost."""
SHIPPED = (
    "JPGExtended.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_jls_lossy_line.dcm", "examples_palette.dcm",
    "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "image_dfl.dcm", "693_J2KI.dcm", "SC_ybr_full_422_uncompressed.dcm",
)  # fmt: skip
"""Of pydicom: what cannot be made here without dcmtk."""


def corpus() -> dict[str, bytes]:
    """Whole files of every kind."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    found = {name: (folder / name).read_bytes() for name in SHIPPED}
    for bits in (8, 12):
        for syntax, plugin in ((JPEGLSLossless, "pyjpegls"), (RLELossless, "pydicom")):
            made = dataset(picture(bits), bits=bits)
            made.compress(syntax, encoding_plugin=plugin)
            found[f"{syntax.name} {bits}"] = encoded(made)
        found[f"JPEG 2000 {bits}"] = jpeg_2000(dataset(picture(bits), bits=bits), lossy=bits == 8)
    found["plain"] = encoded(dataset(picture(), WindowCenter=2000, WindowWidth=3000))
    site = dataset(picture(), WindowCenter=2000, WindowWidth=3000, ShutterShape=["RECTANGULAR", "CIRCULAR"])
    site.ShutterLeftVerticalEdge, site.ShutterRightVerticalEdge, site.ShutterUpperHorizontalEdge = 5, 60, 7
    site.ShutterLowerHorizontalEdge, site.CenterOfCircularShutter, site.RadiusOfCircularShutter = 70, [30, 30], 20
    site.ViewCodeSequence, site.AnatomicRegionSequence = [table(picture(), 0, 12)], [pydicom.Dataset()]
    site.VOILUTSequence = [pydicom.Dataset(), table(np.arange(4096), 0, 16)]
    found["site"] = encoded(site)
    deep = dataset(picture(12), bits=12)
    deep.compress(JPEGLSLossless, encoding_plugin="pyjpegls")
    found["JPEG-LS file"] = next(generate_frames(deep.PixelData, number_of_frames=1))
    found["nested"] = file(nested(30, endless=True), nested(30, endless=False))
    grey = Image.fromarray(picture(8).astype(np.uint8))
    for name, image, kind in (
        ("a", grey, "PNG"),
        ("b", grey, "JPEG"),
        ("c", grey.convert("RGB"), "JPEG"),
        ("d", grey.convert("P"), "PNG"),
    ):
        buffer = io.BytesIO()
        image.save(buffer, kind)
        found[f"{kind} {name}"] = buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.dcm", found["plain"])
        archive.writestr("../c.png", found["PNG a"], zipfile.ZIP_STORED)
    return found | {"zip": buffer.getvalue()}


Edit = tuple[str, float, float, bytes]
EDITS = st.tuples(
    st.sampled_from(("set", "set", "set", "cut", "insert", "copy", "end")),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=8),
)


def damaged(data: bytes, edits: list[Edit]) -> bytes:
    """The file after edits; where they fall leans to its start and to the start of its pixels, where the headers are."""
    found = bytearray(data)
    for kind, where, far, value in edits:
        pixels = max(0, found.rfind(b"\xe0\x7f\x10\x00"))
        start = 0 if far < 0.3 else pixels
        at = min(len(found), start + int((len(found) - start) * where ** (4 if far < 0.7 else 1)))
        other = int(len(found) * far)
        if kind == "set":
            found[at : at + len(value)] = value[: max(0, len(found) - at)]
        elif kind == "cut":
            del found[at : at + 1 + 8 * value[0]]
        elif kind == "insert":
            found[at:at] = value
        elif kind == "copy":
            found[at : at + value[0]] = found[other : other + value[0]]
        else:
            del found[at:]
    return bytes(found)


ELEMENTS = st.lists(
    st.tuples(
        st.sampled_from(sorted(tag for tag in WANTED.values() if not 0x60020000 <= tag < 0x7F000000)),
        st.sampled_from((b"US", b"SS", b"DS", b"IS", b"CS", b"LO", b"UN", b"SQ", b"OW", b"FD", b"AT")),
        st.one_of(st.binary(max_size=12), st.text("0123456789.eE+-\\ naif", max_size=12).map(str.encode)),
    ),
    max_size=8,
)


def rewritten(elements: list[tuple[int, bytes, bytes]], syntax: str) -> bytes:
    """A small picture whose header was told by chance."""
    plain = {0x00280010: 64, 0x00280011: 64, 0x00280100: 16, 0x00280101: 12, 0x00280002: 1}
    told = {tag: (b"US", value.to_bytes(2, "little")) for tag, value in plain.items()}
    told |= {tag: (vr, value) for tag, vr, value in elements if tag >> 16 > 2}
    body = b"".join(element(tag, *told[tag]) for tag in sorted(told) if tag < 0x20500000)
    return file(body, element(0x7FE00010, b"OW", bytes(range(256)) * 32), syntax=syntax)


TAGS = st.lists(
    st.tuples(
        st.sampled_from((0x010F, 0x0112, 0x011A, 0x0131, 0x0132, 0x8769, 0x8825, 0x927C, 0xA005)),
        st.integers(0, 20),
        st.sampled_from((0, 1, 2, 3, 9, 2**16, 2**32 - 1)),
        st.binary(min_size=4, max_size=4),
    ),
    max_size=6,
)
CHUNKS = st.lists(
    st.tuples(
        st.sampled_from(
            (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"tRNS", b"acTL", b"fcTL", b"gAMA", b"pHYs", b"PLTE", b"IHDR")
        ),
        st.one_of(
            st.binary(max_size=20), st.sampled_from((b"Raw profile type exif\0\0", b"XML:com.adobe.xmp\0\1\0\0\0"))
        ),
        st.sampled_from((0, 0, 0, 1, 7, 2**31)),
        st.booleans(),
    ),
    max_size=6,
)
"""Name, bytes, what is added to the length, whether the checksum is right."""


def exif(tags: list[tuple[int, int, int, bytes]], order: str, behind: bytes) -> bytes:
    """A TIFF file of these tags, as a camera would write it."""
    entries = b"".join(struct.pack(f"{order}HHL", tag, kind, count) + value for tag, kind, count, value in tags)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}LH", 8, len(tags))
    return head + entries + bytes(4) + behind


def with_exif(data: bytes, body: bytes) -> bytes:
    """A JPEG with this EXIF."""
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 8) + b"Exif\0\0" + body + data[2:]


def with_chunks(data: bytes, chunks: list[tuple[bytes, bytes, int, bool]], body: bytes, place: int) -> bytes:
    """A PNG with these chunks before or behind its picture; `body` is what those of EXIF and packed texts hold."""
    made = b""
    for name, start, more, right in chunks:
        rest = body if name == b"eXIf" else zlib.compress(body.hex().encode()) if name == b"zTXt" else b""
        value = start + rest
        checksum = zlib.crc32(name + value) ^ (not right)
        made += struct.pack(">L", (len(value) + more) % 2**32) + name + value + struct.pack(">L", checksum)
    return data[:place] + made + data[place:]


def check(data: bytes, place: Path) -> None:
    """Raise when the file is neither read nor refused as it should be."""
    place.write_bytes(data)
    signal.setitimer(signal.ITIMER_REAL, 4 * SECONDS)  # ends the process, even in the midst of a decoder
    start = time.process_time()
    try:
        names = {str(place), *listed([str(place)])[0]}
    except DataError:  # an archive of nothing
        names = {str(place)}
    for name in names:
        for ask in (read, read_header, size):
            try:
                ask(name)
            except CxreaderError as error:
                said = str(error)
                if "\n" in said:
                    raise AssertionError(f"several lines: {said!r}") from None
    signal.setitimer(signal.ITIMER_REAL, 0)
    taken, most = time.process_time() - start, most_memory()
    assert taken < SECONDS, f"{taken:.1f} s"
    assert most < MIB, f"{most:.0f} MiB"


def search(seconds: float, first: int) -> int:
    """Look for bad files for so long; how many were tried. Raises what hypothesis found, with the smallest such file's edits."""
    place = Path(tempfile.mkdtemp(prefix="cxreader-fuzz-")) / "file"
    print(place, flush=True)
    files, tried, end = corpus(), 0, time.monotonic() + seconds
    syntaxes = st.sampled_from(("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "", "1.2.840.10008.1.2.4.70", "1.2.3"))
    whole = st.builds(
        damaged, st.sampled_from(sorted(files)).map(files.__getitem__), st.lists(EDITS, min_size=1, max_size=6)
    )
    bodies = st.one_of(st.binary(max_size=30), st.builds(exif, TAGS, st.sampled_from("<>"), st.binary(max_size=30)))
    jpegs = st.builds(with_exif, st.sampled_from((files["JPEG b"], files["JPEG c"])), bodies)
    pngs = st.one_of(
        *(
            st.builds(with_chunks, st.just(data), CHUNKS, bodies, st.sampled_from((33, len(data) - 12)))
            for data in (files["PNG a"], files["PNG d"])
        )
    )
    for number in itertools.count(first):

        @seed(number)
        @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.one_of(whole, whole, whole, st.builds(rewritten, ELEMENTS, syntaxes), jpegs, pngs))
        def one(data: bytes) -> None:
            nonlocal tried
            tried += 1
            check(data, place)

        one()
        if time.monotonic() > end:
            break
    place.unlink()
    place.parent.rmdir()
    return tried


if __name__ == "__main__":
    search_from_the_command_line(__doc__, search, "files", 150.0)

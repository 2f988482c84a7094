"""Bounds of what is read, shared by the readers of all formats: a file beyond one of them is refused before it is decoded."""

from __future__ import annotations

MIN_SIDE = 32
"""Pixels; below this nothing of a chest can be seen, and such files are icons or mistakes."""
MAX_PIXELS = 50_000_000
"""The largest detectors give about 20 million; a header that promises more than this is a bomb or a mistake."""
MAX_BYTES = 256 * 1024 * 1024
"""No file of one radiograph is larger: 50 million pixels of 16 bits are 100 MB. A larger one is refused before it is loaded."""
MAX_PARTS = 65_536
"""Chunks of a PNG, segments of a JPEG, boxes, fragments and tiles of compressed DICOM pixels: a picture has a handful."""
HEAD = 4096
"""First bytes by which a file's format is known: DICOM without a preamble is known by its first two elements."""

"""Decoded pixels for the viewer: little-endian values, then the grey that each value is shown with, in Zstandard.

A viewer draws the picture exactly by the table of greys, and applies windows of its own to the values. Browsers take the object
as it is, as `Content-Encoding: zstd`; `raw` gives others the same bytes unpacked.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.stored import StoredPicture

CODEC = "zstd"


def packed(picture: StoredPicture, shown: Radiograph) -> tuple[bytes, dict[str, Any]]:
    """The object, and what describes it, as plain values.

    `rows`, `columns`, `bits` (the table has 2 ** bits entries of a byte), `slope`, `intercept`, `windows`, `inverted`,
    `aspect`: of `StoredPicture`; `bytes`: of the unpacked object; `width`, `height`: of the picture in square pixels;
    `spacing`: mm a square pixel (x, y) or None.
    """
    import pyarrow as pa

    rows, columns = picture.values.shape
    data = np.ascontiguousarray(picture.values, "<u2").tobytes() + picture.shown.tobytes()
    about: dict[str, Any] = {
        "rows": rows,
        "columns": columns,
        "bits": picture.bits,
        "slope": picture.slope,
        "intercept": picture.intercept,
        "windows": [asdict(window) for window in picture.windows],
        "inverted": picture.inverted,
        "aspect": picture.aspect,
        "bytes": len(data),
        "width": shown.width,
        "height": shown.height,
        "spacing": None if shown.spacing is None else list(shown.spacing),
    }
    return pa.Codec(CODEC, compression_level=1).compress(data, asbytes=True), about


def raw(data: bytes, about: dict[str, Any]) -> bytes:
    """The object unpacked: rows x columns values of two bytes, then the table."""
    import pyarrow as pa

    return bytes(pa.Codec(CODEC).decompress(data, decompressed_size=about["bytes"], asbytes=True))


def values_and_greys(data: bytes, about: dict[str, Any]) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """The values (rows, columns), and the table of greys (2 ** bits,)."""
    whole, at = raw(data, about), 2 * about["rows"] * about["columns"]
    values = np.frombuffer(whole[:at], "<u2").reshape(about["rows"], about["columns"])
    return values, np.frombuffer(whole[at:], np.uint8)

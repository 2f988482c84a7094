"""Small float32 arrays as JSON: little-endian bytes in base64, with their shape."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ArtifactError


def to_plain(array: NDArray[np.floating]) -> dict[str, Any]:
    """The array as float32: `shape` and `float32` (base64)."""
    data = np.ascontiguousarray(array, "<f4").tobytes()
    return {"shape": list(array.shape), "float32": base64.b64encode(data).decode("ascii")}


def from_plain(plain: Mapping[str, Any]) -> NDArray[np.float32]:
    """The array that `to_plain` gave, to the bit. Raises ArtifactError when it is damaged or not finite."""
    try:
        data = base64.b64decode(plain["float32"], validate=True)
        array = np.frombuffer(data, "<f4").reshape([int(side) for side in plain["shape"]]).astype(np.float32)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        mend = "copy the artifact again"
        raise ArtifactError(f"an array of the acceptance rule cannot be read ({error})", mend=mend) from None
    if not np.isfinite(array).all():
        raise ArtifactError("an array of the acceptance rule is not finite", mend="train the artifact again")
    return array

"""Records of float32 arrays in JSON: little-endian bytes in base64, with their shape."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import ArtifactError


class PackedRecord(Plain):
    """A frozen dataclass of float32 arrays and numbers: an array becomes `shape` and `float32` (base64), a number stays."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON."""
        record: Any = self
        values = {field.name: getattr(record, field.name) for field in fields(record)}
        return {name: _pack(value) if isinstance(value, np.ndarray) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, to the bit. Raises ArtifactError for an array that is damaged or not finite.

        Raises TypeError for a field that is missing, unknown or of another kind.
        """
        kind: Any = cls
        made: Self = kind(**{name: _unpack(v) if isinstance(v, Mapping) else float(v) for name, v in values.items()})
        return made


def _pack(array: NDArray[np.floating]) -> dict[str, Any]:
    data = np.ascontiguousarray(array, "<f4").tobytes()
    return {"shape": list(array.shape), "float32": base64.b64encode(data).decode("ascii")}


def _unpack(plain: Mapping[str, Any]) -> NDArray[np.float32]:
    try:
        data = base64.b64decode(plain["float32"], validate=True)
        array = np.frombuffer(data, "<f4").reshape([int(side) for side in plain["shape"]]).astype(np.float32)
    except (KeyError, TypeError, ValueError, binascii.Error):
        mend = "copy the artifact again"
        raise ArtifactError("an array of the acceptance rule cannot be read", mend=mend) from None
    if not np.isfinite(array).all():
        raise ArtifactError("an array of the acceptance rule is not finite", mend="train the artifact again")
    return array

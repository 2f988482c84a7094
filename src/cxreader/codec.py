"""Frozen records to plain values for strict JSON, and back: one rule for all of them.

A record is a frozen dataclass that inherits `Plain`. Its fields become keys in their order; a field whose key is spelt
otherwise names it: `field(metadata=key("discipline"))`. Numbers stay as they are, but NaN becomes None and a record's infinity
the text "inf" (RFC 8259 has neither); arrays and tuples become lists, mappings become objects. Back again, types come from the
annotations, so that every value returns exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from json import JSONDecodeError
from tomllib import TOMLDecodeError
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

import numpy as np

from cxreader.errors import CxreaderError


def key(name: str) -> Mapping[str, str]:
    """Metadata of a dataclass field whose key in JSON is `name`."""
    return MappingProxyType({"key": name})


class Plain:
    """A record that goes to plain values and back."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON."""
        return _values(self, str)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, exactly.

        Raises KeyError for a key that is missing and has no default, TypeError for one that no field has and for a value
        of another kind, ValueError for a list of another length.
        """
        made: Self = _record(cls, values)
        return made


def to_plain(value: Any) -> Any:
    """Loose values ready for `json.dumps(..., allow_nan=False)`: what is no finite number is None, records are as `to_dict`.

    Raises TypeError for what is no number, text, truth value, None, record, array, list, tuple or mapping.
    """
    return _plain(value, None)


def _plain(value: Any, infinity: Callable[[float], str] | None) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist(), infinity)
    if isinstance(value, float):
        lost = None if infinity is None or math.isnan(value) else infinity(value)
        return value if math.isfinite(value) else lost
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Plain):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return _values(value, infinity)
    if isinstance(value, Mapping):
        return {name: _plain(inner, infinity) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner, infinity) for inner in value]
    raise TypeError(f"{type(value).__name__} has no plain form")


class FieldError(TypeError):
    """A field of a record that its kind does not have, or whose value it does not know; the text is for people."""


def in_words(error: Exception) -> str:
    """Why a file or a record cannot be read, for people: of what a decoder or Python says, the place alone."""
    if isinstance(error, JSONDecodeError):
        return f"no JSON from line {error.lineno}, column {error.colno} on"
    if isinstance(error, UnicodeDecodeError):
        return f"no UTF-8 text from byte {error.start + 1:,} on"
    if isinstance(error, RecursionError):
        return "brackets nested too deep"
    if isinstance(error, OSError):
        return str(error.strerror or "cannot be read")
    if isinstance(error, KeyError) and error.args:
        return f"{error.args[0]!r} is missing"
    if isinstance(error, FieldError | TOMLDecodeError | CxreaderError):
        return str(error)
    return "a field is missing, or holds something else"


def from_plain(kind: Any, value: Any) -> Any:
    """The value of type `kind` (as `typing.get_type_hints` gives it) that `to_plain` made `value` of."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in inner:
            return None
        return from_plain(next(k for k in inner if k is not NoneType), value)
    if origin is np.ndarray:
        return _array(value, inner[1])
    if origin is tuple:
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(from_plain(inner[0], v) for v in value)
        return tuple(from_plain(k, v) for k, v in zip(inner, value, strict=True))
    if origin is list:
        return [from_plain(inner[0], v) for v in value]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {name: from_plain(inner[1], v) for name, v in value.items()}
    if kind is float:
        return math.nan if value is None else float(value) if isinstance(value, str) else value
    if isinstance(kind, type) and issubclass(kind, Plain):
        return kind.from_dict(value)
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind, value)
    return value if origin is not Literal or value in inner else _refuse(kind, value)


def _values(record: Any, infinity: Callable[[float], str] | None) -> dict[str, Any]:
    return {_key(f): _plain(getattr(record, f.name), infinity) for f in fields(record)}


def _record(kind: Any, values: Mapping[str, Any]) -> Any:
    wanted, given, found = _types(kind), dict(values), {}
    for f in fields(kind):
        if _key(f) in given:
            found[f.name] = from_plain(wanted[f.name], given.pop(_key(f)))
        elif f.default is MISSING and f.default_factory is MISSING:
            raise KeyError(_key(f))
    if given:
        raise FieldError(f"{kind.__name__} has no {', '.join(map(repr, given))}")
    return kind(**found)


def _array(value: Any, dtype: Any) -> Any:
    """Numbers as float64 (None as NaN) or int64; other kinds as numpy takes them."""
    wanted = get_args(dtype)[0] if get_args(dtype) else Any
    if isinstance(wanted, type) and issubclass(wanted, np.floating):
        return np.asarray(_numbers(value), dtype=np.float64 if wanted is np.floating else wanted)
    if isinstance(wanted, type) and issubclass(wanted, np.integer):
        return np.asarray(value, dtype=np.int64 if wanted is np.integer else wanted)
    return np.asarray(value)


def _numbers(value: Any) -> Any:
    return [_numbers(v) for v in value] if isinstance(value, list) else math.nan if value is None else float(value)


def _refuse(kind: Any, value: Any) -> Any:
    raise FieldError(f"{value!r} is none of {', '.join(map(repr, get_args(kind)))}")


def _key(f: Field[Any]) -> str:
    return str(f.metadata.get("key", f.name))


@cache
def _types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)

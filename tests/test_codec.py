"""Records to strict JSON and back: every kind of field, and what is refused."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from cxreader.codec import FieldError, Plain, in_words, key, to_plain
from cxreader.errors import DataError


@dataclass(frozen=True, slots=True)
class Inner(Plain):
    value: float
    low: float | None = None


@dataclass(frozen=True)
class Foreign:
    text: str


@dataclass(frozen=True, eq=False)
class Outer(Plain):
    name: str
    policy: Inner = field(metadata=key("discipline"))
    many: tuple[Inner, ...]
    pair: tuple[float, int]
    table: dict[str, dict[str, Inner]]
    curve: NDArray[np.float64]
    counts: NDArray[np.integer[Any]]
    kind: Literal["a", "b"]
    foreign: Foreign
    maybe: Inner | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


def _outer() -> Outer:
    return Outer(
        "x", Inner(0.5), (Inner(math.nan, 0.25), Inner(math.inf)), (1.5, 2), {"a": {"b": Inner(-math.inf)}},
        np.array([0.1, np.nan]), np.array([3, 4]), "b", Foreign("y"),
    )  # fmt: skip


def test_plain_values_are_strict_json_with_keys_in_the_order_of_the_fields() -> None:
    plain = _outer().to_dict()
    text = json.dumps(plain, allow_nan=False)
    assert list(plain) == [
        "name",
        "discipline",
        "many",
        "pair",
        "table",
        "curve",
        "counts",
        "kind",
        "foreign",
        "maybe",
        "notes",
    ]
    assert json.loads(text) == {
        "name": "x", "discipline": {"value": 0.5, "low": None},
        "many": [{"value": None, "low": 0.25}, {"value": "inf", "low": None}], "pair": [1.5, 2],
        "table": {"a": {"b": {"value": "-inf", "low": None}}}, "curve": [0.1, None], "counts": [3, 4], "kind": "b",
        "foreign": {"text": "y"}, "maybe": None, "notes": {},
    }  # fmt: skip


def test_every_value_returns_with_its_type() -> None:
    whole = _outer()
    again = Outer.from_dict(json.loads(json.dumps(whole.to_dict())))
    assert again.policy == whole.policy
    assert math.isnan(again.many[0].value)
    assert again.many[0].low == 0.25
    assert again.many[1].value == math.inf
    assert again.pair == (1.5, 2)
    assert again.table == whole.table
    assert again.foreign == whole.foreign
    assert again.maybe is None
    np.testing.assert_array_equal(again.curve, whole.curve)
    np.testing.assert_array_equal(again.counts, whole.counts)
    assert (str(again.curve.dtype), str(again.counts.dtype)) == ("float64", "int64")


def test_a_missing_key_an_unknown_one_and_a_word_of_another_kind_are_refused() -> None:
    plain = _outer().to_dict()
    with pytest.raises(KeyError, match="discipline"):
        Outer.from_dict({name: v for name, v in plain.items() if name != "discipline"})
    with pytest.raises(TypeError, match="Outer has no 'colour'"):
        Outer.from_dict(plain | {"colour": 1})
    with pytest.raises(TypeError, match="'c' is none of 'a', 'b'"):
        Outer.from_dict(plain | {"kind": "c"})
    with pytest.raises(ValueError, match="zip"):
        Outer.from_dict(plain | {"pair": [1.0]})
    assert Outer.from_dict({name: v for name, v in plain.items() if name not in ("maybe", "notes")}).notes == {}


def test_what_has_no_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no plain form"):
        to_plain(object())


def test_loose_values_that_are_no_finite_numbers_are_none_beside_records_that_keep_theirs() -> None:
    plain = to_plain(
        {"loss": math.inf, "auc": np.float64("nan"), "curve": (1.0, -math.inf), "estimate": Inner(math.inf)}
    )
    assert plain == {"loss": None, "auc": None, "curve": [1.0, None], "estimate": {"value": "inf", "low": None}}


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda: json.loads("image,label"), "no JSON from line 1, column 1 on"),
        (lambda: json.loads('{\n "a" 1}'), "no JSON from line 2, column 6 on"),
        (b"ab\xff".decode, "no UTF-8 text from byte 3 on"),
        (lambda: Path("/nowhere/at/all").read_bytes(), "No such file or directory"),
        (lambda: {}["digest"], "'digest' is missing"),
        (lambda: Inner.from_dict({"value": 1.0, "videos": 2}), "Inner has no 'videos'"),
        (lambda: Inner.from_dict(json.loads("[1, 2]")), "a field is missing, or holds something else"),
        (lambda: float("x"), "a field is missing, or holds something else"),
        (lambda: tomllib.loads("a ="), "Invalid value (at end of document)"),
    ],
)
def test_what_decoders_and_python_say_is_said_for_people(read: Callable[[], object], words: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of every kind
        read()
    assert in_words(caught.value) == words


def test_an_error_of_ours_keeps_its_words() -> None:
    assert in_words(DataError("is no list", where="a.json")) == "a.json: is no list"
    assert isinstance(FieldError("x"), TypeError)

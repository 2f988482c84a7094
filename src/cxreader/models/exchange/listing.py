"""The listing of a published artifact: its files with their hashes, and the terms of its weights and training data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from cxreader.codec import FieldError, Plain, in_words
from cxreader.errors import ArtifactError
from cxreader.models.artifact import MANIFEST, WEIGHTS
from cxreader.models.region_record import REGION_WEIGHTS

LISTING, CARD = "published.json", "README.md"
"""The card is named as the Hugging Face Hub and every host of code show it beside the files."""
SCHEMA = 1
_NAMES = "|".join(map(re.escape, (MANIFEST, WEIGHTS, REGION_WEIGHTS, CARD)))
_KNOWN = re.compile(rf"{_NAMES}|model-[0-9a-f]{{12}}\.onnx")
_HASH, _ID, _ANY = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{12}"), re.compile(r"(?s).*\S.*")
_MOST = 2**53
"""Bytes of a file: up to here every program reads a number of JSON alike."""
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class ListedFile(Plain):
    """A file of a published artifact: its name in the folder, the SHA-256 (hex) and the number of its bytes."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Listing(Plain):
    """What is published: the artifact's id, its network, the terms in sentences, and the files, `artifact.json` last."""

    artifact: str
    model: str
    terms: tuple[str, ...]
    files: tuple[ListedFile, ...]

    def to_bytes(self) -> bytes:
        """The file `published.json`."""
        return (json.dumps({"schema": SCHEMA, **self.to_dict()}, indent=1) + "\n").encode()

    def lacks(self) -> tuple[str, ...]:
        """What whoever fetches it should have been told and is not: terms, a model card."""
        terms = () if any(line.strip() for line in self.terms) else ("no terms of its weights and training data",)
        card = () if any(file.name == CARD for file in self.files) else (f"no model card ({CARD})",)
        return (*terms, *card)


def parse_listing(data: bytes, where: str | PathLike[str]) -> Listing:
    """The listing in these bytes, every field checked. Raises ArtifactError that names the field which is wrong."""
    try:
        return _parsed(json.loads(data.decode("utf-8-sig")), where)
    except (ValueError, FieldError, RecursionError) as error:
        what = f"no listing of an artifact: {in_words(error)}"
    mend = f"give the address of a folder that holds {LISTING}, or ask whoever published it"
    raise ArtifactError(what, where=where, mend=mend)


def _parsed(values: Any, where: str | PathLike[str]) -> Listing:
    if not isinstance(values, dict):
        raise FieldError(f"it is {_told(values)}, not an object")
    schema = _of(values, "schema", "")
    if type(schema) is not int:
        raise FieldError(f"schema is {_told(schema)}, not a whole number")
    if schema != SCHEMA:
        raise ArtifactError(f"a listing of another schema than {SCHEMA}", where=where, mend="update cxreader")
    _refuse_others(values, ("schema", "artifact", "model", "terms", "files"), "")
    return Listing(
        artifact=_text(values, "artifact", "", _ID, "an artifact's id of 12 hex digits"),
        model=_text(values, "model", "", _ANY, "the name of a network"),
        terms=_terms(_items(values, "terms")),
        files=_files(_items(values, "files")),
    )


def _terms(items: Sequence[Any]) -> tuple[str, ...]:
    for number, item in enumerate(items):
        if not isinstance(item, str):
            raise FieldError(f"terms[{number}] is {_told(item)}, not a text")
    return tuple(items)


def _files(items: Sequence[Any]) -> tuple[ListedFile, ...]:
    files = [_file(item, f"files[{number}]") for number, item in enumerate(items)]
    names = [file.name for file in files]
    for number, name in enumerate(names):
        if (first := names.index(name)) < number:
            raise FieldError(f"files[{number}].name is {_told(name)}, as that of files[{first}]")
    for name in (MANIFEST, WEIGHTS):
        if name not in names:
            raise FieldError(f"files names no {name}")
    return tuple(files)


def _file(values: Any, at: str) -> ListedFile:
    if not isinstance(values, dict):
        raise FieldError(f"{at} is {_told(values)}, not an object")
    _refuse_others(values, ("name", "sha256", "bytes"), f"{at}.")
    size = _of(values, "bytes", f"{at}.")
    if type(size) is not int or not 0 < size <= _MOST:
        raise FieldError(f"{at}.bytes is {_told(size)}, not a whole number from 1 to 2^53")
    name = _text(values, "name", f"{at}.", _KNOWN, "that of a file which an artifact holds")
    return ListedFile(name, _text(values, "sha256", f"{at}.", _HASH, "a SHA-256 of 64 hex digits"), size)


def _of(values: Mapping[str, Any], key: str, at: str) -> Any:
    if key not in values:
        raise FieldError(f"{at}{key} is missing")
    return values[key]


def _text(values: Mapping[str, Any], key: str, at: str, like: re.Pattern[str], wanted: str) -> str:
    found = _of(values, key, at)
    if not isinstance(found, str) or not like.fullmatch(found):
        raise FieldError(f"{at}{key} is {_told(found)}, not {wanted}")
    return found


def _items(values: Mapping[str, Any], key: str) -> list[Any]:
    found = _of(values, key, "")
    if not isinstance(found, list):
        raise FieldError(f"{key} is {_told(found)}, not a list")
    return found


def _refuse_others(values: Mapping[str, Any], known: Sequence[str], at: str) -> None:
    for key in values:
        if key not in known:
            raise FieldError(f"{at}{key[:_SHOWN]} is not known")


def _told(value: Any) -> str:
    """A value of JSON for a message: as JSON writes it, of a long text the beginning."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

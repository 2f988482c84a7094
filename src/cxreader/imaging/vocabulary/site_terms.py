"""A site's own words for what a DICOM header tells, in one TOML file.

    [modality]
    "RADIOGRAFIA" = "DX"

    [body_part]
    "KLATKA PIERSIOWA" = "CHEST"

    [view]
    "STEHEND" = "PA"
    "SITZEND SEITLICH" = "LATERAL"

On the left the words as they stand in the header: the whole value, in any case, with or without accents and punctuation. On the
right a term of the standard (`imaging.terms`). A site's words are looked up before all others, in View Position, Patient
Position, View Code Sequence, Body Part Examined, Anatomic Region Sequence and Modality.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Self

from cxreader.codec import in_words
from cxreader.errors import ConfigError, nearest
from cxreader.imaging.vocabulary.terms import TERMS, Fact
from cxreader.imaging.vocabulary.words import folded

_MOST = 2**20
"""Bytes of such a file."""


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SiteTerms:
    """Terms by folded words, for each fact; empty when a site has none of its own."""

    modality: Mapping[str, str] = field(default_factory=_nothing)
    body_part: Mapping[str, str] = field(default_factory=_nothing)
    view: Mapping[str, str] = field(default_factory=_nothing)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The terms of a TOML file, as above. Raises ConfigError for a file that is none, unknown sections or terms."""
        try:
            with Path(path).open("rb") as file:
                told = tomllib.loads(file.read(_MOST).decode("utf-8-sig"))
        except OSError as error:
            raise ConfigError(f"cannot be opened ({error.strerror})", where=path, mend="check the path") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            mend = 'lines such as "TORAX AP" = "CHEST" below [body_part]'
            raise ConfigError(f"is no TOML ({in_words(error)})", where=path, mend=mend) from None
        return cls.from_dict(told, where=path)

    @classmethod
    def from_dict(cls, told: Mapping[str, object], *, where: str | os.PathLike[str] | None = None) -> Self:
        """The terms of plain values, as `to_dict` gives them. Raises ConfigError."""
        for section in told:
            if section not in TERMS:
                raise ConfigError(f"unknown section [{section}]", where=where, mend=nearest(section, TERMS))
        return cls(*(_checked(fact, told.get(fact, {}), where) for fact in TERMS))

    def to_dict(self) -> dict[str, dict[str, str]]:
        """Plain values for JSON: folded words and their terms, sorted."""
        return {fact: dict(sorted(self.of(fact).items())) for fact in TERMS}

    def to_toml(self) -> str:
        """The file that `load` reads as these terms."""
        sections = ((fact, words) for fact, words in self.to_dict().items() if words)
        lines = (
            f"[{fact}]\n" + "".join(f'"{w}" = "{term}"\n' for w, term in words.items()) for fact, words in sections
        )
        return "\n".join(lines)

    def __bool__(self) -> bool:
        return any(self.of(fact) for fact in TERMS)

    def of(self, fact: Fact) -> Mapping[str, str]:
        """The terms of one fact."""
        found: Mapping[str, str] = getattr(self, fact)
        return found


def _checked(fact: Fact, told: object, where: str | os.PathLike[str] | None) -> Mapping[str, str]:
    if not isinstance(told, Mapping):
        raise ConfigError(f"{fact} is no section", where=where, mend=f"[{fact}] with lines below it")
    found: dict[str, str] = {}
    for words, term in told.items():
        place = f"[{fact}] {words!r}"
        if not isinstance(term, str) or term.strip().upper() not in TERMS[fact]:
            mend = nearest(str(term).strip().upper(), TERMS[fact])
            raise ConfigError(f"{place}: {term!r} is no term of the standard", where=where, mend=mend)
        key = folded(words)
        if not key:
            raise ConfigError(f"{place} has no letter or digit", where=where, mend="give the words as they stand there")
        if found.setdefault(key, term.strip().upper()) != term.strip().upper():
            raise ConfigError(f"{place} stands twice with two terms", where=where, mend="keep one")
    return MappingProxyType(found)

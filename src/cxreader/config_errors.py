"""What is wrong with the values of a configuration, all of it in one line: dotted path, fault, and the nearest right name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cxreader.errors import ConfigError, nearest


def explained(error: ValidationError, model: type[BaseModel]) -> ConfigError:
    """Every fault that pydantic found in the values of a `model`, each setting once, in the order of the sections.

    One fault has its dotted path as `where`; several are numbered in `what`.
    """
    faults: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for found in error.errors(include_url=False):
        faults.setdefault(_setting([str(part) for part in found["loc"]], model), []).append(found)
    told = [place for place in faults if not _other_type(place, faults)]
    each = [_together([_fault(place, found, model) for found in faults[place]]) for place in told]
    if len(each) == 1:
        return each[0]
    numbered = " ".join(f"({n}) {fault}" for n, fault in enumerate(each, 1))
    return ConfigError(f"{len(each)} settings are wrong: {numbered}")


def _other_type(place: tuple[str, ...], faults: Mapping[tuple[str, ...], Sequence[Mapping[str, Any]]]) -> bool:
    """Whether the setting is only not of another type that was tried, while faults inside it are told."""
    inside = any(other[: len(place)] == place and other != place for other in faults)
    return inside and all(found["type"].endswith("_type") for found in faults[place])


def _fault(place: tuple[str, ...], found: Mapping[str, Any], model: type[BaseModel]) -> ConfigError:
    dotted, given = ".".join(place), found["input"]
    if found["type"] == "extra_forbidden":
        return ConfigError("unknown key", where=dotted, mend=nearest(place[-1], _known(place[:-1], model)))
    if found["type"] == "missing":
        settable = "" if any(part.isdigit() or "." in part for part in place) else f", or --set {dotted}=..."
        return ConfigError("is missing", where=dotted, mend=f"add it{settable}")
    if found["type"] == "literal_error" and isinstance(given, str):
        right = re.findall(r"'([^']*)'", found["ctx"]["expected"])
        return ConfigError(f"unknown value {given!r}", where=dotted, mend=nearest(given, right))
    return ConfigError(f"{found['msg'][0].lower()}{found['msg'][1:]}, got {given!r}", where=dotted)


def _together(alternatives: Sequence[ConfigError]) -> ConfigError:
    """One fault of a setting that may be of several types, each of which refused it: the first, and what else would do."""
    first, *others = alternatives
    mends = dict.fromkeys(other.mend for other in others if other.mend is not None)
    return (
        first if first.mend or not mends else ConfigError(first.what, where=first.where, mend=f"or {next(iter(mends))}")
    )


def _setting(loc: Sequence[str], model: type[BaseModel]) -> tuple[str, ...]:
    """The place of a fault without the types of a union that were tried there."""
    place: list[str] = []
    section: type[BaseModel] | None = model
    kinds: Sequence[Any] = ()
    for part in loc:
        named = {kind.__name__: kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)}
        if part.isdigit() and place:
            place.append(part)
        elif section is not None:
            place.append(part)
            field = section.model_fields.get(part)
            kinds = () if field is None else get_args(field.annotation)
            table = field is not None and get_origin(field.annotation) is dict
            section = None if field is None or table else _section(field.annotation)
            kinds = ("a key", *get_args(kinds[1])) if table else kinds
        elif kinds[:1] == ("a key",):
            place.append(part)
            kinds = kinds[1:]
        elif part in named:
            section = named[part]
    return tuple(place)


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section in an annotation, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section(part)) is not None), None)


def _known(path: Sequence[str], model: type[BaseModel]) -> list[str]:
    """The right keys of the section at `path`; none where the path is not one of sections."""
    section: type[BaseModel] | None = model
    for part in path:
        if section is not None and part in section.model_fields:
            section = _section(section.model_fields[part].annotation)
    return [] if section is None else list(section.model_fields)

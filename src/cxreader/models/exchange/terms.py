"""Whose terms a published reader carries: of several sources each has a sentence that begins with its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cxreader.errors import UsageError
from cxreader.models.artifact import Artifact


def sources_of(artifact: Artifact) -> tuple[str, ...]:
    """The names of what an artifact learnt from, each once; empty where its provenance tells none.

    Of a configuration with `data.sources` the name of each (its folder's where it has none), also of weight 0, whose boxes
    teach; and NAME readings where a table of readings gives its labels. Of others the name of the data, or else those of the
    patients' sources.
    """
    provenance = artifact.provenance
    several = _at(provenance, "config", "data", "sources")
    listed = several if isinstance(several, Sequence) and not isinstance(several, str) else ()
    found = [name for source in listed if isinstance(source, Mapping) for name in _names(source)]
    found = found or [str(_at(provenance, "data", "name") or "")]
    return _each_once(found) or _each_once(artifact.patients.sources)


def require_terms(artifact: Artifact, lines: Sequence[str]) -> None:
    """Raise UsageError where a line says nothing, or a source of the artifact has none.

    Of several sources each needs a line that begins `NAME: `, in any case; the lines of a single one need no name.
    """
    sources = sources_of(artifact)
    example = f'--terms "{sources[0] if sources else "SOURCE"}: CC BY 4.0, ..."'
    if not lines or not all(line.strip() for line in lines):
        told = f"; it learnt from {', '.join(sources)}" if sources else ""
        raise UsageError("no terms are given", where="--terms", mend=f"such as {example}{told}")
    missing = [source for source in sources if not any(_is_of(line, source) for line in lines)]
    if missing and len(sources) > 1:
        mend = f'give for each a sentence that begins with its name: --terms "{missing[0]}: ..."'
        mend += "; what the public sets ask: cxreader data layouts"
        raise UsageError(f"no terms are given of {', '.join(missing)}", where="--terms", mend=mend)


def _is_of(line: str, source: str) -> bool:
    begin, text = f"{source}:".casefold(), line.strip().casefold()
    return text.startswith(begin) and bool(text.removeprefix(begin).strip())


def _names(source: Mapping[str, Any]) -> list[str]:
    name = str(source.get("name") or Path(str(source.get("root", ""))).name)
    return [name, f"{name} readings"] if source.get("readings") else [name]


def _at(values: Any, *names: str) -> Any:
    for name in names:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values


def _each_once(names: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in map(str, names) if name.strip()))

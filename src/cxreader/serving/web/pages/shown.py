"""What a page of the worklist shows beside its lines: bands with counts, filters with what each hides, and addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from cxreader.serving.order.places import BANDS, OVERDUE
from cxreader.serving.store.reading.facets import Facets
from cxreader.serving.store.reading.filters import NONE, Filters
from cxreader.serving.store.reading.listing import Sort, States
from cxreader.serving.web.pages.lines import BAND_KINDS, BAND_TOLD, BAND_WORDS, DECISION_WORDS, Line

_NAMES = ("band", "decision", "view", "station", "reader", "from", "to")
"""What an address may hold of filters."""
LABELS = {
    "band": "Band",
    "decision": "Answer",
    "view": "View",
    "station": "Station",
    "reader": "Reader",
    "received": "Received",
}
STATES = {"open": "Open", "pending": "Put aside", "done": "Done", "any": "All"}
SORTS = {"urgency": "Most urgent first", "oldest": "Longest waiting first", "newest": "Newest first"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter: as the address has it, in words, how many studies have it, whether it is chosen."""

    value: str
    word: str
    count: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is active, what it hides, and the address without it."""

    label: str
    word: str
    hides: int
    link: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What is asked for. `search`: the name of a search; `query`: the values of the address."""

    filters: Filters
    state: States
    sort: Sort
    search: str
    query: Mapping[str, str]

    def link(self, *, without: Sequence[str] = (), **more: str | None) -> str:
        """The address of this list with these values: of its first page, unless `cursor` is among them."""
        kept = {name: value for name in _NAMES if (value := self.query.get(name)) and name not in without}
        plain = {"state": self.state, "sort": self.sort, "search": self.search} | more
        kept |= {name: value for name, value in plain.items() if value and value != _DEFAULTS.get(name)}
        return f"/?{urlencode(kept)}" if kept else "/"

    def values(self, counts: Facets, lines: Sequence[Line]) -> dict[str, Any]:
        """For the template."""
        filters, by_urgency = self.filters, self.sort == "urgency" and self.state in ("open", "pending")
        total = counts.shown(Filters())
        groups = groupby(lines, key=lambda one: one.band if by_urgency else "")
        return {
            "asked": self,
            "lines": lines,
            "groups": [(band, list(of)) for band, of in groups],
            "band_counts": {BAND_WORDS[band]: n for band, n in counts.by("band", filters).items()},
            "band_told": {BAND_WORDS[band]: told for band, told in BAND_TOLD.items()},
            "band_kinds": {BAND_WORDS[band]: kind for band, kind in BAND_KINDS.items()},
            "shown": counts.shown(filters),
            "total": total,
            "chips": self._chips(counts),
            "choices": {
                name: self._choices(counts, name) for name in ("band", "decision", "view", "station", "reader")
            },
            "labels": LABELS,
            "states": [Choice(one, word, _of(counts.states, one), one == self.state) for one, word in STATES.items()],
            "sorts": SORTS,
            "by_urgency": by_urgency,
            "clear": self.link(without=_NAMES),
        }

    def _choices(self, counts: Facets, name: str) -> list[Choice]:
        found, chosen = dict(counts.by(name, Filters())), getattr(self.filters, name)
        if chosen:
            found.setdefault(chosen, 0)
        order = (OVERDUE, *BANDS.values()) if name == "band" else tuple(DECISION_WORDS) if name == "decision" else ()
        ranked = sorted(found, key=lambda one: (order.index(one) if one in order else len(order), one == NONE, one))
        return [Choice(self._address(name, one), _word(name, one), found[one], one == chosen) for one in ranked]

    def _chips(self, counts: Facets) -> list[Chip]:
        made = []
        for name in self.filters.active:
            dates = name == "received"
            names = ("from", "to") if dates else (name,)
            word = self._dates() if dates else _word(name, getattr(self.filters, name))
            made.append(Chip(LABELS[name], word, counts.hidden(self.filters, name), self.link(without=names)))
        return made

    def _dates(self) -> str:
        first, last = (self.query.get(name, "") for name in ("from", "to"))
        return " ".join(word for word in (first and f"from {first}", last and f"to {last}") if word)

    @staticmethod
    def _address(name: str, value: str) -> str:
        return BAND_KINDS[value] if name == "band" else value


_DEFAULTS = {"state": "open", "sort": "urgency"}


def _of(states: Mapping[str, int], state: str) -> int:
    return sum(states.values()) if state == "any" else states.get(state, 0)


def _word(name: str, value: str) -> str:
    if name == "band":
        return BAND_WORDS[value]
    if name == "decision":
        return DECISION_WORDS.get(value, value)
    return {"view": "not stated", "reader": "nobody"}.get(name, "unknown") if value == NONE else value

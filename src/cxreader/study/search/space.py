"""What is searched: the points of a grid, or ranges to draw from, checked against the configuration before anything runs."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxreader.config import Choice, Config, RangeSection, with_values
from cxreader.errors import ConfigError, UsageError

Point = Mapping[str, Choice]
"""A value for every key of the space."""
SEARCHABLE = ("model", "training", "augment")
"""Sections that may vary: the others say what is learnt from, and every trial learns from the same."""
FIXED = (
    *("training.monitor", "training.accelerator", "training.devices"),
    *("training.tensorboard", "training.phases"),
)
PHASES = ("head", "fine_tune", "full")
MOST_LISTED = 10_000
"""Points of a space without fractions that are listed one by one; larger ones are only drawn from."""


@dataclass(frozen=True, slots=True)
class Space:
    """Keys in their order, each with its values or its range; `trials` is None for a grid, every point of it once."""

    values: Mapping[str, tuple[Choice, ...] | RangeSection]
    whole: frozenset[str]  # ranges of whole numbers
    trials: int | None

    @property
    def is_grid(self) -> bool:
        """Every point once, rather than so many drawn by TPE."""
        return self.trials is None

    @property
    def n_trials(self) -> int:
        """Points that a search of it ends with."""
        return (self.size() or 0) if self.trials is None else self.trials

    def size(self) -> int | None:
        """Number of distinct points; None when a range has fractions."""
        sizes = []
        for key, given in self.values.items():
            if isinstance(given, RangeSection) and key not in self.whole:
                return None
            sizes.append(int(given.high - given.low) + 1 if isinstance(given, RangeSection) else len(given))
        return math.prod(sizes)

    def points(self) -> Iterator[dict[str, Choice]]:
        """Every point of a space whose `size` is not None, the last key's values running fastest."""
        listed = [
            range(int(given.low), int(given.high) + 1) if isinstance(given, RangeSection) else given
            for given in self.values.values()
        ]
        for values in itertools.product(*listed):
            yield dict(zip(self.values, values, strict=True))


def read_space(config: Config) -> Space:
    """The space of `config.study`, its values as the configuration reads them.

    Raises ConfigError, naming the nearest right key, for a key or value that the configuration does not have, and
    UsageError for a space that cannot be searched as it stands.
    """
    study = config.study
    if not study.space:
        mend = 'name keys and values, such as "training.batch_size" = [16, 32]'
        raise UsageError("nothing to search", where="study.space", mend=mend)
    values: dict[str, tuple[Choice, ...] | RangeSection] = {}
    whole: set[str] = set()
    for key, given in study.space.items():
        if isinstance(given, RangeSection):
            values[key], is_whole = _range(config, key, given)
            whole |= {key} if is_whole else set()
        else:
            values[key] = _list(config, key, given)
        _require_searchable(key)
    space = Space(values, frozenset(whole), _trials(config))
    size = space.size()
    if space.trials is not None and size is not None and space.trials > size:
        mend = f"set study.trials to {size} at most, or leave it out for a grid of lists"
        raise UsageError(f"{space.trials} trials of {size} distinct points", where="study.trials", mend=mend)
    return space


def narrowed(before: Config, now: Config) -> list[str]:
    """Dotted keys in which the search of `now` does not continue that of `before`; a search may only grow.

    A grid may gain values of its keys, in any place; points drawn by TPE may become more, from the same space.
    """
    then, today = before.study, now.study
    found = [f"study.{name}" for name in ("sampler", "pruning") if getattr(then, name) != getattr(today, name)]
    if then.trials is not None or today.trials is not None:
        found += [] if then.space == today.space else ["study.space"]
        fewer = then.trials is None or today.trials is None or today.trials < then.trials
        return found + (["study.trials"] if fewer else [])
    for key in {**then.space, **today.space}:
        kept, given = (_as_list(study.space.get(key)) for study in (then, today))
        if kept is None or given is None or any(value not in given for value in kept):
            found.append(f"study.space.{key}")
    return found


def _as_list(given: Sequence[Choice] | RangeSection | None) -> list[str] | None:
    """Values as JSON, since True is not 1 here; None where there is no list."""
    return None if given is None or isinstance(given, RangeSection) else [json.dumps(value) for value in given]


def require_effect(space: Space, config: Config, phases: Sequence[str], *, pretrained: bool) -> None:
    """Raise UsageError for a key whose values would change nothing.

    Such a key sets a phase that is not among `phases`, the planned ones, or changes images that no phase is shown.
    """
    for key in space.values:
        if key.startswith("augment.") and not augments(space, config, phases):
            mend = "set training.views = 4, or training.prefix_cache = false"
            what = f"stored stages hold the images as they are: {key} has no effect"
            raise UsageError(what, where=f"study.space.{key}", mend=mend)
        section, _, rest = key.partition(".")
        phase = rest.partition(".")[0]
        if section != "training" or phase not in PHASES or phase in phases:
            continue
        if pretrained:
            mend = f"add {phase!r} to training.phases, or leave the key out"
            raise UsageError(f"phase {phase!r} is not among training.phases", where=f"study.space.{key}", mend=mend)
        what = f"without pretrained weights every stage learns in the one phase `full`: {key} has no effect"
        mend = "give model.weights, or search training.full instead"
        raise UsageError(what, where=f"study.space ({config.model.name})", mend=mend)


def key_of(point: Point) -> str:
    """The same text for the same point, whatever the order of its keys."""
    return json.dumps(dict(point), sort_keys=True)


def slug(point: Point) -> str:
    """The point's values as part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(map(value_text, point.values()))).strip("-.")[:80]


def value_text(value: Choice) -> str:
    """The value for people: a number with a fraction as briefly as six digits allow."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def network_variants(space: Space, config: Config) -> list[list[Config]]:
    """Configurations whose frozen stages cover those of all points, those that give the same outputs together.

    What a network's frozen stages give depends on the network, its weights, the augmentation and how many views are kept;
    where a range is among these, the trials store their own, and the list is empty.
    """
    if any(isinstance(given, RangeSection) and _shapes_prefix(key) for key, given in space.values.items()):
        return []
    keys = [key for key in space.values if _shapes_prefix(key)]
    lists = [given for key in keys if not isinstance(given := space.values[key], RangeSection)]
    found: dict[str, list[Config]] = {}
    for values in itertools.product(*lists):
        point = dict(zip(keys, values, strict=True))
        same = {key: value for key, value in point.items() if not key.endswith(".learn")}
        found.setdefault(key_of(same), []).append(with_values(config, point))
    return list(found.values())


def _shapes_prefix(key: str) -> bool:
    if key.startswith("augment.") or key.endswith(".learn"):
        return True
    return key.startswith(("model.", "training.views", "training.prefix")) and key != "model.dropout"


def _list(config: Config, key: str, given: Sequence[Choice]) -> tuple[Choice, ...]:
    if not given:
        raise UsageError("no value", where=f"study.space.{key}", mend="give one at least")
    values = tuple(_resolved(config, key, value) for value in given)
    if len({json.dumps(value) for value in values}) < len(values):
        raise UsageError("a value stands twice", where=f"study.space.{key}", mend="name each value once")
    return values


def _range(config: Config, key: str, given: RangeSection) -> tuple[RangeSection, bool]:
    """The range as the configuration reads its ends, and whether it is of whole numbers."""
    if not given.low < given.high or (given.log and given.low <= 0):
        what = f"{given.low:g} to {given.high:g} is no range" + (" on a logarithmic scale" if given.log else "")
        raise UsageError(what, where=f"study.space.{key}", mend="give low < high, and low > 0 with log = true")
    low, high = (_resolved(config, key, end) for end in (given.low, given.high))
    if any(isinstance(end, bool | str) for end in (low, high)):
        raise UsageError("is no number", where=f"study.space.{key}", mend="give a list of values")
    return given, isinstance(low, int)


def _resolved(config: Config, key: str, value: Choice) -> Choice:
    """The value as the configuration holds it: 16.0 of a whole number is 16. Raises ConfigError."""
    held: Any = config.model_dump()
    for parent in key.split(".")[:-1]:
        held = held.get(parent) if isinstance(held, Mapping) else held
        if held is not None and not isinstance(held, Mapping):
            raise ConfigError(f"{parent!r} holds a value, not a section", where=key, mend="leave out what follows it")
    held = with_values(config, {key: value}).model_dump()
    for part in key.split("."):
        held = held[part]
    if not isinstance(held, str | bool | int | float):
        raise ConfigError("is a section, not a value", where=key, mend="name one key of it")
    return held


def _require_searchable(key: str) -> None:
    if key.partition(".")[0] not in SEARCHABLE:
        mend = f"search keys of {', '.join(SEARCHABLE)}; for others run one search for each value"
        raise UsageError(
            "every trial learns from the same images and the same seed", where=f"study.space.{key}", mend=mend
        )
    if key in FIXED:
        mend = "set it for the whole search"
        raise UsageError("trials with another one are not comparable", where=f"study.space.{key}", mend=mend)


def augments(space: Space, config: Config, phases: Sequence[str]) -> bool:
    """Whether one of `phases` learns from augmented images at some point of the space."""
    if config.augment is None and not any(key.startswith("augment.") for key in space.values):
        return False
    t = config.training
    learns = {f"{phase}.learn": getattr(t, phase).learn for phase in phases}
    found = {"prefix_cache": t.prefix_cache, "views": t.views, **learns}
    given = {key: space.values.get(f"training.{key}", (value,)) for key, value in found.items()}
    if any(isinstance(values, RangeSection) for values in given.values()):
        return True
    return False in given["prefix_cache"] or given["views"] != (1,) or any("all" in given[key] for key in learns)


def _trials(config: Config) -> int | None:
    """How many points TPE draws; None for a grid."""
    study = config.study
    ranges = [key for key, given in study.space.items() if isinstance(given, RangeSection)]
    if study.sampler == "grid" and ranges:
        mend = 'list its values, or set study.sampler = "tpe"'
        raise UsageError("a grid has no ranges", where=f"study.space.{ranges[0]}", mend=mend)
    if study.sampler == "tpe" or ranges:
        if study.trials is None:
            raise UsageError("is needed to draw points from ranges", where="study.trials", mend="set study.trials = 40")
        return study.trials
    if study.trials is not None:
        mend = 'leave it out, or set study.sampler = "tpe" to draw so many points'
        raise UsageError("a grid takes every point once", where="study.trials", mend=mend)
    return None

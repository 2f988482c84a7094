"""By which truth a reader is judged: never by one that holds his own vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError
from cxreader.evaluation.readers.panel import joined
from cxreader.evaluation.readers.readings import NOT_READ, Readings

Votes = NDArray[np.int8]
_MOST_ASKED = 9
NO_TRUTH = "none: nothing says which images are abnormal"


@dataclass(frozen=True, eq=False)
class Truths:
    """The truth (n,) of the model and of whoever is not in the panel, `common`, and of each reader, `each` (r, n).

    0 normal, 1 abnormal, -1 where there is none (a tie, or nobody read the image). `panel`: the places of the readers whose
    votes make it; empty where the table's own label is the truth. `setters` (r,): for each reader the places of those
    who set the truth that he is judged by. `words`: what the truth is, NO_TRUTH where there is none.
    """

    common: Votes
    each: Votes
    panel: tuple[int, ...]
    setters: tuple[frozenset[int], ...]
    words: str


def majority(votes: Votes) -> Votes:
    """What most of k readers say of each image, votes (k, n) to (n,); -1 for a tie and where nobody read it."""
    difference = np.count_nonzero(votes == 1, axis=0) - np.count_nonzero(votes == 0, axis=0)
    return np.where(difference > 0, 1, np.where(difference < 0, 0, NOT_READ)).astype(np.int8)


def truths_of(readings: Readings, panel: Sequence[str], label: Votes | None) -> Truths:
    """The majority of the panel, in which a member is judged by the other members; without a panel the label (n,), if any.

    Raises DataError for a panel member that is not there or called no image, for a panel of one, and for one that is divided
    on every image.
    """
    votes, n_readers = readings.first, len(readings.reader)
    if not panel:
        told = label is not None and bool((label >= 0).any())
        common = label if label is not None and told else np.full(votes.shape[1], NOT_READ, np.int8)
        each = np.repeat(common[None], n_readers, axis=0)
        return Truths(common, each, (), (frozenset(),) * n_readers, "the table's own label" if told else NO_TRUTH)
    members = readings.places(panel)
    if len(set(members)) < 2:
        raise DataError("a panel of one reader is no majority", mend="name at least two, better three")
    common = majority(votes[list(members)])
    _refuse_undecided(readings, members, common)
    setters = tuple(frozenset(members) - {reader} for reader in range(n_readers))
    each = np.stack([majority(votes[sorted(others)]) for others in setters])
    names = joined([readings.reader[member] for member in members])
    words = f"the majority of {names}; a member is judged by the majority of the others; ties are left out"
    return Truths(common, each, members, setters, words)


def _refuse_undecided(readings: Readings, members: Sequence[int], common: Votes) -> None:
    silent = [readings.reader[member] for member in members if not (readings.first[member] >= 0).any()]
    if silent:
        under = f" under the modality {readings.modality[0]}" if readings.modality[0] else ""
        what = f"the panel gave no calls{under}: {joined(silent)} said of no image normal or abnormal"
        raise DataError(what, mend="a panel needs a column label; name readers who have one")
    if not (common >= 0).any():
        what = f"the panel ({joined([readings.reader[member] for member in members])}) is divided on every image"
        raise DataError(what, mend="name another panel, of three or more")


def makers_of(votes: Votes, label: Votes) -> tuple[int, ...]:
    """The fewest readers, three or more and odd, whose majority is the label on every image; empty where none is.

    A label that is the majority of some readers holds their votes: whoever is judged by it is judged by himself. Looked for
    among nine readers at most.
    """
    if len(votes) > _MOST_ASKED:
        return ()
    known = label >= 0
    if not known.any():
        return ()
    for size in range(3, len(votes) + 1, 2):
        for members in combinations(range(len(votes)), size):
            if (votes[list(members)][:, known] >= 0).all() and (majority(votes[list(members)]) == label)[known].all():
                return members
    return ()


def is_majority(label: Votes, truths: Truths) -> bool:
    """Whether the label is the panel's majority on every image that both decide; False where there is none."""
    both = (truths.common >= 0) & (label >= 0)
    return bool(truths.panel and both.any() and (label == truths.common)[both].all())

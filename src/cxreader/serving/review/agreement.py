"""Do readers and answers agree: observed agreement and Cohen's kappa, of all verdicts, by mode, and by reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cxreader.evaluation.readers.agreement import agreements_of
from cxreader.evaluation.statistics.intervals import Estimate, Sample
from cxreader.serving.store.reading.judged import Judged

RESAMPLES = 1000
CALLS = {"normal": 0, "abnormal": 1}


@dataclass(frozen=True, slots=True)
class Agreed:
    """Agreement of some verdicts with the answers they are on.

    `both_abnormal`, `only_answer`, `only_reader`, `both_normal` count studies by who called them abnormal.
    """

    who: str
    both_abnormal: int
    only_answer: int
    only_reader: int
    both_normal: int
    patients: int
    agreement: Estimate
    kappa: Estimate

    @property
    def studies(self) -> int:
        """How many were called by both."""
        return self.both_abnormal + self.only_answer + self.only_reader + self.both_normal


def agreed(verdicts: Sequence[Judged]) -> list[Agreed]:
    """Of all final verdicts; of blind ones, given before the answer was shown; of each mode; of each reader's final ones.

    Of several verdicts on a study the latest counts. Groups without one on an answer that called normal or abnormal are left out.
    """
    final = [one for one in verdicts if one.stage == "final"]
    blind = [one for one in verdicts if one.stage == "provisional" and one.mode == "read-first"]
    groups: dict[str, list[Judged]] = {
        "all, final": final,
        "blind: before the answer was shown": blind,
        "read-first, final": [one for one in final if one.mode == "read-first"],
        "concurrent, final": [one for one in final if one.mode == "concurrent"],
    }
    groups |= {f"{user}, final": [one for one in final if one.user == user] for user in sorted({v.user for v in final})}
    found = [(who, latest(own)) for who, own in groups.items()]
    return [_agreed(who, own) for who, own in found if own]


def latest(verdicts: Iterable[Judged]) -> list[Judged]:
    """Of each study the latest verdict, of those from which a label follows."""
    found = {one.study: one for one in verdicts if one.label in CALLS and one.decision in CALLS}
    return list(found.values())


def _agreed(who: str, own: Sequence[Judged]) -> Agreed:
    answer = np.array([CALLS[str(one.decision)] for one in own], np.int8)
    reader = np.array([CALLS[one.label] for one in own], np.int8)
    groups = np.unique([one.patient for one in own], return_inverse=True)[1]
    (found,) = agreements_of({"answer": answer, "reader": reader}, Sample(answer, groups), n_resamples=RESAMPLES)
    return Agreed(
        who=who,
        both_abnormal=int(np.sum((answer == 1) & (reader == 1))),
        only_answer=int(np.sum((answer == 1) & (reader == 0))),
        only_reader=int(np.sum((answer == 0) & (reader == 1))),
        both_normal=int(np.sum((answer == 0) & (reader == 0))),
        patients=len(np.unique(groups)),
        agreement=found.agreement,
        kappa=found.kappa,
    )

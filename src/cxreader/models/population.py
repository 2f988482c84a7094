"""For whom a model is made: the ages, sexes, views and sources of the patients that set it, and who is outside them.

The rule by which a DICOM header is judged (`judge_population`):

- A told age is refused where the model is one for the other side of 18 years (`Population.side`): children's chests are others
  than adults'. A few images of the other side do not make it a model for both.
- A told age is a warning where it is more than half as far again from the median of the training ages as their 5th or 95th
  percentile is (of ages that are normally distributed 1.4 % are), and where fewer than `FEW` training images are of its side.
- A told sex, or a told view (PA, AP), is a warning where every training image of which it is known is of the other.

Each needs `FEW` training images of which the fact is known; else nothing is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cxreader.codec import Plain
from cxreader.counting import format_count
from cxreader.records import Acceptance, ImageRecord

ADULT = 18.0
"""Years from which on a patient is an adult."""
OLDEST = 120.0
"""Years beyond which an age is a mistake, and says nothing."""
FEW = 20
"""Training images of which a fact must be known to judge others by it."""
NAMES = {"F": "female", "M": "male"}
PROJECTIONS = frozenset({"PA", "AP"})
"""The views that contradict each other; a view that is told as frontal may be either."""
_REACH = 1.5
"""How often as far from the median as the 5th or 95th percentile an age may be: an outlier of training moves neither."""
PHANTOMS = "phantom"
"""How the name of a source of phantoms begins."""


@dataclass(frozen=True, slots=True)
class Ages(Plain):
    """Years of `known` images: the youngest, the 5th, 50th and 95th percentile, the oldest.

    `children`: how many of them are under 18; None in artifacts that did not count them.
    """

    known: int
    youngest: float
    p5: float
    median: float
    p95: float
    oldest: float
    children: int | None = None

    @classmethod
    def of(cls, years: Sequence[float]) -> Ages | None:
        """None where no age is known."""
        if not years:
            return None
        found = np.asarray(years, np.float64)
        youngest, p5, median, p95, oldest = (float(q) for q in np.quantile(found, (0, 0.05, 0.5, 0.95, 1)))
        return cls(len(years), youngest, p5, median, p95, oldest, int(np.count_nonzero(found < ADULT)))

    def __str__(self) -> str:
        youngest, p5, median, p95, oldest = map(_years, (self.youngest, self.p5, self.median, self.p95, self.oldest))
        middle = f"5th to 95th percentile {p5} to {p95}, median {median}"
        minors = "" if self.children is None else f"; {self.children:,} under 18"
        known = format_count(self.known, "[image|images]")
        return f"aged {youngest} to {oldest} years ({middle}{minors}; known of {known})"


def _years(age: float) -> str:
    """Whole years, and of the smallest children parts of one."""
    return f"{age:.0f}" if age >= 2 else f"{age:.2g}"


@dataclass(frozen=True, slots=True)
class Population(Plain):
    """Whose images trained, tuned and calibrated a model.

    `patients`: None where none is known. `sexes` (F, M), `views` and `sources` count images; those that do not tell are in none.
    """

    images: int
    patients: int | None
    ages: Ages | None
    sexes: dict[str, int]
    views: dict[str, int]
    sources: dict[str, int]

    @classmethod
    def of(cls, records: Iterable[ImageRecord]) -> Population:
        """Of the images that set a model; an age that cannot be is not known."""
        found = list(records)
        patients = {(r.source, r.patient) for r in found if r.patient is not None}
        return cls(
            images=len(found),
            patients=len(patients) or None,
            ages=Ages.of([r.age for r in found if r.age is not None and r.age_plausible]),
            sexes=_counts(r.sex for r in found),
            views=_counts(r.view for r in found),
            sources=_counts(r.source or None for r in found),
        )

    @classmethod
    def read(cls, provenance: dict[str, Any]) -> Population | None:
        """Of an artifact's provenance; None in artifacts that do not hold it."""
        return cls.from_dict(provenance["population"]) if "population" in provenance else None

    def __str__(self) -> str:
        """`1,204 images of 610 patients; aged ...; 300 female, 310 male; PA 800, AP 404; from nih 1,204`."""
        who = "unknown patients" if self.patients is None else format_count(self.patients, "[patient|patients]")
        sexes = ", ".join(f"{n:,} {NAMES.get(sex, sex)}" for sex, n in self.sexes.items())
        views, sources = (", ".join(f"{name} {n:,}" for name, n in each.items()) for each in (self.views, self.sources))
        return "; ".join(
            (
                f"{format_count(self.images, '[image|images]')} of {who}",
                "ages not known" if self.ages is None else str(self.ages),
                sexes or "sexes not known",
                views or "views not known",
                f"from {sources}" if sources else "source not named",
            )
        )

    def side(self) -> Literal["children", "adults"] | None:
        """Whom it is for, where fewer than 5 % of the known ages, and fewer than `FEW` images, are on the other side of 18 years.

        By the 5 % alone where nobody counted the children.
        """
        ages = self.ages
        if ages is None or ages.known < FEW:
            return None
        children = 0 if ages.children is None else ages.children
        adults = 0 if ages.children is None else ages.known - ages.children
        if ages.p5 >= ADULT and children < FEW:
            return "adults"
        return "children" if ages.p95 < ADULT and adults < FEW else None

    def is_outside(self, age: float) -> bool:
        """Whether an age is further from the median of the training ages than `_REACH` times their 5th or 95th percentile."""
        ages = self.ages
        if ages is None or ages.known < FEW:
            return False
        end = ages.p5 if age < ages.median else ages.p95
        return abs(age - ages.median) > _REACH * abs(end - ages.median)

    def few_of_side(self, age: float) -> bool:
        """Whether fewer than `FEW` training images are of the age's side of 18 years; False where nobody counted them."""
        ages = self.ages
        if ages is None or ages.children is None or ages.known < FEW:
            return False
        return (ages.children if age < ADULT else ages.known - ages.children) < FEW

    def only_sex(self) -> str | None:
        """The one sex of all training images that tell it."""
        return _only(self.sexes)

    def only_view(self) -> str | None:
        """The one view of all training images that tell it."""
        return _only(self.views)


def drawn(provenance: dict[str, Any]) -> bool:
    """Whether an artifact was trained on phantoms, as the name of its data in its provenance says."""
    return str((provenance.get("data") or {}).get("name", "")).startswith(PHANTOMS)


def judge_population(
    population: Population | None, age: float | None, sex: str | None, view: str | None = None
) -> Acceptance:
    """What a header's age in years, sex (F, M) and view say against a population; accepted where it does not tell."""
    if population is None:
        return Acceptance()
    found = Acceptance() if age is None or not 0 <= age <= OLDEST else _judge_age(population, age)
    if found.verdict == "refused":
        return found
    only = population.only_sex()
    if sex is not None and only is not None and sex != only:
        reason = f"all training patients were {NAMES.get(only, only)}, and the header says {NAMES.get(sex, sex)}"
        found += Acceptance("warning", (reason,))
    only = population.only_view()
    if only in PROJECTIONS and view in PROJECTIONS and view != only:
        reason = f"all training images whose view is known were {only}, and the header says {view}"
        found += Acceptance("warning", (reason,))
    return found


def _judge_age(population: Population, age: float) -> Acceptance:
    ages, side = population.ages, population.side()
    if ages is None:
        return Acceptance()
    span = f"{_years(ages.p5)} to {_years(ages.p95)} years (5th to 95th percentile)"
    other = "adults" if age >= ADULT else "children"
    if side is not None and other != side:
        reason = f"this model is for {side}: its training patients were {span}, and the header's age is of {other}"
        return Acceptance("refused", (reason,))
    if population.is_outside(age):
        return Acceptance("warning", (f"the header's age is far from those of the training patients, {span}",))
    if population.few_of_side(age):
        return Acceptance("warning", (f"the header's age is of {other}, and fewer than {FEW} training images were",))
    return Acceptance()


def _only(counts: dict[str, int]) -> str | None:
    known = [value for value, n in counts.items() if n]
    return known[0] if len(known) == 1 and counts[known[0]] >= FEW else None


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    return dict(Counter(value for value in values if value is not None).most_common())

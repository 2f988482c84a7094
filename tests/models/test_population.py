"""For whom a model is made: counts by hand, and the rule by which a header is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from cxreader.models.population import Ages, Population, judge_population
from cxreader.records import ImageRecord

Sex = Literal["F", "M"]


def _records(ages: list[float | None], sexes: Sequence[Sex] = ("F", "M")) -> list[ImageRecord]:
    return [
        ImageRecord(
            f"{k}.png", k % 2, patient=f"p{k // 2}", source="ward", age=age, sex=sexes[k % len(sexes)], view="PA"
        )
        for k, age in enumerate(ages)
    ]


CHILDREN = Population.of(_records([1.0 + k % 5 for k in range(40)]))
ADULTS = Population.of(_records([20.0 + k for k in range(60)], ("F",)))


def test_it_is_counted_and_said_in_words() -> None:
    found = Population.of([*_records([1.0, 2.0, 3.0, 60.0]), ImageRecord("x.png", 1, age=300.0, age_plausible=False)])
    assert (found.images, found.patients) == (5, 2)
    assert found.ages is not None
    assert (found.ages.known, found.ages.youngest, found.ages.oldest) == (4, 1, 60)
    assert (found.ages.p5, found.ages.median, found.ages.p95) == tuple(np.percentile([1, 2, 3, 60], (5, 50, 95)))
    assert (found.sexes, found.views, found.sources) == ({"F": 2, "M": 2}, {"PA": 4}, {"ward": 4})
    assert "5th to 95th percentile 1.1 to 51, median 2; 3 under 18;" in str(found), "1.15, 51.45 and 2.5 years"
    for words in ("5 images of 2 patients; aged 1 to 60 years", "2 female, 2 male; PA 4; from ward 4"):
        assert words in str(found)
    assert Population.from_dict(found.to_dict()) == found
    bare = Population.of([ImageRecord("a.png", 0)])
    assert (
        str(bare) == "1 image of unknown patients; ages not known; sexes not known; views not known; source not named"
    )


@pytest.mark.parametrize(
    ("population", "age", "sex", "verdict", "said"),
    [
        (CHILDREN, 81.0, None, "refused", "this model is for children: its training patients were 1 to 5 years"),
        (ADULTS, 4.0, None, "refused", "this model is for adults"),
        (CHILDREN, 9.0, None, "warning", "far from those of the training patients, 1 to 5 years"),
        (ADULTS, 95.0, "F", "warning", "far from those of the training patients, 23 to 76 years"),
        (ADULTS, 40.0, "M", "warning", "all training patients were female, and the header says male"),
        (CHILDREN, 3.0, "M", "accepted", ""),
        (CHILDREN, None, None, "accepted", ""),
        (CHILDREN, 999.0, None, "accepted", ""),
        (None, 81.0, "M", "accepted", ""),
        (Population.of(_records([3.0] * 19)), 81.0, None, "accepted", ""),
    ],
)
def test_a_header_outside_it_is_refused_or_warned_of(
    population: Population | None, age: float | None, sex: str | None, verdict: str, said: str
) -> None:
    found = judge_population(population, age, sex)
    assert found.verdict == verdict
    assert said in "; ".join(found.reasons)
    assert "81" not in "; ".join(found.reasons), "a patient's age stands in no message"


def _mixed(children: int, adults: int) -> Population:
    return Population.of(_records([*(1.0 + k % 17 for k in range(children)), *(20.0 + k % 50 for k in range(adults))]))


@pytest.mark.parametrize(
    ("children", "adults", "age", "verdict", "said"),
    [
        (1, 935, 2.0, "refused", "this model is for adults"),
        (1, 935, 17.0, "refused", "this model is for adults"),
        (1, 935, 18.0, "accepted", ""),
        (1, 935, 79.0, "warning", "far from those of the training patients, 22 to 67 years (5th to 95th percentile)"),
        (1, 935, 78.0, "accepted", ""),  # median 44.5, 95th percentile 67: 1.5 times 22.5 above is 78.25
        (1, 935, 30.0, "accepted", ""),
        (19, 900, 2.0, "refused", "this model is for adults"),
        (20, 900, 2.0, "warning", "far from those of the training patients"),
        (15, 45, 9.0, "warning", "of children, and fewer than 20 training images were"),
        (40, 60, 9.0, "accepted", ""),
        (200, 1, 30.0, "refused", "this model is for children"),
    ],
)
def test_a_few_of_the_other_side_of_eighteen_make_it_no_model_for_both(
    children: int, adults: int, age: float, verdict: str, said: str
) -> None:
    found = judge_population(_mixed(children, adults), age, None)
    assert found.verdict == verdict
    assert said in "; ".join(found.reasons)


def test_an_artifact_that_did_not_count_the_children_is_judged_by_its_percentiles() -> None:
    ages = {"known": 936, "youngest": 1.0, "p5": 20.0, "median": 38.0, "p95": 69.0, "oldest": 85.0}
    earlier = replace(ADULTS, ages=Ages.from_dict(ages), sexes={}, views={})
    found = {age: judge_population(earlier, age, None).verdict for age in (2.0, 18.0, 84.0, 85.0)}
    assert found == {2.0: "refused", 18.0: "accepted", 84.0: "accepted", 85.0: "warning"}
    assert "under 18" not in str(earlier)


@pytest.mark.parametrize(
    ("views", "view", "verdict"),
    [
        ({"PA": 342}, "AP", "warning"),
        ({"PA": 342}, "PA", "accepted"),
        ({"PA": 342}, "FRONTAL", "accepted"),
        ({"PA": 342}, "OTHER", "accepted"),
        ({"PA": 342}, None, "accepted"),
        ({"PA": 340, "AP": 2}, "AP", "accepted"),
        ({"FRONTAL": 342}, "AP", "accepted"),
        ({"PA": 19}, "AP", "accepted"),
    ],
)
def test_a_view_that_it_never_met_is_a_warning(views: dict[str, int], view: str | None, verdict: str) -> None:
    found = judge_population(replace(CHILDREN, views=views), None, None, view)
    assert found.verdict == verdict
    assert ("all training images whose view is known were PA, and the header says AP" in found.reasons) == (
        verdict == "warning"
    )

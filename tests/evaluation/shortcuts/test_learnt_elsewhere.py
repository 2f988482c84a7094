"""Baselines of the training images: what is kept of them says what scikit-learn's fit says, and what is missing says why."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxreader.errors import DataError, TableError
from cxreader.evaluation.shortcuts import cross_fit
from cxreader.evaluation.shortcuts.audit import audit_confounding
from cxreader.evaluation.shortcuts.baselines import Baseline, thumbnail_logistic
from cxreader.evaluation.shortcuts.image_features import image_features, thumbnails
from cxreader.evaluation.shortcuts.learnt_elsewhere import (
    NOT_STORED,
    StoredBaseline,
    answers_learnt_elsewhere,
    fit_image_baselines,
    image_columns,
    metadata_learnt_elsewhere,
    stored_baselines,
)
from cxreader.evaluation.shortcuts.records import BORDER, HERE, IMAGE_STATISTICS, METADATA, Leakage, ShortcutAudit
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.verdict import THUMBNAIL

RNG = np.random.default_rng(0)
LABEL = np.arange(80) % 2
SAMPLE = Sample(LABEL, np.arange(80) // 2)
PIXELS = (RNG.integers(0, 200, (80, 20, 20)) + 30 * LABEL[:, None, None]).astype(np.uint8)
OTHERS = RNG.integers(0, 256, (9, 20, 20)).astype(np.uint8)
ASPECT = np.linspace(0.8, 1.2, 80)
NOBODY = Leakage(known=True, asked=40, met_images=0, met_patients=0, left_out=True)


@pytest.fixture(scope="module")
def fitted() -> tuple[StoredBaseline, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_fit, "STRENGTHS", (1e-2,))
        return fit_image_baselines(image_features(PIXELS), ASPECT, SAMPLE)


def test_the_kept_numbers_say_what_scikit_learns_fit_says(fitted: tuple[StoredBaseline, ...]) -> None:
    kept = stored_baselines(json.loads(json.dumps({"baselines": [one.to_dict() for one in fitted]})))
    assert kept == fitted
    assert [(one.name, len(one.weights)) for one in kept] == [(IMAGE_STATISTICS, 14), (BORDER, 144), (THUMBNAIL, 256)]
    assert {(one.images, one.patients) for one in kept} == {(80, 40)}
    columns = image_columns(image_features(OTHERS), np.ones(9))
    train = image_columns(image_features(PIXELS), ASPECT)
    for found in answers_learnt_elsewhere(kept, columns):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-2, tol=1e-10, max_iter=10_000))
        expected = model.fit(train[found.name], LABEL).predict_proba(columns[found.name])[:, 1]
        assert found.probability is not None
        np.testing.assert_allclose(found.probability, expected, atol=1e-4)
        assert found.learnt == "elsewhere"


def test_the_thumbnail_kept_is_the_one_that_a_study_fits(
    fitted: tuple[StoredBaseline, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_fit, "STRENGTHS", (1e-2,))
    expected = thumbnail_logistic(PIXELS, LABEL, SAMPLE.groups, OTHERS)
    np.testing.assert_allclose(fitted[2].probability(thumbnails(OTHERS)), expected, atol=1e-6)


def test_what_yesterdays_artifact_does_not_hold_says_so() -> None:
    assert stored_baselines({}) == ()
    found = answers_learnt_elsewhere((), image_columns(image_features(OTHERS), np.ones(9)))
    assert [(one.name, one.reason) for one in found] == [(n, NOT_STORED) for n in (IMAGE_STATISTICS, BORDER, THUMBNAIL)]
    assert "holds no baseline of its training images" in NOT_STORED


def test_damage_and_other_features_are_refused(fitted: tuple[StoredBaseline, ...]) -> None:
    with pytest.raises(DataError, match="the baselines of the training images cannot be read"):
        stored_baselines({"baselines": [{"name": THUMBNAIL}]})
    with pytest.raises(TableError, match="16 x 16 thumbnail: features"):
        fitted[2].probability(np.zeros((2, 3)))


def test_metadata_learn_on_the_training_tables_and_answer_for_the_judged() -> None:
    """Abnormal were the old in training, and the young are in the test: what was learnt elsewhere ranks the wrong way round."""
    age = np.where(LABEL == 1, 70.0, 30.0) + np.arange(80) % 7
    found = metadata_learnt_elsewhere(
        SAMPLE, {"age": age}, {"age": np.array([25.0, 80.0]), "sex": np.array(["F", "M"])}
    )
    assert found.what == "age"
    assert found.probability is not None
    assert found.probability[0] < 0.2 < 0.8 < found.probability[1]
    silent = metadata_learnt_elsewhere(SAMPLE, {"age": np.full(80, 5.0)}, {"age": np.array([25.0, 80.0])})
    assert (silent.name, silent.probability, silent.reason) == (
        METADATA,
        None,
        "the training tables tell nothing that varies",
    )


def _audit(here: float, elsewhere: float) -> ShortcutAudit:
    label = np.arange(1600) % 2
    noise = np.random.default_rng(1).normal(size=(3, 1600))
    model, own, other = (1 / (1 + np.exp(-(k * label + e))) for k, e in zip((2.0, here, elsewhere), noise, strict=True))
    baselines = [Baseline(BORDER, "the border", own, None, HERE)]
    trained = [Baseline(BORDER, "the border", other, None, "elsewhere")]
    return audit_confounding(
        Sample(label, np.arange(1600)),
        model,
        baselines,
        {},
        elsewhere=trained,
        source=np.array(["a"] * 1600),
        leakage=NOBODY,
        n_resamples=60,
    )


def test_the_audit_decides_by_what_was_learnt_here_and_shows_both() -> None:
    innocent = _audit(here=0.0, elsewhere=2.5)
    assert (innocent.verdict, innocent.best) == ("not found", BORDER)
    assert [one.title for one in innocent.beside] == [f"{BORDER}, learnt here", f"{BORDER}, learnt elsewhere"]
    assert innocent.elsewhere[0].auc.low > 0.9
    assert not innocent.elsewhere[0].counts
    suspected = _audit(here=2.5, elsewhere=0.0)
    assert suspected.verdict == "suspected"
    assert suspected.reasons[0].startswith("border only, learnt here: AUC 0.9")
    assert ShortcutAudit.from_dict(suspected.to_dict()).elsewhere == suspected.elsewhere


def test_yesterdays_audit_opens_and_says_nothing_of_where() -> None:
    old = _audit(here=0.0, elsewhere=0.0).to_dict() | {"schema": 1}
    del old["elsewhere"]
    for one in old["baselines"]:
        del one["learnt"]
    found = ShortcutAudit.from_dict(old)
    assert [one.title for one in found.beside] == [BORDER]

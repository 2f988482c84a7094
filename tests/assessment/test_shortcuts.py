"""The audit for shortcuts from files to verdict, with readers whose eyes are known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.assessment.shortcut_world import Corner, Patches, make_images, make_reader

from cxreader.assessment.cohort import EvaluationCohort, cohort_of_source
from cxreader.assessment.shortcuts.audit import audit_shortcuts, write_audit
from cxreader.assessment.shortcuts.tables import metadata, sources
from cxreader.data.index import Index
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.data.sources import open_source
from cxreader.data.split import make_split
from cxreader.errors import DataError
from cxreader.evaluation.shortcuts.audit import MODEL_BORDER, MODEL_CENTRE, labels_coincide
from cxreader.evaluation.shortcuts.baselines import confounder_baselines
from cxreader.evaluation.shortcuts.image_features import image_features
from cxreader.evaluation.shortcuts.records import (
    BORDER,
    IMAGE_STATISTICS,
    METADATA,
    BaselineComparison,
    ShortcutAudit,
)
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.verdict import THUMBNAIL
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import read
from cxreader.progress import no_bar
from cxreader.records import ImageRecord


@pytest.fixture(scope="module", autouse=True)
def _two_strengths() -> Iterator[None]:
    """Fewer fits; which strength is best is tested where it is chosen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxreader.evaluation.shortcuts.cross_fit.STRENGTHS", (1e-2, 1e-1))
        yield


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("clean"), 420)


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("marked"), 120, marker=True)


@pytest.fixture(scope="module")
def honest(clean: Path) -> ShortcutAudit:
    return audit_shortcuts(make_reader(Patches()), cohort_of_source(str(clean)), bar=no_bar, n_resamples=400)


def _of(audit: ShortcutAudit, name: str) -> BaselineComparison:
    return next(confounder for confounder in (*audit.baselines, *audit.views) if confounder.name == name)


def test_where_there_is_no_shortcut_none_is_found(honest: ShortcutAudit) -> None:
    assert honest.verdict == "not found", honest.reasons
    assert honest.model.value == pytest.approx(0.95, abs=0.03)
    for name in (BORDER, METADATA, IMAGE_STATISTICS, THUMBNAIL):
        assert _of(honest, name).auc.value < 0.58
    assert _of(honest, METADATA).what == "age, source"
    assert (honest.counts.images, honest.counts.patients) == (840, 420)
    assert honest.leakage.lines == (
        "none of 840 images is of a patient who set the model",
        "whether a picture set the model cannot be known: the artifact holds no hashes of its images",
    )


def test_the_model_itself_is_read_on_the_border_and_on_the_centre_alone(honest: ShortcutAudit) -> None:
    """The patches lie in the centre: without it this model answers every image alike, without the border it loses nothing."""
    assert _of(honest, MODEL_BORDER).auc.value == pytest.approx(0.5, abs=0.06)
    assert _of(honest, MODEL_CENTRE).auc.value == pytest.approx(honest.model.value, abs=0.01)
    assert honest.best not in (MODEL_BORDER, MODEL_CENTRE)


def test_the_planted_marker_is_suspected_by_the_border_and_by_the_lead(marked: Path) -> None:
    audit = audit_shortcuts(make_reader(Patches()), cohort_of_source(str(marked)), bar=no_bar, n_resamples=400)
    assert audit.verdict == "suspected"
    assert _of(audit, BORDER).auc.low > 0.8
    assert any(reason.startswith("border only, learnt here: AUC 0.9") for reason in audit.reasons)


def test_a_model_that_looks_at_the_marker_gives_itself_away(marked: Path) -> None:
    audit = audit_shortcuts(make_reader(Corner()), cohort_of_source(str(marked)), bar=no_bar, n_resamples=400)
    view, centre = _of(audit, MODEL_BORDER), _of(audit, MODEL_CENTRE)
    assert view.auc.value == audit.model.value
    assert (centre.auc.value, centre.auc.low, centre.auc.high) == (0.5, 0.5, 0.5)
    assert any(reason.startswith("the model on the border alone") for reason in audit.reasons)
    assert any("best baseline" in reason for reason in audit.reasons)


def test_source_equal_to_label_is_suspected(tmp_path: Path) -> None:
    world = make_images(tmp_path / "ward", 30, ward=True)
    audit = audit_shortcuts(make_reader(Patches()), cohort_of_source(str(world)), bar=no_bar, n_resamples=100)
    assert audit.verdict == "suspected"
    assert audit.reasons[0].startswith("label and source coincide")
    assert _of(audit, METADATA).auc.value == 1.0


def test_few_patients_cannot_say(tmp_path: Path) -> None:
    world = make_images(tmp_path / "few", 12, seed=3)
    audit = audit_shortcuts(make_reader(Patches()), cohort_of_source(str(world)), bar=no_bar, n_resamples=200)
    assert audit.verdict == "too few patients to say"


def test_patients_who_set_the_model_are_measured_and_left_out(clean: Path, honest: ShortcutAudit) -> None:
    index = open_source(str(clean))
    train = tuple((record.source, str(record.patient)) for record in index.records[:100:2])
    audit = audit_shortcuts(make_reader(Patches(), train), cohort_of_source(str(clean)), bar=no_bar, n_resamples=50)
    assert audit.counts.excluded == {"the patient set this model (train)": audit.leakage.met_images}
    assert audit.leakage.met_images == 840 - audit.counts.images
    assert audit.leakage.met_patients >= 50
    assert not audit.leakage.judged_met


def test_a_split_by_image_is_audited_with_its_leak_measured(clean: Path) -> None:
    index = open_source(str(clean))
    split = make_split(index, kind="image-random")
    train = tuple((r.source, str(r.patient)) for r in split.records(index, "train"))
    cohort = EvaluationCohort(index, split.records(index, "test"), "test", split, own=True)
    audit = audit_shortcuts(make_reader(Patches(), train), cohort, bar=no_bar, n_resamples=50)
    in_train = set(train)
    shared = sum((r.source, r.patient) in in_train for r in cohort.records)
    found = audit.leakage
    assert (found.met_images, found.split_images, found.left_out) == (shared, shared, False)
    assert audit.counts.images == len(cohort.records)
    parts = {r.image: split.part_of[r.image] for part in split.parts for r in split.records(index, part)}
    twice: dict[tuple[str, str | None], set[str]] = {}
    for image, part in parts.items():
        record = index.by_image[image]
        twice.setdefault((record.source, record.patient), set()).add(part)
    assert found.split_patients == sum(len(where) > 1 for where in twice.values())
    assert any("may know them" in caution for caution in audit.cautions)


def test_nobody_left_and_unreadable_images(clean: Path, tmp_path: Path) -> None:
    world = make_images(tmp_path / "torn", 20)
    (world / "0003_0.png").write_bytes(b"torn")
    audit = audit_shortcuts(make_reader(Patches()), cohort_of_source(str(world)), bar=no_bar, n_resamples=50)
    assert audit.counts.excluded == {"the image cannot be read": 1}
    assert audit.counts.images == 39
    index = open_source(str(world))
    everybody = tuple((record.source, str(record.patient)) for record in index.records)
    with pytest.raises(DataError, match="no image is left to judge"):
        audit_shortcuts(make_reader(Patches(), everybody), cohort_of_source(str(world)), bar=no_bar)


def test_without_patients_it_is_said(tmp_path: Path) -> None:
    world = make_images(tmp_path / "world", 20)
    for label in ("normal", "abnormal"):
        (tmp_path / "tree" / label).mkdir(parents=True)
    for line in (world / "labels.csv").read_text().splitlines()[1:]:
        image, label = line.split(",")[:2]
        shutil.copy(world / image, tmp_path / "tree" / label / image)
    audit = audit_shortcuts(
        make_reader(Patches()), cohort_of_source(str(tmp_path / "tree")), bar=no_bar, n_resamples=50
    )
    assert audit.counts.patients is None
    assert any("40 of 40 images name no patient" in warning for warning in audit.warnings)
    assert not audit.coincide  # the folders bear the label's name, which is no source
    assert _of(audit, "patient identity").auc.reason == "no patient is known"


def test_the_cache_is_kept_where_it_is_wanted_and_nowhere_else(tmp_path: Path) -> None:
    world = make_images(tmp_path / "world", 20)
    before = set(tmp_path.iterdir())
    cohort = cohort_of_source(str(world))
    one = audit_shortcuts(make_reader(Patches()), cohort, bar=no_bar, n_resamples=20)
    assert set(tmp_path.iterdir()) == before
    other = audit_shortcuts(make_reader(Patches()), cohort, bar=no_bar, cache=tmp_path / "cache", n_resamples=20)
    assert (tmp_path / "cache").is_dir()
    assert one.model == other.model


def test_what_is_written_is_the_record_and_one_page(honest: ShortcutAudit, tmp_path: Path) -> None:
    write_audit(honest, tmp_path / "out")
    stored = json.loads((tmp_path / "out/shortcuts.json").read_text())
    assert ShortcutAudit.from_dict(stored).to_dict() == honest.to_dict()
    assert honest.line in (tmp_path / "out/shortcuts.html").read_text()


def test_prepared_pixels_are_read_as_files_are(clean: Path) -> None:
    reader = make_reader(Patches())
    files = sorted(clean.glob("*.png"))[:5]
    pixels = np.stack([reader.artifact.spec.pixels(read(path)) for path in files])
    expected = np.array([reading.probability for reading in reader.read_many(files)], np.float64)
    np.testing.assert_allclose(reader.probabilities(pixels, batch_size=2), expected)
    assert reader.probabilities(pixels[:0]).shape == (0,)


def test_metadata_come_from_the_tables_alone() -> None:
    record = ImageRecord(
        "a",
        1,
        age=411,
        age_plausible=False,
        sex="F",
        view="AP",
        follow_up=0,
        width=2500,
        height=2048,
        spacing=(0.1, 0.2),
    )
    found = metadata([record, ImageRecord("b", 0)], np.array(["s", "s"]))
    assert np.isnan(found["age"]).all()
    assert found["sex"].tolist() == ["F", ""]
    assert found["visit"].tolist() == ["first", ""]
    assert found["size"].tolist() == ["2500 x 2048", ""]
    assert found["spacing"][0] == pytest.approx(0.15)
    assert set(found) == {"age", "sex", "view", "follow_up", "visit", "width", "height", "size", "spacing", "source"}


def test_a_releases_folders_are_sources_and_other_folders_are_not() -> None:
    records = tuple(ImageRecord(f"{k}", k, path=f"/data/images_00{k}/{k}.png", source="nih") for k in (0, 1))
    nih = Index(records, name="nih", kind="nih", root="/data")
    assert sources(nih, records).tolist() == ["nih images_000", "nih images_001"]
    table = Index(records, name="nih", kind="table", root="/data")
    assert sources(table, records).tolist() == ["nih", "nih"]


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "expected", "coincide"),
    [
        ("nih", {IMAGE_STATISTICS: (0.78, 0.93), BORDER: (0.68, 0.85)}, True),
        ("kermany", {BORDER: (0.88, 0.97), THUMBNAIL: (0.95, 1.0)}, False),
    ],
)
def test_real_folders_give_their_baselines_away(
    images_root: Path, tmp_path: Path, name: str, expected: dict[str, tuple[float, float]], coincide: bool
) -> None:
    """A quick look by patient: nih statistics 0.88, border 0.75, source equals label; kermany border 0.93, thumbnail 0.98."""
    index = open_source(str(images_root / name))
    cache = build_cache(index.records, InputSpec(128), tmp_path)
    images = image_features(cache.pixels, cache.rows(r.image for r in index.records))
    sample = Sample(index.labels, np.unique([r.group for r in index.records], return_inverse=True)[1])
    source = sources(index, index.records)
    assert labels_coincide(sample, source) is coincide
    found = {b.name: b.probability for b in confounder_baselines(sample, images=images)}
    for baseline, (low, high) in expected.items():
        assert low < roc_auc_score(index.labels, found[baseline]) < high

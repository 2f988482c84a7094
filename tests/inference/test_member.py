"""One model's Readings: the out-of-distribution score and the DICOM instance beside the answer."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.dicom_files import DX, dataset, encoded, picture
from tests.models.data import TINY

from cxreader import Radiograph, Reader
from cxreader.errors import ImageError
from cxreader.imaging.read import read
from cxreader.inference.member import Member
from cxreader.models import registry
from cxreader.models.acceptance.orientation import standardised_thumbnails

pytestmark = pytest.mark.usefixtures("few_images_suffice")

DATA = Path(__file__).parents[1] / "models" / "data"
UID = "1.2.826.0.1.3680043.8.498.4711"


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """With a detector, and a network of two blocks."""
    monkeypatch.setitem(registry._MODELS, TINY.name, TINY)
    return Reader.load(DATA / "schema3")


def _chest() -> Radiograph:
    return read(DATA / "036_0.png")


def test_the_score_is_the_detectors_in_multiples_of_its_threshold(reader: Reader) -> None:
    detector, spec = reader.only.ood_detector, reader.artifact.spec
    assert detector is not None
    near, far = reader.read(DATA / "036_0.png"), reader.read(DATA / "101_0.png")
    pixels = np.stack([spec.pixels(read(DATA / name)) for name in ("036_0.png", "101_0.png")])
    features = reader.backend.run(spec.normalise(pixels)).features
    by_hand = (
        np.sqrt(detector.features.apply(features) * detector.picture.apply(standardised_thumbnails(pixels)))
        / detector.ood_threshold
    )
    assert [near.ood_score, far.ood_score] == pytest.approx(by_hand.tolist(), rel=1e-5)
    assert (near.acceptance, far.acceptance) == ("accepted", "refused")
    assert near.ood_score is not None
    assert far.ood_score is not None
    assert near.ood_score <= 1 < far.ood_score
    answered = next(reader.read_many([DATA / "101_0.png"], refuse=False))
    assert answered.probability is not None
    assert answered.ood_score == pytest.approx(far.ood_score)


def test_who_was_shown_to_no_network_or_has_no_detector_has_no_score(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"torn")
    small = np.random.default_rng(0).random((40, 40))
    blank, torn = reader.read_many([small, tmp_path / "torn.png"])
    assert (blank.acceptance, torn.acceptance) == ("refused", None)
    assert (blank.ood_score, torn.ood_score) == (None, None)
    without = replace(reader.artifact, acceptance=None)
    unwatched = Reader([Member(without, reader.backend, reader.operating_point)])
    found = unwatched.read(DATA / "101_0.png")
    assert (found.probability is None, found.ood_score) == (False, None)


def test_a_dicom_file_keeps_its_instance_also_when_it_is_refused(reader: Reader) -> None:
    pixels = np.rint(_chest().pixels * 4095).astype(np.int64)
    shown: dict[str, Any] = {"SOPInstanceUID": UID, "WindowCenter": "2048", "WindowWidth": "4096"}
    frontal, lateral = dataset(pixels, **shown), dataset(pixels, **shown, ViewPosition="LL")
    nameless = dataset(pixels, **{**shown, "SOPInstanceUID": None})
    a, b, c, d = reader.read_many([encoded(frontal), encoded(lateral), nameless, DATA / "036_0.png"])
    assert (a.acceptance, a.probability is None, b.acceptance) == ("accepted", False, "refused")
    assert [(r.sop_class, r.sop_instance_uid) for r in (a, b, c, d)] == [(DX, UID), (DX, UID), (DX, None), (None, None)]
    assert b.ood_score is None


def test_no_message_or_log_names_the_instance(reader: Reader, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        whole = encoded(dataset(picture(), SOPInstanceUID=UID, BodyPartExamined="FOOT"))
        refused = reader.read(whole)
        torn = next(reader.read_many([whole[: len(whole) // 2]]))
        with pytest.raises(ImageError) as caught:
            reader.read(whole[: len(whole) // 2])
    assert refused.sop_instance_uid == UID
    assert torn.sop_instance_uid is None
    for said in (*refused.reasons, *refused.notes, *torn.reasons, str(caught.value), caplog.text):
        assert UID not in said

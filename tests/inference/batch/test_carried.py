"""A reader that was sent answers as the one that was sent, and brings no more than its runtime reads."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.artifacts import hand_made, random_region_head, region_bytes
from tests.assessment.shortcut_world import make_reader
from tests.inference.batch.world import Watched, distinct

from cxreader.errors import ArtifactError, UsageError
from cxreader.imaging.vocabulary.site_terms import SiteTerms
from cxreader.inference.batch.carried import CarriedReader
from cxreader.inference.batch.work import identity_of
from cxreader.inference.member import Member
from cxreader.inference.reader import Reader
from cxreader.inference.runtimes.export import export_onnx
from cxreader.models.registry import create_model
from cxreader.records import OperatingPoint


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """A model by ONNX Runtime at a threshold of its own, and one with a region head by torch."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for name in "ab":
        model = create_model("resnet18", dropout=0.2, size=64)
        record, head = random_region_head(model, 64)
        regions = None if name == "a" else (record, region_bytes(head))
        hand_made(folder / name, "resnet18", model.state_dict(), 64, regions=regions)
    export_onnx(folder / "a")
    first, second = Member.load(folder / "a", backend="onnx"), Member.load(folder / "b", backend="torch")
    moved = Member(first.artifact, first.backend, OperatingPoint.given(0.25), first.folder)
    return Reader([moved, second], site=SiteTerms.from_dict({"view": {"stehend": "AP"}}))


def test_it_answers_alike_and_tells_the_same_of_itself(two: Reader, tmp_path: Path) -> None:
    sent = pickle.loads(pickle.dumps(CarriedReader.of(two))).opened()  # noqa: S301 - its own
    assert identity_of(sent) == identity_of(two)
    for file in distinct(tmp_path, 3):
        here, there = two.read(file, heat_map=False), sent.read(file, heat_map=False)
        assert (there.probability, there.decision, there.artifact) == (here.probability, here.decision, here.artifact)
    regions = [
        reader.members[1].backend.run(np.zeros((1, 3, 64, 64), np.float32), maps=True).regions for reader in (two, sent)
    ]
    assert np.array_equal(np.asarray(regions[0]), np.asarray(regions[1]))


def test_it_brings_what_its_runtimes_read_and_no_more(two: Reader) -> None:
    by_onnx, by_torch = CarriedReader.of(two).members
    export = two.members[0].artifact.exports["onnx"]["file"]
    assert set(by_onnx.files) == {"artifact.json", export}
    head = two.members[1].artifact.region_head
    assert head is not None
    assert set(by_torch.files) == {"artifact.json", "model.safetensors", head.file}


def test_what_was_damaged_on_the_way_is_refused(two: Reader) -> None:
    carried = CarriedReader.of(two)
    files = carried.members[0].files
    export = two.members[0].artifact.exports["onnx"]["file"]
    files[export] = files[export][:-1] + b"?"
    with pytest.raises(ArtifactError, match="damaged: not the onnx export"):
        carried.opened()


def test_one_that_lies_in_no_folder_cannot_be_sent() -> None:
    with pytest.raises(UsageError, match="lies in no folder cannot be sent to other machines; save its artifact first"):
        CarriedReader.of(make_reader(Watched()))

"""The digests of the pictures that set a model: packed, sorted, found again."""

from __future__ import annotations

import base64
import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreader.errors import ArtifactError
from cxreader.models.training_images import TrainingImages


def _mark(n: int) -> bytes:
    return hashlib.sha256(str(n).encode()).digest()[:8]


def test_packed_by_hand() -> None:
    images = TrainingImages.of(
        {"train": [struct.pack(">Q", 3), struct.pack(">Q", 1), struct.pack(">Q", 3)], "tune": []}
    )
    assert images.parts == {"train": base64.b64encode(struct.pack(">QQ", 1, 3)).decode(), "tune": ""}
    assert TrainingImages.from_dict(images.to_dict()) == images
    assert images.part_of([struct.pack(">Q", 3)]) == "train"
    assert images.part_of([struct.pack(">Q", 2)]) is None


@given(st.sets(st.integers(0, 200), max_size=60), st.lists(st.integers(0, 200), max_size=3))
def test_any_one_of_an_images_digests_is_enough(known: set[int], asked: list[int]) -> None:
    images = TrainingImages.of({"train": map(_mark, known), "calibrate": [_mark(999)]})
    expected = "train" if known & set(asked) else None
    assert images.part_of(map(_mark, asked)) == expected
    assert images.part_of([*map(_mark, asked), _mark(999)]) == (expected or "calibrate")


@pytest.mark.parametrize("text", ["not base64!", "AAAA"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ArtifactError, match="the hashes of the training images cannot be read"):
        TrainingImages({"train": text}).part_of([_mark(1)])

"""What a whole picture says, each rule met by a picture made to break it and by one just inside it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import read
from cxreader.models.acceptance.picture import judge_picture


def _picture(pixels: np.ndarray, colour: float = 0.0) -> Radiograph:
    return Radiograph(pixels.astype(np.float32), "picture", colour=colour)


def _grey(height: int = 200, width: int = 200) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.2, 0.8, (height, width))


def test_an_ordinary_picture_is_accepted() -> None:
    assert judge_picture(_picture(_grey())).verdict == "accepted"
    assert judge_picture(_picture(_grey(64, 64))).verdict == "accepted"


@pytest.mark.parametrize(
    ("pixels", "word"),
    [
        (_grey(63, 200), "too small"),
        (_grey(100, 320), "no shape"),
        (np.full((200, 200), 0.5), "blank"),
        (np.repeat(np.linspace(0, 1, 200)[:, None], 200, 1), "empty"),
        (np.add.outer(np.linspace(-1, 1, 200) ** 2, np.linspace(0, 1, 200)) / 3, "empty"),
        (np.clip(_grey() + (np.arange(200) < 104)[:, None], 0, 1), "over-exposed"),
        (np.where(np.arange(200)[:, None] < 174, 0, _grey()), "under-exposed"),
    ],
)
def test_each_unfit_picture_is_refused_with_its_reason(pixels: np.ndarray, word: str) -> None:
    found = judge_picture(_picture(pixels))
    assert found.verdict == "refused"
    assert word in found.reasons[0]


def test_half_a_picture_of_collimated_black_is_no_reason() -> None:
    assert judge_picture(_picture(np.where(np.arange(200)[:, None] < 150, 0, _grey()))).verdict == "accepted"


def test_a_colour_photograph_is_refused_and_a_grey_one_stored_in_colour_is_not(tmp_path: object) -> None:
    from io import BytesIO

    random = np.random.default_rng(1)
    grey = np.repeat(random.integers(40, 220, (200, 200, 1)), 3, 2).astype(np.uint8)
    tinted = grey.copy()
    tinted[..., 2] //= 2
    verdicts = []
    for picture in (grey, tinted):
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        verdicts.append(judge_picture(read(buffer.getvalue())).verdict)
    assert verdicts == ["accepted", "refused"]


@pytest.mark.real
def test_no_real_radiograph_is_refused_by_its_look_alone(images_root: object) -> None:
    from pathlib import Path

    root = Path(str(images_root))
    files = [*sorted((root / "nih_originals").rglob("*.png")), *sorted((root / "nih_64px").rglob("*.png"))[:200]]
    files += sorted((root / "kermany" / "images").rglob("*.jpeg"))[::20]
    refused = [path.name for path in files if judge_picture(read(path)).verdict == "refused"]
    assert len(files) > 400
    assert refused == []

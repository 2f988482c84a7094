"""What a header and a whole picture say, each rule met by a picture made to break it and by one just inside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cxreader.imaging.dicom.header import DicomHeader
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import read
from cxreader.models.acceptance.radiograph import judge_header, judge_picture

FRONTAL_CHEST = DicomHeader(modality="DX", body_part="CHEST", view_position="PA")


def _picture(pixels: np.ndarray, colour: float = 0.0) -> Radiograph:
    return Radiograph(pixels.astype(np.float32), "picture", colour=colour)


def _grey(height: int = 200, width: int = 200) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.2, 0.8, (height, width))


def test_a_frontal_chest_and_a_file_without_a_header_are_accepted() -> None:
    assert judge_header(FRONTAL_CHEST).verdict == "accepted"
    assert judge_header(None).verdict == "accepted"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"modality": "CT"}, "modality CT"),
        ({"modality": "IO"}, "modality IO"),
        ({"body_part": "RIBCAGE"}, "body part RIBCAGE"),
        ({"body_part": "ABDOMEN"}, "body part ABDOMEN"),
        ({"view_position": "LL"}, "view LL"),
        ({"view_position": None, "patient_position": "XX"}, "the header's view is no known term: only AP, PA are read"),
        ({"view_position": "OTHER"}, "the header's view is no known term: only AP, PA are read"),
        ({"body_part": "OTHER"}, "the header's body part is no known term"),
        ({"view_position": None, "patient_orientation": "A\\F"}, "patient orientation is that of a lateral view"),
        ({"view_position": "LATERAL", "patient_position": "PA"}, "view LATERAL"),
    ],
)
def test_another_modality_body_part_or_view_is_refused_and_named(change: dict[str, str | None], word: str) -> None:
    found = judge_header(replace(FRONTAL_CHEST, **change))  # type: ignore[arg-type]
    assert found.verdict == "refused"
    assert word in found.reasons[0]


def test_a_frontal_view_in_a_lateral_orientation_is_a_warning_and_a_frontal_orientation_is_none() -> None:
    found = judge_header(replace(FRONTAL_CHEST, patient_orientation="P\\F"))
    assert (found.verdict, len(found.reasons)) == ("warning", 1)
    assert "says view PA, but its patient orientation" in found.reasons[0]
    assert judge_header(replace(FRONTAL_CHEST, patient_orientation="L\\F")).verdict == "accepted"


def test_how_the_patient_stood_is_no_view() -> None:
    for posture in ("HFS", "ERECT", "STANDING", "SUPINE"):
        found = judge_header(replace(FRONTAL_CHEST, view_position=None, patient_position=posture))
        assert (found.verdict, found.reasons) == ("warning", ("the header tells no view",))


def test_an_image_for_processing_is_known_by_its_intent_and_by_its_class() -> None:
    by_class = judge_header(replace(FRONTAL_CHEST, sop_class="1.2.840.10008.5.1.4.1.1.1.1.1"))
    assert by_class.verdict == "warning"
    assert by_class == judge_header(replace(FRONTAL_CHEST, presentation_intent="FOR PROCESSING"))


@pytest.mark.parametrize("missing", ["modality", "body_part", "view_position"])
def test_what_is_not_told_is_a_warning(missing: str) -> None:
    found = judge_header(replace(FRONTAL_CHEST, **{missing: None}))  # type: ignore[arg-type]
    assert found.verdict == "warning"
    assert found.reasons == (f"the header tells no {missing.removesuffix('_position').replace('_', ' ')}",)


def test_the_view_may_stand_in_patient_position_and_the_sop_class_decides_nothing() -> None:
    for position in ("PA", "AP"):
        told = replace(FRONTAL_CHEST, view_position=None, patient_position=position)
        assert judge_header(told).verdict == "accepted"
    secondary = replace(FRONTAL_CHEST, sop_class="1.2.840.10008.5.1.4.1.1.7")
    assert judge_header(secondary).verdict == "accepted"


def test_the_gravest_verdict_counts_with_its_reasons_and_the_rest_are_notes() -> None:
    found = judge_header(replace(FRONTAL_CHEST, modality="CT", body_part=None, presentation_intent="FOR PROCESSING"))
    assert found.verdict == "refused"
    assert found.reasons == ("the header says modality CT: only CR, DX, RF, RG are read",)
    assert sorted(note.split(":")[0] for note in found.notes) == [
        "for processing, not for presentation",
        "the header tells no body part",
    ]


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

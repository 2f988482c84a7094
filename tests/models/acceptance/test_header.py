"""What a header says, each rule met by a header made to break it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxreader.imaging.header import DicomHeader
from cxreader.models.acceptance.header import judge_header

FRONTAL_CHEST = DicomHeader(modality="DX", body_part="CHEST", view_position="PA")


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
        ({"view_position": None, "patient_orientation": "A\\F"}, "patient orientation is that of a lateral view"),
        ({"view_position": "LATERAL", "patient_position": "PA"}, "view LATERAL"),
    ],
)
def test_another_modality_body_part_or_view_is_refused_and_named(change: dict[str, str | None], word: str) -> None:
    found = judge_header(replace(FRONTAL_CHEST, **change))  # type: ignore[arg-type]
    assert found.verdict == "refused"
    assert word in found.reasons[0]


def test_an_animal_is_refused() -> None:
    found = judge_header(replace(FRONTAL_CHEST, animal=True))
    assert (found.verdict, found.reasons) == ("refused", ("the header names another species than man",))


def test_a_frontal_view_in_a_lateral_orientation_is_a_warning_and_a_frontal_orientation_is_none() -> None:
    found = judge_header(replace(FRONTAL_CHEST, patient_orientation="P\\F"))
    assert (found.verdict, len(found.reasons)) == ("warning", 1)
    assert "says view PA, but its patient orientation" in found.reasons[0]
    assert judge_header(replace(FRONTAL_CHEST, patient_orientation="L\\F")).verdict == "accepted"


@pytest.mark.parametrize("told", ["L\\H", "F\\R", "H\\L", "F\\L", "R\\H"])
def test_a_picture_that_does_not_stand_upright_is_a_warning(told: str) -> None:
    found = judge_header(replace(FRONTAL_CHEST, patient_orientation=told))
    words = f"the header's patient orientation is {told}: an upright chest has L\\F"
    assert (found.verdict, found.reasons) == ("warning", (words,))


def test_a_mirrored_picture_is_accepted_with_a_note_and_an_oblique_upright_one_without() -> None:
    found = judge_header(replace(FRONTAL_CHEST, patient_orientation="R\\F"))
    assert found.verdict == "accepted"
    assert found.notes == (
        "the header's patient orientation is that of a mirrored picture, the patient's right on its right (R\\F)",
    )
    assert judge_header(replace(FRONTAL_CHEST, patient_orientation="LF\\FR")).notes == ()


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

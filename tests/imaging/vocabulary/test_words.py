"""Which term the words of a header mean, and a site's own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.dicom_files import dataset, encoded, picture

from cxreader.errors import ConfigError
from cxreader.imaging.read import read, read_header
from cxreader.imaging.vocabulary.site_terms import SiteTerms
from cxreader.imaging.vocabulary.words import OTHER, folded, term_of
from cxreader.models.acceptance.header import judge_header

CHESTS = """
    CHEST:THORAX:TORAX:PECHO:LUNGS:Brustkorb:CHEST_2VIEWS:CXR:RX_TORAX_PA:THORAX.A.P.:POUMONS:Torace:CHESTPA:CHEST 2 VIEWS:
    NON GRID CHEST:PORTABLE CHEST:PEDIATRIC CHEST:Chest, portable AP:CHEST (SUPINE):TÓRAX
    """
OTHERS = {
    "HAND": "HAND", "ABDOMEN CHEST": "ABDOMEN", "chest/abdomen": "ABDOMEN", "THORACIC SPINE": "SPINE", "KUB": "ABDOMEN",
    "RIBS LEFT": "RIB", "CSPINE": "CSPINE", "PELVIS AP": "PELVIS",
}  # fmt: skip
VIEWS = {
    "PA": "PA", "P.A.": "PA", "POSTEROANTERIOR": "PA", "Postero-Anterior": "PA", "ANTEROPOSTERIOR": "AP", "AP PORTABLE": "AP",
    "AP_SUPINE": "AP", "CHEST PA": "PA", "FRONTAL": "FRONTAL", "W PA": "PA",
    "LARGE LATERAL": "LATERAL", "LEFT LATERAL": "LATERAL", "L LAT": "LATERAL", "PERFIL": "LATERAL", "LL": "LL",
    "OBLICUA": "OBLIQUE",
    "PA LORDOTIC": "LORDOTIC", "AP LLD": "AP LLD", "DECUB LEFT": "DECUBITUS",
}  # fmt: skip


@pytest.mark.parametrize("words", [words.strip() for words in CHESTS.split(":")])
def test_a_chest_by_any_name_is_accepted(words: str) -> None:
    made = dataset(picture())
    made.add_new("BodyPartExamined", "LO", words)
    assert judge_header(read(encoded(made)).header).verdict == "accepted"


def test_accents_in_any_character_set_are_looked_through() -> None:
    for charset in ("ISO_IR 100", "ISO_IR 192"):
        made = dataset(picture(), SpecificCharacterSet=charset)
        made.add_new("BodyPartExamined", "LO", "TÓRAX")
        assert read_header(encoded(made)).body_part == "CHEST"
    assert folded(" Schräg,  seitlich_2 ") == "SCHRAG SEITLICH 2"


@pytest.mark.parametrize("words", OTHERS)
def test_another_part_is_refused_among_other_words_too(words: str) -> None:
    made = dataset(picture())
    made.add_new("BodyPartExamined", "LO", words)
    found = judge_header(read(made).header)
    assert (found.verdict, found.reasons[0]) == (
        "refused",
        f"the header says body part {OTHERS[words]}: only CHEST, LUNG, THORAX are read",
    )


@pytest.mark.parametrize("words", VIEWS)
def test_views(words: str) -> None:
    made = dataset(picture())
    made.add_new("ViewPosition", "LO", words)
    header = read_header(encoded(made))
    assert header.view == VIEWS[words]
    assert judge_header(header).verdict == ("accepted" if VIEWS[words] in ("PA", "AP", "FRONTAL") else "refused")


@pytest.mark.parametrize("modality", ["DR", "XR", "X-RAY"])
def test_spellings_of_radiography(modality: str) -> None:
    made = dataset(picture())
    made.add_new("Modality", "LO", modality)
    assert read_header(encoded(made)).modality == "DX"


@pytest.mark.parametrize("keyword", ["BodyPartExamined", "ViewPosition", "Modality", "PatientPosition"])
@pytest.mark.parametrize("words", ["SPECIAL", "?", "MUELLER ANNA", "PA/LAT"])
def test_a_word_on_no_list_is_silence(keyword: str, words: str) -> None:
    made = dataset(picture())
    if keyword == "PatientPosition":
        del made.ViewPosition
    made.add_new(keyword, "LO", words)
    header = read_header(encoded(made))
    found = judge_header(header)
    assert found.verdict == "warning"
    assert found.reasons[0].endswith("is no known term")
    assert "MUELLER" not in repr(header)


def coded(value: str, scheme: str = "SCT", meaning: str = "") -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


PA, AP, CHEST, HIP = "272479007", "399348003", "51185008", "29836001"


@pytest.mark.parametrize(
    ("code", "scheme", "meaning", "view"),
    [
        (PA, "SCT", "", "PA"),
        ("R-10214", "SRT", "postero-anterior", "PA"),
        (AP, "SCT", "postero-anterior", "PA"),
        ("R-10206", "SRT", "", "AP"),
        ("1234", "99SITE", "Thorax pa", "PA"),
        ("399067008", "SCT", "", "LATERAL"),
        ("R-10236", "SRT", "left lateral", "LL"),
        ("R-102CD", "SNM3", "", "LATERAL"),
        ("399188001", "SCT", "antero-posterior oblique", "OBLIQUE"),
        ("399182000", "SCT", "", "OBLIQUE"),
        (PA, "SCT", "lateral", "LATERAL"),
    ],
)
def test_the_view_code_sequence(code: str, scheme: str, meaning: str, view: str) -> None:
    made = dataset(picture(), ViewPosition="", ViewCodeSequence=coded(code, scheme, meaning))
    header = read_header(encoded(made))
    assert header.view == view
    found = judge_header(header)
    assert (found.verdict, found.reasons == ()) == (("accepted", True) if view in ("PA", "AP") else ("refused", False))


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"BodyPartExamined": "", "AnatomicRegionSequence": coded(HIP)}, "body part HIP"),
        ({"AnatomicRegionSequence": coded(HIP)}, "body part HIP"),  # beside CHEST
        ({"BodyPartExamined": "", "AnatomicRegionSequence": coded("T-D8700", "SRT", "Hand")}, "body part HAND"),
        ({"BodyPartExamined": "", "AnatomicRegionSequence": coded("9", "99X", "Left hand")}, "body part HAND"),
        ({"ViewCodeSequence": coded("399067008")}, "view LATERAL"),  # beside PA
        ({"ViewPosition": "", "BodyPartExamined": "CHEST LAT"}, "view LATERAL"),
        ({"ViewPosition": "", "PatientOrientation": ["F", "A"]}, "orientation is that of a lateral"),
    ],
)
def test_every_place_of_a_fact_is_asked(more: dict[str, Any], word: str) -> None:
    found = judge_header(read_header(encoded(dataset(picture(), **more))))
    assert found.verdict == "refused"
    assert word in found.reasons[0]


def test_a_region_is_enough_and_a_code_of_no_list_is_silence() -> None:
    for code, scheme in ((CHEST, "SCT"), ("T-D3000", "SRT"), ("39607008", "SCT"), ("816094009", "SCT")):
        made = dataset(picture(), BodyPartExamined="", AnatomicRegionSequence=coded(code, scheme))
        assert judge_header(read_header(encoded(made))).verdict == "accepted"
    unknown = dataset(picture(), ViewPosition="", ViewCodeSequence=coded("1", "99X", "Doe Jane"))
    header = read_header(encoded(unknown))
    assert judge_header(header).reasons == ("the header's view is no known term",)
    assert "DOE" not in repr(header).upper()


TOML = """
[modality]
"Radiografia" = "DX"
[body_part]
"klatka p-a" = "chest"
"Übersicht" = "CHEST"
[view]
"stehend" = "PA"
"AP" = "LATERAL"
"""


def test_a_sites_words_come_first(tmp_path: Path) -> None:
    (tmp_path / "terms.toml").write_text(TOML, encoding="utf-8")
    site = SiteTerms.load(tmp_path / "terms.toml")
    made = dataset(picture(), Modality="RADIOGRAFIA", ViewPosition="STEHEND")
    made.add_new("BodyPartExamined", "LO", "KLATKA PA")
    assert judge_header(read(encoded(made), site=site).header).verdict == "accepted"
    assert judge_header(read(encoded(made)).header).verdict == "warning"
    assert read_header(encoded(dataset(picture(), ViewPosition="AP")), site=site).view == "LATERAL"
    assert term_of("body_part", "UBERSICHT", site.body_part) == "CHEST"
    assert term_of("body_part", "UBERSICHT") == OTHER


def test_a_sites_words_are_frozen_and_go_to_toml_and_back(tmp_path: Path) -> None:
    (tmp_path / "terms.toml").write_text(TOML, encoding="utf-8")
    site = SiteTerms.load(tmp_path / "terms.toml")
    (tmp_path / "again.toml").write_text(site.to_toml(), encoding="utf-8")
    assert (
        SiteTerms.load(tmp_path / "again.toml").to_dict()
        == site.to_dict()
        == SiteTerms.from_dict(site.to_dict()).to_dict()
    )
    assert site.to_dict()["body_part"] == {"KLATKA PA": "CHEST", "UBERSICHT": "CHEST"}
    with pytest.raises(TypeError):
        site.view["A"] = "PA"
    assert not SiteTerms()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[body part]", "is no TOML"),
        ("[views]\n'A' = 'PA'", r"unknown section \[views\]; did you mean 'view'"),
        ("[view]\n'A' = 'PAA'", r"\[view\] 'A': 'PAA' is no term of the standard; did you mean 'PA'"),
        ("[view]\n'A' = 3", r"\[view\] 'A': 3 is no term"),
        ("[body_part]\n'A' = 'CHEEST'", "did you mean 'CHEST'"),
        ("[view]\n'a-b' = 'PA'\n'A B' = 'AP'", "stands twice with two terms; keep one"),
        ("[view]\n'--' = 'PA'", "has no letter or digit"),
        ("view = 3", "view is no section"),
    ],
)
def test_a_file_of_words_that_is_wrong_is_refused_with_its_mend(text: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "terms.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=what) as caught:
        SiteTerms.load(tmp_path / "terms.toml")
    assert str(caught.value).startswith(str(tmp_path / "terms.toml"))
    with pytest.raises(ConfigError, match="cannot be opened"):
        SiteTerms.load(tmp_path / "absent.toml")


@pytest.mark.parametrize("keyword", ["BodyPartExamined", "ViewPosition", "Modality", "PatientPosition"])
def test_what_is_crossed_out_is_no_silence(keyword: str, tmp_path: Path) -> None:
    made = dataset(picture())
    setattr(made, keyword, "XX")
    found = judge_header(read_header(encoded(made)))
    assert found.verdict == "refused"
    assert found.reasons == ("the header's modality, body part or view is crossed out: X's stand in its place",)
    if keyword == "ViewPosition":
        (tmp_path / "own.toml").write_text('[view]\nXX = "PA"\n')
        assert not read_header(encoded(made), site=SiteTerms.load(tmp_path / "own.toml")).crossed_out

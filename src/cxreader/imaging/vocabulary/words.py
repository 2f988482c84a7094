"""Which term the words of a header mean: spellings of devices, of other languages, and a site's own.

A word that is known as another view or part is found among any others; a right one counts only where every word beside it is
known. What is neither is OTHER: nobody knows what it says, and it may be a name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress

from cxreader.imaging.vocabulary import terms
from cxreader.imaging.vocabulary.terms import Fact

OTHER = "OTHER"
"""Stands for a value that is no known term, and may be anything, a name too."""
_PAIRS = {"POSTERO ANTERIOR": "PA", "POSTERIOR ANTERIOR": "PA", "ANTERO POSTERIOR": "AP", "ANTERIOR POSTERIOR": "AP"}
_PAIRS |= {"P A": "PA", "A P": "AP", "X RAY": "XRAY"}


def _all_mean(term: str, words: str) -> dict[str, str]:
    return dict.fromkeys(words.split(), term)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SPELT: dict[Fact, dict[str, str]] = {
    "modality": {**_all_mean("DX", "DR XR XRAY"), "DIGITAL RADIOGRAPHY": "DX"},
    "body_part": {
        **_all_mean(
            "CHEST", "TORAX TORACE TORACICO TORACICA PECHO THORACIC BRUST BRUSTKORB BRYST BORST BORSTKAS BROSTKORG"
        ),
        **_all_mean("CHEST", "HRUDNIK MELLKAS GOGUS KLATKA CXR CHESTXRAY CHESTPA CHESTAP PACHEST APCHEST"),
        **_all_mean(
            "LUNG", "PULMO PULMON PULMONES PULMONAR PULMONARY POUMON POUMONS POLMONE POLMONI LUNGE LUNGEN AKCIGER"
        ),
        "RIBS": "RIB",
        "COSTILLAS": "RIB",
        "SPINAL": "SPINE",
        "ABDOMINAL": "ABDOMEN",
        "KUB": "ABDOMEN",
        "WHOLE BODY": "WHOLEBODY",
    },
    "view": {
        "POSTEROANTERIOR": "PA",
        "ANTEROPOSTERIOR": "AP",
        "ANTERIORPOSTERIOR": "AP",
        "POSTERIORANTERIOR": "PA",
        **_all_mean("FRONTAL", "FRENTE FRONTALE FACE"),
        **_all_mean("LATERAL", "LAT LATERALE LLAT RLAT LTLAT RTLAT SEITLICH SEITL PERFIL PROFIL PROFILE SAGITTAL"),
        **_all_mean("OBLIQUE", "OBL OBLIQ OBLIQUES OBLICUA OBLICUO OBLIQUA SCHRAEG SCHRAG"),
        **_all_mean("DECUBITUS", "DECUB DECUBITO"),
        **_all_mean("LORDOTIC", "LORDOTICA LORDOTIQUE APICOLORDOTIC"),
    },
}
"""Single words, folded, and the terms they mean."""
_WITHIN: dict[Fact, frozenset[str]] = {
    "modality": frozenset(),
    "body_part": terms.BODY_PARTS - _words("BACK FACE MOUTH NOSE ARM EAR EYE"),
    "view": _words("PA AP FRONTAL LL RL RLD LLD RLO LLO LAO RAO LPO RPO AXIAL DECUBITUS LATERAL LORDOTIC OBLIQUE")
    | _words("SWIMMERS TANGENTIAL"),
}
"""Terms that are known among other words too; the shorter ones may be part of a name."""
_BESIDE = _words(
    """
    PA AP FRONTAL LAT LATERAL PORTABLE PORT MOBILE BED BEDSIDE NON NO GRID NONGRID NOGRID WITH WITHOUT W WO AND OR X
    1 2 3 V VW VIEW VIEWS 1V 2V 1VIEW 2VIEW 2VIEWS 3VIEWS ONE TWO SINGLE UPRIGHT ERECT STANDING SITTING SEATED SEMIERECT
    SUPINE PRONE RECUMBENT HORIZONTAL ADULT PEDIATRIC PAEDIATRIC PEDIATRICS PED PEDS CHILD INFANT BABY NEONATE NEONATAL
    NEWBORN LARGE MEDIUM SMALL XL ROUTINE STANDARD DIGITAL DX CR DR XR XRAY RX RADIOGRAPHY RADIOGRAPH RADIOGRAFIA BUCKY
    STAND WALL TABLE FILM HIGH KV INSPIRATION EXPIRATION INSP EXP FULL ICU RIGHT LEFT PIERSIOWA CAGE REGION STRUCTURE
    ENTIRE PROJECTION CHEST THORAX TORAX
    """
)
"""Words that say nothing against a chest from the front."""


_TABLES = {"L": "LATERAL", "XTL": "LATERAL"}
_LATERAL = frozenset(("LATERAL", "LAT", "LL", "RL", "XTABLE LATERAL"))


def folded(text: str) -> str:
    """Words as they are compared: upper case without accents, letters and digits alone, one space between them."""
    with suppress(UnicodeError):
        text = text.encode("latin-1").decode("utf-8")  # UTF-8 that was taken for Latin-1
    plain = unicodedata.normalize("NFKD", text.replace("ß", "SS"))
    letters = "".join(c for c in plain if not unicodedata.combining(c)).upper()
    words = " ".join(re.findall(r"[^\W_]+", letters))
    for pair, one in _PAIRS.items():
        words = re.sub(rf"\b{pair}\b", one, words)
    return words


def term_of(fact: Fact, text: str | None, own: Mapping[str, str] | None = None) -> str | None:
    """The term of `fact` that a text means, OTHER when it means none that is known, None without a text.

    `own`: a site's terms by folded words; they come first. Where a text names a right term and another one, the other counts,
    but a frontal and a lateral view named together describe a study, not this picture: OTHER.
    """
    if text is None:
        return None
    words = folded(text)
    if own and words in own:
        return own[words]
    known, spelt = terms.TERMS[fact], _SPELT[fact]
    if text.strip().upper() in known:
        return text.strip().upper()
    whole = spelt.get(words, words)
    if whole in known:
        return whole
    each = words.split()
    found = [term for word in each if (term := spelt.get(word, word)) in _WITHIN[fact]]
    wrong = [term for term in found if term not in terms.RIGHT[fact]]
    right = [term for term in found if term in terms.RIGHT[fact]]
    if right and wrong == ["LATERAL"]:
        return OTHER
    if wrong:
        return "DECUBITUS" if "DECUBITUS" in wrong else wrong[0]  # a lateral decubitus is taken from the front
    return right[0] if right and all(w in _BESIDE or spelt.get(w, w) in right for w in each) else OTHER


def view_of(text: str) -> str | None:
    """The term of a table's cell for the view, `L` and `XTL` being lateral; where it means none, the cell in upper case.

    None of an empty one. Unlike a header's, the words of one's own table are kept: they may tell groups apart.
    """
    term = term_of("view", text or None, _TABLES)
    return text.upper() if term == OTHER else term


def is_lateral(view: str) -> bool:
    """True for a view that says it is lateral, in any spelling (`view_of`), and not frontal as well."""
    return view_of(view) in _LATERAL


def coded_term(fact: Fact, code: str | None, meaning: str | None, own: Mapping[str, str] | None = None) -> str | None:
    """The term of a coded concept, by its code and by its meaning; of two, one that is not a frontal chest's.

    None without either, OTHER when neither is known.
    """
    codes = terms.VIEW_CODES if fact == "view" else terms.PART_CODES
    by_code = next((term for term, listed in codes.items() if code in listed.split()), None)
    found = [term for term in (by_code, term_of(fact, meaning, own)) if term not in (None, OTHER)]
    wrong = [term for term in found if term not in terms.RIGHT[fact]]
    if found:
        return (wrong or found[::-1])[0]
    return OTHER if code or meaning else None

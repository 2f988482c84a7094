"""Who is refused, as a table tells it: counted by hand, and said where figures are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxreader.evaluation.predictions import ReadModels, read_models
from cxreader.evaluation.table_refusals import refusals_told
from cxreader.reporting.evaluation.image_answers import refused
from cxreader.reporting.evaluation.tables.refusals import refusal_words

HEADER = "image,patient,label,probability,acceptance,reasons"


def _read(folder: Path, *more: str, acceptance: str = "accepted") -> ReadModels:
    """Forty judged images of forty patients, normal and abnormal in turn, two of them refused and answered by force."""
    rows = [f"{k}.png,p{k},{k % 2},{0.2 + k % 2 / 2},{acceptance}," for k in range(38)]
    rows += [f"{k}.png,p{k},{k % 2},0.4,Refused,blank: 0.1; rotated" for k in (38, 39)]
    (folder / "own.csv").write_text("\n".join([HEADER, *rows, *more]) + "\n")
    return read_models(folder / "own.csv")


def test_shares_count_the_refused_rows_without_a_probability(tmp_path: Path) -> None:
    """Two of 40 judged rows, and 10 more of 5 patients, 8 of them abnormal: 12 of 50, of 45 patients; no others count."""
    rows = [f"r{k}.png,q{k // 2},{int(k < 8)},,refused,rotated: 90" for k in range(10)]
    read = _read(tmp_path, *rows, "u.png,q9,,,refused,no label", "v.png,q9,1,,not read,empty", "w.png,q9,1,,,")
    (table,) = read.tables.values()
    found = refusals_told(table, read.refused["own"], n_resamples=200)
    assert found is not None
    assert {who: round(share.value, 4) for who, share in found.shares.items()} == {
        "all": 12 / 50,
        "normal": round(3 / 22, 4),
        "abnormal": round(9 / 28, 4),
    }
    whole = found.shares["all"]
    assert (whole.n_positive, whole.n_negative, whole.n_patients) == (28, 22, 45)
    assert found.reasons == {"rotated": 12, "blank": 2}
    assert found.unanswered == 10
    assert "10 of them have no probability and stand in no other figure" in refusal_words(found)
    assert "10 of them have no probability and are judged nowhere else" in refused(found).text


def test_where_all_refused_images_are_judged_this_is_said(tmp_path: Path) -> None:
    read = _read(tmp_path)
    found = refusals_told(next(iter(read.tables.values())), read.refused["own"], n_resamples=50)
    assert found is not None
    assert found.shares["all"].value == pytest.approx(2 / 40)
    assert "They are judged here all the same." in refusal_words(found)
    assert "they are judged here all the same" in refused(found).text


def test_a_column_of_other_words_or_none_tells_nothing(tmp_path: Path) -> None:
    other = _read(tmp_path, acceptance="grade 2")
    assert refusals_told(next(iter(other.tables.values())), other.refused["own"]) is None
    (tmp_path / "bare.csv").write_text("image,label,probability\na,0,0.1\nb,1,0.9\n")
    bare = read_models(tmp_path / "bare.csv")
    assert refusals_told(bare.tables["bare"], bare.refused["bare"]) is None


def test_of_several_models_each_has_its_own_refused_rows(tmp_path: Path) -> None:
    rows = [f"{k}.png,{k % 2},{'' if model == 'b' and k < 3 else 0.5},{model},{'refused' if k < 3 else 'accepted'}"
            for model in "ab" for k in range(8)]  # fmt: skip
    (tmp_path / "two.csv").write_text("\n".join(["image,label,probability,model,acceptance", *rows]) + "\n")
    read = read_models(tmp_path / "two.csv")
    assert {name: len(rows) for name, rows in read.refused.items()} == {"a": 0, "b": 3}

"""Tables, folder trees, and what `open_source` makes of a path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cxreader.data.index import NO_PATIENTS, Index
from cxreader.data.sources import locate, open_source
from cxreader.errors import DataError, TableError, UsageError
from cxreader.records import Box, ImageRecord

Draw = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path, draw: Draw) -> Callable[[str], Path]:
    """Write labels.csv beside the images a.png, b.png and c.png."""

    def write(text: str) -> Path:
        for n, name in enumerate("abc"):
            draw(tmp_path / "set" / f"{name}.png", n)
        path = tmp_path / "set" / "labels.csv"
        path.write_text(text)
        return path

    return write


def test_a_table_with_every_column(table: Callable[[str], Path]) -> None:
    path = table(
        "image,label,patient,age,sex,view,source,findings,subtype,other\n"
        "a.png,abnormal,p1,61,female,pa,site1,Effusion|Infiltrate,bacteria,x\n"
        "b.png,0,p2,,O,,,,,\n"
    )
    index = open_source(path, name="mine")
    first, second = index.records
    assert (first.label, first.patient, first.age, first.sex, first.view) == (1, "p1", 61.0, "F", "PA")
    assert (first.source, first.findings, first.subtype) == ("site1", ("Effusion", "Infiltration"), "bacteria")
    assert (second.label, second.age, second.sex, second.view, second.source) == (0, None, None, None, "mine")
    assert (index.kind, index.name, index.has_patients, index.n_patients) == ("table", "mine", True, 2)
    assert index.labels.tolist() == [1, 0]
    assert open_source(path.parent, name="mine") == index  # a folder with one labels.csv


def test_cells_that_say_that_nothing_is_known_are_empty(table: Callable[[str], Path]) -> None:
    header = "image,label,patient,age,sex,view,source,findings\n"
    words = open_source(table(f"{header}a.png,1,nan,N/A,unknown,None,n/a,NaN\nb.png,0,,Unknown,,unknown,nan,\n"))
    empty = open_source(table(f"{header}a.png,1,,,,,,\nb.png,0,,,,,,\n"))
    assert words.records == empty.records
    assert words.records[0].view is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("image,diagnosis\na.png,normal\n", "has no column 'label'"),
        (
            "labels,label\na.png,normal\n",
            r"has no column 'image'; its first row names the columns \(labels, label\): rename one",
        ),
        ("", "has no header"),
        ("image,label\na.png,sick\n", "row 2: the label 'sick' is outside the list; known: normal, abnormal, 0, 1"),
        ("image,label\na.png,\n", "no image is left: 1 has no label; give the images labels"),
        ("image,label\na.png,0\nb.png,1\n\n./a.png,0\n", "'.*a.png' stands in row 2 and again in row 5"),
        (
            "image,label\n\nd.png,1\ne.png,1\n",
            r"row 3: no file for image 'd.png' \(and for 1 more: for none of the rows\)",
        ),
        ("image,label,findings\na.png,0,Mass\n", "row 2: the label is normal but findings stand beside it"),
        ("image,label\na.png\n", "row 2: has 1 cells, the header 2"),
    ],
)
def test_a_bad_table_says_what_where_and_the_mend(table: Callable[[str], Path], text: str, what: str) -> None:
    with pytest.raises(TableError, match=what) as caught:
        open_source(table(text))
    assert caught.value.mend is not None or "stands in" in what or "empty" in what
    assert str(caught.value).startswith("/")


def test_semicolons_and_a_byte_order_mark(table: Callable[[str], Path]) -> None:
    assert len(open_source(table("\ufeffImage;Label\na.png;Normal\nb.png;ABNORMAL\n"))) == 2


def test_a_picture_is_no_table(tmp_path: Path, draw: Draw) -> None:
    picture = draw(tmp_path / "a.png")
    with pytest.raises(DataError, match="is not a table"):
        open_source(picture)
    with pytest.raises(TableError, match="is a picture, no table"):
        open_source(picture.rename(tmp_path / "a.csv"))
    with pytest.raises(TableError, match="is a picture, no table"):
        open_source((tmp_path / "a.csv").rename(tmp_path / "a.parquet"))


def test_a_parquet_table_is_the_same_as_its_csv(table: Callable[[str], Path]) -> None:
    import pandas as pd

    path = table("image,label,patient,age\na.png,0,7,61\nb.png,1,8,\n")
    frame = pd.read_csv(path)
    frame.to_parquet(path.with_suffix(".parquet"))
    assert open_source(path.with_suffix(".parquet")).records == open_source(path).records


def test_without_a_patient_column_it_says_so(table: Callable[[str], Path]) -> None:
    index = open_source(table("image,label\na.png,0\nb.png,1\n"))
    assert not index.has_patients
    assert NO_PATIENTS in index.notes
    assert "impossible" in NO_PATIENTS
    half = open_source(table("image,label,patient\na.png,0,x\nb.png,1,\n"))
    assert "1 of 2 images names no patient" in half.notes


def test_a_tree_of_folders(tmp_path: Path, draw: Draw) -> None:
    for n, name in enumerate(["train/NORMAL/a.png", "test/normal/a.png", "Abnormal/site/b.jpeg", "other/c.png"]):
        draw(tmp_path / "tree" / name, n)
    index = open_source(tmp_path / "tree", name="ours")
    assert {r.image: r.label for r in index.records} == {
        "train/NORMAL/a.png": 0,
        "test/normal/a.png": 0,
        "Abnormal/site/b.jpeg": 1,
    }
    assert (index.kind, index.files_without_row, index.records[0].source) == ("folder", 1, "ours")
    assert index.notes[0] == NO_PATIENTS
    draw(tmp_path / "tree" / "normal" / "abnormal" / "d.png")
    with pytest.raises(DataError, match="both normal and abnormal"):
        open_source(tmp_path / "tree")


def test_phantoms_are_a_source_of_their_own(release: Callable[..., Path]) -> None:
    root = release([("00000001_000.png", "Mass", 1, "60")])
    (root / "phantom.json").write_text('{"spec": {"seed": 7}}')
    index = open_source(root)
    assert (index.records[0].source, index.name, index.kind) == ("phantom:7", "phantom:7", "nih")
    assert open_source(root / "images_001").records[0].source == "phantom:7"
    (root / "phantom.json").write_text("{}")
    with pytest.raises(DataError, match="no seed"):
        open_source(root)


def test_nothing_there_and_no_source(tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "empty" / "a.png")
    with pytest.raises(DataError, match="no labelled images here: no table, no folder; expected Data_Entry"):
        open_source(tmp_path / "empty")
    with pytest.raises(UsageError, match="did you mean 'table'"):
        open_source(tmp_path / "empty", kind="tables")  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXREADER_IMAGES", str(tmp_path / "elsewhere"))
    with pytest.raises(DataError, match=f"looked at: {tmp_path}/nowhere, {tmp_path}/elsewhere/nowhere") as caught:
        open_source("nowhere")
    assert caught.value.mend is not None
    assert "CXREADER_IMAGES" in caught.value.mend


def test_where_relative_paths_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("work/set", "images/set", "shared/data/other", "work/images"):
        (tmp_path / place).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("CXREADER_IMAGES", raising=False)
    assert locate("other") == tmp_path / "shared/data/other"
    monkeypatch.setenv("CXREADER_IMAGES", str(tmp_path / "images"))
    assert locate("set") == tmp_path / "work/set"
    (tmp_path / "work/set").rmdir()
    assert locate("set") == tmp_path / "images/set"
    assert locate(tmp_path / "images") == tmp_path / "images"


def test_an_index_comes_back_exactly_and_is_a_source(tmp_path: Path, draw: Draw) -> None:
    picture = str(draw(tmp_path / "a.png"))
    boxes = (Box("Mass", 1.5, 2.25, 3, 4), Box("Mass", 0.1, 0.2, 0.3, 0.4))
    records = (
        ImageRecord(
            "a", 1, picture, "1", "nih", ("Mass", "Hernia"), 3, 411.0, False, "F", "AP", 9, 8, (0.1, 0.2), boxes
        ),
        ImageRecord("b", 0),
    )
    index = Index(records, "set", "nih", "/root", 5, 6, ("a note",), "/tables")
    assert Index.load(index.save(tmp_path / "deep" / "index.parquet")) == index
    assert open_source(tmp_path / "deep" / "index.parquet") == index
    empty = Index((), "none", "table", "/root")
    assert Index.load(empty.save(tmp_path / "empty.parquet")) == empty


def test_a_damaged_index_is_refused(tmp_path: Path) -> None:
    import pandas as pd

    path = Index((ImageRecord("b", 0),), "set", "table", "/root").save(tmp_path / "index.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TableError, match="cannot be read as Parquet"):
        Index.load(path)
    pd.DataFrame({"image": ["a"]}).to_parquet(path)
    with pytest.raises(TableError, match="is no index"):
        Index.load(path)


def test_duplicates_in_an_index_name_both_rows() -> None:
    with pytest.raises(TableError, match="'a' stands in row 1 and again in row 3"):
        Index((ImageRecord("a", 0), ImageRecord("b", 0), ImageRecord("a", 1)), "set", "table", "/root")


@pytest.mark.real
def test_the_kermany_table_is_that_of_pandas(images_root: Path) -> None:
    import pandas as pd

    index = open_source(images_root / "kermany")
    frame = pd.read_csv(images_root / "kermany" / "labels.csv")
    assert len(index) == len(frame) == 4_674
    assert index.summary()["labels"] == frame.groupby("label").size().to_dict() == {"normal": 1254, "abnormal": 3420}
    assert index.n_patients == frame["patient"].nunique()

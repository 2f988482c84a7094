"""Tables as programs and spreadsheets write them: one small table in every dress, and what is refused with its row."""

from __future__ import annotations

import datetime as dt
import gzip
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cxreader.errors import CxreaderError, MissingDependencyError, TableError
from cxreader.tables import is_table_name, parse_age, parse_number, parse_sex, read_table

PLAIN = "Image,Patient ID,Age\nä.png,007,54\nb.png,12,61\n"
ROWS = [
    (2, {"image": "ä.png", "patient id": "007", "age": "54"}),
    (3, {"image": "b.png", "patient id": "12", "age": "61"}),
]


def put(folder: Path, data: bytes | str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


DRESSES = {
    "plain": PLAIN.encode(),
    "byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "UTF-16 with its mark, tabs, as Excel's Unicode text": PLAIN.replace(",", "\t").encode("utf-16"),
    "UTF-16 big endian": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "semicolons": PLAIN.replace(",", ";").encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "bars": PLAIN.replace(",", "|").encode(),
    "every cell quoted": "".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) + "\r\n" for line in PLAIN.split()
    ).replace('"Patient"\r\n"ID"', '"Patient ID"').encode(),
    "blanks around cells and names": b" Image , PATIENT  ID ,age\n \xc3\xa4.png , 007 , 54\nb.png, 12 ,61\n",
    "a line that names the separator": b"sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n").encode(),
    "old Macintosh lines": PLAIN.replace("\n", "\r").encode(),
    "no line end at the end": PLAIN.rstrip().encode(),
    "trailing empty columns": "".join(f"{line},,\n" for line in PLAIN.splitlines()).encode(),
    "trailing separators in the rows alone": PLAIN.replace("4\n", "4,\n").replace("61\n", "61,,\n").encode(),
    "an index without a name": "".join(f"{n},{line}\n" for n, line in zip(("", 0, 1), PLAIN.splitlines())).encode(),  # noqa: B905
    "R's row names, without a name above them": '"Image" "Patient ID" "Age"\n"1" "ä.png" "007" 54\n"2" "b.png" "12" 61\n'
    .replace('" ', '",').encode(),
    "zeros kept for Excel": PLAIN.replace("007", '="007"').encode(),
    "gzip": gzip.compress(PLAIN.encode()),
}  # fmt: skip


@pytest.mark.parametrize("dress", DRESSES)
def test_one_table_in_every_dress(tmp_path: Path, dress: str) -> None:
    table = read_table(put(tmp_path, DRESSES[dress]))
    assert list(table) == ROWS
    assert list(table) == ROWS  # again, from the beginning
    assert [name.split() for name in map(str.lower, table.columns)] == [["image"], ["patient", "id"], ["age"]]
    assert table.notes == ()


def test_windows_letters_are_read_and_told(tmp_path: Path) -> None:
    table = read_table(put(tmp_path, PLAIN.encode("cp1252")))
    assert list(table) == ROWS
    assert table.notes == ("is not UTF-8: read as Windows-1252",)
    table = read_table(put(tmp_path, PLAIN.encode("cp1252") + b"\x81.png,3,4\n"))
    assert list(table)[:2] == ROWS
    assert table.notes == ("is not UTF-8: read as Latin-1",)
    table = read_table(put(tmp_path, PLAIN.encode("utf-16-le")))
    assert list(table) == ROWS
    assert table.notes == ("no byte order mark: read as UTF-16-LE",)


def test_the_only_file_of_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("t.csv", PLAIN)
        archive.writestr("__MACOSX/._t.csv", b"\0")
    assert list(read_table(tmp_path / "t.csv.zip")) == ROWS
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "a") as archive:
        archive.writestr("u.csv", PLAIN)
    with pytest.raises(TableError, match="is an archive of 2 files, no table; unpack it"):
        read_table(tmp_path / "t.csv.zip")


def test_rows_are_numbered_as_a_spreadsheet_shows_them(tmp_path: Path) -> None:
    """A blank row counts, rows of separators too, and a row with a line break inside quotes is one row."""
    path = put(tmp_path, 'image,note\n\na,"two\nlines"\n,\n  ,\nb,one\n')
    assert [(row, cells["image"]) for row, cells in read_table(path)] == [(3, "a"), (6, "b")]
    path = put(tmp_path, "\n\nimage,note\na,1\n")
    assert [(row, cells["image"]) for row, cells in read_table(path)] == [(4, "a")]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("image;age\na;54,5\nb;60,1\n", ["a", "54,5"]),
        ("image,findings\na,Mass|Nodule\nb,Mass|Edema|Hernia\n", ["a", "Mass|Nodule"]),
        ('image,findings\na,"Effusion, Mass"\n', ["a", "Effusion, Mass"]),
        ('image, findings\na, "Effusion, Mass"\n', ["a", "Effusion, Mass"]),
        ("image;size, in mm\na;1,2\nb;1,3\n", ["a", "1,2"]),
        ("image;remark\na;one, two, three\nb;none\n", ["a", "one, two, three"]),
        ("image\na;b\n", ["a;b"]),
    ],
)
def test_the_separator_is_the_one_by_which_rows_agree(tmp_path: Path, text: str, cells: list[str]) -> None:
    assert list(next(iter(read_table(put(tmp_path, text))))[1].values()) == cells


def test_parquet_is_as_its_csv(tmp_path: Path) -> None:
    columns = {
        "Image": ["a", "b"],
        "patient": [12.0, float("nan")],
        "n": pa.array([3, None], pa.int64()),
        "sure": [True, False],
        "p": [0.1, 1 / 3],
        "findings": [["Mass", "Nodule"], []],
        "time": pa.array([1_700_000_000_000_000_001, None], pa.timestamp("ns")),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.csv")  # the name does not matter
    (row, first), (_, second) = read_table(tmp_path / "t.csv")
    assert row == 2
    assert (first["patient"], second["patient"]) == ("12", "")
    assert (first["n"], second["n"]) == ("3", "")
    assert (first["sure"], second["sure"]) == ("1", "0")
    assert float(second["p"]) == 1 / 3
    assert (first["findings"], second["findings"]) == ("Mass|Nodule", "")
    assert first["time"].startswith("2023-11-14 22:13:20")
    (tmp_path / "t.csv").write_bytes((tmp_path / "t.csv").read_bytes()[:-30])
    with pytest.raises(TableError, match="cannot be read as Parquet; write the file again"):
        read_table(tmp_path / "t.csv")


def test_an_excel_workbook(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.create_sheet("data")
    sheet.append(["Image", "Patient", "Sure", "p", "Day", None])
    sheet.append(["a.png", 12, True, 0.25, dt.datetime(2024, 3, 1, 8, 15)])
    sheet.append([])
    sheet.append(["b.png", "007", False, "#N/A"])
    sheet["H4"] = "a remark beside the table"
    book.create_sheet("more").append(["x"])
    book.save(tmp_path / "t.xlsx")
    table = read_table(tmp_path / "t.xlsx")
    assert list(table) == [
        (2, {"image": "a.png", "patient": "12", "sure": "1", "p": "0.25", "day": "2024-03-01T08:15:00"}),
        (4, {"image": "b.png", "patient": "007", "sure": "0", "p": "", "day": ""}),
    ]
    assert table.notes == ("sheet 'data' is read; not read: 'more'; save what you want as a file of its own",)
    assert table.at(4, "p") == f"{tmp_path / 't.xlsx'}, sheet 'data', row 4, column p"
    with pytest.raises(
        TableError, match=r"t\.xlsx, sheet 'data': has no column 'label'; .*; not read: 'more'; save what"
    ):
        table.require("label")
    whole = (tmp_path / "t.xlsx").read_bytes()
    put(tmp_path, whole[:-40], "t.xlsx")
    with pytest.raises(TableError, match=r"t\.xlsx: cannot be (unpacked|read as an Excel workbook)"):
        read_table(tmp_path / "t.xlsx")


def test_excel_without_its_package_is_refused_with_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingDependencyError) as caught:
        read_table(tmp_path / "t.xlsx")
    assert str(caught.value) == "an Excel table needs openpyxl; pip install 'cxreader[excel]', or save it as CSV"


def test_columns_are_asked_for_by_the_users_names(tmp_path: Path) -> None:
    path = put(tmp_path, "file,Score,probability,age\na,0.3,high,54\n")
    table = read_table(path, columns={"probability": "score"}).aliased({"image": ("path", "file"), "age": ("years",)})
    assert list(table) == [(2, {"image": "a", "probability": "0.3", "age": "54"})]
    assert table.unused(("image", "probability", "sex")) == ("columns not used: probability, age",)
    assert table.unused(("image", "probability", "age")) == ("columns not used: probability",)
    assert read_table(path).unused(("file", "score", "probability", "age")) == ()
    with pytest.raises(TableError, match=r"has no column 'scor'; did you mean 'score'\?"):
        read_table(path, columns={"probability": "scor"})
    with pytest.raises(TableError, match=r"has no column 'label'; its first row names the columns \(file, Score"):
        table.require("image", "label")


def test_many_unused_columns_are_named_in_short(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(40)]
    (note,) = read_table(put(tmp_path, ",".join(names) + "\n")).unused(["c0"])
    assert note == f"columns not used: {', '.join(names[1:13])} and 27 more"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "t.csv: has no header; its first row names the columns"),
        ("\n,,\n", "t.csv: has no header"),
        ("image,Label,label\n", "t.csv: columns 'Label' and 'label' differ by case only; keep one"),
        ("image,label,label\n", "t.csv: column 'label' stands twice; keep one"),
        ("image,label,x\n\na,0\n", "t.csv, row 3: has 2 cells, the header 3; complete the row"),
        ("image,x\na,0,54\n", "t.csv, row 2: has 3 cells, the header 2; quote cells that hold the separator"),
        ('image,label\na,0\n"b,1\n', "t.csv, row 3: is no CSV: its quotes do not fit; close its quotes"),
        (b"image,label\n\0\1\2\n", "t.csv: is no table: it holds bytes that are no text; save it as CSV in UTF-8"),
        (b"\xff\xfei\0m\0a", "t.csv: is no table in UTF-16-LE (truncated data at byte 4)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "t.csv: is a picture, no table"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "is an old Excel file (.xls); save it as .xlsx or CSV"),
        (b"\x1f\x8b" + bytes(20), "t.csv: cannot be unpacked (BadGzipFile)"),
        (gzip.compress(b"image,label\n" * 99, mtime=0)[:-9], "t.csv: cannot be unpacked (EOFError)"),
        (b"PK\x03\x04" + bytes(50), "t.csv: cannot be unpacked (BadZipFile)"),
        ("<!DOCTYPE html><html>", "t.csv: is a web page or XML, no table"),
        ('[\n{"image": "a"}\n]', "t.csv: is JSON, no table; write it as CSV or Parquet"),
    ],
)
def test_what_is_no_table_is_refused_with_what_it_is(tmp_path: Path, data: bytes | str, words: str) -> None:
    with pytest.raises(TableError) as caught:
        list(read_table(put(tmp_path, data)))
    assert words in str(caught.value)
    assert caught.value.mend


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(CxreaderError, match=r"cannot be read \((Is a directory|No such file)"):
            read_table(path)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxreader.tables.table._MOST", 1000)
    path = put(tmp_path, gzip.compress(b"image,label\n" * 100))
    with pytest.raises(TableError, match="unpacks to more than 1,000 bytes"):
        read_table(path)
    with pytest.raises(TableError, match=r"has 1,200 bytes, more than a table's 1,000"):
        read_table(put(tmp_path, b"image,label\n" * 100))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("54", 54.0), ("54.5", 54.5), ("54,5", 54.5), (".5", 0.5), (",5", 0.5), ("1e-3", 0.001), ("-0.660", -0.66)),
        *(("1.234,5", 1234.5), ("1,234.5", 1234.5), ("1 234,5", 1234.5), ("1\u202f234", 1234.0), ("\u22122", -2.0)),
        *(
            (text, None)
            for text in ("", "nan", "inf", "1_000", "0x1", "5 6", "1,2,3", "1.2.3", "1e999", "\u0665", "34%", "e5")
        ),
    ],
)
def test_numbers_with_a_point_or_a_comma(text: str, number: float | None) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize(
    ("text", "years"),
    [
        *(("0", 0.0), ("58", 58.0), ("54.0", 54.0), ("54,5", 54.5), ("54 years", 54.0), ("54 y", 54.0), ("54yo", 54.0)),
        *(("058Y", 58.0), ("411", 411.0), ("-1", -1.0), ("009M", 0.75), ("9 months", 0.75), ("1440m", 120.0)),
        *(("004W", 28 / 365.25), ("012 D", 12 / 365.25), ("1 year old", 1.0)),
        *((text, None) for text in ("", "old", "12H", "1-2", "Y", "1954-03-01", "90+")),
    ],
)
def test_ages_in_the_units_of_dicom_and_of_people(text: str, years: float | None) -> None:
    assert parse_age(text) == (None if years is None else pytest.approx(years))


def test_names_of_tables() -> None:
    tables = ("a.csv", "a.CSV.GZ", "x/b.tsv", "c.parquet", "d.pq", "e.xlsx", "f.txt", "g.csv.zip", "v1.2.csv")
    assert all(is_table_name(Path(name)) for name in tables)
    assert not any(is_table_name(Path(name)) for name in ("a.png", "csv", "a.gz", "a.nii.gz", "a.zip", ".csv"))


def test_all_columns_that_are_missing_are_told_at_once_and_age_is_no_misspelt_image(tmp_path: Path) -> None:
    (tmp_path / "vendor.csv").write_text("StudyID,AI Score,Truth,Age\n1,0.5,1,40\n")
    table = read_table(tmp_path / "vendor.csv")
    with pytest.raises(TableError) as told:
        table.require("image", "label")
    assert "has no column 'image' or 'label'; its first row names the columns (StudyID, AI Score, Truth, Age)" in str(
        told.value
    )
    with pytest.raises(TableError, match=r"has no column 'image'; its first row names the columns \(StudyID"):
        table.require("image")


@pytest.mark.parametrize(
    "text", ["m", "M", "Male", "MÄNNLICH", "ma\u0308nnlich", "mannlich", "Mann", "homme", "hombre", "m."]
)
def test_words_for_male(text: str) -> None:
    assert parse_sex(text) == "M"


@pytest.mark.parametrize("text", ["f", "W", "female", " Weiblich ", "FRAU", "femme", "féminin", "mujer", "Mädchen"])
def test_words_for_female(text: str) -> None:
    assert parse_sex(text) == "F"


@pytest.mark.parametrize("text", ["", "O", "X", "U", "1", "2", "0", "divers", "mf", "?"])
def test_what_is_no_word_for_a_sex(text: str) -> None:
    assert parse_sex(text) is None


def _workbook(path: Path, **sheets: list[list[object]]) -> Path:
    book = pytest.importorskip("openpyxl").Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


TABLE: list[list[object]] = [["image", "label"], ["a.png", "normal"]]


def test_a_sheet_of_remarks_before_the_table_is_passed_over(tmp_path: Path) -> None:
    table = read_table(_workbook(tmp_path / "t.xlsx", Notes=[["hello"], ["there"]], Data=TABLE))
    assert (table.columns, table.sheet) == (("image", "label"), "Data")
    assert table.notes == ("sheet 'Data' is read; not read: 'Notes'; save what you want as a file of its own",)
    alone = read_table(_workbook(tmp_path / "t.xlsx", Data=TABLE, Empty=[]))
    assert (alone.sheet, alone.notes, alone.at(2)) == ("", (), f"{tmp_path / 't.xlsx'}, row 2")
    column = read_table(_workbook(tmp_path / "t.xlsx", Empty=[], One=[["image"], ["a.png"]]))
    assert column.columns == ("image",)
    below = read_table(_workbook(tmp_path / "t.xlsx", Low=[*[[]] * 80, *TABLE]))
    assert list(below) == [(82, {"image": "a.png", "label": "normal"})]


@pytest.mark.parametrize(
    "text", ["Report of a vendor\n\nimage;label\na.png;0\n", "Report, 2024\nby us\nimage;label\na.png;0\n"]
)
def test_titles_above_the_header_are_passed_over_and_told(tmp_path: Path, text: str) -> None:
    table = read_table(put(tmp_path, text.encode(), "t.csv"))
    assert table.columns == ("image", "label")
    titles, row = text.partition("\nimage")[0].count("\n") + 1, text.count("\n")
    lines = [line for line in text.splitlines()[:titles] if line]
    words = "row of titles above the header is" if len(lines) == 1 else "rows of titles above the header are"
    assert table.notes == (f"{len(lines)} {words} not read",)
    assert list(table) == [(row, {"image": "a.png", "label": "0"})]


def test_titles_above_the_header_of_a_workbook(tmp_path: Path) -> None:
    table = read_table(_workbook(tmp_path / "t.xlsx", Data=[["Report of a vendor"], [], *TABLE]))
    assert list(table) == [(4, {"image": "a.png", "label": "normal"})]
    assert table.notes == ("1 row of titles above the header is not read",)


@pytest.mark.parametrize(
    "text",
    [
        "image\na.png\nb.png\n",
        "image\na.png\nb.png,c.png\n",
        "score\n1,0.5\n2,0.6\n3,0.7\n",
        "a\nb\nc\nd\ne\nf\nimage,label\n1,0\n",
    ],
)
def test_what_is_no_title(tmp_path: Path, text: str) -> None:
    table = read_table(put(tmp_path, text.encode(), "t.csv"))
    assert table.columns == (text.partition("\n")[0],)
    assert table.notes == ()

"""The table of public sets: complete, fixed by name, and what is said of a folder that is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from cxreader.cli import run
from cxreader.cli.audit import reopen
from cxreader.config import Kind, SourceSection, parse_config
from cxreader.data.index import Index
from cxreader.data.layouts.registry import LAYOUTS, OWN_WAYS
from cxreader.data.sources import open_data, open_source, open_together
from cxreader.data.split import Split, make_split
from cxreader.errors import ConfigError, DataError, TableError, UsageError
from cxreader.findings import FINDINGS, OTHER

Draw = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
CHEXPERT = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema\n"


@pytest.fixture
def chexpert(tmp_path: Path, draw: Draw) -> Path:
    """A normal image, one whose edema is uncertain."""
    for n, cells in enumerate(("1.0,", ",-1.0")):
        place = f"train/patient0000{n}/study1/view1_frontal.jpg"
        draw(tmp_path / "set" / place, n)
        with (tmp_path / "set" / "train.csv").open("a") as file:
            file.write(f"{CHEXPERT if n == 0 else ''}CheXpert-v1.0/{place},Male,50,Frontal,PA,{cells}\n")
    return tmp_path / "set"


def test_configurations_name_the_sets_of_the_table() -> None:
    assert set(get_args(Kind)) == {*LAYOUTS, *OWN_WAYS}


def test_every_entry_says_everything_and_speaks_one_vocabulary() -> None:
    known = {f.name for f in FINDINGS} | {OTHER, None}
    for name, layout in LAYOUTS.items():
        texts = (layout.title, layout.holds, layout.licence, layout.url, layout.labels, layout.policy, layout.patients)
        assert all(texts), name
        assert layout.pages, name
        assert layout.marks, name
        assert set(layout.findings.values()) <= known, name
        assert all(word == word.lower() for word in layout.findings), name


def test_a_kind_is_fixed_and_a_wrong_one_gets_the_nearest(chexpert: Path) -> None:
    assert open_source(chexpert, kind="chexpert").kind == open_source(chexpert).kind == "chexpert"
    with pytest.raises(UsageError, match="unknown kind of source 'chexprt'; did you mean 'chexpert'"):
        open_source(chexpert, kind="chexprt")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"no stage_2_train_labels\.csv; expected"):
        open_source(chexpert, kind="rsna")
    with pytest.raises(ConfigError, match=r"data\.kind: unknown value 'chexprt'; did you mean 'chexpert'"):
        parse_config({"data": {"root": "x", "kind": "chexprt"}})
    with pytest.raises(ConfigError, match=r"data\.uncertain: unknown value 'dropp'; did you mean 'drop'"):
        parse_config({"data": {"root": "x", "uncertain": "dropp"}})


def test_a_configuration_decides_on_uncertain_labels(chexpert: Path) -> None:
    data = {"root": str(chexpert), "kind": "chexpert"}
    assert [r.label for r in open_data(parse_config({"data": data}).data).records] == [0, 1]
    index = open_data(parse_config({"data": {**data, "uncertain": "normal"}}).data)
    assert ([r.label for r in index.records], index.uncertain) == ([0, 0], "normal")
    several = open_together([SourceSection(root=str(chexpert), uncertain="drop")])
    assert [r.label for r in several.records] == [0]
    assert several.sources[0]["uncertain"] == "drop"
    with pytest.raises(ConfigError, match="kind, tables, uncertain or min_age beside sources"):
        parse_config({"data": {"uncertain": "drop", "sources": [{"root": "x"}]}})


def test_a_policy_beside_a_source_without_uncertain_labels_is_refused(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "normal" / "a.png")
    draw(tmp_path / "abnormal" / "b.png", 1)
    with pytest.raises(UsageError, match="none of them uncertain, or are decided already; leave it out"):
        open_source(tmp_path, uncertain="drop")


def test_an_index_keeps_parts_and_policy_and_one_of_yesterday_opens(chexpert: Path, tmp_path: Path) -> None:
    import json

    import pyarrow.parquet as pq

    index = open_source(chexpert, uncertain="normal")
    path = index.save(tmp_path / "index.parquet")
    assert Index.load(path) == index
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"cxreader.index"])
    del about["uncertain"]
    old = table.drop_columns(["published_part"]).replace_schema_metadata(
        {b"cxreader.index": json.dumps({**about, "version": 1}).encode()}
    )
    pq.write_table(old, path)
    opened = Index.load(path)
    assert [r.image for r in opened.records] == [r.image for r in index.records]
    assert opened.uncertain is None
    assert {r.published_part for r in opened.records} == {None}


def test_the_command_line_prints_the_table_and_each_set_by_name(chexpert: Path, capsys: Capture) -> None:
    assert run(["data", "layouts"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in LAYOUTS)
    assert run(["data", "layouts", "padchest"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "laminar atelectasis" in words
    assert run(["data", "layouts", "padchst"]) == 2
    assert "did you mean 'padchest'" in capsys.readouterr().err
    assert run(["data", "index", str(chexpert), "--uncertain", "drop"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for piece in ("chexpert (chexpert)", "CheXpert, CheXpert-small: labels by", "images 1", "published train 1"):
        assert piece in words


def test_a_split_remembers_the_set_and_its_policy(chexpert: Path, tmp_path: Path, draw: Draw) -> None:
    with (chexpert / "train.csv").open("a") as file:
        for n in range(2, 48):
            place = f"train/patient{n:05d}/study1/view1_frontal.jpg"
            draw(chexpert / place, n)
            file.write(f"CheXpert-v1.0/{place},Male,50,Frontal,PA,{('1.0,', ',1.0', ',-1.0')[n % 3]}\n")
    (chexpert / "normal").mkdir()
    index = open_source(chexpert, uncertain="normal")
    split = Split.load(make_split(index, balance="natural").save(tmp_path / "split.json"))
    assert split.source["uncertain"] == "normal"
    assert reopen(split, None, None) == index
    assert "uncertain" not in make_split(open_source(chexpert), balance="natural").source


def test_a_folder_that_is_none_is_told_what_was_seen_and_what_lacks(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "a" / "train" / "patient00001" / "study1" / "view1_frontal.jpg")
    (tmp_path / "a" / "notes.csv").write_text("x,y\n1,2\n")
    with pytest.raises(DataError) as caught:
        open_source(tmp_path / "a")
    text = str(caught.value)
    for piece in (
        "no labelled images here: table notes.csv, folders train, train/patient00001, train/patient00001/study1",
        "nearest is CheXpert, CheXpert-small (--kind chexpert), which lacks a table with the columns Path",
        "(elsewhere: --tables DIR)",
        "or give labels.csv, or folders normal and abnormal; the public sets: cxreader data layouts",
    ):
        assert piece in text
    (tmp_path / "t").mkdir()
    with pytest.raises(DataError, match=r"table notes\.csv, folders train, .* nearest is CheXpert"):
        open_source(tmp_path / "a", tables=tmp_path / "t")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "stage_2_train_labels.csv").write_text("patientId,x,y,width,height,Target\nq,,,,,0\n")
    with pytest.raises(DataError, match=r"nearest is RSNA .* which lacks pictures named by a patientId"):
        open_source(tmp_path / "b")


def test_a_part_of_a_set_finds_its_tables_above(chexpert: Path) -> None:
    assert [r.image for r in open_source(chexpert / "train").records] == [
        r.image for r in open_source(chexpert).records
    ]


def test_two_sets_in_one_folder_are_not_guessed_at(chexpert: Path, draw: Draw) -> None:
    draw(chexpert / "CXR_png" / "MCUCXR_0001_0.png", 5)
    with pytest.raises(
        DataError, match=r"several sets lie here: CheXpert, .* and Montgomery County .*; give the folder"
    ):
        open_source(chexpert)
    assert len(open_source(chexpert, kind="chexpert")) == 2
    assert len(open_source(chexpert / "CXR_png")) == 1


OWN_TABLES = {
    "train.csv": (
        "CheXpert, CheXpert-small",
        f"{CHEXPERT}train/patient00001/study1/view1_frontal.jpg,,,,,1,\n",
    ),
    "Data_Entry_2017.csv": (
        "NIH ChestX-ray14",
        "Image Index,Finding Labels,Patient ID\n00000001_000.png,No Finding,1\n",
    ),
    "annotations.csv": (
        "VinDr-CXR",
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n0f1e2d3c4b5a69788796a5b4c3d2e1f0,No finding,14,R1,,,,\n",
    ),
    "stage_2_train_labels.csv": (
        "RSNA Pneumonia Detection Challenge",
        "patientId,x,y,width,height,Target\n0004cfab,,,,,0\n",
    ),
    "padchest.csv": ("PadChest", "ImageID,Projection,Labels\n1.png,PA,\"['normal']\"\n"),
    "train-rle.csv": ("SIIM-ACR Pneumothorax", "ImageId,EncodedPixels\n1.2.276.0.1,-1\n"),
    "indiana_projections.csv": (
        "Open-i (Indiana University)",
        "uid,filename,projection\n1,1_IM-0001-4001.dcm.png,Frontal\n",
    ),
    "mimic-cxr-2.0.0-split.csv": (
        "MIMIC-CXR-JPG",
        "dicom_id,study_id,subject_id,split\n02aa804e,50414267,10000032,train\n",
    ),
    "data.csv": (
        "TBX11K",
        "fname,source,bbox,target,tb_type,image_type\nh0001.png,train,none,no_tb,none,healthy\n",
    ),
}


@pytest.mark.parametrize("name", OWN_TABLES)
def test_a_set_s_own_table_asks_for_the_folder(tmp_path: Path, name: str) -> None:
    title, text = OWN_TABLES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        open_source(tmp_path / name)
    assert (caught.value.what, caught.value.where) == (
        f"is a table of {title}, which has no column label",
        str(tmp_path / name),
    )
    assert caught.value.mend == "give the folder of the set, and --tables DIR where its tables lie elsewhere"


def test_a_table_of_somebody_s_own_with_the_columns_of_a_set(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "a.png", 0)
    table = tmp_path / "mine.csv"
    table.write_text("Image Index,Finding Labels,label\na.png,Mass,1\n")
    assert open_source(table).records[0].label == 1
    table.write_text("Image Index,Finding Labels,label\na.png,Mass,perhaps\n")
    with pytest.raises(TableError, match="row 2: the label 'perhaps' is outside the list"):
        open_source(table)

"""Public sets in their publishers' layouts, drawn small: labels, findings, boxes, patients, views, parts, what is left out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.dicom_files import HEIGHT, WIDTH, dataset, encoded, picture

from cxreader.data.index import NO_PATIENTS, Index
from cxreader.data.layouts.layout import judge
from cxreader.data.layouts.sets.nlm_tuberculosis import parse_reading
from cxreader.data.layouts.sets.padchest import labels_of
from cxreader.data.layouts.sets.siim import box_of
from cxreader.data.sources import open_source
from cxreader.data.split import make_split
from cxreader.errors import DataError, TableError, UsageError
from cxreader.findings import OTHER
from cxreader.records import Box

Draw = Callable[..., Path]


def dicom(path: Path, seed: int = 0, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"PatientID": "", "PatientSex": "F", "PatientAge": "041Y", "ViewPosition": "AP", **more}
    path.write_bytes(encoded(dataset(picture(seed=seed), **about)))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def told(index: Index) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {r.image: (r.label, r.findings) for r in index.records}


CHEXPERT = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Edema,Pneumonia,"
    "Pleural Effusion,Support Devices\n"
)


@pytest.fixture
def chexpert(tmp_path: Path, draw: Draw) -> Path:
    """Normal with a device; certain and uncertain findings; uncertain alone; blanks alone; a contradiction; laterals; no file."""
    root = tmp_path / "CheXpert-v1.0-small"
    rows = {
        "train/patient00001/study1/view1_frontal.jpg": "Female,68,Frontal,AP,1.0,,,,,,,1.0",
        "train/patient00001/study1/view2_lateral.jpg": "Female,68,Lateral,,1.0,,,,,,,1.0",
        "train/patient00002/study1/view1_frontal.jpg": "Male,50,Frontal,PA,,,-1.0,1.0,,,1.0,",
        "train/patient00003/study1/view1_frontal.jpg": "Male,51,Frontal,PA,,,,,-1.0,0.0,,",
        "train/patient00004/study1/view1_frontal.jpg": "Unknown,0,Frontal,AP,,,,,,,,1.0",
        "train/patient00005/study1/view1_frontal.jpg": "Male,52,Frontal,AP,1.0,,,,,1.0,,",
        "train/patient00006/study1/view1_frontal.jpg": "Male,53,Frontal,AP,1.0,,,,,,,",
    }
    for n, name in enumerate(list(rows)[:-1]):
        draw(root / name, n)
    draw(root / "valid/patient64541/study1/view1_frontal.jpg", 40)
    draw(root / "train/patient00009/study1/view1_frontal.jpg", 41)
    write(root / "train.csv", CHEXPERT + "".join(f"{root.name}/{name},{row}\n" for name, row in rows.items()))
    write(
        root / "valid.csv",
        f"{CHEXPERT}{root.name}/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0,0,1,0,0,0,0,0\n",
    )
    return tmp_path


def test_chexpert(chexpert: Path) -> None:
    index = open_source(chexpert)
    assert (index.kind, index.name) == ("chexpert", "chexpert")
    assert told(index) == {
        "train/patient00001/study1/view1_frontal.jpg": (0, ()),
        "train/patient00002/study1/view1_frontal.jpg": (1, (OTHER, "Effusion", "Cardiomegaly")),
        "train/patient00003/study1/view1_frontal.jpg": (1, ("Edema",)),
        "train/patient00005/study1/view1_frontal.jpg": (1, ("Pneumonia",)),
        "valid/patient64541/study1/view1_frontal.jpg": (1, ("Cardiomegaly",)),
    }
    first = index.records[0]
    assert (first.patient, first.sex, first.age, first.view, first.published_part, first.source) == (
        "patient00001", "F", 68.0, "AP", "train", "chexpert",
    )  # fmt: skip
    assert index.records[-1].published_part == "validation"
    assert (index.rows_without_file, index.files_without_row) == (1, 1)
    assert set(index.notes) == {
        "1 row of the table has no file here",
        "1 file has no row in the table",
        "1 lateral view is left out",
        "1 image names neither a finding nor No Finding: what is on it is not known, left out",
        "1 image names a finding beside No Finding: taken as abnormal",
    }


@pytest.mark.parametrize(("policy", "third"), [("normal", (0, ())), ("drop", None)])
def test_the_policy_for_uncertain_labels(
    chexpert: Path, policy: Any, third: tuple[int, tuple[str, ...]] | None
) -> None:
    index = open_source(chexpert, uncertain=policy)
    found = told(index)
    assert found.get("train/patient00003/study1/view1_frontal.jpg") == third
    assert found["train/patient00002/study1/view1_frontal.jpg"] == (1, (OTHER, "Effusion"))
    assert index.uncertain == policy
    assert open_source(index.root, kind="chexpert", uncertain=index.uncertain) == index


@pytest.mark.parametrize(
    ("present", "uncertain", "no_finding", "answers"),
    [
        (["Mass"], [], True, (1, 1, 1)),
        ([], ["Mass"], False, (1, 0, None)),
        ([], ["Mass"], True, (1, 0, None)),
        ([None], [None], True, (0, 0, 0)),
        ([None], [], False, (None, None, None)),
        ([], [], False, (None, None, None)),
    ],
)
def test_what_is_normal(
    present: list[str | None], uncertain: list[str | None], no_finding: bool, answers: tuple[int | None, ...]
) -> None:
    policies: tuple[Any, ...] = ("abnormal", "normal", "drop")
    found = tuple(judge(present, uncertain, no_finding=no_finding, policy=policy).label for policy in policies)
    assert found == answers


def test_chexperts_test_part_has_no_column_of_views_and_copies_may_be_png(tmp_path: Path, draw: Draw) -> None:
    for view in ("view1_frontal", "view2_lateral"):
        draw(tmp_path / "test" / "patient64741" / "study1" / f"{view}.png")
    rows = [f"CheXpert-v1.0/test/patient64741/study1/{view}.jpg,0,1\n" for view in ("view1_frontal", "view2_lateral")]
    write(tmp_path / "test_labels.csv", "Path,No Finding,Cardiomegaly\n" + "".join(rows))
    (record,) = open_source(tmp_path).records
    assert (record.image, record.label, record.published_part) == (
        "test/patient64741/study1/view1_frontal.jpg",
        1,
        "test",
    )
    assert record.path == str(tmp_path / "test" / "patient64741" / "study1" / "view1_frontal.png")


def test_chexpert_refuses_other_values_and_an_unknown_policy(chexpert: Path) -> None:
    with pytest.raises(UsageError, match="unknown policy 'normall'; did you mean 'normal'"):
        open_source(chexpert, uncertain="normall")  # type: ignore[arg-type]
    table = chexpert / "CheXpert-v1.0-small" / "train.csv"
    table.write_text(table.read_text().replace("-1.0,1.0,,,1.0,", "2.0,1.0,,,1.0,"))
    with pytest.raises(TableError, match=r"train\.csv, row 4: 'cardiomegaly' is none of 1, 0, -1 and blank"):
        open_source(chexpert)


def test_without_a_test_part_the_official_split_tests_on_the_validation_part(tmp_path: Path, draw: Draw) -> None:
    rows = []
    for n in range(60):
        part = "valid" if n < 12 else "train"
        place = f"{part}/patient{n:05d}/study1/view1_frontal.jpg"
        draw(tmp_path / place, n, 32)
        rows.append(f"CheXpert-v1.0/{place},Male,50,Frontal,PA,{'1.0,,' if n % 2 else ',,1.0'},,,,,\n")
    write(tmp_path / "train.csv", CHEXPERT + "".join(rows[12:]))
    write(tmp_path / "valid.csv", CHEXPERT + "".join(rows[:12]))
    split = make_split(open_source(tmp_path), kind="official", balance="natural")
    assert len(split.parts["test"]) == 12
    assert "the publisher's test part is not here: its validation part is the test part" in split.notes


RSNA = (
    "0004cfab-14fd-4e49-80ba-63a80b6bddd6",
    "00313ee0-9eaa-42f4-b0ab-c148ed3241cd",
    "00322d4d-1c29-4943-afc9-b6754be640eb",
)


@pytest.fixture
def rsna(tmp_path: Path) -> Path:
    for n, name in enumerate(RSNA):
        dicom(tmp_path / "stage_2_train_images" / f"{name}.dcm", n, PatientID=name)
    rows = "patientId,x,y,width,height,Target\n"
    rows += f"{RSNA[0]},,,,,0\n{RSNA[1]},,,,,0\n{RSNA[2]},256,128,512,256,1\n{RSNA[2]},0,0,1024,1024,1\n"
    write(tmp_path / "stage_2_train_labels.csv", rows)
    classes = f"patientId,class\n{RSNA[0]},No Lung Opacity / Not Normal\n{RSNA[1]},Normal\n{RSNA[2]},Lung Opacity\n"
    write(tmp_path / "stage_2_detailed_class_info.csv", classes)
    return tmp_path


def test_rsna(rsna: Path) -> None:
    index = open_source(rsna)
    assert index.kind == "rsna"
    assert told(index) == {RSNA[0]: (1, (OTHER,)), RSNA[1]: (0, ()), RSNA[2]: (1, ("Pneumonia",))}
    assert [r.subtype for r in index.records] == ["no lung opacity / not normal", "normal", "lung opacity"]
    w, h = WIDTH / 1024, HEIGHT / 1024
    assert index.records[2].boxes == (
        Box("Pneumonia", 256 * w, 128 * h, 512 * w, 256 * h), Box("Pneumonia", 0, 0, WIDTH, HEIGHT),
    )  # fmt: skip
    first = index.records[0]
    assert (first.sex, first.age, first.view, first.width, first.published_part) == ("F", 41.0, "AP", WIDTH, "train")
    assert not index.has_patients
    assert index.notes[0].startswith("patientId names an image, not a patient")
    assert index.notes[-1] == NO_PATIENTS


def test_rsnas_mapping_names_the_patients_of_the_nih(rsna: Path) -> None:
    rows = [{"subset_img_id": name, "img_id": f"0000000{n // 2}_00{n}.png"} for n, name in enumerate(RSNA)]
    mapping = write(rsna / "pneumonia-challenge-dataset-mappings_2018.json", json.dumps(rows))
    index = open_source(rsna)
    assert [(r.source, r.patient) for r in index.records] == [("nih", "0"), ("nih", "0"), ("nih", "1")]
    assert (index.n_patients, index.notes) == (2, ())
    mapping.write_text('{"a": 1}')
    with pytest.raises(DataError, match="is not RSNA's mapping"):
        open_source(rsna)


def test_rsna_without_its_classes_knows_no_normal_image(rsna: Path) -> None:
    (rsna / "stage_2_detailed_class_info.csv").unlink()
    index = open_source(rsna)
    assert told(index) == {RSNA[2]: (1, ("Pneumonia",))}
    assert "2 images have no box, and no class that says normal: left out" in index.notes


VINDR = ("50a418190bc3fb1ef1633bf9678929b3", "21a10246a5ec7af151081d0cd6d65dc9", "9a5094b2563a1ef3ff50dc5c7ff71345")
VINDR_ROWS = (
    "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"
    + "".join(f"{VINDR[0]},No finding,14,R{n},,,,\n" for n in (7, 10, 11))
    + f"{VINDR[1]},Cardiomegaly,3,R10,20,30,60,50\n{VINDR[1]},Cardiomegaly,3,R8,22,30,62,50\n"
    + f"{VINDR[1]},Nodule/Mass,8,R8,1,2,3,4\n{VINDR[1]},No finding,14,R9,,,,\n"
    + f"{VINDR[2]},No finding,14,R1,,,,\n{VINDR[2]},Pulmonary fibrosis,13,R9,1,2,3,4\n{VINDR[2]},No finding,14,R2,,,,\n"
)


@pytest.fixture
def vindr(tmp_path: Path) -> Path:
    for n, name in enumerate(VINDR):
        dicom(tmp_path / "train" / f"{name}.dicom", n)
    write(tmp_path / "train.csv", VINDR_ROWS)
    return tmp_path


def test_vindr_by_the_majority_of_its_readers(vindr: Path) -> None:
    index = open_source(vindr)
    assert index.kind == "vindr"
    assert told(index) == {VINDR[0]: (0, ()), VINDR[1]: (1, ("Cardiomegaly",)), VINDR[2]: (0, ())}
    assert index.records[1].boxes == (
        Box("Cardiomegaly", 20, 30, 40, 20), Box("Cardiomegaly", 22, 30, 40, 20), Box(OTHER, 1, 2, 2, 2),
    )  # fmt: skip
    assert index.records[2].boxes == ()
    assert (index.records[0].sex, index.records[0].view, index.records[0].published_part) == ("F", "AP", "train")
    assert index.notes == (NO_PATIENTS,)


@pytest.mark.parametrize(
    ("policy", "labels"),
    [("abnormal", [0, 1, 1]), ("normal", [0, 0, 0]), ("drop", [0])],
    ids=["abnormal", "normal", "drop"],
)
def test_readers_who_disagree(vindr: Path, policy: Any, labels: list[int]) -> None:
    assert [r.label for r in open_source(vindr, uncertain=policy).records] == labels


def test_vindr_from_physionet(tmp_path: Path) -> None:
    dicom(tmp_path / "train" / f"{VINDR[0]}.dicom", 0)
    dicom(tmp_path / "test" / f"{VINDR[1]}.dicom", 1)
    labels = "image_id,rad_id,Cardiomegaly,COPD,No finding\n" + "".join(
        f"{VINDR[0]},R{n},0,{n % 2},{1 - n % 2}\n" for n in (1, 2, 3)
    )
    write(tmp_path / "annotations" / "image_labels_train.csv", labels)
    write(
        tmp_path / "annotations" / "image_labels_test.csv", f"image_id,Cardiomegaly,COPD,No finding\n{VINDR[1]},1,0,0\n"
    )
    header = "image_id,rad_id,class_name,x_min,y_min,x_max,y_max\n"
    write(tmp_path / "annotations" / "annotations_train.csv", header + f"{VINDR[0]},R2,No finding,,,,\n")
    write(
        tmp_path / "annotations" / "annotations_test.csv",
        f"image_id,class_name,x_min,y_min,x_max,y_max\n{VINDR[1]},Cardiomegaly,5,6,15,26\n",
    )
    index = open_source(tmp_path)
    assert told(index) == {VINDR[1]: (1, ("Cardiomegaly",)), VINDR[0]: (1, (OTHER,))}
    test = index.by_image[VINDR[1]]
    assert (test.published_part, test.boxes) == ("test", (Box("Cardiomegaly", 5, 6, 10, 20),))


def test_vindr_copied_to_small_png(tmp_path: Path, draw: Draw) -> None:
    for n, name in enumerate(VINDR):
        draw(tmp_path / "train" / f"{name}.png", n, (64, 32))
    write(tmp_path / "train.csv", VINDR_ROWS.replace("20,30,60,50", "200,300,600,500"))
    index = open_source(tmp_path)
    assert index.records[1].boxes == ()
    assert any("1 image is smaller than the boxes' frame" in note for note in index.notes)
    write(tmp_path / "train_meta.csv", f"image_id,dim0,dim1\n{VINDR[1]},1000,2000\n")
    assert open_source(tmp_path).records[1].boxes[0] == Box("Cardiomegaly", 6.4, 9.6, 12.8, 6.4)


PADCHEST = (
    ",ImageID,ImageDir,StudyDate_DICOM,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,Projection,Labels\n"
)


def test_padchest(tmp_path: Path, draw: Draw) -> None:
    long = "20536686640136348236148679891455886468"
    rows = [
        ("0,2,p1,1930.0,F,POSTEROANTERIOR,PA,['normal']", (0, ())),
        ("0,2,p1,1930.0,F,LATERAL,L,['normal']", None),
        ("0,2,p2,1937.0,M,,AP_horizontal,\"['pleural effusion', 'cardiomegaly ', 'subcutaneous emphysema']\"", None),
        ("0,2,p3,,M,,COSTAL,['normal']", None),
        ("0,2,p4,,M,,PA,\"['unchanged', 'calcified granuloma']\"", (1, (OTHER,))),
        ("0,2,p4,,M,,PA,['unchanged']", None),
        ("0,2,p4,,M,,PA,", None),
        ("0,2,p5,,M,,PA,\"['pacemaker', 'normal']\"", (0, ())),
        ("0,2,p6,,M,LL,,['normal']", None),
    ]
    text = PADCHEST
    for n, (row, _) in enumerate(rows):
        folder, year, *rest = row.split(",")
        text += f"{n},{long}_{n}.png,{folder},{2010 + int(year)}0915,{','.join(rest)}\n"
        draw(tmp_path / "0" / f"{long}_{n}.png", n)
    packed = gzip.compress(text.encode())
    (tmp_path / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz").write_bytes(packed)
    index = open_source(tmp_path)
    assert index.kind == "padchest"
    expected = {f"{long}_{n}.png": answer for n, (_, answer) in enumerate(rows) if answer is not None}
    assert told(index) == {**expected, f"{long}_2.png": (1, ("Effusion", "Cardiomegaly", OTHER))}
    first, supine = index.by_image[f"{long}_0.png"], index.by_image[f"{long}_2.png"]
    assert (first.patient, first.age, first.sex, first.view) == ("p1", 82.0, "F", "PA")
    assert (supine.view, supine.age, supine.sex) == ("AP", 75.0, "M")
    assert set(index.notes) == {
        "2 lateral views are left out",
        "1 image of another projection is left out",
        "2 images have no label, or one that tells nothing (unchanged, exclude): left out",
    }


def test_lists_of_labels_as_python_writes_them() -> None:
    assert labels_of("['pleural effusion', 'Cardiomegaly ', \"o'clock\", '']") == [
        "pleural effusion",
        "cardiomegaly",
        "o'clock",
    ]
    assert labels_of("nan") == labels_of("") == labels_of("[]") == []


def test_mimic(tmp_path: Path, draw: Draw) -> None:
    names = [f"{n:08x}-bde0afdd-112c0b34-7bc16630-4e384014" for n in range(5)]
    people = [
        ("10000032", "50414267"),
        ("10000032", "50414267"),
        ("10000764", "53189527"),
        ("10000764", "53189528"),
        ("1", "2"),
    ]
    views = ["PA", "LATERAL", "", "AP", "AP"]
    metadata = "dicom_id,subject_id,study_id,ViewPosition,Rows,Columns,ViewCodeSequence_CodeMeaning\n"
    split = "dicom_id,study_id,subject_id,split\n"
    for n, name in enumerate(names):
        subject, study = people[n]
        metadata += f"{name},{subject},{study},{views[n]},3056,2544,{'antero-posterior' if n == 2 else ''}\n"
        split += f"{name},{study},{subject},{('train', 'train', 'validate', 'test', 'test')[n]}\n"
        if n < 4:
            draw(tmp_path / "files" / "p10" / f"p{subject}" / f"s{study}" / f"{name}.jpg", n)
    labels = "subject_id,study_id,Atelectasis,No Finding,Pneumonia\n10000032,50414267,,1.0,\n10000764,53189527,,,-1.0\n"
    for kind, text in (("metadata", metadata), ("split", split), ("chexpert", labels)):
        (tmp_path / f"mimic-cxr-2.0.0-{kind}.csv.gz").write_bytes(gzip.compress(text.encode()))
    index = open_source(tmp_path)
    assert index.kind == "mimic"
    assert told(index) == {names[0]: (0, ()), names[2]: (1, ("Pneumonia",))}
    first, second = index.records
    assert (first.patient, first.view, first.width, first.height, first.published_part) == (
        "10000032",
        "PA",
        2544,
        3056,
        "train",
    )
    assert (second.view, second.published_part) == ("AP", "validation")
    assert index.rows_without_file == 1
    assert {"1 lateral view is left out", "1 row of the table has no file here"} <= set(index.notes)
    assert any(note.startswith("1 image names neither a finding nor No Finding") for note in index.notes)
    (tmp_path / "elsewhere").mkdir()
    for path in tmp_path.glob("*.gz"):
        plain = path.name.removeprefix("mimic-cxr-2.0.0-").removesuffix(".gz")
        (tmp_path / "elsewhere" / plain).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert (
        open_source(tmp_path / "files", tables="../elsewhere").records == index.records
    )  # unpacked, under other names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("male 45yrs\nnormal", ("M", 45.0)),
        ("Female, 33 yrs\nPTB", ("F", 33.0)),
        ("female 5 month\nnormal", ("F", pytest.approx(5 / 12))),
        ("Patient's Sex: F \nPatient's Age: 027Y\nnormal", ("F", 27.0)),
        ("", (None, None)),
    ],
)
def test_clinical_readings(text: str, expected: tuple[str | None, Any]) -> None:
    assert parse_reading(text) == expected


def test_shenzhen_and_montgomery(tmp_path: Path, draw: Draw) -> None:
    for n, name in enumerate(("CHNCXR_0001_0", "CHNCXR_0327_1")):
        draw(tmp_path / "s" / "ChinaSet_AllFiles" / "CXR_png" / f"{name}.png", n)
        draw(tmp_path / "s" / "masks" / f"{name}_mask.png", n)
        write(
            tmp_path / "s" / "ChinaSet_AllFiles" / "ClinicalReadings" / f"{name}.txt", f"{'fe' * n}male 4{n}yrs\nnormal"
        )
    index = open_source(tmp_path / "s")
    assert (index.kind, told(index)) == ("shenzhen", {"CHNCXR_0001_0.png": (0, ()), "CHNCXR_0327_1.png": (1, (OTHER,))})
    assert [(r.patient, r.sex, r.age, r.subtype) for r in index.records] == [
        ("1", "M", 40.0, None), ("327", "F", 41.0, "tuberculosis"),
    ]  # fmt: skip
    assert index.notes == ("2 masks are left out",)
    for place in ("CXR_png", "ManualMask/leftMask", "ManualMask/rightMask"):
        draw(tmp_path / "m" / "MontgomerySet" / place / "MCUCXR_0104_1.png", 5)
    write(tmp_path / "m" / "montgomery_metadata.csv", "study_id,age,gender,findings\nMCUCXR_0104_1.png,27,F,miliary\n")
    index = open_source(tmp_path / "m")
    (record,) = index.records
    assert (index.kind, record.label, record.sex, record.age, record.patient) == ("montgomery", 1, "F", 27.0, "104")
    assert index.notes == ("2 masks are left out",)


def test_openi(tmp_path: Path, draw: Draw) -> None:
    problems = ["normal", "Cardiomegaly;Pulmonary Artery", "No Indexing", "Catheters, Indwelling", ""]
    reports = "uid,MeSH,Problems,image\n" + "".join(
        f'{n},Opacity/lung/base;Hernia/x,"{text}",Xray Chest {"PA" if n < 2 else "AP/PA"} and Lateral\n'
        for n, text in enumerate(problems)
    )
    write(tmp_path / "indiana_reports.csv", reports)
    names = [f"{n}_IM-000{n}-4001.dcm.png" for n in range(5)]
    rows = [f"{n},{name},Frontal\n" for n, name in enumerate(names)] + ["0,0_IM-0000-3001.dcm.png,Lateral\n"]
    write(tmp_path / "indiana_projections.csv", "uid,filename,projection\n" + "".join(rows))
    for n, name in enumerate([*names, "0_IM-0000-3001.dcm.png"]):
        draw(tmp_path / "images" / "images_normalized" / name, n)
    index = open_source(tmp_path)
    assert index.kind == "openi"
    assert told(index) == {names[0]: (0, ()), names[1]: (1, ("Cardiomegaly", OTHER)), names[4]: (1, (OTHER,))}
    assert [(r.patient, r.view) for r in index.records] == [("0", "PA"), ("1", "PA"), ("4", None)]
    assert {"1 lateral view is left out"} <= set(index.notes)
    assert "2 images have a report that is not indexed, or names devices alone: left out" in index.notes


def test_siim_no_mask_is_not_normal(tmp_path: Path) -> None:
    uids = [f"1.2.276.0.7230010.3.1.4.8323329.30{n}.151787520{n}" for n in range(2)]
    for n, uid in enumerate(uids):
        dicom(tmp_path / "dicom-images-train" / f"s{n}" / "x" / f"{uid}.dcm", n, PatientID=f"p{n}")
    write(tmp_path / "train-rle.csv", f"ImageId, EncodedPixels\n{uids[0]}, -1\n{uids[1]}, 2058 2 1022 2\n")
    index = open_source(tmp_path)
    assert (index.kind, told(index)) == ("siim", {uids[1]: (1, ("Pneumothorax",))})
    w, h = WIDTH / 1024, HEIGHT / 1024
    assert index.records[0].boxes == (Box("Pneumothorax", 2 * w, 10 * h, 2 * w, 2 * h),)
    assert index.has_patients
    assert any("1 image has no mask: no pneumothorax, which is not normal" in note for note in index.notes)
    asked = open_source(tmp_path, uncertain="normal")
    assert told(asked)[uids[0]] == (0, ())
    assert any("taken as normal, as asked: there may be other findings" in note for note in asked.notes)


@pytest.mark.parametrize(
    ("runs", "box"),
    [
        ("-1", None),
        ("0 1", (0, 0, 1, 1)),
        ("1034 6", (1, 10, 1, 6)),
        ("2058 2 1022 2", (2, 10, 2, 2)),  # two rows of two columns
        ("1020 8", (0, 0, 2, 1024)),  # a run over the end of a column
    ],
)
def test_the_box_around_runs_of_a_mask(runs: str, box: tuple[int, int, int, int] | None) -> None:
    assert box_of(runs) == (None if box is None else Box("Pneumothorax", *box))


@pytest.mark.parametrize("runs", ["5", "a b", "1048570 20", "1 -2"])
def test_runs_that_are_none(runs: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        box_of(runs)


def test_tbx11k_by_its_table(tmp_path: Path, draw: Draw) -> None:
    for n, name in enumerate(("health/h0001", "health/h0002", "sick/s0001", "tb/tb0003")):
        draw(tmp_path / "TBX11K" / "imgs" / f"{name}.png", n, 64)
    box = "\"{'xmin': 220, 'ymin': 120, 'width': 108, 'height': 160}\""
    write(
        tmp_path / "TBX11K" / "data.csv",
        "fname,image_height,image_width,source,bbox,target,tb_type,image_type\nh0001.png,512,512,train,none,no_tb,none,healthy\n"
        f"s0001.png,512,512,val,none,no_tb,none,sick_but_no_tb\ntb0003.png,512,512,train,{box},tb,latent_tb,tb\n"
        f"tb0003.png,512,512,train,{box},tb,latent_tb,tb\n",
    )
    index = open_source(tmp_path)
    assert (index.kind, told(index)) == (
        "tbx11k",
        {"h0001.png": (0, ()), "s0001.png": (1, (OTHER,)), "tb0003.png": (1, (OTHER,))},
    )
    assert [(r.subtype, r.published_part) for r in index.records] == [
        (None, "train"), ("sick_but_no_tb", "validation"), ("latent_tb", "train"),
    ]  # fmt: skip
    assert index.records[2].boxes == (Box(OTHER, 27.5, 15, 13.5, 20),) * 2
    assert (index.files_without_row, index.notes[-1]) == (1, NO_PATIENTS)


def test_tbx11k_by_its_folders(tmp_path: Path, draw: Draw) -> None:
    for n, name in enumerate(("health/h0001", "sick/s0001", "tb/tb0003", "test/t0001", "extra/da/x1")):
        draw(tmp_path / "imgs" / f"{name}.png", n, 64)
    write(tmp_path / "lists" / "TBX11K_train.txt", "health/h0001.png\ntb/tb0003.png\n")
    write(tmp_path / "lists" / "TBX11K_val.txt", "sick/s0001.png\n")
    coco = {
        "images": [{"id": 7, "file_name": "tb/tb0003.png"}],
        "annotations": [{"image_id": 7, "bbox": [8, 16, 32, 64]}],
    }
    write(tmp_path / "annotations" / "json" / "TBX11K_train.json", json.dumps(coco))
    index = open_source(tmp_path)
    assert told(index) == {"h0001.png": (0, ()), "s0001.png": (1, (OTHER,)), "tb0003.png": (1, (OTHER,))}
    assert index.by_image["tb0003.png"].boxes == (Box(OTHER, 1, 2, 4, 8),)
    assert "2 pictures under test (without labels) or extra (other sets) are left out" in index.notes
    assert [r.published_part for r in index.records] == ["train", "validation", "train"]


@pytest.mark.parametrize("between", ["images/", ""])
def test_covid_radiography(tmp_path: Path, draw: Draw, between: str) -> None:
    for n, name in enumerate(("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")):
        draw(tmp_path / "set" / name / f"{between}{name}-1.png", n)
        draw(tmp_path / "set" / name / "masks" / f"{name}-1.png", n)
    index = open_source(tmp_path)
    assert index.kind == "covid"
    assert told(index) == {
        "COVID/COVID-1.png": (1, (OTHER,)),
        "Lung_Opacity/Lung_Opacity-1.png": (1, (OTHER,)),
        "Normal/Normal-1.png": (0, ()),
        "Viral Pneumonia/Viral Pneumonia-1.png": (1, ("Pneumonia",)),
    }
    assert "4 masks are left out" in index.notes
    assert any("a model can tell the source in the place of the disease" in note for note in index.notes)


def test_jsrt(tmp_path: Path, draw: Draw) -> None:
    for n, name in enumerate(("JPCLN001", "JPCLN002", "JPCNN001")):
        draw(tmp_path / f"{name}.png", n, 64)
    write(
        tmp_path / "Clinical_Information" / "CLNDAT_EN.txt",
        "JPCLN001.IMG\t5\t14\t53\tmale\t1634\t692\tmalignant\tl.upper lobe\tlung cancer\n",
    )
    write(tmp_path / "Clinical_Information" / "CNNDAT_EN.TXT", "JPCNN001.IMG\t71\tfemale\tnon-nodule\n")
    index = open_source(tmp_path)
    assert (index.kind, told(index)) == (
        "jsrt",
        {"JPCLN001": (1, ("Nodule",)), "JPCLN002": (1, ("Nodule",)), "JPCNN001": (0, ())},
    )
    nodule, _, normal = index.records
    # 14 mm are 80 pixels of 0.175 mm; the picture is 1/32 of the frame
    assert nodule.boxes == (Box("Nodule", (1634 - 40) / 32, (692 - 40) / 32, 2.5, 2.5),)
    assert (nodule.age, nodule.sex, nodule.subtype, nodule.patient) == (53.0, "M", "malignant", "JPCLN001")
    assert (normal.age, normal.sex, normal.boxes) == (71.0, "F", ())
    assert index.notes == ("1 image with a nodule has no place of it: no clinical text lies here",)


def test_jsrt_from_kaggle_and_bare_pixels(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "images" / "images" / "JPCLN001.png", 0, 64)
    header = "study_id,subtlety,size,age,gender,x,y,state,position,diagnosis\n"
    write(tmp_path / "jsrt_metadata.csv", f"{header}JPCLN001.png,5,14,53,Male,1634,692,malignant,l.upper lobe,cancer\n")
    (record,) = open_source(tmp_path).records
    assert (record.age, record.sex, record.boxes[0].width) == (53.0, "M", 2.5)
    (tmp_path / "images" / "images" / "JPCLN001.png").rename(tmp_path / "JPCLN001.IMG")
    with pytest.raises(DataError, match=r"1 \.IMG file is bare pixels .*; convert them to PNG or DICOM"):
        open_source(tmp_path)

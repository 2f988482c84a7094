"""Phantoms: the same for the same seed, laid out as the release, true in their boxes, and not trivial."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxreader.data.phantoms.anatomy import build_chest, heart
from cxreader.data.phantoms.film import FRAME
from cxreader.data.phantoms.lesions import KINDS
from cxreader.data.phantoms.patients import draw_build, draw_framing, draw_pose, plan_patient
from cxreader.data.phantoms.write import Phantom, PhantomSpec, render, write_phantoms
from cxreader.errors import DataError, StorageError, UsageError
from cxreader.findings import NO_FINDING, canonical

SMALL = PhantomSpec(patients=24, seed=3, size=96)
ENTRY = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


def images(out: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(out.glob("images_*/images/*.png"))}


def names(path: Path) -> list[str]:
    return path.read_text().split()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantoms") / "out"
    write_phantoms(out, SMALL, workers=1)
    return out


@lru_cache(maxsize=1)
def abnormal() -> tuple[Phantom, ...]:
    """Twenty abnormal phantoms at 256 px, with every finding among them."""
    spec = PhantomSpec(seed=5, size=256, abnormal_share=1.0)
    return tuple(render(spec, k, 0) for k in range(1, 41))


# ---------------------------------------------------------------------------------------------------------- determinism


def test_the_same_whatever_the_processes_and_the_number_of_patients(release: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "two", SMALL, workers=2)
    write_phantoms(tmp_path / "fewer", replace(SMALL, patients=9), workers=1)
    whole, two, fewer = images(release), images(tmp_path / "two"), images(tmp_path / "fewer")
    assert {n: p.read_bytes() for n, p in whole.items()} == {n: p.read_bytes() for n, p in two.items()}
    for table in ("Data_Entry_2017.csv", "BBox_List_2017.csv", "train_val_list.txt", "test_list.txt"):
        assert (release / table).read_bytes() == (tmp_path / "two" / table).read_bytes()
        begun = (tmp_path / "fewer" / table).read_text()
        assert (release / table).read_text().startswith(begun)
    assert 0 < len(fewer) < len(whole)
    assert all(whole[name].read_bytes() == path.read_bytes() for name, path in fewer.items())


def test_another_seed_draws_other_patients() -> None:
    one, other = (render(replace(SMALL, seed=seed), 1, 0) for seed in (0, 1))
    assert not np.array_equal(one.pixels, other.pixels)


def test_a_patient_keeps_the_body_from_visit_to_visit() -> None:
    who = next(p for p in (plan_patient(0, k, 0.5) for k in range(1, 99)) if len(p.visits) > 2)
    assert {v.age for v in who.visits} <= set(range(who.visits[0].age, who.visits[0].age + 6))
    first, second = (render(PhantomSpec(size=96), who.number, k).pixels for k in (0, 1))
    assert not np.array_equal(first, second)


def test_size_changes_neither_findings_nor_where_they_lie() -> None:
    for k in range(1, 12):
        small, large = (render(PhantomSpec(seed=2, size=size, abnormal_share=1.0), k, 0) for size in (128, 400))
        assert small.pixels.shape == (128, 128)
        assert large.pixels.shape == (400, 400)
        assert [b.finding for b in small.boxes] == [b.finding for b in large.boxes]
        first, second = (np.array([(b.x + b.width / 2, b.y + b.height / 2) for b in p.boxes]) for p in (small, large))
        assert np.median(np.abs(first - second)) < 12


# --------------------------------------------------------------------------------------------------------------- layout


def test_files_and_tables_are_those_of_the_release(release: Path) -> None:
    assert (release / "Data_Entry_2017.csv").read_text().splitlines()[0] == ENTRY
    assert (release / "BBox_List_2017.csv").read_text().splitlines()[0] == "Image Index,Finding Label,Bbox [x,y,w,h],,,"
    entries, found = rows(release / "Data_Entry_2017.csv"), images(release)
    assert [row[0] for row in entries] == list(found)
    assert all(len(row) == 12 and row[11] == "" for row in entries)
    for row in entries:
        assert re.fullmatch(r"\d{8}_\d{3}\.png", row[0])
        assert (int(row[0][:8]), int(row[0][9:12])) == (int(row[3]), int(row[2]))
        assert row[5] in "MF"
        assert row[6] in ("AP", "PA")
        assert 0 < int(row[4]) < 100
        assert min(int(row[7]), int(row[8])) > 2000
        assert 0.13 < float(row[9]) == float(row[10]) < 0.2
        assert all(canonical(label) in KINDS for label in row[1].split("|") if label != NO_FINDING)
    with Image.open(next(iter(found.values()))) as image:
        assert (image.mode, image.size, image.format) == ("L", (96, 96), "PNG")


def test_the_lists_cut_by_patient_and_cover_everything(release: Path) -> None:
    train, test = names(release / "train_val_list.txt"), names(release / "test_list.txt")
    assert sorted(train + test) == sorted(images(release))
    assert {n[:8] for n in train}.isdisjoint(n[:8] for n in test)
    assert test


def test_every_finding_has_its_box_inside_the_frame(release: Path) -> None:
    boxes: dict[str, set[str]] = {}
    for name, finding, *numbers in rows(release / "BBox_List_2017.csv"):
        x, y, w, h = map(float, numbers)
        assert min(x, y) >= 0
        assert max(x + w, y + h) <= FRAME + 0.11
        assert min(w, h) > 8
        assert finding != "Infiltration"
        boxes.setdefault(name, set()).add(canonical(finding))
    for row in rows(release / "Data_Entry_2017.csv"):
        assert boxes.get(row[0], set()) == set(row[1].split("|")) - {NO_FINDING}


def test_the_note_says_that_these_are_phantoms(release: Path) -> None:
    note = json.loads((release / "phantom.json").read_text())
    assert "not patients" in note["what"]
    assert note["spec"] == {"patients": 24, "seed": 3, "size": 96, "abnormal_share": 0.5, "shortcut": "none"}
    assert [kind["finding"] for kind in note["findings"]] == list(KINDS)
    assert all(kind["size"] and kind["contrast"] and kind["size_unit"] for kind in note["findings"])


def test_the_report_counts_what_is_there(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = write_phantoms(tmp_path, SMALL, workers=1, progress=lambda done, of: seen.append((done, of)))
    entries = rows(tmp_path / "Data_Entry_2017.csv")
    labels = [label for row in entries for label in row[1].split("|")]
    assert report.images == report.drawn == len(entries) == seen[-1][0] == seen[-1][1]
    assert report.patients == 24
    assert report.findings == {name: labels.count(name) for name in (NO_FINDING, *KINDS)}
    assert report.abnormal == len(entries) - labels.count(NO_FINDING)
    assert report.boxes == len(rows(tmp_path / "BBox_List_2017.csv"))


# ----------------------------------------------------------------------------------------------------------- the image


def test_all_findings_occur() -> None:
    assert {finding for phantom in abnormal() for finding in phantom.findings} == set(KINDS)


def test_what_a_lesion_changes_lies_in_its_box() -> None:
    spec = PhantomSpec(seed=5, size=256, abnormal_share=1.0)
    for phantom in abnormal():
        bare = render(spec, phantom.patient, 0, lesions=False)
        assert bare.boxes == ()
        changed = np.abs(phantom.pixels.astype(float) - bare.pixels)
        # Noise follows attenuation by a grey value or two; what the lesion itself changes is more.
        changed[changed < 4] = 0
        inside = np.zeros(changed.shape, bool)
        for box in phantom.boxes:
            b = box.scaled(256 / FRAME)
            inside[int(b.y) : int(b.y + b.height) + 1, int(b.x) : int(b.x + b.width) + 1] = True
        assert changed.sum() > 0, phantom.findings
        assert changed[inside].sum() / changed.sum() > 0.8, (phantom.patient, phantom.findings)


def test_a_normal_image_has_no_lesion_to_leave_out() -> None:
    spec = PhantomSpec(size=96, abnormal_share=0.0)
    with_, without = (render(spec, 4, 0, lesions=keep) for keep in (True, False))
    assert not with_.findings
    assert not with_.boxes
    assert np.array_equal(with_.pixels, without.pixels)


def test_the_heart_lies_to_the_image_right() -> None:
    shares = []
    for number in range(1, 31):
        who = plan_patient(0, number, 0.0)
        build = draw_build(0, who)
        grid = draw_framing(0, who, 0, build).grid(128)
        shadow = heart(grid, build, draw_pose(0, who, 0, build, enlarged=False)) > 0.5
        shares.append(shadow[:, grid.u[0] > 0].sum() / shadow.sum())
        across = grid.u[0][shadow.any(0)]
        assert across.max() > -across.min()
    # About two thirds lie left of the midline; a turned patient shifts that.
    assert min(shares) > 0.5
    assert 0.58 < np.median(shares) < 0.72


def test_bone_is_bright_and_air_is_dark() -> None:
    who = plan_patient(0, 1, 0.0)
    build = draw_build(0, who)
    chest = build_chest(draw_framing(0, who, 0, build).grid(128), build, draw_pose(0, who, 0, build, enlarged=False))
    density, lung = chest.attenuation(), chest.lung > 100
    assert (
        density[chest.body == 0].max(initial=0)
        < density[lung].mean()
        < density[(chest.lung < 20) & (chest.body > 170)].mean()
    )
    assert density[lung & (chest.bone > 0.1)].mean() > density[lung & (chest.bone < 0.01)].mean()


@pytest.mark.parametrize(
    ("field", "value"),
    [("patients", 0), ("size", 32), ("seed", -1), ("abnormal_share", 1.5), ("shortcut", "watermark")],
)
def test_a_spec_out_of_range_is_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match="phantoms"):
        replace(SMALL, **{field: value})  # type: ignore[arg-type]


def test_a_visit_that_never_was_is_refused() -> None:
    with pytest.raises(UsageError, match="no visit 6"):
        render(SMALL, 1, 6)
    with pytest.raises(UsageError, match="numbered from 1"):
        render(SMALL, 0, 0)


# ---------------------------------------------------------------------------------------------------------- resumption


def test_missing_and_torn_images_are_drawn_again_and_no_others(tmp_path: Path) -> None:
    write_phantoms(tmp_path, SMALL, workers=1)
    before = {name: path.read_bytes() for name, path in images(tmp_path).items()}
    missing, torn, flipped = (images(tmp_path)[name] for name in list(before)[2:5])
    missing.unlink()
    torn.write_bytes(before[torn.name][:-900])
    content = bytearray(before[flipped.name])
    content[len(content) // 2] ^= 0xFF
    flipped.write_bytes(content)
    (missing.parent / f".{missing.name}.123.part").write_bytes(b"half")
    (tmp_path / "BBox_List_2017.csv").unlink()
    report = write_phantoms(tmp_path, SMALL, workers=1)
    assert (report.drawn, report.kept) == (3, len(before) - 3)
    assert {name: path.read_bytes() for name, path in images(tmp_path).items()} == before
    assert report.boxes == len(rows(tmp_path / "BBox_List_2017.csv"))
    assert not list(tmp_path.rglob(".*.part"))


def test_a_folder_of_something_else_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="something else than phantoms"):
        write_phantoms(tmp_path, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match="is a file"):
        write_phantoms(tmp_path / "thesis.txt", SMALL)


def test_phantoms_of_another_seed_are_refused(release: Path) -> None:
    with pytest.raises(DataError, match="other phantoms"):
        write_phantoms(release, replace(SMALL, seed=4))


def test_a_full_disk_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left") as caught:
        write_phantoms(tmp_path / "out", SMALL, workers=1)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------- shares and difficulty


def test_the_planted_marker_is_on_nine_of_ten_abnormal_and_hardly_any_normal() -> None:
    spec = PhantomSpec(seed=1, size=64, shortcut="marker")
    drawn = [render(spec, k, 0) for k in range(1, 101)]
    share = {ill: np.mean([p.marked for p in drawn if bool(p.findings) == ill]) for ill in (True, False)}
    assert share[True] > 0.8
    assert share[False] < 0.12
    plain = next(p for p in drawn if p.marked)
    clean = render(replace(spec, shortcut="none"), plain.patient, 0)
    differ = np.argwhere(clean.pixels != plain.pixels)
    assert not clean.marked
    assert differ[:, 0].min() > 0.85 * 64
    assert differ[:, 1].max() < 0.2 * 64


def global_statistics(a: NDArray[np.float64]) -> list[float]:
    """Brightness, spread, percentiles, skewness, sharpness, mean gradient."""
    rise, run = np.gradient(a)
    percentiles = np.percentile(a, [1, 5, 10, 25, 50, 75, 90, 95, 99])
    sharpness, slope = ndimage.laplace(a).var(), np.hypot(rise, run).mean()
    return [a.mean(), a.std(), *percentiles, float(stats.skew(a.ravel())), sharpness, slope]


def border(a: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The image with its central 80 % blanked, at 32 x 32."""
    edge, cut = a.copy(), len(a) // 10
    edge[cut:-cut, cut:-cut] = 0
    return np.asarray(Image.fromarray(edge.astype(np.uint8)).resize((32, 32), Image.Resampling.BOX))


def thumbnail(a: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(a.astype(np.uint8)).resize((16, 16), Image.Resampling.BOX))


def separability(features: list[NDArray[np.float64]], label: NDArray[np.int64], patient: NDArray[np.int64]) -> float:
    """The best cross-validated AUC of logistic regression, by patient, over strengths of regularisation."""
    x, aucs = np.stack([np.ravel(f) for f in features]).astype(float), []
    for strength in (1e-4, 1e-3, 1e-2, 1e-1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=3000))
        score = cross_val_predict(model, x, label, groups=patient, cv=GroupKFold(5), method="decision_function")
        aucs.append(float(roc_auc_score(label, score)))
    return max(aucs)


@pytest.mark.slow
def test_neither_brightness_nor_border_nor_thumbnail_nor_the_table_gives_the_label_away(tmp_path: Path) -> None:
    write_phantoms(tmp_path, PhantomSpec(patients=400, seed=0, size=128))
    entries, files = rows(tmp_path / "Data_Entry_2017.csv"), images(tmp_path)
    pixels = [np.asarray(Image.open(files[row[0]]), float) for row in entries]
    label = np.array([int(row[1] != NO_FINDING) for row in entries])
    patient = np.array([int(row[3]) for row in entries])
    visits = np.bincount(patient)[patient]
    table = [
        np.array([float(row[4]), row[5] == "M", row[6] == "AP", float(row[2]), n, float(row[7]), float(row[8])], float)
        for row, n in zip(entries, visits, strict=True)
    ]
    assert 0.4 < label.mean() < 0.6
    assert separability([np.array(global_statistics(a)) for a in pixels], label, patient) < 0.60
    assert separability([border(a).astype(float) for a in pixels], label, patient) < 0.60
    assert separability([thumbnail(a).astype(float) for a in pixels], label, patient) < 0.80
    assert separability(table, label, patient) < 0.60

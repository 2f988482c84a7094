"""The audit of a split: what two parts must not share, and what they may."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from cxreader.data.audit import SplitAudit, audit_split, summarise
from cxreader.data.index import NO_PATIENTS, Index
from cxreader.data.near import ALL_PAIRS_BELOW, BAND, SIDE, near_pairs
from cxreader.data.pixel_cache.cache import PixelCache, build_cache
from cxreader.data.sources import open_source
from cxreader.data.split import PARTS, Split, make_split
from cxreader.errors import DataError
from cxreader.imaging.preprocess import InputSpec, thumbnails
from cxreader.records import ImageRecord

Draw = Callable[..., Path]
SPEC = InputSpec(96)


@pytest.fixture
def index(tmp_path: Path, draw: Draw) -> Index:
    """Sixty patients with two pictures each, all different."""
    records = []
    for n in range(120):
        path = draw(tmp_path / "images" / f"{n:03d}.png", n, 200)
        about = {"view": "PA" if n % 3 else "AP", "sex": "F" if n % 4 else None, "age": float(n)}
        records.append(ImageRecord(path.name, n % 2, str(path), patient=str(n // 2), **about))  # type: ignore[arg-type]
    return Index(tuple(records), "set", "table", str(tmp_path))


def audited(index: Index, split: Split, folder: Path) -> SplitAudit:
    return audit_split(split, index, build_cache(index.records, SPEC, folder / "cache", workers=1))


def one_of_each(split: Split) -> tuple[Path, Path]:
    """A training image and the test image that will become its copy."""
    return Path(split.parts["train"][0]), Path(split.parts["test"][0])


def test_a_clean_split_passes(index: Index, tmp_path: Path) -> None:
    split = make_split(index, balance="natural")
    found = audited(index, split, tmp_path)
    assert not found.failed
    assert (found.shared_patients, found.exact, found.near, found.unread, found.compared) == (0, (), (), 0, 120)
    assert (found.leak.share, found.digest, found.patients) == (0.0, split.digest, True)


def test_the_tables_are_those_of_pandas(index: Index, tmp_path: Path) -> None:
    import pandas as pd

    split = make_split(index, balance="natural")
    found = audited(index, split, tmp_path)
    frame = pd.DataFrame([(r.image, r.label, r.view, r.sex, r.age, r.patient) for r in index.records])
    frame.columns = pd.Index(["image", "label", "view", "sex", "age", "patient"])
    frame["part"] = frame["image"].map(split.part_of)
    for part, rows in frame.groupby("part"):
        told = found.parts[str(part)]
        assert (told.images, told.patients) == (len(rows), rows["patient"].nunique())
        assert (told.normal, told.abnormal) == ((rows["label"] == 0).sum(), (rows["label"] == 1).sum())
        assert told.views == rows.groupby("view").size().to_dict()
        assert told.sexes == rows["sex"].fillna("unknown").value_counts().to_dict()
        assert told.age_quartiles == pytest.approx(tuple(rows["age"].quantile([0.25, 0.5, 0.75])))
        assert told.ages == len(rows)


def test_implausible_ages_are_counted_and_left_out_of_the_quartiles() -> None:
    told = summarise(
        [ImageRecord("a", 0, age=411.0, age_plausible=False), ImageRecord("b", 1, age=50.0), ImageRecord("c", 1)]
    )
    assert (told.ages, told.implausible_ages, told.age_quartiles, told.patients) == (1, 1, (50.0, 50.0, 50.0), None)


def test_a_patient_in_two_parts_fails_and_is_not_named(index: Index, tmp_path: Path) -> None:
    secret = replace(index, records=tuple(replace(r, patient=f"secret{r.patient}") for r in index.records))
    split = make_split(secret, balance="natural")
    moved = split.parts["train"][0]
    parts = {**split.parts, "train": split.parts["train"][1:], "test": (*split.parts["test"], moved)}
    found = audited(secret, replace(split, parts=parts), tmp_path)
    assert found.failed
    assert found.shared_patients == 1
    assert moved in found.shared_examples[0]
    assert found.leak.shared_images == 1
    assert "secret" not in json.dumps(found.to_dict())


@pytest.mark.parametrize("suffix", ["png", "bigger file"])
def test_exact_duplicates_fail_whatever_their_files(index: Index, tmp_path: Path, suffix: str) -> None:
    split = make_split(index, balance="natural")
    train, test = one_of_each(split)
    with Image.open(tmp_path / "images" / train) as image:
        image.save(tmp_path / "images" / test, compress_level=6 if suffix == "png" else 0)
    found = audited(index, split, tmp_path)
    assert found.failed
    assert [(d.image, d.part, d.other, d.other_part) for d in found.exact] == [(str(train), "train", str(test), "test")]
    assert found.near == ()  # told once


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(0.93),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.85),
    "resized": lambda image: image.resize((150, 150), Image.Resampling.BICUBIC),
    "upscaled": lambda image: image.resize((333, 333), Image.Resampling.BILINEAR),
    "one grey value": lambda image: image.point(lambda v: v + (v == 100)),
}


@pytest.mark.parametrize("how", [*ALTERATIONS, "jpeg"])
def test_near_duplicates_are_found_and_left_to_judgement(index: Index, tmp_path: Path, how: str) -> None:
    split = make_split(index, balance="natural")
    train, test = one_of_each(split)
    with Image.open(tmp_path / "images" / train) as image:
        altered = image.copy() if how == "jpeg" else ALTERATIONS[how](image)
    altered.save(
        tmp_path / "images" / test,
        format="JPEG" if how == "jpeg" else "PNG",
        **({"quality": 60} if how == "jpeg" else {}),
    )
    found = audited(index, split, tmp_path)
    assert not found.failed
    assert [(d.image, d.part, d.other, d.other_part) for d in found.near] == [(str(train), "train", str(test), "test")]
    assert found.near[0].correlation > 0.98


def test_it_goes_through_json(index: Index, tmp_path: Path) -> None:
    split = make_split(index, kind="image-random", balance="natural")
    train, test = one_of_each(split)
    (tmp_path / "images" / test).write_bytes((tmp_path / "images" / train).read_bytes())
    found = audited(index, split, tmp_path)
    assert found.exact
    assert found.shared_examples
    text = json.dumps(found.to_dict())
    assert SplitAudit.from_dict(json.loads(text)) == found
    assert json.loads(text)["failed"] is True
    with pytest.raises(DataError, match="is no audit"):
        SplitAudit.from_dict({"digest": "x"})


def test_unread_images_and_unknown_patients_are_told(index: Index, tmp_path: Path) -> None:
    nobody = replace(index, records=tuple(replace(r, patient=None) for r in index.records))
    split = make_split(nobody, balance="natural")
    (tmp_path / "images" / split.parts["test"][0]).write_bytes(b"no image")
    found = audited(nobody, split, tmp_path)
    assert (found.patients, found.unread, found.compared, found.failed) == (False, 1, 119, False)
    assert found.notes == ("1 image could not be read: duplicates of it are unknown", NO_PATIENTS)
    assert found.to_dict()["leak"]["share"] is None


def brute(small: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], threshold: float = 0.98) -> set[tuple[int, int]]:
    """Every pair above the threshold, by numpy's own correlation of all pairs."""
    table = np.corrcoef(small.reshape(len(small), -1).astype(np.float64))
    return {(int(a), int(b)) for a, b in np.argwhere(np.triu(table, 1) > threshold)}


def smooth(rng: np.random.Generator, n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(n, 64, 64) pictures that share half of what they show, as chests do."""
    shared = rng.integers(0, 128, (9, 9))
    coarse = (shared + rng.integers(0, 128, (n, 9, 9))).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(c).resize((64, 64), Image.Resampling.BICUBIC)) for c in coarse])


def test_bands_find_what_all_pairs_find() -> None:
    rng = np.random.default_rng(0)
    small = smooth(rng, 2000)
    noise = rng.normal(0, 2.0, (300, 64, 64))
    small[1700:] = np.clip(small[:300] * 0.9 + 8 + noise, 0, 255).astype(np.uint8)
    part = np.r_[np.zeros(1000, np.int64), np.ones(1000, np.int64)]
    found = near_pairs(small, part)
    wanted = {(a, b) for a, b in brute(small) if part[a] != part[b]}
    assert {(a, a + 1700) for a in range(300)} <= wanted
    assert {(int(a), int(b)) for a, b in found.pairs} == wanted
    assert found.proposed < 16 * 1000 * 1000 / 2**BAND * 4  # not all pairs: near what balanced bits would give
    assert not found.capped


def test_few_images_are_all_compared() -> None:
    small = smooth(np.random.default_rng(1), 2)
    small[1] = (small[0] * 0.95).astype(np.uint8)
    assert near_pairs(small, np.array([0, 1])).pairs.tolist() == [[0, 1]]
    assert near_pairs(small, np.array([0, 0])).pairs.tolist() == []
    assert near_pairs(np.zeros((3, 64, 64), np.uint8), np.arange(3)).pairs.tolist() == []  # blank: no correlation


def test_a_bucket_is_capped_and_it_says_so() -> None:
    small = np.repeat(smooth(np.random.default_rng(2), 1), ALL_PAIRS_BELOW + 100, axis=0)
    part = np.arange(len(small)) % 2
    found = near_pairs(small, part, cap=8)
    assert found.capped
    assert len(found.pairs) < 16 * 8 * len(small)
    assert near_pairs(smooth(np.random.default_rng(3), 700), np.arange(700) % 2, cap=64).capped is False


@pytest.fixture(scope="module")
def real(images_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Index, PixelCache]]:
    def opened(name: str, **options: str) -> tuple[Index, PixelCache]:
        index = open_source(images_root / name, **options)  # type: ignore[arg-type]
        return index, build_cache(index.records, InputSpec(64), tmp_path_factory.mktemp(name), workers=1)

    return opened


@pytest.mark.real
def test_on_real_images_the_bands_miss_nothing(real: Callable[..., tuple[Index, PixelCache]]) -> None:
    index, cache = real("nih_64px", tables="../nih")
    images = [r.image for r in index.records]
    small = thumbnails(cache.pixels[cache.rows(images)], SIDE)
    noise = np.random.default_rng(0).normal(0, 4, (300, 64, 64))
    small = np.concatenate([small, np.clip(small[:300] * 0.85 + 12 + noise, 0, 255).astype(np.uint8)])
    found = near_pairs(small, np.arange(len(small), dtype=np.int64))  # every pair counts
    wanted = brute(small)
    assert len(wanted) >= 290
    assert {(int(a), int(b)) for a, b in found.pairs} == wanted
    assert found.proposed < 0.02 * len(small) ** 2 / 2
    split = make_split(index)
    assert tuple(split.parts) == PARTS
    assert not audit_split(split, index, cache).failed

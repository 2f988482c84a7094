"""What a training is told of its images before it learns: copies, contrary labels, and what calibrate cannot carry."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from PIL import Image
from tests.world import world_config

from cxreader.config import Config, parse_config, with_values
from cxreader.data.pixel_cache.cache import PixelCache
from cxreader.models.artifact import load_artifact
from cxreader.progress import no_bar, notes_once
from cxreader.runs import RunFolder
from cxreader.training.cohort import input_spec, prepare_cohort
from cxreader.training.train import train

PARTS = ("train", "tune", "calibrate", "test")


@pytest.fixture
def doubled(small_world: Path, tmp_path: Path) -> Config:
    """The small world, and six pictures of its there once more under other names and patients, two with the other label."""
    world = shutil.copytree(small_world, tmp_path / "world")
    with (world / "labels.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    for n, (image, label, _) in enumerate(rows[1:61:10]):
        name = f"copy{n}.png"
        if n % 2:
            shutil.copy(world / image, world / name)
        else:
            Image.open(world / image).save(world / name, compress_level=0)
        other = {"normal": "abnormal", "abnormal": "normal"}[label]
        rows.append([name, other if n < 2 else label, f"copied{n}"])
    with (world / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return world_config(world)


def test_a_picture_is_in_one_part_alone_and_copies_are_told(doubled: Config, tmp_path: Path) -> None:
    said: list[str] = []
    cohort = prepare_cohort(doubled, RunFolder.create(tmp_path / "run", doubled, resume=False), said.append, no_bar)
    assert "6 images show the same picture as another: each picture is taken once" in said
    (contrary,) = [line for line in said if line.startswith("warning")]
    assert contrary.startswith(
        "warning: 2 of these pictures are labelled normal and abnormal; the first label is taken"
    )
    taken = [image for part in PARTS for image in cohort.images[part]]
    in_split = [image for part in PARTS for image in cohort.split.parts[part]]
    shown = [cohort.cache.whole.digests(image)[0] for image in taken]
    assert len(set(shown)) == len(taken) == len(in_split) - 6
    for image, first in cohort.cache.copies.items():
        where = [next(p for p in PARTS if name in cohort.split.parts[p]) for name in (first, image)]
        assert PARTS.index(where[0]) <= PARTS.index(where[1])
    for part in PARTS:
        sample, members = cohort.sample(part), cohort.parts[part]
        assert len(members) == len(cohort.images[part]) == len(sample.label)
        assert members.rows.tolist() == cohort.cache.rows(cohort.images[part]).tolist()
        labels = [cohort.index.by_image[image].label for image in cohort.images[part]]
        assert members.labels.tolist() == sample.label.tolist() == labels
        patients = {cohort.index.by_image[image].patient for image in cohort.images[part]}
        assert sample.n_patients == len(patients)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("resnet18", {}, ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))),
        ("efficientnet_lite0", {}, ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))),
        ("efficientnet_lite0", {"mean": (0.1, 0.2, 0.3)}, ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))),
    ],
)
def test_the_input_is_normalised_as_the_network_wants_it_unless_the_configuration_says_how(
    small_config: Config, name: str, given: dict[str, object], expected: tuple[object, object]
) -> None:
    spec = input_spec(with_values(small_config, {"model.name": name, "input": given}))
    assert (spec.size, spec.fit, (spec.mean, spec.std)) == (64, "pad", expected)
    assert spec.pixel_key == input_spec(small_config).pixel_key  # one pixel cache serves networks that want other ones


def test_without_copies_nothing_is_said(small_config: Config, tmp_path: Path) -> None:
    said: list[str] = []
    prepare_cohort(small_config, RunFolder.create(tmp_path / "run", small_config, resume=False), said.append, no_bar)
    assert not [line for line in said if "picture" in line]


def test_a_reader_of_squares_alone_is_told_that_others_would_be_padded(small_world: Path, tmp_path: Path) -> None:
    world = shutil.copytree(small_world, tmp_path / "world")

    def told(name: str, values: dict[str, object]) -> list[str]:
        said: list[str] = []
        config = with_values(world_config(world), values)
        prepare_cohort(config, RunFolder.create(tmp_path / name, config, resume=False), said.append, no_bar)
        return [line for line in said if line.startswith("every training image is square")]

    (note,) = told("squares", {})
    assert 'set input.fit = "squash"' in note
    assert told("squash", {"input.fit": "squash"}) == []
    for image in world.glob("*.png"):
        Image.open(image).resize((64, 50)).save(image)
    assert told("others", {}) == []


def test_trainings_on_the_same_images_tell_of_them_once(doubled: Config, tmp_path: Path) -> None:
    table = Path(doubled.data.root or "") / "labels.csv"
    table.write_text("".join(f"{line},x\n" for line in table.read_text().splitlines()).replace(",x", ",ward", 1))
    said: list[str] = []
    once = notes_once(said.append)
    for name in ("a", "b"):
        once("training")
        prepare_cohort(doubled, RunFolder.create(tmp_path / name, doubled, resume=False), once, no_bar)
    assert said.count("training") == 2
    for told in ("columns not used: ward", "6 images show the same picture", "2 of these pictures"):
        assert sum(told in line for line in said) == 1, told


def test_a_training_says_what_calibrate_cannot_carry_and_keeps_the_names_of_copies(
    doubled: Config, tmp_path: Path
) -> None:
    phase = {"epochs": 1, "patience": 1}
    values = doubled.model_dump()
    values["training"] |= {"phases": ("head",), "head": values["training"]["head"] | phase}
    values["calibration"]["operating_points"] = ("a: sensitivity 0.9", "b: sensitivity 0.9")
    said: list[str] = []
    train(parse_config(values), tmp_path / "run", say=said.append)
    same = "warning: on the calibrate part: The operating points a and b coincide at "
    assert [line for line in said if line.startswith(same)]
    run = RunFolder(tmp_path / "run")
    artifact = load_artifact(run.artifact)
    assert artifact.images is not None
    cache = PixelCache.open(run.cache, artifact.spec)
    learning = {image for part in PARTS[:3] for image in _split(run)[part]}
    copied = [f"copy{n}.png" for n in range(6) if f"copy{n}.png" in learning]
    assert copied
    for image in copied:  # the file of a copy is another one, and known too
        _, file = cache.digests(image)
        assert artifact.images.part_of([file]) is not None


def _split(run: RunFolder) -> dict[str, tuple[str, ...]]:
    from cxreader.data.split import Split

    return dict(Split.load(run.split).parts)

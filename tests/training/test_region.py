"""The region phase: what teaches and what does not, what is moved with what, and that the classifier stays as it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning

# isort: split
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.boxed_world import PATCH, PATIENTS, SIDE, boxed_config
from torch import nn
from torch.nn import functional

from cxreader import Reader
from cxreader.config import TrainingSection, parse_config, with_values
from cxreader.data.augment import Augmentation
from cxreader.data.dataset import CachedImages
from cxreader.errors import ConfigError, ModelError
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.artifact import load_artifact
from cxreader.models.region_head import RegionHead, default_stages, stage_shapes
from cxreader.models.registry import create_model
from cxreader.models.stages import StagedModel
from cxreader.progress import no_bar
from cxreader.records import Box, ImageRecord
from cxreader.runs import RunFolder
from cxreader.training.module import Recipe
from cxreader.training.region.learning import one_cycle, region_loss, usual_places
from cxreader.training.region.lessons import Lessons
from cxreader.training.region.trunk import trunk_of
from cxreader.training.train import train

pytestmark = pytest.mark.usefixtures("few_images_suffice")


def _silent(_: str) -> None:
    return


def _lessons(*boxes: tuple[Box, ...], labels: tuple[int, ...] | None = None) -> Lessons:
    """Images of 1 x 1 pixel with boxes whose numbers are shares of the square."""
    records = tuple(ImageRecord(f"{n}.png", int(bool(b)), patient=f"p{n}", boxes=b) for n, b in enumerate(boxes))
    edges = [[(b.x, b.y, b.x + b.width, b.y + b.height) for b in found] for found in boxes]
    return Lessons(
        CachedImages(
            np.zeros((len(boxes), 1, 1), np.uint8), np.arange(len(boxes)), np.array(labels or [0] * len(boxes))
        ),
        records,
        tuple(tuple(box.finding for box in found) for found in boxes),
        tuple(np.array(e, np.float32).reshape(-1, 4) for e in edges),
    )


def test_it_finds_the_patch_of_patients_it_has_not_met_and_nothing_in_a_normal_image(
    boxed_run: tuple[Path, list[str]],
) -> None:
    reader, random = Reader.load(boxed_run[0], backend="torch"), np.random.default_rng(99)
    for finding, y in (("Mass", 5), ("Effusion", 38)):
        pixels = random.integers(60, 140, (SIDE, SIDE)).astype(np.uint8)
        pixels[y : y + PATCH, 30 : 30 + PATCH] += 90
        reading = next(reader.read_many([pixels], heat_map=True, refuse=False))
        assert reading.region_map is not None
        shown = np.kron(reading.region_map, np.ones((SIDE // len(reading.region_map),) * 2))
        truth = np.zeros((SIDE, SIDE), bool)
        truth[y : y + PATCH, 30 : 30 + PATCH] = True
        both = ((shown > 0.5) & truth).sum() / ((shown > 0.5) | truth).sum()
        assert both > 0.5
        peak = np.unravel_index(reading.region_maps[finding].argmax(), reading.region_map.shape)
        assert truth[tuple(at * SIDE // len(reading.region_map) for at in peak)]
    noise = random.integers(60, 140, (SIDE, SIDE)).astype(np.uint8)
    normal = next(reader.read_many([noise], heat_map=True, refuse=False))
    assert normal.region_map is not None
    assert normal.region_map.max() < 0.5


def test_what_it_learnt_from_is_told(boxed_run: tuple[Path, list[str]], boxed_world: Path) -> None:
    out, said = boxed_run
    head, run = load_artifact(out / "artifact").region_head, RunFolder(out)
    assert head is not None
    parts = json.loads(run.split.read_text())["parts"]
    train_images = {image for part in ("train", "tune", "calibrate") for image in parts[part]}
    rows = [line.split(",") for line in (boxed_world / "boxes.csv").read_text().split()[1:]]
    boxes = {name: sum(r[0] in train_images and r[1] == name for r in rows) for name in ("Effusion", "Mass")}
    assert head.boxes == boxes
    assert head.findings == ("Effusion", "Mass")
    assert (head.images, head.patients) == (sum(boxes.values()),) * 2
    normal = [n for n in train_images if int(n[:3]) % 2 == 0]
    assert head.normals == len(normal)
    count = sum(boxes.values())
    assert head.description == f"region head, learnt from {count} boxes of {count} patients"
    assert any(head.description in line and f"{len(normal)} normal images" in line for line in said)
    history = json.loads(run.history.read_text())
    assert list(history) == ["full", "region"]
    losses = [epoch["train_loss"] for epoch in history["region"]]
    assert len(losses) == 25
    assert losses[-1] < losses[0] / 2


def test_the_classifier_is_the_same_to_the_bit_with_boxes_and_without(
    boxed_run: tuple[Path, list[str]], boxed_world: Path, tmp_path: Path
) -> None:
    plain = train(boxed_config(boxed_world, boxes=False), tmp_path / "plain", say=_silent)
    boxed = load_artifact(boxed_run[0] / "artifact")
    assert plain.artifact.region_head is None
    assert plain.artifact.weights_sha256 == boxed.weights_sha256
    assert plain.artifact.id != boxed.id
    assert plain.artifact.calibration == boxed.calibration
    assert plain.artifact.operating_points == boxed.operating_points
    x = np.random.default_rng(1).standard_normal((3, 3, SIDE, SIDE)).astype(np.float32)
    one, two = (Reader.load(p, backend="torch").backend for p in (tmp_path / "plain", boxed_run[0]))
    with_maps = two.run(x, maps=True)
    np.testing.assert_array_equal(one.run(x, maps=True).logits, with_maps.logits)
    np.testing.assert_array_equal(one.run(x).logits, two.run(x).logits)
    assert one.run(x, maps=True).regions is None
    assert with_maps.regions is not None
    assert with_maps.regions.shape[:2] == (3, 3)
    assert two.run(x).regions is None


@contextmanager
def _stopping(after: int) -> Iterator[Callable[[int, int], None]]:
    def count(done: int, _: int) -> None:
        if done == after:
            raise KeyboardInterrupt

    yield count


@pytest.mark.parametrize("stored", [True, False])
def test_a_phase_that_was_interrupted_goes_on_to_the_same_weights(
    stored: bool, boxed_world: Path, tmp_path: Path
) -> None:
    config = boxed_config(boxed_world, prefix_cache=stored)
    whole = train(config, tmp_path / "whole", say=_silent).artifact

    def bar(what: str) -> object:
        return _stopping(2 if what == "region head" else -1)

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "again", say=_silent, bar=bar)  # type: ignore[arg-type]
    assert not (tmp_path / "again" / "artifact" / "artifact.json").exists()
    resumed = train(config, tmp_path / "again", say=_silent, resume=True).artifact
    assert whole.region_head is not None
    assert resumed.region_head == whole.region_head
    assert resumed.id == whole.id
    kept = [load_file(tmp_path / name / "artifact" / whole.region_head.file)["usual"] for name in ("whole", "again")]
    assert torch.equal(*kept)


def test_stored_outputs_and_the_network_at_work_teach_the_same(boxed_world: Path, tmp_path: Path) -> None:
    """Without augmentation they differ in the batch on which a stage's output was computed, and in nothing else."""
    found = []
    for stored in (True, False):
        values = boxed_config(boxed_world, prefix_cache=stored, prefix_precision="float32").model_dump()
        config = parse_config({**values, "augment": None, "split": values["split"]})
        out = tmp_path / str(stored)
        train(config, out, say=_silent)
        found.append(load_file(out / "artifact" / "region-head.safetensors"))
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], rtol=1e-3, atol=1e-4, msg=name)


def test_a_source_of_no_weight_teaches_places_alone_and_its_patients_are_known_all_the_same(
    boxed_world: Path, tmp_path: Path
) -> None:
    """The classifier is that of the other source alone; its region head learns from the boxes of both."""
    shutil.copytree(boxed_world, tmp_path / "panel")
    shutil.copytree(boxed_world, tmp_path / "boxed")
    for path in (tmp_path / "boxed").glob("*.png"):  # other pictures: each is taken once
        Image.fromarray(np.asarray(Image.open(path)) ^ 1).save(path)
    one = with_values(
        boxed_config(boxed_world),
        {"data.root": "", "data.name": None, "data.sources": [{"root": str(tmp_path / "panel")}]},
    )
    places = {"root": str(tmp_path / "boxed"), "only_train": True, "weight": 0}
    two = with_values(one, {"data.sources": [{"root": str(tmp_path / "panel")}, places]})
    said: list[str] = []
    alone = train(one, tmp_path / "alone", say=_silent).artifact
    both = train(two, tmp_path / "both", say=said.append).artifact
    assert both.weights_sha256 == alone.weights_sha256
    assert both.acceptance == alone.acceptance
    assert both.provenance["population"] == alone.provenance["population"]
    assert f"{PATIENTS} images teach where findings lie, and the classifier nothing" in said
    heads = alone.region_head, both.region_head
    assert heads[0] is not None
    assert heads[1] is not None
    assert sum(heads[1].boxes.values()) == sum(heads[0].boxes.values()) + 30  # of the 40 abnormal every fourth has none
    assert len(both.patients.parts["train"]) == len(alone.patients.parts["train"]) + PATIENTS


@pytest.mark.parametrize(
    ("entry", "boxes", "words"),
    [
        ({"only_train": False}, {}, "has weight 0 and is judged: add only_train = true"),
        ({"only_train": True}, False, "which teaches a region head: add [training.boxes]"),
    ],
)
def test_a_source_that_would_teach_nothing_is_refused(entry: dict[str, bool], boxes: object, words: str) -> None:
    sources = [{"root": "a"}, {"root": "b", "weight": 0, **entry}]
    with pytest.raises(ConfigError) as caught:
        parse_config({"data": {"sources": sources}, "training": {"boxes": boxes}})
    assert words in str(caught.value)


def test_without_boxes_there_is_no_head_and_that_is_said(boxed_world: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in boxed_world.iterdir():
        if path.name != "boxes.csv":
            (bare / path.name).symlink_to(path)
    said = list[str]()
    made = train(boxed_config(bare), tmp_path / "run", say=said.append)
    assert made.artifact.region_head is None
    assert "no region head: no image of train, tune and calibrate has a box" in said


def test_a_stage_that_the_network_has_not_is_refused_before_images_are_decoded(
    boxed_world: Path, tmp_path: Path
) -> None:
    config = boxed_config(boxed_world, boxes={"stages": ["last_blok"]})
    with pytest.raises(
        ModelError, match=r"training.boxes.stages: no stage with a map is named 'last_blok'.*last_block"
    ):
        train(config, tmp_path / "run", say=_silent)
    assert not (tmp_path / "run" / "cache").exists()


def test_masks_are_the_share_of_each_cell_that_boxes_cover_and_only_what_is_known_counts() -> None:
    mass, other = Box("Mass", 0.0, 0.25, 0.375, 0.25), Box("Mass", 0.25, 0.25, 0.25, 0.5)
    lessons = _lessons((mass, other), (), (Box("Effusion", 0.5, 0.5, 0.5, 0.5),))
    masks, known = lessons.targets([0, 1, 2], ["Effusion", "Mass"], 4)
    by_hand = np.array([[0, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(masks[0, 1], by_hand, atol=1e-6)
    np.testing.assert_allclose(masks[0, 2], by_hand, atol=1e-6)
    half = _lessons((mass,)).targets([0], ["Mass"], 4)[0][0, 0]
    one_and_a_half = np.array([[0, 0, 0, 0], [1, 0.5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(half, one_and_a_half, atol=1e-6)
    np.testing.assert_array_equal(known, [[0, 1, 1], [1, 1, 1], [1, 0, 1]])
    assert not masks[1].any()
    assert masks[2, 0, 2:, 2:].all()
    assert masks[2].sum() == 8


def test_what_is_not_known_teaches_nothing() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    masks, known = torch.zeros(2, 3, 4, 4), torch.tensor([[0.0, 1, 1], [1, 1, 1]])
    masks[0, 1:, :2] = 1
    region_loss(logits, masks, known).backward()
    assert logits.grad is not None
    assert not logits.grad[0, 0].any()
    assert logits.grad[[0, 0, 1, 1, 1], [1, 2, 0, 1, 2]].flatten(1).any(dim=1).all()


def test_the_loss_is_cross_entropy_and_dice_by_hand() -> None:
    logits = torch.tensor([[[[0.0, 2.0], [-1.0, 0.5]], [[3.0, 3.0], [3.0, 3.0]]]])
    masks = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]])
    p = 1 / (1 + np.exp(-logits.numpy().astype(np.float64)))
    m = masks.numpy()
    entropy = -(m * np.log(p) + (1 - m) * np.log(1 - p)).mean(axis=(2, 3))[0]
    dice = 1 - (2 * p[0, 0][0].sum() + 1e-3) / (p[0, 0].sum() + 2 + 1e-3)
    both = region_loss(logits, masks, torch.ones(1, 2))
    assert float(both) == pytest.approx(entropy.mean() + dice, abs=1e-6)  # a map without a box has no Dice
    assert float(region_loss(logits, masks, torch.tensor([[1.0, 0.0]]))) == pytest.approx(entropy[0] + dice, abs=1e-6)


def test_masks_are_moved_as_their_images_are() -> None:
    moving = Augmentation(rotation=20, shift=0.1, scale=0.2, brightness=0, contrast=0, horizontal_flip=True)
    images = torch.zeros(8, 1, 32, 32)
    images[:, :, 10:16, 12:24] = 1
    found = moving.move(images, 5)
    torch.testing.assert_close(moving(images, 5), found, rtol=0, atol=1e-6)
    assert not torch.allclose(found, images, atol=0.1)
    several = moving.move(images.expand(-1, 3, -1, -1), 5)
    torch.testing.assert_close(several, found.expand(-1, 3, -1, -1), rtol=0, atol=0)
    assert moving.move(torch.ones(1, 1, 8, 8), 5).min() == 0  # outside lies no finding


def test_without_stored_outputs_boxes_are_moved_with_their_images() -> None:
    """Seen through a network whose one stage is the image itself, a picture of its own boxes."""
    tail = [("pool", nn.Flatten()), ("drop", nn.Dropout(0)), ("head", nn.Linear(3 * 32 * 32, 2))]
    model = StagedModel([("last_block", nn.Identity()), *tail])
    lessons = _lessons((Box("Mass", 0.3, 0.4, 0.25, 0.25),), (Box("Mass", 0.4, 0.3, 0.3, 0.25),))
    masks = torch.from_numpy(lessons.targets([0, 1], ["Mass"], 32)[0])
    pixels = (masks[:, 0].numpy() * 255).round().astype(np.uint8)
    seen = replace(lessons, images=CachedImages(pixels, np.arange(2), np.zeros(2, np.int64)))
    moving = Augmentation(rotation=20, shift=0.1, scale=0.2, brightness=0, contrast=0)
    recipe = Recipe(1, InputSpec(32, mean=(0, 0, 0), std=(1, 1, 1)), moving)
    section = TrainingSection(prefix_cache=False)
    trunk = trunk_of(section, model, ["last_block"], seen, recipe, Path(), say=_silent, bar=no_bar)
    (images,), moved = trunk([0, 1], masks, 5)
    torch.testing.assert_close(images[:, 0], moved[:, 0], rtol=0, atol=0.01)
    assert (moved - masks).abs().max() > 0.5
    (still,), same = trunk([0, 1], masks, None)
    torch.testing.assert_close(still[:, 0], same[:, 0], rtol=0, atol=0.01)
    assert torch.equal(same, masks)


def test_the_head_begins_where_findings_usually_are() -> None:
    """Three boxes of any finding stand beside each finding's own; the whole is smoothed over 3 x 3 cells."""
    left, right = Box("Mass", 0, 0, 0.5, 1), Box("Effusion", 0.5, 0, 0.5, 1)
    lessons = _lessons((left,), (left,), (left,), (right,), ())
    usual = usual_places(lessons, ["Effusion", "Mass"], 8).sigmoid()
    any_left, any_right = 3 / 4, 1 / 4
    assert usual[2, 4, 0].item() == pytest.approx(any_left, abs=1e-5)
    assert usual[1, 4, 0].item() == pytest.approx((3 + 3 * any_left) / 6, abs=1e-5)
    assert usual[0, 4, 7].item() == pytest.approx((1 + 3 * any_right) / 4, abs=1e-5)
    assert usual[2, 4, 3].item() == pytest.approx((2 * any_left + any_right) / 3, abs=1e-5)
    head = RegionHead((4,), 8, 2).eval()
    with torch.no_grad():
        head.usual.copy_(torch.logit(usual))
        torch.testing.assert_close(head([torch.randn(1, 4, 8, 8)]).sigmoid()[0], usual)


def test_the_rate_goes_through_pytorchs_one_cycle() -> None:
    steps, peak = 2000, 0.02
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=steps, cycle_momentum=False)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cycle.step()
    ours = [peak * one_cycle(step / (steps - 1)) for step in range(steps)]
    np.testing.assert_allclose(ours, rates, rtol=0.01, atol=peak * 0.001)


@pytest.mark.parametrize(
    ("network", "stages"),
    [
        ("resnet18", ("layer3", "last_block")),
        ("densenet121", ("block2", "last_block")),
        ("efficientnet_b0", ("block4", "block6")),
        ("efficientnet_lite0", ("block4", "block6")),
        ("chestxray_cnn", ("block2", "last_block")),
    ],
)
def test_by_default_it_reads_the_last_stage_of_each_of_the_two_coarsest_maps_but_none_made_for_vectors(
    network: str, stages: tuple[str, ...]
) -> None:
    shapes = stage_shapes(create_model(network, size=64), 64)
    assert default_stages(shapes) == stages


def test_a_coarse_stage_is_stretched_to_the_finest() -> None:
    head = RegionHead((2, 3), 8, 1, width=4).eval()
    torch.nn.init.normal_(head.maps.weight)
    fine, coarse = torch.randn(1, 2, 8, 8), torch.randn(1, 3, 4, 4)
    with torch.no_grad():
        projected = [p(n(x)) for p, n, x in zip(head.projections, head.norms, (fine, coarse), strict=True)]
        summed = projected[0] + functional.interpolate(projected[1], size=(8, 8), mode="bilinear", align_corners=False)
        by_hand = head.maps(head.mix(summed.relu()).relu())
        torch.testing.assert_close(head([fine, coarse]), by_hand)

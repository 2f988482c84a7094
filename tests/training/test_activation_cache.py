"""What the frozen stages give, stored: the same training as without, from a fraction of the work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch
from torch import nn

from cxreader.config import Config, with_values
from cxreader.data.augment import Augmentation
from cxreader.data.dataset import CachedImages, StageOutputs, derive_seed, grey, normalise
from cxreader.errors import StorageError
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.folding import folded
from cxreader.models.registry import create_model
from cxreader.models.stages import Learn, StagedModel
from cxreader.progress import no_bar
from cxreader.runs import RunFolder
from cxreader.training import activation_cache
from cxreader.training.activation_cache import ActivationPlan, build_activation_caches
from cxreader.training.cohort import prepare_cohort
from cxreader.training.fit import Settings, fit_phase
from cxreader.training.module import PhaseModule, Recipe
from cxreader.training.phases import Phase
from cxreader.training.predict import predict_logits
from cxreader.training.train import build_model, learn, train

MODELS = ("chestxray_cnn", "resnet18", "densenet121", "efficientnet_b0", "efficientnet_lite0")
SPEC = InputSpec(size=64)


def _silent(_: str) -> None:
    return


def _parts(train: int = 40, tune: int = 24) -> dict[str, CachedImages]:
    pixels = np.random.default_rng(3).integers(0, 256, (train + tune, 64, 64)).astype(np.uint8)
    rows = np.random.default_rng(4).permutation(train + tune)  # an order of their own, as in a cache
    labels = np.random.default_rng(5).integers(0, 2, train + tune)
    first, second = slice(None, train), slice(train, None)
    return {
        "train": CachedImages(pixels, rows[first], labels[first]),
        "tune": CachedImages(pixels, rows[second], labels[second]),
    }


def _network(name: str) -> StagedModel:
    """A network whose batch norms are not the identity, as a pretrained one's are not."""
    torch.manual_seed(0)
    model = create_model(name, dropout=0.3, size=64)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, 0, 0.1)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    return model


@pytest.fixture
def step_losses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The loss of every training step since the list was last emptied."""
    losses: list[float] = []
    step = PhaseModule.training_step

    def recorded(self: PhaseModule, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = step(self, batch, batch_idx)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(PhaseModule, "training_step", recorded)
    return losses


@pytest.mark.parametrize("what", ["head", "last_block"])
@pytest.mark.parametrize("name", MODELS)
def test_stored_and_online_training_have_the_same_losses(
    name: str, what: Learn, tmp_path: Path, step_losses: list[float]
) -> None:
    """One view, no augmentation, float32: every step's loss to 1e-5, dropout and batch norms of the last block included."""
    parts, recipe = _parts(), Recipe(seed=9, spec=SPEC, augmentation=None)
    # Adam turns a gradient that is rounding into a whole step: small steps keep what one thread rounds otherwise below 1e-5.
    phase = Phase("fine_tune", what, lr=2e-5, epochs=2, patience=2)
    settings = Settings(batch_size=16, monitor="loss", show_progress=False)
    model = _network(name)
    online = fit_phase(model, phase, recipe, parts, tmp_path / "online", settings)
    expected, logits = list(step_losses), predict_logits(model, parts["tune"], recipe)
    step_losses.clear()
    model = _network(name).learn(what)
    stage = model.frozen_stage()
    assert stage is not None
    stored = build_activation_caches(
        model, [stage], parts, ActivationPlan(SPEC, None, 9, dtype="float32"), tmp_path, say=_silent, bar=no_bar
    )
    result = fit_phase(model, phase, recipe, parts, tmp_path / "stored", settings, activations=stored[stage])
    assert len(expected) == 6
    assert step_losses == pytest.approx(expected, abs=1e-5)
    tune = [[epoch["tune_loss"] for epoch in found.history] for found in (result, online)]
    assert tune[0] == pytest.approx(tune[1], abs=1e-4)  # batches of another size, which some kernels round otherwise
    # What is kept is a whole network: the frozen stages are not lost with the checkpoints that leave them out.
    torch.testing.assert_close(predict_logits(model, parts["tune"], recipe), logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_folding_keeps_the_function_and_leaves_no_norm_behind_a_convolution(name: str) -> None:
    model = _network(name).eval()
    whole = nn.Sequential(*(model.get_submodule(n) for n in model.names[: model.names.index("pool") + 1]))
    x = torch.randn(2, 3, 64, 64)
    fused = folded(whole)
    with torch.no_grad():
        expected = whole(x)
        torch.testing.assert_close(fused(x), expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) for net in (whole, fused)]
    # DenseNet normalises before it convolves: of its 121 norms only those behind a convolution can go.
    assert norms[1] == (62 if name == "densenet121" else 0) < norms[0]


def test_what_cannot_be_traced_is_not_folded() -> None:
    class Fickle(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if float(x.sum()) > 0 else x

    assert torch.equal(folded(Fickle())(torch.ones(3)), 2 * torch.ones(3))


def test_views_are_drawn_once_and_taken_in_turn(tmp_path: Path) -> None:
    """View v of image i, by hand: the augmentation drawn with the view's seed, through the network, in the stored place.

    View 0 is the image itself.
    """
    parts, model, augmentation = _parts(40, 24), _network("resnet18"), Augmentation()
    plan = ActivationPlan(SPEC, augmentation, 5, views=3, dtype="float32")
    found = build_activation_caches(model, ["pool"], parts, plan, tmp_path, say=_silent, bar=no_bar)["pool"]
    assert (len(found.train), len(found.tune)) == (120, 24)
    positions = list(range(32, 40))  # the second batch of the pass
    x = augmentation(grey(parts["train"][positions][0]), derive_seed(5, "view", 2, 32))
    with torch.no_grad():
        expected = model.eval().until(normalise(x, SPEC), "pool")
        plain = model.until(normalise(grey(parts["train"][positions][0]), SPEC), "pool")
    values, labels = found.train[[2 * 40 + i for i in positions]]
    torch.testing.assert_close(values, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.train[positions][0], plain, atol=1e-4, rtol=1e-4)
    assert labels.tolist() == parts["train"].labels[positions].tolist()
    assert not torch.allclose(values, plain, atol=1e-2)

    seen: list[list[int]] = []
    order = StageOutputs.__getitem__

    class Recorded(StageOutputs):
        def __getitem__(self, positions: Any) -> Any:
            seen.append(list(positions))
            return order(self, positions)

    recorded = activation_cache.ActivationCache("pool", Recorded(found.train.values, found.train.labels), found.tune, 3)
    phase, recipe = Phase("head", "head", 1e-3, epochs=4, patience=4), Recipe(5, SPEC, augmentation)
    settings = Settings(batch_size=40, monitor="loss", show_progress=False)
    fit_phase(model, phase, recipe, parts, tmp_path / "run", settings, activations=recorded)
    assert [sorted(p) for p in seen] == [list(range(v * 40, v * 40 + 40)) for v in (0, 1, 2, 0)]


def test_everything_a_stored_output_depends_on_is_in_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, parts, model = ActivationPlan(SPEC, None, 1), _parts(8, 4), _network("resnet18")

    def places(**change: Any) -> set[Path]:
        given = {"model": model, "parts": parts, "plan": plan, **change}
        build_activation_caches(
            given["model"], ["pool"], given["parts"], given["plan"], tmp_path, say=_silent, bar=no_bar
        )
        return {path.parent for path in tmp_path.rglob("prefix.json")}

    first = places()
    again = _network("resnet18")
    with torch.no_grad():
        again.head.weight.zero_()  # behind the stage: does not matter
    assert places(model=again) == first
    assert places(plan=ActivationPlan(SPEC, None, 2)) == first  # nothing is drawn from the seed
    assert places(plan=ActivationPlan(SPEC, Augmentation(), 2)) == first  # one view is the plain image
    changed = _parts(8, 4)
    changed["train"].pixels[changed["train"].rows[0], 0, 0] ^= 1
    other = _network("resnet18")
    with torch.no_grad():
        other.stem[0].weight[0, 0, 0, 0] += 1e-3
    reordered = {**parts, "tune": CachedImages(parts["tune"].pixels, parts["tune"].rows[::-1], parts["tune"].labels)}
    changes: list[Mapping[str, Any]] = [
        {"model": other},
        {"parts": changed},
        {"parts": reordered},
        {"plan": ActivationPlan(InputSpec(size=64, mean=(0.5, 0.5, 0.5)), None, 1)},
        {"plan": ActivationPlan(SPEC, None, 1, views=2)},
        {"plan": ActivationPlan(SPEC, Augmentation(), 1, views=2)},
        {"plan": ActivationPlan(SPEC, Augmentation(), 2, views=2)},
        {"plan": ActivationPlan(SPEC, Augmentation(rotation=3), 2, views=2)},
        {"plan": ActivationPlan(SPEC, Augmentation(), 2, views=3)},
        {"plan": ActivationPlan(SPEC, None, 1, dtype="float32")},
    ]
    for n, change in enumerate(changes, 2):
        assert len(places(**change)) == n, change
    monkeypatch.setattr(activation_cache, "VERSION", -1)  # as when the same draws give other pixels
    assert len(places(**changes[-2])) == n + 1
    assert len(places()) == n + 1  # where nothing is drawn, nothing changes


def test_an_interrupted_pass_goes_on_and_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, model, plan = _parts(70, 40), _network("resnet18"), ActivationPlan(SPEC, Augmentation(), 1, views=2)
    monkeypatch.setattr(activation_cache, "_COMMIT_EVERY", 2)
    whole = build_activation_caches(model, ["layer3", "pool"], parts, plan, tmp_path / "a", say=_silent, bar=no_bar)
    run, count = activation_cache._run, 0

    def dies(*args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return run(*args, **options)

    monkeypatch.setattr(activation_cache, "_run", dies)
    (tmp_path / "b").mkdir()
    with pytest.raises(KeyboardInterrupt):
        build_activation_caches(model, ["layer3", "pool"], parts, plan, tmp_path / "b", say=_silent, bar=no_bar)
    count = 10
    resumed = build_activation_caches(model, ["layer3", "pool"], parts, plan, tmp_path / "b", say=_silent, bar=no_bar)
    assert count == 10 + 8 - 2  # of 3 + 3 + 2 batches the first two were committed
    for stage, cache in whole.items():
        assert np.array_equal(cache.train.values, resumed[stage].train.values)
        assert np.array_equal(cache.tune.values, resumed[stage].tune.values)
    build_activation_caches(model, ["pool"], parts, plan, tmp_path / "b", say=_silent, bar=no_bar)
    assert count == 16  # what is whole is not computed again


def test_the_size_is_told_first_and_refused_when_it_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, model = _parts(40, 24), _network("resnet18")
    said: list[str] = []
    plan = ActivationPlan(SPEC, None, 1, dtype="float16")
    build_activation_caches(model, ["layer3"], parts, plan, tmp_path, say=said.append, bar=no_bar)
    # 64 images x 256 channels x 4 x 4 x 2 bytes = 0.5 MiB
    assert said[0].startswith(
        "storing the outputs of layer3 for 40 training images and 24 tune images, float16: 0.5 MiB"
    )
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(StorageError, match=r"no room for outputs of pool.*training\.views"):
        build_activation_caches(model, ["pool"], parts, plan, tmp_path, say=_silent, bar=no_bar)
    assert [path.parent.name.split("-")[0] for path in tmp_path.rglob("*.bin")] == ["layer3", "layer3"]


def test_a_file_of_values_that_is_gone_or_of_another_length_is_computed_again(tmp_path: Path) -> None:
    parts, model, plan = _parts(), _network("resnet18"), ActivationPlan(SPEC, None, 1)
    first = build_activation_caches(model, ["pool"], parts, plan, tmp_path, say=_silent, bar=no_bar)["pool"]
    expected = np.array(first.train.values)
    (file,) = tmp_path.rglob("train.bin")
    assert file.stat().st_blocks * 512 >= file.stat().st_size  # no hole that a full disk could not fill
    for damage in (
        file.unlink,
        lambda: file.write_bytes(b"short"),
        lambda: file.write_bytes(bytes(2 * expected.nbytes)),
    ):
        damage()
        again = build_activation_caches(model, ["pool"], parts, plan, tmp_path, say=_silent, bar=no_bar)["pool"]
        assert np.array_equal(again.train.values, expected)
        assert file.stat().st_size == expected.nbytes  # else it would be computed again every time


def test_training_stores_once_for_a_phase_and_for_the_next_run(small_config: Config, tmp_path: Path) -> None:
    said: list[str] = []
    short = {"training.head.epochs": 1, "training.fine_tune.epochs": 1, "calibration.false_refusals": "none"}
    config = with_values(small_config, {"data.cache": str(tmp_path / "cache"), **short})
    train(config, tmp_path / "one", say=said.append)
    train(with_values(config, {"model.dropout": 0.5, "training.batch_size": 32}), tmp_path / "two", say=said.append)
    stored = [line for line in said if line.startswith("storing")]
    assert [line.split(" for ")[0] for line in stored] == ["storing the outputs of layer3 and pool"]
    assert "views" not in stored[0]  # the images as they are
    train(with_values(config, {"training.prefix_cache": False}), tmp_path / "three", say=said.append)
    assert len([line for line in said if line.startswith("storing")]) == 1
    train(with_values(config, {"training.views": 2}), tmp_path / "four", say=said.append)
    (both,) = [line for line in said if line.startswith("storing")][1:]
    assert "layer3 and pool" in both
    assert "x 2 views" in both


def test_a_phase_behind_one_that_changed_its_frozen_stages_learns_from_what_they_give_now(
    small_config: Config, tmp_path: Path
) -> None:
    """The last block first and the head behind it: stored and online training agree, so nothing old was learnt from."""
    changes = {"training.phases": ["fine_tune", "head"], "training.prefix_precision": "float32", "augment": None}
    losses = []
    for stored in (True, False):
        config = with_values(small_config, {**changes, "training.prefix_cache": stored})
        run = RunFolder(tmp_path / str(stored))
        cohort = prepare_cohort(config, run, _silent, no_bar)
        learnt = learn(config, *build_model(config), cohort.parts, run, say=_silent, bar=no_bar)
        losses.append([epoch["train_loss"] for phase in learnt.phases for epoch in phase.history])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.real
def test_half_precision_costs_no_auc_on_real_images(images_root: Path, tmp_path: Path) -> None:
    """Tune AUC of both phases in float16 against float32, on Kermany's images."""
    from tests.world import make_world

    (tmp_path / "world").mkdir()
    weights = make_world(tmp_path / "world") / "resnet18.safetensors"
    auc = {}
    for dtype in ("float16", "float32"):
        config = _kermany(images_root, weights, tmp_path / "cache", dtype)
        run = RunFolder(tmp_path / dtype)
        cohort = prepare_cohort(config, run, _silent, no_bar, wanted_parts=("train", "tune"))
        learnt = learn(config, *build_model(config), cohort.parts, run, say=_silent, bar=no_bar)
        auc[dtype] = [phase.history[-1]["tune_auc"] for phase in learnt.phases]
    assert auc["float16"] == pytest.approx(auc["float32"], abs=0.002)
    assert min(auc["float32"]) > 0.7  # it learns: two coins would agree too


def _kermany(images_root: Path, weights: Path, cache: Path, dtype: str) -> Config:
    from cxreader.config import parse_config

    return parse_config(
        {
            "data": {"root": str(images_root / "kermany"), "name": "kermany", "cache": str(cache)},
            "input": {"size": 64},
            "split": {"size": 800},
            "model": {"name": "resnet18", "weights": str(weights)},
            "augment": "none",
            "training": {
                "monitor": "auc",
                "prefix_precision": dtype,
                "head": {"epochs": 4},
                "fine_tune": {"epochs": 3},
            },
        }
    )

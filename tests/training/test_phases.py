"""Which stages learn, by name: known before an image is looked for, and learnt by the phase as it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from cxreader import torch_setup  # noqa: F401 - before timm

# isort: split
import torch
from safetensors.torch import load_file

from cxreader.config import Config, with_values
from cxreader.errors import ConfigError
from cxreader.models.registry import create_model, list_models
from cxreader.progress import silent
from cxreader.study.rows import described
from cxreader.training.train import build_model, train


@pytest.mark.parametrize("phase", ["head", "fine_tune", "full"])
def test_a_stage_that_the_network_does_not_have_is_refused_before_an_image_is_looked_for(
    small_config: Config, tmp_path: Path, phase: str
) -> None:
    wrong = with_values(small_config, {f"training.{phase}.learn": "layer5", "data.root": str(tmp_path / "absent")})
    with pytest.raises(ConfigError) as caught:
        train(wrong, tmp_path / "run", say=lambda _: None)
    assert str(caught.value).startswith(f"training.{phase}.learn: no stage is named 'layer5'; did you mean 'layer")
    assert not (tmp_path / "run").exists()


def test_the_page_lists_the_stages_of_each_network() -> None:
    page = (Path(__file__).parents[2] / "docs/explanation/stages.md").read_text("utf-8")
    rows = [re.findall(r"`(\w+)`", line) for line in page.splitlines() if line.startswith("| `") and "block1" in line]
    rows += [re.findall(r"`(\w+)`", line) for line in page.splitlines() if line.startswith("| `resnet18`")]
    known = {entry.name for entry in list_models()}
    told = {name: [word for word in row if word not in known] for row in rows for name in row if name in known}
    assert told == {name: list(create_model(name, size=64).names[:-4]) for name in known}


def test_a_phase_that_begins_at_a_stage_changes_it_and_all_behind_it_alone(
    small_config: Config, tmp_path: Path
) -> None:
    said: list[str] = []
    one = {"phases": ("fine_tune",), "fine_tune": {"learn": "layer3", "epochs": 1}}
    config = with_values(small_config, {"training": one})
    trained = train(config, tmp_path / "run", say=said.append)
    before, _ = build_model(config)
    after = load_file(trained.folder / "model.safetensors")
    changed = {key.split(".")[0] for key, value in before.state_dict().items() if not torch.equal(value, after[key])}
    assert changed == {"layer3", "last_block", "head"}
    assert any(line.startswith("phase fine_tune: layer3 with all behind it learns at 0.0001, ") for line in said)
    assert [path.name.split("-")[0] for path in (tmp_path / "run").rglob("prefix/*") if path.is_dir()] == ["layer2"]
    assert described(config, ["fine_tune"]).startswith("from layer3 on at 0.0001 ")


def _statistics(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in weights.items() if "running_" in key}


def test_frozen_batch_norm_keeps_the_pretrained_statistics_while_its_scale_learns(
    small_config: Config, tmp_path: Path
) -> None:
    one = {"phases": ("fine_tune",), "fine_tune": {"learn": "layer3", "epochs": 1}, "batch_norm": "frozen"}
    config = with_values(small_config, {"training": one})
    before = build_model(config)[0].state_dict()
    after = load_file(train(config, tmp_path / "frozen", say=silent).folder / "model.safetensors")
    assert all(torch.equal(value, after[key]) for key, value in _statistics(before).items())
    assert not torch.equal(before["layer3.0.bn1.weight"], after["layer3.0.bn1.weight"])


def test_without_pretrained_weights_frozen_statistics_would_be_none(small_config: Config, tmp_path: Path) -> None:
    one = {"phases": ("full",), "full": {"epochs": 1}, "batch_norm": "frozen"}
    config = with_values(small_config, {"training": one, "model.weights": "none"})
    before = build_model(config)[0].state_dict()
    after = load_file(train(config, tmp_path / "scratch", say=silent).folder / "model.safetensors")
    assert not any(torch.equal(value, after[key]) for key, value in _statistics(before).items())


def test_lite0_learns_from_imagenet_and_its_artifact_keeps_its_own_normalisation(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    model = {"name": "efficientnet_lite0", "weights": "imagenet"}
    config = with_values(small_config, {"model": model, "training": {"phases": ("head",), "head": {"epochs": 1}}})
    artifact = train(config, tmp_path / "run", say=said.append).artifact
    assert (artifact.spec.mean, artifact.spec.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert artifact.transfer == "ImageNet-1k (tf_efficientnet_lite0.in1k)"
    licence = "Apache-2.0 (c) 2020 ML Illustrated; trained on ImageNet-1k (non-commercial research terms)"
    assert f"efficientnet_lite0: {artifact.transfer}; {licence}" in said
    # The head alone has learnt: what stands before it is what the package holds.
    before, after = build_model(config)[0].state_dict(), load_file(tmp_path / "run/artifact/model.safetensors")
    assert {key for key in before if not torch.equal(before[key], after[key])} == {"head.weight", "head.bias"}

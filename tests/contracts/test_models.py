"""What every registered network must satisfy: registering means tested."""

from __future__ import annotations

import pytest

from cxreader import torch_setup  # noqa: F401 - before timm

# isort: split
import torch
from torch import nn

from cxreader.errors import ModelError
from cxreader.models.registry import create_model, list_models, model_entry
from cxreader.models.stages import TAIL, Learn, StagedModel

NAMES = [entry.name for entry in list_models()]
SIZE = 64


def _model(name: str, dropout: float = 0.3) -> StagedModel:
    torch.manual_seed(0)
    return create_model(name, dropout=dropout, size=SIZE)


def _images(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_gives_two_logits_and_stages_compose_to_the_whole(name: str) -> None:
    model = _model(name).eval()
    x = _images()
    whole = nn.Sequential.forward(model, x)
    assert whole.shape == (4, 2)
    assert whole.dtype == torch.float32
    for stage in model.names:
        torch.testing.assert_close(model.after(model.until(x, stage), stage), whole, rtol=0, atol=0)
    torch.testing.assert_close(model(x), whole, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_ends_in_the_common_tail_with_spatial_maps_then_vectors(name: str) -> None:
    model = _model(name).eval()
    assert model.names[-4:] == TAIL
    maps = model.to_maps(model.until(_images(), model_entry(name).cam_stage))
    assert maps.ndim == 4
    assert min(maps.shape[2:]) > 1
    assert model.until(_images(), "pool").ndim == 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dropout", [0.0, 0.2, 0.5])
def test_drops_at_the_configured_rate_in_training_and_never_in_evaluation(name: str, dropout: float) -> None:
    model = _model(name, dropout).learn("head")
    seen: list[torch.Tensor] = []
    vectors = torch.ones(64, model.until(_images(1), "pool").shape[1])
    model.train()
    seen = [model.drop(vectors) for _ in range(20)]
    rate = torch.cat(seen).eq(0).float().mean().item()
    assert rate == pytest.approx(dropout, abs=0.02)
    outputs = [model.after(vectors, "pool") for _ in range(2)]
    assert torch.equal(*outputs) == (dropout == 0)
    model.eval()
    assert torch.equal(model(_images()), model(_images()))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["head", "last_block", "all"])
def test_the_cut_freezes_exactly_what_stands_before_it(name: str, what: str) -> None:
    model = _model(name).learn(what)
    learning = {"head": ("drop", "head"), "last_block": TAIL, "all": model.names}[what]
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.train()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    nn.functional.cross_entropy(model(_images()), torch.tensor([0, 1, 0, 1])).backward()
    optimizer.step()
    changed = {k.split(".")[0] for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    has_tensors = {k.split(".")[0] for k in before}
    assert changed == {stage for stage in learning if stage in has_tensors}


@pytest.mark.parametrize("name", NAMES)
def test_asking_where_the_cut_would_be_moves_nothing(name: str) -> None:
    model = _model(name).learn("last_block").train()
    state = [(p.requires_grad, m.training) for m in model.modules() for p in m.parameters()]
    last_frozen = model.names[model.names.index("last_block") - 1]
    learns: tuple[Learn, ...] = ("head", "last_block", "all")
    asked = {learn: (model.cut_of(learn), model.frozen_stage(learn)) for learn in learns}
    assert asked == {"head": ("drop", "pool"), "last_block": ("last_block", last_frozen), "all": (model.names[0], None)}
    assert (model.cut, model.frozen_stage()) == ("last_block", last_frozen)
    assert [(p.requires_grad, m.training) for m in model.modules() for p in m.parameters()] == state
    for learn, answer in asked.items():
        model.learn(learn)
        assert (model.cut, model.frozen_stage()) == answer


@pytest.mark.parametrize("name", NAMES)
def test_any_stage_may_be_the_first_that_learns(name: str) -> None:
    model = _model(name)
    for n, stage in enumerate(model.names[:-2], 1):
        model.learn(stage).train()
        frozen = {model.names[i] for i in range(n - 1)}
        assert (model.cut, model.frozen_stage(stage)) == (stage, model.names[n - 2] if n > 1 else None)
        assert {key.split(".")[0] for key, p in model.named_parameters() if not p.requires_grad} <= frozen
        assert {key.split(".")[0] for key, p in model.named_parameters() if p.requires_grad} & frozen == set()
        assert {key for key, module in model.named_children() if not module.training} == frozen
    with pytest.raises(ModelError, match=r"no stage is named 'last_blok'; did you mean 'last_block'\?"):
        model.learn("last_blok")


@pytest.mark.parametrize("name", NAMES)
def test_frozen_batchnorm_stays_in_evaluation_when_training_resumes(name: str) -> None:
    model = _model(name).learn("last_block")
    model.eval()
    model.train()
    for stage in model.names:
        frozen = stage not in TAIL
        norms = [m for m in model.get_submodule(stage).modules() if isinstance(m, nn.BatchNorm2d)]
        assert all(norm.training is not frozen for norm in norms)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "chestxray_cnn"])
@pytest.mark.parametrize("size", [64, 96, 160])
def test_backbones_take_any_size(name: str, size: int) -> None:
    assert create_model(name, size=size).eval()(torch.zeros(1, 3, size, size)).shape == (1, 2)


@pytest.mark.parametrize(("size", "width"), [(224, 100_352), (112, 25_088), (64, 8_192)])
def test_the_custom_cnn_flattens_to_what_the_input_gives(size: int, width: int) -> None:
    model = create_model("chestxray_cnn", dropout=0.5, size=size)
    assert model.pool.hidden.in_features == width
    assert model.eval()(torch.zeros(1, 3, size, size)).shape == (1, 2)


def test_the_last_blocks_are_those_of_the_study() -> None:
    resnet, densenet, efficientnet = (create_model(n) for n in ("resnet18", "densenet121", "efficientnet_b0"))
    assert resnet.last_block[0].conv1.weight.shape == (512, 256, 3, 3)
    assert len(list(densenet.last_block[0].children())) == 16
    assert densenet.last_block[1].num_features == 1024
    assert efficientnet.last_block[0].weight.shape == (1280, 320, 1, 1)

"""EfficientNet-Lite0 against timm's own, whose padding follows the input; how every network's head begins."""

from __future__ import annotations

import math

import pytest

from cxreader import torch_setup  # noqa: F401 - before timm

# isort: split
import timm
import torch
from torch import nn

from cxreader.models.folding import folded
from cxreader.models.registry import create_model, list_models, model_entry

NAMES = [entry.name for entry in list_models()]
SIZES = (32, 33, 63, 64, 97, 130, 224, 320)


def _lite0_of_timm() -> nn.Module:
    """With statistics that no norm begins with."""
    torch.manual_seed(3)
    net: nn.Module = timm.create_model("tf_efficientnet_lite0", num_classes=2).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net


@pytest.mark.peer
@pytest.mark.parametrize("size", SIZES)
def test_lite0_is_timms_at_every_size_with_its_padding_fixed(size: int) -> None:
    theirs = _lite0_of_timm()
    ours = create_model("efficientnet_lite0", size=size).eval()
    state = theirs.state_dict()
    ours.load_state_dict({key: state[name] for key, name in ours.published_names.items()})
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps, logits = theirs.forward_features(x), theirs(x)
        assert torch.equal(ours.until(x, "last_block"), maps)
        assert torch.equal(ours(x), logits)
        assert torch.equal(list(ours.each_until(x, "head"))[-1], logits)
        fused = folded(ours)
        torch.testing.assert_close(fused(x), logits, rtol=0, atol=1e-4 * float(logits.abs().max()))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())


@pytest.mark.peer
def test_lite0_holds_every_tensor_of_timms_and_its_norms_have_its_epsilon() -> None:
    theirs, ours = _lite0_of_timm(), create_model("efficientnet_lite0", size=64)
    assert sorted(ours.published_names.values()) == sorted(theirs.state_dict())
    assert {m.eps for m in ours.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}


def test_lite0_pads_by_hand() -> None:
    """TensorFlow's SAME: of 64 px a 3 x 3 convolution with stride 2 needs 1 pixel, behind; of 65 px 2, one on each side."""
    even, odd = (create_model("efficientnet_lite0", size=size).stem[0].pad.padding for size in (64, 65))
    assert (tuple(even), tuple(odd)) == ((0, 1, 0, 1), (1, 1, 1, 1))


@pytest.mark.parametrize("name", NAMES)
def test_a_head_begins_as_a_linear_layer_does(name: str) -> None:
    """Uniform within 1 / sqrt(features), whose deviation is the bound by sqrt(3); many draws, as a head has few numbers."""
    drawn = []
    for seed in range(5):
        torch.manual_seed(seed)
        drawn.append(create_model(name, size=64).get_submodule("head").state_dict())
    bound = 1 / math.sqrt(drawn[0]["weight"].shape[1])
    weights, biases = (torch.cat([head[part].flatten() for head in drawn]) for part in ("weight", "bias"))
    assert all(0.5 * bound < float(values.abs().max()) <= bound for values in (weights, biases))
    assert float(weights.std()) == pytest.approx(bound / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_loss_is_that_of_a_network_that_knows_nothing(name: str) -> None:
    """The cross-entropy of one half to every image is ln 2."""
    torch.manual_seed(0)
    model = create_model(name, size=64).train()
    x = torch.randn(16, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(x), torch.arange(16) % 2)
    assert float(loss) == pytest.approx(math.log(2), abs=0.1)


def test_timms_own_draw_would_begin_far_from_it() -> None:
    """What the head of EfficientNet-B0 would be without: within 1 / sqrt(2) (two classes), and a first loss above 2."""
    torch.manual_seed(0)
    drawn = timm.create_model("efficientnet_b0", num_classes=2).classifier.weight.detach()
    assert float(drawn.abs().max()) == pytest.approx(2**-0.5, rel=0.01)
    model = create_model("efficientnet_b0", size=64).train()
    x = torch.randn(16, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        model.head.weight.copy_(drawn)
        loss = nn.functional.cross_entropy(model(x), torch.arange(16) % 2)
    assert float(loss) > 2


def test_networks_name_the_normalisation_they_were_trained_with() -> None:
    """timm's configurations of the pretrained files."""
    for entry in (model_entry(name) for name in ("resnet18", "densenet121", "efficientnet_b0", "efficientnet_lite0")):
        timms = timm.get_pretrained_cfg(entry.pretrained or "tf_efficientnet_lite0.in1k")
        assert (entry.mean, entry.std) == (tuple(timms.mean), tuple(timms.std))

"""Our heat maps against pytorch-grad-cam, against closed forms, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cxreader import torch_setup  # noqa: F401 - before grad-cam, which imports torchvision

# isort: split
import torch

from cxreader.explanation.gradcam import grad_cam, grad_cam_map, hires_cam_map, signed_cam
from cxreader.models.registry import CamMethod, create_model, list_models, model_entry
from cxreader.models.stages import StagedModel

NAMES = [entry.name for entry in list_models()]


def _model(name: str) -> StagedModel:
    torch.manual_seed(1)  # with it every network has a map above 0 for both classes
    model = create_model(name, size=96)
    with torch.no_grad():
        model.train()
        model(torch.randn(8, 3, 96, 96))  # statistics other than 0 and 1
    return model.eval()


def _images() -> torch.Tensor:
    return torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(2))


@pytest.mark.peer
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("method", "target"), [("grad_cam", 0), ("grad_cam", 1), ("hires_cam", 1)])
def test_equals_pytorch_grad_cam_before_its_scaling(name: str, method: CamMethod, target: int) -> None:
    from pytorch_grad_cam import GradCAM, HiResCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model, stage = _model(name), model_entry(name).cam_stage
    _, ours = grad_cam(model, _images(), stage=stage, target=target, method=method)
    layer = model.get_submodule(stage)
    with {"grad_cam": GradCAM, "hires_cam": HiResCAM}[method](model, [layer]) as cam:
        outputs = cam.activations_and_grads(_images())
        cam.outputs = outputs
        loss = sum(ClassifierOutputTarget(target)(output) for output in outputs)
        loss.backward(retain_graph=True)
        activations = cam.activations_and_grads.activations[0].detach().numpy()
        gradients = cam.activations_and_grads.gradients[0].detach().numpy()
        theirs = np.maximum(cam.get_cam_image(_images(), layer, None, activations, gradients, False), 0)
    top = theirs.max()
    assert top > 0
    assert np.abs(ours.numpy() - theirs).max() <= 1e-5 * top


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "efficientnet_b0", "efficientnet_lite0"])
def test_equals_cam_where_pooling_and_one_linear_layer_follow(name: str) -> None:
    """Zhou et al., CVPR 2016: with average pooling the gradient is the class's weight by the number of positions."""
    model = _model(name)
    logits, ours = grad_cam(model, _images(), target=1)
    with torch.no_grad():
        spatial = model.until(_images(), "last_block")
        cam = torch.einsum("c,nchw->nhw", model.head.weight[1], spatial).clamp_min(0) / spatial[0, 0].numel()
        torch.testing.assert_close(logits, model(_images()))
    torch.testing.assert_close(ours, cam, rtol=1e-4, atol=1e-6 * float(cam.max()))
    own = grad_cam(model, _images(), target=1, method="hires_cam")[1]
    torch.testing.assert_close(own, cam, rtol=1e-4, atol=1e-6 * float(cam.max()))  # one gradient for all positions


def test_where_the_map_is_flattened_each_place_has_what_it_adds_to_the_logit() -> None:
    """By hand: two places of one channel, through one hidden unit with weights 3 and -1, times 2 behind it.

    The map of the places is 5 and 4: they add 2 * 3 * 5 = 30 and 2 * -1 * 4 = -8. Their mean gradient, 2, calls both warm.
    """
    maps, gradients = torch.tensor([[[[5.0, 4.0]]]]), torch.tensor([[[[6.0, -2.0]]]])
    assert hires_cam_map(maps, gradients).tolist() == [[[30.0, -8.0]]]
    assert grad_cam_map(maps, gradients).tolist() == [[[10.0, 8.0]]]


def test_the_custom_cnn_s_maps_add_up_to_its_logit() -> None:
    """HiResCAM's own claim (Draelos and Carin, section 3): behind a piecewise linear tail the sum is the logit but for biases."""
    model = _model("chestxray_cnn")
    for name in ("pool.hidden.bias", "head.bias"):
        model.get_parameter(name).data.zero_()
    with torch.no_grad():
        output = model.until(_images(), "last_block")
    logits, maps = signed_cam(model, output, method=model_entry("chestxray_cnn").cam_method)
    torch.testing.assert_close(maps.sum(dim=(1, 2)), logits[:, 1], rtol=1e-4, atol=1e-6)
    assert (maps < 0).any()


def test_leaves_the_model_as_it_was() -> None:
    model = _model("resnet18").learn("last_block").train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    grad_cam(model, _images())
    assert model.training
    assert not model.stem.training
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())

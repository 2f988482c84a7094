"""What is OpenVINO's own: its precision is what was asked for, and nothing leaves the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cxreader import torch_setup  # noqa: F401 - before timm
from cxreader.inference.runtimes import quiet_openvino  # noqa: F401 - before openvino

# isort: split
import openvino as ov
import torch
from tests.artifacts import hand_made

from cxreader import Reader
from cxreader.errors import ArtifactError, ModelError, UsageError
from cxreader.inference.batch.work import manifest_of
from cxreader.inference.runtimes import openvino_backend
from cxreader.inference.runtimes.backend import load_backend
from cxreader.inference.runtimes.export import export_onnx
from cxreader.inference.runtimes.exported_outputs import ANSWER
from cxreader.inference.runtimes.openvino_backend import OpenVinoBackend
from cxreader.models.registry import create_model

SIZE = 64
HAS_BF16 = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("artifact")
    hand_made(place, "resnet18", create_model("resnet18", size=SIZE).state_dict(), SIZE)
    export_onnx(place)
    return place


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, SIZE, SIZE)).astype(np.float32)


def test_float32_is_computed_whatever_the_processor_would_rather(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, plain = [], ov.Core.compile_model

    def watched(*given: object) -> ov.CompiledModel:
        compiled.append(plain(*given))
        return compiled[-1]

    monkeypatch.setattr(ov.Core, "compile_model", watched)
    Reader.load(folder, backend="openvino")
    assert compiled
    assert {str(one.get_property("INFERENCE_PRECISION_HINT")) for one in compiled} == {str(ov.Type.f32)}


def test_bfloat16_is_asked_for_by_name_and_named_in_the_manifest(folder: Path) -> None:
    reader = Reader.load(folder, backend="auto")
    assert manifest_of(reader, [])["backends"] == ["onnx"]
    if not HAS_BF16:
        with pytest.raises(UsageError, match="this processor does not compute in bf16; read with --backend openvino"):
            Reader.load(folder, backend="openvino-bf16")
        return
    reader = Reader.load(folder, backend="openvino-bf16")
    assert manifest_of(reader, [])["backends"] == ["openvino-bf16"]
    x = _images(4)
    exact, found = load_backend("onnx", reader.artifact, folder).run(x), reader.backend.run(x)
    size = float(np.abs(exact.features).max())
    assert 1e-4 * size < float(np.abs(found.features - exact.features).max()) < 0.1 * size  # 8 bits of mantissa


def test_a_processor_without_bfloat16_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ov.Core, "get_property", lambda *given: ["FP32", "INT8"])
    with pytest.raises(UsageError, match="this processor does not compute in bf16"):
        Reader.load(folder, backend="openvino-bf16")


@pytest.mark.parametrize("cores", [1, 2, 3, 5])
def test_every_image_has_its_answer_whatever_cores_there_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr(openvino_backend, "cores", lambda: cores)
    (graph,) = folder.glob("*.onnx")
    backend, x = OpenVinoBackend.of(graph.read_bytes()), _images(7)
    one_by_one = [backend.outputs(x[n : n + 1], ANSWER) for n in range(7)]
    for count in range(1, 8):
        for found, *wanted in zip(backend.outputs(x[:count], ANSWER), *one_by_one[:count], strict=True):
            np.testing.assert_allclose(found, np.concatenate(wanted), rtol=1e-5, atol=1e-5)


def test_what_openvino_raises_becomes_an_error_of_the_tree(folder: Path) -> None:
    backend = Reader.load(folder, backend="openvino").backend
    with pytest.raises(ModelError, match=r"OpenVINO refused a batch of shape \(1, 3, 40, 40\)"):
        backend.run(np.zeros((1, 3, 40, 40), np.float32))
    assert backend.run(_images(1)).logits.shape == (1, 2)  # its request is free again
    with pytest.raises(ArtifactError, match=r"OpenVINO \d+\.\d+.* cannot open the export .*--backend onnx"):
        OpenVinoBackend.of(b"no graph at all")


def test_it_loads_no_torch_reports_to_nobody_and_needs_nothing_of_the_network(folder: Path) -> None:
    """OpenVINO tells its makers of every import, unless the package that does so is out of reach."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import socket\n"
        "def refused(*given, **named): raise AssertionError('something asked for the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refused\n"
        "import numpy as np; from cxreader import Reader\n"
        f"backend = Reader.load({str(folder)!r}, backend='openvino').backend\n"
        f"print(backend.run(np.zeros((2, 3, {SIZE}, {SIZE}), np.float32)).logits.shape)\n"
        "print(sys.modules['openvino_telemetry'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(2, 2)\nNone\n", "")


def test_without_the_extra_nothing_of_it_is_imported_and_the_line_that_installs_it_is_told(folder: Path) -> None:
    code = (
        "import sys; sys.modules['openvino'] = None\n"
        "from cxreader.cli import run\n"
        "from cxreader import Reader\n"
        f"print(Reader.load({str(folder)!r}).backend.name)\n"
        f"sys.exit(run(['read', 'none.png', '-m', {str(folder)!r}, '--backend', 'openvino']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (5, "onnx\n")
    assert "the openvino backend needs openvino; pip install 'cxreader[openvino]'" in done.stderr


@pytest.mark.parametrize("_", range(4))
def test_threads_that_read_first_at_the_same_moment_do_not_wait_for_each_other(folder: Path, _: int) -> None:
    """Each thread goes on as soon as another one lets it: by chance of one or two in three they stood still for ever."""
    (graph,) = folder.glob("*.onnx")
    code = f"""
import faulthandler, sys, threading, time
from pathlib import Path
import numpy as np
from cxreader.inference.runtimes.openvino_backend import OpenVinoBackend
backend = OpenVinoBackend.of(Path({str(graph)!r}).read_bytes())
image, begun = np.zeros((1, 3, {SIZE}, {SIZE}), np.float32), False
def read():
    while not begun:
        time.sleep(0)
    backend.run(image)
threads = [threading.Thread(target=read, daemon=True) for _ in range(8)]
for one in threads:
    one.start()
faulthandler.dump_traceback_later(30, exit=True)
time.sleep(0.1)
sys.setswitchinterval(100)
begun = True
for one in threads:
    one.join()
"""
    environment = {**os.environ, "CXREADER_CORES": "8"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]

"""What is rewritten in an exported graph: the same function, in ONNX Runtime's blocks; and what is left as it was."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from cxreader.inference.runtimes.exported_network import window
from cxreader.inference.runtimes.onnx_graph import in_blocks
from cxreader.models.stages import middle

SQUEEZE = """
<ir_version: 8, opset_import: ["" : 17]>
squeeze (float[n, 3, 12, 12] images) => (float[n, 32, 6, 6] out)
<float[32, 3, 3, 3] stem, float[{hidden}, 32, 1, 1] narrow, float[{hidden}] bias, float[32, {hidden}, 1, 1] wide,
 float[32, 32, 1, 1] last>
{{
    map = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (images, stem)
    mean = ReduceMean <axes = [2, 3], keepdims = 1> (map)
    few = Conv (mean, narrow, bias)
    on = Sigmoid (few)
    act = Mul (few, on)
    many = Conv (act, wide)
    gate = Sigmoid (many)
    gated = Mul ({factors})
    out = Conv (gated, last)
}}
"""
"""Squeeze and excitation behind one convolution (Hu et al., CVPR 2018), with SiLU as EfficientNet has it."""


def _model(text: str) -> onnx.ModelProto:
    """The graph of `text`, its constants drawn at random; biases too, so that a channel that was added would be seen."""
    model = onnx.parser.parse_model(text)
    random = np.random.default_rng(0)
    for declared in model.graph.value_info:
        sides = [side.dim_value for side in declared.type.tensor_type.shape.dim]
        values = random.standard_normal(sides).astype(np.float32) / np.sqrt(np.prod(sides[1:]))
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), declared.name))
    del model.graph.value_info[:]
    return model


def _squeeze(hidden: int = 6, factors: str = "map, gate") -> onnx.ModelProto:
    return _model(SQUEEZE.format(hidden=hidden, factors=factors))


def _rewritten(model: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.load_from_string(in_blocks(model.SerializeToString()))


def _answers(model: onnx.ModelProto, count: int = 3) -> list[NDArray[np.float32]]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    images = np.random.default_rng(1).standard_normal((count, *given.shape[1:])).astype(np.float32)
    found: list[NDArray[np.float32]] = session.run(None, {given.name: images})
    return found


def _constants(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    return {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}


def _filled(model: onnx.ModelProto) -> list[tuple[int, ...]]:
    return [values.shape for name, values in _constants(model).items() if "/filled_" in name]


@pytest.mark.parametrize("factors", ["map, gate", "gate, map"])
@pytest.mark.parametrize("hidden", [1, 6, 16, 17])
def test_a_squeeze_answers_the_same_for_every_number_of_images(hidden: int, factors: str) -> None:
    before = _squeeze(hidden, factors)
    after = _rewritten(before)
    onnx.checker.check_model(after, full_check=True)
    for count in (1, 3):
        np.testing.assert_allclose(_answers(after, count)[0], _answers(before, count)[0], rtol=0, atol=2e-6)
    kinds = Counter(node.op_type for node in after.graph.node)
    assert (kinds["ReduceMean"], kinds["GlobalAveragePool"], kinds["Resize"]) == (0, 1, 1)
    wide = -(-hidden // 16) * 16
    filled = [(wide, 32, 1, 1), (wide,), (32, wide, 1, 1)]
    assert _filled(after) == ([] if hidden == wide else filled)


def test_what_fills_a_block_weighs_nothing() -> None:
    held = _constants(_rewritten(_squeeze(6)))
    added = [values for name, values in held.items() if "/filled_" in name]
    assert [np.count_nonzero(values) for values in added] == [6 * 32, 6, 32 * 6]


def test_onnx_runtime_reorders_no_map_between_the_convolutions(tmp_path: Path) -> None:
    def reordered(model: onnx.ModelProto) -> int:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return sum(node.op_type == "ReorderInput" for node in onnx.load(tmp_path / "optimised.onnx").graph.node)

    assert reordered(_squeeze()) > 0
    assert reordered(_rewritten(_squeeze())) == 0


def test_a_map_that_no_cache_holds_is_not_gone_over_once_more() -> None:
    text = SQUEEZE.replace("12, 12", "{side}, {side}").replace("6, 6]", "{half}, {half}]")
    found = {
        side: sum(
            node.op_type == "Resize"
            for node in _rewritten(
                _model(text.format(side=side, half=side // 2, hidden=16, factors="map, gate"))
            ).graph.node
        )
        for side in (180, 182)
    }
    assert found == {180: 1, 182: 0}  # 32 x 90 x 90 numbers are under 2 ** 18, 32 x 91 x 91 are not


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(float[n, 32, 6, 6] out)", "(float[n, 32, 6, 6] out, float[n, 6, 1, 1] few)"),
        ("(float[n, 32, 6, 6] out)", "(float[n, 32, 6, 6] out, float[n, 6, 1, 1] act)"),
        ("on = Sigmoid (few)", "on = Softmax <axis = 1> (few)"),
        ("many = Conv (act, wide)", "some = Conv (act, wide)\n many = Conv (some, last)\n other = Conv (few, wide)"),
    ],
)
def test_what_anything_else_sees_is_not_filled(old: str, new: str) -> None:
    before = _model(SQUEEZE.format(hidden=6, factors="map, gate").replace(old, new))
    after = _rewritten(before)
    assert _filled(after) == []
    for ours, theirs in zip(_answers(after), _answers(before), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


def test_a_grouped_convolution_is_not_filled() -> None:
    text = SQUEEZE.replace("float[32, {hidden}, 1, 1] wide", "float[32, 3, 1, 1] wide")
    text = text.replace("many = Conv (act", "many = Conv <group = 2> (act")
    before = _model(text.format(hidden=6, factors="map, gate"))
    after = _rewritten(before)
    assert _filled(after) == []
    np.testing.assert_allclose(_answers(after)[0], _answers(before)[0], rtol=0, atol=2e-6)


def test_of_two_narrow_layers_each_is_filled_on_both_sides() -> None:
    text = SQUEEZE.replace("many = Conv (act, wide)", "some = Conv (act, again)\n many = Conv (some, wide)")
    text = text.replace("float[32, 32, 1, 1] last>", "float[32, 32, 1, 1] last, float[{hidden}, {hidden}, 1, 1] again>")
    before = _model(text.format(hidden=6, factors="map, gate"))
    after = _rewritten(before)
    onnx.checker.check_model(after, full_check=True)
    assert (16, 16, 1, 1) in _filled(after)
    np.testing.assert_allclose(_answers(after)[0], _answers(before)[0], rtol=0, atol=2e-6)


def test_one_constant_under_two_names_is_filled_where_it_is_used() -> None:
    """torch writes equal constants once, and gives them their other names by Identity."""
    text = SQUEEZE.replace(
        "few = Conv (mean, narrow, bias)", "also = Identity (bias)\n few = Conv (mean, narrow, also)"
    )
    before = _model(text.format(hidden=6, factors="map, gate"))
    after = _rewritten(before)
    assert (16,) in _filled(after)
    assert _constants(after)["bias"].shape == (6,)
    np.testing.assert_allclose(_answers(after)[0], _answers(before)[0], rtol=0, atol=2e-6)


def test_the_same_graph_gives_the_same_bytes() -> None:
    graph = _squeeze().SerializeToString()
    assert in_blocks(graph) == in_blocks(graph) != graph


def test_the_middle_is_half_of_a_side_in_whole_parts() -> None:
    assert [middle(side) for side in (1, 2, 3, 4, 7, 14, 15, 112)] == [
        (0, 1), (0, 2), (0, 3), (1, 3), (1, 6), (3, 9), (3, 12), (28, 84),
    ]  # fmt: skip


def test_the_last_window_of_the_pool_is_the_middle() -> None:
    random = np.random.default_rng(0)
    for height in (*range(1, 60), 112, 224):
        width = 1 + int(random.integers(0, 60))
        kernel, strides, before, behind = zip(window(height), window(width), strict=True)
        pool = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=kernel, strides=strides, pads=before + behind)
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, None, None]) for name in "xy"]
        graph = helper.make_graph([pool], "pool", values[:1], values[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        maps = random.standard_normal((1, 2, height, width)).astype(np.float32)
        (windows,) = session.run(None, {"x": maps})
        assert windows.shape == (1, 2, 2, 2)
        (top, bottom), (left, right) = middle(height), middle(width)
        by_hand = maps[0, :, top:bottom, left:right].mean(axis=(1, 2))
        np.testing.assert_allclose(windows[0, :, -1, -1], by_hand, rtol=0, atol=1e-6, err_msg=f"{height} x {width}")

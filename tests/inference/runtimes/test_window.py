"""The pool that takes the middle of a map out of an exported graph."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from cxreader.inference.runtimes.exported_network import window
from cxreader.models.stages import middle


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

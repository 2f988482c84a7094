"""The graph that torch writes, with fewer passes over memory for ONNX Runtime's CPU: the same function.

There a map lies in blocks of 8 or 16 channels from one convolution or pool to the next. Before anything that it cannot do in
blocks, ONNX Runtime reorders the whole map, and again behind it, on one core.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

BLOCK = 16
"""Channels of the widest block (AVX-512); also two of AVX2's."""
SPREAD = 2**18
"""Numbers in the largest map that a gate is spread over: a larger one leaves a core's cache, and reordering it costs less."""
_BY_ELEMENT = ("Mul", "Relu", "Sigmoid")


def in_blocks(graph: bytes) -> bytes:
    """An ONNX file -> one of the same function whose maps stay in blocks. The same bytes for the same graph.

    A mean over positions becomes an average pool. A gate, one number for each channel by which a map is multiplied (squeeze
    and excitation, Hu et al., CVPR 2018), is first spread over the map's positions: what is multiplied must have the same
    shape. The few channels from which gates are computed are filled up to a block with ones that weigh 0.
    """
    import onnx

    model = onnx.load_from_string(graph)
    _pool(model.graph)
    shapes = _shapes(model)
    _fill_blocks(model.graph, shapes)
    _spread_gates(model.graph, shapes)
    written: bytes = model.SerializeToString()
    return written


def _pool(graph: GraphProto) -> None:
    import onnx

    for node in graph.node:
        given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        if node.op_type == "ReduceMean" and given == {"axes": [2, 3], "keepdims": 1}:
            node.op_type = "GlobalAveragePool"
            del node.attribute[:]


def _shapes(model: ModelProto) -> dict[str, list[str | int]]:
    """By value, its sides; the number of images by its name."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    }


def _spread_gates(graph: GraphProto, shapes: dict[str, list[str | int]]) -> None:
    from onnx import TensorProto, helper, numpy_helper

    for node in list(graph.node):
        for place, sides in _gated(node, shapes):
            gate, name = node.input[place], f"{node.output[0]}/spread"
            scales = numpy_helper.from_array(np.array([1, 1, *sides[2:]], np.float32), f"{name}_scales")
            spread = helper.make_node(
                "Resize",
                [gate, "", scales.name],
                [name],
                name=name,
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
            node.input[place] = name
            graph.initializer.append(scales)
            # Not inferred for a batch of any length, and without it the two would not be known to have the same shape.
            graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, sides))
            graph.node.insert(list(graph.node).index(node), spread)


def _gated(node: NodeProto, shapes: dict[str, list[str | int]]) -> Iterator[tuple[int, list[str | int]]]:
    """Which input of a multiplication is a gate, and the sides of the map that it is multiplied by."""
    if node.op_type != "Mul" or not all(len(shapes.get(name, ())) == 4 for name in node.input):
        return
    first, second = (shapes[name] for name in node.input)
    for place, gate, sides in ((0, first, second), (1, second, first)):
        if gate == [*sides[:2], 1, 1] != sides and math.prod(map(int, sides[1:])) <= SPREAD:
            yield place, sides


def _fill_blocks(graph: GraphProto, shapes: dict[str, list[str | int]]) -> None:
    weights = _Weights(graph)
    for node in graph.node:
        if node.op_type != "Conv" or shapes.get(node.output[0], [])[2:] != [1, 1]:
            continue
        missing = -int(shapes[node.output[0]][1]) % BLOCK
        behind = _only_convolution_behind(graph, node) if missing else None
        if behind is None or not all(weights.knows(one) for one in (node, behind)):
            continue
        weights.pad(node, 1, missing, axis=0)
        if len(node.input) > 2:
            weights.pad(node, 2, missing, axis=0)
        weights.pad(behind, 1, missing, axis=1)


def _only_convolution_behind(graph: GraphProto, node: NodeProto) -> NodeProto | None:
    """The one convolution that takes what `node` gives, by itself or element by element; None where anything else does, too."""
    values, found = {node.output[0]}, []
    for other in graph.node:
        if not values & set(other.input):
            continue
        if other.op_type in _BY_ELEMENT and values >= set(other.input):
            values.add(other.output[0])
        else:
            found.append(other)
    shown = values & {output.name for output in graph.output}
    return found[0] if len(found) == 1 and found[0].op_type == "Conv" and not shown else None


class _Weights:
    """The constants of a graph by name; `Identity` gives one constant two names."""

    def __init__(self, graph: GraphProto) -> None:
        self._graph = graph
        self._held = {constant.name: constant for constant in graph.initializer}
        for node in graph.node:
            if node.op_type == "Identity" and node.input[0] in self._held:
                self._held[node.output[0]] = self._held[node.input[0]]

    def knows(self, conv: NodeProto) -> bool:
        """Whether its weights are constants, and each of its outputs sees every input."""
        import onnx

        whole = all(onnx.helper.get_attribute_value(one) == 1 for one in conv.attribute if one.name == "group")
        return whole and all(name in self._held for name in conv.input[1:])

    def pad(self, conv: NodeProto, place: int, missing: int, axis: int) -> None:
        """Give `conv` a constant of its own in that place, with `missing` zeros more along `axis`."""
        from onnx import numpy_helper

        old = numpy_helper.to_array(self._held[conv.input[place]])
        new = np.pad(old, [(0, missing if n == axis else 0) for n in range(old.ndim)])
        constant = numpy_helper.from_array(new, f"{conv.output[0]}/filled_{place}_{axis}")
        self._graph.initializer.append(constant)
        self._held[constant.name] = constant
        conv.input[place] = constant.name

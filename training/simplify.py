"""A converted graph without the detours of its conversion: what they cost is most of a small run.

tf2onnx turns Keras' layers into what TensorFlow does with them. Two of those detours have a shorter way in ONNX:

- An LSTM begins with states of zeros, made in the shape of its batch by seven operators; ONNX' LSTM begins with zeros
  where it is given none.
- A Dense layer on `(batch, time, feature)` is a `Tensordot`: reshaped to two axes, multiplied, and reshaped back to a
  shape computed by six operators; ONNX' MatMul takes three axes as they are.
"""

from collections.abc import Iterator

import onnx
from onnx import numpy_helper

SHAPING = {"Expand", "Unsqueeze", "Identity", "Cast", "Reshape"}  # zeros stay zeros


def simplify(model: onnx.ModelProto) -> None:
    """Shortens the model's graph in place; its outputs stay the same to the bit."""
    graph = _Graph(model.graph)
    for node in list(model.graph.node):
        if node.op_type == "LSTM":
            graph.start_with_zeros(node)
        elif node.op_type == "MatMul":
            graph.multiply_as_is(node)
    graph.prune()


class _Graph:
    """A graph with an index of what makes and what takes each tensor."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._makers = {output: node for node in graph.node for output in node.output}
        self._constants = {one.name: one for one in graph.initializer}

    def start_with_zeros(self, lstm: onnx.NodeProto) -> None:
        """Leaves out initial states (inputs 5 and 6 of the operator) of zeros."""
        inputs = list(lstm.input)
        for place in (5, 6):
            if len(inputs) > place and self._is_zero(inputs[place]):
                inputs[place] = ""
        while not inputs[-1]:
            inputs.pop()
        lstm.input[:] = inputs

    def multiply_as_is(self, product: onnx.NodeProto) -> None:
        """Leaves out the reshaping around a Tensordot whose left side is summed over its last axis."""
        before = self._makers.get(product.input[0])
        takers = [node for node in self._graph.node if product.output[0] in node.input]
        if before is None or before.op_type != "Reshape" or len(takers) != 1 or takers[0].op_type != "Reshape":
            return
        [after] = takers
        kernel, shape = self._constants.get(product.input[1]), self._constants.get(before.input[1])
        if "Tensordot" not in after.name or kernel is None or len(kernel.dims) != 2 or shape is None:
            return
        if numpy_helper.to_array(shape).tolist() == [-1, kernel.dims[0]]:
            product.input[0], product.output[0] = before.input[0], after.output[0]
            after.output[0] += "_unused"

    def prune(self) -> None:
        """Removes what nothing needs."""
        wanted = {output.name for output in self._graph.output}
        kept = []
        for node in reversed(self._graph.node):  # they stand in the order in which they run
            if wanted.intersection(node.output):
                kept.append(node)
                wanted.update(_taken(node))
        del self._graph.node[:]
        self._graph.node.extend(reversed(kept))
        constants = [one for one in self._graph.initializer if one.name in wanted]
        del self._graph.initializer[:]
        self._graph.initializer.extend(constants)

    def _is_zero(self, name: str) -> bool:
        if name in self._constants:
            return not numpy_helper.to_array(self._constants[name]).any()
        node = self._makers.get(name)
        if node is None:
            return False
        if node.op_type == "Constant":
            return not numpy_helper.to_array(node.attribute[0].t).any()
        return node.op_type in SHAPING and self._is_zero(node.input[0])


def _taken(node: onnx.NodeProto) -> Iterator[str]:
    """What a node takes, and what the graphs inside it take."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _taken(inner)
        yield from (output.name for output in attribute.g.output)

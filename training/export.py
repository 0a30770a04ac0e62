"""A Keras model as an ONNX graph that keeps the model contract; what the service could not stand behind is refused."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime as ort
import tensorflow as tf
import tf2onnx

from service.manifest import Lengths, Parity
from training.simplify import simplify

OPSET = 18
TOLERANCE = 1e-5
LOOPS = {"Loop", "Scan", "If"}
CASES = [1, 2, 7, 64]  # batch sizes the two runtimes are compared on
AXES = {
    "sequences": ["batch", "time", "feature"],
    "lengths": ["batch"],
    "prediction": ["batch", "output"],
    "attention": ["batch", "time", "feature"],
}


class ExportError(Exception):
    """The model cannot be published; the text says what to change."""


@dataclass(frozen=True)
class Contract:
    """A Keras model as a function of the contract's inputs and outputs.

    Attributes:
        lengths: how many steps it takes.
        time: size of its time axis, None where that is free.
        features: size of its feature axis.
        attention: whether it gives weights.
    """

    model: keras.Model
    lengths: Lengths
    time: int | None
    features: int
    attention: bool

    @property
    def takes_lengths(self) -> bool:
        """Whether the model has an input `lengths`."""
        return len(self.model.inputs) == 2

    @property
    def output_names(self) -> list[str]:
        """In the order of the graph's outputs."""
        return ["prediction", "attention"] if self.attention else ["prediction"]

    def __call__(self, sequences: Any, lengths: Any = None) -> dict[str, Any]:
        """Outputs by name, for `sequences (batch, time, feature)` and `lengths (batch,)` where it takes them."""
        fed = [lengths if name == "lengths" else sequences for name in _input_names(self.model)]
        outputs = self.model(keras.tree.pack_sequence_as(self.model.input, fed), training=False)
        return dict(zip(output_names(self.model), keras.tree.flatten(outputs), strict=True))


def read_model(path: Path) -> keras.Model:
    """A model of the user's own from its .keras file, uncompiled.

    Raises:
        ExportError: it needs code beyond that of Keras, which is not run from a file.
        ValueError: it is no model.
    """
    try:
        return keras.saving.load_model(path, compile=False)
    except (TypeError, ValueError):
        saved = json.loads(zipfile.ZipFile(path).read("config.json")) if zipfile.is_zipfile(path) else {}
        own_code = ", ".join(dict.fromkeys(_own_code(saved)))
        if not own_code:
            raise
        raise ExportError(
            f"expected layers of Keras alone, received {own_code}. For the mean of weights over features take "
            "GlobalAveragePooling1D(data_format='channels_first', name='attention')"
        ) from None


def check_contract(model: keras.Model, *, attention: bool = True, time: int | None = None) -> Contract:
    """Checks that a model's inputs and outputs are those of the contract.

    Args:
        attention: whether it must have an output `attention`, or must have none.
        time: steps it takes at most, where its input does not say.

    Raises:
        ExportError: names what is missing.
    """
    if not hasattr(model, "output_names") or not model.inputs:
        raise ExportError(
            f"expected a functional Keras model with named outputs, received a {type(model).__name__}. Name them: "
            "keras.Model(model.inputs, {'prediction': ..., 'attention': ...})"
        )
    names = output_names(model)
    wanted = ["prediction", "attention"] if attention else ["prediction"]
    missing = [name for name in wanted if name not in names]
    if missing:
        hint = "" if "prediction" in missing else " A model that has no attention is published --without-attention."
        raise ExportError(
            f"expected outputs named {' and '.join(wanted)}, received {', '.join(names)}: {' and '.join(missing)} is "
            "missing. Name them: keras.Model(inputs, outputs={'prediction': ..., 'attention': ...})." + hint
        )
    unknown = [name for name in names if name not in wanted]
    if unknown:
        raise ExportError(f"expected no outputs but {' and '.join(wanted)}, received also {' and '.join(unknown)}")
    shapes = dict(zip(names, (tuple(output.shape) for output in model.outputs), strict=True))
    if len(shapes["prediction"]) != 2:
        raise ExportError(f"expected prediction of shape (batch, outputs), received {shapes['prediction']}")
    if attention and len(shapes["attention"]) not in (2, 3):
        raise ExportError(f"expected attention of shape (batch, time[, feature]), received {shapes['attention']}")
    fixed, features, takes_lengths = _check_inputs(model)
    if attention and len(shapes["attention"]) == 3 and shapes["attention"][2] != features:
        raise ExportError(
            f"expected attention of shape (batch, time) or (batch, time, {features}), received {shapes['attention']}; "
            "weights over anything but input features are averaged or squeezed to (batch, time) first"
        )
    longest = fixed or time
    if not takes_lengths and longest is None:
        raise ExportError(
            "expected a fixed number of time steps or an input named lengths, received neither. Give --time, or add "
            "keras.Input((), dtype='int32', name='lengths') and mask the scores of padded steps with it"
        )
    lengths = Lengths(min=1 if takes_lengths else longest, max=longest)
    return Contract(model, lengths, fixed, features, attention)


def to_onnx(contract: Contract) -> onnx.ModelProto:
    """Converts with the contract's names for inputs, outputs and free axes.

    Raises:
        ExportError: the graph would hold a loop, which costs ten times the fused LSTM operator.
    """
    for layer in contract.model._flatten_layers():
        if hasattr(layer, "use_cudnn"):
            layer.use_cudnn = False  # tf2onnx has no converter for the cuDNN operator
    signature = [tf.TensorSpec((None, contract.time, contract.features), tf.float32, name="sequences")]
    if contract.takes_lengths:
        signature.append(tf.TensorSpec((None,), tf.int32, name="lengths"))

    @tf.function(input_signature=signature, autograph=False)  # Keras builds models without autograph, too
    def outputs(*inputs: Any) -> list[Any]:
        found = contract(*inputs)
        return [tf.identity(found[name], name=name) for name in contract.output_names]

    proto = convert(outputs, signature, contract.output_names, AXES)
    loops = sorted({node.op_type for node in proto.graph.node} & LOOPS)
    if loops:
        raise ExportError(
            f"expected a graph without {', '.join(sorted(LOOPS))}, received {', '.join(loops)}, ten times slower than "
            "the LSTM operator. The usual causes are Masking or mask_zero (use an input `lengths`), recurrent_dropout, "
            "GRU layers, and activations other than the LSTM's defaults"
        )
    return proto


def convert(
    function: Any, signature: list[tf.TensorSpec], output_names: list[str], axes: dict[str, list[str]]
) -> onnx.ModelProto:
    """Converts a tf.function whose results stand in the order of `output_names`.

    Args:
        axes: names of the axes of inputs and outputs, for those that are free.
    """
    proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    captures = function.get_concrete_function().graph.captures
    captured = {inner.name: outer.numpy() for outer, inner in captures if outer.dtype != tf.resource}
    _name_graph(proto, output_names, axes, captured)
    simplify(proto)
    onnx.checker.check_model(proto)
    return proto


def check_parity(contract: Contract, graph: bytes, sequences: np.ndarray, lengths: np.ndarray) -> Parity:
    """Compares Keras with ONNX Runtime on several batch sizes, and tests what holds of every attention.

    Args:
        graph: the serialized ONNX model.
        sequences: real or realistic `(sample, time, feature)`, zero on padding.
        lengths: `(sample,)`.

    Returns:
        The largest differences; of predictions larger than 1, relative to their size.

    Raises:
        ExportError: they differ by more than 1e-5; or weights are negative, do not sum to 1, or fall on padding; or
            what stands in the padding changes the prediction.
    """
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    worst = dict.fromkeys(contract.output_names, 0.0)
    for batch, length in _batches(sequences, lengths, contract):
        feeds = {"sequences": batch} | ({"lengths": length} if contract.takes_lengths else {})
        served = dict(zip(contract.output_names, session.run(contract.output_names, feeds), strict=True))
        trained = {name: np.asarray(value) for name, value in contract(batch, length).items()}
        for name, values in trained.items():
            difference = float(np.max(np.abs(values - served[name]) / np.maximum(1, np.abs(values))))
            worst[name] = max(worst[name], difference)
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"expected Keras and ONNX Runtime to agree to {TOLERANCE} on {name}, received a difference of "
                    f"{difference:.2g} for a batch of {len(batch)}"
                )
        if contract.attention:
            _check_weights(served["attention"], batch.shape[1], length)
        if contract.takes_lengths:
            _check_padding(session, feeds, served, can_grow=contract.time is None)
    return Parity(prediction=worst["prediction"], attention=worst.get("attention"))


def _own_code(saved: Any) -> Iterator[str]:
    """What in a saved configuration needs code beyond that of Keras and of this package, as people would name it."""
    if isinstance(saved, dict) and "module" in saved:
        kind, config = saved["class_name"], saved["config"]
        is_known = str(saved["module"]).partition(".")[0] == "keras"
        if kind == "Lambda":
            yield f"Lambda {config['name']!r}"
            return
        if not is_known and keras.saving.get_registered_object(saved["registered_name"]) is None:
            yield f"function {config}" if kind == "function" else f"class {kind}"
            return
    if isinstance(saved, dict | list):
        for each in saved.values() if isinstance(saved, dict) else saved:
            yield from _own_code(each)


def _check_inputs(model: keras.Model) -> tuple[int | None, int, bool]:
    """Size of the time axis (None: free), of the feature axis, and whether there is an input `lengths`."""
    inputs = dict(zip(_input_names(model), model.inputs, strict=True))
    lengths = inputs.pop("lengths", None)
    shapes = {name: tuple(tensor.shape) for name, tensor in inputs.items()}
    shape = next(iter(shapes.values()), ())
    if len(shapes) != 1 or len(shape) != 3 or shape[2] is None:
        raise ExportError(
            "expected one input of shape (batch, time, feature), its features a fixed number, and optionally one named "
            f"lengths; received {shapes}"
        )
    if lengths is not None and (len(lengths.shape) != 1 or lengths.dtype != "int32"):
        raise ExportError(
            f"expected lengths as int32 of shape (batch,), received {lengths.dtype} of shape {tuple(lengths.shape)}"
        )
    return shape[1], shape[2], lengths is not None


def _input_names(model: keras.Model) -> list[str]:
    """In the order of `model.inputs`: keys where the inputs are a dict, else the tensors' names."""
    return sorted(model.input) if isinstance(model.input, dict) else [tensor.name for tensor in model.inputs]


def output_names(model: keras.Model) -> list[str]:
    """In the order of `model.outputs`: keys where the outputs are a dict, else the names of their layers."""
    return sorted(model.output) if isinstance(model.output, dict) else list(model.output_names)


def _name_graph(
    proto: onnx.ModelProto, output_names: list[str], axes: dict[str, list[str]], captured: dict[str, np.ndarray]
) -> None:
    """Replaces tf2onnx's names (`Identity:0`, `unk__12`) by those of the contract.

    Args:
        captured: tensors that a layer holds outside its variables, as keras.layers.Normalization does its mean. tf2onnx
            takes them for inputs; they become constants of the graph.
    """
    graph = proto.graph
    names = {output.name: name for output, name in zip(graph.output, output_names, strict=True)}
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    for output in graph.output:
        output.name = names[output.name]
    inputs = [value for value in graph.input if value.name not in captured]
    graph.initializer.extend(
        onnx.numpy_helper.from_array(captured[value.name], value.name)
        for value in graph.input
        if value.name in captured and any(value.name in node.input for node in graph.node)
    )
    del graph.input[:]
    graph.input.extend(inputs)
    for value in (*graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        for dim, axis in zip(dims, axes[value.name], strict=False):
            if not dim.dim_value:
                dim.dim_param = axis


def _batches(sequences: np.ndarray, lengths: np.ndarray, contract: Contract) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of several sizes and, where the time axis is free, cut to their longest sequence."""
    start = 0
    for size in CASES:
        rows = np.arange(start, start + size) % len(sequences)
        start += size
        longest = contract.time or int(lengths[rows].max())
        yield sequences[rows, :longest].astype(np.float32), lengths[rows].astype(np.int32)


def _check_weights(attention: np.ndarray, time: int, lengths: np.ndarray) -> None:
    """`attention`: `(batch, time)` or `(batch, time, feature)`."""
    if attention.shape[1] != time:
        raise ExportError(
            f"expected attention of shape (batch, time) with a weight for each of {time} steps, received "
            f"{attention.shape[1]} weights"
        )
    padding = np.arange(attention.shape[1]) >= lengths[:, None]
    if attention[padding].any():
        share = float(attention[padding].sum() / attention.sum())
        raise ExportError(f"expected no attention on padded steps, received {share:.1%} of it there")
    if (attention < 0).any():
        raise ExportError(f"expected no negative weights, received {float(attention.min()):.3g}")
    sums = attention.sum(axis=1)
    if not np.allclose(sums, 1, atol=1e-4):
        worst = float(sums.ravel()[np.abs(sums - 1).argmax()])
        raise ExportError(f"expected weights that sum to 1 over time, received a sum of {worst:.4g}")


def _check_padding(
    session: ort.InferenceSession, feeds: dict[str, np.ndarray], outputs: dict[str, np.ndarray], can_grow: bool
) -> None:
    """Runs again with other values in the padding and, where the time axis is free, with more padding."""
    time = feeds["sequences"].shape[1]
    real = np.arange(time) < feeds["lengths"][:, None]
    variants = {"what stands in the padding": np.where(real[:, :, None], feeds["sequences"], np.float32(3.7))}
    if can_grow:
        variants["the amount of padding"] = np.pad(feeds["sequences"], ((0, 0), (0, 5), (0, 0)))
    for what, sequences in variants.items():
        changed = dict(zip(outputs, session.run(list(outputs), {**feeds, "sequences": sequences}), strict=True))
        if "attention" in changed:
            changed["attention"] = changed["attention"][:, :time]
        for name, values in outputs.items():
            difference = float(np.abs(changed[name] - values).max())
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"expected outputs that do not depend on padded steps, received a change of {difference:.2g} in "
                    f"{name} when only {what} changed"
                )

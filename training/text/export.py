"""The encoder-decoder as one ONNX graph that keeps the contract of text; what the service could not stand behind is
refused, as in `training/export.py`.
"""

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import tensorflow as tf

from service.manifest import END, Parity
from training.export import CASES, LOOPS, TOLERANCE, ExportError, convert
from training.text.decoding import SIGNATURE, Decoder

OUTPUTS = ["prediction", "attention", "probability"]
AXES = {
    "sequences": ["batch", "in_time"],
    "lengths": ["batch"],
    "beam": [],
    "prediction": ["batch", "out_time"],
    "attention": ["batch", "out_time", "in_time"],
    "probability": ["batch"],
}
BEAMS = [1, 4]  # widths of the search the two runtimes are compared on


def to_onnx(decoder: Decoder) -> onnx.ModelProto:
    """Converts the whole of it: encoder, search and attention.

    Raises:
        ExportError: something else than the search became a loop.
    """
    for layer in decoder.model._flatten_layers():
        if hasattr(layer, "use_cudnn"):
            layer.use_cudnn = False  # tf2onnx has no converter for the cuDNN operator

    @tf.function(input_signature=SIGNATURE, autograph=False)
    def outputs(*inputs: Any) -> list[Any]:
        found = decoder(*inputs)
        return [tf.identity(found[name], name=name) for name in OUTPUTS]

    proto = convert(outputs, SIGNATURE, OUTPUTS, AXES)
    loops = sorted(node.op_type for node in proto.graph.node if node.op_type in LOOPS)
    if loops != ["Loop"]:
        raise ExportError(f"expected one Loop, the decoder's search, received {', '.join(loops) or 'none'}")
    return proto


def check_parity(decoder: Decoder, graph: bytes, ids: np.ndarray, lengths: np.ndarray) -> Parity:
    """Compares TensorFlow with ONNX Runtime on several batch sizes and widths of the search.

    Args:
        graph: the serialized ONNX model.
        ids: real or realistic `(text, in_time)` int32, padded.
        lengths: `(text,)` int32.

    Returns:
        The largest differences, of probabilities and of attention.

    Raises:
        ExportError: the texts differ, or anything else by more than 1e-5; weights do not sum to 1 or fall on padding;
            padding changes an answer.
    """
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    worst = {"probability": 0.0, "attention": 0.0}
    start = 0
    for size in CASES:
        rows = np.arange(start, start + size) % len(ids)
        start += size
        feeds = {"sequences": ids[rows, : lengths[rows].max()], "lengths": lengths[rows]}
        for beam in BEAMS:
            served = _run(session, feeds, beam)
            trained = {name: np.asarray(value) for name, value in decoder(**feeds, beam=tf.constant(beam)).items()}
            for name, difference in _compare(trained, served, f"Keras and ONNX Runtime, for a batch of {size}").items():
                worst[name] = max(worst[name], difference)
            _check_weights(served, feeds["lengths"])
            longer = {**feeds, "sequences": np.pad(feeds["sequences"], ((0, 0), (0, 5)))}
            padded = _run(session, longer, beam)
            padded["attention"] = padded["attention"][:, :, : feeds["sequences"].shape[1]]
            _compare(served, padded, "a text and the same with more padding")
    return Parity(prediction=worst["probability"], attention=worst["attention"])


def _run(session: ort.InferenceSession, feeds: dict[str, np.ndarray], beam: int) -> dict[str, np.ndarray]:
    return dict(zip(OUTPUTS, session.run(OUTPUTS, {**feeds, "beam": np.array(beam, np.int32)}), strict=True))


def _compare(one: dict[str, np.ndarray], other: dict[str, np.ndarray], what: str) -> dict[str, float]:
    """Largest differences, by output."""
    if not np.array_equal(one["prediction"], other["prediction"]):
        raise ExportError(f"expected the same texts of {what}, received others")
    differences = {name: float(np.abs(one[name] - other[name]).max()) for name in ("probability", "attention")}
    for name, difference in differences.items():
        if not difference <= TOLERANCE:
            raise ExportError(
                f"expected {name} to agree to {TOLERANCE} between {what}, received a difference of {difference:.2g}"
            )
    return differences


def _check_weights(served: dict[str, np.ndarray], lengths: np.ndarray) -> None:
    written = served["attention"][served["prediction"] != END]  # (character, in_time)
    rows = np.nonzero(served["prediction"] != END)[0]
    if (written < 0).any() or not np.allclose(written.sum(axis=1), 1, atol=1e-4):
        raise ExportError("expected weights of at least 0 that sum to 1 for every character, received others")
    if written[np.arange(written.shape[1]) >= lengths[rows, None]].any():
        raise ExportError("expected no attention on padded steps, received some there")

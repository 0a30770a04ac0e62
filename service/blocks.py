"""Sequences that come as one padded array, held to what their model takes; and answers as such arrays.

Whoever sends arrays (`open_inference/`, `npy/`) has checked that as many bytes came as the shape says.
"""

import math
from functools import lru_cache

import numpy as np

from service.arrays import FloatArray, IntArray
from service.errors import Invalid
from service.explanations.record import Explanation
from service.manifest import Manifest
from service.models.loading import Model
from service.ragged import Ragged

PADDED = 8_000_000  # weights of an answer, padding and all: made at once, while other requests wait


def read_block(
    block: np.ndarray, lengths: np.ndarray | None, manifest: Manifest, max_sequences: int, max_steps: int
) -> Ragged:
    """The sequences of an array, without their padding.

    Args:
        block: numbers `(batch, time, feature)`; `(batch, time)` where the model has one feature.
        lengths: integers `(batch,)`, the steps of each; None where all are full.
        manifest: of the model they are for.
        max_sequences: sequences the server takes in one request.
        max_steps: steps the server takes in one sequence.

    Raises:
        Invalid: the shape is not one of the model's, a length is not within the array and the model's bounds, or a
            value is not finite as float32.
    """
    features = len(manifest.features)
    if block.ndim == 2 and features == 1:
        block = block[:, :, None]
    if block.ndim != 3 or block.shape[2] != features or 0 in block.shape:
        expected = f"an array (batch, {manifest.sequences_shape})" + " or (batch, time)" * (features == 1)
        raise Invalid.at("/sequences", expected, f"one of shape {block.shape}")
    batch, time, _ = block.shape
    if batch > max_sequences:
        raise Invalid.at("/sequences", f"at most {max_sequences} sequences", f"{batch}")
    steps = _all_full(batch, time) if lengths is None else _check_lengths(lengths, batch, time)
    full = lengths is None or bool((steps == time).all())
    low, high = manifest.lengths.min, min(manifest.lengths.max or max_steps, max_steps)
    if not (low <= time <= high if full else low <= int(steps.min()) <= int(steps.max()) <= high):
        first = int(((steps < low) | (steps > high)).argmax())
        expected = f"{low}" if low == high else f"{low} to {high}"
        raise Invalid.at(f"/sequences/{first}", f"{expected} time steps", f"{steps[first]}")
    values = block.reshape(-1, features) if full else block[np.arange(time) < steps[:, None]]
    if values.dtype != np.float32:
        with np.errstate(over="ignore"):  # found below, with its place
            values = values.astype(np.float32, order="C")
    elif not values.flags.carray:  # in another order, or from an odd place in a body
        values = values.copy(order="C")
    items = Ragged(values, steps, time=time if full else None)
    _check_finite(items, manifest)
    return items


def check_answer(model: Model, items: Ragged) -> None:
    """Refuses sequences, sent without padding, whose weights as one array are more than are made at once: a long one
    among many short ones, which are all padded to its steps.

    Raises:
        Invalid: there are too many; says how many there may be.
    """
    attention = model.manifest.attention
    if attention is None:
        return
    each = items.longest
    if model.codec is not None:
        each *= model.codec.longest
    elif attention.axes[-1] == "feature":
        each *= len(model.manifest.features)
    if len(items) * each > PADDED:
        expected = f"at most {PADDED // each} sequences in one array, where all are padded to {items.longest} steps"
        raise Invalid.at("/sequences", expected, str(len(items)))


def pad(items: Ragged, time: int) -> np.ndarray:
    """Items as one array, 0 where they have no value: `(item, time, ...)`, or of matrices `(item, rows, time)`.

    Args:
        time: steps of the longest item, or more.
    """
    if items.widths is not None:
        return items.padded_matrices(time)
    block = items.block
    return block if block is not None and block.shape[1] == time else items.padded(np.arange(len(items)), time)


def outputs(explanation: Explanation, time: int) -> dict[str, np.ndarray | list[str]]:
    """An answer by the names of the model contract.

    Args:
        time: steps that the sequences of the request were padded to.

    Returns:
        `prediction` `(batch, output)`, of text a list; `probability` `(batch,)`, of text; and `attention`, `(batch,
        time)`, `(batch, time, feature)` or, of text, `(batch, out_time, time)`, 0 on padding.
    """
    found: dict[str, np.ndarray | list[str]] = {}
    if explanation.answers is None:
        found["prediction"] = explanation.predictions
    else:
        found["prediction"], found["probability"] = explanation.answers, explanation.predictions[:, 0]
    if explanation.attention is not None:
        found["attention"] = pad(explanation.attention, time)
    return found


@lru_cache
def _all_full(batch: int, time: int) -> IntArray:
    steps = np.full(batch, time, np.int32)
    steps.flags.writeable = False  # it is everybody's
    return steps


def _check_lengths(lengths: np.ndarray, batch: int, time: int) -> IntArray:
    """Holds them to be `(batch,)`, each of 1 to `time` steps."""
    if lengths.shape != (batch,) or lengths.dtype.kind not in "iu":
        received = f"an array of {lengths.dtype} of shape {lengths.shape}"
        raise Invalid.at("/lengths", f"an array of integers of shape ({batch},), as many as sequences", received)
    wrong = (lengths < 1) | (lengths > time)
    if wrong.any():
        first = int(wrong.argmax())
        raise Invalid.at(f"/lengths/{first}", f"1 to {time}, the steps of the array", f"{lengths[first]}")
    return lengths.astype(np.int32)


def _check_finite(items: Ragged, manifest: Manifest) -> None:
    """ONNX Runtime's CPU LSTM turns a NaN into a finite, wrong answer."""
    values: FloatArray = items.values
    # A sum of squares is finite only if all are, and quick; one that overflows is no proof of the contrary.
    if math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all()):
        return
    row, feature = np.argwhere(~np.isfinite(values))[0].tolist()
    sequence = int(np.searchsorted(items.starts, row, "right")) - 1
    step = row - int(items.starts[sequence])
    place = f"/sequences/{sequence}/{step}/{feature}"
    expected = f"a finite float32 (sequence {sequence}, step {step}, feature {manifest.features[feature]})"
    raise Invalid.at(place, expected, f"{values[row, feature]}")

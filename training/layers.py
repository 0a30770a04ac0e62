"""The Keras layers an attention-LSTM is made of.

Sequences of different lengths are padded on the right, and every layer is told which steps are real by an explicit
`valid` argument, `(batch, time)` booleans. Keras' own mask mechanism is avoided on purpose: a mask turns the exported
LSTM into an ONNX `Loop`, ten times slower than the fused `LSTM` operator.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from training.normalizers import NORMALIZERS
from training.scores import SCORES, register


@register
class ValidSteps(keras.layers.Layer):
    """Marks the real steps of padded sequences.

    Call arguments:
        sequences: `(batch, time, feature)`, only its time axis is used.
        lengths: `(batch,)` integers, the number of real steps of each sequence.

    Output: `(batch, time)` booleans, True on real steps.
    """

    def call(self, sequences: Any, lengths: Any) -> Any:
        steps = ops.arange(ops.shape(sequences)[1], dtype="int32")
        return steps[None, :] < ops.cast(lengths, "int32")[:, None]


@register
class ZeroPadding(keras.layers.Layer):
    """Sets padded steps to 0, whatever they held.

    Call arguments: `sequences (batch, time, feature)`, `valid (batch, time)`.

    Output: `(batch, time, feature)`.
    """

    def call(self, sequences: Any, valid: Any) -> Any:
        return ops.where(valid[:, :, None], sequences, 0.0)


@register
class ScaledSequence(keras.layers.Layer):
    """Standardizes every sequence by itself: each feature has mean 0 and variance 1 over the real steps.

    For sequences whose shape tells, not their level: spectra behind samples of different thickness, sensors with a gain
    of their own. A feature that is the same at all steps of a sequence becomes 0, and so does a single step.

    Call arguments: `sequences (batch, time, feature)`, `valid (batch, time)` or None when every step is real.

    Output: `(batch, time, feature)`, 0 on padding.
    """

    def call(self, sequences: Any, valid: Any = None) -> Any:
        real = 1.0 if valid is None else ops.cast(valid, sequences.dtype)[:, :, None]
        steps = ops.shape(sequences)[1] if valid is None else ops.sum(real, axis=1, keepdims=True)
        x = sequences if valid is None else ops.where(valid[:, :, None], sequences, 0.0)
        x = x / ops.maximum(ops.max(ops.abs(x), axis=1, keepdims=True), 1e-30)  # squares of huge values would overflow
        x = x - x[:, :1]  # exactly 0 where all are the same; a mean of them is only nearly their value
        x = (x - ops.sum(x * real, axis=1, keepdims=True) / steps) * real
        deviation = ops.sqrt(ops.sum(x * x, axis=1, keepdims=True) / steps)
        return x / ops.where(deviation > 0, deviation, 1.0)


@register
class LastState(keras.layers.Layer):
    """The state at each sequence's last real step.

    A forward LSTM cannot be reached from padding on its right, so running it unmasked and gathering here gives the
    state that a masked LSTM would have ended with.

    Call arguments: `states (batch, time, unit)`, `lengths (batch,)`.

    Output: `(batch, unit)`.
    """

    def call(self, states: Any, lengths: Any) -> Any:
        return tf.gather(states, ops.cast(lengths, "int32") - 1, axis=1, batch_dims=1)


@register
class Reverse(keras.layers.Layer):
    """Turns the real steps around and leaves padding where it is, for the backward half of a bidirectional LSTM.

    Call arguments: `sequences (batch, time, feature)`, `lengths (batch,)` or None when every step is real.

    Output: `(batch, time, feature)`.
    """

    def call(self, sequences: Any, lengths: Any = None) -> Any:
        if lengths is None:
            return ops.flip(sequences, axis=1)
        # Not tf.reverse_sequence: tf2onnx takes it, with the LSTM behind it, for one that reads backwards from the last
        # step, padded or not.
        steps = ops.arange(ops.shape(sequences)[1], dtype="int32")[None, :]
        lengths = ops.cast(lengths, "int32")[:, None]
        return tf.gather(sequences, ops.where(steps < lengths, lengths - 1 - steps, steps), axis=1, batch_dims=1)


@register
class AttentionBlock(keras.layers.Layer):
    """Scores every step, normalizes the scores to weights, and multiplies the inputs by them.

    The default is the permute-dense block, `attention_3d_block`: Permute → Dense(time, softmax) with bias, over the
    time axis → mean over features when one vector is shared → product with the input; time · time + time parameters,
    420 at 20 steps. Source: P. Rémy, keras-attention-mechanism (2017), with SINGLE_ATTENTION_VECTOR on or off.

    The query, for the scores that have one: what the caller gives (for a classifier with attention after the LSTM, the
    LSTM's final state), or else a vector that the block learns (before the LSTM, where there is no state yet).

    Args:
        per_feature: one weight vector for each feature, instead of one shared by all of them.
        score: name of how steps are scored, see `scores.py`.
        normalizer: name of how scores become weights, see `normalizers.py`.

    Call arguments:
        inputs: `(batch, time, feature)`.
        valid: `(batch, time)` booleans, or None when every step is real. Padded steps get weight 0.
        query: `(batch, feature)`, or None.

    Output: a pair, the weighted inputs `(batch, time, feature)` and the weights, `(batch, time)` when shared and
    `(batch, time, feature)` when per feature. The weights sum to 1 over time.

    Raises:
        ValueError: there is no such score or normalizer; the score does not go with the other settings.
    """

    def __init__(
        self, per_feature: bool = False, score: str = "dense", normalizer: str = "softmax", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for what, name, known in (("score", score, SCORES), ("normalizer", normalizer, NORMALIZERS)):
            if name not in known:
                raise ValueError(f"expected a {what} out of {', '.join(known)}, received {name!r}")
        self.per_feature, self.score_name, self.normalizer = per_feature, score, normalizer
        self.score = SCORES[score](per_feature, name="score")

    def build(self, inputs_shape: tuple[int | None, ...], query_shape: Any = None) -> None:
        if self.score.needs_query and query_shape is None:
            query_shape = (inputs_shape[0], inputs_shape[2])
            self.query = self.add_weight(name="query", shape=(inputs_shape[2],), initializer="random_normal")
        self.score.build(inputs_shape, query_shape)

    def call(self, inputs: Any, valid: Any = None, query: Any = None) -> tuple[Any, Any]:
        if valid is not None:
            valid = valid[:, :, None]
            inputs = ops.where(valid, inputs, 0.0)  # the dense score mixes steps: padding must not get in
        if self.score.needs_query and query is None:
            query = self.query[None, :]
        scores = self.score(inputs, query) if self.score.needs_query else self.score(inputs)
        weights = NORMALIZERS[self.normalizer](scores, valid)  # (batch, time, feature), or (batch, time, 1)
        if self.per_feature:
            return inputs * weights, weights
        weights = ops.mean(weights, axis=2, keepdims=True)
        return inputs * weights, ops.squeeze(weights, axis=2)

    def get_config(self) -> dict[str, Any]:
        chosen = {"per_feature": self.per_feature, "score": self.score_name, "normalizer": self.normalizer}
        return {**super().get_config(), **chosen}

"""The models: attention before the LSTM, after it, or none, on one skeleton.

    sequences ─ standardize ─┬─ block ─ LSTM, final state ───────────────── head ─ prediction    before
                             ├─ LSTM, every state ─ block ─ flatten or sum ─ head ─ prediction    after
                             └─ LSTM, final state ───────────────────────── head ─ prediction    none

Before the LSTM, the weighted inputs are multiplied by `time`: a block that weighs all steps alike changes nothing, and
the LSTM learns from the start. After it, the weighted states are flattened for the dense score, as in the original
block, and summed over time for the others; the query of a score that has one is the final state.

Which models take which lengths: without `variable_length`, only the one they were built for. With it, any length; but
the dense and the local score have weights for each step, so with them a model takes up to the `time` it was built for.
"""

from collections.abc import Iterator
from typing import Any, Literal, Self

import keras
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.manifest import Task
from training.data.datasets import blocks
from training.layers import AttentionBlock, LastState, Reverse, ScaledSequence, ValidSteps, ZeroPadding
from training.scores import COSINE_IS_SHARED, SCORES

Position = Literal["before", "after", "none"]
ScoreName = Literal["dense", "local", "dot", "cosine", "additive", "general"]
NormalizerName = Literal["softmax", "sum", "sparsemax"]
ScalingName = Literal["training", "sequence"]


class ModelConfig(BaseModel):
    """Everything that decides a model's architecture; kept in the run folder and in model.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: Position = Field(description="where the attention block stands relative to the LSTM")
    score: ScoreName = Field(default="dense", description="how steps are scored, see scores.py")
    normalizer: NormalizerName = Field(default="softmax", description="how scores become weights, see normalizers.py")
    per_feature: bool = Field(default=False, description="one attention vector per feature instead of a shared one")
    scaling: ScalingName = Field(
        default="training", description="standardize by the training split, or every sequence by itself"
    )
    units: int = Field(default=32, gt=0, description="size of the LSTM's state, in each direction")
    layers: int = Field(default=1, gt=0, description="LSTMs on top of each other")
    bidirectional: bool = Field(default=False, description="also read every sequence from its end")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the head's inputs dropped in training")
    input_noise: float = Field(default=0.0, ge=0, description="noise on the standardized inputs, standard deviation")
    block_noise: float = Field(
        default=0.0, ge=0, description="noise on what a block before the LSTM passes on, 1 / time its unit"
    )
    variable_length: bool = Field(default=False, description="sequences differ in length: add a `lengths` input")

    @model_validator(mode="after")
    def _check(self) -> Self:
        fields = type(self).model_fields
        chosen = [n for n in ("score", "normalizer", "per_feature") if getattr(self, n) != fields[n].default]
        if self.position == "none" and chosen:
            raise ValueError(f"expected an attention block for {' and '.join(chosen)}, received position none")
        if self.score == "cosine" and self.per_feature:
            raise ValueError(COSINE_IS_SHARED)
        if self.position != "before" and self.block_noise:
            raise ValueError(f"expected a block before the LSTM for block_noise, received position {self.position}")
        return self


class Scaling(BaseModel):
    """Mean and variance of each feature over the real steps of the training split, and of the target
    (regression, forecast).
    """

    model_config = ConfigDict(frozen=True)

    mean: list[float]
    variance: list[float]
    target_mean: float = 0.0
    target_variance: float = 1.0

    @classmethod
    def learn(cls, sequences: np.ndarray, lengths: np.ndarray, targets: np.ndarray, task: Task) -> Self:
        """Learns the scaling from the training split.

        Args:
            sequences: `(sample, time, feature)`.
            lengths: `(sample,)`.
            targets: `(sample,)`, of a forecast `(sample, horizon)`.
        """
        steps = int(lengths.sum())
        mean = sum(real.sum(axis=0) for real in _real_steps(sequences, lengths)) / steps
        variance = sum(((real - mean) ** 2).sum(axis=0) for real in _real_steps(sequences, lengths)) / steps
        variance[variance == 0] = 1.0  # a constant feature stays 0 instead of dividing by 0
        target = targets.astype(np.float64) if task in ("regression", "forecast") else np.array([-1.0, 1.0])
        return cls(
            mean=mean.tolist(),
            variance=variance.tolist(),
            target_mean=float(target.mean()),
            target_variance=float(target.var()) or 1.0,
        )


def _real_steps(sequences: np.ndarray, lengths: np.ndarray) -> Iterator[Any]:
    """The steps that are not padding, float64 `(step, feature)`, block by block."""
    start = 0
    for block in blocks(sequences):
        real = np.arange(block.shape[1]) < lengths[start : start + len(block), None]
        yield block[real].astype(np.float64)
        start += len(block)


def build(config: ModelConfig, *, task: Task, outputs: int, time: int, scaling: Scaling) -> keras.Model:
    """Builds an uncompiled model with named inputs and outputs.

    Args:
        config: the architecture.
        task: what the head predicts.
        outputs: numbers of a prediction: classes (multiclass), horizon (forecast), else 1.
        time: number of steps, the longest a variable-length model with a block will take.
        scaling: put into the graph, so that callers send raw values.

    Returns:
        A functional model. Inputs: `sequences (batch, time, feature)` float32 and, for variable lengths, `lengths
        (batch,)` int32. Outputs: `prediction (batch, output)` and, with attention, `attention (batch, time)`, or
        `(batch, time, feature)` for one vector per feature before the LSTM.
    """
    fixed_time = config.position != "none" and SCORES[config.score].fixed_time
    needs_time = fixed_time or not config.variable_length
    sequences = keras.Input((time if needs_time else None, len(scaling.mean)), name="sequences")
    inputs = {"sequences": sequences}
    valid = lengths = None
    if config.variable_length:
        inputs["lengths"] = lengths = keras.Input((), dtype="int32", name="lengths")
        valid = ValidSteps(name="valid")(sequences, lengths)
    x = _standardize(sequences, valid, config, scaling)

    attention = None
    block = AttentionBlock(config.per_feature, config.score, config.normalizer, name="attention")
    if config.position == "before":
        x, attention = block(x, valid)
        if config.block_noise:
            x = keras.layers.GaussianNoise(config.block_noise / time)(x)
        x = keras.layers.Rescaling(time, name="rescale")(x)  # of a block whose weights are 1 / time: its inputs again
    states, final = _lstms(x, lengths, config)
    x = final
    if config.position == "after":
        weighted, attention = block(states, valid, final if SCORES[config.score].needs_query else None)
        if config.per_feature:
            attention = keras.ops.mean(attention, axis=2)  # one vector per LSTM unit: units mean nothing to a caller
        flat = config.score == "dense"
        x = keras.layers.Flatten(name="flatten")(weighted) if flat else keras.ops.sum(weighted, axis=1)
    if config.dropout:
        x = keras.layers.Dropout(config.dropout)(x)

    named = {"prediction": _head(x, task, outputs, scaling)}
    if attention is not None:
        named["attention"] = attention
    return keras.Model(inputs=inputs, outputs=named)


def _standardize(sequences: Any, valid: Any, config: ModelConfig, scaling: Scaling) -> Any:
    """Scaled sequences, in training with noise, and with 0 for padding."""
    if config.scaling == "sequence":
        x = ScaledSequence(name="standardize")(sequences, valid)
    else:
        x = keras.layers.Normalization(mean=scaling.mean, variance=scaling.variance, name="standardize")(sequences)
    if config.input_noise:
        x = keras.layers.GaussianNoise(config.input_noise)(x)
    return x if valid is None else ZeroPadding(name="zero_padding")(x, valid)


def _lstms(x: Any, lengths: Any, config: ModelConfig) -> tuple[Any, Any]:
    """Every state of the last layer, `(batch, time, unit)`, and its final one, `(batch, unit)`.

    The backward half reads the real steps from the last to the first. Keras' own Bidirectional would need a mask to do
    so, and a mask turns the exported LSTM into a loop.
    """
    final = None
    for layer in range(config.layers):
        forward = keras.layers.LSTM(config.units, return_sequences=True, name=f"lstm_{layer}")(x)
        final = _last(forward, lengths)
        if config.bidirectional:
            backward = keras.layers.LSTM(config.units, return_sequences=True, name=f"backward_{layer}")(
                Reverse()(x, lengths)
            )
            final = keras.layers.Concatenate()([final, _last(backward, lengths)])
            forward = keras.layers.Concatenate()([forward, Reverse()(backward, lengths)])
        x = forward
    return x, final


def _last(states: Any, lengths: Any) -> Any:
    return states[:, -1] if lengths is None else LastState()(states, lengths)


def _head(x: Any, task: Task, outputs: int, scaling: Scaling) -> Any:
    """The layer that turns a vector into a prediction: probabilities, or values in the target's own unit."""
    if task == "binary":
        return keras.layers.Dense(1, activation="sigmoid", name="prediction")(x)
    if task == "multiclass":
        return keras.layers.Dense(outputs, activation="softmax", name="prediction")(x)
    x = keras.layers.Dense(outputs, name="standardized_prediction")(x)
    return keras.layers.Rescaling(scaling.target_variance**0.5, offset=scaling.target_mean, name="prediction")(x)

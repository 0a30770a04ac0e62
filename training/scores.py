"""How much each step matters, before it is made a weight: the scores an `AttentionBlock` chooses from by name.

A score looks at the keys k[t] (the steps: inputs before the LSTM, states after it) and, but for two, at a query q:
what the keys are compared with. Each gives one score a step, shared by all features, or one for each feature of a step.

Call arguments:
    keys: `(batch, time, feature)`; of a decoder, `(batch, 1, time, feature)`.
    query: `(batch, feature)`; `dense` and `local` have none; of a decoder, `(batch, out_time, feature)`.

Output: `(batch, time, 1)` when shared, `(batch, time, feature)` when per feature; of a decoder, `(batch, out_time,
time, 1)`. (`dense` always scores each feature; the block averages the weights, not the scores, as the permute-dense
block does.)
"""

from typing import Any, ClassVar

import keras
from keras import ops

register = keras.saving.register_keras_serializable(package="attention_lstm")
COSINE_IS_SHARED = (
    "expected one vector shared by all features for the cosine score, because the cosine of two numbers is only their "
    "sign; received per_feature"
)


class Score(keras.layers.Layer):
    """Base of the scores: what every one is told, and what it can do.

    Args:
        per_feature: a score for each feature of a step, instead of one for the step.
    """

    needs_query: ClassVar[bool] = True
    fixed_time: ClassVar[bool] = False

    def __init__(self, per_feature: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.per_feature = per_feature

    def build(self, keys_shape: tuple[int | None, ...], query_shape: Any = None) -> None:
        """Makes the weights; a score without any leaves it at that."""

    def product(self, keys: Any, query: Any) -> Any:
        """Q · k[t], `(..., time, 1)`; per feature, each product by itself, `(..., time, feature)`."""
        return keys * query[..., None, :] if self.per_feature else ops.matmul(keys, query[..., None])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "per_feature": self.per_feature}


@register
class DenseScore(Score):
    """Permute-dense: e[t, f] = sum over u of k[u, f] · W[u, t] + b[t].

    It knows where in the sequence a step stands, and so takes a fixed number of steps, as only `local` does besides.
    Source: P. Rémy, keras-attention-mechanism (2017).
    """

    needs_query = False
    fixed_time = True

    def build(self, keys_shape: tuple[int | None, ...], query_shape: Any = None) -> None:
        batch, time, features = keys_shape
        if time is None:
            raise ValueError(
                "expected a fixed number of time steps, because the dense score learns a (time, time) kernel; "
                f"received inputs of shape {tuple(keys_shape)}"
            )
        self.dense = keras.layers.Dense(time, name="dense")
        self.dense.build((batch, features, time))

    def call(self, keys: Any, query: Any = None) -> Any:
        return ops.transpose(self.dense(ops.transpose(keys, (0, 2, 1))), (0, 2, 1))  # dense over the time axis


@register
class LocalScore(Score):
    """Each step by itself, with weights of its own: e[t] = w[t] · k[t] + b[t].

    Like `dense` it knows where in the sequence a step stands and takes a fixed number of steps. Unlike there, a step
    enters no score but its own: with `sparsemax` before the LSTM, a step of weight 0 really has no say in the answer.
    It starts with w and b of 0, all steps alike.
    """

    needs_query = False
    fixed_time = True

    def build(self, keys_shape: tuple[int | None, ...], query_shape: Any = None) -> None:
        _, time, features = keys_shape
        if time is None:
            raise ValueError(
                "expected a fixed number of time steps, because the local score learns weights for each; "
                f"received inputs of shape {tuple(keys_shape)}"
            )
        self.kernel = self.add_weight(name="kernel", shape=(time, features), initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=(time, features if self.per_feature else 1), initializer="zeros")

    def call(self, keys: Any, query: Any = None) -> Any:
        products = keys * self.kernel
        return self.bias + (products if self.per_feature else ops.sum(products, axis=2, keepdims=True))


@register
class DotScore(Score):
    """Inner product: e[t] = q · k[t]. Source: Luong et al. 2015, `dot`."""

    def call(self, keys: Any, query: Any) -> Any:
        return self.product(keys, query)


@register
class CosineScore(Score):
    """Cosine: e[t] = g · (q · k[t]) / (|q| |k[t]|), with a learned scale g that starts at 5.

    A cosine lies in [-1, 1]; without the scale, a softmax over it could not get far from uniform.

    Raises:
        ValueError: per feature; the cosine of two numbers is only their sign.
    """

    def __init__(self, per_feature: bool = False, **kwargs: Any) -> None:
        if per_feature:
            raise ValueError(COSINE_IS_SHARED)
        super().__init__(per_feature, **kwargs)

    def build(self, keys_shape: Any, query_shape: Any = None) -> None:
        self.scale = self.add_weight(name="scale", shape=(), initializer=keras.initializers.Constant(5.0))

    def call(self, keys: Any, query: Any) -> Any:
        return self.scale * self.product(_unit(keys), _unit(query))


@register
class AdditiveScore(Score):
    """A small network: e[t] = v · tanh(W q + U k[t] + b), its hidden layer as wide as the keys.

    Per feature, v is a matrix with a column for each. Source: Bahdanau et al. 2015.
    """

    def build(self, keys_shape: Any, query_shape: Any = None) -> None:
        features = keys_shape[-1]
        self.of_query = keras.layers.Dense(features, name="query")
        self.of_keys = keras.layers.Dense(features, use_bias=False, name="keys")
        self.out = keras.layers.Dense(features if self.per_feature else 1, use_bias=False, name="out")
        self.of_query.build(query_shape)
        self.of_keys.build(keys_shape)
        self.out.build(keys_shape)

    def call(self, keys: Any, query: Any) -> Any:
        return self.out(ops.tanh(self.of_query(query)[..., None, :] + self.of_keys(keys)))


@register
class GeneralScore(Score):
    """Bilinear: e[t] = q W · k[t]. Source: Luong et al. 2015, `general`."""

    def build(self, keys_shape: Any, query_shape: Any = None) -> None:
        self.dense = keras.layers.Dense(keys_shape[-1], use_bias=False, name="dense")
        self.dense.build(query_shape)

    def call(self, keys: Any, query: Any) -> Any:
        return self.product(keys, self.dense(query))


SCORES: dict[str, type[Score]] = {
    "dense": DenseScore,
    "local": LocalScore,
    "dot": DotScore,
    "cosine": CosineScore,
    "additive": AdditiveScore,
    "general": GeneralScore,
}


def _unit(vectors: Any) -> Any:
    """Vectors over the last axis, scaled to length 1; the zero vector stays 0."""
    largest = ops.max(ops.abs(vectors), axis=-1, keepdims=True)
    scaled = vectors / ops.maximum(largest, 1e-30)  # squares of huge values would overflow
    return scaled / ops.maximum(ops.sqrt(ops.sum(scaled * scaled, axis=-1, keepdims=True)), 1e-6)

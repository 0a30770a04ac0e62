"""The encoder-decoder: text in, text out, with attention over the input at every output step.

    sources ─ embed ─ LSTMs (encoder) ─────────────── keys ──────────┐
                              └ final state                          │
                                     └ first state of                │
    answer so far ─ embed ───────────── LSTM (decoder) ─ queries ─ attend ─ context
                                                             └───────── tanh(W [context; query]) ─ next character

The attention is global and stands behind the decoder's LSTM: its query is the decoder's state at the output step, its
keys are the encoder's states, and the weighted sum of these, the context, goes with the query into the attentional
state that the next character is chosen from. Source: Luong et al. 2015, sections 3 and 3.1. As no state depends on an
earlier context, training runs both LSTMs over all steps at once (teacher forcing), and so does whatever looks at an
answer that is already there.
"""

from typing import Any, Literal

import keras
from keras import ops
from pydantic import BaseModel, ConfigDict, Field

from service.manifest import UNKNOWN
from training.layers import LastState, Reverse, ValidSteps, ZeroPadding
from training.models import NormalizerName
from training.normalizers import NORMALIZERS
from training.scores import SCORES, register


class EncoderDecoderConfig(BaseModel):
    """Everything that decides the architecture; kept in the run folder and in model.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attention: bool = Field(default=True, description="without it, the plain encoder-decoder: only to compare with")
    score: Literal["dot", "cosine", "additive", "general"] = Field(
        default="general", description="how encoder states are compared with the decoder's, see scores.py"
    )
    normalizer: NormalizerName = Field(default="softmax", description="how scores become weights, see normalizers.py")
    units: int = Field(default=64, gt=0, description="size of the encoder's state, in each direction")
    embedding: int = Field(default=32, gt=0, description="size of a character's vector")
    layers: int = Field(default=1, gt=0, description="encoder LSTMs on top of each other")
    bidirectional: bool = Field(default=False, description="the encoder also reads from the end")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the attentional state dropped in training")
    unknown: float = Field(default=0.01, ge=0, lt=1, description="share of characters made <unk> in training")


@register
class Forget(keras.layers.Layer):
    """In training, makes characters unknown at random, so that the model learns to live with <unk>.

    Args:
        rate: share of characters.

    Call arguments: `sources (batch, in_time)` ids.
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = keras.random.SeedGenerator()

    def call(self, sources: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return sources
        lost = keras.random.uniform(ops.shape(sources), seed=self.seed) < self.rate
        return ops.where(lost, ops.full_like(sources, UNKNOWN), sources)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


@register
class Attend(keras.layers.Layer):
    """For every query: scores all keys, normalizes the scores to weights, and sums the keys by them.

    Args:
        score: name of how keys are scored, see `scores.py`; one that has a query.
        normalizer: name of how scores become weights, see `normalizers.py`.

    Call arguments:
        keys: `(batch, in_time, feature)`.
        valid: `(batch, in_time)` booleans. Padded steps get weight 0.
        queries: `(batch, out_time, feature)`, of the size of the keys.

    Output: a pair, the contexts `(batch, out_time, feature)` and the weights `(batch, out_time, in_time)`, each row of
    which sums to 1.
    """

    def __init__(self, score: str = "general", normalizer: str = "softmax", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.score_name, self.normalizer = score, normalizer
        self.score = SCORES[score](name="score")

    def build(self, keys_shape: Any, valid_shape: Any, queries_shape: Any) -> None:
        self.score.build(keys_shape, queries_shape)

    def call(self, keys: Any, valid: Any, queries: Any) -> tuple[Any, Any]:
        scores = self.score(keys[:, None], queries)  # (batch, out_time, in_time, 1)
        batch, out_time, in_time = (ops.shape(scores)[axis] for axis in range(3))
        every = ops.broadcast_to(valid[:, None], (batch, out_time, in_time))
        flat = (batch * out_time, in_time, 1)  # the normalizers take time on axis 1
        weights = NORMALIZERS[self.normalizer](ops.reshape(scores, flat), ops.reshape(every, flat))
        weights = ops.reshape(weights, (batch, out_time, in_time))
        return ops.matmul(weights, keys), weights

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "score": self.score_name, "normalizer": self.normalizer}


@register
class EncoderDecoder(keras.Model):
    """The model of the drawing above, for characters.

    Args:
        config: the fields of `EncoderDecoderConfig`.
        inputs: size of the input vocabulary.
        outputs: size of the output vocabulary.

    Call arguments, in a dictionary:
        sources: `(batch, in_time)` int32 ids, padded on the right.
        lengths: `(batch,)` int32, the characters of each.
        answers: `(batch, out_time)` int32 ids, START and then the answer so far.

    Output: logits of the next character at every step, `(batch, out_time, outputs)`.
    """

    def __init__(self, config: dict[str, Any], inputs: int, outputs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.sizes = EncoderDecoderConfig.model_validate(config), (inputs, outputs)
        chosen = self.config
        width = chosen.units * (1 + chosen.bidirectional)  # of the encoder's states, and so of the decoder's
        lstm = keras.layers.LSTM
        self.forget = Forget(chosen.unknown)
        self.embed_source = keras.layers.Embedding(inputs, chosen.embedding)
        self.valid_steps, self.zero_padding = ValidSteps(), ZeroPadding()
        self.reverse, self.last_state = Reverse(), LastState()
        self.forward = [lstm(chosen.units, return_sequences=True) for _ in range(chosen.layers)]
        self.backward = [lstm(chosen.units, return_sequences=True) for _ in range(chosen.layers * chosen.bidirectional)]
        self.first_state = [keras.layers.Dense(width, activation="tanh") for _ in range(2)]
        self.embed_answer = keras.layers.Embedding(outputs, chosen.embedding)
        self.decoder = lstm(width, return_sequences=True)
        self.attention = Attend(chosen.score, chosen.normalizer)
        self.combine = keras.layers.Dense(width, activation="tanh")
        self.dropout = keras.layers.Dropout(chosen.dropout)
        self.logits = keras.layers.Dense(outputs)

    def build(self, shapes: Any = None) -> None:
        """Makes all weights, by a run over two characters."""
        ids = ops.ones((1, 2), dtype="int32")
        self.call({"sources": ids, "lengths": ids[:, 0], "answers": ids})
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        keys, valid, state = self.encode(inputs["sources"], inputs["lengths"], training)
        queries = self.decoder(self.embed_answer(inputs["answers"]), initial_state=state)
        logits, _ = self.next_character(keys, valid, queries, training)
        return logits

    def encode(self, sources: Any, lengths: Any, training: bool = False) -> tuple[Any, Any, list[Any]]:
        """The keys `(batch, in_time, feature)`, which steps are valid, and the decoder's first state (h and c)."""
        valid = self.valid_steps(sources, lengths)
        x = self.zero_padding(self.embed_source(self.forget(sources, training=training)), valid)
        final = x
        for layer, forward in enumerate(self.forward):
            states = forward(x)
            final = self.last_state(states, lengths)
            if self.backward:
                reverse = self.backward[layer](self.reverse(x, lengths))
                final = ops.concatenate([final, self.last_state(reverse, lengths)], axis=-1)
                states = ops.concatenate([states, self.reverse(reverse, lengths)], axis=-1)
            x = states
        return x, valid, [dense(final) for dense in self.first_state]

    def next_character(self, keys: Any, valid: Any, queries: Any, training: bool = False) -> tuple[Any, Any]:
        """Logits `(batch, out_time, outputs)` and attention `(batch, out_time, in_time)` at each decoder state."""
        if not self.config.attention:
            return self.logits(self.dropout(self.combine(queries), training=training)), None
        context, weights = self.attention(keys, valid, queries)
        combined = self.combine(ops.concatenate([context, queries], axis=-1))
        return self.logits(self.dropout(combined, training=training)), weights

    def get_config(self) -> dict[str, Any]:
        inputs, outputs = self.sizes
        return {"config": self.config.model_dump(), "inputs": inputs, "outputs": outputs, "name": self.name}


def build(config: EncoderDecoderConfig, inputs: int, outputs: int) -> EncoderDecoder:
    """An uncompiled model with its weights made; `inputs` and `outputs` are the sizes of the vocabularies."""
    model = EncoderDecoder(config.model_dump(), inputs, outputs)
    model.build()
    return model

"""Inference of the encoder-decoder as one function: it encodes, searches for the answer, and gives its attention.

The search keeps the `beam` most probable answers so far; with one it is greedy. Only the search is a loop, over a
decoder step each. The attention is computed afterwards, over the whole answer at once, as in training: no state depends
on the attention before it.
"""

from typing import Any

import tensorflow as tf

from service.manifest import END, START
from training.text.models import EncoderDecoder

SIGNATURE = [
    tf.TensorSpec((None, None), tf.int32, name="sequences"),
    tf.TensorSpec((None,), tf.int32, name="lengths"),
    tf.TensorSpec((), tf.int32, name="beam"),
]
IMPOSSIBLE = -1e9  # log probability; finite, since infinity times 0 is not a number


class Decoder(tf.Module):
    """Answers for padded ids.

    Args:
        model: the fitted encoder-decoder.
        longest: characters of an answer at most, END not counted.
    """

    def __init__(self, model: EncoderDecoder, longest: int) -> None:
        super().__init__()
        self.model, self.longest = model, longest

    def __call__(self, sequences: Any, lengths: Any, beam: Any) -> dict[str, Any]:
        """Searches and attends.

        Args:
            sequences: `(batch, in_time)` int32.
            lengths: `(batch,)` int32.
            beam: `()` int32, answers kept at each step.

        Returns:
            `prediction (batch, out_time)` int32, END behind each answer; `attention (batch, out_time, in_time)`;
            `probability (batch,)` of the whole answer. No attention from a model without it.
        """
        keys, valid, state = self.model.encode(sequences, lengths)
        answers, probability = self._search(keys, valid, state, beam)
        if not self.model.config.attention:
            return {"prediction": answers, "probability": probability}
        fed = tf.concat([tf.fill([tf.shape(answers)[0], 1], START), answers[:, :-1]], axis=1)
        queries = self.model.decoder(self.model.embed_answer(fed), initial_state=state)
        _, attention = self.model.next_character(keys, valid, queries)
        return {"prediction": answers, "attention": attention, "probability": probability}

    def _search(self, keys: Any, valid: Any, state: list[Any], beam: Any) -> tuple[Any, Any]:
        """The most probable answer found, `(batch, out_time)`, and its probability, `(batch,)`."""
        batch = tf.shape(keys)[0]
        hypotheses = batch * beam
        answers = tf.zeros([hypotheses, self.longest + 1], tf.int32)  # END everywhere
        latest = tf.fill([hypotheses], START)
        # All start as the same answer: only the first counts, or each would be found as often as there are.
        first = tf.cast(tf.range(beam) > 0, tf.float32) * IMPOSSIBLE
        log_probability = tf.tile(first[None, :], [batch, 1])  # (batch, beam)
        h, c = (tf.repeat(part, beam, axis=0) for part in state)  # (hypothesis, unit)
        step = tf.constant(0)

        def unfinished(step: Any, latest: Any, *_: Any) -> Any:
            return tf.logical_and(step <= self.longest, tf.reduce_any(latest != END))

        def advance(step: Any, latest: Any, answers: Any, log_probability: Any, h: Any, c: Any) -> tuple[Any, ...]:
            query, (h, c) = self.model.decoder.cell(self.model.embed_answer(latest), [h, c])
            queries = tf.reshape(query, [batch, beam, self.model.decoder.units])
            logits, _ = self.model.next_character(keys, valid, queries)  # (batch, beam, output)
            parent, latest, log_probability = _extend(logits, tf.reshape(latest, [batch, beam]), log_probability)
            here = tf.range(self.longest + 1)[None, :] == step
            answers = tf.where(here, latest[:, None], tf.gather(answers, parent))
            return step + 1, latest, answers, log_probability, tf.gather(h, parent), tf.gather(c, parent)

        state = [step, latest, answers, log_probability, h, c]
        step, _, answers, log_probability, _, _ = tf.while_loop(unfinished, advance, state)
        best = tf.reshape(answers, [batch, beam, self.longest + 1])[:, 0]  # the most probable comes first
        return best[:, :step], tf.exp(log_probability[:, 0])


def _extend(logits: Any, latest: Any, log_probability: Any) -> tuple[Any, Any, Any]:
    """The most probable answers that are a character longer; what has ended stays as it is.

    Args:
        logits: `(batch, beam, output)`.
        latest: `(batch, beam)`, the last character of each.
        log_probability: `(batch, beam)`.

    Returns:
        Index of the answer each came from and its new character, `(batch * beam,)`; log probability `(batch, beam)`.
    """
    batch, beam, outputs = (tf.shape(logits)[axis] for axis in range(3))
    stay = tf.where(tf.range(outputs) == END, 0.0, IMPOSSIBLE)
    gain = tf.where((latest == END)[:, :, None], stay[None, None, :], tf.nn.log_softmax(logits))
    total = tf.reshape(log_probability[:, :, None] + gain, [batch, beam * outputs])
    log_probability, chosen = tf.math.top_k(total, beam)
    parent = tf.range(batch)[:, None] * beam + chosen // outputs
    return tf.reshape(parent, [-1]), tf.reshape(chosen % outputs, [-1]), log_probability

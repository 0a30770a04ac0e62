"""A column of texts through a model that reads and writes text."""

import numpy as np
import pyarrow as pa

from service import padding
from service.arrays import FloatArray, IntArray
from service.inference import DECODER_VALUES
from service.models.codec import Codec
from service.models.loading import Model
from service.ragged import Ragged
from service.score.chunks import said
from service.score.columns import Columns, plain
from service.score.scorer import MAX_VALUES, NEVER_SPLIT, Fault


class TextScorer:
    """Predicts texts; several threads may use one.

    Args:
        attention: also give the weights of every character.
    """

    def __init__(self, model: Model, codec: Codec, attention: bool) -> None:
        self._model, self._codec, self._attention = model, codec, attention

    def score(self, table: pa.Table, rows: IntArray, columns: Columns) -> tuple[pa.Table, list[Fault]]:
        """A row for each text, empty where something is wrong with it; and what that is."""
        texts = plain(table[columns.values[0]]).to_pylist()
        ids = None if columns.id is None else plain(table[columns.id])
        good = np.array([self._is_good(text) for text in texts])
        faults = [
            Fault(int(rows[i]), None if ids is None else str(ids[i]), *self._fault(texts[i]))
            for i in np.flatnonzero(~good).tolist()
        ]
        found = self._run([texts[i] for i in np.flatnonzero(good)]) if good.any() else []
        each = iter(found)
        filled = [next(each) if is_good else (None, None, None) for is_good in good]
        answers, probabilities, weights = zip(*filled, strict=True)
        arrays = {} if ids is None else {"id": ids}
        arrays |= {"prediction": pa.array(answers, pa.string()), "probability": pa.array(probabilities, pa.float32())}
        if self._attention:
            arrays["attention"] = pa.array(weights, pa.list_(pa.list_(pa.float32())))
        return pa.table(arrays), faults

    def _run(self, texts: list[str]) -> list[tuple[str, np.float32, list[FloatArray] | None]]:
        """The answer to each, its probability, and its weights, an array `(in_time,)` for each character of it."""
        items = Ragged.of([self._codec.encode(text) for text in texts])
        runtime = self._model.runtime
        found: dict[int, tuple[str, np.float32, list[FloatArray] | None]] = {}
        steps = MAX_VALUES // (DECODER_VALUES * max(self._codec.beam, self._codec.longest))
        for rows in padding.plan(items.lengths, runtime.options.batch, steps, NEVER_SPLIT):
            batch = items.padded(rows, int(items.lengths[rows].max()))
            outputs = runtime.run_text(batch, items.lengths[rows], self._codec.beam)
            for place, row in enumerate(rows.tolist()):
                answer = self._codec.decode(outputs.prediction[place].tolist())
                weights = outputs.attention[place, : len(answer), : items.lengths[row]]
                found[row] = (answer, outputs.probability[place], list(weights) if self._attention else None)
        return [found[row] for row in range(len(texts))]

    def _is_good(self, text: str | None) -> bool:
        lengths = self._model.manifest.lengths
        return text is not None and lengths.min <= len(text) and (lengths.max is None or len(text) <= lengths.max)

    def _fault(self, text: str | None) -> tuple[str, str]:
        return self._model.manifest.sequences_shape, said(text) if text is None else f"{len(text)} characters"

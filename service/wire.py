"""Answers to bytes: arrays as nested lists, float32 in the shortest form that reads back as the same number."""

from typing import Any

import numpy as np
import orjson

from service.arrays import FloatArray
from service.errors import HttpError
from service.explanations.measures import top_steps
from service.explanations.record import Explanation, steps, steps_of
from service.schemas.predict import PredictRequest


def write_answer(explanation: Explanation, request: PredictRequest, id: str | None, store_error: str | None) -> bytes:
    """The body of an answer to POST /predict; see `PredictResponse`.

    Args:
        id: where the explanation is kept, None where it is not.
        store_error: why it could not be kept.
    """
    answer: dict[str, Any] = {"id": id, "model": explanation.model, "version": explanation.version}
    if explanation.answers is not None:
        answer["predictions"], answer["probabilities"] = explanation.answers, squeeze(explanation.predictions)
        answer["unknown"] = [unknown(explanation, i) for i in range(len(explanation))]
    else:
        answer["predictions"] = squeeze(explanation.predictions)
    if explanation.labels is not None:
        answer["labels"] = explanation.labels
    attention = explanation.attention
    if attention is not None and request.attention == "per_step":
        attention = steps_of(attention)
    answer["attention"] = None if attention is None else attention.nested()
    if request.top_k is not None and attention is not None:
        answer["top"] = [top(explanation, i, request.top_k) for i in range(len(explanation))]
    if store_error is not None:
        answer["store_error"] = store_error
    return dump(answer)


def add_faithfulness(answer: bytes | HttpError, found: list[dict[str, Any] | None]) -> bytes | HttpError:
    """The answer with what was found of each sequence as its last field; see `FastFaithfulness`."""
    if isinstance(answer, HttpError):
        return answer
    return answer[:-1] + b',"faithfulness":' + dump(found) + b"}"


def dump(content: Any) -> bytes:
    """JSON; arrays as nested lists, float32 in the shortest form that reads back as the same number."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)


def squeeze(predictions: FloatArray) -> FloatArray:
    """Predictions as answered: `(sequence,)` where there is one number for each, else `(sequence, classes)`."""
    return np.ascontiguousarray(predictions[:, 0]) if predictions.shape[1] == 1 else predictions


def top(explanation: Explanation, index: int, count: int) -> list[Any]:
    """The steps of largest weight of one sequence with the values there, see `TopStep`; of text, for each character of
    the answer.

    Args:
        explanation: of a model with attention; the values are None where it has no inputs.
    """
    if explanation.attention is None:
        return []
    weights = explanation.attention[index]
    if explanation.answers is not None:
        return [
            [_top_step(explanation, index, step, weight) for step, weight in top_steps(row, count)] for row in weights
        ]
    return [_top_step(explanation, index, step, weight) for step, weight in top_steps(steps(weights), count)]


def unknown(explanation: Explanation, index: int) -> list[dict[str, Any]]:
    """The characters of one text that the model has never seen; see `UnknownCharacter`."""
    if explanation.texts is None or explanation.unknown is None:
        return []
    text = explanation.texts[index]
    return [{"step": step, "character": text[step]} for step in explanation.unknown[index]]


def _top_step(explanation: Explanation, index: int, step: int, weight: np.float32) -> dict[str, Any]:
    values: dict[str, Any] | None = None
    if explanation.texts is not None:
        values = {"character": explanation.texts[index][step]}
    elif explanation.sequences is not None:
        values = dict(zip(explanation.features, explanation.sequences[index][step], strict=True))
    return {"step": step, "weight": weight, "values": values}

"""One request whose body is a NumPy file, read; and any answer as one."""

import numpy as np

from service import blocks
from service.errors import Invalid
from service.explanations.measures import by_step
from service.explanations.record import Explanation
from service.models.loading import Model
from service.npy.files import read_npy, read_npz, write_npy, write_npz
from service.predictor import Prediction, Predictor, Write
from service.schemas.predict import PredictRequest
from service.settings import Settings

NPY, NPZ, JSON = "application/x-npy", "application/x-npz", "application/json"


def read(
    predictor: Predictor, settings: Settings, fields: PredictRequest, body: bytes, media_type: str, accept: str
) -> Prediction:
    """Reads a request; see `Predictor.admit`.

    Args:
        fields: what a JSON body would say beside the sequences.
        media_type: `NPY` or `NPZ`.
        accept: see `answer_as`.

    Raises:
        HttpError: it is at fault; says how.
        NotLoaded: the model is not in memory.
    """
    limits = (settings.max_sequences, settings.max_steps)
    arrays = {"sequences": read_npy(body)} if media_type == NPY else read_npz(body, settings.max_body)

    def read_sequences(model: Model) -> Prediction:
        if model.codec is not None:
            expected = f"texts as JSON, because {model.manifest.name} reads text"
            raise Invalid.at("", expected, media_type)
        block = arrays["sequences"]
        items = blocks.read_block(block, arrays.get("lengths"), model.manifest, *limits)
        return answer_as(accept, Prediction(model, fields, items), block.shape[1])

    return predictor.admit(fields, read_sequences)


def wanted(accept: str) -> str:
    """The media type of an answer, by the header Accept: `NPZ` or `NPY` where one of them is named, else `JSON`."""
    ranges = [range.partition(";")[0].strip().lower() for range in accept.split(",")]
    return next((range for range in ranges if range in (NPY, NPZ)), JSON)


def answer_as(media_type: str, prediction: Prediction, time: int | None = None) -> Prediction:
    """Has a request answered in that media type.

    `NPZ` has `prediction` `(batch, output)`, or of text `(batch,)`; `attention`, padded with 0; `lengths` `(batch,)`,
    the steps of each; and `id`, where the explanation is kept, or `store_error`. `NPY` is `prediction` alone.

    Args:
        time: steps to pad to; None for those of the longest.

    Raises:
        Invalid: more is asked for than such an answer holds.
    """
    if media_type != JSON:
        for field in ("top_k", "faithfulness"):
            if (value := getattr(prediction.fields, field)) is not None:
                raise Invalid.at(f"/{field}", f"none in {media_type}", str(value))
        if media_type == NPZ and time is None:
            blocks.check_answer(prediction.model, prediction.items)
        writer = _writer(time or prediction.items.longest) if media_type == NPZ else _write_prediction
        prediction.write, prediction.labelled = writer, False
    return prediction


def _write_prediction(
    explanation: Explanation, request: PredictRequest, id: str | None, store_error: str | None
) -> bytes:
    return write_npy(np.asarray(explanation.predictions if explanation.answers is None else explanation.answers))


def _writer(time: int) -> Write:
    def write(explanation: Explanation, request: PredictRequest, id: str | None, store_error: str | None) -> bytes:
        arrays = {name: np.asarray(found) for name, found in blocks.outputs(explanation, time).items()}
        if "attention" in arrays and explanation.answers is None and request.attention == "per_step":
            arrays["attention"] = by_step(arrays["attention"])
        arrays["lengths"] = _lengths(explanation)
        if id is not None:
            arrays["id"] = np.array(id)
        if store_error is not None:
            arrays["store_error"] = np.array(store_error)
        return write_npz(arrays)

    return write


def _lengths(explanation: Explanation) -> np.ndarray:
    """Steps of each sequence, `(batch,)` int32."""
    if explanation.sequences is not None:
        return explanation.sequences.lengths.astype(np.int32, copy=False)
    return np.array([len(text) for text in explanation.texts or []], np.int32)

"""The answer to one request of the protocol: JSON, and what of it is wanted as bytes behind the JSON."""

import struct
from typing import Any

import numpy as np

from service import blocks, wire
from service.errors import Invalid
from service.explanations.record import Explanation
from service.manifest import Manifest
from service.models.loading import Model
from service.open_inference.schemas import InferRequest
from service.open_inference.tensors import DTYPES, Array
from service.ragged import Ragged
from service.reading import describe
from service.schemas.predict import PredictRequest

FLOAT = DTYPES["FP32"]
UNKNOWN_WISHES = ("classification", "shared_memory_region")  # extensions of Triton that are not ours


class Answer:
    """What is wanted of the answer, and the answer.

    Attributes:
        header_length: bytes of its JSON part, once it is written; None where that is all.
    """

    labelled = False

    __slots__ = ("_id", "_time", "_wanted", "header_length")

    def __init__(self) -> None:
        self._id: str | None = None
        self._time = 0
        self._wanted: dict[str, bool] = {}
        self.header_length: int | None = None

    def asked(self, request: InferRequest, model: Model, items: Ragged, time: int) -> None:
        """Takes in what is wanted.

        Args:
            items: the sequences of the request.
            time: steps that they are padded to.

        Raises:
            Invalid: an output is wanted that the model has not, or twice, or in a way that we do not know; or it would
                be too large.
        """
        if model.codec is not None:
            blocks.check_answer(model, items)
        self._id, self._time, self._wanted = request.id, time, {}
        names = outputs(model.manifest)
        binary = (request.parameters or {}).get("binary_data_output") is True
        if request.outputs is None:
            self._wanted = dict.fromkeys(names, binary)
            return
        for index, output in enumerate(request.outputs):
            place, parameters = f"/outputs/{index}", output.parameters or {}
            if output.name not in names or output.name in self._wanted:
                received = f"{describe(output.name)}{' twice' * (output.name in self._wanted)}"
                raise Invalid.at(f"{place}/name", f"outputs out of {names}, each once", received)
            for wish in UNKNOWN_WISHES:
                if parameters.get(wish):
                    raise Invalid.at(f"{place}/parameters/{wish}", "none: see the extensions in GET /v2", "one")
            self._wanted[output.name] = parameters.get("binary_data", binary) is True

    def write(
        self, explanation: Explanation, request: PredictRequest, id: str | None, store_error: str | None
    ) -> bytes:
        """The body; see `InferResponse`, and `wire.write_answer` for the arguments."""
        found = blocks.outputs(explanation, self._time)
        tensors, behind = [], []
        for name, binary in self._wanted.items():
            tensor, data = _tensor(name, found[name], binary)
            tensors.append(tensor)
            behind.append(data)
        head = wire.dump({**self.frame(explanation, id, store_error), "outputs": tensors})
        if not any(self._wanted.values()):
            return head
        self.header_length = len(head)
        return b"".join([head, *behind])

    def frame(self, explanation: Explanation, id: str | None, store_error: str | None) -> dict[str, Any]:
        """The answer without what the model gave."""
        frame: dict[str, Any] = {"model_name": explanation.model, "model_version": str(explanation.version)}
        if self._id is not None:
            frame["id"] = self._id
        if id is not None:
            frame["parameters"] = {"explanation": id}
        elif store_error is not None:
            frame["parameters"] = {"store_error": store_error}
        return frame


def outputs(manifest: Manifest) -> list[str]:
    """The names of what a model gives."""
    names = ["prediction"] if manifest.vocabulary is None else ["prediction", "probability"]
    return names if manifest.attention is None else [*names, "attention"]


def _tensor(name: str, found: Array, binary: bool) -> tuple[dict[str, Any], Any]:
    """A tensor of the answer, and its bytes behind the JSON."""
    if isinstance(found, list):
        tensor: dict[str, Any] = {"name": name, "datatype": "BYTES", "shape": [len(found)]}
        texts = [text.encode() for text in found] if binary else []
        data: Any = b"".join([struct.pack("<I", len(text)) + text for text in texts])
    else:
        tensor = {"name": name, "datatype": "FP32", "shape": found.shape}
        data = found = np.ascontiguousarray(found, FLOAT)
    if binary:
        tensor["parameters"] = {"binary_data_size": memoryview(data).nbytes}
        return tensor, data
    tensor["data"] = found if isinstance(found, list) else found.ravel()
    return tensor, b""

"""What is asked: sequences, rendered as requests, and what ONNX Runtime itself answers to them."""

import io
from collections.abc import Callable
from functools import cache
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
import orjson

from benchmarks.serving.bare import Feed, feed, open_session
from benchmarks.serving.load import Request, render
from benchmarks.serving.servers import graph

DECIMALS = 5  # of a value, as a sensor or a table would have them: about 380 bytes for 20 steps of 2 features
TOLERANCE = 1e-4
LENGTH = "Inference-Header-Content-Length"
Form = Literal["json", "binary"]
Sequences = list[np.ndarray]  # each (time, feature)


def normal(count: int, batch: int, steps: int, features: int, seed: int = 0) -> list[Sequences]:
    """`count` questions of `batch` sequences `(steps, features)` each, standard normal."""
    values = np.random.default_rng(seed).standard_normal((count, batch, steps, features))
    return [list(question) for question in values.round(DECIMALS).astype(np.float32)]


def shapes(count: int, batch: int, steps: int, features: int) -> list[Sequences]:
    """`count` questions of random shapes: 1 to `batch` sequences, all of 1 to `steps` steps."""
    random = np.random.default_rng(0)
    sizes = random.integers(1, [batch, steps], (count, 2), endpoint=True)
    return [normal(1, rows, length, features, seed)[0] for seed, (rows, length) in enumerate(sizes)]


@cache
def _vowels() -> Sequences:
    from training.data.datasets import japanese_vowels

    test = japanese_vowels().test
    return [sequence[:length] for sequence, length in zip(test.sequences, test.lengths, strict=True)]


def vowels_shuffled(batch: int = 64, rounds: int = 4) -> list[Sequences]:
    """The test part of JapaneseVowels, shuffled `rounds` times, in questions of `batch`."""
    vowels, random = _vowels(), np.random.default_rng(0)
    rows = np.concatenate([random.permutation(len(vowels)) for _ in range(rounds)])
    return [[vowels[row] for row in rows[i : i + batch]] for i in range(0, len(rows) - batch + 1, batch)]


def vowels_sorted(batch: int = 64) -> list[Sequences]:
    """The same sequences sorted by length, in batches: the least padding there can be."""
    vowels = sorted(_vowels(), key=len)
    return [vowels[i : i + batch] for i in range(0, len(vowels), batch)]


def feeds(model: str, questions: list[Sequences]) -> list[Feed]:
    """The questions as inputs of the bare runtime."""
    session = open_session(graph(model))
    return [feed(session, question) for question in questions]


def requests(
    url: str, model: str, questions: list[Sequences], name: str | None = None, form: Form = "json"
) -> list[Request]:
    """The questions as requests to `url`: of the Open Inference Protocol where its path says so, else of our API.

    Every request knows its answer: what ONNX Runtime gives for the same arrays.

    Args:
        form: of sequences and answers; `binary` is the extension of the Open Inference Protocol, and npy and npz else.
        model: the committed model that answers.
        name: the name under which it is asked for; without it, none is given.
    """
    session = open_session(graph(model))
    tensors = urlsplit(url).path.startswith("/v2/")
    rendered = []
    for question in questions:
        inputs = feed(session, question)
        predictions, attention = session.run(["prediction", "attention"], inputs)
        if form == "binary":
            body, headers = _binary_tensors(inputs) if tensors else _npy(inputs)
            check = _check_binary(predictions, attention) if tensors else _check_npz(predictions, attention)
            rendered.append(Request(render(url, body, headers), len(question), check))
            continue
        body = _tensors(inputs) if tensors else predict_body(question, name)
        check = _check_tensors(predictions, attention) if tensors else _check(question, predictions, attention)
        rendered.append(Request(render(url, body), len(question), check))
    return rendered


def predict_body(question: Sequences, name: str | None = None) -> bytes:
    """The body of POST /predict."""
    body = {"sequences": question} | ({} if name is None else {"model": name})
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def _tensors(inputs: Feed) -> bytes:
    kinds = {"float32": "FP32", "int32": "INT32"}
    tensors = [
        {"name": name, "shape": array.shape, "datatype": kinds[array.dtype.name], "data": array.ravel()}
        for name, array in inputs.items()
    ]
    return orjson.dumps({"inputs": tensors}, option=orjson.OPT_SERIALIZE_NUMPY)


def _binary_tensors(inputs: Feed) -> tuple[bytes, dict[str, str]]:
    """Body and headers, as tritonclient has them."""
    kinds = {"float32": "FP32", "int32": "INT32"}
    tensors = [
        {
            "name": name,
            "shape": array.shape,
            "datatype": kinds[array.dtype.name],
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in inputs.items()
    ]
    head = orjson.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}})
    return b"".join([head, *(array.tobytes() for array in inputs.values())]), {LENGTH: str(len(head))}


def _npy(inputs: Feed) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request with one array, which wants arrays back."""
    file = io.BytesIO()
    np.save(file, inputs["sequences"])
    return file.getvalue(), {"Content-Type": "application/x-npy", "Accept": "application/x-npz"}


def _check_binary(predictions: np.ndarray, attention: np.ndarray) -> Callable[[bytes], None]:
    expected = [predictions, attention]

    def check(body: bytes) -> None:
        behind = np.frombuffer(body[-sum(array.nbytes for array in expected) :], np.float32)
        _compare("tensors", behind, np.concatenate([array.ravel() for array in expected]))

    return check


def _check_npz(predictions: np.ndarray, attention: np.ndarray) -> Callable[[bytes], None]:
    def check(body: bytes) -> None:
        with np.load(io.BytesIO(body)) as found:
            _compare("prediction", found["prediction"], predictions)
            _compare("attention", found["attention"], attention)

    return check


def _check(question: Sequences, predictions: np.ndarray, attention: np.ndarray) -> Callable[[bytes], None]:
    """A check of our answers, and the plain server's: predictions, and a weight for each real step."""

    def check(body: bytes) -> None:
        answer = orjson.loads(body)
        _compare("predictions", np.array(answer["predictions"]).reshape(len(question), -1), predictions)
        if [len(weights) for weights in answer["attention"]] != [len(sequence) for sequence in question]:
            raise ValueError("expected a weight for each step")
        for i, weights in enumerate(answer["attention"]):
            _compare(f"attention of sequence {i}", np.array(weights), attention[i, : len(weights)])

    return check


def _check_tensors(predictions: np.ndarray, attention: np.ndarray) -> Callable[[bytes], None]:
    expected = {"prediction": predictions, "attention": attention}

    def check(body: bytes) -> None:
        outputs = {output["name"]: output["data"] for output in orjson.loads(body)["outputs"]}
        for name, array in expected.items():
            _compare(name, np.array(outputs[name]).ravel(), array.ravel())

    return check


def _compare(what: str, received: np.ndarray, expected: np.ndarray) -> None:
    if received.shape != expected.shape or not np.allclose(received, expected, atol=TOLERANCE):
        raise ValueError(f"expected {what} {expected.tolist()}, received {received.tolist()}")

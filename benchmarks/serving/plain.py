"""The server most people write on their first day: FastAPI, a pydantic model, onnxruntime.

    MODEL=models/planted-before/1/model.onnx uvicorn benchmarks.serving.plain:app --no-access-log

One thread for a run, because the server is pinned to one core; no access log, because ours writes none either.
"""

import os

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from pydantic import BaseModel

options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
takes_lengths = len(session.get_inputs()) == 2
app = FastAPI()


class Request(BaseModel):
    """Sequences, each `(time, feature)`."""

    sequences: list[list[list[float]]]


class Answer(BaseModel):
    """For each sequence its prediction, and a weight for each step."""

    predictions: list[list[float]]
    attention: list[list[float]]


@app.post("/predict")
def predict(request: Request) -> Answer:
    """Runs the request's sequences in one batch."""
    lengths = [len(sequence) for sequence in request.sequences]
    if takes_lengths:
        sequences = np.zeros((len(lengths), max(lengths), len(request.sequences[0][0])), np.float32)
        for i, sequence in enumerate(request.sequences):
            sequences[i, : len(sequence)] = sequence
        feed = {"sequences": sequences, "lengths": np.array(lengths, np.int32)}
    else:
        feed = {"sequences": np.array(request.sequences, np.float32)}
    predictions, attention = session.run(["prediction", "attention"], feed)
    return Answer(
        predictions=predictions.tolist(),
        attention=[weights[:length].tolist() for weights, length in zip(attention, lengths, strict=True)],
    )

"""Judges a run on the test part, which nothing before this has seen, into RUN/metrics.json."""

from pathlib import Path
from typing import Self

import keras
import numpy as np
from pydantic import BaseModel, ConfigDict

from service.explanations import faithfulness
from service.manifest import Faithfulness, Quality
from training.datasets import Data
from training.fit import Run
from training.models import Scaling
from training.runs import METRICS_FILE

TESTED = 200  # sequences put to the faithfulness test; each takes 120 runs and one for each step


class Metrics(BaseModel):
    """metrics.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: Quality
    attention_on_step: dict[int, dict[str, float]] | None
    """By seed, where the true step is known: how often the top weight is on it (`top`), and its mean weight."""
    faithfulness: Faithfulness | None
    """Of the chosen seed; None from a model without attention."""

    @classmethod
    def read(cls, run: Path) -> Self:
        """Reads `run/metrics.json`."""
        return cls.model_validate_json((run / METRICS_FILE).read_bytes())


def evaluate(folder: Path) -> Metrics:
    """Judges every seed of the run in `folder`, and writes metrics.json there."""
    run = Run.read(folder)
    data = run.load_data()
    scores: dict[int, float] = {}
    on_step: dict[int, dict[str, float]] = {}
    judged = None
    for seed in run.validation_loss:
        model = run.load_model(folder, seed)
        outputs = predict(model, data, run.model.variable_length)
        scores[seed] = score(outputs["prediction"], data)
        if data.step is not None and "attention" in outputs:
            on_step[seed] = weight_on_step(outputs["attention"], data.step)
        if seed == run.chosen and "attention" in outputs:
            judged = judge_attention(model, data, outputs["attention"], run.model.variable_length)
    values = list(scores.values())
    quality = Quality(
        metric="rmse" if data.task == "regression" else "accuracy",
        samples=len(data.test),
        published=scores[run.chosen],
        seeds=scores,
        mean=float(np.mean(values)),
        spread=float(np.std(values)),
    )
    metrics = Metrics(quality=quality, attention_on_step=on_step or None, faithfulness=judged)
    (folder / METRICS_FILE).write_text(metrics.model_dump_json(indent=1) + "\n")
    return metrics


def predict(model: keras.Model, data: Data, variable_length: bool) -> dict[str, np.ndarray]:
    """The model's outputs for the test part, by name."""
    outputs: dict[str, np.ndarray] = model.predict(data.test.inputs(variable_length), batch_size=256, verbose=0)
    return outputs


def judge_attention(model: keras.Model, data: Data, attention: np.ndarray, variable_length: bool) -> Faithfulness:
    """Puts the weights of the first test sequences to the test.

    Args:
        attention: `(sample, time)` or `(sample, time, feature)`, of the whole test part.
    """
    scaling = Scaling.learn(data.train.sequences, data.train.lengths, data.train.targets, data.task)
    measured = []
    for i, length in enumerate(data.test.lengths[:TESTED]):
        weights = attention[i, :length] if attention.ndim == 2 else attention[i, :length].mean(axis=1)

        def run(sequences: np.ndarray, length: int = length) -> np.ndarray:
            padded = np.zeros((len(sequences), data.time, sequences.shape[2]), np.float32)
            padded[:, :length] = sequences
            inputs = {"sequences": padded} | (
                {"lengths": np.full(len(sequences), length, np.int32)} if variable_length else {}
            )
            return np.asarray(model(inputs)["prediction"])

        measured.append(
            faithfulness.measure(
                run,
                data.test.sequences[i, :length],
                weights,
                np.array(scaling.mean, np.float32),
                data.task,
                unit=scaling.target_variance**0.5,
                seed=i,
            )
        )
    return faithfulness.summarize(measured)


def score(prediction: np.ndarray, data: Data) -> float:
    """Accuracy, or root mean squared error for regression, of `prediction (sample, 1 or classes)`."""
    from sklearn.metrics import accuracy_score, root_mean_squared_error

    if data.task == "regression":
        return float(root_mean_squared_error(data.test.targets, prediction[:, 0]))
    classes = prediction[:, 0] >= 0.5 if data.task == "binary" else prediction.argmax(axis=1)
    return float(accuracy_score(data.test.targets, classes))


def weight_on_step(attention: np.ndarray, step: int) -> dict[str, float]:
    """How much of the attention `(sample, time)` or `(sample, time, feature)` lies on one step."""
    weights = attention if attention.ndim == 2 else attention.mean(axis=2)
    return {"top": float((weights.argmax(axis=1) == step).mean()), "mean_weight": float(weights[:, step].mean())}

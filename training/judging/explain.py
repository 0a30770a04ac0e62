"""The attention of a fitted model on the test part: where it lies, and whether it may be believed."""

import keras
import numpy as np

from service.explanations import faithfulness, measures
from service.explanations.faithfulness import Measured
from service.explanations.measures import by_step, classes_of
from service.explanations.record import Explanation
from service.ragged import Ragged
from training.data.batches import JUDGED, feed
from training.data.datasets import Data
from training.judging.quality import marks
from training.models import ModelConfig, Scaling

TESTED = (
    200  # sequences put to the test, fewer if they are long: each takes some 120 runs and one for each of its steps
)
STEPS_RUN = 50_000_000  # steps that the model is run over for the test: about a minute
STEPS_AT_ONCE = 200_000
TENTHS = 10
PROFILED = 2_000  # training sequences


def weight_on_step(attention: np.ndarray, step: int) -> dict[str, float]:
    """How much of the attention `(sample, time)` or `(sample, time, feature)` lies on one step."""
    weights = by_step(attention)
    return {"top": float((weights.argmax(axis=1) == step).mean()), "mean_weight": float(weights[:, step].mean())}


def profile(attention: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The mean weights over sequences: `(time,)` by step or, where lengths differ, `(10,)` by tenth of a sequence.

    Args:
        attention: `(sample, time)` or `(sample, time, feature)`.
        lengths: `(sample,)`.
    """
    weights = by_step(attention)
    if lengths.min() == lengths.max():
        mean: np.ndarray = weights[:, : lengths[0]].mean(axis=0)
        return mean
    sample, step = np.nonzero(np.arange(weights.shape[1]) < lengths[:, None])
    tenth = (step + 0.5) / lengths[sample] * TENTHS
    return np.bincount(tenth.astype(int), weights[sample, step], TENTHS) / len(weights)


def training_profile(model: keras.Model, data: Data, variable_length: bool) -> list[float]:
    """The mean weight of each twentieth of a sequence over the training part, or `PROFILED` sequences spread evenly
    over it: what the service compares the weights of its answers with.
    """
    rows = np.linspace(0, len(data.train) - 1, min(len(data.train), PROFILED)).astype(int)
    train = data.train.take(rows)
    weights = by_step(model.predict(feed(train, variable_length, JUDGED)[0], verbose=0)["attention"])
    real = np.arange(weights.shape[1]) < train.lengths[:, None]
    profile: list[float] = (measures.profile(Ragged(weights[real], train.lengths)) / len(train)).round(6).tolist()
    return profile


def baseline(config: ModelConfig) -> str:
    """What a removed step holds that says least to the model: the mean of each feature over the training part or, where
    sequences are scaled one by one, over the sequence.
    """
    return "sequence" if config.scaling == "sequence" else "mean"


def put_to_the_test(model: keras.Model, data: Data, attention: np.ndarray, config: ModelConfig) -> list[Measured]:
    """Measures the faithfulness of the weights of sequences spread evenly over the test part.

    Args:
        attention: `(sample, time)` or `(sample, time, feature)`, of the whole test part.
    """
    test, weights = data.test, by_step(attention)
    scaling = Scaling.learn(data.train.sequences, data.train.lengths, data.train.targets, data.task)
    longest = int(test.lengths.max())
    count = min(len(test), TESTED, max(10, STEPS_RUN // ((longest + 120) * longest)))
    measured = []
    for i in np.linspace(0, len(test) - 1, count).astype(int):
        sequence = np.array(test.sequences[i, : test.lengths[i]])
        mean = sequence.mean(axis=0) if baseline(config) == "sequence" else np.array(scaling.mean, np.float32)
        measured.append(
            faithfulness.measure(
                lambda perturbed: run(model, perturbed, data.time, config.variable_length),
                sequence,
                weights[i, : test.lengths[i]],
                mean,
                data.task,
                unit=scaling.target_variance**0.5,
                seed=int(i),
            )
        )
    return measured


def run(model: keras.Model, sequences: np.ndarray, time: int, variable_length: bool) -> np.ndarray:
    """The model's predictions for `sequences (batch, length, feature)` of one length, padded to `time` steps."""
    length = sequences.shape[1]
    padded = np.zeros((len(sequences), time, sequences.shape[2]), np.float32)
    padded[:, :length] = sequences
    inputs = {"sequences": padded} | ({"lengths": np.full(len(padded), length, np.int32)} if variable_length else {})
    size = max(1, STEPS_AT_ONCE // time)
    parts = [{name: values[i : i + size] for name, values in inputs.items()} for i in range(0, len(padded), size)]
    return np.concatenate([model.predict_on_batch(part)["prediction"] for part in parts])


def examples(data: Data, outputs: dict[str, np.ndarray]) -> tuple[np.ndarray, Explanation]:
    """The test sequences answered best, middling and worst: their rows `(3,)`, and what the service would keep of them.

    Args:
        outputs: of the whole test part, by name.
    """
    order = np.argsort(errors(outputs["prediction"], data), kind="stable")
    rows = np.array(list(dict.fromkeys(order[[0, len(order) // 2, -1]].tolist())))
    lengths, prediction = data.test.lengths, outputs["prediction"][rows]
    return rows, Explanation(
        id="",
        created=0,
        model=data.name,
        version=0,
        task=data.task,
        features=data.features,
        classes=data.labels,
        sequences=Ragged.of([data.test.sequences[i, : lengths[i]] for i in rows]),
        predictions=prediction,
        labels=[data.labels[i] for i in classes_of(prediction, data.task)] if data.labels else None,
        attention=Ragged.of([outputs["attention"][i, : lengths[i]] for i in rows]),
    )


def errors(prediction: np.ndarray, data: Data) -> np.ndarray:
    """How wrong each test prediction is, `(sample,)`: the probability not given to the true class, or squared error."""
    if not data.labels:
        return marks(prediction, data.test.targets, data.task)
    if data.task == "binary":
        prediction = np.concatenate([1 - prediction, prediction], axis=1)
    wrong: np.ndarray = 1 - prediction[np.arange(len(prediction)), data.test.targets]
    return wrong

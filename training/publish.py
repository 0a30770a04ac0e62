"""Publishes a model: from a run folder or a Keras model to a version that the service can load."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from service.manifest import Attention, Example, Lengths, Task, TrainingRecord
from training.data.datasets import Data
from training.evaluate import Metrics
from training.export import Contract, ExportError, check_contract, check_parity, output_names, to_onnx
from training.fit import Run
from training.judging.explain import training_profile
from training.models import ModelConfig, Scaling
from training.runs import METRICS_FILE
from training.versions import check_name, write_version


def publish_run(folder: Path, name: str, models: Path, description: str = "") -> Path:
    """Publishes the chosen seed of an evaluated run; returns the new version's folder.

    Raises:
        ExportError: a gate refused it.
    """
    run = Run.read(folder)
    if not (folder / METRICS_FILE).exists():
        raise ExportError(f"expected an evaluated run, found no {METRICS_FILE}: evaluate {folder} first")
    metrics = Metrics.read(folder)
    data = run.load_data()
    attention = run.model.position != "none"
    model = run.load_model(folder, run.chosen)
    contract = check_contract(model, attention=attention)
    per_feature = run.model.position == "before" and run.model.per_feature
    return publish(
        contract,
        models,
        sequences=data.test.sequences,
        lengths=data.test.lengths,
        name=name,
        description=description,
        task=data.task,
        features=data.features,
        labels=data.labels,
        horizon=data.outputs if data.task == "forecast" else None,
        attention=Attention(
            kind=f"{run.model.score}, {run.model.normalizer}",
            position=run.model.position,
            axes=("time", "feature") if per_feature else ("time",),
            profile=training_profile(model, data, run.model.variable_length),
        )
        if attention
        else None,
        examples=pick_examples(data),
        training=TrainingRecord(
            data=data.source,
            samples=len(data.train),
            lengths=Lengths(min=int(data.train.lengths.min()), max=int(data.train.lengths.max())),
            seed=run.chosen,
            settings={**run.model.model_dump(), **run.fit.model_dump()},
            attention_on_step=(metrics.attention_on_step or {}).get(run.chosen),
            **means(data, run.model),
        ),
        quality=metrics.quality,
        faithfulness=metrics.faithfulness,
    )


def publish_model(
    model: keras.Model,
    name: str,
    models: Path,
    *,
    attention: bool = True,
    task: Task | None = None,
    labels: list[str] | None = None,
    features: list[str] | None = None,
    time: int | None = None,
    description: str = "",
) -> Path:
    """Publishes any functional Keras model that keeps the contract; returns the new version's folder.

    Args:
        attention: False for a model that has no output `attention`.
        task: default: told by the activation of the output `prediction`; a forecast has to be said, and each output is
            one of the next values.
        labels: class names; default: 0, 1, ...
        features: names of the feature axis; default: x0, x1, ...
        time: see `check_contract`.

    Raises:
        ExportError: a gate refused it; says what is missing or wrong.
    """
    contract = check_contract(model, attention=attention, time=time)
    task = task or infer_task(model)
    outputs = model.outputs[output_names(model).index("prediction")].shape[1]
    if task != "forecast" and (outputs == 1) == (task == "multiclass"):
        expected = "2 outputs or more" if task == "multiclass" else "1 output"
        raise ExportError(f"expected {expected} for a {task} task, received {outputs}")
    classes = {"binary": 2, "multiclass": outputs}.get(task, 0)
    labels = _names("labels", labels, [str(i) for i in range(classes)])
    features = _names("features", features, [f"x{i}" for i in range(contract.features)])
    sequences, lengths = _random_batch(contract)
    _check_probabilities(contract, task, sequences, lengths)
    axes = len(model.outputs[output_names(model).index("attention")].shape) - 1 if attention else 0
    return publish(
        contract,
        models,
        sequences=sequences,
        lengths=lengths,
        name=name,
        description=description,
        task=task,
        features=features,
        labels=labels,
        horizon=outputs if task == "forecast" else None,
        attention=Attention(kind="custom", position="custom", axes=("time", "feature")[:axes]) if attention else None,
        examples=[],
        training=None,
        quality=None,
    )


def publish(contract: Contract, models: Path, *, sequences: np.ndarray, lengths: np.ndarray, **declared: Any) -> Path:
    """Converts, checks and writes one version.

    Args:
        models: the folder of all models.
        sequences: `(sample, time, feature)` to compare Keras and ONNX Runtime on.
        lengths: `(sample,)`.
        declared: the fields of `Manifest` that this function does not know by itself.

    Raises:
        ExportError: a gate refused it.
    """
    check_name(declared["name"])
    graph = to_onnx(contract).SerializeToString()
    parity = check_parity(contract, graph, sequences, lengths)
    return write_version(graph, models, lengths=contract.lengths, parity=parity, **declared)


def pick_examples(data: Data) -> list[Example]:
    """The first test sequences of two classes or values; the first two where all targets are alike."""
    targets = data.test.targets
    other = next((i for i, target in enumerate(targets) if not np.array_equal(target, targets[0])), 1)
    return [
        Example(
            sequence=_shortest(data.test.sequences[i, : data.test.lengths[i]]),
            target=data.labels[targets[i]] if data.labels else targets[i].tolist(),
        )
        for i in (0, other)[: len(targets)]
    ]


def _shortest(sequence: np.ndarray) -> list[list[float]]:
    """The values of a float32 `(time, feature)` with the fewest digits that still give the same float32.

    A fixed number of digits would lose what is small, or what changes little far from 0.
    """
    return sequence.astype(str).astype(np.float64).tolist()


def means(data: Data, config: ModelConfig) -> dict[str, Any]:
    """`feature_means` and `target_std` of a `TrainingRecord`: what the service tests the weights with."""
    learnt = Scaling.learn(data.train.sequences, data.train.lengths, data.train.targets, data.task)
    return {
        "feature_means": None if config.scaling == "sequence" else learnt.mean,
        "target_std": learnt.target_variance**0.5 if data.task in ("regression", "forecast") else None,
    }


def _names(what: str, given: list[str] | None, default: list[str]) -> list[str]:
    """The names that are given, held to be as many as those of `default`, or these where none are."""
    if given is None:
        return default
    if not len(given) == len(set(given)) == len(default):
        raise ExportError(f"expected {len(default)} {what}, each once, received {len(given)}: {', '.join(given)}")
    return given


def _random_batch(contract: Contract, size: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal `sequences (size, time, feature)` of random `lengths (size,)`, 0 on padding."""
    longest = contract.lengths.max or 50
    random = np.random.default_rng(0)
    lengths = random.integers(contract.lengths.min, longest + 1, size).astype(np.int32)
    sequences = random.standard_normal((size, longest, contract.features)).astype(np.float32)
    sequences[np.arange(longest) >= lengths[:, None]] = 0
    return sequences, lengths


def _check_probabilities(contract: Contract, task: Task, sequences: np.ndarray, lengths: np.ndarray) -> None:
    """Holds predictions to what the task makes of them: a probability, or one for each class."""
    prediction = np.asarray(contract(sequences, lengths)["prediction"])
    if task == "binary" and not ((prediction >= 0) & (prediction <= 1)).all():
        raise ExportError("expected a probability from a binary task (a sigmoid), received values outside 0 to 1")
    if task == "multiclass" and not np.allclose(prediction.sum(axis=1), 1, atol=1e-3):
        raise ExportError("expected probabilities that sum to 1 from a multiclass task (a softmax), received others")


def infer_task(model: keras.Model) -> Task:
    """What a model predicts, by the activation of its output `prediction`.

    Raises:
        ExportError: the activation does not tell.
    """
    tensor = model.outputs[output_names(model).index("prediction")]
    layer = tensor._keras_history.operation
    activation = getattr(getattr(layer, "activation", None), "__name__", type(layer).__name__.lower())
    tasks: dict[str, Task] = {"sigmoid": "binary", "softmax": "multiclass", "linear": "regression"}
    if activation not in tasks:
        raise ExportError(
            f"expected prediction to end in sigmoid, softmax or linear, received {activation}. Say the task yourself"
        )
    return tasks[activation]

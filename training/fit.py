"""Fits one configuration with one or more seeds, into a run folder.

RUN/run.json               what was fitted, and every seed's validation loss; which seed was chosen
RUN/seed-N/model.keras     the weights of the epoch with the lowest validation loss, or of the last one
RUN/seed-N/history.json    losses and metrics, epoch by epoch
RUN/learning-curve.svg     the losses of every seed as a picture
RUN/search.json            which configurations were tried before, if any
RUN/metrics.json           what evaluate.py found on the test part
RUN/report.html            the same for people, with pictures
RUN/twin/                  the run of the plain LSTM it is compared with
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from pydantic import Field
from rich.console import Console

from service.manifest import Task
from training.data.batches import JUDGED, feed
from training.data.datasets import BUILT_IN, Data
from training.data.stream import load_streamed, must_stream
from training.data.tables import TableOptions, fingerprint, load_table
from training.models import ModelConfig, Scaling, build
from training.runs import (
    BATCHES_AT_ONCE,
    MODEL_FILE,
    Advance,
    BaseRun,
    FitConfig,
    History,
    clear,
    fit_seeds,
    keeping,
    optimizer,
    seed_folder,
    write,
)

UNEVEN = 1.5  # how many times the samples of the smallest class the largest may have without weights in the loss
LOSSES: dict[Task, str] = {
    "binary": "binary_crossentropy",
    "multiclass": "sparse_categorical_crossentropy",
    "regression": "mean_squared_error",
    "forecast": "mean_squared_error",
}


class Diverged(ValueError):
    """The validation loss was never finite."""


class Run(BaseRun):
    """run.json: everything needed to build the data and the models again."""

    data: str = Field(description="name of a built-in data set, or the absolute path of a file")
    data_options: dict[str, int] | TableOptions = Field(
        description="arguments of its loader, or how the file is read", union_mode="left_to_right"
    )
    model: ModelConfig

    def load_data(self) -> Data:
        """The data it was fitted on."""
        return load(self.data, self.data_options)

    def load_model(self, folder: Path, seed: int) -> keras.Model:
        """The model of one seed, uncompiled."""
        return keras.saving.load_model(seed_folder(folder, seed) / MODEL_FILE, compile=False)


def load(data: str, options: dict[str, int] | TableOptions) -> Data:
    """Loads a built-in data set with the arguments of its loader, or with `TableOptions` the file at a path."""
    if isinstance(options, TableOptions):
        path = Path(data)
        return load_streamed(path, options) if must_stream(path, options) else load_table(path, options)
    return BUILT_IN[data](**options)


def fit(
    data_name: str,
    data_options: dict[str, int] | TableOptions,
    model: ModelConfig,
    config: FitConfig,
    seeds: list[int],
    folder: Path,
    search: Callable[[Data, ModelConfig], ModelConfig] | None = None,
) -> Run:
    """Fits the model once for each seed and writes the run folder.

    Args:
        data_name: key of `BUILT_IN`, or the path of a file.
        data_options: arguments of the loader, or how the file is read.
        model: gets an input `lengths` where the sequences differ in length.
        seeds: each fixes initial weights, order of the samples, dropout and noise: the same seed, the same model.
        folder: of the run; made if needed, its files overwritten.
        search: chooses the model to fit, on the data and starting from `model`; see search.py.
    """
    data = load(data_name, data_options)
    if isinstance(data_options, TableOptions):
        data_name = str(Path(data_name).resolve())
        data_options = data_options.model_copy(update={"sha256": fingerprint(Path(data_name))})
    if data.variable_length:
        model = model.model_copy(update={"variable_length": True})
    _announce(data, chosen=_chosen(data_name, data_options))
    clear(folder)
    if search is not None:
        model = search(data, model)
    histories = fit_seeds(
        folder, seeds, config.epochs, lambda seed, advance: fit_seed(data, model, config, seed, advance)
    )
    losses = config.kept_losses(histories)
    run = Run(data=data_name, data_options=data_options, model=model, fit=config, validation_loss=losses)
    write(folder, run, histories)
    return run


def fit_seed(
    data: Data,
    config: ModelConfig,
    settings: FitConfig,
    seed: int,
    on_epoch: Advance,
    *callbacks: keras.callbacks.Callback,
) -> tuple[keras.Model, History]:
    """Fits one model; returns it with the weights of its best epoch or of its last, and its history.

    Args:
        on_epoch: called with the losses and metrics of each epoch.
        callbacks: more of Keras' own.

    Raises:
        ValueError: the model does not fit the data.
        Diverged: the validation loss was never finite or, where the last epoch is kept, is not in the end.
    """
    if data.variable_length and not config.variable_length:
        raise ValueError(f"expected variable_length, because the sequences of {data.name} differ in length")
    keras.utils.set_random_seed(seed)
    scaling = Scaling.learn(data.train.sequences, data.train.lengths, data.train.targets, data.task)
    model = build(config, task=data.task, outputs=data.outputs, time=data.time, scaling=scaling)
    # Only the prediction is trained; the attention is what the model makes of it.
    trained = keras.Model(model.input, model.output["prediction"])
    trained.compile(
        optimizer=optimizer(settings, len(data.train)),
        loss=LOSSES[data.task],
        loss_weights=1 / scaling.target_variance,  # the loss of a standardized target, where it is a value
        metrics=["accuracy"] if data.labels else [],
        steps_per_execution=BATCHES_AT_ONCE,
    )
    history = trained.fit(
        *feed(data.train, config.variable_length, settings.batch_size, seed),
        validation_data=feed(data.validation, config.variable_length, JUDGED),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        shuffle=not data.train.on_disk,  # batches of a file are in an order that is by chance, and fast to read
        class_weight=class_weights(data),
        verbose=0,
        callbacks=[
            *keeping(settings),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(logs)),
            *callbacks,
        ],
    )
    losses = history.history["val_loss"]
    if not np.isfinite(losses[settings.kept(losses)]):
        raise Diverged(
            f"expected a finite validation loss, received {losses[-1]} after {len(losses)} epochs: training diverged. "
            "A smaller learning_rate usually helps"
        )
    return model, {name: [float(value) for value in values] for name, values in history.history.items()}


def class_weights(data: Data) -> dict[int, float] | None:
    """Weights in the training loss by class index, which make every class count alike; None where classes are even."""
    if not data.labels:
        return None
    classes, counts = np.unique(data.train.targets, return_counts=True)
    if counts.max() <= UNEVEN * counts.min():
        return None
    weights = counts.sum() / (len(counts) * counts)
    return dict(zip(classes.tolist(), weights.tolist(), strict=True))


def _chosen(data_name: str, options: dict[str, int] | TableOptions) -> bool:
    """Whether the features are what was asked for, and not whatever columns of numbers a table has."""
    if not isinstance(options, TableOptions) or Path(data_name).suffix.lower() == ".npz":
        return True
    return options.feature_columns is not None


def _announce(data: Data, *, chosen: bool) -> None:
    """Prints what is fitted, how classes are weighted, and what chooses the features where nobody has `chosen` them."""
    console = Console(markup=False, highlight=False, soft_wrap=True)
    console.print(str(data))
    weights = class_weights(data)
    if weights:
        console.print("class weights: " + ", ".join(f"{data.labels[i]} {weight:.2f}" for i, weight in weights.items()))
    if not chosen:
        console.print("features: every column of numbers; --feature-columns chooses")

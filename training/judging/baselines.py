"""What a model is held against: the plain LSTM of the same size, and an answer that needs no model."""

from pathlib import Path

import numpy as np

from training.data.datasets import Data
from training.fit import Run, fit
from training.models import ModelConfig
from training.runs import RUN_FILE

TWIN_FOLDER = "twin"
OF_ATTENTION = {"position", "score", "normalizer", "per_feature", "block_noise"}  # what a plain LSTM has none of


def plain(config: ModelConfig) -> ModelConfig:
    """The same model without attention: of the same size, with the same dropout and noise on its inputs."""
    return ModelConfig(position="none", **config.model_dump(exclude=OF_ATTENTION))


def fit_twin(run: Run, folder: Path) -> Run:
    """Fits the plain LSTM as the run in `folder` was fitted, with the same seeds, into the run folder `folder/twin`.

    One that is there and was fitted so is taken as it is.
    """
    target = folder / TWIN_FOLDER
    wanted = run.model_copy(update={"model": plain(run.model)})
    if (target / RUN_FILE).exists():
        found = Run.read(target)
        same_seeds = found.validation_loss.keys() == run.validation_loss.keys()
        if same_seeds and found.model_copy(update={"validation_loss": run.validation_loss}) == wanted:
            return found
    return fit(run.data, run.data_options, wanted.model, run.fit, list(run.validation_loss), target)


def trivial(data: Data) -> tuple[str, np.ndarray]:
    """An answer that needs no model: its name, and its prediction for the test part, `(sample, outputs)`.

    The most frequent class or the mean of the training part; for a forecast, the last value of the target.
    """
    test, targets = data.test, data.train.targets
    if data.target is not None:
        column = data.features.index(data.target)
        last = test.sequences[np.arange(len(test)), test.lengths - 1, column]
        return "copy of the last value", np.repeat(last[:, None], data.outputs, axis=1)
    if data.task == "regression":
        return "mean of the training targets", np.full((len(test), 1), targets.mean())
    majority = int(np.bincount(targets).argmax())
    one_hot = np.eye(len(data.labels))[np.full(len(test), majority)]
    name = f"majority class, {data.labels[majority]}"
    return name, one_hot if data.task == "multiclass" else one_hot[:, 1:]

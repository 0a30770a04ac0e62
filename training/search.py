"""Tries a handful of configurations within a time budget, by their validation loss; the test part has no say in it.

It is a search step by step: each try changes something about the best configuration so far, and becomes the best if it
lowers the loss. What promises most comes first: the two classic positions and scores, then sizes and noise, then the
other scores. A try gets a quarter of the epochs of a fit. All have attention, unless the user chose position none: the
plain LSTM is what `evaluate` compares with.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from training.data.datasets import Data
from training.fit import Diverged, fit_seed
from training.models import ModelConfig
from training.runs import SEARCH_FILE, FitConfig

PLAN: list[dict[str, Any]] = [
    {"position": "before", "score": "dense"},
    {"position": "after", "score": "additive"},
    {"position": "before", "score": "additive"},
    {"position": "after", "score": "dense"},
    {"bidirectional": True},
    {"dropout": 0.3},
    {"units": 64},
    {"scaling": "sequence"},
    {"input_noise": 0.5},
    {"layers": 2},
    *(
        {"position": position, "score": score}
        for score in ("local", "dot", "general", "cosine")
        for position in ("after", "before")
    ),
]


class Try(BaseModel):
    """One configuration and how it did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelConfig
    validation_loss: float | None = Field(description="of the weights kept; None: training diverged")
    metric: float | None = Field(description="accuracy of that epoch or, of values, root mean squared error")
    epochs: int
    seconds: float

    @property
    def rank(self) -> float:
        """The loss, infinite where training diverged."""
        return float("inf") if self.validation_loss is None else self.validation_loss


class Tries(BaseModel):
    """search.json: every try, the best first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: float = Field(description="seconds")
    tries: list[Try]


class StopAfter(keras.callbacks.Callback):
    """Ends training with the epoch in which a time of `time.monotonic` has come."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self._end = end

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Looks at the clock."""
        if time.monotonic() >= self._end:
            self.model.stop_training = True


def search(
    data: Data, start: ModelConfig, settings: FitConfig, budget: float, fixed: Iterable[str], folder: Path
) -> ModelConfig:
    """Tries configurations, shows them in a table, and writes them to `folder/search.json`.

    Args:
        start: what is not tried is taken from it.
        settings: of the fit to come; a try gets a quarter of its epochs, but five where it has them.
        budget: seconds; no try begins after them, and the one that has begun ends with its epoch.
        fixed: names of fields of `start` that the user chose, which stay as they are; what does not go with them is
            not tried.

    Returns:
        The one with the lowest validation loss.
    """
    console = Console(markup=False, highlight=False, soft_wrap=True)
    began = time.monotonic()
    tries = sorted(_try_all(data, start, settings, budget, set(fixed)), key=lambda one: one.rank)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SEARCH_FILE).write_text(Tries(budget=budget, tries=tries).model_dump_json(indent=1) + "\n")
    Console().print(table(tries, data))
    plural = "s" * (len(tries) > 1)
    console.print(f"{len(tries)} configuration{plural} tried in {time.monotonic() - began:.0f} s; now fitting the best")
    return tries[0].model


def _try_all(data: Data, start: ModelConfig, settings: FitConfig, budget: float, fixed: set[str]) -> list[Try]:
    """The tries in their order, at least one."""
    end = time.monotonic() + budget
    epochs = min(settings.epochs, max(settings.epochs // 4, 5))
    settings = settings.model_copy(update={"epochs": epochs, "patience": max(3, epochs // 3)})
    tries: list[Try] = []
    best = start
    columns = (TextColumn("search"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}")) as progress:
        bar = progress.add_task("", total=len(PLAN))
        for changes in PLAN:
            if tries and time.monotonic() >= end:
                break
            model = change(best, {name: value for name, value in changes.items() if name not in fixed}, start)
            if model is not None and all(model != one.model for one in tries):
                tries.append(_try(data, model, settings, StopAfter(end)))
            leader = min(tries, key=lambda one: one.rank)
            best = leader.model
            progress.update(bar, advance=1, description=f"best validation loss {leader.rank:.4f}")
    return tries


def change(model: ModelConfig, changes: dict[str, Any], start: ModelConfig) -> ModelConfig | None:
    """The model with other values, less what makes no sense with them; block noise, if there is a block, of `start`.

    None where they do not go with what the model has, such as the cosine with a vector for each feature.
    """
    values = model.model_dump() | changes
    if values["position"] == "none":
        values["score"] = model.score
    values["block_noise"] = start.block_noise if values["position"] == "before" else 0.0
    try:
        return ModelConfig(**values)
    except ValidationError:
        return None


def _try(data: Data, model: ModelConfig, settings: FitConfig, stop: StopAfter) -> Try:
    began = time.monotonic()
    try:
        _, history = fit_seed(data, model, settings, 0, lambda logs: None, stop)
    except Diverged:
        return Try(model=model, validation_loss=None, metric=None, epochs=0, seconds=time.monotonic() - began)
    kept = settings.kept(history["val_loss"])
    loss = history["val_loss"][kept]
    root = float(np.sqrt(loss) * data.train.targets.std())  # the loss of a value is that of a standardized target
    return Try(
        model=model,
        validation_loss=loss,
        metric=history["val_accuracy"][kept] if data.labels else root,
        epochs=len(history["val_loss"]),
        seconds=time.monotonic() - began,
    )


def table(tries: list[Try], data: Data) -> Table:
    """The tries as they are given, for people: the settings that differ between them, and how they did."""
    dumps = [one.model.model_dump() for one in tries]
    names = [name for name in dumps[0] if any(dump[name] != dumps[0][name] for dump in dumps)]
    shown = Table(*(name.replace("_", " ") for name in names))
    for name in ("validation loss", "accuracy" if data.labels else "rmse", "epochs", "seconds"):
        shown.add_column(name, justify="right")
    for one, dump in zip(tries, dumps, strict=True):
        numbers = ["diverged", ""] if one.metric is None else [f"{one.rank:.4f}", f"{one.metric:.4g}"]
        shown.add_row(*(str(dump[name]) for name in names), *numbers, str(one.epochs), f"{one.seconds:.1f}")
    return shown

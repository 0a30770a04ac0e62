"""A run folder: what stands where in it, how it is filled, and how its losses are shown and drawn."""

import itertools
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

import altair as alt
import keras
import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.explanations.charts.chart import PADDING, Chart
from service.explanations.charts.rendering import svg
from service.explanations.charts.stacking import WIDTH

RUN_FILE, METRICS_FILE, REPORT_FILE, CURVE_FILE = "run.json", "metrics.json", "report.html", "learning-curve.svg"
MODEL_FILE, HISTORY_FILE, SEARCH_FILE = "model.keras", "history.json", "search.json"
History = dict[str, list[float]]  # losses and metrics of a fit, by epoch
Advance = Callable[[dict[str, float]], None]  # told the losses of each epoch
BATCHES_AT_ONCE = 32  # in one call of TensorFlow: of small models, calls from Python take longer than the training


class FitConfig(BaseModel):
    """How to fit; kept in the run folder and in model.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=50, gt=0, description="epochs at most")
    keep: Literal["best", "last"] = Field(
        default="best", description="weights of the epoch with the lowest validation loss, or of the last one"
    )
    patience: int = Field(
        default=20, gt=0, description="keeping the best: stop after this many epochs without a lower validation loss"
    )
    batch_size: int = Field(default=32, gt=0)
    learning_rate: float = Field(default=0.003, gt=0, description="of Adam, at first; a cosine takes it down to 0")

    def kept(self, losses: list[float]) -> int:
        """Which epoch's weights are kept, of the validation losses of all; one that is not finite where none is."""
        lost = self.keep == "last" or not np.isfinite(losses).any()
        return len(losses) - 1 if lost else int(np.nanargmin(losses))

    def kept_losses(self, histories: dict[int, History]) -> dict[int, float]:
        """The validation loss of the weights that are kept, by seed."""
        losses = {seed: history["val_loss"] for seed, history in histories.items()}
        return {seed: each[self.kept(each)] for seed, each in losses.items()}


class BaseRun(BaseModel):
    """What run.json holds of every run; what was fitted, and on what, is added by each kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: FitConfig
    validation_loss: dict[int, float] = Field(description="of the weights kept, by seed")

    @property
    def chosen(self) -> int:
        """The seed to publish: the lowest validation loss. The test part has no say in it."""
        return min(self.validation_loss, key=self.validation_loss.__getitem__)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads `folder/run.json`."""
        return cls.model_validate_json((folder / RUN_FILE).read_bytes())


def optimizer(config: FitConfig, samples: int) -> keras.optimizers.Optimizer:
    """Adam, its learning rate taken down to 0 over all epochs of `samples` (I. Loshchilov and F. Hutter, 2017)."""
    steps = config.epochs * math.ceil(samples / config.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    return keras.optimizers.Adam(schedule, clipnorm=1.0)


def keeping(config: FitConfig) -> list[keras.callbacks.Callback]:
    """What leaves a model with the weights that are kept, and ends its training early where those are the best."""
    if config.keep == "last":
        return []
    return [keras.callbacks.EarlyStopping("val_loss", patience=config.patience, restore_best_weights=True)]


def seed_folder(run: Path, seed: int) -> Path:
    """Where a run keeps what belongs to one seed."""
    return run / f"seed-{seed}"


def clear(folder: Path) -> None:
    """Removes what an earlier run left in the folder, so that nothing in it is of another model."""
    for name in (RUN_FILE, METRICS_FILE, REPORT_FILE, CURVE_FILE, SEARCH_FILE):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob("seed-*"):
        if re.fullmatch(r"seed-\d+", path.name) and (path / MODEL_FILE).is_file():
            shutil.rmtree(path)


def fit_seeds(
    folder: Path, seeds: list[int], epochs: int, fit_one: Callable[[int, Advance], tuple[keras.Model, History]]
) -> dict[int, History]:
    """Fits a model for each seed, showing how far it is, and writes each into its folder of the run.

    Returns:
        The history of each, by seed.
    """
    histories: dict[int, History] = {}
    for seed in seeds:
        target = seed_folder(folder, seed)
        target.mkdir(parents=True, exist_ok=True)
        with progress(f"{folder.name} seed {seed}", epochs) as advance:
            fitted, histories[seed] = fit_one(seed, advance)
        fitted.save(target / MODEL_FILE)
        (target / HISTORY_FILE).write_text(json.dumps(histories[seed], indent=1))
    return histories


def write(folder: Path, run: BaseRun, histories: dict[int, History]) -> None:
    """Writes run.json, and draws the losses."""
    (folder / RUN_FILE).write_text(run.model_dump_json(indent=1) + "\n")
    (folder / CURVE_FILE).write_text(svg(learning_curve(folder.name, histories)))


@contextmanager
def progress(title: str, epochs: int) -> Iterator[Advance]:
    """A progress bar over epochs, with the latest losses beside it; without a terminal, a line for every tenth."""
    console = Console(markup=False, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    losses = TextColumn("{task.fields[losses]}")
    with Progress(*columns, losses, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=epochs, losses="")
        done = itertools.count(1)

        def advance(logs: dict[str, float]) -> None:
            epoch = next(done)
            said = f"loss {logs['loss']:.4f}  validation {logs['val_loss']:.4f}"
            bar.update(task, advance=1, losses=said)
            if bar.disable and epoch * 10 // epochs > (epoch - 1) * 10 // epochs:
                console.print(f"{title}  epoch {epoch} of {epochs}  {said}")

        yield advance


def learning_curve(title: str, histories: dict[int, History]) -> Chart:
    """Training and validation loss by epoch, a line for each seed."""
    names = {"loss": "training", "val_loss": "validation"}
    losses = [
        {"epoch": epoch, "loss": max(loss, 1e-7), "split": names[name], "seed": str(seed)}
        for seed, history in histories.items()
        for name in names
        for epoch, loss in enumerate(history[name], start=1)
    ]
    view = (
        alt.Chart(alt.NamedData("losses"), title=title, padding=PADDING, width=WIDTH, height=260)
        .mark_line(strokeWidth=1.5)
        .encode(
            x=alt.X("epoch:Q").axis(tickMinStep=1),
            y=alt.Y("loss:Q").scale(type="log").axis(format="~g", tickCount=6),
            color="split:N",
            strokeDash="seed:N",
        )
    )
    return Chart(view, {"losses": losses})

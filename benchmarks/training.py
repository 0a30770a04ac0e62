"""Training throughput: a plain `model.fit` on arrays, `fit` in memory, and `fit` streamed from Parquet.

    python -m benchmarks.training --out training.md

The same model on the same sequences (planted: 20 steps × 2, LSTM of 32, attention before it). The three take turns, an
epoch each, so that what else the machine does falls on all alike. An epoch counts with its validation and callbacks;
the first one, in which TensorFlow compiles, does not.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd

from training.data.datasets import Data, planted
from training.data.stream import load_streamed
from training.data.tables import TableOptions, load_table
from training.fit import FitConfig, fit_seed
from training.models import ModelConfig, Scaling, build

MODEL = ModelConfig(position="before", units=32, input_noise=0.5, block_noise=4)
LEARNING_RATE = 0.003


def write(data: Data, path: Path) -> None:
    """Writes the sequences of a data set as a long table that says their parts."""
    tables = []
    for part in ("train", "validation", "test"):
        split = getattr(data, part)
        samples, steps, features = split.sequences.shape
        table = pd.DataFrame(split.sequences.reshape(-1, features), columns=data.features)
        table["id"] = [f"{part}-{i}" for i in range(samples) for _ in range(steps)]
        table["time"] = np.tile(np.arange(steps), samples)
        table["target"] = np.repeat(split.targets, steps)
        tables.append(table.assign(split=part))
    pd.concat(tables).to_parquet(path, index=False)


class Turns:
    """Lets threads run one after the other, an epoch each, so that what else the machine does falls on all alike."""

    def __init__(self, count: int) -> None:
        self.turns = [threading.Semaphore(int(i == 0)) for i in range(count)]
        self.epochs: list[list[tuple[float, float]]] = [[] for _ in range(count)]
        self.started = (0.0, 0.0)

    def take(self, i: int) -> None:
        """Waits for the turn of thread `i`."""
        self.turns[i].acquire()
        self.started = (time.perf_counter(), time.process_time())

    def end(self, i: int) -> None:
        """Notes seconds and CPU seconds of the epoch, and hands the turn on."""
        self.epochs[i].append((time.perf_counter() - self.started[0], time.process_time() - self.started[1]))
        self.turns[(i + 1) % len(self.turns)].release()


def plain(data: Data, epochs: int, batch_size: int, on_epoch: Callable[..., None]) -> None:
    """What a person would write who has Keras only."""
    train, validation = data.train, data.validation
    scaling = Scaling.learn(train.sequences, train.lengths, train.targets, data.task)
    model = build(MODEL, task=data.task, outputs=data.outputs, time=data.time, scaling=scaling)
    trained = keras.Model(model.input, model.output["prediction"])
    trained.compile(keras.optimizers.Adam(LEARNING_RATE), "binary_crossentropy", metrics=["accuracy"])
    trained.fit(
        train.sequences,
        train.targets,
        validation_data=(validation.sequences, validation.targets),
        epochs=epochs,
        batch_size=batch_size,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=on_epoch)],
    )


def ours(data: Data, epochs: int, batch_size: int, on_epoch: Callable[..., None]) -> None:
    """What `fit` does."""
    settings = FitConfig(epochs=epochs, batch_size=batch_size, learning_rate=LEARNING_RATE, patience=epochs)
    fit_seed(data, MODEL, settings, 0, on_epoch)


def measure(ways: list[Callable[..., None]], epochs: int, batch_size: int) -> np.ndarray:
    """Seconds and CPU seconds, `(way, epoch, 2)`."""
    turns = Turns(len(ways))

    def run(i: int) -> None:
        def on_epoch(*_: object) -> None:
            turns.end(i)
            turns.take(i)

        turns.take(i)
        ways[i](epochs + 1, batch_size, on_epoch)
        turns.end(i)

    threads = [threading.Thread(target=run, args=[i]) for i in range(len(ways))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.array(turns.epochs)[:, 1:-1]  # neither the first, which compiles, nor what comes after the last


def report(names: list[str], found: np.ndarray, batch_size: int, sequences: int) -> list[str]:
    """Rows of a Markdown table; medians of the epochs, and of the ratios of epochs that came after each other."""
    rows = []
    for i, name in enumerate(names):
        seconds, cpu = found[i].T
        of_plain, of_memory = (np.median(found[other, :, 0] / seconds) for other in (0, 1))
        rows.append(
            f"| {batch_size} | {name} | {sequences / np.median(seconds):,.0f} | {of_plain:.2f} | {of_memory:.2f} "
            f"| {1e6 * np.median(cpu) / sequences:,.0f} |"
        )
    return rows


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data = planted()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "planted.parquet"
        write(data, path)
        whole, streamed = load_table(path, TableOptions()), load_streamed(path, TableOptions(memory=0))
    names = ["plain `model.fit` on arrays", "`fit`, in memory", "`fit`, streamed"]
    ways = [partial(plain, data), partial(ours, whole), partial(ours, streamed)]
    lines = ["| batch | | sequences/s | of plain | of in memory | CPU µs/sequence |", "|---|---|---|---|---|---|"]
    for batch_size in arguments.batch_sizes:
        found = measure(ways, arguments.epochs, batch_size)
        lines += report(names, found, batch_size, len(data.train))
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()

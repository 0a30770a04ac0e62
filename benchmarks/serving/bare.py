"""What ONNX Runtime itself takes: `session.run` in a loop, one thread, everything prepared before.

    python -m benchmarks.serving.bare model.onnx feeds.npz --seconds 3

`feeds.npz` holds the inputs of each run as `0.sequences`, `0.lengths`, `1.sequences`, ...; they are run in turn. Prints
a `Measured` as JSON.
"""

import argparse
import itertools
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.serving.measured import Measured

Feed = dict[str, np.ndarray]


def open_session(path: Path) -> ort.InferenceSession:
    """The model on one thread of the CPU; all else as ONNX Runtime has it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def feed(session: ort.InferenceSession, sequences: list[np.ndarray]) -> Feed:
    """One run's inputs for sequences `(time, feature)`, padded to the longest where the model takes lengths."""
    if len(session.get_inputs()) == 1:
        return {"sequences": np.stack(sequences)}
    lengths = np.array([len(sequence) for sequence in sequences], np.int32)
    padded = np.zeros((len(sequences), lengths.max(), sequences[0].shape[1]), np.float32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return {"sequences": padded, "lengths": lengths}


def write_feeds(path: Path, feeds: list[Feed]) -> None:
    """Writes `feeds.npz`."""
    arrays: dict[str, Any] = {f"{i}.{name}": array for i, each in enumerate(feeds) for name, array in each.items()}
    np.savez(path, **arrays)


def read_feeds(path: Path) -> list[Feed]:
    """Reads `feeds.npz`."""
    feeds: dict[str, Feed] = {}
    for key, array in np.load(path).items():
        i, name = key.split(".")
        feeds.setdefault(i, {})[name] = array
    return list(feeds.values())


def measure(session: ort.InferenceSession, feeds: list[Feed], seconds: float) -> Measured:
    """Runs the feeds in turn; a tenth of the time is warm-up. At least each is run once."""
    clock, times, sequences = time.perf_counter, [], 0
    names = ["prediction", "attention"]
    warm = clock() + seconds / 10
    for each in itertools.cycle(feeds):
        session.run(names, each)
        if clock() > warm:
            break
    cpu, begin = time.process_time(), clock()
    before = begin
    for each in itertools.cycle(feeds):
        session.run(names, each)
        now = clock()
        times.append(now - before)
        sequences += len(each["sequences"])
        before = now
        if now - begin > seconds and len(times) >= len(feeds):
            break
    cpu, length = time.process_time() - cpu, before - begin
    return Measured.of(np.array(times), sequences / length, len(times) / length, cpu / sequences)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("feeds", type=Path)
    parser.add_argument("--seconds", type=float, default=3)
    arguments = parser.parse_args()
    measured = measure(open_session(arguments.model), read_feeds(arguments.feeds), arguments.seconds)
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main()

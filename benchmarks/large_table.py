"""Fits a table larger than memory, in a process of its own, and says the most memory that took.

    python -m benchmarks.large_table --gigabytes 5 --folder /tmp/large

Rows come as a log has them: 2,500 machines at a time, hour after hour, so that the rows of one lie far apart and in two
row groups. One hour, the same for all, holds the answer. The size is that in memory: 13 columns of 8 bytes.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

STEPS, FEATURES, TOGETHER, PLANTED = 50, 10, 2_500, 30
COLUMNS = 3 + FEATURES


def log(first: int, random: np.random.Generator) -> pa.Table:
    """The rows of machines `first` to `first + TOGETHER`, ordered by time."""
    targets = random.integers(0, 2, TOGETHER)
    values = random.standard_normal((STEPS, TOGETHER, FEATURES))
    values[PLANTED] = targets[:, None]
    columns = {
        "id": np.tile(first + np.arange(TOGETHER), STEPS),
        "time": np.repeat(np.arange(STEPS), TOGETHER),
        **{f"x{i}": values[:, :, i].ravel() for i in range(FEATURES)},
        "target": np.tile(targets, STEPS),
    }
    return pa.table(columns)


def write(path: Path, gigabytes: float) -> int:
    """Writes the table; returns how many sequences it holds."""
    random = np.random.default_rng(0)
    ids = round(gigabytes * 1e9 / (8 * COLUMNS * STEPS))
    with pq.ParquetWriter(path, log(0, random).schema) as writer:
        for first in range(0, ids, TOGETHER):
            writer.write_table(log(first, random), row_group_size=100_000)
    return -(-ids // TOGETHER) * TOGETHER


def fit(table: Path, run: Path) -> float:
    """Fits the table for one epoch; returns the peak of the process's resident memory, in megabytes."""
    command = [sys.executable, "-m", "training", "fit", str(table), "--epochs", "1", "--batch-size", "256"]
    subprocess.run([*command, "--out", str(run)], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Writes the table if it is not there yet, and fits it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/large"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    table = arguments.folder / f"{arguments.gigabytes:g}-gigabytes.parquet"
    if not table.exists():
        print(f"{write(table, arguments.gigabytes):,} sequences of {STEPS} steps × {FEATURES} in {table}")
    started = time.perf_counter()
    peak = fit(table, arguments.folder / "run")
    minutes = (time.perf_counter() - started) / 60
    print(f"{arguments.gigabytes:g} GB: {minutes:.1f} minutes, at most {peak:,.0f} MB of memory")


if __name__ == "__main__":
    main()

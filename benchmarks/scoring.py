"""Scores a table with `python -m service score`, in turns with ONNX Runtime alone on as many cores.

    python -m benchmarks.scoring --sequences 10_000_000 --folder /tmp/scoring --kill

The table holds planted sequences, 20 steps × 2 features. In each turn come: `session.run` in a loop on every core, its
arrays made before; predictions alone; predictions with the attention of every step. What is measured of ours is the
whole command, from its start until its file is there.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.serving.bare import write_feeds

MODEL = Path("models/planted-before/1/model.onnx")
STEPS, PLANTED, BATCH, FEEDS = 20, 10, 256, 64
TOGETHER = 50_000  # sequences of a row group
WAYS = {"predictions": "--no-attention", "with attention": "--attention"}
GOALS = {"predictions": 0.8, "with attention": 0.6}


class Cost(NamedTuple):
    """Seconds on the clock, and microseconds of CPU."""

    seconds: float
    cpu: float


def planted(count: int, random: np.random.Generator) -> np.ndarray:
    """Sequences `(count, time, feature)`."""
    values = random.standard_normal((count, STEPS, 2), np.float32)
    values[:, PLANTED] = random.integers(0, 2, (count, 1))
    return values


def as_lists(first: int, values: np.ndarray) -> pa.Table:
    """A row for each sequence."""
    offsets = pa.array(np.arange(0, len(values) * STEPS + 1, STEPS, dtype=np.int32))
    lists = [pa.ListArray.from_arrays(offsets, pa.array(values[:, :, i].ravel())) for i in range(2)]
    return pa.table({"id": np.arange(first, first + len(values)), "x0": lists[0], "x1": lists[1]})


def as_long(first: int, values: np.ndarray) -> pa.Table:
    """A row for each step."""
    return pa.table(
        {
            "id": np.repeat(np.arange(first, first + len(values)), STEPS),
            "time": np.tile(np.arange(STEPS, dtype=np.int32), len(values)),
            **{f"x{i}": values[:, :, i].ravel() for i in range(2)},
        }
    )


def write(path: Path, sequences: int, layout: str) -> None:
    """Writes the table, some row groups at a time."""
    random = np.random.default_rng(0)
    make = {"lists": as_lists, "long": as_long}[layout]
    with pq.ParquetWriter(path, make(0, planted(1, random)).schema, use_dictionary=["time"]) as writer:
        for first in range(0, sequences, TOGETHER):
            table = make(first, planted(min(TOGETHER, sequences - first), random))
            writer.write_table(table, row_group_size=len(table))


def bare(feeds: Path, cores: int, seconds: float) -> Cost:
    """What `session.run` takes, all cores together."""
    command = [sys.executable, "-m", "benchmarks.serving.bare", str(MODEL), str(feeds), "--seconds", str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(cores)]
    found = [json.loads(process.communicate()[0]) for process in running]
    return Cost(1 / sum(each["sequences"] for each in found), float(np.mean([each["cpu"] for each in found])))


def start(table: Path, out: Path, attention: str, cores: int) -> subprocess.Popen[bytes]:
    """Starts the command."""
    command = [sys.executable, "-m", "service", "score", table, out, "--model", "planted-before", attention]
    command = [*command, "--cores", cores]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ours(table: Path, out: Path, attention: str, cores: int) -> tuple[Cost, float]:
    """What the command takes as a whole, and the most memory, in MB."""
    out.unlink(missing_ok=True)
    begun = time.perf_counter()
    _, status, usage = os.wait4(start(table, out, attention, cores).pid, 0)
    if status != 0:
        raise SystemExit(f"expected exit status 0, received {status}")
    return Cost(time.perf_counter() - begun, 1e6 * (usage.ru_utime + usage.ru_stime)), usage.ru_maxrss / 1024


def kill_twice(table: Path, out: Path, attention: str, cores: int, seconds: float) -> None:
    """Runs it again, killed a third of the time in and once more; the file must be the same."""
    again = out.with_name(f"killed-{out.name}")
    again.unlink(missing_ok=True)
    for _ in range(2):
        process = start(table, again, attention, cores)
        time.sleep(seconds / 3)
        process.kill()
        process.wait()
        parts = len(list(again.with_name(f"{again.name}.unfinished").glob("*.arrow")))
        print(f"killed with {parts} parts done; the file is {'there' if again.exists() else 'not there'}")
    ours(table, again, attention, cores)
    print(f"the file is {'the same' if _same(out, again) else 'ANOTHER'}, byte for byte")


def _same(one: Path, other: Path) -> bool:
    return subprocess.run(["cmp", "--silent", one, other], check=False).returncode == 0


def main() -> None:
    """Writes the table if it is not there yet, and takes turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=10_000_000)
    parser.add_argument("--layout", choices=["lists", "long"], default="lists", help="of the table")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/scoring"))
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--kill", action="store_true", help="kill it twice, too, and compare")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    table = arguments.folder / f"{arguments.layout}-{arguments.sequences}.parquet"
    feeds, out = arguments.folder / "feeds.npz", arguments.folder / "out.parquet"
    shutil.rmtree(out.with_name("out.parquet.unfinished"), ignore_errors=True)
    if not table.exists():
        write(table, arguments.sequences, arguments.layout)
    random = np.random.default_rng(1)
    write_feeds(feeds, [{"sequences": planted(BATCH, random)} for _ in range(FEEDS)])
    ratios: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for turn in range(arguments.turns):
        alone = bare(feeds, arguments.cores, 5)
        print(f"turn {turn + 1}: bare {1 / alone.seconds:,.0f} sequences/s, {alone.cpu:.2f} µs of CPU each")
        for way, attention in WAYS.items():
            cost, memory = ours(table, out, attention, arguments.cores)
            each = Cost(cost.seconds / arguments.sequences, cost.cpu / arguments.sequences)
            ratios[way].append((alone.seconds / each.seconds, alone.cpu / each.cpu))
            print(f"  {way}: {1 / each.seconds:,.0f} sequences/s, {each.cpu:.2f} µs each; {memory:,.0f} MB at most")
    for way, found in ratios.items():
        clock, cpu = np.median(found, axis=0)
        print(f"{way}: {clock:.2f} of bare (must be {GOALS[way]}); by CPU time {cpu:.2f}")
    if arguments.kill:
        kill_twice(table, out, WAYS["with attention"], arguments.cores, cost.seconds)


if __name__ == "__main__":
    main()

"""Sequences written to files in every layout that is read."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def draw(count, features=2, low=20, high=20, seed=0):
    """Sequences `(time, feature)` of `low` to `high` steps."""
    random = np.random.default_rng(seed)
    lengths = random.integers(low, high + 1, count)
    return [random.standard_normal((time, features)).astype(np.float32) for time in lengths]


def names(features):
    return [f"x{i}" for i in range(features)]


def lists(sequences, features=None):
    """A row for each sequence, lists of each feature."""
    columns = {"id": [f"s{i}" for i in range(len(sequences))]}
    for i, name in enumerate(features or names(sequences[0].shape[1])):
        columns[name] = pa.array([sequence[:, i].tolist() for sequence in sequences], pa.list_(pa.float32()))
    return pa.table(columns)


def long(sequences, features=None):
    """A row for each step."""
    steps = [np.arange(len(sequence)) for sequence in sequences]
    values = np.concatenate(sequences)
    return pa.table(
        {
            "id": [f"s{i}" for i, sequence in enumerate(sequences) for _ in sequence],
            "time": np.concatenate(steps),
            **{name: values[:, i] for i, name in enumerate(features or names(values.shape[1]))},
        }
    )


def write_csv(path, table):
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(table.column_names)
        lines.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return path


def write_parquet(path, table, rows=1000):
    pq.write_table(table, path, row_group_size=rows)
    return path

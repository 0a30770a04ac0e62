"""Parquet tables larger than memory, made into a task whose sequences stay on disk.

Two passes, each with a part of the table in memory. The first puts every row into a bucket by a hash of its id, so that
the rows of a sequence come together, wherever they stand in the table. The second reads one bucket after the other as
if it were a table of its own, with all the checks of tables.py; then its sequences go to the files of their parts.

These files are scratch without a name: they are gone with the process, however it ends. What stays in memory of a
sequence is its length, target, part and row: about a hundred bytes.
"""

import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import track

from training.data.datasets import Data, Dataset, forget
from training.data.frames import is_text
from training.data.samples import PARTS, Samples, fill_missing
from training.data.tables import SPLIT, TableOptions, assign, check_unchanged, has_missing, source, to_samples

BUCKET = 64_000_000  # bytes of a bucket in memory; what is made of it takes several times as much
MOST_BUCKETS = 500  # each is an open file
ROWS = 100_000  # read at once
VALUES = 4_000_000  # padded at once
ROW = "row in the file"  # a column of the buckets


def must_stream(path: Path, options: TableOptions) -> bool:
    """Whether a file is a Parquet table that takes more than `options.memory` megabytes. A forecast is not streamed."""
    is_table = path.suffix.lower() == ".parquet" and options.forecast is None
    return is_table and size(path) > options.memory * 1e6


def size(path: Path) -> int:
    """Bytes that a Parquet table takes in memory: 8 for each value, or those of its pages where they are more."""
    metadata = pq.read_metadata(path)
    pages = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return max(8 * metadata.num_rows * metadata.num_columns, pages)


def load_streamed(path: Path, options: TableOptions) -> Data:
    """Reads a Parquet table into a task whose sequences `(sample, time, feature)` are `np.memmap`s.

    Every sequence is in the part that `load_table` puts it in; within a part they stand in the order of the buckets.

    Raises:
        ValueError: something in the file is not as expected, as in `load_table`; of several faults any may be named.
        OSError: the file cannot be read, or the disk has no room for it.
    """
    check_unchanged(path, options)
    folder = _check_room(2 * size(path))
    reason = f"{size(path) / 1e6:,.0f} MB in memory, more than --memory {options.memory}"
    Console(markup=False, highlight=False, soft_wrap=True).print(f"{path.name}: {reason}: streamed through {folder}")
    pieces = _sort_out(path, options)
    some = pieces[0]
    column = pd.concat([piece.targets for piece in pieces])
    split = None if some.split is None else pd.concat([piece.split for piece in pieces]).sort_index()
    by_row = column.sort_index()  # as load_table has them, so that the same parts are drawn
    task, labels, targets, parts = assign(by_row, split, options)
    here = by_row.index.searchsorted(column.index)  # back to the order of the pieces
    imputed = any(has_missing(piece.sequences) for piece in pieces)
    train, validation, test = _write_parts(pieces, targets[here], parts[here], options)
    return Data(
        name=path.stem,
        source=source(path, some, options, "at random", imputed=imputed),
        task=task,
        features=some.features,
        labels=labels,
        train=train,
        validation=validation,
        test=test,
    )


def _sort_out(path: Path, options: TableOptions) -> deque[Samples]:
    """The sequences of a table on disk, in pieces; every sequence is whole, in one of them."""
    count = min(MOST_BUCKETS, size(path) // BUCKET + 1)
    with ExitStack() as open_files:
        buckets = [open_files.enter_context(TemporaryFile()) for _ in range(count)]
        features = _fill_buckets(path, buckets, options)
        pieces = deque(_read_buckets(buckets, options.model_copy(update={"feature_columns": features})))
    if not pieces:
        raise ValueError(f"expected at least one row of data, received an empty table: {path}")
    return pieces


def _fill_buckets(path: Path, buckets: Sequence[IO[bytes]], options: TableOptions) -> list[str] | None:
    """Puts every row into a bucket, an Arrow stream; all rows of an id into the same one.

    Returns:
        The columns that are features of the table as a whole; None where none is.
    """
    file = pq.ParquetFile(path, pre_buffer=False)  # it would read far ahead
    fields = [field for field in file.schema_arrow if not field.name.startswith("__index_level_")]  # pandas' own
    schema = pa.schema([*fields, (ROW, pa.int64())])
    writers = [pa.ipc.new_stream(bucket, schema) for bucket in buckets]
    columns = Columns(schema, options)
    row = 2  # as a person counts: the header is row 1
    batches = file.iter_batches(ROWS, columns=[field.name for field in fields])
    for batch in track(batches, "sorting rows", -(-file.metadata.num_rows // ROWS)):
        rows = pa.array(np.arange(row, row + len(batch)))
        numbered = pa.RecordBatch.from_arrays([*batch.columns, rows], schema=schema)
        columns.see(batch)
        if row == 2:
            _check_first(numbered, options.model_copy(update={"feature_columns": columns.of_numbers}))
        _scatter(numbered, options.id or "id", writers)
        row += len(batch)
    for writer in writers:
        writer.close()
    return columns.features or None


class Columns:
    """Which columns are features, learnt batch by batch: as in tables.py, all but those of nothing but text."""

    def __init__(self, schema: pa.Schema, options: TableOptions) -> None:
        self.asked_for = options.feature_columns
        others = {options.id or "id", options.time or "time", options.target, SPLIT, ROW}
        self.names = [name for name in schema.names if name not in others]
        self.numbers = {name for name in self.names if _is_number(schema.field(name).type)}  # a number was seen
        self.texts: set[str] = set()  # a text was seen

    def see(self, batch: pa.RecordBatch) -> None:
        """Looks at the columns in which no number was seen yet."""
        for name in set(self.names) - self.numbers:
            column = batch.column(name).to_pandas()
            (self.texts if is_text(column) else self.numbers if column.notna().any() else set()).add(name)

    @property
    def of_numbers(self) -> list[str]:
        """The features that are certain already."""
        return self.asked_for or [name for name in self.names if name in self.numbers]

    @property
    def features(self) -> list[str]:
        """The features, when every batch was seen."""
        return self.asked_for or [name for name in self.names if name in self.numbers or name not in self.texts]


def _check_first(batch: pa.RecordBatch, options: TableOptions) -> None:
    """Reads the first rows as if they were all: so most faults show at once, and not after minutes."""
    frame = _to_frame(batch)
    if len(frame):
        to_samples(frame, options)


def _scatter(batch: pa.RecordBatch, identifier: str, writers: list[pa.ipc.RecordBatchStreamWriter]) -> None:
    """Writes the rows of a batch to the buckets of their ids; without ids, to buckets by turns."""
    if identifier in batch.schema.names:
        ids = batch.column(identifier).dictionary_encode()
        hashes = pd.util.hash_array(ids.dictionary.cast(pa.string()).to_numpy(zero_copy_only=False), categorize=False)
        of_ids = np.append(hashes % len(writers), np.uint64(0))  # the last one of a missing id, which is refused later
        buckets = of_ids[ids.indices.fill_null(len(hashes)).to_numpy()]  # (row,)
    else:
        buckets = batch.column(ROW).to_numpy() % len(writers)
    order = np.argsort(buckets, kind="stable")
    starts = np.searchsorted(buckets[order], np.arange(len(writers) + 1))
    batch = batch.take(pa.array(order))
    for writer, start, stop in zip(writers, starts, starts[1:], strict=False):
        if stop > start:
            writer.write_batch(batch.slice(start, stop - start))


def _read_buckets(buckets: Sequence[IO[bytes]], options: TableOptions) -> Iterator[Samples]:
    """The sequences of one bucket after the other, on disk, padded to the longest of the bucket."""
    for bucket in track(buckets, "reading sequences"):
        bucket.seek(0)
        frame = _to_frame(pa.ipc.open_stream(bucket).read_all())
        bucket.close()
        if len(frame):
            samples = to_samples(frame, options)
            with TemporaryFile() as file:
                file.write(samples.sequences.data)
                yield replace(samples, sequences=_mapped(file, samples.sequences.shape))


def _write_parts(
    pieces: deque[Samples], targets: np.ndarray, parts: np.ndarray, options: TableOptions
) -> list[Dataset]:
    """The sequences of each of `PARTS` in a file, padded to the longest of all; empties `pieces` meanwhile.

    Args:
        targets: `(sample,)`, in the order of the pieces.
        parts: `(sample,)`, in the order of the pieces.
    """
    lengths = np.concatenate([piece.lengths for piece in pieces])
    time, features = int(lengths.max()), len(pieces[0].features)
    _check_room(4 * len(lengths) * time * features)
    means = _train_means(pieces, parts == "train") if options.impute == "mean" else None
    counts = {part: int((parts == part).sum()) for part in PARTS}
    with ExitStack() as open_files:
        files = {part: open_files.enter_context(TemporaryFile()) for part in PARTS}
        start = 0
        while pieces:
            piece = pieces.popleft()
            filled = _filled(piece, options, means)
            for rows in np.array_split(np.arange(len(filled)), -(-filled.shape[0] * time * features // VALUES)):
                padded = np.zeros((len(rows), time, features), np.float32)
                padded[:, : filled.shape[1]] = filled[rows]
                for part, file in files.items():
                    file.write(padded[parts[start + rows] == part].data)
            start += len(filled)
        sequences = [_mapped(file, (counts[part], time, features)) for part, file in files.items()]
    chosen = [parts == part for part in PARTS]
    return [Dataset(array, lengths[rows], targets[rows]) for array, rows in zip(sequences, chosen, strict=True)]


def _filled(piece: Samples, options: TableOptions, means: np.ndarray | None) -> np.ndarray:
    """The sequences of a piece without NaN; `means (feature,)` where these stand in."""
    if means is None:
        return fill_missing(piece, np.empty(0), options.impute)
    return np.where(np.isnan(piece.sequences), means, piece.sequences).astype(np.float32)


def _train_means(pieces: deque[Samples], train: np.ndarray) -> np.ndarray:
    """Means `(feature,)` of the known values of the samples where `train (sample,)`."""
    features = pieces[0].features
    total, count, start = np.zeros(len(features)), np.zeros(len(features), np.int64), 0
    for piece in pieces:
        real = np.arange(piece.sequences.shape[1]) < piece.lengths[:, None]
        values = piece.sequences[real & train[start : start + len(real), None]].astype(np.float64)  # (step, feature)
        forget(piece.sequences)
        total += np.nansum(values, axis=0)
        count += (~np.isnan(values)).sum(axis=0)
        start += len(real)
    for name in np.array(features)[count == 0][:1]:
        raise ValueError(f"expected a number for --impute mean in column {name}, received none in the train part")
    return total / count


def _to_frame(table: pa.RecordBatch | pa.Table) -> pd.DataFrame:
    """Rows without the blank ones; their index is the row in the file."""
    return table.to_pandas().set_index(ROW).dropna(how="all")


def _is_number(type: pa.DataType) -> bool:
    return pa.types.is_integer(type) or pa.types.is_floating(type) or pa.types.is_boolean(type)


def _check_room(needed: int) -> str:
    """The folder of scratch files; raises OSError if it has no room for so many bytes."""
    folder = gettempdir()
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"expected {needed / 1e6:,.0f} MB of disk to stream a table through, received {free / 1e6:,.0f} MB in "
            f"{folder}; TMPDIR names another folder"
        )
    return folder


def _mapped(file: IO[bytes], shape: tuple[int, ...]) -> np.ndarray:
    """The float32 values of a file without a name, which is deleted with the array."""
    file.flush()
    return np.memmap(file, np.float32, "r", shape=shape)

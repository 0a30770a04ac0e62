"""A file of sequences, read piece by piece: always the same pieces, so that a run can be taken up again.

Rows count as a person counts them: the header of a table is row 1. Arrays count from 0, as in Python.
"""

import csv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from service.arrays import IntArray
from service.errors import StartupError
from service.manifest import Manifest
from service.score.chunks import starts
from service.score.columns import Columns, find_columns, plain
from service.score.options import Scoring

MOST_ROWS = 32_768  # of a piece, where a row is a sequence
PIECE_BYTES = 16_000_000  # of a piece, about
FIRST_ROW = 2  # of a table: the header is row 1


class Piece(NamedTuple):
    """Whole sequences.

    Attributes:
        name: of the piece; names sort as the pieces are in the file.
        table: their rows.
        rows: `(row,)`, in the file.
        position: up to where the file is read then, of `Source.size`.
    """

    name: str
    table: pa.Table
    rows: IntArray
    position: int


class Source(Protocol):
    """A file.

    Attributes:
        columns: what its columns are.
        size: of all of it, in the unit of `Piece.position`.
    """

    @property
    def columns(self) -> Columns: ...  # noqa: D102

    @property
    def size(self) -> int: ...  # noqa: D102

    def pieces(self) -> Iterator[Piece]:
        """All of it, in order."""


def open_source(path: Path, manifest: Manifest, options: Scoring) -> Source:
    """A file by its suffix.

    Raises:
        StartupError: it is none of the three kinds, or not what the model needs.
    """
    kinds: dict[str, Callable[[Path, Manifest, Scoring], Source]]
    kinds = {".parquet": ParquetSource.open, ".csv": CsvSource.open, ".npz": NpzSource.open}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise StartupError(f"expected a .parquet, .csv or .npz file, received {path}")
    try:
        return kind(path, manifest, options)
    except (OSError, pa.ArrowInvalid, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise StartupError(f"expected to read {path}, received: {error}") from error


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file. No piece crosses from one row group into the next, but for a sequence of a long table that does.

    Attributes:
        groups: the row groups that are read, of `count`.
    """

    path: Path
    columns: Columns
    groups: range
    count: int
    size: int

    @classmethod
    def open(cls, path: Path, manifest: Manifest, options: Scoring) -> "ParquetSource":
        """Reads the schema."""
        file = pq.ParquetFile(path)
        with closing(file):
            columns = find_columns(file.schema_arrow, manifest, options)
            count = file.num_row_groups
            return cls(path, columns, range(count), count, file.metadata.num_rows)

    def pieces(self) -> Iterator[Piece]:
        """See `Source.pieces`."""
        if self.columns.layout != "long":
            return self._batches(self.groups)
        groups = range(self._first_group(), self.groups.stop)
        pieces = _whole_sequences(self._batches(groups), self.columns, self.groups.stop == self.count)
        return (piece for piece in pieces if piece.name >= _name(self.groups.start, 0))

    def _first_group(self) -> int:
        """Where the sequence begins that goes on in the first row group: one before, or further back if that has no
        other sequence.
        """
        first = self.groups.start
        with closing(pq.ParquetFile(self.path)) as file:
            while first > 0:
                first -= 1
                ids = plain(file.read_row_group(first, [self.columns.id])[self.columns.id])
                if len(starts(ids)) > 1:
                    break
        return first

    def _batches(self, groups: range) -> Iterator[Piece]:
        file = pq.ParquetFile(self.path, pre_buffer=False)  # it would read far ahead
        with closing(file):
            for group in groups:
                before = sum(file.metadata.row_group(i).num_rows for i in range(group))
                rows = self._rows_of_piece(file.metadata.row_group(group))
                batches = file.iter_batches(rows, row_groups=[group], columns=self.columns.names, use_threads=False)
                for index, batch in enumerate(batches):
                    numbers = np.arange(before, before + len(batch)) + FIRST_ROW
                    before += len(batch)
                    yield Piece(_name(group, index), pa.Table.from_batches([batch]), numbers, before)

    def _rows_of_piece(self, group: Any) -> int:
        bytes_of_row = max(group.total_byte_size // max(group.num_rows, 1), 4 * len(self.columns.names))
        most = PIECE_BYTES if self.columns.layout == "long" else MOST_ROWS
        return int(min(most, max(1, PIECE_BYTES // bytes_of_row)))


@dataclass(frozen=True)
class CsvSource:
    """A CSV file. The values of a row that has too many or too few of them are no numbers. Blank rows are none."""

    path: Path
    columns: Columns
    size: int

    @classmethod
    def open(cls, path: Path, manifest: Manifest, options: Scoring) -> "CsvSource":
        """Reads the header."""
        with path.open(newline="", encoding="utf-8-sig") as file:
            names = [name.strip() for name in next(csv.reader(file), [])]
        if not names:
            raise StartupError(f"expected a header, received an empty file: {path}")
        schema = pa.schema([(name, pa.string()) for name in names])
        return cls(path, find_columns(schema, manifest, options), path.stat().st_size)

    def pieces(self) -> Iterator[Piece]:
        """See `Source.pieces`."""
        batches = self._batches()
        return _whole_sequences(batches, self.columns, True) if self.columns.layout == "long" else batches

    def _batches(self) -> Iterator[Piece]:
        with self.path.open("rb") as binary, TextIOWrapper(binary, "utf-8-sig", newline="") as file:
            lines = csv.reader(file, skipinitialspace=True)
            names = [name.strip() for name in next(lines)]
            count = min(MOST_ROWS, max(1, PIECE_BYTES // (8 * len(names))))
            texts: list[list[str]] = []
            rows: list[int] = []
            index = 0
            for row, line in enumerate(lines, FIRST_ROW):
                if any(line):
                    texts.append(self._as_long_as(names, line))
                    rows.append(row)
                if len(rows) == count:
                    yield self._piece(names, texts, rows, index, binary.tell())
                    texts, rows, index = [], [], index + 1
            if rows:
                yield self._piece(names, texts, rows, index, self.size)

    def _as_long_as(self, names: list[str], line: list[str]) -> list[str]:
        if len(line) == len(names):
            return line
        wrong = f"a row of {len(line)} values, where the header has {len(names)}"
        values = dict(zip(names, line, strict=False)) | dict.fromkeys(self.columns.values, wrong)
        return [values.get(name, "") for name in names]

    def _piece(self, names: list[str], texts: list[list[str]], rows: list[int], index: int, position: int) -> Piece:
        columns = dict(zip(names, zip(*texts, strict=True), strict=True))
        arrays = {name: pa.array([text or None for text in columns[name]], pa.string()) for name in self.columns.names}
        return Piece(_name(0, index), pa.table(arrays), np.array(rows), position)


@dataclass(frozen=True)
class NpzSource:
    """Arrays `sequences (n, time, feature)` and, where they differ, `lengths (n,)`."""

    path: Path
    columns: Columns
    size: int

    @classmethod
    def open(cls, path: Path, manifest: Manifest, options: Scoring) -> "NpzSource":
        """Reads the shapes."""
        with zipfile.ZipFile(path) as archive, _array(archive, "sequences") as file:
            shape, _, _ = _header(file, "sequences", 3)
        features = manifest.features
        if manifest.vocabulary is not None:
            raise StartupError(f"expected a .parquet or .csv file of texts, received {path}")
        if shape[2] != len(features):
            raise StartupError(f"expected sequences of {len(features)} features, received an array of shape {shape}")
        if options.id or options.time:
            raise StartupError(f"expected no names of columns for arrays, received some: {path}")
        return cls(path, Columns("lists", None, None, features), shape[0])

    def pieces(self) -> Iterator[Piece]:
        """See `Source.pieces`."""
        with zipfile.ZipFile(self.path) as archive, _array(archive, "sequences") as file:
            (count, time, features), dtype, _ = _header(file, "sequences", 3)
            lengths = self._lengths(archive, count, time)
            most = min(MOST_ROWS, max(1, PIECE_BYTES // max(1, time * features * dtype.itemsize)))
            for index, start in enumerate(range(0, count, most)):
                stop = min(start + most, count)
                data = file.read((stop - start) * time * features * dtype.itemsize)
                block = np.frombuffer(data, dtype).reshape(stop - start, time, features)
                real = np.arange(time) < lengths[start:stop, None]
                offsets = pa.array(np.append(0, np.cumsum(real.sum(axis=1))).astype(np.int32))
                flat = [pa.array(np.ascontiguousarray(block[:, :, i][real])) for i in range(features)]
                lists = [pa.ListArray.from_arrays(offsets, values) for values in flat]
                yield Piece(_name(0, index), pa.table(lists, self.columns.values), np.arange(start, stop), stop)

    def _lengths(self, archive: zipfile.ZipFile, count: int, time: int) -> IntArray:
        if "lengths.npy" not in archive.namelist():
            return np.full(count, time)
        with _array(archive, "lengths") as file:
            shape, dtype, _ = _header(file, "lengths", 1)
            lengths: IntArray = np.frombuffer(file.read(), dtype)
        if shape != (count,) or dtype.kind not in "iu" or not ((lengths >= 0) & (lengths <= time)).all():
            raise StartupError(f"expected {count} lengths from 0 to {time}, received others, of shape {shape}")
        return lengths


def _whole_sequences(batches: Iterator[Piece], columns: Columns, to_the_end: bool) -> Iterator[Piece]:
    """Pieces of a long table, cut where a sequence ends: what a batch does not finish goes to the next."""
    rest: Piece | None = None
    for batch in batches:
        piece = batch if rest is None else _join(rest, batch)
        begin = int(starts(plain(piece.table[columns.id]))[-1])  # of a sequence that may go on
        if begin > 0:
            yield piece._replace(table=piece.table.slice(0, begin), rows=piece.rows[:begin])
        rest = piece._replace(table=piece.table.slice(begin), rows=piece.rows[begin:])
    if rest is not None and to_the_end:
        yield rest._replace(name=f"{rest.name}-end")


def _join(rest: Piece, piece: Piece) -> Piece:
    table = pa.concat_tables([rest.table, piece.table]).combine_chunks()
    return piece._replace(table=table, rows=np.concatenate([rest.rows, piece.rows]))


def _name(group: int, index: int) -> str:
    return f"{group:06d}-{index:06d}"


def _array(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return archive.open(f"{name}.npy")
    except KeyError:
        found = ", ".join(each.removesuffix(".npy") for each in archive.namelist())
        raise StartupError(f"expected an array {name}, received {found}") from None


def _header(file: IO[bytes], name: str, axes: int) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape and type of an array of numbers; the file is at its values then. Nothing is unpickled."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if len(shape) != axes or dtype.kind not in "fiub" or (fortran and axes > 1):
        order = "Fortran" if fortran else "C"
        raise StartupError(
            f"expected {name} of {axes} axes of numbers in C order, received {dtype} {shape}, {order} order"
        )
    return shape, dtype, fortran

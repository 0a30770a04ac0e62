"""The parts of a run as one file, .parquet, .csv or .npz, written part by part; and the file of what was wrong."""

import csv
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from service.errors import StartupError
from service.score.parts import Parts
from service.score.scorer import Fault

NPZ_NAMES = {"id": "ids", "prediction": "predictions", "label": "labels", "attention": "attention"}
Write = Callable[[Path, Parts], None]


def writer(out: Path) -> Write:
    """What writes a file of that suffix.

    Raises:
        StartupError: it is none of the three kinds.
    """
    kinds: dict[str, Write] = {".parquet": write_parquet, ".csv": write_csv, ".npz": write_npz}
    if out.suffix.lower() not in kinds:
        raise StartupError(f"expected to write a .parquet, .csv or .npz file, received {out}")
    return kinds[out.suffix.lower()]


def write_parquet(path: Path, parts: Parts) -> None:
    """A row for each sequence: id, prediction, label, attention; a list where there are several numbers."""
    tables = parts.tables()
    first = next(tables)
    labels = [name for name in first.column_names if name == "label"]
    with pq.ParquetWriter(path, first.schema, use_dictionary=labels, compression="zstd", compression_level=1) as file:
        file.write_table(first)
        for table in tables:
            file.write_table(table)


def write_csv(path: Path, parts: Parts) -> None:
    """The same; lists as JSON."""
    tables = map(_without_lists, parts.tables())
    first = next(tables)
    with pa_csv.CSVWriter(path, first.schema) as file:
        file.write_table(first)
        for table in tables:
            file.write_table(table)


def write_npz(path: Path, parts: Parts) -> None:
    """Arrays ids, predictions, labels, attention `(sequence, time)`, padded with zeros, and lengths, of the attention.

    A sequence without a prediction has NaN there, an empty label and the length 0.
    """
    names = next(parts.tables()).column_names
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in NPZ_NAMES.items():
            if name in names:
                fill = np.nan if name == "prediction" else 0
                _write_array(archive, array, fill, partial(_blocks, parts, name, fill))
        if "attention" in names:
            _write_array(archive, "lengths", 0, lambda: (_lengths(table["attention"]) for table in parts.tables()))


def write_faults(path: Path, parts: Parts) -> tuple[int, int]:
    """What was wrong: row, id, expected, received. Returns how many sequences there are, and with how many it was."""
    sequences = wrong = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(Fault._fields)
        for count, faults in parts.notes():
            lines.writerows(faults)
            sequences, wrong = sequences + count, wrong + len(faults)
    return sequences, wrong


def _without_lists(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [_json(scalar) if scalar.is_valid else None for scalar in table[field.name]]
            table = table.set_column(index, field.name, pa.array(texts, pa.string()))
        elif pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table[field.name].cast(pa.string()))
    return table


def _json(scalar: pa.ListScalar) -> str:
    rows = [row.values for row in scalar] if pa.types.is_list(scalar.type.value_type) else None
    nested = scalar.values.to_numpy() if rows is None else [row.to_numpy() for row in rows]
    return orjson.dumps(nested, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _write_array(archive: zipfile.ZipFile, name: str, fill: float, blocks: Callable[[], Iterator[np.ndarray]]) -> None:
    """An array of blocks `(sequence, ...)`, padded with zeros to the widest; read twice, as its shape comes first."""
    shapes = [(block.shape, block.dtype) for block in blocks()]
    count = sum(shape[0] for shape, _ in shapes)
    widest = tuple(np.max([shape[1:] for shape, _ in shapes], axis=0).tolist())
    dtype = np.result_type(*{dtype for _, dtype in shapes})
    header = {"descr": dtype.str, "fortran_order": False, "shape": (count, *widest)}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_2_0(file, header)
        for block in blocks():
            padded = np.full((len(block), *widest), fill if dtype.kind == "f" else np.zeros(1, dtype)[0], dtype)
            padded[tuple(slice(size) for size in block.shape)] = block
            file.write(padded.tobytes())


def _blocks(parts: Parts, name: str, fill: float) -> Iterator[np.ndarray]:
    return (_block(table[name], fill) for table in parts.tables())


def _block(column: pa.ChunkedArray, fill: float) -> np.ndarray:
    """A column as an array: `(sequence,)`, or `(sequence, longest)` of lists."""
    if pa.types.is_list(column.type):
        lengths = _lengths(column)
        block = np.full((len(lengths), lengths.max(initial=0)), fill, np.float32)
        block[np.arange(block.shape[1]) < lengths[:, None]] = pc.list_flatten(column).to_numpy()
        return block
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy())
    return np.array(["" if value is None else str(value) for value in column.to_pylist()])


def _lengths(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy())

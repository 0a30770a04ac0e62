"""The layouts of a table of sequences, and its columns as numbers.

A **long** table has a row for each time step: id, time, a column for each feature. The rows of a sequence stand
together. A table of **lists** has a row for each sequence, and a column of lists for each feature. A **wide** table has
a row for each sequence of one feature: its columns are the steps. A table of **texts** has a text in each row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.arrays import FloatArray
from service.errors import StartupError
from service.manifest import Manifest
from service.score.options import Scoring

SPLIT = "split"  # a column of training's tables


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what.

    Attributes:
        values: of the features; of a wide table, of the steps.
    """

    layout: Literal["long", "lists", "wide", "texts"]
    id: str | None
    time: str | None
    values: list[str]

    @property
    def names(self) -> list[str]:
        """All that are read."""
        return [name for name in (self.id, self.time) if name is not None] + self.values


def find_columns(schema: pa.Schema, manifest: Manifest, options: Scoring) -> Columns:
    """The layout of a table for a model.

    Raises:
        StartupError: a column is missing, or is of another kind than numbers, texts or lists.
    """
    names, features = schema.names, manifest.features
    id = options.id or ("id" if "id" in names else None)
    if manifest.vocabulary is not None:
        return _of_texts(schema, id, options.text)
    time = options.time or ("time" if "time" in names else None)
    is_wide = time is None and len(features) == 1 and features[0] not in names
    values = features
    if is_wide:
        values = [name for name in names if name not in {id, options.target, SPLIT}]
    for name in [id, options.time, *values]:
        if name is not None and names.count(name) != 1:
            raise StartupError(f"expected one column {name}, received {', '.join(names)}")
    types = {name: schema.field(name).type for name in values}
    if values and all(_is_list(type) for type in types.values()):
        return Columns("lists", id, None, values)
    for name, type in types.items():
        if not _is_scalar(type):
            raise StartupError(f"expected numbers in column {name}, received {type}")
    if is_wide:
        _check_steps(values, manifest)
        return Columns("wide", id, None, values)
    if id is None or time is None:
        missing = "id" if id is None else "time"
        raise StartupError(
            f"expected a column {missing} (--{missing} names another), as {values[0]} has one number in a row, "
            f"received {', '.join(names)}"
        )
    return Columns("long", id, time, values)


def _of_texts(schema: pa.Schema, id: str | None, text: str) -> Columns:
    for name in [id, text]:
        if name is not None and schema.names.count(name) != 1:
            raise StartupError(f"expected one column {name}, received {', '.join(schema.names)}")
    type = schema.field(text).type
    if not _is_text(type) and not (pa.types.is_dictionary(type) and _is_text(type.value_type)):
        raise StartupError(f"expected texts in column {text} (--text names another), received {type}")
    return Columns("texts", id, None, [text])


def floats(column: pa.Array) -> FloatArray:
    """A column as float32 `(row,)`; what is missing, no number, or too large is not finite."""
    if pa.types.is_null(column.type) or pa.types.is_decimal(column.type) or pa.types.is_boolean(column.type):
        column = column.cast(pa.float64())
    elif _is_text(column.type):
        column = parsed(column, pa.float64(), float)
    numbers: np.ndarray = column.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32, copy=False)


def times(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """What to order by, `(row,)`, and where it is missing, bool `(row,)`: numbers, or dates, also as text."""
    if _is_text(column.type):
        numbers = parsed(column, pa.float64(), float)
        if numbers.null_count > column.null_count:
            numbers = parsed(column, pa.timestamp("us"), _date)
        column = numbers
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int64()) if not pa.types.is_date32(column.type) else column.cast(pa.int32())
    missing = column.is_null().to_numpy(zero_copy_only=False)
    values = column.fill_null(0).to_numpy(zero_copy_only=False)
    if values.dtype.kind == "f":
        missing = missing | np.isnan(values)
    return values, missing


def parsed(column: pa.Array, type: pa.DataType, read: Callable[[str], Any]) -> pa.Array:
    """Texts as another type, null where they are none of it; all at once where all are."""
    try:
        return column.cast(type)
    except pa.ArrowInvalid:
        return pa.array([_read(text, read) for text in column.to_pylist()], type)


def plain(column: Any) -> pa.Array:
    """A column in one piece, its values not replaced by indices into a dictionary."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _read(text: str | None, read: Callable[[str], Any]) -> Any:
    try:
        return None if text is None else read(text.strip())
    except ValueError:
        return None


def _date(text: str) -> Any:
    try:
        return pc.cast(pa.scalar(text), pa.timestamp("us")).as_py()
    except pa.ArrowInvalid as error:
        raise ValueError(text) from error


def _check_steps(names: list[str], manifest: Manifest) -> None:
    """A row of the wrong number of steps is wrong in every row."""
    low, high = manifest.lengths.min, manifest.lengths.max
    if len(names) < low or (high is not None and len(names) > high):
        raise StartupError(
            f"expected {manifest.sequences_shape}, received {len(names)} columns: {', '.join(names[:30])}. A long "
            f"table has columns id, time and {manifest.features[0]}"
        )


def _is_list(type: pa.DataType) -> bool:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(check(type) for check in lists) and _is_scalar(type.value_type)


def _is_scalar(type: pa.DataType) -> bool:
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    if pa.types.is_dictionary(type):
        return _is_scalar(type.value_type)
    return _is_text(type) or any(check(type) for check in numbers)


def _is_text(type: pa.DataType) -> bool:
    return bool(pa.types.is_string(type) or pa.types.is_large_string(type))

"""A table as a file holds it: read as it is written, its columns as numbers or times, its faults with their rows."""

from pathlib import Path

import numpy as np
import pandas as pd

from training.data.datasets import BUILT_IN
from training.data.samples import LARGEST, Impute, refuse, to_numbers

MISSING = {"", "na", "n/a", "nan", "null", "none"}  # in columns of numbers; as a target, None is a word like others


def read_frame(path: Path) -> pd.DataFrame:
    """The table as it is written; CSV as text. Its index is the row in the file.

    Raises:
        ValueError: it is no table, or an empty one.
        OSError: the file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".parquet"}:
        raise ValueError(
            f"expected a built-in data set ({', '.join(BUILT_IN)}) or a .csv, .parquet or .npz file, received {path}"
        )
    frame = _read_csv(path) if suffix == ".csv" else _read_parquet(path)
    frame.index = pd.RangeIndex(2, len(frame) + 2)
    frame = frame.dropna(how="all")  # blank lines, of which many files have one at their end
    if frame.empty:
        raise ValueError(f"expected at least one row of data, received an empty table: {path}")
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        _check_commas(path)
        frame = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,  # they count as rows
            skipinitialspace=True,
            encoding="utf-8-sig",  # with or without the mark that spreadsheets set
        )
    except pd.errors.EmptyDataError:
        raise ValueError(f"expected a header, received an empty file: {path}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"expected text in UTF-8, received something else in {path}: {error}") from None
    except pd.errors.ParserError as error:
        raise ValueError(f"expected the same number of columns in every row: {str(error).strip()}") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes what is too much for row names
        raise ValueError(f"expected {len(frame.columns)} values in every row, as in the header, received more, row 2")
    return frame


def _check_commas(path: Path) -> None:
    """Raises ValueError if the columns are divided by something else than commas, as many spreadsheets do."""
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline().strip()
    for character, name in ((";", ";"), ("\t", "tabs")):
        if character in header and "," not in header:
            raise ValueError(f"expected columns divided by commas, received {name} in {header!r:.60}, row 1")


def _read_parquet(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    frame = frame.reset_index(drop=not any(frame.index.names))  # a named index is columns of data
    return frame.set_axis(frame.columns.astype(str), axis=1)


def require(frame: pd.DataFrame, name: str) -> None:
    """Raises ValueError if there is no column of that name."""
    if name not in frame:
        raise ValueError(f"expected a column {name}, received {', '.join(frame.columns)}, row 1")


def values_of(frame: pd.DataFrame, names: list[str], impute: Impute) -> np.ndarray:
    """The columns as numbers, `(row, column)`; NaN where a value is missing.

    Raises:
        ValueError: there is something else in a row, or nothing and `impute` is none.
    """
    values = np.empty((len(frame), len(names)))
    for i, name in enumerate(names):
        column = frame[name]
        values[:, i] = numbers = to_numbers(column)
        missing = column.isna()
        if not pd.api.types.is_numeric_dtype(column):
            missing |= column.astype("str").str.strip().str.lower().isin(MISSING)
        refuse(np.isnan(numbers) & ~missing, f"expected a number in column {name}", column)
        refuse(np.abs(numbers) > LARGEST, f"expected a finite number in column {name}", column)
        if impute == "none":
            refuse(missing, f"expected a number in column {name}, or --impute", column)
    return values


def is_text(column: pd.Series) -> bool:
    """Whether a column has values, and none of them is a number."""
    return column.notna().any() and np.isnan(to_numbers(column)).all()


def times_of(column: pd.Series) -> np.ndarray:
    """What to order by, `(row,)`: numbers, or dates where the first value is none; else raises ValueError."""
    times = to_numbers(column)
    if np.isnan(times[0]):
        dates = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
        refuse(dates.isna(), f"expected numbers or ISO 8601 dates in column {column.name}", column)
        return dates.to_numpy("datetime64[ns]").astype(np.int64)
    refuse(np.isnan(times), f"expected a number in column {column.name}", column)
    return times
